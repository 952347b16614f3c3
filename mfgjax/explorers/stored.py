"""Points of a dataset that `sweep` has computed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from .. import _checks
from .._coordinates import are_numbered, dates_as_texts
from .._names import did_you_mean
from ..sweeps.grid import SweptAxis
from .frames import Frame
from .quantities import Quantity, own_quantity
from .sliders import Slider, evenly, slider_of

_LAWS = ("state_law", "mean_field", "terminal_law")


@dataclasses.dataclass(frozen=True)
class Stored:
    """A dataset of `sweep`, with a slider for each of its axes.

    Attributes:
      dataset: with the dimensions of the sliders, in their order.
      law: `[..., T, S]`, one row where there are no times.
      policy: `[..., T, S, A]`, or None.
      quantities: of each point.
      sliders: one for each axis.
      quantity: what is drawn against them.
    """

    dataset: xr.Dataset
    law: xr.DataArray
    policy: xr.DataArray | None
    quantities: np.ndarray
    sliders: tuple[Slider, ...]
    quantity: Quantity

    @property
    def times(self) -> np.ndarray | None:
        """The times of the laws; None: they have none."""
        return self.law["time"].values if "time" in self.law.coords else None

    def frame(self, place: Sequence[int]) -> Frame:
        """Return what is drawn of a point, given by the steps of the sliders."""
        at = tuple(place)
        policy = None if self.policy is None else self.policy[at].values
        residual, exploitability = (
            float(self.dataset[name][at]) if name in self.dataset else np.nan for name in ("residual", "exploitability")
        )
        code = int(self.dataset["result_code"][at])
        period = int(self.dataset["result_period"][at]) if "result_period" in self.dataset else 0
        return Frame(self.law[at].values, policy, float(self.quantities[at]), code, residual, exploitability, period)

    @property
    def results(self) -> tuple[np.ndarray, np.ndarray]:
        """Why the solver stopped at each point: result codes, and periods of cycles."""
        codes = self.dataset["result_code"].values
        return codes, self.dataset["result_period"].values if "result_period" in self.dataset else np.zeros_like(codes)

    def thinned(self, points: Sequence[int], place: Sequence[int] = ()) -> "Stored":
        """Return the same with about so many values of each slider, those of a place among them."""
        rows = [
            evenly(len(slider), most, step)
            for slider, most, step in zip(self.sliders, points, place or [0] * len(points), strict=True)
        ]
        sliders = [slider.having(chosen) for slider, chosen in zip(self.sliders, rows, strict=True)]
        chosen: Any = dict(zip(self.dims, rows, strict=True))
        return dataclasses.replace(
            self,
            dataset=self.dataset.isel(chosen),
            law=self.law.isel(chosen),
            policy=None if self.policy is None else self.policy.isel(chosen),
            quantities=self.quantities[np.ix_(*rows)],
            sliders=tuple(sliders),
        )

    @property
    def dims(self) -> list[str]:
        """The dimensions of the sliders."""
        return [str(dim) for dim in self.dataset["result_code"].dims]


def stored(dataset: xr.Dataset, quantity: Any = None, sliders: Sequence[Slider] | None = None) -> Stored:
    """Read a dataset of `sweep`.

    Args:
      dataset: with a law of the states among its outputs.
      quantity: the name of a variable with one number for each point; None: see `own_quantity`.
      sliders: one for each dimension; None: made of the coordinates.

    Raises:
      ValueError: naming what the dataset lacks.
    """
    if "result_code" not in dataset or not dataset["result_code"].dims:
        raise ValueError(
            "the dataset is not one that `sweep` returns: it has no variable `result_code` with at least one axis."
        )
    if empty := [str(dim) for dim, size in dataset["result_code"].sizes.items() if size == 0]:
        raise ValueError(f"the dataset has no point: its axis {empty[0]!r} is empty.")
    name = next((name for name in _LAWS if name in dataset and "state" in dataset[name].dims), None)
    if name is None:
        raise ValueError(
            f"the dataset has no distribution over the states: give `sweep` one of {', '.join(_LAWS)} in `outputs`."
        )
    axes, law = dataset["result_code"].dims, dataset[name]
    law = law.sum("action", min_count=1) if "action" in law.dims else law
    law = (law if "time" in law.dims else law.expand_dims("time")).transpose(*axes, "time", "state")
    if name == "terminal_law":  # the last time of each point
        law = law.drop_vars("time", errors="ignore")
    policy = dataset.get("policy") if name != "terminal_law" else None
    if policy is not None:
        policy = policy if "time" in policy.dims else policy.expand_dims("time")
        policy = policy.transpose(*axes, "time", "state", "action")
    sliders = [_slider(dataset, str(dim)) for dim in axes] if sliders is None else sliders
    chosen, numbers = _quantity(dataset, law, quantity)
    return Stored(dataset, law, policy, numbers, tuple(sliders), chosen)


def _slider(dataset: xr.Dataset, dim: str) -> Slider:
    """Return the slider of a dimension; points side by side are told by all their coordinates."""
    if dim != "point":
        labels = dates_as_texts(dataset[dim].values)
        return slider_of(SweptAxis(dim, list(labels), labels, False))
    coords = [str(name) for name, coord in dataset.coords.items() if coord.dims == ("point",) and name != "point"]
    rows = zip(*(dataset[name].values for name in coords), strict=True)
    labels = np.array([", ".join(f"{name} {_text(x)}" for name, x in zip(coords, row, strict=True)) for row in rows])
    return slider_of(SweptAxis(dim, list(labels), labels.astype(object), False))


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _quantity(dataset: xr.Dataset, law: xr.DataArray, name: Any) -> tuple[Quantity, np.ndarray]:
    axes = dataset["result_code"].dims
    if name is None:
        states = tuple(map(str, dataset["state"].values))
        own = own_quantity("time" in dataset.dims, are_numbered(states))
        at_end = law.isel(time=-1).values  # of datasets on disk no more is read
        if not np.isnan(at_end).any():
            return own, own.of_law(at_end)
        # of points that end sooner than others, the later times are NaN
        whole = law.values
        there = ~np.isnan(whole).all(axis=-1)
        last = np.where(there, np.arange(whole.shape[-2]), 0).max(axis=-1)
        return own, own.of_law(np.take_along_axis(whole, last[..., None, None], axis=-2)[..., 0, :])
    kinds = {name: array for name, array in dataset.data_vars.items() if set(array.dims) == set(axes)}
    known = [str(name) for name, array in kinds.items() if array.dtype.kind in "biuf"]
    if name not in known:
        if callable(name):
            raise ValueError(
                "`quantity` is a function, but a dataset has no equilibria to call it with: compute it in the sweep, "
                "as one of the `outputs`, and give its name."
            )
        which = did_you_mean(str(name), known)
        raise ValueError(f"`quantity` is {_checks.shorten(name)}, but the dataset has no such number{which}")
    return Quantity(str(dataset[name].attrs.get("long_name", name))), dataset[name].transpose(*axes).values
