"""Pictures of policies: what is done in every state, or in one state over time."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from .._names import did_you_mean
from .._shown_laws import listed
from .._typing import Array, Float
from ..equilibrium import Equilibrium
from ..model import AbstractGame
from .figures import new_axes
from .maps import draw_moves, grid_of, map_size
from .pictured import Pictured, pictured_of
from .styles import add_colours, frame, ink_on, name_ticks, shade

_MOST_TICKS = 26  # of names along an axis; of more nodes, moves are told by the actions' own names
_MOST_PRINTED = (12, 12)  # columns and rows of a map whose numbers can be read


def plot_policy(
    game: AbstractGame | xr.Dataset,
    equilibrium_or_policy: Equilibrium | xr.Dataset | Float[Array, "*T S A"] | None = None,
    *,
    time: int | None = None,
    state: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a policy π_t(a|s) as a map: for all states at one time, or for one state over time.

    Actions that are not available are blank. On a graph, the rows are the nodes to which moves lead (with more than
    26 nodes: the actions). Numbers are printed where there is room. On a grid, whose states are named "row,column",
    arrows in the cells are as long as the probabilities of the moves, and the area of a dot grows with the
    probability of staying.

    Args:
      game: for names, and for which actions are available; or a dataset of `io.load_equilibrium`, or a point of a
        sweep, which does not say which are available.
      equilibrium_or_policy: an `Equilibrium`, a dataset, or a policy `[S, A]` or `[H+1, S, A]`; None: `game` is a
        dataset.
      time: t, −1 is the last; None: 0.
      state: the name of a state, whose policy is drawn over time, instead of all states at one time.
      title: of the picture; None: the time, or the state.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if there is no policy, no such time or state, or both are given.

    Example:
      >>> mfg.plot.plot_policy(game, eq, time=4)  # eq = mfg.solve(game, response)
    """
    pictured = pictured_of(game, equilibrium_or_policy, is_policy=True)
    policy = pictured.policies()
    grid = grid_of(pictured)
    if state is None:
        first = 0 if pictured.times is None else int(pictured.times[0])
        row = pictured.row(time if time is not None else -1 if pictured.times is None else first)
        if grid is not None and pictured.leads_to is not None:
            ax = new_axes(ax, map_size(grid))
            draw_moves(ax, grid, policy[row] * pictured.open_to(row), pictured.leads_to)
            ax.set_title(pictured.title(row, title) or "", parse_math=False)
            return ax
        table, exists, names, label = _of_all(pictured, row)
        heading, below, across = pictured.title(row, None) or "", "state", pictured.states
    else:
        if time is not None:
            raise ValueError("`time` and `state` cannot both be given: a state is drawn at all times.")
        if pictured.times is None:
            raise ValueError("`state` is drawn over time, but this policy is the same at all times.")
        if state not in pictured.states:
            known = f"; the states are {listed(pictured.states)}."
            which = did_you_mean(str(state), pictured.states, known)
            raise ValueError(f"`state` is {state!r}, but there is no state of this name{which}")
        s = pictured.states.index(state)
        open_to = np.broadcast_to(pictured.available, (*policy.shape[:1], *pictured.available.shape[1:]))[:, s]
        table, exists, names, label = _of_one(pictured, s, policy[:, s], open_to)
        heading, below, across = f"in state {state}", "time t (steps)", tuple(map(str, pictured.times))
    ax = new_axes(ax, _size(len(across), len(names), across, names))
    image = draw_policy(ax, table, exists)
    add_colours(ax, image, "probability")
    name_ticks(ax.xaxis, across, _MOST_TICKS)
    name_ticks(ax.yaxis, names, _MOST_TICKS)
    frame(ax, below, label, heading if title is None else title, grid=None)
    return ax


def draw_policy(ax: Axes, table: np.ndarray, exists: np.ndarray, *, numbers: bool = True) -> Any:
    """Draw probabilities `[columns, rows]` in colours, blank where there are none, and return the image."""
    columns, rows = table.shape
    ax.set_facecolor(shade(0.07))
    image = ax.imshow(
        np.ma.masked_array(table, ~exists).T, aspect="auto", origin="lower", vmin=0, vmax=1, interpolation="nearest"
    )
    if numbers and columns <= _MOST_PRINTED[0] and rows <= _MOST_PRINTED[1]:
        for i, j in np.argwhere(exists):
            ink = ink_on(image.cmap(float(table[i, j]))[:3])
            ax.text(i, j, f"{table[i, j]:.2f}", ha="center", va="center", fontsize=8, color=ink)
    return image


Map = tuple[np.ndarray, np.ndarray, tuple[str, ...], str]  # numbers and mask [columns, rows], names of the rows, label


def _of_all(pictured: Pictured, row: int) -> Map:
    policy, exists = pictured.policies()[row], pictured.open_to(row)
    if pictured.leads_to is None or len(pictured.states) > _MOST_TICKS:
        return policy, exists, pictured.actions, "action"
    return *_by_target(policy, exists, pictured.leads_to, len(pictured.states)), pictured.states, "state it leads to"


def _of_one(pictured: Pictured, s: int, policy: np.ndarray, exists: np.ndarray) -> Map:
    used = np.flatnonzero(exists.any(axis=0))  # actions that the state never has get no row
    if pictured.leads_to is None:
        return policy[:, used], exists[:, used], tuple(pictured.actions[a] for a in used), "action"
    ends = np.tile(pictured.leads_to[s], (len(policy), 1))
    table, seen = _by_target(policy, exists, ends, len(pictured.states))
    nodes = np.flatnonzero(seen.any(axis=0))
    return table[:, nodes], seen[:, nodes], tuple(pictured.states[n] for n in nodes), "state it leads to"


def _by_target(
    policy: np.ndarray, exists: np.ndarray, ends: np.ndarray, num_states: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities of next states, and which there are, for every row."""
    table, seen = np.zeros((len(policy), num_states)), np.zeros((len(policy), num_states), bool)
    rows, actions = np.nonzero(exists & (ends >= 0))
    # two actions may lead to one state; plain indexing would count one of them
    np.add.at(table, (rows, ends[rows, actions]), policy[rows, actions])
    seen[rows, ends[rows, actions]] = True
    return table, seen


def _size(columns: int, rows: int, across: tuple[str, ...], names: tuple[str, ...]) -> tuple[float, float]:
    width = np.clip(0.5 * columns, 3.2, 8.0) + 0.07 * min(14, max(map(len, names))) + 1.6
    height = np.clip(0.36 * rows, 1.4, 6.0) + 0.05 * min(14, max(map(len, across))) + 1.0
    return float(width), float(height)
