"""Functions of users that look at an equilibrium: outputs of sweeps, objectives of designs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ._result import Result
from ._traced import ObservedFunction, key_of_call
from .equilibrium import Equilibrium
from .model import AbstractGame
from .responses import AbstractResponse


def observer(function: Callable, game: AbstractGame, response: AbstractResponse, criterion: str) -> ObservedFunction:
    """Return a function `(game, response, equilibrium)` that is compiled anew if it, or what it reads, has changed.

    Args:
      function: of the user.
      game: one of those that it will be given, with its functions as programs.
      response: likewise.
      criterion: of the equilibria.
    """
    key = key_of_call(function, game, response, _equilibrium_of(game, criterion))
    return ObservedFunction(function, key)


def _equilibrium_of(game: AbstractGame, criterion: str) -> Equilibrium:
    """Return an equilibrium of shapes in place of numbers."""

    def shaped(*shape: int, dtype: Any = game.dtype) -> Any:
        return jax.ShapeDtypeStruct(shape, dtype)

    states = shaped(*game.times, game.num_states)
    pairs = shaped(*game.times, game.num_states, game.num_actions)
    whole, one = shaped(dtype=jnp.int32), shaped()
    result = jax.eval_shape(Result, whole, whole)
    seen = shaped(*game.mean_field_shape)
    # a history of length 0: neither sweeps nor designs keep one
    arrays = (seen, pairs, pairs, states, pairs, one, one, one, whole, shaped(0), one)
    names = () if game.aggregate is None else game.aggregate.labels or ()
    aggregate = shaped(*game.times, len(names)) if names else None
    labels = (game.state_labels, game.action_labels)
    return Equilibrium(*arrays, result, criterion, game.observes, -1, *labels, aggregate, names)
