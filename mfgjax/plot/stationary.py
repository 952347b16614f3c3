"""Pictures of stationary equilibria: who is where and does what."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from .. import _checks
from .._coordinates import are_numbered
from ..equilibrium import Equilibrium
from ..model import StationaryGame, of_kind
from .figures import new_figure
from .law import draw_law
from .maps import draw_moves, draw_only_map, grid_of, map_size
from .pictured import pictured_of
from .policy import draw_policy
from .styles import colour, frame, name_ticks, shade

_MOST_TICKS = 26


def plot_stationary(
    game: StationaryGame | xr.Dataset,
    equilibrium: Equilibrium | xr.Dataset | None = None,
    *,
    title: str | None = None,
    figure: Figure | SubFigure | None = None,
) -> np.ndarray:
    """Draw a stationary equilibrium: the law of the states as bars, and below each state the policy there.

    If states are numbers, a dashed line marks the mean state. The colours of the map are π(a|s); it is blank for an
    action that is not available. If states are the cells of a grid, there is a map of the law, and beside it the policy
    as arrows, as `plot_policy` draws it; without moves from cell to cell it is below, in colours.

    Args:
      game: for the names of states and actions, and which actions exist; or a dataset of `io.load_equilibrium`.
      equilibrium: the result of `solve`, or a dataset, such as a point of a sweep; None: `game` is a dataset.
      title: above the picture.
      figure: where to draw, a figure or subfigure that is empty and has constrained layout; None: a new figure of
        pyplot.

    Returns:
      The two axes, in an array.

    Raises:
      ValueError: if the game is not stationary, or the equilibrium is not of it.

    Example:
      >>> mfg.plot.plot_stationary(market, ends.greatest)  # ends = mfg.bracket(market, response)
    """
    if not isinstance(game, xr.Dataset):
        of_kind(StationaryGame, game, f"{_checks.shorten(game)}: see `plot_flow`")
    pictured = pictured_of(game, equilibrium)
    if pictured.times is not None:
        raise ValueError("the dataset is of a game with a horizon: see `plot_flow`.")
    law, policy, exists = pictured.laws()[0], pictured.policies()[0], pictured.open_to(0)
    height, grid = float(np.clip(0.32 * policy.shape[1], 1.1, 4.0)), grid_of(pictured)
    if grid is not None and pictured.leads_to is not None:
        width, tall = map_size(grid)
        figure = new_figure((2 * width, tall), figure)
        left, right = np.ravel(np.array(figure.subplots(1, 2)))
        draw_only_map(left, grid, law)
        draw_moves(right, grid, policy * exists, pictured.leads_to)
        return _titled(figure, title, left, right)
    above = 3.0 if grid is None else map_size(grid)[1]
    figure = new_figure((8.0, above + height), figure)
    ratios = [above - 0.7, height]
    upper, lower = np.ravel(np.array(figure.subplots(2, 1, sharex=grid is None, height_ratios=ratios)))
    if grid is not None:
        draw_only_map(upper, grid, law)
    else:
        draw_law(upper, law)
        if are_numbered(pictured.states):  # names have no mean
            _mark(upper, float(np.arange(len(law)) @ law), len(law))
        frame(upper, "", "share of\nthe population", grid="y")
    image = draw_policy(lower, policy, exists, numbers=False)
    figure.colorbar(image, ax=lower, label="probability", pad=0.01)
    name_ticks(lower.xaxis, pictured.states, _MOST_TICKS)
    name_ticks(lower.yaxis, pictured.actions, max(2, int(4 * height)))
    frame(lower, "state", "action", grid=None)
    return _titled(figure, title, upper, lower)


def _titled(figure: Figure | SubFigure, title: str | None, *axes: Axes) -> np.ndarray:
    if title is not None:
        figure.suptitle(title, parse_math=False)
    return np.array(axes)


def _mark(ax: Axes, mean: float, num_states: int) -> None:
    # the text stands where the picture leaves room
    right = mean < 0.7 * (num_states - 1)
    ax.axvline(mean, color=colour(1), linestyle="--", linewidth=1.4)
    ax.annotate(
        f"mean {mean:.2f}",
        (mean, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(5 if right else -5, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        color=colour(1),
        bbox=dict(boxstyle="round,pad=0.15", facecolor=shade(0.0), edgecolor="none", alpha=0.8),
    )
