"""The derivative of a fixed point, from its equation alone."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._gradients import stop_gradients
from .._modes import in_own_modes
from .._typing import Array, Bool
from ..model import AnyGame, mean_field_map
from ..responses import AbstractResponse
from .elimination import linear_solver


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
    point = fixed_point(problem, mean_field, found)

    def image(problem: Any) -> Array:
        return mean_field_map(*problem)(point)

    _, pushed = eqx.filter_jvp(image, (problem,), (problem_dot,))
    if pushed is None:  # the map sees nothing of what moves, as that of a stationary game `initial`
        return point, jnp.zeros_like(point)
    _, jvp = jax.linearize(mean_field_map(*problem), point)

    direct = linear_solver(*stop_gradients((*problem, point)))
    axes = tuple(range(1 + problem[0].num_seen_axes))

    def matvec(v: Array) -> Array:
        return v - jvp(v)

    def solve(matvec: Callable[[Array], Array], b: Array, transposed: bool = False) -> Array:
        # inside the solve, whose transpose then poisons the cotangents too, and only those that matter
        x, solved = direct(matvec, b, transposed)
        return jnp.where(found & solved, x, jnp.where((b == 0).all(axis=axes), 0, jnp.nan))

    moved = jax.lax.custom_linear_solve(matvec, pushed, solve, transpose_solve=partial(solve, transposed=True))
    return point, moved


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
