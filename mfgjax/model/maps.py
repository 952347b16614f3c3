"""The maps of a game: best response, propagation, their composition, and values."""

from typing import NamedTuple

import jax.numpy as jnp

from .. import _simplex
from .._typing import Array, Float, Scalar
from ..kernels.base import align
from ..operators import backward, evaluate, forward, policies
from ..responses import AbstractResponse, EntropyRegularized, Greedy
from .finite_horizon import FiniteHorizonGame
from .lanes import LaneGame


class BestResponse(NamedTuple):
    """What `respond` returns: policy, its log, the values and the action values behind it."""

    policy: Float[Array, "T S A"]
    log_policy: Float[Array, "T S A"]
    values: Float[Array, "T S"]
    q: Float[Array, "T S A"]


def respond(game: FiniteHorizonGame | LaneGame, mean_field: Array, response: AbstractResponse) -> BestResponse:
    """Compute how an agent acts against a given mean field (B_opt).

        Q_t(s,a) = R_t(s,a,μ_t) + γ Σ_s' P_t(s'|s,a,μ_t) V_{t+1}(s'),   Q_H = R_H
        Greedy:              V = max_a Q,                           π on a maximiser            (12)
        EntropyRegularized:  V = (1/β) log Σ_a ρ exp(βQ),           π = ρ exp(β(Q − V))         (15)
        Boltzmann:           V = max_a Q,                           π ∝ prior exp(βQ)

    Args:
      game: the game.
      mean_field: what payoffs see, `[H+1, S]` (or `[H+1, S, A]` if the game observes the joint law).
      response: how the agent acts.

    Returns:
      `BestResponse(policy, log_policy, values, q)`; values in units of reward.

    Source: Guan et al. (2021), arXiv:2110.07469, eqs. (11), (12), (15).
    """
    terminal = jnp.zeros_like(game.initial)
    backup, q = backward(
        game.kernel_at, game.reward_at, game.available_at, response, mean_field, game.discount, terminal
    )
    return BestResponse(backup.policy, backup.log_policy, backup.values, q)


def best_policy(game: FiniteHorizonGame | LaneGame, mean_field: Array, response: AbstractResponse) -> Array:
    """Return the policy of `respond` alone, `[H+1, S, A]`, which costs less; equal but for rounding."""
    terminal = jnp.zeros_like(game.initial)
    return policies(game.kernel_at, game.pay_at, game.available_at, response, mean_field, game.discount, terminal)


def state_law(game: FiniteHorizonGame | LaneGame, policy: Array) -> tuple[Array, Array]:
    """Return the law of the states `[H+1, S]` under a policy, and what payoffs see of it."""
    return forward(game.kernel_at, game.observe, game.initial, policy)


def propagate(game: FiniteHorizonGame | LaneGame, policy: Float[Array, "T S A *batch"]) -> Array:
    """Compute the mean field of a population that follows a policy (B_prop).

        μ_{t+1}(s') = Σ_{s,a} μ_t(s) π_t(a|s) P_t(s'|s,a,μ_t)

    A kernel that depends on the mean field sees the flow that is being computed.

    Args:
      game: the game.
      policy: `[H+1, S, A]`.

    Returns:
      The flow `[H+1, S]`, or the joint laws μ_t(s)π_t(a|s), `[H+1, S, A]`, if the game observes those.

    Source: Guan et al. (2021), arXiv:2110.07469, eqs. (9), (13).
    """
    return state_law(game, policy)[1]


def mean_field_map(game: FiniteHorizonGame | LaneGame, response: AbstractResponse):
    """Return Γ = B_prop ∘ B_opt, whose fixed points are the equilibria.

    Args:
      game: the game.
      response: how agents act; Γ_β of the paper for `EntropyRegularized`, Γ for `Greedy`.

    Returns:
      A pure function from mean field to mean field.

    Source: Guan et al. (2021), arXiv:2110.07469, eq. (16) and section III-A.
    """

    def gamma(mean_field: Array) -> Array:
        return propagate(game, best_policy(game, mean_field, response))

    return gamma


def _penalty(game: FiniteHorizonGame, response: AbstractResponse | None, name: str) -> tuple[Array, Array] | None:
    """Return what the KL criterion of a response needs; None for an unregularised one."""
    if response is None or isinstance(response, Greedy):
        return None
    if isinstance(response, EntropyRegularized):
        return response.beta.astype(game.dtype), response.log_prior(game.available, game.dtype)
    kind = type(response).__name__
    raise ValueError(
        f"`{name}(..., response={kind}(...))`: {kind} policies maximise no criterion, so there is none to compute. "
        "Use `response=None` (unregularised) or an `EntropyRegularized` response."
    )


def policy_value(
    game: FiniteHorizonGame, policy: Array, mean_field: Array, response: AbstractResponse | None = None
) -> Scalar:
    """Compute the expected reward of one agent's policy against a given mean field.

        J_μ(π)    = E Σ_t γ^t R_t(s_t,a_t,μ_t)                                            (11)
        J_μ^KL(π) = E Σ_t γ^t (R_t(s_t,a_t,μ_t) − (1/β) log π_t(a_t|s_t)/ρ_t(a_t|s_t))

    Args:
      game: the game.
      policy: the agent's, `[H+1, S, A]`.
      mean_field: the population's; it need not come from `policy`.
      response: None or `Greedy` for J, `EntropyRegularized` for J^KL.

    Returns:
      A number in units of reward.

    Raises:
      ValueError: for a response without a criterion (`Boltzmann`).

    Source: Guan et al. (2021), arXiv:2110.07469, eq. (11) and the display before section IV-A.
    """
    penalty = _penalty(game, response, "policy_value")
    values, _ = evaluate(
        game.kernel_at,
        game.reward_at,
        mean_field,
        _simplex.safe_log(policy),
        game.discount,
        jnp.zeros_like(game.initial),
        penalty,
    )
    return (game.initial * values[0]).sum()


def exploitability(game: FiniteHorizonGame, policy: Array, response: AbstractResponse | None = None) -> Scalar:
    """Compute how much one agent gains by leaving a policy that all others follow.

        E(π) = max_π' J_μ(π') − J_μ(π),   μ = B_prop(π)

    It is summed without cancellation, by the performance-difference identity: with V*, Q*, π* the best
    response to μ, E(π) = Σ_t γ^t Σ_{s} μ_t(s) (V*_t(s) − Σ_a π_t(a|s) Q*_t(s,a)), and in the regularised
    case E(π) = Σ_t γ^t Σ_s μ_t(s) KL(π_t(·|s) ‖ π*_t(·|s))/β. No term is negative.

    Args:
      game: the game.
      policy: `[H+1, S, A]`.
      response: None or `Greedy` for the unregularised gain, `EntropyRegularized` for that in J^KL.

    Returns:
      A number ≥ 0 in units of reward; 0 exactly at an equilibrium.

    Raises:
      ValueError: for a response without a criterion (`Boltzmann`).

    Source: Guan et al. (2021), arXiv:2110.07469, definition 3 and eq. (14), with the gain of eq. (8).
    """
    penalty = _penalty(game, response, "exploitability")
    mu, seen = state_law(game, policy)
    best = respond(game, seen, Greedy() if penalty is None else response or Greedy())
    return gain(game, mu, _simplex.safe_log(policy), best, penalty)


def gain(
    game: FiniteHorizonGame | LaneGame,
    mu: Array,
    log_policy: Array,
    best: BestResponse,
    penalty: tuple[Array, Array] | None,
) -> Scalar:
    """Return the exploitability of a policy whose law of states is `mu`, given the best response to it."""
    policy = jnp.exp(log_policy)
    if penalty is None:
        lost = jnp.where(policy > 0, policy * (best.values[:, :, None] - best.q), 0)
    else:
        beta, _ = penalty
        # KL as Σ (π log(π/π*) − π + π*): no term is negative but by rounding
        ratio = _simplex.log_ratio(log_policy, best.log_policy)
        lost = jnp.maximum(policy * ratio - policy + best.policy, 0) / beta
    by_time = (mu * lost.sum(axis=2)).sum(axis=1)
    weight = game.discount ** align(jnp.arange(game.horizon + 1), by_time)
    return (weight * by_time).sum(axis=0)


def flow_distance(first: Array, second: Array) -> Scalar:
    """Return the distance of two mean fields, d_M = max_t d_TV(μ_t, μ'_t).

    Args:
      first: `[T, S]`, or `[T, S, A]` for joint laws.
      second: the same.

    Source: Guan et al. (2021), arXiv:2110.07469, section II-d.
    """
    return _simplex.total_variation(first, second, axis=tuple(range(1, first.ndim))).max()


def seen_distance(game: FiniteHorizonGame | LaneGame, first: Array, second: Array) -> Array:
    """Return `flow_distance` of two mean fields of a game, or of every lane of many."""
    axes = tuple(range(1, 1 + game.num_seen_axes))
    return _simplex.total_variation(first, second, axis=axes).max(axis=0)


def policy_distance(first: Float[Array, "T S A"], second: Float[Array, "T S A"]) -> Scalar:
    """Return the distance of two policies, d_Π = max_t max_s d_TV(π_t(·|s), π'_t(·|s)).

    Args:
      first: `[T, S, A]`.
      second: the same.

    Source: Guan et al. (2021), arXiv:2110.07469, section II-d.
    """
    return _simplex.total_variation(first, second, axis=-1).max()
