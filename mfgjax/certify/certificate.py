"""One line of a report: a theorem applied to one game and one response."""

from collections.abc import Iterator
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._display import BAD, GOOD, PLAIN, Facts, Page, Part, shows_itself
from .._shorten import short_number
from .._typing import Array, Bool, Int

GUAN = "Guan et al. (2021), arXiv:2110.07469"
DOCS = "docs/mathematics.md"
"""Sources that several theorems name."""

HOLDS, UNKNOWN, FAILS = 1, 0, -1
WORDS = {HOLDS: "holds", UNKNOWN: "unknown", FAILS: "fails"}


@shows_itself
class Certificate(eqx.Module):
    """One statement about a game and a response, and whether it is proved.

    Attributes:
      name: the name by which a `Report` finds it.
      statement: what holds or fails.
      meaning: what `value` is.
      value: the number on which the status is based, NaN if there is none.
      threshold: the β below which the statement is proved; infinite if it is proved at every β, NaN if at none, or if
        that is not known. For `critical_beta` it is the β that was found, which is not proved to be the smallest.
      status: 1 holds, 0 unknown, −1 fails.
      theorem: the theorem that gives the status.
      source: the paper and the number of the theorem, or where its proof is.
      assumed: the assumptions of the theorem.
      checked: how the assumptions were checked, and how the numbers were computed.
    """

    # words are static: under `vmap` and `jax.tree.map` only the numbers vary between games
    name: str = eqx.field(static=True)
    statement: str = eqx.field(static=True)
    meaning: str = eqx.field(static=True)
    value: Array
    threshold: Array
    status: Int[Array, "*batch"]
    theorem: str = eqx.field(static=True)
    source: str = eqx.field(static=True)
    assumed: str = eqx.field(static=True)
    checked: str = eqx.field(static=True)

    @property
    def word(self) -> str:
        """Return the status as "holds", "fails" or "unknown"; for a single certificate outside `jit`."""
        if np.ndim(self.status):
            raise ValueError(
                f"{self.name} holds the certificates of many games: look at `status`, or take one of them."
            )
        return WORDS[int(self.status)]

    def _page(self) -> Page:
        name = type(self).__name__
        if np.ndim(self.status):  # no single numbers to show
            return Page(name, f"{self.name}, of games {np.shape(self.status)}")
        status, begin = {HOLDS: GOOD, FAILS: BAD}.get(int(self.status), PLAIN), f"{self.name}: {self.word}"
        summary = f"{begin}. {self.statement} The value is {float(self.value):.4g}: {self.meaning}"
        return Page(name, summary, status=status, title=begin, details=self._facts)

    def _facts(self) -> Iterator[Part]:
        rows = [("statement", self.statement), ("value", f"{short_number(self.value)}: {self.meaning}")]
        rows += [("proved for β below", short_number(self.threshold)), ("theorem", f"{self.theorem} [{self.source}]")]
        yield Facts([*rows, ("assumed", self.assumed), ("checked", self.checked)])


def unknown_where(is_void: Bool[Array, "*batch"], line: Certificate) -> Certificate:
    """Return a certificate that says nothing where its premises are void."""
    value, threshold = (jnp.where(is_void, jnp.nan, number) for number in (line.value, line.threshold))
    status = jnp.where(is_void, UNKNOWN, line.status).astype(line.status.dtype)
    return eqx.tree_at(lambda line: (line.value, line.threshold, line.status), line, (value, threshold, status))


class Theorem(NamedTuple):
    """The words of a certificate, the same for all games; `Certificate` describes the fields."""

    name: str
    statement: str
    meaning: str
    theorem: str
    source: str
    assumed: str

    def certificate(
        self,
        value: Array,
        checked: str,
        *,
        holds: Array,
        fails: Array | bool = False,
        threshold: Array | float = np.nan,
    ) -> Certificate:
        """Return the certificate for one game. Where rounding makes the theorem both hold and fail, it holds."""
        status = jnp.where(holds, HOLDS, jnp.where(fails, FAILS, UNKNOWN)).astype(jnp.int8)
        threshold = jnp.asarray(threshold, value.dtype)
        name, statement, meaning, theorem, source, assumed = self
        return Certificate(name, statement, meaning, value, threshold, status, theorem, source, assumed, checked)

    def unknown(self, why: str, beta: Array) -> Certificate:
        """Return the certificate of a theorem that does not apply, in the shape of β."""
        no_number = jnp.full_like(beta, jnp.nan)
        # NaN > 0 is False in every lane, which makes the status unknown in the shape of β
        return self.certificate(no_number, f"does not apply: {why}", holds=no_number > 0)
