"""What a design may change, the problems at its coordinates, and the equilibria of many designs at once."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._result import RESULTS
from .._typing import Array
from ..batch import Stages, finish_lanes, solved
from ..equilibrium import Equilibrium
from ..finish import finish
from ..lanes import Lanes, block_width, narrow_width
from ..model import FiniteHorizonGame
from ..parameters import Triple
from ..responses import AbstractResponse
from ..solve import run_on
from ..solvers import Problem
from ..solvers.loop import Outcome, iterate
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
        leaves, structure = jax.tree.flatten(self.triple)
        for index, value in zip(self.leaves, self.place(point), strict=True):
            leaves[index] = value
        game, response, _ = jax.tree.unflatten(structure, leaves)
        return game, response

    def lanes(self, points: Points) -> Lanes:
        """Return the games of all designs in all scenarios, those of one design side by side."""
        num_designs = jax.tree.leaves(points)[0].shape[-1]
        leaves, structure = jax.tree.flatten(self.triple)
        carried = [False] * len(leaves)
        values = jax.vmap(self.place, in_axes=-1, out_axes=-1)(points)
        for index, value in zip(self.leaves, values, strict=True):
            leaves[index], carried[index] = jnp.repeat(value, self.num_scenarios, axis=-1), True
        for index, value in self.scenarios.items():
            leaves[index], carried[index] = jnp.tile(value, num_designs), True
        return Lanes(jax.tree.unflatten(structure, leaves), tuple(carried), num_designs * self.num_scenarios)

    def only(self, points: Points) -> tuple[FiniteHorizonGame, AbstractResponse]:
        """Return game and response where there is one design alone."""
        return self.single(jax.tree.map(lambda leaf: leaf[..., 0], points))

    def is_single(self, points: Points) -> bool:
        """Tell whether there is one game alone, which is computed without lanes."""
        return self.num_scenarios == 1 and not self.scenarios and jax.tree.leaves(points)[0].shape[-1] == 1


def repeated(space: DesignSpace, count: int) -> Points:
    """Return the coordinates of the start, `count` times."""
    return {name: jnp.asarray(np.repeat(value[:, None], count, axis=1)) for name, value in space.origin.items()}


@eqx.filter_jit
def single(space: DesignSpace, points: Points) -> tuple[FiniteHorizonGame, AbstractResponse]:
    """Return game and response of one design."""
    return space.only(points)


@eqx.filter_jit
def first_fields(space: DesignSpace, points: Points) -> Array:
    """Return the mean fields from which equilibria are sought where nothing is known of them, with lanes last."""

    def flows(game: Any, response: AbstractResponse) -> Array:
        return Problem(game, response, space.tolerance).first_guess()

    if space.is_single(points):
        return flows(*space.only(points))[..., None]
    return space.lanes(points).in_blocks(block_width(space.triple[0]), lambda part: flows(part.game, part.response))


def equilibria(space: DesignSpace, points: Points, guess: Array) -> Outcome:
    """Find the equilibria of designs, with lanes last; those that are not found say so in their code."""
    if space.is_single(points):
        outcome = _first_stage(space, points, guess[..., 0])
        if int(outcome.code) != RESULTS.converged and len(space.stages) > 1:
            problem = Problem(*single(space, points), space.tolerance)
            outcome = run_on(outcome, problem, space.stages[1:], guess[..., 0])
        outcome = outcome._replace(history=outcome.history[:0])
        return jax.tree.map(lambda leaf: leaf[..., None], outcome)
    lanes = _lanes(space, points)
    return solved(lanes, guess, space.stages, space.tolerance, block_width(space.triple[0]))


def judge(space: DesignSpace, objectives: Sequence[Callable], points: Points, outcome: Outcome) -> Array:
    """Return the objectives `[objectives, designs, scenarios]` at equilibria, with their derivatives."""
    num_designs = jax.tree.leaves(points)[0].shape[-1]
    if space.is_single(points):
        game, response = space.only(points)
        found = finish(game, response, jax.tree.map(lambda leaf: leaf[..., 0], outcome), space.tolerance, judged=False)
        return objective_values(objectives, game, response, found)[:, None, None]

    def block(part: Lanes, outcome: Outcome) -> Array:
        def one(game: Any, response: Any, _: Any, found: Any) -> Array:
            return objective_values(objectives, game, response, found)

        return part.per_lane(one, finish_lanes(part, outcome, space.tolerance, judged=False))

    lanes = space.lanes(points)
    width = max(narrow_width(space.triple[0], block_width(space.triple[0])), 1)
    values = lanes.in_blocks(width, block, outcome)
    return values.reshape(-1, num_designs, space.num_scenarios)


def objective_values(objectives: Sequence[Callable], game: Any, response: Any, found: Equilibrium) -> Array:
    """Return the objectives of one game at its equilibrium, `[objectives]`, refused if one is no real number."""
    found = dataclasses.replace(found, action_axis=-1)
    values = [objective(game, response, found) for objective in objectives]
    for value in values:
        if jnp.shape(value) != () or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
            raise ValueError(f"`objective` must return one real number; got shape {jnp.shape(value)}.")
    return jnp.stack([jnp.asarray(value, game.dtype) for value in values])


@eqx.filter_jit
def _first_stage(space: DesignSpace, points: Points, guess: Array) -> Outcome:
    solver, steps = space.stages[0]
    return iterate(Problem(*space.only(points), space.tolerance), solver, guess, steps)


@eqx.filter_jit
def _lanes(space: DesignSpace, points: Points) -> Lanes:
    return space.lanes(points)
