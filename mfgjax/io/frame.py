"""Equilibria as tables of pandas."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .. import _checks

if TYPE_CHECKING:
    import pandas as pd


def to_frame(dataset: xr.Dataset, *, per: str = "action") -> "pd.DataFrame":
    """Return an equilibrium as a tidy table: one row for each time, state and available action, or each time and state.

    `dataset.to_dataframe()` repeats every number at every time, state, action and step. Here the columns are only those
    that belong to a row: `policy`, `q`, `leads_to`, ... for actions; `state_law`, `values`, ... for states.

    Args:
      dataset: the result of `to_dataset`, `load_equilibrium` or `sweep`; the axes of a sweep come first.
      per: "action" or "state": what a row is.

    Returns:
      A `pandas.DataFrame` whose first columns are the labels (`time`, `state`, `action`; a stationary game has no
      times). Where `dataset` has `q`, actions that are not available have no row.

    Raises:
      ValueError: if `dataset` is not a dataset, or has no variable for such rows.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.left_right()
      >>> found = mfg.solve(game, mfg.EntropyRegularized(beta=1.0))
      >>> table = mfg.io.to_frame(mfg.io.to_dataset(game, found), per="state")
      >>> list(table.columns)
      ['time', 'state', 'mean_field', 'state_law', 'values']
    """
    _checks.made_by("to_dataset", xr.Dataset, "dataset", dataset)
    _checks.one_of("per", per, ("action", "state"))
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
