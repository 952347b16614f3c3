"""A sweep on one page."""

import math

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure

from .._result import RESULTS
from .curves import horizontal_of, parts_of
from .figures import new_figure
from .phase import panels_of, phase_size, plot_phase
from .sweep_map import map_height, plot_sweep_map


def plot_sweep(
    dataset: xr.Dataset,
    *,
    along: str | None = None,
    title: str | None = None,
    figure: Figure | SubFigure | None = None,
) -> np.ndarray:
    """Draw a sweep on one page: the phase diagram and, if a game did not converge, the steps and the residuals below.

    Args:
      dataset: the result of `sweep`, with `terminal_law` or `mean_field`.
      along: the horizontal coordinate; None: "beta" if it was swept, else the numeric axis with the most values.
      title: of the page; None: the game, and how many of all games converged.
      figure: as in `plot_phase`.

    Returns:
      The axes, in an array: those of `plot_phase`, and below them those of `plot_sweep_map`.

    Raises:
      ValueError: as `plot_phase`.

    Example:
      >>> mfg.plot.plot_sweep(ds)  # ds = mfg.sweep(game, beta=betas)
    """
    axis = horizontal_of(dataset, along)
    codes, other_axes = dataset["result_code"].values, parts_of(dataset, axis)
    if title is None:
        name = str(dataset.attrs.get("game", "FiniteHorizonGame"))
        title = "" if name in ("FiniteHorizonGame", "StationaryGame") else f"{name}: "  # the class says nothing
        title += f"{(codes == RESULTS.converged).sum():,} of {codes.size:,} converged"
    if (codes == RESULTS.converged).all():
        return plot_phase(dataset, along=axis.name, title=title, figure=figure)
    width, above = phase_size(*panels_of(other_axes)[1:])
    below = 2.8 if codes.ndim == 1 else map_height(math.prod(map(len, other_axes)))
    figure = new_figure((max(width, 9.5), above + below + 0.3), figure)
    upper, lower = np.ravel(np.array(figure.subfigures(2, 1, height_ratios=[above, below])))
    panels = plot_phase(dataset, along=axis.name, figure=upper)
    left, right = lower.subplots(1, 2, gridspec_kw=dict(wspace=0.1))
    plot_sweep_map(dataset, "num_steps", along=axis.name, ax=left)
    plot_sweep_map(dataset, "residual", along=axis.name, ax=right)
    if codes.ndim > 1:  # the rows are those on the left
        right.set_ylabel("")
        right.set_yticklabels([])
    elif left.get_legend() is not None:  # the one on the right does
        left.get_legend().remove()
    figure.suptitle(title, parse_math=False)
    return np.array([*panels, left, right])
