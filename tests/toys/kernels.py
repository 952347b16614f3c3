"""A kernel that hesitates."""

import jax.numpy as jnp

from .._typing import Array, ArrayLike, Float, Int, Self
from .base import AbstractKernel


class HesitantKernel(AbstractKernel):
    """Stay, or go where the action leads, with probability 1/2 each.

    Args:
      next_state: integers `[S, A]`.
    """

    next_state: Int[Array, "S A"]

    def __init__(self, next_state: ArrayLike):
        self.next_state = jnp.asarray(next_state)

    @property
    def probabilities(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of staying and of going, `[1, S, A, 2]`."""
        return jnp.full((1, *self.next_state.shape, 2), 0.5)

    def at(self, t: Array) -> Self:
        return self

    def expect(self, values: Float[Array, "S *batch"]) -> Float[Array, "S A *batch"]:
        return (values[:, None] + values[self.next_state]) / 2

    def push(self, mass: Float[Array, "S A *batch"]) -> Float[Array, "S *batch"]:
        moved = jnp.zeros((self.num_states, *mass.shape[2:])).at[self.next_state].add(mass)
        return (mass.sum(axis=1) + moved) / 2

    @property
    def num_states(self) -> int:
        return self.next_state.shape[0]

    @property
    def num_actions(self) -> int:
        return self.next_state.shape[1]

    @property
    def num_times(self) -> int:
        return 1
