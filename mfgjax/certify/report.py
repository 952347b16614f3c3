"""The report of `certify`: one certificate a line, as a table, in words and as plain data."""

import math
import textwrap
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import numpy as np

from .._display import GOOD, PLAIN, Listing, Page, Part, shows_itself
from .._names import did_you_mean
from .._shorten import short_number
from .._typing import Array, Int
from .certificate import WORDS, Certificate
from .contraction import Chain
from .lipschitz import Lipschitz
from .paper_bounds import PaperBound

LETTERS = "Γ: mean-field map, DΓ: its derivative; d_M: largest total variation distance over time; –: none, or unknown."


@shows_itself
class Report(eqx.Module):
    """The result of `certify`: certificates by name, and the constants on which they are based.

    `report["path_span"]` is a `Certificate`, `print(report)` a table, `report.to_dict()` is for JSON. Under `jax.vmap`
    all arrays have one axis more; `jax.tree.map(lambda x: x[i], report)` is the i-th.

    Attributes:
      certificates: in the order of the table.
      beta: inverse temperature of the response, NaN if it has none.
      lipschitz: the Lipschitz constants of rewards and kernel that were used, None if there were none.
      chain: K_prop and K_Q of the naive chain of Lipschitz constants, None if it does not apply.
      paper_printed: the factors of Theorem 1 of the paper as printed, None if it does not apply.
      paper_meant: the same factors as they must have been meant.
    """

    certificates: tuple[Certificate, ...]
    beta: Array
    lipschitz: Lipschitz | None
    chain: Chain | None
    paper_printed: PaperBound | None
    paper_meant: PaperBound | None

    def __getitem__(self, name: str) -> Certificate:
        for certificate in self.certificates:
            if certificate.name == name:
                return certificate
        names = (certificate.name for certificate in self.certificates)
        raise KeyError(f"there is no certificate {name!r}{did_you_mean(name, names)}")

    @property
    def unique(self) -> Int[Array, "*batch"]:
        """1 if it is proved that there is exactly one equilibrium, else 0."""
        return self["unique"].status

    @property
    def factor(self) -> Array:
        """The smallest q for which d_M(Γ(μ), Γ(μ')) ≤ q d_M(μ, μ') is proved; infinite if there is none."""
        return self["contraction"].value

    @property
    def certified_beta(self) -> Array:
        """The largest β below which Γ is proved to be a contraction."""
        return self["contraction"].threshold

    def to_dict(self) -> dict[str, Any]:
        """Return everything as nested plain Python values for JSON; numbers that are not finite become strings."""
        lines = {}
        for certificate in self.certificates:
            lines[certificate.name] = {
                "status": [WORDS[int(x)] for x in certificate.status]
                if np.ndim(certificate.status)
                else certificate.word,
                "value": plain(certificate.value),
                "threshold": plain(certificate.threshold),
                **{
                    key: getattr(certificate, key)
                    for key in ("statement", "meaning", "theorem", "source", "assumed", "checked")
                },
            }
        factors: dict[str, Any] = {}
        for name, bound in (("paper_printed", self.paper_printed), ("paper_meant", self.paper_meant)):
            if bound is not None:
                factors[name] = {key: plain(getattr(bound, key)) for key in bound.__dataclass_fields__}
        if self.chain is not None:
            chain = self.chain
            factors["naive_chain"] = {
                "propagation": plain(chain.propagation),
                "action_values": plain(chain.action_values),
                "policy": plain(chain.softmax * chain.action_values * self.beta),
            }
        constants = None
        if self.lipschitz is not None:
            constants = {
                "origin": self.lipschitz.origin,
                "reward": np.asarray(self.lipschitz.reward).tolist(),
                "kernel": np.asarray(self.lipschitz.kernel).tolist(),
            }
        return {"beta": plain(self.beta), "certificates": lines, "factors": factors, "lipschitz": constants}

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Return the rows of the table: name, status, value, the β up to which it holds, and what the value means.

        Raises:
          ValueError: for the report of many games.
        """
        rows = []
        for line in self.certificates:
            status = line.word
            value, threshold = (
                short_number(line.value),
                "at every β" if _is_inf(line.threshold) else short_number(line.threshold),
            )
            bound = {"paper_printed": self.paper_printed, "paper_meant": self.paper_meant}.get(line.name)
            if bound is not None:  # from logarithms: the numbers themselves overflow
                value = shown_log10(bound.log10_factor)
                threshold = threshold if _is_inf(line.threshold) else shown_log10(bound.log10_threshold)
            rows.append((line.name, status, value, threshold, line.meaning))
        return rows

    def _page(self) -> Page:
        name = type(self).__name__
        if np.ndim(self.beta):  # no single numbers to show
            names = ", ".join(line.name for line in self.certificates)
            return Page(name, f"beta={np.asarray(self.beta)}, {names}")
        at = "" if math.isnan(float(self.beta)) else f" at β = {float(self.beta):g}"
        status = GOOD if int(np.asarray(self.unique)) else PLAIN
        return Page(name, "", self._parts, status, heading=f"What is proved{at}")

    def _parts(self) -> Iterator[Part]:
        headings = ("certificate", "status", ">value", ">for β <", "the value is (why: report.explain(name))")
        yield Listing(headings, self.rows(), LETTERS)

    def explain(self, name: str | None = None) -> str:
        """Return the statement, the theorem and how it was checked, as text, for one certificate or for all."""
        chosen = self.certificates if name is None else (self[name],)
        paragraphs = []
        for line in chosen:
            text = [f"{line.name}: {line.word}. {line.statement}"]
            text += [f"Theorem: {line.theorem} [{line.source}]", f"Assumed: {line.assumed}", f"Checked: {line.checked}"]
            indented = [
                textwrap.fill(row, 110, initial_indent="  " * (i > 0), subsequent_indent="    ")
                for i, row in enumerate(text)
            ]
            paragraphs.append("\n".join(indented))
        return "\n".join(paragraphs)


def _is_inf(number: Any) -> bool:
    return math.isinf(float(number)) and float(number) > 0


def shown_log10(exponent: Any) -> str:
    """Format 10^exponent, which may be too large or too small for a float."""
    value = float(exponent)
    if math.isnan(value) or math.isinf(value):
        return "–" if math.isnan(value) else ("∞" if value > 0 else "0")
    if -3 <= value < 5:
        return f"{10**value:.4g}"
    whole = math.floor(value)
    return f"{10 ** (value - whole):.1f}e{whole:+03d}"


def plain(number: Any) -> float | str | list:
    """Return a number, or an array of them, for JSON; those that are not finite as strings."""
    array = np.asarray(number)
    if array.ndim:
        return [plain(entry) for entry in array]
    value = float(array)
    return value if math.isfinite(value) else str(value)  # JSON has neither infinity nor NaN
