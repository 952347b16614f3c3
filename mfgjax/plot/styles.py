"""What pictures share: colours, dashes and hatches of the user's style, names and ticks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps, rcParams, rcParamsDefault
from matplotlib.colors import to_hex, to_rgb
from matplotlib.ticker import MaxNLocator

from .._coordinates import are_numbered
from .._largest_states import evenly
from .._shorten import cut
from .._svg import COLOURS

STYLE = ("axes.facecolor", "text.color", "axes.prop_cycle", "image.cmap")  # what colours follow
LINES = ("-", "--", "-.", ":")
MARKERS = "os^DvPX*"
SHARE = "share of the population"
BESIDE: dict[str, Any] = dict(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize="small")
_HATCHES = ("", "//", "..", "\\\\", "xx", "--", "++", "oo", "||", "**")


def palette() -> list[str]:
    """Return the colours of the user's style sheet if it has its own, else those of Paul Tol's "bright"."""
    cycle = rcParams["axes.prop_cycle"]
    own = [] if cycle == rcParamsDefault["axes.prop_cycle"] else cycle.by_key().get("color", [])
    return [to_hex(c) for c in own] or list(COLOURS)


def colour(i: int) -> str:
    """Return the i-th colour; they begin again after the last."""
    colours = palette()
    return colours[i % len(colours)]


def colours(count: int) -> list[str]:
    """Return colours for so many areas: those of the palette or, if these are not enough, of the colour map."""
    if count <= len(palette()):
        return palette()[:count]
    return [to_hex(c) for c in colormaps[rcParams["image.cmap"]](np.linspace(0.05, 0.95, count))]


def shade(amount: float, of: str | None = None) -> str:
    """Return a colour between that of the background of axes, 0, and another one, 1.

    Args:
      amount: in [0, 1].
      of: the other colour; None: that of texts.
    """
    paper, ink = (np.array(to_rgb(c)) for c in (rcParams["axes.facecolor"], of or rcParams["text.color"]))
    return to_hex(tuple((1 - amount) * paper + amount * ink))


def ink_on(fill: Any) -> str:
    """Return black or white, whichever is legible on a colour."""
    return "black" if np.dot(to_rgb(fill), (0.299, 0.587, 0.114)) > 0.5 else "white"


def is_grey() -> bool:
    """Tell whether the user's style is in grey, as `mfgjax.plot.grey` is."""
    return all(np.ptp(to_rgb(c)) < 0.01 for c in palette())


def hatch(i: int) -> str:
    """Return the i-th hatch where the user's style is in grey, else none."""
    return _HATCHES[i % len(_HATCHES)] if is_grey() else ""


def curve(i: int) -> dict[str, Any]:
    """Return how the i-th of several curves looks: colour, dashes and marks, so that it is told apart in grey, too."""
    # the last of seven colours is a light grey, which is for what matters less
    colours = palette()[:6]
    return dict(
        color=colours[i % len(colours)],
        linestyle=LINES[i % len(LINES)],
        marker=MARKERS[i % len(MARKERS)],
        linewidth=1.6,
        markersize=4,
    )


def frame(ax: Any, x: str, y: str, title: str | None = None, *, grid: str | None = "both", **options: Any) -> None:
    """Name the axes and the picture, as the names stand, and draw a light grid along x, y or both, or none.

    Args:
      ax: where to draw.
      x: name of the horizontal axis, with its unit.
      y: of the vertical one.
      title: above the picture; None: none.
      grid: "x", "y" or "both"; None: none, as on a map.
      options: of the title.
    """
    ax.set_xlabel(x, parse_math=False)
    ax.set_ylabel(y, parse_math=False)
    if title is not None:
        ax.set_title(title, parse_math=False, **options)
    ax.grid(False)  # whatever the user's style is
    if grid is not None:
        ax.grid(True, axis=grid, which="major", alpha=0.3)
    ax.set_axisbelow(True)


def add_colours(ax: Any, image: Any, label: str = SHARE) -> None:
    """Say beside some axes what the colours of a map mean."""
    ax.figure.colorbar(image, ax=ax, label=label, pad=0.02)


def add_legend(owner: Any, handles: Sequence[Any], names: Sequence[str], **options: Any) -> None:
    """Add a legend whose texts are set afterwards, as "_a" and "$a$" are names too.

    Args:
      owner: axes or a figure.
      handles: what is explained.
      names: as they are printed.
      options: of `legend`.
    """
    # matplotlib leaves out entries whose label begins with "_", and reads "$" as a formula
    for entry, name in zip(owner.legend(handles, [" "] * len(names), **options).get_texts(), names, strict=True):
        entry.set_parse_math(False)
        entry.set_text(name)


def name_ticks(axis: Any, names: Sequence[str], most: int) -> None:
    """Put names at the places 0, 1, ... of an axis, an even choice where they are many; long ones below it are turned.

    Args:
      axis: `ax.xaxis` or `ax.yaxis`.
      names: in order.
      most: that are printed.
    """
    if are_numbered(names):
        whole = MaxNLocator(min(most, 12), integer=True, steps=[1, 2, 5, 10]).tick_values(0, len(names) - 1)
        ticks = sorted({int(tick) for tick in whole if 0 <= tick < len(names)})
        axis.set_ticks(ticks, [names[i] for i in ticks])
        return
    turned: dict[str, Any] = {}
    ticks, longest = evenly(len(names), most), max(map(len, names))
    # no letters side by side for more than about the width of a picture
    if axis.axis_name == "x" and (longest > 3 or len(ticks) * (longest + 1) > 80):
        turned = dict(rotation=40, ha="right", rotation_mode="anchor")  # so that texts end at their ticks
    axis.set_ticks(ticks, [cut(names[i]) for i in ticks], parse_math=False, **turned)


def whole_ticks(axis: Any, most: int = 12) -> None:
    """Put ticks of an axis at whole numbers only, at each of them or at even steps."""
    axis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
