"""How much payoffs can change with the mean field: Lipschitz constants, and contrasts between pairs (s,a).

For two mean fields of one time, R(x,μ) − R(x,μ') = ⟨D, μ − μ'⟩ with D an average of the derivative of R(x,·) on the
segment between them, and ⟨D, μ − μ'⟩ ≤ osc(D) d_TV(μ,μ') because μ − μ' sums to zero. So the numbers wanted are
oscillations: of D for one pair x = (s,a), and of D_x − D_y for two.

Arrays have axes `[T, S, A]` where A is 1 if all actions earn the same, as in `FiniteHorizonGame.pay_at`.
"""

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array, Bool, Float, Int
from ..ranges.intervals import Interval

_AT_ONCE = 2**21
"""Numbers that are computed together; more go one part after the other."""

MOST_CONTRASTS = 2**31
"""Operations on contrasts that are worth waiting for: a few seconds."""


class AbstractSlopes(eqx.Module):
    """The derivatives that the payoffs of a game can have with respect to the mean field."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """T, S and A (or 1)."""

    @property
    @abstractmethod
    def work(self) -> int:
        """Return how many operations the contrasts of all pairs at one time take."""

    @abstractmethod
    def forget(self, lost: Bool[Array, "T S A"]) -> "AbstractSlopes":
        """Return slopes that are NaN for some payoffs."""

    @abstractmethod
    def constants(self) -> Float[Array, "T S A"]:
        """Return sup |R_t(x,μ) − R_t(x,μ')| / d_TV(μ,μ') for every pair x = (s,a)."""

    @abstractmethod
    def contrasts(self, t: Array) -> Float[Array, "X X"]:
        """Return sup |(R_t(x,μ)−R_t(x,μ')) − (R_t(y,μ)−R_t(y,μ'))| / d_TV(μ,μ') for all x and y at one time."""

    def spans(self, available: Bool[Array, "T S A"]) -> Float[Array, " T"]:
        """Return κ_t, the largest contrast between available pairs; the mask has as many actions as `shape`."""
        times, states, actions = self.shape
        mask = available.reshape(times, states * actions)
        if times * self.work > MOST_CONTRASTS:
            return _two_largest(jnp.where(mask, self.constants().reshape(mask.shape), 0))

        def largest(t: Array) -> Array:
            both_available = mask[t][:, None] & mask[t][None, :]
            return jnp.where(both_available, self.contrasts(t), 0).max()  # NaN, of slopes without a bound, stays

        return jax.lax.map(largest, jnp.arange(times))


def _two_largest(constants: Array) -> Array:
    """Return a bound on all contrasts, as each is at most the sum of two Lipschitz constants."""
    if constants.shape[1] == 1:
        return jnp.zeros_like(constants[:, 0])  # there is only one pair
    return jax.lax.top_k(constants, 2)[0].sum(axis=1)


class BoundedSlopes(AbstractSlopes):
    """Slopes known only by Lipschitz constants; a contrast is then at most the sum of two."""

    bounds: Float[Array, "T S A"]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.bounds.shape  # pyright: ignore[reportReturnType]

    @property
    def work(self) -> int:
        return (self.shape[1] * self.shape[2]) ** 2

    def forget(self, lost: Bool[Array, "T S A"]) -> "BoundedSlopes":
        return BoundedSlopes(jnp.where(lost, jnp.nan, self.bounds))

    def constants(self) -> Float[Array, "T S A"]:
        return self.bounds

    def contrasts(self, t: Array) -> Float[Array, "X X"]:
        own = self.bounds[t].reshape(-1)
        return _off_diagonal(own[:, None] + own[None, :])


class OneNodeSlopes(AbstractSlopes):
    """Slopes of payoffs that each see one state: ∂R_t(x,μ)/∂μ(node(x)) lies between `low` and `high`."""

    node: Int[Array, "S A"]
    low: Float[Array, "T S A"]
    high: Float[Array, "T S A"]

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.low.shape  # pyright: ignore[reportReturnType]

    @property
    def work(self) -> int:
        return 8 * (self.shape[1] * self.shape[2]) ** 2

    def forget(self, lost: Bool[Array, "T S A"]) -> "OneNodeSlopes":
        return OneNodeSlopes(self.node, *(jnp.where(lost, jnp.nan, end) for end in (self.low, self.high)))

    def constants(self) -> Float[Array, "T S A"]:
        # osc of g 1{node} is |g|, unless there is no other state from which mass could come
        largest = jnp.maximum(jnp.abs(self.low), jnp.abs(self.high))
        return largest if self.shape[1] > 1 else jnp.zeros_like(largest)

    def contrasts(self, t: Array) -> Float[Array, "X X"]:
        low, high, node = self.low[t].reshape(-1), self.high[t].reshape(-1), self.node.reshape(-1)
        same_node = node[:, None] == node[None, :]
        widest = jnp.maximum(high[:, None] - low[None, :], high[None, :] - low[:, None])
        apart = jnp.zeros_like(widest)
        for x in (low, high):
            for y in (low, high):
                # the values of g_x 1{node x} − g_y 1{node y}, and 0 at a third state if there is one; the oscillation
                # is convex in g, hence largest at an end
                values = [x[:, None], -y[None, :]] + ([jnp.zeros((), low.dtype)] if self.shape[1] > 2 else [])
                values = jnp.stack(jnp.broadcast_arrays(*values))
                apart = jnp.maximum(apart, values.max(axis=0) - values.min(axis=0))
        result = jnp.where(same_node, widest, apart)
        return _off_diagonal(result if self.shape[1] > 1 else jnp.zeros_like(result))


class DenseSlopes(AbstractSlopes):
    """Slopes of payoffs that may depend on all of the mean field.

    Attributes:
      vertices: the derivative of R_t(x,·) is a mixture over k of `vertices[t, k, s, a]`, up to `radius`.
      radius: by how much each of its entries may be off; None: not at all.
    """

    vertices: Float[Array, "T K S A n"]
    radius: Float[Array, "T S A n"] | None

    @property
    def shape(self) -> tuple[int, int, int]:
        times, _, states, actions, _ = self.vertices.shape
        return times, states, actions

    @property
    def work(self) -> int:
        _, kinds, states, actions, seen = self.vertices.shape
        return (kinds * states * actions) ** 2 * seen

    @property
    def centre(self) -> Float[Array, "T S A n"]:
        """The middle of the derivatives."""
        return (self.vertices.max(axis=1) + self.vertices.min(axis=1)) / 2

    @property
    def spread(self) -> Float[Array, "T S A n"]:
        """By how much an entry of the derivative may differ from that of `centre`."""
        half = (self.vertices.max(axis=1) - self.vertices.min(axis=1)) / 2
        return half if self.radius is None else half + self.radius

    def forget(self, lost: Bool[Array, "T S A"]) -> "DenseSlopes":
        return DenseSlopes(jnp.where(lost[:, None, ..., None], jnp.nan, self.vertices), self.radius)

    def constants(self) -> Float[Array, "T S A"]:
        radius = 0 if self.radius is None else self.radius[:, None]
        return oscillation(self.vertices, radius).max(axis=1)

    def contrasts(self, t: Array) -> Float[Array, "X X"]:
        vertices = self.vertices[t]
        kinds, states, actions, seen = vertices.shape
        vertices = vertices.reshape(kinds, states * actions, seen)
        radius = None if self.radius is None else self.radius[t].reshape(states * actions, seen)

        def row(x: Array) -> Array:
            difference = vertices[:, None, x, None, :] - vertices[None, :, :, :]
            difference_radius = 0 if radius is None else radius[x] + radius
            return oscillation(difference, difference_radius).max(axis=(0, 1))

        pairs = jnp.arange(states * actions)
        rows_at_once = int(max(1, _AT_ONCE // (kinds * kinds * pairs.size * seen)))
        return _off_diagonal(jax.lax.map(row, pairs, batch_size=rows_at_once))


def oscillation(values: Array, radius: Array | int) -> Array:
    """Return max − min over the last axis of numbers that are known up to a radius."""
    if values.shape[-1] == 1:
        return jnp.zeros_like(values[..., 0])
    if isinstance(radius, int):
        return values.max(axis=-1) - values.min(axis=-1)
    # largest u(n) − l(m) over n ≠ m: one entry cannot be at both ends
    upper, at_most = jax.lax.top_k(values + radius, 2)
    lower, at_least = jax.lax.top_k(radius - values, 2)
    first, second = upper[..., 0] + lower[..., 1], upper[..., 1] + lower[..., 0]
    at_two_entries = at_most[..., 0] != at_least[..., 0]
    return jnp.maximum(jnp.where(at_two_entries, upper[..., 0] + lower[..., 0], jnp.maximum(first, second)), 0)


def _off_diagonal(contrasts: Array) -> Array:
    """Set the contrasts of pairs with themselves to 0: the same payoff moves in the same way."""
    return jnp.where(jnp.eye(contrasts.shape[0], dtype=bool), 0, contrasts)


def from_ranges(slope: Interval, affine: bool) -> DenseSlopes:
    """Return slopes from intervals `[T, S, A, n]` of the derivative."""
    bounded = jnp.isfinite(slope.low) & jnp.isfinite(slope.high)
    centre = jnp.where(bounded, (slope.low + slope.high) / 2, 0)
    radius = jnp.where(bounded, (slope.high - slope.low) / 2, jnp.inf)
    if affine:  # then the slope is one number, or none
        return DenseSlopes(jnp.where(slope.low == slope.high, centre, jnp.nan)[:, None], None)
    return DenseSlopes(centre[:, None], radius)
