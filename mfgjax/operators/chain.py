"""The chain that a policy makes of a kernel, and linear systems with I − γ P_w, at every discount below 1.

All rows of P_w sum to 1, so (I − γ P_w) 1 = (1 − γ) 1: near γ = 1 the matrix is nearly singular, but in one direction
that is known. With the mean u taken off, M = I − γ (P_w − 1 uᵀ) is as well conditioned as the chain mixes, and

    (I − γ P_w)⁻¹ b = x + γ/(1 − γ) uᵀx,   M x = b.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._gradients import stop_gradients
from .._linear import bicgstab, factorise, solve_factorised, solve_factorised_transposed, solve_in_lanes
from .._typing import Array, Float
from .._varying import alike, identity

ALWAYS_ELIMINATED = 1024
"""States up to which systems are solved by elimination, whatever the kernel."""

_MOST_ELIMINATED = 2**13
"""States up to which they are where iteration fails: beyond, the matrix fills half a gigabyte."""

_FEW_STATES, _SPARSE = 256, 8
"""States up to which elimination is cheap, and how many times fewer entries than a matrix a sparse kernel has."""

_ROUNDS = 3
"""How often iteration starts again from what it has found, with its true residual."""

_SETTLED = 16
"""How many times rounding a residual may be before iteration starts again."""

_ROUGH = 1e3
"""How many times rounding a residual may be before elimination is worth its time: values are refined later, anyway."""

_LEVEL = 8
"""Spacings of numbers, at the size of the terms, at which a residual is rounding."""


class Chain(eqx.Module):
    """What a policy with `weights` makes of the moves: P_w(s,s') = Σ_a w(s,a) P(s'|s,a), discounted by γ."""

    kernel: Any
    weights: Float[Array, "S A *batch"]
    discount: Float[Array, "*#batch"]

    def ahead(self, values: Array) -> Array:
        """Return P_w v; what stands at an action that is not played may be anything."""
        moved = self.kernel.expect(values)
        return jnp.where(self.weights != 0, self.weights * moved, 0).sum(axis=1)

    def behind(self, law: Array) -> Array:
        """Return P_wᵀ z."""
        return self.kernel.push(law[:, None] * self.weights)

    def deflated(self, values: Array) -> Array:
        """Return M v."""
        return values - self.discount * (self.ahead(values) - values.mean(axis=0))

    def deflated_transposed(self, law: Array) -> Array:
        """Return Mᵀ z."""
        return law - self.discount * (self.behind(law) - law.mean(axis=0))

    def matrix(self) -> Array:
        """Return M, `[S, S, *lanes]`."""
        moves = self.kernel.chain(self.weights)
        size = len(moves)
        return identity(size, moves, moves.ndim - 2) - self.discount * (moves - 1 / size)


Solver = Callable[..., Array]
"""From `(b, transposed)` to the solution of M x = b, or of the transposed system."""


def solver(chain: Chain, once: bool = False) -> Solver:
    """Return a solver of M x = b, prepared here for many right-hand sides, or for one, where products may do."""
    chain = stop_gradients(chain)
    size = len(chain.weights)
    entries = _entries(chain.kernel, size)
    if size > ALWAYS_ELIMINATED:
        # as much work as elimination
        most = int(min(max(size**3 / (6 * entries), 20), size))
        return lambda b, transposed=False: _iterated_at_once(transposed, most, _ROUNDS)(chain, b)
    if once and size > _FEW_STATES and _SPARSE * entries <= size**2:
        return lambda b, transposed=False: _iterated_at_once(transposed, size // 4, 1)(chain, b)
    if once:
        # what is settled asks for nothing, and factors nothing
        matrix = chain.matrix()

        def at_need(b: Array, transposed: bool = False) -> Array:
            return jax.lax.cond((b != 0).any(), lambda b: _eliminated(matrix)(b, transposed), jnp.zeros_like, b)

        return at_need
    return _eliminated(chain.matrix())


def _eliminated(matrix: Array) -> Solver:
    if matrix.ndim > 2:

        def in_lanes(b: Array, transposed: bool = False) -> Array:
            return solve_in_lanes(jnp.swapaxes(matrix, 0, 1) if transposed else matrix, b[:, None])[:, 0]

        return in_lanes
    factors = factorise(matrix)

    def alone(b: Array, transposed: bool = False) -> Array:
        return (solve_factorised_transposed if transposed else solve_factorised)(*factors, b)

    return alone


def _iterated_at_once(transposed: bool, most: int, most_rounds: int) -> Callable[[Chain, Array], Array]:
    """Return `_iterated` as a function that takes many right-hand sides of one chain at once where `vmap` has such.

    In a condition that is mapped JAX gives each of them a matrix of its own.
    """

    @jax.custom_batching.custom_vmap
    def solve(chain: Chain, b: Array) -> Array:
        return _iterated(chain, b, transposed, most, most_rounds)

    @solve.def_vmap
    def many(axis_size: int, is_batched: list[Any], chain: Chain, b: Array) -> tuple[Array, bool]:
        if not any(jax.tree.leaves(is_batched[0])) and chain.weights.ndim == b.ndim == 2:  # one chain, without lanes
            return jnp.moveaxis(solve(chain, jnp.moveaxis(b, 0, -1)), -1, 0), True
        axes = jax.tree.map(lambda batched: 0 if batched else None, is_batched)
        alone = jax.vmap(lambda chain, b: _iterated(chain, b, transposed, most, most_rounds), axes)
        return alone(chain, b), True

    return solve


def _iterated(chain: Chain, b: Array, transposed: bool, most: int, most_rounds: int) -> Array:
    """Solve by products; where that does not get to rounding and the matrix fits into memory, by elimination.

    A chain without lanes takes one right-hand side `[S]`, or many `[S, N]`.
    """
    products = chain
    if b.ndim == chain.weights.ndim:
        products = Chain(chain.kernel, chain.weights[..., None], chain.discount)
    matvec = products.deflated_transposed if transposed else products.deflated
    size = len(b)
    spacing = _LEVEL * jnp.finfo(b.dtype).eps

    def level(x: Array) -> Array:
        return spacing * (jnp.abs(b).max(axis=0) + jnp.abs(x).max(axis=0))

    def is_rough(carry: tuple) -> Array:
        x, off, rounds = carry
        return (off > _SETTLED * level(x)).any() & (rounds < most_rounds)

    def again(carry: tuple) -> tuple:
        x, _, rounds = carry
        return *bicgstab(matvec, b, x, level(x) / 2, most), rounds + 1

    nothing = jnp.zeros_like(b)
    x, off, _ = jax.lax.while_loop(is_rough, again, alike((nothing, jnp.abs(b).max(axis=0), jnp.int32(0))))
    if size > _MOST_ELIMINATED:
        return x

    def eliminated(x: Array) -> Array:
        more = _eliminated(chain.matrix())(b - matvec(x), transposed)
        return jnp.where(off > level(x), x + more, x)

    # no loop of at most one step: XLA would take the factors, which do not change in it, out of it
    return jax.lax.cond((off > _ROUGH * level(x)).any(), eliminated, lambda x: x, x)


def _entries(kernel: Any, size: int) -> int:
    """Return how many numbers a product reads, for one lane; as many as a table has where that is not known."""
    table = getattr(kernel, "probabilities", None)
    return size**2 if table is None else math.prod(table.shape[1:4])


def solve_values(chain: Chain, b: Array) -> Array:
    """Return (I − γ P_w)⁻¹ b; differentiable in all."""
    return _differentiable(chain, lambda v: v - chain.discount * chain.ahead(v), b, False)


def solve_law(chain: Chain, b: Array, solve: Solver | None = None) -> Array:
    """Return (I − γ P_wᵀ)⁻¹ b; differentiable in all. `solve` may be a `solver` of the chain."""
    return _differentiable(chain, lambda z: z - chain.discount * chain.behind(z), b, True, solve)


def solve_stationary(chain: Chain, b: Array) -> Array:
    """Return (I − P_wᵀ)⁻¹ b for b of sum zero, with sum zero, of a chain without discount; differentiable in all."""
    solve = solver(chain)
    return jax.lax.custom_linear_solve(
        chain.deflated_transposed,
        b,
        lambda _, b: solve(b, True),
        transpose_solve=lambda _, b: solve(b),
    )


def _differentiable(
    chain: Chain, matvec: Callable[[Array], Array], b: Array, transposed: bool, prepared: Solver | None = None
) -> Array:
    """Return the solution of a linear system, with a derivative that does not look into the method."""
    solve = solver(chain) if prepared is None else prepared
    factor = stop_gradients(chain.discount / (1 - chain.discount))

    def values(_: Any, b: Array) -> Array:
        x = solve(b)
        return x + factor * x.mean(axis=0)

    def law(_: Any, b: Array) -> Array:
        return solve(b + factor * b.mean(axis=0), True)

    first, second = (law, values) if transposed else (values, law)
    return jax.lax.custom_linear_solve(matvec, b, first, transpose_solve=second)
