"""Stationary equilibria in which the population splits between actions that are equally good."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from .._linear import DENSE_LIMIT, solve_dense
from .._simplex import onto_simplex
from .._typing import Array, Float, Int, Scalar
from ..kernels.base import align
from ..model import AnyGame
from ..responses import AbstractResponse
from ..responses.ties import tie_band
from ..responses.trembling import AbstractTrembling, shares_of
from .base import AbstractMethod, Candidate, Problem, Progress

_ROUND, _OF_PLAY, _PER_STEP = 60, 30, 10


class _Play(NamedTuple):
    """Where fictitious play is: its step, the average mass of states and actions, what is seen of it, and values."""

    steps: Int[Array, ""]
    mass: Float[Array, "1 S A"]
    seen: Array
    values: Float[Array, " S"]


class _Point(NamedTuple):
    """A law, values, shares of the actions, and the q of the best action; values in units of the span of q."""

    law: Float[Array, " S"]
    values: Float[Array, " S"]
    shares: Float[Array, "S A"]
    best: Float[Array, " S"]


class Splitting(AbstractMethod):
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
        game, one = problem.game, jnp.ones((), guess.dtype)
        law = game.agent_start(guess)
        mass = law[None, :, None] * jnp.exp(problem.prior_policy())
        point = _Point(law, jnp.zeros_like(law), jnp.zeros_like(mass[0]), jnp.zeros_like(law))
        return jnp.int32(0), _Play(jnp.int32(0), mass, guess, jnp.zeros_like(law)), point, one, one

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        count, play, point, unit, damping = state

        def play_on(_: None) -> tuple:
            start = (play, point, unit)
            return *jax.lax.fori_loop(0, _PER_STEP, lambda _, x: _played(problem, x[0]), start), jnp.ones_like(damping)

        def improve(_: None) -> tuple:
            return play, *self._improved(problem, point, unit, damping)

        play, point, unit, damping = jax.lax.cond(count % _ROUND < _OF_PLAY, play_on, improve, None)
        candidate, residual = _judged(problem, point, unit)
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


def _played(problem: Problem, play: _Play) -> tuple[_Play, _Point, Scalar]:
    """Return fictitious play one step later, and the last policy with its best response as a point to start from."""
    game, response = problem.game, problem.response
    answer = game.best_response(play.seen, response, play.values)
    available, q = game.available[0], answer.q[0]
    high, low = jnp.where(available, q, -jnp.inf), jnp.where(available, q, jnp.inf)
    unit = jnp.maximum(high.max() - low.min(), jnp.finfo(q.dtype).tiny)
    main, share = _weights(game, response)
    law = play.mass[0].sum(axis=1)
    exists = law[:, None] > 0
    policy = jnp.where(exists, play.mass[0] / jnp.where(exists, law[:, None], 1), answer.policy[0])
    shares = jnp.where(available, (policy - share) / jnp.where(main > share, main - share, 1), 0)
    point = _Point(law, answer.values[0] / unit, shares, high.max(axis=1) / unit)

    weight = 1 / (play.steps + 1).astype(game.dtype)
    # the best reply of a crowd that sees the average: where that settles, it is stationary, too
    best_law, _ = game.rest(answer.policy, play.seen)  # pyright: ignore[reportAttributeAccessIssue]
    mass = (1 - weight) * play.mass + weight * best_law[:, :, None] * answer.policy
    seen = game.observe(jnp.int32(0), mass.sum(axis=2), mass)
    return _Play(play.steps + 1, mass, seen, answer.values[0]), point, unit


def _judged(problem: Problem, point: _Point, unit: Scalar) -> tuple[Candidate, Scalar]:
    game, response = problem.game, problem.response
    available, law = game.available[0], onto_simplex(point.law[None], 1)
    shares = onto_simplex(jnp.where(available, point.shares, 0), 1)
    policy = _policy(game, response, shares)
    seen = game.observe(jnp.int32(0), law, law[:, :, None] * policy)
    residual = game.distance(seen, game.moved_on(seen, policy)[1])
    q = jnp.where(available, game.decision(seen).q(unit * point.values) / unit, -jnp.inf)  # pyright: ignore
    best = q.max(axis=1)
    band = tie_band(q, available)
    lost = jnp.maximum(jnp.where(available, shares * (best[:, None] - q), 0).sum(axis=1).max() - band, 0)
    # differences of q move by at most twice what is still wrong with the values
    values = response.values_of_best(best, q, available)  # pyright: ignore[reportAttributeAccessIssue]
    wrong = jnp.abs(point.values - values).max()
    off = jnp.maximum(wrong - band, 0) / (1 - game.discount)
    return Candidate(seen, None, policy), jnp.maximum(residual, jnp.maximum(lost, 2 * off))


def can_split(game: AnyGame, response: AbstractResponse) -> bool:
    """Tell whether the method applies: it forms a matrix of all shares, laws and values."""
    small = game.num_states * (game.num_actions + 3) <= DENSE_LIMIT
    return game.seeks_pure and isinstance(response, AbstractTrembling) and small


def relative_loss(game: AnyGame, policy: Array, best: Any) -> Array:
    """Return the most, over states, that a policy loses at one step, over the span of the action values; per lane.

    What rounding explains is not counted.
    """
    available, q = game.available[0], best.q[0]
    exists = align(available, q)
    lost = jnp.where(exists, (best.policy[0] - policy[0]) * q, 0).sum(axis=1).max(axis=0) - tie_band(q, available)
    span = jnp.where(exists, q, -jnp.inf).max(axis=(0, 1)) - jnp.where(exists, q, jnp.inf).min(axis=(0, 1))
    return jnp.where(span > 0, jnp.maximum(lost, 0) / jnp.where(span > 0, span, 1), 0)


def _equations(problem: Problem, point: _Point, unit: Scalar) -> Array:
    game, response = problem.game, problem.response
    available = game.available[0]
    policy = _policy(game, response, point.shares)
    law = point.law[None]
    seen = game.observe(jnp.int32(0), law, law[:, :, None] * policy)
    moved = game.moved_on(seen, policy)[0][0]
    q = jnp.where(available, game.decision(seen).q(unit * point.values) / unit, 0)  # pyright: ignore
    values = response.values_of_best(point.best, q, available)  # pyright: ignore[reportAttributeAccessIssue]
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
    like = game.initial[:, None]  # of the precision and the axes of action values
    main, share = shares_of(like, game.available[0], response.epsilon)
    return main[:, None], share[:, None]
