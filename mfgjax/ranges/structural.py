"""Rules of the primitives that move, add up or mix entries: the range of their output from those of their inputs.

A rule is a function of the equation of a program and its inputs: `Range`s, or arrays that do not depend on the mean
field.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._typing import Array
from .equations import bind
from .intervals import Interval, total
from .ranges import NotDerivable, Range, lift


def _dot_general(equation: Any, inputs: list[Any]) -> Range:
    x, y = inputs

    def dot(a: Array, b: Array) -> Array:
        return bind(equation, [a, b])[0]

    if isinstance(x, Range) and isinstance(y, Range):
        # x y with x = m ± r: |xy − m m'| ≤ |m| r' + r |m'| + r r'
        value = _around(dot, x.value, y.value)
        with_slopes_of_y = jax.vmap(lambda a, b: tuple(_around(dot, Interval(*a), Interval(*b))), in_axes=(None, 0))
        with_slopes_of_x = jax.vmap(lambda a, b: tuple(_around(dot, Interval(*a), Interval(*b))), in_axes=(0, None))
        slope = total(
            Interval(*with_slopes_of_y(tuple(x.value), tuple(y.slope))),
            Interval(*with_slopes_of_x(tuple(x.slope), tuple(y.value))),
        )
        return Range(value, slope, False)
    if isinstance(x, Range):
        return _linear(lambda a: dot(a, jnp.maximum(y, 0)), lambda a: dot(a, jnp.minimum(y, 0)), x)
    return _linear(lambda a: dot(jnp.maximum(x, 0), a), lambda a: dot(jnp.minimum(x, 0), a), y)


def _around(dot: Callable, x: Interval, y: Interval) -> Interval:
    # centres and radii, as the corners of intervals have no product of matrices
    (m, r), (n, s) = (((v.low + v.high) / 2, (v.high - v.low) / 2) for v in (x, y))
    centre, radius = dot(m, n), dot(jnp.abs(m), s) + dot(r, jnp.abs(n)) + dot(r, s)
    return Interval(centre - radius, centre + radius)


def _linear(up: Callable, down: Callable, x: Range) -> Range:
    """Return a linear map of x, split into its parts with positive and with negative coefficients."""

    def image(v: Interval) -> Interval:
        return Interval(up(v.low) + down(v.high), up(v.high) + down(v.low))

    slope = jax.vmap(lambda low, high: tuple(image(Interval(low, high))))(*x.slope)
    return Range(image(x.value), Interval(*slope), x.affine)


def _reduce_extreme(reduce: Callable, of_nothing: float) -> Callable:
    def rule(equation: Any, inputs: list[Any]) -> Range:
        (x,) = inputs
        axes = tuple(equation.params["axes"])
        behind = tuple(axis + 1 for axis in axes)  # coordinates lead
        value = Interval(*(reduce(end, axis=axes, initial=of_nothing) for end in x.value))
        # any entry may be the largest, so the slope is that of any
        slope = x.slope.low.min(axis=behind, initial=jnp.inf), x.slope.high.max(axis=behind, initial=-jnp.inf)
        return Range(value, Interval(*slope), False)

    return rule


def moved(*data: int) -> Callable:
    """Return the rule of a primitive that moves or adds up entries: linear, with coefficients ≥ 0.

    Args:
      data: numbers of the inputs that hold the entries; none: all do.
    """

    def rule(equation: Any, inputs: list[Any]) -> Range:
        places = data or tuple(range(len(inputs)))
        if any(isinstance(x, Range) for i, x in enumerate(inputs) if i not in places):
            raise NotDerivable(f"places in `{equation.primitive.name}` depend on the mean field")
        entries = [lift(inputs[i], inputs) for i in places]

        def image(*values: Array) -> Array:
            operands = list(inputs)
            for i, value in zip(places, values, strict=True):
                operands[i] = value
            return bind(equation, operands)[0]

        # coefficients ≥ 0 lead lower ends to lower ends
        ends = [image(*(entry.value[end] for entry in entries)) for end in (0, 1)]
        slopes = [jax.vmap(image)(*(entry.slope[end] for entry in entries)) for end in (0, 1)]
        return Range(Interval(*ends), Interval(*slopes), all(entry.affine for entry in entries))

    return rule


def _gather(equation: Any, inputs: list[Any]) -> Range:
    """Bound entries that are looked up; what is filled in beyond the ends does not change with the mean field."""
    result = moved(0)(equation, inputs)
    still = equation.replace(params={**equation.params, "fill_value": 0})
    return result._replace(slope=moved(0)(still, inputs).slope)


STRUCTURAL: dict[str, Callable] = {
    "dot_general": _dot_general,
    "reduce_max": _reduce_extreme(jnp.max, -jnp.inf),
    "reduce_min": _reduce_extreme(jnp.min, jnp.inf),
    "gather": _gather,
    "dynamic_slice": moved(0),
    "dynamic_update_slice": moved(0, 1),
    "scatter": moved(0, 2),
    "scatter-add": moved(0, 2),
    "scatter_add": moved(0, 2),
} | {
    name: moved()
    for name in (
        "broadcast_in_dim",
        "concatenate",
        "cumsum",
        "expand_dims",
        "pad",
        "reduce_sum",
        "reshape",
        "rev",
        "slice",
        "squeeze",
        "stack",
        "transpose",
    )
}
"""Primitives that move, add up or mix entries."""
