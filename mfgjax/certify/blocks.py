"""Rows of the kernel and rewards of a stationary game at point masses, or at sampled laws, in blocks of states."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._compiled import compiled
from .._typing import Array
from ..kernels import AbstractKernel, DenseKernel
from ..model import StationaryGame, trace_game
from ..ranges.affine import NotAffine, affine_in_law
from ..ranges.ranges import MOST_LOST
from .differences import Table
from .rounding import explained, rounded_otherwise

_NUM_PAIRS = 32  # random pairs of laws, where point masses prove nothing

_NUMBERS = 2**23
"""Of a table of rows at all laws that are looked at together: further states come after them."""

OF_DATA = 2
"""How far numbers in rewards and kernels may be from those meant, in spacings of numbers of their size."""


class Block(NamedTuple):
    """Rows `[laws, states, A, S]` or rewards `[laws, states, A, 1]` of some states, numbered from `state` on.

    The first state of the next block is its last one. Where nothing depends on the law, there are two of them.
    """

    state: int
    table: Table
    num_points: int


def _blocks_of_states(num_states: int, numbers: int) -> Iterator[tuple[int, int]]:
    """Yield first states and numbers of states of blocks, of which each state takes so many numbers."""
    width = max(min(num_states, _NUMBERS // numbers), 2)  # neighbours are compared
    start = 0
    while True:
        start = min(start, max(num_states - width, 0))
        yield start, width
        if start + width >= num_states:
            return
        start += width - 1


def affine_blocks(game: StationaryGame, name: str) -> Iterator[Block]:
    """Yield rows or rewards at the point masses if their program is affine in z.

    They are computed in double precision, so that of a game in single precision its data alone are rounded.

    Raises:
      NotAffine: saying why, if it is not known to be; what was yielded before then proves nothing.
    """
    S, A = game.num_states, game.num_actions
    is_kernel = name == "kernel"
    # what does not depend on the law is the same at all of them: two tell as much
    num_points = min(2, S) if is_kernel and isinstance(game.kernel, AbstractKernel) else S
    data, scale, most_lost = OF_DATA * float(jnp.finfo(game.dtype).eps), 1.0 if is_kernel else 0.0, 0.0
    with jax.enable_x64(True):
        traced = trace_game(game, jnp.float64).seeing_laws()
        wide = jax.tree.map(lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, traced)
    for start, width in _blocks_of_states(S, num_points * A * (S if is_kernel else 1)):
        with jax.enable_x64(True):
            try:
                values, size, steps, holds = _affine(wide, name, num_points, jnp.int32(start), min(width, S))
            except NotAffine as error:
                raise NotAffine(f"the {name} is not affine: {error}") from error
            values, size = np.asarray(values), np.asarray(size)
        if not bool(holds):
            raise NotAffine(f"the {name} bends or jumps")
        # what the game's data are off, then what the computation in double precision adds
        rounding = size * data + size * steps * float(np.finfo(np.float64).eps) / 2
        scale = scale if is_kernel else max(scale, float(np.abs(values).max(initial=0)))
        most_lost = np.maximum(most_lost, rounding.max(initial=0))  # NaN stays
        if not np.isfinite(values).all():
            raise NotAffine(f"the {name} is not finite")
        yield Block(start, Table(values, rounding), num_points)
    if not most_lost <= MOST_LOST * scale:
        raise NotAffine(f"the {name} adds numbers that are much larger than the result, which leaves nothing to judge")


@compiled
def _affine(game: StationaryGame, name: str, num_points: int, start: Array, width: int) -> tuple[Any, ...]:
    """Return values at the point masses, bounds on the summands and the proof, for some of the states."""

    def part(x: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(x, start, width, axis=1)

    if num_points < game.num_states:
        rows = part(jnp.broadcast_to(_rows(game, game.initial), (num_points, *_shape_of(game))))
        return rows, jnp.abs(rows), 0, True
    found, holds = affine_in_law(_function(game, name), (game.num_states,), game.dtype)
    values, size = (part(x) for x in (found.values, found.size))
    return values, size, found.steps, holds


def _shape_of(game: StationaryGame) -> tuple[int, int, int]:
    return game.num_states, game.num_actions, game.num_states


def _function(game: StationaryGame, name: str) -> Callable[[Array], Array]:
    if name == "kernel":
        return lambda z: _rows(game, z)
    return lambda z: game.reward_at(jnp.int32(0), z)[..., None]


def _rows(game: StationaryGame, z: Array) -> Array:
    """Return P(s'|s,a,z), `[S, A, S]`."""
    kernel = game.kernel_as_given(jnp.int32(0), z)
    if isinstance(kernel, DenseKernel):
        return kernel.probabilities[0]
    identity = jnp.eye(game.num_states, dtype=game.dtype)
    return jax.vmap(kernel.expect, in_axes=1, out_axes=2)(identity)


def laws_to_sample(num_states: int, rng: np.random.Generator) -> np.ndarray:
    """Return the point masses in order, then pairs of random laws of which the second dominates the first."""
    laws = list(np.eye(num_states))
    for _ in range(_NUM_PAIRS):
        low = rng.dirichlet(np.full(num_states, rng.choice([0.1, 1.0])))  # near the corners, or evenly
        up = np.triu(rng.dirichlet(np.full(num_states, 0.3), size=num_states))  # mass moves to states above
        up[:, -1] += 1 - up.sum(axis=1)  # what was cut off goes to the top
        laws += [low, low @ up]
    return np.array(laws)


def sampled_blocks(game: StationaryGame, name: str, laws: np.ndarray) -> Iterator[Block]:
    """Yield rows or rewards at laws."""
    S, A = game.num_states, game.num_actions
    num_points, traced = S, trace_game(game).seeing_laws()
    if name == "kernel" and isinstance(game.kernel, AbstractKernel):  # as above
        num_points, laws = min(2, S), laws[: min(2, S)]
    laws_in_precision = jnp.asarray(laws, game.dtype)
    for start, width in _blocks_of_states(S, len(laws) * A * (S if name == "kernel" else 1)):
        found = _at_laws(traced, name, laws_in_precision, jnp.int32(start), min(width, S))
        values, rounding = (np.asarray(table, dtype=float) for table in found)
        yield Block(start, Table(values, rounding), num_points)


@compiled
def _at_laws(game: StationaryGame, name: str, laws: Array, start: Array, width: int) -> tuple[Array, Array]:
    """Return values at laws, and how far rounding may have moved each, of some of the states."""
    function = _function(game, name)
    otherwise = rounded_otherwise(function)

    def at(z: Array) -> tuple[Array, Array]:
        values, moved = (jax.lax.dynamic_slice_in_dim(of(z), start, width) for of in (function, otherwise))
        return values, explained(values, moved)

    return jax.lax.map(at, laws)


@compiled
def rows_and_rewards(game: StationaryGame, z: Array) -> tuple[Array, Array]:
    """Return the rows `[S, A, S]` and the rewards `[S, A]` at one law."""
    return _rows(game, z), game.reward_at(jnp.int32(0), z)
