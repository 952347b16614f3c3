"""What made a sweep: for its readers, and to be compared before it is resumed."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from .._identity import arrays_of, program_of, without_addresses
from .._traced import TracedFunction, named_path, users_programs
from .._version import __version__
from ..engine import finish_lanes, run_stage
from ..engine.lanes import Lanes
from ..engine.prepare import reduced
from ..io import describe
from ..model import AbstractGame, mean_field_map
from ..solvers.base import by_residual
from .grid import Points, Tile
from .outputs import Output, compute_outputs
from .work import Plan, Work

_PROGRAM, _STRUCTURE, _OF_OUTPUTS = "the program of the game", "the game", "a function of the outputs"
_FIELDS = ("kernel", "reward", "aggregate")
_WIDE = ("mfgjax's version", "JAX's version", "the precision")


def parts_of(work: Work, attrs: Mapping[str, str], chunk: Tile) -> dict[str, Any]:
    """Return everything that determines a sweep, under names that an error message can use."""
    facts: dict[str, Any] = {
        "mfgjax's version": __version__,
        "JAX's version": jax.__version__,
        "the precision": attrs["dtype"],
        "the axes": [*work.points.dims, work.points.zipped],
        "`chunk`": list(chunk.shape),
        "the warm start": work.warm,
    }
    for place, axis in enumerate(work.points.axes):
        tables = [table for plan in work.plans for table, of in plan.tables if of == place]
        facts[f"`{axis.name}`"] = [axis.labels, *tables]
    responses, solvers, programs, outputs = [], [], [], []
    for plan in work.plans:
        # what is swept is told apart above, but for what the builder made of its parameters
        game, response, solver = plan.lanes.single([np.zeros(()) if of >= 0 else table for table, of in plan.tables])
        for name, value in _fields_of(game):
            facts.setdefault(name, []).append(value)  # an axis may have the name of a field, as "initial"
        responses += arrays_of(response)
        solvers += [*arrays_of(solver), repr(plan.stages), *jax.tree.leaves(plan.tolerance)]
        for leaf in jax.tree.leaves(solver, is_leaf=callable):  # a schedule of step sizes
            solvers += program_of(leaf, np.int32(0)) if callable(leaf) else []
        solvers.append("" if plan.guess is None else plan.guess)
        one = plan.lanes.single([table[..., 0] for table, _ in plan.tables])
        flow = np.zeros(one[0].mean_field_shape, one[0].dtype)
        programs += program_of(lambda g, r, m: mean_field_map(g, r)(m), one[0], one[1], flow)
        outputs += program_of(lambda lanes, plan=plan: _outputs_alone(work.outputs, lanes, plan), plan.lanes)
    return {
        **facts,
        "the response": responses,
        "the solver": solvers,
        _PROGRAM: programs,
        "the outputs": [[output.name, repr(output.dims), output.function is not None] for output in work.outputs],
        _OF_OUTPUTS: outputs,
    }


def told(names: list[str]) -> list[str]:
    """Return which of the names of what has changed to tell: without those that follow from others."""
    if wide := [name for name in names if name in _WIDE]:  # these change all the rest
        return wide
    numbers = {f"a number that the function `{field}` reads" for field in _FIELDS}
    functions = {f"the function `{field}`" for field in _FIELDS}
    follow: set[str] = set()
    if not {*functions, _PROGRAM}.isdisjoint(names):  # another function reads other numbers
        follow = {_STRUCTURE, *numbers}
    if not functions.isdisjoint(names):
        follow |= {_PROGRAM}
    if not {"`horizon`", "`state_labels`", "`action_labels`"}.isdisjoint(names):
        follow = {_STRUCTURE, _PROGRAM, *numbers, *functions}
    rest = [name for name in names if name not in follow]
    weak = [name for name in rest if ".predecessors" in name]
    for name in (*weak, "`chunk`", _OF_OUTPUTS):  # outputs, and the size of a chunk, depend on the rest
        if name in rest and len(rest) > 1:
            rest.remove(name)
    return rest


def _fields_of(game: AbstractGame) -> Iterator[tuple[str, Any]]:
    """Yield what a game consists of, by names that a user knows."""
    for name in ("horizon", "observes", "state_labels", "action_labels"):
        yield f"`{name}`", repr(getattr(game, name))
    yield "`observes.labels`", repr(getattr(game.aggregate, "labels", None))
    for keys, leaf in jax.tree_util.tree_leaves_with_path(game):
        own = named_path(game, keys)
        if own is None:
            yield f"a number that the function `{keys[0].name}` reads", leaf
        else:
            yield f"`{jax.tree_util.keystr(tuple(own)).lstrip('.')}`", leaf
    for field in _FIELDS:
        programs = [
            one.program.jaxpr for one in users_programs(getattr(game, field)) if isinstance(one, TracedFunction)
        ]
        yield f"the function `{field}`", without_addresses(str(programs))
    yield _STRUCTURE, arrays_of(game)[0]


def _outputs_alone(outputs: tuple[Output, ...], lanes: Lanes, plan: Plan) -> Any:
    users_outputs = tuple(output for output in outputs if output.function is not None)
    if not users_outputs:
        return ()
    solver, _ = plan.stages[0]
    own, _ = reduced(lanes)
    outcome = run_stage(own, None, (solver, 1), plan.tolerance, 1)  # traced only: one step has the shapes of all
    return compute_outputs(users_outputs, lanes, finish_lanes(own, outcome, plan.tolerance))


def provenance(game: Any, plan: Plan, points: Points) -> dict[str, str]:
    first, response, solver = plan.lanes.problem
    name = type(game).__name__ if isinstance(game, AbstractGame) else getattr(game, "__name__", str(game))
    described = describe(response)
    for axis in points.axes:
        if isinstance(described, dict) and axis.name in described:
            described[axis.name] = "swept"
    return {
        "mfgjax_version": __version__,
        "jax_version": jax.__version__,
        "dtype": str(first.dtype),
        "platform": jax.default_backend(),
        "game": name,
        **({"horizon": str(first.horizon)} if first.times else {}),
        "observes": first.observes,
        "response": json.dumps(described),
        "solver": json.dumps(describe(solver)),
        "criterion": criterion_of(plan),
    }


def criterion_of(plan: Plan) -> str:
    """Return which criterion the residuals of a plan measure."""
    game, response, _ = plan.lanes.problem
    return "residual" if by_residual(game, response, plan.stages[0][0]) else "exploitability"
