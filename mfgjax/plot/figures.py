"""New figures: they belong to pyplot, as those that users make do."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def new_figure(size: tuple[float, float]) -> Figure:
    """Return a new, empty figure of pyplot with constrained layout.

    Args:
      size: width and height in inches.
    """
    return plt.figure(figsize=size, layout="constrained")


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the axes given, or those of a new figure.

    Args:
      ax: axes to draw on; None: new ones.
      size: of the new figure, width and height in inches.
    """
    return new_figure(size).add_subplot() if ax is None else ax
