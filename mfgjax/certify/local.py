"""Γ near one equilibrium: the spectral radius of its derivative, and the β at which that reaches 1."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._linear import solve_dense
from .._typing import Array, Bool
from ..model import FiniteHorizonGame
from ..responses.base import AbstractTempered
from ..solvers.base import Problem
from .certificate import DOCS, HOLDS, Certificate, Theorem
from .contraction import AgainstContraction
from .premises import Premises
from .radius import Radius, arnoldi_radius, spectral_radius
from .sampling import sample_laws, seen_of

_MOST_SQUARED = 512  # unknowns up to which the whole matrix is formed

MOST_UNKNOWNS = 200
"""Unknowns up to which the critical β is looked for without being asked."""

_LONGEST, _SHORTEST = 0.14, 0.03
"""Steps in log β: the longest at radius 0, the shortest near 1, where a crossing may hide between two points."""

_CORRECTIONS, _HALVINGS = 12, 24  # of Newton at one β; of the bracket in log β

_BEYOND = np.array([1.01, 1.05, 1.3])
"""Multiples of the critical β at one of which the radius must be above 1, whatever rounding does."""

_DIRECTIONS = 16

_LOCAL = Theorem(
    "local_radius",
    "Plain iteration of Γ converges if it starts near the equilibrium.",
    "spectral radius of DΓ (or a bound on it): the rate of plain iteration",
    "iteration of a smooth map converges near a fixed point if the spectral radius of the derivative there is below "
    "1; if it is above 1, the fixed point repels some starts near it",
    "Ostrowski's theorem",
    "a smooth response; the mean field is an equilibrium",
)
_CRITICAL = Theorem(
    "critical_beta",
    "β is below the critical β, at which plain iteration stops converging to the equilibrium followed from β = 0.",
    "first β found on the path from β = 0 where local_radius reaches 1",
    "as for local_radius; below it the path of equilibria from β = 0 is smooth",
    DOCS,
    "a smooth response",
)


def local_radius(
    premises: Premises, mean_field: Array, residual: Array | None, noise: Array | None, key: Array
) -> tuple[Certificate, AgainstContraction]:
    """Certify how plain iteration behaves near a mean field, by the spectral radius of DΓ there.

    Args:
      premises: what is known.
      mean_field: near which.
      residual: d_M(μ, Γ(μ)) with what rounding may hide of it; None: the response jumps.
      noise: what rounding of the action values does to Γ.
      key: of random directions.

    Returns:
      The certificate, and what the radius says against contraction. The radius is NaN where small differences of Γ are
      not those of its derivative.
    """
    if residual is None or noise is None or premises.no_derivative:
        why = "the response jumps" if residual is None else premises.no_derivative
        return _LOCAL.unknown(why, premises.beta), AgainstContraction()
    problem = Problem(premises.smooth, premises.response, np.zeros(()))
    image, push = jax.linearize(problem.image, mean_field)
    shape, size = mean_field.shape, mean_field.size
    eps = float(jnp.finfo(mean_field.dtype).eps)
    follows = _follows(problem, mean_field, image, push, noise, key)
    if size > _MOST_SQUARED:
        radius = arnoldi_radius(lambda v: push(v.reshape(shape)).reshape(-1), size, mean_field.dtype)
        radius = jnp.where(follows, radius, jnp.nan)
        never = jnp.zeros_like(radius, bool)
        how = (
            f"estimated by the Arnoldi method with 60 vectors, as there are {size} unknowns; an estimate proves nothing"
        )
        return _LOCAL.certificate(radius, how, holds=never), AgainstContraction(never, radius >= 1)
    matrix = _matrix(push, mean_field)
    norm = jnp.sqrt((matrix**2).sum())
    # the equilibrium may be some residuals away
    radius = spectral_radius(matrix, 8 * (2 * eps + noise + jnp.stack([jnp.zeros_like(residual), residual])) * norm)
    here, there = (Radius(radius.estimate, radius.low[i], radius.high[i]) for i in range(2))
    value = jnp.where(follows, here.value, jnp.nan)
    refutes = follows & (here.low >= 1)
    near = follows & (residual < eps**0.5)  # else iteration need not stay near the point
    how = (
        "numerically, with a lower and an upper bound that allow for rounding errors; the line holds or fails only "
        f"if the residual is below {eps**0.5:.1g} and if small differences of Γ in random directions agree with its "
        "derivative; if the bounds are more than 5% apart, the value is the lower one if that is at least 1, else "
        "the upper one; nothing is said about other equilibria"
    )
    line = _LOCAL.certificate(value, how, holds=near & (there.high < 1), fails=near & (there.low > 1))
    return line, AgainstContraction(refutes, follows & (here.estimate >= 1))


def _follows(
    problem: Problem, mean_field: Array, image: Array, push: Callable[[Array], Array], noise: Array, key: Array
) -> Array:
    """Tell whether small differences of Γ at a mean field are those of its derivative, in random directions.

    They are not where a reward or kernel bends there, as |x| at 0, or adds numbers so large that it moves in steps. A
    smooth map is off its derivative by a tenth at a tenth of the distance.
    """
    game: Any = problem.game
    eps = float(jnp.finfo(game.dtype).eps)
    other_flows = seen_of(game, sample_laws(game, key, _DIRECTIONS)[:, 0])
    far, near = eps**0.3125, eps**0.375  # 1e-5, 1e-6 in double precision

    def differences(other_flow: Array) -> tuple[Array, Array, Array]:
        direction = other_flow - mean_field
        expected = push(direction)
        at_far, at_near = (
            jnp.abs((problem.image(mean_field + h * direction) - image) / h - expected).max() for h in (far, near)
        )
        return at_far, at_near, jnp.abs(expected).max()

    at_far, at_near, size = jax.lax.map(differences, other_flows)
    hidden = 8 * (eps + noise) / near
    return (at_near <= jnp.maximum(at_far / 2, 1e-3 * size.max() + hidden)).all()


def _matrix(push: Callable[[Array], Array], point: Array) -> Array:
    """Return the matrix of a linear map of mean fields."""
    basis = jnp.eye(point.size, dtype=point.dtype).reshape(point.size, *point.shape)
    return jax.vmap(push)(basis).reshape(point.size, point.size).T


def critical_beta(premises: Premises, contraction: Certificate, searched: bool) -> Certificate:
    """Search for the β at which iteration stops converging, and certify that β lies below it.

    Args:
      premises: what is known.
      contraction: its factor bounds the local radius, so below its threshold the statement is proved. The search tries
        points, and proves nothing between them.
      searched: whether to look; it takes long for large games.
    """
    response = premises.tempered
    if response is None or premises.no_derivative or not searched:
        why = premises.no_derivative or "it was not computed, as it takes long for large games: ask with critical=True"
        return _CRITICAL.unknown("the response jumps" if response is None else why, premises.beta)
    found = _search(premises.smooth, response)
    how = (
        "numerically, at the points tried: the equilibrium is followed by Newton's method along β in steps of 3 to "
        "14%, then the crossing is bisected; the radius may exceed 1 between two of these points, so the line holds "
        "only if `contraction` does; the value is infinite if the radius is below 1 at all points, up to 500 times the "
        f"β that its slope at β = 0 suggests; {premises.how}"
    )
    above = premises.beta >= found
    below = (contraction.status == HOLDS) & ~above
    # none found is not none at all, unless Γ contracts at every β
    nowhere = jnp.isinf(found) & ~jnp.isposinf(contraction.threshold)
    threshold = jnp.where(nowhere, jnp.nan, found)
    return _CRITICAL.certificate(found, how, holds=below, fails=above, threshold=threshold)


class _At(NamedTuple):
    """A point on the path of equilibria; its radius is infinite where none was found near the point before."""

    log_beta: Array
    flow: Array
    radius: Array
    least_radius: Array  # what rounding leaves of it


class _March(NamedTuple):
    low: _At
    high: Array  # log β
    bracketed: Bool[Array, ""]
    num_halvings: Array
    last: Array
    log_beta: Array


def _search(game: FiniteHorizonGame, response: AbstractTempered) -> Array:
    """Return the first β on the path of equilibria from β = 0 that is found to have a local radius of 1 or more.

    The path is followed in steps of 14 % at most, 3 % near radius 1, and the step on which the radius passes 1 is
    bisected. The β is infinite if there is none up to the last that is tried, NaN if the path was lost.

    A radius that rounding may have raised, as that of a matrix far from normal, is none: NaN, too, if the radius is not
    above 1 beyond doubt a little farther on.

    Below the critical β no eigenvalue of DΓ is 1, so the path is smooth and Newton's method stays on it. A fold is
    an eigenvalue 1, too: where Newton's method fails or jumps, the bisection ends at the fold. Between two points
    nothing bounds the radius: it may rise above 1 and fall again, so what is found is an upper bound at best.
    """
    eps, nowhere = float(jnp.finfo(game.dtype).eps), jnp.asarray(jnp.nan, game.dtype)
    flow = Problem(game, response, np.zeros(())).first_guess()
    rewards = jax.vmap(game.reward_at)(jnp.arange(game.horizon + 1, dtype=jnp.int32), flow)
    rewards = jnp.where(game.available, rewards, 0)
    spans = rewards.max(axis=(1, 2)) - rewards.min(axis=(1, 2))
    tiny = eps**0.25 / (1 + spans.sum())  # so small that exp(βQ) is straight; the derivative has its digits at any β

    def step(march: _March) -> _March:
        """Move up from the last point below, or halve the interval once the radius has passed 1."""
        new = _equilibrium(game, response, march.log_beta, march.low.flow)
        over = new.radius >= 1
        low = jax.tree.map(lambda old, new: jnp.where(over, old, new), march.low, new)
        high = jnp.where(over, new.log_beta, march.high)
        bracketed = march.bracketed | over
        # the radius at the first, tiny β says at which one it would be 1 if it grew in proportion
        first, moved = jnp.isnan(march.last), new.radius > eps * jnp.exp(new.log_beta)
        # a derivative of 0 at one mean field does not say that payoffs ignore it: then from the span of rewards
        scale = new.log_beta - jnp.log(jnp.where(moved, new.radius, eps**0.25))
        last = jnp.where(first, scale + jnp.log(500.0), march.last)
        ahead = jnp.clip((1 - low.radius) / 2, _SHORTEST, _LONGEST)
        upward = jnp.where(first, scale + jnp.log(0.02), low.log_beta + ahead)
        following = jnp.where(bracketed, (low.log_beta + high) / 2, upward)
        return _March(low, high, bracketed, march.num_halvings + march.bracketed, last, following)

    def going(march: _March) -> Array:
        before_last = jnp.isnan(march.last) | (march.low.log_beta < march.last)
        return jnp.where(march.bracketed, march.num_halvings < _HALVINGS, before_last)

    blank = _At(nowhere, flow, jnp.zeros((), game.dtype), jnp.zeros((), game.dtype))
    start = _March(blank, nowhere, jnp.array(False), jnp.int32(0), nowhere, jnp.log(tiny))
    end = jax.lax.while_loop(going, step, start)
    middle = jnp.exp((end.low.log_beta + end.high) / 2)
    beyond = jax.lax.map(
        lambda ahead: _equilibrium(game, response, end.high + ahead, end.low.flow),
        jnp.log(jnp.asarray(_BEYOND, game.dtype)),
    )
    # eigenvalues of matrices that are far from normal may be anywhere near; at a fold there is no equilibrium beyond
    passes = (jnp.isfinite(beyond.radius) & (beyond.least_radius >= 1)).any() | jnp.isinf(beyond.radius[0])
    # at a fold the radius approaches 1 like a square root; anywhere else the path was lost
    return jnp.where(end.bracketed, jnp.where(passes & (end.low.radius > 0.99), middle, jnp.nan), jnp.inf)


def _equilibrium(game: FiniteHorizonGame, response: AbstractTempered, log_beta: Array, guess: Array) -> _At:
    """Return the equilibrium at one β by Newton's method from a guess nearby."""
    tolerance = float(jnp.finfo(game.dtype).eps) ** 0.75
    gamma = Problem(game, response.with_beta(jnp.exp(log_beta)), tolerance).image

    def correct(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        flow, _, _, k = carry
        image, push = jax.linearize(gamma, flow)
        matrix = _matrix(push, flow)
        gap = (image - flow).reshape(-1)
        step = solve_dense(jnp.eye(flow.size, dtype=game.dtype) - matrix, gap).reshape(flow.shape)
        return flow + step, matrix, game.distance(flow, image), k + 1

    def going(carry: tuple[Array, Array, Array, Array]) -> Array:
        _, _, residual, k = carry
        return (residual > tolerance) & (k < _CORRECTIONS)

    blank = jnp.zeros((guess.size, guess.size), game.dtype)
    start = guess, blank, jnp.asarray(jnp.inf, game.dtype), jnp.int32(0)
    flow, matrix, residual, _ = jax.lax.while_loop(going, correct, start)
    # farther from the last point, Newton has jumped to another branch
    sound = (residual <= tolerance) & (game.distance(flow, guess) < 0.3) & (flow > -tolerance).all()
    radius = spectral_radius(matrix, 16 * float(jnp.finfo(game.dtype).eps) * jnp.sqrt((matrix**2).sum()))
    return _At(log_beta, flow, *(jnp.where(sound, number, jnp.inf) for number in (radius.estimate, radius.low)))
