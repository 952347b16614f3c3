"""Checks of the arguments of public maps: games, responses, mean fields and policies."""

from types import FunctionType
from typing import Any, TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._names import is_ready_made, offered, suggestion
from .._typing import Array
from ..kernels.precision import in_precision
from ..responses import AbstractResponse
from ..responses.base import response_in_precision
from .base import AbstractGame
from .canonical import axes_of, with_times
from .lanes import LaneGame

Kind = TypeVar("Kind", bound=AbstractGame)


def of_kind(kind: type[Kind], game: Any, got: str | None = None, instead: str | None = None) -> Kind:
    """Check that `game` is of the kind that a function needs, and return it.

    Args:
      kind: the class that the function needs.
      game: what the user passed.
      got: words for it in the message; None: its class if it is a game, else its value.
      instead: what the message advises for games of other kinds; None: it gives no advice.
    """
    if isinstance(game, kind):
        return game
    got = no_game(game) if got is None else got
    advice = instead if isinstance(game, AbstractGame) and instead else f"got {got}"
    raise ValueError(f"`game` must be a `{kind.__name__}`; {advice}.")


def game_of(game: Any, other: Any = None) -> Any:
    """Check that an argument is a game, whatever its kind, and return it.

    Args:
      game: what the user passed first.
      other: what was passed next; if that is the game, the message says that the game comes first.
    """
    if isinstance(game, AbstractGame | LaneGame):
        return game
    hint = " The game comes first." if isinstance(other, AbstractGame) else ""
    raise ValueError(f"`game` must be a `FiniteHorizonGame` or a `StationaryGame`; got {no_game(game)}.{hint}")


def no_game(value: Any) -> str:
    """Return words for what stands in the place of a game: its class, or the value with what may have been meant."""
    got = _checks.shorten(value)
    if isinstance(value, str):
        call = f": write `games.{value.replace('-', '_')}()`"
        return got + (call if is_ready_made(value) else suggestion(value, offered("games")))
    if isinstance(value, FunctionType):
        return f"{got}: call it, `{value.__name__}(...)`"
    return type(value).__name__ if isinstance(value, eqx.Module) else got


def response_of(game: Any, response: Any, call: str) -> AbstractResponse:
    """Check a response and return it in the game's precision; `call` shows the order of the arguments."""
    game_of(game, response)
    if not isinstance(response, AbstractResponse):
        got = _checks.shorten(response)
        raise ValueError(f"`response` must be a response such as `EntropyRegularized(beta)` in `{call}`; got {got}.")
    return response_in_precision(response, game.dtype)


def mean_field_of(game: Any, mean_field: Any, call: str, name: str = "mean_field") -> Array:
    """Check a mean field and return it in the game's precision; a stationary one may begin with an axis of one time.

    Axes of lanes may stand behind it. Values that are known, without lanes, must be laws.
    """
    game_of(game, mean_field)
    if isinstance(mean_field, AbstractResponse):  # swapped arguments would end in pages of errors from JAX
        raise ValueError(f"`{name}` is a response, but it must be an array: the order is `{call}`.")
    states = game.seen_shape
    table = _numbers(game, name, mean_field, len(states))
    names = "states" if game.observes == "states" else "states, actions"
    # solvers hold a stationary mean field with an axis of one time
    shapes = [(game.horizon + 1, *states)] if game.times else [states, (1, *states)]
    _leading(name, table, shapes, f"times, {names}" if game.times else names)
    times = table.ndim - len(states) - len(game.lanes)
    if not game.solves_for_law:  # solvers alone hold such
        return jnp.asarray(table)
    if not game.lanes and not _checks.is_traced(table):
        _checks.distribution(
            name, table, leading=times, slack=8 * float(jnp.finfo(table.dtype).eps) * (game.horizon + 1)
        )
    if game.lanes:
        return jnp.asarray(table).astype(game.dtype)
    laws = table.reshape((*table.shape[:times], -1))  # joint laws sum to 1 over states and actions together
    return jnp.asarray(in_precision(laws, game.dtype)).reshape(table.shape)


def policy_of(game: Any, policy: Any, call: str, name: str = "policy") -> Array:
    """Check a policy and return it with an axis of times, unless the game is stationary; `[S, A]` holds at all times.

    Values that are known, without lanes, must be probabilities, of available actions only.
    """
    game_of(game, policy)
    if isinstance(policy, AbstractResponse):
        raise ValueError(f"`{name}` is a response, but it must be an array: the order is `{call}`.")
    pair, lanes = (game.num_states, game.num_actions), len(game.lanes)
    table = _numbers(game, name, policy, 2)
    shape_at_all_times = (1 if game.is_stationary else game.horizon + 1, *pair)
    _leading(
        name,
        table,
        [pair, shape_at_all_times],
        "states, actions" if game.is_stationary else "states, actions; or times first",
    )
    if not lanes and not _checks.is_traced((table, game.available)):
        _checks.distribution(name, table, leading=table.ndim - 1)
        values, mask = np.asarray(table), np.asarray(game.available)
        mask = mask[0] if len(mask) == 1 else mask  # without times, as a policy `[S, A]` may be
        shown, mask = np.broadcast_arrays(values, mask)
        _checks.all_true(name, shown, mask | (shown == 0), "that action is not available: there it must be 0")
    table = jnp.asarray(table).astype(game.dtype) if lanes else jnp.asarray(in_precision(table, game.dtype))
    if game.is_stationary or table.ndim > 2 + lanes:  # it has its axis of times, or needs none
        return table
    return jnp.broadcast_to(table, (game.horizon + 1, *table.shape))


def _numbers(game: Any, name: str, value: Any, num_axes: int) -> Any:
    if game.lanes:
        return jnp.asarray(value)
    axes = axes_of(game.state_labels, game.action_labels)[:num_axes]
    axes = with_times(axes, game.horizon + 1) if game.times else axes
    return _checks.as_numbers(name, value, axes=axes)


def _leading(name: str, array: Any, shapes: list[tuple[int, ...]], axes: str) -> None:
    shape = np.shape(array)
    if not any(shape[: len(expected)] == expected for expected in shapes):
        allowed = " or ".join(str(expected) for expected in shapes)
        raise ValueError(f"`{name}` must have shape {allowed} ({axes}); got {shape}.")
