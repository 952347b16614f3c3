"""Bands within which action values count as equal. They are proportional to the values, so they are free of units."""

import jax
import jax.numpy as jnp

from .._typing import Array
from ..kernels.base import align

ROUNDING = 16
"""Spacings of numbers, at the size of the values, below which a change of values is taken for rounding."""

_OF_ONE_STEP = 4
"""Spacings by which r + γ Σ P v of one time may be off: reward, sum, product, rows that sum to 1 but for rounding."""


def spacings(values: Array) -> float:
    """Return how many spacings count as rounding in a fixed point: more where sums go over many states."""
    return ROUNDING * _of_sums(values)


def tie_band(q: Array, available: Array) -> Array:
    """Return the difference up to which action values of a stationary problem count as equal, `[*batch]`.

    Values are found to `spacings` spacings of numbers at the size of q, which is at most max |r|/(1 − γ), and two are
    compared. In a chain that mixes slowly errors may add up to 1/(1 − γ) times that. A tie that is then decided by
    chance makes no false equilibrium: the policy and the law that are returned are judged together.
    """
    return 2 * spacings(q) * jnp.finfo(q.dtype).eps * _size(q, available)


def rounding_of_step(q: Array, available: Array, later: Array) -> Array:
    """Return how far q of one time may be off, `[*batch]`, if the values of the next are off by `later`.

    Errors of many sums are nearly independent, so that squares are added.
    """
    error_of_step = _OF_ONE_STEP * _of_sums(q) * jnp.finfo(q.dtype).eps * _size(q, available)
    return jnp.hypot(error_of_step, jax.lax.stop_gradient(later))


def _of_sums(values: Array) -> float:
    # rounding of a sum of S terms grows as √S, but with a bound that fails with negligible probability
    return max(1.0, len(values) ** 0.5 / 8)


def _size(q: Array, available: Array) -> Array:
    # a band decides between actions, it takes no part in derivatives
    return jax.lax.stop_gradient(jnp.where(align(available, q), jnp.abs(q), 0).max(axis=(0, 1)))
