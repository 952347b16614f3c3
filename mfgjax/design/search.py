"""Searches that run side by side: equilibria of what is on trial, their objectives, and the next step of each."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import _checks
from .._compiled import compiled
from .._gradients import stop_gradients
from .._result import RESULTS, ConvergenceError
from .._typing import Array, Scalar
from ..engine import finish
from ..engine.loop import Outcome, in_units, iterate
from ..engine.prepare import one_guess
from ..model import is_own
from ..observers import observer
from ..solvers.base import Problem
from .descent import (
    BALANCED,
    CONVERGED,
    GOAL,
    MAX_STEPS,
    RUNNING,
    SETTLED,
    STOPPED,
    Descent,
    Method,
    begin,
    lbfgs,
    tell,
)
from .minimax import balanced, smallest_gradient, start
from .minimax import judge as judge_worst
from .space import DesignSpace, Points, equilibria, first_fields, judge, objective_values


class Record(NamedTuple):
    """The results of searches that ran side by side.

    Attributes:
      points: coordinates of the best designs.
      values: their objectives.
      status: why each search ended.
      fields: mean fields of the best designs, with lanes last.
      history: the objective at every step, `[steps, searches]`, NaN where a design was not accepted.
      gradient_norm: largest entry of the gradient, likewise.
      failed: whether a design had no equilibrium.
    """

    points: Points
    values: np.ndarray
    status: np.ndarray
    fields: Array
    history: np.ndarray
    gradient_norm: np.ndarray
    failed: np.ndarray

    def fields_of(self, search: int, num_scenarios: int) -> Array:
        """Return the mean fields of one search."""
        return self.fields[..., search * num_scenarios : (search + 1) * num_scenarios]


class _Going(NamedTuple):
    """The state of searches that run side by side.

    Attributes:
      state: of each; its objective is the smoothed one.
      fields: the mean fields that they go on from.
      best: those of the best designs.
      points: coordinates of the best designs.
      lowest: their objectives, not smoothed.
    """

    state: Descent
    fields: Array
    best: Array
    points: Points
    lowest: Array

    def after(self, state: Descent, accepted: Any, values: Any, fields: Array, points: Points) -> "_Going":
        """Return the state after a step, from the designs that were accepted, with the best of them."""
        better = accepted & (values < self.lowest)
        count = fields.shape[-1] // len(self.lowest)
        return _Going(
            state,
            jnp.where(jnp.repeat(accepted, count), fields, self.fields),
            jnp.where(jnp.repeat(better, count), fields, self.best),
            jax.tree.map(lambda new, old: jnp.where(better, new, old), points, self.points),
            jnp.where(better, values, self.lowest),
        )


class _Report(NamedTuple):
    value: Any
    gradient_norm: Any
    accepted: Any
    found: Any


class Search(NamedTuple):
    """A search for designs: the space, the objectives and the method.

    Attributes:
      space: what may change.
      method: how.
      objectives: what is to be small.
      weights: of the objectives in each search, `[objectives, searches]`.
      over: "mean" or "worst" over the scenarios.
      smoothing: of the worst, for methods of optax, in units of the objective; None: by the start.
    """

    space: DesignSpace
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
        fields = self._start(points, guess)
        search = self._smoothed(points, fields)
        lowest = jnp.full(search.weights.shape[1], jnp.inf, fields.dtype)
        now = _Going(_begin(search.method, points), fields, fields, points, lowest)
        reports, ends_as = [], MAX_STEPS
        steps = islice(search._steps(now), max_steps)
        if search.over == "worst" and search.method.searches:
            # the smoothed search gets at most three fifths of the steps, the ridges the rest
            steps = islice(search._worst_steps(now, max(3 * max_steps // 5, 1)), max_steps)
        with progress_bar("tuning", max_steps, shown=progress) as advance:
            try:
                for now, report in steps:
                    reports.append(report)
                    advance(1)
                    if callback is not None and callback(self._told(len(reports) - 1, report, now)):
                        ends_as = STOPPED
                        break
            except KeyboardInterrupt:  # what was found so far is returned, and says that it was stopped
                if not reports:
                    raise
                ends_as = STOPPED
        status = np.where(now.state.status == RUNNING, ends_as, now.state.status)
        status = search._judged_balance(now, status) if search.over == "worst" else status
        value, size, accepted, found = (np.stack(column) for column in zip(*reports, strict=True))
        value, size = (np.where(accepted, x, np.nan) for x in (value, size))
        return Record(now.points, np.asarray(now.lowest), status, now.best, value, size, ~found)

    def _judged_balance(self, now: _Going, status: np.ndarray) -> np.ndarray:
        """Return why minimax searches ended; they have converged only where the first-order condition holds."""
        outcome = equilibria(self.space, now.points, now.best)
        values, slopes = _each_scenario(self, now.points, outcome)
        met = balanced(np.asarray(values), np.asarray(slopes), float(self.method.gtol))
        ended = np.isin(status, (CONVERGED, SETTLED, MAX_STEPS))
        return np.where(ended & met, BALANCED, np.where(status == CONVERGED, SETTLED, status))

    def _steps(self, now: _Going) -> Iterator[tuple[_Going, _Report]]:
        """Yield the state of the searches after every step, and a report on the step."""
        is_first = True
        while (np.asarray(now.state.status) == RUNNING).any():
            outcome = equilibria(self.space, _trials(now.state), now.fields)
            now, report = _advance(self, now, outcome)
            report = jax.tree.map(np.asarray, report)
            # with no start to go back to, shorter steps lead nowhere
            if is_first and not report.accepted.any():
                raise _no_start(report, outcome)
            is_first = False
            yield now, report

    def _worst_steps(self, now: _Going, most_smoothed: int) -> Iterator[tuple[_Going, _Report]]:
        """Yield the same for a minimax search: smoothed at first, which crosses valleys, then along ridges."""
        reached = now
        for reached, report in islice(self._steps(now), most_smoothed):
            yield reached, report
        yield from self._ridge_steps(reached)

    def _ridge_steps(self, now: _Going) -> Iterator[tuple[_Going, _Report]]:
        """Yield the steps of minimax searches that use the gradient of every scenario, from the best designs."""
        names, dtype = sorted(now.points), jax.tree.leaves(now.points)[0].dtype
        ends = np.cumsum([len(now.points[name]) for name in names])[:-1]
        columns = np.concatenate([np.asarray(now.points[name], dtype=float) for name in names])
        # in double precision, as the quadratic programs take differences of gradients
        searches, gtol, goal = [start(column) for column in columns.T], float(self.method.gtol), float(self.method.goal)
        status = np.asarray(now.state.status)
        done = (status == GOAL) | ~np.isfinite(np.asarray(now.lowest))
        codes = np.where(done, status, RUNNING)
        searches = [search._replace(status=int(code)) for search, code in zip(searches, codes, strict=True)]
        eps, count, now = float(jnp.finfo(dtype).eps), self.space.num_scenarios, now._replace(fields=now.best)
        while any(search.status == RUNNING for search in searches):
            trials = np.stack([search.trial for search in searches], axis=1)
            tried = {n: jnp.asarray(x, dtype) for n, x in zip(names, np.split(trials, ends), strict=True)}
            running = np.array([search.status == RUNNING for search in searches])
            outcome = equilibria(self.space, tried, now.fields)
            values, slopes = (np.asarray(x, dtype=float) for x in _each_scenario(self, tried, outcome))
            found: Any = (np.asarray(outcome.code) == RESULTS.converged).reshape(-1, count).all(axis=1)
            judged = [
                judge_worst(search, values[k], slopes[:, k], bool(found[k]), gtol, goal, eps)
                for k, search in enumerate(searches)
            ]
            searches, accepted = [search for search, _ in judged], np.array([taken for _, taken in judged])
            worst, state = values.max(axis=1), now.state._replace(status=np.array([s.status for s in searches]))
            now = now.after(state, accepted, worst, outcome.candidate.mean_field, tried)
            sizes = np.array([smallest_gradient(values[k], slopes[:, k]) for k in range(len(searches))])
            report = _Report(worst, sizes, accepted, found | ~running)
            yield now, report

    def _told(self, step: int, report: _Report, now: _Going) -> dict[str, Any]:
        def best_design() -> Any:  # asked for now and then: it is no part of every step
            best = int(jnp.argmin(now.lowest))
            one = jax.tree.map(lambda leaf: leaf[..., best : best + 1], now.points)
            return self.space.restore({k: np.asarray(x)[..., 0] for k, x in all_arrays(self.space, one).items()})

        return {
            "step": step,
            "values": np.where(report.accepted, report.value, np.nan),
            "best": np.asarray(now.lowest),
            "design": best_design,
            "failed": ~report.found,
        }

    def at(self, points: Points, guess: Array) -> tuple[np.ndarray, Array]:
        """Return the objectives `[objectives, designs, scenarios]` of designs, and their mean fields."""
        outcome = equilibria(self.space, points, guess)
        return np.asarray(_judged(self, points, outcome)), outcome.candidate.mean_field

    def _smoothed(self, points: Points, fields: Array) -> "Search":
        """Return the search with a number for the smoothing, and without "worst" of a single scenario."""
        if self.over == "mean" or self.space.num_scenarios == 1:
            return self._replace(over="mean")
        if self.smoothing is not None:
            return self._replace(smoothing=_checks.number_in("smoothing", self.smoothing, 0, np.inf, "(0, inf)"))
        values, _ = self.at(points, fields)
        # `tiny`, as the objective may be 0 everywhere
        return self._replace(smoothing=0.01 * float(np.nanmax(np.abs(values))) + np.finfo(values.dtype).tiny)

    def _start(self, points: Points, guess: Any) -> Array:
        """Return the mean fields from which the first equilibria are sought, with lanes last."""
        fields = first_fields(self.space, points)
        if guess is None:
            return fields
        flow = one_guess(self.space.triple[0], guess)
        return jnp.broadcast_to(jnp.asarray(flow)[..., None], fields.shape)


def observed(space: DesignSpace, objectives: Sequence[Callable]) -> tuple[Callable, ...]:
    """Return the objectives, with users' functions compiled anew if what they read has changed."""
    game, response, _ = space.triple
    return tuple(one if is_own(one) else observer(one, game, response, "residual") for one in objectives)


def make_method(space: DesignSpace, optimizer: Any, gtol: Any, goal: Any) -> Method:
    """Build the search method from the options of `tune`; refuse options that are out of range."""
    dtype = space.triple[0].dtype
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


@compiled
def all_arrays(space: DesignSpace, points: Points) -> dict[str, Array]:
    """Return the arrays of designs by name, with a last axis of designs."""
    return jax.vmap(space.arrays, in_axes=-1, out_axes=-1)(points)


@compiled
def _begin(method: Method, points: Points) -> Descent:
    return jax.vmap(partial(begin, method), in_axes=-1, out_axes=-1)(points)


@jax.jit
def _trials(state: Descent) -> Points:
    """Return the coordinates of the designs on trial."""
    return jax.vmap(lambda one: one.trial, in_axes=-1, out_axes=-1)(state)


@compiled
def _judged(search: Search, points: Points, outcome: Outcome) -> Array:
    return judge(search.space, search.objectives, points, outcome)


@compiled
def _advance(search: Search, now: _Going, outcome: Outcome) -> tuple[_Going, _Report]:
    """Evaluate the designs on trial and update every search."""
    space, state, new = search.space, now.state, outcome.candidate.mean_field

    def total(points: Points) -> tuple[Scalar, tuple[Array, Array]]:
        values = judge(space, search.objectives, points, outcome)
        over = plain = values.mean(axis=2)
        if search.over == "worst":
            plain, tau = values.max(axis=2), jnp.asarray(search.smoothing)
            # minus log(scenarios): at a tie it equals the values
            over = tau * (jax.nn.logsumexp(values / tau, axis=2) - np.log(space.num_scenarios))
        each, plain = ((search.weights * x).sum(axis=0) for x in (over, plain))
        return each.sum(), (each, plain)

    # searches do not touch one another, so the derivative of the sum holds that of each
    (_, (value, plain)), gradient = jax.value_and_grad(total, has_aux=True)(_trials(state))
    found = (outcome.code == RESULTS.converged).reshape(-1, space.num_scenarios).all(axis=1)
    running = state.status == RUNNING

    def one(
        state: Descent, value: Array, gradient: Any, size: Array, found: Array, field: Array
    ) -> tuple[Descent, Array]:
        return tell(search.method, state, value, gradient, size, found, partial(_alone, search, field))

    by_search = new.reshape(*new.shape[:-1], -1, space.num_scenarios).swapaxes(-1, -2)
    tried = _trials(state)
    sizes = jax.vmap(space.steepness, in_axes=-1)(tried, gradient)
    state, accepted = jax.vmap(one, in_axes=-1, out_axes=-1)(state, value, gradient, sizes, found, by_search)
    state = state._replace(status=jnp.where(accepted & (plain <= search.method.goal), GOAL, state.status))
    return now.after(state, accepted, plain, new, tried), _Report(plain, sizes, accepted, found | ~running)


@compiled
def _each_scenario(search: Search, points: Points, outcome: Outcome) -> tuple[Array, Array]:
    """Return the objective `[searches, scenarios]`, and its derivatives, `[scenarios, searches, coordinates]`."""
    space = search.space

    def values(points: Points) -> Array:
        each = judge(space, search.objectives, points, outcome)
        return (search.weights[..., None] * each).sum(axis=0)

    def slopes(scenario: Array) -> Array:
        gradient = jax.grad(lambda points: (values(points) @ scenario).sum())(points)
        # leaves of a dict are sorted by name, as the columns of `_ridge_steps` are
        return jnp.concatenate([leaf.T for leaf in jax.tree.leaves(gradient)], axis=1)

    values_at = values(points)
    # one after the other, so that one adjoint problem is in memory at a time
    return values_at, jax.lax.map(slopes, jnp.eye(space.num_scenarios, dtype=values_at.dtype))


def _alone(search: Search, field: Array, point: Any) -> Scalar:
    """Return the objective of one design, for methods of optax that search along a line themselves."""
    space = search.space
    if space.scenarios or len(search.objectives) > 1:
        raise ValueError(
            "`optimizer` searches along a line, which several scenarios or objectives do not allow: use None."
        )
    game, response = space.single(point)
    # only the end of the solve is differentiated, by the implicit function theorem
    fixed_game, fixed_response = stop_gradients((game, response))
    solver, steps = space.stages[0]
    problem = Problem(fixed_game, fixed_response, in_units(space.tolerance, fixed_game, fixed_response))
    outcome = iterate(problem, solver, field[..., 0], steps, keep_history=False)
    equilibrium = finish(game, response, outcome, space.tolerance, judged=False)
    value = objective_values(search.objectives, game, response, equilibrium)[0]
    return jnp.where(outcome.code == RESULTS.converged, value, jnp.inf)


def _no_start(report: _Report, outcome: Outcome) -> ConvergenceError:
    if not report.found.any():
        residual = float(np.asarray(outcome.residual).min())
        return ConvergenceError(f"No equilibrium was found at any start; the best residual is {residual:.2e}.", None)
    if not np.isfinite(report.value).any():
        return ConvergenceError("The objective is not finite at any start.", None)
    return ConvergenceError(
        "The gradient of the objective is not finite at any start: the derivative of the map, or of the objective, is "
        "not finite (an infinite slope, such as that of a square root at a share of 0).",
        None,
    )
