"""Anderson acceleration."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, ArrayLike, Float
from ..kernels.base import align
from ..responses import AbstractResponse
from .base import AbstractSolver, Candidate, Problem, Progress, needs_smooth


class Anderson(AbstractSolver):
    """Extrapolate from the last few steps of Γ (Anderson acceleration, type II), for smooth responses.

        μ ← Proj(μ + ηf − (ΔX + ηΔF) argmin_c |f − ΔF c|),   f = Γ(μ) − μ

    Fast on mild games; on strongly congested ones at large β it may stall, and says so. Iterates stay
    distributions; when the residual grows, the memory is dropped.

    Args:
      memory: number of differences kept, ≥ 1.
      mixing: η in (0, 1].
      atol: tolerance on the residual; None for the default of the precision, 0 to run `max_steps`.

    Source: Walker and Ni (2011), SIAM J. Numer. Anal. 49(4).
    """

    memory: int = eqx.field(static=True)
    mixing: Float[Array, "*batch"]
    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 1_000
    patience: ClassVar[int | None] = 200
    takes_lanes: ClassVar[bool] = True

    def __init__(self, memory: int = 5, mixing: ArrayLike = 1.0, *, atol: float | None = None):
        self.memory = _checks.integer_at_least("memory", memory, 1)
        self.mixing = _checks.scalar_in("mixing", mixing, 0, 1, "(0, 1]")
        self.atol = _checks.tolerance(atol)

    def check(self, response: AbstractResponse) -> None:
        needs_smooth(self, response)

    def init(self, problem: Problem, guess: Array) -> Any:
        past = jnp.zeros((self.memory, *guess.shape), guess.dtype)
        count = jnp.zeros(problem.lanes, jnp.int32)
        never = jnp.full(problem.lanes, jnp.inf, guess.dtype)
        return count, guess, jnp.zeros_like(guess), jnp.zeros_like(guess), past, past, never

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        count, x, last_x, last_f, past_x, past_f, last_residual = state
        image = problem.image(x)
        f = image - x
        residual = problem.distance(x, image)
        grew = residual > 2 * last_residual
        count = jnp.where(grew, 0, count)
        places = jnp.arange(self.memory).reshape((self.memory,) + (1,) * count.ndim)
        kept, newest = places < count, places == jnp.maximum(count - 1, 0) % self.memory
        flow_axes = tuple(range(1, 1 + x.ndim - count.ndim))

        def spread(flags: Array) -> Array:
            return jnp.expand_dims(flags, flow_axes)

        # unused places are zero, and so are their coefficients
        past_x = jnp.where(spread(kept), jnp.where(spread(newest), x - last_x, past_x), 0)
        past_f = jnp.where(spread(kept), jnp.where(spread(newest), f - last_f, past_f), 0)
        weights = _least_squares(past_f, f, flow_axes)
        eta = jnp.where(grew, 0.5, 1) * self.mixing.astype(x.dtype)
        step = x + eta * f - (spread(weights) * (past_x + eta * past_f)).sum(axis=0)
        progress = Progress(Candidate(x, None), residual, jnp.array(False))
        return (count + 1, problem.project(step), x, f, past_x, past_f, residual), progress


def _least_squares(columns: Array, target: Array, axes: tuple[int, ...]) -> Array:
    """Return argmin_c |target − Σ_i c_i columns_i| in each lane, with a ridge at the rounding level.

    The normal equations are eliminated without pivoting, which their positive definite matrix allows; so all
    lanes go through the same few operations.
    """
    size = len(columns)
    table = jnp.concatenate([columns, target[None]])
    rows = jnp.stack([(table * column).sum(axis=axes) for column in columns])  # [size, size + 1, *lanes]
    scale = jnp.trace(rows[:, :size])
    ridge = jnp.where(scale > 0, scale, 1) * 10 * jnp.finfo(target.dtype).eps
    unit = jnp.eye(size, size + 1, dtype=target.dtype)
    rows = rows + align(unit, rows) * ridge
    for k in range(size):
        pivot = rows[k] / rows[k, k]
        rows = (rows - rows[:, k, None] * pivot).at[k].set(pivot)
    return rows[:, size]
