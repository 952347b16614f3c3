"""Checks of concrete values, in NumPy. Each raises one sentence naming the field, the place and the value."""

import operator
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from types import UnionType
from typing import Any, NoReturn

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from ._explained import Refusal as Refusal
from ._explained import explained as explained
from ._modes import in_own_modes
from ._names import suggestion
from ._plain import Axis, plain
from ._shorten import is_traced as is_traced
from ._shorten import place, shorten_text
from ._shorten import shorten as shorten
from ._typing import Array


@in_own_modes
def as_numbers(
    name: str, value: object, kind: str = "real numbers", axes: Sequence[Axis] = (), or_function: bool = False
) -> Any:
    """Return `value` as a floating array; refuse it, naming the place, where it does not hold numbers.

    Concrete values stay NumPy arrays: nothing is compiled, and `jit` does not trace them. Tables with labels are
    aligned with those of `axes`, the last ones of the field. `or_function` is for messages: a function would have
    done as well, but the value is none.
    """
    value = plain(name, value, axes)
    try:
        array = value if isinstance(value, Tracer) else native(np.asarray(value))
    except jax.errors.TracerArrayConversionError:  # a list that holds traced numbers
        array = _stack(name, value, kind)
    except Exception as error:  # objects that turn themselves into arrays may raise anything
        message = f"`{name}` {_must(kind)} (in a rectangular array); got {shorten(value)}."
        raise ValueError(message) from error
    if array.dtype == object and all(type(entry) in (int, float) for entry in np.ravel(array)):
        array = plain(name, array)  # whole numbers of more than 64 bits, which only Python has
    if not (jax.numpy.issubdtype(array.dtype, np.floating) or array.dtype.kind in "iu"):
        if isinstance(value, Mapping):
            refuse_mapping(name, value, kind, axes)
        if or_function and array.dtype == object and not array.shape:
            _refuse_neither(name, value)
        _refuse_kind(name, value, array, kind)
    if isinstance(array, Tracer):
        return array.astype(jax.numpy.result_type(array.dtype, np.float32))
    if array.dtype.kind in "iu" or array.dtype.itemsize > 8:  # JAX has no long double
        array = array.astype(float)
    # a weakly typed array would take the precision of whatever it meets
    if isinstance(value, jax.Array) and array.dtype == value.dtype and not value.weak_type:
        return value
    return cast_to(jax.dtypes.canonicalize_dtype(array.dtype), name, array)


def cast_to(dtype: Any, name: str, array: Any) -> Any:
    """Return an array in a precision; refuse a finite number that is too large for it."""
    with np.errstate(over="ignore"):
        cast = array.astype(dtype)
    if isinstance(array, np.ndarray):
        all_true(name, array, np.isfinite(cast) | ~np.isfinite(array), f"{np.dtype(dtype)} holds no number as large")
    return cast


def native(leaf: Any) -> Any:
    """Return an array of NumPy in the byte order of the machine, and anything else as it is.

    JAX knows no other order, but files have it (netCDF-3, FITS).
    """
    if isinstance(leaf, np.ndarray) and not leaf.dtype.isnative:
        return leaf.astype(leaf.dtype.newbyteorder("="))
    return leaf


def on_device(leaf: Any, dtype: Any) -> Any:
    """Return a leaf of a tree as a JAX array, floating numbers in the given precision; leave other leaves alone.

    Arrays of NumPy are copied: a user may change them later.
    """
    if isinstance(leaf, float | np.floating):
        leaf = np.asarray(leaf, dtype)
    if eqx.is_inexact_array(leaf) and leaf.dtype != dtype:
        with np.errstate(over="ignore"):  # found as inf where it matters
            leaf = leaf.astype(dtype)
    if not isinstance(leaf, np.ndarray):
        return leaf
    with jax.ensure_compile_time_eval():  # known inside `jit`, too
        return jax.numpy.array(leaf)  # `device_put` would share memory that happens to be aligned


def _must(kind: str) -> str:
    return f"must {'be' if kind.startswith('a ') else 'hold'} {kind}"


def _stack(name: str, value: object, kind: str) -> Array:
    try:
        return jax.numpy.asarray(value)
    except (ValueError, TypeError) as error:
        message = f"`{name}` {_must(kind)} (in a rectangular array); got {shorten(value)}."
        raise ValueError(message) from error


def refuse_mapping(name: str, value: object, kind: str, axes: Sequence[Axis]) -> NoReturn:
    """Refuse a dict, and say which table has labels where a field with these axes may have some."""
    own = [axis for axis in axes if axis.word != "time"]  # times need not be there, but laws alone are no table
    tables = {1: "a `pandas.Series`", 2: "a `pandas.DataFrame`", 3: "an `xarray.DataArray`"}
    table = tables.get(max(len(own), min(len(axes), 2)))
    where = f", in an array or {table} with labels" if table else ""
    if table and all(axis.labels is None and not axis.numbered for axis in own):  # labels would be refused, too
        where = f", in an array in the order of {' and '.join(f'{axis.word}s' for axis in own)}"
    got = f"the {type(value).__name__} {shorten(value)}" if where else shorten(value)
    raise ValueError(f"`{name}` {_must(kind)}{where}; got {got}.")


def _refuse_neither(name: str, value: object) -> NoReturn:
    # what Python itself offers, such as None, is not a function that was forgotten to be one
    lacks = "" if type(value).__module__ == "builtins" else ", which has no `__call__`"
    raise ValueError(f"`{name}` must be an array or a function; got {shorten(value)}{lacks}.")


def _refuse_kind(name: str, value: object, array: Any, kind: str) -> NoReturn:
    if isinstance(array, Tracer):
        raise ValueError(f"`{name}` {_must(kind)}; got an array of dtype {array.dtype} that JAX traces.")
    # NumPy makes texts of all entries if one is a text, so the originals are looked at
    if array.dtype.kind in "OUS" and array.shape:
        entries = np.asarray(value, dtype=object)
        for index in np.ndindex(entries.shape):
            entry = entries[index]
            if isinstance(entry, bool | np.bool_) or not isinstance(entry, Real):
                raise ValueError(f"{place(name, index)} is {shorten(entry)}, but it must be a real number.")
    of_kind = f" of dtype {shorten_text(str(array.dtype))}" if array.dtype.kind in "bcmMV" and array.shape else ""
    # an equilibrium in the place of its policy, a file in the place of its reference
    hint = f" Did you mean its `.{name}`?" if name.isidentifier() and hasattr(value, name) else ""
    raise ValueError(f"`{name}` {_must(kind)}; got {shorten(value)}{of_kind}.{hint}")


def shape_is(name: str, array: Any, allowed: Sequence[tuple], meaning: str) -> None:
    """Refuse shapes that match none of `allowed` (None or a letter stands for any length but 0)."""
    shape = tuple(np.shape(array))
    if fits(shape, allowed):
        return
    wanted = " or ".join(map(_shape_text, dict.fromkeys(allowed)))
    hint = ""
    if len(shape) == 1 and (*shape, 1) in allowed:  # a reward of the states alone
        hint = ": if it does not depend on the action, append `[:, None]`"
    raise ValueError(f"`{name}` must have shape {wanted} ({meaning}); got {shape}{hint}.")


def _shape_text(pattern: tuple) -> str:
    if pattern and all(isinstance(length, str) for length in pattern):
        return f"[{', '.join(pattern)}]"
    return str(pattern).replace("None", "any")


def fits(shape: tuple[int, ...], allowed: Sequence[tuple]) -> bool:
    """Tell whether a shape matches one of `allowed` (None or a letter stands for any length but 0)."""
    return any(
        len(pattern) == len(shape)
        and all(n > 0 if p is None or isinstance(p, str) else p == n for p, n in zip(pattern, shape, strict=True))
        for pattern in allowed
    )


def shape_at_times(name: str, table: Any, at_one_time: Sequence[tuple], num_times: int, meaning: str) -> None:
    """Refuse a table whose shape, perhaps with an axis of times (or one for all) first, is none of `at_one_time`."""
    shape = tuple(np.shape(table))
    if shape[:1] == (1,) and fits(shape[1:], at_one_time):
        return
    if num_times > 1 and shape[:1] == (num_times - 1,) and fits(shape[1:], at_one_time):
        raise ValueError(
            f"`{name}` has shape {shape}, that is {shape[0]} times, but with horizon = {shape[0]} it needs {num_times} "
            f"times, from 0 to {shape[0]}."
        )
    over_time = [(num_times, *one) for one in at_one_time]
    shape_is(name, table, [*at_one_time, *over_time], f"{meaning}; or times first")


def all_true(name: str, array: object, good: np.ndarray | np.bool_, must: str, when: str = "") -> None:
    """Refuse `array` at the first place where `good` is false; `when` follows the place in the message."""
    if good.all():
        return
    first = np.unravel_index(np.argmin(good), good.shape)
    raise ValueError(f"{place(name, first)}{when} is {np.asarray(array)[first]}, but {must}.")


def finite(name: str, array: object) -> None:
    values = np.asarray(array)
    all_true(name, values, np.isfinite(values), "it must be a finite number")


def distribution(
    name: str,
    array: object,
    where: np.ndarray | None = None,
    leading: int = 0,
    when: str = "",
    slack: float = 0.0,
) -> None:
    """Refuse rows (last axis, or the last two if `leading` leaves two) that are not probability distributions.

    Args:
      name: of the field.
      array: non-negative numbers.
      where: rows that count; all when None. Also elsewhere numbers are finite: 0 · NaN would spread.
      leading: number of axes that index rows; the others are summed.
      when: what follows the place in the sentence.
      slack: by how much sums may differ from 1 at least.
    """
    values = np.asarray(array)
    where = np.ones(values.shape[:leading], bool) if where is None else np.broadcast_to(where, values.shape[:leading])
    rows = where.reshape(where.shape + (1,) * (values.ndim - leading))
    all_true(name, values, np.isfinite(values), "it must be a finite number", when)
    all_true(name, values, (values >= 0) | ~rows, "a probability must not be negative", when)
    # the rounding of the table is judged, not that of its sum
    sums = values.sum(axis=tuple(range(leading, values.ndim)), dtype=np.float64)
    for bad in np.argwhere((np.abs(sums - 1) > max(precision(values.dtype), slack)) & where):
        total = sums[tuple(bad)]
        raise ValueError(f"{place(name, bad)}{when} sums to {total:.10g}, but probabilities must sum to 1.")


def precision(kind: Any) -> float:
    """Return by how much a sum of probabilities of a dtype may differ from 1.

    Sums over thousands of float32 entries are off by some 1e-6.
    """
    size = np.dtype(kind).itemsize if jax.config.jax_enable_x64 else min(np.dtype(kind).itemsize, 4)  # pyright: ignore
    return {1: 0.2, 2: 1e-2, 4: 1e-5}.get(size, 1e-8)


def random_key(name: str, key: object, why: str = "") -> Array:
    """Return `key` if it is a key of JAX; else refuse it and say why one is needed."""
    shape, kind = getattr(key, "shape", None), getattr(key, "dtype", np.dtype(object))
    typed = shape == () and jax.numpy.issubdtype(kind, jax.dtypes.prng_key)
    # keys of the older kind are the words themselves: two of threefry, four of rbg
    if not typed and not (shape in ((2,), (4,)) and kind == np.uint32):
        raise ValueError(f"`{name}` must be a random key such as `jax.random.key(0)`{why}; got {shorten(key)}.")
    return key  # pyright: ignore[reportReturnType]


def integer_at_least(name: str, value: object, least: int) -> int:
    """Return `value` as an int; refuse what is not a whole number of at least `least`."""
    if isinstance(value, Tracer):
        raise ValueError(
            f"`{name}` is traced by JAX (it depends on an argument of a function inside `jax.jit`, `jax.grad` or "
            "`jax.vmap`, which has no value yet), but it must be a fixed number."
        )
    try:
        # `index` takes whole numbers of NumPy and JAX, but no float
        number = None if isinstance(value, bool) else operator.index(value)  # pyright: ignore[reportArgumentType]
    except TypeError:
        number = None
    if number is None:
        raise ValueError(f"`{name}` must be a whole number of at least {least}; got {shorten(value)}.")
    if number < least:
        raise ValueError(f"`{name}` must be at least {least}; got {number}.")
    return number


def scalar_in(name: str, value: object, low: float, high: float, interval: str) -> Array:
    """Return `value` as a scalar array, refused outside `interval` (text such as "(0, 1]")."""
    array = as_numbers(name, value, "a real number")
    if array.shape != ():
        raise ValueError(f"`{name}` must be one number; got an array of shape {array.shape}.")
    if not is_traced(array) and not inside(float(array), low, high, interval):  # also for NaN
        raise ValueError(f"`{name}` is {np.asarray(array)}, but it must lie in {interval}.")
    return array


def inside(values: Any, low: float, high: float, interval: str) -> Any:
    """Tell which values lie in an interval that is written as text, such as "(0, 1]"."""
    above = values > low if interval[0] == "(" else values >= low
    below = values < high if interval[-1] == ")" else values <= high
    return above & below


def number_in(name: str, value: object, low: float, high: float, interval: str) -> float:
    """Return `value` as a Python number, refused outside `interval`, or if it is traced."""
    array = scalar_in(name, value, low, high, interval)
    if is_traced(array):
        raise ValueError(
            f"`{name}` is traced by JAX (it depends on an argument of a function inside `jax.jit`, `jax.grad` or "
            "`jax.vmap`, which has no value yet), but it must be a fixed number."
        )
    return float(np.asarray(value, dtype=np.float64))  # not by way of single precision


def file_path(name: str, value: object) -> Path:
    """Return `value` as the path of a file or folder; refuse anything else."""
    # a path may be bytes to Python, but not to `Path`
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise ValueError(f"`{name}` must be the path of a file; got {shorten(value)}.")
    return Path(value)


def path_to_write(name: str, value: object, *endings: str) -> Path:
    """Return `value` as the path of a file to be written; refuse other endings, a folder, and a file in no folder."""
    path = file_path(name, value)
    if path.is_dir():
        raise IsADirectoryError(f"`{name}` is {path}, but that is a folder: give the path of a file.")
    if path.suffix.lower() not in endings:
        raise ValueError(f"`{name}` is {path}, but such a file ends in {' or '.join(endings)}.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"`{name}` is {path}, but there is no folder {path.parent}.")
    return path


def made_by(source: str, kind: type | UnionType, name: str, value: object) -> None:
    """Refuse a value that is not of the class of what a function returns; `source` names the function."""
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` must be what `{source}` returns; got {shorten(value)}.")


def by_name(source: str, kind: type | UnionType, name: str, value: object) -> dict[str, Any]:
    """Return what a function returned by the names to print, a single result by the empty name; refuse all else."""
    if isinstance(value, kind):
        return {"": value}
    if not isinstance(value, Mapping):
        raise ValueError(f"`{name}` must be what `{source}` returns, or map names to that; got {shorten(value)}.")
    for key, one in value.items():
        made_by(source, kind, f"{name}[{key!r}]", one)
    return dict(value)


def one_of(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse a value that is not one of the words (or None) in `allowed`."""
    # arrays have no single truth value when they are compared
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in allowed):
        hint = suggestion(value, (one for one in allowed if one is not None)) if isinstance(value, str) else ""
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, allowed))}; got {shorten(value)}{hint}.")


def boolean(name: str, value: object) -> bool:
    """Return `value` as a bool; refuse anything else."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"`{name}` must be True or False; got {shorten(value)}.")
    return bool(value)


def tolerance(atol: object) -> float | None:
    """Return a solver's `atol`, refused unless it is None or a number ≥ 0."""
    return None if atol is None else number_in("atol", atol, 0, float("inf"), "[0, inf)")


def policy_can_be_solved(name: str, game: Any) -> None:
    """Refuse a game whose policy has more numbers than can be counted in 32 bits."""
    size = (game.horizon + 1) * game.num_states * game.num_actions
    if size >= 2**31:  # beyond it the compiler aborts the process
        times = f"{game.horizon + 1:,} times, " if game.times else ""
        raise ValueError(
            f"{name} has {times}{game.num_states:,} states and {game.num_actions:,} actions: a policy of {size:,} "
            "numbers, which is more than can be solved."
        )
