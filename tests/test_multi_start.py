"""Equilibria from many starts."""

import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg

STATES = np.arange(25)


def test_both_equilibria_of_a_market_and_no_others_are_found():
    found = mfg.multi_start(mfg.games.mturk(), mfg.Trembling(0.1), 32)
    means = sorted(float(STATES @ equilibrium.mean_field) for equilibrium in found.equilibria)
    assert_close(means, (8.890705, 20.109247), atol=1e-6)
    assert sum(found.counts) == found.num_starts == 32 and found.num_failed == 0
    assert found.counts == tuple(sorted(found.counts, reverse=True))
    one = found.equilibria[0]
    assert one.mean_field.shape == (25,) and bool(one.converged)
    assert_close(one.mean_state, STATES @ one.mean_field)  # with the axes of a single equilibrium
    again = mfg.solve(mfg.games.mturk(), mfg.Trembling(0.1), guess=one)
    assert_close(again.mean_field, one.mean_field, atol=1e-8)


def test_the_three_equilibria_of_coordination_are_found():
    """Left, right, and by symmetry the even one."""
    found = mfg.multi_start(mfg.games.coordination(), mfg.EntropyRegularized(20.0), 48)
    last = sorted(float(equilibrium.mean_field[-1, 0]) for equilibrium in found.equilibria)
    assert len(last) == 3
    assert_close((last[1], last[0] + last[2]), (0.5, 1.0), atol=1e-6)


def test_starts_that_fail_are_counted_and_wrong_arguments_are_named():
    rho = mfg.games.resource_allocation_reference(mfg.games.resource_allocation())
    game, response = mfg.games.resource_allocation(), mfg.EntropyRegularized(3.0, rho)
    found = mfg.multi_start(game, response, 4, solver=mfg.Picard())  # which cycles
    assert found.num_failed == 4 and found.equilibria == ()
    for name, arguments in {
        "num_starts": {"num_starts": 0},
        "seed": {"seed": -1},
        "distance": {"distance": 0.0},
    }.items():
        with pytest.raises(ValueError, match=f"`{name}`"):
            mfg.multi_start(game, response, **arguments)
    with pytest.raises(ValueError, match="`response` must be a response"):
        mfg.multi_start(game, 3.0)
