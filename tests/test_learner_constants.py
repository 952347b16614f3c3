"""Estimates of what the sample bounds ask for, against closed forms."""

import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg
from mfgjax import learners


def test_slopes_that_are_affine_are_exact_and_those_that_do_not_exist_grow():
    """C₁: δ₂ times half the range of 1 − p(s). C₂: (1 − ζ) c_f 24/25, as an infection and its absence change alike."""
    game, response = mfg.games.infection_spread(0.3), mfg.Trembling(0.2)
    found = learners.estimate_constants(game, response, num_laws=4, num_pairs=4)
    assert_close(found.c1, 0.2 * 24 / 25 / 2, rtol=1e-12)
    assert_close(found.c2, 0.9 * 0.3 * 24 / 25, rtol=1e-12)
    assert 0.9 - 1e-12 <= found.c4 <= 0.9 + found.c2 + 1e-12
    finer = learners.estimate_constants(game, response, num_laws=4, num_pairs=4, resolution=1e-4)
    assert_close(finer.c3, 100 * found.c3, rtol=1e-6)
    assert finer.c5 == finer.c3


def test_the_jump_at_a_tie_is_found():
    """Two states, of which either action picks one for certain: π moves 1 − 2ε from one to the other, 2 (1 − 2ε) in l1.

    Values differ by 1/(1 − γ) at most, so that a hundredth of their range is .02 at γ = .5.
    """
    moves = np.broadcast_to(np.eye(2), (2, 2, 2))
    game = mfg.StationaryGame(moves, np.array([[0.0, 0.0], [1.0, 1.0]]), 0.5)
    found = learners.estimate_constants(game, mfg.Trembling(0.0), num_laws=2, num_pairs=8)
    # Q = r + γ V: V(1) = 2, V(0) = 1, hence from .5 to 2
    assert_close(found.c3, 2 / (0.01 * 1.5), rtol=1e-10)
    assert (found.c1, found.c2) == (0, 0)


def test_the_covering_time_of_uniform_draws_is_that_of_a_coupon_collector():
    """One state, four actions alike: P(all by n) = Σ (−1)^k C(4,k) (1 − k/4)^n is .381 at n = 6 and .513 at n = 7."""
    game = mfg.StationaryGame(np.ones((1, 4, 1)), np.zeros((1, 4)), 0.5)
    assert learners.covering_time(game, mfg.Trembling(0.75), [1.0], num_chains=4000) == 7
    assert learners.covering_time(game, mfg.Trembling(0.0), [1.0], max_steps=50) == np.inf
    # the first pair to be visited may take long: one state after the other, and back
    ring = mfg.StationaryGame(np.roll(np.eye(6), 1, axis=1)[:, None], np.zeros((6, 1)), 0.5)
    assert learners.covering_time(ring, mfg.Trembling(0.0), np.full(6, 1 / 6)) == 6


def test_wrong_arguments_are_named():
    game, response = mfg.games.mturk(), mfg.Trembling(0.1)
    for name, arguments in (
        ("resolution", {"resolution": 1.0}),
        ("num_pairs", {"num_pairs": 0}),
        ("seed", {"seed": -1}),
    ):
        with pytest.raises(ValueError, match=f"`{name}`"):
            learners.estimate_constants(game, response, **arguments)
    with pytest.raises(ValueError, match="`max_steps`"):
        learners.covering_time(game, response, game.initial, max_steps=0)
