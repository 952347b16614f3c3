"""Constants inside `jax.shard_map`: in a loop they must vary over devices where the data do that they meet there."""

from collections.abc import Callable
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

_Tree = TypeVar("_Tree")


def alike(tree: _Tree) -> _Tree:
    """Return a tree whose arrays all vary over the devices over which any of them does: what a loop begins with.

    Outside of `shard_map`, and where it does not check this, the tree stays as it is.
    """
    arrays, others = eqx.partition(tree, _is_array)
    axes = frozenset().union(*map(_axes, jax.tree.leaves(arrays)))
    if not axes:
        return tree
    cast = jax.tree.map(lambda leaf: jax.lax.pcast(leaf, tuple(axes - _axes(leaf)), to="varying"), arrays)
    return eqx.combine(cast, others)


def identity(size: int, like: jax.Array, num_lane_axes: int = 0) -> jax.Array:
    """Return the unit matrix, `[size, size]` and axes of length 1 for lanes, of the precision and devices of `like`."""
    unit = jnp.eye(size, dtype=like.dtype).reshape(size, size, *(1,) * num_lane_axes)
    return alike((like, unit))[1]


def where_needed(needed: jax.Array, function: Callable[[_Tree], _Tree], tree: _Tree) -> _Tree:
    """Return `function(tree)` where it is needed, else the tree.

    Inside `shard_map` there is no condition, as JAX lets none hold loops that cast what they begin with.
    """
    if any(_axes(leaf) for leaf in jax.tree.leaves(eqx.filter(tree, _is_array))):
        return jax.tree.map(lambda new, old: jnp.where(needed, new, old), function(tree), tree)
    return jax.lax.cond(needed, function, lambda tree: tree, tree)


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, np.ndarray)


def _axes(leaf: Any) -> frozenset:
    return jax.typeof(leaf).mat.varying
