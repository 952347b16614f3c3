"""Actions that are equally good: `tie` decides, whatever rounding does; and games that need both of them.

The oracles are loops and linear systems in NumPy: laws are eigenvectors, values solve linear systems.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close
from stationary_games import A, S, random_game

import mfgjax as mfg

EPSILON = 0.1
SHARE = EPSILON / (A - 1)

respond = eqx.filter_jit(mfg.respond)


def monotone_kernel(seed):
    """P = (1 − w) lo + w hi, where hi moves every row of lo upwards, and w rises with state and action."""
    rng = np.random.default_rng(seed)
    lo = rng.dirichlet(np.ones(S))
    upwards = np.triu(rng.random((S, S)))
    hi = lo @ (upwards / upwards.sum(axis=1, keepdims=True))
    w = 0.1 + 0.3 * np.arange(S)[:, None] / 4 + 0.25 * np.arange(A)
    return (1 - w)[..., None] * lo + w[..., None] * hi


def always(action):
    """The trembling policy that prefers one action in every state."""
    policy = np.full((S, A), SHARE)
    policy[:, action] = 1 - EPSILON
    return policy


def stationary_law(kernel, policy):
    weights, vectors = np.linalg.eig(np.einsum("sa,san->sn", policy, kernel).T)
    law = vectors[:, weights.real.argmax()].real
    return law / law.sum()


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize(("tie", "action"), [("smallest", 0), ("largest", A - 1)])
def test_where_all_actions_earn_the_same_the_one_asked_for_is_played(tie, action, scale):
    for seed, discount in ((0, 0.9), (1, 0.9), (2, 0.99), (3, 0.5), (4, 0.999), (10, 0.9)):
        kernel = monotone_kernel(seed)
        game = mfg.StationaryGame(kernel, scale * np.ones((S, A)), discount)
        found = mfg.solve(game, mfg.Trembling(EPSILON, tie), throw=False)
        assert found.converged and found.residual <= 1e-10
        assert_close(found.policy, always(action), atol=1e-15)
        # the chain forgets, so that a residual of 1e-10 is an error of a few 1e-10
        assert_close(found.mean_field, stationary_law(kernel, always(action)), atol=1e-8)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
@pytest.mark.parametrize(("tie", "action"), [("smallest", 0), ("largest", A - 1)])
def test_what_differs_by_one_spacing_of_numbers_is_a_tie(tie, action, scale):
    """0.1 + 0.2 is the number after 0.3: rewards that were added up in another order pay the same."""
    pay = np.full((S, A), scale * 0.3)
    pay[:, 1] = np.nextafter(scale * 0.3, np.inf)
    kernel = monotone_kernel(5)
    at_rest = mfg.solve(mfg.StationaryGame(kernel, pay, 0.9), mfg.Trembling(EPSILON, tie))
    assert_close(at_rest.policy, always(action), atol=1e-15)
    flow = mfg.FiniteHorizonGame(kernel, pay, np.full(S, 1 / S), 2)
    found = mfg.respond(flow, np.full((3, S), 1 / S), mfg.Trembling(EPSILON, tie)).policy
    assert_close(found, np.stack([always(action)] * 3), atol=1e-15)


def test_lanes_of_tied_games_equal_single_ones():
    """By value iteration from values of the step before, whose differences settle slowly at a discount near 1."""
    scales, discounts = np.array([1, 1e-6, 1e6, 1]), np.array([0.9, 0.9, 0.99, 0.5])
    kernel = monotone_kernel(7)
    game = mfg.StationaryGame(kernel, np.ones((S, A)), 0.9)
    axes = {"reward.table": scales * np.ones((1, S, A, 1)), "discount": discounts}
    for tie, action in (("smallest", 0), ("largest", A - 1)):
        found = mfg.solve_batch(game, mfg.Trembling(EPSILON, tie), axes=axes)
        assert np.asarray(found.converged).all()
        for k in range(len(scales)):
            assert_close(found.policy[..., k], always(action), atol=1e-15)
            assert_close(found.mean_field[:, k], stationary_law(kernel, always(action)), atol=1e-8)


def test_single_precision_breaks_ties_as_asked():
    kernel = monotone_kernel(3).astype(np.float32)
    game = mfg.StationaryGame(kernel, np.ones((S, A), np.float32), np.float32(0.9))
    for tie, action in (("smallest", 0), ("largest", A - 1)):
        assert_close(respond(game, game.initial, mfg.Trembling(EPSILON, tie)).policy, always(action), atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e6])
def test_ties_with_a_finite_horizon_are_broken_as_asked_at_every_time(scale):
    kernel, horizon = monotone_kernel(5), 12
    game = mfg.FiniteHorizonGame(kernel, scale * np.ones((horizon + 1, S, A)), np.full(S, 1 / S), horizon=horizon)
    flow = np.full((horizon + 1, S), 1 / S)
    for tie, action in (("smallest", 0), ("largest", A - 1)):
        greedy = np.broadcast_to(np.eye(A)[action], (horizon + 1, S, A))
        assert_close(respond(game, flow, mfg.Greedy(tie)).policy, greedy, atol=0)
        assert_close(game.policy_from(flow, mfg.Greedy(tie), None)[0], greedy, atol=0)
        assert_close(respond(game, flow, mfg.Trembling(EPSILON, tie)).policy[0], always(action), atol=1e-15)


def test_a_real_difference_is_no_tie_at_any_scale():
    """1e-9 of the largest reward is far above rounding: the second action is the better one."""
    kernel = np.repeat(monotone_kernel(5)[:, :1], A, axis=1)  # moves alike
    for scale in (1.0, 1e-6, 1e6):
        game = mfg.StationaryGame(kernel, scale * (np.ones((S, A)) + 1e-9 * np.eye(A)[1]), 0.9)
        assert_close(respond(game, game.initial, mfg.Trembling(EPSILON)).policy, always(1), atol=1e-15)


@pytest.mark.parametrize("seed", [1, 10])
def test_a_bracket_of_a_game_of_ties_has_the_smallest_and_the_largest_actions_at_its_ends(seed):
    kernel = monotone_kernel(seed)
    found = mfg.bracket(mfg.StationaryGame(kernel, np.ones((S, A)), 0.9), mfg.Trembling(EPSILON))
    least, greatest = stationary_law(kernel, always(0)), stationary_law(kernel, always(A - 1))
    assert_close(found.least.mean_field, least, atol=1e-10)
    assert_close(found.greatest.mean_field, greatest, atol=1e-10)
    assert_close(found.distance, np.abs(least - greatest).sum() / 2, atol=1e-10)
    assert found.rising.tied and found.falling.tied and found.rising.gap == np.inf
    assert not found.coincide and found.certificate.startswith("holds")
    assert "at least two equilibria (provided that actions whose values differ by rounding alone" in found.certificate


def values_by_hand(plain, kernel, reward):
    """q and the best values of a trembling hand, by policy iteration in linear systems."""
    exists, counts = plain.available, plain.available.sum(axis=1)
    share = np.where(counts > 1, EPSILON / np.maximum(counts - 1, 1), 0)[:, None]
    main = np.where(counts > 1, 1 - EPSILON, 1)[:, None]
    values = np.zeros(S)
    for _ in range(50):
        q = np.where(exists, reward + plain.discount * kernel @ values, -np.inf)
        policy = np.where(np.arange(A) == q.argmax(axis=1)[:, None], main, share * exists)
        moves = np.einsum("sa,san->sn", policy, kernel)
        values = np.linalg.solve(np.eye(S) - plain.discount * moves, (policy * np.where(exists, reward, 0)).sum(axis=1))
    return np.where(exists, reward + plain.discount * kernel @ values, -np.inf), share, main


CROWDED = {"weight": np.float64(8.0), "pull": np.float64(0.7)}


def test_where_no_pure_policy_is_an_equilibrium_the_population_splits_between_best_actions():
    for seed in (3, 5, 7, 11):
        game, plain = random_game(np.random.default_rng(seed), **CROWDED)
        found = mfg.solve(game, mfg.Trembling(EPSILON))
        z, policy = np.asarray(found.mean_field), np.asarray(found.policy)
        kernel, reward = plain.kernel(z), plain.reward(z)
        q, share, main = values_by_hand(plain, kernel, reward)
        shares = np.where(plain.available, (policy - share) / (main - share), 0)
        assert shares.min() > -1e-12 and ((shares > 1e-3).sum(axis=1) > 1).any()
        assert_close(shares.sum(axis=1), np.ones(S), atol=1e-12)
        assert np.abs(z - np.einsum("s,sa,san->n", z, policy, kernel)).sum() / 2 <= 1.01e-10
        worse = np.where(plain.available, q.max(axis=1, keepdims=True) - q, 0)
        lost = (shares * worse).sum(axis=1).max()
        assert lost <= 1e-9 * np.ptp(q[plain.available])
        assert 0 <= float(found.exploitability) + 1e-14 < 1e-8
        assert found.criterion == "residual" and found.residual <= found.tolerance


def test_without_an_equilibrium_the_cycle_is_reported_with_its_period_and_width():
    """Stopped after one step of the method that mixes; the cycle is that of plain iteration by hand."""
    game, plain = random_game(np.random.default_rng(3), **CROWDED)
    found = mfg.solve(game, mfg.Trembling(EPSILON), max_steps=4001, throw=False)
    assert found.result.name == "no_pure_choice" and not found.converged
    z, laws = plain.initial, []
    for _ in range(300):
        kernel, reward = plain.kernel(z), plain.reward(z)
        q, share, main = values_by_hand(plain, kernel, reward)
        policy = np.where(np.arange(A) == q.argmax(axis=1)[:, None], main, share * plain.available)
        z = np.einsum("s,sa,san->n", z, policy, kernel)
        laws.append(z)
    apart = np.abs(np.array(laws)[-1] - np.array(laws)).sum(axis=1) / 2
    period = int(np.flatnonzero(apart[-2::-1] < 1e-12)[0]) + 1
    assert int(found.result.period) == period >= 2
    # of the law of the cycle that was met first, which need not be the last one here
    cycle = np.array(laws[-period:])
    widths = [np.abs(cycle - law).sum(axis=1).max() / 2 for law in cycle]
    assert min(abs(width - float(found.result.spread)) for width in widths) < 1e-10
    width = float(found.result.spread)
    assert f"cycle of period {period}, in which mean fields are up to {width:.2g} apart" in found.result.message


def test_no_derivative_is_given_where_the_population_splits():
    game, _ = random_game(np.random.default_rng(3), **CROWDED)
    with pytest.raises(ValueError, match="splits the population between actions that are equally good"):
        mfg.design.sensitivity(game, mfg.Trembling(EPSILON), lambda found: jnp.sum(found.mean_field[:2]))
