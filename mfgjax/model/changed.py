"""Games of which a number may have changed since they were built: do their functions still read inside their arrays?

A parameter, a field or a global variable may be an index, `price[month]`. A game is checked when it is built; the
functions here check what may have changed since. Only functions that compute from such numbers where they read are
tried again, so that others cost nothing.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._traced import KeyedFunction, Program, TracedFunction, users_programs
from .._trees import with_leaves
from .._typing import Array
from . import reads
from .base import AbstractGame
from .parameters import arguments_of
from .probes import Tried, known_values, reads_outside, refuse_read_of, tried_programs
from .traced import Game, trace_functions

_LANES = 64
"""Games that are tried by one call of a compiled program."""

_MOST_NUMBERS = 2**22
"""Numbers in the tables of the games that are tried at once."""

# what `reads_in` says of a program, which is the same at each call
_reads: weakref.WeakKeyDictionary[Program, tuple[bool, bool]] = weakref.WeakKeyDictionary()


def trace_game(game: Game, dtype: Any = None, *, in_lanes: bool = False) -> Game:
    """Replace the functions of users in a game by programs of what they compute now, see `trace_functions`.

    Every public function that compiles code for a game begins with this.

    Args:
      game: the game.
      dtype: the precision in which the programs compute; None: the game's.
      in_lanes: a function that says `takes_lanes` is to be called for many games at once, and stays a function, which
        is compiled anew if what it reads has changed. Only for games that are not used after the call.

    Raises:
      ValueError: if a function now depends on an entry outside an array. Numbers that JAX traces are not checked.
    """
    traced = trace_functions(game, dtype, in_lanes=in_lanes)
    if traced is not game:
        for name in _reading(traced):
            if not _checks.is_traced(traced):
                _refuse_reads(traced, game, name)
    return traced


def check_reads_of_games(
    game: AbstractGame,
    values: dict[int, Any],
    index: dict[int, np.ndarray],
    at: Callable[[int], str],
) -> None:
    """Check that no function of many games depends on an entry outside an array; values that JAX traces are skipped.

    Args:
      game: one of them, with its functions as programs.
      values: for leaves of the game, by their number, what differs between the games, on a last axis.
      index: for the same leaves, for each game which entry of that axis it has.
      at: what a message says of a game, given its number: " at month = 12".

    Raises:
      ValueError: naming the first game of which a function depends on an entry outside an array.
    """
    names = _reading(game)
    if not names or _checks.is_traced(game) or _checks.is_traced(list(values.values())):
        return
    structure = jax.tree.structure(game)
    numbered = jax.tree.unflatten(structure, range(structure.num_leaves))
    for name in names:
        mine = set(jax.tree.leaves((getattr(numbered, name), numbered.aggregate, numbered.params)))
        moved = [leaf for leaf in values if leaf in mine]
        if not moved:
            continue
        # games that differ in other arrays only, as in the initial law, are tried once
        rows, firsts = np.unique(np.stack([index[leaf] for leaf in moved], axis=1), axis=0, return_index=True)
        for begin in range(0, len(rows), _LANES):
            block = np.arange(begin, begin + _LANES).clip(max=len(rows) - 1)  # one shape is compiled once
            chosen = {leaf: values[leaf][..., rows[block, k]] for k, leaf in enumerate(moved)}
            for bad in np.flatnonzero(_are_outside(game, name, chosen))[:1]:
                one = with_leaves(game, {leaf: jnp.asarray(table[..., bad]) for leaf, table in chosen.items()})
                _refuse_reads(one, one, name, at(int(firsts[block[bad]])))


def _reading(game: AbstractGame) -> list[str]:
    """Return which of "kernel" and "reward" have functions that compute from numbers of the game where they read."""
    found = []
    for name in ("kernel", "reward"):
        functions = {name: getattr(game, name), "observes": getattr(game.aggregate, "function", None)}
        for field, part in functions.items():
            num_params = len(arguments_of(game.params, field, part))
            if any(_finds_places(function, num_params) for function in users_programs(part)):
                found.append(name)
                break
    return found


def _finds_places(function: TracedFunction | KeyedFunction, num_params: int) -> bool:
    if isinstance(function, KeyedFunction):  # its program is not kept
        return True
    program = function.program
    if program not in _reads:
        num_inputs = len(program.jaxpr.invars)
        num_own = len(jax.tree.leaves(function.own)) + len(function.constants) + len(function.numbers)
        # the time and the mean field stand between; all of their values were tried when the game was built
        varying = [i < num_own or i >= num_inputs - num_params for i in range(num_inputs)]
        _reads[program] = reads.reads_in(program.jaxpr, varying)
    has_reads, depends = _reads[program]
    # whole numbers that a function reads from outside are a part of its program, and make another one when they change
    return depends or (has_reads and program not in tried_programs)


def _tried(game: AbstractGame, name: str) -> Tried:
    num_times = max(game.horizon, 1) if name == "kernel" else game.horizon + 1
    return Tried.of(game, name, game.laws_to_try(), num_times)


def _refuse_reads(game: AbstractGame, users_game: AbstractGame, name: str, which: str = "") -> None:
    with known_values():
        tried = _tried(game, name)
        _, outside = tried.flags(game)
        for i in np.flatnonzero(outside)[:1]:
            time, law, _, at = tried.place(game, i)
            refuse_read_of(users_game, name, time, law, at + which)


def _are_outside(game: AbstractGame, name: str, chosen: dict[int, Any]) -> np.ndarray:
    with known_values():
        tried = _tried(game, name)
        tables = [jnp.moveaxis(jnp.asarray(table), -1, 0) for table in chosen.values()]
        return np.asarray(
            _any_outside(game, tuple(chosen), tables, name, tried.laws, tried.times, tried.law_numbers, tried.all_times)
        )


@compiled
def _any_outside(
    game: AbstractGame,
    leaves: Sequence[int],
    tables: list[Array],
    name: str,
    laws: Any,
    times: Any,
    law_numbers: Any,
    all_times: Any,
) -> Array:
    def one(arrays: list[Array]) -> Array:
        single = with_leaves(game, dict(zip(leaves, arrays, strict=True)))
        return reads_outside(single, name, *map(jnp.asarray, (laws, times, law_numbers, all_times))).any()

    entries = game.num_states * game.num_actions * (game.num_states if name == "kernel" else 1)
    return jax.lax.map(one, tables, batch_size=int(np.clip(_MOST_NUMBERS // entries, 1, _LANES)))
