"""Uniqueness without contraction: monotone rewards, and hypomonotone ones.

Two equilibria with joint laws η, η' of states and actions satisfy

    (1/β) Σ_t γ^t k_t = Σ_t γ^t ⟨η_t − η'_t, R_t(μ_t) − R_t(μ'_t)⟩,    k_t = E' KL(π'_t|π_t) + E KL(π_t|π'_t)

so a right-hand side ≤ 0 makes them equal at every β, and one ≤ Σ_t γ^t m_t |η_t − η'_t|_1² does so below some β.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from .._typing import Array, Bool, Float
from ..model import FiniteHorizonGame
from .certificate import DOCS, HOLDS, Certificate, Theorem
from .contraction import discounted_tails, largest_threshold, linear_bound
from .paths import availability, counted
from .payoffs import Separable
from .premises import Premises
from .slopes import DenseSlopes
from .violations import along, between_states, largest_violation, on_first_action

_MOST_UNKNOWNS = 512
"""Size of a matrix whose eigenvalues are worth waiting for."""

_MONOTONE = Theorem(
    "monotone",
    "Rewards are monotone (roughly: they fall where the crowd grows): Σ_t ⟨η_t−η'_t, R_t(μ_t)−R_t(μ'_t)⟩ <= 0 for all "
    "joint laws η, η' of states and actions with mean fields μ, μ'.",
    "c in Σ ⟨η−η',R−R'⟩ <= c Σ |η−η'|_1²; without a bound the largest found",
    "with monotone rewards there is at most one regularised equilibrium at every β",
    f"{DOCS}; Lasry and Lions (2007), Japanese Journal of Mathematics 2",
    "an EntropyRegularized response and a kernel that does not depend on the mean field, for the uniqueness",
)
_HYPOMONOTONE = Theorem(
    "hypomonotone",
    "There is one equilibrium, as rewards are hypomonotone: they violate monotonicity by little enough for this β.",
    "β max_τ Σ_{t>=τ} γ^(t−τ) m_t with m_t as c, at time t; below 1: unique",
    "two equilibria satisfy Σ_t γ^t k_t <= β Σ_t γ^t m_t |η_t−η'_t|_1², with k_t the KL divergences between their "
    "policies in both directions, and by Pinsker's inequality |η_t−η'_t|_1² <= Σ_{τ<=t} k_τ",
    DOCS,
    "an EntropyRegularized response, a kernel that does not depend on the mean field",
)
_UNIQUE = Theorem(
    "unique",
    "There is exactly one equilibrium at this β.",
    "the β below which one equilibrium is proved",
    "a contraction has one fixed point; monotone and hypomonotone rewards allow at most one equilibrium",
    DOCS,
    "those of the line from which it follows; equilibria exist by Brouwer's theorem",
)


def monotone(premises: Premises, key: Array) -> tuple[Certificate, Certificate]:
    """Certify that rewards are monotone, and that they are near enough to it for one equilibrium.

    Violations of monotonicity are looked for, too, in pairs of flows, of which most are drawn with `key`.
    """
    curvature, why = _curvature(premises), premises.why_not()
    if why:
        hypomonotone = _HYPOMONOTONE.unknown(why, premises.beta)
    else:
        hypomonotone = linear_bound(premises, _HYPOMONOTONE, _per_beta(premises, curvature), premises.how)
    violation = largest_violation(premises.game, key, curvature.suspects)
    violated, largest_bound = violation > 0, curvature.bound.max()
    # spans without a bound say nothing, of rounding neither
    no_more_than_rounding = jnp.isfinite(curvature.bound) & (curvature.bound <= curvature.rounding)
    holds = no_more_than_rounding.all() & premises.proved & ~violated
    how = (
        f"by {curvature.how}; a violation beyond rounding errors of the rewards was looked for in pairs of flows, some "
        "random, some chosen where it is likely; the largest one found is no bound"
    )
    if not premises.proved:
        how = f"only sampled, so monotonicity may fail where no violation was found ({premises.how})"
    value = jnp.where(violated, jnp.fmax(violation, largest_bound), largest_bound)  # fmax, as the bound may be NaN
    # what rounding may hide of monotone rewards bounds their β, as for hypomonotone ones
    threshold = jnp.where(holds, hypomonotone.threshold, jnp.nan)
    return _MONOTONE.certificate(value, how, holds=holds, fails=violated, threshold=threshold), hypomonotone


class _Curvature(NamedTuple):
    """What is known of the sum ⟨η−η', R_t(μ)−R_t(μ')⟩ at each time.

    Attributes:
      bound: m_t with ⟨η−η', R_t(μ)−R_t(μ')⟩ ≤ m_t |η−η'|_1², `[T]`; 0 where rewards are monotone, or what rounding
        may hide of that.
      rounding: how large m_t may be where rewards are monotone.
      by_states: whether |μ−μ'|_1² may stand for |η−η'|_1² at a time, `[T]`.
      suspects: pairs of flows at which the sum is likely to be positive, if it is anywhere, `[pairs, 2, T, S, A]`.
      how: what was done, as the end of a sentence.
    """

    bound: Float[Array, " T"]
    rounding: Float[Array, " T"]
    by_states: Bool[Array, " T"]
    suspects: Float[Array, "pairs 2 T S A"]
    how: str


def _curvature(premises: Premises) -> _Curvature:
    """Bound the curvature of the rewards from above.

    Always m_t ≤ κ_t/4, since ⟨η−η', ΔR⟩ ≤ (|η−η'|_1/2) span ΔR. Rewards F(μ_t(s)) of the crowd at one's own state: m =
    a/2 + b/4 whenever F'(x) ≤ a + b x on [0,1], as Σ z² ≤ |z|_1²/2 for z = μ−μ' and Σ z² (μ+μ')/2 ≤ max z². Others:
    half of the largest eigenvalue of the symmetric part of the derivative on vectors that sum to 0 and the largest row
    sum of what it may be off, as |z|_2² ≤ |z|_1²/2 for them.
    """
    game, payoffs, spans = premises.game, premises.payoffs, premises.spans
    at_no_time, zeros = jnp.zeros(game.horizon + 1, bool), jnp.zeros(game.horizon + 1, game.dtype)
    none = jnp.zeros((0, 2, *availability(game).shape), game.dtype)
    if payoffs is None or spans is None:
        return _Curvature(jnp.full_like(zeros, jnp.nan), zeros, at_no_time, none, "nothing")
    if payoffs.separable is not None:
        alike = payoffs.separable.alike  # then the spans, too, bound the sum by |μ−μ'|_1²
        own_bound = _of_own_state(payoffs.separable)
        bound = jnp.minimum(counted(game, jnp.where(alike, own_bound, jnp.inf)), spans / 4)
        how = "the slope of the reward as a function of the share of agents at one's own state, on [0, 1]"
        return _Curvature(bound, zeros, alike, between_states(game, payoffs.separable), how)
    if not isinstance(payoffs.slopes, DenseSlopes) or _size(premises) > _MOST_UNKNOWNS:
        return _Curvature(
            spans / 4, zeros, at_no_time, none, "the spans of rewards, which cannot show that rewards are monotone"
        )
    largest, off, by_states, directions = _eigenvalues(game, payoffs.slopes)
    rounding = rounding_of_matrices(game) * spans  # of computed eigenvalues, on the scale of their own time
    bound = counted(game, jnp.maximum(largest + off + rounding, 0) / 2)
    bound = jnp.minimum(jnp.where(jnp.isnan(bound), jnp.inf, bound), spans / 4)
    how = "eigenvalues of the symmetric part of the derivative on vectors that sum to 0"
    return _Curvature(bound, rounding, by_states, along(game, directions), how)


def _per_beta(premises: Premises, curvature: _Curvature) -> Array:
    """Return max_τ M_τ, so that there is one equilibrium below its inverse; 0 for monotone rewards, NaN: unbounded.

    By Pinsker's inequality on laws of paths, |η_t−η'_t|_1² ≤ Σ_{τ≤t} k_τ and |μ_t−μ'_t|_1² ≤ α² Σ_{τ<t} k_τ, so the
    right-hand side is at most Σ_τ γ^τ k_τ M_τ with M_τ = Σ_{t≥τ} γ^(t−τ) m_t, or the sum over t > τ where laws of
    states stand for joint ones.
    """
    discount = premises.game.discount
    of_states = jnp.where(curvature.by_states, curvature.bound, 0)
    joint = discounted_tails(jnp.where(curvature.by_states, 0, curvature.bound), discount)
    later = discounted_tails(of_states * premises.mixing.max() ** 2, discount)
    # t > τ: the law of states at t comes from decisions before t
    later = discount * jnp.append(later[1:], jnp.zeros_like(later[:1]))
    largest = (joint + later).max()
    return jnp.where(jnp.isfinite(largest), largest, jnp.nan)


def rounding_of_matrices(game: FiniteHorizonGame) -> float:
    return 64 * float(jnp.finfo(game.dtype).eps) * game.num_states * game.num_actions


def _size(premises: Premises) -> int:
    """Return how many numbers a law has at one time; actions count only if payoffs depend on them."""
    game, payoffs = premises.game, premises.payoffs
    tell_apart = game.observes != "states" or payoffs is None or payoffs.slopes.shape[2] > 1
    return game.num_states * (game.num_actions if tell_apart else 1)


def _of_own_state(separable: Separable) -> Float[Array, " T"]:
    """Return the least a/2 + b/4 with F' ≤ a + b x."""
    slope = jnp.maximum(separable.slope.high.max(axis=2), 0)  # [cells, T]
    cell_starts = separable.start[:, None]

    def bound(b: Array) -> Array:
        a = jnp.maximum(slope - b * cell_starts, 0).max(axis=0)
        return a / 2 + b / 4

    # convex in b: ternary search, then its best point
    def narrow(_: Array, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        first, second = low + (high - low) / 3, high - (high - low) / 3
        better = bound(first) <= bound(second)
        return jnp.where(better, low, first), jnp.where(better, second, high)

    widest = 2 * slope.max(axis=0)
    low, high = jax.lax.fori_loop(0, 80, narrow, (jnp.zeros_like(widest), widest))
    return bound((low + high) / 2)


def _eigenvalues(game: FiniteHorizonGame, slopes: DenseSlopes) -> tuple[Array, Array, Array, Float[Array, "T X"]]:
    """Return per time the largest eigenvalue, what it may be off, whether states alone matter, and its eigenvector.

    The eigenvectors are directions of joint laws, `[T, S A]`.
    """
    centre, spread = slopes.centre, slopes.spread
    joint, actions = game.observes != "states", centre.shape[2]
    size = game.num_states * game.num_actions

    def at(xs: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        table, radius, available, first = xs  # [S, A, n], [S, A, n], [S, A], [S, A of the game]
        num_states = table.shape[0]
        if joint:
            table = jnp.broadcast_to(table, (num_states, game.num_actions, table.shape[-1]))
            radius = jnp.broadcast_to(radius, table.shape)
            value, off, vector = _largest(
                table.reshape(size, size), radius.reshape(size, size), available.reshape(size)
            )
            return value, off, jnp.array(False), vector
        rows = jnp.where(available[..., None], table, -jnp.inf).max(axis=1)
        least = jnp.where(available[..., None], table, jnp.inf).min(axis=1)
        alike = (rows == least).all() & (radius == 0).all() if actions > 1 else jnp.array(True)
        everywhere = jnp.ones(num_states, bool)
        of_states = _largest(rows, jnp.where(available[..., None], radius, 0).max(axis=1), everywhere)
        value, off, vector = *of_states[:2], (of_states[2][:, None] * first).reshape(size)
        if actions == 1:
            return value, off, alike, vector
        # payoffs that ignore the others' actions have one slope in all η(s',·): that in μ(s')
        spread_out = jnp.repeat(table.reshape(size, num_states), actions, axis=1)
        spread_off = jnp.repeat(radius.reshape(size, num_states), actions, axis=1)
        of_pairs = _largest(spread_out, spread_off, available.reshape(size))
        value, off, vector = (jnp.where(alike, *both) for both in zip((value, off, vector), of_pairs, strict=True))
        return value, off, alike, vector

    masks = availability(game, None if joint else actions), on_first_action(game)
    return jax.lax.map(at, (centre, spread, *masks))


def _largest(matrix: Array, radius: Array, available: Array) -> tuple[Array, Array, Array]:
    """Return the largest eigenvalue of the symmetric part on vectors that sum to 0, the row sum of the radius, and the
    eigenvector."""
    both_available = available[:, None] & available[None, :]
    matrix = without_constants(matrix, available)
    symmetric, off = (jnp.where(both_available, (square + square.T) / 2, 0) for square in (matrix, radius))
    weight = available.astype(matrix.dtype)
    project = jnp.diag(weight) - weight[:, None] * weight[None, :] / weight.sum()
    # what is projected away would have the eigenvalue 0: it is put below all others
    below = jnp.abs(symmetric).sum(axis=1).max() * (jnp.eye(weight.size, dtype=matrix.dtype) - project)
    value, vector = symmetric_largest(project @ symmetric @ project - below)
    return value, off.sum(axis=1).max(), project @ vector


def without_constants(matrix: Array, available: Array) -> Array:
    """Subtract the first available column from all, then the first row: no change on vectors that sum to 0.

    Entries that are alike leave an exact 0, where a projection would leave rounding.
    """
    first = jnp.argmax(available)
    matrix = matrix - matrix[:, first, None]
    return matrix - matrix[first]


@jax.custom_batching.sequential_vmap
def symmetric_largest(matrix: Array) -> tuple[Array, Array]:
    """Return the largest eigenvalue and its vector; one at a time, as batched LAPACK may deadlock with many devices."""
    values, vectors = jnp.linalg.eigh(matrix)
    return values[-1], vectors[:, -1]


def unique(premises: Premises, lines: Sequence[Certificate]) -> Certificate:
    """Certify that there is one equilibrium, as follows from the lines contraction, monotone and hypomonotone."""
    largest = largest_threshold(lines)
    # monotone rewards are a property of the game, which implies uniqueness where its threshold says so
    proved = [(line.status == HOLDS) & (premises.beta < line.threshold) for line in lines]
    value = None if premises.payoffs is None else premises.payoffs.value
    if value is not None:  # the others need bounded rewards anyway
        is_bounded = jnp.isfinite(value.low).all() & jnp.isfinite(value.high).all()
        proved = [holds & (is_bounded | (line.name != "monotone")) for holds, line in zip(proved, lines, strict=True)]
    # of monotone rewards the line says nothing of what rounding may do to Γ
    proved = [holds & (premises.beta * premises.lost < premises.below_one) for holds in proved]
    how = ", ".join(line.name for line in lines)
    how = f"from the lines {how}; monotone rewards count only if they are bounded, because then an equilibrium exists"
    how = f"{how}; {premises.how}"
    return _UNIQUE.certificate(largest, how, holds=jnp.stack(proved).any(axis=0), threshold=largest)
