"""Laws of states: the stationary one that a population reaches, and the discounted one of an agent."""

from typing import Any

import jax
import jax.numpy as jnp

from .._typing import Array
from ..responses.ties import ROUNDING
from .chain import Chain, solve_law
from .stationary import Decision

_MOST_STEPS = 100_000  # as documented: a population that moves after so many steps is not called stationary
_LEAST_SQUARINGS, _MOST_SQUARINGS = 8, 64  # k squarings make 2^k steps of the chain


def occupancy(decision: Decision, policy: Array, start: Array) -> Array:
    """Return the discounted law of the states that a policy visits: d = (1−γ) Σ_k γ^k (law after k moves)."""
    return solve_law(Chain(decision.kernel, policy, decision.discount), (1 - decision.discount) * start)


def _iterated(function: Any, start: Array) -> Array:
    """Iterate a contraction on `[S, lanes]` until nothing moves beyond rounding."""
    eps = jnp.finfo(start.dtype).eps

    def moves(carry: tuple) -> Array:
        _, change, count = carry
        return (change > ROUNDING * eps).any() & (count < _MOST_STEPS)

    def iterate(carry: tuple) -> tuple:
        x, _, count = carry
        after = function(x)
        size = jnp.abs(after).max(axis=0)  # of each lane: games may differ in scale
        return after, jnp.abs(after - x).max(axis=0) / jnp.where(size > 0, size, 1), count + 1

    no_change_yet = jnp.full(start.shape[1:], jnp.inf, start.dtype)
    return jax.lax.while_loop(moves, iterate, (start, no_change_yet, jnp.int32(0)))[0]


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
    identity, eps = jnp.eye(len(start), dtype=start.dtype), jnp.finfo(start.dtype).eps

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
    rows = jax.lax.while_loop(moves, square, (rows, jnp.asarray(jnp.inf, start.dtype), jnp.int32(0)))[0]
    return jnp.matmul(start, rows, precision=jax.lax.Precision.HIGHEST)
