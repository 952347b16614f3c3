"""The one loop over iterations."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from .._result import RESULTS
from .._typing import Array, Bool, Int, Scalar
from ..model import flow_distance, propagate
from .base import AbstractSolver, Candidate, Problem, Progress

_RUNNING = -1


class Outcome(NamedTuple):
    """What a run of a solver ends with: the best candidate, not the last."""

    candidate: Candidate
    residual: Scalar
    floor: Scalar
    code: Int[Array, ""]
    period: Int[Array, ""]
    num_steps: Int[Array, ""]
    history: Array


class _Carry(NamedTuple):
    state: Any
    best: Progress
    improved: tuple[Scalar, Int[Array, ""]]
    anchor: tuple[Array, Int[Array, ""]]
    code: Int[Array, ""]
    period: Int[Array, ""]
    steps: Int[Array, ""]
    history: Array


def reachable(problem: Problem, floor: Scalar) -> Scalar:
    """Return the residual that counts as converged: the tolerance, or the rounding level if that is higher.

    A rounding level above √ε is no longer taken for an answer; `RESULTS.precision` says so then.
    """
    cap = jnp.sqrt(jnp.finfo(problem.game.dtype).eps)
    return jnp.where(problem.tolerance > 0, jnp.maximum(problem.tolerance, jnp.minimum(floor, cap)), 0)


def iterate(problem: Problem, solver: AbstractSolver, guess: Array | None, max_steps: int) -> Outcome:
    """Drive a solver until it converges, fails, cycles, stalls or uses up its steps.

    It starts from `guess`; None stands for the flow of the prior policy. A cycle is found by Brent's method:
    one earlier iterate is kept, replaced after 1, 2, 4, ... steps, and an iterate that repeats it to rounding
    p ≥ 2 steps later, far from converged, closes a cycle of period p.
    """
    eps = float(jnp.finfo(problem.game.dtype).eps)
    if guess is None:
        guess = propagate(problem.game, jnp.exp(problem.prior_policy()))

    def step(carry: _Carry) -> _Carry:
        state, progress = solver.step(problem, carry.state)
        residual, count = progress.residual, carry.steps
        target = reachable(problem, progress.floor)
        # also with a tolerance of 0 ("run all steps") the best iterate is kept
        better = residual < carry.best.residual
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), progress, carry.best)

        code = jnp.where(jnp.isnan(residual), RESULTS.non_finite, _RUNNING)
        code = jnp.where(progress.failed, RESULTS.stalled, code)

        lowest, since = carry.improved
        improves = residual < 0.999 * lowest
        lowest, since = jnp.where(improves, residual, lowest), jnp.where(improves, count, since)
        if solver.patience is not None and getattr(solver, "averaging", None) is None:
            code = jnp.where((count - since >= solver.patience) & (problem.tolerance > 0), RESULTS.stalled, code)

        anchor, period = carry.anchor, carry.period
        if solver.may_cycle and getattr(solver, "averaging", None) is None:
            earlier, at = anchor
            seen = progress.candidate.mean_field
            repeats = (flow_distance(seen, earlier) <= 32 * eps) & (count - at >= 2) & (residual > 1e3 * eps)
            repeats = repeats & (problem.tolerance > 0)
            code = jnp.where(repeats, RESULTS.cycle, code)
            period = jnp.where(repeats, count - at, period)
            renew = (count & (count - 1)) == 0  # at 0, 1, 2, 4, 8, ...
            anchor = (jnp.where(renew, seen, earlier), jnp.where(renew, count, at))

        done = (residual <= target) & (target > 0)
        code = jnp.where(done, RESULTS.converged, code)
        history = carry.history.at[count].set(residual)
        return _Carry(state, best, (lowest, since), anchor, code.astype(jnp.int32), period, count + 1, history)

    def running(carry: _Carry) -> Bool[Array, ""]:
        return (carry.code == _RUNNING) & (carry.steps < max_steps)

    state = solver.init(problem, guess)
    start = _empty(problem, guess)
    zero = jnp.int32(0)
    history = jnp.full((max_steps,), jnp.nan, guess.dtype)
    anchor = (jnp.full_like(guess, jnp.inf) if solver.may_cycle else jnp.zeros(()), zero)
    carry = _Carry(state, start, (start.residual, zero), anchor, jnp.int32(_RUNNING), zero, zero, history)
    carry = jax.lax.while_loop(running, step, carry)
    best = carry.best
    code = jnp.where(carry.code == _RUNNING, RESULTS.max_steps, carry.code)
    gave_up = (code == RESULTS.max_steps) | (code == RESULTS.stalled)
    # a run of all steps asked for by a tolerance of 0 is judged by the default tolerance
    within = reachable(_with_default_tolerance(problem), best.floor)
    code = jnp.where(gave_up & (problem.tolerance == 0) & (best.residual <= within), RESULTS.converged, code)
    gave_up = (code == RESULTS.max_steps) | (code == RESULTS.stalled)
    code = jnp.where(gave_up & (best.residual <= best.floor), RESULTS.precision, code)
    return Outcome(
        best.candidate,
        best.residual,
        best.floor,
        code.astype(jnp.int32),
        carry.period,
        carry.steps,
        carry.history,
    )


def _empty(problem: Problem, guess: Array) -> Progress:
    log_policy = None if problem.response.is_smooth else problem.prior_policy()
    return Progress(
        Candidate(guess, log_policy),
        jnp.asarray(jnp.inf, guess.dtype),
        jnp.zeros((), guess.dtype),
        jnp.array(False),
    )


def default_tolerance(dtype: Any, is_smooth: bool) -> float:
    """Return the tolerance of the criterion by precision: residuals, or exploitabilities in units of reward."""
    double = jnp.finfo(dtype).eps < 1e-12
    if is_smooth:
        return 1e-10 if double else 1e-5
    return 1e-4 if double else 1e-3


def _with_default_tolerance(problem: Problem) -> Problem:
    default = default_tolerance(problem.game.dtype, problem.response.is_smooth)
    return Problem(problem.game, problem.response, jnp.asarray(default, problem.game.dtype))
