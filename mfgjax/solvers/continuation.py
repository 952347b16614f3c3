"""Continuation in the inverse temperature."""

from functools import partial
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, ArrayLike, Bool, Int, Scalar
from .._varying import alike
from ..model import AnyGame
from ..model.values import gain
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, by_residual
from .path import START, PathReport, PathState, path_start, path_step
from .shooting import along_path, shoots

_PATIENCE = 1_200
"""Steps after which a path is left for another one, twice as many after every second path."""

_BEND = 3.0
"""Standard deviation of what is added to log references, at first, where another path is sought."""


class _Attempt(NamedTuple):
    """A path under way.

    Attributes:
      path: where it is.
      guess: where every path begins.
      bend: what is added to the log reference for each unit of log β that is missing.
      cools_first: whether it has yet to find out where to begin.
      lowest: log β at its first equilibrium.
      number: of the path, the first is 0 and not bent.
      num_steps: taken along it.
    """

    path: PathState
    guess: Array
    bend: Array
    cools_first: Bool[Array, ""]
    lowest: Scalar
    number: Int[Array, ""]
    num_steps: Int[Array, ""]

    def along(self, path: PathState, report: PathReport) -> "_Attempt":
        """Return what is known after one more step."""
        is_first = report.accepted & (self.path.mode == START)
        lowest = jnp.where(is_first, self.path.parameter, self.lowest)
        return self._replace(
            path=path, cools_first=jnp.zeros_like(self.cools_first), lowest=lowest, num_steps=self.num_steps + 1
        )


class Continuation(AbstractMethod):
    """Continuation in β: follow the equilibrium from a small β, where it is unique, to the β of the response.

    As β → 0 agents play the reference policy, so the equilibrium there is known. From it a path of equilibria leads
    upwards in log β. The path is followed with a tangent predictor and a Newton corrector: by arclength, so that it may
    turn at folds, where it goes back to smaller β (`through_folds=True`), or in log β alone, which is quicker but ends
    at a fold. For `Greedy` responses the path of regularised equilibria with a uniform reference is followed until the
    exploitability of their policy is below the tolerance.

    Some paths have hundreds of folds. If a path is lost, turns back to its start, or is longer than 1,200 steps,
    another path is tried. It starts from a random reference, which changes gradually into the given one, so that the
    equation at its end is the same.

    Args:
      through_folds: follow the path by arclength, through folds; False: in log β, which ends at a fold.
      start: β at which to start; None: where β times the span of the action values is 1.
      largest_step: length of the largest step along the path, in which changes of log β and of the flow both count.
      atol: tolerance on the criterion; None for the default of the precision.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> mfg.solve(game, response, mfg.Continuation()).result.name
      'converged'
    """

    through_folds: bool = eqx.field(static=True)
    start: Scalar | None
    largest_step: float = eqx.field(static=True)
    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 3_000

    def __init__(
        self,
        through_folds: bool = True,
        *,
        start: ArrayLike | None = None,
        largest_step: float = 2.0,
        atol: float | None = None,
    ):
        self.through_folds = _checks.boolean("through_folds", through_folds)
        self.start = None if start is None else _checks.scalar_in("start", start, 0, float("inf"), "(0, inf)")
        self.largest_step = _checks.number_in("largest_step", largest_step, 0, float("inf"), "(0, inf)")
        self.atol = _checks.tolerance(atol)

    @property
    def mixes(self) -> bool:
        return True

    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        if not response.has_path:
            raise ValueError(
                f"`solver=Continuation(...)` moves along `beta`, which `{type(response).__name__}` does not have. Use "
                "`EntropyRegularized`, `Boltzmann` or `Greedy`."
            )

    def _target(self, problem: Problem) -> Array:
        game = problem.game
        # at this β the KL terms, at most log A each, are worth less than the tolerance
        most = jnp.log(jnp.asarray(max(game.num_actions, 2), game.dtype))
        worth = game.discounted(jnp.full(game.horizon + 1, most))
        tolerance = jnp.where(problem.tolerance > 0, problem.tolerance, jnp.finfo(game.dtype).eps)
        enough = 2 * worth / tolerance
        return jnp.log(problem.response.beta_reached(enough))

    def _response(self, problem: Problem, log_beta: Scalar) -> Any:
        return problem.response.at_beta(jnp.exp(log_beta))

    def init(self, problem: Problem, guess: Array) -> Any:
        table = jnp.zeros_like(problem.prior_policy())
        begin = self._begin(problem, guess)
        return _Attempt(begin, guess, table, jnp.array(self.start is None), begin.parameter, jnp.int32(0), jnp.int32(0))

    def _begin(self, problem: Problem, guess: Array) -> PathState:
        target = self._target(problem)
        start = target if self.start is None else jnp.minimum(jnp.log(self.start.astype(guess.dtype)), target)
        return alike(path_start(guess, start, 0.25))

    def step(self, problem: Problem, state: "_Attempt") -> tuple[Any, Progress]:
        path, target = state.path, self._target(problem)
        dtype = problem.game.dtype
        eps = float(jnp.finfo(dtype).eps)

        def problem_at(log_beta: Scalar) -> Problem:
            response = self._response(problem, log_beta)
            # the bend is gone at the target
            response = response.bent((target - log_beta) * state.bend, problem.game.available)
            return Problem(problem.game, response, problem.tolerance)

        is_residual = by_residual(problem.game, problem.response, self)
        on_the_way = jnp.asarray(eps**0.4, dtype)  # 5e-7 in double, 2e-3 in single precision
        following, report = path_step(
            partial(along_path, problem_at, oriented=True),
            problem.project,
            path,
            target=target,
            tolerance=problem.tolerance if is_residual else on_the_way,
            path_tolerance=on_the_way,
            through_folds=self.through_folds,
            largest_step=self.largest_step,
            smallest_step=1e-6 if eps < 1e-12 else 1e-4,
            retreat=1.5,
            reach=0.6 if shoots(problem.game) else 0.3,  # what a determinant watches over may turn more sharply
            least_cosine=0.7,
        )
        # the first look tells β·span(Q): start where it is 1
        heat = jnp.log(jnp.maximum(report.floor / (8 * eps), 1e-30)).astype(dtype)
        cool = state.cools_first & (path.mode == START) & (heat > 0)
        cooler = path._replace(parameter=path.parameter - heat, base_parameter=path.parameter - heat)
        following = type(path)(*(jnp.where(cool, a, b) for a, b in zip(cooler, following, strict=True)))
        failed = report.failed & ~cool
        if is_residual:
            # a singular correction leads nowhere: that step is lost, and says nothing of rewards and kernels
            here = (path.mode != START) & (path.parameter == target) & jnp.isfinite(path.x).all()
            residual = jnp.where(here, report.residual, jnp.inf)
            progress = Progress(Candidate(path.x, None), residual, failed)
        else:
            game = problem.game
            log_policy = game.best_response(path.x, problem_at(path.parameter).response).log_policy
            mu, seen = game.generated(jnp.exp(log_policy))
            found = gain(game, mu, log_policy, game.best_response(seen, problem.response), None)
            residual = jnp.where(report.accepted | report.finished, found, jnp.inf)
            progress = Progress(Candidate(seen, log_policy), residual, failed | report.finished)
            # of a limit the path is one
            return state.along(following, report), progress
        return self._next(problem, state, following, report, progress)

    def _next(
        self, problem: Problem, state: "_Attempt", path: PathState, report: PathReport, progress: Progress
    ) -> tuple["_Attempt", Progress]:
        """Go on along the path, or begin another one where this is lost, came back, or is long."""
        onward = state.along(path, report)
        came_back = report.accepted & (path.base_parameter < onward.lowest - 1)
        is_long = state.num_steps >= _PATIENCE * 2 ** (state.number // 2)
        again = self.through_folds & ~report.finished & (progress.failed | came_back | is_long)

        begin = self._begin(problem, state.guess)
        cools_first, no_steps = jnp.full_like(state.cools_first, self.start is None), jnp.zeros_like(state.num_steps)

        def another() -> _Attempt:
            number = state.number + 1
            bend = jax.random.normal(jax.random.key(number), state.bend.shape, state.bend.dtype)
            bend = _BEND / (1 + jnp.abs(begin.parameter - onward.lowest)) * bend
            return state._replace(path=begin, bend=bend, cools_first=cools_first, number=number, num_steps=no_steps)

        return jax.lax.cond(again, another, lambda: onward), progress._replace(failed=progress.failed & ~again)
