"""Double precision for one computation, whatever the default is."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array
from ..kernels import DenseKernel, SuccessorKernel
from ..model import FiniteHorizonGame

DOUBLE = jnp.float64


def double() -> Any:
    """Return a context in which 64-bit numbers exist; the global switch is left alone.

    The gain of one agent is of the order 1/N², and counts go up to 1e9: neither fits single precision. Programs of
    this package compute in double precision, also inside a `jit` of the user's, and return the game's.
    """
    return jax.enable_x64(True)


def as_precision(tree: Any, dtype: Any) -> Any:
    """Return a tree with its floating arrays in one precision."""
    return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, tree)


def as_double(tree: Any) -> Any:
    """Return a tree with its floating arrays in double precision."""
    return as_precision(tree, DOUBLE)


def weighted(weight: Array, value: Array) -> Array:
    """Return weight · value, where under a weight of 0 an infinite or NaN value counts as 0.

    A finite value stays the derivative with respect to the weight, also at weight 0.
    """
    return weight * jnp.where((weight != 0) | jnp.isfinite(value), value, 0)


def game_as_double(game: FiniteHorizonGame) -> FiniteHorizonGame:
    """Return a game in double precision, with laws that sum to 1 in it."""
    game = as_double(game)
    game = eqx.tree_at(lambda g: g.initial, game, game.initial / game.initial.sum())
    if not isinstance(game.kernel, DenseKernel | SuccessorKernel):
        return game
    rows = game.kernel.probabilities
    sums = rows.sum(axis=-1, keepdims=True)  # rows of actions that are not available may be empty
    rows = rows / jnp.where(sums > 0, sums, 1)
    return eqx.tree_at(lambda g: g.kernel.probabilities, game, rows)
