"""Linear systems with I − DΓ(μ): elimination in time equals the dense matrix, GMRES ends, and both yield gradients."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import GAMES, S, T, assert_close, random_game, random_policy

import mfgjax as mfg
from mfgjax import _linear
from mfgjax.engine import elimination
from mfgjax.engine.elimination import inverse_at, linear_solver
from mfgjax.model import LaneGame, mean_field_map

KINDS = [kind for kind in GAMES if kind != "joint law"]


@eqx.filter_jit
def eliminated(game, response, flow, b):
    """Solution, that of the transposed system, and the dense matrix, all at a fixed point."""
    inverse = inverse_at(game, response, flow)
    matrix = jnp.eye(flow.size) - jax.jacfwd(mean_field_map(game, response))(flow).reshape(flow.size, flow.size)
    return inverse(b), jax.linear_transpose(inverse, b)(b)[0], matrix


@eqx.filter_jit
def settled(game, response):
    return mfg.solve(game, response, mfg.Newton(atol=1e-13), throw=False)


@pytest.mark.parametrize("kind", KINDS)
def test_elimination_solves_the_dense_system_and_its_transpose_on_masked_games(kind, rng):
    """At random policies, with the references that make them equilibria."""
    for beta in (0.3, 3.0, 30.0):
        game, plain = random_game(kind, rng)
        found = mfg.design.inverse_reference(game, random_policy(rng, plain.available), beta)
        response = mfg.EntropyRegularized(beta, log_reference=found.log_reference)
        b = rng.standard_normal((T, S))
        x, y, matrix = eliminated(game, response, found.mean_field, b)
        size = np.linalg.cond(matrix)
        assert_close(x.reshape(-1), np.linalg.solve(matrix, b.reshape(-1)), atol=1e-13 * size * T, rtol=1e-9)
        assert_close(y.reshape(-1), np.linalg.solve(matrix.T, b.reshape(-1)), atol=1e-13 * size * T, rtol=1e-9)


def test_lanes_are_eliminated_together_each_with_its_own_system(rng):
    game, _ = random_game("dense over time", rng)
    betas = jnp.array([0.5, 2.0, 20.0])
    flows = jnp.stack([settled(game, mfg.EntropyRegularized(beta)).mean_field for beta in betas], axis=-1)
    many = LaneGame(game, (False,) * len(jax.tree.leaves(game)), 3)
    response = eqx.tree_at(lambda r: r.beta, mfg.EntropyRegularized(1.0), betas)
    b = rng.standard_normal((T, S, 3))
    x = eqx.filter_jit(lambda flows, b: inverse_at(many, response, flows)(b))(flows, b)
    for i, beta in enumerate(betas):
        own = eliminated(game, mfg.EntropyRegularized(beta), flows[..., i], b[..., i])[0]
        assert_close(x[..., i], own, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("size", [3, _linear.SMALL, _linear.SMALL + 1])
def test_matrices_with_lanes_are_solved_with_pivots(size, rng):
    """Also with zeros on the diagonal, where elimination without pivots fails."""
    matrix, right = rng.standard_normal((size, size, 4)), rng.standard_normal((size, 5, 4))
    matrix[np.arange(size), np.arange(size)] = 0
    found = _linear.solve_in_lanes(jnp.asarray(matrix), jnp.asarray(right))
    for lane in range(4):
        expected = np.linalg.solve(matrix[..., lane], right[..., lane])
        assert_close(found[..., lane], expected, rtol=1e-9, atol=1e-10)


def test_what_solves_no_system_is_said_to(rng):
    game, _ = random_game("dense", rng)
    response = mfg.EntropyRegularized(1.0)
    flow = settled(game, response).mean_field
    solve = linear_solver(game, response, flow)
    b = jnp.asarray(rng.standard_normal((T, S)))
    _, right = solve(lambda v: v - jax.jvp(mean_field_map(game, response), (flow,), (v,))[1], b, False)
    _, wrong = solve(lambda v: 2 * v, b, False)  # another matrix than the game's
    assert bool(right)
    assert not bool(wrong)


@functools.cache
def large():
    return mfg.games.ring_crowd(70, 12)


def squares(weight, beta):
    game = eqx.tree_at(lambda g: g.reward.L.weight, large(), weight * large().reward.L.weight)
    return (mfg.solve(game, mfg.EntropyRegularized(beta), mfg.Picard(0.2, atol=1e-13)).mean_field ** 2).sum()


@pytest.mark.parametrize("restarts", [elimination._FEW, 0], ids=["GMRES", "elimination where GMRES fails"])
def test_gradients_of_large_games_equal_differences(restarts, monkeypatch):
    monkeypatch.setattr(elimination, "_FEW", restarts)
    assert large().num_states > elimination._DIRECT
    slope = jax.jit(jax.grad(squares))(1.0, 3.0)
    values = [float(squares(1.0 + h, 3.0)) for h in (1e-3, -1e-3, 2e-3, -2e-3)]
    expected = (8 * (values[0] - values[1]) - (values[2] - values[3])) / 12e-3
    assert abs(expected) > 1e-4
    assert_close(slope, expected, rtol=1e-7)  # differences of fourth order in 1e-3, of values exact to 1e-13
