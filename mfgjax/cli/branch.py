"""The command `branch`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.table import Table

import mfgjax as mfg

from .._largest_states import evenly
from .._names import by_word
from .._progress import progress_line
from . import catalogue
from .behaviour import behaviour_of
from .command import Report, SavingCommand
from .mean_fields import cells, described, drawn_quantity, headings, moving_response
from .options import GameAndResponse
from .output import finite, staged
from .ranges import numbers
from .tables import number, table

if TYPE_CHECKING:
    from ..games import GameFile

_MOST_POINTS = 9  # of a path that are shown, folds not counted


@dataclass(frozen=True, kw_only=True)
class Branch(SavingCommand, GameAndResponse):
    """Follow an equilibrium while a parameter changes.

    The path continues where it turns back (a fold). So a value of the parameter may have several equilibria; --at lists
    them.

    Examples:
      mfgjax branch resource-allocation --start 0.1 --stop 20 --out results
      mfgjax branch coordination --beta 4 --parameter reward.L.field \\
        --start -0.5 --stop 0.5 --at 0

    Args:
      epsilon: Not for this command, whose responses have no ε.
      parameter: Name of the parameter in Python, such as discount.
      start: Value to start from.
      stop: Value to stop at, above or below --start.
      at: List the equilibria on the path at these values, such as 0,0.5.
      log: Use a logarithmic scale. Default: for beta only.
      resolution: Minimum number of points of the path.
      max_points: Maximum number of points of the path.
      out: Save branch.json, with the mean field at each point, and branch.png.
    """

    response: Annotated[str, tuple(by_word("responses", "AbstractTempered"))] = "entropy"
    parameter: Annotated[str, "NAME"] = "beta"
    start: float
    stop: float
    at: Annotated[str | None, "RANGE"] = None
    log: Annotated[bool | None, typer.Option("--log/--no-log")] = None
    resolution: int = 60
    max_points: int = 2000
    out: Path | None = None

    def find(self) -> Report:
        """Follow the path, and look for the equilibria that it has at some values."""
        values = [] if self.at is None else numbers(f"--at {self.at}", self.at)
        loaded = catalogue.load(self.game, self.settings)
        response = moving_response(self, loaded, self.parameter, self.start)
        with staged(self.out) as files, progress_line() as begin:
            begin(f"following {loaded.name} from {self.parameter} = {self.start:g} to {self.stop:g}")
            path = mfg.branch(
                loaded.game,
                response,
                self.parameter,
                start=self.start,
                stop=self.stop,
                log=self.log,
                resolution=self.resolution,
                max_points=self.max_points,
            )
            content = self._content(loaded, path, values)
            if files:
                quantity, label = drawn_quantity(loaded.game, path.mean_field)
                title = f"{loaded.name} ({behaviour_of(self)})"
                log = self.parameter == "beta" if self.log is None else self.log
                ax = mfg.plot.plot_branch(path, quantity, label=label, log=log, title=title)
                files.picture("branch.png", ax)
                files.numbers("branch.json", content)
        return self.report(content, self._page(loaded, content), None if path.complete else path.message)

    def _content(self, loaded: GameFile, path: mfg.results.Branch, values: list[float]) -> dict[str, Any]:
        game, is_fold = loaded.game, np.isin(path.parameter, path.folds)
        points = zip(path.parameter, is_fold, path.mean_field, strict=True)
        equilibria, not_reached = [], []
        for value in values:
            try:
                equilibria += [(value, found) for found in path.at(value)]
            except ValueError as error:  # the path ends before: what it has is shown and saved
                not_reached.append(str(error))
        return self.about(
            loaded,
            states=list(game.state_labels),
            parameter=self.parameter,
            complete=path.complete,
            message=path.message,
            folds=path.folds.tolist(),
            bifurcations=path.bifurcations.tolist(),
            equilibria=[{self.parameter: value, **_of_equilibrium(game, found)} for value, found in equilibria],
            not_reached=not_reached,
            path=[{self.parameter: float(x), "fold": bool(fold), **described(game, law)} for x, fold, law in points],
        )

    def _page(self, loaded: GameFile, content: Mapping[str, Any]) -> Iterator[Table | str]:
        """Yield the ends and the folds of the path with some points between them, and the equilibria asked for."""
        name, path, columns = self.parameter, content["path"], headings(loaded.game)
        folds = [i for i, point in enumerate(path) if point["fold"]]
        shown = sorted({*evenly(len(path), _MOST_POINTS), *folds})
        places = {i: "fold" for i in folds} | {0: "start", len(path) - 1: "end"}
        rows = ([places.get(i, ""), f"{path[i][name]:.6g}", *cells(path[i])] for i in shown)
        yield table(f"{loaded.name} ({behaviour_of(self)}): the path along {name}", ("", f">{name}", *columns), rows)
        if self.at is not None:
            rows = (
                [f"{one[name]:.6g}", *cells(one), number(one["residual"], ".1e"), number(one["exploitability"], ".1e")]
                for one in content["equilibria"]
            )
            heads = (f">{name}", *columns, ">residual", ">exploitability")
            yield table(f"equilibria on the path at {name} = {self.at}", heads, rows)
            yield from content["not_reached"]
        yield f"path            {len(path)} points. {content['message']}"
        yield f"folds           {_listed(content['folds'])}"
        yield f"bifurcations    {_listed(content['bifurcations'])}"


def _of_equilibrium(game: Any, found: mfg.Equilibrium) -> dict[str, Any]:
    own = {"residual": finite(found.residual), "exploitability": finite(found.exploitability)}
    return {"result": found.result.name, **own, **described(game, found.mean_field)}


def _listed(values: list[float]) -> str:
    return f"{len(values)}, at {', '.join(f'{value:.6g}' for value in values)}" if values else "none found"
