"""Pictures of a crowd over time."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from .. import _checks
from .._largest_states import largest_states
from .._typing import Array, Float
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame
from .figures import new_axes
from .pictured import Pictured, pictured_of
from .styles import HATCHES, add_legend, name_ticks, short

KINDS = ("auto", "bars", "area", "heat")
_MOST_STACKED = 12  # states that still can be told apart in a stack
_MOST_BARS = 40  # times, of which each still has a bar
_REST = "white"


def plot_flow(
    game: FiniteHorizonGame | xr.Dataset,
    equilibrium_or_flow: Equilibrium | xr.Dataset | Float[Array, "T S"] | None = None,
    *,
    kind: str = "auto",
    title: str | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the population over time: as stacked bars, as a stacked area if there are many times, or as a map of shades.

    In a stack, states differ in shade and hatching, so that the picture can be printed in grey. If there are more than
    twelve states, the eleven with the most mass at any time are shown, and all others as one.

    Args:
      game: for the names of the states; or a dataset of `io.load_equilibrium`, or a point of a sweep.
      equilibrium_or_flow: an `Equilibrium`, a dataset, or a law of the states for every time, `[H+1, S]`; None: `game`
        is a dataset.
      kind: "bars", "area", "heat" (a map of shades, states over times) or "auto": "heat" for more than twelve states,
        else "area" for more than forty times, else "bars".
      title: of the picture.
      legend: whether to show which hatching belongs to which state.
      ax: where to draw; None: on a new figure, which is `returned.figure`.

    Returns:
      The axes.

    Raises:
      ValueError: if there is no law for every time, or no such kind.

    Example:
      >>> mfg.plot.plot_flow(game, eq)  # eq = mfg.solve(game, response)

    Source: the form of Guan et al. (2021), arXiv:2110.07469, Fig. 2.
    """
    _checks.one_of("kind", kind, KINDS)
    pictured = pictured_of(game, equilibrium_or_flow)
    if pictured.times is None:
        stationary_or_single = "a stationary game, or one time: see `plot_stationary` and `plot_law`"
        raise ValueError(f"`plot_flow` draws a law for every time; got {stationary_or_single}.")
    flow, times = pictured.laws(), pictured.times
    if kind == "auto":
        kind = "heat" if flow.shape[1] > _MOST_STACKED else "area" if len(times) > _MOST_BARS else "bars"
    if kind == "area" and len(times) < 2:
        raise ValueError('`kind="area"` needs at least two times; use "bars" for one.')
    ax = new_axes(ax, (6.4, 4.2))
    if title is not None:
        ax.set_title(title, parse_math=False)
    ax.set_xlabel("time t (steps)")
    if kind == "heat":
        _heat(ax, pictured, flow)
    else:
        _stack(ax, pictured, flow, kind, legend=legend)
    if kind == "bars" and len(times) <= 21:
        ax.set_xticks(times)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax


def _heat(ax: Axes, pictured: Pictured, flow: np.ndarray) -> None:
    times: Any = pictured.times
    num_states = flow.shape[1]
    edges = (times[0] - 0.5, times[-1] + 0.5, -0.5, num_states - 0.5)
    shades: dict[str, Any] = dict(cmap="Greys", vmin=0, interpolation="nearest", extent=edges)
    image = ax.imshow(flow.T, aspect="auto", origin="lower", **shades)
    ax.figure.colorbar(image, ax=ax, label="share of the population")  # pyright: ignore
    ax.set_ylabel("state")
    name_ticks(ax.yaxis, pictured.states, 20)


def _stack(ax: Axes, pictured: Pictured, flow: np.ndarray, kind: str, *, legend: bool) -> None:
    times: Any = pictured.times
    num_states = flow.shape[1]
    shown = largest_states(flow.max(axis=0), _MOST_STACKED - 1 if num_states > _MOST_STACKED else None)
    names = [short(pictured.states[s]) for s in shown]
    shades: list[Any] = list(colormaps["cividis"](np.linspace(0.95, 0.3, len(shown))))
    layers = flow[:, shown]
    if len(shown) < num_states:
        layers = np.column_stack([layers, flow.sum(axis=1) - layers.sum(axis=1)])
        names.append(f"{num_states - len(shown)} others")
        shades.append(_REST)
    base, handles = np.zeros(len(flow)), []
    for i, (layer, shade) in enumerate(zip(layers.T, shades, strict=True)):
        hatch = "" if i == len(shown) else HATCHES[i % len(HATCHES)]
        style: dict[str, Any] = dict(facecolor=shade, edgecolor="0.1", hatch=hatch, linewidth=0.6)
        handles.append(Patch(**style))
        if kind == "area":
            ax.fill_between(times, base, base + layer, **style)
        else:
            ax.bar(times, layer, bottom=base, width=0.8, **style)
            if len(flow) <= 12:
                _numbers(ax, times, base, layer)
        base = base + layer
    ax.set_ylim(0, 1)
    if kind == "area":
        ax.set_xlim(times[0], times[-1])
    ax.set_ylabel("share of the population")
    if legend:  # its top is the top of the stack
        place: dict[str, Any] = dict(title="state", loc="center left", bbox_to_anchor=(1.0, 0.5))
        # in the order of the stack, from its top
        add_legend(ax, handles[::-1], names[::-1], handlelength=2.4, handleheight=1.4, **place)


def _numbers(ax: Axes, times: Any, base: np.ndarray, layer: np.ndarray) -> None:
    # hatching would run through the numbers
    box = dict(boxstyle="round,pad=0.15", facecolor="white", edgecolor="none", alpha=0.85)
    for t, low, mass in zip(times, base, layer, strict=True):
        if mass >= 0.06:
            ax.text(t, low + mass / 2, f"{mass:.2f}", ha="center", va="center", fontsize=7, bbox=box, color="black")
