"""The compiled program of a sweep: one method in many lanes, spread over devices."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from .._compiled import compiled
from .._progress import Bar
from .._result import RESULTS
from .._typing import Array
from ..engine import finish_lanes, join, measure, run_stage
from ..engine.error import can_be_measured, is_unmeasured
from ..engine.lanes import Lanes, method_width
from ..engine.loop import Outcome, Tolerance
from ..engine.prepare import Stages, reduced
from ..engine.run import jumps, keeps_first
from ..solvers import AbstractMethod
from ..solvers.base import Candidate
from .devices import gathered, spread
from .outputs import Output, compute_outputs

_FEW = 16
"""Lanes at a time of methods that cost much and are seldom needed: a block is filled up with copies."""
_UNMEASURED = "is_unmeasured"
"""The name, beside those of outputs, of whether a lane's error is still to be estimated."""


class Report(NamedTuple):
    """What is told of a part of a tile while it is computed.

    Attributes:
      bar: of the whole sweep.
      before: points of the tile that were done before.
      size: points of the part.
    """

    bar: Bar
    before: int
    size: int

    def found(self, codes: np.ndarray) -> None:
        """Tell how many points are solved, from the result codes of lanes, which may end with copies of the last."""
        self.bar.within(self.before + int((codes[: self.size] == RESULTS.converged).sum()))


def solve_lanes(
    lanes: Lanes,
    guess: np.ndarray | None,
    stages: Stages,
    tolerance: Tolerance,
    outputs: tuple[Output, ...],
    mesh: Mesh,
    width: int,
    report: Report,
) -> dict[str, np.ndarray]:
    """Solve the lanes by the methods in turn, each for those that are still open; return outputs, lanes first.

    What a later method needs is compiled only if a lane comes to it.

    Args:
      lanes: with NumPy arrays where lanes are carried.
      guess: with lanes last; None: the reference's flow.
      stages: methods with their most steps.
      tolerance: on the criterion.
      outputs: what is kept.
      mesh: of the devices.
      width: lanes of a block.
      report: where progress is told between compiled calls; JAX keeps no program on disk that calls back from inside.
    """
    found = _run(lanes, guess, stages[0], tolerance, outputs, mesh, width, report.bar)
    report.found(found["result_code"])
    for stage in stages[1:]:
        unsolved = np.flatnonzero(found["result_code"] != RESULTS.converged)
        if not len(unsolved):
            break
        block = method_width(stage[0], lanes.problem[0], width)
        block = block if stage[0].in_lanes(lanes.problem[0]) else min(block, _FEW)

        def run(few: np.ndarray, stage: tuple[AbstractMethod, int] = stage) -> dict[str, np.ndarray]:
            start = None if guess is None else guess[..., few]
            return _run(lanes.take(few), start, stage, tolerance, outputs, mesh, width, report.bar)

        def merge(whole: dict[str, np.ndarray], later: dict[str, np.ndarray], few: np.ndarray, by: Any = stage) -> None:
            _join(whole, later, few, by[0], lanes.problem)
            report.found(whole["result_code"])

        found = _some_again(found, unsolved, mesh.size * block, run, merge)
    return found


def _some_again(
    found: dict[str, np.ndarray],
    chosen: np.ndarray,
    size: int,
    run: Callable[[np.ndarray], dict[str, np.ndarray]],
    merge: Callable[[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray], None],
) -> dict[str, np.ndarray]:
    """Run some of the lanes again, `size` at a time, so that one shape is compiled once; merge what comes of them."""
    # arrays fetched from a device may be read-only
    found = {name: array if array.flags.writeable else array.copy() for name, array in found.items()}
    for begin in range(0, len(chosen), size):
        few = chosen[begin : begin + size]
        later = run(few[np.minimum(np.arange(size), len(few) - 1)])
        merge(found, {name: array[: len(few)] for name, array in later.items()}, few)
    return found


def _join(
    found: dict[str, np.ndarray],
    later: dict[str, np.ndarray],
    lane_numbers: np.ndarray,
    method: AbstractMethod,
    problem: Any,
) -> None:
    """Merge the results of a later method into `found`: the better candidate counts, as in `solve`."""
    first = _verdict({name: found[name][lane_numbers] for name in later}, method.splits)
    second = _verdict(later, method.splits)
    joined, better = join(first, second, jumps(*problem[:2])), np.asarray(~keeps_first(first, second))
    for name, array in later.items():
        found[name][lane_numbers[better]] = array[better]
    for name, value in zip(("result_code", "result_period", "num_steps"), joined[2:5], strict=True):
        found[name][lane_numbers] = np.asarray(value)


def _verdict(found: dict[str, np.ndarray], splits: bool) -> Outcome:
    """Return outcomes without their candidates."""
    residual: Any = found["residual"]
    candidate = Candidate(residual, None, residual if splits else None)
    code, period, num_steps = (found[name] for name in ("result_code", "result_period", "num_steps"))
    return Outcome(candidate, residual, code, period, num_steps, residual[None][:0])  # pyright: ignore[reportArgumentType]


def _run(
    lanes: Lanes,
    guess: np.ndarray | None,
    stage: tuple[AbstractMethod, int],
    tolerance: Tolerance,
    outputs: tuple[Output, ...],
    mesh: Mesh,
    width: int,
    bar: Bar,
    closely: bool = False,
) -> dict[str, np.ndarray]:
    """Run one method in all lanes; those that are still to be measured again, and `closely`: with their errors."""
    count = lanes.num_lanes
    padded = np.concatenate([np.arange(count), np.full(-count % mesh.size, count - 1)])
    if len(padded) > count:
        lanes, guess = lanes.take(padded), None if guess is None else guess[..., padded]
    placed = lanes.having([spread(mesh, leaf) for leaf in lanes.mapped], lanes.num_lanes)
    start_fields = None if guess is None else spread(mesh, guess)
    closely = closely or guess is not None  # near the point before a first look may do
    bar.says("compiling")  # a program that is known is started at once, so that nobody sees the word
    computed = _compiled(placed, start_fields, stage, tolerance, outputs, mesh, width, closely)
    bar.says()
    found = gathered(computed)
    found = {name: array[:count] for name, array in found.items()}
    unmeasured = found.pop(_UNMEASURED)
    if closely or not unmeasured.any():
        return found

    def run(few: np.ndarray) -> dict[str, np.ndarray]:
        return _run(lanes.take(few), None, stage, tolerance, outputs, mesh, width, bar, closely=True)

    return _some_again(found, np.flatnonzero(unmeasured), mesh.size * _FEW, run, _put)


def _put(found: dict[str, np.ndarray], later: dict[str, np.ndarray], lane_numbers: np.ndarray) -> None:
    for name, array in later.items():
        found[name][lane_numbers] = array


def _program(
    lanes: Lanes,
    guess: Array | None,
    stage: tuple[AbstractMethod, int],
    tolerance: Tolerance,
    outputs: tuple[Output, ...],
    mesh: Mesh,
    width: int,
    closely: bool,
) -> dict[str, Array]:
    # else nothing reads the policy's own gain, which takes a backup
    judged = any(output.name == "exploitability" or output.function is not None for output in outputs)
    lanes_per_device = lanes.num_lanes // mesh.size
    width = method_width(stage[0], reduced(lanes)[0].problem[0], width)

    def block(block_lanes: Lanes, *start: Array) -> dict[str, Array]:
        own, guess = reduced(block_lanes, *start)
        outcome = run_stage(own, guess, stage, tolerance, own.num_lanes)
        if closely:
            outcome = measure(own, outcome, tolerance, own.num_lanes)
        # outputs are of the user's game
        found = compute_outputs(outputs, block_lanes, finish_lanes(own, outcome, tolerance, judged))
        return {**found, _UNMEASURED: is_unmeasured(outcome) & can_be_measured(own.problem[0], outcome)}

    def on_device(mapped: list[Array], *start: Array) -> dict[str, Array]:
        return lanes.having(mapped, lanes_per_device).in_blocks(width, block, *start, lanes_first=True)

    start = () if guess is None else (guess,)
    specs: Any = jax.tree.map(lambda leaf: P(*(None,) * (leaf.ndim - 1), "lanes"), (lanes.mapped, *start))
    # every device stops by itself: no collective, nothing to check
    spread_out = jax.shard_map(on_device, mesh=mesh, in_specs=specs, out_specs=P("lanes"), check_vma=False)
    return spread_out(lanes.mapped, *start)


# XLA prefers vectors of half the length, which take a sixth more time
_compiled = compiled(_program, large={"xla_cpu_prefer_vector_width": 512})
