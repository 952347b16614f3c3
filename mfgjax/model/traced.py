"""Tracing of the functions of users in a game: its rewards and kernels as they are at the time of a call."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .. import _checks
from .._modes import users_modes
from .._traced import AbstractStandIn, Program, TracedFunction, key_of_call, keyed, trace, users_function
from .._typing import Array, Scalar
from ..kernels import AbstractKernel
from .base import AbstractGame, time_type
from .parameters import arguments_of
from .rewards import PairwiseReward

Game = TypeVar("Game", bound=AbstractGame)


class TracedTheta(AbstractStandIn):
    """Θ_t(x) as a program for `x` of one shape, `[S, A]` or `[S, 1]`; for the other one it is repeated, or mapped."""

    function: TracedFunction
    num_columns: int = eqx.field(static=True)
    shown: ClassVar[str] = "function"

    def __call__(self, t: Scalar | int, x: Array) -> Array:
        if x.shape[1] == self.num_columns:
            return self.function(t, x)
        if x.shape[1] == 1:
            return self.function(t, jnp.broadcast_to(x, (x.shape[0], self.num_columns)))
        return jax.vmap(lambda column: self.function(t, column[:, None])[:, 0], in_axes=1, out_axes=1)(x)


class KeyedKernel(AbstractKernel, AbstractStandIn):
    """A kernel of a class of the user's, compiled anew if its methods, or what they read, have changed."""

    kernel: AbstractKernel
    key: Program = eqx.field(static=True)
    shown: ClassVar[str] = "kernel"

    def __init__(self, kernel: AbstractKernel, key: Program):
        self.kernel, self.key = kernel, key

    @property
    def probabilities(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.kernel.probabilities

    def at(self, t: Array | int) -> "KeyedKernel":
        return KeyedKernel(self.kernel.at(t), self.key)

    def expect(self, values: Array) -> Array:
        return self.kernel.expect(values)

    def push(self, mass: Array) -> Array:
        return self.kernel.push(mass)

    @property
    def num_states(self) -> int:
        return self.kernel.num_states

    @property
    def num_actions(self) -> int:
        return self.kernel.num_actions

    @property
    def num_times(self) -> int:
        return self.kernel.num_times


def trace_functions(game: Game, dtype: Any = None, *, in_lanes: bool = False) -> Game:
    """Replace the functions of users in a game by programs of what they compute now.

    What they read (a global, an attribute, a table) is an array of the game that is returned. The library's own
    rewards and kernels, which read nothing but their fields, stay as they are.

    Args:
      game: the game.
      dtype: the precision in which the programs compute; None: the game's.
      in_lanes: a function that says `takes_lanes` is to be called for many games at once, and stays a function, which
        is compiled anew if what it reads has changed. Only for games that are not used after the call.
    """
    kernel, reward, aggregate = game.kernel, cast(Any, game.reward), game.aggregate
    if is_own(kernel) and is_own(reward) and is_own(aggregate):  # nothing to trace, so that a warm solve costs no more
        return game
    precision = game.dtype if dtype is None else dtype
    time = jax.ShapeDtypeStruct((), time_type(precision))
    arguments = {
        name: time if name == "t" else jax.ShapeDtypeStruct(argument.shape, precision)
        for name, argument in game.payoff_arguments.items()
    }
    if aggregate is not None and not is_own(aggregate.function):
        law = {**({} if game.is_stationary else {"t": time}), "law": jax.ShapeDtypeStruct(game.seen_shape, precision)}
        given = arguments_of(game.params, "observes", aggregate.function)
        function = _traced("observes", aggregate.function, law, dtype, False, given)
        game = eqx.tree_at(lambda g: g.aggregate.function, game, function)  # pyright: ignore[reportOptionalMemberAccess]
    if isinstance(kernel, AbstractKernel) and not is_own(kernel):
        # its arrays are leaves of the game already: only its code needs a key
        kernel = KeyedKernel(kernel, _key_of_kernel(kernel, game))
    elif not is_own(kernel):
        kernel = _traced("kernel", kernel, arguments, dtype, in_lanes, arguments_of(game.params, "kernel", kernel))
    if type(reward) is PairwiseReward:  # not a class derived from it, which may be called otherwise
        if not (is_own(reward.L) and is_own(reward.theta)):
            seen = jax.ShapeDtypeStruct(game.seen_shape, precision)
            reward = _pairwise(reward, {"t": time, "mean_field": seen}, dtype, in_lanes)
    elif not is_own(reward):
        reward = _traced("reward", reward, arguments, dtype, in_lanes, arguments_of(game.params, "reward", reward))
    return eqx.tree_at(lambda g: (g.kernel, g.reward), game, (kernel, reward))


def with_users_functions(game: Game, users_game: Game) -> Game:
    """Put the user's own functions back in the place of their programs; the game keeps its arrays."""
    kernel, reward = users_function(game.kernel, users_game.kernel), game.reward
    if type(reward) is PairwiseReward:
        L, theta = (users_function(getattr(reward, name), getattr(users_game.reward, name)) for name in ("L", "theta"))
        reward = PairwiseReward(L, theta)
    else:
        reward = users_function(reward, users_game.reward)
    game = eqx.tree_at(lambda g: (g.kernel, g.reward), game, (kernel, reward))
    if game.aggregate is None or game.aggregate.function is None:
        return game
    function = users_function(game.aggregate.function, users_game.aggregate.function)  # pyright: ignore[reportOptionalMemberAccess]
    return eqx.tree_at(lambda g: g.aggregate.function, game, function)  # pyright: ignore[reportOptionalMemberAccess]


def _key_of_kernel(kernel: AbstractKernel, game: AbstractGame) -> Program:
    def methods(kernel: AbstractKernel, t: Array, values: Array, mass: Array) -> Any:
        now = kernel.at(t)
        return now.expect(values), now.push(mass), kernel.probabilities  # all that the library asks of a kernel

    S, A = game.num_states, game.num_actions
    values, mass = jax.ShapeDtypeStruct((S,), game.dtype), jax.ShapeDtypeStruct((S, A), game.dtype)
    with _checks.explained("kernel", "its arguments", "now"):
        return key_of_call(methods, kernel, jax.ShapeDtypeStruct((), jnp.int32), values, mass)


def is_own(part: Any) -> bool:
    """Tell whether a function is None or the library's own, with all that it holds: it reads nothing but its arrays."""
    if isinstance(part, tuple):
        return all(map(is_own, part))
    fields = _fields_of_own(type(part))
    return fields is not None and all(is_own(getattr(part, name)) for name in fields)


@functools.lru_cache(512)  # asked at every public call
def _fields_of_own(kind: type) -> tuple[str, ...] | None:
    """Return the fields of a class of the library in which functions may be; None for a class of others."""
    if issubclass(kind, AbstractStandIn | jax.Array | Tracer | np.ndarray | type(None)):
        return ()
    if not issubclass(kind, eqx.Module) or not kind.__module__.startswith("mfgjax."):
        return None
    return tuple(field.name for field in dataclasses.fields(kind) if not field.metadata.get("static", False))


def _pairwise(reward: PairwiseReward, arguments: dict[str, Any], dtype: Any, in_lanes: bool) -> PairwiseReward:
    L, theta = reward.L, reward.theta
    if not is_own(L):
        L = _traced("reward.L", L, arguments, dtype, in_lanes)
    if not is_own(theta):
        x = eqx.filter_eval_shape(L, *arguments.values())  # Θ is traced for the shape that L returns
        function = _traced("reward.theta", theta, {"t": arguments["t"], "x": x}, dtype, in_lanes)
        theta = TracedTheta(function, x.shape[1]) if isinstance(function, TracedFunction) else function
    return PairwiseReward(L, theta)


def _traced(
    name: str,
    function: Any,
    arguments: dict[str, Any],
    dtype: Any,
    in_lanes: bool,
    params: Mapping[str, Any] | None = None,
) -> Any:
    params = params or {}
    with _checks.explained(name, ", ".join((*arguments, *params)), "now"), users_modes(function):
        if in_lanes and getattr(function, "takes_lanes", False):
            lane_function = keyed(function, *arguments.values(), takes_lanes=True, params=params)
            if lane_function is not None:  # None: it reads traced numbers, and is mapped over the lanes as others are
                return lane_function
        return trace(function, *arguments.values(), dtype=dtype, params=params)
