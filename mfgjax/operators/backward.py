"""Backward induction against a given mean field."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._actions import by_action, each
from .._typing import Array, Scalar
from ..kernels import AbstractKernel
from ..responses import AbstractResponse
from ..responses.base import Backup


def backward(
    kernel_at: Callable[[Scalar, Array], AbstractKernel],
    reward_at: Callable[[Scalar, Array], Array],
    available_at: Callable[[Scalar], Array],
    response: AbstractResponse,
    mean_field: Array,
    discount: Array,
    terminal: Array,
) -> tuple[Backup, Array]:
    """Return `(values [T,S], log_policy [T,S,A], policy [T,S,A])` of the response to a mean field, and q [T,S,A].

        Q_t(s,a) = R_t(s,a,μ_t) + γ Σ_s' P_t(s'|s,a,μ_t) V_{t+1}(s'),   V_{H+1} = 0
        (V_t, π_t) = response(Q_t)

    `terminal` is V_{H+1}: zeros, in the shape of the values of one time (batch axes included).
    """
    mean_field = jnp.asarray(mean_field)  # a NumPy array cannot be indexed by a traced time
    horizon = mean_field.shape[0] - 1

    def step(carry, xs):
        (next_values, error), (t, seen) = carry, xs
        # nothing follows H: its values are zero, so any kernel will do there
        move = jnp.minimum(t, horizon - 1)
        kernel = kernel_at(move, mean_field[move])
        q = reward_at(t, seen) + discount * kernel.expect(next_values)
        error = response.rounding_of_step(q, available_at(t), discount * error)
        backup = response.backup(t, q, available_at(t), 2 * error)  # two values are compared, each off by `error`
        return (backup.values, error), (backup, q)

    times = jnp.arange(horizon + 1, dtype=jnp.int32)  # int32 also under x64: one type of t for the functions of users
    _, outputs = jax.lax.scan(step, (terminal, jnp.zeros_like(terminal[0])), (times, mean_field), reverse=True)
    return outputs


def policies(
    kernel_at: Callable[[Scalar, Array], AbstractKernel],
    reward_at: Callable[[Scalar, Array], Array],
    available_at: Callable[[Scalar], Array],
    response: AbstractResponse,
    mean_field: Array,
    discount: Array,
    terminal: Array,
) -> Array:
    """Return the policy `[T,S,A]` alone of the response to a mean field, at the least cost.

    It equals that of `backward` but for rounding. `reward_at` may return `[S, 1]` where all actions earn the same.
    """
    mean_field = jnp.asarray(mean_field)
    horizon = mean_field.shape[0] - 1

    def step(carry, xs):
        # `carried` is what `response.act` needs of V: its unit and a constant that all states share are free
        (carried, error), (t, seen) = carry, xs
        move = jnp.minimum(t, horizon - 1)
        kernel = kernel_at(move, mean_field[move])
        # by action, so that XLA on a CPU vectorises over the states
        ahead = jnp.concatenate(each(lambda x: discount * x, by_action(kernel.expect(carried))), axis=1)
        reward = reward_at(t, seen)
        error = response.rounding_of_step(reward + ahead, available_at(t), discount * error)
        carried, policy = response.act(t, reward, ahead, available_at(t), 2 * error)
        return (carried, error), policy

    times = jnp.arange(horizon + 1, dtype=jnp.int32)
    return jax.lax.scan(step, (terminal, jnp.zeros_like(terminal[0])), (times, mean_field), reverse=True)[1]
