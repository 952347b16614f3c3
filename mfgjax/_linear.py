"""The linear systems of policy evaluation, Newton's method, continuation and the implicit derivative."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import gmres

from ._typing import Array
from ._varying import alike

DENSE_LIMIT = 640
"""Unknowns up to which the matrix is formed and factorised; beyond, GMRES uses products only."""

SMALL = 16
"""States up to which products and eliminations of matrices with lanes are written out."""

_RESTART = 40
_MOST_RESTARTS = 25


def solve_linear(matvec: Callable[[Array], Array], b: Array) -> Array:
    """Solve `matvec(x) = b` for a flat vector, by LU or, for many unknowns, GMRES.

    Args:
      matvec: a linear function of flat vectors.
      b: right-hand side.

    Returns:
      The solution; differentiable and transposable. Where the matrix is singular it is not finite (LU) or
      not accurate (GMRES): callers check what they do with it.
    """
    if b.size <= DENSE_LIMIT:
        columns = jax.vmap(matvec)(alike((b, jnp.eye(b.size, dtype=b.dtype)))[1])
        return solve_dense(columns.T, b)
    return solve_iteratively(matvec, b, _MOST_RESTARTS)


def solve_iteratively(matvec: Callable[[Array], Array], b: Array, restarts: int) -> Array:
    """Solve `matvec(x) = b` by GMRES, which ends as soon as the residual is small."""
    tolerance = float(jnp.finfo(b.dtype).eps) ** 0.75
    # "incremental" looks at the residual after each product, "batched" only at each restart
    return gmres(matvec, b, tol=tolerance, atol=0.0, restart=_RESTART, maxiter=restarts, solve_method="incremental")[0]


@jax.custom_batching.custom_vmap
def solve_dense(matrix: Array, b: Array) -> Array:
    return jnp.linalg.solve(matrix, b)


@solve_dense.def_vmap
def _solve_many(axis_size: int, is_batched: list[bool], matrix: Array, b: Array) -> tuple[Array, bool]:
    """Solve many systems: on a CPU one by one.

    LAPACK's batched calls (jaxlib 0.10) wait in XLA's thread pool for work that is queued in the same pool:
    with as many CPU devices as threads they wait forever.
    """
    if not is_batched[0]:
        matrix = jnp.broadcast_to(matrix, (axis_size, *matrix.shape))
    if not is_batched[1]:
        b = jnp.broadcast_to(b, (axis_size, *b.shape))

    def one_by_one(matrix: Array, b: Array) -> Array:
        return jax.lax.map(lambda system: solve_dense(*system), (matrix, b))

    return jax.lax.platform_dependent(matrix, b, cpu=one_by_one, default=jax.vmap(jnp.linalg.solve)), True


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
    gram = gram + jnp.eye(size, dtype=gram.dtype).reshape(size, size, *(1,) * (gram.ndim - 2)) * ridge
    rows = jnp.concatenate([gram, right[:, None]], axis=1)
    for k in range(size):
        pivot = rows[k] / rows[k, k]
        rows = (rows - rows[:, k, None] * pivot).at[k].set(pivot)
    return rows[:, size]


def zero_sum_norm(matrix: Array) -> Array:
    """Return the l1 norm on vectors of sum zero, which are mixtures of e_i − e_j."""
    # a norm is convex, so that its maximum is at one of them; their own norm is 2
    return jnp.abs(matrix[:, :, None] - matrix[:, None, :]).sum(axis=0).max() / 2
