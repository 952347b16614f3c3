"""Kernels with few successors per state and action."""

from typing import ClassVar

import equinox as eqx
import numpy as np

from .. import _checks
from .._typing import Array, ArrayLike, Float, Int, Self
from .base import AbstractKernel, added, align, time_slice
from .predecessors import AXES, Predecessors, as_table


class SuccessorKernel(AbstractKernel):
    """A kernel stored as lists of K successors and their probabilities. Memory and work are O(S·A·K).

    Args:
      successors: next states `[S, A, K]`, integers; −1 marks an unused entry, whose probability must be 0.
      probabilities: their probabilities, `[S, A, K]`, or `[H, S, A, K]` when they change with time.

    Raises:
      ValueError: if shapes do not fit, or an unused entry has a probability that is not 0.

    Example:
      >>> import mfgjax as mfg
      >>> kernel = mfg.SuccessorKernel([[[0, 1]], [[1, 0]]], [[[0.9, 0.1]], [[0.8, 0.2]]])
      >>> kernel.num_states, kernel.num_actions
      (2, 1)
    """

    successors: Int[Array, "S A K"]
    probabilities: Float[Array, "#T S A K *batch"]
    predecessors: Predecessors
    in_words: ClassVar[str] = "lists of possible next states"
    takes_lanes: ClassVar[bool] = True

    def __init__(self, successors: ArrayLike, probabilities: ArrayLike):
        table = as_table("successors", successors, 3, "states, actions, successors")
        p = _checks.as_numbers("probabilities", probabilities, axes=AXES)
        _checks.shape_is("probabilities", p, [table.shape, (None, *table.shape)], "as `successors`, perhaps per time")
        if not _checks.is_traced(p):
            empty = np.broadcast_to(table < 0, p.shape)
            _checks.all_true(
                "probabilities", p, ~empty | (np.asarray(p) == 0), "its place in `successors` is -1, so it must be 0"
            )
        self.probabilities = p[None] if p.ndim == 3 else p
        self.predecessors = Predecessors(table, table.shape[0])
        # an unused place reads state 0, with probability 0
        self.successors = np.maximum(table, 0).astype(np.int32)  # pyright: ignore[reportAttributeAccessIssue]

    def with_probabilities(self, probabilities: Float[Array, "*#T S A K"]) -> Self:
        """Return the kernel with the same successors and other probabilities (they may be traced)."""
        table = self.successors.shape
        _checks.shape_is("probabilities", probabilities, [table, (None, *table)], "as `successors`, perhaps per time")
        p = probabilities[None] if probabilities.ndim == 3 else probabilities
        return eqx.tree_at(lambda k: k.probabilities, self, p)  # predecessors stay: they depend on the successors alone

    def at(self, t: Array | int) -> Self:
        return eqx.tree_at(lambda k: k.probabilities, self, time_slice(self.probabilities, t)[None])

    def expect(self, values: Float[Array, "S *batch"]) -> Float[Array, "S A *batch"]:
        next_values = values[self.successors]
        return (align(self.probabilities[0], next_values) * next_values).sum(axis=2)

    def push(self, mass: Float[Array, "S A *batch"]) -> Float[Array, "S *batch"]:
        leaving = mass[:, :, None]
        flows = align(self.probabilities[0], leaving) * leaving
        # sums of gathers: a scatter-add is slow on a CPU
        return self.predecessors.sum(flows.reshape((-1, *mass.shape[2:])))

    def chain(self, weights: Float[Array, "S A *batch"]) -> Float[Array, "S S *batch"]:
        leaving = weights[:, :, None]
        return added(self.successors, align(self.probabilities[0], leaving) * leaving)

    @property
    def num_states(self) -> int:
        """S."""
        return self.successors.shape[0]

    @property
    def num_actions(self) -> int:
        """A."""
        return self.successors.shape[1]

    @property
    def num_times(self) -> int:
        return self.probabilities.shape[0]
