"""The transpose of a successor table, as a sum of gathers."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .. import _checks
from .._plain import Axis, plain
from .._typing import Array, Int

AXES = (Axis("state"), Axis("action"), Axis("successor"))
_MOST_COLUMNS = 32  # each column is one gather of the compiled program
_MOST_PADDING = 2  # times as many entries


class Predecessors(eqx.Module):
    """For every state the places of a flat table that lead to it.

    A scatter-add is slow on a CPU, so sums are gathered: the first predecessor of all states, then the second, and
    so on. That table is as wide as the largest in-degree and would explode at a hub. Where it would, the states
    are sorted by in-degree into buckets, each padded to a power of two: at most twice the entries.
    """

    columns: tuple[Int[Array, " S"], ...]
    buckets: tuple[Int[Array, "members width"], ...]
    position: Int[Array, " S"] | None

    def __init__(self, successors: np.ndarray, num_states: int):
        """Args: successors: next states of any shape; −1 leads nowhere. num_states: S."""
        flat = np.asarray(successors).ravel()
        entries = np.flatnonzero(flat >= 0)
        order = entries[np.argsort(flat[entries], kind="stable")]  # stable: sums are added in the order of the table
        degree = np.bincount(flat[entries], minlength=num_states)
        start = np.concatenate([[0], np.cumsum(degree)[:-1]])

        def table(states: np.ndarray, width: int) -> np.ndarray:
            column = np.arange(width)[None, :]
            # clipped: what is read beyond a state's own entries is replaced below
            index = np.minimum(start[states, None] + column, max(len(order) - 1, 0))
            places = np.where(column < degree[states, None], order[index] if len(order) else 0, flat.size)
            return places.reshape(len(states), width).astype(np.int32)

        widest, states = int(degree.max(initial=0)), np.arange(num_states)
        if widest <= _MOST_COLUMNS and widest * num_states <= _MOST_PADDING * max(len(entries), num_states):
            self.columns = tuple(np.ascontiguousarray(table(states, max(widest, 1)).T))
            self.buckets, self.position = (), None
            return
        # states that nobody enters form a bucket of width 0, whose sums are empty
        width = np.where(degree > 0, 1 << np.ceil(np.log2(np.maximum(degree, 1))).astype(int), 0)
        members = [np.flatnonzero(width == w) for w in np.unique(width)]
        position = np.empty(num_states, dtype=np.int32)
        # buckets are joined in their own order: this leads back to the order of states
        position[np.concatenate(members)] = states
        self.columns = ()
        buckets: Any = tuple(table(bucket, int(w)) for bucket, w in zip(members, np.unique(width), strict=True))
        self.buckets = buckets
        self.position = position  # pyright: ignore[reportAttributeAccessIssue]

    def sum(self, flat: Array) -> Array:
        """Return for every state the sum of `flat` over the places that lead to it."""

        # a padding place lies past the end and reads as zero
        def read(places: Array) -> Array:
            return flat.at[places].get(mode="fill", fill_value=0)

        if self.position is None:
            total = read(self.columns[0])
            for places in self.columns[1:]:
                total = total + read(places)
            return total
        return jnp.concatenate([read(table).sum(axis=1) for table in self.buckets])[self.position]

    def leading_places(self, size: int) -> np.ndarray:
        """Tell which of the `size` places of the flat table lead to a state."""
        places = np.zeros(size + 1, dtype=bool)  # the last one is that of the padding
        for table in (*self.columns, *self.buckets):
            places[np.asarray(table)] = True
        return places[:-1]


def as_table(name: str, successors: object, ndim: int, meaning: str) -> np.ndarray:
    """Check a table of next states, and return it as NumPy integers."""
    if isinstance(successors, Tracer):  # how many columns and buckets there are depends on the numbers
        raise ValueError(
            f"`{name}` is traced, but tables of next states must be known. Build it outside `jit`; for "
            "probabilities that vary use `kernel.with_probabilities(p)` inside."
        )
    try:
        successors = plain(name, successors, AXES[:ndim])
        # integers stay integers: single precision would round those beyond 2^24
        is_integer = isinstance(successors, np.ndarray | jax.Array) and successors.dtype.kind in "iu"
        table = np.asarray(successors if is_integer else _checks.as_numbers(name, successors, "whole numbers"))
    except ValueError as error:  # names, as a rule
        must = "must be a whole number, the number of a state"
        raise ValueError(str(error).replace("must be a real number", must)) from error
    _checks.shape_is(name, table, [(None,) * ndim], meaning)
    if not is_integer:
        _checks.finite(name, table)
        _checks.all_true(name, table, table == np.round(table), "a next state is a whole number")
        given = np.asarray(successors)  # a list of whole numbers: messages show them as they are
        table = given if given.dtype.kind in "iu" else table
    last = table.shape[0] - 1
    inside = (table >= -1) & (table <= last)
    _checks.all_true(
        name, table, inside, f"a next state lies between 0 and {last}, or is -1 if the action does not exist"
    )
    return table.astype(np.int64)
