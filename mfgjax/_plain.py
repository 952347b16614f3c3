"""Plain arrays of numbers made of labelled tables, exact numbers, and lists of them; what cannot be read is refused."""

from collections import deque
from collections.abc import Mapping, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np
from jax.core import Tracer

from ._names import suggestion
from ._shorten import place, shorten


class Axis(NamedTuple):
    """An axis of a field.

    Attributes:
      word: "time", "state", "action", "next_state" or "successor"; axes of xarray have these names.
      labels: in order, strings or numbers; None: not known, so that labels can only be the numbers 0, 1, ... in order.
      numbered: whether labels are these numbers, in any order.
    """

    word: str
    labels: Sequence[str | int] | None = None
    numbered: bool = False


_TIME = Axis("time", numbered=True)
_WORDS = ("time", "state", "action", "next_state")  # in the order of the axes of a kernel


def plain(name: str, value: Any, axes: Sequence[Axis] = (), index: tuple[int, ...] = (), booleans: bool = False) -> Any:
    """Return a value in a form that NumPy reads as it is meant.

    Tables of pandas and xarray, also those in lists, are aligned by their labels; those numbered by default are taken
    by position.

    Args:
      name: of the field.
      value: what was given.
      axes: of the field; the first may be that of the times, which it need not have. What has fewer is not aligned, as
        its shape will be refused.
      index: where `value` stands in the field.
      booleans: whether the field holds these, not numbers.

    Raises:
      ValueError: for labels that disagree, masked entries, sparse matrices, and numbers that are none in a list.
    """
    if isinstance(value, np.ma.MaskedArray):  # first, as it is an ndarray, too, and `asarray` drops its mask
        return _unmasked(name, value, index, booleans)
    if isinstance(value, np.ndarray):
        return _exact(name, value, index, booleans)
    if isinstance(value, list | tuple | deque):
        return _listed(name, value, axes, index, booleans)
    if isinstance(value, Tracer | jax.Array):
        return value
    if isinstance(value, Mapping) and len(axes) == 1 and axes[0].labels is not None and not index:
        return _from_labels(name, value, axes[0].word, list(map(str, axes[0].labels)), booleans)
    if isinstance(value, Decimal) or (isinstance(value, Real) and not isinstance(value, int | float | np.generic)):
        return _number(name, value, index)
    # known by name, so that none of these packages is imported
    found: Any = value
    package = type(value).__module__.partition(".")[0]
    if package == "pandas" and hasattr(value, "index") and hasattr(value, "to_numpy"):
        own = _own_axes(axes, len(index), found.ndim)
        return _exact(name, _aligned(name, found.to_numpy(), _pandas_labels(name, found), own), index, booleans)
    if package == "xarray" and hasattr(value, "dims") and hasattr(value, "transpose") and hasattr(value, "dtype"):
        own = _own_axes(axes, len(index), found.ndim)
        found = _transposed(name, found, own)
        indexes = getattr(found, "indexes", {})
        labels = [_labels_of(indexes[dim]) if dim in indexes else None for dim in found.dims]
        return _exact(name, _aligned(name, np.asarray(found), labels, own), index, booleans)
    if package == "scipy" and hasattr(value, "toarray"):
        _refuse_sparse(name, value)
    return value


def _from_labels(name: str, value: Mapping, word: str, labels: list[str], booleans: bool) -> list:
    """Return the entries of a dict in the order of the labels, 0 where one is missing, as in a law."""
    table = {**dict.fromkeys(labels, 0.0), **{str(label): entry for label, entry in value.items()}}
    entries = plain(name, list(table.values()), (), (), booleans)
    return [entries[i] for i in _order(name, word, list(table), labels)]


def _unmasked(name: str, value: Any, index: tuple[int, ...], booleans: bool) -> np.ndarray:
    masked = np.argwhere(np.ma.getmaskarray(value))
    if len(masked):
        where = place(name, (*index, *masked[0]))
        raise ValueError(
            f"{where} is masked, but every entry must be given: fill the array (`.filled(...)`); which actions exist "
            "is said by `available`."
        )
    return plain(name, np.asarray(value.data), (), index, booleans)


def _listed(name: str, value: Sequence, axes: Sequence[Axis], index: tuple[int, ...], booleans: bool) -> list:
    kinds = {type(entry) for entry in value}
    if kinds <= {float, int}:  # types, not `isinstance`: a bool is an int
        return list(value)
    if any("toarray" in dir(kind) and kind.__module__.startswith("scipy") for kind in kinds):
        _refuse_sparse(name, value)
    # NumPy would make numbers of booleans among numbers
    if not booleans and kinds & {bool, np.bool_} and not kinds <= {bool, np.bool_, list, tuple}:
        i = next(i for i, entry in enumerate(value) if isinstance(entry, bool | np.bool_))
        raise ValueError(f"{place(name, (*index, i))} is {value[i]}, but it must be a real number.")
    return [plain(name, entry, axes, (*index, i), booleans) for i, entry in enumerate(value)]


def _exact(name: str, array: np.ndarray, index: tuple[int, ...], booleans: bool) -> np.ndarray:
    """Convert an array of objects that are real numbers, such as fractions, to floating numbers."""
    if array.dtype != object:
        return array
    if array.size and all(isinstance(entry, bool | np.bool_) for entry in array.ravel()):
        return array.astype(bool)
    if booleans:
        return array
    numbers = np.empty(array.shape)
    for i in np.ndindex(array.shape):
        numbers[i] = _number(name, array[i], (*index, *i))
    return numbers


def _number(name: str, value: Any, index: tuple[int, ...]) -> float:
    if hasattr(value, "item") and np.ndim(value) == 0 and not isinstance(value, Tracer):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        raise ValueError(f"{place(name, index)} is {shorten(value)}, but it must be a real number.")
    try:
        return float(value)
    except OverflowError as error:
        where = place(name, index)
        raise ValueError(f"{where} is {shorten(value)}, which is too large for a floating-point number.") from error
    except ValueError as error:  # a signalling NaN of decimals
        raise ValueError(f"{place(name, index)} is {shorten(value)}, which no floating-point number holds.") from error


def _pandas_labels(name: str, value: Any) -> list[list[str] | None]:
    indices = [value.index, *([value.columns] if hasattr(value, "columns") else [])]
    if any(index.nlevels > 1 for index in indices):
        raise ValueError(f"`{name}` has labels of several levels; `unstack` it to one level for each axis.")
    return [_labels_of(index) for index in indices]


def _labels_of(index: Any) -> list[str] | None:
    """Return the labels of an axis; None where it has only the default numbers of pandas."""
    if type(index).__name__ == "RangeIndex" and (index.start, index.step) == (0, 1):
        return None
    named = (int(label) if isinstance(label, float) and label.is_integer() else label for label in index)
    return [str(label) for label in named]


def _own_axes(axes: Sequence[Axis], depth: int, ndim: int) -> list[Axis] | None:
    """Return the axes of a table with `ndim` axes at some depth of a list; None: its shape is refused later.

    The lists around it are the first axes of the field, and the table has the last ones.
    """
    if not axes:
        return [Axis("axis")] * ndim
    time = axes[0] if axes[0].word == "time" else _TIME
    of_one_time = [axis for axis in axes if axis.word != "time"]
    if depth + ndim < len(of_one_time):
        return None
    return ([time] * ndim + of_one_time)[len(of_one_time) :]


def _transposed(name: str, value: Any, axes: Sequence[Axis] | None) -> Any:
    """Put the dimensions of a table of xarray in order, if they have the names of its axes."""
    words = [axis.word for axis in axes or ()]
    if set(words) <= {"axis"}:  # of a field whose axes are not known here
        words = [word for word in _WORDS if word in value.dims]
        return value.transpose(*words) if len(words) == value.ndim else value
    if set(value.dims) == set(words):
        return value.transpose(*words)
    if {*words, *_WORDS}.isdisjoint(value.dims):
        return value
    given, expected = (", ".join(map(repr, names)) for names in (value.dims, dict.fromkeys(words)))
    raise ValueError(f"`{name}` has the dimensions {given}; they must be {expected}.")


def _aligned(name: str, array: np.ndarray, labels: list[list[str] | None], axes: Sequence[Axis] | None) -> np.ndarray:
    """Reorder an array so that its entries stand in the order of the labels of its axes."""
    if axes is None:  # its shape is refused later
        return array
    for d, (found, axis) in enumerate(zip(labels, axes, strict=True)):
        if found is None:
            continue
        numbers = list(map(str, range(len(found))))
        wanted = numbers if axis.labels is None else list(map(str, axis.labels))
        # one column for all actions; named as one of them it would be for that one alone
        if axis.word == "action" and len(found) == 1 < len(wanted) and found[0] not in wanted:
            continue
        if axis.labels is None and not axis.numbered and found != numbers:
            _refuse_unknown(name, axis.word, found)
        array = np.take(array, _order(name, axis.word, found, wanted), axis=d)
    return array


def _order(name: str, word: str, found: list[str], wanted: list[str]) -> list[int]:
    kind, places, known = word.replace("_", " "), {label: i for i, label in enumerate(found)}, set(wanted)
    for i, label in enumerate(found):
        if places[label] != i:
            raise ValueError(f"`{name}` has two entries for the {kind} {label!r}.")
        if label not in known:
            names, hint = shorten_list(wanted), suggestion(label, wanted)
            raise ValueError(
                f"`{name}` has an entry for {label!r}, but there is no such {kind}{hint}: they are {names}."
            )
    for label in wanted:
        if label not in places:
            raise ValueError(f"`{name}` has no entry for the {kind} {label!r}: its labels are {shorten_list(found)}.")
    return [places[label] for label in wanted]


def _refuse_unknown(name: str, word: str, found: list[str]) -> NoReturn:
    raise ValueError(
        f"`{name}` is labelled {shorten_list(found)} ({word.replace('_', ' ')}), but the labels of the game "
        "are not known there: give it in their order, without labels (`.to_numpy()`)."
    )


def shorten_list(labels: Sequence[str]) -> str:
    """Return the first few labels."""
    shown = ", ".join(map(repr, labels[:5]))
    return shown + (", ..." if len(labels) > 5 else "")


def _refuse_sparse(name: str, value: Any) -> NoReturn:
    if isinstance(value, list | tuple):
        call = (
            f"if each is of one action, `numpy.stack([k.toarray() for k in {name}], axis=1)` gives an array [S, A, S]"
        )
        raise ValueError(
            f"`{name}` is a list of {len(value)} sparse matrices: {call}; `SuccessorKernel` holds the possible next "
            "states only."
        )
    call = ".toarray().reshape(S, A, S)` makes an array of one row for each state and action"
    remedy = f"`{name}{call}" if name == "kernel" else f"`{name}.toarray()` makes an array"
    raise ValueError(f"`{name}` is a sparse matrix of shape {value.shape}: {remedy}.")
