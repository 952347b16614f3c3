"""Arrays taken apart by action, so that the compiler vectorises over the states."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from ._typing import Array

MOST_UNROLLED = 16
"""Actions up to which each gets an array of its own."""


def by_action(table: Array) -> Any:
    """Take `[S, A]` apart into a list of A arrays `[S]`; what has many actions, or lanes, stays as it is.

    Use `each`, i.e. `jax.tree.map`, and the functions below on the result. XLA on a CPU vectorises loops over a long
    last axis, and neither fuses nor vectorises sums over a short one: 2-3 times the speed on large graphs. With lanes,
    these are the long axis.
    """
    if table.ndim == 2 and table.shape[1] <= MOST_UNROLLED:
        return [table[:, a] for a in range(table.shape[1])]
    return table


def together(by_action: Any) -> Array:
    """Return the array `[S, A, *batch]` that `by_action` took apart."""
    return jnp.stack(by_action, axis=1) if isinstance(by_action, list) else by_action


def total(by_action: Any) -> Array:
    """Return the sum over the actions, `[S, *batch]`."""
    return functools.reduce(jnp.add, by_action) if isinstance(by_action, list) else by_action.sum(axis=1)


def most(by_action: Any) -> Array:
    """Return the maximum over the actions, `[S, *batch]`."""
    return functools.reduce(jnp.maximum, by_action) if isinstance(by_action, list) else by_action.max(axis=1)


def beside(by_action: Any, per_state: Array) -> Array:
    """Return numbers per state, `[S, *batch]`, so that they broadcast against each of the parts."""
    return per_state if isinstance(by_action, list) else per_state[:, None]


each = jax.tree.map
