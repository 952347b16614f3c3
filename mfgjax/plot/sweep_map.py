"""Maps of what it took to find many equilibria: a number for every lane of a sweep."""

import textwrap
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps, rcParams
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from .._largest_states import evenly
from .._result import RESULTS
from .._svg import COLOURS
from .curves import MOST_LINES, RESIDUALS, Curve, Horizontal, curves_of, horizontal_of, label_of, parts_of, symbol
from .figures import new_axes
from .lane_styles import RESULT_HATCHES, curve_style, frame_axis, hatch_failures, result_words, ticks_at
from .styles import BESIDE, add_legend, is_grey, palette, shade

_MOST_CELLS = (64, 512)  # rows and columns of a map
_ROUNDED = 1e-18  # less is not worth a decade of the picture
_NOTHING = {"exploitability": 1e-12}  # if all are less, their differences are those of rounding


def plot_sweep_map(
    dataset: xr.Dataset,
    name: str,
    *,
    along: str | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a number of every game of a sweep: as a map over beta and the other axes, or as a line over a single axis.

    Exploitabilities that are all below 1e-12 are drawn alike, and the picture says so.
    If there are more than 512 columns, or 64 rows, neighbours share a cell, which shows the largest of their numbers.
    Games that did not converge are hatched by the reason why their solver stopped.

    Args:
      dataset: the result of `sweep`.
      name: "num_steps", "residual", "exploitability", "result_code", or another variable over the swept axes.
      along: the horizontal coordinate; None: "beta" if it was swept, else the numeric axis with the most values.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if there is no such variable, or the dataset was not swept over `along`.

    Example:
      >>> mfg.plot.plot_sweep_map(ds, "num_steps")  # ds = mfg.sweep(game, beta=betas)
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
        all_values = np.concatenate(values)
        least = max(all_values[all_values > 0].min(initial=1e-3), _ROUNDED) if (all_values > 0).any() else _ROUNDED
        nothing, finite = _NOTHING.get(name, _ROUNDED), all_values[np.isfinite(all_values)]
        if finite.size and finite.max() < nothing:
            label += f",\nall below {nothing:.0e}"
            values = [np.where(np.isfinite(v), nothing, v) for v in values]
        elif any((v < least).any() for v in values):
            label += f",\nless is drawn as {least:.0e}"
            values = [np.where(v < least, least, v) for v in values]
    flat = len(lanes) == 1
    ax = new_axes(ax, (6.4, 3.2 if flat else map_height(len(curves))))
    (_draw_lines if flat else _draw_map)(ax, name, label, axis, curves, values)
    frame_axis(axis, ax, label_of(dataset, axis.name), cells=not flat)
    notes = [] if title is None else [title]
    kinds, numbers = np.unique(dataset["result_code"].values, return_counts=True)
    failed = [
        f"{result_words(kind)} {n:,}" for kind, n in zip(kinds, numbers, strict=True) if kind != RESULTS.converged
    ]
    if failed:
        notes += textwrap.wrap(f"hatched: did not converge ({', '.join(failed)})", 54)
    ax.set_title("\n".join(notes), fontsize=10, parse_math=False)
    return ax


def map_height(num_rows: int) -> float:
    return float(np.clip(2.0 + 0.18 * num_rows, 2.8, 6.0))


def is_log_scale(name: str, values: np.ndarray) -> bool:
    finite = values[np.isfinite(values)]
    return bool(finite.size > 0 and (name in RESIDUALS or (finite.min() > 0 and finite.max() > 20 * finite.min())))


def _draw_lines(
    ax: Axes, name: str, label: str, axis: Horizontal, curves: list[Curve], values: list[np.ndarray]
) -> None:
    """Draw the values of lanes that have no axis but the horizontal one, a line per group of zipped points."""
    shown, all_values = evenly(len(curves), MOST_LINES), np.concatenate(values)
    for k, i in enumerate(shown):
        curve, style = curves[i], curve_style(k, curves[i].x, values[i])
        if name == "result_code":
            style.update(linestyle="none", markevery=None, markersize=4)
        elif len(curves) == 1 and len(curve.x) > 24:
            style.update(marker="")
        ax.plot(curve.x, values[i], **style)
        hatch_failures(ax, axis.edges(curve.x), curve.get("result_code"))
    if len(curves) > 1:
        handles, names = (
            [Line2D([], [], **curve_style(k)) for k in range(len(shown))],
            [curves[i].title("\n") for i in shown],
        )
        add_legend(ax, handles, names, **BESIDE)
    ax.set_ylabel(label, parse_math=False)
    ax.grid(True, which="major", alpha=0.3)
    if name == "result_code":
        kinds = [int(code) for code in np.unique(all_values)]
        ax.set_yticks(kinds, [result_words(kind) for kind in kinds])
        ax.margins(y=0.2)
    else:
        is_whole, is_log = curves[0].get(name).dtype.kind in "iu", is_log_scale(name, all_values)
        ax.set_yscale("log" if is_log else "linear")
        if is_whole:
            ax.yaxis.set_major_locator(ticks_at("log" if is_log else "whole"))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_formatter(NullFormatter())
    if name == "residual" and "tolerance" in curves[0].dataset:
        ax.margins(y=0.12)
        for curve in curves:
            dots: dict[str, Any] = dict(color=shade(0.7), linestyle=(0, (1, 1)), linewidth=1.2, zorder=1)
            # a line of one point is invisible
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
    kinds, norm, shades = np.unique(codes), Normalize(0, 1), colormaps[rcParams["image.cmap"]]
    options: dict[str, Any] = {}
    ink = "0.6" if is_grey() else COLOURS[1]  # seen on dark and on light cells
    if name == "result_code":
        ink = "black"
        # codes are numbered anew, one shade for each that occurs
        cells, norm = np.searchsorted(kinds, codes), BoundaryNorm(np.arange(len(kinds) + 1) - 0.5, len(kinds))
        # converged lanes are pale; the codes begin at −1
        shades = ListedColormap([shade(0.12) if kind == 0 else palette()[kind % len(palette())] for kind in kinds])
    elif cells.count():
        is_log = is_log_scale(name, cells.compressed())
        norm = (LogNorm if is_log else Normalize)(cells.min(), cells.max())
        if cells.min() == cells.max():
            options = dict(ticks=[cells.min()], format="{x:.3g}")
        elif curves[0].get(name).dtype.kind in "iu":
            options = dict(ticks=ticks_at("log" if is_log else "whole"), format="{x:g}")
    rows = np.arange(len(cells) + 1) - 0.5
    figure: Any = ax.figure
    ax.grid(False)
    # as an image in files of vectors, which thousands of cells would make slow
    mesh = ax.pcolormesh(edges, rows, cells, cmap=shades, norm=norm, rasterized=True)
    bar = figure.colorbar(mesh, ax=ax, **options)
    if options:
        bar.ax.yaxis.set_minor_formatter(NullFormatter())
    bar.set_label(
        label + (f",\nthe greatest of {k * m} neighbours" if k * m > 1 else ""), parse_math=False, size="small"
    )
    if name == "result_code":
        bar.set_ticks(range(len(kinds)), labels=[result_words(kind) for kind in kinds])
        bar.minorticks_off()
        for i, kind in enumerate(kinds):
            bar.ax.axhspan(i - 0.5, i + 0.5, facecolor="none", edgecolor=ink, lw=0, hatch=RESULT_HATCHES[kind])
    for row, kinds in enumerate(codes):
        hatch_failures(ax, edges, kinds, row=row, ink=ink)
    ax.set_ylim(rows[-1], rows[0])
    shown = evenly(len(cells), 20)
    ax.set_yticks(shown, [", ".join(curves[i * k].common.values()) for i in shown], fontsize=8, parse_math=False)
    ax.set_ylabel(", ".join(map(symbol, curves[0].common)), parse_math=False)


def _blocks(table: np.ndarray, k: int, m: int) -> np.ndarray:
    """Return the greatest number of every block of k rows and m columns, NaN aside."""
    rows, columns = -(-table.shape[0] // k), -(-table.shape[1] // m)
    padded = np.full((rows * k, columns * m), np.nan)
    padded[: table.shape[0], : table.shape[1]] = table
    return np.fmax.reduce(padded.reshape(rows, k, columns, m), axis=(1, 3))
