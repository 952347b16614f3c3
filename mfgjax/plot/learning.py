"""Pictures of learners: what they went through, and the populations that they end in, as means and deviations."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from .. import _checks
from .._typing import ArrayLike
from ..equilibrium import Equilibrium
from ..learners import Run
from .figures import new_axes
from .styles import BESIDE, curve, frame, shade, whole_ticks

QUANTITIES = ("distance", "mean_state")


def plot_learning(
    runs: Mapping[str, Run],
    equilibrium: Equilibrium | ArrayLike | Sequence[Equilibrium | ArrayLike] | None = None,
    *,
    quantity: str = "distance",
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how the population moves during learning: the mean over the seeds, with a band of one standard deviation.

    Args:
      runs: results of `learners.run`, by the names to print.
      equilibrium: what distances are measured to, one for all runs, or one for each in their order. With "mean_state"
        its own is drawn as a dotted line.
      quantity: "distance", d_TV(z_k, z*), or "mean_state", Σ s z_k(s).
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if `quantity` is neither, or "distance" and there is no equilibrium.

    Example:
      >>> mfg.plot.plot_learning(runs, [ends.greatest, ends.least], quantity="mean_state")  # of mfg.learners.run
    """
    checked(runs)
    _checks.one_of("quantity", quantity, QUANTITIES)
    if quantity == "distance" and equilibrium is None:
        raise ValueError('`equilibrium` must be given: `quantity="distance"` is measured to it.')
    targets = targets_of(equilibrium, len(runs))
    ax = new_axes(ax, (7.2, 4.2))
    for i, ((name, run), target) in enumerate(zip(runs.items(), targets, strict=True)):
        values = run.mean_state if target is None or quantity == "mean_state" else run.distance(target)
        steps = np.arange(values.shape[1])
        draw_band(ax, steps, values, name, i)
    if quantity == "mean_state":
        is_per_run = len(set(map(id, targets))) > 1  # an equilibrium for each run
        for i, target in enumerate(targets if is_per_run else targets[:1]):
            if target is not None:
                line: dict[str, Any] = dict(color=shade(1.0), linestyle=":", linewidth=1, label="equilibrium")
                if is_per_run:
                    line.update(color=curve(i)["color"], label=None)
                ax.axhline(float(np.arange(len(target)) @ target), **line)
    name = "distance to the equilibrium (total variation)" if quantity == "distance" else "mean state"
    frame(ax, "step of the population", name, title)
    whole_ticks(ax.xaxis)
    if quantity == "distance":
        ax.set_ylim(bottom=0)
    if len(runs) > 1:
        ax.legend(**BESIDE)
    return ax


def plot_learned_laws(
    runs: Mapping[str, Run],
    equilibrium: Equilibrium | ArrayLike | None = None,
    *,
    cumulative: bool = True,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the last populations of learners: the mean over the seeds, with a band of one standard deviation.

    Args:
      runs: results of `learners.run`, by the names to print.
      equilibrium: to compare with, drawn as a thin line.
      cumulative: whether to draw P(state ≤ s), where a lower curve is a higher population; otherwise the probabilities.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if `runs` is something else.

    Example:
      >>> mfg.plot.plot_learned_laws(runs, ends.greatest)  # runs of mfg.learners.run, by name
    """
    checked(runs)
    cumulative = _checks.boolean("cumulative", cumulative)
    ax = new_axes(ax, (7.2, 4.2))
    for i, (name, run) in enumerate(runs.items()):
        laws = run.laws[:, -1]
        draw_band(ax, np.arange(laws.shape[1]), laws.cumsum(axis=1) if cumulative else laws, name, i, marked=True)
    if equilibrium is not None:
        law = law_of(equilibrium)
        values = law.cumsum() if cumulative else law
        ax.plot(np.arange(len(law)), values, color=shade(1.0), linewidth=1, label="equilibrium", zorder=4)
    frame(ax, "state s", f"share of the population{' in states ≤ s' if cumulative else ''}", title)
    whole_ticks(ax.xaxis)
    ax.set_ylim(bottom=0)
    if len(runs) + (equilibrium is not None) > 1:
        ax.legend(**BESIDE)
    return ax


def checked(runs: Mapping[str, Run]) -> None:
    """Refuse `runs` unless it maps at least one name to a run."""
    if not isinstance(runs, Mapping) or not runs or not all(isinstance(run, Run) for run in runs.values()):
        raise ValueError(
            f"`runs` must map at least one name to what `learners.run` returns; got {_checks.shorten(runs)}."
        )


def targets_of(equilibrium: Any, count: int) -> list[np.ndarray | None]:
    """Return the law that each run is compared with; None for each if there is none."""
    if equilibrium is None:
        return [None] * count
    # a list of numbers is one law
    if isinstance(equilibrium, list | tuple) and not np.isscalar(equilibrium[0]):
        if len(equilibrium) != count:
            raise ValueError(f"`equilibrium` holds {len(equilibrium)} laws for {count} runs.")
        return [law_of(one) for one in equilibrium]
    return [law_of(equilibrium)] * count


def law_of(equilibrium: Equilibrium | ArrayLike) -> np.ndarray:
    law = equilibrium.state_law if isinstance(equilibrium, Equilibrium) else equilibrium
    return np.asarray(law, dtype=float)


def draw_band(ax: Axes, x: np.ndarray, values: np.ndarray, name: str, i: int, *, marked: bool = False) -> None:
    """Draw the mean of `[seeds, len(x)]` as a line, and one deviation to both sides as a band."""
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    style: dict[str, Any] = curve(i) | ({} if marked else {"marker": ""})
    # in labels "$" begins a formula
    ax.plot(x, mean, label=name.replace("$", r"\$"), zorder=3, **style)
    if len(values) > 1:
        band: dict[str, Any] = dict(color=style["color"], alpha=0.22, linewidth=0, zorder=2)
        ax.fill_between(x, mean - deviation, mean + deviation, **band)
