"""How the points of a sweep are solved, tile by tile."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh

from .. import _checks
from .._coordinates import coordinate, coordinates
from .._progress import Bar
from .._simplex import onto_simplex
from ..engine import finish_lanes, fit_response, run_stage
from ..engine.lanes import Lanes, block_width
from ..engine.loop import Tolerance
from ..engine.parameters import find, is_policy, parameter, with_policy_leaf
from ..engine.prepare import Stages, methods, one_guess, reduced
from ..model import check_reads_of_games, validate
from ..responses import AbstractResponse
from .games import Family, Games
from .grid import Points, Tile
from .outputs import ALWAYS, WHOLE, Output, compute_outputs
from .program import Report, solve_lanes

_TILE_BYTES = 2**27
_MOST_LANES = 2**16
_NEIGHBOURS = 16
"""Points in a row of which each starts from those before it, where neighbours do."""


class Plan(NamedTuple):
    """How the points of one family of games are solved.

    Attributes:
      lanes: the problems, with one lane: what is shared, and which arrays are carried.
      tables: for every carried array the values, with a last axis, and the number of the axis they are of
        (−1: of the games that the builder made).
      guess: shared by all points.
      stages: methods in turn.
      next_stages: methods in turn for a point that starts from what its neighbours found.
      tolerance: on the criterion.
    """

    lanes: Lanes
    tables: list[tuple[np.ndarray, int]]
    guess: np.ndarray | None
    stages: Stages
    next_stages: Stages
    tolerance: Tolerance

    def at(self, places: list[np.ndarray], games: np.ndarray) -> Lanes:
        """Return the problems of some points, given their indices along the axes and among the games."""
        values = [table[..., games if axis < 0 else places[axis]] for table, axis in self.tables]
        return self.lanes.having(values, len(games))


def make_plan(
    family: Family,
    response: Any,
    solver: Any,
    max_steps: Any,
    points: Points,
    guess: Any,
    of_builder: Sequence[str] = (),
) -> Plan:
    """Prepare the points of one family of games; `of_builder` are the parameters of the function that builds them."""
    game = family.games[0]
    not_swept = ""
    if isinstance(response, type):
        response, not_swept = _instance(response, points)
    solver, stages, tolerance = methods(game, response, solver, max_steps, guess is not None)
    _, next_stages, _ = methods(game, response, solver, max_steps, has_guess=True)
    response = fit_response(game, response)
    names = {axis.name: None for axis in points.axes if not axis.builds}
    triple = with_policy_leaf((game, response, solver), names)
    found: dict[int, tuple[np.ndarray, int]] = {index: (table, -1) for index, table in family.differing.items()}
    for name in names:
        find(triple, name, of_builder)  # first, as values for what is not there need be no numbers
    if not_swept:
        raise ValueError(not_swept)
    paths = {}
    for place, axis in enumerate(points.axes):
        if axis.builds:
            continue
        swept = parameter(triple, axis.name, _stacked(triple, axis.name, axis.values), each=True)
        if swept.leaf in found:
            other = paths.get(swept.leaf, "the function `game`")
            raise ValueError(f"`{axis.name}` is {swept.path}, which {other} sets too.")
        paths[swept.leaf] = f"`{axis.name}`"
        found[swept.leaf] = np.asarray(swept.values), place
    leaves, structure = jax.tree.flatten(triple)
    tables = [found[index] for index in sorted(found)]
    for index, (table, _) in found.items():
        leaves[index] = table[..., :1]
    carried = tuple(index in found for index in range(len(leaves)))
    lanes = Lanes(jax.tree.unflatten(structure, leaves), carried, 1)
    # the first and the last values: thousands of games are not checked one by one, but by `Work.check_reads`
    for corner in (0, -1):
        validate(lanes.single([table[..., corner] for table, _ in tables])[0])
    flow = None if guess is None else np.asarray(game.untimed(cast(Any, one_guess(game, guess))))
    return Plan(lanes, tables, flow, stages, next_stages, tolerance)


def _instance(kind: type, points: Points) -> tuple[AbstractResponse, str]:
    """Return a response of a class at its first value, and what is wrong if no values are given: then at any."""
    if not issubclass(kind, AbstractResponse):
        raise ValueError(f"`response` must be a response or its class; got {kind.__name__}.")
    for name, value in (("beta", "3.0"), ("epsilon", "0.1")):
        if name in getattr(kind, "__dataclass_fields__", {}):
            swept = {axis.name.removeprefix("response."): axis.values for axis in points.axes if not axis.builds}
            if name in swept:
                try:
                    return kind(swept[name][0]), ""  # pyright: ignore[reportCallIssue]
                except ValueError as error:
                    raise ValueError(str(error).replace(f"`{name}`", f"`{name}[0]`", 1)) from error
            return kind(float(value)), (  # pyright: ignore[reportCallIssue]
                f"`response` is the class {kind.__name__}, but `{name}` is not swept: give `{name}=[...]`, or a "
                f"response such as `{kind.__name__}({value})`."
            )
    return kind(), ""


def _stacked(triple: Any, name: str, values: Any) -> Any:
    """Return the values of an axis as one array with a last axis of values."""
    if hasattr(values, "ndim") and not is_policy(name):
        return np.moveaxis(_checks.as_numbers(name, values), 0, -1)
    game = triple[0]
    if getattr(values, "ndim", 0) == 3 and 1 < len(values) == game.horizon + 1:
        raise ValueError(
            f"`{name}` is an array of shape {values.shape}, which may be one policy that changes over the times 0, "
            f"..., {game.horizon} or {len(values)} policies: write `[{name}]` for one, `list({name})` for several."
        )
    arrays = []
    for i, value in enumerate(values):
        if value is None and is_policy(name):
            available = np.asarray(game.available)
            value = available / available.sum(axis=-1, keepdims=True)
            value = np.log(value) if name.split(".")[-1].startswith("log_") else value
        arrays.append(np.asarray(_checks.as_numbers(f"{name}[{i}]", value)))
    most_axes = max(array.ndim for array in arrays)  # policies [S, A] and [H+1, S, A] may stand in one list
    arrays = [array if array.ndim == most_axes else array[None] for array in arrays]
    shapes = {array.shape for array in arrays}
    try:
        shape = np.broadcast_shapes(*shapes)
        return np.stack([np.broadcast_to(array, shape) for array in arrays], axis=-1)
    except ValueError as error:
        raise ValueError(f"`{name}` has values of different shapes: {sorted(shapes)}.") from error


@dataclasses.dataclass(frozen=True)
class Work:
    """Everything that is needed to compute a tile."""

    points: Points
    games: Games
    plans: list[Plan]
    outputs: tuple[Output, ...]
    mesh: Mesh
    block: int | None
    warm: bool

    def check_reads(self) -> None:
        """Refuse a point at which a function of the game depends on an entry outside an array."""
        places = self.points.indices(Tile((0,) * len(self.points.shape), self.points.shape))
        combination = self.games.combination(places)

        def at(point: int) -> str:
            shown = [(axis, axis.labels[of[point]]) for axis, of in zip(self.points.axes, places, strict=True)]
            return f" for {', '.join(f'{axis.name} = {label}' for axis, label in shown)}"

        for number, plan in enumerate(self.plans):
            mine = np.flatnonzero(self.games.family_of[combination] == number)
            game = plan.lanes.single([table[..., 0] for table, _ in plan.tables])[0]
            carried = [leaf for leaf, lane in enumerate(plan.lanes.carried) if lane]
            of_game = {
                leaf: (table, (self.games.place_of[combination] if axis < 0 else places[axis])[mine])
                for leaf, (table, axis) in zip(carried, plan.tables, strict=True)
                if leaf < len(jax.tree.leaves(game))
            }
            values = {leaf: table for leaf, (table, _) in of_game.items()}
            index = {leaf: rows for leaf, (_, rows) in of_game.items()}
            check_reads_of_games(game, values, index, lambda k, mine=mine: at(int(mine[k])))

    @functools.cached_property
    def shapes(self) -> dict[str, tuple[tuple[str, ...], tuple[int, ...], np.dtype]]:
        """For every output: its dimensions, a shape with room for the largest game, and its dtype."""
        sizes = {dim: len(labels) for dim, labels in self.inner_coords.items()}
        kind, whole = np.dtype(self.plans[0].lanes.problem[0].dtype), np.dtype(np.int32)
        found: dict[str, Any] = {name: ((), (), whole if name in WHOLE else kind) for name in ALWAYS}
        for output in self.outputs:
            if output.function is None:
                dims = output.dims or ()
                found[output.name] = dims, tuple(sizes[dim] for dim in dims), whole if output.name in WHOLE else kind
            else:
                found[output.name] = self._shape_of_user(output, sizes)
        return found

    def _shape_of_user(
        self, output: Output, sizes: dict[str, int]
    ) -> tuple[tuple[str, ...], tuple[int, ...], np.dtype]:
        name, shapes, kinds = f"`outputs[{output.name!r}]`", [], []
        for plan in self.plans:

            def one(lanes: Lanes, plan: Plan = plan) -> Any:  # bound now: a closure would see the last plan of the loop
                own, _ = reduced(lanes)
                outcome = run_stage(own, None, (plan.stages[0][0], 1), plan.tolerance, 1)
                return compute_outputs((output,), lanes, finish_lanes(own, outcome, plan.tolerance))

            # shapes alone: nothing is solved
            leaf = eqx.filter_eval_shape(one, plan.lanes)[output.name]
            shapes.append(leaf.shape[:-1])
            kinds.append(leaf.dtype)
            game = plan.lanes.problem[0]
            sizes_of_game = {"state": game.num_states, "action": game.num_actions}
            sizes_of_game |= {dim: len(values) for dim, values in game.coordinates_of_time().items()}
            dims = tuple(f"{output.name}_{i}" for i in range(leaf.ndim - 1)) if output.dims is None else output.dims
            if len(dims) != leaf.ndim - 1 or any(
                sizes_of_game.get(d, n) != n for d, n in zip(dims, shapes[-1], strict=True)
            ):
                raise ValueError(f"{name} has shape {shapes[-1]}, which does not fit the dimensions {dims} of a game.")
        if len({len(shape) for shape in shapes}) > 1:
            raise ValueError(f"{name} has shape {shapes[0]} for some games, {shapes[-1]} for others.")
        shape: tuple[int, ...] = tuple(max(lengths) for lengths in zip(*shapes, strict=True))
        dims = tuple(f"{output.name}_{i}" for i in range(len(shape))) if output.dims is None else output.dims
        return dims, tuple(sizes.get(dim, n) for dim, n in zip(dims, shape, strict=True)), np.result_type(*kinds)

    def labels(self, kind: str) -> list[str]:
        """Return the names of the states or actions of all games, in the order in which they first appear."""
        return list(dict.fromkeys(label for plan in self.plans for label in _labels(plan, kind)))

    @property
    def inner_coords(self) -> dict[str, np.ndarray]:
        """The coordinates of one point: times, unless games are stationary, states, actions and what is aggregated."""
        games = [plan.lanes.problem[0] for plan in self.plans]
        times = max(games, key=lambda game: game.horizon).coordinates_of_time()
        is_kept = any(output.name == "aggregate" and output.function is None for output in self.outputs)
        seen = {"component": coordinate(self.labels("component"))} if is_kept else {}
        return {**times, **coordinates(self.labels("state"), self.labels("action")), **seen}

    def coords(self) -> dict[str, Any]:
        return {**self.points.coords(), **self.inner_coords}

    def tiles(self, chunk: int | None) -> list[Tile]:
        """Cut the points into tiles that are computed at once."""
        if chunk is None:
            each = max(map(_bytes_of_lane, self.plans))
            each += sum(int(np.prod(shape)) * kind.itemsize for _, shape, kind in self.shapes.values())
            chunk = int(np.clip(_TILE_BYTES // each, 1, _MOST_LANES))
        single = ()
        if len(self.plans) > 1:  # the games of a tile are of one family
            axes = self.points.axes
            single = (0,) if self.points.zipped else [i for i, axis in enumerate(axes) if axis.builds]
        # warm: the sixteen points that start from one another stay in one tile
        return list(self.points.tiles(chunk, single, _NEIGHBOURS if self.warm else 1))

    def compute(self, tile: Tile, size: int, bar: Bar) -> dict[str, np.ndarray]:
        """Return the outputs of a tile, in its shape; it is filled up to `size` points, so that all are alike."""
        places = self.points.indices(tile)
        combination = self.games.combination(places)
        family = int(self.games.family_of[combination[0]])
        plan, games = self.plans[family], self.games.place_of[combination]
        if self.warm:
            found = self._from_neighbours(plan, tile, places, games, bar)
        else:
            fill = np.minimum(np.arange(max(size, len(games))), len(games) - 1)
            # copies of the last point: another size would compile another program
            found = self._solve(plan, [place[fill] for place in places], games[fill], Report(bar, 0, tile.size))
            found = {name: array[: len(games)] for name, array in found.items()}
        return {name: self._placed(plan, name, array, tile) for name, array in found.items()}

    def _solve(
        self,
        plan: Plan,
        places: list[np.ndarray],
        games: np.ndarray,
        report: Report,
        guess: np.ndarray | None = None,
        extra_outputs: tuple[Output, ...] = (),
    ) -> dict[str, np.ndarray]:
        lanes, stages = plan.at(places, games), plan.stages if guess is None else plan.next_stages
        if guess is None and plan.guess is not None:
            guess = np.broadcast_to(plan.guess[..., None], (*plan.guess.shape, len(games)))
        game = lanes.problem[0]
        guess = None if guess is None else game.timed(guess)
        width = block_width(game) if self.block is None else self.block
        outputs = (*self.outputs, *extra_outputs)
        return solve_lanes(lanes, guess, stages, plan.tolerance, outputs, self.mesh, width, report)

    def _from_neighbours(self, plan: Plan, tile: Tile, places: list[np.ndarray], games: np.ndarray, bar: Bar) -> Any:
        """Solve each point from the ones before it along the last dimension, one of 16 by itself."""
        along = np.indices(tile.shape)[-1].ravel() % _NEIGHBOURS
        # mean fields are needed whether they were asked for or not
        is_extra = all(output.name != "mean_field" for output in self.outputs)
        extra_outputs = (Output("mean_field", None),) if is_extra else ()
        merged: dict[str, np.ndarray] = {}
        num_rows = int((along == 0).sum())
        for place in range(int(along.max()) + 1):
            chosen = np.flatnonzero(along == place)
            # copies of the last point: fewer of them would compile another program
            filled = chosen[np.minimum(np.arange(num_rows), len(chosen) - 1)]
            guess = None if place == 0 else self._extrapolated(plan, merged["mean_field"], filled, place)
            report = Report(bar, int((along < place).sum()), len(chosen))
            found = self._solve(plan, [index[filled] for index in places], games[filled], report, guess, extra_outputs)
            for name, array in found.items():
                whole = merged.setdefault(name, np.empty((tile.size, *array.shape[1:]), array.dtype))
                whole[chosen] = array[: len(chosen)]
        if is_extra:
            del merged["mean_field"]
        return merged

    def _extrapolated(self, plan: Plan, mean_fields: np.ndarray, points: np.ndarray, place: int) -> np.ndarray:
        """Return where points start, lanes last: on the line through the two before, or at the one before."""
        game, response, _ = plan.lanes.problem
        start = mean_fields[points - 1]
        if place == 1 or not response.is_smooth:  # others jump: a line through two points says nothing
            return np.moveaxis(start, 0, -1)
        line = game.timed(np.moveaxis(2 * start - mean_fields[points - 2], 0, -1))
        return np.asarray(game.untimed(onto_simplex(line, game.num_seen_axes)))

    def _placed(self, plan: Plan, name: str, array: np.ndarray, tile: Tile) -> np.ndarray:
        """Return lanes in the shape of the tile, with NaN where other games have more times, states or actions."""
        array = array.reshape(*tile.shape, *array.shape[1:])
        if len(self.plans) == 1:
            return array
        dims, shape, kind = self.shapes[name]
        if array.shape[len(tile.shape) :] == shape:
            return array
        fill = np.nan if np.issubdtype(kind, np.floating) else 0
        whole = np.full((*tile.shape, *shape), fill, kind)
        index = []
        for dim, length in zip(dims, array.shape[len(tile.shape) :], strict=True):
            names = _labels(plan, dim) if dim in ("state", "action", "component") else None
            union = self.labels(dim) if names else []
            index.append(np.arange(length) if names is None else np.array([union.index(name) for name in names]))
        whole[(..., *np.ix_(*index))] = array
        return whole


def _labels(plan: Plan, kind: str) -> tuple[str, ...]:
    game = plan.lanes.problem[0]
    if kind == "component":
        return () if game.aggregate is None else game.aggregate.labels or ()
    return game.state_labels if kind == "state" else game.action_labels


def _bytes_of_lane(plan: Plan) -> int:
    game = plan.lanes.problem[0]
    own = sum(leaf.nbytes for leaf in plan.lanes.mapped)
    return own + 4 * (game.horizon + 1) * game.num_states * game.num_actions * game.dtype.itemsize
