"""What a call of `sweep` asks for: kept in the folder of a sweep, so that another process can compute a part of it."""

import dataclasses
import pickle
import sys
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import jax

from .. import _checks
from .._files import written_whole
from .._shorten import shorten_text
from ..model import AbstractGame, parameter_names
from ..observers import observer
from .devices import lane_mesh
from .games import build_games
from .grid import Points, Tile, parameters_of, parse_axes
from .outputs import Output, parse_outputs
from .record import criterion_of
from .work import Plan, Work, make_plan

_NAME = "call.pickle"


class Call(NamedTuple):
    """The arguments of `sweep` that determine what is computed, as the user gave them, and the precision."""

    game: Any
    response: Any
    solver: Any
    zipped: Any
    outputs: Any
    guess: Any
    max_steps: Any
    warm_start: Any
    block: Any
    chunk: Any
    axes: dict[str, Any]
    is_double: bool

    def prepare(self) -> tuple[Work, list[Tile]]:
        """Check everything; return what computes a tile, and the tiles in order."""
        game = self.game
        builder = None if isinstance(game, AbstractGame) else game
        params = parameter_names(game) if isinstance(game, AbstractGame) else []
        points = Points(parse_axes(self.axes, builder, params), _checks.boolean("zipped", self.zipped))
        points.check()
        if self.warm_start is not None:
            points = _with_last(points, self.warm_start)
        games, named = build_games(game, points), parameters_of(builder)
        plans = [
            make_plan(family, self.response, self.solver, self.max_steps, points, self.guess, named)
            for family in games.families
        ]
        block = None if self.block is None else _checks.integer_at_least("block", self.block, 1)
        outputs = parse_outputs(self.outputs, plans[0].lanes.problem[0], tuple(self.axes))
        outputs = tuple(_observed(output, plans[0]) for output in outputs)
        work = Work(points, games, plans, outputs, lane_mesh(), block, self.warm_start is not None)
        work.check_reads()
        chunk = None if self.chunk is None else _checks.integer_at_least("chunk", self.chunk, 1)
        return work, work.tiles(chunk)

    def save(self, folder: Path) -> None:
        """Write this into a folder.

        Raises:
          ValueError: if something in it cannot be pickled.
        """
        try:
            # apart, as arrays of double precision lose it where they are unpickled in single precision
            content = pickle.dumps((self.is_double, cloudpickle.dumps(tuple(self))))
        except Exception as error:  # objects of users raise all kinds
            reason = shorten_text(f"{type(error).__name__}: {error}", 160)
            raise ValueError(
                "Other processes can join a sweep only if its game, response, solver and outputs can be pickled; "
                f"these cannot ({reason})."
            ) from error
        with written_whole(folder / _NAME) as partial:
            partial.write_bytes(content)

    @classmethod
    def load(cls, folder: Path) -> "Call":
        """Read the call that a process has saved in a folder. It runs code that whoever wrote the folder chose.

        Raises:
          ValueError: if there is none, or it cannot be read here.
        """
        try:
            content = (folder / _NAME).read_bytes()
        except FileNotFoundError as error:
            raise ValueError(
                f"{folder.parent} does not hold what its sweep computes, as that could not be pickled, or it comes "
                "from another version of mfgjax: only the call of `sweep` itself resumes it."
            ) from error
        try:
            is_double, fields = pickle.loads(content)
            with jax.enable_x64(is_double):
                return cls(*cloudpickle.loads(fields))
        except Exception as error:  # as above, and a module that is missing here
            reason = shorten_text(f"{type(error).__name__}: {error}", 160)
            raise ValueError(
                f"What the sweep in {folder.parent} computes cannot be read here, with Python "
                f"{sys.version_info.major}.{sys.version_info.minor} ({reason}). Its modules must be importable."
            ) from error

    def in_its_precision(self) -> Any:
        """Return a context in which JAX has the precision of the call."""
        return jax.enable_x64(self.is_double)


def _observed(output: Output, plan: Plan) -> Output:
    """Return an output, with a user's function compiled anew if what it reads has changed."""
    if output.function is None:
        return output
    game, response, _ = plan.lanes.single([leaf[..., 0] for leaf in plan.lanes.mapped])
    criterion = criterion_of(plan)
    with _checks.explained(f"outputs[{output.name!r}]", "the arrays of its arguments", "at an equilibrium"):
        return dataclasses.replace(output, function=observer(output.function, game, response, criterion))


def _with_last(points: Points, name: str) -> Points:
    """Return the points with an axis moved last, so that its neighbours are neighbours."""
    names = [axis.name for axis in points.axes]
    if name not in names:
        raise ValueError(f"`warm_start` must be the name of an axis: {', '.join(names)}; got {name!r}.")
    if points.zipped:
        return points
    return Points(sorted(points.axes, key=lambda axis: axis.name == name), False)
