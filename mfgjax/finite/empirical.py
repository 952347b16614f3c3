"""Expected rewards of any kind in a finite population: over all, or over random, distributions of the others."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float, Int
from ..model import FiniteHorizonGame, PairwiseReward
from .draws import Stream, multinomial
from .interaction import KNOWN, terms_of
from .poles import reward_with_poles
from .precision import DOUBLE, weighted
from .rounding import jump, may_jump, share

MOST_COMPOSITIONS = 5000
"""Largest number of distributions of the others that are enumerated."""
NUM_GROUPS = 64
"""Number of groups of random draws; errors are estimated from the means of groups."""


def num_compositions(num_agents: int, num_places: int) -> int:
    """Return the number of ways in which N − 1 others can be distributed over places."""
    return math.comb(num_agents - 1 + num_places - 1, num_places - 1)


def compositions(num_agents: np.ndarray, num_places: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all distributions of N − 1 others for each N, `[n, C, X]`, and logs of multinomial coefficients, `[n, C]`.

    Shorter lists are filled up with entries whose coefficient is −inf.
    """
    longest = max(num_compositions(int(n), num_places) for n in num_agents)
    counts = np.zeros((len(num_agents), longest, num_places))
    logs = np.full((len(num_agents), longest), -np.inf)
    for i, n in enumerate(num_agents):
        others = int(n) - 1
        # stars and bars: a distribution is a choice of the places of bars among agents and bars
        bars = np.array(list(itertools.combinations(range(others + num_places - 1), num_places - 1)), dtype=np.int64)
        bars = bars.reshape(num_compositions(int(n), num_places), num_places - 1)  # also for one place
        edges = np.pad(bars, ((0, 0), (1, 1)), constant_values=((0, 0), (-1, others + num_places - 1)))
        rows = np.diff(edges, axis=1) - 1
        counts[i, : len(rows)] = rows
        factorial = np.array([math.lgamma(k + 1) for k in range(others + 1)])
        logs[i, : len(rows)] = factorial[others] - factorial[rows].sum(axis=1)
    return counts, logs


def _at_places(function: Callable[[Array], Array], game: FiniteHorizonGame, others: Array) -> Array:
    """Return a function of counts for an agent at each place, `[S, A]`, who is counted there beside the others.

    Args:
      function: from counts, in the shape of the mean field, to `[S, A or 1]`.
      game: the game.
      others: how many are at each place, `[X]`, where places are states, or pairs of state and action.
    """
    others = others.reshape(game.seen_shape)

    def at_state(s):
        if game.observes == "states":
            return function(others.at[s].add(1))[s]
        return jax.lax.map(lambda a: function(others.at[s, a].add(1))[s, a], jnp.arange(game.num_actions))

    return jax.lax.map(at_state, jnp.arange(game.num_states))


def by_enumeration(
    game: FiniteHorizonGame,
    seen: Array,
    num_agents: Float[Array, " n"],
    counts: Float[Array, "n C X"],
    log_coefficients: Float[Array, "n C"],
) -> tuple[Float[Array, "T S A n"], Float[Array, "T S A n"] | None]:
    """Return R^N − R as a sum over all distributions of the others, and by how much rounding may change it."""
    reward: Any = game.reward
    jumps = type(reward) is PairwiseReward and type(reward.L) in KNOWN and may_jump(game)
    theta: Any = reward.theta if jumps else None
    reward_at = reward_with_poles(game)

    def at(t, seen):
        p = seen.reshape(-1)
        limit = reward_at(t, seen)
        log_p = jnp.log(jnp.where(p > 0, p, 1))

        def one(number, counts, logs):
            log_weight = logs + (counts * log_p).sum(axis=1)
            # powers of 0 as they are: their derivatives are not 0
            powers = jnp.where((p > 0) | (counts == 0), 1, jnp.where(p > 0, 1, p) ** jnp.maximum(counts, 1))
            weight = (jnp.exp(log_weight) * powers.prod(axis=1))[:, None, None]

            def shift(counts):
                return reward_at(t, share(counts, number)) - limit

            def width(counts):
                seen = share(counts, number)
                found = jump(lambda x: theta(t, x), reward.L(t, seen), terms_of(reward.L, t, seen))
                return jnp.broadcast_to(found, limit.shape)

            def expected(function):
                return weighted(weight, jax.vmap(lambda c: _at_places(function, game, c))(counts)).sum(axis=0)

            return expected(shift), expected(width) if jumps else None

        return jax.lax.map(lambda x: one(*x), (num_agents, counts, log_coefficients))

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    return jax.tree.map(lambda x: jnp.moveaxis(x, 1, -1), jax.lax.map(lambda x: at(*x), (times, seen)))


def by_sampling(
    game: FiniteHorizonGame, seen: Array, num_agents: Int[Array, " n"], key: Array, draws_per_group: int
) -> Float[Array, "groups T S A n"]:
    """Return means of R^N − R over random distributions of the others, for groups of independent draws."""
    others, reward_at = num_agents - 1, reward_with_poles(game)

    def group(g):
        numbers = g * draws_per_group + jnp.arange(draws_per_group, dtype=jnp.uint32)  # no draw in two groups
        stream = Stream.of_runs(key, numbers)

        def at(x):
            t, seen = x
            limit = reward_at(t, seen)
            total = jnp.broadcast_to(others[:, None], (*others.shape, draws_per_group))
            counts = multinomial(stream.fold(t), total, seen.reshape(-1, 1, 1)).astype(DOUBLE)

            def one(number, counts):
                def reward(counts):
                    return reward_at(t, share(counts, number))

                rewards = jax.vmap(lambda c: _at_places(reward, game, c), -1)(counts)
                return (rewards - limit).mean(axis=0)

            return jax.vmap(one, (0, 1), -1)(num_agents.astype(DOUBLE), counts)

        return jax.lax.map(at, (jnp.arange(game.horizon + 1, dtype=jnp.int32), seen))

    return jax.lax.map(group, jnp.arange(NUM_GROUPS, dtype=jnp.uint32))
