"""What the public maps are given: arrays and responses in their places, and of the right shapes."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array
from ..responses import AbstractResponse


def response_is(response: Any, call: str) -> None:
    """Refuse what is no response; `call` shows the order of the arguments."""
    if not isinstance(response, AbstractResponse):
        got = _checks.shorten(response)
        raise ValueError(f"`response` must be a response such as `EntropyRegularized(beta)` in `{call}`; got {got}.")


def mean_field_is(game: Any, mean_field: Any, call: str) -> None:
    """Refuse what is no mean field of the game; axes of lanes may stand behind it, one time in front if it has none."""
    if isinstance(mean_field, AbstractResponse):
        raise ValueError(f"`mean_field` is a response, but it must be an array: the order is `{call}`.")
    states = (game.num_states,) if game.observes == "states" else (game.num_states, game.num_actions)
    names = "states" if game.observes == "states" else "states, actions"
    if game.is_stationary:
        _leading("mean_field", mean_field, [states, (1, *states)], names)
    else:
        _leading("mean_field", mean_field, [(game.horizon + 1, *states)], f"times, {names}")


def policy_of(game: Any, policy: Any, call: str) -> Array:
    """Return a policy of the game with a first axis of times unless it is stationary; `[S, A]` holds at all times."""
    if isinstance(policy, AbstractResponse):
        raise ValueError(f"`policy` is a response, but it must be an array: the order is `{call}`.")
    pair, lanes = (game.num_states, game.num_actions), len(game.lanes)
    table = jnp.asarray(policy)
    if game.is_stationary:
        _leading("policy", table, [pair, (1, *pair)], "states, actions")
        return table
    every = (game.horizon + 1, *pair)
    _leading("policy", table, [pair, every], "states, actions; or times first")
    return jnp.broadcast_to(table, (game.horizon + 1, *table.shape)) if table.ndim == 2 + lanes else table


def _leading(name: str, array: Any, shapes: list[tuple[int, ...]], axes: str) -> None:
    shape = np.shape(array)
    if not any(shape[: len(one)] == one for one in shapes):
        allowed = " or ".join(str(one) for one in shapes)
        raise ValueError(f"`{name}` must have shape {allowed} ({axes}); got {shape}.")
