"""A crowd on its way, as an animation."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from .. import _checks
from .._typing import Array, Float
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame
from .animation import animate, eased, moments, tell_time
from .arrangement import LEAST, MOST
from .crowd import NOBODY, Moment, draw_graph
from .figures import check_axes, new_axes
from .law import draw_law, name_states
from .maps import draw_map, grid_of, map_size, name_cells
from .pictured import Pictured, pictured_of
from .places import on_the_way, places_of, unit_of
from .styles import add_colours, colour, shade

MOST_NODES = 40  # of a graph that is drawn; of more, a map or bars


def animate_flow(
    game: FiniteHorizonGame | xr.Dataset,
    equilibrium_or_flow: Equilibrium | xr.Dataset | Float[Array, "T S"] | None = None,
    *,
    positions: Mapping[str, tuple[float, float]] | None = None,
    frames_per_step: int = 6,
    title: str | None = None,
    ax: Axes | None = None,
) -> FuncAnimation:
    """Animate the population over time: on its graph, as a map of a grid or, if there is neither, as bars.

    On a graph, the width of an arrow grows with the flow μ_t(s)π_t(a|s) from t to t + 1, and agents who move are discs
    on the edges, with the area that they add to a node. Between two times masses change evenly.

    Args:
      game: for names and edges; or a dataset of `io.load_equilibrium`, or a point of a sweep.
      equilibrium_or_flow: an `Equilibrium`, a dataset, or a law of the states for every time, `[H+1, S]`, which is
        drawn without arrows; None: `game` is a dataset.
      positions: of the nodes by name; None: on a circle.
      frames_per_step: number of frames from one time to the next; before these, half as many frames show the masses at
        that time.
      title: the title, before the time.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The animation: `animation.save("crowd.gif", writer="pillow")`; as the value of a cell, notebooks show it.

    Raises:
      ValueError: if there is no law for every time, or a position is missing.

    Example:
      >>> mfg.plot.animate_flow(game, eq)  # eq = mfg.solve(game, response)
    """
    check_axes(ax)
    pictured = pictured_of(game, equilibrium_or_flow)
    if pictured.times is None:
        raise ValueError("`animate_flow` needs a law for every time; this one does not change with time.")
    frames_per_step = _checks.integer_at_least("frames_per_step", frames_per_step, 1)
    times, flow = pictured.times, pictured.laws()
    on_graph = pictured.leads_to is not None and len(pictured.states) <= MOST_NODES
    still = _as_bars if grid_of(pictured) is None else _as_map
    ax, draw_at = _on_graph(pictured, positions, ax) if on_graph else still(pictured, ax)

    def draw(frame: tuple[int, int]) -> list[Any]:
        t, k = frame
        after = min(t + 1, len(flow) - 1)
        drawn = draw_at(t, after, eased(k, frames_per_step))
        tell_time(ax, title, times[t], times[after] if k else None)
        return drawn

    return animate(ax, draw, moments(len(flow), frames_per_step))


Draw = Callable[[int, int, float], list[Any]]  # of a time, the next, and the share of the way


def _on_graph(
    pictured: Pictured, positions: Mapping[str, tuple[float, float]] | None, ax: Axes | None
) -> tuple[Axes, Draw]:
    """Return axes, and a function that draws the crowd on its graph for one moment."""
    flow, policy, edges = pictured.laws(), pictured.policy, [edge for edge in pictured.moves() if edge[0] != edge[2]]
    places = places_of(pictured.states, positions)
    here, there = (np.array([edge[i] for edge in edges], dtype=int) for i in (0, 2))
    pairs, actions = set(zip(here.tolist(), there.tolist(), strict=True)), np.array([a for _, a, _ in edges], dtype=int)
    # what a whole crowd adds to the squared radius of its node
    by_share = (MOST**2 - LEAST**2) * unit_of(places) ** 2 / float(flow.max())

    def at(t: int, mass: np.ndarray) -> Moment:
        return Moment(mass, None if policy is None or t == len(flow) - 1 else flow[t][:, None] * policy[t])

    room = [at(t, mass) for t, mass in enumerate(flow)]  # for all loops, so that nodes stay where they are

    # what the user has drawn on these axes stays
    others = set() if ax is None else {*ax.patches, *ax.texts}
    is_new = ax is None
    ax = draw_graph(ax, pictured, room[:1], positions, "t = 0", room=room)
    if is_new:
        _hold(ax)
    ax.set_title("")
    drawn: list[Any] = [artist for artist in (*ax.patches, *ax.texts) if artist not in others]

    def draw(t: int, after: int, moved: float) -> list[Any]:
        while drawn:
            drawn.pop().remove()
        moment = at(t, (1 - moved) * flow[t] + moved * flow[after])
        draw_graph(ax, pictured, [moment], positions, None, room=room)
        if moment.weight is not None and moved > 0 and len(edges):
            points = on_the_way(places, here, there, moved, pairs)
            # behind the nodes, whose texts stay legible
            for place, mass in zip(points, moment.weight[here, actions], strict=True):
                if mass >= NOBODY * flow.max():  # below that arrows are dotted, too
                    disc: dict[str, Any] = dict(facecolor=colour(1), edgecolor=shade(0.9), linewidth=0.8, zorder=1.5)
                    ax.add_patch(Circle(place, float(np.sqrt(by_share * mass)), **disc))
        drawn.extend(artist for artist in (*ax.patches, *ax.texts) if artist not in others)
        return [*drawn]

    return ax, draw


def _as_bars(pictured: Pictured, ax: Axes | None) -> tuple[Axes, Draw]:
    """Return axes with bars, and a function that moves them to one moment."""
    flow = pictured.laws()
    is_new, ax = ax is None, new_axes(ax, (6.4, 3.6))
    bars = draw_law(ax, flow[0])
    name_states(ax, pictured.states)
    # one scale for all times
    ax.set_ylim(0, 1.05 * float(flow.max()))
    ax.set_title("t = 0", loc="left")
    if is_new:
        _hold(ax)

    def draw(t: int, after: int, moved: float) -> list[Any]:
        for bar, height in zip(bars, (1 - moved) * flow[t] + moved * flow[after], strict=True):
            bar.set_height(float(height))
        return [*bars]

    return ax, draw


def _as_map(pictured: Pictured, ax: Axes | None) -> tuple[Axes, Draw]:
    """Return axes with the map of a grid, and a function that colours it for one moment."""
    flow, grid = pictured.laws(), grid_of(pictured)
    assert grid is not None
    is_new, ax = ax is None, new_axes(ax, map_size(grid))
    image = draw_map(ax, grid, flow[0], float(flow.max()))
    add_colours(ax, image)
    name_cells(ax)
    ax.set_title("t = 0", loc="left")
    if is_new:
        _hold(ax)

    def draw(t: int, after: int, moved: float) -> list[Any]:
        image.set_data(grid.map_of((1 - moved) * flow[t] + moved * flow[after]))
        return [image]

    return ax, draw


def _hold(ax: Axes) -> None:
    """Find the layout of a new figure now and keep it: found anew for every picture, it would shake."""
    figure: Any = ax.get_figure(root=True)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
