"""What a function of the mean field can be, and how fast it can change: bounds read off its program.

The function is traced to a jaxpr, which is evaluated on intervals: every number carries the range of its values
and, for each coordinate of the input, the range of its derivative. For primitives that bend there are exact rules
on one interval; what is composed of them is bounded, perhaps loosely. A primitive without a rule, or a choice
that depends on the input (`jnp.where(x > 0, ...)`, which may jump), raises `NotDerivable`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array
from .intervals import Interval, hull, inverse, point, power, product, total


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
        seed = jnp.ones((1, *shape), box.low.dtype)
    else:
        size = int(np.prod(shape))
        seed = jnp.eye(size, dtype=box.low.dtype).reshape(size, *shape)
    start = Range(box, point(seed), True)
    rules = _ENTRYWISE if entrywise else _ENTRYWISE | _STRUCTURAL
    (result,) = _evaluate(jaxpr.jaxpr, jaxpr.consts, [start], rules)
    result = result if isinstance(result, Range) else _constant(result, seed.shape[0])
    return Range(_unbounded(result.value), _unbounded(result.slope), result.affine)


def _unbounded(x: Interval) -> Interval:
    """Return an interval in which what is not a number (∞ − ∞, say) is anything."""
    return Interval(jnp.where(jnp.isnan(x.low), -jnp.inf, x.low), jnp.where(jnp.isnan(x.high), jnp.inf, x.high))


def ignores(function: Callable[[Array], Array], box: Interval) -> bool:
    """Tell whether the program of a function does not use its input at all."""
    jaxpr = jax.make_jaxpr(function)(jax.ShapeDtypeStruct(jnp.shape(box.low), box.low.dtype))
    used = set(jaxpr.jaxpr.invars)
    for equation in jaxpr.jaxpr.eqns:
        if any(not hasattr(atom, "val") and atom in used for atom in equation.invars):
            used.update(equation.outvars)
    return not any(not hasattr(atom, "val") and atom in used for atom in jaxpr.jaxpr.outvars)


def _evaluate(jaxpr: Any, consts: Sequence[Any], arguments: Sequence[Any], rules: dict[str, Callable]) -> list[Any]:
    known: dict[Any, Any] = {}

    def read(atom: Any) -> Any:
        return atom.val if hasattr(atom, "val") else known[atom]

    known.update(zip(jaxpr.constvars, consts, strict=True))
    known.update(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        outputs = _apply(equation, inputs, rules)
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


_CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2")
"""Primitives that evaluate a program of their own."""


def _apply(equation: Any, inputs: list[Any], rules: dict[str, Callable]) -> list[Any]:
    name, params = equation.primitive.name, equation.params
    if name in _CALLS:
        inner: Any = params.get("call_jaxpr", params.get("jaxpr"))
        program, consts = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())
        return _evaluate(program, consts, inputs, rules)
    if not any(isinstance(x, Range) for x in inputs):
        return _bind(equation, inputs)
    if name == "mul" and equation.invars[0] is equation.invars[1]:
        return [_bent(inputs[0], power(inputs[0].value, 2), _scaled(inputs[0].value, 2))]
    if name not in rules:
        raise NotDerivable(f"there is no rule for `{name}`")
    if name == "select_n" and isinstance(inputs[0], Range):
        raise NotDerivable("it chooses between values by the mean field, which may be a jump")
    result = rules[name](equation, inputs)
    return result if isinstance(result, list) else [result]


def _bind(equation: Any, inputs: Sequence[Any]) -> list[Any]:
    result = equation.primitive.bind(*inputs, **equation.params)
    return list(result) if equation.primitive.multiple_results else [result]


def _constant(value: Any, num_coordinates: int) -> Range:
    value = jnp.asarray(value)
    return Range(point(value), point(jnp.zeros((num_coordinates, *value.shape), value.dtype)), True)


def _lift(value: Any, like: Sequence[Any]) -> Range:
    """Return a number that does not depend on the input as one that might."""
    if isinstance(value, Range):
        return value
    return _constant(value, next(x for x in like if isinstance(x, Range)).slope.low.shape[0])


def _scaled(x: Interval, factor: Array | float) -> Interval:
    return hull(factor * x.low, factor * x.high)


# --- sums, products, quotients ------------------------------------------------------------------------


def _add(equation: Any, inputs: list[Any]) -> Range:
    x, y = _matched(inputs)
    return Range(total(x.value, y.value), total(x.slope, y.slope), x.affine and y.affine)


def _sub(equation: Any, inputs: list[Any]) -> Range:
    x, y = inputs
    minus = _neg(equation, [y]) if isinstance(y, Range) else -jnp.asarray(y)
    return _add(equation, [x, minus])


def _matched(inputs: list[Any]) -> tuple[Range, Range]:
    """Return two operands in one shape: programs may pair a number with an array."""
    x, y = (_lift(value, inputs) for value in inputs)
    shape = jnp.broadcast_shapes(x.value.low.shape, y.value.low.shape)
    return _in_shape(x, shape), _in_shape(y, shape)


def _in_shape(x: Range, shape: tuple[int, ...]) -> Range:
    if x.value.low.shape == shape:
        return x
    new = (1,) * (len(shape) - x.value.low.ndim)

    def spread(slope: Array) -> Array:
        return jnp.broadcast_to(slope.reshape(slope.shape[0], *new, *slope.shape[1:]), (slope.shape[0], *shape))

    value = Interval(*(jnp.broadcast_to(end, shape) for end in x.value))
    return Range(value, Interval(*map(spread, x.slope)), x.affine)


def _neg(equation: Any, inputs: list[Any]) -> Range:
    (x,) = inputs
    value, slope = Interval(-x.value.high, -x.value.low), Interval(-x.slope.high, -x.slope.low)
    return Range(value, slope, x.affine)


def _mul(equation: Any, inputs: list[Any]) -> Range:
    x, y = _matched(inputs)
    slope = total(product(_wide(x.value), y.slope), product(_wide(y.value), x.slope))
    constant = not all(isinstance(value, Range) for value in inputs)
    return Range(product(x.value, y.value), slope, constant and x.affine and y.affine)


def _wide(value: Interval) -> Interval:
    """Return an interval with an axis for the coordinates in front."""
    return Interval(value.low[None], value.high[None])


def _div(equation: Any, inputs: list[Any]) -> Range:
    x, y = inputs
    if not isinstance(y, Range):
        return _mul(equation, [x, 1 / jnp.asarray(y)])
    one_over = inverse(y.value)
    return _mul(equation, [x, _bent(y, one_over, _scaled(power(one_over, 2), -1))])


def _bent(x: Range, value: Interval, derivative: Interval) -> Range:
    """Return f(x) from the ranges of f and f'."""
    return Range(value, product(_wide(derivative), x.slope), False)


def _dot_general(equation: Any, inputs: list[Any]) -> Range:
    x, y = inputs

    def dot(a: Array, b: Array) -> Array:
        return _bind(equation, [a, b])[0]

    if isinstance(x, Range) and isinstance(y, Range):
        # x y with x = m ± r: |xy − m m'| ≤ |m| r' + r |m'| + r r'
        value = _around(dot, x.value, y.value)
        each = jax.vmap(lambda a, b: tuple(_around(dot, Interval(*a), Interval(*b))), in_axes=(None, 0))
        other = jax.vmap(lambda a, b: tuple(_around(dot, Interval(*a), Interval(*b))), in_axes=(0, None))
        slope = total(Interval(*each(tuple(x.value), tuple(y.slope))), Interval(*other(tuple(x.slope), tuple(y.value))))
        return Range(value, slope, False)
    if isinstance(x, Range):
        return _linear(lambda a: dot(a, jnp.maximum(y, 0)), lambda a: dot(a, jnp.minimum(y, 0)), x)
    return _linear(lambda a: dot(jnp.maximum(x, 0), a), lambda a: dot(jnp.minimum(x, 0), a), y)


def _around(dot: Callable, x: Interval, y: Interval) -> Interval:
    (m, r), (n, s) = (((v.low + v.high) / 2, (v.high - v.low) / 2) for v in (x, y))
    centre, radius = dot(m, n), dot(jnp.abs(m), s) + dot(r, jnp.abs(n)) + dot(r, s)
    return Interval(centre - radius, centre + radius)


def _linear(up: Callable, down: Callable, x: Range) -> Range:
    """Return a linear map of x, split into its parts with positive and with negative coefficients."""

    def image(v: Interval) -> Interval:
        return Interval(up(v.low) + down(v.high), up(v.high) + down(v.low))

    slope = jax.vmap(lambda low, high: tuple(image(Interval(low, high))))(*x.slope)
    return Range(image(x.value), Interval(*slope), x.affine)


# --- functions of one number, from the ranges of value and derivative ---------------------------------


def _increasing(f: Callable, derivative: Callable[[Interval], Interval]) -> Callable:
    def rule(equation: Any, inputs: list[Any]) -> Range:
        (x,) = inputs
        return _bent(x, Interval(f(x.value.low), f(x.value.high)), derivative(x.value))

    return rule


def _bump(slope: Callable, most: float) -> Callable[[Interval], Interval]:
    """Return the range of a derivative that rises to `most` at 0 and falls beyond."""

    def derivative(x: Interval) -> Interval:
        ends = hull(slope(x.low), slope(x.high))
        return Interval(ends.low, jnp.where((x.low <= 0) & (x.high >= 0), most, ends.high))

    return derivative


def _reciprocal_slope(shift: float) -> Callable[[Interval], Interval]:
    def derivative(x: Interval) -> Interval:
        inside = x.low + shift > 0
        return Interval(jnp.where(inside, 1 / (x.high + shift), 0), jnp.where(inside, 1 / (x.low + shift), jnp.inf))

    return derivative


def _sqrt_slope(x: Interval) -> Interval:
    inside = x.low > 0
    return Interval(0.5 / jnp.sqrt(x.high), jnp.where(inside, 0.5 / jnp.sqrt(jnp.where(inside, x.low, 1)), jnp.inf))


def _sech2(x: Array) -> Array:
    return 1 - jnp.tanh(x) ** 2


def _logistic_slope(x: Array) -> Array:
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


def _erf_slope(x: Array) -> Array:
    return 2 / np.sqrt(np.pi) * jnp.exp(-(x**2))


def _log(shift: float) -> Callable:
    def logarithm(x: Array) -> Array:
        return jnp.where(x + shift > 0, jnp.log(jnp.where(x + shift > 0, x + shift, 1)), -jnp.inf)

    return logarithm


def _root(x: Array) -> Array:
    return jnp.where(x >= 0, jnp.sqrt(jnp.maximum(x, 0)), -jnp.inf)


def _wave(equation: Any, inputs: list[Any]) -> Range:
    """Sine and cosine: between -1 and 1, and so is the derivative."""
    (x,) = inputs
    one = jnp.ones_like(x.value.low)
    return _bent(x, Interval(-one, one), Interval(-one, one))


def _abs(equation: Any, inputs: list[Any]) -> Range:
    (x,) = inputs
    ends = hull(jnp.abs(x.value.low), jnp.abs(x.value.high))
    low = jnp.where((x.value.low <= 0) & (x.value.high >= 0), 0, ends.low)
    slope = Interval(jnp.where(x.value.low < 0, -1.0, 1.0), jnp.where(x.value.high > 0, 1.0, -1.0))
    return _bent(x, Interval(low, ends.high), slope)


def _integer_pow(equation: Any, inputs: list[Any]) -> Range:
    (x,) = inputs
    k = equation.params["y"]
    return _bent(x, power(x.value, k), _scaled(power(x.value, k - 1), k)) if k != 1 else x


def _square(equation: Any, inputs: list[Any]) -> Range:
    (x,) = inputs
    return _bent(x, power(x.value, 2), _scaled(x.value, 2))


def _pow(equation: Any, inputs: list[Any]) -> Range:
    """x^c for x ≥ 0 and a known exponent; unbounded where x may be negative."""
    x, exponent = inputs
    if not isinstance(x, Range) or isinstance(exponent, Range):
        raise NotDerivable("there is no rule for a power whose exponent depends on the mean field")
    good = x.value.low >= 0
    low, high = (jnp.maximum(end, 0) for end in x.value)
    value, slope = (
        hull(low**exponent, high**exponent),
        hull(exponent * low ** (exponent - 1), exponent * high ** (exponent - 1)),
    )
    ends = [jnp.where(good, end, sign * jnp.inf) for end, sign in ((value.low, -1), (value.high, 1))]
    slopes = [jnp.where(good, end, sign * jnp.inf) for end, sign in ((slope.low, -1), (slope.high, 1))]
    return _bent(x, Interval(*ends), Interval(*slopes))


def _extreme(choose: Callable) -> Callable:
    """Return the rule of max or min: its derivative is that of either."""

    def rule(equation: Any, inputs: list[Any]) -> Range:
        x, y = _matched(inputs)
        value = Interval(choose(x.value.low, y.value.low), choose(x.value.high, y.value.high))
        slope = Interval(jnp.minimum(x.slope.low, y.slope.low), jnp.maximum(x.slope.high, y.slope.high))
        return Range(value, slope, False)

    return rule


def _clamp(equation: Any, inputs: list[Any]) -> Range:
    low, x, high = inputs
    return _extreme(jnp.minimum)(equation, [_extreme(jnp.maximum)(equation, [low, x]), high])


def _reduce_extreme(reduce: Callable) -> Callable:
    def rule(equation: Any, inputs: list[Any]) -> Range:
        (x,) = inputs
        axes = tuple(equation.params["axes"])
        behind = tuple(axis + 1 for axis in axes)
        value = Interval(reduce(x.value.low, axis=axes), reduce(x.value.high, axis=axes))
        return Range(value, Interval(x.slope.low.min(axis=behind), x.slope.high.max(axis=behind)), False)

    return rule


def _same(equation: Any, inputs: list[Any]) -> list[Any]:
    return list(inputs)


# --- moves of entries, and sums of them: linear with coefficients ≥ 0 ---------------------------------


def _moved(*data: int) -> Callable:
    """Return the rule of a primitive that moves or adds up entries; `data` are the inputs that hold them, () all."""

    def rule(equation: Any, inputs: list[Any]) -> Range:
        places = data or tuple(range(len(inputs)))
        if any(isinstance(x, Range) for i, x in enumerate(inputs) if i not in places):
            raise NotDerivable(f"places in `{equation.primitive.name}` depend on the mean field")
        parts = [_lift(inputs[i], inputs) for i in places]

        def image(*values: Array) -> Array:
            full = list(inputs)
            for i, value in zip(places, values, strict=True):
                full[i] = value
            return _bind(equation, full)[0]

        ends = [image(*(part.value[end] for part in parts)) for end in (0, 1)]
        slopes = [jax.vmap(image)(*(part.slope[end] for part in parts)) for end in (0, 1)]
        return Range(Interval(*ends), Interval(*slopes), all(part.affine for part in parts))

    return rule


def _select(equation: Any, inputs: list[Any]) -> Range:
    return _moved(*range(1, len(inputs)))(equation, inputs)


def _converted(equation: Any, inputs: list[Any]) -> Range:
    kind = equation.params["new_dtype"]
    if not jnp.issubdtype(kind, jnp.floating) or jnp.dtype(kind).itemsize < 4:
        raise NotDerivable(f"it rounds the mean field, to {kind}")
    return _moved()(equation, inputs)


_ENTRYWISE: dict[str, Callable] = {
    "add": _add,
    "add_any": _add,
    "sub": _sub,
    "neg": _neg,
    "mul": _mul,
    "div": _div,
    "max": _extreme(jnp.maximum),
    "min": _extreme(jnp.minimum),
    "clamp": _clamp,
    "abs": _abs,
    "square": _square,
    "integer_pow": _integer_pow,
    "pow": _pow,
    "sqrt": _increasing(_root, _sqrt_slope),
    "exp": _increasing(jnp.exp, lambda x: Interval(jnp.exp(x.low), jnp.exp(x.high))),
    "exp2": _increasing(jnp.exp2, lambda x: Interval(np.log(2) * jnp.exp2(x.low), np.log(2) * jnp.exp2(x.high))),
    "expm1": _increasing(jnp.expm1, lambda x: Interval(jnp.exp(x.low), jnp.exp(x.high))),
    "log": _increasing(_log(0), _reciprocal_slope(0)),
    "log1p": _increasing(_log(1), _reciprocal_slope(1)),
    "tanh": _increasing(jnp.tanh, _bump(_sech2, 1.0)),
    "logistic": _increasing(jax.nn.sigmoid, _bump(_logistic_slope, 0.25)),
    "erf": _increasing(jax.scipy.special.erf, _bump(_erf_slope, 2 / np.sqrt(np.pi))),
    "sin": _wave,
    "cos": _wave,
    "select_n": _select,
    "convert_element_type": _converted,
    "copy": _same,
    "copy_p": _same,
    "stop_gradient": _same,
    "optimization_barrier": _same,
}
"""Primitives that act on each entry alone."""

_STRUCTURAL: dict[str, Callable] = {
    "dot_general": _dot_general,
    "reduce_max": _reduce_extreme(jnp.max),
    "reduce_min": _reduce_extreme(jnp.min),
    "gather": _moved(0),
    "dynamic_slice": _moved(0),
    "dynamic_update_slice": _moved(0, 1),
    "scatter": _moved(0, 2),
    "scatter-add": _moved(0, 2),
    "scatter_add": _moved(0, 2),
} | {
    name: _moved()
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
