"""Discounted decision problems without an end: their values, by policy iteration.

A `Decision` is what an agent faces in one population. Values `[S]` are the fixed point of V = T(V),

    q(s,a) = r(s,a) + γ Σ_s' P(s'|s,a) V(s'),   T(V) = values of the response to q.

T is monotone and T(V + c) = T(V) + γ c for every response of the library, so it is a γ-contraction in the sup norm.
Near γ = 1 values are a large constant, which no choice depends on, and small differences: V = W + c. They are held
apart, so that differences are rounded at their own size.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._gradients import stop_gradients
from .._modes import in_own_modes
from .._typing import Array, Bool, Float
from .._varying import alike
from ..kernels.base import align
from ..responses import AbstractResponse
from ..responses.base import Backup
from ..responses.ties import spacings, tie_band
from .chain import Chain, solve_values, solver

_MOST_POLICIES = 1000
"""A safeguard: a few Newton steps suffice, and as many on long ways as between two there are sweeps."""

_STATES_OF_SWEEP = 16
"""States for each of the sweeps between two policies: what has to be carried from state to state gets on faster."""

_FEW_STATES = 128
"""States up to which there are no sweeps in between."""

_MOST_SWEEPS = 1000
"""Sweeps of value iteration after which a policy that is still open is sought by policy iteration."""

_NEAR = 1e3
"""How many times the rounding level a change may be if it does not fall any more."""


class Decision(eqx.Module):
    """The decision problem that a population poses: `kernel` has `expect` and `push`, `reward` is `[S, A]`."""

    kernel: Any
    reward: Float[Array, "S A *batch"]
    available: Bool[Array, "S A"]
    discount: Float[Array, "*#batch"]

    def q(self, values: Array) -> Array:
        """Return r(s,a) + γ Σ_s' P(s'|s,a) v(s')."""
        return self.reward + self.discount * self.kernel.expect(values)

    def relative_q(self, values: Array, level: Array) -> Array:
        """Return `q(values + level)` less γ · level, but with the derivative of the whole."""
        shared = self.discount * _ahead_of_constant(self.kernel, level, self.reward.shape)
        return self.q(values) + (shared - jax.lax.stop_gradient(shared))


@eqx.filter_custom_jvp
def _ahead_of_constant(kernel: Any, level: Array, shape: tuple[int, ...]) -> Array:
    """Return Σ_s' P(s'|s,a) c as `[S, A]`, which is c; its derivative in the kernel costs a product, it does not."""
    return jnp.broadcast_to(level, shape)


@_ahead_of_constant.def_jvp
@in_own_modes
def _ahead_of_constant_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    kernel, level, shape = primals
    constant = jnp.broadcast_to(level, (shape[0], *jnp.shape(level)))
    _, moved = eqx.filter_jvp(lambda kernel: kernel.expect(constant), (kernel,), (tangents[0],))
    point = _ahead_of_constant(kernel, level, shape)
    return point, jnp.zeros_like(point) if moved is None else jnp.broadcast_to(moved, shape)


def improve(decision: Decision, response: AbstractResponse, values: Array) -> tuple[Backup, Array]:
    """Return one step of value iteration: the backup of q, and q itself."""
    q = decision.q(values)
    band = response.tie_band(q, decision.available)
    return response.backup(jnp.int32(0), q, decision.available, band), q


def response_values(decision: Decision, response: AbstractResponse, start: Array) -> Array:
    """Return the values V = T(V) of a response; differentiable in decision and response."""
    values, level = relative_values(decision, response, start)
    return values + level


def relative_values(decision: Decision, response: AbstractResponse, start: Array) -> tuple[Array, Array]:
    """Return W and c of the values V = W + c of a response; W has the derivative of V, and c none."""
    values, level = policy_iteration(*stop_gradients((decision, response, start)))
    return _fixed_values((decision, response), values, level), level


def policy_iteration(
    decision: Decision, response: AbstractResponse, start: Array, is_open: Array | bool = True
) -> tuple[Array, Array]:
    """Return V = T(V) by Newton's method, whose steps evaluate a policy: V ← V + (I − γ P_w)⁻¹ (T(V) − V).

    w = dT/dq are the weights of the actions in the values: the policy itself where the response maximises a
    criterion, a greedy one where its values are greedy. From any start the values of the policies rise, and for the
    hard responses a policy repeats after finitely many. With many states sweeps V ← T(V), which keep that so, come
    before each: evaluations alone would lengthen ways by one state each.

    Args:
      decision: the problem, or many, which stop one by one.
      response: how agents act.
      start: values near the solution, up to a constant.
      is_open: which lanes are to be solved; the others stay as they are.

    Returns:
      W and c, where V = W + c.
    """
    eps, size = jnp.finfo(start.dtype).eps, len(start)
    num_sweeps = 0 if size <= _FEW_STATES else size // _STATES_OF_SWEEP
    # rewards count, too: at values near 0 no relative test is ever met
    pay = jnp.abs(decision.reward).max(axis=(0, 1))

    def sweep(_: Array, values: Array) -> Array:
        return _relative(response.backup(jnp.int32(0), decision.q(values), decision.available).values)

    def step(carry: tuple) -> tuple:
        values, before, _, goes_on, count = carry
        if num_sweeps:
            values = jnp.where(goes_on, jax.lax.fori_loop(0, num_sweeps, sweep, values), values)
        # T(V) and the weights dT/dq from one pass, the only one in this program
        new_values, weights = _backed(decision, response, decision.q(values))
        shift = (new_values - values)[0]
        change = _relative(new_values - values)
        now = jnp.abs(change).max(axis=0)
        rounding = spacings(values) * eps * (jnp.abs(values).max(axis=0) + pay)
        # NaN compares as settled: what is not finite is found by whoever asked
        goes_on = goes_on & (now > rounding) & ~((now <= _NEAR * rounding) & (now >= before / 2))
        goes_on = goes_on & (count < _MOST_POLICIES)
        chain = Chain(decision.kernel, weights, decision.discount)
        values = _relative(values + solver(chain, once=True)(jnp.where(goes_on, change, 0)))
        return values, now, shift, goes_on, count + 1

    never, nothing = (jnp.full(start.shape[1:], number, start.dtype) for number in (jnp.inf, 0))
    is_open = jnp.broadcast_to(is_open, start.shape[1:])
    carry = alike((_relative(start), never, nothing, is_open, jnp.int32(0)))
    values, _, shift, *_ = jax.lax.while_loop(lambda carry: carry[3].any(), step, carry)
    return values, shift / (1 - decision.discount)


def _backed(decision: Decision, response: AbstractResponse, q: Array) -> tuple[Array, Array]:
    """Return T(V) and the weights dT/dq of the actions in it."""
    values, pull = jax.vjp(lambda q: response.backup(jnp.int32(0), q, decision.available).values, q)
    return values, pull(jnp.ones_like(values))[0]


def _relative(values: Array) -> Array:
    """Return values less that of the first state: the constant that is split off may be any of them."""
    return values - values[0]


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
    values are. Where two actions are equally good, it goes on to the rounding level, and by `_more_sweeps`. What is
    open after `_MOST_SWEEPS` is solved by policy iteration.
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
    *found, _ = jax.lax.while_loop(unsettled, sweep, alike((*first, no_sweeps, jnp.int32(0))))

    def solved(values: Array, policy: Array, still_open: Array) -> tuple[Array, Array]:
        exact, _ = policy_iteration(decision, response, values, still_open)
        policy = jnp.where(still_open, improve(decision, response, exact)[0].policy, policy)
        return policy, jnp.where(still_open, exact, values)

    # values may be far off: they only start the next search
    still_open = is_open(*found)  # pyright: ignore[reportCallIssue]
    return jax.lax.cond(
        still_open.any(), solved, lambda values, policy, _: (policy, values), found[0], found[1], still_open
    )


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
def _fixed_values(problem: tuple[Decision, AbstractResponse], values: Array, level: Array) -> Array:
    """Give the fixed point `values + level` of T its derivative in the problem: dV = (I − γ P_w)⁻¹ ∂_θ T dθ."""
    return values


@_fixed_values.def_jvp
@in_own_modes
def _fixed_values_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    problem, values, level = primals
    # as the output of the function itself, so that second derivatives see how it moves
    point = _fixed_values(problem, values, level)

    def backed(problem: Any) -> tuple[Array, Array]:
        decision, response = problem
        return _backed(decision, response, decision.relative_q(point, level))

    _, moved = eqx.filter_jvp(lambda problem: backed(problem)[0], (problem,), (tangents[0],))
    if moved is None:  # nothing that moves is seen by the values, as β by those of `Boltzmann`
        return point, jnp.zeros_like(point)
    decision = problem[0]
    return point, solve_values(Chain(decision.kernel, backed(problem)[1], decision.discount), moved)


def policy_values(decision: Decision, policy: Array, cost: Array) -> tuple[Array, Array]:
    """Return `(values, q)` of a policy: V = Σ_a π (q − cost), q = r + γ P V."""
    pay = jnp.where(policy > 0, policy * (decision.reward - cost), 0).sum(axis=1)
    values = solve_values(Chain(decision.kernel, policy, decision.discount), pay)
    return values, decision.q(values)
