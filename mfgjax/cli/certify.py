"""The command `certify`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import typer
from rich.table import Table

import mfgjax as mfg

from .._names import is_ready_made
from .._progress import progress_line
from . import catalogue
from .behaviour import behaviour_of, response_of, takes
from .certify_stationary import content_of_bracket, failure_of, page_of_bracket
from .command import Report, SavingCommand
from .options import GameAndResponse
from .output import Files, finite, staged
from .ranges import values_of_settings
from .tables import chosen, left_out, status, table

if TYPE_CHECKING:
    from ..games import GameFile

_THRESHOLDS = ("paper_meant", "naive_chain", "span_sum", "path_span", "unique", "critical_beta")


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

        values = values_of_settings(self.game, self.settings)
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
        if "beta" not in takes(self.response):
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
            content = _content_of_game(loaded, self.request, found, report)
            if files:
                if _has_thresholds(report):
                    files.picture("thresholds.png", mfg.plot.plot_certificates(report, title=title))
                files.numbers("certificates.json", content)
        page = _page_of_game(title, report, content, self.explain)
        return Report(content, page, None if bool(found.converged) else found.result.message)

    def _certify_family(self, family: Family) -> Report:
        games, members = [], []
        with staged(self.out) as files, progress_line(len(family.values)) as begin:
            for value in family.values:
                begin(f"{family.parameter} = {value:g}")
                games.append(catalogue.build(self.game, {**family.fixed, family.parameter: value}))
                members.append(self._certified(games[-1]))
            content = _content_of_family(games[0], self.request, family.parameter, family.values, members)
            if files:
                self._save_family(files, family, [report for _, report in members], content)
        failed = [i for i, (found, _) in enumerate(members) if not bool(found.converged)]
        failure = None
        if failed:
            first = f"the first at {family.parameter} = {family.values[failed[0]]:g}"
            message = members[failed[0]][0].result.message
            failure = f"{len(failed)} of {len(members)} games were not solved, {first}: {message}"
        return Report(content, _page_of_family(content), failure)

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
    return any(not np.isnan(report[name].threshold) for name in _THRESHOLDS)


def _content_of_game(
    loaded: GameFile, request: dict[str, Any], found: mfg.Equilibrium, report: mfg.Report
) -> dict[str, Any]:
    """Return what is proved of one game, for JSON."""
    from ..certify.summary import summary

    return {
        "game": loaded.name,
        "dtype": str(loaded.game.dtype),
        "request": request,
        "converged": bool(found.converged),
        "result": found.result.name,
        "message": found.result.message,
        "criterion": found.criterion,
        "residual": finite(found.residual),
        "summary": summary(report, found),
        **report.to_dict(),
        "files": [],
    }


def _content_of_family(
    first: GameFile,
    request: dict[str, Any],
    parameter: str,
    values: Sequence[float],
    members: Sequence[tuple[mfg.Equilibrium, mfg.Report]],
) -> dict[str, Any]:
    """Return what is proved of each member of a family, for JSON."""
    from ..certify.report import plain

    rows = []
    for value, (found, report) in zip(values, members, strict=True):
        meant = report.paper_meant
        rows.append(
            {
                parameter: value,
                "result": found.result.name,
                "residual": finite(found.residual),
                "certified_beta": plain(report.certified_beta),
                "thresholds": {name: plain(report[name].threshold) for name in _THRESHOLDS},
                "log10_paper_meant": plain(math.nan if meant is None else meant.log10_threshold),
                "status": {name: report[name].word for name in ("contraction", "local_radius", "unique")},
                "local_radius": plain(report["local_radius"].value),
            }
        )
    return {
        "game": first.name,
        "dtype": str(first.game.dtype),
        "request": request,
        "parameter": parameter,
        "members": rows,
        "files": [],
    }


def _page_of_game(title: str, report: mfg.Report, content: Mapping[str, Any], explain: bool) -> Iterator[Table | str]:
    """Yield the certificates of one game, the factors of the chains, and the theorems if they are asked for."""
    rows = table(title, "certificate", "status", ">value", ">for β <", "the value is")
    for name, word, *rest in report.rows():
        rows.add_row(name, status(word), *rest)
    for column in rows.columns:
        column.no_wrap = True
    yield rows
    yield from _factors(report)
    if explain:
        yield report.explain()
        yield ""
    yield str(content["summary"])
    yield from _endings(content["files"])


def _factors(report: mfg.Report) -> Iterator[Table]:
    """Yield the table of the factors of the chains of Lipschitz constants, if there are any."""
    from ..certify.report import shown, shown_log10

    lines: list[tuple[str, list[float], str]] = []
    for name, bound in (("as printed", report.paper_printed), ("as meant", report.paper_meant)):
        if bound is not None:
            parts = (bound.log10_propagation, bound.log10_action_values, bound.log10_policy, bound.log10_factor)
            lines.append((f"Theorem 1, {name}", [float(x) for x in parts], shown_log10(bound.log10_threshold)))
    if report.chain is not None:
        chain = report.chain
        policy = chain.softmax * float(chain.action_values) * float(report.beta)
        parts = (float(chain.propagation), float(chain.action_values), policy, float(chain.propagation) * policy)
        logs = [math.log10(x) if x > 0 else -math.inf for x in parts]
        lines.append(("naive_chain", logs, shown(report["naive_chain"].threshold)))
    if not lines:
        return
    headings = (">K_prop", ">K_Q", ">K_opt", ">K_prop K_opt", ">so for β <")
    rows = table("factors of the chains: Γ contracts if K_prop K_opt < 1", "chain", *headings)
    for name, logs, threshold in lines:
        powers = (f"10^{x:{'.2f' if abs(x) < 1e5 else '.3g'}}" if math.isfinite(x) else shown_log10(x) for x in logs)
        rows.add_row(name, *powers, threshold)
    yield rows


def _page_of_family(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield the thresholds of a family, and how often something is proved."""
    from ..certify.report import shown, shown_log10

    request, parameter, members = content["request"], content["parameter"], content["members"]
    headings = [f">{'critical β' if name == 'critical_beta' else name}" for name in _THRESHOLDS]
    title = f"{content['game']} ({request['response']}): what is proved below which β"
    rows = table(title, f">{parameter}", *headings, f"unique at β = {request['beta']:g}")
    shown_rows = chosen(len(members))
    for row in (members[i] for i in shown_rows):
        ends = [float(row["thresholds"][name]) for name in _THRESHOLDS]
        numbers = ["every β" if end == math.inf else shown(end) for end in ends]
        if ends[0] != math.inf:  # it may be too small for a float
            numbers[0] = shown_log10(row["log10_paper_meant"])
        rows.add_row(f"{row[parameter]:.4g}", *numbers, status(row["status"]["unique"]))
    yield rows
    yield from left_out(len(members) - len(shown_rows), f"values of {parameter} are")
    yield _summary_of_family(request, parameter, members)
    yield from _endings(content["files"])


def _summary_of_family(request: Mapping[str, Any], parameter: str, members: list[dict[str, Any]]) -> str:
    unique, contracts = (sum(row["status"][name] == "holds" for row in members) for name in ("unique", "contraction"))
    text = (
        f"At β = {request['beta']:g} it is proved for {unique:,} of {len(members):,} values of {parameter} that there "
        f"is one equilibrium, and for {contracts:,} that iteration converges."
    )
    pairs = [(float(row["thresholds"]["critical_beta"]), float(row["certified_beta"])) for row in members]
    ratios = [critical / certified for critical, certified in pairs if certified < math.inf and critical < math.inf]
    if ratios:
        least, most = (f"{ratio:.3g}" for ratio in (min(ratios), max(ratios)))
        between = least if least == most else f"{least} to {most}"
        text += f" Plain iteration stops converging at {between} times the certified β."
    return text


def _endings(files: list[str]) -> Iterator[str]:
    yield from (f"saved           {file}" for file in files)
    if len(files) == 1:
        yield "not drawn       thresholds.png: no certificate has a threshold"
