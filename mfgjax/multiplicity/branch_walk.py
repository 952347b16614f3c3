"""From a first equilibrium along its path: step by step, to its end."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..solvers.path import TRACK, PathState
from .branch_points import Knot, Lost, Tracer

_RETRIES = 4  # a step over something unexplained is tried again at a quarter, that often


NOT_FINITE = (
    "the derivative of the map is not finite (a reward or kernel with an infinite slope, such as a square root at a "
    "share of 0)"
)


class Walk(NamedTuple):
    """A path that was followed.

    Attributes:
      knots: its points, folds among them.
      bifurcations: places at which others meet it.
      complete: whether it reached the target.
      message: a sentence on how it ended.
    """

    knots: list[Knot]
    bifurcations: list[float]
    complete: bool
    message: str


def walk(
    tracer: Tracer,
    state: PathState,
    target: float,
    largest_step: float,
    max_points: int,
    value_at: Callable[[Any], Any],
    why_no_game: Callable[[float], str],
) -> Walk:
    """Follow a path until it reaches the target, comes back to its start, or ends.

    Args:
      tracer: finds points, and what is between them.
      state: the start.
      target: the position to reach.
      largest_step: of the arclength.
      max_points: maximal number of points, folds not counted.
      value_at: from a position to the parameter.
      why_no_game: from a position to a sentence on what is wrong with the game there.
    """
    knots: list[Knot] = []
    bifurcations: list[float] = []
    shortest_step, points = largest_step / 4**_RETRIES, 0

    def ended(message: str, complete: bool = False) -> Walk:
        return Walk(knots, bifurcations, complete, message)

    def lost(state: PathState, otherwise: str) -> str:
        has_derivative = tracer.is_differentiable(state.base_x, state.base_parameter)
        return otherwise if has_derivative else NOT_FINITE

    while points < max_points:
        before = state
        state, report = tracer.advance(state, target, largest_step)
        is_shortest = float(before.step) <= shortest_step
        near = f"The path was lost near {value_at(before.base_parameter):.6g}"
        if bool(report.failed):
            return ended(f"{near}: {lost(before, 'no next point of the path was found')}.")
        finished = bool(report.finished)
        # a point beyond the target is met by interpolation next
        if not finished and (not bool(report.accepted) or float(before.parameter) > target):
            continue
        try:
            if finished:
                following = tracer.tangent(knots[-1], np.asarray(before.x), target)
            else:
                following = tracer.knot(before.x, before.parameter, state.tangent_parameter, state.tangent_x)
            folds = tracer.folds(knots[-1], following) if knots else []
            if knots and not _is_explained(tracer, knots[-1], following, len(folds)):
                if not is_shortest:
                    state = _shorter(before)
                    continue
                bifurcations += _looked_at(tracer, knots[-1], following, len(folds))
        except Lost:
            if is_shortest:
                why = lost(before, "the equilibrium may jump there, or the path may have left its branch")
                return ended(f"{near}: {why}.")
            state = _shorter(before)  # which may stay on the path
            continue
        for knot in [*folds, following]:
            if not tracer.is_sound(knot):
                last = tracer.last_sound(knots[-1], knot)
                knots += [] if last is knots[-1] else [last]
                end, beyond = (f"{value_at(position):.6g}" for position in (last.position, knot.position))
                why = why_no_game(knot.position)
                return ended(f"The path ends near {end}, as the game is not valid at {beyond}. {why}")
            knots.append(knot)
        points += 1
        if finished:
            return ended("The path reached `stop`.", complete=True)
        if knots[-1].position < 0:
            return ended("The path came back to `start` without reaching `stop`.")
    return ended(f"The path was cut after {max_points} points.")


def _is_explained(tracer: Tracer, first: Knot, second: Knot, num_folds: int) -> bool:
    """Tell whether folds and a curve without a jump are all that there is between two points."""
    return tracer.explains(first, second, num_folds) and tracer.goes_on_smoothly(first, second)


def _looked_at(tracer: Tracer, first: Knot, second: Knot, num_folds: int) -> list[float]:
    """Return the bifurcations between two points that are as near as steps go.

    Raises:
      Lost: if the path jumps between them.
    """
    if not tracer.goes_on_smoothly(first, second):
        tracer.check_gap(first, second)
    return [] if tracer.explains(first, second, num_folds) else tracer.bifurcation(first, second)


def _shorter(state: PathState) -> PathState:
    """Return the state that predicts a quarter of the step again, from the same base."""
    length = state.step / 4
    return state._replace(
        x=state.base_x + length * state.tangent_x,
        parameter=state.base_parameter + length * state.tangent_parameter,
        step=length,
        mode=jnp.full_like(state.mode, TRACK),
        corrections=jnp.zeros_like(state.corrections),
    )
