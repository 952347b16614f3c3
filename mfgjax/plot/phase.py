"""Pictures of many equilibria: where the crowd ends against beta, and where no end was found."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .._largest_states import evenly
from .._result import RESULTS
from .._shorten import cut
from .curves import (
    MOST_LINES,
    Curve,
    Horizontal,
    Part,
    curves_of,
    horizontal_of,
    label_of,
    last_time,
    parts_of,
    range_of,
    symbol,
    terminal_law_of,
)
from .figures import new_figure
from .lane_styles import curve_style, frame_axis, hatch_failures, hatching, result_words
from .styles import SHARE, add_legend, frame, name_ticks

_MOST_ACROSS = 4  # panels in a row


def plot_phase(
    dataset: xr.Dataset,
    *,
    along: str | None = None,
    title: str | None = None,
    figure: Figure | SubFigure | None = None,
) -> np.ndarray:
    """Draw the law at the last time against beta, a panel per combination of the other axes.

    Up to six states are lines; of more, each panel is a map of states against beta. For a stationary game it is the law
    in equilibrium. At most 16 panels are drawn: from an axis with more values, evenly spaced ones, which the titles of
    the panels name. Games that did not converge are gaps, hatched by the reason why their solver stopped.

    Args:
      dataset: the result of `sweep`, with `terminal_law` or `mean_field`.
      along: the horizontal coordinate; None: "beta" if it was swept, else the numeric axis with the most values.
      title: above the panels.
      figure: where to draw, a figure or subfigure that is empty and has constrained layout; None: a new figure of
        pyplot. Axes cannot be given, since their number depends on the dataset.

    Returns:
      The axes of the panels, in an array.

    Raises:
      ValueError: if the dataset lacks what is to be drawn, or was not swept over `along`.

    Example:
      >>> mfg.plot.plot_phase(ds)  # ds = mfg.sweep(game, beta=betas)
    """
    axis, law = horizontal_of(dataset, along), terminal_law_of(dataset)
    parts = parts_of(dataset, axis)
    counts, rows, columns = panels_of(parts)
    chosen = [[axis_part[i] for i in evenly(len(axis_part), n)] for axis_part, n in zip(parts, counts, strict=True)]
    curves = curves_of(chosen, dataset, axis)
    figure = new_figure(phase_size(rows, columns), figure)
    grid: np.ndarray = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels, names = grid.ravel()[: len(curves)], [str(name) for name in law["state"].values]
    tables = [_law_of(curve, law, axis) for curve in curves]
    as_map = len(names) > MOST_LINES
    share = f"{SHARE}\n{last_time(dataset)}"
    top = max((float(np.nanmax(table)) for table in tables if not np.isnan(table).all()), default=1.0)
    mesh: Any = None
    for i, (curve, table, ax) in enumerate(zip(curves, tables, panels, strict=True)):
        if as_map:
            mesh = _draw_map(ax, axis, curve.x, table, top)
        for k, y in enumerate(() if as_map else table.T):
            ax.plot(curve.x, y, **curve_style(k, curve.x, y, 12 if columns < 3 else 7))
        hatch_failures(ax, axis.edges(curve.x), curve.get("result_code"))
        left, below = i % columns == 0, i + columns >= len(curves)  # where there is no panel to the left, or below
        label, heading = "state" if as_map else share, curve.title(", " if columns == 1 else "\n")
        frame(ax, "", label if left else "", heading, grid=None if as_map else "both", fontsize="medium")
        frame_axis(axis, ax, label_of(dataset, axis.name) if below else "", cells=as_map)
        ax.tick_params(labelbottom=below)
    for ax in grid.ravel()[len(curves) :]:
        ax.remove()
    if as_map:
        name_ticks(panels[0].yaxis, names, 20 if rows == 1 else 10)
        figure.colorbar(mesh, ax=panels.tolist(), label=share.replace("\n", " "), pad=0.02)
    else:
        panels[0].set_ylim(-0.02 * top, 1.05 * top)
    _explain(figure, [] if as_map else names, _failures(axis, curves))
    thinned = "; ".join(
        f"{' and '.join(map(symbol, axis_part[0][0]))}: {len(shown)} of {len(axis_part)} values"
        for axis_part, shown in zip(parts, chosen, strict=True)
        if len(shown) < len(axis_part)
    )
    if title is not None or thinned:
        figure.suptitle("\n".join(filter(None, [title, thinned])), parse_math=False)
    return panels


def _explain(figure: Figure | SubFigure, names: Sequence[str], failures: dict[str, Patch]) -> None:
    """Add a legend of the lines of states and of what failed, if there is either."""
    handles = [*(Line2D([], [], **curve_style(k)) for k in range(len(names))), *failures.values()]
    place: dict[str, Any] = dict(loc="outside right upper", title="state")
    if not names:  # the colours of a map are on the right
        place = dict(loc="outside lower left", ncols=max(1, len(failures)))
    if handles:
        add_legend(figure, handles, [*map(cut, names), *failures], frameon=False, handlelength=3, **place)


def _law_of(curve: Curve, law: xr.DataArray, axis: Horizontal) -> np.ndarray:
    """Return the law of each lane of a panel, `[lanes, S]`; NaN where it did not converge."""
    table = law.isel(curve.where).transpose(axis.dim, "state").values
    return np.where(curve.get("result_code")[:, None] == RESULTS.converged, table, np.nan)


def _draw_map(ax: Axes, axis: Horizontal, x: np.ndarray, table: np.ndarray, top: float) -> Any:
    """Draw states against the horizontal axis in colours, and return them."""
    borders = np.arange(table.shape[1] + 1) - 0.5
    # as an image in files of vectors, which thousands of cells would make slow
    return ax.pcolormesh(axis.edges(x), borders, np.ma.masked_invalid(table.T), vmin=0, vmax=top, rasterized=True)


def _failures(axis: Horizontal, curves: list[Curve]) -> dict[str, Patch]:
    """Return for each way to fail how many lanes went it and between which values, with its hatching."""
    x, codes = np.concatenate([c.x for c in curves]), np.concatenate([c.get("result_code") for c in curves])
    patches = {}
    for kind in np.unique(codes[codes != RESULTS.converged]):
        where = f"\n{symbol(axis.name)} = {range_of(x[codes == kind])}" if axis.ticks is None else ""
        patches[f"{result_words(kind)}: {(codes == kind).sum():,} of {len(x):,}{where}"] = Patch(**hatching(kind))
    return patches


def panels_of(parts: Sequence[Part]) -> tuple[list[int], int, int]:
    """Return how many values of each axis are drawn, and how many rows and columns of panels that makes."""
    counts = [len(part) for part in parts]
    *above, last = [i for i, n in enumerate(counts) if n > 1] or [0]
    if not above:  # a single axis is folded into rows
        counts[last] = min(counts[last], _MOST_ACROSS**2)
        rows = -(-counts[last] // _MOST_ACROSS)
        return counts, rows, -(-counts[last] // rows)
    counts[last] = min(counts[last], _MOST_ACROSS)
    while math.prod(counts[i] for i in above) > _MOST_ACROSS:
        # one less of the axis with the most values, until all rows fit
        counts[max(above, key=lambda i: counts[i])] -= 1
    return counts, math.prod(counts[i] for i in above), counts[last]


def phase_size(rows: int, columns: int) -> tuple[float, float]:
    return 2.2 + (4.8 if columns == 1 else 2.9 * columns), 1.0 + (3.4 if rows == 1 else 2.2 * rows)
