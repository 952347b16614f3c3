"""Pairs of populations that refute monotone rewards, by more than rounding of the rewards explains."""

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float
from ..model import FiniteHorizonGame
from .paths import availability, counted
from .payoffs import Separable
from .rounding import explained, rounded_otherwise
from .sampling import sample_laws, seen_of

_NEAREST = 1e-4
"""|η−η'|_1 of pairs that are looked at."""

_MOST_SAMPLED = 2**22
"""Numbers that are drawn in the search for violations."""


def largest_violation(game: FiniteHorizonGame, key: Array, suspects: Float[Array, "pairs 2 T S A"]) -> Float[Array, ""]:
    """Return the largest value of ⟨η−η', R_t(μ)−R_t(μ')⟩ / |η−η'|_1² that is found, less what rounding may add to it.

    Looked at are random pairs and `suspects`, at times that count. Only a positive number says something: all are
    computed from the rewards themselves, so what their own rounding hides is not found.
    """
    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    size = times.size * game.num_states * game.num_actions
    num_pairs, eps = game.num_states * game.num_actions, float(jnp.finfo(game.dtype).eps)
    mask = availability(game).reshape(len(times), num_pairs)
    sums = (8 + 2 * num_pairs**0.5) * eps  # of sums over pairs, which a program may compute as well

    def rewards_and_noise(t: Array, seen: Array, available: Array) -> tuple[Array, Array]:
        pays = game.reward_at(t, seen).reshape(-1)
        otherwise = rounded_otherwise(lambda m: game.reward_at(t, m))(seen).reshape(-1)
        pays, otherwise = (jnp.where(available, x, 0) for x in (pays, otherwise))
        return pays, sums * jnp.abs(pays).max() + explained(pays, otherwise).max()

    def value(laws: Array) -> Array:
        pays, noise = jax.vmap(jax.vmap(rewards_and_noise), in_axes=(None, 0, None))(times, seen_of(game, laws), mask)
        moved = (laws[0] - laws[1]).reshape(mask.shape)
        apart = jnp.abs(moved).sum(axis=1)
        change = pays[0] - pays[1]
        # what all pairs gain alike cancels: before it is multiplied, as laws sum to 1 up to rounding only
        change -= jnp.take_along_axis(change, jnp.argmax(mask, axis=1)[:, None], axis=1)
        change = jnp.where(mask, change, 0)
        total = (moved * change).sum(axis=1)
        # rounding of the rewards counts for the less the farther apart the laws are
        total -= (noise[0] + noise[1]) * apart + sums * jnp.abs(change).max(axis=1)
        is_number = (apart > _NEAREST) & ~jnp.isnan(total)
        return counted(game, jnp.where(is_number, total / apart**2, -jnp.inf), -jnp.inf).max()

    drawn = sample_laws(game, key, int(np.clip(_MOST_SAMPLED // size, 8, 512)))
    return jax.vmap(value)(jnp.concatenate([drawn, suspects])).max()


def along(game: FiniteHorizonGame, direction: Float[Array, "T X"]) -> Float[Array, "1 2 T S A"]:
    """Return the laws that are farthest apart along a direction of pairs that sums to 0; X is S A."""
    parts = jnp.stack([jnp.maximum(direction, 0), jnp.maximum(-direction, 0)])
    sizes = parts.sum(axis=-1, keepdims=True)
    return (parts / sizes).reshape(1, 2, *availability(game).shape)


def between_states(game: FiniteHorizonGame, separable: Separable) -> Float[Array, "3 2 T S A"]:
    """Return laws between which some crowd moves from one to the other of two states where rewards rise most with it.

    Each has at most half of the crowd; what they lack is in one third state, if there is one. Moved are all of it, as
    much as half allows, and one cell.
    """
    small = (separable.start + separable.width <= 0.5)[:, None, None]
    slopes = jnp.where(small, separable.slope.low, -jnp.inf)  # [cells, T, S]
    start = separable.start[jnp.argmax(slopes, axis=0)]  # [T, S]
    two = jax.lax.top_k(slopes.max(axis=0), min(2, game.num_states))[1]
    first, second = (jax.nn.one_hot(two[:, i], game.num_states, dtype=game.dtype) for i in (0, -1))
    elsewhere = jax.nn.one_hot(jnp.argmin(first + second, axis=1), game.num_states, dtype=game.dtype)
    held = (first + second) * start
    most = 0.5 - held.max(axis=1, keepdims=True)

    def pair(held: Array, moves: Array) -> Array:
        rest = (1 - held.sum(axis=1, keepdims=True) - moves) * elsewhere
        return jnp.stack([held + rest + moves * first, held + rest + moves * second])

    moves = (jnp.ones_like(most), most, jnp.full_like(most, separable.width))
    laws = jnp.stack([pair(0 * held, moves[0]), pair(held, moves[1]), pair(held, moves[2])])
    return laws[..., None] * on_first_action(game)


def on_first_action(game: FiniteHorizonGame) -> Float[Array, "T S A"]:
    """Return 1 at the first action that is available, else 0."""
    mask = availability(game)
    return (mask & (mask.cumsum(axis=2) == 1)).astype(game.dtype)
