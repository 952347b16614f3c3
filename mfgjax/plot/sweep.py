"""Pictures of many equilibria: where the crowd ends against beta, what it took to find out, and where that failed."""

import itertools
import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from .._result import RESULTS
from .crowd import LINES, short
from .curves import (
    MOST_LINES,
    RESIDUALS,
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
    spread_evenly,
    symbol,
    terminal_law_of,
)
from .figures import new_axes, new_figure

_MOST_ACROSS, _MOST_CELLS = 4, (64, 512)  # panels in a row; rows and columns of a map
_COLOURS = ("#000000", "#e69f00", "#0072b2", "#009e73", "#d55e00", "#56b4e9", "#cc79a7", "#806000")
_MARKERS = "os^DvPX*"
# of the results 0, 1, ...; the last is for lanes that an interrupted sweep has not come to, whose code is −1
_RESULT_COLOURS = ("#e8e8e8", "#e69f00", "#56b4e9", "#777777", "#009e73", "#cc79a7", "#d55e00", "#ffffff")
_RESULT_HATCHES = ("", "///", "\\\\\\", "xxx", "...", "---", "+++", "oo")
_ROUNDED = 1e-18  # less is not worth a decade of the picture


def plot_phase(
    dataset: xr.Dataset,
    *,
    along: str | None = None,
    title: str | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw the law at the last time against beta: a line per state, a panel per combination of the other axes.

    Of a stationary game it is the law in equilibrium. At most 16 panels are drawn: of an axis with more values an even
    choice, which the panels' titles name. Of many states those 8 are drawn that have the most mass anywhere, and the
    sum of the others. Lanes that did not converge are gaps, hatched by how they ended.

    Args:
      dataset: from `sweep`, with `terminal_law` or `mean_field`.
      along: the horizontal coordinate; None: "beta" where it was swept, else the numbers with most values.
      title: above the panels.
      figure: where to draw, empty and with constrained layout; None: a new one.

    Returns:
      The figure.

    Raises:
      ValueError: if the dataset lacks what is to be drawn, or was not swept over `along`.
    """
    axis, law = horizontal_of(dataset, along), terminal_law_of(dataset)
    parts = parts_of(dataset, axis)
    counts, rows, columns = _layout(parts)
    chosen = [[part[i] for i in spread_evenly(len(part), n)] for part, n in zip(parts, counts, strict=True)]
    curves = curves_of(chosen, dataset, axis)
    states = heaviest_states(law, curves)
    others = np.setdiff1d(np.arange(law.sizes["state"]), states)
    figure = new_figure(_phase_size(rows, columns)) if figure is None else figure
    panels: np.ndarray = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    rest = []
    for i, (curve, ax) in enumerate(zip(curves, panels.flat, strict=False)):
        table = law.isel(curve.where).transpose(axis.dim, "state").values
        table = np.where(curve.get("result_code")[:, None] == RESULTS.converged, table, np.nan)
        for k, y in enumerate(table[:, states].T):
            ax.plot(curve.x, y, **_style(k, curve.x, y, 12 if columns < 3 else 7))
        left = table[:, others]  # NaN at states that only other games of the sweep have
        rest.append((ax, curve, np.where(np.isnan(left).all(axis=1), np.nan, np.nansum(left, axis=1))))
        _hatch(ax, axis.edges(curve.x), curve.get("result_code"))
        _frame(axis, ax, label_of(dataset, axis.name) if i + columns >= len(curves) else "")
        ax.tick_params(labelbottom=i + columns >= len(curves))  # where there is no panel below
        ax.grid(True, which="major", alpha=0.3)
        ax.set_title(curve.title(", " if columns == 1 else "\n"), fontsize=10, parse_math=False)
        if i % columns == 0:
            ax.set_ylabel(f"share of the population\n{last_time(dataset)}")
    for ax in panels.flat[len(curves) :]:
        ax.remove()
    top = _greatest([line.get_ydata() for ax, *_ in rest for line in ax.lines]) or 1.0
    names = [short(str(name)) for name in law["state"].values[states]]
    handles: list[Any] = [Line2D([], [], **_style(k)) for k in range(len(states))]
    if len(others):
        together = [y for *_, y in rest]
        crowd = _greatest(together)
        if drawn := crowd < 3 * top:  # else the lines that matter would lie on the ground
            top = max(top, crowd)
            for ax, curve, y in rest:
                ax.plot(curve.x, y, **_style(-1, curve.x, y))
        names.append(f"{len(others):,} others" + ("" if drawn else f",\nnot drawn: at most\n{crowd:.2f} in all"))
        handles.append(Line2D([], [], **_style(-1)) if drawn else Line2D([], [], linestyle="none"))
    panels[0, 0].set_ylim(-0.02 * top, 1.05 * top)
    for name, patch in _failures(axis, curves).items():
        names.append(name)
        handles.append(patch)
    _legend(figure, handles, names, title="state", loc="outside right upper", handlelength=3.5)
    thinned = "; ".join(
        f"{' and '.join(map(symbol, part[0][0]))}: {len(shown)} of {len(part)} values"
        for part, shown in zip(parts, chosen, strict=True)
        if len(shown) < len(part)
    )
    if title is not None or thinned:
        figure.suptitle("\n".join(filter(None, [title, thinned])), fontsize=11, parse_math=False)
    return figure


def plot_sweep_map(
    dataset: xr.Dataset,
    name: str,
    *,
    along: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a number that every lane has: a map over beta and all other axes, or a line where there is no other.

    Of more than 512 columns, or 64 rows, neighbours share a cell, which shows the greatest of them. Lanes that
    did not converge are hatched by how they ended.

    Args:
      dataset: from `sweep`.
      name: "num_steps", "residual", "exploitability", "result_code", or another variable over the swept axes.
      along: the horizontal coordinate; None: "beta" where it was swept, else the numbers with most values.
      title: of the picture.
      ax: where to draw; None: on a new figure, which is `returned.figure`.

    Returns:
      The axes.

    Raises:
      ValueError: if there is no such variable, or the dataset was not swept over `along`.
    """
    axis = horizontal_of(dataset, along)
    if name not in dataset.data_vars:
        raise ValueError(f"`dataset` has no variable {name!r}.")
    lanes, dims = dataset["result_code"].dims, dataset[name].dims
    if set(dims) != set(lanes) or dataset[name].dtype.kind not in "biuf":
        kind = f"{dataset[name].dtype} with dims {dims}"
        raise ValueError(f"`name` is {name!r}, which is {kind}, but it must be one number for each of {lanes}.")
    curves = curves_of(parts_of(dataset, axis), dataset, axis)
    values, label = [curve.get(name).astype(float) for curve in curves], label_of(dataset, name)
    if name in RESIDUALS:
        together = np.concatenate(values)
        least = max(together[together > 0].min(initial=1e-3), _ROUNDED) if (together > 0).any() else _ROUNDED
        if any((v < least).any() for v in values):
            label += f",\nless is drawn as {least:.0e}"
            values = [np.where(v < least, least, v) for v in values]
    flat = len(lanes) == 1
    ax = new_axes(ax, (6.4, 3.2 if flat else _map_height(len(curves))))
    (_draw_lines if flat else _draw_map)(ax, name, label, axis, curves, values)
    _frame(axis, ax, label_of(dataset, axis.name), cells=not flat)
    notes = [] if title is None else [title]
    kinds, numbers = np.unique(dataset["result_code"].values, return_counts=True)
    failed = [f"{_result(kind)} {n:,}" for kind, n in zip(kinds, numbers, strict=True) if kind != RESULTS.converged]
    if failed:
        notes += textwrap.wrap(f"hatched: did not converge ({', '.join(failed)})", 54)
    ax.set_title("\n".join(notes), fontsize=10, parse_math=False)
    return ax


def plot_sweep(dataset: xr.Dataset, *, along: str | None = None, title: str | None = None) -> Figure:
    """Draw a sweep on one page: the phase diagram, and below it the steps and the residual of every lane.

    Args:
      dataset: from `sweep`, with `terminal_law` or `mean_field`.
      along: the horizontal coordinate; None: "beta" where it was swept, else the numbers with most values.
      title: of the page; None: the game, and how many of how many lanes converged.

    Returns:
      The figure.

    Raises:
      ValueError: as `plot_phase`.
    """
    axis = horizontal_of(dataset, along)
    codes, parts = dataset["result_code"].values, parts_of(dataset, axis)
    width, above = _phase_size(*_layout(parts)[1:])
    below = 2.8 if codes.ndim == 1 else _map_height(math.prod(map(len, parts)))
    figure = new_figure((max(width, 9.5), above + below + 0.3))
    upper, lower = np.ravel(np.array(figure.subfigures(2, 1, height_ratios=[above, below])))
    plot_phase(dataset, along=axis.name, figure=upper)
    left, right = lower.subplots(1, 2, gridspec_kw=dict(wspace=0.1))
    plot_sweep_map(dataset, "num_steps", along=axis.name, ax=left)
    plot_sweep_map(dataset, "residual", along=axis.name, ax=right)
    if codes.ndim > 1:  # the rows are those on the left
        right.set_ylabel("")
        right.set_yticklabels([])
    elif left.get_legend() is not None:  # the one on the right does
        left.get_legend().remove()
    if title is None:
        name = str(dataset.attrs.get("game", "FiniteHorizonGame"))
        title = "" if name in ("FiniteHorizonGame", "StationaryGame") else f"{name}: "  # the class says nothing
        title += f"{(codes == RESULTS.converged).sum():,} of {codes.size:,} converged"
    figure.suptitle(title, parse_math=False)
    return figure


def _greatest(arrays: list[Any]) -> float:
    return float(np.fmax.reduce(np.concatenate([[0.0], *arrays])))


def _result(code: int) -> str:
    return "not computed" if code < 0 else RESULTS(int(code)).name


def _frame(axis: Horizontal, ax: Axes, label: str, *, cells: bool = False) -> None:
    """Set label, scale, limits and ticks; what is no map of cells gets a small margin for markers."""
    ax.set_xlabel(label, parse_math=False)
    u, edges = np.sort(axis.x), axis.edges(np.sort(axis.x))
    if axis.log:
        u, edges = np.log(u), np.log(edges)
    low, high = edges[0], edges[-1]
    if not cells and len(np.unique(u)) > 1:
        span = u[-1] - u[0]
        low = u[0] - np.clip(u[0] - low, 0.015 * span, 0.06 * span)
        high = u[-1] + np.clip(high - u[-1], 0.015 * span, 0.06 * span)
    if axis.log:
        low, high = np.exp([low, high])
        ax.set_xscale("log")
        if high < 100 * low:
            ax.xaxis.set_major_locator(_locator("log"))
            ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    elif axis.ticks is not None:
        shown = spread_evenly(len(axis.ticks), 8)
        ax.set_xticks(shown, [axis.ticks[i] for i in shown], parse_math=False)
    elif len(axis.x) == 1:
        ax.set_xticks(axis.x)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set_xlim(low, high)


def _failures(axis: Horizontal, curves: list[Curve]) -> dict[str, Patch]:
    """Return for each way to fail how many lanes went it and between which values, with its hatching."""
    x, codes = np.concatenate([c.x for c in curves]), np.concatenate([c.get("result_code") for c in curves])
    patches = {}
    for kind in np.unique(codes[codes != RESULTS.converged]):
        where = f"\n{symbol(axis.name)} = {range_of(x[codes == kind])}" if axis.ticks is None else ""
        patches[f"{_result(kind)}: {(codes == kind).sum():,} of {len(x):,}{where}"] = Patch(**_hatching(kind))
    return patches


def _legend(owner: Any, handles: Sequence[Any], names: Sequence[str], **options: Any) -> None:
    """Add a legend whose texts are set afterwards, as "_a" and "$a$" are names too."""
    for entry, name in zip(owner.legend(handles, [" "] * len(names), **options).get_texts(), names, strict=True):
        entry.set_parse_math(False)
        entry.set_text(name)


def _layout(parts: Sequence[Part]) -> tuple[list[int], int, int]:
    """Return how many values of each axis are drawn, and how many rows and columns of panels that makes."""
    counts = [len(part) for part in parts]
    *above, last = [i for i, n in enumerate(counts) if n > 1] or [0]
    if not above:  # a single axis is folded into rows
        counts[last] = min(counts[last], _MOST_ACROSS**2)
        rows = -(-counts[last] // _MOST_ACROSS)
        return counts, rows, -(-counts[last] // rows)
    counts[last] = min(counts[last], _MOST_ACROSS)
    while math.prod(counts[i] for i in above) > _MOST_ACROSS:
        counts[max(above, key=lambda i: counts[i])] -= 1
    return counts, math.prod(counts[i] for i in above), counts[last]


def _phase_size(rows: int, columns: int) -> tuple[float, float]:
    return 2.2 + (4.8 if columns == 1 else 2.9 * columns), 1.0 + (3.4 if rows == 1 else 2.2 * rows)


def _map_height(num_rows: int) -> float:
    return float(np.clip(1.6 + 0.18 * num_rows, 2.4, 6.0))


def _style(k: int, x: np.ndarray | None = None, y: np.ndarray | None = None, most: int = 12) -> dict[str, Any]:
    """Return how the k-th curve looks, the others' for -1; no line goes through several values at the same x.

    All of few points are marked; of many, some and those without neighbours.
    """
    style: dict[str, Any] = dict(color=_COLOURS[k % 8], linestyle=LINES[k % 4], linewidth=1.4, marker=_MARKERS[k % 8])
    style.update(markersize=5, markeredgecolor="0.1", markeredgewidth=0.5)
    if k < 0:
        style.update(color="0.65", linestyle="-", linewidth=3.0, marker=".", markeredgecolor="0.65", zorder=1.5)
    if x is None or y is None:
        return style
    if (np.diff(x) == 0).any():
        return style | dict(linestyle="none")
    seen = np.isfinite(y)
    if len(x) > 2 * most:
        alone = ~np.append(False, seen[:-1]) & ~np.append(seen[1:], False)
        turns = ((np.arange(most) + (k % 5 + 0.5) / 5) * len(x) / most).astype(int)
        seen &= alone | np.isin(np.arange(len(x)), turns)
    return style | dict(markevery=np.flatnonzero(seen).tolist())


def _hatching(code: int) -> dict[str, Any]:
    return dict(facecolor="0.93", edgecolor="0.55", linewidth=0.4, hatch=_RESULT_HATCHES[int(code)], zorder=0)


def _hatch(ax: Axes, edges: np.ndarray, codes: np.ndarray, *, row: int | None = None) -> None:
    """Mark runs of lanes that failed alike: from bottom to top, or over a row of a map, where colours stay."""
    low, high = (0.0, 1.0) if row is None else (row - 0.5, row + 0.5)
    runs = list(itertools.pairwise([0, *(np.flatnonzero(np.diff(codes)) + 1), len(codes)]))
    for kind in np.unique(codes[codes != RESULTS.converged]):
        borders = [(edges[a], edges[b]) for a, b in runs if codes[a] == kind]
        boxes = np.array([[(a, low), (b, low), (b, high), (a, high)] for a, b in borders])
        style = _hatching(kind)
        if row is None:
            style.update(transform=ax.get_xaxis_transform())
        else:
            style.update(facecolor="none", edgecolor="0.1", linewidth=0.0, zorder=2)
        ax.add_collection(PolyCollection(list(boxes), **style), autolim=False)


def _is_log(name: str, values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return finite.size > 0 and (name in RESIDUALS or (finite.min() > 0 and finite.max() > 20 * finite.min()))


def _locator(kind: str) -> Any:
    """Return where ticks go that are read as they stand: whole numbers, or 1, 2, 5, 10, ..."""
    return LogLocator(subs=(1, 2, 5), numticks=9) if kind == "log" else MaxNLocator(6, integer=True, min_n_ticks=1)


def _draw_lines(
    ax: Axes, name: str, label: str, axis: Horizontal, curves: list[Curve], values: list[np.ndarray]
) -> None:
    """Draw the values of lanes that have no axis but the horizontal one, a line per group of zipped points."""
    shown, everything = spread_evenly(len(curves), MOST_LINES), np.concatenate(values)
    for k, i in enumerate(shown):
        curve, style = curves[i], _style(k, curves[i].x, values[i])
        if name == "result_code":
            style.update(linestyle="none", markevery=None, markersize=4)
        elif len(curves) == 1 and len(curve.x) > 24:
            style.update(marker="")
        ax.plot(curve.x, values[i], **style)
        _hatch(ax, axis.edges(curve.x), curve.get("result_code"))
    if len(curves) > 1:
        handles, names = (
            [Line2D([], [], **_style(k)) for k in range(len(shown))],
            [curves[i].title("\n") for i in shown],
        )
        _legend(ax, handles, names, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.set_ylabel(label, parse_math=False)
    ax.grid(True, which="major", alpha=0.3)
    if name == "result_code":
        kinds = [int(code) for code in np.unique(everything)]
        ax.set_yticks(kinds, [_result(kind) for kind in kinds])
        ax.margins(y=0.2)
    else:
        is_whole, is_log = curves[0].get(name).dtype.kind in "iu", _is_log(name, everything)
        ax.set_yscale("log" if is_log else "linear")
        if is_whole:
            ax.yaxis.set_major_locator(_locator("log" if is_log else "whole"))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(NullFormatter())
    if name == "residual" and "tolerance" in curves[0].dataset:
        ax.margins(y=0.12)
        for curve in curves:
            dots: dict[str, Any] = dict(color="0.3", linestyle=(0, (1, 1)), linewidth=1.2, zorder=1)
            ax.plot(curve.x, curve.get("tolerance"), marker="_" if len(curve.x) == 1 else "", markersize=12, **dots)
        at = (curves[0].x[0], curves[0].get("tolerance")[0])
        ax.annotate("tolerance", at, xytext=(3, 3), textcoords="offset points", fontsize=8)


def _draw_map(ax: Axes, name: str, label: str, axis: Horizontal, curves: list[Curve], values: list[np.ndarray]) -> None:
    """Draw the values of all lanes in shades, a row per combination of the other axes, the first on top."""
    k, m = (-(-n // most) for n, most in zip(np.shape(values), _MOST_CELLS, strict=True))
    borders = axis.edges(curves[0].x)
    edges = np.append(borders[:-1:m], borders[-1])
    codes = _blocks(np.array([curve.get("result_code") for curve in curves]), k, m).astype(int)
    cells = np.ma.masked_invalid(_blocks(np.array(values), k, m))
    kinds, norm, shades = np.unique(codes), Normalize(0, 1), colormaps["cividis"]
    options: dict[str, Any] = {}
    if name == "result_code":
        cells, norm = np.searchsorted(kinds, codes), BoundaryNorm(np.arange(len(kinds) + 1) - 0.5, len(kinds))
        shades = ListedColormap([_RESULT_COLOURS[kind] for kind in kinds])
    elif cells.count():
        is_log = _is_log(name, cells.compressed())
        norm = (LogNorm if is_log else Normalize)(cells.min(), cells.max())
        if curves[0].get(name).dtype.kind in "iu":
            options = dict(ticks=_locator("log" if is_log else "whole"), format="{x:g}")
    rows = np.arange(len(cells) + 1) - 0.5
    figure: Any = ax.figure
    mesh = ax.pcolormesh(edges, rows, cells, cmap=shades, norm=norm, rasterized=True)
    bar = figure.colorbar(mesh, ax=ax, **options)
    if options:
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.set_label(label + (f",\nthe greatest of {k * m} neighbours" if k * m > 1 else ""), parse_math=False)
    if name == "result_code":
        bar.set_ticks(range(len(kinds)), labels=[_result(kind) for kind in kinds])
        bar.minorticks_off()
        for i, kind in enumerate(kinds):
            bar.ax.axhspan(i - 0.5, i + 0.5, facecolor="none", edgecolor="0.1", lw=0, hatch=_RESULT_HATCHES[kind])
    for row, kinds in enumerate(codes):
        _hatch(ax, edges, kinds, row=row)
    ax.set_ylim(rows[-1], rows[0])
    shown = spread_evenly(len(cells), 20)
    ax.set_yticks(shown, [", ".join(curves[i * k].common.values()) for i in shown], fontsize=8, parse_math=False)
    ax.set_ylabel(", ".join(map(symbol, curves[0].common)), parse_math=False)


def _blocks(table: np.ndarray, k: int, m: int) -> np.ndarray:
    """Return the greatest number of every block of k rows and m columns, NaN aside."""
    rows, columns = -(-table.shape[0] // k), -(-table.shape[1] // m)
    padded = np.full((rows * k, columns * m), np.nan)
    padded[: table.shape[0], : table.shape[1]] = table
    return np.fmax.reduce(padded.reshape(rows, k, columns, m), axis=(1, 3))
