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
from .interaction import all_places, treats_entries_alone
from .poles import theta_with_poles
from .precision import weighted
from .rounding import Terms, beside_limit, jump, may_jump, share

_MOST_ENTRIES = 1 << 24
_MOST_STEPS = 4096  # between the least and the largest value of a row
_FRACTIONS = 12  # the step is sought among the least difference of two values, and its halves, thirds, ...
_MOST_PRODUCTS = 1 << 30  # of the direct sum, for all times and numbers of agents
_SUMMED_UP = 4096  # frequencies whose transform is summed up without cancellation
_LOST = 1e-6  # share of the result that the transform may lose


class Lattice(eqx.Module):
    """L(s,a,x) = offset(s,a) + step(s,a) · place(s,a,x) with whole numbers from 0 to J, for each time (or all).

    Attributes:
      offset: `[#T, S, A or 1]`.
      step: the same.
      place: `[#T, S, A or 1, X]`.
      largest: J.
      size: M, points of the transform: a power of 2 beyond twelve standard deviations on both sides.
      direct: whether the law of the sum is found by adding one agent after the other, in place of the transform.
    """

    offset: Float[Array, "#T S A"]
    step: Float[Array, "#T S A"]
    place: Int[Array, "#T S A X"]
    largest: int = eqx.field(static=True)
    size: int = eqx.field(static=True)
    direct: bool = eqx.field(static=True)


def lattice_of(game: FiniteHorizonGame, num_agents: Any) -> Lattice | None:
    """Return the lattice of a game's rewards, or None if they have none, or one that is too large."""
    reward: Any = game.reward
    L: Any = reward.L if type(reward) is PairwiseReward else None
    if type(L) is not DenseInteraction or _checks.is_traced((L, num_agents)) or not treats_entries_alone(game):
        return None
    table = np.asarray(L.table, dtype=np.float64)
    table = table.reshape(*table.shape[:3], -1)
    found = _places(table)
    if found is None:
        return None
    offset, step, place = found
    largest, others = int(place.max()), int(np.max(num_agents)) - 1
    num_values = others * largest + 1
    products = others * num_values * place[0].size * (game.horizon + 1) * np.size(num_agents)
    direct = products <= _MOST_PRODUCTS
    # the standard deviation of one whole number between 0 and J is at most J/2
    width = num_values if direct else min(num_values, int(12 * largest * np.sqrt(others)) + 80 * largest + 1)
    size = 1 << int(np.ceil(np.log2(width)))
    if size * place[0, ..., 0].size > _MOST_ENTRIES:
        return None
    return Lattice(jnp.asarray(offset), jnp.asarray(step), jnp.asarray(place.astype(np.int32)), largest, size, direct)


def _places(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return offsets, steps and places of every row, if all values lie on their lattice up to rounding in double."""
    offset = table.min(axis=-1)
    above = table - offset[..., None]
    noise = 4 * np.finfo(float).eps * np.abs(table).max(axis=-1)
    positive = np.where(above > noise[..., None], above, np.inf)
    least = positive.min(axis=-1)
    constant = ~np.isfinite(least)
    least = np.where(constant, 1.0, least)
    step, settled = least.copy(), constant.copy()
    for num_parts in range(1, _FRACTIONS + 1):
        ratio = above / (least / num_parts)[..., None]
        off = np.abs(ratio - np.round(ratio)) * (least / num_parts)[..., None]
        on_lattice = (off <= noise[..., None]).all(axis=-1) & ~settled & (noise * num_parts < least * 1e-3)
        step, settled = np.where(on_lattice, least / num_parts, step), settled | on_lattice
    place = np.where(constant[..., None], 0, np.round(above / step[..., None]))
    if not settled.all() or place.max() > _MOST_STEPS:
        return None
    # the step from the largest value, which is rounded the least in proportion
    top = place.max(axis=-1)
    step = np.where(top > 0, above.max(axis=-1) / np.maximum(top, 1), step)
    return offset, step, place


def shift(
    game: FiniteHorizonGame, lattice: Lattice, mu: Array, seen: Array, num_agents: Array
) -> tuple[Array, Array, Array | None]:
    """Return R^N − R, `[T, S, A or 1]`, for one N, where it has its digits, and by how much rounding may change it.

    The sum over N−1 others is offset · (N−1) + step · K. Where that takes few products, the law of K is summed up.
    Else it is the inverse transform of the (N−1)-th power of the transform of one place's law, found modulo the size
    of the transform and unwrapped around its mean. With x the mean of all agents, M that of infinitely many and c the
    slope of Θ across one standard deviation,

        E Θ(x) − Θ(M) = c (E x − M) + E (Θ(x) − Θ(M) − c (x − M)),     E x − M = (L(itself) − M)/N

    where the second term is of second order, so that what the law is off by matters little. Rounding of the transform
    drowns it where Θ is steep: that is estimated, with bounds on the law far from the mean.
    """
    reward: Any = game.reward
    theta = reward.theta or (lambda t, x: x)
    others = num_agents - 1
    jumps, theta_or_pole = may_jump(game), theta_with_poles(game)

    def at(t, seen):
        table, itself, p = all_places(reward.L, t, seen)
        offset, step, place = (time_slice(x, t) for x in (lattice.offset, lattice.step, lattice.place))
        mean, mean_place = (table * p).sum(axis=-1), (place * p).sum(axis=-1)
        limit = theta_or_pole(t, mean, (jnp.abs(table) * p).sum(axis=-1))
        one_sign = (table.min(axis=-1) >= 0) | (table.max(axis=-1) <= 0)
        beside = beside_limit(limit, game.reward_at(t, seen)) if jumps else 0

        def theta_of(x):
            return jax.vmap(lambda x: theta(t, x), -1, -1)(x)

        def pole_or_theta_of(x):
            def at(x):
                # terms of one sign are no larger than their sum
                return theta_or_pole(t, x, jnp.where(one_sign, jnp.abs(x), jnp.abs(table).max(axis=-1)))

            return jax.vmap(at, -1, -1)(x)

        def added_up(number):
            """Return x for numbers K, `[S, A or 1, K]`."""
            # for joint laws an agent's own place differs between actions also where the table does not
            return (itself[..., None] + others * offset[..., None] + step[..., None] * number) / num_agents

        def by_shares(number):
            """Return x as a game with two values in each row adds it up."""
            steps = jnp.maximum(place.max(axis=-1), 1)[..., None] * num_agents
            above = jnp.round((itself - offset) / step)[..., None] + number
            ends = offset[..., None], table.max(axis=-1)[..., None]
            return ends[0] * share(steps - above, steps) + ends[1] * share(above, steps)

        def beyond_limit(number):
            """Return Θ(x) − Θ(M) and x − M for numbers K, `[S, A or 1, K]`."""
            x = (by_shares if jumps else added_up)(number)
            return pole_or_theta_of(x) - limit[..., None], x - mean[..., None]

        def width(weight, number):
            if not jumps:
                return None
            terms = Terms.of_table(table[..., None, :], share(jnp.ones(1), num_agents))
            return weighted(weight, jump(theta_of, by_shares(number), terms)).sum(axis=-1)

        if lattice.direct:
            weight = _added_up(place, p, others, lattice.size)
            number = jnp.arange(lattice.size, dtype=p.dtype)
            total = weighted(weight, beyond_limit(number)[0]).sum(axis=-1) + beside
            return total, jnp.ones(total.shape, bool), width(weight, number)
        variance = ((place - mean_place[..., None]) ** 2 * p).sum(axis=-1)
        std = step * jnp.sqrt(others * variance) / num_agents
        below, above = jnp.maximum(mean - std, table.min(axis=-1)), jnp.minimum(mean + std, table.max(axis=-1))
        slope = (theta(t, above) - theta(t, below)) / jnp.where(above > below, above - below, jnp.inf)
        # any number is right in its place, so its own derivative does not matter
        slope = jax.lax.stop_gradient(jnp.where(jnp.isfinite(slope), slope, 0))[..., None]

        def beyond_slope(number):
            values, away = beyond_limit(number)
            return values - slope * away

        weight, number = _transformed(lattice, place, p, others)
        eps = jnp.finfo(p.dtype).eps
        low, high = jnp.where(p > 0, place, jnp.inf).min(axis=-1), jnp.where(p > 0, place, -jnp.inf).max(axis=-1)
        low, high, centre, variance = (others * x[..., None] for x in (low, high, mean_place, variance))

        def law_bound(number):
            """Bound the law of K from above, by Hoeffding's and Bernstein's inequalities."""
            far = jnp.maximum(jnp.abs(number - centre) - 8 * eps * high, 0)  # the mean is rounded
            inside, width = (number >= low) & (number <= high), (high - low) / jnp.maximum(others, 1)
            tiny = jnp.finfo(p.dtype).tiny
            power = far**2 / jnp.maximum(jnp.minimum(others * width**2 / 2, 2 * variance + 2 / 3 * width * far), tiny)
            return jnp.where(inside, jnp.minimum(2 * jnp.exp(-power), 1), 0)

        bound, residual = law_bound(number), beyond_slope(number)
        weight = jnp.where(weight > bound, bound, weight)
        weight = weight / weight.sum(axis=-1, keepdims=True)
        terms = weighted(weight, residual)
        # rounding: that of the transform, alike in all entries, and that of the power, a share of each
        noise = 8 * eps * jnp.sqrt((weight**2).sum(axis=-1, keepdims=True)) + 2 * eps * others * weight
        lost = _mean_size(jnp.minimum(noise, bound), residual)
        for turn in (-1, 1):
            number_beyond = number + turn * lattice.size
            lost = lost + _mean_size(law_bound(number_beyond), beyond_slope(number_beyond))
        first_order = slope[..., 0] * (itself - mean) / num_agents
        # where Θ bends so much that its slope says nothing, what counts is Θ itself
        size = jnp.minimum(_mean_size(weight, residual), _mean_size(weight, beyond_limit(number)[0]))
        has_digits = lost <= _LOST * size + 64 * eps * jnp.abs(limit)
        return first_order + terms.sum(axis=-1) + beside, has_digits, width(weight, number)

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    return jax.lax.map(lambda x: at(*x), (times, seen))


def _mean_size(weight: Array, residual: Array) -> Array:
    return jnp.where(weight > 0, weight * jnp.abs(residual), 0).sum(axis=-1)


def _added_up(place: Array, p: Array, others: Array, size: int) -> Array:
    """Return the law of K, `[S, A or 1, size]`, as a sum of positive terms: each entry has all its digits."""

    def law(place):
        came_from = jnp.arange(size) - place[:, None]

        def add(_, weight):
            return (p[:, None] * jnp.where(came_from >= 0, weight[came_from], 0)).sum(axis=0)

        return jax.lax.fori_loop(0, others.astype(jnp.int32), add, jnp.zeros(size, p.dtype).at[0].set(1))

    return jax.vmap(jax.vmap(law))(place)


def _transformed(lattice: Lattice, place: Array, p: Array, others: Array) -> tuple[Array, Array]:
    """Return the law of K, `[S, A or 1, M]`, and which numbers its entries stand for."""
    M = lattice.size

    def law(place):
        # one agent's place beside the likeliest, so that the transform is 1 + z with z as small as it can be
        usual = place[jnp.argmax(p)]
        beside = place - usual
        mass_beside = jnp.where(beside == 0, 0, p)
        displacement_law = jnp.zeros(M, p.dtype).at[beside % M].add(mass_beside).at[0].add(-mass_beside.sum())
        z = jnp.fft.rfft(displacement_law)
        # rounding of the transform is as large as the rest; where z is tiny, near frequency 0, it is summed up anew
        angle = 2 * jnp.pi / M * jnp.arange(min(_SUMMED_UP, z.size))[:, None] * beside
        sums = jax.lax.complex(-2 * mass_beside * jnp.sin(angle / 2) ** 2, -mass_beside * jnp.sin(angle)).sum(axis=-1)
        z = z.at[: sums.size].set(sums)
        # (1 + z)^others, which is 0 where 1 + z is
        size = 2 * z.real + z.real**2 + z.imag**2
        is_zero = size <= -1
        z = jnp.where(is_zero, 0, z)
        power = jnp.exp(others / 2 * jnp.log1p(jnp.where(is_zero, 0, size))) * ~(is_zero & (others > 0))
        phase = others * jnp.arctan2(z.imag, 1 + z.real)
        total = jnp.fft.irfft(power * jax.lax.complex(jnp.cos(phase), jnp.sin(phase)), M)
        # entry k stands for others · usual + k modulo M; where all numbers fit, they start at 0
        first = jnp.clip(
            jnp.round(others * (p * place).sum()) - M // 2, 0, jnp.maximum(others * lattice.largest + 1 - M, 0)
        )
        number = first + (others * usual + jnp.arange(M) - first) % M
        total = jnp.where(number <= others * lattice.largest, jnp.maximum(total, 0), 0)
        return total / total.sum(), number

    return jax.vmap(jax.vmap(law))(place)
