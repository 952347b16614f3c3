"""Rewards that pair an agent with the population, and fixed tables."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, ArrayLike, Float, Int, Scalar
from ..kernels.base import time_slice


class TableReward(eqx.Module):
    """A reward that ignores the population: `table[t, s, a]` (or one table for all times)."""

    table: Float[Array, "#T S A"]

    def __call__(self, t: Scalar, mean_field: Array) -> Array:
        return time_slice(self.table, t)


class DenseInteraction(eqx.Module):
    """L_t(s,a,s') as a full table `[S, A, S]` or `[H+1, S, A, S]` (with s' a pair for a joint law)."""

    table: Array
    num_seen_axes: int = eqx.field(static=True)

    def __init__(self, table: ArrayLike, num_seen_axes: int = 1):
        L = _checks.as_numbers("reward.L", table)
        one_time = 2 + num_seen_axes
        _checks.shape_is(
            "reward.L",
            L,
            [(None,) * one_time, (None,) * (one_time + 1)],
            "states, actions, seen; or per time",
        )
        if not _checks.is_traced(L):
            _checks.finite("reward.L", L)
        self.table = L[None] if L.ndim == one_time else L
        self.num_seen_axes = num_seen_axes

    def __call__(self, t: Scalar, mean_field: Array) -> Array:
        precision = jax.lax.Precision.HIGHEST
        return jnp.tensordot(
            time_slice(self.table, t), mean_field, axes=self.num_seen_axes, precision=precision
        )


class OwnStateInteraction(eqx.Module):
    """L_t(s,a,s') = base_t(s,a) + weight_t(s,a)·1{s' = s}: only those in one's own state matter.

    Args:
      base: `[S, A]` or `[H+1, S, A]`; A may be 1 where all actions earn the same.
      weight: the same; negative for congestion.
    """

    base: Float[Array, "#T S A"]
    weight: Float[Array, "#T S A"]

    def __init__(self, base: ArrayLike, weight: ArrayLike):
        self.base, self.weight = _time_table("base", base), _time_table("weight", weight)

    def __call__(self, t: Scalar, mean_field: Array) -> Array:
        return time_slice(self.base, t) + time_slice(self.weight, t) * mean_field[:, None]


class SuccessorInteraction(eqx.Module):
    """L_t(s,a,s') = base_t(s,a) + weight_t(s,a)·1{s' = next(s,a)}: those where one's move leads matter.

    Args:
      base: `[S, A]` or `[H+1, S, A]`.
      weight: the same; negative for congestion.
      next_state: integers `[S, A]`, as in `MovesKernel`.
    """

    base: Float[Array, "#T S A"]
    weight: Float[Array, "#T S A"]
    next_state: Int[Array, "S A"]

    def __init__(self, base: ArrayLike, weight: ArrayLike, next_state: ArrayLike):
        self.base, self.weight = _time_table("base", base), _time_table("weight", weight)
        self.next_state = jnp.maximum(jnp.asarray(next_state, dtype=jnp.int32), 0)

    def __call__(self, t: Scalar, mean_field: Array) -> Array:
        return time_slice(self.base, t) + time_slice(self.weight, t) * mean_field[self.next_state]


class PairwiseReward(eqx.Module):
    """The reward of a population whose members are met in pairs.

        R_t(s,a,μ) = Θ_t(Σ_s' L_t(s,a,s') μ(s'))

    Args:
      L: the interaction: an array `[S, A, S]` or `[H+1, S, A, S]`, or a structured one that never holds
        S×S numbers: `OwnStateInteraction`, `SuccessorInteraction`, or any callable `(t, mean_field) ->
        [S, A]`.
      theta: Θ as a callable `(t, x) -> array of the shape of x`; None is the identity. What one wants to
        sweep or differentiate in it is a field of an `equinox.Module`.

    Source: Guan et al. (2021), arXiv:2110.07469, eqs. (3), (5), (10).
    """

    L: Callable[[Scalar, Array], Array]
    theta: Callable[[Scalar, Array], Array] | None = None

    def __init__(self, L: ArrayLike | Callable, theta: Callable | None = None):
        if theta is not None and not callable(theta):
            raise ValueError(f"`reward.theta` must be a callable (t, x) -> array, or None; got {theta!r}.")
        self.L = L if callable(L) else DenseInteraction(L)
        self.theta = theta

    def __call__(self, t: Scalar, mean_field: Array) -> Array:
        x = self.L(t, mean_field)
        return x if self.theta is None else self.theta(t, x)


class Power(eqx.Module):
    """Θ(x) = scale · x^exponent, for every t.

    Args:
      scale: a number.
      exponent: a whole number ≥ 1 (static: it selects code).
    """

    scale: Scalar
    exponent: int = eqx.field(static=True)

    def __init__(self, scale: ArrayLike = 1.0, exponent: int = 1):
        self.scale = _checks.scalar_in("theta.scale", scale, -float("inf"), float("inf"), "(-inf, inf)")
        self.exponent = _checks.integer_at_least("theta.exponent", exponent, 1)

    def __call__(self, t: Scalar, x: Array) -> Array:
        return self.scale * x**self.exponent


class Staged(eqx.Module):
    """Θ_t that is one function before the end, and another at the end.

    Args:
      running: `(t, x) -> array` for t < H.
      terminal: the same for t = H.
      horizon: H.
    """

    running: Callable[[Scalar, Array], Array]
    terminal: Callable[[Scalar, Array], Array]
    horizon: int = eqx.field(static=True)

    def __call__(self, t: Scalar, x: Array) -> Array:
        return jnp.where(t < self.horizon, self.running(t, x), self.terminal(t, x))


def _time_table(name: str, table: ArrayLike) -> Array:
    array = _checks.as_numbers(f"reward.L.{name}", table)
    _checks.shape_is(f"reward.L.{name}", array, [(None,) * 2, (None,) * 3], "states, actions; or per time")
    if not _checks.is_traced(array):
        _checks.finite(f"reward.L.{name}", array)
    return array[None] if array.ndim == 2 else array
