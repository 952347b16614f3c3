"""Bounds on the values and derivatives of functions, by evaluating their programs on ranges.

A function is traced to a jaxpr, and each of its primitives has a rule. A primitive without one, or a choice that
depends on the input (`jnp.where(x > 0, ...)`, which may jump), raises `NotDerivable`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array
from .dependence import depends
from .entrywise import ENTRYWISE
from .equations import CALLS, bind, called, evaluate
from .intervals import Interval, point
from .precision import lowered, spacing_of
from .ranges import Bounded, NotDerivable, Range, constant, sure
from .rounding import rounded, with_rounding, without_rounding
from .structural import STRUCTURAL


def range_of(function: Callable[[Array], Array], box: Interval, *, entrywise: bool = False) -> Bounded:
    """Bound the values and derivatives of a function on a box.

    Args:
      function: from one array to one array.
      box: of its input.
      entrywise: the function acts on each entry alone; then there is one coordinate, the own entry, and a function
        that mixes entries is refused.

    Returns:
      The bounds; with slopes `[n, *output]`, n the number of input entries (1 where entrywise).

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
    walk = _Walk(ENTRYWISE if entrywise else ENTRYWISE | STRUCTURAL, spacing_of(box.low.dtype))
    start = with_rounding(sure(Range(box, point(seed), True)))
    (result,) = _evaluate(jaxpr.jaxpr, jaxpr.consts, [start], walk)
    result = result if isinstance(result, Range) else constant(result, seed.shape[0] + 1)
    return without_rounding(sure(result))


def ignores(function: Callable[[Array], Array], box: Interval) -> bool:
    """Tell whether the program of a function does not use its input at all."""
    jaxpr = jax.make_jaxpr(function)(jax.ShapeDtypeStruct(jnp.shape(box.low), box.low.dtype))
    return not any(depends(jaxpr.jaxpr))


class _Walk(NamedTuple):
    """What is known while a program is followed: its rules, and the spacing of the numbers of its input."""

    rules: dict[str, Callable]
    spacing: float


def _evaluate(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], walk: _Walk) -> list[Any]:
    return evaluate(jaxpr, consts, arguments, lambda equation, inputs: _apply(equation, inputs, walk))


def _apply(equation: Any, inputs: list[Any], walk: _Walk) -> list[Any]:
    name = equation.primitive.name
    if name in CALLS:
        return _evaluate(*called(equation), inputs, walk)
    if not any(isinstance(x, Range) for x in inputs):  # no part of the input: computed as it is
        return bind(equation, inputs)
    if any(jnp.issubdtype(variable.aval.dtype, jnp.complexfloating) for variable in equation.outvars):
        raise NotDerivable("it computes with complex numbers, which have no intervals")
    if coarse := lowered(equation, walk.spacing):
        raise NotDerivable(f"it rounds the mean field, to {coarse}")
    if name not in walk.rules:
        raise NotDerivable(f"there is no rule for `{name}`")
    if name == "select_n" and isinstance(inputs[0], Range):
        raise NotDerivable("it chooses between values by the mean field, which may be a jump")
    if name == "mul" and equation.invars[0] is equation.invars[1]:
        # as a product its two factors would be taken for independent: x² could be negative
        found = walk.rules["square"](equation, inputs[:1])
    else:
        found = walk.rules[name](equation, inputs)
    outputs = found if isinstance(found, list) else [found]
    for output in outputs:
        if isinstance(output, Range) and not jnp.issubdtype(output.value.low.dtype, jnp.floating):
            raise NotDerivable(f"it rounds the mean field, to {output.value.low.dtype}")
    # after every rule, as the next may hide what is no number: ∞ times a slope of 0 is 0
    return [sure(rounded(equation, inputs, x)) if isinstance(x, Range) else x for x in outputs]
