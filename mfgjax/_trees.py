"""Trees of which some leaves are replaced by others."""

from collections.abc import Mapping
from typing import Any, TypeVar

import jax

Tree = TypeVar("Tree")


def with_leaves(tree: Tree, values: Mapping[int, Any]) -> Tree:
    """Replace some leaves of a tree, by their numbers in the order of `jax.tree.leaves`."""
    leaves, structure = jax.tree.flatten(tree)
    return jax.tree.unflatten(structure, [values.get(i, leaf) for i, leaf in enumerate(leaves)])
