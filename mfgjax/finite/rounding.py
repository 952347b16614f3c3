"""Rounding of what a crowd adds up to, where Θ jumps: then it decides on which side of the jump an agent is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array
from ..certify.derivatives import steps_in
from ..model import FiniteHorizonGame, Power

_SPACINGS = 8  # by which a crowd may be added up wrongly, at the size of the terms
_STEEPEST = 1e6  # a slope of Θ beyond which it counts as a jump


def share(count: Array, num_agents: Array) -> Array:
    """Return k/N as it is rounded outside of a program: compiled, k/N becomes k · (1/N), and 3/10 more than .3."""
    return count / jnp.where(jnp.isnan(count), jnp.nan, num_agents)  # a divisor that is no scalar to the compiler


def may_jump(game: FiniteHorizonGame) -> bool:
    """Tell whether Θ of the reward may change in steps, as far as its program tells: by comparisons, `floor`, ..."""
    reward: Any = game.reward
    if reward.theta is None or isinstance(reward.theta, Power):
        return False
    time, seen = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct(game.seen_shape, game.dtype)
    x = eqx.filter_eval_shape(reward.L, time, seen)
    return steps_in(lambda t, x: reward.theta(t, x), time, x)


def beside_limit(limit: Array, rewards: Array) -> Array:
    """Return Θ(M) less the game's own reward in the mean field, where a jump sets them apart; 0 where rounding does."""
    gap = limit - rewards
    return jnp.where(jnp.abs(gap) > 1e-9 * (jnp.abs(limit) + jnp.abs(rewards)), gap, 0)


class Terms(NamedTuple):
    """What a crowd adds up: whether the sum is the nearest number there is to the exact one, and the size of its terms.

    It is where nothing is rounded, as all numbers are short, or only the share k/N of one place, as it is twice or
    half of that.
    """

    are_exact: Array
    size: Array

    @classmethod
    def of_table(cls, table: Array, shares: Array) -> "Terms":
        """Describe Σ_x table(s,a,x) · share(x), `[S, A, X]` and `[X]` (or one that all are multiples of)."""
        doubles = ((table == 0) | _is_power_of_two(table)).all(axis=-1) & ((table != 0).sum(axis=-1) <= 1)
        short = _is_short(table).all(axis=-1) & _is_short(shares).all(axis=-1)
        return cls(doubles | short, jnp.abs(table).sum(axis=-1))

    @classmethod
    def of_place(cls, base: Array, weight: Array, share: Array) -> "Terms":
        """Describe base + weight · share."""
        doubles = (weight == 0) | ((base == 0) & _is_power_of_two(weight))
        short = _is_short(base) & _is_short(weight) & _is_short(share)
        return cls(doubles | short, jnp.abs(base) + jnp.abs(weight))


def jump(theta: Callable[[Array], Array], x: Array, terms: Terms) -> Array:
    """Return by how much Θ(x) may be off since rounding decides on the side of a jump; 0 where it does not."""
    radius = jnp.where(terms.are_exact, 0, _SPACINGS * jnp.finfo(x.dtype).eps * terms.size)
    here = theta(x)
    off = jnp.maximum(jnp.abs(theta(x - radius) - here), jnp.abs(theta(x + radius) - here))
    return jnp.where(jnp.isfinite(off) & (off > _STEEPEST * radius), off, 0)


def _is_power_of_two(x: Array) -> Array:
    return jnp.abs(jnp.frexp(x)[0]) == 0.5


def _is_short(x: Array) -> Array:
    """Tell whether x has so few digits that products of two are not rounded."""
    whole = x * 2.0**16
    return (whole == jnp.round(whole)) & (jnp.abs(x) <= 2.0**16)
