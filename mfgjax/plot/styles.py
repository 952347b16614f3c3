"""What pictures share: names that are cut, dashes and hatchings that tell curves and areas apart in grey."""

from collections.abc import Sequence
from typing import Any

import numpy as np

LINES = ("-", "--", "-.", ":")
BESIDE: dict[str, Any] = dict(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)  # a legend
HATCHES = ("", "//", "..", "\\\\", "xx", "--", "++", "oo", "||", "**")


def short(label: str, length: int = 14) -> str:
    """Return a name, or its beginning with an ellipsis where it is longer."""
    return label if len(label) <= length else label[: length - 1] + "…"


def frame(ax: Any, x: str, y: str, title: str | None = None, *, grid: str = "both", **options: Any) -> None:
    """Name the axes and the picture, as the names stand, and draw a light grid along x, y or both.

    Args:
      ax: where to draw.
      x: name of the horizontal axis, with its unit.
      y: of the vertical one.
      title: above the picture; None: none.
      grid: "x", "y" or "both".
      options: of the title.
    """
    ax.set_xlabel(x, parse_math=False)
    ax.set_ylabel(y, parse_math=False)
    if title is not None:
        ax.set_title(title, parse_math=False, **options)
    ax.grid(True, axis=grid, which="major", alpha=0.3)


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


def spread_evenly(n: int, most: int) -> list[int]:
    """Return at most so many of 0..n-1, with the first and the last, evenly."""
    return sorted({int(i) for i in np.linspace(0, n - 1, min(n, most)).round()})


def name_ticks(axis: Any, names: Sequence[str], most: int) -> None:
    """Put names at the places 0, 1, ... of an axis, an even choice where they are many; long ones below it are turned.

    Args:
      axis: `ax.xaxis` or `ax.yaxis`.
      names: in order.
      most: that are printed.
    """
    turned: dict[str, Any] = {}
    if axis.axis_name == "x" and max(map(len, names)) > 3:
        turned = dict(rotation=40, ha="right", rotation_mode="anchor")  # so that texts end at their ticks
    ticks = spread_evenly(len(names), most)
    axis.set_ticks(ticks, [short(names[i]) for i in ticks], parse_math=False, **turned)


def count_ticks(axis: Any, numbers: Sequence[Any], most: int) -> None:
    """Put whole numbers at the places 0, 1, ... of an axis, each of them or at even steps of them."""
    ticks = range(0, len(numbers), -(-len(numbers) // most))
    axis.set_ticks(ticks, [str(numbers[i]) for i in ticks])
