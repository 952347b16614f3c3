"""A game whose unknown is what its payoffs see: the aggregate of a population, in place of the law of its states."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from .._linear import DENSE_LIMIT
from .._typing import Array, Scalar
from ..kernels.base import align
from ..operators import occupancy, stationary_law
from .aggregates import LAWS, Aggregate
from .base import AbstractGame
from .finite_horizon import FiniteHorizonGame
from .stationary import StationaryGame

_MOST_NUMBERS = 2**24
"""Numbers that may be held at once where a matrix is formed, a column for each unknown."""


class _SeesAggregate:
    """What games have in common whose mean field is the aggregate m, `[T, M]`.

    Distances are shares of the range of each number, which no distance of laws is below:

        |m_j − m'_j| ≤ (max_s G_j(s) − min_s G_j(s)) d_TV(μ, μ')
    """

    solves_for_law: ClassVar[bool] = False

    @property
    def num_seen_axes(self) -> int:
        return 1

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return (len(_aggregate(self).labels or ()),)

    @property
    def matrix_limit(self) -> int:
        """Numbers of m up to which the matrix of I − DΓ is formed: each needs a derivative of the whole flow."""
        game: Any = self
        pairs = (game.horizon + 1) * game.num_states * game.num_actions
        return min(DENSE_LIMIT, _MOST_NUMBERS // pairs)

    def seen_by_payoffs(self, t: Scalar | int, mean_field: Array) -> Array:
        return mean_field

    def rescaled(self, mean_field: Array) -> Array:
        return mean_field

    def observe(self: Any, t: Scalar | int, mu: Array, mass: Array) -> Array:
        return AbstractGame.seen_by_payoffs(self, t, mu if self.observes == "states" else mass)

    def spans(self: Any) -> Array:
        """Return by how much each number can change between laws, `[#T, M]`: of a curved one, near the initial law."""
        aggregate = _aggregate(self)
        if aggregate.weights is not None:
            values = jnp.asarray(aggregate.weights)
        else:
            values = jax.vmap(self._slopes)(jnp.arange(self.horizon + 1, dtype=jnp.int32))
        axes = tuple(range(2, values.ndim))
        span = values.max(axis=axes) - values.min(axis=axes)
        return jnp.where(jnp.isfinite(span) & (span > 0), span, 1)  # what never changes is compared as it is

    def _slopes(self: Any, t: Array) -> Array:
        chances = self.available_at(t).astype(self.dtype)
        law = self.initial[:, None] * chances / chances.sum(axis=1, keepdims=True)
        law = law.sum(axis=1) if self.observes == "states" else law
        return jax.jacrev(lambda law: AbstractGame.seen_by_payoffs(self, t, law))(law)

    def distance(self: Any, first: Array, second: Array) -> Array:
        """Return max_{t,j} |m_j − m'_j| / span_j, lane by lane."""
        return (jnp.abs(first - second) / align(self.spans(), first)).max(axis=(0, 1))

    def projected(self: Any, mean_field: Array) -> Array:
        """Return the nearest numbers that some law has; of a curved aggregate nothing is known of those."""
        weights = _aggregate(self).weights
        if weights is None:
            return mean_field
        axes = tuple(range(2, 3 + LAWS.index(self.observes)))
        low, high = (align(end(jnp.asarray(weights), axis=axes), mean_field) for end in (jnp.min, jnp.max))
        return jnp.clip(mean_field, low, high)

    def stepped_to(self: Any, following: Array, mean_field: Array, image: Array) -> Array:
        return self.projected(following)

    def random_change(self: Any, mean_field: Array, signs: Array) -> Array:
        return signs * align(self.spans(), mean_field)

    def laws_of(self: Any, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        """Return the mean field of the game that this one stands in for, and its aggregate."""
        mu, seen = self.moved_on(mean_field, policy)
        return mu if self.observes == "states" else mu[:, :, None] * policy, seen

    def _take(self, game: Any) -> None:
        for field in dataclasses.fields(game):
            object.__setattr__(self, field.name, getattr(game, field.name))


class ReducedGame(_SeesAggregate, FiniteHorizonGame):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A game with a horizon that stands in for one with an `Aggregate`, while that is solved.

    An equilibrium is a fixed point m = g(flow of the response to m). That is the same equation as for the flow μ of the
    law, with fewer unknowns: μ is the flow of the response to m, and m = g(μ).
    """

    def __init__(self, game: FiniteHorizonGame):
        self._take(game)


class ReducedStationaryGame(_SeesAggregate, StationaryGame):  # pyright: ignore[reportIncompatibleVariableOverride]
    """A stationary game that stands in for one with an `Aggregate`, while that is solved.

    An equilibrium is a fixed point m = g(z), z the stationary law, reached from `initial`, of the response to m with
    moves that see m. It is not one step of the dynamics of z, of which m does not tell enough.
    """

    def __init__(self, game: StationaryGame):
        self._take(game)

    def moved_on(self, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        """Return the stationary law of a policy with moves that see m, and its aggregate."""
        pi, now = policy[0], jnp.int32(0)
        law = stationary_law(self.kernel_at(now, mean_field[0]), pi, self.initial)
        return law[None], self.observe(now, law, law[:, None] * pi)[None]

    def judged_in(self, mean_field: Array, policy: Array) -> tuple[Array, Array]:
        law = occupancy(self.decision(mean_field), policy[0], self.moved_on(mean_field, policy)[0][0])
        return law[None], mean_field

    def first_guess(self, policy: Array) -> Array:
        law = self.initial
        return self.observe(jnp.int32(0), law, law[:, None] * policy[0])[None]


def for_aggregate(game: Any) -> Any:
    """Return the game that stands in for one with an aggregate while that is solved."""
    return ReducedStationaryGame(game) if game.is_stationary else ReducedGame(game)


def _aggregate(game: Any) -> Aggregate:
    assert game.aggregate is not None
    return game.aggregate
