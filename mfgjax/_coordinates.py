"""The axes of labelled data: their names, and the coordinates of states and actions."""

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

STATES, PAIRS = ("time", "state"), ("time", "state", "action")
"""Dimensions of what belongs to states, and to pairs of state and action; without "time" in a stationary game."""

AGGREGATE = ("time", "component")
"""Dimensions of what payoffs see of the population where that is an aggregate; without "time" in a stationary game."""

_CELL = re.compile(r"\(?(\d+), ?(\d+)\)?")

_OF_EQUILIBRIUM = {
    "state_law": STATES,
    "policy": PAIRS,
    "values": STATES,
    "residual_history": ("step",),
    **dict.fromkeys(("residual", "tolerance", "error_estimate", "exploitability", "num_steps"), ()),
    **dict.fromkeys(("result_code", "result_period"), ()),
}


def dims_of_equilibrium(
    observes: str | None, over_time: bool, has_aggregate: bool = False
) -> dict[str, tuple[str, ...]]:
    """Return the dimensions of each variable of an equilibrium; those of a stationary game have no times."""
    dims = {"mean_field": STATES if observes == "states" else PAIRS, **_OF_EQUILIBRIUM}
    dims |= {"aggregate": AGGREGATE} if has_aggregate else {}
    return {name: tuple(dim for dim in own if over_time or dim != "time") for name, own in dims.items()}


def coordinate(labels: Iterable[str | int]) -> np.ndarray:
    """Return the coordinate of states or actions: whole numbers if all labels are such numbers, else the labels.

    Labels are numbers if Python writes these in the same way: "3" is one, "03" is not.
    """
    names = [str(label) for label in labels]
    if all(name.removeprefix("-").isdecimal() and name.isascii() and len(name) < 18 for name in names):
        numbers = np.array([int(name) for name in names], dtype=np.int64)
        if list(map(str, numbers.tolist())) == names:
            return numbers
    return np.array(names, dtype=object)


def dates_as_texts(values: np.ndarray) -> np.ndarray:
    """Return dates as texts without the zeros of finer units; other values as they are."""
    return np.datetime_as_string(values, unit="auto").astype(object) if values.dtype.kind == "M" else values


def are_numbered(names: Sequence[str]) -> bool:
    """Tell whether names are the numbers 0, 1, ... in order."""
    return list(names) == [str(i) for i in range(len(names))]


def cells(labels: Sequence[str]) -> np.ndarray | None:
    """Return rows and columns `[S, 2]` of states that are named "row,column"; None: they do not make a grid.

    A single row or column is no grid, nor are cells of which most have no state, or two of one place.
    """
    found = [_CELL.fullmatch(label) for label in labels]
    if not labels or not all(found):
        return None
    places = [(int(match[1]), int(match[2])) for match in found if match]
    rows, columns = (max(numbers) + 1 for numbers in zip(*places, strict=True))
    is_line = any(len(set(numbers)) == 1 for numbers in zip(*places, strict=True))
    is_sparse = rows * columns > 4 * len(labels)
    return None if is_line or is_sparse or len(set(places)) < len(places) else np.array(places)


def coordinates(states: Sequence[str | int], actions: Sequence[str | int]) -> dict[str, np.ndarray]:
    """Return the coordinates of states and actions by the names of their dimensions."""
    return {"state": coordinate(states), "action": coordinate(actions)}


def without_texts_of_numbers(dataset: "xr.Dataset") -> "xr.Dataset":
    """Return a dataset from a file with numbered states and actions as numbers; earlier versions wrote texts."""
    texts = [dim for dim in PAIRS[1:] if dim in dataset.indexes and dataset[dim].dtype.kind in "OTU"]
    return dataset.assign_coords({dim: coordinate(dataset[dim].values) for dim in texts})
