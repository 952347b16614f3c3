"""Methods in turn, each for the problems that are still open, and the better outcome of two."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._compiled import compiled, computes_at_once
from .._gradients import stop_gradients
from .._result import RESULTS
from .._typing import Array
from .._varying import alike, where_needed
from ..equilibrium import Equilibrium
from ..model import AnyGame
from ..responses import AbstractResponse
from ..solvers import AbstractMethod
from ..solvers.base import Problem
from .error import can_be_measured, is_polished, is_unmeasured, measured, polished
from .finish import finish_lanes
from .lanes import Lanes, method_width, narrow_width, solving_width
from .loop import Outcome, Tolerance, gave_up, in_units, iterate
from .prepare import Prepared


def equilibria(prepared: Prepared) -> Equilibrium:
    """Find the equilibrium of a problem, or of every lane, with its derivative.

    Outside of `jit` a method is compiled only if it is needed; inside, all are.
    """
    lanes, guess, stages, tolerance, width = prepared
    if not computes_at_once((lanes, guess)):
        prepared = alike(prepared)
        # constants to differentiation, and concrete again under an eager `grad`
        outcome = run(stop_gradients(prepared))
        lanes, _, _, tolerance, width = prepared
        return _finish_jit(lanes, outcome, tolerance, width)
    if not lanes.is_alone:
        return _finish_jit(lanes, run(prepared), tolerance, width)
    is_done, first, found = _first_jit(lanes, guess, stages[0], tolerance, width)
    if bool(is_done):
        return found
    return _finish_jit(lanes, run(prepared, first), tolerance, width)


def run(prepared: Prepared, first: Outcome | None = None) -> Outcome:
    """Run the methods in turn, all but the first (whose outcome may be given) where none has converged so far.

    What met the tolerance at a first look is looked at more closely, and is open if it is ill conditioned.
    """
    lanes, guess, stages, tolerance, width = prepared
    outcome = _run_stage_jit(lanes, guess, stages[0], tolerance, width) if first is None else first
    is_traced = isinstance(outcome.code, Tracer)
    for stage in stages[1:]:
        if not is_traced and _needs_measure(lanes, outcome):
            outcome = _measure(lanes, outcome, tolerance, width)
        if is_traced or bool((outcome.code != RESULTS.converged).any()):
            outcome = _run_where_open(lanes, guess, outcome, stage, tolerance, width)
    if is_traced or _needs_measure(lanes, outcome):
        outcome = _measure(lanes, outcome, tolerance, width)
    return outcome


def measure(lanes: Lanes, outcome: Outcome, tolerance: Tolerance, width: int) -> Outcome:
    """Estimate the errors of what is unmeasured, in blocks of lanes that hold such; see `measured`."""
    if not can_be_measured(lanes.problem[0], outcome):
        return outcome

    def one(game: Any, response: Any, _: Any, outcome: Outcome) -> Outcome:
        return measured(_problem(game, response, tolerance), outcome)

    def block(part: Lanes, found: Outcome) -> Outcome:
        needed = is_unmeasured(found).any()
        return where_needed(needed, lambda found: part.per_lane(one, found), alike(found))

    return lanes.in_blocks(solving_width(lanes.problem[0], width), block, outcome)


_measure = compiled(measure)


def _needs_measure(lanes: Lanes, outcome: Outcome) -> bool:
    if not can_be_measured(lanes.problem[0], outcome):
        return False
    # on the host, as each solve asks
    code, residual, stretch = map(np.asarray, (outcome.code, outcome.residual, outcome.stretch))
    return bool(is_unmeasured(outcome._replace(code=code, residual=residual, stretch=stretch)).any())


def run_stage(
    lanes: Lanes, guess: Array | None, stage: tuple[AbstractMethod, int], tolerance: Tolerance, width: int
) -> Outcome:
    """Run one method, in many lanes in blocks."""
    method, steps = stage
    if lanes.is_alone:
        problem = _problem(lanes.game, lanes.problem[1], tolerance)
        return _assured(problem, method, iterate(problem, method, guess, steps))
    if not any(lanes.carried[len(jax.tree.leaves(lanes.problem[:2])) :]):
        lanes = lanes.with_solver(method)
    together = method.in_lanes(lanes.problem[0])
    width = method_width(method, lanes.problem[0], width)

    def assured(game: Any, response: Any, own: Any, outcome: Outcome) -> Outcome:
        return _assured(_problem(game, response, tolerance), own, outcome)

    def one(game: Any, response: Any, own: Any, *start: Array) -> Outcome:
        problem = _problem(game, response, tolerance)
        found = iterate(problem, own, start[0] if start else None, steps, keep_history=False)
        return assured(game, response, own, found)

    def block(part: Lanes, *start: Array) -> Outcome:
        if not together:
            return part.per_lane(one, *start)
        own: Any = part.problem[2]
        problem = _problem(part.game, part.problem[1], tolerance)
        outcome = iterate(problem, own, start[0] if start else None, steps, keep_history=False)
        if not is_polished(problem, own):
            return outcome
        one_by_one = solving_width(lanes.problem[0], width)
        return part.in_blocks(one_by_one, lambda few, found: few.per_lane(assured, found), outcome)

    return lanes.in_blocks(width, block, *(() if guess is None else (guess,)))


def _assured(problem: Problem, method: AbstractMethod, outcome: Outcome) -> Outcome:
    return polished(problem, outcome) if is_polished(problem, method) else outcome


def _problem(game: AnyGame, response: AbstractResponse, tolerance: Tolerance) -> Problem:
    return Problem(game, response, in_units(tolerance, game, response))


_run_stage_jit = compiled(run_stage)


@compiled
def _run_where_open(
    lanes: Lanes,
    guess: Array | None,
    outcome: Outcome,
    stage: tuple[AbstractMethod, int],
    tolerance: Tolerance,
    width: int,
) -> Outcome:
    """Run a further method where none has converged: lanes are gathered into blocks of their own."""
    if stage[0].splits and outcome.candidate.mixture is None:
        outcome = outcome._replace(candidate=outcome.candidate._replace(mixture=_no_mixture(lanes.game)))
    outcome = alike(outcome)
    if lanes.is_alone:

        def more(before: Outcome) -> Outcome:
            after = run_stage(lanes, guess, stage, tolerance, width)
            return join(before, after, jumps(*lanes.problem[:2]))

        return jax.lax.cond(outcome.code == RESULTS.converged, lambda before: _padded(before, stage[1]), more, outcome)
    num_lanes = lanes.num_lanes
    width = min(method_width(stage[0], lanes.problem[0], width), num_lanes)
    is_open = outcome.code != RESULTS.converged
    order = jnp.argsort(~is_open)  # stable: neighbours stay neighbours
    order = jnp.concatenate([order, jnp.full((width,), order[-1])])

    def block(k: Array, outcome: Outcome) -> Outcome:
        index = jax.lax.dynamic_slice(order, (k * width,), (width,))
        part = lanes.take(index)
        before = jax.tree.map(lambda leaf: leaf[..., index], outcome)
        after = run_stage(part, None if guess is None else guess[..., index], stage, tolerance, width)
        after = join(before, after, jumps(*lanes.problem[:2]))
        # places past the last open lane are dropped
        goal = jnp.where(k * width + jnp.arange(width) < is_open.sum(), index, num_lanes)
        return jax.tree.map(lambda old, new: old.at[..., goal].set(new, mode="drop"), outcome, after)

    return jax.lax.fori_loop(0, -(-is_open.sum() // width), block, outcome)


def _no_mixture(game: AnyGame) -> Array:
    shape = (game.horizon + 1, game.num_states, game.num_actions, *game.lanes)
    return jnp.full(shape, jnp.nan, game.dtype)


def _padded(outcome: Outcome, steps: int) -> Outcome:
    nothing = jnp.full((steps,), jnp.nan, outcome.history.dtype)
    return outcome._replace(history=jnp.concatenate([outcome.history, nothing]))


def jumps(game: AnyGame, response: AbstractResponse) -> bool:
    """Tell whether a cycle of plain iteration is evidence that there is no pure equilibrium; see `join`."""
    return game.seeks_pure and not response.is_smooth


def keeps_first(first: Outcome, second: Outcome) -> Array:
    """Tell whether the first of two runs has the better candidate, lane by lane.

    What meets the tolerance, though it is ill conditioned, is better than what does not.
    """
    first_met, second_met = (run.code == RESULTS.ill_conditioned for run in (first, second))
    is_better = jnp.where(first_met == second_met, first.residual < second.residual, first_met)
    return is_better & (second.code != RESULTS.converged)


def _blamed(run: Outcome, broken: Array) -> Outcome:
    """Return a run that gave up with a number that is not finite as its verdict, where there was one."""
    return run._replace(code=jnp.where(broken & gave_up(run.code), RESULTS.non_finite, run.code).astype(jnp.int32))


def join(first: Outcome, second: Outcome, hard: bool) -> Outcome:
    """Return the better candidate of two runs, with its own verdict, and the steps of both, lane by lane.

    If neither converges, a number that is not finite in one of them is the verdict, if the other only gave up: it may
    have gone around it.
    Of responses that jump in stationary games (`hard`) a cycle of the first run remains the verdict if the second does
    not converge: evidence of why no pure equilibrium was found and, where the second run sought mixtures, no mixed one.
    """
    keep, failed = keeps_first(first, second), second.code != RESULTS.converged
    broken = failed & ((first.code == RESULTS.non_finite) | (second.code == RESULTS.non_finite))
    first, second = (_blamed(run, broken) for run in (first, second))
    if hard:
        cycled = (first.code == RESULTS.cycle) & failed
        verdict = RESULTS.cycle if second.candidate.mixture is None else RESULTS.no_pure_choice
        codes = (jnp.where(cycled, verdict, run.code).astype(jnp.int32) for run in (first, second))
        first, second = (run._replace(code=code) for run, code in zip((first, second), codes, strict=True))
        second = second._replace(
            period=jnp.where(cycled, first.period, second.period),
            spread=jnp.where(cycled, first.spread, second.spread),
        )
        first = first._replace(period=second.period, spread=second.spread)
    total = {
        "num_steps": first.num_steps + second.num_steps,
        "num_methods": first.num_methods + second.num_methods,
        "history": jnp.concatenate([first.history, second.history]),
    }
    kept, other = (run._replace(**total) for run in (first, second))
    return jax.tree.map(lambda a, b: jnp.where(keep, a, b), kept, other)


@compiled
def _finish_jit(lanes: Lanes, outcome: Outcome, tolerance: Tolerance, width: int) -> Equilibrium:
    width = narrow_width(lanes.problem[0], width)
    return lanes.in_blocks(width, lambda part, found: finish_lanes(part, found, tolerance), outcome)


@compiled
def _first_jit(
    lanes: Lanes, guess: Array | None, stage: tuple[AbstractMethod, int], tolerance: Tolerance, width: int
) -> tuple[Array, Outcome, Equilibrium]:
    """Do both in one program, for the common case that the first method converges, and tell whether it did."""
    outcome = run_stage(lanes, guess, stage, tolerance, width)
    is_done = outcome.code == RESULTS.converged
    if can_be_measured(lanes.problem[0], outcome):
        is_done &= ~is_unmeasured(outcome)
    return is_done, outcome, finish_lanes(lanes, outcome, tolerance)
