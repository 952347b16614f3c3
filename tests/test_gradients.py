"""Derivatives of equilibria: implicit = unrolled = differences, forward = reverse, in every transformation.

The rich game has masks that change with time, states and actions without mass, a kernel and rewards that see
the joint law, and a discount. Differences are central ones, twice extrapolated (Richardson): with a step h of
1e-2 in relative terms the truncation is of order h⁶ = 1e-12, and a fixed point known to 1e-13 is divided by h.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import (
    A,
    CrowdKernel,
    H,
    S,
    Squash,
    T,
    assert_close,
    random_mask,
    random_policy,
    resource_allocation_by_hand,
)

import mfgjax as mfg
from mfgjax._linear import DENSE_LIMIT
from mfgjax.model import DenseInteraction

RTOL = 1e-6  # of differences, see above; observed 1e-9


def extrapolated_difference(function, step):
    """Derivative at 0 of a function of one number, by central differences at h, h/2, h/4."""
    coarse, middle, fine = ((function(h) - function(-h)) / (2 * h) for h in (step, step / 2, step / 4))
    first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
    return (16 * second - first) / 15


def along(params, direction, h):
    return jax.tree.map(lambda p, v: p + h * v, params, direction)


def inner(first, second):
    return sum(np.vdot(x, y) for x, y in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


# --- the rich game ------------------------------------------------------------------------------------

MASK = random_mask(np.random.default_rng(1), T, S, A)
WEIGHTS = np.random.default_rng(2).standard_normal((3, T, S, A))


def rich_params(beta):
    rng = np.random.default_rng(3)
    return {
        "beta": np.float64(beta),
        "reference": random_policy(rng, MASK),
        "interaction": rng.standard_normal((S, A, S, A)),
        "steepness": np.float64(1.1),
        "kernel": rng.dirichlet(np.ones(S), size=(H, S, A)),
        "pull": np.float64(0.7),
        "initial": np.array([0.5, 0.25, 0.25, 0.0]),
        "discount": np.float64(0.9),
    }


def rich_problem(params):
    game = mfg.FiniteHorizonGame(
        CrowdKernel(jnp.asarray(params["kernel"]), jnp.asarray(params["pull"])),
        mfg.PairwiseReward(DenseInteraction(params["interaction"], 2), Squash(jnp.asarray(params["steepness"]))),
        params["initial"],
        H,
        available=MASK,
        discount=params["discount"],
        observes="state_actions",
    )
    return game, mfg.EntropyRegularized(params["beta"], params["reference"])


def score(mean_field, policy, q):
    """A number that depends on everything."""
    return sum((w * jnp.where(MASK, x, 0)).sum() for w, x in zip(WEIGHTS, (mean_field, policy, q), strict=True))


def rich_score(params):
    eq = mfg.solve(*rich_problem(params), mfg.Picard(0.5, atol=1e-13))
    return score(eq.mean_field, eq.policy, eq.q)


def unrolled_score(params):
    """300 damped steps, differentiated one by one."""
    game, response = rich_problem(params)
    gamma = mfg.mean_field_map(game, response)
    start = mfg.propagate(game, jnp.asarray(MASK / MASK.sum(axis=-1, keepdims=True)))
    flow, _ = jax.lax.scan(lambda mu, _: ((mu + gamma(mu)) / 2, None), start, length=300)
    best = mfg.respond(game, flow, response)
    return score(flow, best.policy, best.q)


rich = jax.jit(jax.value_and_grad(rich_score))
BETAS = (0.3, 2.0)


def rich_direction(rng, params):
    """Relative changes; of the initial law along the simplex, and not where it is empty."""
    direction = jax.tree.map(lambda p: p * rng.standard_normal(np.shape(p)), params)
    initial = direction["initial"]
    return direction | {"initial": initial - params["initial"] * initial.sum()}


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("name", rich_params(1.0))
def test_the_gradient_equals_differences_with_respect_to(name, beta, rng):
    params = rich_params(beta)
    _, gradient = rich(params)
    direction = rich_direction(rng, params)
    only = jax.tree.map(np.zeros_like, params) | {name: direction[name]}
    expected = extrapolated_difference(lambda h: float(rich(along(params, only, h))[0]), 1e-2)
    assert abs(expected) > 1e-4
    assert_close(inner(gradient[name], only[name]), expected, rtol=RTOL)


@pytest.mark.parametrize("beta", BETAS)
def test_the_gradient_equals_that_of_unrolled_iterations(beta):
    params = rich_params(beta)
    value, gradient = rich(params)
    expected_value, expected = unrolled(params)
    assert_close(value, expected_value, rtol=1e-11)
    for name in params:
        # both fixed points are exact to 1e-13
        assert_close(gradient[name], expected[name], atol=1e-10)


unrolled = jax.jit(jax.value_and_grad(unrolled_score))
forward = jax.jit(lambda params, direction: jax.jvp(rich_score, (params,), (direction,))[1])


@pytest.mark.parametrize("beta", BETAS)
def test_forward_mode_equals_reverse_mode(beta, rng):
    params = rich_params(beta)
    _, gradient = rich(params)
    zero = jax.tree.map(np.zeros_like, params)
    for name, direction in rich_direction(rng, params).items():
        moved = forward(params, zero | {name: direction})
        assert_close(moved, inner(gradient[name], direction), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("beta", BETAS)
def test_what_does_not_exist_has_gradient_zero(beta):
    _, gradient = rich(rich_params(beta))
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))
    assert (np.asarray(gradient["reference"])[~MASK] == 0).all()
    assert (np.asarray(gradient["kernel"])[~MASK[:H]] == 0).all()
    never = ~MASK.any(axis=0)
    assert (np.asarray(gradient["interaction"])[never] == 0).all()
    # an empty state still has a derivative: mass put there would move the flow
    assert abs(gradient["initial"][3]) > 1e-3


def test_second_derivatives_equal_differences_of_first_ones(rng):
    params = rich_params(0.7)
    names = ("beta", "reference", "steepness", "pull", "initial")
    direction = {name: rich_direction(rng, params)[name] for name in names}

    @jax.jit
    def curvature(some, direction):  # forward over reverse
        return jax.jvp(jax.grad(lambda some: rich_score(params | some)), (some,), (direction,))[1]

    some = {name: params[name] for name in names}
    for name, actual in curvature(some, direction).items():

        def first(h, name=name):
            return np.asarray(rich(params | along(some, direction, h))[1][name])

        # differences of gradients known to 1e-12, divided by h
        expected = extrapolated_difference(first, 1e-2)
        assert_close(actual, expected, atol=1e-6 * max(1, np.abs(expected).max()))


# --- the example, far above the critical temperature ----------------------------------------------------


@functools.cache
def example():
    game = mfg.games.resource_allocation()
    return game, np.asarray(mfg.games.resource_allocation_reference(game))


@functools.cache
def flow_by_hand(beta):
    """The equilibrium by loops; the spectral radius is some β/1.4, with negative spectrum."""
    plain, rho = resource_allocation_by_hand()
    return oracle.equilibrium(plain, oracle.soft(beta, rho), damping=1 / (1 + beta))


def example_score(params, guess):
    game, _ = example()
    game = eqx.tree_at(lambda g: (g.reward.L.weight, g.discount), game, (params["weight"], params["discount"]))
    response = mfg.EntropyRegularized(params["beta"], log_reference=params["log_reference"])
    eq = mfg.solve(game, response, mfg.Newton(atol=1e-13), guess=guess)
    return eq.mean_field[-1, 2] + 0.3 * eq.mean_field[-1, 3] + 0.2 * eq.mean_field[2, 1]


value_and_gradient = jax.jit(jax.value_and_grad(example_score))


def example_params(beta):
    game, rho = example()
    with np.errstate(divide="ignore"):
        logs = np.log(rho)
    return {
        "beta": np.float64(beta),
        "log_reference": logs,
        "weight": np.asarray(game.reward.L.weight),
        "discount": np.float64(1.0),
    }


@pytest.mark.parametrize("beta", [0.5, 3.0, 30.0])
def test_gradients_on_the_example_hold_where_iterating_diverges(beta, rng):
    """Critical is β = 1.43; an expansion in powers of DΓ would diverge at 3 and 30."""
    params, guess = example_params(beta), flow_by_hand(beta)
    _, gradient = value_and_gradient(params, guess)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient))
    absent = params["log_reference"] == -np.inf
    assert (np.asarray(gradient["log_reference"])[absent] == 0).all()
    directions = {
        "beta": params["beta"],
        "log_reference": np.where(absent, 0, rng.standard_normal(absent.shape)),
        "weight": params["weight"] * rng.standard_normal(params["weight"].shape),
        "discount": 1.0,
    }
    for name, direction in directions.items():

        def moved(h, name=name, direction=direction):
            return float(value_and_gradient(params | {name: params[name] + h * direction}, guess)[0])

        # the scale on which the policy changes shrinks with β, and with it the step
        expected = extrapolated_difference(moved, 1e-2 / max(1, beta / 3))
        assert_close(inner(gradient[name], direction), expected, rtol=RTOL, atol=1e-9)


def test_an_eager_gradient_through_the_default_solver_is_the_same():
    params, guess = example_params(3.0), flow_by_hand(3.0)
    _, expected = value_and_gradient(params, guess)

    def by_default(beta):
        eq = mfg.solve(example()[0], mfg.EntropyRegularized(beta, example()[1]))
        return eq.mean_field[-1, 2] + 0.3 * eq.mean_field[-1, 3] + 0.2 * eq.mean_field[2, 1]

    # the default solver stops at a residual of 1e-10
    assert_close(jax.grad(by_default)(3.0), expected["beta"], rtol=1e-7)


def test_a_reference_and_its_logs_have_matching_gradients(rng):
    """∂/∂log ρ = ρ ∂/∂ρ, as the rows are normalised in both cases; 0 where ρ is 0."""
    rho, weights = random_policy(rng, MASK[0]), rng.standard_normal((S, A))

    def number(response):
        return (weights * jnp.exp(response.log_reference[0])).sum()

    by_rho = jax.grad(lambda r: number(mfg.EntropyRegularized(1.0, r)))(rho)
    with np.errstate(divide="ignore"):
        logs = np.log(rho)
    by_logs = jax.grad(lambda x: number(mfg.EntropyRegularized(1.0, log_reference=x)))(logs)
    assert_close(by_logs, rho * by_rho, atol=1e-15)
    assert (np.asarray(by_rho)[~MASK[0]] == 0).all()


# --- closed forms: two places, x = 1/(1 + exp(−β(s(2x − 1) + h))) -----------------------------------------


def place_share(p):
    """Share x at place 1 and its gradient in (β, field, strength): dx = x(1−x) du / (1 − 2βs x(1−x))."""
    beta, field, strength = p
    x = 0.5
    for _ in range(500):  # a contraction with factor βs/2 < 1
        x = 1 / (1 + np.exp(-beta * (strength * (2 * x - 1) + field)))
    slope = x * (1 - x)
    du = np.array([strength * (2 * x - 1) + field, beta, beta * (2 * x - 1)])
    return x, slope * du / (1 - 2 * beta * strength * slope)


COORDINATION = np.array([1.0, 0.3, 0.8])


def coordination_share(p):
    game = mfg.games.coordination()
    game = eqx.tree_at(lambda g: (g.reward.L.field, g.reward.L.strength), game, (p[1], p[2]))
    return mfg.solve(game, mfg.EntropyRegularized(p[0]), mfg.Picard(atol=1e-14)).mean_field[1, 1]


def test_gradients_equal_the_closed_form_eagerly_through_jit_and_under_vmap():
    _, expected = place_share(COORDINATION)
    p = jnp.asarray(COORDINATION)
    # x is known to 1e-14
    assert_close(jax.grad(coordination_share)(p), expected, rtol=1e-12)
    assert_close(jax.grad(jax.jit(coordination_share))(p), expected, rtol=1e-12)
    several = jax.jit(jax.vmap(jax.grad(coordination_share)))(jnp.stack([p, 0.5 * p]))
    assert_close(several, [expected, place_share(0.5 * COORDINATION)[1]], rtol=1e-12)


def test_gradients_of_gradients_equal_differences_of_the_closed_gradient():
    direction = np.array([0.7, -0.4, 0.5])
    expected = extrapolated_difference(lambda h: place_share(COORDINATION + h * direction)[1], 1e-2)
    curvature = jax.jit(jax.grad(lambda p: jax.grad(coordination_share)(p) @ direction))(COORDINATION)
    # the closed gradient is exact to 1e-15, its differences to 1e-12
    assert_close(curvature, expected, rtol=1e-9)


# --- where there is no derivative -----------------------------------------------------------------------


def test_where_a_solve_failed_the_gradient_is_nan_and_other_lanes_are_spared():
    game, rho = example()

    def share(beta, weight):
        changed = eqx.tree_at(lambda g: g.reward.L.weight, game, weight)
        eq = mfg.solve(changed, mfg.EntropyRegularized(beta, rho), mfg.Picard(), throw=False)
        return eq.mean_field[-1, 2], eq.converged

    betas, weight = jnp.array([0.3, 3.0, 1.0]), jnp.asarray(game.reward.L.weight)

    @jax.jit
    def gradients(betas, weight):
        lanes = jax.vmap(share, in_axes=(0, None))
        shares, pull, found = jax.vjp(lanes, betas, weight, has_aux=True)
        return found, pull(jnp.ones_like(shares)), pull(found.astype(shares.dtype))

    found, (plain, plain_weight), (masked, masked_weight) = gradients(betas, weight)
    assert found.tolist() == [True, False, True]
    assert np.isnan(plain).tolist() == [False, True, False]
    assert np.isnan(plain_weight).any()  # a sum over all lanes
    assert np.isfinite(masked).all()
    assert np.isfinite(masked_weight).all()
    assert masked[1] == 0
    for i in (0, 2):
        params = example_params(float(betas[i]))
        plus, minus = (
            value_of_share(params | {"beta": params["beta"] + h}, flow_by_hand(float(betas[i]))) for h in (1e-4, -1e-4)
        )
        # plain differences, good to h² = 1e-8, of points known to 1e-10
        assert_close(masked[i], (plus - minus) / 2e-4, atol=1e-6)


class Unused(eqx.Module):
    """An interaction beside a number that plays no part in it."""

    L: eqx.Module
    number: jax.Array

    def __call__(self, t, mu):
        return self.L(t, mu)


@pytest.mark.parametrize("lanes", [(), (2,)])
def test_a_parameter_of_the_method_alone_has_derivative_zero(lanes):
    """The equilibrium does not depend on the damping, nor on a number that the reward does not use."""
    game, rho = example()

    def share(x):
        changed = eqx.tree_at(lambda g: g.reward.L, game, Unused(game.reward.L, x[0]))
        response, solver = mfg.EntropyRegularized(0.5, rho), mfg.Picard(damping=x[1])
        if not lanes:
            return mfg.solve(changed, response, solver).mean_field[-1, 2]
        return mfg.solve_batch(changed, response, solver, axes={"beta": np.full(lanes, 0.5)}).mean_field[-1, 2].sum()

    assert np.asarray(jax.grad(share)(jnp.array([3.0, 0.9]))).tolist() == [0, 0]


def value_of_share(params, guess):
    """Share at node 3 by loops."""
    plain, rho = resource_allocation_by_hand()
    beta = float(params["beta"])
    return oracle.equilibrium(plain, oracle.soft(beta, rho), damping=1 / (1 + beta))[-1, 2]


def test_an_eager_gradient_of_an_unsettled_solve_is_nan():
    game, rho = example()

    def share(beta):
        response = mfg.EntropyRegularized(beta, rho)
        return mfg.solve(game, response, mfg.Picard(), max_steps=1, throw=False).mean_field[-1, 2]

    assert np.isnan(jax.grad(share)(0.5))
    with pytest.raises(mfg.ConvergenceError, match="did not converge within `max_steps`"):
        jax.grad(lambda beta: mfg.solve(game, mfg.EntropyRegularized(beta, rho), mfg.Picard(), max_steps=1).residual)(
            0.5
        )


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_greedy_equilibria_have_no_derivative_and_say_so(transform):
    game = mfg.games.coordination(field=0.3)

    def share(field):
        changed = eqx.tree_at(lambda g: g.reward.L.field, game, field)
        return mfg.solve(changed, mfg.Greedy(), mfg.Picard()).mean_field[1, 1]

    with pytest.raises(ValueError, match=r"`Greedy` response has no derivative.*EntropyRegularized"):
        transform(jax.grad(share))(0.3)


# --- large games ----------------------------------------------------------------------------------------


def test_gradients_of_games_beyond_the_dense_limit_equal_differences():
    """40 places and 21 times: 840 unknowns, eliminated time by time."""
    game = mfg.games.ring_crowd(40, 20)
    assert (game.horizon + 1) * game.num_states > DENSE_LIMIT
    places = np.cos(np.arange(40))

    def order(p):
        weight = -p[1] * jnp.ones_like(game.reward.L.weight)
        changed = eqx.tree_at(lambda g: g.reward.L.weight, game, weight)
        eq = mfg.solve(changed, mfg.EntropyRegularized(p[0]), mfg.Picard(0.5, atol=1e-13))
        return (eq.mean_field @ places).sum()

    p = np.array([1.0, 2.0])
    both = jax.jit(jax.value_and_grad(order))
    _, gradient = both(p)
    for i, e in enumerate(np.eye(2)):
        expected = extrapolated_difference(lambda h, e=e: float(both(p + h * e)[0]), 2e-2)
        assert_close(gradient[i], expected, rtol=RTOL)
