"""Random numbers: uniform, binomial and multinomial, exact up to 1e9 trials."""

import math
from collections.abc import Callable
from typing import Self

import equinox as eqx
import jax
import jax.extend as jex
import jax.numpy as jnp

from .._typing import Array, Int
from .binomial import log_pmf
from .precision import DOUBLE

_LARGE = 10  # mean successes from which rejection is used
_NEGLIGIBLE = 1e-18  # probability at which a search in the upper tail stops


class Stream(eqx.Module):
    """Random numbers of many runs: what a run draws depends on its own key alone, not on its neighbours.

    Args:
      words: a pair of 32-bit words for every run, `[2, runs]`: keys of threefry.
    """

    words: Int[Array, "2 runs"]

    @classmethod
    def of_runs(cls, key: Array, runs: Int[Array, " runs"]) -> Self:
        """Return the streams of numbered runs; `key` is any key of JAX, typed or raw."""
        root = jax.random.bits(key, (2,), jnp.uint32)
        return cls(_hash(root[:, None], _FOLD, runs))

    def fold(self, number: Array | int) -> Self:
        """Return other streams, one for every number below 2^32."""
        return type(self)(_hash(self.words, _FOLD, jnp.asarray(number, jnp.uint32)))

    def uniform(self, *shape: int, draw: Array | int = 0) -> Array:
        """Return uniform numbers in [0, 1) with 53 random bits, `[*shape, runs]`, others for every `draw`."""
        places = jnp.arange(math.prod(shape), dtype=jnp.uint32)[:, None]
        words = _hash(self.words[:, None], jnp.asarray(draw, jnp.uint32), places)
        # both words of a hash are used: the bits of `jax.random` would cost twice as much
        high, low = (words[0] >> 5).astype(DOUBLE), (words[1] >> 6).astype(DOUBLE)
        return ((high * 2.0**26 + low) * 2.0**-53).reshape(*shape, -1)


_FOLD = 2**32 - 1  # a first word of the counter that no draw reaches


def _hash(key: Array, first: Array | int, second: Array) -> Array:
    """Return threefry of the counters `(first, second)` under the keys `[2, ...]`: two words for each, `[2, ...]`."""
    arrays = jnp.broadcast_arrays(key[0], key[1], jnp.asarray(first, jnp.uint32), second)
    return jnp.stack(jex.random.threefry2x32_p.bind(*arrays))


def categorical(stream: Stream, probabilities: Array, num_rows: int) -> Int[Array, "num_rows *batch runs"]:
    """Return the category that a uniform number falls in (inverse distribution function).

    Args:
      stream: of the runs.
      probabilities: `[num_rows, *batch, runs, K]`, or lengths of 1 in place of any of the first axes.
      num_rows: draws for every run; batch entries share them.
    """
    upper = jnp.cumsum(probabilities, axis=-1)
    # beyond the last category that can occur, nothing is left to fall in
    after = jnp.cumsum(probabilities[..., ::-1], axis=-1)[..., ::-1] - probabilities
    upper = jnp.where(after > 0, upper, jnp.inf)
    batch = probabilities.shape[1:-2]
    u = stream.uniform(num_rows).reshape(num_rows, *(1,) * len(batch), -1)
    return (u[..., None] >= upper).sum(axis=-1, dtype=jnp.int32)


def multinomial(
    stream: Stream, total: Int[Array, "*rows B runs"], probabilities: Array
) -> Int[Array, "*rows K B runs"]:
    """Draw how `total` agents spread over K categories: the counts add up to it exactly.

    A chain of binomials: how many of those left take category k, for k in turn.

    Args:
      stream: of the runs; entries of B share it.
      total: whole numbers up to 1e9.
      probabilities: `[*rows, K, B or 1, runs or 1]`, each row of K numbers adding up to 1 (or 0 where nobody is).
    """
    axis = total.ndim - 2
    p = jnp.moveaxis(probabilities.astype(DOUBLE), axis, 0)
    at_least = jnp.cumsum(p[::-1], axis=0)[::-1]
    beyond = jnp.concatenate([at_least[1:], jnp.zeros_like(at_least[:1])])
    possible = at_least > 0
    scale = jnp.where(possible, at_least, 1)
    # the last category that can occur has p/scale = 1 exactly, and takes all that are left
    take, leave = jnp.where(possible, p / scale, 0), jnp.where(possible, beyond / scale, 1)

    K = p.shape[0]
    rows = total.shape[:-2]

    def step(left, xs):
        k, take, leave = xs

        def uniform(attempt, copies):
            return stream.uniform(copies, *rows, draw=attempt * K + k)[..., None, :]

        count = binomial(uniform, left, take, leave)
        return left - count, count

    number = jnp.arange(K - 1, dtype=jnp.uint32)
    left, counts = jax.lax.scan(step, total, (number, take[:-1], leave[:-1]))
    return jnp.moveaxis(jnp.concatenate([counts, left[None]]), 0, axis)


def binomial(
    uniform: Callable[[Array, int], Array], num_trials: Int[Array, "*rows B runs"], success: Array, failure: Array
) -> Int[Array, "*rows B runs"]:
    """Draw numbers of successes in up to 1e9 trials, in double precision.

    Few expected successes (or failures) are found by inversion, many by Hörmann's rejection with a transformed
    uniform number. Each is skipped if no entry needs it.

    Args:
      uniform: returns independent uniform numbers for every attempt 0, 1, ..., `[copies, *rows, 1 or B, runs]`.
      num_trials: n.
      success: p.
      failure: 1 − p, given with its own digits.

    Source: W. Hörmann (1993), The generation of binomial random variates, algorithm BTRS.
    """
    n = num_trials.astype(DOUBLE)
    mirrored = success > failure
    p = jnp.broadcast_to(jnp.minimum(success, failure), n.shape)
    large = n * p >= _LARGE
    few = jax.lax.cond(
        jnp.any(~large & (n * p > 0)),
        lambda: _by_inversion(uniform(jnp.uint32(0), 1)[0], jnp.where(large, 0, n), p),
        lambda: jnp.zeros_like(n),
    )
    count = jax.lax.cond(
        jnp.any(large), lambda: jnp.where(large, _by_rejection(uniform, n, p, large), few), lambda: few
    )
    return jnp.where(mirrored, n - count, count).astype(num_trials.dtype)


def _by_inversion(u: Array, n: Array, p: Array) -> Array:
    """Return the least k whose distribution function exceeds u."""
    odds = p / (1 - p)

    def active(state):
        k, left, mass = state
        return (left >= mass) & (k < n) & ((mass > _NEGLIGIBLE) | (k < n * p))

    def body(state):
        k, left, mass = state
        on = active(state)
        after = mass * odds * ((n - k) / (k + 1))
        return jnp.where(on, k + 1, k), jnp.where(on, left - mass, left), jnp.where(on, after, mass)

    start = (jnp.zeros_like(n), jnp.broadcast_to(u, n.shape), jnp.exp(n * jnp.log1p(-p)))
    return jax.lax.while_loop(lambda state: jnp.any(active(state)), body, start)[0]


def _by_rejection(uniform: Callable[[Array, int], Array], n: Array, p: Array, wanted: Array) -> Array:
    """Return draws of the entries that are `wanted`, those with np ≥ 10; anything elsewhere."""
    n, p = jnp.where(wanted, n, 100.0), jnp.where(wanted, p, 0.5)
    deviation = jnp.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    alpha = (2.83 + 5.1 / b) * deviation
    mode = jnp.floor((n + 1) * p)
    at_mode = log_pmf(mode, n, p)

    def active(state):
        return ~state[2]

    def body(state):
        attempt, count, done = state
        u, v = uniform(attempt, 2)
        u = u - 0.5
        edge = 0.5 - jnp.abs(u)
        k = jnp.floor((2 * a / edge + b) * u + n * p + 0.5)
        inside = (k >= 0) & (k <= n)
        ratio = log_pmf(jnp.clip(k, 0, n), n, p) - at_mode
        accept = inside & (jnp.log(v * alpha / (a / (edge * edge) + b)) <= ratio)
        return attempt + 1, jnp.where(accept & ~done, k, count), done | accept

    start = (jnp.uint32(1), mode, ~wanted)
    return jax.lax.while_loop(lambda state: jnp.any(active(state)), body, start)[1]
