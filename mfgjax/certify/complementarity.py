"""The conditions of strategic complementarities, each by a finite test.

A bounded non-decreasing function of the next state is a constant plus a mixture of the steps 1{s' ≥ k}. So what is
asked of Σ f(s') P(s'|s,a,z) for all such f is asked of the tails T_k(s,a,z) = P(s' ≥ k|s,a,z) alone; and
monotonicity, supermodularity and increasing differences on a grid hold if they hold between neighbours. In z they are
tested between point masses on neighbouring states, which is exact where rewards and tails are affine in z, and between
random laws of which one dominates the other.
"""

import dataclasses
from collections.abc import Callable, Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array
from ..model import StationaryGame, trace_game

_NUM_LAWS = 32

NOWHERE = "nowhere: there is nothing to compare"
"""The place of a condition on neighbours where one state, or one action, has none."""


@dataclasses.dataclass(frozen=True)
class Condition:
    """One condition of Definition 1.

    Attributes:
      name: what is asked.
      status: "holds", "fails", or "no violation found" where the test in z is not exact.
      violation: by how much it is violated at worst, in units of reward or probability; ≤ 0 if it is not.
      where: the place of that, in words.
    """

    name: str
    status: str
    violation: float
    where: str


@dataclasses.dataclass(frozen=True)
class Verdicts:
    """Conditions that were tested.

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
      affine: whether rewards and tails are affine in z at all laws that were tried.
    """

    affine: bool

    def __str__(self) -> str:
        affine = "affine" if self.affine else "not affine"
        what = f"Strategic complementarities, {self.form} form"
        return self._table(f"{what}; in the population: {affine} at the laws tried")


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
      A `Complementarity`, whose text is a table. Conditions in z "hold" if rewards and tails are affine in z at all
      laws tried; else it is only said that no violation was found.

    Raises:
      ValueError: if an argument is of the wrong kind.

    Source: Lee et al. (2021), arXiv:2006.11683, definition 1, after Adlakha and Johari (2013), Operations Research
    61(4); Topkis (1998), Supermodularity and Complementarity.
    """
    if not isinstance(game, StationaryGame):
        raise ValueError(f"`game` must be a `StationaryGame`; got {_checks.shorten(game)}.")
    _checks.one_of("form", form, (None, "action", "post-decision"))
    if game.observes != "states":
        raise ValueError("`game` observes the joint law of states and actions; the test orders laws of states.")
    if not np.asarray(game.available).all():
        raise ValueError("`game` lacks actions in some states; the test needs all of them everywhere.")
    game = trace_game(game)
    laws = _laws(game.num_states, np.random.default_rng(_checks.integer_at_least("seed", seed, 0)))
    tails, rewards = (np.asarray(x) for x in _functions(game, jnp.asarray(laws, game.dtype)))
    S = game.num_states
    points, mixed = slice(0, S), laws[S:]
    affine = all(
        np.abs(f[S:] - np.tensordot(mixed, f[points], axes=1)).max(initial=0) <= _slack(game, f)
        for f in (tails, rewards)
    )
    found = [_report(game, name, tails, rewards, affine) for name in ([form] if form else ["action", "post-decision"])]
    return next((report for report in found if report.holds), found[0])


def _slack(game: StationaryGame, values: np.ndarray) -> float:
    """Return what counts as rounding: differences of sums over the states."""
    return 16 * float(jnp.finfo(game.dtype).eps) * max(1.0, float(np.abs(values).max(initial=0))) * game.num_states**0.5


def _laws(num_states: int, rng: np.random.Generator) -> np.ndarray:
    """Return the point masses in order, then pairs of random laws of which the second dominates the first."""
    laws = list(np.eye(num_states))
    for _ in range(_NUM_LAWS):
        low = rng.dirichlet(np.full(num_states, rng.choice([0.1, 1.0])))
        up = np.triu(rng.dirichlet(np.full(num_states, 0.3), size=num_states))  # mass moves to states above
        up[:, -1] += 1 - up.sum(axis=1)
        laws += [low, low @ up]
    return np.array(laws)


@eqx.filter_jit
def _functions(game: StationaryGame, laws: Array) -> tuple[Array, Array]:
    """Return the tails `[laws, S, A, k]` for k = 1..S−1 and the rewards `[laws, S, A]`."""
    steps = jnp.triu(jnp.ones((game.num_states, game.num_states), game.dtype)).T[:, 1:]  # 1{s' ≥ k}, by s' and k

    def at(z: Array) -> tuple[Array, Array]:
        kernel = game.kernel_at(jnp.int32(0), z)
        tails = jax.vmap(kernel.expect, in_axes=1, out_axes=2)(steps)
        return tails, game.reward_at(jnp.int32(0), z)

    return jax.lax.map(at, laws)


def _report(game: StationaryGame, form: str, tails: np.ndarray, rewards: np.ndarray, affine: bool) -> Complementarity:
    S = game.num_states
    by_form: Callable = by_post_decision if form == "post-decision" else lambda f: f
    action = "y" if form == "post-decision" else "a"
    conditions = []
    for name, f, words in (("reward", rewards[..., None], "r"), ("next state", tails, "tails")):
        f, g, slack = f, by_form(f), _slack(game, f)

        def add(what: str, differences: np.ndarray, in_z: bool, words: str = words, slack: float = slack) -> None:
            conditions.append(_condition(game, f"{words} {what}", differences, in_z, affine, slack, action))

        add("non-decreasing in s", np.diff(f, axis=1), False)
        add(f"supermodular in (s,{action})", np.diff(np.diff(g, axis=1), axis=2), False)
        for axis, symbol in ((1, "s"), (2, action)):
            ahead = _in_z(np.diff(g, axis=axis), S)
            add(f"with increasing differences in {symbol} and z", ahead, True)
        if name == "reward":
            add("at its best action non-decreasing in s", np.diff(f.max(axis=2, keepdims=True), axis=1), False)
        else:
            add(f"non-decreasing in {action}", np.diff(g, axis=2), False)
            if form == "post-decision":
                add("non-decreasing in s with y held", np.diff(g, axis=1), False)
            add("non-decreasing in z", _in_z(g, S), True)
    return Complementarity(form, tuple(conditions), affine)


def by_post_decision(f: np.ndarray, unreached: float = np.nan) -> np.ndarray:
    """Return a function of (s,a) as one of (s,y), y = s + a: `[laws, S, S+A−1, k]`, NaN where y is unreached."""
    laws, S, A, K = f.shape
    g = np.full((laws, S, S + A - 1, K), unreached)
    for s in range(S):
        g[:, s, s : s + A] = f[:, s]
    return g


def _in_z(f: np.ndarray, num_points: int) -> np.ndarray:
    """Return differences between neighbouring point masses, then within the random pairs."""
    return np.concatenate([np.diff(f[:num_points], axis=0), f[num_points + 1 :: 2] - f[num_points::2]])


def _condition(
    game: StationaryGame, name: str, differences: np.ndarray, in_z: bool, affine: bool, slack: float, action: str
) -> Condition:
    """Return the verdict on differences `[laws, s, action, k]`, none of which should be negative."""
    if not differences.size:
        return Condition(name, "holds", -np.inf, NOWHERE)
    known = np.where(np.isnan(differences), np.inf, differences)
    place = np.unravel_index(np.argmin(known), known.shape)
    worst = -float(known[place])
    law, s, a, k = (int(i) for i in place)
    words = ", ".join([*_law_words(game.num_states, law, in_z), f"s = {s}, {action} = {a}"])
    words += f", tail of s' >= {k + 1}" if name.startswith("tails") else ""
    if worst > slack:
        return Condition(name, "fails", worst, words)
    # without z each law is a test of its own; all laws lie between the point masses if z enters affinely
    return Condition(name, "holds" if affine else "no violation found", worst, words)


def _law_words(num_states: int, law: int, in_z: bool) -> Iterator[str]:
    count = num_states - 1 if in_z else num_states
    if law >= count:
        pair = law - count if in_z else (law - count) // 2
        yield f"random pair of laws {pair}" if in_z else f"a law of the random pair {pair}"
    elif in_z:
        yield f"z from state {law} to {law + 1}"
    else:
        yield f"z = all in state {law}"
