"""Plain, damped and averaged iteration of Γ."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _checks
from .._simplex import safe_log
from .._typing import Array, ArrayLike, Float
from ..model import AnyGame
from ..model.values import gain
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, by_residual


class Picard(AbstractMethod):
    """Fixed-point iteration μ ← (1 − α) μ + α Γ(μ) of the mean-field map Γ, damped or averaged if asked for.

    With α = 1 it converges if Γ is a contraction; otherwise it may enter a cycle, whose period is then reported. With
    averaging it is fictitious play, which also works for `Greedy` responses: the joint laws of states and actions are
    averaged, and the criterion is the exploitability of the policy that generates the average.

    In a stationary game Γ(z) = Φ(z, π), where π is the response to z. With a `Trembling` response this is the trembling
    best response (T-BR) iteration of Lee et al., with α < 1 its damped form. With averaging, the stationary laws of the
    best responses are averaged.

    Args:
      damping: α in (0, 1].
      averaging: None; "uniform": α_k = 1/(k+1), the mean of all best responses; "linear": α_k = 2/(k+2), which gives
        later ones more weight.
      atol: tolerance on the criterion; None for the default of the precision, 0 to run for `max_steps` steps.

    Raises:
      ValueError: if an argument is out of range, or damping and averaging are both given.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> mfg.solve(game, response, mfg.Picard(damping=0.5)).result.name
      'converged'

    Source: Guan et al. (2021), arXiv:2110.07469, eq. (16) iterated; averaging: Perrin et al. (2020),
    arXiv:2007.03458; in stationary games Lee et al. (2021), arXiv:2006.11683, algorithm 1.
    """

    damping: Float[Array, "*batch"]
    averaging: str | None = eqx.field(static=True)
    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 20_000
    takes_lanes: ClassVar[bool] = True

    def __init__(self, damping: ArrayLike = 1.0, averaging: str | None = None, *, atol: float | None = None):
        self.damping = _checks.scalar_in("damping", damping, 0, 1, "(0, 1]")
        _checks.one_of("averaging", averaging, (None, "uniform", "linear"))
        if averaging is not None and not _checks.is_traced(self.damping) and float(self.damping) != 1:
            raise ValueError(
                f"`damping` must be 1 when `averaging={averaging!r}` sets the weights; got {self.damping}."
            )
        self.averaging = None if averaging is None else str(averaging)
        self.atol = _checks.tolerance(atol)

    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        pass

    @property
    def patience(self) -> int | None:
        return None if self.averaging else 2_000

    @property
    def may_cycle(self) -> bool:
        return self.averaging is None

    @property
    def mixes(self) -> bool:
        return self.averaging is not None

    def _weight(self, step: Array, dtype: Any) -> Array:
        if self.averaging == "uniform":
            return 1 / (step + 1).astype(dtype)
        if self.averaging == "linear":
            return 2 / (step + 2).astype(dtype)
        return self.damping.astype(dtype)

    def init(self, problem: Problem, guess: Array) -> Any:
        start = jnp.int32(0)
        if by_residual(problem.game, problem.response, self):
            return start, guess, problem.game.first_values()
        return start, problem.game.best_response(guess, problem.response).policy

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        step, iterate = state[:2]
        weight = self._weight(step, problem.game.dtype)
        if by_residual(problem.game, problem.response, self):
            image, values = problem.image_from(iterate, state[2])
            progress = Progress(Candidate(iterate, None), problem.game.distance(iterate, image), jnp.array(False))
            return (step + 1, iterate + weight * (image - iterate), values), progress

        game = problem.game
        mu, seen = game.generated(iterate)
        log_policy = safe_log(iterate)
        best = game.best_response(seen, problem.response)
        found = gain(game, mu, log_policy, best, None)
        best_mu, _ = game.generated(best.policy)
        # policies are averaged with the mass that plays them; where there is none, the best response
        mass = (1 - weight) * mu[:, :, None] * iterate + weight * best_mu[:, :, None] * best.policy
        total = mass.sum(axis=2, keepdims=True)
        policy = jnp.where(total > 0, mass / jnp.where(total > 0, total, 1), best.policy)
        progress = Progress(Candidate(seen, log_policy), found, jnp.array(False))
        return (step + 1, policy), progress
