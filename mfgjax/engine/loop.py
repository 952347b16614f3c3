"""The one loop over iterations."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._result import RESULTS
from .._typing import Array, Bool, Float, Int
from .._varying import alike
from ..kernels.base import align
from ..model import AnyGame, residual_tolerance
from ..responses import AbstractResponse
from ..solvers.base import AbstractMethod, Candidate, Problem, Progress, by_residual

_RUNNING = -1
_STRIDE = 8
_LINGER = 20
"""Steps without progress after which a residual at the rounding level counts as converged."""


class Outcome(NamedTuple):
    """What a run of a solver ends with: the best candidate, not the last."""

    candidate: Candidate
    residual: Float[Array, "*lanes"]
    code: Int[Array, "*lanes"]
    period: Int[Array, "*lanes"]
    num_steps: Int[Array, "*lanes"]
    history: Array
    spread: Any = 0.0
    """The largest distance, over a cycle, of a mean field to the first; 0 if there is no cycle."""
    error: Any = np.nan
    """How far from an equilibrium the candidate is estimated to be, in total variation; NaN if that is not known."""
    stretch: Any = np.nan
    """How far the last steps went for what the residual fell by; 0 if the error was measured, NaN if nobody knows."""
    num_methods: Any = 1
    """How many methods were tried."""


class _Carry(NamedTuple):
    state: Any
    best: Progress
    improved: tuple[Array, Array] | None
    stretch: Float[Array, "*lanes"]
    anchor: tuple[Array, Array, Array] | None
    before: Array | None
    code: Int[Array, "*lanes"]
    period: Int[Array, "*lanes"]
    num_steps: Int[Array, "*lanes"]
    steps: Int[Array, ""]
    history: Array
    spread: Float[Array, "*lanes"]


def reachable(tolerance: Array | np.ndarray, floor: Array) -> Array:
    """Return the residual that counts as converged: the tolerance, or the rounding level `floor` if that is higher.

    A rounding level above √ε is no longer taken for an answer; `RESULTS.precision` says so then.
    """
    cap = jnp.sqrt(jnp.finfo(floor.dtype).eps)
    return jnp.where(tolerance > 0, jnp.maximum(tolerance, jnp.minimum(floor, cap)), 0)


def iterate(
    problem: Problem, solver: AbstractMethod, guess: Array | None, max_steps: int, keep_history: bool = True
) -> Outcome:
    """Drive a solver until it converges, fails, cycles, stalls or uses up its steps.

    It starts from `guess`; None stands for the flow of the prior policy, or a stationary game's initial law. A
    cycle is found by Brent's method: one earlier iterate is kept, replaced after 1, 2, 4, ... steps, and an iterate
    that repeats it to rounding p ≥ 2 steps later, far from converged, closes a cycle of period p.

    A problem with lanes ends each of them by itself: what a lane has found stays while others go on.
    """
    eps = float(jnp.finfo(problem.game.dtype).eps)
    if guess is None:
        guess = problem.first_guess()
    runs_all_steps, is_residual = solver.atol == 0, by_residual(problem.game, problem.response, solver)
    patience = None if runs_all_steps else solver.patience
    looks_for_cycles = solver.may_cycle and not runs_all_steps

    # Where all steps are run, and nobody sees each, only some are judged
    stride = _STRIDE if runs_all_steps and not keep_history else 1

    def step(level: Array, carry: _Carry) -> _Carry:
        state, ahead = carry.state, jnp.minimum(stride, max_steps - carry.steps) - 1
        if stride > 1:
            state = jax.lax.fori_loop(0, ahead, lambda _, state: solver.step(problem, state)[0], state)
        state, progress = solver.step(problem, state)
        residual, count, running = progress.residual, carry.steps + ahead, carry.code == _RUNNING
        # also when all steps are run the best iterate is kept
        better = running & (residual < carry.best.residual)
        stretch = carry.stretch
        if is_residual:
            # how far it had to go for what the residual fell by; an old answer fades, and a first look tells nothing
            apart = problem.game.distance(progress.candidate.mean_field, carry.best.candidate.mean_field)
            fresh = jnp.fmax(apart / (carry.best.residual - residual), stretch / 2)
            stretch = jnp.where(better & jnp.isfinite(carry.best.residual), fresh, stretch)
        best = jax.tree.map(lambda new, old: jnp.where(better, new, old), progress, carry.best)

        code = jnp.where(jnp.isnan(residual), RESULTS.non_finite, _RUNNING)
        code = jnp.where(progress.failed, RESULTS.stalled, code)

        improved = carry.improved
        if improved is not None:
            lowest, since = improved
            improves = residual < 0.999 * lowest
            lowest, since = improved = jnp.where(improves, residual, lowest), jnp.where(improves, count, since)
            if patience is not None:
                code = jnp.where(count - since >= patience, RESULTS.stalled, code)
            # the tolerance is pursued below the rounding level, too, as long as that gets anywhere
            settled = (lowest <= level) & (count - since >= _LINGER)
            code = jnp.where(settled, RESULTS.converged, code)

        anchor, period, spread = carry.anchor, carry.period, carry.spread
        if anchor is not None:
            earlier, at, apart = anchor
            seen = progress.candidate.mean_field
            if carry.before is not None:  # what comes next depends on the iterate before, too
                seen = jnp.concatenate([carry.before, seen])
            distance = problem.game.distance(seen, earlier)
            repeats = (distance <= 32 * eps) & (count - at >= 2) & (residual > 1e3 * eps)
            code = jnp.where(repeats, RESULTS.cycle, code)
            period = jnp.where(running & repeats, count - at, period)
            spread = jnp.where(running & repeats, apart, spread)
            renew = (count & (count - 1)) == 0  # at 0, 1, 2, 4, 8, ...
            anchor = (
                jnp.where(renew, seen, earlier),
                jnp.where(renew, count, at),
                jnp.where(renew, 0, jnp.maximum(apart, distance)),
            )

        if not runs_all_steps:
            # what is found is judged anew by another program, which rounds in other ways
            slack = 6 * eps if is_residual else 1e-3 * problem.tolerance
            code = jnp.where(residual <= problem.tolerance - slack, RESULTS.converged, code)
        code = jnp.where(running, code, carry.code).astype(jnp.int32)
        num_steps = jnp.where(running, count + 1, carry.num_steps)
        history = carry.history.at[count].set(residual) if keep_history else carry.history
        before = progress.candidate.mean_field if carry.before is not None else None
        return _Carry(
            state, best, improved, stretch, anchor, before, code, period, num_steps, count + 1, history, spread
        )

    def running(carry: _Carry) -> Bool[Array, ""]:
        return (carry.code == _RUNNING).any() & (carry.steps < max_steps)

    lanes = problem.lanes
    state = solver.init(problem, guess)
    best = _empty(problem, solver, guess)
    zero, zeros = jnp.int32(0), jnp.zeros(lanes, jnp.int32)
    history = jnp.full((max_steps if keep_history else 0, *lanes), jnp.nan, guess.dtype)
    improved = None if runs_all_steps else (best.residual, zeros)
    never = jnp.full_like(guess, jnp.inf)
    before = never if looks_for_cycles and solver.has_lag else None
    anchor = None
    if looks_for_cycles:
        earlier = never if before is None else jnp.concatenate([never, never])
        anchor = (earlier, zero, jnp.zeros(lanes, guess.dtype))
    code = jnp.full(lanes, _RUNNING, jnp.int32)
    nothing = jnp.zeros(lanes, guess.dtype)
    unknown = jnp.full_like(nothing, jnp.nan)
    carry = _Carry(state, best, improved, unknown, anchor, before, code, zeros, zeros, zero, history, nothing)

    def iterated(_: Array, found: tuple[_Carry, Array]) -> tuple[_Carry, Array]:
        carry, _ = found
        floor = problem.floor(carry.best.candidate.mean_field)
        level = reachable(problem.tolerance, floor)
        return alike((jax.lax.while_loop(running, partial(step, level), carry), floor))

    # the second time no step is left, and the rounding level is that of what was found: compiled once for both
    carry, floor = jax.lax.fori_loop(0, 2, iterated, alike((carry, nothing)))
    best = carry.best
    code = jnp.where(carry.code == _RUNNING, RESULTS.max_steps, carry.code)
    got_nowhere = gave_up(code)
    # a run of all steps is judged by the default tolerance
    default = default_tolerance(problem.game.dtype, is_residual)
    judged_by = in_units(default, problem.game, problem.response) if runs_all_steps else problem.tolerance
    # a cycle no wider than what rounding does to one step is no evidence of another kind
    is_lost = (got_nowhere & (best.residual <= floor)) | ((code == RESULTS.cycle) & (carry.spread <= floor))
    code = jnp.where(is_lost, RESULTS.precision, code)
    limit = reachable(judged_by, floor)
    code = jnp.where(got_nowhere & (best.residual <= limit), RESULTS.converged, code)
    # twice, as this is what the last steps show, which need not look every way; NaN if there were none
    error = (2 * best.residual + jnp.maximum(8 * eps, floor)) * jnp.maximum(carry.stretch, 1)
    # beyond 1 there is no distance
    error = jnp.minimum(error, 1) if is_residual else unknown
    one = jnp.ones(lanes, jnp.int32)
    ending = (carry.period, carry.num_steps, carry.history, carry.spread, error, carry.stretch, one)
    return with_verdict(Outcome(best.candidate, best.residual, code.astype(jnp.int32), *ending), limit)


def gave_up(code: Array) -> Array:
    """Tell where a run ended without a reason other than that it got no further."""
    return (code == RESULTS.max_steps) | (code == RESULTS.stalled)


def with_verdict(outcome: Outcome, tolerance: Array) -> Outcome:
    """Call an equilibrium ill conditioned if its error takes more than half of the digits of the tolerance."""
    lost = (outcome.code == RESULTS.converged) & (outcome.error > jnp.sqrt(tolerance))
    return outcome._replace(code=jnp.where(lost, RESULTS.ill_conditioned, outcome.code).astype(jnp.int32))


def _empty(problem: Problem, solver: AbstractMethod, guess: Array) -> Progress:
    is_residual = by_residual(problem.game, problem.response, solver)
    log_policy = None if is_residual else problem.prior_policy()
    mixture = jnp.full_like(problem.prior_policy(), jnp.nan) if solver.splits else None
    return Progress(
        Candidate(guess, log_policy, mixture),
        jnp.full(problem.lanes, jnp.inf, guess.dtype),
        jnp.zeros(problem.lanes, bool),
    )


class OfStakes(NamedTuple):
    """A tolerance on the exploitability, as a share of what is at stake."""

    share: np.ndarray


Tolerance = Array | np.ndarray | OfStakes


def default_tolerance(dtype: Any, is_residual: bool) -> Tolerance:
    """Return the tolerance of the criterion by precision: on residuals, or on exploitabilities as a share of stakes."""
    if is_residual:
        return np.asarray(residual_tolerance(dtype), dtype)
    return OfStakes(np.asarray(1e-4 if jnp.finfo(dtype).eps < 1e-12 else 1e-3, dtype))


def in_units(tolerance: Tolerance, game: AnyGame, response: AbstractResponse) -> Array | np.ndarray:
    """Return a tolerance as a number, in each lane: a share of stakes in units of reward."""
    if not isinstance(tolerance, OfStakes):
        return tolerance
    stakes = jax.lax.stop_gradient(at_stake(game, response))
    # where nothing is at stake every policy will do
    return jnp.maximum(tolerance.share * stakes, jnp.finfo(game.dtype).tiny)


def at_stake(game: AnyGame, response: AbstractResponse) -> Array:
    """Return the most that one action is worth more than another, lane by lane.

        max_{t, s} (max_a Q_t(s,a) − min_a Q_t(s,a))

    in the population that does not look at payoffs, or in that of its best responses.
    """
    flow = Problem(game, response).first_guess()
    spans = []
    for _ in range(2):
        best = game.best_response(flow, response)
        exists = align(game.available, best.q)
        high = jnp.where(exists, best.q, -jnp.inf).max(axis=2)
        low = jnp.where(exists, best.q, jnp.inf).min(axis=2)
        spans.append((high - low).max(axis=(0, 1)))
        flow = game.moved_on(flow, best.policy)[1]
    return jnp.maximum(*spans)
