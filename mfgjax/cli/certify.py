"""The command `certify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import typer

import mfgjax as mfg

from .._names import is_ready_made
from .._progress import progress_line
from . import catalogue
from .behaviour import TEMPERED, behaviour_of, response_of
from .certified import THRESHOLDS, content_of_family, content_of_game, page_of_family, page_of_game
from .certify_stationary import content_of_bracket, failure_of, page_of_bracket
from .command import Report, SavingCommand
from .options import GameAndResponse
from .output import Files, staged

if TYPE_CHECKING:
    from ..games import GameFile


@dataclass(frozen=True)
class Family:
    """The values that one parameter of a game takes, and those of the others."""

    parameter: str
    values: list[float]
    fixed: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Certify(SavingCommand, GameAndResponse):
    """Say what is proved: up to which beta there is one equilibrium, whether iteration finds it, how near it is.

    Of a stationary game: whether it has strategic complementarities, and its least and greatest equilibrium.

    [b]Examples[/b]

      mfgjax certify resource-allocation --beta 0.5

      mfgjax certify resource-allocation --beta 3 --explain

      mfgjax certify ring-crowd --beta 1 --set num_states=8 --set horizon=10 --set congestion=0.5:8:20 --out ring

      mfgjax certify infection-tipping --response trembling --epsilon 0.1

      mfgjax certify my_game.toml --beta 1 --reference uniform --json

    Args:
      settings: Parameter of a ready-made game; may be repeated. A range for one of them, as in [b]sweep[/b], certifies
        a family of games.
      critical: Look for β where plain iteration stops converging. [dim]Default: up to 200 unknowns.[/dim]
      explain: Print the theorems, what they assume and how that was checked.
      out: Save certificates.json and thresholds.png (of a stationary game bracket.png) there.
    """

    not_kept: ClassVar[tuple[str, ...]] = ("explain",)

    critical: Annotated[bool | None, typer.Option("--critical/--no-critical", show_default=False)] = None
    explain: bool = False
    out: Path | None = None

    def find(self) -> Report:
        """Certify a family of games, a game, or both ends of a stationary one."""
        family, fixed = self._family()
        if family is not None:
            if self.explain:
                raise ValueError(f"`--explain` is for one game: give one value for `--set {family.parameter}`.")
            return self._certify_family(family)
        loaded = catalogue.load(self.game, self.settings) if fixed is None else catalogue.build(self.game, fixed)
        if not loaded.game.is_stationary:
            return self._certify_game(loaded)
        for option, given in (("explain", self.explain), ("critical", self.critical is not None)):
            if given:
                raise ValueError(f"`--{option}` is for games with a finite horizon, but {loaded.name} is stationary.")
        return self._bracket(loaded)

    def _family(self) -> tuple[Family | None, dict[str, Any] | None]:
        """Return the family that is asked for, or the parameters of the one game; neither for a file."""
        if not is_ready_made(self.game):
            return None, None
        from ..games.ready_made import is_stationary

        values = catalogue.ranges(self.game, self.settings)
        varied = [key for key, options in values.items() if len(options) > 1]
        fixed = {key: options[0] for key, options in values.items() if key not in varied}
        if not varied:
            return None, fixed
        if is_stationary(self.game):
            raise ValueError(f"`certify` takes one stationary game at a time: give one value for `--set {varied[0]}`.")
        if len(varied) > 1:
            names = ", ".join(varied)
            raise ValueError(f"`certify` takes a range for one parameter, but `--set` gives one for {names}.")
        (parameter,) = varied
        for value in values[parameter]:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ValueError(
                    f"`--set {parameter}` has several values, {value!r} among them: a range is of numbers."
                )
        if self.response not in TEMPERED:
            raise ValueError(f"`--response {self.response}` has no β, hence no thresholds: certify one game at a time.")
        return Family(parameter, values[parameter], fixed), None

    def _certified(self, loaded: GameFile) -> tuple[mfg.Equilibrium, mfg.Report]:
        import jax

        response = response_of(self, loaded)
        found = mfg.solve(loaded.game, response, throw=False)
        report = mfg.certify(loaded.game, response, found, critical=self.critical)
        # as numbers, so that what is asked of them later compiles nothing
        return found, jax.tree.map(np.asarray, report)

    def _certify_game(self, loaded: GameFile) -> Report:
        title = f"{loaded.name} ({behaviour_of(self)})"
        with staged(self.out) as files, progress_line() as begin:
            begin(f"solving and certifying {loaded.name}")
            found, report = self._certified(loaded)
            content = content_of_game(loaded, self.request, found, report)
            if files:
                if _has_thresholds(report):
                    files.picture("thresholds.png", mfg.plot.plot_certificates(report, title=title))
                files.numbers("certificates.json", content)
        page = page_of_game(title, report, content, explain=self.explain)
        return Report(content, page, None if bool(found.converged) else found.result.message)

    def _certify_family(self, family: Family) -> Report:
        games, members = [], []
        with staged(self.out) as files, progress_line(len(family.values)) as begin:
            for value in family.values:
                begin(f"{family.parameter} = {value:g}")
                games.append(catalogue.build(self.game, {**family.fixed, family.parameter: value}))
                members.append(self._certified(games[-1]))
            content = content_of_family(games[0], self.request, family.parameter, family.values, members)
            if files:
                self._save_family(files, family, [report for _, report in members], content)
        failed = [i for i, (found, _) in enumerate(members) if not bool(found.converged)]
        failure = None
        if failed:
            first = f"the first at {family.parameter} = {family.values[failed[0]]:g}"
            message = members[failed[0]][0].result.message
            failure = f"{len(failed)} of {len(members)} games were not solved, {first}: {message}"
        return Report(content, page_of_family(content), failure)

    def _save_family(self, files: Files, family: Family, reports: list[mfg.Report], content: dict[str, Any]) -> None:
        if any(map(_has_thresholds, reports)):
            title = f"{content['game']} ({self.response})"
            drawn = mfg.plot.plot_thresholds(
                family.values, reports, parameter=family.parameter, beta=self.beta, title=title
            )
            files.picture("thresholds.png", drawn)
        files.numbers("certificates.json", content)

    def _bracket(self, loaded: GameFile) -> Report:
        title = f"{loaded.name} ({behaviour_of(self)})"
        response = response_of(self, loaded)
        with staged(self.out) as files, progress_line() as begin:
            begin(f"certifying {loaded.name}")
            found = mfg.bracket(loaded.game, response, throw=False)
            content = content_of_bracket(loaded, self.request, found)
            if files:
                files.picture("bracket.png", mfg.plot.plot_bracket(found, title=title))
                files.numbers("certificates.json", content)
        return Report(content, page_of_bracket(title, found, content), failure_of(found))


def _has_thresholds(report: mfg.Report) -> bool:
    return any(not np.isnan(report[name].threshold) for name in THRESHOLDS)
