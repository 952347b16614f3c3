"""Interval arithmetic: bounds on the results of operations on numbers that lie between bounds."""

from typing import NamedTuple

import jax.numpy as jnp

from .._typing import Array


class Interval(NamedTuple):
    """All numbers between `low` and `high`, entry by entry."""

    low: Array
    high: Array


def point(value: Array) -> Interval:
    """Return the interval of one number."""
    return Interval(value, value)


def sound(x: Interval) -> tuple[Interval, Array]:
    """Replace what is no number (∞ − ∞, an empty range, an overflow) by (−∞, ∞); return also where it was a number."""
    known = (x.low <= x.high) & (x.low < jnp.inf) & (x.high > -jnp.inf)  # NaN compares as False
    return Interval(jnp.where(known, x.low, -jnp.inf), jnp.where(known, x.high, jnp.inf)), known


def hull(*values: Array) -> Interval:
    """Return the least interval that holds all values."""
    stacked = jnp.stack(jnp.broadcast_arrays(*values))  # NaN in one value makes both ends NaN, for `sound` to see
    return Interval(stacked.min(axis=0), stacked.max(axis=0))


def product(first: Interval, second: Interval) -> Interval:
    """Return the interval of x y. Zero times an unbounded interval is zero, as the factor is exactly 0."""
    corners = [_times(x, y) for x in first for y in second]
    return hull(*corners)


def _times(x: Array, y: Array) -> Array:
    return jnp.where((x == 0) | (y == 0), 0, x * y)  # 0 · ∞ would be NaN


def total(first: Interval, second: Interval) -> Interval:
    """Return the interval of x + y."""
    return Interval(first.low + second.low, first.high + second.high)


def inverse(x: Interval) -> Interval:
    """Return the interval of 1/x, unbounded where x may be 0."""
    apart = excludes_zero(x)
    low, high = jnp.where(apart, 1 / x.high, -jnp.inf), jnp.where(apart, 1 / x.low, jnp.inf)
    return Interval(low, high)


def excludes_zero(x: Interval) -> Array:
    """Tell where 0 is not in the interval."""
    return (x.low > 0) | (x.high < 0)


def outward(x: Interval) -> Interval:
    """Widen an interval by more than elementary functions are off at its ends."""
    off = 8 * float(jnp.finfo(x.low.dtype).eps)
    return Interval(x.low - off * jnp.abs(x.low), x.high + off * jnp.abs(x.high))


def power(x: Interval, exponent: int) -> Interval:
    """Return the interval of x^k for a whole number k."""
    if exponent < 0:
        return inverse(power(x, -exponent))
    low, high = x.low**exponent, x.high**exponent
    if exponent % 2:
        return Interval(low, high)
    # an even power is least at 0, if that is inside; x^0 is 1 everywhere
    least = jnp.where((x.low <= 0) & (x.high >= 0), jnp.where(exponent == 0, low, 0), jnp.minimum(low, high))
    return Interval(least, jnp.maximum(low, high))
