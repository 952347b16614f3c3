"""The conditions of strategic complementarities, each by a finite test.

A bounded non-decreasing function of the next state is a constant plus a mixture of the steps 1{s' ≥ k}. So what is
asked of Σ f(s') P(s'|s,a,z) for all such f is asked of the tails T_k(s,a,z) = P(s' ≥ k|s,a,z) alone; and
monotonicity, supermodularity and increasing differences on a grid hold if they hold between neighbours. In z they are
tested between point masses on neighbouring states. That proves them where the programs of rewards and kernel are
affine in z; elsewhere violations are looked for among random laws of which one dominates the other.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import BAD, GOOD, PLAIN, Listing, Page, shows_itself
from .._modes import in_own_modes
from ..kernels import DenseKernel
from ..model import StationaryGame, of_kind, trace_game
from ..model.canonical import check_kernel_values
from ..ranges.affine import NotAffine
from .blocks import OF_DATA, Block, affine_blocks, laws_to_sample, rows_and_rewards, sampled_blocks
from .differences import Table, Worst, differences

NOWHERE = "nowhere: there is nothing to compare"
"""The place of a condition on neighbours where one state, or one action, has none."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One condition of Definition 1.

    Attributes:
      name: what is asked.
      status: "holds", "fails", or "no violation found" where nothing is proved: laws were sampled, or the violation
        is so small that it may be rounding.
      violation: by how much it is violated at worst, in units of reward or probability; ≤ 0 if it is not.
      where: the place of that, in words.
    """

    name: str
    status: str
    violation: float
    where: str


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """The conditions that were tested, each with its status.

    Attributes:
      form: "action" or "post-decision": what the action was taken to be.
      conditions: the conditions, each with its worst violation and the place of that.
    """

    form: str
    conditions: tuple[Condition, ...]

    @property
    def legend(self) -> str:
        """What the letters in the conditions stand for."""
        action = "a: action" if self.form == "action" else "y = s + a: state after action a"
        return f"s: state; {action}; z: population; r: reward; tails: P(next state >= k); Q: action values."

    @property
    def holds(self) -> bool:
        """Whether every condition holds."""
        return all(condition.status == "holds" for condition in self.conditions)

    @property
    def fails(self) -> tuple[Condition, ...]:
        """The conditions that fail."""
        return tuple(condition for condition in self.conditions if condition.status == "fails")

    def _page_under(self, heading: str) -> Page:
        rows = [
            (c.status, c.name, "" if c.status == "holds" else f"worst {c.violation:.3g} at {c.where}")
            for c in self.conditions
        ]
        status = GOOD if self.holds else BAD if self.fails else PLAIN
        table = Listing(("status", "condition", ""), rows, self.legend)
        return Page(type(self).__name__, "", lambda: [table], status, heading)


@shows_itself
@dataclasses.dataclass(frozen=True)
class Complementarity(Verdicts):
    """Which conditions of strategic complementarity hold: the result of `check_complementarity`.

    Attributes:
      form: "action" or "post-decision": what the action was taken to be.
      conditions: the conditions, each with its worst violation and the place of that.
      affine: whether rewards and kernel were proved, from their code, to be affine in z.
      num_laws: the number of laws at which they were tried.
      why: why they were not proved to be affine; empty if they were.
    """

    affine: bool
    num_laws: int
    why: str = ""

    @property
    def how(self) -> str:
        """The evidence for the verdicts, as the end of a sentence."""
        if self.affine:
            return "affine in the population, as their code shows"
        return f"tested at {self.num_laws} laws only, which is no proof{f' ({self.why})' if self.why else ''}"

    def _page(self) -> Page:
        return self._page_under(f"Strategic complementarities, {self.form} form; rewards and moves {self.how}")


@in_own_modes
def check_complementarity(game: StationaryGame, form: str | None = None, *, seed: int = 0) -> Complementarity:
    """Check whether a stationary game has strategic complementarities: higher populations make higher actions better.

    States and actions are ordered by their numbers, populations by stochastic dominance. The form "action" has the
    conditions of the paper's definition 1:

      (i)  r non-decreasing in s, supermodular in (s,a), with increasing differences in (s,a) and z; max_a r
           non-decreasing in s;
      (ii) the law of the next state stochastically supermodular in (s,a), with stochastically increasing differences
           in (s,a) and z, and stochastically non-decreasing in s, a and z.

    In the form "post-decision" the action is taken to be y = s + a. It suits games in which an action lifts the state
    and chance moves it afterwards. Supermodularity and increasing differences are then required in (s,y), on the pairs
    with s ≤ y ≤ s + A − 1, a sublattice whose sections rise with s. Monotonicity in s is still required at a fixed
    action, because an agent in a better state can copy what one in a worse state does. For the law of the next state it
    is also required at a fixed y, because the best y rises with s although the best action may not.

    Either form makes the map z ↦ Φ(z, π), from a population to the next one, isotone: a higher population has a higher
    next one. By induction over value iteration V(s,z) rises in s and has increasing differences in (s,z): for the
    maximum by Topkis' theorem, for the share ε that `Trembling` spreads evenly because it is a sum. So the largest
    (smallest) best action rises with s and z, and with it z ↦ Φ(z, π).

    Args:
      game: one whose kernel and rewards depend on the law of the states; every action must be available in every state.
      form: "action" or "post-decision"; None: the first of the two that holds, or "action" if neither does.
      seed: seed of the random laws on which the conditions are tried.

    Returns:
      A `Complementarity`, which prints as a table. Conditions "hold" if rewards and kernel are proved from their code
      to be affine in z and no difference is violated by more than rounding, on its own scale. Otherwise the table only
      says that no violation was found.

    Raises:
      ValueError: if an argument is of the wrong kind, or the kernel or the reward is invalid where all agents are in
        one state.

    Example:
      >>> import mfgjax as mfg
      >>> found = mfg.check_complementarity(mfg.games.infection_tipping())
      >>> found.form, found.holds
      ('post-decision', True)

    Source: Lee et al. (2021), arXiv:2006.11683, definition 1, after Adlakha and Johari (2013), Operations Research
    61(4); Topkis (1998), Supermodularity and Complementarity.
    """
    game = of_kind(StationaryGame, game)
    _checks.one_of("form", form, (None, "action", "post-decision"))
    if game.observes != "states":
        raise ValueError("`game` observes the joint law of states and actions, but the check orders laws of states.")
    if not np.asarray(game.available).all():
        raise ValueError(
            "`game.available` lacks actions in some states, but the check needs every action in every state."
        )
    rng = np.random.default_rng(_checks.integer_at_least("seed", seed, 0))
    forms = [form] if form else ["action", "post-decision"]
    try:
        tails, why_not = _judge(game, "kernel", affine_blocks(game, "kernel"), forms), ""
    except NotAffine as error:
        tails, why_not = None, str(error)
    try:
        rewards, why_not_rewards = _judge(game, "reward", affine_blocks(game, "reward"), forms), ""
    except NotAffine as error:
        rewards, why_not_rewards = None, str(error)
    why, num_laws = "; ".join(filter(None, (why_not, why_not_rewards))), game.num_states
    if tails is None or rewards is None:
        # if one of the two is not proved affine, both are sampled, at the same laws
        laws = laws_to_sample(game.num_states, rng)
        num_laws = len(laws)
        tails, rewards = (_judge(game, name, sampled_blocks(game, name, laws), forms) for name in ("kernel", "reward"))
    _check_sound(game, tails, rewards)
    reports = [_report(game, form_tried, tails, rewards, why, num_laws) for form_tried in forms]
    return next((report for report in reports if report.holds), reports[0])


class _Judged(NamedTuple):
    """What was found in all blocks of rows or rewards: the worst of each claim, by form, and the laws to look at."""

    worst: dict[str, dict[str, Worst]]
    best: Worst | None
    scale: float
    suspicious: list[int]


def _judge(game: StationaryGame, name: str, blocks: Iterator[Block], forms: list[str]) -> _Judged:
    worst: dict[str, dict[str, Worst]] = {form: {} for form in forms}
    best, scale, suspicious = None, 0.0, set()
    for state, table, num_points in blocks:
        suspicious |= _suspicious(game, name, table.at(slice(num_points)))
        if name == "kernel":
            # T_k for k ≥ 1, as T_0 is always 1; probabilities that sum to 1 are known on the scale of 1
            f = Table(*(x[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:] for x in table))
            f = f._replace(rounding=f.rounding + OF_DATA * float(jnp.finfo(game.dtype).eps))
        else:
            f = table
        scale = max(scale, float(np.abs(f.values).max(initial=0)))
        for form in forms:
            for found in differences(f, form, num_points, name == "kernel"):
                worst[form].setdefault(found.claim, Worst(found)).look(found.table, state)
        if name == "reward":
            at_best = Table(f.values.max(axis=2, keepdims=True), f.rounding.max(axis=2, keepdims=True))
            found = next(iter(differences(at_best, "action", num_points, False)))
            best = Worst(found) if best is None else best
            best.look(found.table, state)
    return _Judged(worst, best, scale if name == "reward" else 1.0, sorted(suspicious))


def _suspicious(game: StationaryGame, name: str, points: Table) -> set[int]:
    """Return the point masses at which rows may be no probabilities, or rewards are not finite."""
    values = points.values.astype(game.dtype)
    wrong = ~np.isfinite(values)
    if name == "kernel":
        wrong = wrong | (values < -_checks.precision(values.dtype))
        off = np.abs(values.sum(axis=-1, keepdims=True) - 1) > _checks.precision(values.dtype) / 4
        wrong = wrong | off
    return set(np.flatnonzero(wrong.any(axis=(1, 2, 3))).tolist())


def _check_sound(game: StationaryGame, tails: _Judged, rewards: _Judged) -> None:
    """Refuse rows that are no probabilities, and rewards that are not finite, at the point masses."""
    for j in sorted({*tails.suspicious, *rewards.suspicious}):
        law = jnp.zeros(game.num_states, game.dtype).at[j].set(1)
        row, pay = (np.asarray(x) for x in rows_and_rewards(trace_game(game).seeing_laws(), law))
        row = np.where(row >= -_checks.precision(row.dtype), np.maximum(row, 0), row)  # 1 − Σ may be rounded below 0
        check_kernel_values(DenseKernel(row), np.ones((1, *row.shape[:2]), bool), f" with all in state {j}")
        _checks.all_true("reward", pay, np.isfinite(pay), "it must be a finite number", f" with all in state {j}")


def _report(
    game: StationaryGame, form: str, tails: _Judged, rewards: _Judged, why: str, num_laws: int
) -> Complementarity:
    affine, action = not why, "y" if form == "post-decision" else "a"

    def verdicts(label: str, judged: _Judged) -> dict[str, Condition]:
        return {
            claim: _condition(game, f"{label} {claim}", worst, affine, judged.scale, action)
            for claim, worst in judged.worst[form].items()
        }

    of_rewards = verdicts("r", rewards)
    assert rewards.best is not None
    best = _condition(game, "r at its best action non-decreasing in s", rewards.best, affine, rewards.scale, action)
    # If r rises in s at each action, so does its maximum. Else the point masses do not decide: a maximum of
    # affine functions is convex, so it may fall at laws between them.
    rises = of_rewards["non-decreasing in s"].status == "holds"
    status = "no violation found" if best.status == "holds" and not rises else best.status
    best = dataclasses.replace(best, status=status)
    conditions = (*of_rewards.values(), best, *verdicts("tails", tails).values())
    return Complementarity(form, conditions, affine, num_laws, why)


def _condition(game: StationaryGame, name: str, worst: Worst, affine: bool, scale: float, action: str) -> Condition:
    """Return the verdict on differences, none of which should be negative."""
    if worst.place is None:
        return Condition(name, "holds", -np.inf, NOWHERE)
    law, s, a, k = worst.place
    number = s + a + worst.first if action == "y" else a
    where = ", ".join([*_law_words(game.num_states, law, worst.in_z), f"s = {s}, {action} = {number}"])
    where += f", tail of s' >= {k + 1}" if name.startswith("tails") else ""
    # tables may come from sums of larger numbers, of which nothing is known: what may be their rounding is left open
    if worst.violation > max(16 * float(jnp.finfo(game.dtype).eps) * scale, worst.rounding):
        return Condition(name, "fails", worst.violation, where)
    # without z each law is a test of its own; all laws lie between the point masses if z enters affinely
    return Condition(name, "holds" if affine and worst.within else "no violation found", worst.violation, where)


def _law_words(num_states: int, law: int, in_z: bool) -> Iterator[str]:
    count = num_states - 1 if in_z else num_states
    if law >= count:
        pair = law - count if in_z else (law - count) // 2
        yield f"random pair of laws {pair}" if in_z else f"a law of the random pair {pair}"
    elif in_z:
        yield f"z from state {law} to {law + 1}"
    else:
        yield f"z = all in state {law}"
