"""Γ near one equilibrium: the spectral radius of its derivative, and the β at which that reaches 1."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from .._linear import solve_dense
from .._traced import as_it_is_now
from .._typing import Array, Bool
from ..model import FiniteHorizonGame, mean_field_map, propagate, respond
from ..responses.base import AbstractTempered
from ..solvers.base import rounding
from .sampling import sample_laws, seen_of

_SQUARINGS = 32
_MOST_SQUARED = 256
_KRYLOV, _WARM_UP = 60, 40

MOST_UNKNOWNS = 200
"""Unknowns up to which the critical β is looked for without being asked."""

_LONGEST, _SHORTEST = 0.14, 0.03
"""Steps in log β: the longest at radius 0, the shortest near 1, where a crossing may hide between two points."""

_CORRECTIONS, _HALVINGS = 12, 24

_DIRECTIONS = 16


def local_radius(game: FiniteHorizonGame, response: AbstractTempered, mean_field: Array, key: Array) -> Array:
    """Return the spectral radius of DΓ at a mean field, the asymptotic rate of plain iteration there.

    NaN where small differences of Γ are not those of its derivative.
    """
    image, push = jax.linearize(mean_field_map(game, response), mean_field)
    size = mean_field.size
    if size <= _MOST_SQUARED:
        radius = spectral_radius(_matrix(push, mean_field))
    else:
        radius = arnoldi_radius(lambda v: push(v.reshape(mean_field.shape)).reshape(-1), size, mean_field.dtype)
    return jnp.where(_follows(game, response, mean_field, image, push, key), radius, jnp.nan)


def _follows(
    game: FiniteHorizonGame,
    response: AbstractTempered,
    mean_field: Array,
    image: Array,
    push: Callable[[Array], Array],
    key: Array,
) -> Array:
    """Tell whether small differences of Γ at a mean field are those of its derivative, in random directions.

    They are not where a reward or kernel bends there, as |x| at 0, or adds numbers so large that it moves in steps. A
    smooth map is off its derivative by a tenth at a tenth of the distance.
    """
    gamma, eps = mean_field_map(game, response), float(jnp.finfo(game.dtype).eps)
    others = seen_of(game, sample_laws(game, key, _DIRECTIONS)[:, 0])
    far, near = eps**0.3125, eps**0.375  # 1e-5, 1e-6 in double precision

    def off(other: Array) -> tuple[Array, Array, Array]:
        direction = other - mean_field
        expected = push(direction)
        at_far, at_near = (
            jnp.abs((gamma(mean_field + h * direction) - image) / h - expected).max() for h in (far, near)
        )
        return at_far, at_near, jnp.abs(expected).max()

    at_far, at_near, size = jax.lax.map(off, others)
    noise = 8 * (eps + rounding(game, response, respond(game, mean_field, response).q)) / near
    return (at_near <= jnp.maximum(at_far / 2, 1e-3 * size.max() + noise)).all()


def radius_margin(mean_field: Array) -> float:
    """Return what the radius may be off: Ritz values of matrices that are not normal can be too large."""
    return 1e-6 if mean_field.size <= _MOST_SQUARED else 0.05


def _matrix(push: object, point: Array) -> Array:
    """Return the matrix of a linear map of mean fields."""
    basis = jnp.eye(point.size, dtype=point.dtype).reshape(point.size, *point.shape)
    return jax.vmap(push)(basis).reshape(point.size, point.size).T  # pyright: ignore[reportArgumentType]


def spectral_radius(matrix: Array) -> Array:
    """Return the largest modulus of an eigenvalue, by squaring: ρ = lim |A^m|^(1/m) with m = 2^k.

    Every |A^m|^(1/m) is an upper bound, whatever the eigenvalues; 32 squarings leave log(m)/m, some 1e-8. Products
    of matrices only: any backend, any batch.
    """

    def square(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        power, log_norm = carry  # A^(2^k) = power · exp(2^k · log_norm)
        doubled = jnp.matmul(power, power, precision=jax.lax.Precision.HIGHEST)
        size = jnp.sqrt((doubled**2).sum())
        return doubled / jnp.where(size > 0, size, 1), log_norm + jnp.log(size) / 2.0 ** (k + 1)

    size = jnp.sqrt((matrix**2).sum())
    start = matrix / jnp.where(size > 0, size, 1), jnp.log(size)
    return jnp.exp(jax.lax.fori_loop(0, _SQUARINGS, square, start)[1])


def arnoldi_radius(matvec: object, size: int, dtype: DTypeLike) -> Array:
    """Return the largest modulus of a Ritz value on a Krylov space of 60 vectors, for large games.

    Powers of the matrix are applied to a random vector first, so that what only grows for a while has died out.
    """
    steps = min(_KRYLOV, size)

    def power(_: Array, vector: Array) -> Array:
        image = matvec(vector)  # pyright: ignore[reportCallIssue]
        length = jnp.sqrt((image**2).sum())
        return jnp.where(length > 0, image / jnp.where(length > 0, length, 1), vector)

    start = jax.random.normal(jax.random.key(0), (size,), dtype)
    start = jax.lax.fori_loop(0, _WARM_UP, power, start)
    basis = jnp.zeros((steps + 1, size), dtype).at[0].set(start / jnp.linalg.norm(start))
    hessenberg = jnp.zeros((steps, steps + 1), dtype)

    def extend(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        basis, hessenberg = carry
        vector = matvec(basis[k])  # pyright: ignore[reportCallIssue]
        before = jnp.sqrt((vector**2).sum())
        parts = basis @ vector
        vector = vector - parts @ basis
        again = basis @ vector  # once more: rounding leaves parts behind
        vector = vector - again @ basis
        length = jnp.sqrt((vector**2).sum())
        ended = length <= 100 * jnp.finfo(dtype).eps * before  # the space is invariant
        unit = jnp.where(ended, 0, vector / jnp.where(ended, 1, length))
        row = (parts + again).at[k + 1].set(jnp.where(ended, 0, length))
        return basis.at[k + 1].set(unit), hessenberg.at[k].set(row)

    _, hessenberg = jax.lax.fori_loop(0, steps, extend, (basis, hessenberg))
    return spectral_radius(hessenberg[:, :steps].T)


class Critical(NamedTuple):
    """The first β among those tried on the path of equilibria from β = 0 at which the local radius is 1 or more.

    Attributes:
      beta: that β, refined by bisection; infinite if there is none up to `searched`; NaN if the path was lost.
      searched: the largest β that was looked at.
    """

    beta: Array
    searched: Array


class _At(NamedTuple):
    log_beta: Array
    flow: Array
    radius: Array
    sound: Bool[Array, ""]


class _March(NamedTuple):
    low: _At
    high: _At
    bracketed: Array
    num_halvings: Array
    last: Array
    log_beta: Array


@as_it_is_now
def critical_beta(game: FiniteHorizonGame, response: AbstractTempered) -> Critical:
    """Follow the equilibrium from small β in steps of 14 % at most, 3 % near radius 1, and bisect where it passes 1.

    Below the critical β no eigenvalue of DΓ is 1, so the path is smooth and Newton's method stays on it. A fold is
    an eigenvalue 1, too: where Newton's method fails or jumps, the bisection ends at the fold. Between two points
    nothing bounds the radius: it may rise above 1 and fall again, so what is found is an upper bound at best.
    """
    dtype = game.dtype
    tolerance = float(jnp.finfo(dtype).eps) ** 0.75

    def solved(log_beta: Array, guess: Array) -> _At:
        gamma = mean_field_map(game, response.with_beta(jnp.exp(log_beta)))

        def correct(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
            flow, _, _, k = carry
            image, push = jax.linearize(gamma, flow)
            matrix = _matrix(push, flow)
            gap = (image - flow).reshape(-1)
            step = solve_dense(jnp.eye(flow.size, dtype=dtype) - matrix, gap).reshape(flow.shape)
            return flow + step, matrix, game.distance(flow, image), k + 1

        def going(carry: tuple[Array, Array, Array, Array]) -> Array:
            _, _, residual, k = carry
            return (residual > tolerance) & (k < _CORRECTIONS)

        blank = jnp.zeros((guess.size, guess.size), dtype)
        flow, matrix, residual, _ = jax.lax.while_loop(
            going, correct, (guess, blank, jnp.asarray(jnp.inf, dtype), jnp.int32(0))
        )
        near = game.distance(flow, guess) < 0.3
        sound = (residual <= tolerance) & near & (flow > -tolerance).all()
        return _At(log_beta, flow, spectral_radius(matrix), sound)

    def passed(at: _At) -> Array:
        return ~at.sound | (at.radius >= 1)

    tiny, flow = _start(game, response)
    eps = float(jnp.finfo(dtype).eps)
    nowhere = jnp.asarray(jnp.nan, dtype)
    blank = _At(nowhere, flow, jnp.zeros((), dtype), jnp.array(True))

    def step(march: _March) -> _March:
        """Move up from the last point below, or halve the interval once the radius has passed 1."""
        new = solved(march.log_beta, march.low.flow)
        over = passed(new)
        low, high = _where(over, march.low, new), _where(over, new, march.high)
        bracketed = march.bracketed | over
        # the radius at the first, tiny β says at which one it would be 1 if it grew in proportion
        first, moved = jnp.isnan(march.last), new.radius > eps * jnp.exp(new.log_beta)
        # a derivative of 0 at one mean field does not say that payoffs ignore it: then from the span of rewards
        scale = new.log_beta - jnp.log(jnp.where(moved, new.radius, eps**0.25))
        last = jnp.where(first, scale + jnp.log(500.0), march.last)
        ahead = jnp.clip((1 - low.radius) / 2, _SHORTEST, _LONGEST)
        upward = jnp.where(first, scale + jnp.log(0.02), low.log_beta + ahead)
        following = jnp.where(bracketed, (low.log_beta + high.log_beta) / 2, upward)
        return _March(low, high, bracketed, march.num_halvings + march.bracketed, last, following)

    def going(march: _March) -> Array:
        before_last = jnp.isnan(march.last) | (march.low.log_beta < march.last)
        return jnp.where(march.bracketed, march.num_halvings < _HALVINGS, before_last)

    start = _March(blank, blank, jnp.array(False), jnp.int32(0), nowhere, jnp.log(tiny))
    end = jax.lax.while_loop(going, step, start)
    middle = jnp.exp((end.low.log_beta + end.high.log_beta) / 2)
    # at a fold the radius approaches 1 like a square root; anywhere else the path was lost
    beta = jnp.where(end.bracketed, jnp.where(end.low.radius > 0.99, middle, jnp.nan), jnp.inf)
    return Critical(beta, jnp.exp(end.low.log_beta))


def _where(condition: Array, first: _At, second: _At) -> _At:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)


def _start(game: FiniteHorizonGame, response: AbstractTempered) -> tuple[Array, Array]:
    """Return a β so small that exp(βQ) is straight, and the flow of the reference policy."""
    shape = (game.horizon + 1, *game.available.shape[1:])
    flow = propagate(game, jnp.broadcast_to(jnp.exp(response.log_prior(game.available, game.dtype)), shape))
    rewards = jax.vmap(game.reward_at)(jnp.arange(shape[0], dtype=jnp.int32), flow)
    rewards = jnp.where(game.available, rewards, 0)
    spans = rewards.max(axis=(1, 2)) - rewards.min(axis=(1, 2))
    # the derivative has its digits at any β
    return float(jnp.finfo(game.dtype).eps) ** 0.25 / (1 + spans.sum()), flow
