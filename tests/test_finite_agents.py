"""Agents with labels, and one that deviates, against brute force over joint states."""

import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from finite_oracle import chain
from helpers import assert_close, random_game, random_policy

import mfgjax as mfg

KEY = jax.random.key(0)
RUNS = 4000
TOLERANCE = 5  # standard errors: one in two million of normal numbers lies beyond


@functools.cache
def small(kind, seed=0):
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    game, plain = random_game(kind, rng)
    policies = [random_policy(rng, plain.available, zeros=True) for _ in range(2)]
    return game, plain, policies


def within(samples, expected):
    """Whether means over the last axis agree with expectations, in standard errors of the samples."""
    samples = np.asarray(samples, dtype=float)
    error = samples.std(axis=-1, ddof=1) / np.sqrt(samples.shape[-1])
    return (np.abs(samples.mean(axis=-1) - expected) <= TOLERANCE * error + 1e-9).all()


@pytest.mark.parametrize(
    ("kind", "labelled"),
    [("dense over time", True), ("crowd kernel", True), ("crowd successors", True), ("moves", False)],
)
def test_a_deviator_among_three_agrees_with_brute_force(kind, labelled):
    """Also where all three have labels, so that their trajectories agree with the counts in distribution."""
    game, plain, (policy, deviation) = small(kind, 1)
    rho = oracle.uniform_reference(plain)
    exact = chain(plain, [deviation, policy, policy], beta=2.0, rho=rho)
    soft = mfg.EntropyRegularized(2.0)
    simulation = mfg.finite.simulate(
        game, policy, 3, RUNS, key=KEY, deviation=deviation, labelled=labelled, response=soft
    )
    assert within(simulation.counts, exact.counts)
    assert within(simulation.counts**2, exact.second)
    assert within(simulation.deviator_rewards, exact.rewards[0])
    assert within(simulation.rewards, exact.rewards.mean(axis=0))
    weight = plain.discount ** np.arange(len(exact.distance))
    gap = abs(simulation.deviator_value - weight @ exact.rewards[0])
    assert gap <= TOLERANCE * simulation.deviator_standard_error
    if labelled:
        np.testing.assert_array_equal(simulation.states[:, 0], simulation.deviator_states)
        np.testing.assert_array_equal(simulation.actions[:, 0], simulation.deviator_actions)


def test_the_deviators_place_is_counted():
    game, _, (policy, deviation) = small("moves")
    simulation = mfg.finite.simulate(game, policy, 1, 23, key=KEY, deviation=deviation)
    states = np.asarray(simulation.deviator_states)
    expected = (states[:, None] == np.arange(4)[:, None]).astype(int)
    np.testing.assert_array_equal(simulation.counts, expected)


@pytest.mark.parametrize("kind", ["successors", "moves"])
def test_trajectories_are_counted_and_follow_policy_and_kernel(kind):
    """Frequencies of actions given states, and of successors given both, within five standard errors."""
    game, plain, (policy, _) = small(kind)
    simulation = mfg.finite.simulate(game, policy, 40, 50, key=KEY, labelled=True)
    states, actions = np.asarray(simulation.states), np.asarray(simulation.actions)
    T, S, A = plain.sizes
    assert states.shape == (T, 40, 50) == actions.shape
    np.testing.assert_array_equal((states[:, None] == np.arange(S)[:, None, None]).sum(axis=2), simulation.counts)
    decoupled = isinstance(game.kernel, mfg.kernels.AbstractKernel)
    for t, s in np.ndindex(T, S):
        here = states[t] == s
        for a in range(A):
            p, n = policy[t, s, a], here.sum()
            assert abs((actions[t][here] == a).sum() - n * p) <= TOLERANCE * np.sqrt(n * p * (1 - p)) + 1e-9
            if t == T - 1 or not decoupled:
                continue
            moved = states[t + 1][here & (actions[t] == a)]
            row = plain.kernel(t, None)[s, a]
            for k in range(S):
                bound = TOLERANCE * np.sqrt(len(moved) * row[k] * (1 - row[k])) + 1e-9
                assert abs((moved == k).sum() - len(moved) * row[k]) <= bound


@pytest.mark.parametrize(("kind", "labelled"), [("moves", False), ("crowd kernel", True)])
def test_the_same_key_gives_the_same_runs_whatever_is_simulated_beside_them(kind, labelled):
    """Whole numbers to the last, rewards up to the order of their sums."""
    game, _, (policy, deviation) = small(kind)
    simulate = functools.partial(mfg.finite.simulate, game, policy, 30, key=KEY, deviation=deviation, labelled=labelled)
    whole = simulate(23)
    other = simulate(40, runs_at_once=17)
    for x, y in zip(jax.tree.leaves(whole), jax.tree.leaves(other), strict=True):
        y = y[..., :23] if y.ndim else y
        assert_close(x, y, atol=0 if x.dtype == np.int32 else 1e-13)
    another = simulate(23, key=jax.random.key(1))
    assert (np.asarray(another.counts) != np.asarray(whole.counts)).any()


def test_a_users_own_kernel_is_simulated_through_push():
    game, _, (policy, _) = small("dense")

    class Own(mfg.kernels.AbstractKernel):
        probabilities: jax.Array
        num_states = 4
        num_actions = 3
        num_times = 1

        def at(self, t):
            return self

        def expect(self, values):
            return jnp.tensordot(self.probabilities[0], values, axes=1)

        def push(self, mass):
            return jnp.tensordot(self.probabilities[0], mass, axes=((0, 1), (0, 1)))

    own = mfg.FiniteHorizonGame(
        Own(game.kernel.probabilities), game.reward, game.initial, game.horizon, available=game.available
    )
    ours, theirs = (mfg.finite.simulate(g, policy, 25, 30, key=KEY, labelled=True).states for g in (own, game))
    np.testing.assert_array_equal(ours, theirs)
