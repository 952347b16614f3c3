"""Global bounds on how much Γ_β stretches distances between mean fields, and what follows from a contraction.

Each bound is linear in β: a number c such that d_M(Γ(μ), Γ(μ')) ≤ β c · d_M(μ, μ') for all mean fields that share μ_0.
"""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._display import shows_itself
from .._typing import Array, Float
from ..model import FiniteHorizonGame
from .certificate import DOCS, GUAN, HOLDS, Certificate, Theorem
from .paths import availability, counted, kernel_of, over_successors, reachable
from .payoffs import Payoffs
from .premises import Premises
from .slopes import MOST_CONTRASTS

_MOST_PAIRS = 2**22  # of state-action pairs; beyond that, twice the best single path stands in

CONTRACTS = (
    "The mean-field map Γ is a contraction in d_M on mean fields that share μ_0, so there is one equilibrium and plain "
    "iteration converges to it."
)
_RATIO = "q in the bound d_M(Γ(μ),Γ(μ')) <= q d_M(μ,μ')"
_CHAIN = Theorem(
    "naive_chain",
    CONTRACTS,
    _RATIO,
    "Lip(Γ) <= K_prop K_Q β/2 with K_prop = Σ_k α^k (from policies to mean fields), K_Q = max_t Σ_{τ>=t} γ^(τ−t) K_τ "
    "(from mean fields to action values), β/2 (from action values to policies)",
    f"{DOCS}, after {GUAN}, Lemmas 1-4",
    "Lipschitz rewards, an EntropyRegularized or Boltzmann response",
)
_COUPLED_CHAIN = _CHAIN._replace(
    theorem="as for kernels that do not depend on the mean field, with terms for the Lipschitz constants of the kernel",
    assumed=f"{_CHAIN.assumed}, a Lipschitz kernel",
)
_SPANS = Theorem(
    "span_sum",
    CONTRACTS,
    _RATIO,
    "when the mean field changes, so does the sum of rewards along a path; the law of an agent's path then changes in "
    "total variation by at most β/4 times the span of this change over paths (discount 1; below 1 see the source)",
    DOCS,
    "an EntropyRegularized response, a kernel that does not depend on the mean field",
)
_PATHS = _SPANS._replace(name="path_span")
_BEST = Theorem(
    "contraction",
    CONTRACTS,
    "the smallest factor q that is proved",
    "the smallest q in the lines above; Γ is no contraction if local_radius is above 1",
    DOCS,
    "those of the line above with the smallest q",
)
_DISTANCE = Theorem(
    "distance",
    "The distance from the mean field found to the only equilibrium is at most the value.",
    "bound on d_M(μ, μ*), from the mean field found to the equilibrium",
    "d_M(μ,μ*) <= d_M(μ,Γ(μ))/(1 − q) if Γ contracts by q",
    "Banach's fixed-point theorem",
    "a proved contraction factor q < 1",
)


@shows_itself
class Chain(eqx.Module):
    """The pieces of the chain Γ = B_prop ∘ B_opt, with sharp constants.

    Attributes:
      propagation: K_prop, Lipschitz constant of B_prop from policies to mean fields.
      action_values: K_Q = max_t Σ_{τ≥t} γ^(τ−t) K_τ, that of the action values at decisions that matter.
      softmax: that of the policy in the action values, per β: 1/2.
    """

    propagation: Array
    action_values: Array
    softmax: float = eqx.field(static=True)

    @property
    def per_beta(self) -> Array:
        """c of the whole chain."""
        return self.propagation * self.softmax * self.action_values


class AgainstContraction(NamedTuple):
    """What the derivative of Γ at one mean field says against a contraction, in every norm.

    Attributes:
      refutes: its spectral radius is at least 1.
      doubts: that was found, but is not known.
    """

    refutes: Array | bool = False
    doubts: Array | bool = False


_NOTHING_AGAINST = AgainstContraction()


def linear_bound(
    premises: Premises,
    theorem: Theorem,
    per_beta: Array,
    checked: str,
    against: AgainstContraction = _NOTHING_AGAINST,
) -> Certificate:
    """Return the certificate of a theorem that needs β c < 1, c = `per_beta`. It fails where it is refuted."""
    value, with_rounding = premises.beta * per_beta, per_beta + premises.lost
    holds = (premises.beta * with_rounding < premises.below_one) & ~jnp.asarray(against.doubts)
    used = jnp.where(rounding_counts(premises, per_beta), with_rounding, per_beta)
    below = jnp.where(used > 0, 1 / jnp.where(used > 0, used, 1), jnp.inf)  # c = 0: every β
    threshold = jnp.where(jnp.isfinite(per_beta) & premises.proved, below, jnp.nan)
    return theorem.certificate(value, checked, holds=holds, fails=against.refutes, threshold=threshold)


def rounding_counts(premises: Premises, per_beta: Array) -> Array:
    """Tell whether what rounding adds to c = `per_beta` is a share of it that shows."""
    smallest = float(jnp.finfo(premises.game.dtype).eps) ** 0.25
    # c = 0 is that of rewards that are monotone, whose slopes make up for what is small beside them; slopes that are
    # not known make up for nothing
    slope = jnp.zeros(()) if premises.constants is None else jnp.nan_to_num(premises.constants, posinf=0).max()
    scale = jnp.where(per_beta == 0, slope, per_beta)
    return premises.lost > smallest * scale


def lost_to_rounding(premises: Premises) -> Array | float:
    """Return what rounding may add to a bound on how much Γ_β stretches distances of `premises.resolution` or more.

    Rewards that are off by δ differ by 2 δ more between two mean fields, which at a distance d is a slope of 2 δ/d; so
    it enters the chain of Lipschitz constants, or, as a contrast of 4 δ/d, the bound by spans.
    """
    game, payoffs, constants = premises.game, premises.payoffs, premises.constants
    if payoffs is None or constants is None or premises.why_not(coupled=True):
        return 0.0  # then nothing is claimed
    mask = availability(game, payoffs.rounding.shape[2])
    if premises.decoupled:
        mask = mask & reachable(game)[:, :, None]
    off = 2 / premises.resolution * jnp.where(mask, payoffs.rounding, 0).max(axis=(1, 2))
    if not premises.decoupled:
        assert premises.kernel is not None
        kernel = premises.kernel + 2 / premises.resolution * premises.rounding_of_kernel
        moved = _coupled_chain(premises._replace(kernel=kernel), counted(game, constants + off))
        return moved - _coupled_chain(premises, counted(game, constants))
    by_chain = _decoupled_chain(premises, counted(game, off)).per_beta
    if premises.why_not():
        return by_chain
    tails = discounted_tails(2 * counted(game, off), game.discount)
    return jnp.minimum(by_chain, _norm(premises, tails[0], tails))


def discounted_tails(per_time: Float[Array, " T *x"], discount: Array) -> Float[Array, " T *x"]:
    """Return S_t = Σ_{τ≥t} γ^(τ−t) o_τ."""

    def step(later: Array, own: Array) -> tuple[Array, Array]:
        here = own + discount * later
        return here, here

    return jax.lax.scan(step, jnp.zeros_like(per_time[0]), per_time, reverse=True)[1]


def naive_chain(premises: Premises, against: AgainstContraction) -> tuple[Certificate, Chain | None]:
    """Certify a contraction by the Lipschitz constants of the operators, each sharp by itself.

    |Q_t − Q'_t| ≤ Σ_{τ≥t} γ^(τ−t) K_τ d_M(μ,μ'), as (1/β) log Σ ρ exp(βQ) and max Q are 1-Lipschitz in the largest
    difference; d_TV(π,π') ≤ tanh(β max|Q − Q'|/2) ≤ β max|Q − Q'|/2; and d_TV(μ_{t+1},μ'_{t+1}) ≤ α (d_TV(μ_t,μ'_t) +
    max_s d_TV(π_t,π'_t)) with Dobrushin's coefficient α, so K_prop = Σ_{k=1..H} α^k, one more where the joint law of
    states and actions is observed. Neither the numbers of states and actions nor ρ enter.

    Args:
      premises: what is known.
      against: what speaks against a contraction, whatever a bound says.

    Returns:
      The certificate, and the constants where the kernel does not depend on the mean field.
    """
    theorem, why = _CHAIN if premises.decoupled else _COUPLED_CHAIN, premises.why_not(coupled=True)
    if why or premises.constants is None:
        return theorem.unknown(why, premises.beta), None
    game, chain = premises.game, None
    constants = counted(game, premises.constants)
    if premises.decoupled:
        chain = _decoupled_chain(premises, constants)
    per_beta = _coupled_chain(premises, constants) if chain is None else chain.per_beta
    how = (
        "α (Dobrushin's coefficient of the kernel) and K_t (Lipschitz constant of R_t) are maxima over all available "
        f"pairs of state and action; {premises.how}"
    )
    return linear_bound(premises, theorem, per_beta, how, against), chain


def _decoupled_chain(premises: Premises, constants: Float[Array, " T"]) -> Chain:
    game = premises.game
    tails = discounted_tails(constants, game.discount)
    propagation = (premises.mixing.max() ** jnp.arange(1, game.horizon + 1)).sum()
    if game.observes == "states":
        return Chain(propagation, tails[:-1].max(), 0.5)  # the decision at H moves nobody
    # one more term, as a joint law contains the policy itself; so the decision at H counts, too
    return Chain(1 + propagation, tails.max(), 0.5)


def _coupled_chain(premises: Premises, constants: Float[Array, " T"]) -> Array:
    """Return c of the chain for a kernel with Lipschitz constants K_P,t in the mean field.

    K_Q,t = K_t + γ (K_Q,t+1 + K_P,t span V_{t+1}), since |Σ (P − P') V| ≤ d_TV(P,P') span V and span V_t ≤
    Σ_{τ≥t} γ^(τ−t) span R_τ; and the population's own kernel moves with it: e_{t+1} ≤ e_t + β K_Q,t/2 + K_P,t e_t.
    """
    game, kernel, payoffs = premises.game, premises.kernel, premises.payoffs
    assert kernel is not None and payoffs is not None and payoffs.value is not None
    joint = game.observes != "states"
    pushed = kernel if joint else kernel.at[0].set(0)  # laws of states agree at time 0
    mask = availability(game, payoffs.value.low.shape[2])
    high = jnp.where(mask, payoffs.value.high, -jnp.inf).max(axis=(1, 2))
    low = jnp.where(mask, payoffs.value.low, jnp.inf).min(axis=(1, 2))
    spans = discounted_tails(high - low, game.discount)

    def back(later: Array, xs: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        constant, push, span = xs
        # an unbounded span does no harm where the kernel does not move
        through = jnp.where(push == 0, 0, push * span)
        here = constant + game.discount * (later + through)
        return here, here

    zero = jnp.zeros((), game.dtype)
    xs = (constants, jnp.append(pushed, 0), jnp.append(spans[1:], 0))
    values = jax.lax.scan(back, zero, xs, reverse=True)[1]

    def forth(error: Array, xs: tuple[Array, Array]) -> tuple[Array, Array]:
        value, push = xs
        policy = value / 2  # the softmax: d_TV(π,π') ≤ β max|Q − Q'|/2, without its β
        seen = error + policy if joint else error  # a joint law differs by the policy, too
        return error + policy + push * seen, seen

    last_error, seen = jax.lax.scan(forth, zero, (values, jnp.append(kernel, 0)))
    del last_error  # nobody moves after H
    return seen.max()


def path_space(premises: Premises, against: AgainstContraction) -> tuple[Certificate, Certificate]:
    """Certify a contraction by how far the rewards of two paths can differ: `span_sum` and the sharper `path_span`.

    With o_t = κ_t, the spans of rewards, S_t = Σ_{τ≥t} γ^(τ−t) o_τ: c = (α/4) sqrt(S_0² + (1−γ²) Σ_{t≥1} S_t²), which
    for γ = 1 is (α/4) Σ_t κ_t. See `docs/mathematics.md`; α is there for laws of states, which forget a part of the
    path's law. `against` is that of `naive_chain`.
    """
    why = premises.why_not()
    if why:
        return _SPANS.unknown(why, premises.beta), _PATHS.unknown(why, premises.beta)
    assert premises.spans is not None
    tails = discounted_tails(premises.spans, premises.game.discount)
    by_spans = _norm(premises, tails[0], tails)
    by_paths, how = _by_paths(premises)
    # where single paths stand in for pairs, their bound may be the larger one
    by_paths = jnp.minimum(by_paths, by_spans)
    of_spans = f"the span is bounded at each time, over all available pairs of state and action; {premises.how}"
    return (
        linear_bound(premises, _SPANS, by_spans, of_spans, against),
        linear_bound(premises, _PATHS, by_paths, f"the span is bounded over {how}; {premises.how}", against),
    )


def _norm(premises: Premises, first: Float[Array, "*#x"], tails: Float[Array, "T *#x"]) -> Array:
    """Return (α/4) sqrt(S_0² + (1−γ²) Σ_{t≥1} S_t²); the action at H moves joint laws only."""
    game = premises.game
    last = game.horizon if game.observes == "states" else game.horizon + 1
    later = (1 - game.discount**2) * (tails[1:last] ** 2).sum(axis=0)
    contracted = premises.mixing.max() if game.observes == "states" else 1
    return contracted / 4 * jnp.sqrt(first**2 + later)


def _by_paths(premises: Premises) -> tuple[Array, str]:
    """Return c of the path-space bound by feasible paths, and how they were paired.

    What one path collects beyond another between the two mean fields is bounded over *pairs* of feasible paths, by
    backward induction on pairs of states: W_t(s,u) = max over (a,b) of contrast_t((s,a),(u,b)) + γ max W_{t+1}(s',u').
    Both paths start in the same state, whose law is μ_0 whatever agents do, so the bound is a mean over it. Where
    pairs are too many, twice the largest sum along one path stands in.
    """
    game, payoffs = premises.game, premises.payoffs
    assert payoffs is not None
    mask = availability(game)
    num_pairs = (game.num_states * game.num_actions) ** 2
    if num_pairs <= _MOST_PAIRS and (game.horizon + 1) * payoffs.slopes.work <= MOST_CONTRASTS:
        tails = _pairs_of_paths(game, payoffs, mask)
        pairing = "pairs of feasible paths"
    else:
        tails = 2 * _single_paths(game, payoffs, mask)  # a contrast is at most the sum of two constants
        pairing = "single feasible paths and doubled, as there are too many pairs of paths"
    # states that nobody can be in do not count
    worst = jnp.where(reachable(game), tails, 0).max(axis=1)
    by_start = _norm(premises, jnp.where(game.initial > 0, tails[0], 0), worst[:, None])
    return (game.initial * by_start).sum(), pairing


def _pairs_of_paths(game: FiniteHorizonGame, payoffs: Payoffs, mask: Array) -> Float[Array, "T S"]:
    """Return W_t(s,s), the most that one path from s collects beyond another between two mean fields."""
    S, kinds = mask.shape[1], payoffs.slopes.shape[2]
    counts = counted(game, jnp.ones(mask.shape[0], game.dtype))

    def step(later: Array, t: Array) -> tuple[Array, Array]:
        kernel = kernel_of(game, t)
        goes_on = t < game.horizon  # nobody moves after H, where the rows of a kernel may be anything
        if kinds == 1:  # what a path collects depends on states alone

            def best(values: Array) -> Array:
                ahead = jnp.where(goes_on, over_successors(kernel, values), 0)
                return jnp.where(mask[t][..., None], ahead, -jnp.inf).max(axis=1)

            # both paths choose freely, so one maximum may follow the other
            here = payoffs.slopes.contrasts(t) * counts[t] + game.discount * best(best(later).T).T
            return here, jnp.diagonal(here)
        first = over_successors(kernel, later)  # [S, A, U], the best successor of the first path
        after_both = over_successors(kernel, jnp.moveaxis(first, 2, 0))  # [U, B, S, A]
        contrast = payoffs.slopes.contrasts(t).reshape(S, kinds, S, kinds) * counts[t]
        total = contrast + game.discount * jnp.where(goes_on, jnp.moveaxis(after_both, (0, 1), (2, 3)), 0)
        allowed = mask[t][:, :, None, None] & mask[t][None, None]
        here = jnp.where(allowed, total, -jnp.inf).max(axis=(1, 3))
        return here, jnp.diagonal(here)

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    return jax.lax.scan(step, jnp.zeros((S, S), game.dtype), times, reverse=True)[1]


def _single_paths(game: FiniteHorizonGame, payoffs: Payoffs, mask: Array) -> Float[Array, "T S"]:
    """Return the largest discounted sum of Lipschitz constants along feasible paths from each state."""
    constants = payoffs.slopes.constants() * counted(game, jnp.ones(mask.shape[0], game.dtype))[:, None, None]

    def step(later: Array, xs: tuple[Array, Array]) -> tuple[Array, Array]:
        t, own = xs
        kernel = kernel_of(game, t)
        total = own + game.discount * jnp.where(t < game.horizon, over_successors(kernel, later), 0)
        here = jnp.where(mask[t], total, -jnp.inf).max(axis=1)
        return here, here

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    no_values = jnp.zeros(game.num_states, game.dtype)
    return jax.lax.scan(step, no_values, (times, constants), reverse=True)[1]


def contraction(premises: Premises, bounds: Sequence[Certificate], against: AgainstContraction) -> Certificate:
    """Return the certificate of the best of the bounds on contraction; `against` is that of `naive_chain`."""
    # only what is proved competes
    value = jnp.stack([jnp.where(line.status == HOLDS, line.value, jnp.inf) for line in bounds]).min(axis=0)
    threshold = largest_threshold(bounds)
    return _BEST.certificate(value, premises.how, holds=jnp.isfinite(value), fails=against.refutes, threshold=threshold)


def largest_threshold(lines: Sequence[Certificate]) -> Array:
    """Return the largest β below which one of the certificates is proved, NaN if none is."""
    thresholds = jnp.stack([line.threshold for line in lines])
    largest = jnp.where(jnp.isnan(thresholds), 0, thresholds).max(axis=0)
    return jnp.where(largest > 0, largest, jnp.nan)


def distance(premises: Premises, factor: Array, residual: Array | None) -> Certificate:
    """Certify how far the equilibrium is from a mean field.

    Args:
      premises: what is known.
      factor: by which Γ is proved to contract; infinite if it is not.
      residual: d_M(μ, Γ(μ)) with what rounding may hide of it; None: the response jumps.
    """
    if residual is None:
        return _DISTANCE.unknown("the response jumps", premises.beta)
    # what rounding of the game may move Γ by, wherever it is computed
    off = premises.beta * premises.lost * premises.resolution
    value = jnp.where(factor < 1, (residual + off) / (1 - jnp.where(factor < 1, factor, 0)), jnp.inf)
    how = f"the residual is computed again, with an allowance for rounding errors; {premises.how}"
    return _DISTANCE.certificate(value, how, holds=jnp.isfinite(value))
