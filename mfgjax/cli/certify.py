"""The command `certify`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import typer
from rich.table import Table
from rich.text import Text

import mfgjax as mfg

from .._largest_states import evenly
from .._progress import progress_line
from . import catalogue
from .behaviour import behaviour_of, response_of, takes
from .command import Report, SavingCommand
from .options import GameAndResponse
from .output import finite, staged
from .tables import MOST_ROWS, left_out, number, status, table

if TYPE_CHECKING:
    from ..games import GameFile
    from ..multiplicity.ascent import Ascent

_THRESHOLDS = ("paper_meant", "naive_chain", "span_sum", "path_span", "unique", "critical_beta")


@dataclass(frozen=True, kw_only=True)
class Certify(SavingCommand, GameAndResponse):
    """Test whether a game provably has exactly one equilibrium.

    Prints statements on uniqueness and convergence, whether each is proved for this game, and below which β. For a
    stationary game: whether it has strategic complementarities (in higher populations higher actions pay more), and its
    least and its greatest equilibrium.

    Examples:
      mfgjax certify resource-allocation --beta 0.5
      mfgjax certify ring-crowd --beta 1 --set horizon=10 --set congestion=0.5:8:5
      mfgjax certify infection-tipping --response trembling --epsilon 0.1

    Args:
      settings: Value of a parameter of a ready-made game; repeatable. One may be a range such as 0.5:8:20.
      critical: Look for the β at which plain iteration (Picard) stops converging. Default: only if the mean field has
        at most 200 numbers.
      explain: Print theorems and how assumptions were tested.
      out: Save certificates.json and thresholds.png (of a stationary game bracket.png).
    """

    not_kept: ClassVar[tuple[str, ...]] = ("explain",)

    critical: Annotated[bool | None, typer.Option("--critical/--no-critical", show_default=False)] = None
    explain: bool = False
    out: Path | None = None

    def find(self) -> Report:
        """Certify a family of games, a game, or both ends of a stationary one."""
        from ..games.file import with_horizon

        family = catalogue.load_family(self.game, self.settings)
        loaded = family.first
        if family.varied:
            return self._certify_family(family, self._parameter(family))
        if loaded.game.times:
            return self._certify_game(loaded)
        for option, is_given in (("explain", self.explain), ("critical", self.critical is not None)):
            if is_given:
                with_horizon(loaded, f"--{option}")  # refuses the option, as the game has no horizon
        return self._bracket(loaded)

    def _parameter(self, family: catalogue.Family) -> str:
        """Return the name of the parameter that is varied; refuse families that cannot be certified."""
        parameter, *others = family.varied
        if not family.first.game.times:
            raise ValueError(f"`certify` takes one stationary game at a time: give one value for `--set {parameter}`.")
        if others:
            names = ", ".join(family.varied)
            raise ValueError(f"`certify` takes a range for one parameter, but `--set` gives one for {names}.")
        for value in family.varied[parameter]:
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ValueError(
                    f"`--set {parameter}` has several values, {value!r} among them: a range is of numbers."
                )
        if "beta" not in takes(self.response):
            raise ValueError(f"`--response {self.response}` has no β, hence no thresholds: certify one game at a time.")
        if self.explain:
            raise ValueError(f"`--explain` is for one game: give one value for `--set {parameter}`.")
        return parameter

    def _certified(self, loaded: GameFile) -> tuple[mfg.Equilibrium, mfg.results.Report]:
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
            content = self.about(loaded, **_content_of_game(found, report))
            if files:
                if _has_thresholds(report):
                    files.picture("thresholds.png", mfg.plot.plot_certificates(report, title=title))
                files.numbers("certificates.json", content)
        page = _page_of_game(title, report, content, self.explain)
        return self.report(content, page, None if bool(found.converged) else found.result.message)

    def _certify_family(self, family: catalogue.Family, parameter: str) -> Report:
        members, values = [], family.varied[parameter]
        with staged(self.out) as files, progress_line(len(values)) as begin:
            for value in values:
                begin(f"{parameter} = {value:g}")
                members.append(self._certified(catalogue.build(self.game, {**family.fixed, parameter: value})))
            content = self.about(family.first, **_content_of_family(parameter, values, members))
            if files:
                reports = [report for _, report in members]
                # else `plot_thresholds` refuses to draw
                if any(map(_has_thresholds, reports)):
                    options: dict[str, Any] = dict(parameter=parameter, beta=self.beta)
                    title = f"{family.first.name} ({self.response})"
                    files.picture("thresholds.png", mfg.plot.plot_thresholds(values, reports, title=title, **options))
                files.numbers("certificates.json", content)
        failed = [i for i, (found, _) in enumerate(members) if not bool(found.converged)]
        failure = None
        if failed:
            first, message = f"the first at {parameter} = {values[failed[0]]:g}", members[failed[0]][0].result.message
            failure = f"{len(failed)} of {len(members)} games were not solved, {first}: {message}"
        return self.report(content, _page_of_family(content), failure)

    def _bracket(self, loaded: GameFile) -> Report:
        title = f"{loaded.name} ({behaviour_of(self)})"
        response = response_of(self, loaded)
        with staged(self.out) as files, progress_line() as begin:
            begin(f"certifying {loaded.name}")
            found = mfg.bracket(loaded.game, response, throw=False)
            content = self.about(loaded, **_content_of_bracket(loaded.game, found))
            if files:
                files.picture("bracket.png", mfg.plot.plot_bracket(found, title=title))
                files.numbers("certificates.json", content)
        return self.report(content, _page_of_bracket(title, found, content), _failure_of(found))


def _has_thresholds(report: mfg.results.Report) -> bool:
    return any(not np.isnan(report[name].threshold) for name in _THRESHOLDS)


def _content_of_game(found: mfg.Equilibrium, report: mfg.results.Report) -> dict[str, Any]:
    """Return what is proved of one game, for JSON."""
    from ..certify.summary import summary

    return {
        "converged": bool(found.converged),
        "result": found.result.name,
        "message": found.result.message,
        "criterion": found.criterion,
        "residual": finite(found.residual),
        "summary": summary(report, found),
        **report.to_dict(),
    }


def _content_of_family(
    parameter: str, values: Sequence[float], members: Sequence[tuple[mfg.Equilibrium, mfg.results.Report]]
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
    return {"parameter": parameter, "members": rows}


def _page_of_game(
    title: str, report: mfg.results.Report, content: Mapping[str, Any], explain: bool
) -> Iterator[Table | str]:
    """Yield the certificates of one game, the factors of the chains, and the theorems if they are asked for."""
    from ..certify.report import LETTERS

    rows = ([name, status(word), *rest] for name, word, *rest in report.rows())
    yield table(title, ("certificate", "status", ">value", ">for β <", "the value is"), rows, whole=True)
    yield LETTERS
    yield from _factors(report)
    if explain:
        yield report.explain()
        yield ""
    yield str(content["summary"])
    yield from _not_drawn(content["files"])


def _factors(report: mfg.results.Report) -> Iterator[Table | str]:
    """Yield the table of the Lipschitz constants that bounds on contraction multiply, if there are any."""
    from .._shorten import short_number
    from ..certify.report import shown_log10

    lines: list[tuple[str, list[float], str]] = []
    for name, bound in (("as printed", report.paper_printed), ("as meant", report.paper_meant)):
        if bound is not None:
            factors = (bound.log10_propagation, bound.log10_action_values, bound.log10_policy, bound.log10_factor)
            lines.append((f"Theorem 1, {name}", [float(x) for x in factors], shown_log10(bound.log10_threshold)))
    if report.chain is not None:
        chain = report.chain
        policy = chain.softmax * float(chain.action_values) * float(report.beta)
        factors = (float(chain.propagation), float(chain.action_values), policy, float(chain.propagation) * policy)
        logs = [math.log10(x) if x > 0 else -math.inf for x in factors]
        lines.append(("naive_chain", logs, short_number(report["naive_chain"].threshold)))
    if not lines:
        return
    headings = (">K_prop", ">K_Q", ">K_opt", ">K_prop K_opt", ">so for β <")

    def power(x: float) -> str:
        return f"10^{x:{'.2f' if abs(x) < 1e5 else '.3g'}}" if math.isfinite(x) else shown_log10(x)

    rows = ([name, *map(power, logs), threshold] for name, logs, threshold in lines)
    yield table("Lipschitz constants: Γ is a contraction if K_prop K_opt < 1", ("bound", *headings), rows)
    yield "K_prop          of the mean field as a function of the policy"
    yield "K_Q, K_opt      of action values and of the policy as functions of the mean field"


def _page_of_family(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield the thresholds of a family, and how often something is proved."""
    from .._shorten import short_number
    from ..certify.report import shown_log10

    request, parameter, members = content["request"], content["parameter"], content["members"]
    headings = [f">{'critical β' if name == 'critical_beta' else name}" for name in _THRESHOLDS]
    title = f"{content['game']} ({request['response']}): what is proved below which β"
    headings = (f">{parameter}", *headings, f"unique at β = {request['beta']:g}")

    def cells(row: Mapping[str, Any]) -> list[str | Text]:
        ends = [float(row["thresholds"][name]) for name in _THRESHOLDS]
        numbers = ["every β" if end == math.inf else short_number(end) for end in ends]
        if ends[0] != math.inf:  # it may be too small for a float
            numbers[0] = shown_log10(row["log10_paper_meant"])
        return [f"{row[parameter]:.4g}", *numbers, status(row["status"]["unique"])]

    rows = evenly(len(members), MOST_ROWS)
    yield table(title, headings, (cells(members[i]) for i in rows))
    yield from left_out(len(members) - len(rows), f"values of {parameter} are")
    yield _summary_of_family(request, parameter, members)
    yield from _not_drawn(content["files"])


def _summary_of_family(request: Mapping[str, Any], parameter: str, members: list[dict[str, Any]]) -> str:
    unique, contracts = (sum(row["status"][name] == "holds" for row in members) for name in ("unique", "contraction"))
    text = (
        f"At β = {request['beta']:g} it is proved for {unique:,} of {len(members):,} values of {parameter} that there "
        f"is one equilibrium, and for {contracts:,} that iteration converges."
    )
    pairs = [(float(row["thresholds"]["critical_beta"]), float(row["certified_beta"])) for row in members]
    # where one of them is infinite there is nothing to compare
    ratios = [critical / certified for critical, certified in pairs if certified < math.inf and critical < math.inf]
    if ratios:
        least, most = (f"{ratio:.3g}" for ratio in (min(ratios), max(ratios)))
        between = least if least == most else f"{least} to {most}"
        text += f" Plain iteration stops converging at {between} times the certified β."
    return text


def _not_drawn(files: list[str]) -> Iterator[str]:
    if len(files) == 1:
        yield "not drawn       thresholds.png: no certificate has a threshold"


def _content_of_bracket(game: mfg.StationaryGame, found: mfg.results.Bracket) -> dict[str, Any]:
    """Return what was found, for JSON."""
    checked = found.complementarity
    return {
        "discount": float(game.discount),
        "complementarity": None if checked is None else _of_conditions(checked),
        "bracket": {
            "certificate": found.certificate,
            "coincide": found.coincide,
            "ordered": found.ordered,
            "distance": finite(found.distance),
            "least": _of_end(game, found.least, found.rising),
            "greatest": _of_end(game, found.greatest, found.falling),
        },
    }


def _of_conditions(checked: mfg.results.Complementarity) -> dict[str, Any]:
    conditions = [asdict(condition) | {"violation": finite(condition.violation)} for condition in checked.conditions]
    kept = {"form": checked.form, "affine": checked.affine, "num_laws": checked.num_laws, "holds": checked.holds}
    return kept | {"conditions": conditions}


def _of_end(game: mfg.StationaryGame, end: mfg.Equilibrium, way: Ascent) -> dict[str, Any]:
    return {
        "result": end.result.name,
        "residual": finite(end.residual),
        "num_steps": int(end.num_steps),
        # names have no mean
        "mean_state": finite(end.mean_state) if game.has_numbered_states else None,
        "exploitability": finite(end.exploitability),
        "law": dict(zip(game.state_labels, np.asarray(end.state_law).tolist(), strict=True)),
        **{name: finite(getattr(way, name)) for name in ("error", "contraction", "gap", "disorder")},
    }


def _failure_of(found: mfg.results.Bracket) -> str | None:
    """Say which equilibrium was not reached, if one was not."""
    for name, end in (("least", found.least), ("greatest", found.greatest)):
        if not bool(end.converged):
            return f"the {name} equilibrium was not reached: {end.result.message}"
    return None


def _page_of_bracket(title: str, found: mfg.results.Bracket, content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield tables of the conditions and of both extreme equilibria, and explain their columns."""
    checked = found.complementarity
    if checked is not None:
        yield _table_of_conditions(title, checked)
        yield checked.legend
    yield _table_of_ends(title if checked is None else "", content["bracket"])
    if checked is None:
        why = "some actions do not exist in some states, or the response has a reference of its own"
        yield f"complementarities  not tested: {why}"
    yield f"bracket         {found.certificate}"
    yield f"distance        {found.distance:.3g} between the ends (total variation)"
    yield "error           estimated total variation distance of an end from its limit"
    yield "factor          the factor by which one step multiplies small distances near the end, at most"
    yield "action gap      by how much the best actions are better than the next one, at the closest step"


def _table_of_conditions(title: str, checked: mfg.results.Complementarity) -> Table:
    title = f"{title}: strategic complementarities, {checked.form} form; rewards and moves {checked.how}"
    rows = (
        [one.name, status(one.status), f"{one.violation:.2g}" if one.violation > 0 else "none", one.where]
        for one in checked.conditions
    )
    return table(title, ("condition", "status", ">worst violation", "where"), rows)


def _table_of_ends(title: str, ends: Mapping[str, Any]) -> Table:
    columns = {
        ">mean state": ("mean_state", ".6f"),
        ">steps": ("num_steps", "d"),
        ">residual": ("residual", ".1e"),
        ">error": ("error", ".1e"),
        ">factor": ("contraction", ".4g"),
        ">action gap": ("gap", ".4g"),
    }
    rows = (
        [name, ends[name]["result"], *(number(ends[name][key], form) for key, form in columns.values())]
        for name in ("least", "greatest")
    )
    return table(title, ("equilibrium", "result", *columns), rows)
