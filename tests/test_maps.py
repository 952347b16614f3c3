"""The maps of a game against loops written from the formulas, on random games of every kind."""

import functools
import zlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import GAMES, H, S, T, assert_close, random_flow, random_game, random_policy

import mfgjax as mfg

BETA = 2.0
kinds = pytest.mark.parametrize("kind", GAMES)


@eqx.filter_jit
def everything(game, soft, boltzmann, policy, flow):
    """All maps of a game in one program: compiling dominates."""
    return {
        "soft": mfg.respond(game, flow, soft),
        "greedy": mfg.respond(game, flow, mfg.Greedy()),
        "boltzmann": mfg.respond(game, flow, boltzmann),
        "propagate": mfg.propagate(game, policy),
        "gamma": mfg.mean_field_map(game, soft)(flow),
        "J": mfg.policy_value(game, policy, flow),
        "J KL": mfg.policy_value(game, policy, flow, soft),
        "gain": mfg.exploitability(game, policy),
        "gain KL": mfg.exploitability(game, policy, soft),
    }


@functools.cache
def measured(kind, seed, dtype=np.float64):
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    game, plain = random_game(kind, rng, dtype)
    rho = random_policy(rng, plain.available).astype(dtype)
    policy = random_policy(rng, plain.available, zeros=True).astype(dtype)
    flow = random_flow(rng, plain.joint).astype(dtype)
    beta = dtype(BETA)
    maps = everything(game, mfg.EntropyRegularized(beta, rho), mfg.Boltzmann(beta, rho), policy, flow)
    # the reference of the oracle has rows that sum to 1 in double precision
    rho = rho.astype(float) / rho.astype(float).sum(axis=-1, keepdims=True)
    return maps, plain, rho, policy.astype(float), flow.astype(float)


seeds = pytest.mark.parametrize("seed", range(3))
# both sides add up some hundred numbers near 1 in another order
CLOSE = {"atol": 1e-12}


@seeds
@kinds
def test_responses_equal_backward_induction_by_loops(kind, seed):
    maps, plain, rho, _, flow = measured(kind, seed)
    cases = {
        "soft": oracle.soft(BETA, rho),
        "greedy": oracle.hard(),
        "boltzmann": oracle.softmax_of_greedy(BETA, rho),
    }
    for name, response in cases.items():
        values, policy, q = oracle.best_response(plain, flow, response)
        best = maps[name]
        assert_close(best.values, values, **CLOSE)
        assert_close(best.policy, policy, **CLOSE)
        assert_close(np.where(plain.available, best.q, 0), np.where(plain.available, q, 0), **CLOSE)
        assert np.isfinite(best.q).all()
        assert (np.asarray(best.policy)[~plain.available] == 0).all()
        assert_close(np.exp(best.log_policy), best.policy, **CLOSE)


@seeds
@kinds
def test_propagation_equals_loops_and_conserves_mass(kind, seed):
    maps, plain, _, policy, _ = measured(kind, seed)
    flow = np.asarray(maps["propagate"])
    assert_close(flow, oracle.spread(plain, policy)[1], **CLOSE)
    assert_close(flow.reshape(T, -1).sum(axis=1), 1, **CLOSE)
    assert (flow >= 0).all()


@seeds
@kinds
def test_gamma_is_responding_then_propagating(kind, seed):
    maps, plain, rho, _, flow = measured(kind, seed)
    assert_close(maps["gamma"], oracle.gamma(plain, flow, oracle.soft(BETA, rho)), **CLOSE)


@seeds
@kinds
def test_policy_values_equal_expectations_along_the_agents_own_law(kind, seed):
    maps, plain, rho, policy, flow = measured(kind, seed)
    assert_close(maps["J"], oracle.policy_value(plain, policy, flow), **CLOSE)
    assert_close(maps["J KL"], oracle.policy_value(plain, policy, flow, BETA, rho), **CLOSE)


@seeds
@kinds
def test_no_policy_is_worth_more_than_the_best_response(kind, seed):
    maps, plain, _, _, _ = measured(kind, seed)
    assert maps["J"] <= plain.initial @ np.asarray(maps["greedy"].values[0]) + 1e-12
    assert maps["J KL"] <= plain.initial @ np.asarray(maps["soft"].values[0]) + 1e-12


@seeds
@kinds
def test_exploitability_is_the_best_responses_value_less_the_policys(kind, seed):
    maps, plain, rho, policy, _ = measured(kind, seed)
    assert_close(maps["gain"], oracle.exploitability(plain, policy), **CLOSE)
    assert_close(maps["gain KL"], oracle.exploitability(plain, policy, BETA, rho), **CLOSE)
    assert maps["gain"] >= 0
    assert maps["gain KL"] >= 0


@pytest.mark.parametrize("kind", ["dense over time", "joint law"])
def test_single_precision_stays_single_and_agrees_to_1e_5(kind):
    """H = 4 steps of numbers near 5: some 50 roundings of 6e-8 of them, and exp(βQ) multiplies by β·|Q|."""
    maps, plain, rho, policy, flow = measured(kind, 0, np.float32)
    assert {x.dtype for x in jax.tree.leaves(maps)} == {np.dtype(np.float32)}
    close = {"atol": 1e-5}
    values, soft, _ = oracle.best_response(plain, flow, oracle.soft(BETA, rho))
    assert_close(maps["soft"].values, values, **close)
    assert_close(maps["soft"].policy, soft, **close)
    assert_close(maps["propagate"], oracle.spread(plain, policy)[1], **close)
    assert_close(maps["J KL"], oracle.policy_value(plain, policy, flow, BETA, rho), **close)
    assert_close(maps["gain"], oracle.exploitability(plain, policy), **close)
    assert_close(maps["gain KL"], oracle.exploitability(plain, policy, BETA, rho), **close)


def test_the_oracle_itself_agrees_with_a_sum_over_all_paths(rng):
    """Two independent computations of J and J^KL, on a game of 3·2·(2·2)² paths."""
    moves = rng.dirichlet(np.ones(2), size=(2, 2))
    rewards = rng.standard_normal((3, 2, 2))
    mask = np.array([[[True, True], [True, False]]] * 3)
    game = oracle.PlainGame(
        lambda t, seen: moves * seen[0] + moves[::-1] * seen[1],
        lambda t, seen: rewards[t] - seen[:, None],
        np.array([0.3, 0.7]),
        2,
        mask,
        0.9,
    )
    policy, rho = random_policy(rng, mask), random_policy(rng, mask)
    flow = rng.dirichlet(np.ones(2), size=3)
    for criterion in [(), (1.5, rho)]:
        by_paths = oracle.policy_value_by_enumeration(game, policy, flow, *criterion)
        assert_close(oracle.policy_value(game, policy, flow, *criterion), by_paths, atol=1e-13)
    # and backward induction: no random policy beats it, and it is worth its own value
    _, best, _ = oracle.best_response(game, flow, oracle.hard())
    values, soft, _ = oracle.best_response(game, flow, oracle.soft(1.5, rho))
    assert_close(game.initial @ values[0], oracle.policy_value_by_enumeration(game, soft, flow, 1.5, rho), atol=1e-13)
    for _ in range(20):
        other = random_policy(rng, mask)
        assert oracle.policy_value(game, other, flow) <= oracle.policy_value(game, best, flow) + 1e-13
        assert oracle.policy_value(game, other, flow, 1.5, rho) <= game.initial @ values[0] + 1e-13


def test_eager_maps_equal_jitted_ones():
    rng = np.random.default_rng([0, zlib.crc32(b"dense over time")])
    game, plain = random_game("dense over time", rng)
    rho = random_policy(rng, plain.available)
    policy, flow = random_policy(rng, plain.available, zeros=True), random_flow(rng)
    maps, *_ = measured("dense over time", 0)
    soft = mfg.EntropyRegularized(BETA, rho)
    # the same operations fused differently: a few ε
    assert_close(mfg.mean_field_map(game, soft)(jnp.asarray(flow)), maps["gamma"], atol=1e-14)
    assert_close(mfg.exploitability(game, policy, soft), maps["gain KL"], atol=1e-14)


def test_at_an_equilibrium_of_the_oracle_the_gain_vanishes():
    rng = np.random.default_rng(5)
    game, plain = random_game("crowd kernel", rng)
    rho = random_policy(rng, plain.available)
    beta = 0.3
    flow = oracle.equilibrium(plain, oracle.soft(beta, rho))
    values, policy, _ = oracle.best_response(plain, flow, oracle.soft(beta, rho))
    soft = mfg.EntropyRegularized(beta, rho)
    maps = everything(game, soft, mfg.Boltzmann(beta, rho), policy, flow)
    assert_close(maps["gamma"], flow, atol=1e-12)  # the oracle stopped at 1e-13
    # E = Σ KL/β, and KL is of second order in the distance of 1e-13: only rounding is left
    assert 0 <= maps["gain KL"] <= 1e-14
    assert_close(maps["J KL"], plain.initial @ values[0], **CLOSE)


def test_exploitability_is_accurate_far_below_the_rounding_of_the_values():
    """In a one-shot choice a deviation by δ costs KL ≈ δ²/(2π(1−π)β): 1e-16 beside values of 1e3."""
    game = mfg.FiniteHorizonGame(np.ones((1, 2, 1)), [[1e3, 1e3]], [1.0], 1)
    delta = 1e-8
    policy = np.array([[[0.5 + delta, 0.5 - delta]], [[0.5, 0.5]]])
    gain = mfg.exploitability(game, policy, mfg.EntropyRegularized(2.0))
    # KL(½+δ ‖ ½) = 2δ² + O(δ⁴); logs near log ½ are rounded at 1e-16, hence 1e-8 · 1e-16 beside 2e-16
    assert_close(gain, 2 * delta**2 / 2.0, rtol=0.3)


def test_distances_are_half_the_l1_norm_at_the_worst_place(rng):
    first, second = rng.dirichlet(np.ones(S), size=(2, T))
    assert_close(mfg.flow_distance(first, second), oracle.flow_distance(first, second), atol=1e-15)
    joint = rng.dirichlet(np.ones(6), size=(2, T)).reshape(2, T, 2, 3)
    assert_close(mfg.flow_distance(*joint), oracle.flow_distance(*joint), atol=1e-15)
    policies = rng.dirichlet(np.ones(3), size=(2, T, S))
    rows = policies.reshape(2, T * S, 3)
    assert_close(mfg.policy_distance(*policies), oracle.flow_distance(*rows), atol=1e-15)
    assert_close(mfg.total_variation(np.array([1.0, 0, 0]), np.array([0, 0.25, 0.75])), 1)


@pytest.mark.parametrize("name", ["policy_value", "exploitability"])
def test_boltzmann_policies_have_no_criterion(name):
    game = mfg.games.left_right()
    policy, flow = np.full((2, 3, 2), 0.5), np.full((2, 3), 1 / 3)
    arguments = (policy, flow) if name == "policy_value" else (policy,)
    with pytest.raises(ValueError, match=f"`{name}.*Boltzmann policies maximise no criterion"):
        getattr(mfg, name)(game, *arguments, mfg.Boltzmann(1.0))


def test_the_value_of_a_best_response_is_its_own_and_greedy_stands_for_no_penalty(rng):
    game = mfg.games.left_right()
    flow = jnp.asarray(rng.dirichlet(np.ones(3), size=2))
    for response in (mfg.EntropyRegularized(3.0), mfg.Greedy()):
        best = mfg.respond(game, flow, response)
        value = mfg.policy_value(game, best.policy, flow, response)
        assert_close(value, game.initial @ best.values[0], atol=1e-14)
    assert_close(value, -min(flow[1, 1], 2 * flow[1, 2]), atol=1e-14)  # go to the better side


def test_rewards_broadcast_over_actions_and_tables_over_times(rng):
    table = rng.standard_normal((T, S, 1))
    kernel = rng.dirichlet(np.ones(S), size=(S, 2))
    initial = rng.dirichlet(np.ones(S))
    game = mfg.FiniteHorizonGame(kernel, mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(table, table)), initial, H)
    flow = rng.dirichlet(np.ones(S), size=T)
    mask = np.ones((T, S, 2), bool)

    def reward(t, seen):
        return np.array([[table[t, s, 0] * (1 + seen[s])] * 2 for s in range(S)])

    plain = oracle.PlainGame(lambda t, _: kernel, reward, initial, H, mask)
    values, _, _ = oracle.best_response(plain, flow, oracle.hard())
    assert_close(mfg.respond(game, flow, mfg.Greedy()).values, values, **CLOSE)
