"""The lines of a report: what each number means, which theorem stands behind it, and what that needs."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from .._typing import Array
from .contraction import at_most
from .local import Critical
from .paper_bounds import PaperBound
from .payoffs import Payoffs
from .report import FAILS, HOLDS, UNKNOWN, Certificate
from .uniqueness import Monotone, Potential

_GUAN = "Guan et al. (2021), arXiv:2110.07469"
_DOCS = "docs/mathematics.md"


class Theorem(NamedTuple):
    """The words of a line: those of `Certificate`."""

    name: str
    statement: str
    meaning: str
    theorem: str
    source: str
    assumed: str


class Facts(NamedTuple):
    """What all lines go by.

    Attributes:
      beta: of the response, NaN if it has none.
      decoupled: whether the kernel does not depend on the mean field.
      regularized: whether the response maximises a KL-regularised criterion.
      tempered: whether it is a smooth one with a temperature.
      payoffs: what is known of the rewards.
      trouble: why not more is known.
      sampled: whether constants were sampled.
      radius_margin: what the computed spectral radius may be off.
      num_terms: how many numbers a bound adds up.
    """

    beta: Array
    decoupled: bool
    regularized: bool
    tempered: bool
    payoffs: Payoffs | None
    trouble: str
    sampled: bool
    radius_margin: float
    num_terms: int

    @property
    def how(self) -> str:
        """How the constants were found."""
        return self.trouble if self.payoffs is None else f"constants: {self.payoffs.how}"

    @property
    def below_one(self) -> float:
        """What a computed factor must be below, so that rounding cannot make it less than 1."""
        return 1 - (64 + self.num_terms) * float(jnp.finfo(self.beta.dtype).eps)

    def reason(self, *, chain: bool = False) -> str:
        """Say why a theorem on contraction does not apply."""
        if not self.tempered:
            return "the response jumps, so Γ is not continuous"
        if not self.regularized and not chain:
            return "the response does not maximise a KL-regularised criterion"
        if not self.decoupled and not chain:
            return "the kernel depends on the mean field"
        return self.trouble or "the range of the rewards is not known, and the kernel depends on the mean field"


def _line(
    facts: Facts, words: Theorem, value: Array, threshold: Array | None, holds: Array, fails: Array | bool, how: str
) -> Certificate:
    name, statement, meaning, theorem, source, assumed = words
    like = jnp.zeros_like(facts.beta)
    status = jnp.where(holds, HOLDS, jnp.where(fails, FAILS, UNKNOWN)).astype(jnp.int8)
    threshold = jnp.full_like(like, jnp.nan) if threshold is None else threshold + like
    return Certificate(name, statement, meaning, value + like, threshold, status, theorem, source, assumed, how)


def _absent(facts: Facts, words: Theorem, why: str) -> Certificate:
    nothing = jnp.full_like(facts.beta, jnp.nan)
    return _line(facts, words, nothing, nothing, nothing > 0, False, f"does not apply: {why}")


# --- contraction --------------------------------------------------------------------------------------

_CONTRACTS = "Γ_β contracts in d_M on mean fields that share μ_0, so there is one equilibrium and iteration finds it."
_RATIO = "bound on d_M(Γ(μ),Γ(μ'))/d_M(μ,μ')"
_OF_PAPER = (
    "K_prop K_opt < 1 with K_prop = |S|(|S|^H-1)/(|S|-1), K_opt = |A|(|A|-1) β (ρ_max/ρ_min)² K_Q / 2",
    f"{_GUAN}, Theorem 1 with Lemmas 2-4",
    "pairwise rewards Θ_t(Σ L_t μ), a kernel that does not depend on the mean field, an EntropyRegularized response",
)
_PRINTED = Theorem("paper_printed", _CONTRACTS, "K_prop K_opt of Theorem 1 as printed, which is no bound", *_OF_PAPER)
_MEANT = Theorem("paper_meant", _CONTRACTS, "K_prop K_opt of Theorem 1", *_OF_PAPER)
_CHAIN = Theorem(
    "naive_chain",
    _CONTRACTS,
    _RATIO,
    "Lip(B_prop) Lip(B_opt) with K_prop = Σ_k α^k, K_Q = Σ_t γ^t K_t, and β/2 for the softmax",
    f"{_DOCS}, after {_GUAN}, Lemmas 1-4",
    "Lipschitz rewards, an EntropyRegularized or Boltzmann response",
)
_COUPLED_CHAIN = _CHAIN._replace(
    theorem="the same chain with the kernel's Lipschitz constants in values and propagation",
    assumed=f"{_CHAIN.assumed}, a Lipschitz kernel",
)
_SPANS = Theorem(
    "span_sum",
    _CONTRACTS,
    _RATIO,
    "the laws of paths under two mean fields are tilted by what the rewards differ along a path; the distance of two "
    "tilted laws is at most β/4 times the span of the tilt",
    _DOCS,
    "an EntropyRegularized response, a kernel that does not depend on the mean field",
)
_PATHS = _SPANS._replace(name="path_span")
_BEST = Theorem(
    "contraction",
    _CONTRACTS,
    "the least factor that is proved",
    "the best of the bounds above; a local spectral radius above 1 refutes them all",
    _DOCS,
    "what the best bound assumes",
)


def _refuted(facts: Facts, radius: Array | None) -> Array:
    """A radius of at least 1 anywhere refutes contraction in every norm, whatever a bound says."""
    return jnp.array(False) if radius is None else radius >= 1 + facts.radius_margin


def _contraction_line(
    facts: Facts, words: Theorem, per_beta: Array | None, radius: Array | None, why: str, how: str
) -> Certificate:
    """Return the line of a bound β c."""
    if per_beta is None:
        return _absent(facts, words, why)
    value, threshold = facts.beta * per_beta, at_most(1, per_beta)
    refuted = _refuted(facts, radius)
    if facts.sampled:
        return _line(facts, words, value, None, value < 0, refuted, how)
    return _line(facts, words, value, threshold, (value < facts.below_one) & ~refuted, refuted, how)


def paper(
    facts: Facts, printed: PaperBound | None, meant: PaperBound | None, radius: Array | None
) -> list[Certificate]:
    """Return the lines of Theorem 1 of Guan et al., as printed and as meant."""
    if printed is None or meant is None:
        why = facts.reason()
        if facts.decoupled and facts.regularized and facts.payoffs is not None:
            why = "payoffs see the joint law, the reward is not of the pairwise class, or its constants were given"
        return [_absent(facts, words, why) for words in (_PRINTED, _MEANT)]
    how = f"computed in logarithms; {facts.how}"
    found = []
    for words, bound in ((_PRINTED, printed), (_MEANT, meant)):
        value, threshold = 10**bound.log10_factor, 10**bound.log10_threshold
        holds = (bound.log10_factor < jnp.log10(facts.below_one)) & ~_refuted(facts, radius)
        if words is _PRINTED:
            holds = jnp.zeros_like(holds)
            how = f"for comparison only: K_Q,t+1 is printed inside the exponential, where it bounds nothing; {how}"
        found.append(_line(facts, words, value, threshold, holds, _refuted(facts, radius), how))
        how = f"computed in logarithms; {facts.how}"
    return found


def chain(facts: Facts, per_beta: Array | None, radius: Array | None) -> Certificate:
    """Return the line of the chain of Lipschitz constants."""
    words = _CHAIN if facts.decoupled else _COUPLED_CHAIN
    how = f"α and K_t over all available pairs; {facts.how}"
    return _contraction_line(facts, words, per_beta, radius, facts.reason(chain=True), how)


def span_sum(facts: Facts, per_beta: Array | None, radius: Array | None) -> Certificate:
    """Return the line of the path-space bound by the sum of spans."""
    how = f"spans over all available pairs at each time; {facts.how}"
    return _contraction_line(facts, _SPANS, per_beta, radius, facts.reason(), how)


def path_span(facts: Facts, bound: tuple[Array, str] | None, radius: Array | None) -> Certificate:
    """Return the line of the path-space bound by spans over feasible paths."""
    if bound is None:
        return _absent(facts, _PATHS, facts.reason())
    return _contraction_line(facts, _PATHS, bound[0], radius, "", f"spans over {bound[1]}; {facts.how}")


def contraction(facts: Facts, found: Sequence[Certificate], radius: Array | None) -> Certificate:
    """Return the best of the bounds."""
    values = [jnp.where(line.status == HOLDS, line.value, jnp.inf) for line in found]
    value, threshold = jnp.stack(values).min(axis=0), _largest_threshold(found)
    return _line(facts, _BEST, value, threshold, jnp.isfinite(value), _refuted(facts, radius), facts.how)


def _largest_threshold(found: Sequence[Certificate]) -> Array:
    """Return the largest β that is proved; that as printed proves nothing."""
    proved = [line.threshold for line in found if line.name != _PRINTED.name]
    largest = jnp.stack([jnp.where(jnp.isnan(threshold), 0, threshold) for threshold in proved]).max(axis=0)
    return jnp.where(largest > 0, largest, jnp.nan)


# --- near one equilibrium -----------------------------------------------------------------------------

_LOCAL = Theorem(
    "local_radius",
    "Iterating Γ_β converges from near the equilibrium.",
    "spectral radius of DΓ at the mean field: the rate of plain iteration",
    "iteration of a smooth map converges near a fixed point if the spectral radius there is below 1, not above",
    "Ostrowski's theorem",
    "a smooth response; that the mean field is an equilibrium",
)
_CRITICAL = Theorem(
    "critical_beta",
    "β lies below the critical one, where iteration stops converging to the equilibrium that is there at small β.",
    "the first β found on the path from 0 at which the local radius reaches 1",
    "as for local_radius; below it the path of equilibria from β = 0 is smooth",
    _DOCS,
    "a smooth response",
)
_DISTANCE = Theorem(
    "distance",
    "The mean field is that near to the one equilibrium.",
    "bound on d_M(μ, μ*)",
    "d_M(μ,μ*) <= d_M(μ,Γ(μ))/(1 − q) if Γ contracts by q",
    "Banach's fixed-point theorem",
    "a proved contraction factor q < 1",
)


def local(facts: Facts, radius: Array | None, residual: Array | None, steps: str = "") -> Certificate:
    """Return the line of the local spectral radius, which says something where the residual is small."""
    if radius is None or residual is None:
        return _absent(facts, _LOCAL, steps if facts.tempered else "the response jumps")
    most = float(jnp.finfo(radius.dtype).eps) ** 0.5  # else iteration need not stay near the point
    near = residual < most
    below, above = near & (radius < 1 - facts.radius_margin), near & (radius >= 1 + facts.radius_margin)
    how = (
        f"numerically, up to {facts.radius_margin:g}, where the residual is below {most:.1g} and small differences of "
        "Γ are those of its derivative, in random directions; it says nothing about other equilibria"
    )
    return _line(facts, _LOCAL, radius, None, below, above, how)


def critical(facts: Facts, found: Critical | None, contraction: Certificate, steps: str = "") -> Certificate:
    """Return the line of the critical β.

    Args:
      facts: of the game.
      found: by the search along β, which tries points and proves nothing between them.
      contraction: its factor bounds the local radius, so below its threshold the statement is proved.
      steps: why derivatives are not those of the numbers; empty if they are.
    """
    if found is None:
        why = steps or "it was not computed, as it takes long for large games: ask with critical=True"
        return _absent(facts, _CRITICAL, why if facts.tempered else "the response jumps")
    how = (
        "numerically, at the points tried: Newton's method along β in steps of 3 to 14 %, then bisection; the radius "
        "may pass 1 between two points, so below the number found it is proved only where `contraction` holds; "
        "infinite if it is below 1 at all points tried, up to 500 times the β that its slope at 0 suggests"
    )
    above = facts.beta >= found.beta
    below = (contraction.status == HOLDS) & ~above
    # none found is not none at all, unless Γ contracts at every β
    nowhere = jnp.isinf(found.beta) & ~jnp.isposinf(contraction.threshold)
    threshold = jnp.where(nowhere, jnp.nan, found.beta)
    return _line(facts, _CRITICAL, found.beta, threshold, below, above, how)


def distance(facts: Facts, factor: Array, residual: Array | None) -> Certificate:
    """Return the line of the a-posteriori bound."""
    if residual is None:
        return _absent(facts, _DISTANCE, "the response jumps")
    value = jnp.where(factor < 1, residual / (1 - jnp.where(factor < 1, factor, 0)), jnp.inf)
    how = "the residual is computed anew, and what rounding may hide of it is added"
    return _line(facts, _DISTANCE, value, None, jnp.isfinite(value), False, how)


# --- uniqueness ---------------------------------------------------------------------------------------

_MONOTONE = Theorem(
    "monotone",
    "Rewards are monotone: Σ_t ⟨η_t−η'_t, R_t(μ_t)−R_t(μ'_t)⟩ <= 0 for all laws; crowds repel.",
    "bound on that sum per Σ_t |η_t−η'_t|_1², its largest m_t",
    "then there is one regularised equilibrium at every β",
    f"{_DOCS}; Lasry and Lions (2007), Japanese Journal of Mathematics 2",
    "an EntropyRegularized response and a kernel that does not depend on the mean field, for the uniqueness",
)
_HYPOMONOTONE = Theorem(
    "hypomonotone",
    "There is one equilibrium, as rewards are hypomonotone: not too far from monotone for β.",
    "β times the largest M_τ = Σ_t γ^(t−τ) m_t, below 1 for uniqueness",
    "two equilibria satisfy Σ_t γ^t k_t <= β Σ_t γ^t m_t |η_t−η'_t|_1² and, by Pinsker, |η_t−η'_t|_1² <= Σ_τ k_τ",
    _DOCS,
    "an EntropyRegularized response, a kernel that does not depend on the mean field",
)
_POTENTIAL = Theorem(
    "potential",
    "Rewards are the gradient of a function of the population; equilibria are its regularised critical points.",
    "largest asymmetry of the derivative of rewards on vectors that sum to 0",
    "a derivative that is symmetric everywhere on a convex set is that of a gradient",
    "Poincaré's lemma",
    "for the statement on equilibria a kernel that does not depend on the mean field, and no discount",
)
_UNIQUE = Theorem(
    "unique",
    "There is exactly one equilibrium at this β.",
    "the β below which that is proved",
    "a contraction has one fixed point; monotone and hypomonotone rewards allow one equilibrium",
    _DOCS,
    "what the line that holds assumes; equilibria exist by Brouwer's theorem",
)


def monotone(facts: Facts, found: Monotone, below: Array | None) -> Certificate:
    """Return the line of Lasry-Lions monotonicity; what rounding may hide bounds its β, as for hypomonotone ones."""
    violated = found.violation > 0
    known = facts.payoffs is not None and facts.payoffs.proved
    holds = found.proved & known & ~violated
    how = f"by {found.how}; violations were looked for in pairs of random flows"
    if not known:
        how = f"only sampled, so at most no violation was found ({facts.how})"
    threshold = None if below is None else jnp.where(holds, below, jnp.nan)
    most = found.curvature.max()
    value = jnp.where(violated, jnp.fmax(found.violation, most), most)
    return _line(facts, _MONOTONE, value, threshold, holds, violated, how)


def hypomonotone(facts: Facts, below: Array | None) -> Certificate:
    """Return the line of uniqueness below a β for rewards that are not too far from monotone."""
    if below is None:
        return _absent(facts, _HYPOMONOTONE, facts.reason())
    value = facts.beta / below
    if facts.sampled:
        return _line(facts, _HYPOMONOTONE, value, None, value < 0, False, facts.how)
    return _line(facts, _HYPOMONOTONE, value, below, value < facts.below_one, False, facts.how)


def potential(facts: Facts, found: Potential) -> Certificate:
    """Return the line of potential games."""
    return _line(facts, _POTENTIAL, found.asymmetry, None, found.proved, found.refuted, f"by {found.how}")


def unique(facts: Facts, reasons: Sequence[Certificate]) -> Certificate:
    """Return what follows: whether there is one equilibrium.

    Args:
      facts: of the game.
      reasons: the lines contraction, monotone and hypomonotone.
    """
    largest = _largest_threshold(reasons)
    # monotone rewards are a property of the game, which implies uniqueness where its threshold says so
    proved = [(line.status == HOLDS) & (facts.beta < line.threshold) for line in reasons]
    value = None if facts.payoffs is None else facts.payoffs.value
    if value is not None:  # the others need bounded rewards anyway
        is_bounded = jnp.isfinite(value.low).all() & jnp.isfinite(value.high).all()
        proved = [one & (is_bounded | (line.name != "monotone")) for one, line in zip(proved, reasons, strict=True)]
    how = ", ".join(line.name for line in reasons)
    how = f"from the lines {how}; monotone rewards count where they are bounded, so that an equilibrium exists"
    return _line(facts, _UNIQUE, largest, largest, jnp.stack(proved).any(axis=0), False, how)
