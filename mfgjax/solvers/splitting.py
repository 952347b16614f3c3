"""Stationary equilibria in which the population splits between actions that are equally good."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from .._linear import DENSE_LIMIT, solve_dense
from .._simplex import onto_simplex
from .._typing import Array, Float, Scalar
from ..model import AnyGame, moved_on, respond, state_law
from ..model.stationary_maps import decision
from ..responses import AbstractResponse, AbstractTrembling, EpsilonGreedy
from .base import AbstractSolver, Candidate, Problem, Progress
from .picard import Picard

_ROUND, _OF_PLAY, _PER_STEP = 60, 30, 10
_PLAY = Picard(averaging="uniform")


class _Point(NamedTuple):
    """A law, values, shares of the actions, and the q of the best action; values in units of the span of q."""

    law: Float[Array, " S"]
    values: Float[Array, " S"]
    shares: Float[Array, "S A"]
    best: Float[Array, " S"]


class Splitting(AbstractSolver):
    """Seek a mixture of trembling best responses that keeps its own population.

        z = Φ(z, π),   π = ε/(A−1) + (1 − ε − ε/(A−1)) w,   w(·|s) on actions that maximise q(s,·)

    Where the response to z jumps there may be no equilibrium in pure policies. Fictitious play comes near, and from
    there a Levenberg-Marquardt method solves for (z, V, w) with the complementarity w ≥ 0, g ≥ 0, w g = 0 of shares and
    of g = max_a q − q, written as w + g − (w² + g²)^½ = 0. The two take turns. The criterion is the residual of z, or
    what π loses against the best actions, relative to the span of the action values, whichever is larger.

    Source: Fischer (1992), Optimization 24; Fan and Yuan (2005), Computing 74, for the damping.
    """

    atol: float | None = eqx.field(static=True, default=None)
    default_max_steps: ClassVar[int] = 1_000
    splits: ClassVar[bool] = True

    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        assert can_split(game, response)

    @property
    def mixes(self) -> bool:
        return False

    def init(self, problem: Problem, guess: Array) -> Any:
        one = jnp.ones((), guess.dtype)
        play = _PLAY.init(problem, guess)
        return jnp.int32(0), play, *self._near(problem, play[1]), one

    def _near(self, problem: Problem, policy: Array) -> tuple[_Point, Scalar]:
        """Return the point of a policy, and the unit of its values."""
        game = problem.game
        law, seen = state_law(game, policy)
        answer = respond(game, seen, problem.response)
        available, q = game.available[0], answer.q[0]
        high, low = jnp.where(available, q, -jnp.inf), jnp.where(available, q, jnp.inf)
        unit = jnp.maximum(high.max() - low.min(), jnp.finfo(q.dtype).tiny)
        main, share = _weights(game, problem.response)
        shares = jnp.where(available, (policy[0] - share) / jnp.where(main > share, main - share, 1), 0)
        return _Point(law[0], answer.values[0] / unit, shares, high.max(axis=1) / unit), unit

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        count, play, point, unit, damping = state
        phase = count % _ROUND

        def play_on(_: None) -> tuple:
            after = jax.lax.fori_loop(0, _PER_STEP, lambda _, x: _PLAY.step(problem, x)[0], play)
            return after, *self._near(problem, after[1]), jnp.ones_like(damping)

        def improve(_: None) -> tuple:
            return play, *self._improved(problem, point, unit, damping)

        play, point, unit, damping = jax.lax.cond(phase < _OF_PLAY, play_on, improve, None)
        candidate, residual = self._judged(problem, point)
        return (count + 1, play, point, unit, damping), Progress(candidate, residual, jnp.array(False))

    def _improved(
        self, problem: Problem, point: _Point, unit: Scalar, damping: Scalar
    ) -> tuple[_Point, Scalar, Scalar]:
        flat, form = ravel_pytree(point)

        def equations(x: Array) -> Array:
            return _equations(problem, form(x), unit)

        off, matrix = equations(flat), jax.jacfwd(equations)(flat)
        merit = off @ off
        normal = matrix.T @ matrix + damping * merit * jnp.eye(flat.size, dtype=flat.dtype)
        trial = flat - solve_dense(normal, matrix.T @ off)
        after = equations(trial)
        better = (after @ after) < merit
        damping = jnp.where(better, jnp.maximum(damping / 4, 1e-8), damping * 8)
        return form(jnp.where(better, trial, flat)), unit, damping

    def _judged(self, problem: Problem, point: _Point) -> tuple[Candidate, Scalar]:
        game = problem.game
        law = onto_simplex(point.law[None], 1)
        policy = _policy(game, problem.response, onto_simplex(jnp.where(game.available, point.shares, 0)[0], 1))
        seen = game.observe(law, law[:, :, None] * policy)
        image = moved_on(game, seen, policy)[1]
        residual = problem.distance(seen, image)
        loss = relative_loss(game, policy, respond(game, seen, problem.response))
        return Candidate(seen, None, policy), jnp.maximum(residual, loss)


def can_split(game: AnyGame, response: AbstractResponse) -> bool:
    """Tell whether the method applies: it forms a matrix of all shares, laws and values."""
    small = game.num_states * (game.num_actions + 3) <= DENSE_LIMIT
    return game.is_stationary and isinstance(response, AbstractTrembling) and small


def relative_loss(game: AnyGame, policy: Array, best: Any) -> Array:
    """Return the most, over states, that a policy loses at one step, over the span of the action values; per lane."""
    available = game.available if best.q.ndim == 3 else game.available[..., None]
    q = jnp.where(available, best.q, 0)
    lost = ((best.policy - policy) * q).sum(axis=2).max(axis=(0, 1))
    span = jnp.where(available, q, -jnp.inf).max(axis=(0, 1, 2)) - jnp.where(available, q, jnp.inf).min(axis=(0, 1, 2))
    return jnp.where(span > 0, jnp.maximum(lost, 0) / jnp.where(span > 0, span, 1), 0)


def _equations(problem: Problem, point: _Point, unit: Scalar) -> Array:
    game, response = problem.game, problem.response
    available = game.available[0]
    policy = _policy(game, response, point.shares)
    law = point.law[None]
    seen = game.observe(law, law[:, :, None] * policy)
    moved = moved_on(game, seen, policy)[0][0]
    q = jnp.where(available, decision(game, seen).q(unit * point.values) / unit, 0)
    main, share = (x[:, 0] for x in _weights(game, response))
    values = point.best if isinstance(response, EpsilonGreedy) else (main - share) * point.best + share * q.sum(axis=1)
    worse = point.best[:, None] - q
    # rounding keeps the root away from 0, where it has no derivative
    root = jnp.sqrt(point.shares**2 + worse**2 + jnp.finfo(q.dtype).eps ** 2)
    complementary = jnp.where(available, point.shares + worse - root, point.shares)
    parts = (point.law - moved, point.values - values, complementary, point.shares.sum(axis=1) - 1)
    return jnp.concatenate([part.reshape(-1) for part in parts])


def _policy(game: AnyGame, response: Any, shares: Array) -> Array:
    main, share = _weights(game, response)
    return jnp.where(game.available, share + (main - share) * shares, 0)


def _weights(game: AnyGame, response: Any) -> tuple[Array, Array]:
    others = game.available[0].sum(axis=1, keepdims=True).astype(game.dtype) - 1
    share = jnp.where(others > 0, response.epsilon / jnp.maximum(others, 1), 0)
    return jnp.where(others > 0, 1 - response.epsilon, jnp.ones((), game.dtype)), share
