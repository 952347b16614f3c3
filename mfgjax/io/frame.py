"""Equilibria and sweeps as tables of pandas."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .. import _checks
from .._result import result_name

if TYPE_CHECKING:
    import pandas as pd


def to_frame(dataset: xr.Dataset, *, per: str = "action") -> "pd.DataFrame":
    """Return a tidy table with one row for each time, state and available action, each time and state, or each point.

    `dataset.to_dataframe()` repeats every number at every time, state, action and step. Here the columns are only those
    that belong to a row: `policy`, `q`, `leads_to`, ... for actions; `state_law`, `values`, ... for states; `residual`,
    `num_steps`, ... for points of a sweep, with the `result` by name: `table[table.result != "converged"]` are those
    that failed.

    Args:
      dataset: the result of `to_dataset`, `load_equilibrium`, `Equilibrium.to_xarray` or `sweep`; the axes of a sweep
        come first.
      per: "action", "state" or "point": what a row is.

    Returns:
      A `pandas.DataFrame` whose first columns are the labels (`time`, `state`, `action`; a stationary game has no
      times). Where `dataset` has `q`, actions that are not available have no row.

    Raises:
      ValueError: if `dataset` is not a dataset, has no variable for such rows, or has no points as it is no sweep.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.left_right()
      >>> found = mfg.solve(game, mfg.EntropyRegularized(beta=1.0))
      >>> table = mfg.io.to_frame(mfg.io.to_dataset(game, found), per="state")
      >>> list(table.columns)
      ['time', 'state', 'mean_field', 'state_law', 'values']
      >>> sweep = mfg.sweep(game, mfg.Greedy(), solver=mfg.Picard(), damping=[0.5, 1.0], progress=False)
      >>> table = mfg.io.to_frame(sweep, per="point")
      >>> table[table.result != "converged"].damping.tolist()
      [1.0]
    """
    _checks.made_by("to_dataset", xr.Dataset, "dataset", dataset)
    _checks.one_of("per", per, ("action", "state", "point"))
    if per == "point":
        return _of_points(dataset)
    names = [
        str(name)
        for name, variable in dataset.data_vars.items()
        if per in variable.dims and (per == "action" or "action" not in variable.dims)
    ]
    if not names:
        raise ValueError(f"`dataset` has no variable with the dimension {per!r}, so there is no row `per` {per}.")
    chosen = dataset[names]
    labels = ("time", "state", "action")
    order = [dim for dim in chosen.dims if dim not in labels] + [dim for dim in labels if dim in chosen.dims]
    # else in the order of `Dataset.sizes`, which depends on the variables
    table = chosen.to_dataframe(dim_order=order).reset_index().filter([*order, *names])
    if "q" in table and "policy" in table:
        # what is NaN because other games of the sweep have more states has a policy that is NaN, too
        missing = np.isnan(table["q"].to_numpy()) & (table["policy"].to_numpy() == 0)
        table = table.drop(index=np.flatnonzero(missing).tolist()).reset_index(drop=True)
    return table


def _of_points(dataset: xr.Dataset) -> "pd.DataFrame":
    """Return the numbers of a sweep that have no axes but its own, a row for each point."""
    points = dataset["result_code"].dims if "result_code" in dataset else ()
    if not points:
        raise ValueError("`dataset` has no points: it is no sweep, or a single point of one.")
    names = [str(name) for name, variable in dataset.data_vars.items() if set(variable.dims) <= set(points)]
    axes = [str(name) for name, coord in dataset.coords.items() if coord.dims and set(coord.dims) <= set(points)]
    table = dataset[names].to_dataframe(dim_order=list(points)).reset_index()
    codes = table["result_code"].tolist()
    table["result"] = [result_name(code) for code in codes]
    order = [*dict.fromkeys([*points, *axes]), "result", *names]
    return table.filter(order)
