"""Pictures of stationary equilibria: who is where and does what."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from .. import _checks
from ..equilibrium import Equilibrium
from ..model import StationaryGame
from .crowd import short
from .curves import spread_evenly
from .figures import new_figure

_MOST_TICKS, _MOST_OUTLINED = 26, 60
_MEAN = "#d55e00"


def plot_stationary(
    game: StationaryGame,
    equilibrium: Equilibrium,
    *,
    title: str | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw a stationary equilibrium: the law of the states as bars, and below each state what is done there.

    A dashed line marks the mean state, where states are numbered. Shades of the map are π(a|s); an action that does
    not exist is hatched.

    Args:
      game: for the names of states and actions, and the mask.
      equilibrium: of `solve`.
      title: above the picture.
      figure: where to draw, empty and with constrained layout; None: a new one.

    Returns:
      The figure.

    Raises:
      ValueError: if the game is not stationary, or the equilibrium is not of it.
    """
    if not isinstance(game, StationaryGame):
        raise ValueError(f"`game` must be a `StationaryGame`; got {_checks.shorten(game)}: see `plot_flow`.")
    policy, shape = np.asarray(equilibrium.policy), (game.num_states, game.num_actions)
    _checks.shape_is("equilibrium.policy", policy, [shape], "states, actions of `game`")
    law, places = np.asarray(equilibrium.state_law), np.arange(game.num_states)
    height = float(np.clip(0.32 * game.num_actions, 1.1, 4.0))
    figure = new_figure((8.0, 3.0 + height)) if figure is None else figure
    upper, lower = np.ravel(np.array(figure.subplots(2, 1, sharex=True, height_ratios=[2.3, height])))
    edge: dict[str, Any] = dict(edgecolor="0.15", linewidth=0.6) if len(law) <= _MOST_OUTLINED else {}
    upper.bar(places, law, width=0.85 if edge else 1.0, color="#56b4e9", **edge)
    if game.has_numbered_states:
        _mark(upper, float(equilibrium.mean_state), len(law))
    upper.set_ylabel("share of\nthe population")
    upper.grid(True, axis="y", alpha=0.3)
    upper.set_axisbelow(True)
    exists = np.asarray(game.available[0])
    lower.set_facecolor("0.93")
    if not exists.all():
        lower.axhspan(-0.5, game.num_actions - 0.5, facecolor="none", edgecolor="0.7", hatch="///", zorder=0)
    shown = np.ma.masked_array(policy, ~exists).T
    image = lower.imshow(
        shown, aspect="auto", origin="lower", cmap="cividis", vmin=0, vmax=1, interpolation="nearest", zorder=1
    )
    figure.colorbar(image, ax=lower, label="probability", pad=0.01)
    for axis, labels, most in (
        (lower.xaxis, game.state_labels, _MOST_TICKS),
        (lower.yaxis, game.action_labels, max(2, int(4 * height))),
    ):
        ticks = spread_evenly(len(labels), most)
        axis.set_ticks(ticks, [short(labels[i]) for i in ticks], parse_math=False)
    if max(map(len, game.state_labels)) > 3:
        lower.tick_params(axis="x", rotation=40)
    lower.set_xlabel("state")
    lower.set_ylabel("action")
    if title is not None:
        figure.suptitle(title, parse_math=False)
    return figure


def _mark(ax: Axes, mean: float, num_states: int) -> None:
    right = mean < 0.7 * (num_states - 1)
    ax.axvline(mean, color=_MEAN, linestyle="--", linewidth=1.4)
    ax.annotate(
        f"mean {mean:.2f}",
        (mean, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(5 if right else -5, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        color=_MEAN,
        bbox=dict(boxstyle="round,pad=0.15", facecolor="white", edgecolor="none", alpha=0.8),
    )
