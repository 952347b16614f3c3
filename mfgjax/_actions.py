"""Arrays taken apart by action, so that the compiler vectorises over the states."""

import jax

from ._typing import Array

MOST_UNROLLED = 16
"""Actions up to which each gets an array of its own."""


def by_action(table: Array) -> list[Array]:
    """Split `[S, A]` into A arrays `[S, 1]`; a table with many actions, or with lanes, stays whole, as a list of one.

    Use `each`, i.e. `jax.tree.map`, on the parts, reduce them along their second axis and then over the list, and join
    them along it. XLA on a CPU vectorises loops over a long last axis, and neither fuses nor vectorises sums over a
    short one: 2-3 times the speed on large graphs. With lanes, these are the long axis.
    """
    if table.ndim == 2 and table.shape[1] <= MOST_UNROLLED:
        return [table[:, a : a + 1] for a in range(table.shape[1])]
    return [table]  # the last axis is long already


each = jax.tree.map
