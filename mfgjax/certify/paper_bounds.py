"""Theorem 1 of Guan et al., with every factor, in logarithms: the numbers overflow otherwise."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._display import shows_itself
from .._typing import Array
from .certificate import GUAN, Certificate, Theorem
from .contraction import CONTRACTS, AgainstContraction, rounding_counts
from .paths import availability
from .premises import Premises

_LOG10 = np.log(10)
_PRINTED = Theorem(
    "paper_printed",
    CONTRACTS,
    "K_prop K_opt of Theorem 1 as printed, which bounds nothing",
    "K_prop K_opt < 1 with K_prop = |S|(|S|^H-1)/(|S|-1), K_opt = |A|(|A|-1) β (ρ_max/ρ_min)² K_Q / 2, K_Q of Lemma 3",
    f"{GUAN}, Theorem 1 with Lemmas 2-4",
    "pairwise rewards Θ_t(Σ L_t μ), a kernel that does not depend on the mean field, an EntropyRegularized response",
)
_MEANT = _PRINTED._replace(name="paper_meant", meaning="K_prop K_opt of Theorem 1 as it must have been meant")


@shows_itself
class PaperBound(eqx.Module):
    """The factors of Theorem 1 at one β = β_max, as decimal logarithms, and the largest β it admits.

        K_prop = |S| (|S|^H − 1) / (|S| − 1)                                     (18)
        K_opt  = |A| (|A| − 1) β ρ_max² K_Q / (2 ρ_min²)                         (19)
        printed:  K_Q,t = 2 K_Θ L_max + (ρ_max/ρ_min) exp(2 β_max (H+1) R_max K_Q,t+1)      (Lemma 3)
        meant:    K_Q,t = 2 K_Θ L_max + (ρ_max/ρ_min) exp(2 β_max (H+1) R_max) K_Q,t+1

    with K_Q = max_t K_Q,t and K_Q,H = 2 K_Θ L_max. As printed, K_Q,t+1 stands in the exponent. That is no bound: with
    Θ(x) = x, L(s,a,s') = 1{s'=1} at all times, a uniform ρ and β_max → 0 the recursion stays at 3, but action values at
    time 0 differ by H between flows that share μ_0 and are apart afterwards.

    Attributes:
      log10_propagation: of K_prop.
      log10_action_values: of K_Q.
      log10_policy: of K_opt.
      log10_factor: of K_prop K_opt, below 0 for a contraction.
      log10_threshold: of the largest β for which that is so, with β_max = β.
    """

    log10_propagation: Array
    log10_action_values: Array
    log10_policy: Array
    log10_factor: Array
    log10_threshold: Array


def theorem_1(premises: Premises, against: AgainstContraction) -> list[tuple[Certificate, PaperBound | None]]:
    """Certify a contraction by Theorem 1, as printed and as meant, each with its factors if it applies.

    As printed it proves nothing: see `PaperBound`. `against` is what speaks against a contraction, whatever a bound
    says.
    """
    why = premises.why_not() or _outside(premises)
    if why:
        return [(theorem.unknown(why, premises.beta), None) for theorem in (_PRINTED, _MEANT)]
    lines, how = [], f"computed in logarithms; {premises.how}"
    for theorem in (_PRINTED, _MEANT):
        bound = _less_rounding(premises, _paper_bound(premises, printed=theorem is _PRINTED))
        with_rounding = 10**bound.log10_factor + premises.beta * premises.lost
        holds, checked = (with_rounding < premises.below_one) & ~jnp.asarray(against.doubts), how
        if theorem is _PRINTED:
            holds = jnp.zeros_like(holds)
            checked = (
                "for comparison only: the paper prints K_Q,t+1 inside an exponential, which gives no valid "
                f"bound; {how}"
            )
        value, threshold = 10**bound.log10_factor, 10**bound.log10_threshold  # ∞ or 0 where floats end
        line = theorem.certificate(value, checked, holds=holds, fails=against.refutes, threshold=threshold)
        lines.append((line, bound))
    return lines


def _outside(premises: Premises) -> str:
    """Say why Theorem 1 does not apply to a game, beyond the premises of all theorems on contraction."""
    why = [] if premises.game.observes == "states" else ["payoffs see the joint law"]
    if premises.payoffs is not None and premises.payoffs.pairwise is None:
        why.append("the reward is not of the pairwise class, or its constants were given")
    return "; ".join(why)


def _paper_bound(premises: Premises, *, printed: bool) -> PaperBound:
    """Compute the factors for a pairwise reward, a decoupled kernel and a reference policy.

    ρ_min and ρ_max are over available actions, |A| is the number of actions that any state has at most. A discount
    only shrinks the terms, so it is left out.
    """
    game, response = premises.game, premises.response
    constants = None if premises.payoffs is None else premises.payoffs.pairwise
    assert constants is not None
    S, H, dtype = game.num_states, game.horizon, game.dtype
    available = availability(game)
    logs = jnp.broadcast_to(response.log_prior(game.available, dtype), available.shape)  # −inf if unavailable
    log_ratio = jnp.where(available, logs, -jnp.inf).max() - jnp.where(available, logs, jnp.inf).min()
    log_own = jnp.log(2 * constants.theta * constants.interaction)
    log_propagation = jnp.asarray(_log_propagation(S, H), dtype)
    most_actions = available.sum(axis=2).max().astype(dtype)
    log_softmax = jnp.log(most_actions * (most_actions - 1) / 2) + 2 * log_ratio

    def log_action_values(log_beta: Array) -> Array:
        rate = 2 * jnp.exp(log_beta) * (H + 1) * constants.reward

        def step(later: Array, _: None) -> tuple[Array, Array]:
            exponent = log_ratio + (rate * jnp.exp(later) if printed else rate + later)
            here = jnp.logaddexp(log_own, exponent)
            return here, here

        return jnp.maximum(jax.lax.scan(step, log_own, None, length=H)[1].max(), log_own)  # K_Q,H is log_own

    def log_factor(log_beta: Array) -> Array:
        return log_propagation + log_softmax + log_beta + log_action_values(log_beta)

    log_beta = jnp.log(premises.beta)
    log_q = log_action_values(log_beta)
    threshold = _largest(log_factor, dtype)
    # payoffs that ignore the crowd, or nobody with a choice: a contraction at every β
    threshold = jnp.where(jnp.isneginf(log_own) | (most_actions < 2), jnp.inf, threshold)
    log_policy = log_softmax + log_beta + log_q
    logs = (log_propagation, log_q, log_policy, log_propagation + log_policy, threshold)
    return PaperBound(*(log / _LOG10 for log in logs))


def _less_rounding(premises: Premises, bound: PaperBound) -> PaperBound:
    """Return a bound whose threshold allows for what rounding of the rewards adds to the factor."""
    # the factor is convex in β, so the one of a smaller β is at most that share of 1
    per_beta = 10**-bound.log10_threshold
    threshold = -jnp.log10(per_beta + premises.lost)
    threshold = jnp.where(rounding_counts(premises, per_beta), threshold, bound.log10_threshold)
    return eqx.tree_at(lambda x: x.log10_threshold, bound, threshold)


def _log_propagation(S: int, H: int) -> float:
    """Return log(S (S^H − 1)/(S − 1)), its limit H for one state."""
    if S == 1:
        return float(np.log(H))  # every term of Σ S^k is 1
    # S^H overflows, so it is taken out of S^H − 1
    return float(H * np.log(S) + np.log1p(-np.exp(-H * np.log(S))) + np.log(S) - np.log(S - 1))


def _largest(log_factor: Callable[[Array], Array], dtype: jnp.dtype) -> Array:
    """Return log of the β at which an increasing factor reaches 1, by bisection."""

    def halve(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        below = log_factor(middle) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    ends = jnp.asarray(-1e5, dtype), jnp.asarray(1e3, dtype)  # log β: as printed, β may be far below any float
    return jax.lax.fori_loop(0, 80, halve, ends)[0]
