"""From what a solver found to an equilibrium with all that follows from it."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._gradients import stop_gradients
from .._result import RESULTS, Result
from .._simplex import log_normalize, safe_log
from .._typing import Array
from ..equilibrium import Equilibrium
from ..kernels import AbstractKernel
from ..kernels.base import align
from ..model import AnyGame
from ..model.base import BestResponse
from ..model.values import criterion_of, gain
from ..responses import AbstractResponse
from ..responses.ties import ROUNDING
from ..solvers.base import Candidate
from ..solvers.shooting import can_eliminate
from ..solvers.splitting import relative_loss
from .implicit import fixed_point, refuse_derivative
from .lanes import Lanes
from .loop import OfStakes, Outcome, Tolerance, default_tolerance, in_units, reachable


def finish(
    game: AnyGame,
    response: AbstractResponse,
    outcome: Outcome,
    tolerance: Tolerance,
    differentiable: Callable = fixed_point,
    judged: bool = True,
) -> Equilibrium:
    """Attach the derivative, and everything that follows from the mean field.

    Args:
      game: the game, or many.
      response: how agents act.
      outcome: of the solver.
      tolerance: that it was given.
      differentiable: `fixed_point`, or its form for lanes.
      judged: compute the exploitability; else it is NaN.
    """
    candidate: Candidate = outcome.candidate
    is_residual, jumps = candidate.log_policy is None, not response.is_smooth
    if jumps:
        mean_field = refuse_derivative(candidate.mean_field, (game, response))
    else:
        mean_field = differentiable((game, response), candidate.mean_field, outcome.code == RESULTS.converged)
    best, value_error = game.response_within(mean_field, response)
    # averaged weights are rounded
    log_policy = best.log_policy if candidate.log_policy is None else log_normalize(candidate.log_policy, axis=2)
    policy = best.policy if is_residual else jnp.exp(log_policy)
    mixture, mixes = candidate.mixture, False
    if mixture is not None:
        mixes = jnp.isfinite(mixture).all(axis=(0, 1, 2))
        policy = jnp.where(mixes, mixture, policy)
        log_policy = jnp.where(mixes, safe_log(policy), log_policy)
    # the residual is zero at every equilibrium, hence so is its derivative
    fixed_game, fixed_field, fixed_policy = stop_gradients((game, mean_field, policy))
    mu, image = fixed_game.moved_on(fixed_field, fixed_policy)
    gains = (
        _gained(game, mean_field, response, log_policy, best) if judged else jnp.full(game.lanes, jnp.nan, game.dtype)
    )
    unit = stop_gradients((game, response))
    residual, target = outcome.residual, jnp.broadcast_to(in_units(tolerance, *unit), game.lanes)
    floor = response.rounding(best.q, game.available)
    if is_residual:
        residual = game.distance(candidate.mean_field, image)
        if mixture is not None:
            residual = jnp.where(mixes, jnp.maximum(residual, relative_loss(game, policy, best)), residual)
        target = reachable(target, floor)
    elif judged:
        residual = gains
    code = jnp.where(unsound(game, mean_field, image, mu), RESULTS.not_stochastic, outcome.code)
    # policies that jump are found among values that are no numbers, too
    is_finite = jnp.isfinite(best.values).all(axis=(0, 1))
    met = (code == RESULTS.converged) | (code == RESULTS.ill_conditioned)
    code = jnp.where(met & ~is_finite, RESULTS.non_finite, code)
    if is_residual or judged:
        # ties fall otherwise here than in the solver, and so does rounding; a run of all steps is judged by defaults
        limit = target
        if not isinstance(tolerance, OfStakes):
            default = in_units(default_tolerance(game.dtype, is_residual), *unit)
            limit = jnp.where(target > 0, target, reachable(default, floor))
        missed = RESULTS.tied if jumps else RESULTS.precision
        code = jnp.where((code == RESULTS.converged) & (residual > limit), missed, code)
    if not is_residual:
        code = jnp.where((code == RESULTS.converged) & game.is_moving(mean_field, policy), RESULTS.not_at_rest, code)
    if game.is_stationary:
        is_rough = _rough_values(game, best, value_error)
        code = jnp.where((code == RESULTS.converged) & is_rough, RESULTS.values_inexact, code)
    law, aggregate = game.laws_of(mean_field, policy)
    # adds nothing, but the derivative of what was not found is NaN here, too
    nothing = 0 * mean_field.sum(axis=tuple(range(1 + game.num_seen_axes)))
    return Equilibrium(
        *map(game.untimed, (law, policy, log_policy, best.values, best.q)),
        residual=residual + nothing,
        exploitability=gains + nothing,
        tolerance=target,
        num_steps=outcome.num_steps,
        error_estimate=jnp.asarray(outcome.error, game.dtype) + nothing,
        residual_history=jnp.where(jnp.isfinite(outcome.history), outcome.history, jnp.nan),
        result=Result(code, outcome.period, outcome.spread, outcome.num_methods),
        criterion="residual" if is_residual else "exploitability",
        observes=game.observes,
        action_axis=-1 - len(game.lanes),
        state_labels=game.state_labels,
        action_labels=game.action_labels,
        aggregate=None if aggregate is None else game.untimed(aggregate),
        aggregate_labels=() if game.aggregate is None else game.aggregate.labels or (),
    )


def _rough_values(game: AnyGame, best: BestResponse, value_error: Array) -> Array:
    """Tell whether values may be off by more than a share of what is at stake, and more than their own rounding.

    Their level is known no better than 1 − γ, which is half a spacing of numbers near 1 off.
    """
    default = default_tolerance(game.dtype, False)
    assert isinstance(default, OfStakes)
    eps, share = jnp.finfo(game.dtype).eps, default.share
    exists = align(game.available, best.q)
    high = jnp.where(exists, best.q, -jnp.inf).max(axis=(0, 1, 2))
    low = jnp.where(exists, best.q, jnp.inf).min(axis=(0, 1, 2))
    rounding = ROUNDING * eps * jnp.abs(best.values).max(axis=(0, 1))
    return (value_error > share * (high - low) + rounding) | (eps / 2 > share * (1 - game.discount))


def _gained(
    game: AnyGame, mean_field: Array, response: AbstractResponse, log_policy: Array, best: BestResponse
) -> Array:
    """Return what leaving a policy gains in the population that follows it; `best` is the response to `mean_field`."""
    judge = response if response.maximises else None
    if judge is not None:
        # zero at every equilibrium, hence so is its derivative (not that of leaving a Boltzmann policy)
        game, mean_field, judge, log_policy, best = stop_gradients((game, mean_field, judge, log_policy, best))
    criterion, penalty = criterion_of(game, judge, "solve")
    mu, seen = game.judged_in(mean_field, jnp.exp(log_policy))
    if judge is None or seen is not mean_field:
        best = game.best_response(seen, criterion)
    return gain(game, mu, log_policy, best, penalty)


def unsound(game: Any, mean_field: Array, image: Array, mu: Array) -> Array:
    """Tell whether the law of states is none or, for a kernel given as a callable, its rows at the flow reached."""
    slack = float(jnp.finfo(game.dtype).eps) ** 0.5
    # comparisons with NaN are false: what is not finite has a code of its own
    unsound = (jnp.abs(mu.sum(axis=1) - 1) > slack).any(axis=0) | (mu < -slack).any(axis=(0, 1))
    if game.solves_for_law:
        mass = mean_field.sum(axis=tuple(range(1, 1 + game.num_seen_axes)))  # of which `moved_on` would hide the lost
        unsound = unsound | (jnp.abs(mass - 1) > slack).any(axis=0)
    if isinstance(game.kernel, AbstractKernel):
        return unsound
    return unsound | (game.per_lane(_defective, image) if game.lanes else _defective(game, image))


def _defective(game: AnyGame, mean_field: Array) -> Array:
    slack = float(jnp.finfo(game.dtype).eps) ** 0.5

    def defect(t: Array) -> Array:
        kernel, available = game.kernel_at(t, mean_field[t]), game.available_at(t)
        missing = jnp.abs(kernel.expect(jnp.ones_like(game.initial)) - 1) > slack
        negative = kernel.probabilities[0].min(axis=-1) < -slack
        return (available & (missing | negative)).any()

    return jax.lax.map(defect, jnp.arange(max(game.horizon, 1), dtype=jnp.int32)).any()


def finish_lanes(lanes: Lanes, outcome: Outcome, tolerance: Tolerance, judged: bool = True) -> Equilibrium:
    """Attach the derivative of a problem, or of every lane, and everything that follows from its mean field."""

    def one(game: Any, response: Any, _: Any, mean_field: Array, found: Array) -> Array:
        return fixed_point((game, response), mean_field, found)

    def mapped(_: Any, mean_field: Array, found: Array) -> Array:
        return lanes.per_lane(one, mean_field, found)

    # by elimination all lanes are solved together
    differentiable = fixed_point if lanes.is_alone or can_eliminate(lanes.game) else mapped
    return finish(lanes.game, lanes.problem[1], outcome, tolerance, differentiable, judged)
