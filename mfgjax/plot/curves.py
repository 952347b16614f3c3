"""The lanes of a sweep as curves: what lies along the horizontal axis, and what each curve stands for."""

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from .. import _checks
from .._coordinates import dates_as_texts
from .._names import did_you_mean
from .._shorten import cut

MOST_LINES = 6  # that can be told apart, also in grey
RESIDUALS = ("residual", "exploitability", "tolerance")  # go down to rounding, hence on log scales
LABELS = {
    "beta": "inverse temperature β (1/reward)",
    "epsilon": "trembling ε (probability)",
    "num_steps": "steps of the solver",
    "residual": "residual (total variation)",
    "tolerance": "tolerance (total variation)",
    "exploitability": "exploitability (units of reward)",
    "result_period": "period of the cycle (steps)",
    "result_code": "result",
}
_SYMBOLS = {"beta": "β", "epsilon": "ε"}


Part = list[tuple[dict[str, str], dict[str, Any]]]  # values along an axis: as text, and where they are, for `isel`


class Curve(NamedTuple):
    """Lanes that differ in the horizontal coordinate only, sorted by it."""

    common: dict[str, str]  # the other coordinates as text
    where: dict[str, Any]
    x: np.ndarray
    dataset: xr.Dataset

    def get(self, name: str) -> np.ndarray:
        """Return the values of a variable, one for every lane."""
        return self.dataset[name].isel(self.where).values

    def title(self, separator: str) -> str:
        return separator.join(f"{symbol(name)} = {value}" for name, value in self.common.items())


class Horizontal(NamedTuple):
    """The horizontal axis: a coordinate over one of the swept dimensions."""

    name: str
    dim: str
    x: np.ndarray  # in the order of the dimension
    ticks: list[str] | None  # names of the values 0, 1, ... where the coordinate holds no numbers
    log: bool

    def edges(self, x: np.ndarray) -> np.ndarray:
        """Return the borders between sorted neighbours, half way on the scale of the axis."""
        u = np.log(x) if self.log else x
        half = np.diff(u) / 2 if len(u) > 1 else np.array([0.5])
        borders = np.concatenate([u[:1] - half[0], u[:-1] + np.diff(u) / 2, u[-1:] + half[-1]])
        return np.exp(borders) if self.log else borders


def _names_over(dataset: xr.Dataset, dim: str) -> list[str]:
    """Return the coordinates of a swept dimension: itself, or those that were zipped."""
    if dim != "point" and dim in dataset.coords:
        return [dim]
    return [str(key) for key, coord in dataset.coords.items() if coord.dims == (dim,) and key != dim] or [dim]


def _is_numeric(dataset: xr.Dataset, name: str) -> bool:
    """Tell whether a coordinate holds numbers, not names or the numbers 0, 1, ... that arrays go by."""
    values = dataset[name].values
    counts = values.dtype.kind in "iu" and len(values) > 1 and bool((values == np.arange(len(values))).all())
    return values.dtype.kind in "iuf" and not counts


def horizontal_of(dataset: xr.Dataset, name: str | None) -> Horizontal:
    _checks.made_by("sweep", xr.Dataset, "dataset", dataset)
    if "result_code" not in dataset:
        raise ValueError("`dataset` has no variable `result_code`: it must be what `sweep` returns.")
    shape, dims = dataset["result_code"].shape, [str(dim) for dim in dataset["result_code"].dims]
    if 0 in (math.prod(shape), len(shape)):
        raise ValueError(f"`dataset` has nothing to draw: its `result_code` has shape {shape}.")
    places = {key: dim for dim in dims for key in _names_over(dataset, dim)}
    if name is None:
        many = {key: len(set(dataset[key].values.tolist())) for key in places}
        name = max(places, key=lambda key: (many[key] > 1, key == "beta", _is_numeric(dataset, key), many[key]))
    elif name not in places:
        which = did_you_mean(name, places, f", but the swept axes are {', '.join(map(repr, places))}.")
        raise ValueError(f"`along` is {name!r}{which}")
    values, ticks = dataset[name].values, None
    if not _is_numeric(dataset, name):
        values = dates_as_texts(values)
        kinds = list(dict.fromkeys(map(str, values)))
        values, ticks = np.array([kinds.index(str(value)) for value in values]), [cut(kind) for kind in kinds]
    x = values.astype(float)
    if not np.isfinite(x).all():
        raise ValueError(
            f"`dataset` cannot be drawn along {name!r}, where one of its values is {x[~np.isfinite(x)][0]}."
        )
    return Horizontal(name, places[name], x, ticks, ticks is None and x.min() > 0 and x.max() > 10 * x.min())


def parts_of(dataset: xr.Dataset, axis: Horizontal) -> list[Part]:
    """Return the values of the other axes; the last axis is that of groups of zipped points."""
    parts: list[Part] = []
    for dim in map(str, dataset["result_code"].dims):
        if dim != axis.dim:
            columns = {name: dataset[name].values for name in _names_over(dataset, dim)}
            places = range(dataset.sizes[dim])
            parts.append([({name: text_of(v[i]) for name, v in columns.items()}, {dim: i}) for i in places])
    others = {name: dataset[name].values for name in _names_over(dataset, axis.dim) if name != axis.name}
    # a coordinate with few values names groups; one with as many values as points does not
    shared = [v for v in others.values() if v.dtype.kind != "f" and 2 * len(set(v.tolist())) <= len(v)]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i in range(len(axis.x)):
        groups.setdefault(tuple(v[i] for v in shared), []).append(i)
    orders = [np.array(group)[np.argsort(axis.x[group], kind="stable")] for group in groups.values()]
    return [*parts, [({name: range_of(v[order]) for name, v in others.items()}, {axis.dim: order}) for order in orders]]


def curves_of(parts: Sequence[Part], dataset: xr.Dataset, axis: Horizontal) -> list[Curve]:
    lanes, curves = set(dataset["result_code"].dims), []
    # what all curves share need not be said of each
    differs = [len(part) > 1 for part in parts]
    named = differs if any(differs) else [True] * len(parts)
    numbers = dataset[[name for name, v in dataset.data_vars.items() if set(v.dims) == lanes]].compute()  # one reading
    for combination in itertools.product(*parts):
        texts_of = [texts for (texts, _), is_named in zip(combination, named, strict=True) if is_named]
        common = {name: text for texts in texts_of for name, text in texts.items()}
        where = {dim: place for _, places in combination for dim, place in places.items()}
        curves.append(Curve(common, where, axis.x[where[axis.dim]], numbers))
    return curves


def terminal_law_of(dataset: xr.Dataset) -> xr.DataArray:
    """Return the law at the last time, or in equilibrium; it is NaN at states that other games of the sweep have."""
    if "terminal_law" in dataset:
        return dataset["terminal_law"]
    name = next((name for name in ("state_law", "mean_field") if name in dataset), None)
    if name is None:
        raise ValueError(
            "`dataset` has neither `terminal_law` nor `mean_field`: give `sweep` one of them as `outputs` (of a "
            "stationary game the latter)."
        )
    flow = dataset[name]
    inner = [dim for dim in ("state", "action") if dim in flow.dims]
    if "time" not in flow.dims:  # a stationary game, or one time that was selected
        return flow.sum("action", min_count=1) if "action" in inner else flow
    last = flow.isel(time=-1)
    if bool(last.isnull().all(inner).any()):  # games with a shorter horizon, or lanes that failed
        last = flow.isel(time=flow.notnull().any(inner).sum("time").clip(1) - 1)  # the last time that each lane has
    return last.sum("action", min_count=1) if "action" in inner else last


def last_time(dataset: xr.Dataset) -> str:
    if "time" not in dataset.coords and "terminal_law" not in dataset:
        return "in the stationary law"
    # where horizons are swept, games end at different times
    fixed = "time" in dataset.coords and "horizon" not in dataset.coords
    return f"at t = {np.ravel(dataset['time'].values)[-1]}" if fixed else "at the last time"


def text_of(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else cut(str(value))


def range_of(values: np.ndarray) -> str:
    if len(kinds := list(dict.fromkeys(map(text_of, values)))) == 1:
        return kinds[0]
    if values.dtype.kind in "iuf":
        return f"{text_of(values.min())} to {text_of(values.max())}"
    return f"{len(kinds)} values"


def symbol(name: str) -> str:
    return _SYMBOLS.get(name, cut(name, 20))


def label_of(dataset: xr.Dataset, name: str) -> str:
    """Return what a variable or coordinate is, with its unit."""
    if dataset.attrs.get("criterion") == "exploitability" and name in RESIDUALS:
        return f"{name} (units of reward)"
    attrs = dataset[name].attrs
    label = str(attrs.get("long_name", name)) + (f" ({attrs['units']})" if "units" in attrs else "")
    return LABELS.get(name, label)
