"""Pictures of finite populations: what an agent gains against their size."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from .. import _checks
from ..finite import DeviationGain
from .figures import new_axes
from .styles import BESIDE, curve, frame, shade

_GAINS, _GAP = (0, 2, 3, 5), 1  # of the curves
_FROM = 64  # agents, from where on slopes are fitted if nothing is said
_FLAT = 2.0  # a gain that ends below so many times its limit has no slope


def fitted_slope(num_agents: Any, measures: Any, low: float = _FROM, high: float = np.inf) -> float:
    """Return the exponent of a power of N, fitted by least squares in log-log to what is positive for N in [low, high].

    NaN with fewer than two points.
    """
    x, y = (np.ravel(np.asarray(v, dtype=float)) for v in (num_agents, measures))
    used = (x >= low) & (x <= high) & (y > 0)
    # one number of agents twice has no slope
    if len(np.unique(x[used])) < 2:
        return float("nan")
    return float(np.polyfit(np.log(x[used]), np.log(y[used]), 1)[0])


def plot_gain(
    gains: Mapping[str, DeviationGain] | DeviationGain,
    *,
    sampled: Mapping[str, DeviationGain] | None = None,
    fit: tuple[float, float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the gain of one agent that leaves a policy against the number of agents, on log axes.

    For the first entry the picture also shows `value_gap` (the difference between the values with N and with infinitely
    many agents), the bound on the gain, and the slope −1/2 of Theorem 2 of Guan et al., starting from `value_gap` at
    the fewest agents. Slopes in the legend are fitted; for a gain that levels off, the legend has its limit instead,
    the exploitability. Monte Carlo estimates have bars of one standard error; an estimate that is not above two
    standard errors is an arrow down from there.

    Args:
      gains: of `finite.deviation_gain`, over several numbers of agents, by the name to print.
      sampled: Monte Carlo estimates, drawn as points in the colour of the entry of the same name.
      fit: smallest and largest number of agents to which slopes are fitted; None: from 64 on, or all if fewer than two
        are left.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if there are fewer than two numbers of agents, or no gain is above 0.

    Example:
      >>> mfg.plot.plot_gain(gain)  # gain = mfg.finite.deviation_gain(...)
    """
    gains_by_name = _checks.by_name("finite.deviation_gain", DeviationGain, "gains", gains)
    sampled_by_name = {}
    if sampled is not None:
        sampled_by_name = _checks.by_name("finite.deviation_gain", DeviationGain, "sampled", sampled)
    if not gains_by_name or len(gains_by_name) > len(_GAINS):
        raise ValueError(f"`gains` must have 1 to {len(_GAINS)} entries; got {len(gains_by_name)}.")
    for name in sampled_by_name:
        if name not in gains_by_name:
            raise ValueError(f"`sampled` has {name!r}, but `gains` has {', '.join(map(repr, gains_by_name))}.")
    (first, main), numbers = next(iter(gains_by_name.items())), np.unique(_numbers(next(iter(gains_by_name.values()))))
    if len(numbers) < 2:
        raise ValueError("`gains` must have at least two numbers of agents.")
    if not any((np.asarray(gain.gain) > 0).any() for gain in gains_by_name.values()):
        raise ValueError("no gain is above 0, so there is nothing to draw on log axes.")
    low, high = fit if fit is not None else (_FROM if (numbers >= _FROM).sum() > 1 else float(numbers[0]), np.inf)
    within = numbers[(numbers >= low) & (numbers <= high)]

    ax = new_axes(ax, (8.8, 4.8))
    ax.set_xscale("log")
    ax.set_yscale("log")
    handles: list[Any] = []
    shown: list[np.ndarray] = []
    for i, (name, gain) in enumerate(gains_by_name.items()):
        points, style = sampled_by_name.get(name), curve(_GAINS[i])
        label = _named("gain", name) + _ending(gain, low, high)
        handles.append(_draw(ax, gain, gain.gain, gain.gain_error, style, label, shown))
        if points is not None:
            _draw(ax, points, points.gain, points.gain_error, style, None, shown)
    slope, gap = _slope(fitted_slope(_numbers(main), main.value_gap, low, high)), curve(_GAP)
    if (np.asarray(main.value_gap) > 0).any():
        label = "value gap" + slope
        handles.append(_draw(ax, main, main.value_gap, main.value_error, gap, label, shown))
        if first in sampled_by_name:
            points = sampled_by_name[first]
            _draw(ax, points, points.value_gap, points.value_error, gap, None, shown)
        x, y = _sorted(main, main.value_gap)
        begin = int(np.flatnonzero(y > 0)[0])
        half_slope = y[begin] * np.sqrt(x[begin] / x)
        label = "slope −1/2: Theorem 2 of Guan et al."
        handles += ax.plot(x, half_slope, label=label, color=shade(0.35), linewidth=3.5, zorder=1.5)
    x, y = _sorted(main, main.bound)
    slope = "" if _levels_off(main) else _slope(fitted_slope(x, y, low, high))
    dots: dict[str, Any] = dict(color=shade(0.7), linestyle=":", linewidth=1.8)
    label = _named("proved bound on the gain", first) + slope
    handles += ax.plot(x, np.where(y > 0, y, np.nan), label=label, **dots)
    if sampled_by_name or any(gain.method == "Monte Carlo" for gain in gains_by_name.values()):
        label = "Monte Carlo, ± 1 standard error"
        handles.append(ax.errorbar([], [], yerr=[], fmt="none", ecolor=shade(0.9), capsize=4.5, label=label))
    frame(ax, "number of agents N", "units of reward", title or "")
    _set_limits(ax, numbers, np.concatenate(shown), y)
    heading = f"slopes: fitted for N = {within[0]:,} to {within[-1]:,}" if len(within) > 1 else None
    ax.legend(handles=handles, title=heading, title_fontsize="small", handlelength=3.2, **BESIDE)
    # names are the user's, in which "$" is no formula
    for text in ax.get_legend().get_texts():  # pyright: ignore[reportOptionalMemberAccess]
        text.set_parse_math(False)
    return ax


def _named(what: str, name: str) -> str:
    return f"{what} ({name})" if name else what


def _numbers(gain: DeviationGain) -> np.ndarray:
    return np.ravel(np.asarray(gain.num_agents))


def _sorted(gain: DeviationGain, measure: Any) -> tuple[np.ndarray, np.ndarray]:
    numbers = _numbers(gain)
    order = np.argsort(numbers, kind="stable")
    return numbers[order].astype(float), np.ravel(np.asarray(measure, dtype=float))[order]


def _levels_off(gain: DeviationGain) -> bool:
    """Tell whether the gain ends near its limit, the gain among infinitely many agents."""
    last = float(_sorted(gain, gain.gain)[1][-1])
    return last < _FLAT * float(gain.exploitability)


def _ending(gain: DeviationGain, low: float, high: float) -> str:
    if _levels_off(gain):
        return f": tends to {float(gain.exploitability):.3g}"
    return _slope(fitted_slope(_numbers(gain), gain.gain, low, high))


def _slope(number: float) -> str:
    return "" if np.isnan(number) else f": slope {number:.2f}".replace("-", "−")


def _draw(
    ax: Axes, gain: DeviationGain, measure: Any, error: Any, style: dict[str, Any], label: str | None, shown: list[Any]
) -> Line2D:
    """Draw one measure: exact numbers as a line, estimates as points with bars."""
    x, y = _sorted(gain, measure)
    drawn = {**style, "linewidth": 1.5, "markersize": 3}
    if gain.method != "Monte Carlo":
        shown.append(y[y > 0])
        return ax.plot(x, np.where(y > 0, y, np.nan), label=label, **drawn)[0]
    _, spread = _sorted(gain, error)
    clear = y > 2 * spread  # else the bar of two errors would reach 0, which log axes lack
    shown += [y[clear], (y + 2 * spread)[~clear]]
    bars: dict[str, Any] = dict(color=style["color"], capsize=4.5, elinewidth=1.3, zorder=4)
    bars |= dict(marker=style["marker"], markersize=5.5, markerfacecolor=shade(0.0), markeredgewidth=1.2)
    ax.errorbar(x[clear], y[clear], spread[clear], linestyle="none", **bars)
    top = (y + 2 * spread)[~clear & (y + 2 * spread > 0)]
    ends = x[~clear & (y + 2 * spread > 0)]
    if len(ends):
        ax.errorbar(ends, top, 0.6 * top, uplims=True, linestyle="none", **{**bars, "marker": "_"})
    return Line2D([], [], label=label, color=style["color"], linestyle="none", marker=style["marker"], mfc=shade(0.0))


def _set_limits(ax: Axes, numbers: np.ndarray, shown: np.ndarray, bound: np.ndarray) -> None:
    # what is below 1e-18 is rounding, and a bound that is far above shall not stretch the picture
    low, high = max(float(shown.min()), 1e-18), max(float(shown.max()), 1e-18)
    ax.set_ylim(low / 3, max(high, min(float(bound.max()), 30 * high)) * 2)
    ax.set_xlim(numbers[0] / 1.15, numbers[-1] * 1.15)
    if numbers[-1] < 1e6:
        ax.xaxis.set_major_formatter("{x:,g}")
    if numbers[-1] < 500 * numbers[0]:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
