"""Spectral radii of matrices that are known up to rounding, between bounds."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from .._typing import Array

_SQUARINGS = 32
_KRYLOV, _WARM_UP = 60, 40

_POWERS = 7
"""A^m A^j for j below this: traces of A^m alone vanish where eigenvalues are all the p-th roots of one number."""

_PINNED = 1.05
"""Ratio of upper and lower bound up to which what lies between them counts as the number."""


class Radius(NamedTuple):
    """The spectral radius ρ of all matrices near one; or of several sets of these, then the bounds have an axis more.

    Attributes:
      estimate: that of the matrix, if nothing is rounded.
      low: ρ is at least that.
      high: ρ is at most that.
    """

    estimate: Array
    low: Array
    high: Array

    @property
    def value(self) -> Array:
        """The estimate where the bounds are within 5 % of each other; else the lower one from 1 on, or the upper."""
        bound = jnp.where(self.low >= 1, self.low, self.high)
        return jnp.where(self.high <= _PINNED * self.low, self.estimate, bound)


def spectral_radius(matrix: Array, off: Array | float = 0.0) -> Radius:
    """Return the largest modulus of an eigenvalue, by squaring: ρ = lim |A^m|^(1/m) with m = 2^k.

    For a matrix A, and all A + E with |E| ≤ `off` (Frobenius norms),

        (|tr A^(m+j)| / n)^(1/(m+j)) ≤ ρ ≤ |A^m|^(1/m)

    where what E and rounding may change of A^m is carried along. Eigenvalues of a matrix that is far from normal may
    move by much more than E: powers of it are then known badly, and the bounds are far apart. The estimate is
    |A^m|^(1/m) after 32 squarings, which leave log(m)/m, some 1e-8. Products of matrices only: any backend, any batch.

    Args:
      matrix: A, `[n, n]`.
      off: the norm of what may be wrong in it, or several such norms.
    """
    n = len(matrix)
    eps = float(jnp.finfo(matrix.dtype).eps)
    rounding = n**0.5 * eps  # of a product of matrices of norm 1: errors of sums of n terms that are not all one way

    def product(a: Array, b: Array) -> Array:
        return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)  # accelerators round factors

    norm = jnp.sqrt((matrix**2).sum())
    unit = matrix / jnp.where(norm > 0, norm, 1)
    unit_off = off / jnp.where(norm > 0, norm, 1) + 2 * eps
    log_unit = jnp.log(norm)
    # A^j / norm^j, its norm and that of what is off in it
    powers, sizes, offs = [jnp.eye(n, dtype=matrix.dtype)], [jnp.sqrt(n * jnp.ones_like(norm))], [jnp.zeros_like(norm)]
    for _ in range(_POWERS - 1):
        offs.append(offs[-1] * (1 + unit_off) + sizes[-1] * (unit_off + rounding))
        powers.append(product(powers[-1], unit))
        sizes.append(jnp.sqrt((powers[-1] ** 2).sum()))

    def square(k: Array, carry: tuple) -> tuple:
        # A^(2^k) = (power + a matrix of norm `wrong`) · exp(2^k · log_norm)
        power, log_norm, wrong, low, high = carry
        m, slack = 2.0 ** (k + 1), 8 * eps * (1 + k) * (1 + jnp.abs(log_norm))  # of the logarithms
        doubled = product(power, power)
        wrong = 2 * wrong + wrong**2 + rounding
        size = jnp.sqrt((doubled**2).sum())
        high = jnp.fmin(high, log_norm + jnp.log(size + wrong) / m + slack)
        for j, (other, other_size, other_off) in enumerate(zip(powers, sizes, offs, strict=True)):
            # |tr(XY)| ≤ |X| |Y|
            lost = wrong * (other_size + other_off) + size * (other_off + rounding * other_size)
            share = (jnp.abs((doubled * other.T).sum()) - lost) / n
            # NaN where nothing is left, which `fmax` passes over
            low = jnp.fmax(low, (m * log_norm + j * log_unit + jnp.log(share)) / (m + j) - slack)
        size_or_1 = jnp.where(size > 0, size, 1)
        return doubled / size_or_1, log_norm + jnp.log(size) / m, wrong / size_or_1 + 2 * eps, low, high

    start = unit, log_unit, unit_off, jnp.full_like(unit_off, -jnp.inf), jnp.log(norm + off)
    _, log_radius, _, low, high = jax.lax.fori_loop(0, _SQUARINGS, square, start)
    return Radius(jnp.exp(log_radius), jnp.exp(low), jnp.exp(high))


def arnoldi_radius(matvec: Callable[[Array], Array], size: int, dtype: DTypeLike) -> Array:
    """Return the largest modulus of a Ritz value on a Krylov space of 60 vectors, for large games.

    Powers of the matrix are applied to a random vector first, so that what only grows for a while has died out.
    """
    steps = min(_KRYLOV, size)

    def power(_: Array, vector: Array) -> Array:
        image = matvec(vector)
        length = jnp.sqrt((image**2).sum())
        return jnp.where(length > 0, image / jnp.where(length > 0, length, 1), vector)

    start = jax.random.normal(jax.random.key(0), (size,), dtype)
    start = jax.lax.fori_loop(0, _WARM_UP, power, start)
    basis = jnp.zeros((steps + 1, size), dtype).at[0].set(start / jnp.linalg.norm(start))
    hessenberg = jnp.zeros((steps, steps + 1), dtype)

    def extend(k: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        basis, hessenberg = carry
        vector = matvec(basis[k])
        before = jnp.sqrt((vector**2).sum())
        along = basis @ vector
        vector = vector - along @ basis
        again = basis @ vector  # once more: rounding leaves parts behind
        vector = vector - again @ basis
        length = jnp.sqrt((vector**2).sum())
        ended = length <= 100 * jnp.finfo(dtype).eps * before  # the space is invariant
        unit = jnp.where(ended, 0, vector / jnp.where(ended, 1, length))
        row = (along + again).at[k + 1].set(jnp.where(ended, 0, length))
        return basis.at[k + 1].set(unit), hessenberg.at[k].set(row)

    _, hessenberg = jax.lax.fori_loop(0, steps, extend, (basis, hessenberg))
    return spectral_radius(hessenberg[:, :steps].T).estimate
