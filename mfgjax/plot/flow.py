"""Pictures of a crowd over time, and on its way to an equilibrium."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from .._typing import Array, Float
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame
from .crowd import LINES, short
from .figures import new_axes

_HATCHES = ("", "//", "..", "\\\\", "xx", "--", "++", "oo", "||", "**")
_MOST_BARS = 12  # states that still can be told apart in a stack


def _flow(equilibrium_or_flow: Equilibrium | Float[Array, "T S"]) -> np.ndarray:
    if isinstance(equilibrium_or_flow, Equilibrium):
        return np.asarray(equilibrium_or_flow.state_law)
    return np.asarray(equilibrium_or_flow)


def plot_flow(
    game: FiniteHorizonGame,
    equilibrium_or_flow: Equilibrium | Float[Array, "T S"],
    *,
    title: str | None = None,
    legend: bool = True,
    ax: Axes | None = None,
) -> Axes:
    """Draw the population over time: a stack of bars per time, or a map of shades where states are many.

    Shades grow with the index of the state and differ in hatching, so that the picture prints in grey.

    Args:
      game: for the names of the states.
      equilibrium_or_flow: an `Equilibrium`, or a law of the states for every time, `[H+1, S]`.
      title: of the picture.
      legend: say which hatching is which state.
      ax: where to draw; None: on a new figure, which is `returned.figure`.

    Returns:
      The axes.

    Raises:
      ValueError: if there is no law for every time.

    Source: the form of Guan et al. (2021), arXiv:2110.07469, Fig. 2.
    """
    flow = _flow(equilibrium_or_flow)
    if game.is_stationary or flow.ndim != 2:
        told = "a stationary game, whose law does not change: see `plot_stationary`"
        raise ValueError(f"`plot_flow` draws a law for every time; got {told if game.is_stationary else flow.shape}.")
    ax = new_axes(ax, (6.4, 4.2))
    if title is not None:
        ax.set_title(title)
    ax.set_xlabel("time t (steps)")
    times, num_states = np.arange(len(flow)), flow.shape[1]
    names = [short(label) for label in game.state_labels]
    if num_states > _MOST_BARS:
        image = ax.imshow(flow.T, aspect="auto", origin="lower", cmap="Greys", vmin=0, interpolation="nearest")
        ax.figure.colorbar(image, ax=ax, label="share of the population")  # pyright: ignore
        ax.set_ylabel("state")
        shown = range(0, num_states, -(-num_states // 20))
        ax.set_yticks(shown, [names[i] for i in shown], parse_math=False)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        return ax
    base = np.zeros(len(flow))
    shades = colormaps["cividis"](np.linspace(0.95, 0.3, num_states))
    handles = []
    for s in range(num_states):
        style: dict[str, Any] = dict(facecolor=shades[s], edgecolor="0.1", hatch=_HATCHES[s % len(_HATCHES)])
        ax.bar(times, flow[:, s], bottom=base, width=0.8, linewidth=0.6, **style)
        handles.append(Patch(**style))
        for t in range(len(flow)):
            if flow[t, s] >= 0.06 and len(flow) <= 12:
                box = dict(boxstyle="round,pad=0.15", facecolor="white", edgecolor="none", alpha=0.85)
                middle = base[t] + flow[t, s] / 2
                text = f"{flow[t, s]:.2f}"
                ax.text(t, middle, text, ha="center", va="center", fontsize=7, bbox=box, color="black")
        base = base + flow[:, s]
    ax.set_ylim(0, 1)
    ax.set_ylabel("share of the population")
    if len(flow) <= 21:
        ax.set_xticks(times)
    if legend:
        # top of the legend is top of the stack; texts are set afterwards as "_a" and "$a$" are names too
        box = ax.legend(handles[::-1], [" "] * num_states, title="state", loc="center left", bbox_to_anchor=(1.0, 0.5))
        for entry, name in zip(box.get_texts(), reversed(names), strict=True):
            entry.set_parse_math(False)
            entry.set_text(name)
    return ax


def plot_residuals(equilibria: Mapping[str, Equilibrium], *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw how the criterion of some solves went down, step by step, on a log scale.

    Args:
      equilibria: what `solve` returned, by the name to print; steps that measured no criterion are left out.
      title: of the picture.
      ax: where to draw; None: on a new figure, which is `returned.figure`.

    Returns:
      The axes.
    """
    ax = new_axes(ax, (6.4, 4.2))
    if title is not None:
        ax.set_title(title)
    for i, (name, equilibrium) in enumerate(equilibria.items()):
        history = np.asarray(equilibrium.history)
        (line,) = ax.plot(
            np.arange(1, len(history) + 1),
            np.where(history > 0, history, np.nan),
            linestyle=LINES[i % len(LINES)],
            marker="os^Dv"[i % 5],
            markersize=3.5,
        )
        line.set_label(f"{name.replace('$', chr(92) + '$')} ({equilibrium.result.name})")
    ax.set_yscale("log")
    ax.set_xlabel("step (of those that measured it)")
    kinds = sorted({e.criterion for e in equilibria.values()})
    units = {"residual": "residual (total variation)", "exploitability": "exploitability (units of reward)"}
    ax.set_ylabel(" or ".join(units[kind] for kind in kinds))
    ax.grid(True, which="major", alpha=0.3)
    if equilibria:
        ax.legend()
    return ax
