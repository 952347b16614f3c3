"""The kernel as a full table."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._plain import Axis
from .._typing import Array, ArrayLike, Float, Self
from .base import AbstractKernel, time_slice

_AXES = (Axis("state"), Axis("action"), Axis("next_state"))


class DenseKernel(AbstractKernel):
    """A kernel stored as the table P[t, s, a, s'].

    Args:
      probabilities: P(s'|s,a) as `[S, A, S]`, or `[H, S, A, S]` when it changes with time.

    Raises:
      ValueError: if the shape does not fit. Whether the rows are probabilities is checked when a game is built.

    Example:
      >>> import mfgjax as mfg
      >>> kernel = mfg.DenseKernel([[[0.9, 0.1], [0.5, 0.5]], [[0.5, 0.5], [0.1, 0.9]]])
      >>> kernel.num_states, kernel.num_actions
      (2, 2)
    """

    probabilities: Float[Array, "#T S A S *batch"]
    in_words: ClassVar[str] = "a table of probabilities"
    takes_lanes: ClassVar[bool] = True

    def __init__(self, probabilities: ArrayLike):
        p = _checks.as_numbers("kernel", probabilities, axes=_AXES)
        meaning = "states, actions, next states; or times first"
        _checks.shape_is("kernel", p, [("S", "A", "S'"), ("H", "S", "A", "S'")], meaning)
        # actions first, the order of other codes: the sentence says how to convert it
        if p.shape[-3] != p.shape[-1] == p.shape[-2]:
            raise ValueError(
                f"`kernel` has shape {p.shape}, with actions before states; it must be (states, actions, next states): "
                f"`numpy.moveaxis(kernel, {p.ndim - 3}, {p.ndim - 2})`."
            )
        if p.shape[-3] != p.shape[-1]:
            raise ValueError(
                f"`kernel` has shape {p.shape}, but the numbers of states ({p.shape[-3]}) and of next states "
                f"({p.shape[-1]}) must be equal."
            )
        self.probabilities = p[None] if p.ndim == 3 else p  # always with times, so that `at` need not ask

    def at(self, t: Array | int) -> Self:
        return eqx.tree_at(lambda k: k.probabilities, self, time_slice(self.probabilities, t)[None])

    def expect(self, values: Float[Array, "S *batch"]) -> Float[Array, "S A *batch"]:
        # full precision: accelerators would round the products to 10 bits by default
        table = self.probabilities[0]
        if table.ndim == 4:  # each lane has a table of its own
            return jnp.einsum("sanb,nb->sab", table, values, precision=jax.lax.Precision.HIGHEST)
        return jnp.tensordot(table, values, axes=1, precision=jax.lax.Precision.HIGHEST)

    def push(self, mass: Float[Array, "S A *batch"]) -> Float[Array, "S *batch"]:
        table = self.probabilities[0]
        if table.ndim == 4:
            return jnp.einsum("sanb,sab->nb", table, mass, precision=jax.lax.Precision.HIGHEST)
        return jnp.tensordot(table, mass, axes=((0, 1), (0, 1)), precision=jax.lax.Precision.HIGHEST)

    def chain(self, weights: Float[Array, "S A *batch"]) -> Float[Array, "S S *batch"]:
        table = self.probabilities[0]
        axes = "sanb,sab->snb" if table.ndim == 4 else "san,sa...->sn..."
        return jnp.einsum(axes, table, weights, precision=jax.lax.Precision.HIGHEST)

    @property
    def num_states(self) -> int:
        """S."""
        return self.probabilities.shape[1]

    @property
    def num_actions(self) -> int:
        """A."""
        return self.probabilities.shape[2]

    @property
    def num_times(self) -> int:
        return self.probabilities.shape[0]
