"""Pictures of a crowd on its graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path

from .._typing import Array, Float
from ..equilibrium import Equilibrium
from ..model import AbstractGame
from .figures import new_axes
from .pictured import Pictured, pictured_of
from .places import BEND, beside, edge_path, free_side, loop_path, places_of, size_of, unit_of
from .styles import short

_MASS_COLOURS = colormaps["Blues"]


def plot_graph(
    game: AbstractGame | xr.Dataset,
    law: Equilibrium | xr.Dataset | Float[Array, "*T S"] | None = None,
    *,
    policy: Float[Array, "S A"] | None = None,
    time: int = -1,
    positions: Mapping[str, tuple[float, float]] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the population on its graph: area and shade of a node grow with its mass, which is also printed.

    If a policy is given, the width of an arrow grows with the flow μ(s)π(a|s), and edges that nobody takes are dotted.
    The policy of an equilibrium is drawn at all times but the last, after which nobody moves.

    Args:
      game: a game with a `MovesKernel`, such as `graph_game` builds; or a dataset of `io.load_equilibrium`.
      law: the law of the nodes, at one time or at all times; an equilibrium; or a dataset, such as a point of a sweep.
      policy: the policy at that time; None: that of the equilibrium, if there is one.
      time: t, of what is over time; −1 is the last.
      positions: of the nodes by name; None: on a circle.
      title: of the picture; None: the time, of what is over time.
      ax: where to draw; None: on a new figure, which is `returned.figure`.

    Returns:
      The axes.

    Raises:
      ValueError: if the game is not on a graph, there is no such time, or a position is missing.

    Example:
      >>> mfg.plot.plot_graph(game, eq.mean_field[4], policy=eq.policy[4])  # eq = mfg.solve(game, response)
    """
    pictured = pictured_of(game, law)
    row, laws = pictured.row(time), pictured.laws()
    if policy is None and pictured.policy is not None and not (pictured.ends and row == len(laws) - 1):
        policy = pictured.policy[row]
    weight = None if policy is None else laws[row][:, None] * np.asarray(policy)
    return draw_graph(ax, pictured, laws[row], weight, positions, pictured.title(row, title))


def draw_graph(
    ax: Axes | None,
    pictured: Pictured,
    mass: np.ndarray,
    weight: np.ndarray | None,
    positions: Mapping[str, tuple[float, float]] | None,
    title: str | None,
) -> Axes:
    """Draw nodes with their masses, and arrows that widen with the weights of moves, `[S, A]`."""
    moves = pictured.moves()
    pairs = {(s, end) for s, _, end in moves}
    places = places_of(pictured.states, positions)
    unit = unit_of(places)
    least, most = 0.2 * unit, 0.3 * unit
    # areas, not radii, grow with mass
    radius = np.sqrt(least**2 + (most**2 - least**2) * np.clip(mass, 0, 1))
    outward = np.array([free_side(s, places, pairs) for s in range(len(places))])
    loop = 1.6 * least  # of the handles of a loop, which itself reaches 3/4 as far
    looped = np.array([(s, s) in pairs for s in range(len(places))])
    tips = np.where(looped[:, None], places + (most + 0.85 * loop) * outward, places)
    low = np.minimum(places - 1.15 * most, tips - 0.2 * loop).min(axis=0)
    high = np.maximum(places + 1.15 * most, tips + 0.2 * loop).max(axis=0)
    width, height = size_of(places, high - low)
    ax = new_axes(ax, (width, height if title is None else height + 0.35))
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    ax.set_axis_off()
    draw_edges(ax, moves, places, radius, outward, loop, weight)
    reach = radius + np.where(looped, loop, 0.3 * loop)
    above = _nodes(ax, pictured.states, places, mass, radius, least, reach[:, None] * outward)
    if title is not None:
        ax.set_title(title, fontsize=11, pad=6 + above, parse_math=False)
    return ax


def draw_edges(
    ax: Axes,
    moves: Sequence[tuple[int, int, int]],
    places: np.ndarray,
    radius: np.ndarray,
    outward: np.ndarray,
    loop: float,
    weight: np.ndarray | None,
) -> None:
    """Draw an arrow for every move, between circles; those there and back are bent apart.

    Args:
      ax: where to draw.
      moves: (state, action, next state).
      places: of the nodes.
      radius: of their circles.
      outward: where there is room for a loop, for each node.
      loop: size of loops.
      weight: of the moves, which widens arrows, `[S, A]`; None: all alike.
    """
    pairs = {(s, end) for s, _, end in moves}
    for s, action, end in moves:
        path = (
            loop_path(places[s], radius[s], outward[s], loop)
            if end == s
            else edge_path(places[s], places[end], radius[s], radius[end], BEND if (end, s) in pairs else 0.0)
        )
        _arrow(ax, path, None if weight is None else float(weight[s, action]))


def _arrow(ax: Axes, path: Path, flow: float | None) -> None:
    nobody = flow is not None and flow < 5e-4
    width = 1.2 if flow is None else 0.8 + 5 * flow
    ax.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle="-|>",
            mutation_scale=10 + 1.8 * width,
            linewidth=width,
            linestyle=":" if nobody else "-",
            color="0.55" if nobody else "0.2",
            joinstyle="miter",
            capstyle="butt",
            zorder=1,
        )
    )


def _nodes(
    ax: Axes,
    labels: Sequence[str],
    places: np.ndarray,
    mass: np.ndarray,
    radius: np.ndarray,
    least: float,
    beyond: np.ndarray,
) -> float:
    """Draw circles with names and masses, inside where there is room; return by how many points some stand out on top.

    Sizes of letters depend on the least radius that a node can have, so that they stay as masses change.
    """
    above = 0.0
    box = ax.get_window_extent()
    x_low, x_high = ax.get_xlim()
    y_low, y_high = ax.get_ylim()
    # the aspect is equal, so the tighter direction sets the scale
    scale = min(box.width / (x_high - x_low), box.height / (y_high - y_low))
    scale *= 72 / ax.get_figure(root=True).dpi  # pyright: ignore
    least *= scale  # in points
    inside = least >= 15
    for label, (x, y), m, r, away in zip(labels, places, mass, radius, beyond, strict=True):
        shade = _MASS_COLOURS(0.08 + 0.85 * float(np.clip(m, 0, 1)))
        ax.add_patch(Circle((x, y), r, facecolor=shade, edgecolor="0.1", linewidth=1.2, zorder=2))
        ink = (
            "white" if np.dot(shade[:3], (0.299, 0.587, 0.114)) < 0.55 else "black"
        )  # how bright a shade is to the eye
        text: dict[str, Any] = dict(va="center", zorder=3, parse_math=False)
        # a letter is some 0.65 of its size wide, and 1.7 radii of a circle hold a line
        size, width = min(11.0, (0.6 if inside else 0.95) * least), 1.7 * r * scale / 0.65
        fitting = min(size, width / len(label))
        name, fits = short(label, 20), fitting >= 5.5
        if fits:
            style: dict[str, Any] = dict(color=ink, ha="center", weight="bold")
            ax.text(x, y + 0.4 * r if inside else y, label, fontsize=fitting, **style, **text)
        if inside:
            height = y - 0.25 * r if fits else y
            ax.text(x, height, f"{m:.3f}", color=ink, ha="center", fontsize=min(size, width / 5), **text)
        outside = [] if fits else [name]
        outside += [] if inside else [f"{m:.3f}"]
        if outside:
            text |= beside(away / np.linalg.norm(away))
            ax.text(x + away[0], y + away[1], "\n".join(outside), fontsize=7.5, **text)
            height = 9.5 * len(outside) * {"bottom": 1.0, "center": 0.5, "top": 0.0}[text["va"]]
            above = max(above, height - (y_high - y - away[1]) * scale)
    return above
