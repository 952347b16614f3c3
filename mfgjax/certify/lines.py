"""The lines of a report: what each number means, which theorem stands behind it, and what that needs."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from .._typing import Array
from .local import Critical
from .paper_bounds import PaperBound
from .payoffs import Payoffs
from .report import FAILS, HOLDS, UNKNOWN, Certificate
from .uniqueness import Monotone, Potential

_GUAN = "Guan et al. (2021), arXiv:2110.07469"
_DOCS = "docs/mathematics.md"
_MARGIN = 1e-12


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
    """

    beta: Array
    decoupled: bool
    regularized: bool
    tempered: bool
    payoffs: Payoffs | None
    trouble: str
    sampled: bool

    @property
    def how(self) -> str:
        """How the constants were found."""
        return self.trouble if self.payoffs is None else f"constants: {self.payoffs.how}"

    def reason(self, *, chain: bool = False) -> str:
        """Say why a theorem on contraction does not apply."""
        if not self.tempered:
            return "the response jumps, so Γ is not continuous"
        if not self.regularized and not chain:
            return "the response does not maximise a KL-regularised criterion"
        if not self.decoupled and not chain:
            return "the kernel depends on the mean field"
        return self.trouble or "the range of the rewards is not known, and the kernel depends on the mean field"


def _nan(facts: Facts) -> Array:
    return jnp.full_like(facts.beta, jnp.nan)


def _status(holds: Array, fails: Array | bool = False) -> Array:
    return jnp.where(holds, HOLDS, jnp.where(fails, FAILS, UNKNOWN)).astype(jnp.int8)


_CONTRACTS = "Γ_β contracts in d_M on mean fields that share μ_0, so there is one equilibrium and iteration finds it."


def _contraction_line(
    facts: Facts,
    name: str,
    per_beta: Array | None,
    radius: Array | None,
    theorem: str,
    source: str,
    assumed: str,
    how: str,
) -> Certificate:
    """Return the line of a bound β c; a local radius of at least 1 refutes every contraction."""
    about = (name, _CONTRACTS, "bound on d_M(Γ(μ),Γ(μ'))/d_M(μ,μ')")
    fails = False if radius is None else radius >= 1 + 1e-6
    if per_beta is None:
        status = _status(jnp.zeros_like(facts.beta, bool))
        return Certificate(*about, _nan(facts), _nan(facts), status, theorem, source, assumed, f"does not apply: {how}")
    value = facts.beta * per_beta
    threshold = jnp.where(per_beta > 0, 1 / jnp.where(per_beta > 0, per_beta, 1), jnp.inf)
    holds = (value < 1 - _MARGIN) & (not facts.sampled)
    threshold = jnp.where(facts.sampled, jnp.nan, threshold)
    return Certificate(*about, value, threshold, _status(holds, fails), theorem, source, assumed, how)


def paper(
    facts: Facts, printed: PaperBound | None, meant: PaperBound | None, radius: Array | None
) -> list[Certificate]:
    """Return the lines of Theorem 1 of Guan et al., as printed and as meant."""
    assumed = (
        "pairwise rewards Θ_t(Σ L_t μ), a kernel that does not depend on the mean field, an EntropyRegularized response"
    )
    source = f"{_GUAN}, Theorem 1 with Lemmas 2-4"
    reason = facts.reason()
    if facts.decoupled and facts.regularized and facts.payoffs is not None:
        reason = "payoffs see the joint law, the reward is not of the pairwise class, or its constants were given"
    found = []
    for name, bound in (("paper_printed", printed), ("paper_meant", meant)):
        theorem = "K_prop K_opt < 1 with K_prop = |S|(|S|^H-1)/(|S|-1), K_opt = |A|(|A|-1) β (ρ_max/ρ_min)² K_Q / 2"
        if bound is None:
            found.append(_contraction_line(facts, name, None, radius, theorem, source, assumed, reason))
            continue
        value, threshold = 10**bound.log10_factor, 10**bound.log10_threshold
        fails = False if radius is None else radius >= 1 + 1e-6
        holds = bound.log10_factor < -_MARGIN
        checked = f"computed in logarithms; {facts.how}"
        about = (name, _CONTRACTS, "K_prop K_opt of Theorem 1")
        if name == "paper_printed":
            holds = jnp.zeros_like(holds)
            about = (*about[:2], "K_prop K_opt of Theorem 1 as printed, which is no bound")
            checked = (
                "for comparison only: K_Q is printed inside the exponential, where it bounds nothing for H >= 4; "
                + checked
            )
        found.append(Certificate(*about, value, threshold, _status(holds, fails), theorem, source, assumed, checked))
    return found


def chain(facts: Facts, per_beta: Array | None, radius: Array | None) -> Certificate:
    """Return the line of the chain of Lipschitz constants."""
    theorem = "Lip(B_prop) Lip(B_opt) with K_prop = Σ_k α^k, K_Q = Σ_t γ^t K_t, and β/2 for the softmax"
    assumed = "Lipschitz rewards, an EntropyRegularized or Boltzmann response"
    if not facts.decoupled:
        theorem = "the same chain with the kernel's Lipschitz constants in values and propagation"
        assumed += ", a Lipschitz kernel"
    how = facts.reason(chain=True) if per_beta is None else f"α and K_t exactly over available pairs; {facts.how}"
    source = f"{_DOCS}, after {_GUAN}, Lemmas 1-4"
    return _contraction_line(facts, "naive_chain", per_beta, radius, theorem, source, assumed, how)


_PATH_THEOREM = (
    "the laws of paths under two mean fields are tilted by what the rewards differ along a path; the distance of two "
    "tilted laws is at most β/4 times the span of the tilt"
)
_PATH_NEEDS = "an EntropyRegularized response, a kernel that does not depend on the mean field"


def span_sum(facts: Facts, bound: tuple[Array, str] | None, radius: Array | None) -> Certificate:
    """Return the line of the path-space bound by the sum of spans."""
    how = facts.reason() if bound is None else f"spans exactly over available pairs at each time; {facts.how}"
    per_beta = None if bound is None else bound[0]
    return _contraction_line(facts, "span_sum", per_beta, radius, _PATH_THEOREM, _DOCS, _PATH_NEEDS, how)


def path_span(facts: Facts, bound: tuple[Array, str] | None, radius: Array | None) -> Certificate:
    """Return the line of the path-space bound by spans over feasible paths."""
    how = facts.reason() if bound is None else f"spans over {bound[1]}; {facts.how}"
    per_beta = None if bound is None else bound[0]
    return _contraction_line(facts, "path_span", per_beta, radius, _PATH_THEOREM, _DOCS, _PATH_NEEDS, how)


def contraction(facts: Facts, found: Sequence[Certificate]) -> Certificate:
    """Return the best of the bounds so far."""
    proved = [line for line in found if line.name != "paper_printed"]
    nothing = jnp.full_like(facts.beta, jnp.inf)
    values = [jnp.where(line.status == HOLDS, line.value, jnp.inf) for line in proved]
    thresholds = [jnp.nan_to_num(line.threshold, nan=0.0, posinf=jnp.inf) for line in proved]
    value, threshold = (
        jnp.stack([nothing, *values]).min(axis=0),
        jnp.stack([0 * nothing_like(facts), *thresholds]).max(axis=0),
    )
    fails = jnp.stack([line.status == FAILS for line in proved]).any(axis=0)
    threshold = jnp.where(threshold > 0, threshold, jnp.nan)
    return Certificate(
        "contraction",
        _CONTRACTS,
        "the least factor that is proved",
        value,
        threshold,
        _status(jnp.isfinite(value), fails),
        "the best of the bounds above; a local spectral radius above 1 refutes them all",
        _DOCS,
        "what the best bound assumes",
        facts.how,
    )


def nothing_like(facts: Facts) -> Array:
    """Return a number of the shape of β."""
    return jnp.zeros_like(facts.beta)


def radius(facts: Facts, value: Array | None, residual: Array | None) -> Certificate:
    """Return the line of the local spectral radius, which says something where the residual is small."""
    about = (
        "local_radius",
        "Iterating Γ_β converges from near the equilibrium.",
        "spectral radius of DΓ at the mean field: the rate of plain iteration",
    )
    theorem = (
        "iteration of a smooth map converges near a fixed point if the spectral radius there is below 1, not above"
    )
    source, assumed = "Ostrowski's theorem", "a smooth response; that the mean field is an equilibrium"
    if value is None or residual is None:
        return Certificate(
            *about,
            _nan(facts),
            _nan(facts),
            _status(jnp.zeros_like(facts.beta, bool)),
            theorem,
            source,
            assumed,
            "does not apply: the response jumps",
        )
    checked = "numerically, where the residual is below 1e-4; it says nothing about other equilibria"
    near = residual < 1e-4
    status = _status(near & (value < 1 - 1e-6), near & (value >= 1 + 1e-6))
    return Certificate(*about, value, _nan(facts), status, theorem, source, assumed, checked)


def critical(facts: Facts, found: Critical | None) -> Certificate:
    """Return the line of the critical β."""
    about = (
        "critical_beta",
        "β lies below the critical one, where iteration stops converging to the equilibrium that is there at small β.",
        "the first β on the path from 0 at which the local radius reaches 1",
    )
    theorem = "as for local_radius; below it the path of equilibria from β = 0 is smooth"
    source, assumed = _DOCS, "a smooth response"
    if found is None:
        why = (
            "not computed: the game is large, so ask with critical=True"
            if facts.tempered
            else "does not apply: the response jumps"
        )
        return Certificate(
            *about, _nan(facts), _nan(facts), _status(jnp.zeros_like(facts.beta, bool)), theorem, source, assumed, why
        )
    known = ~jnp.isnan(found.beta) & ((facts.beta < found.searched) | jnp.isfinite(found.beta))
    status = _status(known & (facts.beta < found.beta), known & (facts.beta >= found.beta))
    checked = (
        "numerically: Newton's method along β in steps of 15 %, then bisection; infinite if the radius stays below 1 "
        "up to 500 times the β that its slope at 0 suggests"
    )
    return Certificate(*about, found.beta, found.beta, status, theorem, source, assumed, checked)


def distance(facts: Facts, found: Sequence[Certificate], residual: Array | None) -> Certificate:
    """Return the line of the a-posteriori bound."""
    about = ("distance", "The mean field is that near to the one equilibrium.", "bound on d_M(μ, μ*)")
    theorem, source = "d_M(μ,μ*) <= d_M(μ,Γ(μ))/(1 − q) if Γ contracts by q", "Banach's fixed-point theorem"
    assumed = "a proved contraction factor q < 1"
    factor = (
        found[-1].value if found[-1].name == "contraction" else next(x for x in found if x.name == "contraction").value
    )
    if residual is None:
        value = jnp.full_like(facts.beta, jnp.inf)
    else:
        value = jnp.where(factor < 1, residual / (1 - jnp.where(factor < 1, factor, 0)), jnp.inf)
    checked = "the residual is computed anew, and what rounding may hide of it is added"
    return Certificate(*about, value, _nan(facts), _status(jnp.isfinite(value)), theorem, source, assumed, checked)


def monotone(facts: Facts, found: Monotone) -> Certificate:
    """Return the line of Lasry-Lions monotonicity."""
    statement = "Rewards are monotone: Σ_t ⟨η_t−η'_t, R_t(μ_t)−R_t(μ'_t)⟩ <= 0 for all laws; crowds repel."
    about = ("monotone", statement, "bound on that sum per Σ_t |η_t−η'_t|_1², its largest m_t")
    theorem = "then there is one regularised equilibrium at every β"
    assumed = "an EntropyRegularized response and a kernel that does not depend on the mean field, for the uniqueness"
    proved = found.proved & (facts.payoffs is not None and facts.payoffs.proved)
    violated = found.violation > 1e-9
    checked = f"by {found.how}; violations were looked for in pairs of random flows"
    if facts.payoffs is None:
        checked = f"only sampled, so at most no violation was found ({facts.trouble})"
    applies = facts.decoupled and facts.regularized
    threshold = jnp.where(proved & ~violated & applies, jnp.inf, jnp.nan)
    value = jnp.where(violated, jnp.fmax(found.violation, found.curvature.max()), found.curvature.max())
    source = f"{_DOCS}; Lasry and Lions (2007), Japanese Journal of Mathematics 2"
    status = _status(proved & ~violated, violated)
    return Certificate(
        *about, value + nothing_like(facts), threshold + nothing_like(facts), status, theorem, source, assumed, checked
    )


def nearly_monotone(facts: Facts, below: Array | None) -> Certificate:
    """Return the line of uniqueness below a β for rewards that are not too far from monotone."""
    about = (
        "nearly_monotone",
        "There is one equilibrium, as rewards are not too far from monotone for β.",
        "β times the largest M_τ = Σ_t γ^(t−τ) m_t, below 1 for uniqueness",
    )
    theorem = (
        "two equilibria satisfy Σ_t γ^t k_t <= β Σ_t γ^t m_t |η_t−η'_t|_1² and, by Pinsker, |η_t−η'_t|_1² <= Σ_τ k_τ"
    )
    assumed = "an EntropyRegularized response, a kernel that does not depend on the mean field"
    if below is None:
        zero = _status(jnp.zeros_like(facts.beta, bool))
        return Certificate(
            *about, _nan(facts), _nan(facts), zero, theorem, _DOCS, assumed, f"does not apply: {facts.reason()}"
        )
    below = jnp.where(facts.sampled, jnp.nan, below)
    holds = facts.beta < below * (1 - _MARGIN)
    return Certificate(
        *about, facts.beta / below, below + nothing_like(facts), _status(holds), theorem, _DOCS, assumed, facts.how
    )


def potential(facts: Facts, found: Potential) -> Certificate:
    """Return the line of potential games."""
    about = (
        "potential",
        "Rewards are the gradient of a function of the population; equilibria are its regularised critical points.",
        "largest asymmetry of the derivative of rewards on vectors that sum to 0",
    )
    theorem = "a derivative that is symmetric everywhere on a convex set is that of a gradient"
    status = _status(found.proved, found.asymmetry > 1e-6)
    return Certificate(
        *about,
        found.asymmetry + nothing_like(facts),
        _nan(facts),
        status,
        theorem,
        "Poincaré's lemma",
        "for the statement on equilibria a kernel that does not depend on the mean field, and no discount",
        f"by {found.how}",
    )


def unique(facts: Facts, found: Sequence[Certificate]) -> Certificate:
    """Return what follows from all lines: whether there is one equilibrium."""
    reasons = [line for line in found if line.name in ("contraction", "monotone", "nearly_monotone")]
    thresholds = jnp.stack([jnp.nan_to_num(line.threshold, nan=0.0, posinf=jnp.inf) for line in reasons])
    largest = thresholds.max(axis=0)
    applies = facts.decoupled and facts.regularized
    holds = jnp.stack([(line.status == HOLDS) & (applies or line.name == "contraction") for line in reasons]).any(
        axis=0
    )
    return Certificate(
        "unique",
        "There is exactly one equilibrium at this β.",
        "the β below which that is proved",
        jnp.where(largest > 0, largest, jnp.nan),
        jnp.where(largest > 0, largest, jnp.nan),
        _status(holds),
        "a contraction has one fixed point; monotone and nearly monotone rewards allow one equilibrium",
        _DOCS,
        "what the line that holds assumes; equilibria exist by Brouwer's theorem",
        "contraction, monotone, nearly_monotone",
    )
