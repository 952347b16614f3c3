"""The iteration of a population that follows the strategy of a step ago."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, ArrayLike, Float
from ..model import AnyGame
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, needs_stationary


class Lagged(AbstractMethod):
    """Move the population of a stationary game by the response to the population of the step before.

        z_{k+1} = (1 − α) z_k + α Φ(z_k, π_{k−1}),   π_k the response to z_k

    This models agents who learn from the moves that they make: when they know a response to the population, the
    population has already moved. π_{−1} is the prior policy. The lag changes the iterates, but not their fixed points.

    Args:
      damping: α in (0, 1].
      atol: tolerance on the residual; None for the default of the precision, 0 to run `max_steps`.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Source: Lee et al. (2021), arXiv:2006.11683, section 5, with exact learning.
    """

    damping: Float[Array, "*batch"]
    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 20_000
    has_lag: ClassVar[bool] = True
    takes_lanes: ClassVar[bool] = True

    def __init__(self, damping: ArrayLike = 1.0, *, atol: float | None = None):
        self.damping = _checks.scalar_in("damping", damping, 0, 1, "(0, 1]")
        self.atol = _checks.tolerance(atol)

    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        needs_stationary(self, game)

    @property
    def patience(self) -> int | None:
        return 2_000

    @property
    def may_cycle(self) -> bool:
        return True

    @property
    def mixes(self) -> bool:
        return False

    def init(self, problem: Problem, guess: Array) -> Any:
        return guess, jnp.exp(problem.prior_policy()), problem.game.first_values()

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        z, before, values = state
        game = problem.game
        policy, values = game.policy_from(z, problem.response, values)
        residual = game.distance(z, game.moved_on(z, policy)[1])
        image = game.moved_on(z, before)[1]
        following = z + self.damping.astype(game.dtype) * (image - z)
        return (following, policy, values), Progress(Candidate(z, None), residual, jnp.array(False))
