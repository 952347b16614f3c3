"""The least and the greatest equilibrium of a stationary game whose best responses rise with the population."""

import dataclasses
from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import BAD, GOOD, PLAIN, Facts, Page, Part, Picture, shows_itself
from .._result import ConvergenceError
from .._shorten import short_number
from .._shown_laws import MOST_SHOWN, law_table, laws_picture, names_or_numbers
from .._traced import as_it_is_now
from ..certify import Complementarity, check_complementarity
from ..engine import fit_response
from ..equilibrium import Equilibrium
from ..kernels import AbstractKernel
from ..model import StationaryGame, of_kind, trace_game
from ..responses import AbstractResponse
from .ascent import Ascent, climb, rounding_of_sums, went_back


@shows_itself
@dataclasses.dataclass(frozen=True)
class Bracket:
    """The result of `bracket`: the equilibria at both ends; all others lie between if the map keeps the order.

    Attributes:
      least: the equilibrium reached from the point mass on the first state.
      greatest: the equilibrium reached from the point mass on the last state.
      rising: the iterates to the least; `rising.steps_to(0.1)` is the step from which on the l1 distance to the
        least is at most 0.1, k₀(0.1) in the paper.
      falling: the iterates to the greatest.
      distance: the total variation distance of the two.
      unique: whether it is proved, where complementarities hold, that there is no more than one equilibrium between the
        ends. Only asked of responses that jump. If the policy is one at both ends, chosen by more than rounding, it is
        one in between, as best responses rise. Let x be a fixed point of z ↦ Φ(z, π), y that at an end, and z the end
        as computed. Where the kernel is affine in z, Φ(x) − Φ(y) = D_w (x − y) for w = (x + y)/2, and D_w differs from
        D = D_z by 4 |w − z| at most: it is twice a bilinear form in which rows, and laws, each change by |w − z|. So
        |x − y| ≤ 2 (|x − z| + |y − z|) |(I − D)⁻¹| |x − y|, with |x − z| ≤ `spread`: x is y if the factor is below 1.
        Without z in the kernel D_w is D, and it is enough that I − D is regular.
      complementarity: the result of `check_complementarity` for the game; None if it does not apply to the game, or
        says nothing about the map, as with a prior or reference policy that is not uniform.
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
    def spread(self) -> float:
        """How far an equilibrium between the ends may be from either of them, in total variation.

        It is ⌊S/2⌋ times the distance δ of the ends, errors included, and at least δ. Let e(k) be the difference of the
        distribution functions of an end and a law z between the ends, k = 1..S−1, and d(k) that of both ends:
        0 ≤ e(k) ≤ d(k) ≤ δ. The total variation Σ |e(k) − e(k−1)|/2, with e = 0 at k = 0 and k = S, is the sum of the
        local maxima of e less that of the minima between them; no two maxima are neighbours, so there are ⌊S/2⌋ at
        most. That is attained: if the greatest law takes δ from the first state to the last, z may take δ from state 1
        to 2, from 3 to 4, and so on.
        """
        return max(1, len(self.rising.barrier) // 2) * (self.distance + self._error)

    @property
    def differ(self) -> bool:
        """Whether the map, if it is isotone, has two equilibria.

        One lies at or below the barrier above the least end, one at or above the barrier below the greatest end. They
        are two if the second barrier does not lie below the first.
        """
        return went_back(self.falling.barrier, self.rising.barrier) > rounding_of_sums(self.rising.barrier)

    @property
    def ordered(self) -> bool:
        """Whether every step kept the order, and the least equilibrium lies below the greatest."""
        ends = went_back(np.asarray(self.least.mean_field), np.asarray(self.greatest.mean_field))
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
                f"fails: step {worst.disorder_step} went against the order by {worst.disorder:.2g}, so the map does "
                "not keep the order of populations, and other equilibria may lie anywhere."
            )
        for name, end in (("least", self.least), ("greatest", self.greatest)):
            if not bool(end.converged):
                return f"unknown: every step kept the order, but the {name} end was not reached ({end.result.name})."
        shown = "complementarities were not shown to hold"
        if self.complementarity is not None and not self.complementarity.affine and not self.complementarity.fails:
            shown = f"complementarities were {self.complementarity.how}"
        isotone = self.complementarity is not None and self.complementarity.holds
        for name, way in (("least", self.rising), ("greatest", self.falling)):
            if not way.is_certain:
                return (
                    f"unknown: {'' if isotone else f'{shown}, and '}on the way to the {name} end the values of two "
                    f"actions differ by {way.gap:.2g}, and the errors of rounding and of the law may change that by "
                    f"{way.gap_error:.2g}, so either action may be the better one."
                )
        if not self.ordered:
            return (
                "fails: the ends are not in order, so the map does not keep the order of populations, and other "
                "equilibria may lie anywhere."
            )
        near = self.coincide and (self.unique or self.spread < 0.5)
        if not near and not self.differ:
            return (
                f"unknown: every step kept the order, but {'' if isotone else f'{shown}, and '}the ends are "
                f"{self.distance:.2g} apart, with an estimated error of {self._error:.2g}, which is no bound: whether "
                "they are one equilibrium or two is not proved."
            )
        ends, reach = "the ends differ: at least two equilibria", "all others lie between them"
        if near and self.unique:
            ends, reach = "the ends coincide: one equilibrium", "reached from every law"
        elif near:
            ends = f"the ends coincide to {self.distance + self._error:.2g}"
            reach = f"all equilibria lie within {self.spread:.2g} of them, reached from every law"
        elif self.rising.tied or self.falling.tied:
            ends += " (provided that actions whose values differ by rounding alone are equally good)"
        if isotone:
            return (
                "holds: complementarities hold, hence the map keeps the order of populations (it is isotone); every "
                f"step kept the order; {ends}, {reach}."
            )
        return f"unknown: every step kept the order, but {shown}; if the map keeps the order of populations, {ends}."

    def _page(self) -> Page:
        proved = self.certificate
        apart = f"least and greatest end {self.distance:.3g} apart in total variation"
        status = GOOD if proved.startswith("holds") else BAD if proved.startswith("fails") else PLAIN
        return Page(type(self).__name__, f"{apart}; {proved}", status=status, title=apart, details=self._details)

    def _details(self) -> Iterator[Part]:
        yield self.certificate
        ends = {"least": self.least, "greatest": self.greatest}
        laws = [np.asarray(end.mean_field) for end in ends.values()]
        if laws[0].size > MOST_SHOWN:
            return
        names = names_or_numbers(self.least.state_labels, len(laws[0]))
        yield Picture(laws_picture(laws, list(ends)), "stationary laws at both ends")
        yield law_table(np.stack(laws, axis=1), names, [f">{name}" for name in ends])
        steps = [(f"steps to the {name} end", f"{int(end.num_steps):,}") for name, end in ends.items()]
        yield Facts([*steps, *((f"residual, {name}", short_number(end.residual)) for name, end in ends.items())])


@as_it_is_now
def bracket(
    game: StationaryGame,
    response: AbstractResponse,
    *,
    atol: float | None = None,
    max_steps: int = 20_000,
    throw: bool = True,
) -> Bracket:
    """Find the least and the greatest equilibrium of a stationary game by iterating from both ends of the order.

    Laws are ordered by stochastic dominance in the order of the states. Suppose that the map z ↦ Φ(z, π(z)), from a
    population to the next one, is isotone: it keeps this order, as it does under strategic complementarities (see
    `check_complementarity`). Then the iterates from the point mass on the first state, with the smallest
    best action at ties, rise to the least equilibrium; those from the point mass on the last state, with the largest
    best action at ties, fall to the greatest. Every step is checked. If the two ends coincide, all equilibria lie
    within `Bracket.spread` of them, and the iteration comes that close to them from every law.

    Args:
      game: a stationary game that observes the law of the states.
      response: how agents act; the `tie` of a `Trembling`, `EpsilonGreedy` or `Greedy` response is set here, at either
        end.
      atol: tolerance on the residual d_TV(z, Φ(z, π)); None: 1e-12, or 1e-6 in single precision.
      max_steps: maximal number of steps from either end.
      throw: whether to raise an error if the iteration from an end does not converge.

    Returns:
      A `Bracket`, whose `certificate` says what is proved.

    Raises:
      ValueError: if an argument is invalid.
      ConvergenceError: if the iteration from an end does not converge and `throw` is True.

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
        raise ValueError("`game` observes the joint law of states and actions, but `bracket` orders laws of states.")
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
        ends.append(climb(game, response.with_tie(tie), state, np.asarray(tolerance, game.dtype), max_steps))
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
    sees_law = not isinstance(game.kernel, AbstractKernel)
    # two fixed points satisfy |x − y| ≤ reach |x − y|, see `Bracket.unique`; the matrix is off by rounding, too
    reach = min(
        (2 * sees_law * (found_bracket.spread + way.error) + way.noise) * way.amplification for way in (rising, falling)
    )
    return dataclasses.replace(found_bracket, unique=reach < 1 and rising.is_certain and falling.is_certain)
