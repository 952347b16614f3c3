"""What is swept: axes with their values and labels, the points they span, and tiles of points."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from .._plain import plain
from .._typing import Array
from ..engine.parameters import is_policy
from .outputs import ALWAYS, COORDINATES


class SweptAxis(NamedTuple):
    """One thing that is swept.

    Attributes:
      name: as it was given.
      values: in order.
      labels: of the coordinate, one for each value.
      builds: whether it is a parameter of the game's builder; else it is an array by name.
    """

    name: str
    values: Sequence[Any] | Array | np.ndarray
    labels: np.ndarray
    builds: bool


def parse_axes(axes: Mapping[str, Any], builder: Callable | None, params: Sequence[str] = ()) -> list[SweptAxis]:
    """Read the axes that are swept, in the order given; refuse an axis that is no list of values.

    Args:
      axes: values by name.
      builder: the function that builds the games, if there is one.
      params: names of the parameters of the game.
    """
    known = parameters_of(builder)
    if not axes:
        raise ValueError("`sweep` needs something to sweep, such as `beta=[0.5, 1.0, 2.0]`.")
    found = []
    for name, table in axes.items():
        if name in (*COORDINATES, *ALWAYS):
            kind = "a dimension" if name in COORDINATES else "a variable"
            instead = f": {by_path(name)}" if name in params else ": give it another name"
            raise ValueError(
                f"`{name}` cannot be an axis, as it is {kind} of every dataset that `sweep` returns{instead}."
            )
        values, labels = _values(name, table)
        if not len(values):
            raise ValueError(f"`{name}` is empty; an axis needs at least one value.")
        found.append(SweptAxis(name, values, labels, name in known))
    return found


def refuse_arguments(given: Mapping[str, Any], params: Sequence[str], nothing_swept: bool) -> None:
    """Refuse values for a parameter of the game that has the name of an argument of `sweep`.

    Args:
      given: the arguments of `sweep` that have such names.
      params: names of the parameters of the game.
      nothing_swept: whether no axis is given.
    """
    for name, value in given.items():
        is_list = not isinstance(value, str | bytes) and np.ndim(value) == 1 and np.asarray(value).dtype.kind in "iuf"
        if name in params and is_list and (nothing_swept or name != "guess"):
            raise ValueError(f"`{name}` is an argument of `sweep` and a parameter of the game: {by_path(name)}.")


def by_path(name: str) -> str:
    """Return how a parameter is swept whose name alone means something else."""
    return f'to sweep the parameter, write `**{{"params.{name}": [...]}}`'


def parameters_of(builder: Callable | None) -> list[str]:
    """Return the names of the parameters of a function that builds games; none if there is no such function."""
    return [] if builder is None else list(inspect.signature(builder).parameters)


def _values(name: str, values: Any) -> tuple[Sequence[Any] | Array | np.ndarray, np.ndarray]:
    """Return the values of an axis with their labels: numbers and words stand for themselves, arrays are numbered."""
    if type(values).__module__.partition(".")[0] in ("pandas", "xarray") and getattr(values, "ndim", 0) == 1:
        values = np.asarray(values)  # a column of values, in order, whatever its labels
    if type(values).__module__.partition(".")[0] == "pandas" and getattr(values, "ndim", 0) == 2:
        values = plain(name, values)  # a value in each row; labels are refused, as the game is not known here
    if isinstance(values, Mapping):
        return list(values.values()), np.array([str(key) for key in values], dtype=object)
    if isinstance(values, str) or (not isinstance(values, Sequence) and getattr(values, "ndim", 0) == 0):
        must = "a list of values, or a mapping from labels to values"
        raise ValueError(f"`{name}` must be {must}; got {_checks.shorten(values)}.")
    if is_policy(name) and getattr(values, "ndim", 0) == 2:
        raise ValueError(
            f"`{name}` is one policy, of shape {np.shape(values)}; it must be a list of policies: `[{name}]`."
        )
    first = values[0] if len(values) else 0.0
    if isinstance(first, str):
        return values, np.array([str(value) for value in values], dtype=object)
    # before numbers, as a bool is one
    if isinstance(first, bool | np.bool_):
        return values, np.array([bool(value) for value in values])
    if first is None or np.ndim(first):  # arrays have no label but their number
        return values, np.arange(len(values))
    _checks.as_numbers(name, values)
    numbers = np.asarray(plain(name, values), float)  # the user's own, whatever the precision of the game
    whole = np.asarray(values).dtype.kind in "iu"
    return values, numbers.astype(int) if whole else numbers


class Points(NamedTuple):
    """The points of a sweep: a grid over the axes, or the axes side by side.

    Attributes:
      axes: what is swept.
      zipped: whether they are side by side.
    """

    axes: list[SweptAxis]
    zipped: bool

    @property
    def dims(self) -> tuple[str, ...]:
        return ("point",) if self.zipped else tuple(axis.name for axis in self.axes)

    @property
    def shape(self) -> tuple[int, ...]:
        lengths = tuple(len(axis.values) for axis in self.axes)
        return lengths[:1] if self.zipped else lengths

    def check(self) -> None:
        """Refuse axes side by side that are not of one length."""
        if self.zipped:
            first = self.axes[0]
            for axis in self.axes:
                if len(axis.values) != len(first.values):
                    raise ValueError(
                        f"`zipped=True` needs axes of one length; {first.name!r} has {len(first.values)} values, "
                        f"{axis.name!r} has {len(axis.values)}."
                    )

    def coords(self) -> dict[str, Any]:
        """Return the coordinates of the dataset."""
        if not self.zipped:
            return {axis.name: axis.labels for axis in self.axes}
        return {axis.name: ("point", axis.labels) for axis in self.axes}

    def indices(self, tile: "Tile") -> list[np.ndarray]:
        """Return for each axis which of its values the points of a tile have, in order."""
        places = np.indices(tile.shape).reshape(len(tile.shape), -1)
        places = [place + begin for place, begin in zip(places, tile.begin, strict=True)]
        return [places[0]] * len(self.axes) if self.zipped else places

    def tiles(self, size: int, single: Sequence[int] = (), multiple: int = 1) -> Iterator["Tile"]:
        """Cut the grid into boxes of at most `size` neighbouring points, in order.

        Args:
          size: most points of a tile.
          single: dimensions along which a tile has one point.
          multiple: what the extent along the last dimension is a multiple of, unless it is all of it.
        """
        extent, room = [1] * len(self.shape), max(size, 1)
        for d in reversed(range(len(self.shape))):  # the last dimension first: its points are neighbours in memory
            if d in single:
                continue
            extent[d] = min(self.shape[d], room)
            if d == len(self.shape) - 1 and extent[d] < self.shape[d]:
                extent[d] = min(max(extent[d] // multiple, 1) * multiple, self.shape[d])
            room = max(room // extent[d], 1)
            # a box that is cut along one dimension is one point thick along those before it
            if extent[d] < self.shape[d]:
                break
        counts = [math.ceil(n / e) for n, e in zip(self.shape, extent, strict=True)]
        for index in np.ndindex(*counts):
            begin = tuple(i * e for i, e in zip(index, extent, strict=True))
            shape = tuple(min(e, n - b) for e, n, b in zip(extent, self.shape, begin, strict=True))
            yield Tile(begin, shape)


class Tile(NamedTuple):
    """A box of neighbouring points."""

    begin: tuple[int, ...]
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def region(self) -> tuple[slice, ...]:
        return tuple(slice(b, b + n) for b, n in zip(self.begin, self.shape, strict=True))
