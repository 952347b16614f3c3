"""The reference policy under which a given policy, or a given flow, is an equilibrium."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._display import shows_itself
from .._modes import in_own_modes
from .._simplex import log_normalize, safe_log
from .._typing import Array, ArrayLike, Float
from ..model import FiniteHorizonGame, mean_field_map, of_kind, trace_game
from ..responses import EntropyRegularized
from .effort import least_effort_policy


@shows_itself
class InverseReference(eqx.Module):
    """The result of `inverse_reference`: a reference policy, and the equilibrium for which it was computed.

    Attributes:
      log_reference: log ρ_t(a|s), `[T, S, A]`, −inf where an action is not available.
      policy: the policy that is an equilibrium under this reference.
      mean_field: the mean field of the population that follows `policy`.
      residual: max_t d_TV(μ_t, Γ(μ)_t), zero up to rounding.
    """

    log_reference: Float[Array, "T S A"]
    policy: Float[Array, "T S A"]
    mean_field: Array
    residual: Float[Array, ""]

    @property
    def reference(self) -> Float[Array, "T S A"]:
        """Return ρ itself. Entries of the size exp(−β span Q) may be rounded to zero: prefer `log_reference`."""
        return jnp.exp(self.log_reference)


@in_own_modes
def inverse_reference(
    game: FiniteHorizonGame, target: ArrayLike, beta: ArrayLike, *, prior: ArrayLike | None = None
) -> InverseReference:
    """Find the reference policy under which a policy is a regularised equilibrium, in closed form.

    With μ the flow of the policy π, backward in time from V_{H+1} = 0,

        Q_t(s,a) = R_t(s,a,μ_t) + γ Σ_s' P_t(s'|s,a,μ_t) V_{t+1}(s')
        V_t(s)   = −(1/β) log Σ_a π_t(a|s) exp(−β Q_t(s,a))
        ρ_t(a|s) = π_t(a|s) exp(−β (Q_t(s,a) − V_t(s)))

    Then Σ_a ρ = 1 and (1/β) log Σ_a ρ exp(βQ) = V, so π is the response to μ under ρ, and this ρ is the only one with
    that property. Under ρ there may be other equilibria, too, and a solver may find one of those.

    Args:
      game: a game with a finite horizon, whose rewards must be known completely.
      target: a policy `[T, S, A]` or `[S, A]`, positive on all available actions; or a flow of states `[T, S]`, for
        which the policy of least effort is used (see `least_effort_policy`).
      beta: inverse temperature β > 0, in 1/reward.
      prior: if `target` is a flow: the policy from which effort is measured; None: the uniform policy.

    Returns:
      An `InverseReference`; use it as `EntropyRegularized(beta, log_reference=found.log_reference)`.

    Raises:
      ValueError: naming the time, the state and the action where the policy is zero but the action available, or where
        a flow asks for a move that does not exist.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> found = mfg.design.inverse_reference(game, mfg.solve(game, response).policy, beta=1.0)
      >>> f"{found.reference[0, 0, 0]:.3f}"  # the uniform one
      '0.500'

    Source: the soft backup of Guan et al. (2021), arXiv:2110.07469, eq. (15), solved for ρ.
    """
    game = of_kind(FiniteHorizonGame, game)
    beta = _checks.scalar_in("beta", beta, 0, float("inf"), "(0, inf)")
    table = _checks.as_numbers("target", target)
    game = trace_game(game)
    T, S, A = game.horizon + 1, game.num_states, game.num_actions
    _checks.shape_is("target", table, [(T, S, A), (S, A), (T, S)], "a policy, times first or not; or a flow of states")
    if table.shape == (S, A) == (T, S):
        raise ValueError(f"`target` of shape {table.shape} may be a policy or a flow: give a policy as {(T, S, A)}.")
    if table.shape == (T, S):
        return _inverse(game, least_effort_policy(game, table, prior).log_policy, jnp.asarray(beta, game.dtype))
    if prior is not None:
        raise ValueError("`prior` is for a flow, but `target` is a policy.")
    if not _checks.is_traced((table, game.available)):  # values that are traced cannot be looked at
        _check_policy(game, np.broadcast_to(np.asarray(table), (T, S, A)))
    logs = jnp.where(game.available, safe_log(jnp.asarray(table, game.dtype)), -jnp.inf)
    logs = log_normalize(jnp.broadcast_to(logs, (T, S, A)), axis=2)
    return _inverse(game, logs, jnp.asarray(beta, game.dtype))


def _check_policy(game: FiniteHorizonGame, policy: np.ndarray) -> None:
    _checks.distribution("target", policy, leading=2)
    mask = np.broadcast_to(np.asarray(game.available), policy.shape)
    _checks.all_true("target", policy, (policy > 0) | ~mask, "the action is available, so it must be positive")
    _checks.all_true("target", policy, (policy == 0) | mask, "the action is not available, so it must be 0")


@compiled
def _inverse(game: FiniteHorizonGame, log_policy: Array, beta: Array) -> InverseReference:
    policy = jnp.exp(log_policy)
    _, seen = game.generated(policy)

    def step(later: Array, xs: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        t, now, logs = xs
        # there is no move at time H; the expectation of 0 is 0 under any kernel
        move = jnp.minimum(t, game.horizon - 1)
        q = game.reward_at(t, now) + game.discount * game.kernel_at(move, seen[move]).expect(later)
        possible = logs > -jnp.inf
        # only differences count: β Q itself would be rounded at ε β |Q|
        lowest = jnp.where(possible, q, jnp.inf).min(axis=1)
        above = jnp.where(possible, beta * (q - lowest[:, None]), 0)
        weights = jnp.where(possible, logs - above, -jnp.inf)
        total = jax.nn.logsumexp(weights, axis=1)
        return lowest - total / beta, weights - total[:, None]

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    _, log_reference = jax.lax.scan(step, jnp.zeros_like(game.initial), (times, seen, log_policy), reverse=True)
    response: Any = EntropyRegularized(beta, log_reference=log_reference)
    residual = game.distance(seen, mean_field_map(game, response)(seen))
    return InverseReference(log_reference, policy, seen, residual)
