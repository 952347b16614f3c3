"""New figures: they belong to pyplot, as those that users make do."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from .. import _checks


def new_figure(size: tuple[float, float], figure: Figure | SubFigure | None = None) -> Figure | SubFigure:
    """Return the figure given, or a new, empty one of pyplot with constrained layout.

    Args:
      size: width and height in inches.
      figure: the one to draw on; None: a new one.

    Raises:
      ValueError: if it is no figure.
    """
    if not isinstance(figure, Figure | SubFigure | None):
        raise ValueError(f"`figure` must be a figure of matplotlib; got {_checks.shorten(figure)}.")
    return plt.figure(figsize=size, layout="constrained") if figure is None else figure


def check_axes(ax: object) -> None:
    """Refuse what is neither axes nor None."""
    if not isinstance(ax, Axes | None):
        raise ValueError(f"`ax` must be axes of matplotlib, such as `plt.gca()`; got {_checks.shorten(ax)}.")


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the axes given, or those of a new figure.

    Args:
      ax: axes to draw on; None: new ones.
      size: of the new figure, width and height in inches.

    Raises:
      ValueError: if `ax` is something else.
    """
    check_axes(ax)
    return new_figure(size).add_subplot() if ax is None else ax
