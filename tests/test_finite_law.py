"""The law of N agents and its distance from the mean field, against brute force and closed forms."""

import functools
import math

import jax
import numpy as np
import oracle
import pytest
from finite_oracle import chain
from helpers import assert_close, random_game, random_policy

import mfgjax as mfg


@functools.cache
def small(seed):
    rng = np.random.default_rng(seed)
    game, plain = random_game("successors", rng)
    return game, plain, random_policy(rng, plain.available), random_policy(rng, plain.available, zeros=True)


@pytest.mark.parametrize("seed", range(3))
def test_expected_distances_equal_brute_force_and_keep_the_bounds_of_lemmas_5_and_6(seed):
    """From the joint Markov chain of 1, 2 and 3 agents, all following or one of them deviating."""
    game, plain, policy, deviation = small(seed)
    mu, _ = oracle.spread(plain, policy)
    law = mfg.finite.law(game, policy, [1, 2, 3], deviation=deviation)
    assert_close(law.mean_field, mu, atol=1e-13)
    for i, n in enumerate((1, 2, 3)):
        together = chain(plain, [policy] * n, reference=mu)
        assert_close(law.distance[:, i], together.distance, atol=1e-12)
        assert (together.distance <= np.asarray(law.bound)[:, i] + 1e-12).all()
        deviated = chain(plain, [deviation] + [policy] * (n - 1), reference=mu)
        assert_close(law.deviated_distance[:, i], deviated.distance, atol=1e-12)
        assert (deviated.distance <= np.asarray(law.deviated_bound)[:, i] + 1e-12).all()
    assert (np.asarray(law.bound) <= np.asarray(law.uniform_bound) + 1e-12).all()


@pytest.mark.parametrize("seed", range(20))
def test_bounds_hold_at_every_size(seed):
    game, _, policy, deviation = small(seed)
    law = mfg.finite.law(game, policy, [1, 2, 7, 50, 1000, 10**5], deviation=deviation)
    assert (np.asarray(law.distance) <= np.asarray(law.bound) + 1e-15).all()
    assert (np.asarray(law.deviated_distance) <= np.asarray(law.deviated_bound) + 1e-15).all()
    assert (np.diff(np.asarray(law.distance), axis=1) < 0).all()


def test_the_bound_of_lemma_5_is_attained_by_a_single_agent_on_two_even_places():
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), np.zeros((2, 2)), [0.5, 0.5], 1)
    law = mfg.finite.law(game, np.full((2, 2), 0.5), 1)
    assert_close(law.distance, 0.5, atol=1e-15)
    assert_close(law.bound, 0.5, atol=1e-15)
    assert_close(law.uniform_bound, 0.5, atol=1e-15)


def test_distances_fall_like_one_over_the_root_of_n():
    """The limit is Σ_s √(μ(1 − μ)/(2πN)), the mean of |normal|, from a billion agents."""
    game = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(game)
    law = mfg.finite.law(game, rho, 10**9)
    mu = np.asarray(law.mean_field)
    assert_close(law.distance, np.sqrt(mu * (1 - mu) / (2 * np.pi * 1e9)).sum(axis=1), rtol=1e-5)
    assert law.distance.shape == (6,)


def test_numbers_at_a_node_are_binomial():
    game, plain, policy, _ = small(0)
    mu, _ = oracle.spread(plain, policy)
    law = mfg.finite.law(game, policy, 12)
    counts = np.arange(-1, 14)
    expected = [math.comb(12, k) * mu[3, 1] ** k * (1 - mu[3, 1]) ** (12 - k) if 0 <= k <= 12 else 0 for k in counts]
    assert_close(law.probability(counts, 3, 1), expected, rtol=1e-11)
    several = mfg.finite.law(game, policy, [5, 12])
    assert_close(several.probability(3, 3, 1)[1], expected[4], rtol=1e-11)


def test_the_law_of_pairs_of_agents_equals_brute_force():
    game, plain, policy, _ = small(1)
    joint = chain(plain, [policy] * 2)
    law = mfg.finite.law(game, policy, 2)
    for t in range(5):
        moments = [sum(k**p * law.probability(k, t, s) for k in range(3)) for p in (1, 2) for s in range(4)]
        assert_close(moments, [*joint.counts[t], *joint.second[t]], atol=1e-12)


def test_single_precision_is_kept_and_right():
    game, _, policy, _ = small(2)
    expected = mfg.finite.law(game, policy, 10**6)
    with jax.enable_x64(False):
        single = jax.tree.map(lambda x: x.astype(np.float32) if x.dtype == float else x, game)
        found = mfg.finite.law(single, policy, 10**6)
    assert found.distance.dtype == np.float32
    assert_close(found.distance, expected.distance, rtol=1e-5)
