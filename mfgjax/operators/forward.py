"""Propagation of a population under a policy."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._typing import Array, Scalar
from ..kernels import AbstractKernel


def forward(
    kernel_at: Callable[[Scalar, Array], AbstractKernel],
    observe: Callable[[Scalar, Array, Array], Array],
    initial: Array,
    policy: Array,
) -> tuple[Array, Array]:
    """Return the law of states `[T,S]` and what payoffs see of it, from μ_0 under a policy `[T,S,A]`.

        m_t(s,a) = μ_t(s) π_t(a|s),   μ_{t+1}(s') = Σ_{s,a} m_t(s,a) P_t(s'|s,a,·)

    `observe(t, mu_t, m_t)` picks what the kernel sees at the place of the dot: the flow's own law.
    """
    horizon = policy.shape[0] - 1

    def step(mu, xs):
        t, pi = xs
        mass = mu[:, None] * pi
        seen = observe(t, mu, mass)  # of this very flow, so that no flow has to be known before
        kernel = kernel_at(jnp.minimum(t, horizon - 1), seen)  # the move at H is not used
        return kernel.push(mass), (mu, seen)

    times = jnp.arange(horizon + 1, dtype=jnp.int32)
    _, outputs = jax.lax.scan(step, initial, (times, policy))
    return outputs
