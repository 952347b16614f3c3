"""Pictures of a crowd on its graph."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path

from .. import _checks
from .._largest_states import evenly
from .._typing import Array, Float
from ..equilibrium import Equilibrium
from ..model import AbstractGame
from .arrangement import BESIDE_NODES, Label, arrange
from .figures import check_axes, new_axes
from .pictured import Pictured, pictured_of
from .places import BEND, beside, edge_path, free_side, loop_path, places_of
from .styles import colour, ink_on, shade

NOBODY = 5e-4  # less than this share of the fullest node is drawn as nobody


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
      time: t, or several times, if the law is given at all times; −1 is the last. None: up to six times, evenly chosen.
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
    rows = _rows(pictured, time)
    if policy is not None:
        policies = np.asarray(_checks.as_numbers("policy", policy))
        states_actions = pictured.available.shape[1:]
        _checks.shape_is("policy", policies, [states_actions, (len(laws), *states_actions)], "[times,] states, actions")
        policies = policies.reshape(-1, *states_actions)
        if len(policies) == 1 and len(rows) > 1:
            raise ValueError(
                f"`policy` is of one time, but the law is drawn at {len(rows)} times: choose one with `time`."
            )
    moments = []
    for row in rows:
        moves = pictured.times is None or not (pictured.ends and row == len(laws) - 1)
        weight = laws[row][:, None] * policies[row % len(policies)] if moves and policies is not None else None
        moments.append(Moment(laws[row], weight, None if pictured.times is None else f"t = {pictured.times[row]}"))
    if len(moments) == 1:
        title = pictured.title(rows[0], title)
        moments = [moments[0]._replace(heading=None)]
    return draw_graph(ax, pictured, moments, positions, title)


def _rows(pictured: Pictured, time: int | Sequence[int] | None) -> list[int]:
    """Return the rows of the times that are drawn."""
    if time is not None:
        rows = [pictured.row(t) for t in np.ravel(np.asarray(time)).tolist()]
        if not rows:
            raise ValueError("`time` is empty: give at least one time, or None for an even choice.")
        return rows
    # panels of larger graphs must be larger
    most = 6 if len(pictured.states) <= 8 else 4 if len(pictured.states) <= 20 else 2
    return evenly(len(pictured.laws()), most)


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
    check_axes(ax)
    room, moves = room or moments, pictured.moves()
    places, pairs = places_of(pictured.states, positions), {(s, end) for s, _, end in moves}
    top = max(float(moment.mass.max()) for moment in room)
    outward = np.array([free_side(s, places, pairs) for s in range(len(places))])
    looped = np.any([_stayers(moves, moment, top) for moment in room], axis=0)
    plan = arrange(ax, pictured.states, places, outward, looped, len(moments))
    ax = new_axes(ax, (plan.size[0], plan.size[1] if title is None else plan.size[1] + 0.35))
    (left, right), (bottom, upper) = plan.limits
    ax.set(xlim=(left, right), ylim=(bottom, upper), aspect="equal")
    ax.set_axis_off()
    for moment, offset in zip(moments, plan.offsets, strict=True):
        share, here = np.clip(moment.mass / top, 0, 1), places + offset
        radius = np.sqrt(plan.least**2 + (plan.most**2 - plan.least**2) * share)  # areas, not radii, grow with mass
        weight = None if moment.weight is None else moment.weight / top
        draw_edges(ax, moves, here, radius, outward, plan.loop, weight, plan.widest)
        _nodes(ax, plan.labels, here, moment.mass, share, radius)
        for text, label, way, mass in zip(plan.texts + offset, plan.labels, outward, moment.mass, strict=True):
            style: dict[str, Any] = dict(fontsize=BESIDE_NODES, zorder=3, parse_math=False, **beside(way))
            ax.text(text[0], text[1], label.beside(_printed(mass)), **style)
        if moment.heading is not None:
            x, y = plan.heading + offset
            ax.text(x, y, moment.heading, ha="center", va="bottom")
    if title is not None:
        ax.set_title(title, parse_math=False)
    return ax


def _printed(mass: float) -> str:
    return f"{mass:.2f}" if mass >= 0.005 else ""


def _stayers(moves: Sequence[tuple[int, int, int]], moment: Moment, top: float) -> np.ndarray:
    """Return at which nodes somebody stays."""
    found = np.zeros(len(moment.mass), bool)
    for s, action, end in moves:
        found[s] |= s == end and moment.weight is not None and moment.weight[s, action] >= NOBODY * top
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
      weight: of the moves in that of the fullest node, which widens arrows, `[S, A]`; None: all alike.
      widest: width of the arrow of weight 1, in points.
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
    ax: Axes, labels: Sequence[Label], places: np.ndarray, mass: np.ndarray, share: np.ndarray, radius: np.ndarray
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
