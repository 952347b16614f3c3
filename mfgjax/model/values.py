"""The value of a policy to one agent, and its exploitability."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from .. import _simplex
from .._modes import in_own_modes
from .._typing import Array, ArrayLike, Scalar
from ..responses import AbstractResponse, Greedy
from .arguments import mean_field_of, policy_of
from .base import BestResponse
from .maps import AnyGame, as_now, timed

_SPACINGS = 64
"""Spacings of numbers, at the size of the values, by which an exploitability may be off by rounding."""


def criterion_of(game: AnyGame, response: AbstractResponse | None, name: str) -> tuple[AbstractResponse, Any]:
    """Return the response that a policy is judged against, and β and log ρ of its KL terms (None: there are none).

    Raises:
      ValueError: for a response that maximises nothing, naming the function that was asked.
    """
    if response is None:
        return Greedy(), None
    if getattr(response, "maximises", False):  # what the class says of itself: a user's response may maximise, too
        return response, response.penalty(game.available, game.dtype)
    kind = type(response).__name__
    raise ValueError(
        f"`{name}(..., response={kind}(...))`: {kind} policies maximise no criterion that is known. "
        "Use `response=None` (unregularised) or an `EntropyRegularized` response."
    )


@in_own_modes
def policy_value(
    game: AnyGame, policy: ArrayLike, mean_field: ArrayLike, response: AbstractResponse | None = None
) -> Scalar:
    """Compute the expected reward of one agent's policy against a given mean field.

        J_μ(π)    = E Σ_t γ^t R_t(s_t,a_t,μ_t)                                            (11)
        J_μ^KL(π) = E Σ_t γ^t (R_t(s_t,a_t,μ_t) − (1/β) log π_t(a_t|s_t)/ρ_t(a_t|s_t))

    In a stationary game the sum is over all times, and the agent's first state is drawn from z: the value is Σ_s z(s)
    V_{π,z}(s).

    Args:
      game: the game.
      policy: the agent's, `[H+1, S, A]`, or `[S, A]` for all times.
      mean_field: the population's; it need not come from `policy`.
      response: None, `Greedy` or `Trembling` for J, `EntropyRegularized` for J^KL.

    Returns:
      A number in units of reward.

    Raises:
      ValueError: for a response without a criterion (`Boltzmann`).

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> eq = mfg.solve(game, response)
      >>> f"{mfg.policy_value(game, eq.policy, eq.mean_field):.2f}"
      '-0.69'

    Source: Guan et al. (2021), arXiv:2110.07469, eq. (11) and the display before section IV-A.
    """
    call = "policy_value(game, policy, mean_field, response)"
    policy = policy_of(game, policy, call)
    mean_field = mean_field_of(game, mean_field, call)
    _, penalty = criterion_of(game, response, "policy_value")
    game = as_now(game)
    (pi, seen), _ = timed(game, (policy, 2), (mean_field, game.num_seen_axes))
    # `safe_log`: derivatives are 0, not NaN, where the policy is 0
    values, _ = game.evaluated(seen, _simplex.safe_log(pi), penalty)
    return (game.agent_start(seen) * values[0]).sum(axis=0)


@in_own_modes
def exploitability(
    game: AnyGame, policy: ArrayLike, response: AbstractResponse | None = None, *, mean_field: ArrayLike | None = None
) -> Scalar:
    """Compute how much one agent gains by leaving a policy that all others follow.

        E(π) = max_π' J_μ(π') − J_μ(π),   μ the flow that π generates (`propagate`), J as in `policy_value`

    The sum is computed without cancellation, by the performance-difference identity. With V*, Q*, π* the best response
    to μ, E(π) = Σ_t γ^t Σ_{s} μ_t(s) (V*_t(s) − Σ_a π_t(a|s) Q*_t(s,a)), and in the regularised case E(π) = Σ_t γ^t Σ_s
    μ_t(s) KL(π_t(·|s) ‖ π*_t(·|s))/β. A sum over actions can be negative only because of rounding; then it is replaced
    by 0.

    In a stationary game the population stays at z = `mean_field`, and the agent's first state is drawn from z. With d
    the discounted law of the agent's states under π, E(π) = Σ_s z(s) (V*_z(s) − V_{π,z}(s)) = Σ_s d(s) (V*_z(s) − Σ_a π
    Q*_z)/(1−γ).

    Args:
      game: the game.
      policy: `[H+1, S, A]`, or `[S, A]` for all times.
      response: None or `Greedy` for the unregularised gain, `Trembling` for the gain within Π^ε, the policies that
        `Trembling` allows (for a policy in Π^ε, or a mixture of such policies), `EntropyRegularized` for the gain in
        J^KL.
      mean_field: only for a stationary game: z, `[S]`. None: the stationary law that a population reaches if it starts
        from `initial` and follows the policy; the result is NaN if no stationary law was reached.

    Returns:
      A number ≥ 0 in units of reward; it is 0 exactly at an equilibrium. With `Trembling` it is below 0 only for a
      policy that is not in Π^ε.

    Raises:
      ValueError: for a response without a criterion (`Boltzmann`).

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> game = mfg.games.left_right()
      >>> float(mfg.exploitability(game, np.full((2, 3, 2), 0.5)))  # half go right, where it pays less
      0.25

    Source: Guan et al. (2021), arXiv:2110.07469, definition 3 and eq. (14), with the gain of eq. (8).
    """
    policy = policy_of(game, policy, "exploitability(game, policy, response)")
    criterion, penalty = criterion_of(game, response, "exploitability")
    game = as_now(game)
    if mean_field is None:
        (pi,), _ = timed(game, (policy, 2))
        mu, seen = game.generated(pi)
        gained = gain(game, mu, _simplex.safe_log(pi), game.best_response(seen, criterion), penalty)
        # no stationary mean field, so nothing to judge the policy in
        return jnp.where(game.is_moving(seen, pi), jnp.nan, gained)
    if not game.is_stationary:
        raise ValueError("`mean_field` is for stationary games: with a finite horizon the policy generates it.")
    mean_field = mean_field_of(game, mean_field, "exploitability(game, policy, response, mean_field=...)")
    (pi, seen), _ = timed(game, (policy, 2), (mean_field, game.num_seen_axes))
    mu, seen = game.judged_in(seen, pi)  # an agent that leaves is one of many: the population stays where it is
    return gain(game, mu, _simplex.safe_log(pi), game.best_response(seen, criterion), penalty)


def gain(
    game: AnyGame,
    mu: Array,
    log_policy: Array,
    best: BestResponse,
    penalty: tuple[Array, Array] | None,
) -> Array:
    """Return the exploitability of a policy whose law of states is `mu`, given the best response to it.

    In a stationary game `mu` is the discounted law of an agent's states, which is z where z is stationary.
    """

    def total(losses: Array) -> Array:
        return game.discounted((mu * losses.sum(axis=2)).sum(axis=1))

    if penalty is not None:
        beta, _ = penalty
        return total(_divergence_terms(log_policy, best) / beta)
    policy = jnp.exp(log_policy)
    # q may be anything where an action does not exist
    gained = total(jnp.where(policy > 0, policy * (best.values[:, :, None] - best.q), 0))
    scale = total(jnp.where(policy > 0, policy * (jnp.abs(best.values[:, :, None]) + jnp.abs(best.q)), 0))
    # terms of both signs add up for trembling hands; what is far below 0 is no rounding, and NaN is not below
    rounds = (gained < 0) & (gained >= -_SPACINGS * jnp.finfo(gained.dtype).eps * scale)
    return gained + jnp.where(rounds, jax.lax.stop_gradient(-gained), 0)


_NEAR = 0.1
"""|log(π/π*)| below which a term of KL is summed as a series."""


def _divergence_terms(log_policy: Array, best: BestResponse) -> Array:
    """Return π log(π/π*) − π + π* for each action: the terms of KL(π ‖ π*), none of which is negative.

    With x = log(π/π*) they are π (x − 1 + e^(−x)), for small x by the series π x² (1/2! − x/3! + x²/4! − …): small
    numbers, not what is left of large ones, which dividing by a small β would make into rewards.
    """
    policy = jnp.exp(log_policy)
    x = _simplex.log_ratio(log_policy, best.log_policy)
    is_near = (jnp.abs(x) < _NEAR) & (policy > 0)  # x counts as 0 where the policy is 0
    small = jnp.where(is_near, x, 0)
    series = jnp.zeros_like(x)
    for k in range(10, 1, -1):  # 0.1^9/11! is 3e-17: what is left out is below rounding
        series = 1 / math.factorial(k) - small * series
    far = jnp.maximum(policy * jnp.where(is_near, 0, x) - policy + best.policy, 0)
    return jnp.where(is_near, policy * small**2 * series, far)
