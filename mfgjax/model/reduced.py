"""A game whose unknown is what its payoffs see: the aggregate of a population, in place of the law of its states."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from .._linear import DENSE_LIMIT
from .._typing import Array, Scalar
from ..kernels.base import align
from .aggregates import Aggregate
from .base import AbstractGame
from .finite_horizon import FiniteHorizonGame

_MOST_NUMBERS = 2**24
"""Numbers that may be held at once where a matrix is formed, a column for each unknown."""


class ReducedGame(FiniteHorizonGame):
    """A game with a horizon that stands in for one with an `Aggregate`, while that is solved.

    Its mean field is m, `[H+1, M]`, of which an equilibrium is a fixed point: m = g(flow of the response to m). That
    is the same equation as for the flow μ of the law, with fewer unknowns: μ is the flow of the response to m, and
    m = g(μ). Distances are shares of the range of each number, which no distance of laws is below:

        |m_j − m'_j| ≤ (max_s G_j(s) − min_s G_j(s)) d_TV(μ, μ')
    """

    solves_for_law: ClassVar[bool] = False

    def __init__(self, game: FiniteHorizonGame):
        for field in dataclasses.fields(game):
            setattr(self, field.name, getattr(game, field.name))

    @property
    def num_seen_axes(self) -> int:
        return 1

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return (len(_aggregate(self).labels or ()),)

    @property
    def matrix_limit(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Numbers of m up to which the matrix of I − DΓ is formed: each needs a derivative of the whole flow."""
        pairs = (self.horizon + 1) * self.num_states * self.num_actions
        return min(DENSE_LIMIT, _MOST_NUMBERS // pairs)

    def seen_by_payoffs(self, t: Scalar | int, mean_field: Array) -> Array:
        return mean_field

    def rescaled(self, mean_field: Array) -> Array:
        return mean_field

    def observe(self, t: Scalar | int, mu: Array, mass: Array) -> Array:
        return AbstractGame.seen_by_payoffs(self, t, mu if self.observes == "states" else mass)

    def spans(self) -> Array:
        """Return by how much each number can change between laws, `[#T, M]`: of a curved one, near the initial law."""
        aggregate = _aggregate(self)
        if aggregate.weights is not None:
            values = jnp.asarray(aggregate.weights)
        else:
            values = jax.vmap(self._slopes)(jnp.arange(self.horizon + 1, dtype=jnp.int32))
        axes = tuple(range(2, values.ndim))
        span = values.max(axis=axes) - values.min(axis=axes)
        return jnp.where(jnp.isfinite(span) & (span > 0), span, 1)  # what never changes is compared as it is

    def _slopes(self, t: Array) -> Array:
        chances = self.available_at(t).astype(self.dtype)
        law = self.initial[:, None] * chances / chances.sum(axis=1, keepdims=True)
        law = law.sum(axis=1) if self.observes == "states" else law
        return jax.jacrev(lambda law: AbstractGame.seen_by_payoffs(self, t, law))(law)

    def distance(self, first: Array, second: Array) -> Array:
        """Return max_{t,j} |m_j − m'_j| / span_j, lane by lane."""
        return (jnp.abs(first - second) / align(self.spans(), first)).max(axis=(0, 1))

    def projected(self, mean_field: Array) -> Array:
        """Return the nearest numbers that some law has; of a curved aggregate nothing is known of those."""
        weights = _aggregate(self).weights
        if weights is None:
            return mean_field
        axes = tuple(range(2, 2 + (1 if self.observes == "states" else 2)))
        low, high = (align(end(jnp.asarray(weights), axis=axes), mean_field) for end in (jnp.min, jnp.max))
        return jnp.clip(mean_field, low, high)

    def random_change(self, mean_field: Array, signs: Array) -> Array:
        return signs * align(self.spans(), mean_field)

    def laws_of(self, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        """Return the mean field of the game that this one stands in for, the flow of the policy, and its aggregate."""
        mu, seen = self.generated(policy)
        return mu if self.observes == "states" else mu[:, :, None] * policy, seen


def _aggregate(game: Any) -> Aggregate:
    assert game.aggregate is not None
    return game.aggregate
