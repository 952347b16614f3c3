"""Checks and conversions of a game's parts, shared by both kinds of games."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .. import _checks, _functions
from .._plain import Axis, plain
from ..kernels import AbstractKernel, DenseKernel, MovesKernel, SuccessorKernel
from ..kernels.precision import in_precision, kernel_in_precision
from .parameters import Parameters
from .rewards import TableReward


def names_of(name: str, labels: Sequence[str | int] | np.ndarray | None, count: int) -> tuple[str, ...]:
    """Return the names of states or actions, numbers if none are given."""
    if labels is None:
        return tuple(map(str, range(count)))
    if not isinstance(labels, list | tuple | np.ndarray):
        raise ValueError(f"`{name}` must be a list of {count} names; got {_checks.shorten(labels)}.")
    for i, label in enumerate(labels):
        if isinstance(label, bool) or not isinstance(label, str | int | np.integer):  # to Python True is a whole number
            raise ValueError(f"`{name}[{i}]` is {_checks.shorten(label)}, but a name is a string.")
    names = tuple(map(str, labels))
    if len(names) != count:
        raise ValueError(f"`{name}` must be {count} names; got {len(names)}: {', '.join(names)[:60]}.")
    if len(set(names)) < count:
        i = next(i for i, label in enumerate(names) if label in names[:i])
        raise ValueError(f"`{name}[{i}]` is {names[i]!r}, the same as `{name}[{names.index(names[i])}]`.")
    return names


def listed(labels: Any) -> Any:
    """Return the names in a column of pandas or xarray as a list, whatever its own labels; anything else as it is."""
    is_column = type(labels).__module__.partition(".")[0] in ("pandas", "xarray") and getattr(labels, "ndim", 0) == 1
    return list(np.asarray(labels)) if is_column else labels


def label_count(labels: Any) -> int | None:
    """Return how many states or actions labels name; None if there are none, or what is given will be refused."""
    return len(labels) if isinstance(labels, list | tuple | np.ndarray) and len(labels) else None


def axes_of(state_labels: Any, action_labels: Any) -> tuple[Axis, Axis]:
    """Return the axes of states and actions with their names, for tables that have labels."""
    return _axis("state", state_labels), _axis("action", action_labels)


def axes_of_kernel(states: Axis, actions: Axis) -> tuple[Axis, Axis, Axis]:
    """Return the axes of a kernel as a table."""
    return states, actions, states._replace(word="next_state")


def with_times(axes: Sequence[Axis], count: int) -> tuple[Axis, ...]:
    """Return the axes of a field that may begin with one of `count` times."""
    return Axis("time", range(count)), *axes


def counted(actions: Axis, kernel: Any, available: Any) -> Axis:
    """Return the axis of actions with their numbers if they have no names, as soon as kernel or mask tell how many.

    Then it is known whether the label of a single column is that of one action among others.
    """
    count = known_actions(kernel, available)
    return actions._replace(labels=range(count)) if actions.numbered and count is not None else actions


def known_actions(kernel: Any, available: Any) -> int | None:
    """Return the number of actions if a kernel object or a mask tells it."""
    return getattr(kernel, "num_actions", None) if available is None else available.shape[-1]


def _axis(word: str, labels: Any) -> Axis:
    if labels is None:
        return Axis(word, numbered=True)
    return Axis(word, tuple(map(str, labels)) if isinstance(labels, list | tuple | np.ndarray) else None)


def in_native_order(part: Any) -> Any:
    """Return a kernel object, or a function, with the arrays in it in the byte order of the machine."""
    is_tree = isinstance(part, AbstractKernel) or callable(part)
    return jax.tree.map(_checks.native, part) if is_tree else part  # tables are read later


def common_precision(*fields: Any) -> Any:
    """Return the widest precision of floating arrays in the parts of a game, single at least."""
    kinds = [leaf.dtype for leaf in jax.tree.leaves(fields) if eqx.is_inexact_array(leaf)]
    return jnp.result_type(jnp.float32, *kinds)


def in_one_precision(
    kernel: Any, reward: Any, law: Any, discount: Any, available: Any, params: Parameters, dtype: Any
) -> Any:
    """Return the parts of a game as arrays of JAX in one precision, with probabilities that sum to 1 in it."""
    kernel = kernel_in_precision(kernel, dtype) if isinstance(kernel, AbstractKernel) else kernel
    # functions that are modules are trees, too: their numbers are parameters of the game
    for name, value in vars(params).items():
        if isinstance(value, np.ndarray):
            _checks.cast_to(dtype, f"params[{name!r}]", value)
    fields = kernel, reward, in_precision(law, dtype), discount, available, params
    return jax.tree.map(lambda leaf: _checks.on_device(leaf, dtype), fields)


def booleans(name: str, value: Any, axes: Sequence[Axis] = ()) -> Any:
    """Return `value` as an array of booleans `[S, A]` or `[#T, S, A]`, or None."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        _checks.refuse_mapping(name, value, "booleans", axes)
    array = value = plain(name, value, axes, booleans=True)
    if not isinstance(value, Tracer):
        try:
            array = np.array(value)  # a copy: tables that are changed later change no game
        except Exception as error:  # objects that turn themselves into arrays may raise anything
            message = f"`{name}` must hold booleans in a rectangular array; got {_checks.shorten(value)}."
            raise ValueError(message) from error
    if array.dtype != bool:
        raise ValueError(f"`{name}` must hold booleans; got {_checks.shorten(value)} of dtype {array.dtype}.")
    _checks.shape_is(name, array, [("S", "A"), ("T", "S", "A")], "states, actions; or times first")
    return array


def without_missing(reward: Any, available: Any) -> Any:
    """Replace rewards that are not finite by 0 where the action does not exist."""
    if not isinstance(reward, TableReward) or reward.table.shape[2] < available.shape[2]:
        return reward
    numbers: Any = jnp if _checks.is_traced((reward, available)) else np  # NumPy compiles nothing
    table = numbers.asarray(reward.table)
    # one table for all times counts wherever the action exists at any time
    mask = numbers.asarray(available).any(axis=0) if len(table) == 1 else numbers.asarray(available)
    is_usable = numbers.isfinite(table) | mask
    if numbers is np and is_usable.all():
        return reward
    return TableReward(_checks.on_device(numbers.where(is_usable, table, numbers.zeros((), table.dtype)), table.dtype))


def existing_actions(kernel: Any) -> np.ndarray | None:
    """Read from a kernel's table which actions exist, `[S, A]`; None: all do, or the table does not tell."""
    if isinstance(kernel, MovesKernel):
        moves = np.asarray(kernel.leads)[None]
    elif isinstance(kernel, DenseKernel | SuccessorKernel) and not _checks.is_traced(kernel):
        moves = (np.asarray(kernel.probabilities) != 0).any(axis=-1)
    else:
        return None
    if moves.all():
        return None
    changes = np.argwhere(moves != moves[0])  # the kernel has H times, decisions have H + 1
    if len(changes):
        t, s, a = changes[0]
        later, first = ("is not", "is") if moves[t, s, a] else ("is", "is not")
        raise ValueError(
            f"`available` must be given: `kernel[{t}, {s}, {a}]` {later} all zero, but `kernel[0, {s}, {a}]` {first}, "
            "so the kernel does not show whether the action exists at the last time."
        )
    stuck = np.flatnonzero(~moves[0].any(axis=-1))
    if len(stuck):
        raise ValueError(f"`kernel[{stuck[0]}]` has no next state for any action, but every state needs one.")
    return moves[0]


def check_some_action(available: np.ndarray) -> None:
    """Check that every state has an available action; `available` is `[S, A]` or `[T, S, A]`."""
    none = np.argwhere(~available.any(axis=-1))
    if len(none):
        raise ValueError(f"{_checks.place('available', none[0])} is all False, but every state needs an action.")


class Axes(NamedTuple):
    """The lengths of a kernel object's axes."""

    times: int
    states: int
    actions: int


def kernel_axes(result: Any) -> Any:
    """Return the lengths of a kernel object's axes, and anything else as it is."""
    if isinstance(result, AbstractKernel):
        return Axes(result.num_times, result.num_states, result.num_actions)
    return result


def check_kernel_function(
    kernel: Any, arguments: Mapping[str, Any], at: str, params: Mapping[str, Any], num_states: int, num_actions: int
) -> None:
    """Check that a kernel given as a function returns that of one time, for S states and A actions.

    Args:
      kernel: the function.
      arguments: their names and values.
      at: where, as it stands in the sentence: "at t = 0".
      params: of the game, handed over by name.
      num_states: S.
      num_actions: A.
    """
    S, A = num_states, num_actions
    result = _functions.returned("kernel", kernel, arguments, at, kernel_axes, params)
    if not isinstance(result, Axes):
        _functions.shape_returned("kernel", result, [(S, A, S)], "states, actions, next states, by the callable")
    elif result != Axes(1, S, A):
        raise ValueError(
            f"`kernel` must return the kernel of one time, {S} states and {A} actions; got (times, states, "
            f"actions) = {tuple(result)}."
        )


def check_kernel_values(kernel: AbstractKernel, masks: np.ndarray, when: str = "") -> None:
    """Check that a kernel's rows are probabilities where an action exists; `masks` is `[T, S, A]`."""
    if isinstance(kernel, MovesKernel):
        stuck = np.argwhere(masks & ~np.asarray(kernel.leads))  # moves are certain: they can only be missing
        if len(stuck):
            _, s, a = stuck[0]
            raise ValueError(f"`next_state[{s}, {a}]`{when} is -1, but the action is available.")
        return
    table = np.asarray(kernel.probabilities)
    times = max(len(table), len(masks))
    shown = np.broadcast_to(table, (times, *table.shape[1:]))
    exists = np.broadcast_to(masks, (times, *masks.shape[1:]))
    if times == 1:  # then the place in the message has no time
        shown, exists = shown[0], exists[0]
    try:
        _checks.distribution("kernel", shown, exists, leading=exists.ndim, when=when)
    except ValueError as error:
        if hint := _other_order(table):
            raise ValueError(f"{str(error).rstrip('.')}; {hint}.") from None
        raise


def _other_order(table: np.ndarray) -> str:
    """Return how to reorder a kernel whose next states are not on the last axis; "" unless sums show that."""
    if not (table >= 0).all():
        return ""
    for axis, word, move in ((-2, "actions", "moveaxis(kernel, -2, -1)"), (-3, "states", "moveaxis(kernel, -3, -1)")):
        near = np.abs(table.sum(axis=axis) - 1) <= _checks.precision(table.dtype)
        if near.all() and table.shape[axis] == table.shape[-1]:
            # (next states, actions, states), as otherwise the numbers of states and actions would be exchanged
            move = move if table.shape[-2] == table.shape[-1] else "swapaxes(kernel, -3, -1)"
            return f"its sums over the axis of {word} are 1: if next states are there, move them last, `numpy.{move}`"
    return ""
