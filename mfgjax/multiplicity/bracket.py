"""The least and the greatest equilibrium of a stationary game whose best responses rise with the population."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._linear import zero_sum_norm
from .._result import RESULTS, ConvergenceError
from .._traced import as_it_is_now
from .._typing import Array
from ..certify import Complementarity, check_complementarity
from ..engine import finish, fit_response
from ..engine.loop import Outcome
from ..equilibrium import Equilibrium
from ..model import StationaryGame, of_kind, trace_game
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
      disorder_error: the most of it that rounding explains: of sums, and of action values where a policy is smooth.
      gap: the smallest difference, over steps and states, between the value of the best action and that of the best one
        that does not tie with it, in units of reward; infinite where there is no such action, and for smooth responses.
      gap_error: the largest error of a difference of action values by rounding, over the steps.
      tied: whether in some step and state several actions were equally good up to rounding.
      contraction: factor of one step at the end in total variation: the norm of its derivative D on vectors of sum
        zero. A policy that jumps is held.
      amplification: the norm of (I − D)⁻¹; infinite where that matrix is singular.
      error: of the end, in total variation: the residual times `amplification`, to first order, and no less than
        rounding.
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
    barrier: np.ndarray

    @property
    def ordered(self) -> bool:
        """Whether every step kept the order, up to rounding."""
        return self.disorder <= _rounding(self.laws)

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
      unique: whether it is proved, where complementarities hold, that there is no more than one equilibrium between the
        ends. Only asked of responses that jump. If the policy is one at both ends, it is one in between, as best
        responses rise. For two fixed points x, y of z ↦ Φ(z, π) then |x − y| ≤ 2 δ |(I − D)⁻¹| |x − y| with δ the
        distance of the ends, as rows of a kernel that is affine in z differ by no more than z does.
      complementarity: what `check_complementarity` says of the game; None where it could not be asked, or tells
        nothing of the map, as with a prior or reference policy of one's own.
    """

    least: Equilibrium
    greatest: Equilibrium
    rising: Ascent
    falling: Ascent
    distance: float
    unique: bool
    complementarity: Complementarity | None

    @property
    def coincide(self) -> bool:
        """Whether the ends are no further apart than twice their errors, which are below 1/4 together."""
        found = bool(self.least.converged) and bool(self.greatest.converged)
        return found and self.distance <= self._error < 0.5

    @property
    def differ(self) -> bool:
        """Whether the map, if it is isotone, has two equilibria.

        One lies at or below the barrier above the least end, one at or above the barrier below the greatest end. They
        are two if the second barrier does not lie below the first.
        """
        return _went_back(self.falling.barrier, self.rising.barrier) > _rounding(self.rising.barrier)

    @property
    def ordered(self) -> bool:
        """Whether every step kept the order, and the least equilibrium lies below the greatest."""
        ends = _went_back(np.asarray(self.least.mean_field), np.asarray(self.greatest.mean_field))
        return self.rising.ordered and self.falling.ordered and ends <= self._error

    @property
    def _error(self) -> float:
        return 2 * (self.rising.error + self.falling.error)

    @property
    def certificate(self) -> str:
        """What is proved about the equilibria, in a sentence."""
        if not (self.rising.ordered and self.falling.ordered):
            worst = max((self.rising, self.falling), key=lambda way: way.disorder - way.disorder_error)
            if worst.disorder <= worst.disorder_error:
                return (
                    f"unknown: step {worst.disorder_step} went against the order by {worst.disorder:.2g}, and rounding "
                    f"of action values may do that up to {worst.disorder_error:.2g}."
                )
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
        shown = "complementarities were not shown to hold"
        if self.complementarity is not None and not self.complementarity.affine and not self.complementarity.fails:
            shown = f"complementarities were {self.complementarity.how}"
        isotone = self.complementarity is not None and self.complementarity.holds
        if not self.coincide and not self.differ:
            return (
                f"unknown: every step kept the order, but {'' if isotone else f'{shown}, and '}the ends are "
                f"{self.distance:.2g} apart, with an estimated error of {self._error:.2g}, which is no bound: whether "
                "they are one equilibrium or two is not proved."
            )
        ends, reach = "the ends differ: at least two equilibria", "all others lie between them"
        if self.coincide and self.unique:
            ends, reach = "the ends coincide: one equilibrium", "reached from every law"
        elif self.coincide:
            near = self.distance + self._error
            ends, reach = f"the ends coincide to {near:.2g}", "all equilibria lie that close, reached from every law"
        elif self.rising.tied or self.falling.tied:
            ends += " (provided that actions whose values differ by rounding alone are equally good)"
        if isotone:
            return (
                f"holds: complementarities hold, hence the map is isotone; every step kept the order; {ends}, {reach}."
            )
        return f"unknown: every step kept the order, but {shown}; if the map is isotone, {ends}."

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
    step is checked. If the ends coincide, all equilibria lie as close together as the ends do, and the iteration comes
    that close to them from every law.

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
    game = of_kind(StationaryGame, game)
    if not isinstance(response, AbstractResponse):
        raise ValueError(
            f"`response` must be a response such as `Trembling(epsilon)`; got {_checks.shorten(response)}."
        )
    if game.observes != "states":
        raise ValueError("`game` observes the joint law of states and actions; `bracket` orders laws of states.")
    max_steps = _checks.integer_at_least("max_steps", max_steps, 1)
    eps = float(jnp.finfo(game.dtype).eps)
    users_atol = _checks.tolerance(atol)
    tolerance = (1e-12 if eps < 1e-12 else 1e-6) if users_atol is None else users_atol
    if tolerance < 8 * eps:
        raise ValueError(f"`atol` is {tolerance:.1e}, which {game.dtype} cannot reach: use at least {8 * eps:.1e}.")
    response, throw = fit_response(game, response), _checks.boolean("throw", throw)
    users_game, game, ends = game, trace_game(game), []
    # ties to the smallest action keep each law from below under every equilibrium, and so on from above
    for state, tie in ((0, "smallest"), (game.num_states - 1, "largest")):
        ends.append(_climb(game, response.with_tie(tie), state, np.asarray(tolerance, game.dtype), max_steps))
    for equilibrium, _ in ends:
        if throw and not bool(equilibrium.converged):
            raise ConvergenceError(equilibrium.result.message, equilibrium)
    (least, rising), (greatest, falling) = ends
    distance = float(np.abs(np.asarray(least.mean_field) - np.asarray(greatest.mean_field)).sum() / 2)
    # a prior may lean to high actions in low states, whatever the game
    proved = response.rises and response.prior_table is None and np.asarray(game.available).all()
    checked = check_complementarity(users_game) if proved else None
    found_bracket = Bracket(least, greatest, rising, falling, distance, False, checked)
    is_one_policy = response.plays_best and np.array_equal(least.policy, greatest.policy)
    if checked is None or not (checked.holds and is_one_policy and found_bracket.coincide):
        return found_bracket
    reach = 2 * (distance + rising.error + falling.error) * min(rising.amplification, falling.amplification)
    # two fixed points satisfy |x − y| ≤ reach |x − y|, see `Bracket.unique`
    return dataclasses.replace(found_bracket, unique=reach < 1)


def _climb(
    game: StationaryGame, response: AbstractResponse, state: int, tolerance: np.ndarray, max_steps: int
) -> tuple[Equilibrium, Ascent]:
    start = jnp.zeros((1, game.num_states), game.dtype).at[0, state].set(1)
    path, residuals, count, equilibrium, *numbers = _climb_jit(game, response, start, tolerance, max_steps)
    *numbers, barrier = numbers
    gap, gap_error, tied, contraction, amplification = (float(number) for number in numbers)
    amplification = amplification if np.isfinite(amplification) else float("inf")  # I − D is singular
    count = int(count)
    laws, residuals = np.asarray(path[:count]), np.asarray(residuals[:count])
    order = (laws[:-1], laws[1:]) if state == 0 else (laws[1:], laws[:-1])
    back = np.array([_went_back(low, high) for low, high in zip(*order, strict=True)])
    step = int(back.argmax()) if back.size else 0
    disorder = float(back.max()) if back.size else 0.0
    # z − z* = (I − D)⁻¹ (z − Φ(z)), to first order
    error = max(float(equilibrium.residual), _rounding(laws)) * amplification
    # a soft policy moves in total variation by β/2 times what action values do, in each of the two steps compared
    beta = float(getattr(response, "beta", 0.0)) if response.is_smooth else 0.0
    disorder_error = _rounding(laws) + beta * gap_error
    numbers = (disorder, step, disorder_error, gap, gap_error, bool(tied), contraction, amplification, error)
    return equilibrium, Ascent(laws, *numbers, np.asarray(barrier))


def _rounding(laws: Array | np.ndarray) -> float:
    """Return by how much sums of probabilities, of the next law or of this one, may be off by rounding."""
    return 64 * float(np.finfo(laws.dtype).eps)


def _went_back(low: np.ndarray, high: np.ndarray) -> float:
    """Return by how much `high` fails to dominate `low`: the most that a tail of `low` exceeds that of `high`."""
    return max(0.0, float(np.cumsum((low - high)[::-1]).max()))


@eqx.filter_jit
def _climb_jit(
    game: StationaryGame, response: AbstractResponse, start: Array, tolerance: Array | np.ndarray, max_steps: int
) -> Any:
    def unsettled(carry: tuple) -> Array:
        *_, residual, count, _ = carry
        return (residual > tolerance) & (count < max_steps)

    def step(carry: tuple) -> tuple:
        z, values, path, residuals, _, count, (gap, off, tied) = carry
        policy, values = game.policy_from(z, response, values)
        problem = game.decision(z)
        q = problem.q(values)
        band = tie_band(q, problem.available)
        # whatever the chain, errors of single values add up to no more than this
        off = jnp.maximum(off, band / (1 - game.discount))
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
    barrier = _barrier(game, response, z[0], start[0], all_steps)
    gaps = (never, *gaps[1:]) if response.is_smooth else gaps  # soft policies choose nothing that could flip
    return path, residuals, count, equilibrium, *gaps, zero_sum_norm(one_step), zero_sum_norm(all_steps), barrier


def _barrier(game: StationaryGame, response: AbstractResponse, z: Array, start: Array, all_steps: Array) -> Array:
    """Return a law near an end, on its inner side, that Γ leads back towards the end; NaN if none is found.

    With e the point mass at the other extreme and d = (I − DΓ)⁻¹ (e − z), z + t d is moved back by t (e − z), to first
    order in t. The smallest t of a grid at which it is, by more than rounding, is taken.
    """
    rises = start[0] > 0
    extreme = jnp.zeros_like(z).at[jnp.where(rises, len(z) - 1, 0)].set(1)
    direction = all_steps @ (extreme - z)
    slack = _rounding(z)

    def tried(t: Array) -> tuple[Array, Array]:
        law = z + t * direction
        policy = game.policy_from(law[None], response, None)[0]
        image = game.moved_on(law[None], policy)[0][0]
        tails, moved = (jnp.cumsum(x[::-1])[:-1] for x in (law, image))  # P(s ≥ k), k ≥ 1
        back = jnp.where(rises, tails - moved, moved - tails)
        is_extreme = jnp.where(rises, tails >= 1 - slack, tails <= slack)
        return law, ((back > slack) | is_extreme).all() & (law >= 0).all()

    lengths = jnp.geomspace(slack * 16, 0.5, 40, dtype=z.dtype)
    laws, led_back = jax.lax.map(tried, lengths)
    return jnp.where(led_back.any(), laws[jnp.argmax(led_back)], jnp.nan)
