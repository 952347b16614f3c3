"""Simulated populations against brute force over joint states, the binomial law, and themselves."""

import functools
import re
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from finite_oracle import chain
from helpers import assert_close, random_game, random_policy

import mfgjax as mfg

KEY = jax.random.key(0)
ROOT = Path(__file__).parent.parent
RUNS = 4000
TOLERANCE = 5  # standard errors: one in two million of normal numbers lies beyond


@functools.cache
def example(dtype=np.float64):
    """The example's equilibrium at β = 1, and the law of the states under its policy in double precision."""
    with jax.enable_x64(dtype == np.float64):
        game = mfg.games.resource_allocation()
        rho = mfg.games.resource_allocation_reference(game)
        policy = np.asarray(mfg.solve(game, mfg.EntropyRegularized(1.0, rho)).policy)
    exact = policy.astype(float) / policy.astype(float).sum(axis=-1, keepdims=True)
    law = np.zeros((6, 5))
    law[0] = game.initial
    table = np.asarray(game.kernel.next_state)
    for t in range(5):
        for s in range(5):
            for a in range(3):
                law[t + 1, table[s, a]] += law[t, s] * exact[t, s, a]
    return game, policy, law


@pytest.mark.parametrize("num_agents", [10, 1_000, 1_000_000, 1_000_000_000])
@pytest.mark.parametrize("x64", [True, False], ids=["x64", "x64 off"])
def test_counts_add_up_and_have_the_moments_of_the_binomial_law(num_agents, x64):
    game, policy, law = example(np.float64 if x64 else np.float32)
    with jax.enable_x64(x64):
        simulation = mfg.finite.simulate(game, policy, num_agents, RUNS, key=KEY)
    assert simulation.counts.dtype == np.int32
    assert simulation.rewards.dtype == game.dtype
    counts = np.asarray(simulation.counts, dtype=np.int64)
    assert (counts.sum(axis=1) == num_agents).all()
    mean, variance = num_agents * law, num_agents * law * (1 - law)
    assert (np.abs(counts.mean(axis=-1) - mean) <= TOLERANCE * np.sqrt(variance / RUNS) + 1e-6 * (law == 0)).all()
    fourth = 3 * variance**2 + variance * (1 - 6 * law * (1 - law))
    error = np.sqrt((fourth - variance**2) / RUNS)
    seen = np.mean((counts - mean[..., None]) ** 2, axis=-1)
    assert (np.abs(seen - variance) <= TOLERANCE * error + 1e-6).all()


def test_the_default_precision_changes_no_count():
    """The same single-precision numbers give the same counts, whether 64-bit numbers are on or off."""
    game, policy, _ = example(np.float32)
    counts = []
    for x64 in (True, False):
        with jax.enable_x64(x64):
            counts.append(np.asarray(mfg.finite.simulate(game, policy, 10**9, RUNS, key=KEY).counts))
    np.testing.assert_array_equal(*counts)


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


@pytest.mark.parametrize("kind", ["successors", "joint law"])
def test_counts_agree_with_brute_force(kind):
    """Two agents: means and second moments of the counts, and what an agent earns, also where laws are coupled."""
    game, plain, (policy, _) = small(kind)
    exact = chain(plain, [policy, policy])
    simulation = mfg.finite.simulate(game, policy, 2, RUNS, key=KEY)
    assert (simulation.counts.sum(axis=1) == 2).all()
    assert within(simulation.counts, exact.counts)
    assert within(simulation.counts**2, exact.second)
    assert within(simulation.rewards, exact.rewards.mean(axis=0))
    weight = plain.discount ** np.arange(len(exact.distance))
    assert abs(simulation.value - weight @ exact.rewards.mean(axis=0)) <= TOLERANCE * simulation.standard_error


def test_batches_of_numbers_and_policies_equal_single_simulations():
    game, _, (first, second) = small("moves")
    policies = np.stack([first, second], axis=-1)
    numbers = np.array([[3], [10**9], [500]])
    batch = mfg.finite.simulate(game, policies, numbers, 20, key=KEY)
    assert batch.counts.shape == (5, 4, 3, 2, 20)
    assert batch.value.shape == (3, 2) == batch.standard_error.shape
    assert batch.flows.shape == batch.counts.shape
    for i, j in np.ndindex(3, 2):
        single = mfg.finite.simulate(game, policies[..., j], int(numbers[i, 0]), 20, key=KEY)
        np.testing.assert_array_equal(batch.counts[:, :, i, j], single.counts)
        assert_close(batch.rewards[:, i, j], single.rewards, rtol=1e-12)


def test_numbers_of_agents_may_be_traced_also_where_single_precision_is_the_default():
    game, policy, _ = example(np.float32)
    with jax.enable_x64(False):
        inside = jax.jit(lambda n: mfg.finite.simulate(game, policy, n, RUNS, key=KEY).counts)
        for n in (7, 10**9):
            outside = mfg.finite.simulate(game, policy, n, RUNS, key=KEY).counts
            np.testing.assert_array_equal(inside(jnp.int32(n)), outside)


def test_a_policy_may_be_the_same_at_all_times():
    game, _, _ = example()
    rho = np.asarray(mfg.games.resource_allocation_reference(game))
    constant = mfg.finite.simulate(game, rho, 50, RUNS, key=KEY)
    repeated = mfg.finite.simulate(game, np.repeat(rho[None], 6, axis=0), 50, RUNS, key=KEY)
    np.testing.assert_array_equal(constant.counts, repeated.counts)


def test_the_repr_names_value_and_error():
    game, policy, _ = example()
    text = repr(mfg.finite.simulate(game, policy, 1000, RUNS, key=KEY))
    assert re.fullmatch(r"Simulation\(4000 runs of 6 times, 5 states, 1,000 agents: value 0\.\d+ ± \S+\)", text)


REFUSED = {
    "no agents": ({"num_agents": 0}, r"`num_agents` is 0, but it must lie between 1 and 1,000,000,000\."),
    "too many": ({"num_agents": [5, 2 * 10**9]}, r"`num_agents\[1\]` is 2000000000, but it must lie between 1 and"),
    "half an agent": ({"num_agents": 2.5}, r"`num_agents` is 2.5, but it must be a whole number\."),
    "no runs": ({"num_runs": 0}, r"`num_runs` must be at least 1; got 0\."),
    "no key": (
        {"key": None},
        r"`key` must be a random key such as `jax.random.key\(0\)`: simulations are random; got None\.",
    ),
    "many labels": ({"num_agents": [2, 3], "labelled": True}, r"`num_agents` must be one known number for labelled"),
    "no game": ({"game": 3}, r"`game` must be a `FiniteHorizonGame`; got 3\."),
    "boltzmann": ({"response": mfg.Boltzmann(1.0)}, r"`finite.simulate\(..., response=Boltzmann\)`: there is"),
    "no chunk": ({"runs_at_once": 0}, r"`runs_at_once` must be at least 1; got 0\."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_arguments_are_refused_with_a_sentence(case):
    change, sentence = REFUSED[case]
    game, policy, _ = example()
    arguments = {"game": game, "policy": policy, "num_agents": 5, "num_runs": 2, "key": KEY} | change
    with pytest.raises(ValueError, match=sentence):
        mfg.finite.simulate(**arguments)


def test_wrong_policies_are_refused_where_they_are_wrong():
    game, policy, _ = example()
    simulate = functools.partial(mfg.finite.simulate, game, num_agents=5, num_runs=2, key=KEY)
    short = policy.copy()
    short[2, 1] *= 0.5
    with pytest.raises(ValueError, match=r"`policy\[2, 1\]` sums to 0.5, but probabilities must sum to 1\."):
        simulate(short)
    barred = policy.copy()
    barred[3, 2] = [0.5, 0.25, 0.25]
    with pytest.raises(ValueError, match=r"`policy\[3, 2, 2\]` is 0.25, but that action is not available"):
        simulate(barred)
    with pytest.raises(ValueError, match=r"`deviation\[2, 1\]` sums to 0.5"):
        simulate(policy, deviation=short)
    with pytest.raises(ValueError, match=r"`policy` must have shape"):
        simulate(policy[:, :4])
    lanes = np.stack([policy, policy], axis=-1)
    with pytest.raises(ValueError, match=r"`num_agents` has shape \(3,\), which does not broadcast"):
        mfg.finite.simulate(game, lanes, [1, 2, 3], 2, key=KEY)


def test_a_graph_with_a_hub_keeps_whole_numbers():
    """Predecessors of a hub are summed in buckets, whose sums are wider integers."""
    game = mfg.games.load_game(ROOT / "examples" / "evacuation.toml").game
    policy = mfg.solve(game, mfg.EntropyRegularized(2.0)).policy
    found = mfg.finite.simulate(game, policy, 60, 5, key=jax.random.key(0))
    assert (np.asarray(found.counts).sum(axis=1) == 60).all()
