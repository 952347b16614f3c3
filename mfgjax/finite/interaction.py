"""What an agent of a finite population sees of the others, for rewards that pair it with them."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array, Scalar
from ..certify.payoffs import interaction_table
from ..kernels.base import time_slice
from ..model import (
    DenseInteraction,
    FiniteHorizonGame,
    OwnStateInteraction,
    PairwiseReward,
    Power,
    SuccessorInteraction,
)
from ..model.rewards import TableReward
from ..ranges.entries import acts_on_entries
from .rounding import Terms

KNOWN = (DenseInteraction, OwnStateInteraction, SuccessorInteraction)
"""Interactions whose numbers can be read."""


def with_known_interaction(game: FiniteHorizonGame) -> FiniteHorizonGame:
    """Return the game with a table in place of a program that is affine in the mean field, if it has one.

    Then a reward of one's own, such as base − weight · μ(s), is computed as exactly as the library's.
    """
    reward: Any = game.reward
    if type(reward) is TableReward or (type(reward) is PairwiseReward and type(reward.L) in KNOWN):
        return game
    table = interaction_table(game)
    if table is None or not (_checks.is_traced(table) or np.isfinite(table).all()):
        return game  # actions that are not available may earn anything
    L = DenseInteraction(table.reshape(*table.shape[:3], *game.seen_shape), game.num_seen_axes)
    theta = reward.theta if type(reward) is PairwiseReward else None
    return eqx.tree_at(lambda g: g.reward, game, PairwiseReward(L, theta))


def treats_entries_alone(game: FiniteHorizonGame) -> bool:
    """Tell whether Θ of the reward provably sees the pair (s,a) alone, as sums over the others, pair by pair, need it.

    A program such as `lambda t, x: x - x.max()` sees what the other pairs earn in the same population, too.
    """
    reward: Any = game.reward
    if reward.theta is None or isinstance(reward.theta, Power):
        return True
    time = jax.ShapeDtypeStruct((), jnp.int32)
    seen = jax.ShapeDtypeStruct(game.seen_shape, game.dtype)
    x = eqx.filter_eval_shape(reward.L, time, seen)
    return acts_on_entries(lambda x, t: reward.theta(t, x), x, time)


class OnePlace(NamedTuple):
    """Σ_k L(s,a,X_k)/N where only the number of agents at one place matters: base + weight · (number there)/N.

    Arrays are `[S, A]`, or `[S, 1]` where all actions earn the same.
    """

    base: Array
    weight: Array
    probability: Array  # that another agent is at the place
    itself: Array  # 1 where the agent itself is there, else 0


def one_place(L: OwnStateInteraction | SuccessorInteraction, t: Scalar, mu: Array) -> OnePlace:
    """Return the place that matters at time t, and who is there.

    An agent at s counts itself at its own state. At its successor it counts itself only if the move leads back to s:
    at time t it is at s.
    """
    base, weight = time_slice(L.base, t), time_slice(L.weight, t)
    own = jnp.arange(mu.shape[0])[:, None]
    place = own if isinstance(L, OwnStateInteraction) else jnp.asarray(L.next_state)
    base, weight, place = jnp.broadcast_arrays(base, weight, place)
    return OnePlace(base, weight, mu[place], (place == own).astype(mu.dtype))


class AllPlaces(NamedTuple):
    """L(s,a,x) for every x that an agent can be counted at: states, or pairs of state and action."""

    table: Array  # [S, A or 1, X]
    itself: Array  # L(s,a,·) at the agent's own place, [S, A]
    probability: Array  # of x for another agent, [X]


def all_places(L: DenseInteraction, t: Scalar, seen: Array) -> AllPlaces:
    """Return the whole interaction at time t."""
    table = time_slice(L.table, t)
    table = table.reshape(*table.shape[:2], -1)
    S, A = table.shape[:2]
    if seen.ndim == 1:
        itself = table[jnp.arange(S), :, jnp.arange(S)]
    else:
        A = seen.shape[1]
        pairs = jnp.arange(S * A).reshape(S, A)
        itself = jnp.take_along_axis(jnp.broadcast_to(table, (S, A, S * A)), pairs[..., None], axis=2)[..., 0]
    return AllPlaces(table, itself, seen.reshape(-1))


def size_of_terms(L: Any, t: Scalar, shares: Array) -> Array:
    """Return the sum of |L(s,a,x)| · share(x), `[S, A or 1]`: rounding of Σ L(s,a,x) · share(x) is in proportion."""
    if isinstance(L, DenseInteraction):
        places = all_places(L, t, shares)
        return (jnp.abs(places.table) * places.probability).sum(axis=-1)
    place = one_place(L, t, shares)
    return jnp.abs(place.base) + jnp.abs(place.weight) * place.probability


def terms_of(L: Any, t: Scalar, shares: Array) -> Terms:
    """Describe what a known interaction adds up in a population of which these shares are at the places."""
    if isinstance(L, DenseInteraction):
        places = all_places(L, t, shares)
        return Terms.of_table(places.table, places.probability)
    place = one_place(L, t, shares)
    return Terms.of_place(place.base, place.weight, place.probability)
