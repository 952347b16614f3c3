"""Every response that is offered, on random action values: what each must do, and what each says of itself."""

import inspect
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from entries import RESPONSES, built, classes
from helpers import assert_close, random_mask, random_policy

SHAPE = (5, 4)
KINDS = classes("responses")
every = pytest.mark.parametrize("name", KINDS)
# sums of four numbers near 1; exponents of at most 10 are rounded at 1e-15 of that
CLOSE = {"atol": 1e-13}


def random_response(name, rng, prior=False):
    """A response, action values and available actions; with a prior of its own if it can have one."""
    kind, available = KINDS[name], random_mask(rng, *SHAPE)
    response = built(kind, RESPONSES, rng)
    if prior and kind.prior_name in inspect.signature(kind).parameters:
        known = {name: example(rng) for name, example in RESPONSES.items()}
        known = {name: x for name, x in known.items() if name in inspect.signature(kind).parameters}
        response = kind(**known, **{kind.prior_name: random_policy(rng, available)})
    return response, rng.standard_normal(SHAPE), available


@eqx.filter_jit
def backup_and_act(response, q, available):
    nothing = jnp.zeros_like(q)
    return response.backup(jnp.int32(0), q, available), response.act(jnp.int32(0), q, nothing, available)[1]


def respond(response, q, available):
    """Values and policy at time 0."""
    found, _ = backup_and_act(response, q, available)
    return np.asarray(found.values), np.asarray(found.policy), np.asarray(found.log_policy)


@every
def test_rows_are_distributions_over_the_available_actions(name, rng):
    for prior in (False, True):
        response, q, available = random_response(name, rng, prior)
        values, policy, log_policy = respond(response, np.where(available, q, 50.0), available)
        assert np.isfinite(values).all() and (policy >= 0).all()
        assert (policy[~available] == 0).all() and (log_policy[~available] == -np.inf).all()
        assert_close(policy.sum(axis=1), 1, **CLOSE)
        assert_close(np.exp(log_policy), policy, **CLOSE)
        response.check(1, jnp.asarray(available[None]))


@every
def test_acting_on_rewards_alone_plays_what_the_backup_plays(name, rng):
    for prior in (False, True):
        response, q, available = random_response(name, rng, prior)
        backup, policy = backup_and_act(response, q, available)
        assert_close(policy, backup.policy, **CLOSE)


@every
def test_trailing_lanes_are_responses_one_by_one(name, rng):
    response, q, available = random_response(name, rng)
    lanes = q[..., None] * np.array([1.0, 2.0, -1.0])
    values, policy, _ = respond(response, lanes, available)
    assert values.shape == (SHAPE[0], 3) and policy.shape == (*SHAPE, 3)
    for lane in range(3):
        alone = respond(response, lanes[..., lane], available)
        assert_close(values[:, lane], alone[0], **CLOSE)
        assert_close(policy[..., lane], alone[1], **CLOSE)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].maximises])
def test_one_that_maximises_is_worth_its_values_and_no_less_than_what_it_plays_elsewhere(name, rng):
    """π_Q is among the policies that the response allows, as are its policies at other action values."""
    for prior in (False, True):
        response, q, available = random_response(name, rng, prior)
        penalty = response.penalty(jnp.asarray(available[None]), np.dtype(float))

        def worth(policy, log_policy, q=q, penalty=penalty):
            terms = np.where(policy > 0, policy * q, 0)
            if penalty is not None:
                beta, log_prior = (np.asarray(x) for x in penalty)
                log_ratio = np.where(policy > 0, log_policy, 0) - np.where(policy > 0, log_prior[0], 0)
                terms = terms - policy * log_ratio / beta
            return terms.sum(axis=1)

        values, *own = respond(response, q, available)
        assert_close(worth(*own), values, **CLOSE)
        for _ in range(20):
            _, *other = respond(response, 3 * rng.standard_normal(SHAPE), available)
            assert (worth(*other) <= values + 1e-13).all()
        best = np.where(available, q, -np.inf)
        pure = (best == best.max(axis=1, keepdims=True)).astype(float)
        others = [pure, *(random_policy(rng, available) for _ in range(20))]
        with np.errstate(divide="ignore"):
            gains = [worth(policy, np.log(policy)) - values for policy in others]
        assert response.is_optimal == bool(np.max(gains) <= 1e-13)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].is_softmax])
def test_a_softmax_is_proportional_to_its_prior_times_an_exponential(name, rng):
    response, q, available = random_response(name, rng, prior=True)
    log_prior = np.asarray(response.log_prior(jnp.asarray(available[None]), np.dtype(float)))[0]
    with np.errstate(invalid="ignore"):
        left = respond(response, q, available)[2] - log_prior - float(response.beta) * q
    for row, exists in zip(left, available, strict=True):
        assert_close(row[exists], row[exists][0], atol=1e-12)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].rises])
def test_one_that_rises_plays_higher_actions_where_their_values_rise(name, rng):
    for _ in range(20):
        response, q, available = random_response(name, rng, prior=True)
        raised = q + np.cumsum(rng.exponential(size=SHAPE), axis=1)
        tails = [respond(response, x, available)[1][:, ::-1].cumsum(axis=1) for x in (q, raised)]
        assert (tails[1] >= tails[0] - 1e-13).all()


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].plays_best])
def test_one_that_plays_best_asks_only_which_action_is_best(name, rng):
    for _ in range(20):
        response, q, available = random_response(name, rng)
        best = np.where(available, q, -np.inf).argmax(axis=1)
        other = rng.uniform(-1, 0, SHAPE)
        other[np.arange(SHAPE[0]), best] = rng.uniform(0.1, 1, SHAPE[0])
        assert_close(respond(response, other, available)[1], respond(response, q, available)[1])


@every
def test_a_smooth_one_has_the_slopes_that_differences_have_and_others_jump(name, rng):
    response, q, _ = random_response(name, rng)
    everything = np.ones(SHAPE, bool)
    if not response.is_smooth:
        tied, nearly = np.zeros(SHAPE), 1e-9 * np.eye(*SHAPE)[:, ::-1]
        jump = respond(response, tied + nearly, everything)[1] - respond(response, tied - nearly, everything)[1]
        assert np.abs(jump).max() > 0.1
        return
    change, step = rng.standard_normal(SHAPE), 1e-5
    slope = jax.jvp(lambda q: response.backup(jnp.int32(0), q, jnp.asarray(everything)).policy, (q,), (change,))[1]
    ends = [respond(response, q + sign * step * change, everything)[1] for sign in (1, -1)]
    assert_close(slope, (ends[0] - ends[1]) / (2 * step), atol=1e-8)  # rounding over the step, and step²


@every
def test_a_rule_for_ties_matters_at_ties_alone(name, rng):
    response, q, available = random_response(name, rng)
    for tie, place in (("smallest", 0), ("largest", -1)):
        ruled = response.with_tie(tie)
        assert type(ruled) is type(response)
        assert_close(respond(ruled, q, available)[1], respond(response, q, available)[1])
        if response.plays_best:
            policy = respond(ruled, np.zeros(SHAPE), available)[1]
            for row, exists in zip(policy, available, strict=True):
                assert row[exists].argmax() == range(exists.sum())[place]


@every
def test_values_are_rounded_into_ties_where_it_jumps_and_into_the_policy_where_it_has_a_temperature(name, rng):
    response, q, available = random_response(name, rng)
    mask, zero = jnp.asarray(available), jnp.zeros(())
    assert (float(response.tie_band(q, mask)) > 0) == (not response.is_smooth)
    assert (float(response.rounding_of_step(jnp.asarray(q), mask, zero)) > 0) == (not response.is_smooth)
    span = q[available].max() - q[available].min()
    slope = float(response.beta) if hasattr(response, "beta") else 0.0
    assert_close(response.rounding(jnp.asarray(q[None]), mask[None]), 8 * np.finfo(float).eps * slope * span)


@every
def test_at_a_large_beta_the_smooth_one_on_its_path_plays_the_best(name, rng):
    response, q, available = random_response(name, rng)
    smooth = response.at_beta(jnp.asarray(1e6))
    assert response.has_path == (smooth is not None)
    if smooth is None:
        return
    assert float(response.beta_reached(jnp.asarray(1e6))) == (float(response.beta) if response.is_smooth else 1e6)
    assert smooth.is_smooth and float(smooth.beta) == 1e6
    assert float(response.at_beta(jnp.asarray(0.5)).beta) == 0.5
    policy = respond(smooth, q, available)[1]
    best = np.where(available, q, -np.inf)
    behind = best < best.max(axis=1, keepdims=True) - 1e-3
    assert (policy[behind] < 1e-12).all()


def test_every_class_says_what_holds_for_it():
    """The claims are tested above for those that make them, so that each is made by one at least."""
    claims = ("maximises", "is_softmax", "rises", "plays_best", "is_smooth")
    for claim, kind in itertools.product(claims, KINDS.values()):
        assert isinstance(getattr(kind, claim), bool)
    assert all(any(getattr(kind, claim) for kind in KINDS.values()) for claim in claims)
