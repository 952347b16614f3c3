"""What can happen in a game: which actions exist, where moves can lead, how much of the start they forget."""

import jax
import jax.numpy as jnp

from .._typing import Array, Bool, Float
from ..kernels import AbstractKernel, MovesKernel, SuccessorKernel
from ..model import FiniteHorizonGame
from ..ranges.intervals import Interval
from ..ranges.programs import ignores

_AT_ONCE = 2**21  # numbers in memory together
_MOST_MIXING = 2**31  # operations; more would take seconds


def availability(game: FiniteHorizonGame, num_actions: int | None = None) -> Bool[Array, "T S A"]:
    """Return which actions exist at each time; with `num_actions` 1 (payoffs ignore actions), whether any exists."""
    mask = jnp.broadcast_to(game.available, (game.horizon + 1, *game.available.shape[1:]))
    return mask.any(axis=2, keepdims=True) if num_actions == 1 else mask


def counted(game: FiniteHorizonGame, per_time: Float[Array, " T"], at_start: float = 0) -> Float[Array, " T"]:
    """Replace the number of time 0 by `at_start` where it cannot matter: laws of states all start from μ_0."""
    return per_time.at[0].set(at_start) if game.observes == "states" else per_time


def any_mean_field(game: FiniteHorizonGame) -> Array:
    """Return some mean field of one time, for kernels that do not depend on it."""
    if game.observes == "states":
        return game.initial
    return jnp.broadcast_to(game.initial[:, None], (game.num_states, game.num_actions))


def kernel_of(game: FiniteHorizonGame, t: Array) -> AbstractKernel:
    """Return the kernel of the move from t, or of the last one for t = H, of a game whose kernel is decoupled."""
    return game.kernel_at(jnp.minimum(t, game.horizon - 1), any_mean_field(game))


def is_decoupled(game: FiniteHorizonGame) -> bool:
    """Tell whether the kernel does not depend on the mean field, by its kind or by its program."""
    if isinstance(game.kernel, AbstractKernel):
        return True
    mean_field = any_mean_field(game)

    def program(seen: Array) -> Array:
        return game.kernel_as_given(jnp.int32(0), seen).probabilities

    return ignores(program, Interval(mean_field, mean_field))


def over_successors(kernel: AbstractKernel, values: Float[Array, "S *batch"]) -> Float[Array, "S A *batch"]:
    """Return max{v(s') : P(s'|s,a) > 0}, the largest value that a pair can lead to."""
    if isinstance(kernel, MovesKernel):
        return values[kernel.next_state]
    if isinstance(kernel, SuccessorKernel):
        values_there = values[kernel.successors]
        # a successor of probability 0 may only fill up the list
        possible = (kernel.probabilities[0] > 0).reshape(*kernel.successors.shape, *(1,) * (values.ndim - 1))
        return jnp.where(possible, values_there, -jnp.inf).max(axis=2)
    rows = probabilities(kernel)
    num_states, num_actions = rows.shape[:2]

    def best(row: Array) -> Array:
        possible = (row > 0).reshape(-1, *(1,) * (values.ndim - 1))
        return jnp.where(possible, values, -jnp.inf).max(axis=0)

    rows_at_once = max(1, _AT_ONCE // values.size)
    result = jax.lax.map(best, rows.reshape(num_states * num_actions, num_states), batch_size=rows_at_once)
    return result.reshape(num_states, num_actions, *values.shape[1:])


def probabilities(kernel: AbstractKernel) -> Float[Array, "S A S"]:
    """Return the full table of one time, for kernels whose games are small enough for it."""
    return kernel.expect(jnp.eye(kernel.num_states, dtype=kernel.probabilities.dtype))


def reachable(game: FiniteHorizonGame) -> Bool[Array, "T S"]:
    """Return which states can be visited at each time, under a decoupled kernel."""

    def step(here: Array, t: Array) -> tuple[Array, Array]:
        mass = (here[:, None] & game.available_at(t)).astype(game.dtype)
        # one pass of ones over the support: what arrives is positive exactly where it can
        arrives = kernel_of(game, t).push(mass) > 0
        return arrives, here

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    return jax.lax.scan(step, game.initial > 0, times)[1]


def mixing(game: FiniteHorizonGame) -> Float[Array, " H"]:
    """Return Dobrushin's coefficient of each move, the largest d_TV(P(·|x), P(·|y)) of two available pairs.

    Where that would take seconds it is bounded by 1.
    """
    size = game.num_states * game.num_actions
    if game.horizon * size * size * game.num_states > _MOST_MIXING:
        return jnp.ones(game.horizon, game.dtype)

    def at(t: Array) -> Array:
        rows = probabilities(kernel_of(game, t)).astype(game.dtype).reshape(size, -1)
        mask = game.available_at(t).reshape(size)

        def largest(x: Array) -> Array:
            distance = jnp.abs(rows[x] - rows).sum(axis=1) / 2
            return jnp.where(mask & mask[x], distance, 0).max()

        return jax.lax.map(largest, jnp.arange(size), batch_size=max(1, _AT_ONCE // rows.size)).max()

    return jnp.minimum(jax.lax.map(at, jnp.arange(game.horizon, dtype=jnp.int32)), 1)  # rounded sums may exceed 1
