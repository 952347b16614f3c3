"""The entry point: tune what shapes a population until its equilibrium does what is wanted."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import _checks
from .._display import Facts, Page, Part, Picture, shows_itself
from .._largest_states import evenly
from .._shorten import shown
from .._shown_laws import law_parts
from .._svg import Line, lines
from .._traced import as_it_is_now
from .._typing import Array, ArrayLike
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame, with_users_functions
from ..responses import AbstractResponse
from ..solve import solve
from ..solvers import AbstractSolver
from .descent import STATUS
from .objectives import as_objective
from .search import Search, all_arrays, make_method, observed
from .space import DesignSpace, Points, design_space, repeated, single

_MOST_RUNS = 5


@shows_itself
@dataclasses.dataclass(frozen=True, eq=False)
class Tuned:
    """The result of `tune`: the best design that was found, and how the search went.

    Attributes:
      parameters: what was tuned, by name: probabilities for policies and laws.
      game: the game with the best design.
      response: the response with the best design.
      equilibrium: the equilibrium of that design; if there are scenarios, with the design put into the game and
        response that were given to `tune`.
      value: the objective of that design.
      scenario_values: the objective in every scenario, of which `value` is the mean or the largest.
      values: the objective that each restart ended with, `[restarts]`.
      restarts: the parameters that each restart ended with, by name, with a last axis of restarts.
      status: why each restart stopped, one sentence for each.
      history: the objective at every step, `[steps, restarts]`; NaN where a design was not accepted.
      gradient_norm: largest entry of the gradient at every step, as `gtol` counts it, `[steps, restarts]`.
      failed: whether the design had no equilibrium, so that the step was shortened, `[steps, restarts]`.
      num_steps: number of designs that were tried.
      at_bounds: a sentence on each variable of the best design that ends at a bound: at most 0.1% of the interval
        between two bounds away from it, or of the way from a single one to the start.
    """

    parameters: Any
    game: FiniteHorizonGame
    response: AbstractResponse
    equilibrium: Equilibrium
    value: float
    scenario_values: np.ndarray
    values: np.ndarray
    restarts: dict[str, np.ndarray]
    status: tuple[str, ...]
    history: np.ndarray
    gradient_norm: np.ndarray
    failed: np.ndarray
    num_steps: int
    at_bounds: tuple[str, ...] = ()

    @property
    def best(self) -> int:
        """The index of the restart that found the best design."""
        return int(np.nanargmin(self.values))

    def _page(self) -> Page:
        return Page(type(self).__name__, "", heading=self._verdict(), details=self._details)

    def _verdict(self) -> str:
        start = self.history[0, self.best]
        lines = [f"Objective {self.value:.6g} after {self.num_steps} steps ({start:.6g} at the start)."]
        lines[0] += f" {self.status[self.best]}"
        failures = int(self.failed.sum())
        if failures:
            designs, steps = ("design", "this step was") if failures == 1 else ("designs", "these steps were")
            lines.append(f"For {failures} {designs} on the way no equilibrium was found; {steps} made shorter.")
        lines += self.at_bounds
        if len(self.values) > 1:
            lines.append(
                f"Best of {len(self.values)} restarts, which ended between {np.nanmin(self.values):.6g} and "
                f"{np.nanmax(self.values):.6g}."
            )
        return "\n".join(lines)

    def _details(self) -> Iterator[Part]:
        runs = evenly(len(self.values), _MOST_RUNS)
        accepted = [np.flatnonzero(np.isfinite(self.history[:, i])) for i in runs]
        series = [Line(f"restart {i}", steps, self.history[steps, i]) for i, steps in zip(runs, accepted, strict=True)]
        picture = lines(series, "step", "objective", log_y=bool(np.nanmin(self.history) > 0))
        yield Picture(picture, "the objective at every design that was accepted")
        yield Facts([(f"tuned {name}", shown(table[..., self.best])) for name, table in self.restarts.items()])
        found = self.equilibrium
        law = np.asarray(found.mean_field)
        law = law if found.observes == "states" else law.sum(axis=-1)
        yield from law_parts(law, found.state_labels, "share of the agents in each state, in the design found")


@as_it_is_now
def tune(
    game: FiniteHorizonGame | Callable,
    parameters: Any,
    objective: Callable,
    optimizer: optax.GradientTransformation | None = None,
    *,
    response: AbstractResponse | None = None,
    solver: AbstractSolver | None = None,
    scenarios: Mapping[str, ArrayLike] | Sequence[FiniteHorizonGame] | None = None,
    over: str = "mean",
    smoothing: float | None = None,
    restarts: int = 1,
    spread: float = 1.0,
    key: Array | None = None,
    guess: ArrayLike | Equilibrium | None = None,
    max_steps: int = 200,
    gtol: float | None = None,
    goal: float | None = None,
    callback: Callable[[dict[str, Any]], Any] | None = None,
    progress: bool = True,
) -> Tuned:
    """Find the reference policy, rewards or other parameters whose equilibrium minimises an objective.

        minimise over θ:  objective(game(θ), response(θ), equilibrium of both)

    The search uses the gradient through the equilibrium (see `solve`). The equilibrium of each design is computed from
    that of the design before. A design without an equilibrium is not accepted: the step to it is shortened, which
    `failed` records.

        rho = mfg.games.resource_allocation_reference(game)
        wanted = mfg.design.TargetLaw({"3": 0.5, "4": 0.5}) + 1e-6 * mfg.design.ReferenceChange(rho)
        found = mfg.design.tune(game, {"reference": rho}, wanted, response=mfg.EntropyRegularized(3.0))
        found.equilibrium.mean_field[-1], found.parameters["reference"]

    Args:
      game: a game with a finite horizon; or a function from `parameters` to such a game, or to `(game, response)`.
        For a `StationaryGame` there are `sensitivity` and `jax.grad`, but no `tune`.
      parameters: what may change: a mapping from names of arrays ("reference", "beta", "initial", "discount", or the
        path of any array such as "reward.L.weight") to the value at which the search starts, to None for the present
        value, or to a `Variable` with bounds. A reference `[S, A]` is the same at all times, `[H+1, S, A]` is not. If
        `game` is a function: any nested dict, list or tuple (pytree) of arrays or `Variable`s.
      objective: what is minimised: an objective of this module, a sum or multiple of such, or a function of the
        equilibrium, or of `(game, response, equilibrium)`.
      optimizer: an optimizer of optax; None: L-BFGS with a line search, which needs no tuning.
      response: how agents act; it must be smooth. If `game` is a function, that may return the response instead.
      solver: as in `solve`.
      scenarios: for a robust design: a mapping from names to values with a last axis of scenarios; or a list of games
        of the same shape.
      over: "mean" or "worst" of the objective over the scenarios. The worst is not smooth where two scenarios tie. At
        first it is smoothed, smoothing · log mean exp(objective/smoothing), at most smoothing · log(scenarios) below
        the largest; then the largest itself is lowered by quadratic programs over the gradients of all scenarios. It
        has converged only where a mean of the gradients of the scenarios within 1e-5 of the worst is below `gtol`: the
        condition of first order.
      smoothing: in units of the objective; None: a hundredth of the largest objective at the start. An `optimizer` of
        optax minimises the smoothed worst throughout, but the best design is chosen by the worst itself.
      restarts: number of searches that are done together: the first from the start, the others from random points
        around it.
      spread: standard deviation of these points, in coordinates (logits of probabilities, logs of positive numbers).
      key: random key of JAX for these points.
      guess: a mean field to start from, for the first equilibrium.
      max_steps: maximal number of designs that are tried in each restart.
      gtol: a search has converged when the largest entry of the gradient is below this; None: by precision. The
        gradient is with respect to the coordinates (see `Variable`). If a number is near a bound and lower objectives
        lie away from it, the gradient is with respect to the number; between two bounds in units of half the interval.
      goal: a search may stop when the objective is this small; None: no goal.
      callback: a function that is called after each step with a dict of "step", "values", "best", "failed" and "design"
        (a function that returns the best parameters so far); the search stops when it returns True.
      progress: whether to show a progress bar on a terminal or in a notebook.

    Returns:
      A `Tuned` with the best of all designs, which need not be the last. Ctrl-C stops the search and returns the best
      so far.

    Raises:
      ValueError: if an argument is invalid, naming the variable, the place and the value.
      ConvergenceError: if the start of every restart has no equilibrium.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> tuned = mfg.design.tune(game, {"beta": None}, mfg.design.TargetLaw({"left": 0.6}), response=response)
      >>> f"{tuned.equilibrium.mean_field[1, 1]:.3f}"
      '0.600'

    Source: the implicit function theorem; `docs/mathematics.md`, Shaping. Guan et al. (2021), arXiv:2110.07469, pose
    the question; they answer it by hand.
    """
    space = design_space(game, parameters, response, solver, scenarios)
    weights = np.ones((1, _checks.integer_at_least("restarts", restarts, 1)))
    _checks.one_of("over", over, ("mean", "worst"))
    method = make_method(space, optimizer, gtol, goal)
    objectives = observed(space, [as_objective("objective", objective)])
    search = Search(space, method, objectives, weights, over, smoothing)
    points = _starts(space, restarts, spread, key)
    record = search.run(points, guess, max_steps, callback, _checks.boolean("progress", progress))
    values = record.values
    best = int(np.argmin(values))  # a restart that found nothing has an infinite objective
    best_point = jax.tree.map(lambda leaf: leaf[..., best : best + 1], record.points)
    scenario_values, mean_field = search.at(best_point, record.fields_of(best, space.num_scenarios))
    tuned_game, tuned_response = single(space, best_point)
    # from the field that the search found: where there are several equilibria another would not have this value
    equilibrium = solve(tuned_game, tuned_response, solver, guess=mean_field[..., 0])
    restored = {name: np.asarray(value)[..., 0] for name, value in all_arrays(space, best_point).items()}
    if not callable(game):
        tuned_game = with_users_functions(tuned_game, game)
    else:  # with functions that are the user's own
        built = game(space.restore({name: jnp.asarray(value) for name, value in restored.items()}))
        tuned_game = built[0] if isinstance(built, tuple) else built
    return Tuned(
        parameters=space.restore(restored),
        game=tuned_game,
        response=tuned_response,
        equilibrium=equilibrium,
        value=float(values[best]),
        scenario_values=scenario_values[0, 0],
        values=np.where(np.isfinite(values), values, np.nan),
        restarts={name: np.asarray(value) for name, value in all_arrays(space, record.points).items()},
        status=tuple(STATUS[int(code)] for code in record.status),
        history=record.history,
        gradient_norm=record.gradient_norm,
        failed=record.failed,
        num_steps=len(record.history),
        at_bounds=tuple(line for name, v in space.variables.items() for line in v.at_bounds(restored[name])),
    )


def _starts(space: DesignSpace, restarts: int, spread: float, key: Array | None) -> Points:
    """Return the coordinates of the start, and around it those of the other restarts, with a last axis of restarts."""
    spread = _checks.number_in("spread", spread, 0, np.inf, "[0, inf)")
    points = repeated(space, restarts)
    if restarts == 1:
        return points
    key = _checks.random_key("key", key, ", for the starts of the restarts")
    # a key for each variable, so that they do not move alike
    for variable_key, name in zip(jax.random.split(key, len(points)), points, strict=True):
        noise = spread * jax.random.normal(variable_key, points[name].shape, points[name].dtype)
        points[name] = points[name] + noise.at[:, 0].set(0)  # the first restart is the start itself
    return points
