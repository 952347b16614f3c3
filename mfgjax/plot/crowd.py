"""Pictures of a crowd on its graph."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.path import Path

from .._typing import Array, Float
from ..games import moves
from ..model import FiniteHorizonGame, StationaryGame
from .figures import new_axes

_MASS_COLOURS = colormaps["Blues"]
BEND = 0.16  # of edges there and back, in their length
LINES = ("-", "--", "-.", ":")


def short(label: str, length: int = 14) -> str:
    """Return a name, or its beginning with an ellipsis where it is longer."""
    return label if len(label) <= length else label[: length - 1] + "…"


def circle_positions(labels: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Place states on the unit circle, clockwise from the top: five of them make a pentagon.

    Args:
      labels: names in order.
    """
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(labels)) / len(labels)
    return {label: (float(np.cos(a)), float(np.sin(a))) for label, a in zip(labels, angles, strict=True)}


def plot_graph(
    game: FiniteHorizonGame | StationaryGame,
    law: Float[Array, " S"],
    *,
    policy: Float[Array, "S A"] | None = None,
    positions: Mapping[str, tuple[float, float]] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the crowd on its graph: area and shade of a node grow with its mass, which is printed too.

    Args:
      game: one with a `MovesKernel`, such as `graph_game` builds.
      law: of the nodes, at one time.
      policy: at that time; arrows then widen with the flow μ(s)π(a|s), and edges nobody takes are dotted.
      positions: of the nodes by name; None: on a circle.
      title: of the picture.
      ax: where to draw; None: on a new figure, which is `returned.figure`.

    Returns:
      The axes.

    Raises:
      ValueError: if the game is no graph, or a position is missing.
    """
    pairs = edges_of(game)
    labels = game.state_labels
    places = places_of(labels, positions)
    ax = new_axes(ax, size_of(places))
    mass = np.asarray(law)
    unit = unit_of(places)
    least, most = 0.2 * unit, 0.3 * unit
    radius = np.sqrt(least**2 + (most**2 - least**2) * np.clip(mass, 0, 1))
    outward = np.array([free_side(s, places, pairs) for s in range(len(places))])
    loop = 1.6 * least  # of the handles of a loop, which itself reaches 3/4 as far
    tips = places + (most + 0.85 * loop) * outward  # of the loops
    low = np.minimum(places - 1.15 * most, tips - 0.2 * loop).min(axis=0)
    high = np.maximum(places + 1.15 * most, tips + 0.2 * loop).max(axis=0)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    ax.set_axis_off()

    weight = None if policy is None else mass[:, None] * np.asarray(policy)
    draw_edges(ax, game, places, radius, outward, loop, weight)
    reach = np.array([loop if (s, s) in pairs else 0.3 * loop for s in range(len(places))])
    texts_outside = _nodes(ax, labels, places, mass, radius, (radius + reach)[:, None] * outward)
    if title is not None:
        ax.set_title(title, fontsize=11, pad=24 if texts_outside else 6)
    return ax


def draw_edges(
    ax: Axes,
    game: FiniteHorizonGame | StationaryGame,
    places: np.ndarray,
    radius: np.ndarray,
    outward: np.ndarray,
    loop: float,
    weight: np.ndarray | None,
) -> None:
    """Draw an arrow for every move, between circles; those there and back are bent apart.

    Args:
      ax: where to draw.
      game: one with a `MovesKernel`.
      places: of the nodes.
      radius: of their circles.
      outward: where there is room for a loop, for each node.
      loop: size of loops.
      weight: of the moves, which widens arrows, `[S, A]`; None: all alike.
    """
    targets, index = moves(game), {label: i for i, label in enumerate(game.state_labels)}
    pairs = edges_of(game)
    available = np.asarray(game.available.any(axis=0))
    for s, names in enumerate(targets):
        for name, action in zip(names, np.flatnonzero(available[s]), strict=True):
            end = index[name]
            path = (
                _loop(places[s], radius[s], outward[s], loop)
                if end == s
                else _edge(places[s], places[end], radius[s], radius[end], BEND if (end, s) in pairs else 0.0)
            )
            _arrow(ax, path, None if weight is None else float(weight[s, action]))


def edges_of(game: FiniteHorizonGame | StationaryGame) -> set[tuple[int, int]]:
    """Return the moves of a graph as pairs of nodes; refuse a game that is none."""
    index = {label: i for i, label in enumerate(game.state_labels)}
    return {(s, index[name]) for s, names in enumerate(moves(game)) for name in names}


def places_of(labels: Sequence[str], positions: Mapping[str, tuple[float, float]] | None) -> np.ndarray:
    """Return the positions of nodes in order, `[S, 2]`, on a circle where none are given."""
    positions = circle_positions(labels) if positions is None else positions
    for label in labels:
        if label not in positions:
            raise ValueError(f"`positions` has no entry for the node {label!r}.")
    return np.array([positions[label] for label in labels], dtype=float)


def unit_of(places: np.ndarray) -> float:
    """Return the least distance of two nodes, or somewhat less than the picture where they are few."""
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    others = apart[~np.eye(len(places), dtype=bool)]
    return float(min(others.min(), 0.62 * others.max())) or 1.0 if others.size else 1.0


def size_of(places: np.ndarray) -> tuple[float, float]:
    """Return a size in inches with room for all nodes, in the proportion of their positions."""
    extent = np.ptp(places, axis=0) + 1.2 * unit_of(places)
    long = float(np.clip(1.9 * len(places) ** 0.5, 5.2, 12.0))
    width, height = np.maximum(long * extent / extent.max(), 2.5)
    return float(width), float(height)


def free_side(node: int, places: np.ndarray, pairs: set[tuple[int, int]]) -> np.ndarray:
    """Return the direction in the middle of the widest gap between the edges of a node."""
    others = {a if b == node else b for a, b in pairs if a != b and node in (a, b)}
    ways = [places[other] - places[node] for other in sorted(others)]
    if not ways:
        return np.array([0.0, 1.0])
    angles = np.sort([np.arctan2(way[1], way[0]) for way in ways])
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    k = int(np.argmax(np.round(gaps, 6)))
    middle = angles[k] + gaps[k] / 2
    return np.array([np.cos(middle), np.sin(middle)])


def _edge(start: np.ndarray, end: np.ndarray, r_start: float, r_end: float, bend: float) -> Path:
    """Return the way between two circles, bent to its right so that there and back do not coincide."""
    across = end - start
    control = (start + end) / 2 + bend * np.array([across[1], -across[0]])
    away, back = control - start, control - end
    return Path(
        [
            start + away * r_start / np.linalg.norm(away),
            control,
            end + back * (1.06 * r_end) / np.linalg.norm(back),
        ],
        [Path.MOVETO, Path.CURVE3, Path.CURVE3],
    )


def _loop(centre: np.ndarray, radius: float, outward: np.ndarray, size: float) -> Path:
    """Return a loop on the outer side of a circle."""

    def turned(angle: float) -> np.ndarray:
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s], [s, c]]) @ outward

    leave, enter = turned(0.5), turned(-0.5)
    far_leave, far_enter = turned(0.6), turned(-0.6)
    return Path(
        [
            centre + radius * leave,
            centre + radius * leave + size * far_leave,
            centre + radius * enter + size * far_enter,
            centre + 1.06 * radius * enter,
        ],
        [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
    )


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
    beyond: np.ndarray,
) -> bool:
    """Draw circles with names and masses, inside where there is room; return whether some are outside."""
    any_outside = False
    box = ax.get_window_extent()
    x_low, x_high = ax.get_xlim()
    y_low, y_high = ax.get_ylim()
    scale = min(box.width / (x_high - x_low), box.height / (y_high - y_low))
    scale *= 72 / ax.get_figure(root=True).dpi  # pyright: ignore
    least = float(radius.min()) * scale  # in points
    inside = least >= 15
    for label, (x, y), m, r, away in zip(labels, places, mass, radius, beyond, strict=True):
        shade = _MASS_COLOURS(0.08 + 0.85 * float(np.clip(m, 0, 1)))
        ax.add_patch(Circle((x, y), r, facecolor=shade, edgecolor="0.1", linewidth=1.2, zorder=2))
        ink = "white" if np.dot(shade[:3], (0.299, 0.587, 0.114)) < 0.55 else "black"
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
            any_outside = True
            right, up = away / np.linalg.norm(away)
            text["ha"] = "left" if right > 0.4 else "right" if right < -0.4 else "center"
            text["va"] = "bottom" if up > 0.8 else "top" if up < -0.8 else "center"
            text["bbox"] = dict(boxstyle="round,pad=0.1", facecolor="white", edgecolor="none", alpha=0.7)
            ax.text(x + away[0], y + away[1], "\n".join(outside), fontsize=7.5, **text)
    return any_outside
