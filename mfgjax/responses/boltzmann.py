"""The softmax of the greedy action values."""

from typing import ClassVar

import jax.numpy as jnp

from .. import _checks
from .._simplex import log_normalize
from .._typing import Array, ArrayLike, Bool, Float, Scalar
from ..kernels.base import align, time_slice
from .base import AbstractTempered, Backup, canonical_policy, greedy_values, log_uniform


class Boltzmann(AbstractTempered):
    """The softmax of the *greedy* action values; other codes call it a Boltzmann policy.

        V(s)   = max_a Q(s,a)
        π(a|s) ∝ prior(a|s) exp(β Q(s,a))

    It differs from `EntropyRegularized`: the values in the backward induction ignore the temperature. So the policy
    does not maximise a regularised criterion, and has no regularised exploitability.

    Args:
      beta: inverse temperature β > 0, in 1/reward.
      prior: as `[S, A]` or `[H+1, S, A]`, positive exactly on the available actions, rows summing to 1.
        None: uniform over the available actions.
      log_prior: the log of the prior instead of `prior`, up to a constant in each row.

    Raises:
      ValueError: naming the entry that is out of range.

    Example:
      >>> import mfgjax as mfg
      >>> eq = mfg.solve(mfg.games.left_right(), mfg.Boltzmann(beta=1.0))
      >>> f"{eq.policy[0, 0, 0]:.2f}"
      '0.57'

    Source: Cui and Koeppl (2021), arXiv:2102.01585, section 4 ("Boltzmann" there); MFGLib.
    """

    beta: Float[Array, "*batch"]
    log_weights: Float[Array, "#T S A *batch"] | None
    is_softmax: ClassVar[bool] = True
    rises: ClassVar[bool] = True
    prior_field: ClassVar[str | None] = "log_weights"

    def __init__(self, beta: ArrayLike, prior: ArrayLike | None = None, *, log_prior: ArrayLike | None = None):
        self.beta = _checks.scalar_in("beta", beta, 0, float("inf"), "(0, inf)")
        self.log_weights = canonical_policy(prior, log_prior, "prior")

    @property
    def prior_table(self) -> Float[Array, "#T S A *#batch"] | None:
        return self.log_weights

    def backup(
        self, t: Scalar, q: Float[Array, "S A *batch"], available: Bool[Array, "S A"], band: Array | float = 0.0
    ) -> Backup:
        # not those of the policy: that is what sets it apart from `EntropyRegularized`
        values = greedy_values(q, available)
        # differences first: β Q itself would be rounded at ε β |Q|; 0 where q may be anything
        advantage = self.beta * jnp.where(align(available, q), q - values[:, None], 0)
        log_prior = log_uniform(available, q.dtype) if self.log_weights is None else time_slice(self.log_weights, t)
        log_policy = log_normalize(align(log_prior, q) + advantage, axis=1)
        return Backup(values, log_policy, jnp.exp(log_policy))
