"""What `explore` returns: sliders over equilibria, in a notebook or as a page."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import xarray as xr

from .. import _checks
from .._display import Listing, Page, shows_itself
from .._names import did_you_mean
from .._traced import as_it_is_now
from ..equilibrium import Equilibrium
from .frames import finite
from .live import Live
from .page import write_page
from .precomputed import grid_points, precomputed
from .scenes import Names, scene_of
from .sliders import Slider
from .stored import Stored
from .widget import WITHOUT_EXTRA, has_extra, widget_of


@shows_itself
class Explorer:
    """Equilibria under sliders. `explore` makes it; as the last line of a notebook's cell it is shown as a widget.

    Attributes:
      place: for each slider the index of its present value, from 0; the widget changes it.
    """

    def __init__(self, source: Live | Stored, names: Names, place: Sequence[int]):
        self._source, self._names, self.place = source, names, list(place)
        self._paths: dict[tuple[int, tuple[int, ...]], Any] = {}

    def _page(self) -> Page:
        sliders, last = self._source.sliders, [-1] * len(self.place)
        steps = ([0] * len(last), last, self.place)
        texts = ([x if isinstance(x, str) else f"{x:.4g}" for x in self._labels(place)] for place in steps)
        rows = list(zip([slider.name for slider in sliders], *texts, strict=True))
        moved = ", ".join(slider.name for slider in sliders)
        table = Listing(("slider", ">from", ">to", ">now"), rows)
        return Page("Explorer", f"{self._names.title or 'game'}: sliders {moved}", lambda: [table])

    @property
    def sliders(self) -> dict[str, Any]:
        """The values of each slider, or their labels, by its name."""
        return {slider.name: slider.axis.labels for slider in self._source.sliders}

    @as_it_is_now
    def at(self, **values: Any) -> Equilibrium | xr.Dataset:
        """Return the equilibrium at the given values of the sliders.

        Args:
          **values: values by the name of the slider; a slider that is not given keeps its present value.

        Returns:
          An `Equilibrium`; if none was found, `result` says why the solver stopped. If a dataset is explored: its point
          with these values, for numbers the nearest one.

        Raises:
          ValueError: if there is no slider of a name, or it does not have the value.
        """
        self._check_names(values)
        if isinstance(self._source, Stored):
            return self._source.dataset[dict(zip(self._source.dims, self._steps(values), strict=True))]
        axes = self._source.axes(self.place)
        for number, slider in enumerate(self._source.sliders):
            if slider.name in values:
                axes[number] = slider.single(values[slider.name])
        return self._source.solved(axes)

    def scene(self) -> dict[str, Any]:
        """Return what a page draws that does not change with the sliders, as JSON."""
        source = self._source
        along = source.pathable(source.axes(self.place)) if isinstance(source, Live) else []
        scene = scene_of(self._names, source.sliders, self.place, source.quantity)
        return {**scene, "pathable": along, "notes": []}

    @as_it_is_now
    def frame(self, **values: Any) -> dict[str, Any]:
        """Return what a page draws at a point, as JSON.

        The mean field (`law`) and the policy are packed: base64 of two bytes a number, little-endian, round(65534 p).
        `verdict` says whether an equilibrium was found, and why the solver stopped.

        Args:
          **values: values by the name of the slider, for numbers the nearest one; a slider that is not given keeps its
            present value.
        """
        self._check_names(values)
        return self._source.frame(self._steps(values)).described()

    def path(self, along: str) -> dict[str, Any]:
        """Follow equilibria while one parameter changes, also where the path turns back (a fold), as `branch` does.

        The other sliders keep their present values.

        Args:
          along: the name of the slider.

        Returns:
          As JSON: the parameter at the points of the path and the quantity there, in order along it.

        Raises:
          ValueError: if a dataset is explored, the parameter is not a single number, or the response is not smooth.
          ConvergenceError: if no equilibrium was found at the first value of the slider.
        """
        self._check_names({along: 0})
        number = [slider.name for slider in self._source.sliders].index(along)
        return self.answer({"kind": "path", "along": number, "place": self.place})

    @as_it_is_now
    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a page: the frame at a place, the quantities at several, or the path along a slider."""
        source = self._source
        if request["kind"] == "frame":
            self.place = [int(step) for step in request["place"]]
            return source.frame(self.place).described()
        if request["kind"] == "quantities":
            frames = [source.frame(place) for place in request["places"]]
            return {"points": [{"quantity": finite(one.quantity), "found": one.found} for one in frames]}
        if not isinstance(source, Live):
            raise ValueError(
                "a path of equilibria cannot be followed in a dataset: call `explore` with the game and a response."
            )
        along, place = request["along"], request["place"]
        key = (along, tuple(step for i, step in enumerate(place) if i != along))
        if key not in self._paths:
            self._paths[key] = source.path(along, place).described(along, self._labels(place))
        return self._paths[key]

    def widget(self) -> Any:
        """Return the widget, an `anywidget.AnyWidget`, as for `marimo.ui.anywidget`.

        Raises:
          ImportError: if the extra `explore` is not installed.
        """
        return widget_of(self)

    @as_it_is_now
    def to_html(
        self, path: str | os.PathLike[str], *, points: int | Mapping[str, int] | None = None, megabytes: float = 5.0
    ) -> FilePath:
        """Write one page that needs no network and no Python, with sliders over precomputed points.

        A game is solved by `sweep` at all combinations of evenly chosen values of the sliders; of a dataset the points
        are taken. The paths that `path` has found are on the page. The file is written whole or not at all.

        Args:
          path: of the file, which ends in ".html" and is replaced if it exists; its folder must exist.
          points: about the largest number of values of each slider, or a mapping from names to it; None: about a
            thousand combinations together, or all points of a dataset.
          megabytes: the largest size of the numbers on the page. If all points take more, evenly chosen ones are kept,
            and the page says so.

        Returns:
          The path.

        Raises:
          ValueError: if an argument is invalid.
          OSError: if the file cannot be written.
        """
        path = _checks.path_to_write("path", path, ".html")
        source, names = self._source, self._names
        most = grid_points(source.sliders, points, isinstance(source, Live))
        grid = precomputed(source, most, self.place) if isinstance(source, Live) else source.thinned(most, self.place)
        return write_page(path, grid, names, self._labels(self.place), list(self._paths.values()), megabytes)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        if not has_extra():
            return {"text/plain": f"{self!r}. {WITHOUT_EXTRA}"}
        return self.widget()._repr_mimebundle_(**options)

    def _labels(self, place: Sequence[int]) -> list[Any]:
        """Return the numbers or words at which sliders are."""
        pairs = zip(self._source.sliders, place, strict=True)
        return [
            str(slider.axis.labels[step]) if slider.numbers is None else float(slider.numbers[step])
            for slider, step in pairs
        ]

    def _check_names(self, values: Mapping[str, Any]) -> None:
        names = [slider.name for slider in self._source.sliders]
        for name in values:
            if name not in names:
                raise ValueError(f"There is no slider {name!r}{did_you_mean(name, names)}")

    def _steps(self, values: Mapping[str, Any]) -> list[int]:
        sliders: Sequence[Slider] = self._source.sliders
        return [
            slider.nearest(values[slider.name]) if slider.name in values else step
            for slider, step in zip(sliders, self.place, strict=True)
        ]
