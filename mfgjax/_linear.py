"""The linear systems of policy evaluation, Newton's method, continuation and the implicit derivative."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import gmres

from ._typing import Array
from ._varying import alike, identity

DENSE_LIMIT = 640
"""Unknowns up to which the matrix is formed and factorised; beyond, GMRES uses products only."""

STATIONARY_LIMIT = 2048
"""The same for the laws of stationary games: products need the values of a response, matrices all of them at once."""

SMALL = 16
"""States up to which products and eliminations of matrices with lanes are written out."""

_RESTART = 40
_MOST_RESTARTS = 25

_LEAST_PATIENCE = 64
"""Steps of biconjugate gradients without progress after which there is none to come, as at the rounding level."""


def solve_linear(matvec: Callable[[Array], Array], b: Array, dense_limit: int = DENSE_LIMIT) -> Array:
    """Solve `matvec(x) = b` for a flat vector, by LU or, for many unknowns, GMRES.

    Args:
      matvec: a linear function of flat vectors.
      b: right-hand side.
      dense_limit: unknowns up to which LU is used.

    Returns:
      The solution; differentiable and transposable. Where the matrix is singular it is not finite (LU) or
      not accurate (GMRES): callers check what they do with it.
    """
    if b.size <= dense_limit:
        columns = jax.vmap(matvec)(identity(b.size, b))
        return solve_dense(columns.T, b)
    return solve_iteratively(matvec, b, _MOST_RESTARTS)


def solve_iteratively(matvec: Callable[[Array], Array], b: Array, restarts: int) -> Array:
    """Solve `matvec(x) = b` by GMRES, which ends as soon as the residual is small."""
    tolerance = float(jnp.finfo(b.dtype).eps) ** 0.75
    # "incremental" looks at the residual after each product, "batched" only at each restart
    return gmres(matvec, b, tol=tolerance, atol=0.0, restart=_RESTART, maxiter=restarts, solve_method="incremental")[0]


def _one_by_one_on_cpu(function: Callable) -> Callable:
    """Return a function of matrices and vectors that, where many are mapped, takes them one by one on a CPU.

    LAPACK's batched calls (jaxlib 0.10) wait in XLA's thread pool for work that is queued in the same pool:
    with as many CPU devices as threads they wait forever. The first argument is the matrix; where all share it, what
    stands last are columns of one system.
    """
    single = jax.custom_batching.custom_vmap(function)

    @single.def_vmap
    def many(axis_size: int, is_batched: list[bool], *arguments: Array) -> tuple[Any, Any]:
        *matrices, b = arguments
        if len(arguments) > 1 and not any(is_batched[:-1]):
            columns = jnp.moveaxis(b, 0, -1)
            found = single(*matrices, columns.reshape(len(columns), -1)).reshape(columns.shape)
            return jnp.moveaxis(found, -1, 0), True

        def whole(argument: Array, batched: bool) -> Array:
            return argument if batched else jnp.broadcast_to(argument, (axis_size, *argument.shape))

        found = jax.lax.platform_dependent(
            *(whole(*pair) for pair in zip(arguments, is_batched, strict=True)),
            cpu=lambda *arguments: jax.lax.map(lambda one: single(*one), arguments),
            default=jax.vmap(function),
        )
        return found, jax.tree.map(lambda _: True, found)

    return single


solve_dense = _one_by_one_on_cpu(lambda matrix, b: jnp.linalg.solve(matrix, b))
"""Solve `matrix x = b` by LU."""

factorise = _one_by_one_on_cpu(lambda matrix: jax.scipy.linalg.lu_factor(matrix))
"""Return the factors of a matrix and its pivots, for `solve_factorised`."""

solve_factorised = _one_by_one_on_cpu(lambda lu, pivots, b: jax.scipy.linalg.lu_solve((lu, pivots), b))
"""Solve a system of which the matrix is factorised."""

solve_factorised_transposed = _one_by_one_on_cpu(lambda lu, pivots, b: jax.scipy.linalg.lu_solve((lu, pivots), b, 1))
"""Solve the transposed system of a matrix that is factorised."""


def bicgstab(matvec: Callable[[Array], Array], b: Array, x: Array, level: Array, most: int) -> tuple[Array, Array]:
    """Solve `matvec(x) = b`, `[S, *lanes]`, by the stabilised method of biconjugate gradients, from x on.

    It needs two products a step and seven vectors, and no restarts, which on slow chains undo what GMRES has learnt.

    Args:
      matvec: a linear function.
      b: right-hand sides.
      x: where to start.
      level: the largest entry of b − matvec(x) at which a lane is done, `[*lanes]`.
      most: most steps.

    Returns:
      The solution of each lane, or the best that was met, and the largest entry of its residual.

    Source: van der Vorst (1992), SIAM J. Sci. Stat. Comput. 13(2), 631-644.
    """
    tiny, patience = jnp.finfo(b.dtype).tiny, max(_LEAST_PATIENCE, len(b) // 16)

    def dot(first: Array, second: Array) -> Array:
        return (first * second).sum(axis=0)

    def ratio(above: Array, below: Array) -> Array:
        return jnp.where(jnp.abs(below) > tiny, above / jnp.where(jnp.abs(below) > tiny, below, 1), 0)

    def unsettled(carry: tuple) -> Array:
        best_off, since, count = carry[3], carry[-2], carry[-1]
        return (best_off > level).any() & (count < most) & (since < patience)

    def step(carry: tuple) -> tuple:
        x, r, best, best_off, shadow, rho, p, since, count = carry
        v = matvec(p)
        alpha = ratio(rho, dot(shadow, v))
        s = r - alpha * v
        t = matvec(s)
        omega = ratio(dot(t, s), dot(t, t))
        x, r = x + alpha * p + omega * s, s - omega * t
        next_rho = dot(shadow, r)
        p = r + ratio(next_rho, rho) * ratio(alpha, omega) * (p - omega * v)
        off = jnp.abs(r).max(axis=0)
        better = off < best_off
        since = jnp.where((better & (best_off > level)).any(), 0, since + 1)
        best, best_off = jnp.where(better, x, best), jnp.where(better, off, best_off)
        return x, r, best, best_off, shadow, next_rho, p, since, count + 1

    r = b - matvec(x)
    off = jnp.abs(r).max(axis=0)
    found = jax.lax.while_loop(unsettled, step, alike((x, r, x, off, r, dot(r, r), r, jnp.int32(0), jnp.int32(0))))
    best = found[2]
    return best, jnp.abs(b - matvec(best)).max(axis=0)  # the residual that is carried drifts away from the true one


def solve_in_lanes(matrix: Array, right: Array) -> Array:
    """Solve `matrix x = right`, `[S, S, *lanes]` and `[S, N, *lanes]`.

    Small matrices are eliminated here, in all lanes at once: LAPACK takes them one by one.
    """
    if matrix.ndim == 2:
        return solve_dense(matrix, right)
    size = matrix.shape[0]
    if size > SMALL:
        found = jax.vmap(solve_dense)(jnp.moveaxis(matrix, -1, 0), jnp.moveaxis(right, -1, 0))
        return jnp.moveaxis(found, 0, -1)
    rows = jnp.concatenate([matrix, right], axis=1)
    for k in range(size):
        # the row with the largest pivot changes places with row k
        best = jnp.abs(rows[k:, k]).argmax(axis=0) + k
        is_best = (jnp.arange(size)[:, None] == best)[:, None]
        pivot, row_k = jnp.where(is_best, rows, 0).sum(axis=0), rows[k]
        rows = jnp.where(is_best, row_k, rows)
        pivot = pivot / pivot[k]
        rows = (rows - rows[:, k, None] * pivot).at[k].set(pivot)
    return rows[:, size:]


def solve_normal_equations(gram: Array, right: Array) -> Array:
    """Solve normal equations `[n, n, *lanes]` and `[n, *lanes]`, with a ridge at the rounding level.

    They are eliminated without pivoting, which a positive definite matrix allows; so all lanes go through the
    same few operations.
    """
    size, eps = len(gram), jnp.finfo(gram.dtype).eps
    scale = jnp.trace(gram)
    ridge = jnp.where(scale > 0, scale, 1) * 10 * eps  # a matrix of zeros needs one, too
    gram = gram + identity(size, gram, gram.ndim - 2) * ridge
    rows = jnp.concatenate([gram, right[:, None]], axis=1)
    for k in range(size):
        pivot = rows[k] / rows[k, k]
        rows = (rows - rows[:, k, None] * pivot).at[k].set(pivot)
    return rows[:, size]


def zero_sum_norm(matrix: Array) -> Array:
    """Return the l1 norm on vectors of sum zero, which are mixtures of e_i − e_j."""
    # a norm is convex, so that its maximum is at one of them; their own norm is 2
    # one column beside all others at a time: all pairs need S^3 numbers
    return jax.lax.map(lambda column: jnp.abs(matrix - column[:, None]).sum(axis=0).max(), matrix.T).max() / 2
