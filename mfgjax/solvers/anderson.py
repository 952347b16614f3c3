"""Anderson acceleration."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, ArrayLike, Scalar
from ..model import flow_distance
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
    mixing: Scalar
    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 1_000
    patience: ClassVar[int | None] = 200

    def __init__(self, memory: int = 5, mixing: ArrayLike = 1.0, *, atol: float | None = None):
        self.memory = _checks.integer_at_least("memory", memory, 1)
        self.mixing = _checks.scalar_in("mixing", mixing, 0, 1, "(0, 1]")
        self.atol = _checks.tolerance(atol)

    def check(self, response: AbstractResponse) -> None:
        needs_smooth(self, response)

    def init(self, problem: Problem, guess: Array) -> Any:
        past = jnp.zeros((self.memory, *guess.shape), guess.dtype)
        return jnp.int32(0), guess, jnp.zeros_like(guess), jnp.zeros_like(guess), past, past, jnp.inf

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        count, x, last_x, last_f, past_x, past_f, last_residual = state
        image, floor = problem.image(x)
        f = image - x
        residual = flow_distance(x, image)
        grew = residual > 2 * last_residual
        count = jnp.where(grew, 0, count)
        kept = jnp.arange(self.memory) < count
        slot = jnp.maximum(count - 1, 0) % self.memory
        shape = (self.memory,) + (1,) * x.ndim
        # unused places are zero, and so are their coefficients
        past_x = jnp.where(kept.reshape(shape), past_x.at[slot].set(x - last_x), 0)
        past_f = jnp.where(kept.reshape(shape), past_f.at[slot].set(f - last_f), 0)
        flat = past_f.reshape(self.memory, -1)
        gram = jnp.matmul(flat, flat.T, precision=jax.lax.Precision.HIGHEST)
        scale = jnp.trace(gram)
        ridge = jnp.where(scale > 0, scale, 1) * 10 * jnp.finfo(x.dtype).eps
        known = jnp.matmul(flat, f.reshape(-1), precision=jax.lax.Precision.HIGHEST)
        weights = jnp.linalg.solve(gram + ridge * jnp.eye(self.memory, dtype=x.dtype), known)
        eta = jnp.where(grew, 0.5, 1) * self.mixing.astype(x.dtype)
        following = problem.project(x + eta * f - jnp.tensordot(weights, past_x + eta * past_f, axes=1))
        progress = Progress(Candidate(x, None), residual, floor, jnp.array(False))
        return (count + 1, following, x, f, past_x, past_f, residual), progress
