"""Newton's method."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._linear import SMALL
from .._typing import Array
from ..model import AnyGame
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, needs_smooth
from .shooting import look, newton_solver, shoots

_FIRST_TIME, _LEAST_TIME = 10.0, 0.3

_MOST_UNKNOWNS = 128
"""Numbers in the law of a stationary game up to which Newton's steps are cheap."""


class Newton(AbstractMethod):
    """Newton's method: solve the linearised equation at each step.

    It converges quadratically near an equilibrium at which I − DΓ is invertible (DΓ: the derivative of the mean-field
    map), also if plain iteration diverges there.

    For a game with a finite horizon and at most 32 states, in double precision and if payoffs depend on the law of the
    states, it uses multiple shooting: the equations say that each single step of the flow follows the response to the
    flow. Their matrix is eliminated block by block in time, with H S³ operations. Errors are not carried along the
    horizon, so that it often converges from far away. Elsewhere the equation is (I − DΓ(μ)) d = Γ(μ) − μ, solved by LU
    up to a few hundred unknowns and beyond that by GMRES, which needs only products. Steps are shortened until the
    residual falls. In stationary games with a smooth response, steps follow the population in time, and get longer as
    it approaches a stationary law.

    It works for smooth responses, and in stationary games for all responses: if the response jumps, a step goes to the
    stationary law of the policy that it finds.

    Args:
      atol: tolerance on the residual; None for the default of the precision, 0 to run `max_steps`.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> mfg.solve(game, response, mfg.Newton()).result.name
      'converged'

    Source: Osborne (1969), J. Math. Anal. Appl. 27, for multiple shooting; Kelley and Keyes (1998), SIAM J. Numer.
    Anal. 35, for following time.
    """

    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 100

    def __init__(self, *, atol: float | None = None):
        self.atol = _checks.tolerance(atol)

    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        needs_smooth(self, game, response)

    @property
    def mixes(self) -> bool:
        return False

    def in_lanes(self, game: AnyGame) -> bool:
        return shoots(game) and game.num_states <= SMALL

    def init(self, problem: Problem, guess: Array) -> Any:
        one, never = jnp.ones(problem.lanes, guess.dtype), jnp.full(problem.lanes, jnp.inf, guess.dtype)
        if follows_time(problem.game, problem.response):
            return guess, _FIRST_TIME * one, never
        return guess, guess, jnp.zeros_like(guess), one, never

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        in_time = follows_time(problem.game, problem.response)
        return (_step_in_time if in_time else _step_with_search)(problem, state)


def is_cheap(game: AnyGame) -> bool:
    """Tell whether a step of Newton's method takes no longer than some tens of steps of plain iteration, as a rule."""
    return shoots(game) or (game.is_stationary and math.prod(game.seen_shape) <= _MOST_UNKNOWNS)


def follows_time(game: AnyGame, response: AbstractResponse) -> bool:
    """Tell whether steps follow the population in time, from afar: where its stationary law moves smoothly."""
    return game.is_stationary and response.is_smooth


def _step_in_time(problem: Problem, state: Any) -> tuple[Any, Progress]:
    """Take one implicit step of dz/ds = Γ(z) − z, of a length that grows as the residual falls.

    Short steps follow the population on its way to rest, long ones are Newton's (pseudo-transient continuation).
    """
    x, length, before = state
    off, seen = look(problem, x)
    residual = problem.game.distance(x, seen.image)
    ratio = jnp.where(jnp.isfinite(before), before / residual, 1)
    # a residual that hardly grows shows a population on its way, which somewhat longer steps follow as well
    on_its_way = jnp.where(ratio < 1, 1.3, jnp.maximum(2 * jnp.isfinite(before), ratio))
    growth = jnp.where(ratio < 0.99, jnp.maximum(ratio, 0.3), on_its_way)
    length = jnp.maximum(length * growth, _LEAST_TIME)
    following = x + newton_solver(problem, x, seen.best)(off, 1 / length)
    following = problem.game.stepped_to(following, x, seen.image)
    finite = jnp.isfinite(following).all()
    return (jnp.where(finite, following, x), length, residual), Progress(Candidate(x, None), residual, ~finite)


def _step_with_search(problem: Problem, state: Any) -> tuple[Any, Progress]:
    """Step along Newton's direction, or go back along it where the equation is not better met than before."""
    trial, base, direction, length, base_size = state
    off, seen = look(problem, trial)
    axes = tuple(range(1 + problem.game.num_seen_axes))
    residual, size = problem.game.distance(trial, seen.image), jnp.abs(off).sum(axis=axes)
    # any decrease counts near the rounding level, a sufficient one elsewhere
    better = size < (1 - 1e-4 * length) * base_size

    def renewed() -> Array:
        return jnp.where(better, newton_solver(problem, trial, seen.best)(off), direction)

    direction = jax.lax.cond(better.any(), renewed, lambda: direction)
    base = jnp.where(better, trial, base)
    length = jnp.where(better, jnp.minimum(2 * length, 1), length / 4)
    following = problem.project(base + length * direction)
    finite = jnp.isfinite(following).all(axis=axes)
    failed = (length < 1e-6) | ~finite
    progress = Progress(Candidate(trial, None), residual, failed)
    following = jnp.where(finite, following, base)
    return (following, base, direction, length, jnp.where(better, size, base_size)), progress
