"""Pictures of designs: how a search went, what it changed, and what two aims cost one another."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from .. import _checks
from .._largest_states import largest_states
from .._shorten import cut
from ..design import TradeOff, Tuned
from ..equilibrium import Equilibrium
from .figures import new_axes, new_figure
from .styles import BESIDE, colour, frame, hatch, shade, whole_ticks

_MOST_BARS = 24


def plot_search(found: Tuned, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the objective at each step of a search: the best so far as a line, and each design tried as a dot.

    Other restarts are drawn thin; crosses at the bottom mark steps to designs without an equilibrium. The scale is
    logarithmic where all objectives are positive.

    Args:
      found: the result of `design.tune`.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if `found` is something else.

    Example:
      >>> mfg.plot.plot_search(tuned)  # tuned = mfg.design.tune(...)
    """
    _checks.made_by("design.tune", Tuned, "found", found)
    ax = new_axes(ax, (7.2, 4.2))
    steps, best = np.arange(1, len(found.history) + 1), found.best
    # `fmin` passes over NaN, the designs that were not accepted
    lowest = np.fmin.accumulate(found.history, axis=0)
    others = [r for r in range(lowest.shape[1]) if r != best]
    for r in others[:100]:  # more lines are a grey area
        (line,) = ax.plot(steps, lowest[:, r], color=shade(0.25), linewidth=0.6, zorder=1)
        if r == others[0]:
            line.set_label("other restarts, best so far")
    ax.plot(steps, found.history[:, best], ".", color=colour(1), markersize=5, label="design accepted", zorder=3)
    ax.plot(steps, lowest[:, best], color=colour(0), linewidth=1.8, label="best so far", zorder=2)
    failed = np.flatnonzero(found.failed[:, best])
    if len(failed):
        # crosses stand on the lower edge, whatever the objectives are, and would be cut in half there
        low: dict[str, Any] = dict(transform=ax.get_xaxis_transform(), clip_on=False)
        ax.plot(
            steps[failed], np.zeros(len(failed)), "x", color=shade(1.0), label="no equilibrium: step shortened", **low
        )
    if np.nanmin(found.history) > 0:
        ax.set_yscale("log")
    frame(ax, "step (designs tried)", "objective", "how the search went" if title is None else title)
    whole_ticks(ax.xaxis)
    ax.legend(**BESIDE)
    return ax


def plot_laws(
    before: Equilibrium,
    found: Tuned,
    *,
    time: int = -1,
    target: Any = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the law of the states at a time before and after tuning, as bars side by side.

    Args:
      before: the equilibrium before tuning.
      found: the result of `design.tune`.
      time: t; −1 is the last.
      target: a law `[S]` to compare with; NaN where a state has none.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes. If there are many states, those with the most mass are drawn.

    Raises:
      ValueError: if `before` or `found` is something else.

    Example:
      >>> mfg.plot.plot_laws(eq, tuned)  # tuned = mfg.design.tune(...), eq: before tuning
    """
    _checks.made_by("solve", Equilibrium, "before", before)
    _checks.made_by("design.tune", Tuned, "found", found)
    ax = new_axes(ax, (7.2, 4.2))
    first, second = (
        np.asarray(equilibrium.state_law[time], dtype=float) for equilibrium in (before, found.equilibrium)
    )
    shown = largest_states(np.maximum(first, second), _MOST_BARS)
    places, width = np.arange(len(shown)), 0.38
    ax.bar(places - width / 2, first[shown], width, color=shade(0.3), hatch=hatch(1), label="before")
    ax.bar(places + width / 2, second[shown], width, color=colour(0), label="tuned")
    if target is not None:
        wanted = np.asarray(target, dtype=float)[shown]
        ax.plot(places, wanted, "_", color=colour(1), markersize=26, markeredgewidth=2.5, label="target", zorder=3)
    names = [cut(found.game.state_labels[s]) for s in shown]
    tick_style: dict[str, Any] = dict(rotation=40, ha="right") if max(map(len, names)) > 4 or len(names) > 12 else {}
    ax.set_xticks(places, names, parse_math=False, **tick_style)
    heading = f"the crowd at time {found.game.horizon if time == -1 else time}" if title is None else title
    frame(ax, "state", "share of the population", heading, grid="y")
    ax.legend(**BESIDE)
    return ax


def plot_tuned(
    found: Tuned,
    before: Equilibrium,
    *,
    time: int = -1,
    target: Any = None,
    title: str | None = None,
    figure: Figure | SubFigure | None = None,
) -> np.ndarray:
    """Draw the result of `design.tune`: the objective at each step, and the law of the states before and after tuning.

    Args:
      found: the result of `design.tune`.
      before: the equilibrium before tuning.
      time: the time t of the laws; −1 is the last.
      target: as in `plot_laws`.
      title: of the whole picture.
      figure: where to draw, a figure or subfigure that is empty and has constrained layout; None: a new figure of
        pyplot.

    Returns:
      The two axes, in an array.

    Raises:
      ValueError: if an argument is invalid.

    Example:
      >>> mfg.plot.plot_tuned(tuned, eq)  # tuned = mfg.design.tune(...), eq: before tuning
    """
    _checks.made_by("design.tune", Tuned, "found", found)
    _checks.made_by("solve", Equilibrium, "before", before)
    figure = new_figure((12.0, 4.4), figure)
    left, right = figure.subplots(1, 2)
    plot_search(found, ax=left)
    plot_laws(before, found, time=time, target=target, ax=right)
    if title is not None:
        figure.suptitle(title, parse_math=False)
    return np.array([left, right])


def plot_trade_off(
    found: TradeOff,
    *,
    first: str = "first objective",
    second: str = "second objective",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the designs of `trade_off`: the second objective against the first, with the weight at each design.

    Args:
      found: the result of `design.trade_off`.
      first: name of the first aim.
      second: name of the second aim.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if `found` is something else.

    Example:
      >>> mfg.plot.plot_trade_off(front)  # front = mfg.design.trade_off(...)
    """
    _checks.made_by("design.trade_off", TradeOff, "found", found)
    ax = new_axes(ax, (6.4, 4.6))
    good = np.flatnonzero(found.efficient)
    order = good[np.argsort(found.first[good], kind="stable")]
    ax.plot(found.first[order], found.second[order], "o-", color=colour(0), label="efficient")
    beaten = np.flatnonzero(~found.efficient & np.isfinite(found.first))
    if len(beaten):
        ax.plot(found.first[beaten], found.second[beaten], "x", color=shade(0.6), label="beaten by another")
        ax.legend(**BESIDE)
    for i in order:
        place = (found.first[i], found.second[i])
        ax.annotate(f"w = {found.weights[i]:.3g}", place, (6, 5), textcoords="offset points", fontsize=8)
    ax.margins(0.12)
    ax.ticklabel_format(useOffset=False)  # the numbers themselves, also where they differ little
    ax.locator_params(axis="x", nbins=5)
    frame(ax, first, second, "what one aim costs in the other" if title is None else title)
    return ax
