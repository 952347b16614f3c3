"""Evaluation of a policy against a given mean field."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._simplex import log_ratio
from .._typing import Array, Scalar
from ..kernels import AbstractKernel


def evaluate(
    kernel_at: Callable[[Scalar, Array], AbstractKernel],
    reward_at: Callable[[Scalar, Array], Array],
    mean_field: Array,
    log_policy: Array,
    discount: Array,
    terminal: Array,
    penalty: tuple[Array, Array] | None = None,
) -> tuple[Array, Array]:
    """Return `(values [T,S], q [T,S,A])` of a policy in the decision problem that a mean field induces.

        Q_t(s,a) = R_t(s,a,μ_t) + γ Σ_s' P_t(s'|s,a,μ_t) V_{t+1}(s')
        V_t(s)   = Σ_a π_t(a|s) (Q_t(s,a) − (1/β) log π_t(a|s)/ρ_t(a|s))

    `penalty` is `(beta, log_reference [T,S,A])`; None leaves the KL term out.
    """
    mean_field = jnp.asarray(mean_field)  # a NumPy array cannot be indexed by a traced time
    horizon = mean_field.shape[0] - 1

    def step(next_values, xs):
        t, seen, log_pi, cost = xs
        move = jnp.minimum(t, horizon - 1)
        kernel = kernel_at(move, mean_field[move])
        q = reward_at(t, seen) + discount * kernel.expect(next_values)
        pi = jnp.exp(log_pi)
        # q need not be finite where nobody acts: 0 times inf is NaN
        values = (pi * (jnp.where(pi > 0, q, 0) - cost)).sum(axis=1)
        return values, (values, q)

    if penalty is None:
        cost = jnp.zeros_like(log_policy)  # zeros instead of None: one scan serves both cases
    else:
        beta, log_reference = penalty
        cost = log_ratio(log_policy, jnp.broadcast_to(log_reference, log_policy.shape)) / beta
    times = jnp.arange(horizon + 1, dtype=jnp.int32)
    _, outputs = jax.lax.scan(step, terminal, (times, mean_field, log_policy, cost), reverse=True)
    return outputs
