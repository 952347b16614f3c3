"""The command `certify`."""

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from .._progress import progress_line
from ..certify import Report, certify
from ..certify.report import plain, shown, shown_log10
from ..engine import fit_response
from ..equilibrium import Equilibrium
from ..games import GameFile
from ..responses import AbstractResponse
from ..solve import solve
from . import bracketing, catalogue
from .behaviour import TEMPERED, behaviour_of, response_of
from .output import console, finite, json_of, print_json, staged
from .solving import check_size

_FILES = ("certificates.json", "thresholds.png")
_MOST_ROWS = 40
_BOUNDS = ("paper_meant", "naive_chain", "span_sum", "path_span")
_THRESHOLDS = (*_BOUNDS, "unique", "critical_beta")
_REASONS = ("monotone", "path_span", "span_sum", "naive_chain", "paper_meant", "hypomonotone")  # first of equals
_STYLES = {"holds": "green", "fails": "red", "unknown": "dim"}


@dataclass(frozen=True)
class CertifyRequest:
    """What is to be certified, as on the command line."""

    game: str
    beta: float | None
    epsilon: float | None
    reference: str | None
    response: str
    settings: tuple[str, ...]
    critical: bool | None


@dataclass(frozen=True)
class _Family:
    """The values that one parameter takes, and those of the others."""

    parameter: str
    values: list[float]
    fixed: dict[str, Any]


@dataclass(frozen=True)
class _Member:
    """What was found about one game."""

    loaded: GameFile
    response: AbstractResponse
    found: Equilibrium
    report: Report


def run(request: CertifyRequest, out: Path | None, *, explain: bool, as_json: bool, float32: bool) -> int:
    """Solve, certify, save and print.

    Args:
      request: what to certify.
      out: folder to save to, or None.
      explain: print the theorems, too.
      as_json: print JSON in place of tables.
      float32: compute in single precision.

    Returns:
      The exit status.
    """
    with jax.enable_x64(not float32):
        family, arguments = _settings(request)
        if family is not None:
            if explain:
                raise ValueError(f"`--explain` is for one game: give one value for `--set {family.parameter}`.")
            return _run_family(request, family, out, as_json)
        if arguments is None:
            loaded = catalogue.load(request.game, request.settings)
        else:
            loaded = catalogue.build(request.game, arguments)
        if loaded.game.is_stationary:
            check_size(loaded.name, loaded.game)
            _check_stationary(request, loaded.name, explain)
            return bracketing.run(request, loaded, out, as_json=as_json)
        return _run_one(request, loaded, out, explain, as_json)


def _check_stationary(request: CertifyRequest, name: str, explain: bool) -> None:
    for option, given in (("explain", explain), ("critical", request.critical is not None)):
        if given:
            raise ValueError(f"`--{option}` is for games with a finite horizon, but {name} is stationary.")


def _settings(request: CertifyRequest) -> tuple[_Family | None, dict[str, Any] | None]:
    """Return the family that is asked for, or the parameters of the one game; neither for a file."""
    if not catalogue.is_ready_made(request.game):
        return None, None
    values = catalogue.ranges(request.game, request.settings)
    varied = [key for key, options in values.items() if len(options) > 1]
    fixed = {key: options[0] for key, options in values.items() if key not in varied}
    if not varied:
        return None, fixed
    if catalogue.is_stationary(request.game):
        raise ValueError(f"`certify` takes one stationary game at a time: give one value for `--set {varied[0]}`.")
    if len(varied) > 1:
        raise ValueError(f"`certify` takes a range for one parameter, but `--set` gives one for {', '.join(varied)}.")
    (parameter,) = varied
    for value in values[parameter]:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError(f"`--set {parameter}` has several values, {value!r} among them: a range is of numbers.")
    if request.response not in TEMPERED:
        raise ValueError(f"`--response {request.response}` has no β, hence no thresholds: certify one game at a time.")
    return _Family(parameter, values[parameter], fixed), None


def _run_one(request: CertifyRequest, loaded: GameFile, out: Path | None, explain: bool, as_json: bool) -> int:
    with staged(out) as folder, progress_line() as begin:
        begin(f"solving and certifying {loaded.name}")
        member = _member(request, loaded)
        content = _content(request, member)
        if folder is not None and out is not None:
            title = f"{loaded.name} ({behaviour_of(request.response, request.beta, request.epsilon)})"
            _save(folder, out, content, [member], lambda plot: plot.plot_certificates(member.report, title=title))
    if as_json:
        print_json(content)
    else:
        _print_one(request, member, content, explain)
    if not bool(member.found.converged):
        print(f"mfgjax: {member.found.result.message}", file=sys.stderr)
        return 1
    return 0


def _run_family(request: CertifyRequest, family: _Family, out: Path | None, as_json: bool) -> int:
    members: list[_Member] = []
    with staged(out) as folder, progress_line(len(family.values)) as begin:
        for value in family.values:
            begin(f"{family.parameter} = {value:g}")
            loaded = catalogue.build(request.game, {**family.fixed, family.parameter: value})
            members.append(_member(request, loaded))
        content = _content_of_family(request, family, members)
        if folder is not None and out is not None:
            told = dict(parameter=family.parameter, beta=request.beta, title=f"{content['game']} ({request.response})")
            reports = [member.report for member in members]
            _save(folder, out, content, members, lambda plot: plot.plot_thresholds(family.values, reports, **told))
    if as_json:
        print_json(content)
    else:
        _print_family(request, family, content)
    failed = [i for i, member in enumerate(members) if not bool(member.found.converged)]
    if failed:
        first = f"the first at {family.parameter} = {family.values[failed[0]]:g}"
        message = members[failed[0]].found.result.message
        print(f"mfgjax: {len(failed)} of {len(members)} games were not solved, {first}: {message}", file=sys.stderr)
        return 1
    return 0


def _save(folder: Path, out: Path, content: dict[str, Any], members: list[_Member], draw: Callable[[Any], Any]) -> None:
    """Write the table and, where there is a threshold to draw, the picture."""
    drawn = any(not math.isnan(member.report[name].threshold) for member in members for name in _THRESHOLDS)
    content["files"] = [str(out / name) for name in _FILES[: 1 + drawn]]
    (folder / _FILES[0]).write_text(json_of(content) + "\n", encoding="utf-8")
    if drawn:
        from .. import plot  # slow to import, and often not needed

        draw(plot).figure.savefig(folder / _FILES[1], dpi=150)


def _member(request: CertifyRequest, loaded: GameFile) -> _Member:
    check_size(loaded.name, loaded.game)
    response = fit_response(loaded.game, response_of(request, loaded))
    found = solve(loaded.game, response, throw=False)
    # as numbers, so that what is asked of them later compiles nothing
    report = jax.tree.map(np.asarray, certify(loaded.game, response, found, critical=request.critical))
    return _Member(loaded, response, found, report)


def _content(request: CertifyRequest, member: _Member) -> dict[str, Any]:
    found = member.found
    return {
        "game": member.loaded.name,
        "dtype": str(member.loaded.game.dtype),
        "request": asdict(request),
        "converged": bool(found.converged),
        "result": found.result.name,
        "message": found.result.message,
        "criterion": found.criterion,
        "residual": finite(found.residual),
        "summary": summary(member.report, found),
        **member.report.to_dict(),
        "files": [],
    }


def _content_of_family(request: CertifyRequest, family: _Family, members: list[_Member]) -> dict[str, Any]:
    rows = []
    for value, member in zip(family.values, members, strict=True):
        report, meant = member.report, member.report.paper_meant
        rows.append(
            {
                family.parameter: value,
                "result": member.found.result.name,
                "residual": finite(member.found.residual),
                "certified_beta": plain(report.certified_beta),
                "thresholds": {name: plain(report[name].threshold) for name in _THRESHOLDS},
                "log10_paper_meant": plain(math.nan if meant is None else meant.log10_threshold),
                "status": {name: report[name].word for name in ("contraction", "local_radius", "unique")},
                "local_radius": plain(report["local_radius"].value),
            }
        )
    return {
        "game": members[0].loaded.name,
        "dtype": str(members[0].loaded.game.dtype),
        "request": asdict(request),
        "parameter": family.parameter,
        "members": rows,
        "files": [],
    }


def summary(report: Report, found: Equilibrium) -> str:
    """Say in a sentence or two what is proved, what is not, and how near the mean field is.

    Args:
      report: of `certify`, for one game.
      found: what was certified.
    """
    solved, radius, contracts = bool(found.converged), report["local_radius"], report["contraction"].word == "holds"
    beta = f"β = {float(report.beta):g}"
    iteration, rate = "", shown(radius.value)
    if contracts:
        iteration = f"iteration converges (rate {rate}, proved to be at most {shown(report.factor)})"
    elif solved and radius.word == "holds":
        iteration = f"iteration converges from near the one found (rate {rate})"
    elif solved and radius.word == "fails":
        critical = float(report["critical_beta"].threshold)
        known, tried = f"; for β < {shown(critical)} it does", ", at the values of β that were tried"
        known, tried = (known, tried) if critical < float(report.beta) else ("", "")
        iteration = f"plain iteration does not settle at the one found (rate {rate}{known}){tried}"
    if report["distance"].word == "holds":
        near = f"the mean field found is within {_rounded_up(float(report['distance'].value))} of it"
    elif found.criterion == "residual":
        near = f"the mean field found has residual {float(found.residual):.0e}"
    else:
        near = f"an agent can gain {float(found.exploitability):.0e} on the one found"
    near = near if solved or report["distance"].word == "holds" else "no equilibrium was found"
    if report["unique"].word == "holds":
        begin = f"At {beta} there is exactly one equilibrium ({_reason(report)})"
        parts = [part for part in (begin, iteration) if part]
        return f"{', '.join(parts)}, and {near}."
    sentences = [_unproved(report, beta), " and ".join(part for part in (iteration, near) if part)]
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in sentences)


def _unproved(report: Report, beta: str) -> str:
    if math.isnan(report.beta):
        return "that there is only one equilibrium is not proved: the theorems are for responses with a temperature"
    below = float(report["unique"].threshold)
    where = " or any other β" if math.isnan(below) else f": it is for β < {shown(below)}"
    return f"that there is only one equilibrium is not proved at {beta}{where}"


def _reason(report: Report) -> str:
    """Return the certificate from which uniqueness follows for most β."""
    beta, best, most = float(report.beta), "contraction", -math.inf
    for name in _REASONS:
        threshold = float(report[name].threshold)
        if report[name].word == "holds" and threshold > max(most, beta):
            best, most = name, threshold
    return best


def _rounded_up(number: float) -> str:
    """Return a bound with one digit, which is a bound still."""
    if number <= 0:
        return f"{number:g}"
    unit = 10.0 ** math.floor(math.log10(number))
    return f"{math.ceil(number / unit * (1 - 1e-12)) * unit:.0e}".replace("e-0", "e-")


def _word(word: str) -> Text:
    return Text(word, style=_STYLES[word])


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)


def _print_one(request: CertifyRequest, member: _Member, content: Mapping[str, Any], explain: bool) -> None:
    report, screen = member.report, console()
    table = _table(f"{member.loaded.name} ({behaviour_of(request.response, request.beta, request.epsilon)})")
    for heading in ("certificate", "status", "value", "for β <", "the value is"):
        table.add_column(heading, justify="right" if heading in ("value", "for β <") else "left", no_wrap=True)
    for name, word, *rest in report.rows():
        table.add_row(name, _word(word), *rest)
    screen.print(table, markup=False)
    if (factors := _factors(report)) is not None:
        screen.print(factors, markup=False)
    if explain:
        screen.print(report.explain(), markup=False, soft_wrap=True)
        screen.print()
    _print_end(str(content["summary"]), content["files"])


def _factors(report: Report) -> Table | None:
    """Return the table of the factors of the chains of Lipschitz constants; None if there are none."""
    rows: list[tuple[str, list[float], str]] = []
    for name, bound in (("as printed", report.paper_printed), ("as meant", report.paper_meant)):
        if bound is not None:
            parts = (bound.log10_propagation, bound.log10_action_values, bound.log10_policy, bound.log10_factor)
            rows.append((f"Theorem 1, {name}", [float(x) for x in parts], shown_log10(bound.log10_threshold)))
    if report.chain is not None:
        chain = report.chain
        policy = chain.softmax * float(chain.action_values) * float(report.beta)
        parts = (float(chain.propagation), float(chain.action_values), policy, float(chain.propagation) * policy)
        logs = [math.log10(x) if x > 0 else -math.inf for x in parts]
        rows.append(("naive_chain", logs, shown(report["naive_chain"].threshold)))
    if not rows:
        return None
    table = _table("factors of the chains: Γ contracts if K_prop K_opt < 1")
    table.add_column("chain")
    for heading in ("K_prop", "K_Q", "K_opt", "K_prop K_opt", "so for β <"):
        table.add_column(heading, justify="right")
    for name, logs, threshold in rows:
        table.add_row(name, *map(_power, logs), threshold)
    return table


def _power(exponent: float) -> str:
    """Return 10^exponent, whatever its size."""
    if not math.isfinite(exponent):
        return shown_log10(exponent)
    return f"10^{exponent:.2f}" if abs(exponent) < 1e5 else f"10^{exponent:.3g}"


def _print_family(request: CertifyRequest, family: _Family, content: Mapping[str, Any]) -> None:
    table = _table(f"{content['game']} ({request.response}): what is proved below which β")
    table.add_column(family.parameter, justify="right")
    for name in _THRESHOLDS:
        table.add_column("critical β" if name == "critical_beta" else name, justify="right")
    table.add_column(f"unique at β = {request.beta:g}")
    members, screen = content["members"], console()
    chosen = np.unique(np.linspace(0, len(members) - 1, min(len(members), _MOST_ROWS)).round().astype(int))
    for row in (members[i] for i in chosen):
        ends = [float(row["thresholds"][name]) for name in _THRESHOLDS]
        numbers = ["every β" if end == math.inf else shown(end) for end in ends]
        if ends[0] != math.inf:  # it may be too small for a float
            numbers[0] = shown_log10(row["log10_paper_meant"])
        table.add_row(f"{row[family.parameter]:.4g}", *numbers, _word(row["status"]["unique"]))
    screen.print(table, markup=False)
    if len(chosen) < len(members):
        screen.print(f"{len(members) - len(chosen):,} values of {family.parameter} are not shown.")
    _print_end(_summary_of_family(request, family, members), content["files"])


def _print_end(said: str, files: list[str]) -> None:
    lines = [said, *(f"saved           {file}" for file in files)]
    if len(files) == 1:
        lines.append(f"not drawn       {_FILES[1]}: no certificate has a threshold")
    screen = console()
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def _summary_of_family(request: CertifyRequest, family: _Family, members: list[dict[str, Any]]) -> str:
    counts = {name: sum(row["status"][name] == "holds" for row in members) for name in ("unique", "contraction")}
    many = f"{len(members):,} values of {family.parameter}"
    text = (
        f"At β = {request.beta:g} it is proved for {counts['unique']:,} of {many} that there is one equilibrium, and "
    )
    text += f"for {counts['contraction']:,} that iteration converges."
    pairs = [(float(row["thresholds"]["critical_beta"]), float(row["certified_beta"])) for row in members]
    ratios = [critical / certified for critical, certified in pairs if certified < math.inf and critical < math.inf]
    if ratios:
        least, most = (f"{ratio:.3g}" for ratio in (min(ratios), max(ratios)))
        between = least if least == most else f"{least} to {most}"
        text += f" Plain iteration stops converging at {between} times the certified β."
    return text
