"""A report in a sentence or two."""

import math

from .._shorten import short_number
from ..equilibrium import Equilibrium
from .report import Report

_REASONS = ("monotone", "path_span", "span_sum", "naive_chain", "paper_meant", "hypomonotone")  # first of equals


def summary(report: Report, found: Equilibrium) -> str:
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


def _iteration(report: Report, solved: bool) -> str:
    """Say whether plain iteration converges; empty if that is not known."""
    radius = report["local_radius"]
    rate = short_number(radius.value)
    if report["contraction"].word == "holds":
        return f"iteration converges (rate {rate}, proved to be at most {short_number(report.factor)})"
    if solved and radius.word == "holds":
        return f"iteration converges from near the one found (rate {rate})"
    if not solved or radius.word != "fails":
        return ""
    # the search for the critical β tries single values, so nothing is said of those between
    critical, tried = float(report["critical_beta"].threshold), ""
    if critical < float(report.beta):
        rate, tried = f"{rate}; for β < {short_number(critical)} it does", ", at the values of β that were tried"
    return f"plain iteration does not converge to the one found (rate {rate}){tried}"


def _nearness(report: Report, found: Equilibrium) -> str:
    """Say how near the mean field is to the equilibrium."""
    if report["distance"].word == "holds":
        return f"the mean field found is within {_rounded_up(float(report['distance'].value))} of it"
    if not bool(found.converged):
        return "no equilibrium was found"
    if found.criterion == "residual":
        return f"the mean field found has residual {float(found.residual):.0e}"
    return f"an agent can gain {float(found.exploitability):.0e} by leaving the policy found"


def _unproved(report: Report, beta: str) -> str:
    if math.isnan(report.beta):
        return "that there is only one equilibrium is not proved: the theorems are for responses with a β"
    below = float(report["unique"].threshold)
    where = " or any other β" if math.isnan(below) else f": it is for β < {short_number(below)}"
    return f"that there is only one equilibrium is not proved at {beta}{where}"


def _reason(report: Report) -> str:
    """Return the certificate from which uniqueness follows for most β."""
    beta, best, largest_threshold = float(report.beta), "contraction", -math.inf
    for name in _REASONS:
        threshold = float(report[name].threshold)
        if report[name].word == "holds" and threshold > max(largest_threshold, beta):
            best, largest_threshold = name, threshold
    return best


def _rounded_up(number: float) -> str:
    """Return a bound with one digit, which is a bound still."""
    if number <= 0:
        return f"{number:g}"
    unit = 10.0 ** math.floor(math.log10(number))
    # the quotient may be rounded just above a whole number, which then must not become the next
    return f"{math.ceil(number / unit * (1 - 1e-12)) * unit:.0e}".replace("e-0", "e-")
