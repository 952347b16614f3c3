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
from .._modes import in_own_modes
from .._typing import Array
from ..kernels import DenseKernel
from ..model import StationaryGame, of_kind, trace_game
from ..model.canonical import check_kernel_values
from ..ranges.affine import NotAffine, affine_in_law
from ..ranges.ranges import MOST_LOST

_NUM_PAIRS = 32  # random pairs of laws, where point masses prove nothing

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


@in_own_modes
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
    (rows, why_not_rows), (rewards, why_not_rewards) = (_at_point_masses(game, name) for name in ("kernel", "reward"))
    why = "; ".join(filter(None, (why_not_rows, why_not_rewards)))
    if rows is None or rewards is None:
        # if one of the two is not proved affine, both are sampled, at the same laws
        laws = jnp.asarray(_laws(game.num_states, rng), game.dtype)
        tables = (np.asarray(x, dtype=float) for x in _functions(trace_game(game), laws))
        rows, rewards = (_Table(table, np.zeros_like(table)) for table in tables)
    _check_sound(game, rows.values, rewards.values)
    # T_k for k ≥ 1, as T_0 is always 1; probabilities that sum to 1 are known on the scale of 1
    tails = _Table(*(x[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:] for x in rows))
    tails = tails._replace(rounding=tails.rounding + _OF_DATA * float(jnp.finfo(game.dtype).eps))
    rewards = _Table(*(x[..., None] for x in rewards))
    forms = [form] if form else ["action", "post-decision"]
    reports = [_report(game, form_tried, tails, rewards, why) for form_tried in forms]
    return next((report for report in reports if report.holds), reports[0])


class _Table(NamedTuple):
    """Values at laws (first axis: point masses, then sampled laws), and how far rounding may have moved each."""

    values: np.ndarray
    rounding: np.ndarray


def _at_point_masses(game: StationaryGame, name: str) -> tuple[_Table | None, str]:
    """Return rows or rewards at the point masses if their program is affine in z, else why it is not known to be.

    They are computed in double precision, so that of a game in single precision its data alone are rounded.
    """
    with jax.enable_x64(True):
        traced = trace_game(game, jnp.float64)
        wide = jax.tree.map(lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, traced)
        try:
            values, size, steps, holds = _affine(wide, name)
        except NotAffine as error:
            return None, f"the {name} is not affine: {error}"
    if not bool(holds):
        return None, f"the {name} bends or jumps"
    values, size = np.asarray(values), np.asarray(size)
    data = _OF_DATA * float(jnp.finfo(game.dtype).eps)
    # what the game's data are off, then what the computation in double precision adds
    rounding = size * data + size * steps * float(np.finfo(np.float64).eps) / 2
    scale = np.abs(values).max(initial=0) if name == "reward" else 1.0
    if not (rounding <= MOST_LOST * scale).all():
        return None, f"the {name} adds numbers that are much larger than the result, which leaves nothing to judge"
    if not np.isfinite(values).all():
        return None, f"the {name} is not finite"
    return _Table(values, rounding), ""


@eqx.filter_jit
def _affine(game: StationaryGame, name: str) -> tuple[Any, ...]:
    functions = {"kernel": lambda z: _rows(game, z), "reward": lambda z: game.reward_at(jnp.int32(0), z)}
    found, holds = affine_in_law(functions[name], (game.num_states,), game.dtype)
    return *found, holds


def _rows(game: StationaryGame, z: Array) -> Array:
    """Return P(s'|s,a,z), `[S, A, S]`."""
    kernel = game.kernel_as_given(jnp.int32(0), z)
    if isinstance(kernel, DenseKernel):
        return kernel.probabilities[0]
    identity = jnp.eye(game.num_states, dtype=game.dtype)
    return jax.vmap(kernel.expect, in_axes=1, out_axes=2)(identity)


def _check_sound(game: StationaryGame, rows: np.ndarray, rewards: np.ndarray) -> None:
    """Refuse rows that are no probabilities, and rewards that are not finite, at the point masses."""
    for j, (row, pay) in enumerate(zip(rows[: game.num_states], rewards, strict=False)):
        row, pay = row.astype(game.dtype), pay.astype(game.dtype)
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


@eqx.filter_jit
def _functions(game: StationaryGame, laws: Array) -> tuple[Array, Array]:
    """Return the rows `[laws, S, A, S]` and the rewards `[laws, S, A]`."""
    return jax.lax.map(lambda z: (_rows(game, z), game.reward_at(jnp.int32(0), z)), laws)


def _report(game: StationaryGame, form: str, tails: _Table, rewards: _Table, why: str) -> Complementarity:
    S, affine = game.num_states, not why
    by_form: Callable = by_post_decision if form == "post-decision" else lambda f: f
    action = "y" if form == "post-decision" else "a"
    conditions = []
    for label, table in (("r", rewards), ("tails", tails)):
        f, g = table, _Table(*map(by_form, table))

        def add(claim: str, differences: _Table, in_z: bool = False, label: str = label, f: _Table = f) -> None:
            scale = float(np.abs(f.values).max(initial=0)) if label == "r" else 1.0
            conditions.append(_condition(game, f"{label} {claim}", differences, in_z, affine, scale, action))

        add("non-decreasing in s", _diff(f, 1))
        add(f"supermodular in (s,{action})", _diff(_diff(g, 1), 2))
        for axis, symbol in ((1, "s"), (2, action)):
            add(f"with increasing differences in {symbol} and z", _in_z(_diff(g, axis), S), True)
        if label == "r":
            add("at its best action non-decreasing in s", _diff(_best(f), 1))
            rises, best = conditions[0], conditions.pop()
            # If r rises in s at each action, so does its maximum. Else the point masses do not decide: a maximum of
            # affine functions is convex, so it may fall at laws between them.
            status = "no violation found" if best.status == "holds" and rises.status != "holds" else best.status
            conditions.append(dataclasses.replace(best, status=status))
        else:
            add(f"non-decreasing in {action}", _diff(g, 2))
            if form == "post-decision":
                add("non-decreasing in s with y held", _diff(g, 1))
            add("non-decreasing in z", _in_z(g, S), True)
    return Complementarity(form, tuple(conditions), affine, len(rewards.values), why)


def _diff(f: _Table, axis: int) -> _Table:
    """Return the differences between neighbours along an axis; their rounding errors add up."""
    size = f.rounding.shape[axis]
    low, high = (np.take(f.rounding, places, axis) for places in (range(size - 1), range(1, size)))
    return _Table(np.diff(f.values, axis=axis), low + high)


def _best(f: _Table) -> _Table:
    return _Table(f.values.max(axis=2, keepdims=True), f.rounding.max(axis=2, keepdims=True))


def by_post_decision(f: np.ndarray, unreached: float = np.nan) -> np.ndarray:
    """Return a function of (s,a) as one of (s,y), y = s + a: `[laws, S, S+A−1, k]`, NaN where y is unreached."""
    # differences with NaN are NaN, which `worst_of` skips: only pairs with s ≤ y ≤ s + A − 1 are compared
    laws, S, A, K = f.shape
    g = np.full((laws, S, S + A - 1, K), unreached)
    for s in range(S):
        g[:, s, s : s + A] = f[:, s]
    return g


def _in_z(f: _Table, num_points: int) -> _Table:
    """Return differences between neighbouring point masses, then within the random pairs."""
    points = _diff(_Table(*(x[:num_points] for x in f)), 0)
    low, high = (_Table(*(x[num_points + i :: 2] for x in f)) for i in (0, 1))
    values = np.concatenate([points.values, high.values - low.values])
    return _Table(values, np.concatenate([points.rounding, high.rounding + low.rounding]))


def _condition(
    game: StationaryGame, name: str, differences: _Table, in_z: bool, affine: bool, scale: float, action: str
) -> Condition:
    """Return the verdict on differences `[laws, s, action, k]`, none of which should be negative."""
    if not differences.values.size:
        return Condition(name, "holds", -np.inf, NOWHERE)
    worst, place = worst_of(differences.values)
    law, s, a, k = place
    where = ", ".join([*_law_words(game.num_states, law, in_z), f"s = {s}, {action} = {a}"])
    where += f", tail of s' >= {k + 1}" if name.startswith("tails") else ""
    # tables may come from sums of larger numbers, of which nothing is known: what may be their rounding is left open
    if worst > max(16 * float(jnp.finfo(game.dtype).eps) * scale, differences.rounding[place]):
        return Condition(name, "fails", worst, where)
    # where y is not reached the difference is NaN
    within = not (differences.values < -differences.rounding).any()
    # without z each law is a test of its own; all laws lie between the point masses if z enters affinely
    return Condition(name, "holds" if affine and within else "no violation found", worst, where)


def worst_of(differences: np.ndarray) -> tuple[float, tuple[int, ...]]:
    """Return by how much the least difference is below 0, and its place; NaN is none."""
    known = np.where(np.isnan(differences), np.inf, differences)
    place = tuple(int(i) for i in np.unravel_index(np.argmin(known), known.shape))
    return -float(known[place]), place


def _law_words(num_states: int, law: int, in_z: bool) -> Iterator[str]:
    count = num_states - 1 if in_z else num_states
    if law >= count:
        pair = law - count if in_z else (law - count) // 2
        yield f"random pair of laws {pair}" if in_z else f"a law of the random pair {pair}"
    elif in_z:
        yield f"z from state {law} to {law + 1}"
    else:
        yield f"z = all in state {law}"
