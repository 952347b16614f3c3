"""The maps of a stationary game, on arrays with a leading axis of one time and, for many games, a last one of lanes."""

import jax.numpy as jnp

from .._typing import Array
from ..kernels import AbstractKernel
from ..kernels.base import align
from ..operators import (
    Decision,
    certain_policy,
    chain_law,
    improve,
    occupancy,
    policy_values,
    response_values,
    settled_law,
)
from ..responses import AbstractResponse, AbstractTrembling, Backup, Greedy
from .lanes import LaneGame
from .stationary import StationaryGame

_MOST_SQUARED = 128
"""States up to which the matrix of a chain is squared; with more, and for many games at once, the law is iterated."""


def decision(game: StationaryGame | LaneGame, mean_field: Array) -> Decision:
    """Return the decision problem of an agent in a population with that mean field."""
    now, seen = jnp.int32(0), mean_field[0]
    reward, available = game.reward_at(now, seen), game.available_at(now)
    # what stands at an action that does not exist need not be finite
    reward = jnp.where(align(available, reward), reward, 0)
    return Decision(game.kernel_at(now, seen), reward, available, game.discount)


def law_of(game: StationaryGame | LaneGame, mean_field: Array) -> Array:
    """Return the law of the states in a mean field, `[1, S]`."""
    return mean_field if game.observes == "states" else mean_field.sum(axis=2)


def answer(
    game: StationaryGame | LaneGame, mean_field: Array, response: AbstractResponse, start: Array | None
) -> tuple[Backup, Array]:
    """Return values, log policy, policy and q of the response to a mean field, each with the axis of one time.

    `start` are values `[S]` near the wanted ones, which save work; None: zeros.
    """
    problem = decision(game, mean_field)
    start = jnp.zeros_like(game.initial) if start is None else start
    backup, q = improve(problem, response, response_values(problem, response, start))
    return Backup(*(x[None] for x in backup)), q[None]


def policy_from(
    game: StationaryGame | LaneGame, mean_field: Array, response: AbstractResponse, start: Array
) -> tuple[Array, Array]:
    """Return the policy of the response to a mean field, `[1, S, A]`, and values `[S]` near its own: for iterating.

    Where many games are solved at once, only as much of the values is computed as tells which actions are best.
    """
    if game.lanes and isinstance(response, Greedy | AbstractTrembling):
        policy, values = certain_policy(decision(game, mean_field), response, start)
        return policy[None], values
    backup, _ = answer(game, mean_field, response, start)
    return backup.policy, backup.values[0]


def move_on(game: StationaryGame | LaneGame, mean_field: Array, policy: Array) -> tuple[Array, Array]:
    """Return the law of the states after one step of the McKean-Vlasov dynamics Φ, and what payoffs see of it.

    Φ conserves mass, so that I − D_z Φ is singular on R^S. What is missing from a total mass of 1 is added in equal
    parts. On the simplex this changes nothing but the derivative across it, which becomes 0 instead of 1: then
    I − D_z Φ is regular wherever 1 is no eigenvalue on vectors of sum zero, equals it there, and keeps sums of zero.
    """
    law, pi = law_of(game, mean_field)[0], policy[0]
    moved = game.kernel_at(jnp.int32(0), mean_field[0]).push(law[:, None] * pi)
    moved = moved + (1 - law.sum(axis=0)) / game.num_states
    return moved[None], game.observe(moved, moved[:, None] * pi)[None]


def rest(game: StationaryGame | LaneGame, policy: Array, mean_field: Array | None = None) -> tuple[Array, Array]:
    """Return the stationary law that a population reaches under a policy, and what payoffs see of it.

    It starts from `initial`. The moves see the population itself or, where it is given, always the same mean field;
    then it starts from there.
    """
    pi = policy[0]

    def move(law: Array) -> Array:
        mass = law[:, None] * pi
        seen = game.observe(law, mass) if mean_field is None else mean_field[0]
        return game.kernel_at(jnp.int32(0), seen).push(mass)

    start = game.initial if mean_field is None else law_of(game, mean_field)[0]
    is_linear = mean_field is not None or isinstance(game.kernel, AbstractKernel)
    law = (chain_law if is_linear and not game.lanes and len(start) <= _MOST_SQUARED else settled_law)(move, start)
    return law[None], game.observe(law, law[:, None] * pi)[None]


def visits(game: StationaryGame | LaneGame, mean_field: Array, policy: Array) -> Array:
    """Return the discounted law of an agent's states, `[1, S]`, who starts in a random place of the population."""
    return occupancy(decision(game, mean_field), policy[0], law_of(game, mean_field)[0])[None]


def evaluation(game: StationaryGame | LaneGame, mean_field: Array, policy: Array, cost: Array) -> tuple[Array, Array]:
    """Return `(values [1, S], q [1, S, A])` of a policy in a population, less a cost of each action."""
    values, q = policy_values(decision(game, mean_field), policy[0], cost[0])
    return values[None], q[None]
