"""The conditions of strategic complementarities, each by a finite test.

A bounded non-decreasing function of the next state is a constant plus a mixture of the steps 1{s' ≥ k}. So what is
asked of Σ f(s') P(s'|s,a,z) for all such f is asked of the tails T_k(s,a,z) = P(s' ≥ k|s,a,z) alone; and
monotonicity, supermodularity and increasing differences on a grid hold if they hold between neighbours. In z they are
tested between point masses on neighbouring states. That proves them where the programs of rewards and kernel are
affine in z; elsewhere violations are looked for among random laws of which one dominates the other.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array
from ..kernels import AbstractKernel, DenseKernel
from ..model import StationaryGame, of_kind, trace_game
from ..model.canonical import check_kernel_values
from ..ranges.affine import NotAffine, affine_in_law
from ..ranges.ranges import MOST_LOST
from .differences import Table, Worst, differences

_NUM_PAIRS = 32  # random pairs of laws, where point masses prove nothing

_NUMBERS = 2**23
"""Of a table of rows at all laws that are looked at together: further states come after them."""

_OF_DATA = 2
"""How far numbers in rewards and kernels may be from those meant, in spacings of numbers of their size."""

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
      form: "action" or "post-decision": what was taken for the action.
      conditions: each with its worst violation and where it is.
    """

    form: str
    conditions: tuple[Condition, ...]

    @property
    def holds(self) -> bool:
        """Whether every condition holds."""
        return all(condition.status == "holds" for condition in self.conditions)

    @property
    def fails(self) -> tuple[Condition, ...]:
        """The conditions that fail."""
        return tuple(condition for condition in self.conditions if condition.status == "fails")

    def _table(self, title: str) -> str:
        lines = [title]
        for c in self.conditions:
            worst = "" if c.status == "holds" else f"  worst {c.violation:.3g} at {c.where}"
            lines.append(f"  {c.status:18} {c.name}{worst}")
        return "\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Complementarity(Verdicts):
    """What `check_complementarity` found.

    Attributes:
      form: "action" or "post-decision": what was taken for the action.
      conditions: each with its worst violation and where it is.
      affine: whether the programs of rewards and kernel were proved to be affine in z.
      num_laws: at how many laws they were tried.
      why: why they were not proved to be affine; empty if they were.
    """

    affine: bool
    num_laws: int
    why: str = ""

    @property
    def how(self) -> str:
        """What the verdicts rest on, as the end of a sentence."""
        if self.affine:
            return "affine in the population by their programs"
        return f"sampled at {self.num_laws} laws, not proved{f' ({self.why})' if self.why else ''}"

    def __str__(self) -> str:
        return self._table(f"Strategic complementarities, {self.form} form; rewards and moves {self.how}")


def check_complementarity(game: StationaryGame, form: str | None = None, *, seed: int = 0) -> Complementarity:
    """Test whether a stationary game has strategic complementarities (is an MFG-SC).

    States, actions and populations are ordered as they are numbered, populations by stochastic dominance. In the
    form "action" these are the conditions of the paper's definition 1:

      (i)  r non-decreasing in s, supermodular in (s,a), with increasing differences in (s,a) and z; max_a r
           non-decreasing in s;
      (ii) the law of the next state stochastically supermodular in (s,a), with stochastically increasing differences
           in (s,a) and z, and stochastically non-decreasing in s, a and z.

    In the form "post-decision" y = s + a is taken for the action, as where an action lifts the state and chance moves
    it afterwards: supermodularity and differences are asked in (s,y), on the pairs with s ≤ y ≤ s + A − 1, a
    sublattice whose sections rise with s; monotonicity in s still at a fixed action, as a better state can copy what
    a worse one does; of the law of the next state also at a fixed y, as the best y rises with s, but the best action
    may not. Either form makes T-BR isotone: by induction over value iteration V(s,z) rises in s and has
    increasing differences in (s,z), for maxima by Topkis' theorem, for the even share ε of a trembling hand as a sum;
    so the largest (smallest) best action rises with s and z, and with it z ↦ Φ(z, π).

    Args:
      game: of which the moves and rewards see the law of the states; all actions must exist everywhere.
      form: "action", "post-decision", or None: the first of these that holds, else the first.
      seed: of the random laws.

    Returns:
      A `Complementarity`, whose text is a table. Conditions "hold" if the programs of rewards and kernel are proved
      to be affine in z, and no difference is violated by more than rounding, on its own scale; else it is only said
      that no violation was found.

    Raises:
      ValueError: if an argument is of the wrong kind, or the kernel or the reward is unsound where all are in one
        state.

    Source: Lee et al. (2021), arXiv:2006.11683, definition 1, after Adlakha and Johari (2013), Operations Research
    61(4); Topkis (1998), Supermodularity and Complementarity.
    """
    game = of_kind(StationaryGame, game)
    _checks.one_of("form", form, (None, "action", "post-decision"))
    if game.observes != "states":
        raise ValueError("`game` observes the joint law of states and actions; the test orders laws of states.")
    if not np.asarray(game.available).all():
        raise ValueError("`game` lacks actions in some states; the test needs all of them everywhere.")
    rng = np.random.default_rng(_checks.integer_at_least("seed", seed, 0))
    forms = [form] if form else ["action", "post-decision"]
    try:
        tails, why_not = _judge(game, "kernel", _affine_blocks(game, "kernel"), forms), ""
    except NotAffine as error:
        tails, why_not = None, str(error)
    try:
        rewards, why_not_rewards = _judge(game, "reward", _affine_blocks(game, "reward"), forms), ""
    except NotAffine as error:
        rewards, why_not_rewards = None, str(error)
    why, num_laws = "; ".join(filter(None, (why_not, why_not_rewards))), game.num_states
    if tails is None or rewards is None:
        # if one of the two is not proved affine, both are sampled, at the same laws
        laws = _laws(game.num_states, rng)
        num_laws = len(laws)
        tails, rewards = (_judge(game, name, _sampled_blocks(game, name, laws), forms) for name in ("kernel", "reward"))
    _check_sound(game, tails, rewards)
    reports = [_report(game, form_tried, tails, rewards, why, num_laws) for form_tried in forms]
    return next((report for report in reports if report.holds), reports[0])


class _Block(NamedTuple):
    """Rows `[laws, states, A, S]` or rewards `[laws, states, A, 1]` of some states, numbered from `state` on.

    The first state of the next block is its last one. Where nothing depends on the law, there are two of them.
    """

    state: int
    table: Table
    num_points: int


class _Judged(NamedTuple):
    """What was found in all blocks of rows or rewards: the worst of each claim, by form, and the laws to look at."""

    worst: dict[str, dict[str, Worst]]
    best: Worst | None
    scale: float
    suspicious: list[int]


def _judge(game: StationaryGame, name: str, blocks: Iterator[_Block], forms: list[str]) -> _Judged:
    worst: dict[str, dict[str, Worst]] = {form: {} for form in forms}
    best, scale, suspicious = None, 0.0, set()
    for state, table, num_points in blocks:
        suspicious |= _suspicious(game, name, table.at(slice(num_points)))
        if name == "kernel":
            # T_k for k ≥ 1, as T_0 is always 1; probabilities that sum to 1 are known on the scale of 1
            f = Table(*(x[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:] for x in table))
            f = f._replace(rounding=f.rounding + _OF_DATA * float(jnp.finfo(game.dtype).eps))
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


def _blocks_of_states(num_states: int, numbers: int) -> Iterator[tuple[int, int]]:
    """Yield first states and numbers of states of blocks, of which each state takes so many numbers."""
    width = max(min(num_states, _NUMBERS // numbers), 2)  # neighbours are compared
    start = 0
    while True:
        start = min(start, max(num_states - width, 0))
        yield start, width
        if start + width >= num_states:
            return
        start += width - 1


def _affine_blocks(game: StationaryGame, name: str) -> Iterator[_Block]:
    """Yield rows or rewards at the point masses if their program is affine in z.

    They are computed in double precision, so that of a game in single precision its data alone are rounded.

    Raises:
      NotAffine: saying why, if it is not known to be; what was yielded before then proves nothing.
    """
    S, A = game.num_states, game.num_actions
    is_kernel = name == "kernel"
    # what does not depend on the law is the same at all of them: two tell as much
    num_points = min(2, S) if is_kernel and isinstance(game.kernel, AbstractKernel) else S
    data, scale, most_lost = _OF_DATA * float(jnp.finfo(game.dtype).eps), 1.0 if is_kernel else 0.0, 0.0
    for start, width in _blocks_of_states(S, num_points * A * (S if is_kernel else 1)):
        with jax.enable_x64(True):
            traced = trace_game(game, jnp.float64)
            wide = jax.tree.map(lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, traced)
            try:
                values, size, steps, holds = _affine(wide, name, num_points, jnp.int32(start), min(width, S))
            except NotAffine as error:
                raise NotAffine(f"the {name} is not affine: {error}") from error
            values, size = np.asarray(values), np.asarray(size)
        if not bool(holds):
            raise NotAffine(f"the {name} bends or jumps")
        # what the game's data are off, then what the computation in double precision adds
        rounding = size * data + size * steps * float(np.finfo(np.float64).eps) / 2
        scale = scale if is_kernel else max(scale, float(np.abs(values).max(initial=0)))
        most_lost = np.maximum(most_lost, rounding.max(initial=0))  # NaN stays
        if not np.isfinite(values).all():
            raise NotAffine(f"the {name} is not finite")
        yield _Block(start, Table(values, rounding), num_points)
    if not most_lost <= MOST_LOST * scale:
        raise NotAffine(f"the {name} adds numbers that are much larger than the result, which leaves nothing to judge")


@eqx.filter_jit
def _affine(game: StationaryGame, name: str, num_points: int, start: Array, width: int) -> tuple[Any, ...]:
    """Return values at the point masses, bounds on the summands and the proof, for some of the states."""

    def part(x: Array) -> Array:
        return jax.lax.dynamic_slice_in_dim(x, start, width, axis=1)

    if num_points < game.num_states:
        rows = part(jnp.broadcast_to(_rows(game, game.initial), (num_points, *_shape_of(game))))
        return rows, jnp.abs(rows), 0, True
    found, holds = affine_in_law(_function(game, name), (game.num_states,), game.dtype)
    values, size = (part(x) for x in (found.values, found.size))
    return values, size, found.steps, holds


def _shape_of(game: StationaryGame) -> tuple[int, int, int]:
    return game.num_states, game.num_actions, game.num_states


def _function(game: StationaryGame, name: str) -> Callable[[Array], Array]:
    if name == "kernel":
        return lambda z: _rows(game, z)
    return lambda z: game.reward_at(jnp.int32(0), z)[..., None]


def _rows(game: StationaryGame, z: Array) -> Array:
    """Return P(s'|s,a,z), `[S, A, S]`."""
    kernel = game.kernel_as_given(jnp.int32(0), z)
    if isinstance(kernel, DenseKernel):
        return kernel.probabilities[0]
    identity = jnp.eye(game.num_states, dtype=game.dtype)
    return jax.vmap(kernel.expect, in_axes=1, out_axes=2)(identity)


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
        row, pay = (np.asarray(x) for x in _functions(trace_game(game), law))
        row = np.where(row >= -_checks.precision(row.dtype), np.maximum(row, 0), row)  # 1 − Σ may be rounded below 0
        check_kernel_values(DenseKernel(row), np.ones((1, *row.shape[:2]), bool), f" with all in state {j}")
        _checks.all_true("reward", pay, np.isfinite(pay), "it must be a finite number", f" with all in state {j}")


def _laws(num_states: int, rng: np.random.Generator) -> np.ndarray:
    """Return the point masses in order, then pairs of random laws of which the second dominates the first."""
    laws = list(np.eye(num_states))
    for _ in range(_NUM_PAIRS):
        low = rng.dirichlet(np.full(num_states, rng.choice([0.1, 1.0])))  # near the corners, or evenly
        up = np.triu(rng.dirichlet(np.full(num_states, 0.3), size=num_states))  # mass moves to states above
        up[:, -1] += 1 - up.sum(axis=1)  # what was cut off goes to the top
        laws += [low, low @ up]
    return np.array(laws)


def _sampled_blocks(game: StationaryGame, name: str, laws: np.ndarray) -> Iterator[_Block]:
    """Yield rows or rewards at laws."""
    S, A = game.num_states, game.num_actions
    num_points, traced = S, trace_game(game)
    if name == "kernel" and isinstance(game.kernel, AbstractKernel):  # as above
        num_points, laws = min(2, S), laws[: min(2, S)]
    laws_in_precision = jnp.asarray(laws, game.dtype)
    for start, width in _blocks_of_states(S, len(laws) * A * (S if name == "kernel" else 1)):
        values = _at_laws(traced, name, laws_in_precision, jnp.int32(start), min(width, S))
        table = np.asarray(values, dtype=float)
        yield _Block(start, Table(table, np.zeros_like(table)), num_points)


@eqx.filter_jit
def _at_laws(game: StationaryGame, name: str, laws: Array, start: Array, width: int) -> Array:
    function = _function(game, name)
    return jax.lax.map(lambda z: jax.lax.dynamic_slice_in_dim(function(z), start, width), laws)


@eqx.filter_jit
def _functions(game: StationaryGame, z: Array) -> tuple[Array, Array]:
    """Return the rows `[S, A, S]` and the rewards `[S, A]` at one law."""
    return _rows(game, z), game.reward_at(jnp.int32(0), z)


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
