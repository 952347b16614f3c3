"""Where the nodes of a graph lie in a picture, and the ways between them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.path import Path

from .. import _checks
from .._coordinates import cells
from .styles import shade

BEND = 0.16  # of edges there and back, in their length


def circle_positions(labels: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Place states on the unit circle, clockwise from the top; five states form a pentagon.

    Args:
      labels: the names of the states, in order.

    Raises:
      ValueError: if `labels` is no list of names.

    Example:
      >>> import mfgjax as mfg
      >>> [(round(x), round(y)) for x, y in mfg.plot.circle_positions(["north", "south"]).values()]
      [(0, 1), (0, -1)]
    """
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise ValueError(f"`labels` must be a list of names; got {_checks.shorten(labels)}.")
    labels = list(labels)
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(labels)) / len(labels)
    return {label: (float(np.cos(a)), float(np.sin(a))) for label, a in zip(labels, angles, strict=True)}


def places_of(labels: Sequence[str], positions: Mapping[str, tuple[float, float]] | None) -> np.ndarray:
    """Return the positions of nodes in order, `[S, 2]`; where none are given, as cells of a grid or on a circle."""
    grid = cells(labels) if positions is None else None
    if grid is not None:  # row 0 is on top
        return np.stack([grid[:, 1], -grid[:, 0]], axis=1).astype(float)
    positions = circle_positions(labels) if positions is None else positions
    if not isinstance(positions, Mapping):
        raise ValueError(f"`positions` must map the names of nodes to (x, y); got {_checks.shorten(positions)}.")
    for label in labels:
        if label not in positions:
            raise ValueError(f"`positions` has no entry for the node {label!r}.")
        place = np.asarray(_checks.as_numbers(f"positions[{label!r}]", positions[label]))
        if place.shape != (2,) or not np.isfinite(place).all():
            given = _checks.shorten(positions[label])
            raise ValueError(f"`positions[{label!r}]` must be two finite numbers (x, y); got {given}.")
    return np.array([positions[label] for label in labels], dtype=float)


def unit_of(places: np.ndarray) -> float:
    """Return the least distance of two nodes, or somewhat less than the picture where they are few."""
    distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
    others = distances[~np.eye(len(places), dtype=bool)]
    # `or 1.0`: all nodes in one place have no distance
    return float(min(others.min(), 0.62 * others.max())) or 1.0 if others.size else 1.0


def size_of(places: np.ndarray, extent: np.ndarray | None = None, count: int = 1) -> tuple[float, float]:
    """Return a size in inches with room for all nodes, in the proportion of their positions, or of an extent.

    Args:
      places: of the nodes.
      extent: width and height in the units of the places; None: those of the places.
      count: of such pictures side by side.
    """
    span = np.ptp(places, axis=0) + 1.2 * unit_of(places) if extent is None else extent
    if count > 1:
        scale = min(12.0 / span[0], 8.4 / span[1])
        return float(scale * span[0]), float(scale * span[1])
    least = 2.5 if extent is None else 1.0
    long = float(np.clip(1.9 * len(places) ** 0.5, 5.2, 12.0))
    width, height = np.maximum(long * span / span.max(), (2.5, least))
    return float(width), float(height)


def free_side(node: int, places: np.ndarray, pairs: set[tuple[int, int]]) -> np.ndarray:
    """Return the direction in the middle of the widest gap between the edges of a node."""
    others = {a if b == node else b for a, b in pairs if a != b and node in (a, b)}
    ways = [places[other] - places[node] for other in sorted(others)]
    if not ways:
        return np.array([0.0, 1.0])
    angles = np.sort([np.arctan2(way[1], way[0]) for way in ways])
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    # rounded, so that of gaps that are equal but for rounding the first is taken
    k = int(np.argmax(np.round(gaps, 6)))
    middle = angles[k] + gaps[k] / 2
    return np.array([np.cos(middle), np.sin(middle)])


def beside(way: np.ndarray) -> dict[str, Any]:
    """Return how a text lies on a light box beside a node, in the direction of a unit vector."""
    right, up = way
    return dict(
        ha="left" if right > 0.4 else "right" if right < -0.4 else "center",
        va="bottom" if up > 0.8 else "top" if up < -0.8 else "center",
        bbox=dict(boxstyle="round,pad=0.1", facecolor=shade(0.0), edgecolor="none", alpha=0.7),
    )


def edge_path(start: np.ndarray, end: np.ndarray, r_start: float, r_end: float, bend: float) -> Path:
    """Return the way between two circles, bent to its right so that there and back do not coincide."""
    across = end - start
    control = (start + end) / 2 + bend * np.array([across[1], -across[0]])
    away, back = control - start, control - end
    return Path(
        [
            start + away * r_start / np.linalg.norm(away),
            control,
            end + back * (1.06 * r_end) / np.linalg.norm(back),  # the tip of the arrow stays clear of the outline
        ],
        [Path.MOVETO, Path.CURVE3, Path.CURVE3],
    )


def loop_path(centre: np.ndarray, radius: float, outward: np.ndarray, size: float) -> Path:
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


def on_the_way(
    places: np.ndarray, here: np.ndarray, there: np.ndarray, moved: float, pairs: set[tuple[int, int]]
) -> np.ndarray:
    """Return points on the edges, bent as these are drawn."""
    start, end = places[here], places[there]
    back = np.array([(b, a) in pairs and a != b for a, b in zip(here, there, strict=True)])
    across = end - start
    normal = np.stack([across[:, 1], -across[:, 0]], axis=1)
    control = (start + end) / 2 + np.where(back, BEND, 0.0)[:, None] * normal
    return (1 - moved) ** 2 * start + 2 * moved * (1 - moved) * control + moved**2 * end
