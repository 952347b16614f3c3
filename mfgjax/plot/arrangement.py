"""Where the nodes of a graph and their texts lie, in one picture or in several side by side."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from .._shorten import cut
from .places import beside, size_of, unit_of

LEAST, MOST = 0.21, 0.31  # radius of an empty node and of the fullest, in the least distance of two nodes
BESIDE_NODES = 7.5  # size of letters, in points


class Label(NamedTuple):
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
        extent = np.array([0.62 * max(map(len, lines)), 1.3 * len(lines)]) * BESIDE_NODES
        style = beside(way)
        shift = {"left": 0.0, "bottom": 0.0, "center": 0.5, "right": 1.0, "top": 1.0}
        low = -extent * (shift[style["ha"]], shift[style["va"]])
        return np.stack([low, low + extent])


def _label(name: str, least: float) -> Label:
    """Return how a node is labelled whose least radius is so many points."""
    inside = least >= 12
    # a letter is some 0.65 of its size wide, and 1.7 radii of a circle hold a line
    size = min(11.0, (0.62 if inside else 0.95) * least, 1.7 * least / (0.65 * len(name)))
    return Label(cut(name, 20), size, size >= 5.5, inside)


class Arrangement(NamedTuple):
    """Sizes and places in units of the axes, for graphs side by side."""

    labels: list[Label]  # of the nodes
    texts: np.ndarray  # where they are set beside the nodes of the first graph, [S, 2]
    heading: np.ndarray  # where that of the first graph is set, [2]
    offsets: list[np.ndarray]  # of the graphs from the first, each [2]
    limits: np.ndarray  # of the axes, horizontal and vertical, [2, 2]
    size: tuple[float, float]  # of a new figure, in inches
    least: float  # radius of an empty node
    most: float  # of the fullest
    loop: float  # size of loops
    widest: float  # arrow, in points


def arrange(
    ax: Axes | None, names: Sequence[str], places: np.ndarray, outward: np.ndarray, looped: np.ndarray, count: int
) -> Arrangement:
    """Find a scale at which there is room for all texts.

    Args:
      ax: where the graphs are drawn; None: on a new figure.
      names: of the nodes.
      places: of the nodes, `[S, 2]`.
      outward: where there is room at each node, unit vectors `[S, 2]`.
      looped: which nodes have a loop.
      count: of graphs.
    """
    unit, grid = unit_of(places), np.array(tiles(count)[::-1])
    least, most, loop = LEAST * unit, MOST * unit, 1.5 * LEAST * unit
    reach = np.where(looped, loop, 0.0)[:, None]
    texts = places + (most + 0.8 * reach + 0.15 * least) * outward  # a loop reaches 3/4 as far as its handles

    def around(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[float, float], float]:
        """Return the corners of a graph with texts of such sizes, the size in inches, and how many points a unit is."""
        low = np.min([places - 1.15 * most, texts - 0.3 * reach, texts + boxes[:, 0]], axis=(0, 1))
        high = np.max([places + 1.15 * most, texts + 0.3 * reach, texts + boxes[:, 1]], axis=(0, 1))
        whole = (high - low) * gap * grid
        size = size_of(places, whole, count=count) if ax is None else _inches(ax)
        return low, high, size, 72 * float(np.min(np.array(size) / whole))

    gap = np.array([1.0, 1.0 if count == 1 else 1.15])  # with room for a heading
    low, high, size, points = around(np.zeros((len(places), 2, 2)))
    for _ in range(6):  # more room makes the texts larger in units of the axes
        boxes = [_label(name, least * points).box(way) for name, way in zip(names, outward, strict=True)]
        low, high, size, points = around(np.array(boxes) / points)
    step = (high - low) * gap
    offsets = [step * (i % grid[0], -(i // grid[0])) for i in range(count)]
    limits = np.array([[low[0], low[0] + step[0] * grid[0]], [low[1] - step[1] * (grid[1] - 1), low[1] + step[1]]])
    heading = np.array([places[:, 0].min() + np.ptp(places[:, 0]) / 2, high[1]])
    labels, widest = [_label(name, least * points) for name in names], min(9.0, 0.42 * least * points)
    return Arrangement(labels, texts, heading, offsets, limits, size, least, most, loop, widest)


def _inches(ax: Axes) -> tuple[float, float]:
    box, dpi = ax.get_window_extent(), ax.get_figure(root=True).dpi  # pyright: ignore[reportOptionalMemberAccess]
    return box.width / dpi, box.height / dpi


def tiles(count: int) -> tuple[int, int]:
    """Return how many rows and columns so many pictures side by side make."""
    rows = 1 if count <= 3 else 2 if count <= 6 else -(-count // 4)
    return rows, -(-count // rows)
