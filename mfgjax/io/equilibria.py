"""Equilibria as labelled data, and as files."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from .._checks import file_path, is_traced, made_by, path_to_write
from .._coordinates import PAIRS, dims_of_equilibrium, without_texts_of_numbers
from .._version import __version__
from ..equilibrium import Equilibrium
from ..games import moves
from ..kernels import MovesKernel
from ..model import AbstractGame, game_of
from ..responses import AbstractResponse
from ..solvers import AbstractSolver
from . import netcdf
from .describe import describe

FORMAT = "mfgjax-equilibrium/1"


def to_dataset(
    game: AbstractGame,
    equilibrium: Equilibrium,
    *,
    response: AbstractResponse | None = None,
    solver: AbstractSolver | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Dataset:
    """Return an equilibrium as an `xarray.Dataset`, labelled by times (if there are any), states and actions.

    `q` is NaN where an action is not available. `residual_history` has only the steps that measured the criterion. For
    a game on a graph, `leads_to` names the state at the end of each edge. A reference policy (or prior) of the response
    is stored as `reference`.

    Args:
      game: the game, for labels and for which actions are available.
      equilibrium: a single result of `solve`, outside `jit`.
      response: the response with which it was solved, to be recorded.
      solver: the solver, to be recorded.
      attrs: other attributes to be recorded; values that are not strings are stored as JSON.

    Returns:
      A dataset with the dimensions time (not for a stationary game), state, action and step.

    Raises:
      ValueError: if an argument is of the wrong kind, `equilibrium` is a batch, or a name in `attrs` is already in use.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> ds = mfg.io.to_dataset(game, mfg.solve(game, response), response=response)
      >>> float(ds.state_law.sel(time=0, state="centre"))
      1.0
    """
    game_of(game, equilibrium)
    made_by("solve", Equilibrium, "equilibrium", equilibrium)
    if is_traced(equilibrium) or equilibrium.residual.ndim:
        raise ValueError(
            "`equilibrium` must be a single one with known numbers; got a batch, or one inside `jit` or `vmap`."
        )
    bare = equilibrium.to_xarray()
    available = np.broadcast_to(game.untimed(np.asarray(game.available)), equilibrium.q.shape)
    data: dict[str, tuple[Any, Any]] = {"q": (bare.policy.dims, np.where(available, np.asarray(equilibrium.q), np.nan))}
    prior = None if response is None else response.prior_table
    if prior is not None:
        table = np.exp(np.asarray(prior))
        # a prior that is the same at all times has no axis of them
        data["reference"] = (PAIRS[1:], table[0]) if len(table) == 1 else (PAIRS, table)
    if isinstance(game.kernel, MovesKernel):
        data["leads_to"] = (PAIRS[1:], leads_to(game))
    recorded = {
        "format": FORMAT,
        "mfgjax_version": __version__,
        "jax_version": jax.__version__,
        "dtype": str(game.dtype),
        "response": json.dumps(describe(response)),
        "solver": json.dumps(describe(solver)),
        **bare.attrs,
    }
    for key, value in ({} if attrs is None else attrs).items():
        if key in recorded:
            raise ValueError(f"`attrs` has the key {key!r}, which this format writes itself.")
        # attributes of netCDF are texts and numbers
        recorded[key] = value if isinstance(value, str) else json.dumps(describe(value))
    return bare.assign(data).assign_attrs(recorded)


def leads_to(game: AbstractGame) -> np.ndarray:
    """Return for every state and action the name of the state it leads to, "" where there is none."""
    table = np.full((game.num_states, game.num_actions), "", dtype=object)  # NumPy would cut names to the length of ""
    available = np.asarray(game.available.any(axis=0))
    for s, names in enumerate(moves(game)):
        table[s, available[s]] = names
    return table


def save_equilibrium(
    path: str | os.PathLike,
    game: AbstractGame,
    equilibrium: Equilibrium,
    *,
    response: AbstractResponse | None = None,
    solver: AbstractSolver | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> Path:
    """Save an equilibrium as a netCDF file, which is written completely or not at all.

    Args:
      path: the path of the file, which ends in ".nc" and is replaced if it exists; its folder must exist.
      game: as in `to_dataset`.
      equilibrium: as in `to_dataset`.
      response: as in `to_dataset`.
      solver: as in `to_dataset`.
      attrs: as in `to_dataset`.

    Returns:
      The path.

    Raises:
      ValueError: as `to_dataset`, or if the path has another ending.
      OSError: if the file cannot be written.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> path = mfg.io.save_equilibrium("eq.nc", game, mfg.solve(game, response), response=response)
      >>> path.name
      'eq.nc'
    """
    path = path_to_write("path", path, ".nc")
    dataset = to_dataset(game, equilibrium, response=response, solver=solver, attrs=attrs)
    netcdf.write(path, dataset)
    return path


def load_equilibrium(path: str | os.PathLike) -> xr.Dataset:
    """Read what `save_equilibrium` wrote, as `to_dataset` returned it.

    Args:
      path: the path of the file.

    Returns:
      The dataset, in memory; its `mean_field` can be given to `solve` as `guess`.

    Raises:
      ValueError: if there is no such file, or the file is damaged, of another program, or of another version of the
        format.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> path = mfg.io.save_equilibrium("eq.nc", game, mfg.solve(game, response))
      >>> mfg.io.load_equilibrium(path).mean_field.dims
      ('time', 'state')
    """
    path = file_path("path", path)
    dataset = netcdf.read(path)
    netcdf.check_format(path, dataset, FORMAT, "equilibrium")
    # without a game only the file itself tells which dimensions there must be
    over_time = "time" in dataset.coords
    pairs = PAIRS if over_time else PAIRS[1:]
    for name, dims in {**dims_of_equilibrium(dataset.attrs.get("observes"), over_time), "q": pairs}.items():
        if name in dataset or name != "error_estimate":  # files of earlier versions have none
            netcdf.values_of(path, dataset, name, dims)
    return without_texts_of_numbers(dataset)
