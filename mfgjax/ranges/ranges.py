"""Ranges of numbers that depend on the mean field, with ranges of their derivatives, and arithmetic on them.

Every number carries the interval of its values and, for each coordinate of the mean field, the interval of its
derivative.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp

from .._typing import Array
from .intervals import Interval, hull, outward, point, product, sound

MOST_LOST = 2.0**-16
"""Largest share of the values of a function that rounding may be; beyond it nothing is claimed."""


class NotDerivable(Exception):
    """Bounds of a function cannot be read off its program; the message says why."""


class Range(NamedTuple):
    """What the output of a function can be for inputs in a box.

    Attributes:
      value: interval of its entries.
      slope: interval of ∂(entry)/∂(input coordinate), coordinates first.
      affine: whether the program is affine in the input, so that the slope is one number.
    """

    value: Interval
    slope: Interval
    affine: bool


class Bounded(NamedTuple):
    """What the output of a function can be for inputs in a box: a `Range`, and how far rounding may move each entry."""

    value: Interval
    slope: Interval
    affine: bool
    rounding: Array


def constant(value: Any, num_coordinates: int) -> Range:
    """Return the range of numbers that do not depend on the input."""
    value = jnp.asarray(value)
    return Range(point(value), point(jnp.zeros((num_coordinates, *value.shape), value.dtype)), True)


def lift(value: Any, like: Sequence[Any]) -> Range:
    """Return a value as a `Range`, with slope 0 if it does not depend on the input; `like` holds one that does."""
    if isinstance(value, Range):
        return value
    return constant(value, next(x for x in like if isinstance(x, Range)).slope.low.shape[0])


def scaled(x: Interval, factor: Array | float) -> Interval:
    """Return the interval of c x."""
    return hull(factor * x.low, factor * x.high)


def matched(inputs: list[Any]) -> tuple[Range, Range]:
    """Return two operands in one shape: programs may pair a number with an array."""
    x, y = (lift(value, inputs) for value in inputs)
    shape = jnp.broadcast_shapes(x.value.low.shape, y.value.low.shape)
    return _in_shape(x, shape), _in_shape(y, shape)


def _in_shape(x: Range, shape: tuple[int, ...]) -> Range:
    if x.value.low.shape == shape:
        return x
    new_axes = (1,) * (len(shape) - x.value.low.ndim)

    # coordinates stay first: the axes that broadcasting adds come behind them
    def spread(slope: Array) -> Array:
        return jnp.broadcast_to(slope.reshape(slope.shape[0], *new_axes, *slope.shape[1:]), (slope.shape[0], *shape))

    value = Interval(*(jnp.broadcast_to(end, shape) for end in x.value))
    return Range(value, Interval(*map(spread, x.slope)), x.affine)


def wide(value: Interval) -> Interval:
    """Return an interval with an axis for the coordinates in front."""
    return Interval(value.low[None], value.high[None])


def bent(x: Range, value: Interval, derivative: Interval) -> Range:
    """Return the range of f(x) from the intervals of f and f' on that of x."""
    low, high = outward(derivative)
    # a derivative of 0 may be a tiny one that was rounded: times an unbounded slope it must not be lost
    tiny = jnp.where((low == 0) & (high == 0), float(jnp.finfo(low.dtype).tiny), 0).astype(low.dtype)
    return Range(outward(value), product(wide(Interval(low - tiny, high + tiny)), x.slope), False)


def sure(x: Range) -> Range:
    """Make value and slope unbounded where a rule met what is no number."""
    value, known = sound(x.value)
    slope, _ = sound(x.slope)
    slope = Interval(jnp.where(known, slope.low, -jnp.inf), jnp.where(known, slope.high, jnp.inf))
    return Range(value, slope, x.affine)
