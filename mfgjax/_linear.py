"""The linear systems of policy evaluation, Newton's method, continuation and the implicit derivative."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.sparse.linalg import gmres

from ._typing import Array

DENSE_LIMIT = 640
"""Unknowns up to which the matrix is formed and factorised; beyond, GMRES uses products only."""

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
        columns = jax.vmap(matvec)(jnp.eye(b.size, dtype=b.dtype))
        return solve_dense(columns.T, b)
    return solve_iteratively(matvec, b, _MOST_RESTARTS)


def solve_iteratively(matvec: Callable[[Array], Array], b: Array, restarts: int) -> Array:
    """Solve `matvec(x) = b` by GMRES, which ends as soon as the residual is small."""
    tolerance = float(jnp.finfo(b.dtype).eps) ** 0.75
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
