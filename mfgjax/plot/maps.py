"""Games on a grid as maps."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.colors import ListedColormap

from .._coordinates import cells
from .pictured import Pictured
from .styles import add_colours, colour, frame, shade, whole_ticks


class Grid(NamedTuple):
    """Where the states of a game on a grid are."""

    rows: np.ndarray  # of every state
    columns: np.ndarray
    blocked: np.ndarray  # obstacles: nobody is there, and nobody can leave

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return int(self.rows.max()) + 1, int(self.columns.max()) + 1

    def map_of(self, law: np.ndarray) -> np.ma.MaskedArray:
        """Return masses by row and column; masked where there is no state, and at obstacles."""
        table = np.ma.masked_all(self.shape)
        free = ~self.blocked
        table[self.rows[free], self.columns[free]] = law[free]
        return table


def grid_of(pictured: Pictured) -> Grid | None:
    """Return the grid whose cells the states are; None: there is none."""
    places = cells(pictured.states)
    if places is None:
        return None
    blocked = np.zeros(len(pictured.states), bool)
    if pictured.leads_to is not None:
        ends = pictured.leads_to
        stuck = ((ends < 0) | (ends == np.arange(len(ends))[:, None])).all(axis=1)
        blocked = stuck if pictured.law is None else stuck & (pictured.law == 0).all(axis=0)
    return Grid(places[:, 0], places[:, 1], blocked)


def draw_map(ax: Axes, grid: Grid, law: np.ndarray, most: float, offset: tuple[float, float] = (0.0, 0.0)) -> Any:
    """Draw masses on a grid, row 0 on top, and return the image.

    Args:
      ax: where to draw.
      grid: of the states.
      law: of the states.
      most: mass at the end of the colours.
      offset: how far the map is moved right and down, in cells.
    """
    (rows, columns), (right, down) = grid.shape, offset
    extent = (right - 0.5, right + columns - 0.5, down + rows - 0.5, down - 0.5)
    style: dict[str, Any] = dict(vmin=0, vmax=most, interpolation="nearest", extent=extent)
    image = ax.imshow(grid.map_of(law), **style)
    image.set_cmap(image.cmap.with_extremes(bad=shade(0.18)))
    return image


def draw_only_map(ax: Axes, grid: Grid, law: np.ndarray) -> None:
    """Draw the only map on some axes, with what its colours mean and the names of rows and columns."""
    add_colours(ax, draw_map(ax, grid, law, float(law.max())))
    name_cells(ax)


def draw_moves(ax: Axes, grid: Grid, policy: np.ndarray, leads_to: np.ndarray) -> None:
    """Draw a policy `[S, A]` on a grid: arrows as long as moves are probable, and dots for staying.

    Args:
      ax: where to draw.
      grid: of the states.
      policy: 0 where an action is not available.
      leads_to: number of the next state of each action, −1 where there is none, `[S, A]`.
    """
    free = ~grid.blocked
    image = draw_map(ax, grid, np.zeros(len(policy)), 1.0)
    image.set_cmap(ListedColormap([shade(0.0)]).with_extremes(bad=shade(0.18)))
    here, action = np.nonzero((policy >= 0.005) & (leads_to >= 0) & free[:, None])
    share, there = policy[here, action], leads_to[here, action]
    places, ends = (np.stack([grid.columns[s], grid.rows[s]], axis=1) for s in (here, there))
    moves = (places != ends).any(axis=1)
    ways = (share[:, None] * (ends - places))[moves]
    style: dict[str, Any] = dict(angles="xy", scale_units="xy", scale=2.1, units="xy", width=0.06, color=colour(0))
    ax.quiver(*places[moves].T, *ways.T, headwidth=3, headlength=3, headaxislength=3, minlength=0, **style)
    size = 0.5 * np.sqrt(share[~moves])
    dots: dict[str, Any] = dict(units="xy", offsets=places[~moves], offset_transform=ax.transData, color=colour(1))
    ax.add_collection(EllipseCollection(size, size, np.zeros(len(size)), **dots), autolim=False)
    name_cells(ax)


def name_cells(ax: Axes) -> None:
    """Name rows and columns of the only map on some axes."""
    frame(ax, "column", "row", grid=None)
    whole_ticks(ax.xaxis)
    whole_ticks(ax.yaxis)


def map_size(grid: Grid) -> tuple[float, float]:
    """Return the size of a figure with a map and its colour bar, in inches."""
    rows, columns = grid.shape
    return 6.4, float(np.clip(4.6 * rows / columns + 0.8, 2.0, 7.0))
