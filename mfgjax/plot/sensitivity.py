"""What moves the crowd most, as bars."""

import numpy as np
from matplotlib.axes import Axes

from .. import _checks
from ..design import Sensitivity
from .figures import new_axes
from .styles import colour, frame, hatch, shade


def plot_sensitivity(
    found: Sensitivity, *, top: int = 12, ax: Axes | None = None, title: str = "", quantity: str = "quantity"
) -> Axes:
    """Draw the largest derivatives of an equilibrium quantity as horizontal bars.

    Args:
      found: the result of `design.sensitivity`.
      top: number of bars.
      ax: where to draw; None: on a new figure of pyplot.
      title: of the picture.
      quantity: its name, for the axis; the derivative is in its units per unit of the parameter.

    Returns:
      The axes; for `Trembling` and `EpsilonGreedy` the title ends with the smallest action gap.

    Raises:
      ValueError: if `found` is something else, or all derivatives are zero.

    Example:
      >>> mfg.plot.plot_sensitivity(found)  # found = mfg.design.sensitivity(...)
    """
    _checks.made_by("design.sensitivity", Sensitivity, "found", found)
    rows = found.top(_checks.integer_at_least("top", top, 1))
    if not rows:
        raise ValueError("all derivatives in `found` are zero, so there is nothing to draw.")
    ax = new_axes(ax, (8, 0.8 + 0.34 * len(rows)))
    places = np.arange(len(rows))
    slopes = np.array([slope for _, slope, _ in rows])
    falls = slopes < 0
    ax.barh(places, slopes, color=[colour(int(f)) for f in falls], hatch=[hatch(int(f)) for f in falls])
    ax.set_yticks(places, [f"{name} = {own:.3g}" for name, _, own in rows])
    ax.invert_yaxis()  # the largest on top
    ax.axvline(0, color=shade(0.8), linewidth=0.8)
    heading = "\n".join([title or f"what moves the {quantity} most (now {float(found.value):.4g})", *_gap(found)])
    frame(ax, f"derivative of the {quantity}", "", heading, grid="x")
    return ax


def _gap(found: Sensitivity) -> list[str]:
    if found.action_gap is None:
        return []
    gap = f"smallest action gap {float(found.action_gap):.3g}"
    return [f"{gap}: a tie, there may be no derivative" if found.at_tie else gap]
