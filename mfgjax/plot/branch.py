"""A picture of a path of equilibria, with its folds."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .. import _checks
from .._typing import Array, Float
from ..multiplicity.branch import Branch
from .curves import LABELS
from .figures import new_axes
from .styles import BESIDE, LINES, colour, frame, shade


def plot_branch(
    path: Branch,
    quantity: Float[Array, " points"],
    *,
    parameter: str | None = None,
    label: str = "quantity of the equilibrium",
    log: bool = False,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a quantity of the equilibria on a path against the parameter, which turns back at folds.

    At a value of the parameter there are as many equilibria as the curve has points above it. Each part between two
    folds has its own dashes.

    Args:
      path: the result of `branch`.
      quantity: a number for each point of the path, such as `path.mean_field[:, -1, 1]`.
      parameter: the label of the parameter, with its unit; None: its name.
      label: the name of the quantity, with its unit.
      log: whether the axis of the parameter is logarithmic.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if there is not one number for each point.

    Example:
      >>> mfg.plot.plot_branch(path, path.mean_field[:, 1, 1])  # path = mfg.branch(...)
    """
    _checks.made_by("branch", Branch, "path", path)
    x, y = np.asarray(path.parameter, dtype=float), np.asarray(_checks.as_numbers("quantity", quantity), dtype=float)
    if y.shape != x.shape:
        raise ValueError(f"`quantity` has shape {y.shape}, but the path has {len(x)} points.")
    ax = new_axes(ax, (7.2, 4.2))
    if log:
        ax.set_xscale("log")
    steps = np.diff(x)
    # the parameter turns back where its steps change sign
    turns = np.flatnonzero(steps[:-1] * steps[1:] < 0) + 1
    segments = np.split(np.arange(len(x)), turns)
    for i, segment in enumerate(segments):
        # joined to the next one, so that there is no gap at a fold
        points = np.append(segment, segments[i + 1][0]) if i + 1 < len(segments) else segment
        style: dict[str, Any] = dict(color=colour(i % 2), linestyle=LINES[i % 2])
        ax.plot(x[points], y[points], linewidth=1.8, **style)
    ax.plot(x[:1], y[:1], "o", color=shade(1.0), markersize=5, label="start of the path")
    if len(turns):
        folds = "folds: " + ", ".join(f"{fold:.4g}" for fold in path.folds)
        ax.plot(x[turns], y[turns], "D", color=shade(1.0), markerfacecolor=shade(0.0), label=folds, zorder=3)
    own = LABELS.get(path.name.removeprefix("response."), path.name)
    frame(ax, own if parameter is None else parameter, label, title)
    ax.legend(**BESIDE)
    return ax
