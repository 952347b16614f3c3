"""Trees of one kind, such as games, which differ in the numbers of their floating arrays alone."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


def kind_of(tree: Any) -> tuple:
    """Return a hashable key of a tree: everything in it but the values of floating arrays."""
    leaves, structure = jax.tree.flatten(tree)
    kinds = []
    for leaf in leaves:
        if eqx.is_inexact_array(leaf):
            kinds.append((leaf.shape, str(leaf.dtype)))
        else:
            # whole numbers and masks shape programs, so their values count; as bytes, because arrays have no hash
            kinds.append(as_numpy(leaf).tobytes() if eqx.is_array(leaf) else leaf)
    return structure, tuple(kinds)


def as_numpy(array: Any) -> np.ndarray:
    """Return the numbers of an array, also those of a random key."""
    is_key = jnp.issubdtype(array.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(array) if is_key else array)


def differing(trees: Sequence[Any]) -> dict[int, np.ndarray]:
    """Return the leaves in which trees of one kind differ: leaf number to values, with a last axis of trees."""
    found = {}
    for index, values in enumerate(zip(*map(jax.tree.leaves, trees), strict=True)):
        if eqx.is_inexact_array(values[0]):
            table = np.stack([np.asarray(value) for value in values], axis=-1)
            if (table != table[..., :1]).any():
                found[index] = table
    return found
