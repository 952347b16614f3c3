"""Rules of the primitives that act on each entry alone: the range of their output from those of their inputs.

For those that bend there are exact rules on one interval; what is composed of them is bounded, perhaps loosely. A rule
is a function of the equation of a program and its inputs: `Range`s, or arrays that do not depend on the mean field.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array
from .intervals import Interval, excludes_zero, hull, inverse, power, product, total
from .ranges import NotDerivable, Range, bent, matched, scaled, sure, wide
from .structural import moved

# --- sums, products, quotients ------------------------------------------------------------------------


def _add(equation: Any, inputs: list[Any]) -> Range:
    x, y = matched(inputs)
    return Range(total(x.value, y.value), total(x.slope, y.slope), x.affine and y.affine)


def _sub(equation: Any, inputs: list[Any]) -> Range:
    x, y = inputs
    minus = _neg(equation, [y]) if isinstance(y, Range) else -jnp.asarray(y)
    return _add(equation, [x, minus])


def _neg(equation: Any, inputs: list[Any]) -> Range:
    (x,) = inputs
    value, slope = Interval(-x.value.high, -x.value.low), Interval(-x.slope.high, -x.slope.low)
    return Range(value, slope, x.affine)


def _mul(equation: Any, inputs: list[Any]) -> Range:
    x, y = matched(inputs)
    slope = total(product(wide(x.value), y.slope), product(wide(y.value), x.slope))
    is_multiple = not all(isinstance(value, Range) for value in inputs)  # of a constant; x · y bends if both move
    # 0 times what may be infinite is no number
    is_undefined = (_is_zero(x.value) & _is_open(y.value)) | (_is_zero(y.value) & _is_open(x.value))
    value = Interval(*(jnp.where(is_undefined, jnp.nan, end) for end in product(x.value, y.value)))
    return Range(value, slope, is_multiple and x.affine and y.affine)


def _is_zero(x: Interval) -> Array:
    return (x.low == 0) & (x.high == 0)


def _is_open(x: Interval) -> Array:
    return jnp.isinf(x.low) | jnp.isinf(x.high)


def _div(equation: Any, inputs: list[Any]) -> Range:
    x, y = inputs
    if not isinstance(y, Range):
        return _mul(equation, [x, 1 / jnp.asarray(y)])
    one_over = inverse(y.value)
    # across 0 the quotient jumps from −∞ to ∞, so that its difference quotients have both signs
    derivative = Interval(*(jnp.where(excludes_zero(y.value), end, jnp.nan) for end in scaled(power(one_over, 2), -1)))
    return _mul(equation, [x, sure(bent(y, one_over, derivative))])


# --- functions of one number, from the ranges of value and derivative ---------------------------------


def _increasing(f: Callable, derivative: Callable[[Interval], Interval]) -> Callable:
    def rule(equation: Any, inputs: list[Any]) -> Range:
        (x,) = inputs
        return bent(x, Interval(f(x.value.low), f(x.value.high)), derivative(x.value))

    return rule


def _bump(slope: Callable, peak: float) -> Callable[[Interval], Interval]:
    """Return the range of a derivative that rises to `peak` at 0 and falls beyond."""

    def derivative(x: Interval) -> Interval:
        ends = hull(slope(x.low), slope(x.high))
        return Interval(ends.low, jnp.where((x.low <= 0) & (x.high >= 0), peak, ends.high))

    return derivative


def _reciprocal_slope(shift: float) -> Callable[[Interval], Interval]:
    def derivative(x: Interval) -> Interval:
        inside = x.low + shift > 0
        steepest = jnp.where(inside, 1 / jnp.where(inside, x.low + shift, 1), jnp.inf)
        return Interval(jnp.where(x.high + shift > 0, 1 / (x.high + shift), jnp.nan), steepest)  # NaN: no claim

    return derivative


def _sqrt_slope(x: Interval) -> Interval:
    inside = x.low > 0
    steepest = jnp.where(inside, 0.5 / jnp.sqrt(jnp.where(inside, x.low, 1)), jnp.inf)
    return Interval(0.5 / jnp.sqrt(x.high), steepest)


def _sech2(x: Array) -> Array:
    return 4 * _logistic_slope(2 * x)  # unlike 1 − tanh², this has its digits where tanh rounds to 1


def _logistic_slope(x: Array) -> Array:
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


def _erf_slope(x: Array) -> Array:
    return 2 / np.sqrt(np.pi) * jnp.exp(-(x**2))


def _wave(equation: Any, inputs: list[Any]) -> Range:
    """Bound sine and cosine, and their derivatives, by -1 and 1: loose on a short interval, but right on all."""
    (x,) = inputs
    bound = jnp.ones_like(x.value.low)
    return bent(x, Interval(-bound, bound), Interval(-bound, bound))


def _abs(equation: Any, inputs: list[Any]) -> Range:
    (x,) = inputs
    ends = hull(jnp.abs(x.value.low), jnp.abs(x.value.high))
    low = jnp.where((x.value.low <= 0) & (x.value.high >= 0), 0, ends.low)
    # where one end is 0, the slope is that of the side on which the interval lies
    falls, rises = (x.value.low < 0) | (x.value.high <= 0), (x.value.high > 0) | (x.value.low >= 0)
    slope = Interval(*(jnp.asarray(end, x.value.low.dtype) for end in (1 - 2 * falls, 2 * rises - 1)))
    return bent(x, Interval(low, ends.high), slope)


def _integer_pow(equation: Any, inputs: list[Any]) -> Range:
    (x,) = inputs
    k = equation.params["y"]
    return bent(x, power(x.value, k), scaled(power(x.value, k - 1), k)) if k != 1 else x


def _square(equation: Any, inputs: list[Any]) -> Range:
    (x,) = inputs
    return bent(x, power(x.value, 2), scaled(x.value, 2))


def _pow(equation: Any, inputs: list[Any]) -> Range:
    """Bound x^c for x ≥ 0 and a known exponent; unbounded where x may be negative."""
    x, exponent = inputs
    if not isinstance(x, Range) or isinstance(exponent, Range):
        raise NotDerivable("there is no rule for a power whose exponent depends on the mean field")
    in_domain = x.value.low >= 0
    low, high = (jnp.maximum(end, 0) for end in x.value)
    value, slope = (
        hull(low**exponent, high**exponent),
        hull(exponent * low ** (exponent - 1), exponent * high ** (exponent - 1)),
    )
    ends = [jnp.where(in_domain, end, sign * jnp.inf) for end, sign in ((value.low, -1), (value.high, 1))]
    slopes = [jnp.where(in_domain, end, sign * jnp.inf) for end, sign in ((slope.low, -1), (slope.high, 1))]
    return bent(x, Interval(*ends), Interval(*slopes))


def _extreme(choose: Callable) -> Callable:
    """Return the rule of max or min: its derivative is that of either."""

    def rule(equation: Any, inputs: list[Any]) -> Range:
        x, y = matched(inputs)
        value = Interval(choose(x.value.low, y.value.low), choose(x.value.high, y.value.high))
        slope = Interval(jnp.minimum(x.slope.low, y.slope.low), jnp.maximum(x.slope.high, y.slope.high))
        return Range(value, slope, False)

    return rule


def _clamp(equation: Any, inputs: list[Any]) -> Range:
    low, x, high = inputs
    return _extreme(jnp.minimum)(equation, [_extreme(jnp.maximum)(equation, [low, x]), high])


# --- choices and conversions ------------------------------------------------------------------------------


def _same(equation: Any, inputs: list[Any]) -> list[Any]:
    return list(inputs)


def _select(equation: Any, inputs: list[Any]) -> Range:
    return moved(*range(1, len(inputs)))(equation, inputs)


ENTRYWISE: dict[str, Callable] = {
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
    "sqrt": _increasing(jnp.sqrt, _sqrt_slope),
    "exp": _increasing(jnp.exp, lambda x: Interval(jnp.exp(x.low), jnp.exp(x.high))),
    "exp2": _increasing(jnp.exp2, lambda x: Interval(np.log(2) * jnp.exp2(x.low), np.log(2) * jnp.exp2(x.high))),
    "expm1": _increasing(jnp.expm1, lambda x: Interval(jnp.exp(x.low), jnp.exp(x.high))),
    "log": _increasing(jnp.log, _reciprocal_slope(0)),
    "log1p": _increasing(jnp.log1p, _reciprocal_slope(1)),
    "tanh": _increasing(jnp.tanh, _bump(_sech2, 1.0)),
    "logistic": _increasing(jax.nn.sigmoid, _bump(_logistic_slope, 0.25)),
    "erf": _increasing(jax.scipy.special.erf, _bump(_erf_slope, 2 / np.sqrt(np.pi))),
    "sin": _wave,
    "cos": _wave,
    "select_n": _select,
    "convert_element_type": moved(),
    "copy": _same,
    "copy_p": _same,
    "stop_gradient": _same,
    "optimization_barrier": _same,
}
"""Primitives that act on each entry alone."""
