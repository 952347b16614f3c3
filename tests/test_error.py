"""How far from an equilibrium a result is: estimates that cover the distance, and codes where they are large."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import assert_close, random_game, random_policy
from scipy.optimize import brentq

import mfgjax as mfg
from mfgjax.engine import finish
from mfgjax.engine.loop import Outcome
from mfgjax.solvers.base import Candidate

SOFT = mfg.EntropyRegularized(1.0)
SOLVED = [(SOFT, np.float32), (mfg.Trembling(0.1), np.float64)]


def seldom_left(rate, dtype, initial):
    """Two places left at `rate` and twice that, whatever one does: 2/3 are at the first, however small the rate."""
    chain = np.array([[1 - rate, rate], [2 * rate, 1 - 2 * rate]])
    moves = np.stack([chain, chain], axis=1).astype(dtype)
    return mfg.StationaryGame(moves, np.eye(2, dtype=dtype), dtype(0.9), initial=np.array(initial, dtype))


@pytest.mark.parametrize("initial", [[1.0, 0.0], [0.5, 0.5]])
@pytest.mark.parametrize(("response", "dtype"), SOLVED, ids=["soft", "trembling"])
def test_a_population_that_hardly_moves_is_not_taken_for_one_at_rest(dtype, response, initial):
    smallest = np.finfo(dtype).eps
    for rate in (1e-3, 1e-6, 1e-9, 1e-12):
        found = mfg.solve(seldom_left(rate, dtype, initial), response, throw=False)
        off = np.abs(np.asarray(found.mean_field, np.float64) - [2 / 3, 1 / 3]).max()
        assert off <= found.error_estimate  # of order 1 where rates drown in rounding
        assert bool(found.converged) <= (found.error_estimate <= np.sqrt(found.tolerance))
        if rate > 1e4 * smallest:
            assert found.converged
        if rate < smallest:
            assert found.result.name == "ill_conditioned"


def test_what_seemed_far_by_its_last_steps_is_found_by_one_of_newtons():
    """Moves of order 1e-6 that depend on the population: solvers creep, and the equation tells where they go."""
    P = np.array(
        [
            [[1 - 7.032537293737545e-07, 7.032537293737545e-07], [1 - 1.3886812150138476e-06, 1.3886812150138476e-06]],
            [[3.720204731549112e-07, 1 - 3.720204731549112e-07], [1.4994321527914354e-07, 1 - 1.4994321527914354e-07]],
        ]
    )
    e = 1.450279125022952e-06
    Q = np.array([[[1 - e, e], [1, 0]], [[0, 1], [e, 1 - e]]])
    base = np.array([[1.9082780083377533, -1.5554024805966253], [-0.5541980168357179, -1.1286435571249804]])
    wave = np.array([[-0.7530322566455179, 0.11130252950506324], [0.3696466783831836, 0.45588935673679676]])
    k, p, beta, discount = 0.7343742732689791, 2.503971938400072, 0.771684776886469, 0.9

    def gained(share):
        moves, pays = (1 - share) * P + share * Q, base + wave * np.sin(k * share + p)
        values = np.zeros(2)
        for _ in range(400):
            q = pays + discount * moves @ values
            values = np.log(np.exp(beta * q).mean(axis=1)) / beta
        policy = np.exp(beta * q)
        policy = policy / policy.sum(axis=1, keepdims=True)
        chain = np.einsum("sa,sax->sx", policy, moves)
        return (1 - share) * chain[0, 1] - share * chain[1, 0]

    share = brentq(gained, 0.01, 0.99, xtol=1e-15)
    game = mfg.StationaryGame(
        lambda z: (1 - z[1]) * P + z[1] * Q,
        lambda z: base + wave * jnp.sin(k * z[1] + p),
        discount,
        initial=[0.5, 0.5],
        available=np.ones((2, 2), bool),
    )
    for guess in (None, [0.7, 0.3], [0.05, 0.95]):
        found = mfg.solve(game, mfg.EntropyRegularized(beta), guess=guess)
        assert abs(float(found.mean_field[1]) - share) <= found.error_estimate < 1e-5


def test_lanes_are_told_so_too():
    game = seldom_left(1e-6, np.float32, [1.0, 0.0])
    betas, solver = np.array([1.0, 2.0, 3.0]), mfg.Picard()
    found = mfg.solve_batch(game, mfg.EntropyRegularized(1.0), solver, axes={"beta": betas})
    alone = [mfg.solve(game, mfg.EntropyRegularized(beta), solver, throw=False) for beta in betas]
    assert list(found.result.code) == [one.result.code for one in alone]
    assert (np.abs(found.mean_field[0] - 2 / 3) <= found.error_estimate).all() and (found.error_estimate > 3e-3).all()


def test_many_stationary_laws_are_no_ill_condition():
    """Nobody ever changes place: every law is at rest, and the first one stays."""
    for response, dtype in SOLVED:
        game = seldom_left(0.0, dtype, [0.75, 0.25])
        assert_close(mfg.solve(game, response).mean_field, [0.75, 0.25], atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_error_of_a_finite_horizon_is_covered_by_its_estimate(seed):
    rng = np.random.default_rng(seed)
    game, plain = random_game("crowd kernel", rng)
    rho = random_policy(rng, plain.available)
    for beta in (0.1, 1.0):
        found = mfg.solve(game, mfg.EntropyRegularized(beta, rho))
        flow = oracle.equilibrium(plain, oracle.soft(beta, rho))
        off = oracle.flow_distance(found.mean_field, flow)
        assert off <= found.error_estimate + 1e-12 and found.error_estimate <= 1e-8


@pytest.mark.parametrize("seed", range(4))
def test_an_estimate_counts_what_rounding_of_the_action_values_does_to_the_policy(seed):
    """An error of δ in Q moves a soft policy by up to β δ, however small the residual is."""
    rng = np.random.default_rng(seed)
    game, plain = random_game("crowd kernel", rng)
    beta, spacing = 3e4, np.finfo(float).eps
    found = mfg.solve(game, mfg.EntropyRegularized(beta, random_policy(rng, plain.available)), throw=False)
    exists = np.broadcast_to(plain.available, found.q.shape)
    span = max(np.ptp(q[mask]) for q, mask in zip(np.asarray(found.q), exists, strict=True))
    assert found.error_estimate >= beta * 8 * spacing * span * (1 - 1e-9)


def coordinated(field, beta):
    """Return the lowest root x of x = 1/(1 + exp(−β(2x − 1 + field))), and dx/d field."""
    x = 0.0
    for _ in range(200):  # Newton's method, from below where the right hand side is convex
        image = 1 / (1 + np.exp(-beta * (2 * x - 1 + field)))
        x = x + (image - x) / (1 - 2 * beta * image * (1 - image))
    slope = beta * x * (1 - x)
    return x, slope / (1 - 2 * slope)


@pytest.mark.parametrize("field", [0.1, 0.26, 0.2664])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_near_a_fold_derivatives_are_right_or_none(field, dtype):
    """Below a field of .26642 there are three equilibria at β = 4; the lowest meets the middle one there."""

    def share(field):
        game = mfg.games.coordination(field)
        low = jnp.array([[0.5, 0.5], [0.95, 0.05]], dtype)
        found = mfg.solve(game, mfg.EntropyRegularized(4.0), guess=low, throw=False)
        return found.mean_field[1, 1], found

    with jax.enable_x64(dtype == np.float64):
        derivative, found = jax.grad(share, has_aux=True)(jnp.asarray(field, dtype))
    x, right = coordinated(field, 4.0)
    if found.mean_field[1, 1] < 0.5:
        assert abs(found.mean_field[1, 1] - x) <= found.error_estimate + 1e-12
        assert not np.isfinite(derivative) or abs(derivative / right - 1) < 0.03


def test_derivatives_in_single_precision_are_right_or_nan():
    """The paper's example: in the direction of log β, against double precision, which others check."""
    betas = [10.0, 30.0, 300.0, 1000.0]

    def gradients(dtype):
        game = mfg.games.resource_allocation()
        game = jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, game)
        weights = np.random.default_rng(0).standard_normal(game.mean_field_shape)
        reference = mfg.games.resource_allocation_reference(game)

        def moved(log_beta):
            found = mfg.solve(game, mfg.EntropyRegularized(jnp.exp(log_beta), reference), throw=False)
            return (found.mean_field * weights).sum()

        return [jax.grad(moved)(jnp.asarray(np.log(beta), dtype)) for beta in betas]

    right, single = (np.array(gradients(dtype)) for dtype in (np.float64, np.float32))
    assert np.isfinite(single[:2]).all() and np.isnan(single[2:]).all() and np.isfinite(right).all()
    assert_close(single[:2], right[:2], rtol=5e-3)


def test_what_was_tried_is_named_and_not_advised():
    """Too few steps for a game that needs all methods."""
    rng = np.random.default_rng(1)
    crowd = 3 * rng.standard_normal((20, 5, 20))
    game = mfg.FiniteHorizonGame(
        rng.dirichlet(np.full(20, 0.05), size=(20, 5)), lambda t, m: crowd @ m, rng.dirichlet(np.ones(20)), 20
    )
    with pytest.raises(mfg.ConvergenceError, match="Tried in turn: Anderson, Newton, Picard") as caught:
        mfg.solve(game, mfg.EntropyRegularized(1e3), max_steps=250)
    assert "Auto" not in str(caught.value) and int(caught.value.equilibrium.result.num_methods) > 1
    with pytest.raises(mfg.ConvergenceError, match="Auto"):
        mfg.solve(game, mfg.EntropyRegularized(1e3), mfg.Picard(), max_steps=5)


def pulled(field, dtype=np.float64):
    """Two places, where one goes at once; near β = 2 the equation for the share in the first has a triple root."""
    moves = np.zeros((2, 2, 2), dtype)
    moves[:, 0, 0] = moves[:, 1, 1] = 1
    return mfg.FiniteHorizonGame(
        moves, lambda t, m: (m + jnp.asarray([field, 0.0], m.dtype))[:, None], np.array([0.5, 0.5], dtype), 1
    )


@pytest.mark.parametrize("solver", [mfg.Auto(), mfg.Picard()])
@pytest.mark.parametrize(("field", "dtype"), [(1e-11, np.float64), (1e-12, np.float64), (1e-5, np.float32)])
def test_a_first_look_that_meets_the_tolerance_far_from_the_equilibrium_is_ill_conditioned(solver, field, dtype):
    share = brentq(lambda p: 1 / (1 + np.exp(-2 * (2 * p - 1 + field))) - p, 0.5 + 1e-6, 1, xtol=1e-15)
    found = mfg.solve(pulled(field, dtype), mfg.EntropyRegularized(2.0), solver, throw=False)
    off = abs(float(found.mean_field[1, 0]) - share)
    assert found.result == mfg.RESULTS.ill_conditioned and off > 5e-5 and found.error_estimate >= off


@pytest.mark.parametrize("compiled", [False, True])
def test_a_guess_that_meets_the_tolerance_is_measured(compiled):
    def found(guess, beta):
        eq = mfg.solve(mfg.games.coordination(), mfg.EntropyRegularized(beta), mfg.Newton(), guess=guess, throw=False)
        return eq.error_estimate, eq.result.code

    solve = jax.jit(found) if compiled else found
    for off in (3e-4, 1e-5):
        estimate, code = solve(np.array([[0.5, 0.5], [0.5 + off, 0.5 - off]]), 2.0)
        assert code == mfg.RESULTS.ill_conditioned and off <= estimate <= 10 * off
    estimate, code = solve(np.full((2, 2), 0.5), 1.0)
    assert code == mfg.RESULTS.converged and estimate < 1e-14


def past_a_fold(gap=3e-11, horizon=1):
    """One choice, Γ(m) = clip(m + ((m − .3)² + gap)/2, .001, .999) > m below .999: the one equilibrium is .999."""

    def pay(m):
        image = jnp.clip(m + ((m - 0.3) ** 2 + gap) / 2, 1e-3, 1 - 1e-3)
        return jnp.stack([0 * m, jnp.log(image) - jnp.log1p(-image)])

    kernel = mfg.MovesKernel([[0, 1], [0, 1]])
    if horizon:
        return mfg.FiniteHorizonGame(kernel, lambda t, z: jnp.where(t == 1, pay(z[1]), 0.0)[:, None], [1, 0], horizon)
    return mfg.StationaryGame(kernel, lambda z: jnp.broadcast_to(pay(z[1]), (2, 2)), 0.5)


@pytest.mark.parametrize("horizon", [0, 1])
@pytest.mark.parametrize("guess", [None, 0.29, 0.2999])
def test_a_small_residual_past_a_fold_is_no_equilibrium(horizon, guess):
    """Near .3 the residual is 1.5e-11, below the tolerance, and nothing is there."""
    law = None if guess is None else [1 - guess, guess]
    start = [[1, 0], law] if horizon and law else law
    found = mfg.solve(past_a_fold(horizon=horizon), SOFT, guess=start, throw=False)
    off = abs(float(found.mean_field[..., 1].ravel()[-1]) - 0.999)
    assert off <= found.error_estimate or found.result == mfg.RESULTS.ill_conditioned
    assert off < 1e-8 or guess is not None


def test_sweeps_pass_by_where_there_is_no_equilibrium():
    gaps = np.array([1e-12, 3e-11, 1e-9, 1e-3])
    found = mfg.sweep(past_a_fold, SOFT, gap=gaps, progress=False)
    assert_close(found.mean_field[:, 1, 1], np.full(4, 0.999), atol=1e-8)
    assert (found.result_code == 0).all() and (found.error_estimate < 1e-8).all()


def test_a_sweep_measures_what_meets_the_tolerance_at_a_first_look_as_solve_does():
    game, share = mfg.games.coordination(1e-10), 0.5003347
    table = mfg.sweep(game, solver=mfg.Picard(), beta=[1.0, 2.0], progress=False)
    assert list(table.result_code) == [mfg.RESULTS.converged, mfg.RESULTS.ill_conditioned]
    # 2x − 1 = tanh(β/2 (2x − 1 + field)): at β = 1 half of the field, at β = 2 the cube root of three times the field
    off = np.abs(table.mean_field[:, 1, 1] - [0.5 + 0.5e-10, share])
    assert off[1] > 1e-4 and (off <= table.error_estimate).all()


@pytest.mark.parametrize("response", [SOFT, mfg.Trembling(0.1)], ids=["soft", "trembling"])
def test_what_a_method_calls_an_equilibrium_is_judged_anew(response):
    """A method that claims to have converged at a law that is no equilibrium, with residual 0, is not believed."""
    game = seldom_left(0.1, np.float64, [0.5, 0.5])
    law, nothing, one = jnp.array([[0.5, 0.5]]), jnp.zeros(()), jnp.ones((), jnp.int32)
    claim = Outcome(Candidate(law, None), nothing, 0 * one, 0 * one, one, jnp.zeros(1))
    found = finish(game, response, claim, np.asarray(1e-10))
    # (1/2, 1/2) moves to (1/2 − .05 + .1, ...): a twentieth of all
    assert_close(found.residual, 0.05, atol=1e-12)
    assert found.result.name == ("precision" if response is SOFT else "tied")
