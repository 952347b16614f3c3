"""What games of both kinds check of their parts."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jax.core import Tracer

from .. import _checks
from ..kernels import AbstractKernel, MovesKernel


def names_of(name: str, labels: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Return the names of states or actions, numbers if none are given."""
    if labels is None:
        return tuple(map(str, range(count)))
    if not isinstance(labels, list | tuple | np.ndarray):
        raise ValueError(f"`{name}` must be a list of {count} names; got {_checks.shorten(labels)}.")
    for i, label in enumerate(labels):
        if isinstance(label, bool) or not isinstance(label, str | int | np.integer):
            raise ValueError(f"`{name}[{i}]` is {_checks.shorten(label)}, but a name is a string.")
    names = tuple(map(str, labels))
    if len(names) != count:
        raise ValueError(f"`{name}` must be {count} names; got {len(names)}: {', '.join(names)[:60]}.")
    if len(set(names)) < count:
        i = next(i for i, label in enumerate(names) if label in names[:i])
        raise ValueError(f"`{name}[{i}]` is {names[i]!r}, which is also the name at {names.index(names[i])}.")
    return names


def booleans(name: str, value: Any) -> Any:
    """Return `value` as an array of booleans `[S, A]` or `[#T, S, A]`, or None."""
    if value is None:
        return None
    array = value
    if not isinstance(value, Tracer):
        try:
            array = np.array(value)  # a copy: tables that are changed later change no game
        except (ValueError, TypeError) as error:
            message = f"`{name}` must hold booleans in a rectangular array; got {_checks.shorten(value)}."
            raise ValueError(message) from error
    if array.dtype != bool:
        raise ValueError(f"`{name}` must hold booleans; got {_checks.shorten(value)} of kind {array.dtype}.")
    _checks.shape_is(name, array, [(None,) * 2, (None,) * 3], "states, actions; or times, states, actions")
    return array


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


def check_kernel_values(kernel: AbstractKernel, masks: np.ndarray, when: str = "") -> None:
    """Refuse a kernel whose rows are no probabilities where an action exists; `masks` is `[T, S, A]`."""
    if isinstance(kernel, MovesKernel):
        stuck = np.argwhere(masks & ~np.asarray(kernel.leads))
        if len(stuck):
            _, s, a = stuck[0]
            raise ValueError(f"`next_state[{s}, {a}]`{when} is -1, but the action is available.")
        return
    table = np.asarray(kernel.probabilities)
    times = max(len(table), len(masks))
    shown = np.broadcast_to(table, (times, *table.shape[1:]))
    where = np.broadcast_to(masks, (times, *masks.shape[1:]))
    if times == 1:
        shown, where = shown[0], where[0]
    _checks.distribution("kernel", shown, where, leading=where.ndim, when=when)
