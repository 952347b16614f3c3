"""Random numbers: uniform, binomial and multinomial, exact up to 1e9 trials."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.extend as jex
import jax.numpy as jnp

from .._typing import Array, Float, Int, Self, UInt32
from .binomial import log_pmf
from .precision import DOUBLE

_LARGE = 10  # mean successes from which rejection is used
_NEGLIGIBLE = 1e-18  # probability at which a search in the upper tail stops


class Stream(eqx.Module):
    """Random numbers of many runs: what a run draws depends on its own key alone, not on its neighbours.

    Args:
      words: a pair of 32-bit words for every run, `[2, runs]`: keys of threefry.
    """

    words: UInt32[Array, "2 runs"]

    @classmethod
    def of_runs(cls, key: Array, runs: UInt32[Array, " runs"]) -> Self:
        """Return the streams of numbered runs; `key` is any key of JAX, typed or raw."""
        root = jax.random.bits(key, (2,), jnp.uint32)
        return cls(_hash(root[:, None], _FOLD, runs))

    def fold(self, number: Array | int) -> Self:
        """Return other streams, one for every number below 2^32."""
        return type(self)(_hash(self.words, _FOLD, jnp.asarray(number, jnp.uint32)))

    def uniform(self, num_rows: int, draw: Array | int = 0) -> Float[Array, "num_rows runs"]:
        """Return uniform numbers in [0, 1) with 53 random bits, others for every `draw` below 2^32 − 1."""
        return _uniform(self.words[:, None], draw, jnp.arange(num_rows, dtype=jnp.uint32)[:, None])


def _uniform(words: Array, draw: Array | int, place: Array) -> Array:
    """Return uniform numbers in [0, 1) from the keys `[2, ...]`: one for each draw and place."""
    high, low = _hash(words, draw, place)
    # both words of a hash are used: the bits of `jax.random` would cost twice as much
    return ((high >> 5).astype(DOUBLE) * 2.0**26 + (low >> 6).astype(DOUBLE)) * 2.0**-53


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

    def step(left, xs):
        k, take, leave = xs
        count = binomial(stream, lambda attempt: attempt * K + k, left, take, leave)
        return left - count, count

    number = jnp.arange(K - 1, dtype=jnp.uint32)
    left, counts = jax.lax.scan(step, total, (number, take[:-1], leave[:-1]))
    return jnp.moveaxis(jnp.concatenate([counts, left[None]]), 0, axis)


def binomial(
    stream: Stream,
    draw: Callable[[Array], Array],
    num_trials: Int[Array, "*rows B runs"],
    success: Array,
    failure: Array,
) -> Int[Array, "*rows B runs"]:
    """Draw numbers of successes in up to 1e9 trials, in double precision.

    Few expected successes (or failures) are found by inversion, many by Hörmann's rejection with a transformed
    uniform number. Each is skipped if no entry needs it.

    Args:
      stream: of the runs; entries of B share it.
      draw: which draw of the stream is used at the attempts 0, 1, 2, ...
      num_trials: n.
      success: p.
      failure: 1 − p, given with its own digits.

    Source: W. Hörmann (1993), The generation of binomial random variates, algorithm BTRS.
    """
    shape = num_trials.shape
    n = num_trials.astype(DOUBLE)
    mirrored = success > failure  # both methods are for p ≤ 1/2: count the failures instead
    p = jnp.broadcast_to(jnp.minimum(success, failure), shape)
    n, p = (x.reshape(-1, *shape[-2:]) for x in (n, p))
    large = n * p >= _LARGE
    few = jax.lax.cond(
        jnp.any(~large & (n * p > 0)),
        lambda: _by_inversion(stream.uniform(len(n), draw(jnp.uint32(0)))[:, None], jnp.where(large, 0, n), p),
        lambda: jnp.zeros_like(n),
    )
    count = jax.lax.cond(
        jnp.any(large), lambda: jnp.where(large, _by_rejection(stream, draw, n, p, large), few), lambda: few
    )
    count = count.reshape(shape)
    return jnp.where(mirrored, num_trials - count, count).astype(num_trials.dtype)


def _by_inversion(u: Array, n: Array, p: Array) -> Array:
    """Return the least k whose distribution function exceeds u."""
    mean, odds = n * p, p / (1 - p)

    # all entries look at the same k, so that no division runs over them
    def body(state):
        k, left, mass, count, on = state
        on = on & (left >= mass) & (k < n) & ((mass > _NEGLIGIBLE) | (k < mean))
        return k + 1, left - mass, mass * odds * ((n - k) * (1 / (k + 1))), count + on, on

    left = jnp.broadcast_to(u, n.shape)
    start = (jnp.zeros((), DOUBLE), left, jnp.exp(n * jnp.log1p(-p)), jnp.zeros_like(n), jnp.full(n.shape, True))
    return jax.lax.while_loop(lambda state: state[4].any(), body, start)[3]


class _Proposal(NamedTuple):
    """What an attempt of the rejection proposes, and what decides on it."""

    number: Array
    at_once: Array  # accepted without a look at the law
    log_height: Array


def _propose(n: Array, p: Array, u: Array, v: Array) -> _Proposal:
    # names and constants as in algorithm BTRS
    deviation = jnp.sqrt(n * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    u = u - 0.5
    edge = 0.5 - jnp.abs(u)
    height = v * ((2.83 + 5.1 / b) * deviation) / (a / (edge * edge) + b)
    return _Proposal(
        jnp.floor((2 * a / edge + b) * u + n * p + 0.5), (edge >= 0.07) & (v <= 0.92 - 4.2 / b), jnp.log(height)
    )


def _by_rejection(stream: Stream, draw: Callable[[Array], Array], n: Array, p: Array, wanted: Array) -> Array:
    """Return draws of the entries `[rows, B, runs]` that are `wanted`, those with np ≥ 10; anything elsewhere.

    Four in five proposals are accepted at once, which takes no logarithm. The others are brought together, a sixteenth
    of all entries at a time, so that the loop that waits for the last of them to be accepted runs over few. An entry
    counts its own attempts: what it draws does not depend on the others.
    """
    n, p = jnp.where(wanted, n, 100.0), jnp.where(wanted, p, 0.5)
    _, B, R = n.shape
    size = n.size
    room = max(size // 16, min(size, 64))

    def attempt(i, n, p, words, row):
        return _propose(n, p, *_uniform(words[:, None], draw(i), jnp.stack([2 * row, 2 * row + 1])))

    rows = jnp.arange(len(n), dtype=jnp.uint32)[:, None, None]
    # attempt 0 is that of the inversion
    first = attempt(jnp.uint32(1), n, p, stream.words[:, None, None], rows)
    n, p = n.reshape(-1), p.reshape(-1)

    def decide_some(state):
        done_before, counts = state
        place = jax.lax.dynamic_slice(waiting, (done_before,), (room,))
        own = jnp.minimum(place, size - 1)
        some_n, some_p, words = n[own], p[own], stream.words[:, own % R]
        row = (own // (B * R)).astype(jnp.uint32)
        at_mode = log_pmf(jnp.floor((some_n + 1) * some_p), some_n, some_p)

        def again(state):
            i, count, done = state
            found = attempt(i, some_n, some_p, words, row)
            inside = (found.number >= 0) & (found.number <= some_n)
            ratio = log_pmf(jnp.clip(found.number, 0, some_n), some_n, some_p) - at_mode
            accept = inside & (found.at_once | (found.log_height <= ratio))
            return i + 1, jnp.where(accept & ~done, found.number, count), done | accept

        # from attempt 1 again: its proposal was not accepted at once, but may be by the law
        start = (jnp.uint32(1), jnp.zeros_like(some_n), place == size)
        _, count, _ = jax.lax.while_loop(lambda state: ~state[2].all(), again, start)
        return done_before + room, counts.at[place].set(count, mode="drop")

    left = (wanted & ~first.at_once).reshape(-1)
    num_waiting = left.sum(dtype=jnp.int32)
    (waiting,) = jnp.nonzero(left, size=size + room, fill_value=size)
    start = (jnp.int32(0), first.number.reshape(-1))
    return jax.lax.while_loop(lambda state: state[0] < num_waiting, decide_some, start)[1].reshape(wanted.shape)
