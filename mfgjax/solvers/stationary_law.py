"""The iteration in which the population becomes stationary between two changes of strategy."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, ArrayLike, Float
from ..model import AnyGame
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, needs_stationary


class StationaryLaw(AbstractMethod):
    """Move the population of a stationary game to the stationary law under the response to it.

        z_{k+1} = (1 − α) z_k + α z',   z'(s') = Σ_{s,a} z'(s) π_k(a|s) P(s'|s,a,z_k),   π_k the response to z_k

    It takes fewer steps than solvers whose steps are one move of the population, but each step costs more. Within a
    step, rewards and kernel stay at the old population until the agents have reached their stationary law: a simulator
    can do this, a real population cannot.

    Args:
      damping: α in (0, 1].
      atol: tolerance on the residual; None for the default of the precision, 0 to run `max_steps`.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Source: the best-response dynamics of Adlakha and Johari (2013), Operations Research 61(4), from which Lee et al.
    (2021), arXiv:2006.11683, sections 3 and 5, set theirs apart.
    """

    damping: Float[Array, "*batch"]
    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 5_000
    takes_lanes: ClassVar[bool] = True

    def __init__(self, damping: ArrayLike = 1.0, *, atol: float | None = None):
        self.damping = _checks.scalar_in("damping", damping, 0, 1, "(0, 1]")
        self.atol = _checks.tolerance(atol)

    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        needs_stationary(self, game)

    @property
    def patience(self) -> int | None:
        return 500

    @property
    def may_cycle(self) -> bool:
        return True

    @property
    def mixes(self) -> bool:
        return False

    def init(self, problem: Problem, guess: Array) -> Any:
        return guess, problem.game.first_values()

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        z, values = state
        game = problem.game
        policy, values = game.policy_from(z, problem.response, values)
        residual = game.distance(z, game.moved_on(z, policy)[1])
        at_rest = game.rest(policy, z)[1]  # pyright: ignore[reportAttributeAccessIssue]
        following = z + self.damping.astype(game.dtype) * (at_rest - z)
        return (following, values), Progress(Candidate(z, None), residual, jnp.array(False))
