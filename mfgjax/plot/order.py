"""Pictures of populations in order: the ways to the extreme equilibria, and those of a parameter there and back."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .. import _checks
from ..multiplicity.bracket import Bracket
from ..multiplicity.hysteresis import Hysteresis
from .figures import new_axes
from .styles import BESIDE, curve, frame, shade, whole_ticks

_MOST_STEPS = 12  # of a way that are drawn
_RISING, _FALLING = 0, 1  # curves


def plot_bracket(found: Bracket, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the iterates of `bracket`, from both ends of the order to what is reached from there.

    A population is drawn by its tails, P(state ≥ s): one population is above another in the order if its curve is
    nowhere below. The iterates are thin lines, and the later ones are more opaque. The ends are called the least and
    the greatest equilibrium only where the certificate holds.

    Args:
      found: the result of `bracket`.
      title: of the picture; None: whether there is one equilibrium, if that is proved, or whether the ends coincide.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if `found` is something else.

    Example:
      >>> mfg.plot.plot_bracket(ends)  # ends = mfg.bracket(market, response)
    """
    _checks.made_by("bracket", Bracket, "found", found)
    ax = new_axes(ax, (6.4, 4.4))
    states = np.arange(found.rising.laws.shape[1])
    ways = (("least", found.rising, found.least, _RISING), ("greatest", found.falling, found.greatest, _FALLING))
    is_proved = found.certificate.startswith("holds")
    for name, way, end, i in ways:
        style = curve(i)
        # early steps are large, late ones small
        shown = np.unique(np.geomspace(1, len(way.laws), min(_MOST_STEPS, len(way.laws))).round().astype(int)) - 1
        for place, k in enumerate(shown):
            thin: dict[str, Any] = dict(linewidth=0.8, marker="", alpha=0.25 + 0.5 * place / len(shown))
            ax.plot(states, _tails(way.laws[k]), **style | thin)
        reached = f"{name} equilibrium" if is_proved else f"from the {name} law"
        label = f"{reached}, mean {float(end.mean_state):.2f}"
        ax.plot(states, _tails(np.asarray(end.mean_field)), label=label, **{**style, "linewidth": 2.2})
    words = f"two ends, {found.distance:.2f} apart in total variation"
    if found.coincide:
        words = "one equilibrium" if is_proved and found.unique else "the ends coincide"
    frame(ax, "state s", "share of the population in states ≥ s", words if title is None else title)
    ax.set_ylim(0, 1.03)
    whole_ticks(ax.xaxis)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False)  # the axes are full of curves
    return ax


def plot_hysteresis(
    found: Hysteresis, *, label: str | None = None, title: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the mean state of a population while a parameter goes there and back.

    The values at which both ways differ, by more than their errors, are shaded, halfway to the values beside them.

    Args:
      found: the result of `hysteresis`.
      label: the label of the parameter, with its unit; None: its name.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if `found` is something else.

    Example:
      >>> mfg.plot.plot_hysteresis(there_and_back, label="cost of effort")  # there_and_back = mfg.hysteresis(...)
    """
    _checks.made_by("hysteresis", Hysteresis, "found", found)
    ax = new_axes(ax, (7.2, 4.2))
    x, (mean_there, mean_back) = found.values, found.mean_state
    rising = x[-1] > x[0]
    order = np.argsort(x)
    is_apart = np.isin(x[order], found.apart())
    if is_apart.any():
        middles = (x[order][1:] + x[order][:-1]) / 2
        cells = np.stack([np.append(x[order][0], middles), np.append(middles, x[order][-1])], axis=1)
        # over the whole height, as two laws may have one mean
        apart: dict[str, Any] = dict(color=shade(0.12), linewidth=0, label="two equilibria at least", zorder=1)
        where = np.repeat(is_apart, 2)
        ax.fill_between(cells.ravel(), 0, 1, where=where, transform=ax.get_xaxis_transform(), **apart)
    ways = (("rising", ">"), ("falling", "<")) if rising else (("falling", "<"), ("rising", ">"))
    for mean, (word, marker), i in zip((mean_there, mean_back), ways, (_FALLING, _RISING), strict=True):
        marks: dict[str, Any] = dict(marker=marker, markevery=max(1, len(x) // 16))
        ax.plot(x, mean, label=f"parameter {word}", zorder=3, **curve(i) | marks)
    frame(ax, found.name if label is None else label, "mean state of the equilibrium", title)
    ax.legend(**BESIDE)
    return ax


def _tails(law: np.ndarray) -> np.ndarray:
    return np.asarray(law, dtype=float)[::-1].cumsum()[::-1]
