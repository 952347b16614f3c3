"""What a design may change, the problems at its coordinates, and the equilibria of many designs at once."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._trees import with_leaves
from .._typing import Array
from ..engine import Prepared, finish_lanes, run
from ..engine.lanes import Lanes, block_width, narrow_width
from ..engine.loop import Outcome
from ..engine.parameters import Triple
from ..engine.prepare import Stages
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame
from ..responses import AbstractResponse
from ..solvers.base import Problem
from .variables import Coordinates

Points = Any
"""Coordinates of many designs: for each variable an array `[coordinates, designs]`."""


class DesignSpace(NamedTuple):
    """What a design may change, and what it is judged by.

    Attributes:
      triple: game, response and solver at the start.
      variables: names to coordinates; for a builder, of the leaves of its argument.
      leaves: numbers of the leaves of the triple that the variables set.
      place: from arrays by name to those leaves, in their order.
      scenarios: numbers of leaves to values with a last axis of scenarios.
      num_scenarios: their number.
      stages: the methods of the solver, each with its steps.
      tolerance: of the equilibrium.
      restore: from arrays by name to what the user gave as `parameters`.
    """

    triple: Triple
    variables: dict[str, Coordinates]
    leaves: tuple[int, ...]
    place: Callable[[dict[str, Array]], list[Array]]
    scenarios: dict[int, Array]
    num_scenarios: int
    stages: Stages
    tolerance: np.ndarray
    restore: Callable[[dict[str, Any]], Any] = dict

    @property
    def origin(self) -> dict[str, np.ndarray]:
        """The coordinates of the start."""
        dtype = self.triple[0].dtype
        return {name: variable.origin.astype(dtype) for name, variable in self.variables.items()}

    def arrays(self, point: Any) -> dict[str, Array]:
        """Return the arrays of one design by name: probabilities, not their logs."""
        return {name: variable.array(point[name]) for name, variable in self.variables.items()}

    def single(self, point: Any) -> tuple[FiniteHorizonGame, AbstractResponse]:
        """Return game and response of one design."""
        values = dict(zip(self.leaves, self.place(point), strict=True))
        game, response, _ = with_leaves(cast(Any, self.triple), values)
        return game, response

    def lanes(self, points: Points) -> Lanes:
        """Return the games of all designs in all scenarios, those of one design side by side; one game alone as it is.

        An outcome of one game alone has no axis of lanes inside of the engine, and one here; see `lane_last`.
        """
        num_designs = jax.tree.leaves(points)[0].shape[-1]
        if num_designs == 1 and not self.scenarios:
            game, response = self.single(jax.tree.map(lambda leaf: leaf[..., 0], points))
            return Lanes((game, response, self.triple[2]))
        values = dict(zip(self.leaves, jax.vmap(self.place, in_axes=-1, out_axes=-1)(points), strict=True))
        values = {index: jnp.repeat(value, self.num_scenarios, axis=-1) for index, value in values.items()}
        values |= {index: jnp.tile(value, num_designs) for index, value in self.scenarios.items()}
        carried = tuple(index in values for index in range(len(jax.tree.leaves(self.triple))))
        return Lanes(with_leaves(self.triple, values), carried, num_designs * self.num_scenarios)


def lane_last(lanes: Lanes, tree: Any) -> Any:
    """Return what belongs to one game alone with a last axis of one lane, as if it were one of many."""
    return jax.tree.map(lambda leaf: leaf[..., None], tree) if lanes.is_alone else tree


def without_lane(lanes: Lanes, tree: Any) -> Any:
    """Return what has a last axis of lanes as the engine wants it: of one game alone without."""
    return jax.tree.map(lambda leaf: leaf[..., 0], tree) if lanes.is_alone else tree


def repeated(space: DesignSpace, count: int) -> Points:
    """Return the coordinates of the start, `count` times."""
    return {name: jnp.asarray(np.repeat(value[:, None], count, axis=1)) for name, value in space.origin.items()}


@eqx.filter_jit
def single(space: DesignSpace, points: Points) -> tuple[FiniteHorizonGame, AbstractResponse]:
    """Return game and response of the first design."""
    return space.single(jax.tree.map(lambda leaf: leaf[..., 0], points))


@eqx.filter_jit
def first_fields(space: DesignSpace, points: Points) -> Array:
    """Return the mean fields from which equilibria are sought where nothing is known of them, with lanes last."""
    lanes = space.lanes(points)

    def flows(part: Lanes) -> Array:
        return Problem(part.game, part.problem[1], space.tolerance).first_guess()

    return lane_last(lanes, lanes.in_blocks(block_width(space.triple[0]), flows))


def equilibria(space: DesignSpace, points: Points, guess: Array) -> Outcome:
    """Find the equilibria of designs, with lanes last; those that are not found say so in their code."""
    lanes = _lanes(space, points)
    start = without_lane(lanes, guess)
    outcome = run(Prepared(lanes, start, space.stages, space.tolerance, block_width(space.triple[0])))
    return lane_last(lanes, outcome._replace(history=outcome.history[:0]))


def judge(space: DesignSpace, objectives: Sequence[Callable], points: Points, outcome: Outcome) -> Array:
    """Return the objectives `[objectives, designs, scenarios]` at equilibria, with their derivatives."""
    lanes = space.lanes(points)

    def block(part: Lanes, outcome: Outcome) -> Array:
        def one(game: Any, response: Any, _: Any, found: Any) -> Array:
            return objective_values(objectives, game, response, found)

        return part.per_lane(one, finish_lanes(part, outcome, space.tolerance, judged=False))

    width = narrow_width(space.triple[0], block_width(space.triple[0]))
    values = lanes.in_blocks(width, block, without_lane(lanes, outcome))
    return values.reshape(len(objectives), -1, space.num_scenarios)


def objective_values(objectives: Sequence[Callable], game: Any, response: Any, found: Equilibrium) -> Array:
    """Return the objectives of one game at its equilibrium, `[objectives]`, refused if one is no real number."""
    found = dataclasses.replace(found, action_axis=-1)
    values = [objective(game, response, found) for objective in objectives]
    for value in values:
        if jnp.shape(value) != () or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
            raise ValueError(f"`objective` must return one real number; got shape {jnp.shape(value)}.")
    return jnp.stack([jnp.asarray(value, game.dtype) for value in values])


@eqx.filter_jit
def _lanes(space: DesignSpace, points: Points) -> Lanes:
    return space.lanes(points)
