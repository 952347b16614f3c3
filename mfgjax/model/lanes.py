"""Many games of one shape at once, with the lanes on the last axis."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._trees import with_leaves
from .._typing import Array, Bool, Scalar
from ..kernels import AbstractKernel
from .aggregates import Aggregate
from .base import AbstractGame


def _of_kind(name: str) -> Callable:
    """Return a method that runs the method of that name, written for one game, on all lanes at once."""

    def apply(self: "LaneGame", *arguments: Any) -> Any:
        # the method of the class with this object as `self`: what it calls in turn has lanes, too
        return getattr(type(self.game), name)(self, *arguments)

    return apply


class LaneGame(eqx.Module):
    """A game of which some arrays carry a trailing axis of lanes, one game each; the others are shared.

    It stands in for a game wherever code indexes leading axes only: mean fields are then
    `[T, S, lanes]`, policies `[T, S, A, lanes]`. The library's own rewards and kernels compute all lanes at
    once; callables of users, written for one game, are mapped over the lanes.

    Args:
      game: the games; what carries lanes has one axis more, at the end.
      carried: for each leaf of `game`, in order, whether it carries lanes.
      num_lanes: their number.
    """

    game: AbstractGame
    carried: tuple[bool, ...] = eqx.field(static=True)
    num_lanes: int = eqx.field(static=True)

    @property
    def lanes(self) -> tuple[int, ...]:
        """The axes behind those of one game."""
        return (self.num_lanes,)

    best_response = _of_kind("best_response")
    response_within = _of_kind("response_within")
    _answer = _of_kind("_answer")
    policy_from = _of_kind("policy_from")
    generated = _of_kind("generated")
    moved_on = _of_kind("moved_on")
    judged_in = _of_kind("judged_in")
    is_moving = _of_kind("is_moving")
    evaluated = _of_kind("evaluated")
    agent_start = _of_kind("agent_start")
    discounted = _of_kind("discounted")
    distance = _of_kind("distance")
    stepped_to = _of_kind("stepped_to")
    projected = _of_kind("projected")
    random_change = _of_kind("random_change")
    laws_of = _of_kind("laws_of")
    first_guess = _of_kind("first_guess")
    first_values = _of_kind("first_values")
    timed = _of_kind("timed")
    untimed = _of_kind("untimed")
    decision = _of_kind("decision")  # of stationary games, as is the next
    rest = _of_kind("rest")

    @property
    def is_stationary(self) -> bool:
        return self.game.is_stationary

    @property
    def seeks_pure(self) -> bool:
        return self.game.seeks_pure

    @property
    def matrix_limit(self) -> int:
        return self.game.matrix_limit

    @property
    def times(self) -> tuple[int, ...]:
        return self.game.times

    @property
    def seen_shape(self) -> tuple[int, ...]:
        return self.game.seen_shape

    @property
    def initial(self) -> Array:
        law = self.game.initial
        shape = (self.num_states, self.num_lanes)  # also where lanes share the law: what a scan carries keeps its shape
        return jnp.broadcast_to(law if law.ndim == 2 else law[:, None], shape)

    @property
    def num_states(self) -> int:
        return self.game.initial.shape[0]

    @property
    def num_actions(self) -> int:
        return self.game.num_actions

    @property
    def available(self) -> Bool[Array, "#T S A"]:
        return self.game.available

    @property
    def discount(self) -> Array:
        return self.game.discount

    @property
    def horizon(self) -> int:
        return self.game.horizon

    @property
    def observes(self) -> str:
        return self.game.observes

    @property
    def aggregate(self) -> Aggregate | None:
        return self.game.aggregate

    @property
    def state_labels(self) -> tuple[str, ...]:
        return self.game.state_labels

    @property
    def action_labels(self) -> tuple[str, ...]:
        return self.game.action_labels

    @property
    def dtype(self) -> jnp.dtype:
        return self.game.dtype

    @property
    def num_seen_axes(self) -> int:
        return self.game.num_seen_axes

    @property
    def kernel(self) -> Any:
        return self.game.kernel

    def available_at(self, t: Scalar | int) -> Array:
        return self.game.available_at(t)

    @property
    def solves_for_law(self) -> bool:
        return self.game.solves_for_law

    def observe(self, t: Scalar | int, mu: Array, mass: Array) -> Array:
        if self.solves_for_law or self._aggregates_lanes:
            return self.game.observe(t, mu, mass)
        return self.per_lane(lambda game, *laws: game.observe(t, *laws), mu, mass)

    def spans(self) -> Array:
        """Return the spans of a `ReducedGame`, of each lane if they differ."""
        game: Any = self.game
        return game.spans() if self._aggregates_lanes else self.per_lane(lambda game: game.spans())

    def kernel_at(self, t: Scalar | int, mean_field: Array) -> Any:
        """Return an object whose `expect` and `push` act on all lanes at once."""
        kernel = self.game.kernel
        # every kernel takes vectors with trailing lanes; those with lanes in their own arrays say so
        if isinstance(kernel, AbstractKernel) and (kernel.takes_lanes or not self._carries("kernel")):
            return kernel.at(t)
        if getattr(kernel, "takes_lanes", False) and self._aggregates_lanes:
            seen = self.game.seen_by_payoffs(t, self.game.rescaled(mean_field))
            kernel_of_lanes = self.game.call_kernel(t, seen)
            # a plain table does not say whether it has lanes
            if isinstance(kernel_of_lanes, AbstractKernel) and kernel_of_lanes.takes_lanes:
                return kernel_of_lanes.at(jnp.int32(0))
        return _MappedKernel(self, t, mean_field)

    def reward_at(self, t: Scalar | int, mean_field: Array) -> Array:
        """Return R_t(s,a,·) of every lane as `[S, A, lanes]`."""
        pay = self.pay_at(t, mean_field)
        return jnp.broadcast_to(pay, (self.num_states, self.num_actions, self.num_lanes))

    def pay_at(self, t: Scalar | int, mean_field: Array) -> Array:
        """Return R_t(s,a,·) of every lane as `[S, A, lanes]`; either of the last two axes may be 1."""
        if not (getattr(self.game.reward, "takes_lanes", False) and self._aggregates_lanes):
            return self.per_lane(lambda game, seen: game.pay_at(t, seen), mean_field)
        pay = jnp.asarray(self.game.call_reward(t, self.game.seen_by_payoffs(t, mean_field))).astype(self.dtype)
        return pay if pay.ndim == 3 else pay[..., None]  # a reward that reads nothing with lanes returns none

    def aggregates(self, mean_field: Array) -> Array | None:
        """Return the aggregate of every lane, `[T, M, lanes]`; None where payoffs see all of the mean field."""
        if self.game.aggregate is None:
            return None
        return self.per_lane(lambda game, seen: game.aggregates(seen), mean_field)

    @property
    def _aggregates_lanes(self) -> bool:
        """Whether what payoffs see of a mean field can be computed in all lanes at once."""
        aggregate = self.game.aggregate
        return aggregate is None or (aggregate.function is None and not self._carries("aggregate"))

    def per_lane(self, function: Callable, *arrays: Array) -> Any:
        """Map `function(game, *arrays)`, written for one game, over the lanes of game and arrays."""
        # only what has lanes is mapped: what is shared is neither copied nor computed per lane
        mapped = {i: leaf for i, leaf in enumerate(jax.tree.leaves(self.game)) if self.carried[i]}

        def single(mapped: dict[int, Array], *arrays: Array) -> Any:
            return function(with_leaves(self.game, mapped), *arrays)

        # `axis_size`: perhaps nothing of the game has lanes
        return jax.vmap(single, in_axes=-1, out_axes=-1, axis_size=self.num_lanes)(mapped, *arrays)

    def _carries(self, field: str) -> bool:
        flags = jax.tree.unflatten(jax.tree.structure(self.game), self.carried)
        return any(jax.tree.leaves(getattr(flags, field)))


class _MappedKernel(eqx.Module):
    """The kernels of one time, each computed for its own lane."""

    games: LaneGame
    t: Scalar | int
    mean_field: Array

    def expect(self, values: Array) -> Array:
        return self.games.per_lane(  # inside of the map, where kernels are those of one game
            lambda game, seen, v: game.kernel_at(self.t, seen).expect(v), self.mean_field, values
        )

    def push(self, mass: Array) -> Array:
        return self.games.per_lane(lambda game, seen, m: game.kernel_at(self.t, seen).push(m), self.mean_field, mass)

    def chain(self, weights: Array) -> Array:
        return self.games.per_lane(
            lambda game, seen, w: game.kernel_at(self.t, seen).chain(w), self.mean_field, weights
        )
