"""What `certify` tells of games with a finite horizon: of one, and of a family."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from .output import finite
from .tables import chosen, left_out, status, table

if TYPE_CHECKING:
    import mfgjax as mfg

    from ..games import GameFile

_BOUNDS = ("paper_meant", "naive_chain", "span_sum", "path_span")
THRESHOLDS = (*_BOUNDS, "unique", "critical_beta")
_REASONS = ("monotone", "path_span", "span_sum", "naive_chain", "paper_meant", "hypomonotone")  # first of equals


def content_of_game(
    loaded: GameFile, request: dict[str, Any], found: mfg.Equilibrium, report: mfg.Report
) -> dict[str, Any]:
    """Return what is proved of one game, for JSON."""
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


def content_of_family(
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
                "thresholds": {name: plain(report[name].threshold) for name in THRESHOLDS},
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


def summary(report: mfg.Report, found: mfg.Equilibrium) -> str:
    """Say in a sentence or two what is proved, what is not, and how near the mean field is.

    Args:
      report: of `certify`, for one game.
      found: what was certified.
    """
    solved, near = bool(found.converged), _nearness(report, found)
    iteration = _iteration(report, solved)
    beta = f"β = {float(report.beta):g}"
    if report["unique"].word == "holds":
        begin = f"At {beta} there is exactly one equilibrium ({_reason(report)})"
        return f"{', '.join(part for part in (begin, iteration) if part)}, and {near}."
    sentences = [_unproved(report, beta), " and ".join(part for part in (iteration, near) if part)]
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in sentences)


def _iteration(report: mfg.Report, solved: bool) -> str:
    """Say whether plain iteration converges; empty if that is not known."""
    from ..certify.report import shown

    radius = report["local_radius"]
    rate = shown(radius.value)
    if report["contraction"].word == "holds":
        return f"iteration converges (rate {rate}, proved to be at most {shown(report.factor)})"
    if solved and radius.word == "holds":
        return f"iteration converges from near the one found (rate {rate})"
    if not solved or radius.word != "fails":
        return ""
    critical, tried = float(report["critical_beta"].threshold), ""
    if critical < float(report.beta):
        rate, tried = f"{rate}; for β < {shown(critical)} it does", ", at the values of β that were tried"
    return f"plain iteration does not settle at the one found (rate {rate}){tried}"


def _nearness(report: mfg.Report, found: mfg.Equilibrium) -> str:
    """Say how near the mean field is to the equilibrium."""
    if report["distance"].word == "holds":
        return f"the mean field found is within {_rounded_up(float(report['distance'].value))} of it"
    if not bool(found.converged):
        return "no equilibrium was found"
    if found.criterion == "residual":
        return f"the mean field found has residual {float(found.residual):.0e}"
    return f"an agent can gain {float(found.exploitability):.0e} on the one found"


def _unproved(report: mfg.Report, beta: str) -> str:
    from ..certify.report import shown

    if math.isnan(report.beta):
        return "that there is only one equilibrium is not proved: the theorems are for responses with a temperature"
    below = float(report["unique"].threshold)
    where = " or any other β" if math.isnan(below) else f": it is for β < {shown(below)}"
    return f"that there is only one equilibrium is not proved at {beta}{where}"


def _reason(report: mfg.Report) -> str:
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


def page_of_game(title: str, report: mfg.Report, content: Mapping[str, Any], *, explain: bool) -> Iterator[Table | str]:
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


def page_of_family(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield the thresholds of a family, and how often something is proved."""
    from ..certify.report import shown, shown_log10

    request, parameter, members = content["request"], content["parameter"], content["members"]
    headings = [f">{'critical β' if name == 'critical_beta' else name}" for name in THRESHOLDS]
    title = f"{content['game']} ({request['response']}): what is proved below which β"
    rows = table(title, f">{parameter}", *headings, f"unique at β = {request['beta']:g}")
    shown_rows = chosen(len(members))
    for row in (members[i] for i in shown_rows):
        ends = [float(row["thresholds"][name]) for name in THRESHOLDS]
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
