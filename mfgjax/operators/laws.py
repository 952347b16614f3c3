"""Laws of states: the stationary one that a population reaches, and the discounted one of an agent."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .._linear import solve_in_lanes
from .._simplex import onto_simplex
from .._typing import Array
from .._varying import alike, identity
from ..responses.ties import ROUNDING
from .chain import Chain, solve_law, solve_stationary, solver
from .stationary import Decision

_MOST_SQUARED = 128  # states up to which the matrix of a chain is squared, and that of a long step formed
_FEW_STEPS, _MOST_LONG_STEPS = 2000, 2000  # laws that need more steps than the former take long ones
_FIRST_LENGTH = 300.0  # steps that the first long one stands for
_MOST_MOVED, _MOST_APART = 0.1, 0.3  # the share that may move in a long one; of that, what shorter steps may change
_SHARE = 0.4  # as long as rounding, which moves mass between parts of a chain that do not meet, allows
_LEAST_SQUARINGS, _MOST_SQUARINGS = 8, 64  # k squarings make 2^k steps of the chain


def stationary_law(kernel: Any, policy: Array, start: Array) -> Array:
    """Return the stationary law that a chain reaches from `start`, `[S, *lanes]`, as a function with a derivative.

        dz = (I − Pᵀ)⁻¹ dPᵀ z   on vectors of sum zero

    Where a chain has several classes, z depends on the start, and the derivative is not finite.
    """
    law = jax.lax.stop_gradient(chain_law(kernel, policy, start))
    chain = Chain(kernel, policy, jnp.ones(law.shape[1:], law.dtype))
    change = solve_stationary(chain, chain.behind(law) - law)
    # the value is that of the law itself, which needs no correction
    return law + (change - jax.lax.stop_gradient(change))


def occupancy(decision: Decision, policy: Array, start: Array) -> Array:
    """Return the discounted law of the states that a policy visits: d = (1−γ) Σ_k γ^k (law after k moves)."""
    return solve_law(Chain(decision.kernel, policy, decision.discount), (1 - decision.discount) * start)


def _iterated(function: Any, start: Array, most: int) -> tuple[Array, Array]:
    """Iterate a map of laws `[S, *lanes]` until nothing moves beyond rounding; return them, and which still move."""
    eps = jnp.finfo(start.dtype).eps

    def moves(carry: tuple) -> Array:
        _, change, count = carry
        return (change > ROUNDING * eps).any() & (count < most)

    def iterate(carry: tuple) -> tuple:
        x, _, count = carry
        after = function(x)
        size = jnp.abs(after).max(axis=0)  # of each lane: games may differ in scale
        return after, jnp.abs(after - x).max(axis=0) / jnp.where(size > 0, size, 1), count + 1

    no_change_yet = jnp.full(start.shape[1:], jnp.inf, start.dtype)
    law, change, _ = jax.lax.while_loop(moves, iterate, alike((start, no_change_yet, jnp.int32(0))))
    return law, change > ROUNDING * eps


def settled_law(kernel_at: Callable[[Array], Any], policy: Array, start: Array) -> Array:
    """Return the stationary law that z ← (z + P(z)ᵀz)/2 reaches from `start`, `[S, *lanes]`.

    Half of all stay where they are in each step, which changes no stationary law and ends every cycle of a chain. A
    population that still moves after some steps takes long ones, implicit in what changes by them to first order:
    z ← z + (I/τ + I − DF)⁻¹ (F(z) − z), F(z) = P(z)ᵀz; with many states P stays as it is in a step, which is to say
    z ← (I + τ (I − P(z)ᵀ))⁻¹ z. The time τ grows as long as one step leads where two of half its length do: past an
    unstable law they part.

    Args:
      kernel_at: from a law to how those move who see it.
      policy: `[S, A, *lanes]`.
      start: the first law.
    """
    one, eps = jnp.ones(start.shape[1:], start.dtype), jnp.finfo(start.dtype).eps

    def moved(law: Array) -> Array:
        return Chain(kernel_at(law), policy, one).behind(law)

    def moves(carry: tuple) -> Array:
        *_, change, count = carry
        return (change > ROUNDING * eps).any() & (count < _MOST_LONG_STEPS)

    def after(law: Array, length: Array) -> Array:
        if len(law) <= _MOST_SQUARED:
            found = _implicit(moved, law, length)
        else:
            stays = 1 / (1 + length)
            found = solve_law(Chain(kernel_at(law), policy, 1 - stays), stays * law)
        return onto_simplex(found[None], 1)[0]

    def long_step(carry: tuple) -> tuple:
        law, length, change, count = carry
        once, twice = after(law, length), jax.lax.fori_loop(0, 2, lambda _, z: after(z, length / 2), law)
        apart, walked = (jnp.abs(z).sum(axis=0) for z in (once - twice, twice - law))
        follows = (apart <= _MOST_APART * walked) & (walked <= 2 * _MOST_MOVED)
        goes_on = change > ROUNDING * eps
        change = jnp.where(goes_on, jnp.abs(twice - law).max(axis=0), 0)
        growth = jnp.where(follows, jnp.where(apart <= _MOST_APART / 10 * walked, 8, 2), 0.25)
        length = jnp.minimum(growth * length, eps**-_SHARE)
        return jnp.where(goes_on & follows, twice, law), length, change, count + 1

    law, is_open = _iterated(_half(moved), start, _FEW_STEPS)
    # no condition around the loop, which makes no step where nothing is open
    carry = alike((law, _FIRST_LENGTH * one, is_open.astype(one.dtype), jnp.int32(0)))
    return jax.lax.while_loop(moves, long_step, carry)[0]


def _implicit(function: Callable[[Array], Array], z: Array, length: Array) -> Array:
    """Return z + (I/τ + I − DF)⁻¹ (F(z) − z) for a map F of laws `[S, *lanes]`."""
    size, lanes = len(z), z.shape[1:]
    eye = identity(size, z, len(lanes))
    basis = jnp.broadcast_to(eye, (size, size, *lanes))
    image, jvp = jax.linearize(function, z)
    # the mean is taken off, which changes nothing that sums to 0
    matrix = (1 + 1 / length) * eye - jax.vmap(jvp, in_axes=1, out_axes=1)(basis) + 1 / size
    return z + solve_in_lanes(matrix, (image - z)[:, None])[:, 0]


def _half(move: Any) -> Any:
    def step(z: Array) -> Array:
        moved = (z + move(z)) / 2
        return moved / moved.sum(axis=0)  # else the rounding of every step would add up to a loss of mass

    return step


def chain_law(kernel: Any, policy: Array, start: Array) -> Array:
    """Return the law of `settled_law` for moves that do not see who moves, however slowly their chain mixes.

    A small chain is squared. Of others some steps are made first, then long ones: with δ small z ← δ (I − (1−δ) Pᵀ)⁻¹ z
    keeps every stationary law, and shrinks what decays as λ^k by δ/(1 − (1−δ) λ).
    """
    chain = Chain(kernel, policy, jnp.ones((), start.dtype))
    if start.ndim == 1 and len(start) <= _MOST_SQUARED:
        return _squared(chain.behind, start)
    law, is_open = _iterated(_half(chain.behind), start, _FEW_STEPS)
    short = jnp.asarray(jnp.finfo(start.dtype).eps ** _SHARE, start.dtype)
    discounted = Chain(kernel, policy, 1 - short)

    def long_steps(law: Array) -> Array:
        solve = solver(discounted)

        def step(z: Array) -> Array:
            moved = solve_law(discounted, short * z, solve)
            return moved / moved.sum(axis=0)

        return _iterated(step, law, _MOST_LONG_STEPS)[0]

    return jax.lax.cond(is_open.any(), long_steps, lambda law: law, law)


def _squared(move: Any, start: Array) -> Array:
    """Return M^∞ z, by squaring the matrix of a chain.

    M = (1 + P)/2 is squared until nothing moves, and rows are kept at a sum of 1. However slowly a chain mixes, that
    takes few squarings. In plain iteration single steps fall below rounding long before the law is stationary.
    """
    unit = identity(len(start), start)
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

    rows = (unit + jax.vmap(move)(unit)) / 2  # row s: half of those at s stay, half move
    rows = jax.lax.while_loop(moves, square, alike((rows, jnp.asarray(jnp.inf, start.dtype), jnp.int32(0))))[0]
    return jnp.matmul(start, rows, precision=jax.lax.Precision.HIGHEST)
