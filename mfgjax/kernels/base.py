"""The abstract transition kernel, and the alignment of tables with lanes."""

from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._display import Page, shows_itself
from .._typing import Array, Float, Self

_FEW_STATES = 128
"""States up to which a matrix is summed over all places, whether they are reached or not."""


@shows_itself
class AbstractKernel(eqx.Module):
    """The base class of kernels: transition probabilities P(s'|s,a), given by their two products with vectors.

    `expect` and `push` are transposes of each other: ⟨push(m), v⟩ = ⟨m, expect(v)⟩. Both work with any number of
    trailing batch axes. `probabilities` has a leading time axis of length H, or 1 if the kernel is the same at all
    times. `expect` and `push` use its first entry, so call `at(t)` first.

    `takes_lanes` says whether the kernel's own arrays may also have a trailing axis of lanes. If it is false, kernels
    that differ from lane to lane are mapped over the lanes.
    """

    probabilities: eqx.AbstractVar[Array]
    in_words: ClassVar[str] = "may depend on the mean field"  # how agents move, as games show it
    takes_lanes: ClassVar[bool] = False  # safe: kernels of users are written for one game

    def _page(self) -> Page:
        times = f", different in each of {self.num_times} moves" if self.num_times > 1 else ""
        return Page(type(self).__name__, f"{self.num_states} states, {self.num_actions} actions{times}")

    @abstractmethod
    def at(self, t: Array | int) -> Self:
        """Return the kernel of the move from time t to t+1."""

    @abstractmethod
    def expect(self, values: Float[Array, "S *batch"]) -> Float[Array, "S A *batch"]:
        """Return Σ_s' P(s'|s,a) v(s')."""

    @abstractmethod
    def push(self, mass: Float[Array, "S A *batch"]) -> Float[Array, "S *batch"]:
        """Return Σ_{s,a} m(s,a) P(s'|s,a)."""

    def chain(self, weights: Float[Array, "S A *batch"]) -> Float[Array, "S S *batch"]:
        """Return Σ_a w(s,a) P(s'|s,a), the transition matrix of a policy w; cheap if there are few successors."""

        def column(values: Array) -> Array:
            ahead = self.expect(jnp.broadcast_to(align(values, weights[:, 0]), (len(values), *weights.shape[2:])))
            # what stands at an action that is not played may be anything
            return jnp.where(weights != 0, weights * ahead, 0).sum(axis=1)

        columns = jax.lax.map(column, jnp.eye(self.num_states, dtype=weights.dtype))
        return jnp.moveaxis(columns, 0, 1)

    @property
    @abstractmethod
    def num_states(self) -> int:
        """The number of states S."""
        ...

    @property
    @abstractmethod
    def num_actions(self) -> int:
        """The number of actions A."""
        ...

    @property
    @abstractmethod
    def num_times(self) -> int:
        """The number of times: H, or 1 for a kernel that is the same at all times."""


def align(table: Array, values: Array) -> Array:
    """Append axes to a table without lanes so that it broadcasts against `values`, which may have them."""
    # broadcasting pairs last axes, but lanes stand last
    return table.reshape(table.shape + (1,) * max(values.ndim - table.ndim, 0))


def added(next_states: Array, flows: Array) -> Array:
    """Return the matrix `[S, S, *batch]` of what goes from each state to each next one."""
    S, batch = next_states.shape[0], flows.shape[next_states.ndim :]
    if S <= _FEW_STATES:  # one loop, which compiles sooner than a scatter
        leads = next_states[..., None] == jnp.arange(S)
        terms = jnp.where(leads.reshape(*leads.shape, *(1,) * len(batch)), jnp.expand_dims(flows, next_states.ndim), 0)
        return terms.sum(axis=tuple(range(1, next_states.ndim)))
    own = align(jnp.arange(S), next_states)
    return jnp.zeros((S, S, *batch), flows.dtype).at[own, next_states].add(flows)


def time_slice(table: Array, t: Array | int) -> Array:
    """Return `table[t]`, or `table[0]` of a table that is the same at all times."""
    # as JAX: a NumPy table cannot be indexed by a traced time
    return table[0] if table.shape[0] == 1 else jnp.asarray(table)[t]
