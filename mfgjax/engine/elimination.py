"""Linear systems with I − DΓ(μ) at an equilibrium, solved directly by elimination in time."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._linear import DENSE_LIMIT, SMALL, solve_in_lanes, solve_iteratively, solve_linear
from .._typing import Array, Scalar
from ..model import AnyGame
from ..responses import AbstractResponse

_DIRECT = 64
"""States up to which elimination is tried first, and nothing else; beyond, GMRES where it converges soon."""

_MOST_STORED = 2**25
"""Entries up to which the H + 1 matrices of a kind are stored."""

_FEW = 3
"""Restarts of GMRES before elimination."""

Solver = Callable[[Callable[[Array], Array], Array, bool], tuple[Array, Array]]


def linear_solver(game: AnyGame, response: AbstractResponse, mean_field: Array) -> Solver:
    """Return a solver of linear systems with I − DΓ(μ), or its transpose, at a fixed point μ.

    Args:
      game: the game, or many.
      response: a smooth one.
      mean_field: a fixed point of each.

    Returns:
      From `(matvec, b, transposed)` to the solution and whether it solves the system, lane by lane.
    """
    axes = tuple(range(1 + game.num_seen_axes))
    eps = float(jnp.finfo(mean_field.dtype).eps)

    def direct(matvec: Callable, b: Array, transposed: bool) -> Array:
        inverse = eliminate(game, response, mean_field)
        once = (lambda b: jax.linear_transpose(inverse, b)(b)[0]) if transposed else inverse
        x = once(b)
        # M_t may be far worse conditioned than the whole
        return x + once(b - matvec(x))

    def off(matvec: Callable, x: Array, b: Array) -> Array:
        return jnp.abs(b - matvec(x)).max(axis=axes) / jnp.maximum(jnp.abs(b).max(axis=axes), jnp.finfo(b.dtype).tiny)

    def iterative(matvec: Callable, b: Array, most: Callable) -> Array:
        flat = most(lambda v: matvec(v.reshape(b.shape)).reshape(-1), b.reshape(-1))
        return flat.reshape(b.shape)

    def solve(matvec: Callable[[Array], Array], b: Array, transposed: bool) -> tuple[Array, Array]:
        if can_eliminate(game) and (game.lanes or game.num_states <= _DIRECT):
            x = direct(matvec, b, transposed)
        elif not can_eliminate(game) or b.size <= DENSE_LIMIT:
            x = iterative(matvec, b, solve_linear)
        else:
            first = iterative(matvec, b, lambda matvec, b: solve_iteratively(matvec, b, _FEW))
            x = jax.lax.cond(
                off(matvec, first, b) <= 1e3 * eps**0.75,
                lambda: first,
                lambda: direct(matvec, b, transposed),
            )
        return x, off(matvec, x, b) <= eps**0.4

    return solve


def can_eliminate(game: AnyGame) -> bool:
    """Tell whether the game has the form that `eliminate` needs, and its matrices fit in memory."""
    return game.times != () and game.observes == "states" and (game.horizon + 1) * game.num_states**2 <= _MOST_STORED


def eliminate(game: AnyGame, response: AbstractResponse, mean_field: Array) -> Callable[[Array], Array]:
    """Factorise I − DΓ(μ) at a fixed point μ of a game that observes states; returns b ↦ (I − DΓ(μ))⁻¹ b.

    A change of μ moves the values V_t backward in time and the law of states ν_t forward,

        dV_t     = B_t dV_{t+1} + C_t dμ_t
        dν_{t+1} = E_t dν_t + F_t dV_{t+1} + G_t dμ_t,    dν_0 = 0,  dV_{H+1} = 0

    with matrices S × S from the one step of time t. With dμ = dν + b, the values are an affine function of the law,
    dV_t = P_t dν_t + p_t, backward from P_{H+1} = 0, as in linear-quadratic control:

        M_t = I − F_t P_{t+1},     dν_{t+1} = M_t⁻¹ ((E_t + G_t) dν_t + G_t b_t + F_t p_{t+1})

    That costs H S³ operations, where factorising the whole matrix costs (H S)³.

    Args:
      game: the game, or many: arrays then have a last axis of lanes.
      response: a smooth one.
      mean_field: a fixed point, `[T, S, *lanes]`.

    Returns:
      A linear function of arrays like `mean_field`, which JAX can transpose. Where some M_t is singular it is not
      finite.

    Source: block elimination of the linearised forward-backward system; the recursion is Riccati's.
    """
    S, H, lanes = game.num_states, game.horizon, game.lanes
    values = game.best_response(mean_field, response).values
    later = jnp.concatenate([values[1:], jnp.zeros_like(values[:1])])
    eye = jnp.eye(S, dtype=game.dtype)
    basis = jnp.broadcast_to(eye.reshape(S, S, *(1,) * len(lanes)), (S, S, *lanes))

    def one_step(t: Scalar, law: Array, later: Array, seen: Array) -> tuple[Array, Array]:
        """Return V_t and ν_{t+1} in a population that is seen as `seen` and is `law`."""
        move = jnp.minimum(t, H - 1)
        q = game.reward_at(t, seen) + game.discount * game.kernel_at(move, seen).expect(later)
        backup = response.backup(t, q, game.available_at(t))
        return backup.values, game.kernel_at(move, law).push(law[:, None] * backup.policy)

    def columns(function: Callable, at: Array) -> tuple[Array, Array]:
        return jax.vmap(lambda e: jax.jvp(function, (at,), (e,))[1], out_axes=1)(basis)

    def factorise(P: Array, xs: tuple[Array, Array, Array]) -> tuple[Array, tuple[Array, ...]]:
        t, law, later = xs
        _, E = columns(lambda x: one_step(t, x, later, law), law)
        B, F = columns(lambda x: one_step(t, law, x, law), later)
        C, G = columns(lambda x: one_step(t, law, later, x), law)
        M = eye.reshape(S, S, *(1,) * len(lanes)) - _product(F, P)
        X, Y, Z = jnp.split(solve_in_lanes(M, jnp.concatenate([E + G, G, F], axis=1)), 3, axis=1)
        U = _product(B, P)
        UX, UY, UZ = jnp.split(_product(U, jnp.concatenate([X, Y, Z], axis=1)), 3, axis=1)
        return UX + C, (X, Y, Z, UY + C, UZ + B)

    nothing = jnp.zeros((S, S, *lanes), game.dtype)
    times = jnp.arange(H + 1, dtype=jnp.int32)
    _, (X, Y, Z, W_b, W_p) = jax.lax.scan(factorise, nothing, (times, mean_field, later), reverse=True)

    def solve(b: Array) -> Array:
        def back(p: Array, xs: tuple[Array, Array, Array]) -> tuple[Array, Array]:
            W_b, W_p, b = xs
            return _times(W_b, b) + _times(W_p, p), p

        _, p = jax.lax.scan(back, jnp.zeros_like(b[0]), (W_b, W_p, b), reverse=True)

        def on(law: Array, xs: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array]:
            X, Y, Z, b, p = xs
            return _times(X, law) + _times(Y, b) + _times(Z, p), law

        return b + jax.lax.scan(on, jnp.zeros_like(b[0]), (X, Y, Z, b, p))[1]

    return solve


def _product(first: Array, second: Array) -> Array:
    """Return the product of matrices `[S, K, *lanes]` and `[K, N, *lanes]`."""
    if first.ndim == 2:
        return jnp.matmul(first, second, precision=jax.lax.Precision.HIGHEST)
    if first.shape[1] <= SMALL:  # sums over a short axis, lane by lane in one loop
        terms = (first[:, k, None] * second[None, k] for k in range(first.shape[1]))
        return functools.reduce(jnp.add, terms)
    return jnp.einsum("ik...,kn...->in...", first, second, precision=jax.lax.Precision.HIGHEST)


def _times(matrix: Array, vector: Array) -> Array:
    return _product(matrix, vector[:, None])[:, 0]
