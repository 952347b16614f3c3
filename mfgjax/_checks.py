"""Checks of concrete values, in NumPy. Each raises one sentence naming the field, the place and the value."""

from collections.abc import Sequence

import jax
import numpy as np

from ._typing import Array


def is_traced(tree: object) -> bool:
    """Tell whether any leaf is a tracer, whose values cannot be looked at."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


def as_numbers(name: str, value: object, kind: str = "real numbers") -> Array:
    """Return `value` as a floating array, or say that it does not hold numbers."""
    if isinstance(value, jax.core.Tracer):
        return value.astype(jax.numpy.result_type(value.dtype, jax.numpy.float32))
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"`{name}` must hold {kind} in a rectangular array; got {_shorten(value)}."
        ) from error
    if array.dtype.kind not in "fiu" and array.dtype.name != "bfloat16":
        raise ValueError(f"`{name}` must hold {kind}; got {_shorten(value)} of kind {array.dtype}.")
    if array.dtype.kind in "iu":
        array = array.astype(float)
    return jax.numpy.asarray(value if isinstance(value, jax.Array) and array.dtype.kind == "f" else array)


def _shorten(value: object) -> str:
    text = repr(value).replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."


def shape_is(name: str, array: object, allowed: Sequence[tuple], meaning: str) -> None:
    """Refuse shapes that match none of `allowed` (None stands for any length)."""
    shape = tuple(np.shape(array))  # pyright: ignore[reportArgumentType]
    for pattern in allowed:
        if len(pattern) == len(shape) and all(
            p is None or p == n for p, n in zip(pattern, shape, strict=True)
        ):
            return
    wanted = " or ".join(str(tuple("any" if p is None else p for p in pattern)) for pattern in allowed)
    raise ValueError(f"`{name}` must have shape {wanted} ({meaning}); got {shape}.")


def _place(name: str, index: Sequence[np.integer]) -> str:
    return f"`{name}[{', '.join(str(int(i)) for i in index)}]`" if len(index) else f"`{name}`"


def all_true(name: str, array: object, good: np.ndarray, must: str) -> None:
    """Refuse `array` at the first place where `good` is false."""
    bad = np.argwhere(~good)
    if len(bad):
        value = np.asarray(array)[tuple(bad[0])]
        raise ValueError(f"{_place(name, bad[0])} is {value}, but {must}.")


def finite(name: str, array: object) -> None:
    values = np.asarray(array)
    all_true(name, values, np.isfinite(values), "it must be a finite number")


def distribution(name: str, array: object, where: np.ndarray | None = None, leading: int = 0) -> None:
    """Refuse rows (last axis, or the last two if `leading` leaves two) that are no distributions.

    Args:
      name: of the field.
      array: non-negative numbers.
      where: rows that count; all when None.
      leading: number of axes that index rows; the others are summed.
    """
    values = np.asarray(array)
    where = (
        np.ones(values.shape[:leading], bool)
        if where is None
        else np.broadcast_to(where, values.shape[:leading])
    )
    rows = where.reshape(where.shape + (1,) * (values.ndim - leading))
    all_true(name, values, np.isfinite(values) | ~rows, "it must be a finite number")
    all_true(name, values, (values >= 0) | ~rows, "a probability must not be negative")
    sums = values.sum(axis=tuple(range(leading, values.ndim)), dtype=np.float64)
    # rounding of the inputs: float32 tables of thousands of entries are off by some 1e-6
    precision = 1e-5 if values.dtype.itemsize <= 4 else 1e-8
    bad = np.argwhere((np.abs(sums - 1) > precision) & where)
    if len(bad):
        place = _place(name, bad[0])
        raise ValueError(f"{place} sums to {sums[tuple(bad[0])]:.8g}, but probabilities must sum to 1.")


def integer_at_least(name: str, value: object, least: int) -> int:
    """Return `value` as an int, or say that it is no whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"`{name}` must be a whole number of at least {least}; got {_shorten(value)}.")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}; got {value}.")
    return int(value)


def scalar_in(name: str, value: object, low: float, high: float, interval: str) -> Array:
    """Return `value` as a scalar array, refused outside `interval` (text such as "(0, 1]")."""
    array = as_numbers(name, value, "a real number")
    if array.shape != ():
        raise ValueError(f"`{name}` must be one number; got an array of shape {array.shape}.")
    if not is_traced(array):
        number = float(array)
        inside = (low < number if interval[0] == "(" else low <= number) and (
            number < high if interval[-1] == ")" else number <= high
        )
        if not inside:  # also for NaN
            raise ValueError(f"`{name}` is {number}, but it must lie in {interval}.")
    return array


def one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}; got {value!r}.")


def tolerance(atol: object) -> float | None:
    """Return a solver's `atol`, refused unless it is None or a number ≥ 0."""
    if atol is None:
        return None
    return float(scalar_in("atol", atol, 0, float("inf"), "[0, inf)"))
