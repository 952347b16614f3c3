"""Pictures of a crowd over time."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from .. import _checks
from .._largest_states import evenly, largest_states
from .._shorten import cut
from .._typing import Array, Float
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame
from .arrangement import tiles
from .curves import MOST_LINES
from .figures import new_axes
from .maps import Grid, draw_map, grid_of
from .pictured import Pictured, pictured_of
from .styles import (
    BESIDE,
    SHARE,
    add_colours,
    add_legend,
    colours,
    curve,
    frame,
    hatch,
    ink_on,
    name_ticks,
    shade,
    whole_ticks,
)

KINDS = ("auto", "lines", "bars", "area", "heat", "maps")
_MOST_STACKED = 12  # and in a stack
_MOST_MAPS = 6  # times


def plot_flow(
    game: FiniteHorizonGame | xr.Dataset,
    equilibrium_or_flow: Equilibrium | xr.Dataset | Float[Array, "T S"] | None = None,
    *,
    kind: str = "auto",
    title: str | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the population over time: as a line for each state, as a map of states over times, or as maps of a grid.

    In a stack of more than twelve states, the eleven with the most mass at any time are shown, and all others as one.

    Args:
      game: for the names of the states; or a dataset of `io.load_equilibrium`, or a point of a sweep.
      equilibrium_or_flow: an `Equilibrium`, a dataset, or a law of the states for every time, `[H+1, S]`; None: `game`
        is a dataset.
      kind: "lines"; "bars" or "area" (stacks that add up to the whole population); "heat" (a map of states over times);
        "maps" (maps of a grid at six times at most, for states named "row,column"); or "auto": "lines" for at most six
        states, "maps" for a grid, else "heat".
      title: of the picture.
      legend: whether to show which line, or which part of a stack, belongs to which state.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if there is no law for every time, no such kind, or no grid.

    Example:
      >>> mfg.plot.plot_flow(game, eq)  # eq = mfg.solve(game, response)
    """
    _checks.one_of("kind", kind, KINDS)
    pictured = pictured_of(game, equilibrium_or_flow)
    if pictured.times is None:
        stationary_or_single = "a stationary game, or one time: see `plot_stationary` and `plot_law`"
        raise ValueError(f"`plot_flow` draws a law for every time; got {stationary_or_single}.")
    flow, times, grid = pictured.laws(), pictured.times, grid_of(pictured)
    if kind == "auto":
        kind = "lines" if flow.shape[1] <= MOST_LINES else "heat" if grid is None else "maps"
    if kind == "area" and len(times) < 2:
        raise ValueError('`kind="area"` needs at least two times; use "bars" for one.')
    if kind == "maps":
        if grid is None:
            raise ValueError('`kind="maps"` is for a grid, whose states are named "row,column", such as "2,0".')
        return _maps(ax, grid, flow, times, title)
    ax = new_axes(ax, (6.4, 4.0))
    if kind == "lines":
        _lines(ax, pictured, flow, legend=legend)
    elif kind == "heat":
        _heat(ax, pictured, flow)
    else:
        _stack(ax, pictured, flow, kind, legend=legend)
    grid_lines = {"lines": "both", "heat": None}.get(kind, "y")
    frame(ax, "time t (steps)", "state" if kind == "heat" else SHARE, title, grid=grid_lines)
    whole_ticks(ax.xaxis)
    return ax


def _lines(ax: Axes, pictured: Pictured, flow: np.ndarray, *, legend: bool) -> None:
    times: Any = pictured.times
    every = -(-len(times) // 20)
    handles = [
        ax.plot(times, law, markevery=(i % every, every), clip_on=False, zorder=3, **curve(i))[0]
        for i, law in enumerate(flow.T)
    ]
    ax.set_ylim(0, 1.03 * max(float(flow.max()), 0.02))
    if legend:
        add_legend(ax, handles, [cut(name) for name in pictured.states], title="state", handlelength=3, **BESIDE)


def _heat(ax: Axes, pictured: Pictured, flow: np.ndarray) -> None:
    times: Any = pictured.times
    edges = (times[0] - 0.5, times[-1] + 0.5, -0.5, flow.shape[1] - 0.5)
    image = ax.imshow(flow.T, aspect="auto", origin="lower", vmin=0, interpolation="nearest", extent=edges)
    add_colours(ax, image)
    name_ticks(ax.yaxis, pictured.states, 20)


def _maps(ax: Axes | None, grid: Grid, flow: np.ndarray, times: np.ndarray, title: str | None) -> Axes:
    """Draw maps of a grid at some times, side by side."""
    shown = evenly(len(times), _MOST_MAPS)
    (down, across), (rows, columns) = tiles(len(shown)), grid.shape
    wide, high = columns + 0.06 * columns, rows + max(1.0, 0.16 * rows)  # with room for the time above a map
    width = 9.6
    ax = new_axes(ax, (width, float(np.clip(0.88 * width * down * high / (across * wide) + 0.3, 2.0, 9.0))))
    most, image = float(flow[shown].max()), None
    for place, i in enumerate(shown):
        at = (place % across * wide, place // across * high)
        image = draw_map(ax, grid, flow[i], most, at)
        middle, top = at[0] + columns / 2 - 0.5, at[1] - 0.6
        ax.text(middle, top, f"t = {times[i]}", ha="center", va="bottom", fontsize="small")
        corner = (at[0] - 0.5, at[1] - 0.5)
        ax.add_patch(Rectangle(corner, columns, rows, facecolor="none", edgecolor=shade(0.5), clip_on=False))
    ax.set(xlim=(-0.5, (across - 1) * wide + columns - 0.5), ylim=((down - 1) * high + rows - 0.5, rows - high - 0.5))
    ax.set_axis_off()
    add_colours(ax, image)
    if title is not None:
        ax.set_title(title, parse_math=False)
    return ax


def _stack(ax: Axes, pictured: Pictured, flow: np.ndarray, kind: str, *, legend: bool) -> None:
    times: Any = pictured.times
    num_states = flow.shape[1]
    shown = largest_states(flow.max(axis=0), _MOST_STACKED - 1 if num_states > _MOST_STACKED else None)
    names, fills = [cut(pictured.states[s]) for s in shown], colours(len(shown))
    layers = flow[:, shown]
    if len(shown) < num_states:
        layers = np.column_stack([layers, flow.sum(axis=1) - layers.sum(axis=1)])
        names.append(f"{num_states - len(shown)} others")
        fills.append(shade(0.0))
    base, handles = np.zeros(len(flow)), []
    for i, (layer, fill) in enumerate(zip(layers.T, fills, strict=True)):
        style: dict[str, Any] = dict(facecolor=fill, edgecolor=shade(0.0 if i < len(shown) else 0.5), linewidth=0.8)
        style.update(hatch=hatch(i) if i < len(shown) else "")
        handles.append(Patch(**style))
        if kind == "area":
            ax.fill_between(times, base, base + layer, **style)
        else:
            ax.bar(times, layer, bottom=base, width=0.85, **style)
            if len(flow) <= 12:
                _numbers(ax, times, base, layer, fill, boxed=bool(style["hatch"]))
        base = base + layer
    ax.set_ylim(0, 1)
    if kind == "area":
        ax.set_xlim(times[0], times[-1])
    if legend:  # in the order of the stack, from its top
        add_legend(ax, handles[::-1], names[::-1], title="state", handlelength=2.0, handleheight=1.4, **BESIDE)


def _numbers(ax: Axes, times: Any, base: np.ndarray, layer: np.ndarray, fill: str, *, boxed: bool) -> None:
    # hatching would run through the numbers
    box = dict(boxstyle="round,pad=0.15", facecolor=fill, edgecolor="none") if boxed else None
    for t, low, mass in zip(times, base, layer, strict=True):
        if mass >= 0.06:
            middle: dict[str, Any] = dict(ha="center", va="center", fontsize=7, bbox=box, color=ink_on(fill))
            ax.text(t, low + mass / 2, f"{mass:.2f}", **middle)
