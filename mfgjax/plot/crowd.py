"""Pictures of a crowd on its graph."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path

from .._typing import Array, Float
from ..equilibrium import Equilibrium
from ..model import AbstractGame
from .figures import new_axes
from .maps import tiles
from .pictured import Pictured, pictured_of
from .places import BEND, beside, edge_path, free_side, loop_path, places_of, size_of, unit_of
from .styles import colour, ink_on, shade, short, spread_evenly

NOBODY = 5e-4  # less than this share is drawn as nobody
LEAST, MOST = 0.21, 0.31  # radius of an empty node and of the fullest, in the least distance of two nodes
_SMALL = 7.5  # size of letters beside a node, in points


class Moment(NamedTuple):
    """A crowd on its graph at one time."""

    mass: np.ndarray  # of the nodes, [S]
    weight: np.ndarray | None  # mass that moves, [S, A]; None: not known, or nobody moves any more
    heading: str | None = None


def plot_graph(
    game: AbstractGame | xr.Dataset,
    law: Equilibrium | xr.Dataset | Float[Array, "*T S"] | None = None,
    *,
    policy: Float[Array, "*T S A"] | None = None,
    time: int | Sequence[int] | None = None,
    positions: Mapping[str, tuple[float, float]] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the population on its graph, at several times side by side: area and colour of a node grow with its mass.

    The width of an arrow grows with the mass μ_t(s)π_t(a|s) that moves from t to t + 1, and a loop is drawn where
    somebody stays. Edges that nobody takes are dotted. Without a policy, and at the last time, after which nobody
    moves, all edges are thin. The fullest node of the picture sets the scale; shares below 0.005 are not printed.

    Args:
      game: a game with a `MovesKernel`, such as `graph_game` builds; or a dataset of `io.load_equilibrium`.
      law: the law of the nodes, at one time or at all times; an equilibrium; or a dataset, such as a point of a sweep.
      policy: the policy at that time or at all times; None: that of the equilibrium, if there is one.
      time: t, or several times, of what is over time; −1 is the last. None: up to six times, evenly chosen.
      positions: of the nodes by name; None: the cells of a grid, for nodes named "row,column"; else on a circle.
      title: of the picture; None: the time, if it is one of several.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes. All times are drawn on the same axes.

    Raises:
      ValueError: if the game is not on a graph, there is no such time, a position is missing, or the policy is of one
        time and the law of several.

    Example:
      >>> mfg.plot.plot_graph(game, eq)  # eq = mfg.solve(game, response)
    """
    pictured = pictured_of(game, law)
    laws, policies = pictured.laws(), pictured.policy
    if policy is not None:
        policies = pictured_of(game, policy, is_policy=True).policies()
    rows = _rows(pictured, time)
    if policies is not None and len(policies) != len(laws) and len(rows) > 1:
        raise ValueError(f"`policy` is of {len(policies)} times, but the law of {len(laws)}: choose one by `time`.")
    moments = []
    for row in rows:
        moves = policies is not None and (policy is not None or not (pictured.ends and row == len(laws) - 1))
        weight = laws[row][:, None] * policies[row % len(policies)] if moves else None
        moments.append(Moment(laws[row], weight, None if pictured.times is None else f"t = {pictured.times[row]}"))
    if len(moments) == 1:
        title = pictured.title(rows[0], title)
        moments = [moments[0]._replace(heading=None)]
    return draw_graph(ax, pictured, moments, positions, title)


def _rows(pictured: Pictured, time: int | Sequence[int] | None) -> list[int]:
    """Return the rows of the times that are drawn."""
    if time is not None:
        return [pictured.row(t) for t in ([time] if isinstance(time, int | np.integer) else time)]
    # panels of larger graphs must be larger
    most = 6 if len(pictured.states) <= 8 else 4 if len(pictured.states) <= 20 else 2
    return spread_evenly(len(pictured.laws()), most)


class _Label(NamedTuple):
    """What is printed at a node: inside, where there is room even in an empty one, else beside it."""

    name: str
    size: float  # of the letters inside, in points
    name_inside: bool
    mass_inside: bool

    def beside(self, printed: str) -> str:
        """Return what is printed beside the node."""
        return "\n".join(["" if self.name_inside else self.name, "" if self.mass_inside else printed]).strip("\n")

    def box(self, way: np.ndarray) -> np.ndarray:
        """Return the lower left and the upper right corner of that text from where it is set, in points, `[2, 2]`."""
        lines = self.beside("0.00").split("\n")
        extent = np.array([0.62 * max(map(len, lines)), 1.3 * len(lines)]) * _SMALL
        style = beside(way)
        shift = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
        low = -extent * (shift[style["ha"]], shift[style["va"]])
        return np.stack([low, low + extent])


def _label(name: str, least: float) -> _Label:
    """Return how a node is labelled whose least radius is so many points."""
    inside = least >= 12
    # a letter is some 0.65 of its size wide, and 1.7 radii of a circle hold a line
    size = min(11.0, (0.62 if inside else 0.95) * least, 1.7 * least / (0.65 * len(name)))
    return _Label(short(name, 20), size, size >= 5.5, inside)


def draw_graph(
    ax: Axes | None,
    pictured: Pictured,
    moments: Sequence[Moment],
    positions: Mapping[str, tuple[float, float]] | None,
    title: str | None,
    *,
    room: Sequence[Moment] | None = None,
) -> Axes:
    """Draw the crowd at some times, side by side.

    Args:
      ax: where to draw; None: on a new figure.
      pictured: the graph.
      moments: what is drawn.
      positions: as in `plot_graph`.
      title: of the picture.
      room: moments for which there is to be room, and whose fullest node sets the scale; None: what is drawn.
    """
    room, moves, states = room or moments, pictured.moves(), pictured.states
    places, pairs = places_of(states, positions), {(s, end) for s, _, end in moves}
    unit, top = unit_of(places), max(float(moment.mass.max()) for moment in room)
    least, most = LEAST * unit, MOST * unit
    outward = np.array([free_side(s, places, pairs) for s in range(len(places))])
    loop = np.where(np.any([stayers(moves, moment) for moment in room], axis=0), 1.5 * least, 0.0)
    texts = places + (most + 0.8 * loop + 0.15 * least)[:, None] * outward  # a loop reaches 3/4 as far as its handles
    count, (down, across) = len(moments), tiles(len(moments))
    wide = 0.3 * loop[:, None]
    low, high = (np.concatenate([places + sign * 1.15 * most, texts + sign * wide, texts]) for sign in (-1, 1))
    for _ in range(6):  # more room makes the texts larger in units of the axes
        corners = low.min(axis=0), high.max(axis=0)
        step = (corners[1] - corners[0]) * (1.0, 1.0 if count == 1 else 1.15)  # with room for the time above
        size = size_of(places, step * (across, down), count=count) if ax is None else _inches(ax)
        points = 72 * float(np.min(np.array(size) / (step * (across, down))))  # of a unit
        labels = [_label(name, least * points) for name in states]
        boxes = np.array([label.box(way) for label, way in zip(labels, outward, strict=True)]) / points
        low[-len(places) :], high[-len(places) :] = texts + boxes[:, 0], texts + boxes[:, 1]
    ax = new_axes(ax, (size[0], size[1] if title is None else size[1] + 0.35))
    # the first is on top, below its time
    (left, bottom), (right, upper) = corners[0] - step * (0, down - 1), corners[0] + step * (across, 1)
    ax.set(xlim=(left, right), ylim=(bottom, upper), aspect="equal")
    ax.set_axis_off()
    for place, moment in enumerate(moments):
        offset = step * (place % across, -(place // across))
        share = np.clip(moment.mass / top, 0, 1)
        radius = np.sqrt(least**2 + (most**2 - least**2) * share)  # areas, not radii, grow with mass
        weight = None if moment.weight is None else moment.weight / top
        draw_edges(ax, moves, places + offset, radius, outward, 1.5 * least, weight, min(9.0, 0.42 * least * points))
        _nodes(ax, labels, places + offset, moment.mass, share, radius)
        for text, label, way, mass in zip(texts + offset, labels, outward, moment.mass, strict=True):
            ax.text(*text, label.beside(_printed(mass)), fontsize=_SMALL, zorder=3, parse_math=False, **beside(way))
        if moment.heading is not None:
            middle = offset + ((places[:, 0].min() + places[:, 0].max()) / 2, corners[1][1])
            ax.text(*middle, moment.heading, ha="center", va="bottom")
    if title is not None:
        ax.set_title(title, parse_math=False)
    return ax


def _inches(ax: Axes) -> tuple[float, float]:
    box, dpi = ax.get_window_extent(), ax.get_figure(root=True).dpi  # pyright: ignore[reportOptionalMemberAccess]
    return box.width / dpi, box.height / dpi


def _printed(mass: float) -> str:
    return f"{mass:.2f}" if mass >= 0.005 else ""


def stayers(moves: Sequence[tuple[int, int, int]], moment: Moment) -> np.ndarray:
    """Return at which nodes somebody stays."""
    found = np.zeros(len(moment.mass), bool)
    for s, action, end in moves:
        found[s] |= s == end and moment.weight is not None and moment.weight[s, action] >= NOBODY
    return found


def draw_edges(
    ax: Axes,
    moves: Sequence[tuple[int, int, int]],
    places: np.ndarray,
    radius: np.ndarray,
    outward: np.ndarray,
    loop: float,
    weight: np.ndarray | None,
    widest: float,
) -> None:
    """Draw an arrow for every move, between circles; those there and back are bent apart.

    Args:
      ax: where to draw.
      moves: (state, action, next state).
      places: of the nodes.
      radius: of their circles.
      outward: where there is room for a loop, for each node.
      loop: size of loops, which are drawn where somebody stays.
      weight: of the moves, which widens arrows, `[S, A]`; None: all alike.
      widest: width of the arrow of a whole crowd, in points.
    """
    pairs = {(s, end) for s, _, end in moves}
    for s, action, end in moves:
        flow = None if weight is None else float(weight[s, action])
        if end == s and (flow is None or flow < NOBODY):
            continue
        path = (
            loop_path(places[s], radius[s], outward[s], loop)
            if end == s
            else edge_path(places[s], places[end], radius[s], radius[end], BEND if (end, s) in pairs else 0.0)
        )
        _arrow(ax, path, flow, widest)


def _arrow(ax: Axes, path: Path, flow: float | None, widest: float) -> None:
    nobody = flow is not None and flow < NOBODY
    width = 0.8 if flow is None or nobody else 0.8 + widest * flow
    ax.add_patch(
        FancyArrowPatch(
            path=path,
            arrowstyle="-|>",
            mutation_scale=8 + 1.4 * width,
            linewidth=width,
            linestyle=":" if nobody else "-",
            color=shade(0.4) if nobody or flow is None else shade(0.75),
            joinstyle="miter",
            capstyle="butt",
            zorder=1,
        )
    )


def _nodes(
    ax: Axes, labels: Sequence[_Label], places: np.ndarray, mass: np.ndarray, share: np.ndarray, radius: np.ndarray
) -> None:
    """Draw circles, with what is printed inside them."""
    for label, (x, y), m, part, r in zip(labels, places, mass, share, radius, strict=True):
        fill = shade(0.06 + 0.94 * float(part), colour(0))
        ax.add_patch(Circle((x, y), r, facecolor=fill, edgecolor=shade(0.8), linewidth=1.0, zorder=2))
        style: dict[str, Any] = dict(ha="center", va="center", color=ink_on(fill), zorder=3, parse_math=False)
        lines = [label.name] if label.name_inside else []
        lines += [_printed(m)] if label.mass_inside and _printed(m) else []
        heights = (0.38 * r, -0.32 * r) if len(lines) == 2 else (0.0,)
        for i, (line, height) in enumerate(zip(lines, heights, strict=False)):
            is_name = label.name_inside and i == 0
            size = label.size if is_name else min(10.0, label.size if label.name_inside else 8.0)
            ax.text(x, y + height, line, fontsize=size, weight="bold" if is_name else "normal", **style)
