"""How lanes of a sweep look: marks of curves, scales of the axes, hatches of what failed."""

import itertools
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from .._largest_states import evenly
from .._result import RESULTS, result_name
from .curves import Horizontal
from .styles import curve, shade

# of the results 0, 1, ...; the last is for lanes that an interrupted sweep has not come to, whose code is −1
RESULT_HATCHES = ("", "///", "\\\\\\", "xxx", "...", "---", "+++", "oo", "OO", "|||", "**", "//..")


def result_words(code: int | np.integer) -> str:
    return result_name(code).replace("_", " ")


def frame_axis(axis: Horizontal, ax: Axes, label: str, *, cells: bool = False) -> None:
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
            ax.xaxis.set_major_locator(ticks_at("log"))
            ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_formatter(NullFormatter())
    elif axis.ticks is not None:
        shown = evenly(len(axis.ticks), 8)
        ax.set_xticks(shown, [axis.ticks[i] for i in shown], parse_math=False)
    elif len(axis.x) == 1:
        ax.set_xticks(axis.x)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set_xlim(low, high)


def curve_style(k: int, x: np.ndarray | None = None, y: np.ndarray | None = None, most: int = 12) -> dict[str, Any]:
    """Return how the k-th curve looks; no line goes through several values at the same x.

    All of few points are marked; of many, some and those without neighbours.
    """
    style = curve(k)
    if x is None or y is None:
        return style
    if (np.diff(x) == 0).any():
        return style | dict(linestyle="none")
    is_marked = np.isfinite(y)
    if len(x) > 2 * most:
        # a point without neighbours has no line, only its mark
        alone = ~np.append(False, is_marked[:-1]) & ~np.append(is_marked[1:], False)
        # curves have their marks at different places, so that none hides another
        turns = ((np.arange(most) + (k % 5 + 0.5) / 5) * len(x) / most).astype(int)
        is_marked &= alone | np.isin(np.arange(len(x)), turns)
    return style | dict(markevery=np.flatnonzero(is_marked).tolist())


def hatching(code: int | np.integer) -> dict[str, Any]:
    return dict(facecolor=shade(0.05), edgecolor=shade(0.3), linewidth=0.4, hatch=RESULT_HATCHES[int(code)], zorder=0)


def hatch_failures(
    ax: Axes, edges: np.ndarray, codes: np.ndarray, *, row: int | None = None, ink: str | None = None
) -> None:
    """Mark runs of lanes that failed alike: from bottom to top, or with an ink over a row of a map."""
    low, high = (0.0, 1.0) if row is None else (row - 0.5, row + 0.5)
    runs = list(itertools.pairwise([0, *(np.flatnonzero(np.diff(codes)) + 1), len(codes)]))
    for kind in np.unique(codes[codes != RESULTS.converged]):
        borders = [(edges[a], edges[b]) for a, b in runs if codes[a] == kind]
        boxes = np.array([[(a, low), (b, low), (b, high), (a, high)] for a, b in borders])
        style = hatching(kind)
        if row is None:
            # from bottom to top whatever the vertical scale is
            style.update(transform=ax.get_xaxis_transform())
        else:
            style.update(facecolor="none", edgecolor=ink, linewidth=0.0, zorder=2)
        # not `autolim`: marks of failures should not change the limits
        ax.add_collection(PolyCollection(list(boxes), **style), autolim=False)


def ticks_at(kind: str) -> Any:
    """Return where ticks go that are read as they stand: whole numbers, or 1, 2, 5, 10, ..."""
    return LogLocator(subs=(1, 2, 5), numticks=9) if kind == "log" else MaxNLocator(6, integer=True, min_n_ticks=1)
