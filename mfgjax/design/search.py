"""Searches that run side by side: equilibria of what is on trial, their objectives, and the next step of each."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import _checks
from .._result import RESULTS, ConvergenceError
from .._typing import Array, Scalar
from ..finish import finish
from ..model import FiniteHorizonGame
from ..responses import AbstractResponse
from ..solve import seen_shape
from ..solvers import Problem
from ..solvers.loop import Outcome, iterate
from .descent import MAX_STEPS, RUNNING, STOPPED, Descent, Method, begin, lbfgs, tell
from .plan import Plan, Points, equilibria, judge, numbers, single


class Record(NamedTuple):
    """How searches went.

    Attributes:
      state: where each of them ended.
      fields: mean fields of the best designs, with lanes last.
      history: the objective at every step, `[steps, searches]`, NaN where a design was not accepted.
      gradient_norm: largest entry of the gradient, likewise.
      failed: whether a design had no equilibrium.
    """

    state: Descent
    fields: Array
    history: np.ndarray
    gradient_norm: np.ndarray
    failed: np.ndarray

    def fields_of(self, search: int, num_scenarios: int) -> Array:
        """Return the mean fields of one search."""
        return self.fields[..., search * num_scenarios : (search + 1) * num_scenarios]


class _Report(NamedTuple):
    value: Array
    gradient_norm: Array
    accepted: Array
    found: Array


class Search(NamedTuple):
    """What is searched for.

    Attributes:
      plan: what may change.
      method: how.
      objectives: what is to be small.
      weights: of the objectives in each search, `[objectives, searches]`.
      over: "mean" or "worst" over the scenarios.
      smoothing: of the worst, in units of the objective; None: by the start.
    """

    plan: Plan
    method: Method
    objectives: tuple[Callable, ...]
    weights: np.ndarray
    over: str
    smoothing: float | None

    def run(
        self,
        points: Points,
        guess: Any,
        max_steps: int,
        callback: Callable[[dict[str, Any]], Any] | None,
        progress: bool,
    ) -> Record:
        """Run all searches from `points` until each has ended."""
        from .._progress import progress_bar  # rich, which importing the library does not need

        max_steps = _checks.integer_at_least("max_steps", max_steps, 1)
        search = self._smoothed(points, guess)
        lanes = search.weights.shape[1] * self.plan.num_scenarios
        fields: Any = self._guess(guess, lanes)
        state, best_fields = _begin(self.method, points), fields
        rows: list[_Report] = []
        with progress_bar("tuning", max_steps, shown=progress) as advance:
            try:
                for step in range(max_steps):
                    outcome = equilibria(self.plan, points, fields)
                    state, points, fields, best_fields, report = _advance(search, state, outcome, fields, best_fields)
                    rows.append(jax.tree.map(np.asarray, report))
                    status = np.asarray(state.status)
                    advance(1)
                    if step == 0 and not report.accepted.any():
                        raise _no_start(rows[0], outcome)
                    wants_end = callback is not None and callback(self._told(step, rows[-1], state))
                    if (status != RUNNING).all():
                        break
                    if wants_end:
                        state = _ended(state, STOPPED)
                        break
                else:
                    state = _ended(state, MAX_STEPS)
            except KeyboardInterrupt:  # what was found so far is returned, and says that it was stopped
                if not rows:
                    raise
                state = _ended(state, STOPPED)
        table = {name: np.stack([getattr(row, name) for row in rows]) for name in _Report._fields}
        seen = table["accepted"]
        return Record(
            state,
            best_fields,
            np.where(seen, table["value"], np.nan),
            np.where(seen, table["gradient_norm"], np.nan),
            ~table["found"],
        )

    def _told(self, step: int, report: _Report, state: Descent) -> dict[str, Any]:
        def design() -> Any:  # asked for now and then: it is no part of every step
            best = int(jnp.argmin(state.best_value))
            one = jax.tree.map(lambda leaf: leaf[..., best : best + 1], state.best)
            return self.plan.restore({k: np.asarray(x)[..., 0] for k, x in all_arrays(self.plan, one).items()})

        return {
            "step": step,
            "values": np.where(report.accepted, report.value, np.nan),
            "best": np.asarray(state.best_value),
            "design": design,
            "failed": ~report.found,
        }

    def at(self, points: Points, guess: Array | None) -> tuple[np.ndarray, Array]:
        """Return the objectives `[objectives, designs, scenarios]` of designs, and their mean fields."""
        outcome = equilibria(self.plan, points, guess)
        return np.asarray(_judged(self, points, outcome)), outcome.candidate.mean_field

    def _smoothed(self, points: Points, guess: Any) -> "Search":
        if self.over == "mean" or self.plan.num_scenarios == 1:
            return self._replace(over="mean")
        if self.smoothing is not None:
            smoothing = _checks.number_in("smoothing", self.smoothing, 0, np.inf, "(0, inf)")
        else:
            lanes = self.weights.shape[1] * self.plan.num_scenarios
            values = np.asarray(_judged(self, points, equilibria(self.plan, points, self._guess(guess, lanes))))
            smoothing = 0.01 * float(np.nanmax(np.abs(values))) + np.finfo(values.dtype).tiny
        return self._replace(smoothing=smoothing)

    def _guess(self, guess: Any, lanes: int) -> Array | None:
        if guess is None:
            return None
        game = self.plan.triple[0]
        flow = _checks.as_numbers("guess", getattr(guess, "mean_field", guess))
        _checks.shape_is("guess", flow, [seen_shape(game)], "of the mean field")
        return jnp.broadcast_to(jnp.asarray(flow, game.dtype)[..., None], (*flow.shape, lanes))


def make_method(plan: Plan, optimizer: Any, gtol: Any, goal: Any) -> Method:
    """Return how designs are sought, or say what is wrong with it."""
    dtype = plan.triple[0].dtype
    gtol = float(jnp.finfo(dtype).eps) ** 0.45 if gtol is None else gtol
    gtol = _checks.number_in("gtol", gtol, 0, np.inf, "[0, inf)")
    goal = -np.inf if goal is None else _checks.number_in("goal", goal, -np.inf, np.inf, "(-inf, inf)")
    if optimizer is None:
        return Method(lbfgs(), True, np.asarray(gtol, dtype), np.asarray(goal, dtype))
    if not isinstance(optimizer, optax.GradientTransformation):
        got = _checks.shorten(optimizer)
        raise ValueError(f"`optimizer` must be one of optax, such as `optax.adam(0.05)`, or None; got {got}.")
    extended = optax.with_extra_args_support(optimizer)
    return Method(extended, False, np.asarray(gtol, dtype), np.asarray(goal, dtype))


def designed(plan: Plan, points: Points) -> tuple[FiniteHorizonGame, AbstractResponse]:
    """Return game and response of one design."""
    game, response, _ = single(plan, points)
    assert isinstance(game, FiniteHorizonGame)  # `make_plan` takes no other
    return game, response


@eqx.filter_jit
def all_arrays(plan: Plan, points: Points) -> dict[str, Array]:
    """Return the arrays of designs by name, with a last axis of designs."""
    return jax.vmap(plan.arrays, in_axes=-1, out_axes=-1)(points)


@eqx.filter_jit
def _begin(method: Method, points: Points) -> Descent:
    return jax.vmap(partial(begin, method), in_axes=-1, out_axes=-1)(points)


@eqx.filter_jit
def _judged(search: Search, points: Points, outcome: Outcome) -> Array:
    return judge(search.plan, search.objectives, points, outcome)


@eqx.filter_jit
def _advance(
    search: Search, state: Descent, outcome: Outcome, before: Array | None, best: Array | None
) -> tuple[Descent, Points, Array, Array, _Report]:
    """Judge the designs on trial.

    Returns:
      The searches after it, the designs to try next, fields to start from, those of the best designs, and a report.
    """
    plan = search.plan
    points = jax.vmap(lambda one: one.trial, in_axes=-1, out_axes=-1)(state)

    def total(points: Points) -> tuple[Scalar, Array]:
        values = judge(plan, search.objectives, points, outcome)
        over = values.mean(axis=2)
        if search.over == "worst":
            tau = jnp.asarray(search.smoothing)
            mean_exp = jax.nn.logsumexp(values / tau, axis=2) - np.log(plan.num_scenarios)
            over = tau * mean_exp
        each = (search.weights * over).sum(axis=0)
        return each.sum(), each

    # searches do not touch one another, so the derivative of the sum holds that of each
    (_, value), gradient = jax.value_and_grad(total, has_aux=True)(points)
    found = (outcome.code == RESULTS.converged).reshape(-1, plan.num_scenarios).all(axis=1)
    new = outcome.candidate.mean_field
    fields, best = new if before is None else before, new if best is None else best
    running, lowest = state.status == RUNNING, state.best_value

    def one(state: Descent, value: Array, gradient: Any, found: Array, field: Array) -> tuple[Descent, Array]:
        return tell(search.method, state, value, gradient, found, partial(_alone, search, field))

    by_search = fields.reshape(*fields.shape[:-1], -1, plan.num_scenarios).swapaxes(-1, -2)
    state, accepted = jax.vmap(one, in_axes=-1, out_axes=-1)(state, value, gradient, found, by_search)
    fields = jnp.where(jnp.repeat(accepted, plan.num_scenarios), new, fields)
    best = jnp.where(jnp.repeat(state.best_value < lowest, plan.num_scenarios), new, best)
    sizes = jnp.stack([jnp.abs(leaf).max(axis=0) for leaf in jax.tree.leaves(gradient)]).max(axis=0)
    points = jax.vmap(lambda one: one.trial, in_axes=-1, out_axes=-1)(state)
    return state, points, fields, best, _Report(value, sizes, accepted, found | ~running)


def _alone(search: Search, field: Array, point: Any) -> Scalar:
    """Return the objective of one design, for methods of optax that search along a line themselves."""
    plan = search.plan
    if plan.scenarios or len(search.objectives) > 1:
        raise ValueError(
            "`optimizer` searches along a line, which several scenarios or objectives do not allow: use None."
        )
    game, response, _ = plan.single(point)
    solver, steps = plan.stages[0]
    held = jax.lax.stop_gradient((eqx.filter(game, eqx.is_array), eqx.filter(response, eqx.is_array)))
    fixed = eqx.combine(held[0], game), eqx.combine(held[1], response)
    outcome = iterate(Problem(*fixed, plan.tolerance), solver, field[..., 0], steps, keep_history=False)
    equilibrium = finish(game, response, outcome, plan.tolerance, judged=False)
    value = numbers(search.objectives, game, response, equilibrium)[0]
    return jnp.where(outcome.code == RESULTS.converged, value, jnp.inf)


def _ended(state: Descent, code: int) -> Descent:
    return state._replace(status=jnp.where(state.status == RUNNING, code, state.status))


def _no_start(report: _Report, outcome: Outcome) -> ConvergenceError:
    if not report.found.any():
        residual = float(np.asarray(outcome.residual).min())
        return ConvergenceError(f"No start has an equilibrium; the best residual is {residual:.2e}.", None)
    return ConvergenceError("The objective, or its gradient, is not finite at any start.", None)
