"""Every learner that is offered: what is drawn depends on the seed alone, and it gets to a known equilibrium."""

import functools

import numpy as np
import pytest
from entries import EPSILON, classes, small
from helpers import assert_close

import mfgjax as mfg
from mfgjax import learners

KINDS = classes("learners")
every = pytest.mark.parametrize("name", KINDS)
RESPONSE = mfg.Trembling(EPSILON)


@functools.cache
def two_places():
    """Action a leads to state a in 9 of 10 cases; state 1 pays, less where it is crowded, and all begin in state 0."""
    moves = np.tile([[0.9, 0.1], [0.1, 0.9]], (2, 1, 1))

    def pay(z):
        return np.array([[0.0], [1.0]]) * (1 - 0.3 * z[1])

    return mfg.StationaryGame(moves, pay, 0.5, initial=[1.0, 0.0])


# state 1 is worth more whatever the crowd, so action 1 is best: 0.8 · 0.9 + 0.2 · 0.1 of all get there at each step
CROWD = np.array([0.26, 0.74])


RUNS, STEPS, HALF = {"num_seeds": 8, "seed": 3}, 100, 50


@functools.cache
def whole(name):
    return learners.run(two_places(), RESPONSE, small(KINDS[name]), STEPS, **RUNS)


@every
def test_a_run_cut_in_two_gives_what_one_run_gives_and_seeds_differ(name):
    game, learner, found = two_places(), small(KINDS[name]), whole(name)
    first = learners.run(game, RESPONSE, learner, HALF, **RUNS)
    second = learners.run(game, RESPONSE, learner, HALF, resume=first, **RUNS)
    np.testing.assert_array_equal(second.laws, found.laws)
    np.testing.assert_array_equal(second.policy, found.policy)
    assert second.num_steps == STEPS
    assert np.abs(found.laws[0] - found.laws[1]).max() > 0


@every
def test_laws_and_policies_are_distributions(name):
    laws, policy = np.asarray(whole(name).laws), np.asarray(whole(name).policy)
    assert (laws >= 0).all()
    assert_close(laws.sum(axis=2), 1, atol=1e-12)
    assert_close(policy.sum(axis=2), 1, atol=1e-12)
    assert (policy >= EPSILON - 1e-12).all()  # each is that of a trembling hand, or the mean of such


@every
def test_it_moves_to_the_equilibrium_that_is_known(name):
    apart = np.abs(np.asarray(whole(name).laws) - CROWD).sum(axis=2) / 2
    assert_close(apart[:, 0], 0.74, atol=1e-12)
    # 50 agents or draws are off by 0.06 at a time, the mean of 8 runs over 20 steps by 0.005
    assert apart[:, -20:].mean() < 0.1
    assert np.asarray(whole(name).policy)[:, :, 1].mean() > 0.7  # 0.8, where all is learned; 0.2 before


def test_the_equilibrium_is_the_one_that_is_known():
    assert_close(mfg.solve(two_places(), RESPONSE).mean_field, CROWD, atol=1e-9)
