"""Newton's method."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._typing import Array
from ..model import AnyGame
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, needs_smooth
from .shooting import newton_system


class Newton(AbstractMethod):
    """Solve (I − DΓ(μ)) d = Γ(μ) − μ and step along d, halving the step until the residual falls.

    Quadratic near an equilibrium whatever the spectral radius of DΓ; from far away, at large β, use
    `Continuation`. The derivative is never stored: products come from the JVP of Γ, and the system is solved
    by LU up to a few hundred unknowns and by GMRES beyond. For smooth responses; in stationary games for all: with a
    jumping one a step goes to the stationary law of the policy it finds.

    Args:
      atol: tolerance on the residual; None for the default of the precision, 0 to run `max_steps`.

    Raises:
      ValueError: if an argument is out of range, naming it.
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

    def init(self, problem: Problem, guess: Array) -> Any:
        return guess, guess, jnp.zeros_like(guess), jnp.ones((), guess.dtype), jnp.asarray(jnp.inf, guess.dtype)

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        trial, base, direction, length, base_off = state
        system = newton_system(problem, trial)
        residual = problem.game.distance(trial, system.image)
        off = jnp.abs(system.off).sum()
        # any decrease counts near the rounding level, a sufficient one elsewhere
        better = off < (1 - 1e-4 * length) * base_off
        direction = jax.lax.cond(better, lambda: system.solve(system.off), lambda: direction)
        base = jnp.where(better, trial, base)
        length = jnp.where(better, jnp.minimum(2 * length, 1), length / 4)
        following = problem.project(base + length * direction)
        finite = jnp.isfinite(following).all()
        failed = (length < 1e-6) | ~finite
        progress = Progress(Candidate(trial, None), residual, failed)
        following = jnp.where(finite, following, base)
        return (following, base, direction, length, jnp.where(better, off, base_off)), progress
