"""Responses at one time: the soft backup against its definition, its limits and its theorems."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import assert_close, random_mask, random_policy

import mfgjax as mfg
from mfgjax.responses.base import AbstractResponse, Backup

SHAPE = (5, 4)
BETAS = 10.0 ** np.arange(-4, 7)


def backup_in_long_double(q, log_reference, beta):
    """(1/β) log Σ ρ exp(βQ) and π, from the given logs of ρ, normalised in long double."""
    q, beta = q.astype(np.longdouble), np.longdouble(beta)
    values, policy = np.zeros(len(q), np.longdouble), np.zeros(q.shape, np.longdouble)
    for s in range(len(q)):
        rho = np.exp(log_reference[s].astype(np.longdouble))
        rho = rho / rho.sum()
        top = max(q[s, rho > 0])
        # expm1 and log1p keep the digits that a small β needs
        values[s] = top + np.log1p(np.sum(rho * np.expm1(np.where(rho > 0, beta * (q[s] - top), 0)))) / beta
        weights = rho * np.exp(np.where(rho > 0, beta * (q[s] - top), 0))
        policy[s] = weights / weights.sum()
    return values, policy


def random_problem(rng, dtype=np.float64, scale=1.0):
    available = random_mask(rng, *SHAPE)
    with np.errstate(divide="ignore"):
        log_reference = np.log(random_policy(rng, available)).astype(dtype)
    return (scale * rng.standard_normal(SHAPE)).astype(dtype), log_reference, available


backup = jax.jit(mfg.responses.soft_backup)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_soft_backup_matches_the_definition_from_beta_1e_minus_4_to_1e6(dtype, scale, rng):
    eps = np.finfo(dtype).eps
    for beta in BETAS:
        q, log_reference, available = random_problem(rng, dtype, scale)
        values, log_policy = map(np.asarray, backup(q, log_reference, dtype(beta)))
        assert values.dtype == log_policy.dtype == dtype
        assert np.isfinite(values).all()
        assert not np.isnan(log_policy).any()
        expected_values, expected_policy = backup_in_long_double(q, log_reference, dtype(beta))
        shown = np.where(available, q, np.nan)
        span = np.nanmax(shown, axis=1) - np.nanmin(shown, axis=1)
        depth = 1 - log_reference[available].min()
        # Q is rounded at ε|Q|. Far from β = 0, where log Z (at most `depth` + β·span) is rounded and divided by
        # β, β·span > 1/16 turns ε·depth/β into at most 16 ε·depth·span.
        bound = 4 * eps * (np.abs(q).max() + 16 * depth * span)
        assert (np.abs(values - expected_values) <= bound).all()
        # exponents up to `depth` + β·span, each rounded at ε of itself, change π by that factor
        bound = 8 * eps * (depth + beta * span[:, None])
        assert (np.abs(np.exp(log_policy) - expected_policy) <= bound).all()


def test_a_constant_in_all_action_values_costs_no_digits(rng):
    """π depends on differences alone: beside Q = 1e4, β = 1e4 would round βQ at 1e-8."""
    q, log_reference, _ = random_problem(rng)
    q = np.round(q * 2**10) / 2**10  # so that adding the constant is exact
    values, log_policy = backup(q, log_reference, 1e4)
    shifted_values, shifted_policy = backup(q + 2.0**14, log_reference, 1e4)
    assert_close(np.exp(shifted_policy), np.exp(log_policy), atol=1e-14)
    assert_close(shifted_values - 2.0**14, values, atol=4e-12)  # ε · 2^14


def test_log_policies_are_minus_infinity_exactly_at_unavailable_actions_and_normalised(rng):
    for beta in BETAS:
        q, log_reference, available = random_problem(rng)
        q = np.where(available, q, np.inf)  # what stands at an unavailable action must not matter
        values, log_policy = backup(q, log_reference, beta)
        assert ((log_policy == -np.inf) == ~available).all()
        assert np.isfinite(values).all()
        # log Σ π = 0: sums of four exponentials of numbers rounded at ε times their size
        assert_close(np.exp(log_policy).sum(axis=1), 1, atol=1e-15 * (8 + np.abs(log_policy[available]).max()))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_small_beta_plays_the_reference_and_expects_its_value(dtype, rng):
    q, log_reference, available = random_problem(rng, dtype)
    rho = np.exp(log_reference.astype(np.float64))
    rho = rho / rho.sum(axis=1, keepdims=True)
    beta = 1e-4
    values, log_policy = backup(q, log_reference, dtype(beta))
    mean = (rho * np.where(available, q, 0)).sum(axis=1)
    # V − E_ρ Q = (β/2) Var_ρ Q + O(β²) ≤ β span²/8 (Hoeffding); then rounding
    span = np.ptp(q, axis=1)
    assert (np.abs(values - mean) <= beta * span**2 / 8 + 8 * np.finfo(dtype).eps * (1 + span)).all()
    # d_TV(π, ρ) ≤ tanh(β span/4)
    distance = np.abs(np.exp(log_policy) - rho).sum(axis=1) / 2
    assert (distance <= np.tanh(beta * span / 4) + 8 * np.finfo(dtype).eps).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_large_beta_plays_greedily_for_the_greedy_value(dtype, rng):
    q, log_reference, available = random_problem(rng, dtype)
    values, log_policy = backup(q, log_reference, dtype(1e6))
    best = np.where(available, q, -np.inf)
    # V − max Q lies between log ρ(best)/β and 0
    slack = 2 * np.finfo(dtype).eps * np.abs(q).max()
    assert (values <= best.max(axis=1) + slack).all()
    assert (values >= best.max(axis=1) + log_reference[available].min() / 1e6 - slack).all()
    # π(a) ≤ exp(−β (gap to the best) + log 1/ρ(best)): nothing where the gap is above 1e-3
    behind = best < best.max(axis=1, keepdims=True) - 1e-3
    assert (np.exp(log_policy)[behind] == 0).all()
    assert_close(np.exp(log_policy).sum(axis=1), 1, atol=8 * np.finfo(dtype).eps)


def test_values_lie_between_mean_and_maximum_and_rise_with_beta(rng):
    """Jensen; and V is increasing in β, as the penalty KL/β falls."""
    for _ in range(5):
        q, log_reference, available = random_problem(rng)
        rho = np.exp(log_reference)
        values = np.stack([backup(q, log_reference, beta)[0] for beta in BETAS])
        assert (values >= (rho * q).sum(axis=1) - 1e-14).all()
        assert (values <= np.where(available, q, -np.inf).max(axis=1) + 1e-14).all()
        assert (np.diff(values, axis=0) >= -1e-14).all()


def test_values_move_no_more_than_action_values_and_policies_by_at_most_tanh(rng):
    """V is 1-Lipschitz in the sup norm; d_TV(π, π') ≤ tanh(β |ΔQ|/2), and both are attained to 10%."""
    attained_values = attained_policy = 0.0
    for beta in (0.1, 1.0, 10.0):
        for _ in range(200):
            q, _, _ = random_problem(rng)
            log_reference = np.full((SHAPE[0], 2), np.log(0.5))
            q, change = q[:, :2], rng.choice([-1.0, 1.0], size=(SHAPE[0], 2)) * rng.uniform(0, 2 / beta)
            if beta == 1.0:
                q = -change / 2  # symmetric pairs, where the bound on policies is met
            size = np.abs(change).max(axis=1)
            values, log_policy = backup(q, log_reference, beta)
            others, log_other = backup(q + change, log_reference, beta)
            moved = np.abs(values - others)
            distance = np.abs(np.exp(log_policy) - np.exp(log_other)).sum(axis=1) / 2
            assert (moved <= size * (1 + 1e-12) + 1e-14).all()
            assert (distance <= np.tanh(beta * size / 2) + 1e-14).all()
            attained_values = max(attained_values, (moved / size).max())
            attained_policy = max(attained_policy, (distance / np.tanh(beta * size / 2)).max())
    assert attained_values > 0.9
    assert attained_policy > 0.9


def test_the_policy_is_the_derivative_of_the_value(rng):
    q, log_reference, _ = random_problem(rng)
    for beta in (1e-4, 0.03, 1.0, 100.0):
        gradient = jax.grad(lambda q, beta=beta: mfg.responses.soft_backup(q, log_reference, beta)[0].sum())(q)
        assert_close(gradient, np.exp(backup(q, log_reference, beta)[1]), atol=1e-13)


def test_trailing_lanes_equal_single_backups(rng):
    q, log_reference, _ = random_problem(rng)
    betas = np.array([1e-3, 0.5, 40.0])
    lanes = q[..., None] * np.array([1.0, 2.0, -1.0])
    values, log_policy = backup(lanes, log_reference[..., None], betas)
    assert values.shape == (SHAPE[0], 3)
    for i, beta in enumerate(betas):
        single_values, single_policy = backup(lanes[..., i], log_reference, beta)
        assert_close(values[:, i], single_values, atol=1e-14)
        assert_close(np.exp(log_policy[..., i]), np.exp(single_policy), atol=1e-14)


def test_an_entropy_regularized_response_uses_its_reference_of_the_time(rng):
    available = random_mask(rng, 3, *SHAPE)
    rho = random_policy(rng, available)
    q = rng.standard_normal(SHAPE)
    response = mfg.EntropyRegularized(2.0, rho)
    for t in range(3):
        values, log_policy, _ = response.backup(jnp.int32(t), q, jnp.asarray(available[t]))
        expected_values, expected_policy = oracle.soft(2.0, rho)(t, q, available[t])
        assert_close(values, expected_values, atol=1e-14)
        assert_close(np.exp(log_policy), expected_policy, atol=1e-14)


def test_without_a_reference_it_is_uniform_over_the_available_actions(rng):
    available = random_mask(rng, *SHAPE)
    q = rng.standard_normal(SHAPE)
    uniform = (available / available.sum(axis=1, keepdims=True))[None]
    values, log_policy, _ = mfg.EntropyRegularized(2.0).backup(jnp.int32(0), q, jnp.asarray(available))
    expected_values, expected_policy = oracle.soft(2.0, uniform)(0, q, available)
    assert_close(values, expected_values, atol=1e-14)
    assert_close(np.exp(log_policy), expected_policy, atol=1e-14)


def test_a_log_reference_is_a_reference_up_to_a_constant_in_each_row(rng):
    rho = random_policy(rng, random_mask(rng, *SHAPE))
    with np.errstate(divide="ignore"):
        logs = np.log(rho) + rng.standard_normal((SHAPE[0], 1))
    # logs are rounded at a few ε of their size, which is at most 5
    first, second = mfg.EntropyRegularized(1.0, rho), mfg.EntropyRegularized(1.0, log_reference=logs)
    assert_close(np.exp(first.log_reference), np.exp(second.log_reference), atol=5e-15)
    assert_close(np.exp(first.log_reference)[0], rho, atol=5e-15)


@pytest.mark.parametrize("tie", ["smallest", "largest"])
def test_greedy_takes_the_first_or_last_maximiser_among_the_available(tie, rng):
    available = random_mask(rng, *SHAPE)
    q = np.round(rng.standard_normal(SHAPE))  # whole numbers: ties are common
    q[~available] = 10  # a tempting action that does not exist
    values, log_policy, _ = mfg.Greedy(tie).backup(jnp.int32(0), jnp.asarray(q), jnp.asarray(available))
    expected_values, expected_policy = oracle.hard(tie)(0, q, available)
    assert_close(values, expected_values)
    assert_close(np.exp(log_policy), expected_policy)


def test_boltzmann_is_the_softmax_of_the_action_values_and_backs_up_the_greedy_ones(rng):
    available = random_mask(rng, *SHAPE)
    prior, q = random_policy(rng, available), rng.standard_normal(SHAPE)
    for beta in (1e-4, 1.0, 1e6):
        response = mfg.Boltzmann(beta, prior)
        values, log_policy, _ = response.backup(jnp.int32(0), jnp.asarray(q), jnp.asarray(available))
        expected_values, expected_policy = oracle.softmax_of_greedy(beta, prior[None])(0, q, available)
        assert_close(values, expected_values)
        # β·span(Q)·ε relative error of the exponentials
        assert_close(np.exp(log_policy), expected_policy, atol=1e-14 + 8e-16 * beta)
        assert ((log_policy == -np.inf) == ~available).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_over_twenty_steps_a_tiny_beta_costs_no_digits(dtype):
    """Dividing a rounded logarithm by β = 1e-4 would lose 3e-3 in single precision."""
    generator = np.random.default_rng(3)
    horizon, num_states, num_actions = 20, 6, 4
    kernel = generator.dirichlet(np.ones(num_states), size=(num_states, num_actions)).astype(dtype)
    reward = generator.random((num_states, num_actions)).astype(dtype)
    initial = np.full(num_states, 1 / num_states, dtype)
    game = mfg.FiniteHorizonGame(kernel, reward, initial, horizon)
    flow = np.broadcast_to(initial, (horizon + 1, num_states))
    rho = generator.dirichlet(np.ones(num_actions), size=num_states).astype(dtype)
    response = mfg.EntropyRegularized(dtype(1e-4), rho)
    values = mfg.respond(game, flow, response).values
    assert values.dtype == dtype
    mask = np.ones((horizon + 1, num_states, num_actions), bool)
    plain = oracle.PlainGame(
        lambda t, _: kernel.astype(float), lambda t, _: reward.astype(float), initial.astype(float), horizon, mask
    )
    exact = rho.astype(float) / rho.astype(float).sum(axis=1, keepdims=True)
    reference = np.broadcast_to(exact, mask.shape)
    expected, _, _ = oracle.best_response(plain, flow, oracle.soft(float(dtype(1e-4)), reference))
    # 21 additions of roundings of relative size ε; the oracle itself is good to 1e-15/1e-4 = 1e-11
    assert_close(values, expected, rtol=2e-6 if dtype == np.float32 else 2e-11)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_acting_gives_the_policy_of_the_backup_at_every_beta(dtype, rng):
    """What is carried back is β V / log 2 up to a constant, so that nothing is divided by a small β."""
    eps = np.finfo(dtype).eps
    for beta in BETAS:
        q, log_reference, available = random_problem(rng, dtype)
        reward = q * rng.random(SHAPE).astype(dtype)
        scale = dtype(beta / np.log(2))
        response = mfg.EntropyRegularized(dtype(beta), log_reference=log_reference)
        mask = jnp.asarray(available)
        carried, policy = response.act(jnp.int32(0), reward, scale * (q - reward), mask)
        backup = response.backup(jnp.int32(0), jnp.asarray(q), mask)
        assert carried.dtype == policy.dtype == dtype
        # β Q, of size β |Q|, is rounded in both
        depth = 1 - log_reference[available].min() + beta * np.abs(q).max()
        assert_close(policy, backup.policy, atol=16 * eps * depth)
        assert ((np.asarray(policy) > 0) <= available).all()
        values = scale * np.asarray(backup.values)
        assert_close(carried - carried[0], values - values[0], atol=64 * eps * depth)
        # what stands at an action that does not exist is ignored, whatever it is
        nothing = np.where(available, reward, np.nan).astype(dtype)
        again, same = response.act(jnp.int32(0), nothing, scale * (q - reward), mask)
        assert_close(again, carried)
        assert_close(same, policy)


@pytest.mark.parametrize("response", [mfg.Greedy(), mfg.Greedy("largest"), mfg.Boltzmann(3.0)], ids=repr)
def test_acting_without_a_reference_is_the_backup(response, rng):
    q, _, available = random_problem(rng)
    reward = rng.standard_normal(SHAPE)
    carried, policy = response.act(jnp.int32(0), reward, q - reward, jnp.asarray(available))
    backup = response.backup(jnp.int32(0), jnp.asarray(reward + (q - reward)), jnp.asarray(available))
    assert_close(carried, backup.values)
    assert_close(policy, backup.policy)
    assert_close(policy, np.exp(backup.log_policy), atol=1e-15)


def test_what_a_class_says_of_itself_does_not_hold_for_classes_derived_from_it():
    class Derived(mfg.Greedy):
        pass

    class Same(mfg.Greedy):
        maximises: ClassVar[bool] = True

    game = mfg.games.left_right()
    assert (Derived().maximises, Derived().rises, Derived().plays_best) == (False, False, False)
    with pytest.raises(ValueError, match="`Derived` policies maximise no known criterion"):
        mfg.solve(game, Derived())
    with pytest.raises(ValueError, match="Derived policies maximise no criterion"):
        mfg.exploitability(game, np.full((2, 3, 2), 0.5), Derived())
    assert_close(mfg.solve(game, Same()).mean_field, mfg.solve(game, mfg.Greedy()).mean_field)


def test_a_response_of_ones_own_that_jumps_is_solved_by_the_default_solver():
    """Action 1, which pays, is played with 0.9 + 0.05, and each action leads to the state of its number."""

    class Usual(AbstractResponse):
        is_smooth: ClassVar[bool] = False

        @property
        def prior_table(self):
            return None

        def backup(self, t, q, available, band=0.0):
            best = jnp.max(q, axis=1)
            policy = 0.9 * (q == best[:, None]) + 0.05
            return Backup(best, jnp.log(policy), policy)

    game = mfg.StationaryGame(mfg.MovesKernel([[0, 1], [0, 1]]), [[0.0, 1.0], [0.0, 1.0]], discount=0.5)
    assert_close(mfg.solve(game, Usual()).mean_field, [0.05, 0.95], atol=1e-10)
    with pytest.raises(ValueError, match="`Usual` policies maximise no known criterion"):
        mfg.solve(mfg.games.left_right(), Usual())
