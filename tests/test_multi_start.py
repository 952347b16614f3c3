"""Equilibria from many starts."""

import equinox as eqx
import jax
import jax.numpy as jnp
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


def test_two_equilibria_next_to_a_fold_are_not_merged():
    """1e-9 inside a fold of coordination at β = 4 they are 1.3e-5 from it and 2.7e-5 apart."""
    x = (1 - np.sqrt(0.5)) / 2
    fold = np.log(x / (1 - x)) / 4 - (2 * x - 1)
    game = mfg.games.coordination(field=fold - 1e-9)
    found = mfg.multi_start(game, mfg.EntropyRegularized(4.0), 48, solver=mfg.Newton(atol=1e-14))
    last = sorted(float(equilibrium.mean_field[-1, 1]) for equilibrium in found.equilibria)
    curve = 1 / (4 * x * (1 - x)) * (2 * x - 1) / (x * (1 - x))  # half of the field's second derivative is half of it
    half = np.sqrt(2e-9 / abs(curve))
    assert len(last) == 3
    assert_close(last[:2], (x - half, x + half), atol=1e-7)
    merged = mfg.multi_start(game, mfg.EntropyRegularized(4.0), 48, solver=mfg.Newton(atol=1e-14), distance=1e-4)
    assert len(merged.equilibria) == 2  # as asked


def test_one_equilibrium_that_is_found_inexactly_is_counted_once():
    """At β = 2, where the three of coordination meet, a residual of 1e-10 is an error of 1e-4 to 1e-3."""
    found = mfg.multi_start(mfg.games.coordination(), mfg.EntropyRegularized(2.0), 48, solver=mfg.Newton())
    assert len(found.equilibria) == 1 and found.counts == (48 - found.num_failed,)
    assert_close(found.equilibria[0].mean_field[-1], 0.5, atol=2e-3)


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


class Crowd(eqx.Module):
    """−weight μ(s), and `field` more in state 1, for one game or with a last axis of lanes."""

    weight: jax.Array
    field: jax.Array
    takes_lanes = True

    def __call__(self, t, mean_field):
        return (-self.weight * mean_field).at[1].add(self.field)[:, None]


def test_a_reward_that_takes_lanes_is_traced_for_one_game_and_mapped():
    """Whoever moves goes where the last reward draws them: μ_1(1) = x = σ(β (weight (1 − 2x) + field))."""
    weight, field, beta = 2.0, 0.5, 1.5
    low, high = 0.0, 1.0
    for _ in range(60):
        x = (low + high) / 2
        low, high = (x, high) if 1 / (1 + np.exp(-beta * (weight * (1 - 2 * x) + field))) > x else (low, x)
    game = mfg.FiniteHorizonGame(
        mfg.MovesKernel([[0, 1], [1, 0]]), Crowd(jnp.asarray(weight), jnp.asarray(field)), [0.9, 0.1], 1
    )
    found = mfg.multi_start(game, mfg.EntropyRegularized(beta), 4)
    assert len(found.equilibria) == 1
    assert_close(found.equilibria[0].mean_field[1, 1], x, atol=1e-9)
