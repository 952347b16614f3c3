"""By how much rounding may move what a program computes, carried along with ranges as one more coordinate.

Rules take slopes from inputs to outputs. So a step whose result is off by r, as if it moved with a coordinate of slope
±r, shows at the end, to first order, by how much the output may be off.
"""

from typing import Any

import jax.numpy as jnp

from .._typing import Array
from .equations import MOVING, bind, num_terms
from .intervals import Interval
from .precision import spacing_of
from .ranges import Bounded, Range

_OF_FUNCTIONS = 4
"""By how many spacings elementary functions and products may be off."""

_SUMS = ("reduce_sum", "cumsum", "dot_general", "scatter-add", "scatter_add")

_EXACT = MOVING | {"convert_element_type"}
"""A conversion to fewer digits has been refused before."""


def with_rounding(x: Range) -> Range:
    """Return a range with a last coordinate for rounding, of which there is none yet."""
    slope = Interval(*(jnp.concatenate([end, jnp.zeros_like(end[:1])]) for end in x.slope))
    return x._replace(slope=slope)


def without_rounding(x: Range) -> Bounded:
    """Return a range without its last coordinate, and by how much each entry may be off."""
    rounding = jnp.maximum(jnp.abs(x.slope.low[-1]), jnp.abs(x.slope.high[-1]))
    return Bounded(x.value, Interval(*(end[:-1] for end in x.slope)), x.affine, rounding)


def rounded(equation: Any, inputs: list[Any], x: Range) -> Range:
    """Return the range of an output, with what its equation rounds added to the last coordinate."""
    if equation.primitive.name in _EXACT:
        return x
    moves = ((x.slope.low != 0) | (x.slope.high != 0)).any(axis=0)  # what does not move is rounded alike everywhere
    off = jnp.where(moves, _off(equation, inputs, x), 0)
    return x._replace(slope=Interval(x.slope.low.at[-1].add(-off), x.slope.high.at[-1].add(off)))


def _off(equation: Any, inputs: list[Any], x: Range) -> Array:
    """Return by how much an equation may be off at each entry of its output."""
    name, spacing = equation.primitive.name, spacing_of(x.value.low.dtype)
    if name in ("add", "add_any", "sub"):
        return spacing / 2 * _size(x)
    if name not in _SUMS:
        return _OF_FUNCTIONS * spacing * _size(x)
    # parts of a sum are rounded, too, at the size of its terms
    terms = bind(equation, [_size(value) for value in inputs])[0]
    return num_terms(equation) * spacing * terms


def _size(x: Any) -> Any:
    if isinstance(x, Range):
        return jnp.maximum(jnp.abs(x.value.low), jnp.abs(x.value.high))
    return jnp.abs(x) if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x
