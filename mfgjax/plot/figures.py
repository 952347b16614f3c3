"""New figures, which belong to no global state and are seen in notebooks."""

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.figure import Figure


class ShownFigure(Figure):
    """A figure that notebooks draw where it is the value of a cell; pyplot does not keep it."""

    def _repr_png_(self) -> bytes:
        return _png(self)


class ShownAxes(Axes):
    """Axes whose figure notebooks draw where they are the value of a cell."""

    def _repr_png_(self) -> bytes:
        return _png(self.get_figure(root=True))  # pyright: ignore[reportArgumentType]


def new_figure(size: tuple[float, float]) -> Figure:
    """Return an empty figure with constrained layout.

    Args:
      size: width and height in inches.
    """
    return ShownFigure(figsize=size, layout="constrained")


def new_axes(ax: Axes | None, size: tuple[float, float]) -> Axes:
    """Return the axes given, or those of a new figure.

    Args:
      ax: axes to draw on; None: new ones.
      size: of the new figure, width and height in inches.
    """
    return new_figure(size).add_subplot(axes_class=ShownAxes) if ax is None else ax


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
