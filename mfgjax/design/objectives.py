"""Objectives of a coordinator: numbers of an equilibrium that are to be small."""

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import Page, shows_itself
from .._names import did_you_mean
from .._shorten import shown
from .._simplex import log_normalize, log_ratio, safe_log
from .._typing import Array, ArrayLike, Scalar
from ..equilibrium import Equilibrium
from ..model import FiniteHorizonGame


@shows_itself
class AbstractObjective(eqx.Module):
    """The base class of objectives: functions `(game, response, equilibrium) -> number`.

    Objectives can be added, and multiplied with numbers."""

    @abstractmethod
    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        """Return the number."""

    def __add__(self, other: Any) -> "AbstractObjective":
        return _Sum((self, as_objective("the second term", other)), (1.0, 1.0))

    def __radd__(self, other: Any) -> "AbstractObjective":
        if isinstance(other, int) and other == 0:  # `sum` begins with it
            return self
        return _Sum((as_objective("the first term", other), self), (1.0, 1.0))

    def __sub__(self, other: Any) -> "AbstractObjective":
        return _Sum((self, as_objective("the second term", other)), (1.0, -1.0))

    def __mul__(self, factor: float) -> "AbstractObjective":
        return _Sum((self,), (_checks.number_in("the factor", factor, -np.inf, np.inf, "(-inf, inf)"),))

    __rmul__ = __mul__

    def __neg__(self) -> "AbstractObjective":
        return self * -1.0


class _Sum(AbstractObjective):
    terms: tuple[Callable, ...]
    factors: tuple[float, ...] = eqx.field(static=True)

    def _page(self) -> Page:
        return Page(
            "Sum", " + ".join(f"{w:g} * {shown(term)}" for w, term in zip(self.factors, self.terms, strict=True))
        )

    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        pairs = zip(self.factors, self.terms, strict=True)
        return jnp.stack([factor * term(game, response, equilibrium) for factor, term in pairs]).sum()


class _OfUser(AbstractObjective):
    """A function of the user, of `(game, response, equilibrium)` or of the equilibrium alone."""

    function: Callable
    name: str = eqx.field(static=True)
    takes_all: bool = eqx.field(static=True)

    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        arguments = (game, response, equilibrium) if self.takes_all else (equilibrium,)
        with _checks.explained(self.name, "the arrays of its arguments", "at an equilibrium"):
            return self.function(*arguments)


def as_objective(name: str, objective: Any) -> Callable:
    """Return an objective as a function `(game, response, equilibrium)`; it may take the equilibrium alone."""
    if isinstance(objective, AbstractObjective):
        return objective
    if not callable(objective):
        raise ValueError(
            f"`{name}` must be an objective or a function of the equilibrium; got {_checks.shorten(objective)}."
        )
    signature = inspect.signature(objective)
    # the shorter form first, as a function of `*args` takes both
    for count in (1, 3):
        try:
            signature.bind(*range(count))
        except TypeError:
            continue
        return _OfUser(objective, name if name.isidentifier() else "objective", count == 3)
    raise ValueError(
        f"`{name}` must take the equilibrium, or (game, response, equilibrium), but its arguments are {signature}."
    )


class TargetLaw(AbstractObjective):
    """The squared distance of the law of the states at a time from a target, Σ_s (μ_t(s) − target(s))².

    Args:
      law: `[S]`; or a mapping from names of states to probabilities, and then only these states count.
      time: t; −1 is the last.

    Raises:
      ValueError: if probabilities are out of range; later, if the game has no such state or time.
    """

    law: Any
    time: int = eqx.field(static=True)

    def __init__(self, law: ArrayLike | Mapping[str, float], time: int = -1):
        if isinstance(law, Mapping):
            shares = {str(name): _checks.number_in(f"law[{name!r}]", x, 0, 1, "[0, 1]") for name, x in law.items()}
            if not shares or sum(shares.values()) > 1 + 1e-8:
                got = _checks.shorten(law)
                raise ValueError(f"`law` must map names of states to shares of at most 1 in all; got {got}.")
            self.law = shares
        else:
            table = _checks.as_numbers("law", law)
            _checks.shape_is("law", table, [(None,)], "states")
            if not _checks.is_traced(table):
                _checks.distribution("law", table)
            self.law = table
        self.time = _time(time)

    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        law = _law_at(game, equilibrium, self.time)
        if not isinstance(self.law, dict):
            _checks.shape_is("law", self.law, [law.shape], "one share for each state")
            return ((law - self.law) ** 2).sum()
        places = [_place(game, name, "law") for name in self.law]
        return ((law[jnp.asarray(places)] - jnp.asarray(list(self.law.values()))) ** 2).sum()


class TargetFlow(AbstractObjective):
    """The squared distance of the flow of the states from a target, Σ_t Σ_s (μ_t(s) − target_t(s))².

    Args:
      flow: `[H+1, S]`.

    Raises:
      ValueError: if laws are not probabilities; later, if shapes do not fit the game.
    """

    flow: Array

    def __init__(self, flow: ArrayLike):
        self.flow = _checks.as_numbers("flow", flow)
        _checks.shape_is("flow", self.flow, [(None, None)], "times, states")
        if not _checks.is_traced(self.flow):
            _checks.distribution("flow", self.flow, leading=1)

    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        law = equilibrium.state_law
        _checks.shape_is("flow", self.flow, [law.shape], "times, states")
        return ((law - self.flow) ** 2).sum()


class Occupancy(AbstractObjective):
    """The time that an agent spends in some states, Σ_t Σ_{s in states} μ_t(s), in steps; the mean over the population.

    If the states are the rooms of a building, it is the mean time to leave the building.

    Args:
      states: names of states.
      outside: whether to count the time spent in all other states instead.

    Raises:
      ValueError: if no states are named; later, if the game has no such state.
    """

    states: tuple[str, ...] = eqx.field(static=True)
    outside: bool = eqx.field(static=True)

    def __init__(self, states: Sequence[str] | str, *, outside: bool = False):
        names = (states,) if isinstance(states, str) else tuple(map(str, states))
        if not names:
            raise ValueError("`states` is empty: it must name states.")
        self.states, self.outside = names, _checks.boolean("outside", outside)

    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        counted = np.zeros(game.num_states, bool)
        counted[[_place(game, name, "states") for name in self.states]] = True
        return (equilibrium.state_law * (counted != self.outside)).sum()


class Cost(AbstractObjective):
    """The cost of the population, −Σ_t γ^t Σ_{s,a} μ_t(s) π_t(a|s) R_t(s,a,μ_t), without any KL term."""

    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
        # one time after the other, so that one table [S, A] is worked on at a time
        rewards = jax.lax.map(lambda t: game.reward_at(t, equilibrium.mean_field[t]), times)
        policy = equilibrium.policy
        # rewards of actions that do not exist may be −inf
        paid = (policy * jnp.where(policy > 0, rewards, 0)).sum(axis=-1)
        return -((game.discount**times)[:, None] * equilibrium.state_law * paid).sum()


class Inequality(AbstractObjective):
    """The inequality of values at the start: the variance of V_0(s) over the population, with s distributed as μ_0."""

    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        values, law = equilibrium.values[0], game.initial
        return (law * (values - (law * values).sum()) ** 2).sum()


class Entropy(AbstractObjective):
    """The entropy of the law of the states at a time, −Σ_s μ_t(s) log μ_t(s), in nats.

    Objectives are minimised, so `-1 * Entropy()` spreads the crowd.

    Args:
      time: t; −1 is the last.
    """

    time: int = eqx.field(static=True)

    def __init__(self, time: int = -1):
        self.time = _time(time)

    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        law = _law_at(game, equilibrium, self.time)
        # the inner `where` keeps the derivative at 0 finite
        return -jnp.where(law > 0, law * jnp.log(jnp.where(law > 0, law, 1)), 0).sum()


class ReferenceChange(AbstractObjective):
    """The change of the reference policy from a given one: the mean of KL(ρ_t(·|s) ‖ given) over t and s, in nats.

    Args:
      reference: `[S, A]` or `[H+1, S, A]`, positive on the available actions.

    Raises:
      ValueError: if rows are not probabilities.
    """

    log_reference: Array

    def __init__(self, reference: ArrayLike):
        table = _checks.as_numbers("reference", reference)
        _checks.shape_is("reference", table, [(None,) * 2, (None,) * 3], "states, actions; or times, states, actions")
        if not _checks.is_traced(table):
            _checks.distribution("reference", table, leading=table.ndim - 1)
        logs = log_normalize(safe_log(jnp.asarray(table)), axis=-1)
        self.log_reference = logs[None] if logs.ndim == 2 else logs

    def __call__(self, game: FiniteHorizonGame, response: Any, equilibrium: Equilibrium) -> Scalar:
        logs = log_normalize(response.log_prior(game.available, game.dtype), axis=2)
        S, A, T = game.num_states, game.num_actions, game.horizon + 1
        _checks.shape_is("reference", self.log_reference, [(1, S, A), (T, S, A)], "times (or 1), states, actions")
        logs, log_given = jnp.broadcast_arrays(logs, self.log_reference)
        return _divergence(logs, log_given).mean()


def _divergence(log_p: Array, log_q: Array) -> Array:
    """Return KL(p ‖ q) over the last axis, from terms that cannot be negative.

        KL(p ‖ q) = Σ (p log(p/q) − p + q) = Σ p (x + e^−x − 1),   x = log(p/q)

    Both sum to 1. The sum of p log(p/q), whose terms have both signs, may be negative where p and q are nearly equal.
    """
    p, x = jnp.exp(log_p), log_ratio(log_p, log_q)
    # the series, up to rounding, where the two parts of the other form cancel
    near = jnp.abs(x) < 1e-3
    small = jnp.where(near, x, 0)
    cost = jnp.where(near, small**2 / 2 * (1 - small / 3 + small**2 / 12 - small**3 / 60), x + jnp.expm1(-x))
    return jnp.where(p > 0, p * cost, jnp.exp(log_q)).sum(axis=-1)


def _time(time: object) -> int:
    return _checks.integer_at_least("time", time, -1)


def _law_at(game: FiniteHorizonGame, equilibrium: Equilibrium, time: int) -> Array:
    if time > game.horizon:
        raise ValueError(f"`time` is {time}, but the last time of the game is {game.horizon}.")
    return equilibrium.state_law[time]


def _place(game: FiniteHorizonGame, name: str, field: str) -> int:
    if name not in game.state_labels:
        known = ", ".join(map(repr, game.state_labels[:12]))
        which = did_you_mean(name, game.state_labels, f", but the states are {known}.")
        raise ValueError(f"`{field}` has the state {name!r}{which}")
    return game.state_labels.index(name)
