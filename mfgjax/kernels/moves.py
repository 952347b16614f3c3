"""Deterministic moves: every action leads to one state."""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from .._actions import by_action, each
from .._typing import Array, ArrayLike, Bool, Float, Int, Self
from .base import AbstractKernel, added, align
from .predecessors import Predecessors, as_table


class MovesKernel(AbstractKernel):
    """A deterministic kernel: action a in state s leads to `next_state[s, a]`. Memory and work are O(S·A).

    Args:
      next_state: integers `[S, A]`; −1 marks an action without a next state, which must be unavailable.

    Example:
      >>> import mfgjax as mfg
      >>> kernel = mfg.MovesKernel([[0, 1], [1, 0]])  # action 0 stays, action 1 moves
      >>> kernel.num_states, kernel.num_actions
      (2, 2)
    """

    next_state: Int[Array, "S A"]
    leads: Bool[Array, "S A"]
    predecessors: Predecessors
    in_words: ClassVar[str] = "each action leads to one state"
    takes_lanes: ClassVar[bool] = True

    def __init__(self, next_state: ArrayLike):
        table = as_table("next_state", next_state, 2, "states, actions")
        self.predecessors = Predecessors(table, table.shape[0])
        # kept, because `next_state` loses the -1 below
        self.leads = table >= 0  # pyright: ignore[reportAttributeAccessIssue]
        # an action that leads nowhere reads its own state's value, so that Q stays finite there
        own_state = np.arange(table.shape[0])[:, None]
        self.next_state = np.where(table < 0, own_state, table).astype(np.int32)  # pyright: ignore[reportAttributeAccessIssue]

    @property
    def probabilities(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """One for the one successor of each pair, `[1, S, A, 1]`; zero where an action leads nowhere."""
        return self.leads[None, ..., None].astype(jnp.zeros(()).dtype)  # whole moves have no precision of their own

    def at(self, t: Array | int) -> Self:
        return self

    def expect(self, values: Float[Array, "S *batch"]) -> Float[Array, "S A *batch"]:
        if values.ndim > 1:  # lanes are a long last axis already; without them columns of states vectorise better
            return values[self.next_state]
        return jnp.concatenate(each(lambda places: values[places], by_action(self.next_state)), axis=1)

    def push(
        self, mass: Float[Array, "S A *batch"] | Int[Array, "S A *batch"]
    ) -> Float[Array, "S *batch"] | Int[Array, "S *batch"]:
        """Return the law of the next states; numbers of agents stay whole numbers."""
        # places are numbered as in `next_state.ravel()`
        return self.predecessors.sum(mass.reshape((-1, *mass.shape[2:])))

    def chain(self, weights: Float[Array, "S A *batch"]) -> Float[Array, "S S *batch"]:
        return added(self.next_state, jnp.where(align(self.leads, weights), weights, 0))

    @property
    def num_states(self) -> int:
        """S."""
        return self.next_state.shape[0]

    @property
    def num_actions(self) -> int:
        """A."""
        return self.next_state.shape[1]

    @property
    def num_times(self) -> int:
        return 1
