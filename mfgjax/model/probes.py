"""Check of a game's values: tables once, functions of users at every time and in several populations."""

import weakref
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled, is_in_a_program
from .._modes import in_own_modes
from .._traced import Program, TracedFunction, users_programs
from .._typing import Array
from ..kernels import AbstractKernel
from . import reads
from .arguments import game_of
from .base import AbstractGame
from .canonical import check_kernel_values
from .rewards import TableReward
from .traced import is_own, trace_functions

_MOST_ENTRIES = 2**25
"""Numbers up to which everything is tried everywhere; beyond, later laws are tried at the first and the last time."""

_MOST_TIMES = 2**16
"""Times at which anything is tried; of a longer horizon as many, evenly spaced."""

tried_programs: weakref.WeakSet[Program] = weakref.WeakSet()
"""Programs of users' functions that were tried, and do not depend on an entry outside an array."""


def simple_laws(num_states: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the laws with all in the first state, uniform, and with all in the last state."""
    first, last = np.zeros((2, num_states))
    first[0] = last[-1] = 1
    return first, np.full(num_states, 1 / num_states), last


@in_own_modes
def validate(game: AbstractGame) -> None:
    """Check the numbers of a game: its arrays, and what its functions return at every time at a few mean fields.

    A function must not depend on an entry outside an array: JAX silently takes the nearest entry in its place. This
    alone is checked again by `solve`, `sweep` and the like, if an index is computed from numbers that may have changed.

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
    # messages quote the user's own lines, which a program no longer has
    users_game, game = game, trace_functions(game_of(game))
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
    with known_values():
        tried = Tried.of(game, name, laws, num_times)
        is_sound, reads_outside = tried.flags(game, trusted=is_own(getattr(users_game, name)))
        for i in np.flatnonzero(~is_sound | reads_outside):
            time, law, words, at = tried.place(game, i)
            if reads_outside[i]:
                refuse_read_of(users_game, name, time, law, at)
            # nobody need ever be in such a corner, where rewards such as log μ are infinite
            if name == "reward" and not game.is_stationary and "all in" in words:
                continue
            _refuse_values(game, name, time, law, at)


class Tried(NamedTuple):
    """Times and laws at which the kernel or the reward of a game is tried.

    Attributes:
      name: "kernel" or "reward".
      words: for the laws.
      laws: of the states `[L, S]`; the first is the game's own.
      times: of the pairs that are tried `[P]`.
      law_numbers: of the pairs `[P]`.
      all_times: the times that are tried in the first law.
    """

    name: str
    words: list[str]
    laws: np.ndarray
    times: np.ndarray
    law_numbers: np.ndarray
    all_times: np.ndarray

    @classmethod
    def of(cls, game: AbstractGame, name: str, laws: Mapping[str, Any], num_times: int) -> "Tried":
        words, table = list(laws), np.stack([np.asarray(law) for law in laws.values()])
        entries = game.num_states * game.num_actions * (game.num_states if name == "kernel" else 1)
        everywhere = num_times * len(words) * entries <= _MOST_ENTRIES
        all_times = np.unique(np.linspace(0, num_times - 1, min(num_times, _MOST_TIMES)).astype(np.int32))
        times, law_numbers = np.meshgrid(all_times, np.arange(len(words), dtype=np.int32), indexing="ij")
        # the first law is the game's own, and is tried at all times
        is_tried = (law_numbers == 0) | everywhere | (times == 0) | (times == num_times - 1)
        return cls(name, words, table, times[is_tried], law_numbers[is_tried], all_times)

    def flags(self, game: AbstractGame, trusted: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Tell for each pair whether values are sound, and whether they depend on a read outside an array.

        The library's own functions are trusted to read their tables inside.
        """
        found = _tried(game, self.name, self.laws, self.times, self.law_numbers, self.all_times, trusted)
        is_sound, reads_outside = map(np.asarray, found)
        if not (trusted or reads_outside.any()):
            functions = users_programs(getattr(game, self.name))
            tried_programs.update(one.program for one in functions if isinstance(one, TracedFunction))
        return is_sound, reads_outside

    def place(self, game: AbstractGame, number: np.intp) -> tuple[Array, Array, str, str]:
        """Return the time and the law of a pair, the words for the law, and what a message says of both."""
        time, law = int(self.times[number]), int(self.law_numbers[number])
        words = self.words[law]
        return jnp.asarray(time, jnp.int32), jnp.asarray(self.laws[law]), words, _place(game, time, words)


def refuse_read_of(users_game: AbstractGame, name: str, time: Array, law: Array, at: str) -> NoReturn:
    """Raise the error on a read outside an array at a time and a law."""
    reads.refuse_read(name, lambda t, law: _soundness_and_values(users_game, name, t, law)[1], (time, law), at.strip())


def known_values() -> Any:
    """Return a context in which a game that is known has values, also if it is built inside `jit`."""
    # elsewhere it would evaluate reads at known places while tracing, so that nobody sees them
    return jax.ensure_compile_time_eval() if is_in_a_program() else nullcontext()


def _place(game: AbstractGame, time: int, words: str) -> str:
    phrases: Sequence[str] = (words,) if game.is_stationary else (f"at t = {time}", words)
    return "".join(f" {phrase}" for phrase in phrases if phrase)


def _refuse_values(game: AbstractGame, name: str, time: Array, law: Array, at: str) -> None:
    if game.aggregate is not None:
        seen = np.asarray(_aggregate_at(game, time, law))
        words = "the aggregate must be a finite number; an equation may have no root that Newton's method finds"
        _checks.all_true("observes", seen, np.isfinite(seen), words, at)
    # computed again: `_tried` returns no tables, which would fill the memory
    kernel_or_reward, mask = _values_at(game, name, time, law), np.asarray(game.available_at(time))
    if name == "kernel":
        return check_kernel_values(kernel_or_reward, mask[None], at)
    values = np.asarray(kernel_or_reward)
    _checks.all_true(name, values, np.isfinite(values) | ~mask, "it must be a finite number", at)


@compiled
def _aggregate_at(game: AbstractGame, time: Array, law: Array) -> Array:
    return game.seen_by_payoffs(time, seen_by_all(game, time, law))


@compiled
def _values_at(game: AbstractGame, name: str, time: Array, law: Array) -> Any:
    seen = seen_by_all(game, time, law)
    return game.kernel_as_given(time, seen) if name == "kernel" else game.reward_at(time, seen)


def seen_by_all(game: AbstractGame, time: Array, law: Array) -> Array:
    """Return the mean field of a law of states in which every agent picks an available action at random."""
    chances = game.available_at(time).astype(game.dtype)
    return game.observe(time, law, law[:, None] * chances / chances.sum(axis=1, keepdims=True))


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
    game: AbstractGame, name: str, laws: Any, times: Any, law_numbers: Any, all_times: Any, trusted: bool
) -> tuple[Array, Array]:
    times, law_numbers, laws = jnp.asarray(times), jnp.asarray(law_numbers), jnp.asarray(laws)

    def is_sound(pair: tuple[Array, Array]) -> Array:
        return _soundness_and_values(game, name, pair[0], laws[pair[1]])[0]

    sound = jax.lax.map(is_sound, (times, law_numbers))
    if trusted:  # a first solve of the library's own games stays quick
        return sound, jnp.zeros_like(sound)
    return sound, reads_outside(game, name, laws, times, law_numbers, jnp.asarray(all_times))


def reads_outside(
    game: AbstractGame, name: str, laws: Array, times: Array, law_numbers: Array, all_times: Array
) -> Array:
    """Tell for pairs of a time and a law, see `Tried`, whether values depend on a read outside an array."""

    def values(time: Array, law: Array) -> list[Array]:
        return _soundness_and_values(game, name, time, law)[1]

    program = jax.make_jaxpr(values)(times[0], laws[0])  # traced once, run at all times and laws

    def depend(pair: tuple[Array, Array]) -> Array:
        # the first sign leaves the program as it is
        found = jax.lax.map(lambda sign: reads.run(program, sign, pair[0], laws[pair[1]]), reads.SIGNS)
        return jnp.stack([reads.changes(one) for one in found]).any()

    has_reads, moves = reads.reads_of(program)
    if moves:
        return jax.lax.map(depend, (times, law_numbers))
    if not has_reads:
        return jnp.zeros(times.shape, bool)
    # fixed places lie outside at every time and law or at none; what is read there may count at some times only
    by_time = jax.lax.map(depend, (all_times, jnp.zeros_like(all_times)))
    return by_time[jnp.searchsorted(all_times, times)] & (law_numbers == 0)
