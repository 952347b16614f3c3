"""Agents on their way through a graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection
from matplotlib.patches import Circle

from .. import _checks
from .._shorten import cut
from ..finite import Simulation
from ..model import FiniteHorizonGame
from .animation import animate, eased, moments, tell_time
from .crowd import draw_edges
from .figures import check_axes
from .pictured import edges_of
from .places import beside, free_side, on_the_way, places_of, size_of, unit_of
from .styles import colour, ink_on, shade

_GOLDEN = np.pi * (3 - 5**0.5)
_MOST_NUMBERED = 20  # agents whose numbers can be read


def animate_agents(
    game: FiniteHorizonGame,
    simulation: Simulation,
    *,
    run: int = 0,
    positions: Mapping[str, tuple[float, float]] | None = None,
    frames_per_step: int = 8,
    title: str | None = None,
    ax: Axes | None = None,
) -> FuncAnimation:
    """Animate labelled agents on their graph, each as a dot.

    Between two times agents move along the edges. Next to the name of a node is the number of agents that were there at
    the most recent time. Up to twenty agents are numbered; an agent that deviates has another colour, and an outline.

    Args:
      game: a game with a `MovesKernel`, such as `graph_game` builds.
      simulation: the result of `finite.simulate(..., labelled=True)` for one population.
      run: which of its runs.
      positions: of the nodes by name; None: on a circle.
      frames_per_step: number of frames from one time to the next; before these, half as many show the agents on
        their nodes.
      title: the title, before the time.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The animation: `animation.save("agents.gif", writer="pillow")`; as the value of a cell, notebooks show it.

    Raises:
      ValueError: if the game is not on a graph, a position is missing, the agents have no labels, or there is no such
        run.

    Example:
      >>> mfg.plot.animate_agents(game, agents)  # agents = mfg.finite.simulate(..., labelled=True)
    """
    _checks.made_by("finite.simulate", Simulation, "simulation", simulation)
    edges = edges_of(game)
    pairs = {(s, end) for s, _, end in edges}
    paths = _paths(simulation, run)
    places = places_of(game.state_labels, positions)
    if frames_per_step < 1:
        raise ValueError(f"`frames_per_step` must be at least 1; got {frames_per_step}.")
    check_axes(ax)
    if ax is None:
        # a layout that is found anew for every picture would shake
        width, height = np.minimum(size_of(places), 7.2)
        ax = plt.figure(figsize=(width, height)).add_axes((0.01, 0.01, 0.98, 0.9))
    radius, (num_times, num_agents) = 0.31 * unit_of(places), paths.shape
    texts = _nodes(ax, game, places, radius, edges, num_agents)
    slots = _slots(paths, len(places))
    crowd = int(slots.max()) + 1
    distance = 0.84 * radius * np.sqrt((slots + 0.5) / crowd) if crowd > 1 else np.zeros(slots.shape)
    # turns by the golden angle fill a disc evenly, however many agents there are
    offsets = distance[..., None] * np.stack([np.cos(_GOLDEN * slots), np.sin(_GOLDEN * slots)], axis=-1)
    dots = _dots(ax, simulation, min(0.5, 1.25 / crowd**0.5) * radius)
    numbers = []
    if num_agents <= _MOST_NUMBERED:
        ink: dict[str, Any] = dict(ha="center", va="center", fontsize=6.5, zorder=5)
        fills: Any = dots.get_facecolor()
        numbers = [ax.text(0, 0, str(i + 1), color=ink_on(fills[i][:3]), **ink) for i in range(num_agents)]

    def draw(frame: tuple[int, int]) -> list[Any]:
        t, k = frame
        after = min(t + 1, num_times - 1)
        here, there = paths[t], paths[after]
        moved = eased(k, frames_per_step)
        points = on_the_way(places, here, there, moved, pairs) + (1 - moved) * offsets[t] + moved * offsets[after]
        dots.set_offsets(points)
        for number, place in zip(numbers, points, strict=False):
            number.set_position(place)
        counts = np.bincount(here, minlength=len(places))
        for text, label, count in zip(texts, game.state_labels, counts, strict=True):
            text.set_text(f"{cut(label, 20)}: {count}")
        tell_time(ax, title, t, t + 1 if k else None)
        return [dots, *numbers, *texts]

    return animate(ax, draw, moments(num_times, frames_per_step))


def _paths(simulation: Simulation, run: int) -> np.ndarray:
    """Return where every agent is at every time, `[T, N]`."""
    if simulation.states is None:
        raise ValueError("`simulation` has no labels: simulate with `labelled=True`.")
    states = np.asarray(simulation.states)
    if states.ndim != 3:
        raise ValueError(f"`simulation` must be of one population; its states have shape {states.shape}.")
    if not 0 <= run < states.shape[2]:
        raise ValueError(f"`run` is {run}, but there are runs 0 to {states.shape[2] - 1}.")
    return states[:, :, run]


def _slots(paths: np.ndarray, num_nodes: int) -> np.ndarray:
    """Return the slot of every agent within its node, `[T, N]`: those who stay keep theirs, others take a free one."""
    slots = np.zeros_like(paths)
    for t, nodes in enumerate(paths):
        stays = nodes == paths[t - 1] if t else np.zeros(len(nodes), bool)
        slots[t, stays] = slots[t - 1, stays]
        for node in range(num_nodes):
            arriving, occupied = np.flatnonzero((nodes == node) & ~stays), slots[t, (nodes == node) & stays]
            slots[t, arriving] = np.setdiff1d(np.arange(len(arriving) + len(occupied)), occupied)[: len(arriving)]
    return slots


def _dots(ax: Axes, simulation: Simulation, width: float) -> EllipseCollection:
    """Draw the agents as discs, sized in units of the axes; their places are set later."""
    num_agents, deviates = simulation.states.shape[1], simulation.deviator_states is not None  # pyright: ignore
    colours, edges = [colour(0)] * num_agents, ["none"] * num_agents
    if deviates:
        colours[0], edges[0] = colour(1), shade(1.0)
    size, zero = np.full(num_agents, width), np.zeros(num_agents)
    if deviates:
        size[0] *= 1.2
    placement: dict[str, Any] = dict(units="xy", offsets=np.zeros((num_agents, 2)), offset_transform=ax.transData)
    # sizes in units of the axes, unlike those of `scatter`
    dots = EllipseCollection(size, size, zero, facecolors=colours, edgecolors=edges, zorder=4, **placement)
    ax.add_collection(dots, autolim=False)
    return dots


def _nodes(
    ax: Axes,
    game: FiniteHorizonGame,
    places: np.ndarray,
    radius: float,
    edges: list[tuple[int, int, int]],
    num_agents: int,
) -> list[Any]:
    """Draw the graph with room for the texts beside its nodes, and return these."""
    pairs = {(s, end) for s, _, end in edges}
    outward = np.array([free_side(s, places, pairs) for s in range(len(places))])
    ax.set(aspect="equal")
    ax.set_axis_off()
    texts = []
    for s, (x, y) in enumerate(places):
        ax.add_patch(Circle((x, y), radius, facecolor=shade(0.06), edgecolor=shade(0.8), linewidth=1.1, zorder=2))
        right, up = outward[s]
        away = 1.3 * radius
        longest = f"{cut(game.state_labels[s], 20)}: {num_agents}"
        style: dict[str, Any] = dict(
            fontsize=9 if len(places) <= 24 else 7.5, weight="bold", zorder=3, parse_math=False
        )
        texts.append(ax.text(x + away * right, y + away * up, longest, **style, **beside(outward[s])))
    low, high = (places - 1.2 * radius).min(axis=0), (places + 1.2 * radius).max(axis=0)
    for _ in range(4):  # more room makes the texts larger in units of the axes
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        ax.apply_aspect()
        boxes = [text.get_window_extent().padded(3).transformed(ax.transData.inverted()) for text in texts]
        low = np.minimum(low, np.min([box.min for box in boxes], axis=0))
        high = np.maximum(high, np.max([box.max for box in boxes], axis=0))
    draw_edges(ax, edges, places, np.full(len(places), radius), outward, 0.0, None, 0.0)
    return texts
