"""Pictures of certificates: the β below which something is proved, over a family of games or for one of them."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from .. import _checks
from .._shorten import short_number
from ..certify import Report
from ..certify.report import shown_log10
from .figures import new_axes
from .styles import BESIDE, LINES, colour, frame, hatch, shade

_BETA = "inverse temperature β (1/reward)"
_PAPER = "paper_meant"
_CHAINS = ("naive_chain", "span_sum", "path_span")
_SPOKEN = {
    _PAPER: "contraction: Theorem 1 of Guan et al.",
    "naive_chain": "contraction: Lipschitz constants",
    "span_sum": "contraction: spans of rewards",
    "path_span": "contraction: spans along paths",
    "hypomonotone": "one equilibrium: nearly monotone rewards",
    "monotone": "one equilibrium: monotone rewards",
    "unique": "one equilibrium: the best of these",
    "critical_beta": "critical β",
}
_CONTRACTS, _UNIQUE, _ABOVE = 0.22, 0.1, 0.15  # shades of areas
_ROWS = (_PAPER, *_CHAINS, "hypomonotone", "monotone", "unique", "critical_beta")
_FAR = 1e3  # times the median threshold: beyond it lines end at the edge
_NEAR = 30  # below the other lines the picture is stretched so far for the paper's
_MOST_MARKERS = 24


def plot_thresholds(
    values: Sequence[float] | np.ndarray,
    reports: Sequence[Report] | Report,
    *,
    parameter: str = "",
    beta: float | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw certified and true thresholds of a family of games: β against the parameter of the family.

    Below the dashed lines the mean-field map Γ_β (from a mean field to the one that its best response produces) is
    proved to be a contraction; below the thick line there is exactly one equilibrium. At the critical β plain iteration
    stops converging: this is the true threshold, which the proved ones bound from below. Lines that coincide are drawn
    once. A threshold that is infinite, or far above the others, is an arrow at the upper edge. Theorem 1 of Guan et al.
    is drawn if it is near the picture, and otherwise mentioned in the legend. The lines of a report are called by what
    they say: "Lipschitz constants" is `naive_chain`, "spans of rewards" `span_sum`, "spans along paths" `path_span`.

    Args:
      values: the values of the parameter, one for each game.
      reports: results of `certify`, in the same order; or one report computed with `jax.vmap`, with the games along its
        axis.
      parameter: the name of the parameter.
      beta: the β of interest, drawn as a line; None: no line.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if values and reports do not fit together, or no report has a threshold.

    Example:
      >>> mfg.plot.plot_thresholds(strengths, reports, parameter="strength")  # reports: results of mfg.certify
    """
    x = _values(values)
    if not isinstance(reports, list | tuple):
        _checks.made_by("certify", Report, "reports", reports)
    else:
        for i, report in enumerate(reports):
            _checks.made_by("certify", Report, f"reports[{i}]", report)
    order = np.argsort(x, kind="stable")
    found = {name: _thresholds(reports, name, len(x))[order] for name in (*_CHAINS, "unique", "critical_beta")}
    contraction, exponents, x = _thresholds(reports, "contraction", len(x))[order], _exponents(reports), x[order]
    if all(np.isnan(y).all() for y in found.values()):
        raise ValueError("no report has a threshold, so there is nothing to draw.")
    low, high = _limits([*found.values(), np.array([np.nan if beta is None else beta])])
    paper = _exponents_in(exponents, low / _NEAR)
    if paper is not None and exponents is not None:
        # only now: its exponents may be too small for a float
        found = {_PAPER: 10.0 ** exponents[order], **found}
        low = min(low, 10.0**paper / 1.6)

    ax = new_axes(ax, (8.4, 4.6))
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    handles: list[Any] = []
    for names in _coinciding(found):
        handles.append(_draw(ax, x, found[names[0]], names, high))
    if np.isnan(found["critical_beta"]).all():
        handles.append(Line2D([], [], linestyle="none", label="critical β: not known"))
    if exponents is not None and paper is None and np.isfinite(exponents).any():
        handles.append(Line2D([], [], linestyle="none", label=_off_the_picture(exponents)))
    if beta is not None:
        handles.append(ax.axhline(beta, label=f"asked for: β = {beta:g}", **_asked()))
    if any((y >= high).any() for y in found.values()):
        arrow: dict[str, Any] = dict(color=shade(0.7), marker="^", linestyle="none", markersize=6)
        handles.append(Line2D([], [], label="at the upper edge: at every β,\nor beyond the picture", **arrow))
    _shade(ax, x, found, contraction, handles)
    frame(ax, parameter, _BETA, title or "")
    _set_ticks(ax, x, low, high)
    ax.legend(handles=handles, handlelength=3, **BESIDE)
    return ax


def plot_certificates(report: Report, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw, for each certificate of one game, the β up to which it holds, on a log axis.

    Certificates are called as in `plot_thresholds`; those without a threshold are left out. The critical β is a
    diamond, the β of the response a dotted line. A certificate that holds at every β ends in an arrow to the right, one
    that ends left of the picture in an arrow to the left.

    Args:
      report: the result of `certify` for one game.
      title: of the picture.
      ax: where to draw; None: on a new figure of pyplot.

    Returns:
      The axes.

    Raises:
      ValueError: if `report` is something else, or no certificate has a threshold.

    Example:
      >>> mfg.plot.plot_certificates(reports[3])  # reports: results of mfg.certify
    """
    _checks.made_by("certify", Report, "report", report)
    if np.ndim(report.beta):
        raise ValueError(f"`report` is of {len(report.beta)} games: draw them with `plot_thresholds`.")
    exponents = _exponents(report)
    ends = {name: float(_thresholds(report, name, 1)[0]) for name in _ROWS if name != _PAPER}
    if all(np.isnan(end) for end in ends.values()):
        raise ValueError("no certificate has a threshold, so there is nothing to draw.")
    texts = {name: "every β" if np.isinf(end) else f"β < {short_number(end)}" for name, end in ends.items()}
    beta, low, high = float(report.beta), *_limits([np.array([*ends.values(), float(report.beta)])], margin=4)
    if exponents is not None and not np.isnan(exponents[0]):
        ends = {_PAPER: 10.0 ** float(exponents[0]), **ends}
        texts[_PAPER] = "every β" if np.isinf(exponents[0]) else f"β < {shown_log10(exponents[0])}"
        low = ends[_PAPER] / 4 if low / _NEAR < ends[_PAPER] < low else low
    ends = {name: end for name, end in ends.items() if not np.isnan(end)}

    ax = new_axes(ax, (8.4, 1.5 + 0.34 * len(ends)))
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    for row, (name, end) in enumerate(ends.items()):
        is_bound, holds = name != "critical_beta", report[name].word == "holds"
        ink = colour(0) if holds else shade(0.35)
        width, dashes = (5, "-") if is_bound else (1.4, "--")
        inside = float(np.clip(end, low, high))
        ax.hlines(row, low, inside, color=ink, linewidth=width, linestyle=dashes)
        marker = "<" if end < low else ">" if end > high else ("|" if is_bound else "D")
        style: dict[str, Any] = dict(color=ink, markersize=12 if marker == "|" else 8, markeredgewidth=2)
        ax.plot(inside, row, marker, clip_on=False, zorder=4, **style)
        ax.annotate(texts[name], (1, row), (10, 0), ax.get_yaxis_transform(), "offset points", va="center", fontsize=9)
    ax.set_yticks(
        range(len(ends)),
        [f"{'below the ' * (name == 'critical_beta')}{_SPOKEN[name]} ({report[name].word})" for name in ends],
    )
    ax.set_ylim(len(ends) - 0.4, -0.6)  # the first row on top
    if np.isfinite(beta):
        ax.axvline(beta, zorder=1, **_asked() | dict(linewidth=2.2))
        label_style: dict[str, Any] = dict(ha="center", va="bottom", fontsize=9)
        ax.annotate(
            f"asked for: β = {beta:g}", (beta, 1), (0, 3), ax.get_xaxis_transform(), "offset points", **label_style
        )
    frame(ax, _BETA, "", title or "", grid="x", pad=20)
    _log_ticks(ax.xaxis, low, high)
    return ax


def _values(values: Sequence[float] | np.ndarray) -> np.ndarray:
    x = np.asarray(values)
    if x.ndim != 1 or not len(x) or x.dtype.kind not in "iuf" or not np.isfinite(x).all():
        raise ValueError(f"`values` must be finite numbers, one for each report; got {values!r:.60}.")
    return x.astype(float)


def _thresholds(reports: Sequence[Report] | Report, name: str, count: int) -> np.ndarray:
    is_batch = isinstance(reports, Report)
    found = np.atleast_1d(reports[name].threshold if is_batch else np.array([r[name].threshold for r in reports]))
    if found.shape != (count,):
        raise ValueError(f"there are {count} values, but `reports` has thresholds of shape {found.shape}.")
    return found.astype(float)


def _exponents(reports: Sequence[Report] | Report) -> np.ndarray | None:
    """Return log10 of the threshold of Theorem 1 as meant, which may be too small for a float; None: there is none."""
    bounds = [report.paper_meant for report in ([reports] if isinstance(reports, Report) else reports)]
    numbers = [np.nan if bound is None else bound.log10_threshold for bound in bounds]
    exponents = np.atleast_1d(np.asarray(numbers[0] if isinstance(reports, Report) else numbers, float))
    return None if np.isnan(exponents).all() else exponents


def _exponents_in(exponents: np.ndarray | None, low: float) -> float | None:
    """Return the least exponent if all of them lie above a β, else None."""
    if exponents is None or not np.isfinite(exponents).any():
        return None
    least = float(exponents[np.isfinite(exponents)].min())
    return least if least > np.log10(low) else None


def _limits(lines: Sequence[np.ndarray], margin: float = 1.6) -> tuple[float, float]:
    """Return the ends of the axis of β: around what is finite, and at least a factor of 10."""
    numbers = np.concatenate(lines)
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    if not len(numbers):
        return 0.1, 10.0
    middle = float(np.median(numbers))
    low, high = float(numbers.min()) / margin, float(numbers[numbers <= _FAR * middle].max()) * margin
    wider = max(1.0, float(np.sqrt(10 * low / high)))
    return low / wider, high * wider


def _coinciding(found: dict[str, np.ndarray]) -> list[tuple[str, ...]]:
    """Return the names of lines; bounds on the contraction that agree everywhere share one."""
    groups: list[tuple[str, ...]] = []
    for name, y in found.items():
        # NaN in the same places counts as agreement
        same = [g for g in groups if {name, g[0]} <= set(_CHAINS) and np.allclose(found[g[0]], y, 1e-6, 0, True)]
        if same:
            groups[groups.index(same[0])] = (*same[0], name)
        elif not np.isnan(y).all():
            groups.append((name,))
    return groups


def _draw(ax: Axes, x: np.ndarray, y: np.ndarray, names: tuple[str, ...], high: float) -> Line2D:
    """Draw a line, with arrows at the upper edge where it lies above the picture, and return it."""
    every = max(1, -(-len(x) // _MOST_MARKERS))
    label = ", = ".join([_SPOKEN[names[0]], *(_SPOKEN[name].split(": ")[-1] for name in names[1:])])
    style = dict(_style(names[-1]), label=label.replace(",", ",\n", 1))
    (line,) = ax.plot(x, np.where(y < high, y, np.nan), markevery=every, **style)
    is_inside = y < high
    alone = is_inside & ~np.append(False, is_inside[:-1]) & ~np.append(is_inside[1:], False)
    if alone.any() and "marker" not in style:  # a line of one point is invisible
        ax.plot(x[alone], y[alone], "_", color=style["color"], markersize=14, markeredgewidth=style["linewidth"])
    above = np.flatnonzero(y >= high)[::every]
    if len(above):  # an empty line that is not clipped takes room at the corner of the figure
        edge = ax.get_xaxis_transform()
        ax.plot(x[above], np.ones(len(above)), "^", color=style["color"], markersize=7, clip_on=False, transform=edge)
    return line


def _shade(ax: Axes, x: np.ndarray, found: dict[str, np.ndarray], contraction: np.ndarray, handles: list[Any]) -> None:
    """Colour where one equilibrium is proved, darker where Γ contracts, and what is above the critical β."""
    low, high = ax.get_ylim()
    for y, amount, label in (
        (found["unique"], _UNIQUE, "proved: there is one equilibrium"),
        (contraction, _CONTRACTS, "proved: also that iteration finds it"),
    ):
        if len(x) > 1 and not np.isnan(y).all():
            style: dict[str, Any] = dict(facecolor=shade(amount, colour(0)), linewidth=0)
            ax.fill_between(*_carefully(x, np.minimum(y, high), high), low, zorder=0.5, **style)
            handles.append(Patch(**{**style, "edgecolor": shade(0.4), "linewidth": 0.5}, label=label))
    critical = np.minimum(found["critical_beta"], high)
    if len(x) > 1 and (critical < high).any():
        style = dict(facecolor=shade(_ABOVE, colour(1)), edgecolor=shade(0.4), hatch=hatch(1), linewidth=0)
        ax.fill_between(*_carefully(x, critical, high, above=True), high, zorder=0.6, **style)
        label = "above the critical β, where plain\niteration stops converging"
        handles.append(Patch(**{**style, "edgecolor": shade(0.4), "linewidth": 0.5}, label=label))


def _carefully(x: np.ndarray, y: np.ndarray, top: float, *, above: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return the border of a shade, which claims nothing between a point and a neighbour on the edge of the picture."""
    points = [(x[0], y[0])]
    for (left, before), (right, after) in itertools.pairwise(zip(x, y, strict=True)):
        if (before == top) != (after == top):
            keep = max(before, after) if above else min(before, after)
            points.append((left if (before == top) != above else right, keep))
        points.append((right, after))
    return np.array(points).T[0], np.array(points).T[1]


def _off_the_picture(exponents: np.ndarray) -> str:
    low, high = (shown_log10(f(exponents[np.isfinite(exponents)])) for f in (np.min, np.max))
    return f"{_SPOKEN[_PAPER]}:\nnot drawn, at β = {low}" + (f" to {high}" if low != high else "")


def _set_ticks(ax: Axes, x: np.ndarray, low: float, high: float) -> None:
    """Set scales, ticks and the horizontal limits; values that grow by a factor have a log axis."""
    distinct = np.unique(x)
    if len(distinct) > 2 and distinct[0] > 0:
        # a log axis where ratios are more even than steps
        steps, ratios = np.diff(distinct), np.diff(np.log(distinct))
        if ratios.max() / ratios.min() < 0.99 * steps.max() / steps.min():
            ax.set_xscale("log")
            _log_ticks(ax.xaxis, distinct[0], distinct[-1])
    if ax.get_xscale() == "linear":
        ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    if len(distinct) > 1:
        ax.set_xlim(distinct[0], distinct[-1])
    else:
        ax.set_xticks(distinct)
    _log_ticks(ax.yaxis, low, high)


def _log_ticks(axis: Any, low: float, high: float) -> None:
    """Put ticks at 1, 2, 5, 10, ... where the axis is short, and write numbers as they stand."""
    if high < 500 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
    if low > 1e-4 and high < 1e5:
        axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _style(name: str) -> dict[str, Any]:
    """Return how the line of a certificate looks."""
    if name == "critical_beta":
        return dict(color=shade(1.0), linewidth=1.4, marker="o", markersize=4.5, zorder=3, clip_on=False)
    if name == "unique":
        return dict(color=shade(0.35), linewidth=4.5, zorder=1.8)
    i = (*_CHAINS, _PAPER).index(name)
    return dict(color=colour(i), linestyle=LINES[(i + 1) % len(LINES)], linewidth=1.8, zorder=3.5)


def _asked() -> dict[str, Any]:
    return dict(color=colour(5), linestyle=(0, (1, 1.5)), linewidth=1.6)
