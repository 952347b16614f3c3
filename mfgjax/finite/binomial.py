"""The binomial law: its logarithm, expectations under it, its mean absolute deviation."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, ArrayLike
from .precision import DOUBLE, weighted

_NUM_DEVIATIONS = 38  # beyond that many on both sides lies less than 1e-300: no function that is finite is lost
_MARGIN = 250  # and where the deviation is below 1, the law is that of Poisson, with longer tails
_CHUNK = 64

# log x! − x log x + x, for x below 16, where Stirling's series is not exact
_SMALL = np.array([math.lgamma(x + 1) - (x * math.log(x) if x else 0.0) + x for x in range(16)])


def _stirling(x: Array) -> Array:
    """Return log x! − x log x + x, a number of the size of log x."""
    large = jnp.maximum(x, 16.0)
    inverse = 1 / large
    square = inverse * inverse
    series = 1 / 1188 * square - 1 / 1680
    for coefficient in (1 / 1260, -1 / 360, 1 / 12):
        series = series * square + coefficient
    tail = 0.5 * jnp.log(2 * math.pi * large) + series * inverse
    return jnp.where(x < 16, jnp.asarray(_SMALL)[jnp.clip(x, 0, 15).astype(jnp.int32)], tail)


def _deviance(x: Array, mean: Array) -> Array:
    """Return x log(x/mean) + mean − x, without cancellation where x is near the mean."""
    positive = (x > 0) & (mean > 0)
    scale = jnp.where(positive, mean, 1)
    excess = jnp.where(positive, (x - scale) / scale, 0)
    inside = scale * ((1 + excess) * jnp.log1p(excess) - excess)
    return jnp.where(positive, inside, jnp.where(x > 0, jnp.inf, mean))


def log_pmf(count: ArrayLike, num_trials: ArrayLike, probability: ArrayLike) -> Array:
    """Return the log of the probability of `count` successes, in double precision.

        log f(k) = s(n) − s(k) − s(n−k) − d(k, np) − d(n−k, n(1−p)),
        s(x) = log x! − x log x + x,   d(x, m) = x log(x/m) + m − x

    Differences of lgamma would be off by 4e-6 at n = 1e9; here the error is some 1e-10.

    Args:
      count: k, a whole number in 0..n.
      num_trials: n ≥ 0.
      probability: p in [0, 1].

    Source: C. Loader (2000), Fast and accurate computation of binomial probabilities.
    """
    k, n, p = (jnp.asarray(x, DOUBLE) for x in (count, num_trials, probability))
    p = jnp.clip(p, 0, 1)  # sums of probabilities are rounded
    k, n, p = jnp.broadcast_arrays(k, n, p)
    # both outcomes in one array: half the program to compile
    outcomes, means = jnp.stack([k, n - k]), jnp.stack([n * p, n * (1 - p)])
    return _stirling(n) - (_stirling(outcomes) + _deviance(outcomes, means)).sum(axis=0)


def expectation(function: Callable[[Array], Any], num_trials: ArrayLike, probability: ArrayLike) -> Any:
    """Return E f(B) of a binomial B, entry by entry, as a sum over 38 standard deviations on both sides.

    Memory does not grow with n, and time like its square root at most: the number of terms is found as it runs, so
    that a new n compiles nothing.

    Args:
      function: takes whole numbers of the shape of `probability`, and returns numbers of the same shape, or several.
      num_trials: n, one number.
      probability: p.
    """
    n, p = jnp.asarray(num_trials, DOUBLE), jnp.asarray(probability, DOUBLE)
    p = p + jax.lax.stop_gradient(jnp.clip(p, 0, 1) - p)
    within = jnp.where((p > 0) & (p < 1), p, jax.lax.stop_gradient(p))

    def edge(k):
        """Return 0, with the derivative that the probability of k has where p is 0 or 1."""
        at_0 = p * (1.0 * (k == 1) - 1.0 * (k == 0))
        at_1 = (1 - p) * (1.0 * (k == n - 1) - 1.0 * (k == n))
        return n * jnp.where(p <= 0, at_0, jnp.where(p >= 1, at_1, 0))

    centre = jnp.floor(n * p)
    half = jnp.ceil(_NUM_DEVIATIONS * jnp.sqrt(n * p * (1 - p))) + _MARGIN
    low, high = jnp.maximum(centre - half, 0), jnp.minimum(centre + half, n)
    steps = jnp.ceil((high - low + 1).max() / _CHUNK).astype(jnp.int32)
    columns = jnp.arange(_CHUNK, dtype=DOUBLE).reshape((_CHUNK,) + (1,) * p.ndim)

    def add(i, sums):
        k = low + (i * _CHUNK + columns)
        inside = k <= high
        k = jnp.minimum(k, high)
        weight = jnp.where(inside, jnp.exp(log_pmf(k, n, within)) + edge(k), 0)
        terms = jax.tree.map(lambda value: weighted(weight, value).sum(axis=0), jax.vmap(function)(k))
        return sums[0] + weight.sum(axis=0), jax.tree.map(jnp.add, sums[1], terms)

    zero = jnp.zeros(p.shape, DOUBLE)
    zeros = jax.tree.map(lambda _: zero, jax.eval_shape(function, zero))
    total, terms = jax.lax.fori_loop(0, steps, add, (zero, zeros))
    return jax.tree.map(lambda sum_of: sum_of / total, terms)  # what log_pmf is off by, all terms share


def mean_absolute_deviation(num_trials: ArrayLike, probability: ArrayLike) -> Array:
    """Return E|B − np| of a binomial B.

        E|B − np| = 2 (n − k) p f(k),   k = ⌊np⌋

    Source: A. de Moivre (1730), Miscellanea analytica; see Diaconis and Zabell (1991), Statistical Science 6.
    """
    n, p = jnp.asarray(num_trials, DOUBLE), jnp.clip(jnp.asarray(probability, DOUBLE), 0, 1)
    k = jnp.minimum(jnp.floor(n * p), n)
    return 2 * (n - k) * p * jnp.exp(log_pmf(k, n, p))
