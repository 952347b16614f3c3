"""Continuation in the inverse temperature."""

from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, ArrayLike, Scalar
from ..model import AnyGame
from ..model.values import gain
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, by_residual
from .path import START, PathState, path_start, path_step
from .shooting import along_path


class Continuation(AbstractMethod):
    """Follow the equilibrium from small β, where it is unique, up to the β wanted.

    At β → 0 agents play the reference, so the equilibrium there is known; from it a path of equilibria
    leads upwards in log β. It is followed with a tangent predictor and a Newton corrector, in its
    arclength, so that it may turn at folds (`through_folds=True`), or in log β alone, which is quicker but
    ends at a fold. For `Greedy` responses the path of regularised equilibria with uniform reference is
    followed until their policy is not exploitable to the tolerance.

    Args:
      through_folds: follow the arclength.
      start: β at which to start; None: where β times the span of the action values is 1.
      largest_step: of one step along the path; log β and the flow both count.
      atol: tolerance on the criterion; None for the default of the precision.

    Raises:
      ValueError: if an argument is out of range, naming it.
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
        enough = 2 * worth / jnp.maximum(problem.tolerance, jnp.finfo(game.dtype).eps)
        return jnp.log(problem.response.beta_reached(enough))

    def _response(self, problem: Problem, log_beta: Scalar) -> Any:
        return problem.response.at_beta(jnp.exp(log_beta))

    def init(self, problem: Problem, guess: Array) -> Any:
        target = self._target(problem)
        start = target if self.start is None else jnp.minimum(jnp.log(self.start.astype(guess.dtype)), target)
        return path_start(guess, start, 0.25), jnp.array(self.start is None)

    def step(self, problem: Problem, state: tuple[PathState, Array]) -> tuple[Any, Progress]:
        path, cool_first = state
        dtype = problem.game.dtype
        eps = float(jnp.finfo(dtype).eps)

        def problem_at(log_beta: Scalar) -> Problem:
            return Problem(problem.game, self._response(problem, log_beta), problem.tolerance)

        is_residual = by_residual(problem.game, problem.response, self)
        on_the_way = jnp.asarray(eps**0.4, dtype)  # 5e-7 in double, 2e-3 in single precision
        following, report = path_step(
            partial(along_path, problem_at),
            problem.project,
            path,
            target=self._target(problem),
            tolerance=problem.tolerance if is_residual else on_the_way,
            path_tolerance=on_the_way,
            through_folds=self.through_folds,
            largest_step=self.largest_step,
            smallest_step=1e-6 if eps < 1e-12 else 1e-4,
            retreat=1.5,
            reach=0.3,
            least_cosine=0.7,
        )
        # the first look tells β·span(Q): start where it is 1
        heat = jnp.log(jnp.maximum(report.floor / (8 * eps), 1e-30)).astype(dtype)
        cool = cool_first & (path.mode == START) & (heat > 0)
        cooler = path._replace(parameter=path.parameter - heat, base_parameter=path.parameter - heat)
        following = type(path)(*(jnp.where(cool, a, b) for a, b in zip(cooler, following, strict=True)))
        failed = report.failed & ~cool
        if is_residual:
            here = (path.mode != START) & (path.parameter == self._target(problem))
            residual = jnp.where(here, report.residual, jnp.inf)
            progress = Progress(Candidate(path.x, None), residual, failed)
        else:
            game = problem.game
            log_policy = game.best_response(path.x, self._response(problem, path.parameter)).log_policy
            mu, seen = game.generated(jnp.exp(log_policy))
            found = gain(game, mu, log_policy, game.best_response(seen, problem.response), None)
            residual = jnp.where(report.accepted | report.finished, found, jnp.inf)
            progress = Progress(Candidate(seen, log_policy), residual, failed | report.finished)
        return (following, jnp.array(False)), progress
