"""Mirror descent on policies."""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _checks, _functions
from .._simplex import log_normalize
from .._typing import Array, ArrayLike, Float
from ..kernels.base import align
from ..model import AnyGame
from ..model.values import gain
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, by_residual


class MirrorDescent(AbstractMethod):
    """Mirror descent: move the log of the policy along the action values of the current policy.

        log π ← (1 − c) log π + c log ρ + η Q^π,   c = min(η/β, 1), normalised

    where Q^π are the regularised action values of π in its own flow. In monotone games it converges exponentially for
    small η. For `Greedy` responses c = 0, Q^π is unregularised (online mirror descent), and the criterion is the
    exploitability. With `prior_steps` it is the proximal method for `Greedy`: the problem is regularised towards a
    prior with inverse temperature `prior_beta`, and after every `prior_steps` steps the current policy becomes the
    prior.

    Args:
      learning_rate: η > 0 in 1/reward, or an optax schedule (a callable from the step to η).
      prior_steps: for `Greedy`: number of steps between two changes of the prior; None for plain mirror descent.
      prior_beta: for `Greedy` with `prior_steps`: inverse temperature of the regularisation.
      atol: tolerance on the criterion; None for the default of the precision, 0 to run `max_steps`.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> mfg.solve(game, response, mfg.MirrorDescent(learning_rate=0.5)).result.name
      'converged'

    Source: Pérolat et al. (2021), arXiv:2103.00623; Isobe, Abe and Ariu, NeurIPS 2025 (regularised and
    proximal form); prior descent: Cui and Koeppl (2021), arXiv:2102.01585.
    """

    learning_rate: Float[Array, "*batch"] | Callable[[Array], Any]
    prior_beta: Float[Array, "*batch"]
    prior_steps: int | None = eqx.field(static=True)
    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 20_000
    takes_lanes: ClassVar[bool] = True

    def __init__(
        self,
        learning_rate: ArrayLike | Callable[[Array], Any] = 0.5,
        *,
        prior_steps: int | None = None,
        prior_beta: ArrayLike = 1.0,
        atol: float | None = None,
    ):
        if callable(learning_rate):
            result = _functions.returned("learning_rate", learning_rate, {"step": jnp.int32(0)}, "at step 0")
            if not isinstance(result, float | int):
                _functions.shape_returned("learning_rate", result, [()], "one number")
            self.learning_rate = learning_rate
        else:
            self.learning_rate = _checks.scalar_in("learning_rate", learning_rate, 0, float("inf"), "(0, inf)")
        self.prior_steps = None if prior_steps is None else _checks.integer_at_least("prior_steps", prior_steps, 1)
        self.prior_beta = _checks.scalar_in("prior_beta", prior_beta, 0, float("inf"), "(0, inf)")
        self.atol = _checks.tolerance(atol)

    @property
    def mixes(self) -> bool:
        return True

    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        if not response.is_optimal:
            raise ValueError(
                "`solver=MirrorDescent(...)` needs a response that maximises an objective; "
                f"`{type(response).__name__}` does not. Use `EntropyRegularized` or `Greedy`, or the default solver."
            )
        if self.prior_steps is not None and response.penalty(game.available, game.dtype) is not None:
            raise ValueError(f"`prior_steps={self.prior_steps}` can be used with the `Greedy` response only.")

    def init(self, problem: Problem, guess: Array) -> Any:
        game, response, prior = problem.game, problem.response, problem.prior_policy()
        # a policy that leaves actions out never plays them again
        is_inside = response.penalty(game.available, game.dtype) is not None
        log_policy = game.best_response(guess, response).log_policy if is_inside else prior
        return jnp.int32(0), log_policy, prior

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        count, log_policy, prior = state
        game, response = problem.game, problem.response
        mu, seen = game.generated(jnp.exp(log_policy))
        never, penalty = jnp.array(False), response.penalty(game.available, game.dtype)
        if by_residual(game, response, self):
            progress = Progress(Candidate(seen, None), problem.game.distance(seen, problem.image(seen)), never)
        else:
            found = gain(game, mu, log_policy, game.best_response(seen, response), penalty)
            progress = Progress(Candidate(seen, log_policy), found, never)
        beta = self.prior_beta.astype(game.dtype) if penalty is None else penalty[0]
        regularised = penalty is not None or self.prior_steps is not None
        _, q = game.evaluated(seen, log_policy, (beta, prior) if regularised else None)
        eta = self.learning_rate(count) if callable(self.learning_rate) else self.learning_rate
        eta = jnp.asarray(eta, game.dtype)
        pull = jnp.minimum(eta / beta, 1) if regularised else jnp.zeros_like(eta)
        rate = jnp.minimum(eta, beta) if regularised else eta
        available = jnp.broadcast_to(align(game.available, log_policy), log_policy.shape)
        logits = (1 - pull) * jnp.where(available, log_policy, 0) + pull * jnp.where(available, prior, 0) + rate * q
        following = log_normalize(jnp.where(available, logits, -jnp.inf), axis=2)
        if self.prior_steps is not None:
            prior = jnp.where((count + 1) % self.prior_steps == 0, following, prior)
        return (count + 1, following, prior), progress
