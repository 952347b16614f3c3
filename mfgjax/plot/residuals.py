"""A picture of the residuals of solves, step by step."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from .. import _checks
from ..equilibrium import Equilibrium
from .figures import new_axes
from .styles import BESIDE, curve, frame, shade, whole_ticks

_UNITS = {"residual": "residual (total variation)", "exploitability": "exploitability (units of reward)"}


def plot_residuals(
    equilibria: Mapping[str, Equilibrium | xr.Dataset] | Equilibrium | xr.Dataset,
    *,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the residual (or exploitability) of one or more solves at every step, on a log scale.

    Args:
      equilibria: results of `solve` or `io.load_equilibrium`, by the names to print; or a single result. Steps that did
        not measure the criterion are left out.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if there is no history, as in a sweep, which does not keep it.

    Example:
      >>> mfg.plot.plot_residuals({"Auto(), the default": eq, "Picard()": plain})  # what two solvers returned
    """
    named = _checks.by_name("solve", Equilibrium | xr.Dataset, "equilibria", equilibria)
    if not named:
        raise ValueError("`equilibria` is empty: there is nothing to draw.")
    histories = {name: _history(name, one) for name, one in named.items()}
    ax = new_axes(ax, (7.2, 4.2))
    for i, (name, (history, _, result, tolerance)) in enumerate(histories.items()):
        (line,) = ax.plot(
            np.arange(1, len(history) + 1),
            np.where(history > 0, history, np.nan),  # log axes have no 0
            **curve(i),
        )
        line.set_label(f"{name.replace('$', chr(92) + '$')} ({result})" if name else result)
        if len(histories) == 1 and tolerance > 0:
            style: dict[str, Any] = dict(color=shade(0.7), linestyle=(0, (1, 1)), linewidth=1.2, zorder=1)
            ax.axhline(tolerance, label="tolerance", **style)
    ax.set_yscale("log")
    units = " or ".join(_UNITS[kind] for kind in sorted({kind for _, kind, *_ in histories.values()}))
    frame(ax, "step (of those that measured it)", units, title)
    whole_ticks(ax.xaxis)
    ax.legend(**BESIDE)
    return ax


def _history(name: str, one: Any) -> tuple[np.ndarray, str, str, float]:
    """Return the criterion step by step, its kind, why the solver stopped and the tolerance."""
    if isinstance(one, xr.Dataset) and "residual_history" in one and "step" in one["residual_history"].dims:
        attrs = one.attrs
        return (
            one["residual_history"].values,
            str(attrs["criterion"]),
            str(attrs["result"]).replace("_", " "),
            float(one["tolerance"]),
        )
    if isinstance(one, Equilibrium) and not one.residual.ndim:
        return np.asarray(one.history), one.criterion, one.result.name.replace("_", " "), float(one.tolerance)
    received = "a dataset without `residual_history`" if isinstance(one, xr.Dataset) else _checks.shorten(one)
    of = f"`equilibria[{name!r}]`" if name else "`equilibria`"
    raise ValueError(f"{of} must be what `solve` returned, for one game, or `io.load_equilibrium`; got {received}.")
