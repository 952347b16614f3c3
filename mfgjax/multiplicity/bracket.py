"""The least and the greatest equilibrium of a stationary game whose best responses rise with the population."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._result import RESULTS, ConvergenceError
from .._traced import as_it_is_now
from .._typing import Array
from ..certify import Complementarity, check_complementarity
from ..engine import finish, fit_response
from ..engine.loop import Outcome
from ..equilibrium import Equilibrium
from ..model import StationaryGame, moved_on, trace_game
from ..model.maps import policy_from
from ..model.stationary_maps import decision
from ..operators import action_gap, has_ties, tie_band
from ..responses import AbstractResponse, AbstractTrembling, Boltzmann, EntropyRegularized, Greedy
from ..solvers.base import Candidate

_ISOTONE = (Greedy, AbstractTrembling, EntropyRegularized, Boltzmann)
"""Responses that rise with action values which have complementarities; the soft ones with uniform priors.

V = (1/β) log Σ exp(βQ) then has increasing differences, too: sums keep log-supermodularity (Ahlswede and Daykin 1978).
"""


@dataclasses.dataclass(frozen=True)
class Ascent:
    """The iteration z_{k+1} = Φ(z_k, π_k) from one end of the order.

    Attributes:
      laws: z_0, z_1, ..., `[steps, S]`.
      disorder: the most by which a step went against the order: over tails k and steps, how far P(s ≥ k) went back.
      disorder_step: the step of that.
      gap: the smallest difference, over steps and states, between the value of the best action and that of the best one
        that does not tie with it, in units of reward; infinite where there is no such action.
      gap_error: the largest error of a difference of action values by rounding, over the steps.
      tied: whether in some step and state several actions were equally good up to rounding.
      contraction: factor of one step z ↦ Φ(z, π) at the end in total variation, with the policy held.
      error: bound on the distance of the end to its limit in total variation: the residual times the norm of
        (I − D_z Φ)⁻¹ on vectors of sum zero; to first order in it, and as long as the policy stays. Infinite where that
        matrix is singular.
    """

    laws: np.ndarray
    disorder: float
    disorder_step: int
    gap: float
    gap_error: float
    tied: bool
    contraction: float
    error: float

    @property
    def ordered(self) -> bool:
        """Whether every step went with the order, but for rounding."""
        return self.disorder <= 64 * float(np.finfo(self.laws.dtype).eps)

    def steps_to(self, distance: float) -> int:
        """Return k₀: from this step on, the l1 distance to the end is at most `distance`.

        Source: Lee et al. (2021), arXiv:2006.11683, remark 1.
        """
        apart = np.abs(self.laws - self.laws[-1]).sum(axis=1)
        far = np.flatnonzero(apart > _checks.number_in("distance", distance, 0, float("inf"), "(0, inf)"))
        return int(far[-1]) + 1 if far.size else 0


@dataclasses.dataclass(frozen=True)
class Bracket:
    """The equilibria at both ends, between which all others lie if the map is isotone.

    Attributes:
      least: reached from the point mass on the first state.
      greatest: reached from the point mass on the last.
      rising: the way to the least; `rising.steps_to(.1)` is k₀(.1).
      falling: the way to the greatest.
      distance: between the two, in total variation.
      complementarity: what `check_complementarity` says of the game; None where it could not be asked, or tells
        nothing of the map, as with a prior or reference policy of one's own.
    """

    least: Equilibrium
    greatest: Equilibrium
    rising: Ascent
    falling: Ascent
    distance: float
    complementarity: Complementarity | None

    @property
    def coincide(self) -> bool:
        """Whether the ends are one equilibrium: no further apart than twice their error bounds explain."""
        found = bool(self.least.converged) and bool(self.greatest.converged)
        return found and self.distance <= 2 * (self.rising.error + self.falling.error) < 1

    @property
    def ordered(self) -> bool:
        """Whether every step went with the order, and the ends are in order."""
        slack = 2 * (self.rising.error + self.falling.error)
        ends = _went_back(np.asarray(self.least.mean_field), np.asarray(self.greatest.mean_field))
        return self.rising.ordered and self.falling.ordered and (ends <= slack or self.coincide)

    @property
    def certificate(self) -> str:
        """What is known, in a sentence."""
        if not (self.rising.ordered and self.falling.ordered):
            worst = max((self.rising, self.falling), key=lambda way: way.disorder)
            return (
                f"fails: step {worst.disorder_step} went against the order by {worst.disorder:.2g}, so the map is not "
                "isotone, and other equilibria may lie anywhere."
            )
        for name, end in (("least", self.least), ("greatest", self.greatest)):
            if not bool(end.converged):
                return f"unknown: every step kept the order, but the {name} end was not reached ({end.result.name})."
        for name, way in (("least", self.rising), ("greatest", self.falling)):
            if way.gap <= way.gap_error:
                return (
                    f"unknown: on the way to the {name} end the values of two actions differ by {way.gap:.2g}, and "
                    f"rounding may change that by {way.gap_error:.2g}, so either action may be the better one."
                )
        if not self.ordered:
            return "fails: the ends are not in order, so the map is not isotone, and other equilibria may lie anywhere."
        error = 2 * (self.rising.error + self.falling.error)
        if not self.coincide and self.distance <= error:
            return (
                f"unknown: every step kept the order, but the ends are known to {error:.2g} only, so they may be one "
                "equilibrium or two."
            )
        ends = "the ends coincide: one equilibrium" if self.coincide else "the ends differ: at least two equilibria"
        if not self.coincide and (self.rising.tied or self.falling.tied):
            ends += " (provided that actions whose values differ by rounding alone are equally good)"
        if self.complementarity is not None and self.complementarity.holds:
            reach = "reached from every law" if self.coincide else "all others lie between them"
            return (
                f"holds: complementarities hold, hence the map is isotone; every step kept the order; {ends}, {reach}."
            )
        shown = "complementarities were not shown to hold"
        if self.complementarity is not None and not self.complementarity.affine and not self.complementarity.fails:
            shown = f"complementarities were {self.complementarity.how}"
        return f"unknown: every step kept the order, but {shown}; {ends}."

    def __repr__(self) -> str:
        return f"Bracket(distance={self.distance:.3g}, {self.certificate})"


@as_it_is_now
def bracket(
    game: StationaryGame,
    response: AbstractResponse,
    *,
    atol: float | None = None,
    max_steps: int = 20_000,
    throw: bool = True,
) -> Bracket:
    """Find the least and the greatest equilibrium of a stationary game, from both ends of the order.

    Laws are ordered by stochastic dominance in the order of the states. Where z ↦ Φ(z, π(z)) is isotone, as with
    strategic complementarities, iterating it from the point mass on the first state, taking the smallest best action
    at ties, rises to the least equilibrium, and from the last state, with the largest, it falls to the greatest. Every
    step is checked. If the ends coincide the equilibrium is unique, and the iteration converges to it from every law.

    Args:
      game: one that observes the law of the states.
      response: how agents act; `tie` of a `Trembling`, `EpsilonGreedy` or `Greedy` response is set at either end.
      atol: on the residual d_TV(z, Φ(z, π)); None: 1e-12, or 1e-6 in single precision.
      max_steps: most steps from either end.
      throw: raise if an end was not reached.

    Returns:
      A `Bracket`; its `certificate` says what is proved.

    Raises:
      ValueError: if an argument is invalid.
      ConvergenceError: if the iteration from an end does not converge and `throw` holds.

    Example:
      >>> import mfgjax as mfg
      >>> ends = mfg.bracket(mfg.games.infection_tipping(), mfg.Trembling(0.1))
      >>> ends.ordered, ends.coincide
      (True, False)

    Source: Lee et al. (2021), arXiv:2006.11683, theorems 1, 2 and algorithm 1; that both ends are needed follows from
    Tarski's theorem, as the argument says nothing of other starts.
    """
    if not isinstance(game, StationaryGame):
        raise ValueError(f"`game` must be a `StationaryGame`; got {_checks.shorten(game)}.")
    if not isinstance(response, AbstractResponse):
        raise ValueError(
            f"`response` must be a response such as `Trembling(epsilon)`; got {_checks.shorten(response)}."
        )
    if game.observes != "states":
        raise ValueError("`game` observes the joint law of states and actions; `bracket` orders laws of states.")
    max_steps = _checks.integer_at_least("max_steps", max_steps, 1)
    eps = float(jnp.finfo(game.dtype).eps)
    wanted = _checks.tolerance(atol)
    tolerance = (1e-12 if eps < 1e-12 else 1e-6) if wanted is None else wanted
    if tolerance < 8 * eps:
        raise ValueError(f"`atol` is {tolerance:.1e}, which {game.dtype} cannot reach: use at least {8 * eps:.1e}.")
    response, throw = fit_response(game, response), _checks.boolean("throw", throw)
    given, game, ends = game, trace_game(game), []
    for state, tie in ((0, "smallest"), (game.num_states - 1, "largest")):
        tied = response
        if isinstance(response, AbstractTrembling):
            tied = type(response)(response.epsilon, tie)
        elif isinstance(response, Greedy):
            tied = Greedy(tie)
        ends.append(_climb(game, tied, state, np.asarray(tolerance, game.dtype), max_steps))
    for equilibrium, _ in ends:
        if throw and not bool(equilibrium.converged):
            raise ConvergenceError(equilibrium.result.message, equilibrium)
    (least, rising), (greatest, falling) = ends
    distance = float(np.abs(np.asarray(least.mean_field) - np.asarray(greatest.mean_field)).sum() / 2)
    # a prior may lean to high actions in low states, whatever the game
    proved = isinstance(response, _ISOTONE) and response.prior_table is None and np.asarray(game.available).all()
    checked = check_complementarity(given) if proved else None
    return Bracket(least, greatest, rising, falling, distance, checked)


def _climb(
    game: StationaryGame, response: AbstractResponse, state: int, tolerance: np.ndarray, max_steps: int
) -> tuple[Equilibrium, Ascent]:
    start = jnp.zeros((1, game.num_states), game.dtype).at[0, state].set(1)
    path, residuals, count, equilibrium, *numbers = _climb_jit(game, response, start, tolerance, max_steps)
    gap, gap_error, tied, contraction, amplification = (float(number) for number in numbers)
    count = int(count)
    laws, residuals = np.asarray(path[:count]), np.asarray(residuals[:count])
    order = (laws[:-1], laws[1:]) if state == 0 else (laws[1:], laws[:-1])
    back = np.array([_went_back(low, high) for low, high in zip(*order, strict=True)])
    step = int(back.argmax()) if back.size else 0
    disorder = float(back.max()) if back.size else 0.0
    error = float(equilibrium.residual) * amplification if float(equilibrium.residual) > 0 else 0.0
    error = error if np.isfinite(error) else float("inf")  # (I − D_z Φ) is singular
    return equilibrium, Ascent(laws, disorder, step, gap, gap_error, bool(tied), contraction, error)


def _went_back(low: np.ndarray, high: np.ndarray) -> float:
    """Return by how much `high` fails to dominate `low`: the most that a tail of `low` exceeds that of `high`."""
    return max(0.0, float(np.cumsum((low - high)[::-1]).max()))


@eqx.filter_jit
def _climb_jit(
    game: StationaryGame, response: AbstractResponse, start: Array, tolerance: np.ndarray, max_steps: int
) -> Any:
    def unsettled(carry: tuple) -> Array:
        *_, residual, count, _ = carry
        return (residual > tolerance) & (count < max_steps)

    def step(carry: tuple) -> tuple:
        z, values, path, residuals, _, count, (gap, off, tied) = carry
        policy, values = policy_from(game, z, response, values)
        problem = decision(game, z)
        q = problem.q(values)
        band = tie_band(q, problem.available)
        # whatever the chain, errors of single values add up to no more than this
        off = jnp.maximum(off, band / (1 - game.discount))
        gap = jnp.minimum(gap, action_gap(q, problem.available, band))
        gaps = (gap, off, tied | has_ties(q, problem.available, band))
        image = moved_on(game, z, policy)[1]
        residual = jnp.abs(image - z).sum() / 2
        path, residuals = path.at[count].set(z[0]), residuals.at[count].set(residual)
        return jnp.where(residual > tolerance, image, z), values, path, residuals, residual, count + 1, gaps

    path = jnp.zeros((max_steps, game.num_states), game.dtype)
    never = jnp.asarray(jnp.inf, game.dtype)
    gaps = (never, jnp.zeros((), game.dtype), jnp.array(False))
    residuals = jnp.full(max_steps, jnp.nan, game.dtype)
    carry = (start, jnp.zeros_like(game.initial), path, residuals, never, jnp.int32(0), gaps)
    z, _, path, residuals, residual, count, gaps = jax.lax.while_loop(unsettled, step, carry)
    code = jnp.where(residual <= tolerance, RESULTS.converged, RESULTS.max_steps).astype(jnp.int32)
    code = jnp.where(jnp.isfinite(residual), code, RESULTS.non_finite).astype(jnp.int32)
    outcome = Outcome(Candidate(z, None), residual, code, jnp.int32(0), count, residuals)
    equilibrium = finish(game, response, outcome, tolerance)
    policy = equilibrium.policy[None]
    one_step = jax.jacfwd(lambda z: moved_on(game, z[None], policy)[0][0])(z[0])
    all_steps = jnp.linalg.inv(jnp.eye(game.num_states, dtype=game.dtype) - one_step)
    return path, residuals, count, equilibrium, *gaps, _norm(one_step), _norm(all_steps)


def _norm(matrix: Array) -> Array:
    """Return the norm in total variation of a matrix on vectors of sum zero: they are mixtures of e_i − e_j."""
    return jnp.abs(matrix[:, :, None] - matrix[:, None, :]).sum(axis=0).max() / 2
