"""Trees whose arrays are constants to differentiation."""

from typing import Any

import equinox as eqx
import jax


def stop_gradients(tree: Any) -> Any:
    """Return a tree whose arrays are constants to differentiation; callables in it stay as they are."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)
