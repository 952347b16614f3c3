"""How many digits the equations of a program keep, whatever the type of the numbers that they return."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.lax import DotAlgorithm, DotAlgorithmPreset, Precision

from .equations import programs_in

_COARSEST = 0.25
"""What an equation is taken to round to that may keep hardly any digits."""

_KEPT = {DotAlgorithmPreset.F32_F32_F32: jnp.float32, DotAlgorithmPreset.F64_F64_F64: jnp.float64}
"""Algorithms that compute in one type; the others round factors to fewer digits."""


class Digits(NamedTuple):
    """What an equation rounds to.

    Attributes:
      spacing: of numbers near 1; 0 if it returns none that have digits.
      name: of the type or the algorithm, as in "it rounds to …".
    """

    spacing: float
    name: str


def lowered(equation: Any, spacing: float) -> str:
    """Return what an equation rounds to if that is coarser than numbers of a spacing, such as a game's; else "".

    Programs inside an equation are not looked at.
    """
    found = _digits_of(equation)
    return found.name if found.spacing > spacing else ""


def coarsest(equation: Any) -> float:
    """Return the largest spacing of numbers near 1 to which an equation rounds, or one in the programs inside it."""
    inner = [coarsest(inside) for program in programs_in(equation) for inside in program.eqns]
    return max([_digits_of(equation).spacing, *inner])


def spacing_of(dtype: Any) -> float:
    """Return the spacing of numbers near 1, 0 for what is no float."""
    return float(jnp.finfo(dtype).eps) if jnp.issubdtype(dtype, jnp.inexact) else 0.0


def _digits_of(equation: Any) -> Digits:
    """Return the fewest digits to which an equation rounds: those of its outputs, or those that it computes with."""
    outputs = [_of_type(variable.aval.dtype) for variable in equation.outvars if hasattr(variable.aval, "dtype")]
    return max([*outputs, *_within(equation)], key=lambda digits: digits.spacing, default=Digits(0.0, "nothing"))


def _of_type(dtype: Any) -> Digits:
    return Digits(spacing_of(dtype), str(dtype))


def _within(equation: Any) -> list[Digits]:
    """Return what an equation asks to be computed with fewer digits than its outputs may have."""
    name, params = equation.primitive.name, equation.params
    found = []
    if name == "reduce_precision":
        digits = params["mantissa_bits"]
        found.append(Digits(2.0**-digits, f"{digits} bits"))
    accuracy = params.get("accuracy")  # of elementary functions
    if isinstance(accuracy, jax.lax.Tolerance):
        found.append(Digits(_COARSEST, f"what `accuracy` of `{name}` allows"))
    if "precision" in params:  # of products of matrices and convolutions
        asked = params["precision"]
        for each in asked if isinstance(asked, tuple) else (asked,):
            found += _of_product(equation, each)
    return found


def _of_product(equation: Any, precision: Any) -> list[Digits]:
    """Return what a product rounds its factors and sums to, if that is told by its precision or an algorithm."""
    if isinstance(precision, DotAlgorithmPreset) and precision != DotAlgorithmPreset.DEFAULT:
        return [Digits(spacing_of(_KEPT[precision]) if precision in _KEPT else _COARSEST, precision.name)]
    if isinstance(precision, DotAlgorithm):
        types = (precision.lhs_precision_type, precision.rhs_precision_type, precision.accumulation_type)
        return [Digits(_COARSEST if each is None else spacing_of(each), str(jnp.dtype(each))) for each in types]
    single = any(variable.aval.dtype == jnp.float32 for variable in equation.invars if hasattr(variable.aval, "dtype"))
    if single and precision != Precision.HIGHEST and _on_accelerator():
        return [Digits(2.0**-7, f'fewer digits in `{equation.primitive.name}` without `precision="highest"`')]
    return []


def _on_accelerator() -> bool:
    """Tell whether programs run where products in single precision may be computed with fewer digits by default."""
    device = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    return (jax.default_backend() if device is None else getattr(device, "platform", str(device))) != "cpu"
