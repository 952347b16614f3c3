"""Global bounds on how much Γ_β stretches distances between mean fields.

Each bound is linear in β: a number c such that d_M(Γ(μ), Γ(μ')) ≤ β c · d_M(μ, μ') for all mean fields that share μ_0.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array, Float
from ..model import FiniteHorizonGame
from .paths import kernel_of, over_successors, reachable
from .payoffs import Payoffs
from .slopes import MOST_CONTRASTS, fitted

_MOST_PAIRS = 2**22


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


def counted(game: FiniteHorizonGame, per_time: Float[Array, " T"], nothing: float = 0) -> Float[Array, " T"]:
    """Return numbers per time with that of time 0 left out if it cannot matter: mean fields of states share μ_0."""
    return per_time.at[0].set(nothing) if game.observes == "states" else per_time


def at_most(bound: float, per_beta: Array) -> Array:
    """Return the β below which β c < bound: infinite for c = 0, NaN if c is not known or has no bound."""
    known = jnp.isfinite(per_beta)
    return jnp.where(known, jnp.where(per_beta > 0, bound / jnp.where(per_beta > 0, per_beta, 1), jnp.inf), jnp.nan)


def discounted_tails(per_time: Float[Array, " T *x"], discount: Array) -> Float[Array, " T *x"]:
    """Return S_t = Σ_{τ≥t} γ^(τ−t) o_τ."""

    def step(later: Array, own: Array) -> tuple[Array, Array]:
        here = own + discount * later
        return here, here

    return jax.lax.scan(step, jnp.zeros_like(per_time[0]), per_time, reverse=True)[1]


def largest_constants(game: FiniteHorizonGame, payoffs: Payoffs) -> Float[Array, " T"]:
    """Return K_t, the largest Lipschitz constant of R_t over available pairs."""
    constants = payoffs.slopes.constants()
    mask = jnp.broadcast_to(game.available, (game.horizon + 1, *game.available.shape[1:]))
    return jnp.where(fitted(mask, constants.shape[2]), constants, 0).max(axis=(1, 2))


def naive_chain(game: FiniteHorizonGame, payoffs: Payoffs, mixing: Float[Array, " H"]) -> Chain:
    """Compose the Lipschitz constants of the operators, each sharp by itself.

    |Q_t − Q'_t| ≤ Σ_{τ≥t} γ^(τ−t) K_τ d_M(μ,μ'), as (1/β) log Σ ρ exp(βQ) and max Q are 1-Lipschitz in the largest
    difference; d_TV(π,π') ≤ tanh(β max|Q − Q'|/2) ≤ β max|Q − Q'|/2; and d_TV(μ_{t+1},μ'_{t+1}) ≤ α (d_TV(μ_t,μ'_t) +
    max_s d_TV(π_t,π'_t)) with Dobrushin's coefficient α, so K_prop = Σ_{k=1..H} α^k, one more where the joint law of
    states and actions is observed. Neither the numbers of states and actions nor ρ enter.
    """
    tails = discounted_tails(counted(game, largest_constants(game, payoffs)), game.discount)
    powers = mixing.max() ** jnp.arange(1, game.horizon + 1)
    if game.observes == "states":
        return Chain(powers.sum(), tails[:-1].max(), 0.5)  # the decision at H moves nobody
    return Chain(1 + powers.sum(), tails.max(), 0.5)


def coupled_chain(game: FiniteHorizonGame, payoffs: Payoffs, kernel: Float[Array, " H"]) -> Array:
    """Return c of the chain for a kernel with Lipschitz constants K_P,t in the mean field.

    K_Q,t = K_t + γ (K_Q,t+1 + K_P,t span V_{t+1}), since |Σ (P − P') V| ≤ d_TV(P,P') span V and span V_t ≤
    Σ_{τ≥t} γ^(τ−t) span R_τ; and the population's own kernel moves with it: e_{t+1} ≤ e_t + β K_Q,t/2 + K_P,t e_t.
    """
    assert payoffs.value is not None
    joint = game.observes != "states"
    own = counted(game, largest_constants(game, payoffs))
    pushed = kernel if joint else kernel.at[0].set(0)
    mask = jnp.broadcast_to(game.available, (game.horizon + 1, *game.available.shape[1:]))
    mask = fitted(mask, payoffs.value.low.shape[2])
    high = jnp.where(mask, payoffs.value.high, -jnp.inf).max(axis=(1, 2))
    low = jnp.where(mask, payoffs.value.low, jnp.inf).min(axis=(1, 2))
    spans = discounted_tails(high - low, game.discount)

    def back(later: Array, xs: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        constant, push, span = xs
        # an unbounded span does no harm where the kernel does not move
        through = jnp.where(push == 0, 0, push * span)
        here = constant + game.discount * (later + through)
        return here, here

    nothing = jnp.zeros_like(own[0])
    xs = (own, jnp.append(pushed, 0), jnp.append(spans[1:], 0))
    values = jax.lax.scan(back, nothing, xs, reverse=True)[1]

    def forth(error: Array, xs: tuple[Array, Array]) -> tuple[Array, Array]:
        value, push = xs
        policy = value / 2
        seen = error + policy if joint else error
        return error + policy + push * seen, seen

    last, seen = jax.lax.scan(forth, nothing, (values, jnp.append(kernel, 0)))
    del last  # nobody moves after H
    return seen.max()


def span_sum(game: FiniteHorizonGame, spans: Float[Array, " T"], mixing: Float[Array, " H"]) -> Array:
    """Return c of the path-space bound by spans, one time after the other.

    With o_t = κ_t (`spans`), S_t = Σ_{τ≥t} γ^(τ−t) o_τ: c = (α/4) sqrt(S_0² + (1−γ²) Σ_{t≥1} S_t²), which for γ = 1 is
    (α/4) Σ_t κ_t. See `docs/mathematics.md`; α is there for laws of states, which forget a part of the path's law.
    """
    tails = discounted_tails(spans, game.discount)
    return _norm(game, tails[0], tails, mixing)


def _norm(game: FiniteHorizonGame, first: Array, tails: Float[Array, " T"], mixing: Float[Array, " H"]) -> Array:
    """Return (α/4) sqrt(S_0² + (1−γ²) Σ_{t≥1} S_t²); the action at H moves joint laws only."""
    last = game.horizon if game.observes == "states" else game.horizon + 1
    later = (1 - game.discount**2) * (tails[1:last] ** 2).sum(axis=0)
    contracted = mixing.max() if game.observes == "states" else 1
    return contracted / 4 * jnp.sqrt(first**2 + later)


def path_span(
    game: FiniteHorizonGame, payoffs: Payoffs, mixing: Float[Array, " H"], by_spans: Array
) -> tuple[Array, str]:
    """Return c of the path-space bound by feasible paths, and how they were paired.

    What one path collects beyond another between the two mean fields is bounded over *pairs* of feasible paths, by
    backward induction on pairs of states: W_t(s,u) = max over (a,b) of contrast_t((s,a),(u,b)) + γ max W_{t+1}(s',u').
    Both paths start in the same state, whose law is μ_0 whatever agents do, so the bound is a mean over it. It is
    never more than that of `span_sum`, given as `by_spans`. Where pairs are too many, twice the largest sum along one
    path stands in.
    """
    mask = jnp.broadcast_to(game.available, (game.horizon + 1, *game.available.shape[1:]))
    num_pairs = (game.num_states * game.num_actions) ** 2
    by_pairs = num_pairs <= _MOST_PAIRS and (game.horizon + 1) * payoffs.slopes.work <= MOST_CONTRASTS
    starts = game.initial > 0
    if by_pairs:
        tails = _pairs_of_paths(game, payoffs, mask)
        how = "pairs of feasible paths"
    else:
        tails = 2 * _single_paths(game, payoffs, mask)
        how = "twice the most along one feasible path, as there are too many pairs"
    # states that nobody can be in do not count
    worst = jnp.where(reachable(game), tails, 0).max(axis=1)
    by_start = _norm(game, jnp.where(starts, tails[0], 0), worst[:, None], mixing)
    return jnp.minimum((game.initial * by_start).sum(), by_spans), how


def _pairs_of_paths(game: FiniteHorizonGame, payoffs: Payoffs, mask: Array) -> Float[Array, "T S"]:
    """Return W_t(s,s)."""
    S, kinds = mask.shape[1], payoffs.slopes.shape[2]
    counts = counted(game, jnp.ones(mask.shape[0], game.dtype))

    def step(later: Array, t: Array) -> tuple[Array, Array]:
        kernel = kernel_of(game, t)
        goes_on = t < game.horizon  # nobody moves after H, where the rows of a kernel may be anything
        if kinds == 1:  # what a path collects depends on states alone

            def best(values: Array) -> Array:
                ahead = jnp.where(goes_on, over_successors(kernel, values), 0)
                return jnp.where(mask[t][..., None], ahead, -jnp.inf).max(axis=1)

            here = payoffs.slopes.contrasts(t) * counts[t] + game.discount * best(best(later).T).T
            return here, jnp.diagonal(here)
        first = over_successors(kernel, later)  # [S, A, U], the best successor of the first path
        both = over_successors(kernel, jnp.moveaxis(first, 2, 0))  # [U, B, S, A]
        contrast = payoffs.slopes.contrasts(t).reshape(S, kinds, S, kinds) * counts[t]
        total = contrast + game.discount * jnp.where(goes_on, jnp.moveaxis(both, (0, 1), (2, 3)), 0)
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
    nothing = jnp.zeros(game.num_states, game.dtype)
    return jax.lax.scan(step, nothing, (times, constants), reverse=True)[1]
