"""A picture of where a crowd is at one time."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from .._typing import Array, Float
from ..equilibrium import Equilibrium
from ..model import AbstractGame
from .figures import new_axes
from .maps import draw_only_map, grid_of, map_size
from .pictured import pictured_of
from .styles import SHARE, colour, frame, name_ticks, shade

_MOST_TICKS, _MOST_OUTLINED = 26, 60


def plot_law(
    game: AbstractGame | xr.Dataset,
    law: Equilibrium | xr.Dataset | Float[Array, "*T S"] | None = None,
    *,
    time: int = -1,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the law of the states at one time as bars, or as a map if the states are the cells of a grid.

    Args:
      game: for the names of the states, which are "row,column" on a grid; or a dataset of `io.load_equilibrium`, or a
        point of a sweep.
      law: the law of the states, at one time or at all times; an equilibrium; or a dataset.
      time: t, if the law is given at all times; −1 is the last.
      title: of the picture; None: the time, if there are times.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if there is no law, or no such time.

    Example:
      >>> mfg.plot.plot_law(game, eq, time=5)  # eq = mfg.solve(game, response)
    """
    pictured = pictured_of(game, law)
    row, grid = pictured.row(time), grid_of(pictured)
    if grid is None:
        ax = new_axes(ax, (6.4, 3.6))
        draw_law(ax, pictured.laws()[row])
        name_states(ax, pictured.states)
    else:
        ax = new_axes(ax, map_size(grid))
        draw_only_map(ax, grid, pictured.laws()[row])
    ax.set_title(pictured.title(row, title) or "", parse_math=False)
    return ax


def draw_law(ax: Axes, law: np.ndarray) -> Any:
    """Draw bars, outlined in the background's colour unless they are many, and return them."""
    edge: dict[str, Any] = dict(edgecolor=shade(0.0), linewidth=0.6) if len(law) <= _MOST_OUTLINED else {}
    bars = ax.bar(np.arange(len(law)), law, width=0.85 if edge else 1.0, color=colour(0), **edge)
    ax.margins(x=0.01)
    return bars


def name_states(ax: Axes, names: tuple[str, ...]) -> None:
    """Name the bars, an even choice where they are many, and the axes."""
    name_ticks(ax.xaxis, names, _MOST_TICKS if max(map(len, names)) < 4 else _MOST_TICKS // 2)
    frame(ax, "state", SHARE, grid="y")
