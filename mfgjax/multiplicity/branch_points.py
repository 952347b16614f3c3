"""What happens between two points of a path of equilibria: crossings of a value, folds, bifurcations, and jumps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..solvers.path import TRACK, PathReport, PathState, arclength

_MOST_CORRECTIONS = 20
_BISECTIONS = 30

_OFF_TANGENTS = 0.02
"""By how much the unit chord between two points may differ from the mean of their tangents, beside half the turn."""


class Lost(Exception):
    """No point of the path was found between two of its points, or the two are not on one path."""


class Knot(NamedTuple):
    """A point of a path.

    Attributes:
      position: the parameter, in units of the path.
      flow: the mean field, with times.
      slope: by how much the parameter grows along the path; 0 at a fold.
      direction: by how much the flow grows along the path.
      above: how many real eigenvalues of DΓ are above 1; None where they were not counted.
      is_fold: whether the path turns there.
    """

    position: float
    flow: np.ndarray
    slope: float
    direction: np.ndarray
    above: int | None
    is_fold: bool = False


class Tracer:
    """Finds points of a path between two others, by Newton's method across the chord, which is regular at folds.

    Args:
      step: `(state, target, tolerance, largest step) -> (state, report)`, one step of `path_step`.
      derivative: `(flow, position) -> DΓ`; None where it is too large to count its eigenvalues.
      is_unsound: `(flow, position) -> bool`: whether there is no game, as the rows of the kernel are no probabilities.
      tolerance: on the residual of the points of the path; those found here are a hundred times as exact.
    """

    def __init__(self, step: Callable, derivative: Callable | None, is_unsound: Callable, tolerance: float):
        self._step, self._derivative, self._is_unsound, self._tolerance = step, derivative, is_unsound, tolerance

    @property
    def counts(self) -> bool:
        """Whether eigenvalues are counted."""
        return self._derivative is not None

    def side(self, knot: Knot, position: float) -> int:
        """Return on which side of a position a point lies; 0 where it cannot be told: a fold is known less exactly."""
        rounding = 16 * float(np.finfo(knot.flow.dtype).eps) * max(1.0, abs(knot.position))
        near = self._tolerance / 10 if knot.is_fold else rounding
        apart = knot.position - position
        return 0 if abs(apart) <= near else int(np.sign(apart))

    def advance(self, state: PathState, target: float, largest_step: float) -> tuple[PathState, PathReport]:
        """Correct the current point of the path once, or accept it and predict the next."""
        return self._step(state, target, self._tolerance, largest_step)

    def knot(self, flow: Any, position: Any, slope: Any, direction: Any) -> Knot:
        """Return a point of the path with its count of eigenvalues."""
        flow, position = np.asarray(flow), float(position)
        return Knot(position, flow, float(slope), np.asarray(direction), self._above(flow, position))

    def is_differentiable(self, flow: Any, position: Any) -> bool:
        """Tell whether the derivative of the map is finite, where it is small enough to be looked at."""
        derivative = self._derivative_at(flow, position)
        return derivative is None or bool(np.isfinite(derivative).all())

    def _derivative_at(self, flow: Any, position: Any) -> np.ndarray | None:
        return None if self._derivative is None else np.asarray(self._derivative(flow, position), dtype=float)

    def _above(self, flow: np.ndarray, position: float) -> int | None:
        derivative = self._derivative_at(flow, position)
        if derivative is None or not np.isfinite(derivative).all():
            return None
        # equilibria meet where one is 1, which is real: pairs of complex ones do not count
        eigenvalues = np.linalg.eigvals(derivative)
        return int(((np.abs(eigenvalues.imag) <= 1e-6) & (eigenvalues.real > 1)).sum())

    def between(self, first: Knot, second: Knot, share: float, *, counted: bool = False) -> Knot:
        """Return the point of the path over a share of the chord between two points.

        Raises:
          Lost: if there is none nearby.
        """
        dtype = first.flow.dtype
        across, ahead = second.flow - first.flow, second.position - first.position
        length = _length(across, ahead)
        one = jnp.ones((), dtype)
        begin = PathState(
            jnp.asarray(first.flow + share * across),
            (first.position + share * ahead) * one,
            jnp.asarray(first.flow),
            first.position * one,
            jnp.asarray(across / length),
            ahead / length * one,
            share * length * one,
            jnp.int32(TRACK),
            jnp.int32(0),
            one,
        )
        for tolerance in (self._tolerance / 100, self._tolerance):
            state = begin
            for _ in range(_MOST_CORRECTIONS):
                before = state
                # a chord may be longer than a step along the path
                state, report = self._step(state, np.inf, tolerance, np.inf)
                if bool(report.accepted):
                    flow, position = np.asarray(before.x), float(before.parameter)
                    above = self._above(flow, position) if counted else None
                    direction = np.asarray(state.tangent_x)
                    return Knot(position, flow, float(state.tangent_parameter), direction, above)
                if int(state.corrections) == 0:  # given up, a shorter step would come next
                    break
        raise Lost

    def tangent(self, first: Knot, flow: np.ndarray, position: float) -> Knot:
        """Return the knot of an equilibrium that was found, checked to be the next point of the path."""
        aim = Knot(position, flow, 0.0, np.zeros_like(flow), None)
        found = self.between(first, aim, 1.0)
        if abs(found.position - position) > 1e-3 or np.abs(found.flow - flow).max() > 1e-3:
            raise Lost
        return self.knot(flow, position, found.slope, found.direction)

    def crossing(self, first: Knot, second: Knot, position: float) -> Knot:
        """Return the point between two others at which the parameter has a value between theirs."""

        def above(share: float) -> float:
            if share in (0.0, 1.0):
                return (first, second)[int(share)].position - position
            return self.between(first, second, share).position - position

        return self.between(first, second, _root(above))

    def folds(self, first: Knot, second: Knot) -> list[Knot]:
        """Return the folds between two points of the path: one if the tangent turned, two if it did so in between."""

        def slope(share: float) -> float:
            if share in (0.0, 1.0):
                return (first, second)[int(share)].slope
            return self.between(first, second, share).slope

        if first.slope * second.slope < 0:
            return [self._fold(first, second, _root(slope))]
        sign = np.sign(first.slope)
        dip = _lowest(sign * first.slope, sign * second.slope, sign * self._mean_slope(first, second))
        if dip is None:
            return []
        from scipy.optimize import minimize_scalar  # most of a second to import

        found: Any = minimize_scalar(
            lambda share: sign * slope(share), bounds=(0, 1), method="bounded", options={"xatol": 1e-3}
        )
        if found.fun >= 0:
            return []
        turns = (_root(slope, 0.0, found.x), _root(slope, found.x, 1.0))
        return [self._fold(first, second, share) for share in turns]

    def _fold(self, first: Knot, second: Knot, share: float) -> Knot:
        return self.between(first, second, share)._replace(slope=0.0, is_fold=True)

    @staticmethod
    def _mean_slope(first: Knot, second: Knot) -> float:
        across, ahead = second.flow - first.flow, second.position - first.position
        return ahead / _length(across, ahead)

    def explains(self, first: Knot, second: Knot, num_folds: int) -> bool:
        """Tell whether the folds between two points are all that changed the count of eigenvalues above 1."""
        if first.above is None or second.above is None:
            return True
        # a fold takes one eigenvalue across 1, up or down, so several may cancel
        changed = abs(second.above - first.above)
        return changed <= num_folds and changed % 2 == num_folds % 2

    def bifurcation(self, first: Knot, second: Knot) -> list[float]:
        """Return where between two points the count of eigenvalues above 1 changes, if one of them is 1 there.

        A pair of complex eigenvalues that become real ones above 1 changes the count, too, and is no bifurcation.

        Raises:
          Lost: if the points on both sides are not one path.
        """
        low, high = self._narrowed(first, second, lambda low, middle, _: middle.above == low.above, counted=True)
        if np.abs(low.flow - high.flow).max() > 1e-2 or None in (low.above, high.above):
            raise Lost
        derivative: Any = self._derivative
        nearest = min(
            np.abs(np.linalg.eigvals(np.asarray(derivative(knot.flow, knot.position), dtype=float)) - 1).min()
            for knot in (low, high)
        )
        return [(low.position + high.position) / 2] if nearest < 1e-2 else []

    def _off_tangents(self, first: Knot, second: Knot) -> float:
        """Return by how much the chord differs from what the tangents at its ends explain, in units of the path."""
        across, ahead = second.flow - first.flow, second.position - first.position
        length = _length(across, ahead)
        tangent, slope = (first.direction + second.direction) / 2, (first.slope + second.slope) / 2
        off = _length(across - length * tangent, ahead - length * slope)
        # a tangent that turns steadily from the one to the other stays within half of the turn
        turn = _length(second.direction - first.direction, second.slope - first.slope)
        return off - length * (_OFF_TANGENTS + turn / 2)

    def goes_on_smoothly(self, first: Knot, second: Knot) -> bool:
        """Tell whether the path may lead from one point to the next without a jump, by the tangents at both."""
        return self._off_tangents(first, second) <= 100 * self._tolerance  # points are known no better

    def check_gap(self, first: Knot, second: Knot) -> None:
        """Look for a jump between two points, closer and closer to where the tangents explain least.

        Raises:
          Lost: if there is one.
        """
        low, high = self._narrowed(
            first,
            second,
            lambda low, middle, high: self._off_tangents(low, middle) <= self._off_tangents(middle, high),
        )
        if np.abs(low.flow - high.flow).max() > 1e-3:
            raise Lost

    def is_sound(self, knot: Knot) -> bool:
        """Tell whether the equilibrium is one of a game: the rows of the kernel are probabilities."""
        return not bool(self._is_unsound(knot.flow, knot.position))

    def last_sound(self, first: Knot, second: Knot) -> Knot:
        """Return the last point on the way from one that is sound to one that is not, which may be the first."""
        return self._narrowed(first, second, lambda _, middle, __: self.is_sound(middle))[0]

    def _narrowed(
        self,
        low: Knot,
        high: Knot,
        goes_on_behind: Callable[[Knot, Knot, Knot], bool],
        *,
        counted: bool = False,
    ) -> tuple[Knot, Knot]:
        """Return two points of the path next to each other, by bisection between two that are apart.

        Args:
          low: a point.
          high: one behind it.
          goes_on_behind: from `low`, a point between, and `high` to whether what is looked for is behind the middle.
          counted: whether eigenvalues are counted.
        """
        for _ in range(_BISECTIONS):
            try:
                middle = self.between(low, high, 0.5, counted=counted)
            except Lost:  # next to a bifurcation the system is singular, and within a jump there is no point
                break
            low, high = (middle, high) if goes_on_behind(low, middle, high) else (low, middle)
        return low, high


def _length(across: np.ndarray, ahead: float) -> float:
    return float(arclength(jnp.asarray(across), ahead))


def _root(function: Callable[[float], float], low: float = 0.0, high: float = 1.0) -> float:
    from scipy.optimize import brentq  # most of a second to import

    return float(brentq(function, low, high, xtol=1e-13, rtol=1e-13))  # pyright: ignore[reportArgumentType]


def _lowest(begin: float, end: float, mean: float) -> float | None:
    """Return where the parabola with these values at 0 and 1 and this mean has its minimum, if it comes near 0."""
    # begin + (end − begin) x + bend x (1 − x) has the mean (begin + end)/2 + bend/6
    bend = 6 * (mean - (begin + end) / 2)
    if bend >= 0:
        return None
    where = (1 + (end - begin) / bend) / 2
    lowest = begin + (end - begin) * where + bend * where * (1 - where)
    return where if 0 < where < 1 and lowest < 0.3 * min(begin, end) else None
