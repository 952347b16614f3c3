"""The iteration that goes half of the way."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _checks
from .._typing import Array
from ..model import AnyGame
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, needs_smooth


class HalfWay(AbstractMethod):
    """Iterate μ ← (μ + Γ(μ))/2.

    Args:
      atol: tolerance on the residual; None for the default of the precision, 0 to run `max_steps`.
    """

    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 1_000

    def __init__(self, *, atol: float | None = None):
        self.atol = _checks.tolerance(atol)

    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        needs_smooth(self, game, response)

    @property
    def mixes(self) -> bool:
        return False

    def init(self, problem: Problem, guess: Array) -> Any:
        return guess

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        image = problem.image(state)
        residual = problem.game.distance(state, image)
        return (state + image) / 2, Progress(Candidate(state, None), residual, jnp.array(False))
