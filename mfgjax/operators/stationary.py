"""Discounted decision problems without an end: their values, by policy and by value iteration; laws of states.

A `Decision` is what an agent faces in one population. Values `[S]` are the fixed point of V = T(V),

    q(s,a) = r(s,a) + γ Σ_s' P(s'|s,a) V(s'),   T(V) = values of the response to q.

T is monotone and T(V + c) = T(V) + γ c for every response of the library, so it is a γ-contraction in the sup norm.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._gradients import stop_gradients
from .._linear import DENSE_LIMIT, solve_linear
from .._modes import in_own_modes
from .._typing import Array, Bool, Float
from .._varying import alike
from ..kernels.base import align
from ..responses import AbstractResponse
from ..responses.base import Backup
from ..responses.ties import ROUNDING, spacings, tie_band

_MOST_POLICIES = 100  # a safeguard: a few Newton steps suffice
_MOST_SWEEPS = 100_000  # as documented: a population that moves after so many steps is not called stationary
_LEAST_SQUARINGS, _MOST_SQUARINGS = 8, 64  # k squarings make 2^k steps of the chain


class Decision(eqx.Module):
    """The decision problem that a population poses: `kernel` has `expect` and `push`, `reward` is `[S, A]`."""

    kernel: Any
    reward: Float[Array, "S A *batch"]
    available: Bool[Array, "S A"]
    discount: Float[Array, "*#batch"]

    def q(self, values: Array) -> Array:
        """Return r(s,a) + γ Σ_s' P(s'|s,a) v(s')."""
        return self.reward + self.discount * self.kernel.expect(values)

    def mean(self, weights: Array, values: Array) -> Array:
        """Return Σ_a w(s,a) Σ_s' P(s'|s,a) v(s'), where w is not 0."""
        ahead = self.kernel.expect(values)
        return jnp.where(weights != 0, weights * ahead, 0).sum(axis=1)


def improve(decision: Decision, response: AbstractResponse, values: Array) -> tuple[Backup, Array]:
    """Return one step of value iteration: the backup of q, and q itself."""
    q = decision.q(values)
    band = response.tie_band(q, decision.available)
    return response.backup(jnp.int32(0), q, decision.available, band), q


def response_values(decision: Decision, response: AbstractResponse, start: Array) -> Array:
    """Return the values V = T(V) of a response; differentiable in decision and response, whatever method found V.

    Up to some hundred states it is policy iteration, which is exact after a few linear systems; beyond, and where
    many problems are solved at once, value iteration, which needs no matrix.
    """
    method = policy_iteration if start.ndim == 1 and len(start) <= DENSE_LIMIT else value_iteration
    return _fixed_values((decision, response), method(*stop_gradients((decision, response, start))))


def policy_iteration(decision: Decision, response: AbstractResponse, start: Array) -> Array:
    """Return V = T(V) by Newton's method, whose steps evaluate a policy: V ← V + (I − γ P_w)⁻¹ (T(V) − V).

    w = dT/dq are the weights of the actions in the values: the policy itself where the response maximises a
    criterion, a greedy one where its values are greedy. From any start the values of the policies rise, and for the
    hard responses a policy repeats after finitely many.
    """

    def residual(values: Array) -> Any:
        def backed(q: Array) -> Array:
            return response.backup(jnp.int32(0), q, decision.available).values

        new_values, pull = jax.vjp(backed, decision.q(values))  # T(V) and the weights dT/dq from one pass
        return new_values - values, pull(jnp.ones_like(new_values))[0]

    def unsettled(carry: tuple) -> Bool[Array, ""]:
        values, change, _, count = carry
        # rewards count, too: at values near 0 no relative test is ever met
        size = jnp.abs(values).max() + jnp.abs(decision.reward).max()
        return (jnp.abs(change).max() > ROUNDING * jnp.finfo(values.dtype).eps * size) & (count < _MOST_POLICIES)

    def evaluate(carry: tuple) -> tuple:
        values, change, weights, count = carry
        values = values + _solve(decision, weights, change)
        return values, *residual(values), count + 1

    return jax.lax.while_loop(unsettled, evaluate, alike((start, *residual(start), jnp.int32(0))))[0]


def value_iteration(
    decision: Decision, response: AbstractResponse, start: Array, tolerance: float | None = None
) -> Array:
    """Return V = T(V) by iterating T, with MacQueen's bounds: with Δ = T(V) − V,

        T(V) + γ/(1−γ) min Δ ≤ V* ≤ T(V) + γ/(1−γ) max Δ.

    It stops in each lane by itself where these are `tolerance` apart (None: at the rounding level of Δ), and returns
    their middle. For responses that jump, whose ties are decided by these values, `_more_sweeps` follow.
    """
    eps = jnp.finfo(start.dtype).eps
    extra_sweeps = _more_sweeps(decision, start) if tolerance is None and not response.is_smooth else 0

    def swept(values: Array) -> Any:
        new_values = improve(decision, response, values)[0].values
        change = new_values - values
        return new_values, change.min(axis=0), change.max(axis=0)

    def moves(values: Array, low: Array, high: Array) -> Array:
        if tolerance is not None:
            return decision.discount * (high - low) > tolerance * (1 - decision.discount)
        # NaN compares as settled: what is not finite is found by whoever asked
        return high - low > spacings(values) * eps * jnp.abs(values).max(axis=0)

    def is_open(values: Array, low: Array, high: Array, num_settled: Array) -> Array:
        # equal bounds: T adds one constant to all values, so their differences are final
        return moves(values, low, high) | ((num_settled < extra_sweeps) & (high > low))

    def unsettled(carry: tuple) -> Bool[Array, ""]:
        return is_open(*carry[:-1]).any() & (carry[-1] < _MOST_SWEEPS)

    def sweep(carry: tuple) -> tuple:
        *before, num_settled, count = carry
        goes_on = is_open(*before, num_settled)  # pyright: ignore[reportCallIssue]
        # lanes that have settled keep their numbers, as if they were alone
        updated = [jnp.where(goes_on, new, old) for new, old in zip(swept(before[0]), before, strict=True)]
        return *updated, num_settled + ~moves(*before), count + 1

    first = swept(start)
    no_sweeps = jnp.zeros(first[1].shape, jnp.int32)
    values, low, high, *_ = jax.lax.while_loop(unsettled, sweep, alike((*first, no_sweeps, jnp.int32(0))))
    return values + decision.discount / (1 - decision.discount) * (low + high) / 2


def _more_sweeps(decision: Decision, values: Array) -> Array:
    """Return how many sweeps n after Δ is at the rounding level leave differences of values at that level, too.

    They are off by γ/(1−γ) span Δ at first, and sweeps shrink that by γ each: γ^n ≤ (1 − γ)/2.
    """
    gamma = decision.discount.astype(values.dtype)
    return jnp.ceil(jnp.log((1 - gamma) / 2) / jnp.log(gamma)).astype(jnp.int32)


def certain_policy(decision: Decision, response: AbstractResponse, start: Array) -> tuple[Array, Array]:
    """Return the policy of a response that plays the best action, and values near its own; by value iteration.

    By MacQueen's bounds differences of q(s,·) are off by less than γ/(1−γ) (max Δ − min Δ). As soon as the smallest
    gap between a best action and the next exceeds this, no further sweep can change the policy, however far off the
    values are. Where two actions are equally good, it goes on to the rounding level, and by `_more_sweeps`.
    """
    eps = jnp.finfo(start.dtype).eps
    extra_sweeps = _more_sweeps(decision, start)

    def swept(values: Array) -> Any:
        backup, q = improve(decision, response, values)
        change = backup.values - values
        certain_gap = action_gap(q, decision.available) - 2 * tie_band(q, decision.available)
        return backup.values, backup.policy, change.min(axis=0), change.max(axis=0), certain_gap

    def moves(values: Array, low: Array, high: Array) -> Array:
        return high - low > spacings(values) * eps * jnp.abs(values).max(axis=0)

    def is_open(values: Array, policy: Array, low: Array, high: Array, certain_gap: Array, num_settled: Array) -> Array:
        value_error = decision.discount / (1 - decision.discount) * (high - low)
        return (certain_gap <= value_error) & (moves(values, low, high) | ((num_settled < extra_sweeps) & (high > low)))

    def unsettled(carry: tuple) -> Bool[Array, ""]:
        return is_open(*carry[:-1]).any() & (carry[-1] < _MOST_SWEEPS)

    def sweep(carry: tuple) -> tuple:
        *before, num_settled, count = carry
        goes_on = is_open(*before, num_settled)  # pyright: ignore[reportCallIssue]
        updated = [jnp.where(goes_on, new, old) for new, old in zip(swept(before[0]), before, strict=True)]
        return *updated, num_settled + ~moves(before[0], *before[2:4]), count + 1

    first = swept(start)
    no_sweeps = jnp.zeros(first[2].shape, jnp.int32)
    values, policy, *_ = jax.lax.while_loop(unsettled, sweep, alike((*first, no_sweeps, jnp.int32(0))))
    return policy, values  # values may be far off: they only start the next search


def action_gap(q: Array, available: Array, band: Array | None = None) -> Array:
    """Return the smallest gap, over the states, between the best available action and the next.

    Infinite where no state has a choice, 0 where two actions are equally good. Where a `band` is given, actions within
    it of the best count as best, and the next is the best of the others.
    """
    masked = jnp.where(align(available, q), q, -jnp.inf)
    best = masked.max(axis=1, keepdims=True)
    is_best = masked >= best - (0 if band is None else band)
    next_best = jnp.where(is_best, -jnp.inf, masked).max(axis=1)
    gaps = best[:, 0] - next_best
    if band is None:
        gaps = jnp.where(is_best.sum(axis=1) > 1, 0, gaps)
    return gaps.min(axis=0)


def has_ties(q: Array, available: Array, band: Array) -> Array:
    """Tell whether in some state an action is worse than the best one by no more than `band`."""
    masked = jnp.where(align(available, q), q, -jnp.inf)
    return ((masked >= masked.max(axis=1, keepdims=True) - band).sum(axis=1) > 1).any(axis=0)


@eqx.filter_custom_jvp
def _fixed_values(problem: tuple[Decision, AbstractResponse], values: Array) -> Array:
    """Give the fixed point `values` of T its derivative in the problem: dV = (I − γ P_w)⁻¹ ∂_θ T dθ."""
    return values


@_fixed_values.def_jvp
@in_own_modes
def _fixed_values_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    problem, values = primals
    problem_dot, _ = tangents
    # as the output of the function itself, so that second derivatives see how it moves
    point = _fixed_values(problem, values)

    def backed(problem: Any, values: Array) -> Array:
        return improve(problem[0], problem[1], values)[0].values

    _, moved = eqx.filter_jvp(lambda problem: backed(problem, point), (problem,), (problem_dot,))
    if moved is None:  # nothing that moves is seen by the values, as β by those of `Boltzmann`
        return point, jnp.zeros_like(point)
    _, jvp = jax.linearize(lambda values: backed(problem, values), point)
    shape = point.shape

    def matvec(v: Array) -> Array:  # products only: for many states no matrix is formed
        return v - jvp(v.reshape(shape)).reshape(-1)

    return point, _differentiable(matvec, moved.reshape(-1)).reshape(shape)


def _solve(decision: Decision, weights: Array, right: Array) -> Array:
    """Return x = (I − γ P_w)⁻¹ b for one problem."""
    return solve_linear(lambda v: v - decision.discount * decision.mean(weights, v), right)


def _differentiable(matvec: Any, right: Array) -> Array:
    """Return the solution of a linear system, with a derivative that does not look into the method."""
    return jax.lax.custom_linear_solve(matvec, right, solve_linear, transpose_solve=solve_linear)


def policy_values(decision: Decision, policy: Array, cost: Array) -> tuple[Array, Array]:
    """Return `(values, q)` of a policy: V = Σ_a π (q − cost), q = r + γ P V."""
    pay = jnp.where(policy > 0, policy * (decision.reward - cost), 0).sum(axis=1)
    if pay.ndim == 1:  # with lanes: iteration, which needs no matrix for each
        values = _differentiable(lambda v: v - decision.discount * decision.mean(policy, v), pay)
    else:

        def back(values: Array) -> Array:
            return pay + decision.discount * decision.mean(policy, values)

        values = _iterated(back, jnp.zeros_like(pay))
    return values, decision.q(values)


def occupancy(decision: Decision, policy: Array, start: Array) -> Array:
    """Return the discounted law of the states that a policy visits: d = (1−γ) Σ_k γ^k (law after k moves)."""

    def ahead(law: Array) -> Array:
        return decision.discount * decision.kernel.push(law[:, None] * policy)

    right = (1 - decision.discount) * start
    if start.ndim == 1:  # likewise
        return _differentiable(lambda law: law - ahead(law), right)
    return _iterated(lambda law: right + ahead(law), start)


def _iterated(function: Any, start: Array) -> Array:
    """Iterate a contraction on `[S, lanes]` until nothing moves beyond rounding."""
    eps = jnp.finfo(start.dtype).eps

    def moves(carry: tuple) -> Array:
        _, change, count = carry
        return (change > ROUNDING * eps).any() & (count < _MOST_SWEEPS)

    def iterate(carry: tuple) -> tuple:
        x, _, count = carry
        after = function(x)
        size = jnp.abs(after).max(axis=0)  # of each lane: games may differ in scale
        return after, jnp.abs(after - x).max(axis=0) / jnp.where(size > 0, size, 1), count + 1

    no_change_yet = jnp.full(start.shape[1:], jnp.inf, start.dtype)
    return jax.lax.while_loop(moves, iterate, alike((start, no_change_yet, jnp.int32(0))))[0]


def settled_law(move: Any, start: Array) -> Array:
    """Return the stationary law that z ← (z + move(z))/2 reaches from `start`, `[S, *lanes]`.

    Half of all stay where they are in each step, which changes no stationary law and ends every cycle of a chain.
    """

    def step(z: Array) -> Array:
        moved = (z + move(z)) / 2
        return moved / moved.sum(axis=0)  # else the rounding of every step would add up to a loss of mass

    return _iterated(step, start)


def chain_law(move: Any, start: Array) -> Array:
    """Return the law of `settled_law` for a `move` that is linear in the law, by squaring its matrix: M^∞ z.

    M = (1 + P)/2 is squared until nothing moves, and rows are kept at a sum of 1. However slowly a chain mixes, that
    takes few squarings. In plain iteration single steps fall below rounding long before the law is stationary.
    """
    _, identity = alike((start, jnp.eye(len(start), dtype=start.dtype)))
    eps = jnp.finfo(start.dtype).eps

    def moves(carry: tuple) -> Array:
        _, change, count = carry
        # a slow chain moves by less than rounding at first
        return ((change > ROUNDING * eps) | (count < _LEAST_SQUARINGS)) & (count < _MOST_SQUARINGS)

    def square(carry: tuple) -> tuple:
        half, _, count = carry
        # full precision, as in `DenseKernel`: accelerators would round the factors
        after = jnp.matmul(half, half, precision=jax.lax.Precision.HIGHEST)
        after = after / after.sum(axis=1, keepdims=True)
        return after, jnp.abs(after - half).max(), count + 1

    rows = (identity + jax.vmap(move)(identity)) / 2  # row s: half of those at s stay, half move
    rows = jax.lax.while_loop(moves, square, alike((rows, jnp.asarray(jnp.inf, start.dtype), jnp.int32(0))))[0]
    return jnp.matmul(start, rows, precision=jax.lax.Precision.HIGHEST)
