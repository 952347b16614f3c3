"""Uniqueness without contraction: monotone rewards, hypomonotone ones, and potentials.

Two equilibria with joint laws η, η' of states and actions satisfy

    (1/β) Σ_t γ^t k_t = Σ_t γ^t ⟨η_t − η'_t, R_t(μ_t) − R_t(μ'_t)⟩,    k_t = E' KL(π'_t|π_t) + E KL(π_t|π'_t)

so a right-hand side ≤ 0 makes them equal at every β, and one ≤ Σ_t γ^t m_t |η_t − η'_t|_1² does so below some β.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array, Bool, Float
from ..model import FiniteHorizonGame
from .contraction import at_most, counted, discounted_tails
from .payoffs import Payoffs, Separable
from .sampling import sample_laws, seen_of
from .slopes import DenseSlopes

_MOST_UNKNOWNS = 512
"""Size of a matrix whose eigenvalues are worth waiting for."""

_NEAREST = 1e-4
"""|η−η'|_1 of pairs that are looked at."""

_MOST_SAMPLED = 2**22
"""Numbers that are drawn in the search for violations."""


class Monotone(NamedTuple):
    """What is known of the sum ⟨η−η', R_t(μ)−R_t(μ')⟩ at each time.

    Attributes:
      curvature: m_t with ⟨η−η', R_t(μ)−R_t(μ')⟩ ≤ m_t |η−η'|_1², `[T]`; 0 where rewards are monotone, or what rounding
        may hide of that.
      by_states: whether |μ−μ'|_1² may stand for |η−η'|_1² at a time, `[T]`.
      proved: whether rewards are proved monotone at all times, but for rounding.
      violation: a value of the sum per |η−η'|_1² that is reached, the largest found; > 0: they are not monotone.
      how: what was done, as the end of a sentence.
    """

    curvature: Float[Array, " T"]
    by_states: Bool[Array, " T"]
    proved: Bool[Array, ""]
    violation: Array
    how: str


def monotone(
    game: FiniteHorizonGame, payoffs: Payoffs | None, spans: Float[Array, " T"] | None, key: Array
) -> Monotone:
    """Bound the curvature of the rewards from above, and look for violations of monotonicity.

    Always m_t ≤ κ_t/4, since ⟨η−η', ΔR⟩ ≤ (|η−η'|_1/2) span ΔR. Rewards F(μ_t(s)) of the crowd at one's own state: m =
    a/2 + b/4 whenever F'(x) ≤ a + b x on [0,1], as Σ z² ≤ |z|_1²/2 for z = μ−μ' and Σ z² (μ+μ')/2 ≤ max z². Others:
    half of the largest eigenvalue of the symmetric part of the derivative on vectors that sum to 0 and the largest row
    sum of what it may be off, as |z|_2² ≤ |z|_1²/2 for them.
    """
    mask = jnp.broadcast_to(game.available, (game.horizon + 1, *game.available.shape[1:]))
    violation, by_states = _sampled_violation(game, key), jnp.zeros(mask.shape[0], bool)
    if payoffs is None or spans is None:
        return Monotone(
            jnp.full(mask.shape[0], jnp.nan), by_states, jnp.array(False), violation, "pairs of random flows"
        )
    curvature = general = spans / 4
    rounding = jnp.zeros_like(spans)  # what computed eigenvalues may be off, on the scale of their own time
    how = "the spans of rewards, which tell nothing of signs"
    if payoffs.separable is not None:
        own, worst = _of_own_state(payoffs.separable)
        own = counted(game, jnp.where(payoffs.separable.alike, own, jnp.inf))
        by_states = payoffs.separable.alike  # then the spans, too, bound the sum by |μ−μ'|_1²
        curvature = jnp.minimum(own, general)
        violation = jnp.maximum(violation, counted(game, jnp.where(payoffs.separable.alike, worst, -jnp.inf)).max())
        how = "the slope of the reward in the crowd at one's own state, on every part of [0, 1]"
    elif isinstance(payoffs.slopes, DenseSlopes) and _size(game, payoffs) <= _MOST_UNKNOWNS:
        largest, off, by_states = _eigenvalues(game, payoffs.slopes, mask)
        rounding = _rounding(game) * spans
        bound = counted(game, jnp.maximum(largest + off + rounding, 0) / 2)
        bound = jnp.where(jnp.isnan(bound), jnp.inf, bound)
        curvature = jnp.minimum(bound, general)
        if payoffs.affine:
            violation = jnp.maximum(violation, counted(game, largest - rounding).max() / _size(game, payoffs))
        how = "eigenvalues of the symmetric part of the derivative on vectors that sum to 0"
    return Monotone(curvature, by_states, (curvature <= rounding).all(), violation, how)


def uniqueness_threshold(game: FiniteHorizonGame, found: Monotone, mixing: Float[Array, " H"]) -> Array:
    """Return the β below which there is one equilibrium: 1 / max_τ M_τ, infinite for monotone rewards.

    By Pinsker's inequality on laws of paths, |η_t−η'_t|_1² ≤ Σ_{τ≤t} k_τ and |μ_t−μ'_t|_1² ≤ α² Σ_{τ<t} k_τ, so the
    right-hand side is at most Σ_τ γ^τ k_τ M_τ with M_τ = Σ_{t≥τ} γ^(t−τ) m_t, or the sum over t > τ where laws of
    states stand for joint ones.
    """
    of_states = jnp.where(found.by_states, found.curvature, 0)
    joint = discounted_tails(jnp.where(found.by_states, 0, found.curvature), game.discount)
    later = discounted_tails(of_states * mixing.max() ** 2, game.discount)
    later = game.discount * jnp.append(later[1:], jnp.zeros_like(later[:1]))
    return at_most(1, (joint + later).max())


def _rounding(game: FiniteHorizonGame) -> float:
    return 64 * float(jnp.finfo(game.dtype).eps) * game.num_states * game.num_actions


def _size(game: FiniteHorizonGame, payoffs: Payoffs) -> int:
    return payoffs.slopes.shape[1] * payoffs.slopes.shape[2] if game.observes == "states" else _pairs(game)


def _pairs(game: FiniteHorizonGame) -> int:
    return game.num_states * game.num_actions


def _of_own_state(separable: Separable) -> tuple[Float[Array, " T"], Float[Array, " T"]]:
    """Return the least a/2 + b/4 with F' ≤ a + b x, and the largest value of the sum per |η−η'|_1² that is reached."""
    slope = jnp.maximum(separable.slope.high.max(axis=2), 0)  # [cells, T]
    left = separable.start[:, None]

    def bound(b: Array) -> Array:
        a = jnp.maximum(slope - b * left, 0).max(axis=0)
        return a / 2 + b / 4

    # convex in b: ternary search, then its best point
    def narrow(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        first, second = low + (high - low) / 3, high - (high - low) / 3
        better = bound(first) <= bound(second)
        return jnp.where(better, low, first), jnp.where(better, second, high)

    widest = 2 * slope.max(axis=0)
    low, high = jax.lax.fori_loop(0, 80, narrow, (jnp.zeros_like(widest), widest))
    return bound((low + high) / 2), _rising(separable)


def _rising(separable: Separable) -> Float[Array, " T"]:
    """Return the largest sum of the slopes of two states, each with at most half of the crowd, over 4.

    Moving a little crowd z between them changes the sum by that times |(z,−z)|_1² = 4 z², so it is a violation if it
    is positive. With two states their shares add up to 1, and nothing is said.
    """
    if separable.slope.low.shape[2] < 3:
        return jnp.full(separable.slope.low.shape[1], -jnp.inf)
    small = (separable.start + separable.width <= 0.5)[:, None, None]
    per_state = jnp.where(small, separable.slope.low, -jnp.inf).max(axis=0)
    return jax.lax.top_k(per_state, 2)[0].sum(axis=1) / 4


def _eigenvalues(
    game: FiniteHorizonGame, slopes: DenseSlopes, mask: Bool[Array, "T S A"]
) -> tuple[Array, Array, Array]:
    """Return per time the largest eigenvalue, what it may be off, and whether states alone matter."""
    centre, off = slopes.centre, slopes.spread
    joint, actions = game.observes != "states", centre.shape[2]

    def at(xs: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        table, radius, available = xs  # [S, A, n], [S, A, n], [S, A]
        num_states = table.shape[0]
        if joint:
            table = jnp.broadcast_to(table, (num_states, game.num_actions, table.shape[-1]))
            radius = jnp.broadcast_to(radius, table.shape)
            size = _pairs(game)
            found = _largest(table.reshape(size, size), radius.reshape(size, size), available.reshape(size))
            return *found, jnp.array(False)
        rows = jnp.where(available[..., None], table, -jnp.inf).max(axis=1)
        least = jnp.where(available[..., None], table, jnp.inf).min(axis=1)
        alike = (rows == least).all() & (radius == 0).all() if actions > 1 else jnp.array(True)
        everywhere = jnp.ones(num_states, bool)
        of_states = _largest(rows, jnp.where(available[..., None], radius, 0).max(axis=1), everywhere)
        if actions == 1:
            return *of_states, alike
        size = num_states * actions
        spread_out = jnp.repeat(table.reshape(size, num_states), actions, axis=1)
        spread_off = jnp.repeat(radius.reshape(size, num_states), actions, axis=1)
        of_pairs = _largest(spread_out, spread_off, available.reshape(size))
        return jnp.where(alike, of_states[0], of_pairs[0]), jnp.where(alike, of_states[1], of_pairs[1]), alike

    fitted = mask.any(axis=2, keepdims=True) if actions == 1 and not joint else mask
    return jax.lax.map(at, (centre, off, fitted))


def _largest(matrix: Array, radius: Array, available: Array) -> tuple[Array, Array]:
    """Return the largest eigenvalue of the symmetric part on vectors that sum to 0, and the row sum of the radius."""
    both = available[:, None] & available[None, :]
    symmetric, off = (jnp.where(both, (part + part.T) / 2, 0) for part in (matrix, radius))
    weight = available.astype(matrix.dtype)
    project = jnp.diag(weight) - weight[:, None] * weight[None, :] / weight.sum()
    # what is projected away would have the eigenvalue 0: it is put below all others
    below = jnp.abs(symmetric).sum(axis=1).max() * (jnp.eye(weight.size, dtype=matrix.dtype) - project)
    return symmetric_largest(project @ symmetric @ project - below), off.sum(axis=1).max()


@jax.custom_batching.sequential_vmap
def symmetric_largest(matrix: Array) -> Array:
    """Return the largest eigenvalue; one matrix at a time, as batched LAPACK calls may deadlock with many devices."""
    return jnp.linalg.eigvalsh(matrix)[-1]


def _sampled_violation(game: FiniteHorizonGame, key: Array) -> Array:
    """Return the largest value of ⟨η−η', R_t(μ)−R_t(μ')⟩ / |η−η'|_1² over random pairs, at times that count."""
    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    size = times.size * game.num_states * game.num_actions

    def value(laws: Array) -> Array:
        rewards = jax.vmap(jax.vmap(game.reward_at), in_axes=(None, 0))(times, seen_of(game, laws))
        rewards = jnp.where(game.available, rewards, 0)
        moved = laws[0] - laws[1]
        apart = jnp.abs(moved).sum(axis=(1, 2))
        total = (moved * (rewards[0] - rewards[1])).sum(axis=(1, 2))
        # rounding of the rewards counts for the less the farther apart the laws are
        total -= 8 * jnp.finfo(game.dtype).eps * jnp.abs(rewards).max(axis=(0, 2, 3)) * apart
        return counted(game, jnp.where(apart > _NEAREST, total / apart**2, -jnp.inf), -jnp.inf).max()

    return jax.vmap(value)(sample_laws(game, key, int(np.clip(_MOST_SAMPLED // size, 8, 512)))).max()


class Potential(eqx.Module):
    """Whether rewards are the gradient of a function of the population.

    Attributes:
      asymmetry: the largest |D − Dᵀ| on vectors that sum to 0, D the derivative of rewards as a function of η.
      proved: whether it is 0 at all mean fields.
      refuted: whether it is more than rounding at some.
      how: what was done, as the end of a sentence.
    """

    asymmetry: Array
    proved: Bool[Array, ""]
    refuted: Bool[Array, ""]
    how: str = eqx.field(static=True)


def potential(game: FiniteHorizonGame, payoffs: Payoffs | None, key: Array, steps: str = "") -> Potential:
    """Test whether R_t(·,μ) = ∇F_t(μ) on laws: whether its derivative is symmetric on vectors that sum to 0.

    `steps` says why automatic derivatives say nothing.
    """
    mask = jnp.broadcast_to(game.available, (game.horizon + 1, *game.available.shape[1:]))
    if payoffs is not None and payoffs.separable is not None:
        alike = (payoffs.separable.alike | (jnp.arange(game.horizon + 1) == 0)).all()
        how = "the form of the rewards: each state's has its own antiderivative where all actions earn the same"
        return Potential(jnp.where(alike, 0, jnp.nan), alike, jnp.array(False), how)
    size = _pairs(game)
    if steps or size * size * (game.horizon + 1) > 2**24:
        why = f"nothing, as {steps or 'the game is too large'}"
        return Potential(jnp.array(jnp.nan, game.dtype), jnp.array(False), jnp.array(False), why)
    joint = game.observes != "states"
    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    affine = payoffs is not None and payoffs.affine
    if affine:
        points = seen_of(game, jnp.zeros((1, *mask.shape), game.dtype))
        how = "the derivative, which is the same at all mean fields"
    else:
        points = seen_of(game, sample_laws(game, key, 8)[:, 0])
        how = "the derivative at 8 random mean fields"

    def asymmetry(t: Array, seen: Array, available: Array) -> tuple[Array, Array, Array]:
        derivative = jax.jacfwd(lambda m: game.reward_at(t, m))(seen)
        if not joint:
            derivative = jnp.broadcast_to(derivative[:, :, :, None], (*derivative.shape, game.num_actions))
        weight = available.reshape(size).astype(game.dtype)
        project = jnp.diag(weight) - weight[:, None] * weight[None, :] / weight.sum()
        both = project @ jnp.where(weight[:, None] > 0, derivative.reshape(size, size), 0) @ project
        return jnp.abs(both - both.T).max(), jnp.abs(both).max(), off(t, seen, available) if affine else jnp.zeros(())

    def off(t: Array, seen: Array, available: Array) -> Array:
        """Return by how much the derivative misses an affine reward where all are at one place.

        A derivative of the user's own, or one that is stopped, says nothing of the rewards.
        """
        points = jnp.eye(seen.size, dtype=game.dtype).reshape(-1, *seen.shape)
        slopes = jax.vmap(lambda m: jax.jvp(lambda x: game.reward_at(t, x), (seen,), (m,))[1])(points)
        values = jax.vmap(lambda m: game.reward_at(t, m))(points)
        missed = values - values[0] - (slopes - slopes[0])
        scale = _rounding(game) * (jnp.abs(values).max(axis=0) + jnp.abs(slopes).max(axis=0))
        kept = available[None] & (available.reshape(-1, 1, 1) if joint else True)
        return jnp.where(kept, jnp.abs(missed) - scale, -jnp.inf).max()

    found = jax.lax.map(lambda point: jax.vmap(asymmetry)(times, point, mask), points)
    worst, largest, missed = (jax.vmap(lambda row: counted(game, row))(part) for part in found)
    symmetric = (worst <= _rounding(game) * largest).all()  # on the scale of each time
    told = (missed <= 0).all()
    return Potential(worst.max(), affine & symmetric & told, ~symmetric & told, how)
