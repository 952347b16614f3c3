"""The derivative of a fixed point, from its equation alone."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._gradients import stop_gradients
from .._modes import in_own_modes
from .._typing import Array, Bool
from ..model import AnyGame, mean_field_map
from ..responses import AbstractResponse
from .elimination import linear_solver

_MOST_LOST = 0.02
"""Share of a derivative that rounding may change; beyond, it is NaN."""


@eqx.filter_custom_jvp
def fixed_point(problem: tuple[AnyGame, AbstractResponse], mean_field: Array, found: Bool[Array, "*lanes"]) -> Array:
    """Return the given fixed point μ* of Γ, as a differentiable function of game and response.

        dμ* = (I − D_μ Γ)^{-1} ∂_θ Γ dθ

    whatever method found μ*, and wherever 1 is no eigenvalue of D_μ Γ: also where iterating Γ diverges. In stationary
    games that is meant on vectors of sum zero, as `StationaryGame.moved_on` says. The
    derivative of a point that was not found is NaN, never plausible; that of a quantity which does not
    depend on any parameter stays zero, so that masked losses over several problems remain finite. Many games have
    one derivative each, along their own lane.
    """
    return mean_field


@fixed_point.def_jvp
@in_own_modes
def _fixed_point_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    problem, mean_field, found = primals
    problem_dot, _, _ = tangents
    # as the output of the function itself, so that second derivatives see how it moves
    point = at = fixed_point(problem, mean_field, found)
    if jnp.finfo(point.dtype).eps > 1e-12:
        refined, is_accurate = _refined(*stop_gradients((*problem, point)))
        # of the point as it is, which moves as its neighbour does
        at, found = point + (refined - stop_gradients(point)), found & is_accurate

    def image(problem: Any) -> Array:
        return mean_field_map(*problem)(at)

    _, pushed = eqx.filter_jvp(image, (problem,), (problem_dot,))
    if pushed is None:  # the map sees nothing of what moves, as that of a stationary game `initial`
        return point, jnp.zeros_like(point)
    _, jvp = jax.linearize(mean_field_map(*problem), at)

    direct = linear_solver(*stop_gradients((*problem, at)))
    axes = tuple(range(1 + problem[0].num_seen_axes))

    def matvec(v: Array) -> Array:
        return v - jvp(v)

    def solve(matvec: Callable[[Array], Array], b: Array, transposed: bool = False) -> Array:
        # inside the solve, whose transpose then poisons the cotangents too, and only those that matter
        x, solved = direct(matvec, b, transposed)
        return jnp.where(found & solved, x, jnp.where((b == 0).all(axis=axes), 0, jnp.nan))

    moved = jax.lax.custom_linear_solve(matvec, pushed, solve, transpose_solve=partial(solve, transposed=True))
    return point, moved


def _refined(game: AnyGame, response: AbstractResponse, point: Array) -> tuple[Array, Array]:
    """Return a step of Newton's method from a point, and whether derivatives there survive what is still off.

    That is rounding, which counts as often as I − DΓ is worse conditioned than 1, and the step itself: what it changes
    of the derivative, the next one would change by its square.
    """
    axes = tuple(range(1 + game.num_seen_axes))
    function, solve = mean_field_map(game, response), linear_solver(game, response, point)
    image, jvp = jax.linearize(function, point)

    def matvec(v: Array) -> Array:
        return v - jvp(v)

    def size(x: Array) -> Array:
        return jnp.abs(x).max(axis=axes)

    change, solved = solve(matvec, image - point, False)
    refined = game.projected(point + change)
    refined = jnp.where(solved, refined, point)
    signs = jnp.asarray(np.random.default_rng(0).choice([-1.0, 1.0], size=point.shape), point.dtype)
    rounding = jnp.finfo(point.dtype).eps + response.rounding(game.best_response(point, response).q, game.available)
    condition = size(matvec(signs)) * size(solve(matvec, signs, False)[0])
    moved = size(solve(matvec, jvp(signs) - jax.jvp(function, (refined,), (signs,))[1], False)[0])
    return refined, solved & (rounding * condition <= _MOST_LOST) & (moved**2 <= 2 * _MOST_LOST)


@eqx.filter_custom_jvp
def refuse_derivative(mean_field: Array, problem: tuple[AnyGame, AbstractResponse]) -> Array:
    """Return the mean field; asked for its derivative, say why there is none."""
    return mean_field


@refuse_derivative.def_jvp
def _refuse_derivative_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    if any(tangent is not None for tangent in jax.tree.leaves(tangents)):
        game, response = primals[1]
        name, also = type(response).__name__, ""
        if game.seeks_pure:
            also = " With `Trembling(epsilon)`, `design.sensitivity` gives derivatives with every choice held."
        raise ValueError(
            f"An equilibrium of the `{name}` response has no derivative: its policy jumps where two actions are "
            f"equally good. Use `EntropyRegularized` with a large `beta`, whose equilibrium is smooth.{also}"
        )
    return primals[0], jnp.zeros_like(primals[0])
