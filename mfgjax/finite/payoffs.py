"""Expected rewards of an agent among finitely many others, by the method that fits the game."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array, Float
from ..model import FiniteHorizonGame
from ..model.rewards import TableReward
from . import binomial_sum, closed_form, lattice
from .arguments import checked_key
from .empirical import MOST_COMPOSITIONS, NUM_GROUPS, by_enumeration, by_sampling, compositions, num_compositions
from .lattice import Lattice, lattice_of
from .precision import DOUBLE

# in the order in which they are tried
METHODS = ("closed form", "binomial sum", "lattice", "enumeration", "Monte Carlo")
_MOST_ENTRIES = 4_000_000


class Shift(NamedTuple):
    """The expected reward of an agent among N less its reward in the mean field, R^N − R.

    Attributes:
      table: `[T, S, A, n]`; NaN where its digits are lost.
      has_digits: where they are not, the same shape; None: everywhere.
      width: by how much it may change where rounding decides on which side of a jump of Θ the agents are, the same
        shape; None: by nothing.
      groups: means over groups of random draws, groups leading, for Monte Carlo.
    """

    table: Array
    has_digits: Array | None = None
    width: Array | None = None
    groups: Array | None = None


class PayoffMethod(eqx.Module):
    """How R^N is computed, with what the method needs beside the game.

    Attributes:
      method: one of `METHODS`.
      lattice: of the interaction, for "lattice".
      counts: of the others, and the logs of how often each occurs, for "enumeration".
      key: for "Monte Carlo".
      draws_per_group: the same.
    """

    method: str = eqx.field(static=True)
    lattice: Lattice | None = None
    counts: tuple[Float[Array, "n C X"], Float[Array, "n C"]] | None = None
    key: Array | None = None
    draws_per_group: int = eqx.field(static=True, default=0)

    def shift(self, game: FiniteHorizonGame, mu: Array, seen: Array, num_agents: Array) -> Shift:
        """Compute R^N − R, for each of the numbers of agents."""
        shape = (game.horizon + 1, game.num_states, game.num_actions, *num_agents.shape)
        numbers = num_agents.astype(DOUBLE)
        if self.method == "Monte Carlo":
            assert self.key is not None
            groups = by_sampling(game, seen, num_agents, self.key, self.draws_per_group)
            return Shift(groups.mean(axis=0), groups=groups)
        if type(game.reward) is TableReward:  # the others change nothing: R^N = R
            return Shift(jnp.zeros(shape, DOUBLE))
        if self.method == "enumeration":
            assert self.counts is not None
            table, width = by_enumeration(game, seen, numbers, *self.counts)
            return Shift(table, width=width)

        def shaped(table: Any) -> Any:
            return None if table is None else jnp.broadcast_to(jnp.moveaxis(table, 0, -1), shape)

        if self.method == "closed form":
            return Shift(shaped(jax.lax.map(lambda n: closed_form.shift(game, mu, seen, n), numbers)))
        if self.method == "binomial sum":
            table, width = jax.lax.map(lambda n: binomial_sum.shift(game, mu, seen, n), numbers)
            return Shift(shaped(table), width=shaped(width))
        assert self.lattice is not None
        own_lattice = self.lattice
        table, has_digits, width = jax.lax.map(lambda n: lattice.shift(game, own_lattice, mu, seen, n), numbers)
        return Shift(jnp.where(shaped(has_digits), shaped(table), jnp.nan), shaped(has_digits), shaped(width))


def has_exact_method(game: FiniteHorizonGame, num_agents: np.ndarray) -> bool:
    """Tell whether R^N can be computed without random draws, for known numbers of agents."""
    return any(_exact_method(game, num_agents, method) is not None for method in METHODS[:-1])


def is_enumerable(game: FiniteHorizonGame, num_agents: Any) -> bool:
    """Tell whether there are few enough distributions of the others, for known numbers of agents."""
    places = game.num_states * (1 if game.observes == "states" else game.num_actions)
    num_distributions = num_compositions(int(num_agents.max()), places)
    return num_distributions <= MOST_COMPOSITIONS and num_distributions * num_agents.size * places <= _MOST_ENTRIES


def payoff_methods(
    game: FiniteHorizonGame, num_agents: Array, method: str | None, key: Array | None, num_samples: int
) -> Iterator[PayoffMethod]:
    """Yield the methods that fit a game, the most exact first, or the one asked for.

    Raises:
      ValueError: if the next one would be Monte Carlo and there is no key, or the one asked for does not fit.
    """
    if method is not None:
        _checks.one_of("method", method, METHODS)
    known_numbers = None if _checks.is_traced(num_agents) else np.asarray(num_agents)  # some methods need sizes now
    for name in METHODS[:-1] if method is None else (method,):
        fitting = _exact_method(game, known_numbers, name)
        if fitting is not None:
            yield fitting
            if method is not None:
                return
    if method not in (None, "Monte Carlo"):
        raise ValueError(f"`method` is {method!r}, which does not fit this game or these `num_agents`: {_WHY[method]}.")
    need = "no exact method fits this game and these `num_agents`, so the others are drawn at random (Monte Carlo)"
    key = checked_key(key, need)
    draws = -(-_checks.integer_at_least("num_samples", num_samples, NUM_GROUPS) // NUM_GROUPS)  # rounded up
    yield PayoffMethod("Monte Carlo", key=key, draws_per_group=draws)


_WHY = {
    "closed form": "it needs a `PairwiseReward` with Θ of degree 2 at most",
    "binomial sum": "it needs a `PairwiseReward` with `OwnStateInteraction` or `SuccessorInteraction`, and a Θ that "
    "provably treats each pair of state and action alone",
    "lattice": "it needs a `PairwiseReward` whose L is a known table of few multiples of one step, a Θ that provably "
    "treats each pair of state and action alone, and known numbers",
    "enumeration": f"it visits all distributions of the others, {MOST_COMPOSITIONS:,} at most, for known numbers",
}


def _exact_method(game: FiniteHorizonGame, num_agents: Any, method: str) -> PayoffMethod | None:
    if method == "closed form":
        return PayoffMethod(method) if type(game.reward) is TableReward or closed_form.fits(game) else None
    if method == "binomial sum":
        return PayoffMethod(method) if binomial_sum.fits(game) else None
    if method == "Monte Carlo" or num_agents is None:
        return None
    if method == "lattice":
        own_lattice = lattice_of(game, num_agents)
        return None if own_lattice is None else PayoffMethod(method, own_lattice)
    if not is_enumerable(game, num_agents):
        return None
    places = game.num_states * (1 if game.observes == "states" else game.num_actions)
    counts, logs = compositions(num_agents, places)
    return PayoffMethod(method, counts=(jnp.asarray(counts), jnp.asarray(logs)))
