"""Anderson acceleration."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._linear import solve_normal_equations
from .._typing import Array, ArrayLike, Float
from ..model import AnyGame
from ..responses import AbstractResponse
from .base import AbstractMethod, Candidate, Problem, Progress, needs_smooth

_WINDOW = 10
"""Steps over which a rate of convergence is measured."""


class _Pace(NamedTuple):
    """The number of steps taken, the lowest residual, and that of the last multiple of `_WINDOW` steps."""

    steps: Array
    lowest: Array
    lowest_before: Array

    def next(self, residual: Array, tolerance: Array | np.ndarray, within: int) -> tuple["_Pace", Array]:
        """Count a step; tell whether the tolerance will be missed, if the residual goes on to fall as it did."""
        steps, lowest = self.steps + 1, jnp.minimum(self.lowest, residual)
        windows_left = (within - steps) / _WINDOW
        fall = jnp.log(self.lowest_before / lowest)
        is_full = steps % _WINDOW == 0
        misses = jnp.log(lowest / tolerance) > windows_left * fall
        slow = is_full & misses & jnp.isfinite(self.lowest_before) & (tolerance > 0)
        return _Pace(steps, lowest, jnp.where(is_full | (steps == 1), lowest, self.lowest_before)), slow


class Anderson(AbstractMethod):
    """Anderson acceleration (type II): extrapolate from the last few steps of the iteration of Γ.

        μ ← Proj(μ + ηf − (ΔX + ηΔF) argmin_c |f − ΔF c|),   f = Γ(μ) − μ

    where Γ is the mean-field map, ΔX and ΔF hold the last differences of μ and of f, and Proj projects onto
    distributions.

    It is fast on easy games. On strongly congested games at large β it may stall, which the result code says. Iterates
    stay distributions; when the residual grows, the stored steps are dropped. It works for smooth responses, and in
    stationary games for all responses, because Γ is smooth there between two changes of the policy.

    Args:
      memory: number of differences kept, ≥ 1.
      mixing: η in (0, 1].
      within: number of steps. The solver stops as soon as the rate of the last ten steps says that the residual will
        not meet the tolerance within that many steps. None: it does not stop for this reason.
      atol: tolerance on the residual; None for the default of the precision, 0 to run `max_steps`.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> mfg.solve(game, response, mfg.Anderson(memory=3)).result.name
      'converged'

    Source: Walker and Ni (2011), SIAM J. Numer. Anal. 49(4).
    """

    memory: int = eqx.field(static=True)
    mixing: Float[Array, "*batch"]
    within: int | None = eqx.field(static=True)
    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 1_000
    takes_lanes: ClassVar[bool] = True

    def __init__(
        self,
        memory: int = 5,
        mixing: ArrayLike = 1.0,
        *,
        within: int | None = None,
        atol: float | None = None,
    ):
        self.within = None if within is None else _checks.integer_at_least("within", within, 1)
        self.memory = _checks.integer_at_least("memory", memory, 1)
        self.mixing = _checks.scalar_in("mixing", mixing, 0, 1, "(0, 1]")
        self.atol = _checks.tolerance(atol)

    def check(self, game: AnyGame, response: AbstractResponse) -> None:
        needs_smooth(self, game, response)

    @property
    def patience(self) -> int | None:
        return 200

    @property
    def mixes(self) -> bool:
        return False

    def init(self, problem: Problem, guess: Array) -> Any:
        past = jnp.zeros((self.memory, *guess.shape), guess.dtype)
        gram = jnp.zeros((self.memory, self.memory, *problem.lanes), guess.dtype)
        count = jnp.zeros(problem.lanes, jnp.int32)
        never = jnp.full(problem.lanes, jnp.inf, guess.dtype)
        nothing = jnp.zeros_like(guess)
        pace = None if self.within is None else _Pace(jnp.int32(0), never, never)
        return count, guess, nothing, nothing, past, past, gram, never, problem.game.first_values(), pace

    def step(self, problem: Problem, state: Any) -> tuple[Any, Progress]:
        count, x, last_x, last_f, past_x, past_f, gram, last_residual, values, pace = state
        image, values = problem.image_from(x, values)
        f = image - x
        residual = problem.game.distance(x, image)
        grew = residual > 2 * last_residual
        count = jnp.where(grew, 0, count)
        places = jnp.arange(self.memory).reshape((self.memory,) + (1,) * count.ndim)
        kept, newest = places < count, places == jnp.maximum(count - 1, 0) % self.memory
        flow_axes = tuple(range(1, 1 + x.ndim - count.ndim))

        def spread(numbers: Array) -> Array:
            return jnp.expand_dims(numbers, flow_axes)

        change = f - last_f
        past_x = jnp.where(spread(newest), x - last_x, past_x)
        past_f = jnp.where(spread(newest), change, past_f)
        # of the inner products of the differences one row is new
        row, known = _products(past_f, change, flow_axes), _products(past_f, f, flow_axes)
        gram = jnp.where(newest[:, None], row[None], jnp.where(newest[None], row[:, None], gram))
        weights = jnp.where(kept, solve_normal_equations(jnp.where(kept[:, None] & kept[None], gram, 0), known), 0)
        eta = jnp.where(grew, 0.5, 1) * self.mixing.astype(x.dtype)
        following = x + eta * f
        for weight, dx, df in zip(weights, past_x, past_f, strict=True):
            following = following - weight * (dx + eta * df)
        slow = jnp.array(False)
        if pace is not None:
            pace, slow = pace.next(residual, problem.tolerance, self.within)
        progress = Progress(Candidate(x, None), residual, slow)
        following = problem.game.stepped_to(following, x, image)
        return (count + 1, following, x, f, past_x, past_f, gram, residual, values, pace), progress


def _products(columns: Array, vector: Array, axes: tuple[int, ...]) -> Array:
    """Return the inner product of each column with a vector, in each lane."""
    if columns.ndim == 1 + len(axes):  # without lanes: one product, over many states
        flat = columns.reshape(len(columns), -1)
        return jnp.matmul(flat, vector.reshape(-1), precision=jax.lax.Precision.HIGHEST)
    return (columns * vector).sum(axis=axes)
