"""Pictures of many equilibria: where the crowd ends against beta, and where no end was found."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from .._result import RESULTS
from .curves import (
    Curve,
    Horizontal,
    Part,
    curves_of,
    heaviest_states,
    horizontal_of,
    label_of,
    last_time,
    parts_of,
    range_of,
    symbol,
    terminal_law_of,
)
from .figures import new_figure
from .lane_styles import curve_style, frame_axis, hatch_failures, hatching, result_name
from .styles import add_legend, short, spread_evenly

_MOST_ACROSS = 4  # panels in a row


def plot_phase(
    dataset: xr.Dataset,
    *,
    along: str | None = None,
    title: str | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw the law at the last time against beta: a line per state, a panel per combination of the other axes.

    For a stationary game it is the law in equilibrium. At most 16 panels are drawn: from an axis with more values,
    evenly spaced ones, which the titles of the panels name. If there are many states, the 8 with the most mass anywhere
    are drawn, and the sum of the others. Games that did not converge are gaps, hatched by the reason why their solver
    stopped.

    Args:
      dataset: the result of `sweep`, with `terminal_law` or `mean_field`.
      along: the horizontal coordinate; None: "beta" if it was swept, else the numeric axis with the most values.
      title: above the panels.
      figure: where to draw, empty and with constrained layout; None: a new one.

    Returns:
      The figure.

    Raises:
      ValueError: if the dataset lacks what is to be drawn, or was not swept over `along`.

    Example:
      >>> mfg.plot.plot_phase(ds)  # ds = mfg.sweep(game, beta=betas)
    """
    axis, law = horizontal_of(dataset, along), terminal_law_of(dataset)
    parts = parts_of(dataset, axis)
    counts, rows, columns = panels_of(parts)
    chosen = [
        [axis_part[i] for i in spread_evenly(len(axis_part), n)] for axis_part, n in zip(parts, counts, strict=True)
    ]
    curves = curves_of(chosen, dataset, axis)
    states = heaviest_states(law, curves)
    others = np.setdiff1d(np.arange(law.sizes["state"]), states)
    figure = new_figure(phase_size(rows, columns)) if figure is None else figure
    panels: np.ndarray = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels_with_others = []
    for i, (curve, ax) in enumerate(zip(curves, panels.flat, strict=False)):
        table = law.isel(curve.where).transpose(axis.dim, "state").values
        table = np.where(curve.get("result_code")[:, None] == RESULTS.converged, table, np.nan)
        for k, y in enumerate(table[:, states].T):
            ax.plot(curve.x, y, **curve_style(k, curve.x, y, 12 if columns < 3 else 7))
        others_law = table[:, others]  # NaN at states that only other games of the sweep have
        panels_with_others.append(
            (ax, curve, np.where(np.isnan(others_law).all(axis=1), np.nan, np.nansum(others_law, axis=1)))
        )
        hatch_failures(ax, axis.edges(curve.x), curve.get("result_code"))
        frame_axis(axis, ax, label_of(dataset, axis.name) if i + columns >= len(curves) else "")
        ax.tick_params(labelbottom=i + columns >= len(curves))  # where there is no panel below
        ax.grid(True, which="major", alpha=0.3)
        ax.set_title(curve.title(", " if columns == 1 else "\n"), fontsize=10, parse_math=False)
        if i % columns == 0:
            ax.set_ylabel(f"share of the population\n{last_time(dataset)}")
    for ax in panels.flat[len(curves) :]:
        ax.remove()
    top = _greatest([line.get_ydata() for ax, *_ in panels_with_others for line in ax.lines]) or 1.0
    names = [short(str(name)) for name in law["state"].values[states]]
    handles: list[Any] = [Line2D([], [], **curve_style(k)) for k in range(len(states))]
    if len(others):
        sums_of_others = [y for *_, y in panels_with_others]
        crowd = _greatest(sums_of_others)
        if drawn := crowd < 3 * top:  # else the lines that matter would lie on the ground
            top = max(top, crowd)
            for ax, curve, y in panels_with_others:
                ax.plot(curve.x, y, **curve_style(-1, curve.x, y))
        names.append(f"{len(others):,} others" + ("" if drawn else f",\nnot drawn: at most\n{crowd:.2f} in all"))
        handles.append(Line2D([], [], **curve_style(-1)) if drawn else Line2D([], [], linestyle="none"))
    panels[0, 0].set_ylim(-0.02 * top, 1.05 * top)
    for name, patch in _failures(axis, curves).items():
        names.append(name)
        handles.append(patch)
    add_legend(figure, handles, names, title="state", loc="outside right upper", handlelength=3.5)
    thinned = "; ".join(
        f"{' and '.join(map(symbol, axis_part[0][0]))}: {len(shown)} of {len(axis_part)} values"
        for axis_part, shown in zip(parts, chosen, strict=True)
        if len(shown) < len(axis_part)
    )
    if title is not None or thinned:
        figure.suptitle("\n".join(filter(None, [title, thinned])), fontsize=11, parse_math=False)
    return figure


def _failures(axis: Horizontal, curves: list[Curve]) -> dict[str, Patch]:
    """Return for each way to fail how many lanes went it and between which values, with its hatching."""
    x, codes = np.concatenate([c.x for c in curves]), np.concatenate([c.get("result_code") for c in curves])
    patches = {}
    for kind in np.unique(codes[codes != RESULTS.converged]):
        where = f"\n{symbol(axis.name)} = {range_of(x[codes == kind])}" if axis.ticks is None else ""
        patches[f"{result_name(kind)}: {(codes == kind).sum():,} of {len(x):,}{where}"] = Patch(**hatching(kind))
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


def _greatest(arrays: list[Any]) -> float:
    return float(np.fmax.reduce(np.concatenate([[0.0], *arrays])))
