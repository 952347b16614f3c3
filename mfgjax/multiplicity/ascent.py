"""The iteration of the mean-field map of a stationary game from one end of the order of laws."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._linear import zero_sum_norm
from .._result import RESULTS
from .._typing import Array
from ..certify.rounding import most_explained
from ..engine import finish
from ..engine.loop import Outcome
from ..equilibrium import Equilibrium
from ..kernels import AbstractKernel
from ..model import StationaryGame
from ..operators import action_gap, has_ties
from ..responses import AbstractResponse
from ..responses.ties import tie_band
from ..solvers.base import Candidate, Problem


@dataclasses.dataclass(frozen=True)
class Ascent:
    """The iteration z_{k+1} = Φ(z_k, π_k) from one end of the order.

    Attributes:
      laws: z_0, z_1, ..., `[steps, S]`.
      disorder: the most by which a step went against the order: over tails k and steps, how far P(s ≥ k) went back.
      disorder_step: the step of that.
      disorder_error: the most of it that rounding explains: of sums, of the moves, and of action values: 1 where these
        may change which action is best.
      gap: the smallest difference, over steps and states, between the value of the best action and that of the best one
        that does not tie with it, in units of reward; infinite where there is no such action, and for smooth responses.
      gap_error: the largest error of a difference of action values: by rounding, also of rewards and moves in the
        user's program, where large numbers may cancel, and by what the law is off. Gap and error are those of the
        last step if that leaves less between them, as the end is off by more than rounding.
      tied: whether in some step and state several actions were equally good up to rounding.
      contraction: factor of one step at the end in total variation: the norm of its derivative D on vectors of sum
        zero. A policy that jumps is held.
      amplification: the norm of (I − D)⁻¹; infinite where that matrix is singular.
      error: of the end, in total variation: the residual times `amplification`, to first order, and no less than
        rounding, which is also that of rewards and moves in the user's program.
      noise: by how much rounding may move the next law, in total variation: of sums, or of the user's program.
      barrier: a law between this end and the other. The next step leads it back towards this end, by more than
        rounding explains. Where steps keep the order, there is an equilibrium between barrier and end. `[S]`; NaN
        where none was found.
    """

    laws: np.ndarray
    disorder: float
    disorder_step: int
    disorder_error: float
    gap: float
    gap_error: float
    tied: bool
    contraction: float
    amplification: float
    error: float
    noise: float
    barrier: np.ndarray

    @property
    def is_certain(self) -> bool:
        """Whether no action that was chosen on the way may be the worse one by rounding."""
        return self.gap > self.gap_error or self.gap == np.inf

    @property
    def ordered(self) -> bool:
        """Whether every step kept the order, up to rounding."""
        return self.disorder <= rounding_of_sums(self.laws)

    def steps_to(self, distance: float) -> int:
        """Return k₀: from this step on, the l1 distance to the end is at most `distance`.

        Source: Lee et al. (2021), arXiv:2006.11683, remark 1.
        """
        apart = np.abs(self.laws - self.laws[-1]).sum(axis=1)
        far = np.flatnonzero(apart > _checks.number_in("distance", distance, 0, float("inf"), "(0, inf)"))
        return int(far[-1]) + 1 if far.size else 0


def climb(
    game: StationaryGame, response: AbstractResponse, state: int, tolerance: np.ndarray, max_steps: int
) -> tuple[Equilibrium, Ascent]:
    start = jnp.zeros((1, game.num_states), game.dtype).at[0, state].set(1)
    path, count, equilibrium, found = _climb_jit(game, response, start, tolerance, max_steps)
    laws = np.asarray(path[: int(count)])
    order = (laws[:-1], laws[1:]) if state == 0 else (laws[1:], laws[:-1])
    back = np.array([went_back(low, high) for low, high in zip(*order, strict=True)])
    step = int(back.argmax()) if back.size else 0
    disorder = float(back.max()) if back.size else 0.0
    amplification, noise = float(found.amplification), max(rounding_of_sums(laws), float(found.noise))
    amplification = amplification if np.isfinite(amplification) else float("inf")  # I − D is singular
    # z − z* = (I − D)⁻¹ (z − Φ(z)), to first order
    error = max(float(equilibrium.residual), noise) * amplification
    gap, gap_error = float(found.gap), float(found.gap_error)
    # a soft policy moves in total variation by β/2 times what action values do, in each of the two steps compared
    jumps = not response.is_smooth
    beta = 0.0 if jumps else float(getattr(response, "beta", 0.0))
    # an action that rounding may have chosen moves anything anywhere
    disorder_error = 1.0 if jumps and gap <= gap_error else noise + beta * gap_error
    if jumps and found.slope > 0:
        # laws on the way are off by rounding, carried along; the end also by the steps that were not taken
        by_place = [(gap, noise * amplification), (float(found.last_gap), error)]
        by_place = [(gap, gap_error + float(found.slope) * off) for gap, off in by_place]
        gap, gap_error = min(by_place, key=lambda place: place[0] - place[1] if np.isfinite(place[1]) else -np.inf)
    numbers = (disorder, step, disorder_error, gap, gap_error, bool(found.tied), float(found.contraction))
    return equilibrium, Ascent(laws, *numbers, amplification, error, noise, np.asarray(found.barrier))


def rounding_of_sums(laws: Array | np.ndarray) -> float:
    """Return by how much sums of probabilities, of the next law or of this one, may be off by rounding."""
    return 64 * float(np.finfo(laws.dtype).eps)


def went_back(low: np.ndarray, high: np.ndarray) -> float:
    """Return by how much `high` fails to dominate `low`: the most that a tail of `low` exceeds that of `high`."""
    return max(0.0, float(np.cumsum((low - high)[::-1]).max()))


class _Found(NamedTuple):
    """Numbers of an ascent, as its program returns them; those that are not an attribute of it are explained here.

    Attributes:
      last_gap: `gap` of the last step.
      slope: by how much a difference of action values changes at most, per change of the law in total variation.
      noise: by how much rounding of the user's program may move the next law, in total variation.
    """

    gap: Array
    gap_error: Array
    tied: Array
    last_gap: Array
    slope: Array
    noise: Array
    contraction: Array
    amplification: Array
    barrier: Array


@compiled
def _climb_jit(
    game: StationaryGame, response: AbstractResponse, start: Array, tolerance: Array | np.ndarray, max_steps: int
) -> tuple[Array, Array, Equilibrium, _Found]:
    def unsettled(carry: tuple) -> Array:
        *_, residual, count, _ = carry
        return (residual > tolerance) & (count < max_steps)

    def step(carry: tuple) -> tuple:
        z, values, path, residuals, _, count, (gap, off, tied) = carry
        policy, values = game.policy_from(z, response, values)
        problem = game.decision(z)
        q = problem.q(values)
        band = tie_band(q, problem.available)
        of_program = most_explained(lambda law: _action_values(game, law, values), z[0]).max()
        # whatever the chain, errors of single values add up to no more than this
        off = jnp.maximum(off, (band + 2 * of_program) / (1 - game.discount))
        gap = jnp.minimum(gap, action_gap(q, problem.available, band))
        gaps = (gap, off, tied | has_ties(q, problem.available, band))
        image = game.moved_on(z, policy)[1]
        residual = jnp.abs(image - z).sum() / 2
        path, residuals = path.at[count].set(z[0]), residuals.at[count].set(residual)
        # the law that meets the tolerance is kept, as the residual is its own
        return jnp.where(residual > tolerance, image, z), values, path, residuals, residual, count + 1, gaps

    path = jnp.zeros((max_steps, game.num_states), game.dtype)  # a loop of XLA cannot grow an array
    never = jnp.asarray(jnp.inf, game.dtype)
    gaps = (never, jnp.zeros((), game.dtype), jnp.array(False))
    residuals = jnp.full(max_steps, jnp.nan, game.dtype)
    carry = (start, jnp.zeros_like(game.initial), path, residuals, never, jnp.int32(0), gaps)
    z, _, path, residuals, residual, count, gaps = jax.lax.while_loop(unsettled, step, carry)
    code = jnp.where(residual <= tolerance, RESULTS.converged, RESULTS.max_steps).astype(jnp.int32)
    code = jnp.where(jnp.isfinite(residual), code, RESULTS.non_finite).astype(jnp.int32)
    outcome = Outcome(Candidate(z, None), residual, code, jnp.int32(0), count, residuals)
    equilibrium = finish(game, response, outcome, tolerance)
    # a policy that jumps is held, as `argmax` passes no derivative on
    problem = Problem(game, response, tolerance)
    one_step = jax.jacfwd(lambda law: problem.image(law[None])[0])(z[0])
    all_steps = jnp.linalg.inv(jnp.eye(game.num_states, dtype=game.dtype) - one_step)
    policy, values = game.policy_from(z, response, None)
    jumps = not response.is_smooth

    def image(law: Array) -> Array:
        acted = policy if jumps else game.policy_from(law[None], response, None)[0]
        return game.moved_on(law[None], acted)[1][0]

    is_fixed = isinstance(game.kernel, AbstractKernel) and jumps  # then a step rounds sums alone
    noise = jnp.zeros_like(residual) if is_fixed else most_explained(image, z[0]).sum() / 2
    numbers = gaps if jumps else (never, *gaps[1:])  # soft policies choose nothing that could flip
    found = _Found(
        *numbers,
        _gap(game, z[0], values)[0],
        2 * _span(lambda law: _action_values(game, law, values), game.num_states, game.dtype) / (1 - game.discount),
        noise,
        zero_sum_norm(one_step),
        zero_sum_norm(all_steps),
        _barrier(game, response, z[0], start[0], all_steps, noise, gaps[1:]),
    )
    return path, count, equilibrium, found


def _action_values(game: StationaryGame, law: Array, values: Array) -> Array:
    """Return what the user's programs make of a law in r + γ Σ P v, for given v; 0 at actions that do not exist."""
    problem = game.decision(law[None])
    # a kernel that ignores the population is known as it is
    q = problem.reward if isinstance(game.kernel, AbstractKernel) else problem.q(values)
    return jnp.where(game.available, q, 0)


def _gap(game: StationaryGame, law: Array, values: Array) -> tuple[Array, Array]:
    """Return by how much the best actions beat the next, and whether there are ties, with values near their own."""
    problem = game.decision(law[None])
    q = problem.q(values)
    band = tie_band(q, problem.available)
    return action_gap(q, problem.available, band), has_ties(q, problem.available, band)


def _span(function: Callable[[Array], Array], num_states: int, dtype: Any) -> Array:
    """Return the most by which values differ between point masses: the slope of what is affine in the law.

    Where they are not finite at a point mass they are not affine, and nothing is proved.
    """

    def widened(ends: tuple[Array, Array], law: Array) -> tuple[tuple[Array, Array], None]:
        value = function(law)
        return (jnp.minimum(ends[0], value), jnp.maximum(ends[1], value)), None

    laws = jnp.eye(num_states, dtype=dtype)
    first = function(laws[0])
    (low, high), _ = jax.lax.scan(widened, (first, first), laws)
    return jnp.where(jnp.isfinite(high - low), high - low, 0).max()


def _barrier(
    game: StationaryGame,
    response: AbstractResponse,
    z: Array,
    start: Array,
    all_steps: Array,
    noise: Array,
    gap_error_and_tied: tuple[Array, Array],
) -> Array:
    """Return a law near an end, on its inner side, that Γ leads back towards the end; NaN if none is found.

    With e the point mass at the other extreme and d = (I − DΓ)⁻¹ (e − z), z + t d is moved back by t (e − z), to first
    order in t. The smallest t of a grid at which it is, by more than rounding, is taken. Actions that are chosen there
    must be better than others by more than rounding, too.
    """
    rises = start[0] > 0
    extreme = jnp.zeros_like(z).at[jnp.where(rises, len(z) - 1, 0)].set(1)
    direction = all_steps @ (extreme - z)
    slack = jnp.maximum(rounding_of_sums(z), noise)
    gap_error, is_tied = gap_error_and_tied

    def tried(t: Array) -> tuple[Array, Array]:
        law = z + t * direction
        policy, values = game.policy_from(law[None], response, None)
        gap, has_tie = _gap(game, law, values)
        is_certain = response.is_smooth | ((gap > gap_error) & (is_tied | ~has_tie))
        image = game.moved_on(law[None], policy)[0][0]
        tails, moved = (jnp.cumsum(x[::-1])[:-1] for x in (law, image))  # P(s ≥ k), k ≥ 1
        back = jnp.where(rises, tails - moved, moved - tails)
        is_extreme = jnp.where(rises, tails >= 1 - slack, tails <= slack)
        return law, ((back > slack) | is_extreme).all() & (law >= 0).all() & is_certain

    lengths = jnp.geomspace(slack * 16, 0.5, 40, dtype=z.dtype)
    laws, led_back = jax.lax.map(tried, lengths)
    return jnp.where(led_back.any(), laws[jnp.argmax(led_back)], jnp.nan)
