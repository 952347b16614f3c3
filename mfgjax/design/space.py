"""The space of designs that a user gives, the problems at its points, and their equilibria."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._families import differing, kind_of
from .._trees import with_leaves
from .._typing import Array, Scalar
from ..engine import Prepared, finish_lanes, fit_response, run
from ..engine.lanes import Lanes, block_width, narrow_width
from ..engine.loop import Outcome, Tolerance
from ..engine.parameters import Triple, cast_response, find, parameter, with_policy_leaf
from ..engine.prepare import Stages, methods
from ..equilibrium import Equilibrium
from ..model import AnyGame, FiniteHorizonGame, no_game, trace_game
from ..ranges.dependence import depends
from ..responses import AbstractResponse
from ..solvers.base import Problem
from .variables import LAW, POSITIVE, REAL, SHARE, Coordinates, Variable, as_variables, coordinates_of

Points = Any
"""Coordinates of many designs: for each variable an array `[coordinates, designs]`."""


class DesignSpace(NamedTuple):
    """The arrays that a design may change, and how its equilibria are found.

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
    tolerance: Tolerance
    restore: Callable[[dict[str, Any]], Any] = dict  # names to arrays are what most users give

    @property
    def origin(self) -> dict[str, np.ndarray]:
        """The coordinates of the start."""
        dtype = self.triple[0].dtype
        return {name: variable.origin.astype(dtype) for name, variable in self.variables.items()}

    def arrays(self, point: Any) -> dict[str, Array]:
        """Return the arrays of one design by name: probabilities, not their logs."""
        return {name: variable.array(point[name]) for name, variable in self.variables.items()}

    def steepness(self, point: Any, gradient: Any) -> Scalar:
        """Return the largest entry of a gradient, by which convergence is judged; see `Coordinates.steepness`."""
        names = self.variables.items()
        return jnp.stack([variable.steepness(point[name], gradient[name]).max() for name, variable in names]).max()

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
        # the scenarios of a design lie side by side: designs repeat, scenarios alternate
        values |= {index: jnp.tile(value, num_designs) for index, value in self.scenarios.items()}
        carried = tuple(index in values for index in range(len(jax.tree.leaves(self.triple))))
        return Lanes(with_leaves(self.triple, values), carried, num_designs * self.num_scenarios)


def lane_last(lanes: Lanes, tree: Any) -> Any:
    """Add a last axis of one lane to a tree of one game alone, as if it were one of many."""
    return jax.tree.map(lambda leaf: leaf[..., None], tree) if lanes.is_alone else tree


def without_lane(lanes: Lanes, tree: Any) -> Any:
    """Return a tree without its last axis of lanes if there is one game alone, as the engine takes it."""
    return jax.tree.map(lambda leaf: leaf[..., 0], tree) if lanes.is_alone else tree


def repeated(space: DesignSpace, count: int) -> Points:
    """Return the coordinates of the start, `count` times."""
    return {name: jnp.asarray(np.repeat(value[:, None], count, axis=1)) for name, value in space.origin.items()}


@compiled
def single(space: DesignSpace, points: Points) -> tuple[FiniteHorizonGame, AbstractResponse]:
    """Return game and response of the first design."""
    return space.single(jax.tree.map(lambda leaf: leaf[..., 0], points))


@compiled
def first_fields(space: DesignSpace, points: Points) -> Array:
    """Return the mean fields from which the first equilibria are sought, with lanes last."""
    lanes = space.lanes(points)

    def flows(part: Lanes) -> Array:
        return Problem(part.game, part.problem[1]).first_guess()

    return lane_last(lanes, lanes.in_blocks(block_width(space.triple[0]), flows))


def equilibria(space: DesignSpace, points: Points, guess: Array) -> Outcome:
    """Find the equilibria of designs, with lanes last; the code of each tells whether it was found."""
    lanes = _lanes(space, points)
    start = without_lane(lanes, guess)
    outcome = run(Prepared(lanes, start, space.stages, space.tolerance, block_width(space.triple[0])))
    # nobody reads the history of a design
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
    # one lane of many has no last axis of lanes
    found = dataclasses.replace(found, action_axis=-1)
    values = [objective(game, response, found) for objective in objectives]
    for value in values:
        if not eqx.is_array_like(value):
            raise ValueError(f"`objective` must return one real number; it returned {_checks.shorten(value)}.")
        if jnp.shape(value) != () or not jnp.issubdtype(jnp.result_type(value), jnp.floating):
            raise ValueError(f"`objective` must return one real number; got shape {jnp.shape(value)}.")
    return jnp.stack([jnp.asarray(value, game.dtype) for value in values])


@compiled
def _lanes(space: DesignSpace, points: Points) -> Lanes:
    return space.lanes(points)


def design_space(game: Any, parameters: Any, response: Any, solver: Any, scenarios: Any) -> DesignSpace:
    """Build the design space from the arguments of `tune`; refuse arguments that do not fit together."""
    # games are modules without `__call__`, so only builders are callable
    if callable(game):
        if scenarios is not None:
            raise ValueError("`scenarios` need a game, not a function that builds one.")
        return _of_builder(game, parameters, response, solver)
    game = _with_horizon(game, "be a `FiniteHorizonGame`, or a function from `parameters` to one")
    method, stages, tolerance = _solved_by(game, response, solver)
    triple: Triple = (trace_game(game), fit_response(game, response), method)
    return _of_names(triple, parameters, scenarios, stages, tolerance)


def _with_horizon(game: Any, must: str) -> FiniteHorizonGame:
    """Return a game with a finite horizon, or say what `game` must do."""
    if not isinstance(game, FiniteHorizonGame):
        raise ValueError(f"`game` must {must}; got {no_game(game)}.")
    return game


def _solved_by(game: FiniteHorizonGame, response: Any, solver: Any) -> tuple[Any, Stages, Tolerance]:
    method, stages, tolerance = methods(game, response, solver)
    if not response.is_smooth:
        raise ValueError(
            f"`response` must be smooth, such as `EntropyRegularized`: equilibria of `{type(response).__name__}` jump."
        )
    return method, stages, tolerance


def _of_names(triple: Triple, parameters: Any, scenarios: Any, stages: Stages, tolerance: Tolerance) -> DesignSpace:
    """Return the space of variables given by the names of arrays of game and response."""
    named_variables = as_variables(parameters)
    swept = _scenario_names(scenarios)
    triple = with_policy_leaf(triple, {**named_variables, **swept})
    variables, leaves, shapes = {}, [], []
    for name, variable in named_variables.items():
        index, path, kind = find(triple, name)
        if index in leaves:
            raise ValueError(
                f"`parameters[{name!r}]` is the array {path}, which another entry of `parameters` also sets."
            )
        if path.startswith("solver."):
            raise ValueError(
                f"`parameters[{name!r}]` is {path}, but the solver does not change the equilibrium: leave it out."
            )
        variables[name] = _coordinates(triple, name, path, kind, index, variable)
        leaves.append(index)
        shape = jax.tree.leaves(triple)[index].shape
        shapes.append(None if path in _POLICIES else np.broadcast_shapes(variables[name].start.shape, shape))
    place = _Named(tuple(variables.values()), tuple(shapes))
    differing, count = _scenarios(triple, swept, scenarios, leaves)
    return DesignSpace(triple, variables, tuple(leaves), place, differing, count, stages, tolerance)


@dataclasses.dataclass(frozen=True)
class _Named:
    """From coordinates to the leaves they set: logs of policies, other arrays in full shape."""

    variables: tuple[Coordinates, ...]
    shapes: tuple[tuple[int, ...] | None, ...]

    def __call__(self, point: dict[str, Array]) -> list[Array]:
        return [
            variable.log_array(point[variable.name])
            if shape is None
            else jnp.broadcast_to(variable.array(point[variable.name]), shape)
            for variable, shape in zip(self.variables, self.shapes, strict=True)
        ]


_POLICIES = ("response.log_reference", "response.log_weights")


def _coordinates(triple: Triple, name: str, path: str, kind: str, index: int, variable: Variable) -> Coordinates:
    game, leaf = triple[0], np.asarray(jax.tree.leaves(triple)[index])
    is_policy = path in _POLICIES
    start = np.exp(leaf) if is_policy else leaf
    if variable.start is not None:
        start = np.asarray(variable.start)
        if kind.startswith("log_"):
            start = np.exp(start)
    shape = _shape(name, game, start, leaf.shape, path)
    start = start.reshape(shape)
    if is_policy:
        mask = np.broadcast_to(np.asarray(game.available), (max(len(start), len(game.available)), *shape[1:]))
        table = np.broadcast_to(start, mask.shape)
        # a logit of −∞ cannot move: the support of a law stays what it is
        must = "it must be positive exactly on the available actions"
        _checks.all_true(f"parameters[{name!r}]", table, (table > 0) == mask, must)
        _checks.distribution(f"parameters[{name!r}]", start, leading=2)
        return coordinates_of(name, LAW, variable, start)
    field = path.rsplit(".", 1)[-1]
    if path == "game.initial" or path == "game.kernel.probabilities":
        rows = None
        if path == "game.kernel.probabilities":
            rows = np.broadcast_to(np.asarray(game.available).any(axis=0), shape[:-1])
        _checks.distribution(f"parameters[{name!r}]", start, rows, leading=len(shape) - 1)
        holds = LAW
    elif field == "beta" and path.startswith("response."):
        holds = POSITIVE
    elif path == "game.discount":
        holds = SHARE
    else:
        holds = REAL
    return coordinates_of(name, holds, variable, start)


def _shape(name: str, game: AnyGame, start: np.ndarray, shape: tuple[int, ...], path: str) -> tuple[int, ...]:
    """Return the shape of a start with a time axis, refused if it does not broadcast to that of its array."""
    start_shape = start.shape
    if len(start_shape) == len(shape) - 1 and shape[0] == 1 and start_shape == shape[1:]:
        return (1, *start_shape)
    if path in _POLICIES and len(start_shape) == 2:
        start_shape = (1, *start_shape)
    # there is no move at the last time
    times = game.horizon if path.startswith("game.kernel") else game.horizon + 1
    wanted = shape if not shape or shape[0] != 1 or start_shape[:1] != (times,) else (times, *shape[1:])
    fits = len(start_shape) == len(wanted) and all(g in (1, w) for g, w in zip(start_shape, wanted, strict=True))
    if not fits and not (start_shape == () and path not in _POLICIES):
        raise ValueError(f"`parameters[{name!r}]` has shape {start.shape}, which does not broadcast to {wanted}.")
    return start_shape


def _scenario_names(scenarios: Any) -> Mapping[str, Any]:
    if scenarios is None or isinstance(scenarios, list | tuple):
        return {}
    if not isinstance(scenarios, Mapping) or not scenarios:
        raise ValueError(
            f"`scenarios` must map names to values with a last axis of scenarios, or be a list of games; got "
            f"{_checks.shorten(scenarios)}."
        )
    return scenarios


def _scenarios(triple: Triple, named: Mapping, games: Any, tuned_leaves: Sequence[int]) -> tuple[dict[int, Array], int]:
    """Return the leaves that differ between scenarios, and the number of these."""
    found: dict[int, Array] = {}
    if named:
        for name, values in named.items():
            p = parameter(triple, name, values)
            found[p.leaf] = p.values
        counts = {name: np.shape(values)[-1] for name, values in named.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"`scenarios` has different numbers of scenarios: {counts}.")
        count = next(iter(counts.values()))
    elif games:
        count = len(games)
        for k, game in enumerate(games):
            # scenarios are lanes of one program, so that they may differ in numbers alone
            if type(game) is not type(triple[0]) or kind_of(game) != kind_of(triple[0]):
                raise ValueError(
                    f"`scenarios[{k}]` must be a game that differs from `game` only in floating-point numbers: "
                    "classes, shapes, available actions and whole numbers must be the same."
                )
        # the first is not among the scenarios, but what they share may be other than there
        found = {index: jnp.asarray(table[..., 1:]) for index, table in differing([triple[0], *games]).items()}
    else:
        return {}, 1
    for index in found:
        if index in tuned_leaves:
            raise ValueError("`scenarios` and `parameters` both set the same array.")
    return found, count


def _of_builder(build: Callable, parameters: Any, response: Any, solver: Any) -> DesignSpace:
    """Return the space of a function from arrays to the game, or to game and response."""
    paths, structure = jax.tree_util.tree_flatten_with_path(parameters, is_leaf=lambda x: isinstance(x, Variable))
    if not paths:
        raise ValueError("`parameters` is empty: it must hold the arrays that the function `game` takes.")
    variables: dict[str, Coordinates] = {}
    for keys, leaf in paths:
        name = jax.tree_util.keystr(keys, simple=True, separator=".") or "parameters"
        variable = leaf if isinstance(leaf, Variable) else Variable(leaf)
        if variable.start is None:
            raise ValueError(f"`parameters[{name!r}]` has no start, but needs one if `game` is a function.")
        variables[name] = coordinates_of(name, REAL, variable, np.asarray(variable.start))

    def pair(arrays: list[Array]) -> tuple[FiniteHorizonGame, AbstractResponse]:
        built = build(jax.tree.unflatten(structure, arrays))
        game, own = built if isinstance(built, tuple) and len(built) == 2 else (built, response)
        game = _with_horizon(game, "return a `FiniteHorizonGame`")
        if not isinstance(own, AbstractResponse):
            got = _checks.shorten(own)
            raise ValueError(f"`response` must be given, or returned by the function `game`; got {got}.")
        return trace_game(game), cast_response(game, own)

    starts = [jnp.asarray(variable.start) for variable in variables.values()]
    first = pair(starts)
    method, stages, tolerance = _solved_by(*first, solver)
    triple: Triple = (first[0], fit_response(*first), method)
    # leaves that the arrays do not reach are shared by all designs, and are not carried by lanes
    moving = depends(jax.make_jaxpr(lambda arrays: jax.tree.leaves(pair(arrays)))(starts).jaxpr)
    pairs = enumerate(zip(moving, jax.tree.leaves(triple[:2]), strict=True))
    indices = tuple(i for i, (moves, leaf) in pairs if moves and eqx.is_inexact_array(leaf))

    def place(point: dict[str, Array]) -> list[Array]:
        made = jax.tree.leaves(pair([variable.array(point[name]) for name, variable in variables.items()]))
        return [made[index] for index in indices]

    def restore(arrays: dict[str, Any]) -> Any:
        return jax.tree.unflatten(structure, list(arrays.values()))

    return DesignSpace(triple, variables, indices, place, {}, 1, stages, tolerance, restore)
