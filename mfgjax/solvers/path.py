"""One step along a path of equilibria (x(s), λ(s)) of x = Γ(x; λ), turning at folds.

The path is followed in its arclength s, so that a fold, where x as a function of λ turns back, is an ordinary
point. From an accepted point with unit tangent τ the next one is predicted at distance h along τ and corrected
by Newton's method on the bordered system

    x − Γ(x; λ) = 0,    ⟨τ, (x, λ) − (x₀, λ₀)⟩ = h

which is solved by its blocks: with the corrections at a fixed λ and dx/dλ, from one factorisation. They also give the
next tangent. Exactly at a fold dx/dλ is infinite, and next to it both are long, but not their combination. Near the
wanted λ the second equation becomes λ = λ_target. With `through_folds=False` it always fixes λ: natural continuation.

Which way the path goes on is told by the angle with the last tangent or, where it can be had, by the sign of
det(I − DΓ), which changes exactly where λ turns: so a corner, or a step that landed elsewhere, does not send the path
back. Where both disagree and the angle is small the path crossed a bifurcation, and goes straight on.

Every call of `path_step` linearises once, so that a path is one flat loop.

Source: Keller (1977), "Numerical solution of bifurcation and nonlinear eigenvalue problems"; for logit
equilibria of finite games: Turocy (2005), Games and Economic Behavior 51.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Bool, Int, Scalar

START, TRACK, FINISH = 0, 1, 2
_MOST_CORRECTIONS = 8
_MOST_POLISHES = 14
_STRAIGHT = 0.99
"""Cosine of the angle between two tangents above which a path goes straight on, whatever the determinant says."""
_WEIGHT = 4  # of the flow beside λ, so that moving all the crowd of all times counts


class PathState(NamedTuple):
    """The point under correction, the last accepted point with its tangent, and the step length."""

    x: Array
    parameter: Scalar
    base_x: Array
    base_parameter: Scalar
    tangent_x: Array
    tangent_parameter: Scalar
    step: Scalar
    mode: Int[Array, ""]
    corrections: Int[Array, ""]
    orientation: Scalar  # the sign of det(I − DΓ) where λ rises


class Linearised(NamedTuple):
    """What the equation of an equilibrium tells at a point near a path.

    Attributes:
      residual: of the point.
      floor: its rounding level.
      correction: Newton's, at fixed λ.
      along: dx/dλ: how the end of that correction moves with λ.
      determinant_sign: computes the sign of det(I − DΓ); None where that costs too much.
    """

    residual: Scalar
    floor: Scalar
    correction: Array
    along: Array
    determinant_sign: Callable[[], Scalar] | None = None


class PathReport(NamedTuple):
    """What a step found out: residual and rounding level at the point it looked at."""

    residual: Scalar
    floor: Scalar
    accepted: Bool[Array, ""]  # the point is an equilibrium to the tolerance of the path
    finished: Bool[Array, ""]  # and lies at the target
    failed: Bool[Array, ""]


def path_start(x: Array, parameter: Scalar, first_step: float) -> PathState:
    """Return the state before the first correction, at a fixed parameter."""
    one = jnp.ones((), x.dtype)
    return PathState(
        x, parameter, x, parameter, jnp.zeros_like(x), one, first_step * one, jnp.int32(START), jnp.int32(0), one
    )


def arclength(across: Array, ahead: Scalar | float) -> Scalar:
    """Return the length of a step by `across` in x and `ahead` in λ."""
    return jnp.sqrt(_WEIGHT / across.shape[0] * (across**2).sum() + ahead**2)


def path_step(
    linearise: Callable[[Array, Scalar], "Linearised"],
    project: Callable[[Array], Array],
    state: PathState,
    *,
    target: Scalar,
    tolerance: Scalar | np.ndarray,
    path_tolerance: Scalar,
    through_folds: bool,
    largest_step: float | Scalar,
    smallest_step: float,
    retreat: float,
    reach: float,
    least_cosine: float,
) -> tuple[PathState, PathReport]:
    """Correct the current point once, or accept it and predict the next.

    Args:
      linearise: `(x, λ) -> Linearised`.
      project: onto the flows of distributions.
      state: where the path is.
      target: the wanted λ; the path starts below it.
      tolerance: residual at the target.
      path_tolerance: residual on the way.
      through_folds: follow the arclength; else λ, which fails at a fold.
      largest_step: of the arclength, in units of λ.
      smallest_step: below which the path is given up.
      retreat: by how much λ is lowered when the first point cannot be corrected; 0 gives up.
      reach: how far the corrected point may lie from the predicted one, in steps.
      least_cosine: of the angle between the tangents at two points that follow each other.
    """
    x, lam, mode = state.x, state.parameter, state.mode
    weight = _WEIGHT / x.shape[0]
    cap = jnp.sqrt(jnp.finfo(x.dtype).eps)

    residual, floor, correction, along, determinant_sign = linearise(x, lam)
    # exactly at a fold dx/dλ is infinite: the path goes on in x alone
    along = jnp.where(jnp.isfinite(along).all(), along, state.tangent_x / jnp.finfo(x.dtype).eps)
    wanted = jnp.where(mode == FINISH, tolerance, path_tolerance)
    settled = residual <= jnp.maximum(wanted, jnp.minimum(floor, cap))
    off = arclength(
        x - state.base_x - state.step * state.tangent_x,
        lam - state.base_parameter - state.step * state.tangent_parameter,
    )
    # how far the path has turned since the last point, by the cosine of the angle between the tangents
    tracking = (mode == TRACK) & through_folds
    slope = weight * (state.tangent_x * along).sum() + state.tangent_parameter
    speed = arclength(along, 1.0)
    slack = jnp.maximum(1e-3, 4 * path_tolerance)  # points are known no better than that
    rises, orientation, cosine = slope > 0, state.orientation, least_cosine
    if determinant_sign is not None:
        sign = jax.lax.cond(settled & (mode != FINISH), determinant_sign, lambda: orientation)
        is_straight, agrees = jnp.abs(slope) >= _STRAIGHT * speed, (sign == orientation) == rises
        cosine = jnp.where(agrees, 0, _STRAIGHT)
        rises = jnp.where(tracking & ~is_straight, sign == orientation, rises)
        orientation = jnp.where(rises, sign, -sign)
    turned = settled & (jnp.abs(slope) < cosine * speed) & (state.step > slack)
    # a correction longer than the step, or a sharp turn, may have landed on another branch
    strayed = tracking & ((off > jnp.maximum(reach * state.step, slack)) | turned)
    accepted = settled & (mode != FINISH) & ~strayed
    finished = settled & (mode == FINISH)
    most = jnp.where(mode == FINISH, _MOST_POLISHES, _MOST_CORRECTIONS)
    lost = ~accepted & ~finished & ((state.corrections >= most) | ~jnp.isfinite(residual) | strayed)

    # the bordered system, by its blocks: for a Newton correction or, at an accepted point, for the next tangent
    passed_by = weight * (state.tangent_x * (x + correction - state.base_x)).sum()
    gap = passed_by + state.tangent_parameter * (lam - state.base_parameter) - state.step
    # the other modes correct at the λ they are at
    dlam = jnp.where(tracking, -gap / slope, 0)
    dx = correction + dlam * along

    # accepted: new base, tangent and step length
    norm = speed * jnp.where(tracking & ~rises, -1, 1)
    tangent_x = jnp.where(accepted, along / norm, state.tangent_x)
    tangent_lam = jnp.where(accepted, 1 / norm, state.tangent_parameter)
    old_x, old_lam = state.base_x, state.base_parameter
    base_x, base_lam = jnp.where(accepted, x, old_x), jnp.where(accepted, lam, old_lam)
    growth = jnp.where(state.corrections <= 3, 2.0, jnp.where(state.corrections <= 5, 1.0, 0.5)).astype(x.dtype)
    step = jnp.where(accepted & (mode == TRACK), state.step * growth, state.step)
    step = jnp.where(lost, step / 4, step)
    step = jnp.minimum(step, largest_step)

    # predict along the tangent, up to the target; a path that went past it is met by interpolation
    to_target = (target - base_lam) / jnp.where(tangent_lam > 0, tangent_lam, 1)
    reaches = (tangent_lam > 0) & (base_lam <= target) & (step >= to_target)
    length = jnp.where(reaches, to_target, step)
    passed = accepted & (mode == TRACK) & (lam > target) & (old_lam < target)
    share = (target - old_lam) / jnp.where(passed, lam - old_lam, 1)
    ahead_x = jnp.where(passed, old_x + share * (x - old_x), base_x + length * tangent_x)
    ahead_lam = jnp.where(passed | reaches, target, base_lam + length * tangent_lam)
    base_x, base_lam = jnp.where(passed, old_x, base_x), jnp.where(passed, old_lam, base_lam)
    tangent_x = jnp.where(passed, state.tangent_x, tangent_x)
    tangent_lam = jnp.where(passed, state.tangent_parameter, tangent_lam)
    # what a failed attempt at the target shortens is the step that led there
    step = jnp.where(passed, jnp.minimum(step, state.step), length)

    # a first point that cannot be corrected is sought at a lower parameter
    restart = lost & (mode == START)
    moves = accepted | (lost & ~restart)
    next_x = jnp.where(moves, ahead_x, jnp.where(restart, old_x, x + dx))
    next_lam = jnp.where(moves, ahead_lam, jnp.where(restart, lam - retreat, lam + dlam))
    next_mode = jnp.where(moves, jnp.where(passed | reaches, FINISH, TRACK), mode)
    usable = jnp.isfinite(next_x).all() & jnp.isfinite(next_lam)
    failed = (lost & (step < smallest_step)) | (restart & (retreat == 0)) | (moves & ~usable)
    # a singular correction is treated as a lost one at the next step, whose residual is not finite
    following = PathState(
        jnp.where(usable, project(next_x), next_x),
        next_lam,
        jnp.where(restart, old_x, base_x),
        jnp.where(restart, next_lam, base_lam),
        tangent_x,
        tangent_lam,
        step,
        next_mode.astype(jnp.int32),
        jnp.where(moves | restart, 0, state.corrections + 1).astype(jnp.int32),
        jnp.where(accepted, orientation, state.orientation),
    )
    return following, PathReport(residual, floor, accepted, finished, failed)
