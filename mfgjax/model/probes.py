"""Check of a game's values: tables once, functions of users at every time and in several populations."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled, is_in_a_program
from .._modes import in_own_modes
from .._typing import Array
from ..kernels import AbstractKernel
from . import reads
from .base import AbstractGame
from .canonical import check_kernel_values
from .rewards import TableReward
from .traced import is_own, trace_game

_MOST_ENTRIES = 2**25
"""Numbers up to which everything is tried everywhere; beyond, later laws are tried at the first and the last time."""

_MOST_TIMES = 2**16
"""Times at which anything is tried; of a longer horizon as many, evenly spaced."""


def simple_laws(num_states: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the laws with all in the first state, uniform, and with all in the last state."""
    first, last = np.zeros((2, num_states))
    first[0] = last[-1] = 1
    return first, np.full(num_states, 1 / num_states), last


@in_own_modes
def validate(game: AbstractGame) -> None:
    """Check the numbers of a game: its arrays, and what its functions return at every time at a few mean fields.

    A function must not depend on an entry outside an array: JAX silently takes the nearest entry in its place.

    Args:
      game: the game. Traced values (inside `jit` or `vmap`) are skipped; if something is wrong with them, `solve` says
        so by its result code.

    Raises:
      ValueError: naming the field, the first offending place and its value: numbers that are not finite,
        negative probabilities, rows that do not sum to 1.

    Example:
      >>> import mfgjax as mfg
      >>> mfg.validate(mfg.games.left_right())  # all is well: no error
    """
    users_game, game = game, trace_game(game)  # messages quote the user's own lines, which a program no longer has
    if _checks.is_traced(game):
        return
    _checks.distribution("initial", game.initial)
    # a stationary game has horizon 0, and yet it moves
    available, num_moves = np.asarray(game.available), max(game.horizon, 1)
    if isinstance(game.kernel, AbstractKernel):
        # time H has no move, so only the masks of the first H decisions bear on the kernel
        check_kernel_values(game.kernel, available[:num_moves])
    if isinstance(game.reward, TableReward):
        table, mask = np.broadcast_arrays(np.asarray(game.reward.table), available)
        if len(table) == 1:
            table, mask = table[0], mask[0]
        _checks.all_true("reward", table, np.isfinite(table) | ~mask, "it must be a finite number")
    check_callables(game, users_game, game.laws_to_try(), num_moves, game.horizon + 1)


def check_callables(
    game: AbstractGame, users_game: AbstractGame, laws: Mapping[str, Any], num_moves: int, num_times: int
) -> None:
    """Check that the values of callables are valid, and that none depends on a read outside an array.

    Args:
      game: with the callables as programs; its values are known.
      users_game: with the user's own callables, whose lines a refusal names.
      laws: laws of the states `[S]`, by the words for them; a reward need not be finite where the words say "all in".
      num_moves: times at which the kernel is asked.
      num_times: times at which the reward is asked.
    """
    if not isinstance(game.kernel, AbstractKernel):
        _check(game, users_game, "kernel", laws, num_moves)
    if not isinstance(game.reward, TableReward):
        _check(game, users_game, "reward", laws, num_times)


def _check(game: AbstractGame, users_game: AbstractGame, name: str, laws: Mapping[str, Any], num_times: int) -> None:
    words, table = list(laws), np.stack([np.asarray(law) for law in laws.values()])
    entries = game.num_states * game.num_actions * (game.num_states if name == "kernel" else 1)
    everywhere = num_times * len(words) * entries <= _MOST_ENTRIES
    times_tried = np.unique(np.linspace(0, num_times - 1, min(num_times, _MOST_TIMES)).astype(np.int64))
    times, law_number = np.meshgrid(times_tried, np.arange(len(words)), indexing="ij")
    # the first law is the game's own, and is tried at all times
    is_tried = (law_number == 0) | everywhere | (times == 0) | (times == num_times - 1)
    times, law_number = times[is_tried].astype(np.int32), law_number[is_tried].astype(np.int32)
    with _known_values():
        trusted = is_own(getattr(users_game, name))
        is_sound, reads_outside = (np.asarray(flags) for flags in _tried(game, name, table, times, law_number, trusted))
        for i in np.flatnonzero(~is_sound | reads_outside):
            time, law = jnp.asarray(times[i]), jnp.asarray(table[law_number[i]])
            at = _place(game, int(times[i]), words[law_number[i]])
            if reads_outside[i]:
                reads.refuse_read(
                    name, lambda t, law: _soundness_and_values(users_game, name, t, law)[1], (time, law), at.strip()
                )
            # nobody need ever be in such a corner, where rewards such as log μ are infinite
            if name == "reward" and not game.is_stationary and "all in" in words[law_number[i]]:
                continue
            _refuse_values(game, name, time, law, at)


def _known_values() -> Any:
    """Return a context in which a game that is known has values, also if it is built inside `jit`."""
    # elsewhere it would evaluate reads at known places while tracing, so that nobody sees them
    return jax.ensure_compile_time_eval() if is_in_a_program() else nullcontext()


def _place(game: AbstractGame, time: int, words: str) -> str:
    phrases: Sequence[str] = (words,) if game.is_stationary else (f"at t = {time}", words)
    return "".join(f" {phrase}" for phrase in phrases if phrase)


def _refuse_values(game: AbstractGame, name: str, time: Array, law: Array, at: str) -> None:
    # computed again: `_tried` returns no tables, which would fill the memory
    kernel_or_reward, mask = _values_at(game, name, time, law), np.asarray(game.available_at(time))
    if name == "kernel":
        return check_kernel_values(kernel_or_reward, mask[None], at)
    values = np.asarray(kernel_or_reward)
    _checks.all_true(name, values, np.isfinite(values) | ~mask, "it must be a finite number", at)


@compiled
def _values_at(game: AbstractGame, name: str, time: Array, law: Array) -> Any:
    seen = seen_by_all(game, time, law)
    return game.kernel_as_given(time, seen) if name == "kernel" else game.reward_at(time, seen)


def seen_by_all(game: AbstractGame, time: Array, law: Array) -> Array:
    """Return the mean field of a law of states in which every agent picks an available action at random."""
    chances = game.available_at(time).astype(game.dtype)
    return game.observe(law, law[:, None] * chances / chances.sum(axis=1, keepdims=True))


def _soundness_and_values(game: AbstractGame, name: str, time: Array, law: Array) -> tuple[Array, list[Array]]:
    """Return whether a callable's values are sound where actions exist, and the values themselves."""
    mask, seen = game.available_at(time), seen_by_all(game, time, law)
    if name == "reward":
        reward = game.reward_at(time, seen)
        return (jnp.isfinite(reward) | ~mask).all(), [jnp.where(mask, reward, 0)]
    chances = game.kernel_as_given(time, seen).probabilities[0]
    near = jnp.abs(chances.sum(axis=2) - 1) <= _checks.precision(chances.dtype)
    # differences such as 1 − Σ are rounded below 0
    is_chance = (chances >= -8 * jnp.finfo(chances.dtype).eps).all(axis=2)
    sound = jnp.isfinite(chances).all() & (is_chance & near | ~mask).all()
    return sound, [jnp.where(mask[..., None], chances, 0)]


@compiled
def _tried(
    game: AbstractGame, name: str, laws: Any, times: Any, law_numbers: Any, trusted: bool
) -> tuple[Array, Array]:
    """Tell for pairs of a time and a law whether values are sound, and whether they depend on a read outside.

    The library's own functions are trusted to read their tables inside.
    """

    def looked_at(time: Array, law: Array) -> list[Array]:
        is_sound, values = _soundness_and_values(game, name, time, law)
        return [is_sound, *values]

    times, law_numbers, laws = jnp.asarray(times), jnp.asarray(law_numbers), jnp.asarray(laws)
    if trusted:  # a first solve of the library's own games stays quick
        is_sound = jax.lax.map(
            lambda pair: _soundness_and_values(game, name, pair[0], laws[pair[1]])[0], (times, law_numbers)
        )
        return is_sound, jnp.zeros_like(is_sound)
    program = jax.make_jaxpr(looked_at)(times[0], laws[0])  # traced once, run at all times and laws

    def replaced(pair: tuple[Array, Array]) -> tuple[Array, Array]:
        # the first sign leaves the program as it is
        is_sound, *values = jax.lax.map(lambda sign: reads.run(program, sign, pair[0], laws[pair[1]]), reads.SIGNS)
        return is_sound[0], jnp.stack([reads.changes(one) for one in values]).any()

    has_reads, depends = reads.reads_of(program)
    if depends:
        return jax.lax.map(replaced, (times, law_numbers))
    is_sound = jax.lax.map(lambda pair: looked_at(pair[0], laws[pair[1]])[0], (times, law_numbers))
    if not has_reads:
        return is_sound, jnp.zeros_like(is_sound)
    # fixed places lie outside at every time and law or at none: one is tried
    return is_sound, jnp.zeros_like(is_sound).at[0].set(replaced((times[0], law_numbers[0]))[1])
