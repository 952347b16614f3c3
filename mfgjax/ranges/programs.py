"""Bounds on the values and derivatives of functions, by evaluating their programs on ranges.

A function is traced to a jaxpr, and each of its primitives has a rule. A primitive without one, or a choice that
depends on the input (`jnp.where(x > 0, ...)`, which may jump), raises `NotDerivable`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array
from .dependence import depends
from .entrywise import ENTRYWISE
from .equations import CALLS, bind, called, evaluate
from .intervals import Interval, point
from .ranges import MOST_LOST, NotDerivable, Range, constant, sure
from .structural import STRUCTURAL


def range_of(function: Callable[[Array], Array], box: Interval, *, entrywise: bool = False) -> Range:
    """Bound the values and derivatives of a function on a box.

    Args:
      function: from one array to one array.
      box: of its input.
      entrywise: the function acts on each entry alone; then there is one coordinate, the own entry, and a function
        that mixes entries is refused.

    Returns:
      The `Range`; with slopes `[n, *output]`, n the number of input entries (1 where entrywise).

    Raises:
      NotDerivable: if the program has a primitive without a rule.
    """
    shape = jnp.shape(box.low)
    jaxpr = jax.make_jaxpr(function)(jax.ShapeDtypeStruct(shape, box.low.dtype))
    if len(jaxpr.jaxpr.outvars) != 1:
        raise NotDerivable("it returns several arrays")
    if entrywise:
        seed = jnp.ones((1, *shape), box.low.dtype)  # one coordinate: every entry moves with itself
    else:
        size = int(np.prod(shape))
        seed = jnp.eye(size, dtype=box.low.dtype).reshape(size, *shape)
    start = sure(Range(box, point(seed), True))
    rules = ENTRYWISE if entrywise else ENTRYWISE | STRUCTURAL
    rounding: list[Array] = []
    (result,) = _evaluate(jaxpr.jaxpr, jaxpr.consts, [start], rules, rounding)
    result = sure(result if isinstance(result, Range) else constant(result, seed.shape[0]))
    return _less_rounding(result, rounding)


def _less_rounding(x: Range, rounding: Sequence[Array]) -> Range:
    """Return a range whose slope is unbounded where sums of large numbers leave little but their rounding.

    The program then changes in steps, of which derivatives know nothing.
    """
    if not rounding:
        return x
    ends = [*x.value, *x.slope]
    scale = jnp.stack([jnp.where(jnp.isfinite(end), jnp.abs(end), 0).max(initial=0) for end in ends]).max()
    lost = jnp.stack(rounding).max() > MOST_LOST * scale
    slope = Interval(jnp.where(lost, -jnp.inf, x.slope.low), jnp.where(lost, jnp.inf, x.slope.high))
    return x._replace(slope=slope)


_SUMS = ("add", "add_any", "sub", "reduce_sum", "cumsum", "dot_general")


def _rounding_of(x: Range) -> Array:
    """Return the spacing of numbers at the size of a summand that moves with the mean field."""
    # a large constant is not counted here, but its sum with a moving number is: as a summand of the next sum
    size = jnp.maximum(jnp.abs(x.value.low), jnp.abs(x.value.high))
    moves = ((x.slope.low != 0) | (x.slope.high != 0)).any(axis=0)
    return jnp.finfo(size.dtype).eps * jnp.where(moves & jnp.isfinite(size), size, 0).max(initial=0)


def ignores(function: Callable[[Array], Array], box: Interval) -> bool:
    """Tell whether the program of a function does not use its input at all."""
    jaxpr = jax.make_jaxpr(function)(jax.ShapeDtypeStruct(jnp.shape(box.low), box.low.dtype))
    return not any(depends(jaxpr.jaxpr))


def _evaluate(
    jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], rules: dict[str, Callable], rounding: list[Array]
) -> list[Any]:
    def apply(equation: Any, inputs: list[Any]) -> list[Any]:
        if equation.primitive.name in _SUMS:
            rounding.extend(_rounding_of(x) for x in inputs if isinstance(x, Range))
        return _apply(equation, inputs, rules, rounding)

    return evaluate(jaxpr, consts, arguments, apply)


def _apply(equation: Any, inputs: list[Any], rules: dict[str, Callable], rounding: list[Array]) -> list[Any]:
    name = equation.primitive.name
    if name in CALLS:
        return _evaluate(*called(equation), inputs, rules, rounding)
    if not any(isinstance(x, Range) for x in inputs):  # no part of the input: computed as it is
        return bind(equation, inputs)
    if any(jnp.issubdtype(variable.aval.dtype, jnp.complexfloating) for variable in equation.outvars):
        raise NotDerivable("it computes with complex numbers, which have no intervals")
    if name == "mul" and equation.invars[0] is equation.invars[1]:
        # as a product its two factors would be taken for independent: x² could be negative
        return [rules["square"](equation, inputs[:1])]
    if name not in rules:
        raise NotDerivable(f"there is no rule for `{name}`")
    if name == "select_n" and isinstance(inputs[0], Range):
        raise NotDerivable("it chooses between values by the mean field, which may be a jump")
    result = rules[name](equation, inputs)
    # after every rule, as the next may hide what is no number: ∞ times a slope of 0 is 0
    return [sure(x) for x in (result if isinstance(result, list) else [result])]
