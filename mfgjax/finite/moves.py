"""Random moves of agents from one time to the next: crowds by counts, labelled agents one by one."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array, Int, Scalar
from ..kernels import AbstractKernel, DenseKernel, MovesKernel, SuccessorKernel
from ..model import FiniteHorizonGame
from .draws import Stream, categorical, multinomial


class Moves(eqx.Module):
    """The move from t to t+1 in populations whose mean fields are known.

    Attributes:
      kernel: of one population; where its moves lead holds for all of them.
      probabilities: of the successors, `[S, A, K, B or 1, runs or 1]`; None where every action leads to one state.
    """

    kernel: AbstractKernel
    probabilities: Array | None

    @classmethod
    def of(cls, game: FiniteHorizonGame, t: Scalar, seen: Array) -> "Moves":
        """Return the moves of a game in populations with the mean fields `[S, B, runs]` (or `[S, A, B, runs]`)."""
        if isinstance(game.kernel, AbstractKernel):
            kernel = _listed(game.kernel.at(t))
            certain = isinstance(kernel, MovesKernel)
            return cls(kernel, None if certain else kernel.probabilities[0][..., None, None])
        # any population tells where moves lead; their probabilities differ
        lanes = seen.shape[-2:]
        kernel = _listed(game.kernel_at(t, seen[..., 0, 0]))
        if isinstance(kernel, MovesKernel):
            return cls(kernel, None)
        flat = seen.reshape(*seen.shape[:-2], -1)
        table = jax.vmap(lambda mean_field: _listed(game.kernel_at(t, mean_field)).probabilities[0], -1, -1)(flat)
        return cls(kernel, table.reshape(*table.shape[:3], *lanes))

    def of_crowd(self, stream: Stream, mass: Int[Array, "S A B runs"]) -> Int[Array, "S B runs"]:
        """Draw how many agents of a crowd are where next, given how many take which action."""
        if self.probabilities is None:
            return self.kernel.push(mass).astype(mass.dtype)  # sums over buckets are wider
        counts = multinomial(stream, mass, self.probabilities)
        if isinstance(self.kernel, SuccessorKernel):
            counts = self.kernel.predecessors.sum(counts.reshape(-1, *counts.shape[3:]))
            return counts.astype(mass.dtype)
        return counts.sum(axis=(0, 1), dtype=mass.dtype)

    def of_agents(
        self, stream: Stream, states: Int[Array, "N B runs"], actions: Int[Array, "N B runs"]
    ) -> Int[Array, "N B runs"]:
        """Draw the next states of labelled agents."""
        if isinstance(self.kernel, MovesKernel):
            return jnp.asarray(self.kernel.next_state)[states, actions]
        table = self.probabilities
        assert table is not None
        N, B, R = states.shape
        # an axis of length 1 stands for all populations, or runs
        b = jnp.minimum(jnp.arange(B)[:, None], table.shape[3] - 1)
        r = jnp.minimum(jnp.arange(R), table.shape[4] - 1)
        successor = categorical(stream, table[states, actions, :, b, r], N)
        if isinstance(self.kernel, SuccessorKernel):
            return jnp.asarray(self.kernel.successors)[states, actions, successor]
        return successor


def _listed(kernel: AbstractKernel) -> MovesKernel | SuccessorKernel | DenseKernel:
    """Return a kernel of one time that lists its successors; one of the user's own is made a table."""
    if isinstance(kernel, MovesKernel | SuccessorKernel | DenseKernel):
        return kernel
    S, A = kernel.num_states, kernel.num_actions
    arrivals = kernel.push(jnp.eye(S * A).reshape(S, A, S * A))
    return DenseKernel(arrivals.T.reshape(S, A, S))
