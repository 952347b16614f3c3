"""A softmax that is worth what it earns."""

from typing import ClassVar

import jax.numpy as jnp

from .. import _checks
from .._simplex import log_normalize
from .._typing import Array, ArrayLike, Bool, Float
from ..kernels.base import align
from .base import AbstractTempered, Backup


class Luce(AbstractTempered):
    """π(a|s) ∝ exp(β Q(s,a)) over the available actions, V(s) = Σ_a π(a|s) Q(s,a).

    Args:
      beta: inverse temperature β > 0, in 1/reward.
    """

    beta: Float[Array, "*batch"]
    is_softmax: ClassVar[bool] = True
    rises: ClassVar[bool] = True

    def __init__(self, beta: ArrayLike):
        self.beta = _checks.scalar_in("beta", beta, 0, float("inf"), "(0, inf)")

    @property
    def prior_table(self) -> None:
        return None

    def backup(
        self, t: Array, q: Float[Array, "S A *batch"], available: Bool[Array, "S A"], band: Array | float = 0.0
    ) -> Backup:
        exists = align(available, q)
        log_policy = log_normalize(jnp.where(exists, self.beta * q, -jnp.inf), axis=1)
        policy = jnp.exp(log_policy)
        return Backup(jnp.where(exists, policy * q, 0).sum(axis=1), log_policy, policy)
