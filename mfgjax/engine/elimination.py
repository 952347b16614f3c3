"""Linear systems with I − DΓ(μ) at an equilibrium, solved directly by elimination in time."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._linear import DENSE_LIMIT, solve_iteratively, solve_linear
from .._typing import Array
from ..model import AnyGame
from ..responses import AbstractResponse
from ..solvers.shooting import can_eliminate, eliminate, stepped

_DIRECT = 64
"""States up to which elimination is tried first, and nothing else; beyond, GMRES where it converges soon."""

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
        inverse = inverse_at(game, response, mean_field)
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
            limit = min(DENSE_LIMIT, game.matrix_limit)
            x = iterative(matvec, b, lambda matvec, b: solve_linear(matvec, b, limit))
        else:
            first = iterative(matvec, b, lambda matvec, b: solve_iteratively(matvec, b, _FEW))
            x = jax.lax.cond(
                off(matvec, first, b) <= 1e3 * eps**0.75,
                lambda: first,
                lambda: direct(matvec, b, transposed),
            )
        return x, off(matvec, x, b) <= eps**0.4

    return solve


def inverse_at(game: AnyGame, response: AbstractResponse, mean_field: Array) -> Callable[[Array], Array]:
    """Factorise I − DΓ(μ) at a fixed point μ of a game that observes states; return b ↦ (I − DΓ(μ))⁻¹ b.

    With dμ = DΓ(μ) dμ + b, the law that the policy generates changes by dμ − b. In the equation of single steps, which
    is eliminated in time, b so counts as r_{t+1} = b_{t+1} − Ê_t b_t, with Ê_t the derivative of one step under the
    policy at μ.

    Args:
      game: the game, or many: arrays then have a last axis of lanes.
      response: a smooth one.
      mean_field: a fixed point, `[T, S, *lanes]`.

    Returns:
      A linear function of arrays like `mean_field`, which JAX can transpose. Where the matrix is singular it is not
      finite.
    """
    best = game.best_response(mean_field, response)
    factors = eliminate(game, response, mean_field, best)

    _, followed = jax.linearize(lambda flow: stepped(game, flow, best.policy), mean_field)

    def inverse(b: Array) -> Array:
        return factors.solve(b - jnp.concatenate([jnp.zeros_like(b[:1]), followed(b)[:-1]]))

    return inverse
