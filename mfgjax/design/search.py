"""Searches that run side by side: equilibria of what is on trial, their objectives, and the next step of each."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import _checks
from .._held import held
from .._result import RESULTS, ConvergenceError
from .._typing import Array, Scalar
from ..finish import finish
from ..model import is_own
from ..observers import observer
from ..solve import seen_shape
from ..solvers import Problem
from ..solvers.loop import Outcome, iterate
from .descent import MAX_STEPS, RUNNING, STOPPED, Descent, Method, begin, lbfgs, tell
from .plan import Plan, Points, equilibria, first_fields, judge, objective_values


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


class _Going(NamedTuple):
    """Searches on their way, with the mean fields that they go on from, and those of their best designs."""

    state: Descent
    fields: Array
    best: Array


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
        start = self._start(points, guess)
        search = self._smoothed(points, start)
        now, reports, ends_as = _Going(_begin(search.method, points), start, start), [], MAX_STEPS
        steps = islice(search._steps(now), max_steps)
        with progress_bar("tuning", max_steps, shown=progress) as advance:
            try:
                for now, report in steps:
                    reports.append(report)
                    advance(1)
                    if callback is not None and callback(self._told(len(reports) - 1, report, now.state)):
                        ends_as = STOPPED
                        break
            except KeyboardInterrupt:  # what was found so far is returned, and says that it was stopped
                if not reports:
                    raise
                ends_as = STOPPED
        status = jnp.where(now.state.status == RUNNING, ends_as, now.state.status)
        value, size, accepted, found = (np.stack(column) for column in zip(*reports, strict=True))
        value, size = (np.where(accepted, x, np.nan) for x in (value, size))
        return Record(now.state._replace(status=status), now.best, value, size, ~found)

    def _steps(self, now: _Going) -> Iterator[tuple[_Going, _Report]]:
        """Yield where the searches are after every step, and what happened in it."""
        is_first = True
        while (np.asarray(now.state.status) == RUNNING).any():
            outcome = equilibria(self.plan, _trials(now.state), now.fields)
            now, report = _advance(self, now, outcome)
            report = jax.tree.map(np.asarray, report)
            if is_first and not report.accepted.any():
                raise _no_start(report, outcome)
            is_first = False
            yield now, report

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

    def at(self, points: Points, guess: Array) -> tuple[np.ndarray, Array]:
        """Return the objectives `[objectives, designs, scenarios]` of designs, and their mean fields."""
        outcome = equilibria(self.plan, points, guess)
        return np.asarray(_judged(self, points, outcome)), outcome.candidate.mean_field

    def _smoothed(self, points: Points, fields: Array) -> "Search":
        """Return the search with a number for the smoothing, and without "worst" of a single scenario."""
        if self.over == "mean" or self.plan.num_scenarios == 1:
            return self._replace(over="mean")
        if self.smoothing is not None:
            return self._replace(smoothing=_checks.number_in("smoothing", self.smoothing, 0, np.inf, "(0, inf)"))
        values, _ = self.at(points, fields)
        return self._replace(smoothing=0.01 * float(np.nanmax(np.abs(values))) + np.finfo(values.dtype).tiny)

    def _start(self, points: Points, guess: Any) -> Array:
        """Return the mean fields from which the first equilibria are sought, with lanes last."""
        fields = first_fields(self.plan, points)
        if guess is None:
            return fields
        flow = _checks.as_numbers("guess", getattr(guess, "mean_field", guess))
        _checks.shape_is("guess", flow, [seen_shape(self.plan.triple[0])], "of the mean field")
        return jnp.broadcast_to(jnp.asarray(flow, fields.dtype)[..., None], fields.shape)


def observed(plan: Plan, objectives: Sequence[Callable]) -> tuple[Callable, ...]:
    """Return objectives of which those that hold functions of the user are what they are now."""
    game, response, _ = plan.triple
    return tuple(one if is_own(one) else observer(one, game, response, "residual") for one in objectives)


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


@eqx.filter_jit
def all_arrays(plan: Plan, points: Points) -> dict[str, Array]:
    """Return the arrays of designs by name, with a last axis of designs."""
    return jax.vmap(plan.arrays, in_axes=-1, out_axes=-1)(points)


@eqx.filter_jit
def _begin(method: Method, points: Points) -> Descent:
    return jax.vmap(partial(begin, method), in_axes=-1, out_axes=-1)(points)


@jax.jit
def _trials(state: Descent) -> Points:
    """Return the coordinates of the designs on trial."""
    return jax.vmap(lambda one: one.trial, in_axes=-1, out_axes=-1)(state)


@eqx.filter_jit
def _judged(search: Search, points: Points, outcome: Outcome) -> Array:
    return judge(search.plan, search.objectives, points, outcome)


@eqx.filter_jit
def _advance(search: Search, now: _Going, outcome: Outcome) -> tuple[_Going, _Report]:
    """Judge the designs on trial."""
    plan, state, new = search.plan, now.state, outcome.candidate.mean_field

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
    (_, value), gradient = jax.value_and_grad(total, has_aux=True)(_trials(state))
    found = (outcome.code == RESULTS.converged).reshape(-1, plan.num_scenarios).all(axis=1)
    running, lowest = state.status == RUNNING, state.best_value

    def one(state: Descent, value: Array, gradient: Any, found: Array, field: Array) -> tuple[Descent, Array]:
        return tell(search.method, state, value, gradient, found, partial(_alone, search, field))

    by_search = new.reshape(*new.shape[:-1], -1, plan.num_scenarios).swapaxes(-1, -2)
    state, accepted = jax.vmap(one, in_axes=-1, out_axes=-1)(state, value, gradient, found, by_search)
    fields = jnp.where(jnp.repeat(accepted, plan.num_scenarios), new, now.fields)
    best = jnp.where(jnp.repeat(state.best_value < lowest, plan.num_scenarios), new, now.best)
    sizes = jnp.stack([jnp.abs(leaf).max(axis=0) for leaf in jax.tree.leaves(gradient)]).max(axis=0)
    return _Going(state, fields, best), _Report(value, sizes, accepted, found | ~running)


def _alone(search: Search, field: Array, point: Any) -> Scalar:
    """Return the objective of one design, for methods of optax that search along a line themselves."""
    plan = search.plan
    if plan.scenarios or len(search.objectives) > 1:
        raise ValueError(
            "`optimizer` searches along a line, which several scenarios or objectives do not allow: use None."
        )
    game, response = plan.single(point)
    fixed_game, fixed_response = held((game, response))
    solver, steps = plan.stages[0]
    problem = Problem(fixed_game, fixed_response, plan.tolerance)
    outcome = iterate(problem, solver, field[..., 0], steps, keep_history=False)
    equilibrium = finish(game, response, outcome, plan.tolerance, judged=False)
    value = objective_values(search.objectives, game, response, equilibrium)[0]
    return jnp.where(outcome.code == RESULTS.converged, value, jnp.inf)


def _no_start(report: _Report, outcome: Outcome) -> ConvergenceError:
    if not report.found.any():
        residual = float(np.asarray(outcome.residual).min())
        return ConvergenceError(f"No start has an equilibrium; the best residual is {residual:.2e}.", None)
    return ConvergenceError("The objective, or its gradient, is not finite at any start.", None)
