"""Expected rewards in a finite population whose interactions take values on a lattice, by Fourier transform."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array, Float, Int
from ..kernels.base import time_slice
from ..model import DenseInteraction, FiniteHorizonGame, PairwiseReward
from .interaction import all_places

_MOST_ENTRIES = 1 << 24
_MOST_STEPS = 4096  # between the least and the largest value of a row
_FRACTIONS = 12  # the step is sought among the least difference of two values, and its halves, thirds, ...


class Lattice(eqx.Module):
    """L(s,a,x) = offset(s,a) + step(s,a) · place(s,a,x) with whole numbers from 0 to J, for each time (or all).

    Attributes:
      offset: `[#T, S, A or 1]`.
      step: the same.
      place: `[#T, S, A or 1, X]`.
      largest: J.
      size: M, points of the transform: a power of 2 beyond twelve standard deviations on both sides.
    """

    offset: Float[Array, "#T S A"]
    step: Float[Array, "#T S A"]
    place: Int[Array, "#T S A X"]
    largest: int = eqx.field(static=True)
    size: int = eqx.field(static=True)


def lattice_of(game: FiniteHorizonGame, num_agents: Any) -> Lattice | None:
    """Return the lattice of a game's rewards, or None if they have none, or one that is too large."""
    reward: Any = game.reward
    L: Any = reward.L if type(reward) is PairwiseReward else None
    if type(L) is not DenseInteraction or _checks.is_traced((L, num_agents)):
        return None
    table = np.asarray(L.table, dtype=np.float64)
    table = table.reshape(*table.shape[:3], -1)
    found = _places(table, float(jnp.finfo(game.dtype).eps))
    if found is None:
        return None
    offset, step, place = found
    largest, others = int(place.max()), int(np.max(num_agents)) - 1
    # the standard deviation of one whole number between 0 and J is at most J/2
    width = min(others * largest, int(12 * largest * np.sqrt(others)) + 80 * largest) + 1
    size = 1 << int(np.ceil(np.log2(width)))
    if size * place[0, ..., 0].size > _MOST_ENTRIES:
        return None
    return Lattice(jnp.asarray(offset), jnp.asarray(step), jnp.asarray(place.astype(np.int32)), largest, size)


def _places(table: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return offsets, steps and places of every row, if all values lie on their lattice up to rounding."""
    offset = table.min(axis=-1)
    above = table - offset[..., None]
    noise = 32 * eps * np.abs(table).max(axis=-1)
    positive = np.where(above > noise[..., None], above, np.inf)
    least = positive.min(axis=-1)
    constant = ~np.isfinite(least)
    least = np.where(constant, 1.0, least)
    step, settled = least.copy(), constant.copy()
    for parts in range(1, _FRACTIONS + 1):
        ratio = above / (least / parts)[..., None]
        off = np.abs(ratio - np.round(ratio)) * (least / parts)[..., None]
        good = (off <= noise[..., None]).all(axis=-1) & ~settled & (noise * parts < least * 1e-3)
        step, settled = np.where(good, least / parts, step), settled | good
    place = np.where(constant[..., None], 0, np.round(above / step[..., None]))
    if not settled.all() or place.max() > _MOST_STEPS:
        return None
    # the step from the largest value, which is rounded the least in proportion
    top = place.max(axis=-1)
    step = np.where(top > 0, above.max(axis=-1) / np.maximum(top, 1), step)
    return offset, step, place


def shift(game: FiniteHorizonGame, lattice: Lattice, mu: Array, seen: Array, num_agents: Array) -> Array:
    """Return R^N − R, `[T, S, A or 1]`, for one N.

    The sum over N−1 others is offset · (N−1) + step · K, where the law of K is the inverse transform of the
    (N−1)-th power of the transform of one place's law. It is found modulo M, and unwrapped around its mean.
    """
    reward: Any = game.reward
    theta = reward.theta or (lambda t, x: x)
    M, others = lattice.size, num_agents - 1

    def law(place, p):
        """The law of K, `[M]`, and which numbers its entries stand for."""
        one = jnp.zeros(M, p.dtype).at[place % M].add(p)
        transform = jnp.fft.rfft(one)
        size, angle = jnp.abs(transform), jnp.angle(transform)
        # size^others also where it is 0, and for no others
        power = jnp.where(
            size > 0, jnp.exp(others * jnp.log(jnp.where(size > 0, size, 1))), jnp.where(others > 0, 0, 1)
        )
        angle = others * angle
        total = jnp.fft.irfft(power * jax.lax.complex(jnp.cos(angle), jnp.sin(angle)), M)
        # where all numbers fit, they start at 0
        first = jnp.clip(
            jnp.round(others * (p * place).sum()) - M // 2, 0, jnp.maximum(others * lattice.largest + 1 - M, 0)
        )
        number = first + (jnp.arange(M) - first) % M
        total = jnp.where(number <= others * lattice.largest, jnp.maximum(total, 0), 0)
        return total / total.sum(), number

    def at(t, seen):
        table, itself, p = all_places(reward.L, t, seen)
        offset, step, place = (time_slice(x, t) for x in (lattice.offset, lattice.step, lattice.place))
        limit = theta(t, (table * p).sum(axis=-1))
        weight, number = jax.vmap(jax.vmap(law, (0, None)), (0, None))(place, p)
        # for joint laws an agent's own place differs between actions also where the table does not
        crowd = (others * offset)[..., None] + step[..., None] * number
        x = (itself[..., None] + crowd) / num_agents
        values = jax.vmap(lambda x: theta(t, x), -1, -1)(x)
        return (weight * (values - limit[..., None])).sum(axis=-1)

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    return jax.lax.map(lambda x: at(*x), (times, seen))
