"""Rewards and kernels given as functions, tried at every time and at several mean fields."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array, Bool
from ..kernels import AbstractKernel, MovesKernel
from .base import AbstractGame
from .parts import check_kernel_values
from .rewards import TableReward


def laws_tried(game: AbstractGame) -> dict[str, np.ndarray]:
    """Return the laws of the states at which functions are tried, by the words for them."""
    S = game.num_states
    even, first = np.full(S, 1 / S), np.zeros(S)
    first[0] = 1
    laws = {"": np.asarray(game.initial), "at the uniform law": even}
    if game.is_stationary:  # a population may end anywhere
        laws |= {"with all in the first state": first, "with all in the last state": first[::-1]}
    weights = 1 + np.arange(S)
    laws |= {"at a rising law": weights / weights.sum(), "at a falling law": weights[::-1] / weights.sum()}
    return {words: law.astype(game.dtype) for words, law in laws.items()}


def check_callables(game: AbstractGame, num_moves: int) -> None:
    """Refuse functions that return no probabilities, or no finite rewards, naming the first time and law.

    Args:
      game: with its functions as programs; its arrays are known.
      num_moves: the kernel is tried at times below it, rewards at all times.
    """
    if isinstance(game.kernel, AbstractKernel) and isinstance(game.reward, TableReward):
        return
    laws = laws_tried(game)
    with jax.ensure_compile_time_eval():  # a game that is known may be built inside `jit`
        stacked = jnp.asarray(np.stack(list(laws.values())))
        moves_sound, pays_sound = map(np.asarray, _sound(game, stacked, num_moves))
        available = np.asarray(game.available)
        for t, k in [*np.argwhere(~moves_sound)[:1], *np.argwhere(~pays_sound)[:1]]:
            words, mask = list(laws)[k], available[min(int(t), len(available) - 1)]
            when = "" if game.is_stationary else f" at t = {t}"
            when += f" {words or ('at the initial law' if game.is_stationary else '')}".rstrip()
            if not moves_sound.all():
                check_kernel_values(_kernel(game, jnp.int32(t), stacked[k]), mask[None], when)
            pay = np.asarray(_reward(game, jnp.int32(t), stacked[k]))
            _checks.all_true("reward", pay, np.isfinite(pay) | ~mask, "it must be a finite number", when)


def _seen(game: AbstractGame, t: Any, law: Array) -> Array:
    """Return what payoffs see of a law of the states: actions are uniform."""
    uniform = game.available_at(t).astype(game.dtype)
    return game.observe(law, law[:, None] * uniform / uniform.sum(axis=1, keepdims=True))


@eqx.filter_jit
def _kernel(game: AbstractGame, t: Any, law: Array) -> AbstractKernel:
    return game.kernel_at(t, _seen(game, t, law))


@eqx.filter_jit
def _reward(game: AbstractGame, t: Any, law: Array) -> Array:
    return game.reward_at(t, _seen(game, t, law))


@eqx.filter_jit  # one small program instead of thousands of operations
def _sound(game: AbstractGame, laws: Array, num_moves: int) -> tuple[Bool[Array, "moves laws"], Bool[Array, "T laws"]]:
    """Tell at which times and laws the kernel's rows are probabilities, and the rewards finite."""

    def moves(t: Array) -> Array:
        return jax.lax.map(lambda law: _is_kernel(game.kernel_at(t, _seen(game, t, law)), game.available_at(t)), laws)

    def pays(t: Array) -> Array:
        def finite(law: Array) -> Array:
            return (jnp.isfinite(game.reward_at(t, _seen(game, t, law))) | ~game.available_at(t)).all()

        return jax.lax.map(finite, laws)

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    is_table = isinstance(game.kernel, AbstractKernel)
    moves_sound = jnp.ones((num_moves, len(laws)), bool) if is_table else jax.lax.map(moves, times[:num_moves])
    is_table = isinstance(game.reward, TableReward)
    return moves_sound, jnp.ones((len(times), len(laws)), bool) if is_table else jax.lax.map(pays, times)


def _is_kernel(kernel: AbstractKernel, available: Array) -> Array:
    if isinstance(kernel, MovesKernel):
        return (kernel.leads | ~available).all()
    rows = kernel.probabilities[0]
    sums, slack = rows.sum(axis=-1), _checks.row_slack(rows.dtype)
    sound = (rows >= 0).all(axis=-1) & (jnp.abs(sums - 1) <= slack)
    return (sound | ~available).all() & jnp.isfinite(rows).all()
