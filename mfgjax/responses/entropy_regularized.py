"""The best response under a KL penalty towards a reference policy."""

import functools
import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from .. import _checks
from .._actions import by_action, each
from .._modes import in_own_modes
from .._typing import Array, ArrayLike, Bool, Float, Scalar
from ..kernels.base import align, time_slice
from .base import AbstractTempered, Backup, canonical_policy, greedy_values, log_uniform


@in_own_modes
def soft_backup(
    q: Float[Array, "S A *batch"],
    log_reference: Float[Array, "S A *#batch"],
    beta: Float[Array, "*#batch"] | float,
) -> tuple[Float[Array, "S *batch"], Float[Array, "S A *batch"]]:
    """Back up action values under a KL penalty towards a reference policy.

        V(s)   = (1/β) log Σ_a ρ(a|s) exp(β Q(s,a))
        π(a|s) = ρ(a|s) exp(β (Q(s,a) − V(s)))

    Args:
      q: action values, in units of reward; entries of unavailable actions are ignored.
      log_reference: log ρ, normalised; −inf marks an unavailable action. Each row has a finite entry.
      beta: inverse temperature β > 0, in 1/reward. Large β is close to greedy.

    Returns:
      `(values, log_policy)`; `log_policy` is −inf exactly where `log_reference` is.

    Source: Guan et al. (2021), arXiv:2110.07469, eq. (15) and the recursion below it.
    """
    return _backup(q, log_reference, beta)[:2]


def _backup(q: Array, log_reference: Array, beta: Array | float) -> Backup:
    available = log_reference > -jnp.inf
    # only differences count: β times Q itself would be rounded at ε β |Q| instead of ε β span(Q)
    best = greedy_values(jax.lax.stop_gradient(q), available)
    q = jnp.where(available, q - best[:, None], 0)
    logits = log_reference + beta * q
    shift = jax.lax.stop_gradient(logits.max(axis=1))
    weights = jnp.exp(logits - shift[:, None])
    total = weights.sum(axis=1)
    log_normaliser = shift + jnp.log(total)
    # held together, where the compiler heeds it (on a CPU it does not): else exponentials are computed anew per use
    policy = jax.lax.optimization_barrier(weights / total[:, None])
    rough = log_normaliser / beta
    # For small β that division leaves no digit of V. For every c, V = c + log(1 + δ)/β with
    # δ = Σ ρ expm1(β(Q − c)), at the rough V of the size of ε, and there
    # ρ expm1(y) = (ρ exp(y) + ρ) tanh(y/2) = (π + ρ) tanh(y/2) loses nothing at any y
    advantage = jnp.where(available, beta * (q - rough[:, None]), 0)
    excess = ((policy + jnp.exp(log_reference)) * jnp.tanh(advantage / 2)).sum(axis=1)
    return Backup(best + (rough + excess / beta), logits - log_normaliser[:, None], policy)


_LOG2E = 1 / math.log(2)


class EntropyRegularized(AbstractTempered):
    """The soft best response: it maximises rewards minus KL(π‖ρ)/β, where ρ is a reference policy.

    Args:
      beta: inverse temperature β > 0, in 1/reward. β → 0 plays the reference, β → ∞ a greedy policy.
      reference: ρ(a|s) as `[S, A]` or `[H+1, S, A]`, positive exactly on the available actions, rows
        summing to 1. None: uniform over the available actions. A gradient with respect to it is that
        of the normalised rows.
      log_reference: log ρ instead of `reference`, up to a constant in each row; −inf marks an unavailable action.

    Raises:
      ValueError: naming the entry that is out of range.

    Example:
      >>> import mfgjax as mfg
      >>> response = mfg.EntropyRegularized(beta=2.0, reference=[[0.9, 0.1], [0.5, 0.5], [0.5, 0.5]])
      >>> f"{mfg.solve(mfg.games.left_right(), response).policy[0, 0, 0]:.2f}"
      '0.80'

    Source: Guan et al. (2021), arXiv:2110.07469, eq. (15).
    """

    beta: Float[Array, "*batch"]
    log_reference: Float[Array, "#T S A *batch"] | None
    maximises: ClassVar[bool] = True
    is_softmax: ClassVar[bool] = True
    # V = (1/β) log Σ exp(βQ) has increasing differences, too: sums keep log-supermodularity (Ahlswede, Daykin 1978)
    rises: ClassVar[bool] = True
    prior_name: ClassVar[str] = "reference"
    prior_field: ClassVar[str | None] = "log_reference"

    def __init__(self, beta: ArrayLike, reference: ArrayLike | None = None, *, log_reference: ArrayLike | None = None):
        self.beta = _checks.scalar_in("beta", beta, 0, float("inf"), "(0, inf)")
        self.log_reference = canonical_policy(reference, log_reference, "reference")

    @property
    def prior_table(self) -> Float[Array, "#T S A *#batch"] | None:
        return self.log_reference

    def penalty(self, available: Bool[Array, "#T S A"], dtype: jnp.dtype) -> tuple[Array, Array]:
        return self.beta.astype(dtype), self.log_prior(available, dtype)

    def backup(
        self, t: Scalar, q: Float[Array, "S A *batch"], available: Bool[Array, "S A"], band: Array | float = 0.0
    ) -> Backup:
        return _backup(q, align(self._log_reference(t, q, available), q), self.beta)

    def act(
        self,
        t: Scalar,
        reward: Float[Array, "S #A *#batch"],
        ahead: Float[Array, "S A *batch"],
        available: Bool[Array, "S A"],
        band: Array | float = 0.0,
    ) -> tuple[Float[Array, "S *batch"], Float[Array, "S A *batch"]]:
        # What is carried back is β V / log 2, less a constant: without a division by β no digit is lost at small
        # β, and powers of 2 are cheaper than those of e
        log_reference = align(self._log_reference(t, ahead, available), ahead)
        pay, same = self.beta * _LOG2E * reward, reward.shape[1] == 1
        logs, values = by_action(log_reference), by_action(ahead)
        if not same:
            values = each(jnp.add, by_action(jnp.broadcast_to(pay, log_reference.shape[:2] + pay.shape[2:])), values)
        # what stands at an unavailable action is ignored, also if it is not finite
        logits = each(lambda log, x: jnp.where(log > -jnp.inf, log * _LOG2E + x, -jnp.inf), logs, values)
        shift = jax.lax.stop_gradient(functools.reduce(jnp.maximum, (x.max(axis=1) for x in logits)))
        weights = each(lambda x: jnp.exp2(x - shift[:, None]), logits)
        sum_of_weights = functools.reduce(jnp.add, (x.sum(axis=1) for x in weights))
        inverse = 1 / sum_of_weights
        carried = shift + jnp.log2(sum_of_weights)
        if same:  # what all actions earn alike moves the value, not the policy
            carried = carried + pay[:, 0]
        policy = jnp.concatenate(each(lambda weight: weight * inverse[:, None], weights), axis=1)
        # any of the values would do; a maximum over many states makes XLA compute their logarithms twice, and slowly
        origin = carried[0] if carried.ndim == 1 else carried.max(axis=0)
        return carried - jax.lax.stop_gradient(origin), policy

    def _log_reference(self, t: Scalar, like: Array, available: Array) -> Array:
        return log_uniform(available, like.dtype) if self.log_reference is None else time_slice(self.log_reference, t)
