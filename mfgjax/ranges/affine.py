"""A proof that a function of a law is affine, read off its program (a jaxpr), one primitive after the other.

An affine function on the simplex is the mixture of its values at the point masses. So every intermediate array is
known by its values there, which also decide what looks like a bend and is none: max(z, 0) is z, as no entry of z is
negative at a point mass. A primitive without a rule is refused.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._jaxprs import scan_sizes
from .._typing import Array
from .equations import CALLS, bind, called, evaluate, num_terms
from .precision import lowered

_MOST_STEPS = 64
"""Longest `scan` that is followed, step by step."""


class NotAffine(Exception):
    """A program was not proved affine; the message says why."""


class Affine(NamedTuple):
    """An array that is affine in the law.

    Attributes:
      values: at the point masses, which lead.
      size: bound on the sums of absolute values that it was computed from, in the same shape.
      steps: it is known up to `steps` times half the spacing of numbers near `size`, to first order in that.
    """

    values: Array
    size: Array
    steps: int


class _Walk:
    """What is known while a program is followed: its precision, and whether it is affine so far."""

    def __init__(self, num_points: int, eps: float):
        self.num_points, self.eps = num_points, eps
        self.holds: Any = True  # stays so unless it depends on values

    def require(self, condition: Array) -> None:
        self.holds = self.holds & jnp.all(condition)


def affine_in_law(function: Callable[[Array], Array], shape: tuple[int, ...], dtype: Any) -> tuple[Affine, Any]:
    """Follow a function of one law.

    Args:
      function: from a law, an array of that shape with entries ≥ 0 that sum to 1, to one array.
      shape: of the law.
      dtype: the same.

    Returns:
      The values at the point masses, and whether the function is proved to be affine: True, or a boolean array where
      that depends on values. Only then do the former say something of other laws. They may be infinite or NaN.

    Raises:
      NotAffine: if a primitive has no rule, or bends whatever the values are.
    """
    program = jax.make_jaxpr(function)(jax.ShapeDtypeStruct(shape, dtype))
    if len(program.jaxpr.outvars) != 1:
        raise NotAffine("it returns several arrays")
    size = int(np.prod(shape))
    points = jnp.eye(size, dtype=dtype).reshape(size, *shape)
    walk = _Walk(size, float(jnp.finfo(dtype).eps))
    (result,) = _follow(walk, program.jaxpr, program.consts, [Affine(points, points, 0)])
    return _lifted(walk, result), walk.holds


def _lifted(walk: _Walk, value: Any) -> Affine:
    if isinstance(value, Affine):
        return value
    values = jnp.broadcast_to(value, (walk.num_points, *jnp.shape(value)))
    return Affine(values, jnp.abs(values), 0)


def _follow(walk: _Walk, jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    def apply(equation: Any, inputs: list[Any]) -> list[Any]:
        outputs = _apply(walk, equation, inputs)
        for output in outputs:
            # whole numbers have no spacing, and no digits behind the point either
            if isinstance(output, Affine) and not jnp.issubdtype(output.values.dtype, jnp.floating):
                raise NotAffine(f"`{equation.primitive.name}` rounds to {output.values.dtype}")
        return outputs

    return evaluate(jaxpr, consts, arguments, apply)


def _apply(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Any]:
    name = equation.primitive.name
    if name in CALLS:
        return _follow(walk, *called(equation), inputs)
    if not any(isinstance(x, Affine) for x in inputs):
        return bind(equation, inputs)
    if coarse := lowered(equation, walk.eps):
        raise NotAffine(f"`{name}` rounds to {coarse}")
    if name not in _RULES:
        raise NotAffine(f"there is no rule for `{name}`")
    result = _RULES[name](walk, equation, inputs)
    return result if isinstance(result, list) else [result]


# --- primitives that are affine in all that may depend on the law, or in one such factor ------------------


def _images(equation: Any, inputs: list[Any]) -> tuple[list[Array], list[Array]]:
    """Return the outputs of a primitive at all point masses, and bounds on the sizes of their summands."""
    places = [i for i, x in enumerate(inputs) if isinstance(x, Affine)]
    is_difference = equation.primitive.name == "sub"

    def with_varied(others: list[Any], varied: Sequence[Array]) -> list[Any]:
        operands = list(others)
        for i, varied_operand in zip(places, varied, strict=True):
            operands[i] = varied_operand
        return operands

    def sizes_at(*varied: Array) -> list[Array]:
        operands = with_varied([_size(x) for x in inputs], varied)
        operands = [operands[0], -operands[1]] if is_difference else operands  # sizes add up in a difference, too
        return [jnp.abs(x) for x in bind(equation, operands)]

    values = jax.vmap(lambda *varied: bind(equation, with_varied(inputs, varied)))(*(inputs[i].values for i in places))
    return values, jax.vmap(sizes_at)(*(inputs[i].size for i in places))


def _size(constant: Any) -> Any:
    if isinstance(constant, Affine) or not jnp.issubdtype(jnp.result_type(constant), jnp.floating):
        return constant
    return jnp.abs(constant)


def _steps(inputs: list[Any]) -> list[int]:
    return [x.steps for x in inputs if isinstance(x, Affine)]


def _affine_in(*data: int, rounds: bool = True) -> Callable:
    """Return the rule of a primitive that is affine in its inputs.

    Args:
      data: numbers of the inputs in which it is; none: all. The others must not depend on the law.
      rounds: whether the primitive computes, and does not only move entries.
    """

    def rule(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Affine]:
        if any(isinstance(x, Affine) for i, x in enumerate(inputs) if data and i not in data):
            raise NotAffine(f"places or choices in `{equation.primitive.name}` depend on the law")
        values, sizes = _images(equation, inputs)
        steps = max(_steps(inputs)) + (num_terms(equation) if rounds else 0)
        return [Affine(*pair, steps) for pair in zip(values, sizes, strict=True)]

    return rule


def _product(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Affine]:
    """Return a product, which is affine if one factor is the same at all point masses, and so at all laws."""
    x, y = inputs
    if isinstance(x, Affine) and isinstance(y, Affine):  # `mul` pairs entries, `dot_general` mixes them
        if equation.primitive.name == "mul":
            walk.require(_is_constant(x) | _is_constant(y))
        else:
            walk.require(_is_constant(x).all() | _is_constant(y).all())
    values, sizes = _images(equation, inputs)
    # relative errors of factors add up, to first order
    return [Affine(values[0], sizes[0], sum(_steps(inputs)) + num_terms(equation))]


def _is_constant(x: Affine) -> Array:
    return (x.values == x.values[:1]).all(axis=0)


def _quotient(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Affine]:
    x, y = inputs
    if isinstance(y, Affine):
        walk.require(_is_constant(y))
        walk.require(y.size <= 2 * jnp.abs(y.values))  # else rounding of y could be large in proportion
    top, bottom = _two(walk, x, y)
    values = jax.vmap(lambda *ends: bind(equation, list(ends))[0])(top.values, bottom.values)
    return [Affine(values, top.size / jnp.abs(bottom.values), top.steps + 2 * bottom.steps + 1)]


# --- primitives that bend, or jump, elsewhere --------------------------------------------------------------


def _two(walk: _Walk, x: Any, y: Any) -> tuple[Affine, Affine]:
    """Return two operands in one shape: programs may pair a number with an array."""
    first, second = _lifted(walk, x), _lifted(walk, y)
    shape = jnp.broadcast_shapes(first.values.shape[1:], second.values.shape[1:])

    def spread(array: Array) -> Array:
        new_axes = (1,) * (len(shape) - array.ndim + 1)
        return jnp.broadcast_to(array.reshape(array.shape[0], *new_axes, *array.shape[1:]), (array.shape[0], *shape))

    return tuple(Affine(spread(array.values), spread(array.size), array.steps) for array in (first, second))  # pyright: ignore


def _extreme(walk: _Walk, choose: Callable, first: Any, second: Any) -> Affine:
    """Return max or min of two of which one is never below the other; continuous, so rounding does no harm."""
    x, y = _two(walk, first, second)
    walk.require((x.values >= y.values).all(axis=0) | (x.values <= y.values).all(axis=0))
    return Affine(choose(x.values, y.values), jnp.maximum(x.size, y.size), max(x.steps, y.steps))


def _max(walk: _Walk, equation: Any, inputs: list[Any]) -> Affine:
    return _extreme(walk, jnp.maximum, *inputs)


def _min(walk: _Walk, equation: Any, inputs: list[Any]) -> Affine:
    return _extreme(walk, jnp.minimum, *inputs)


def _clamp(walk: _Walk, equation: Any, inputs: list[Any]) -> Affine:
    low, x, high = inputs
    return _extreme(walk, jnp.minimum, _extreme(walk, jnp.maximum, x, low), high)


def _abs(walk: _Walk, equation: Any, inputs: list[Any]) -> Affine:
    (x,) = inputs
    walk.require((x.values >= 0).all(axis=0) | (x.values <= 0).all(axis=0))
    return Affine(jnp.abs(x.values), x.size, x.steps)


def _comparison(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Any]:
    """Return a comparison that comes out the same at all laws, by more than rounding: a constant."""
    x, y = _two(walk, *inputs)
    if equation.invars[0] is equation.invars[1]:  # asks whether it is a number
        walk.require(jnp.isfinite(x.values))
        return bind(equation, [x.values[0], y.values[0]])
    difference = x.values - y.values
    # an infinite difference is no result of rounding
    margin = jnp.where(jnp.isinf(difference), 0, (x.steps + y.steps + 2) * walk.eps * (x.size + y.size))
    walk.require((difference > margin).all(axis=0) | (difference < -margin).all(axis=0))
    return bind(equation, [x.values[0], y.values[0]])


def _is_finite(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Any]:
    (x,) = inputs
    walk.require(jnp.isfinite(x.values))
    return bind(equation, [x.values[0]])


def _power(walk: _Walk, equation: Any, inputs: list[Any]) -> Any:
    if equation.params["y"] != 1:
        raise NotAffine("it has a power of the law")
    return inputs


def _select(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Affine]:
    return _affine_in(*range(1, len(inputs)), rounds=False)(walk, equation, inputs)


def _same(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Any]:
    return list(inputs)


# --- programs in programs ----------------------------------------------------------------------------------


def _cond(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Any]:
    index, *arguments = inputs
    if isinstance(index, Affine):
        raise NotAffine("a choice depends on the law")
    branches = equation.params["branches"]
    if not isinstance(index, Tracer):  # the choice is known now: the other branches do not matter
        branch = branches[int(np.clip(index, 0, len(branches) - 1))]
        return _follow(walk, branch.jaxpr, branch.consts, arguments)
    outputs_by_branch = [_follow(walk, branch.jaxpr, branch.consts, arguments) for branch in branches]
    chosen = jnp.clip(jnp.asarray(index, jnp.int32), 0, len(branches) - 1)

    def choose(options: tuple[Any, ...]) -> Any:
        if not any(isinstance(option, Affine) for option in options):
            return jnp.stack([jnp.asarray(option) for option in options])[chosen]
        lifted = [_lifted(walk, option) for option in options]
        values, size = (jnp.stack([option[i] for option in lifted])[chosen] for i in (0, 1))  # pyright: ignore
        return Affine(values, size, max(option.steps for option in lifted))

    return [choose(options) for options in zip(*outputs_by_branch, strict=True)]


def _scan(walk: _Walk, equation: Any, inputs: list[Any]) -> list[Any]:
    params = equation.params
    length, (num_consts, num_carry) = params["length"], scan_sizes(params)
    if not 0 < length <= _MOST_STEPS:
        raise NotAffine(f"a loop has {length} steps, but only {_MOST_STEPS} are followed")
    consts, carry, slices = inputs[:num_consts], inputs[num_consts:][:num_carry], inputs[num_consts + num_carry :]
    steps = range(length)[::-1] if params["reverse"] else range(length)
    outputs: list[Any] = [None] * length

    def at(x: Any, i: int) -> Any:
        return Affine(x.values[:, i], x.size[:, i], x.steps) if isinstance(x, Affine) else x[i]  # points lead

    for i in steps:
        step_outputs = _follow(
            walk, params["jaxpr"].jaxpr, params["jaxpr"].consts, [*consts, *carry, *(at(x, i) for x in slices)]
        )
        carry, outputs[i] = step_outputs[:num_carry], step_outputs[num_carry:]

    def stacked(outputs_by_step: tuple[Any, ...]) -> Any:
        if not any(isinstance(output, Affine) for output in outputs_by_step):
            return jnp.stack(outputs_by_step)
        lifted = [_lifted(walk, output) for output in outputs_by_step]
        values, size = (jnp.stack([output[i] for output in lifted], axis=1) for i in (0, 1))  # pyright: ignore
        return Affine(values, size, max(output.steps for output in lifted))

    return [*carry, *(stacked(outputs_by_step) for outputs_by_step in zip(*outputs, strict=True))]


_RULES: dict[str, Callable] = (
    {name: _affine_in() for name in ("add", "add_any", "sub", "reduce_sum", "cumsum")}
    | {
        name: _affine_in(rounds=False)
        for name in (
            "broadcast_in_dim",
            "concatenate",
            "convert_element_type",
            "copy",
            "copy_p",
            "expand_dims",
            "neg",
            "pad",
            "reshape",
            "rev",
            "slice",
            "split",
            "squeeze",
            "stack",
            "tile",
            "transpose",
        )
    }
    | {name: _comparison for name in ("gt", "ge", "lt", "le", "eq", "ne")}
    | {name: _same for name in ("stop_gradient", "optimization_barrier", "device_put")}
    | {
        "gather": _affine_in(0, rounds=False),  # what is filled in is one more constant
        "dynamic_slice": _affine_in(0, rounds=False),
        "dynamic_update_slice": _affine_in(0, 1, rounds=False),
        "scatter": _affine_in(0, 2, rounds=False),
        "scatter-add": _affine_in(0, 2),
        "scatter_add": _affine_in(0, 2),
        "mul": _product,
        "dot_general": _product,
        "div": _quotient,
        "max": _max,
        "min": _min,
        "clamp": _clamp,
        "abs": _abs,
        "is_finite": _is_finite,
        "integer_pow": _power,
        "cond": _cond,
        "scan": _scan,
        "select_n": _select,
    }
)
"""The rules of primitives; one without a rule ends the proof."""
