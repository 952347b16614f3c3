"""The linear systems of Newton's method, of continuation and of the implicit derivative."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._typing import Array

DENSE_LIMIT = 640
"""Unknowns up to which the matrix is formed and factorised; beyond, GMRES uses products only."""


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
        return jnp.linalg.solve(columns.T, b)
    import lineax as lx  # half a second to import, and only large games need it

    operator = lx.FunctionLinearOperator(matvec, jax.eval_shape(lambda: b))
    tolerance = float(jnp.finfo(b.dtype).eps) ** 0.75
    solver = lx.GMRES(rtol=tolerance, atol=0.0, max_steps=1000, restart=60, stagnation_iters=1000)
    return lx.linear_solve(operator, b, solver, throw=False).value
