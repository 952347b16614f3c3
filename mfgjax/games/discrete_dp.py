"""Games of agents whose decision problem is a discrete dynamic program of QuantEcon."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._typing import Array, ArrayLike, Float
from ..kernels import AbstractKernel, DenseKernel, SuccessorKernel
from ..model import PairwiseReward, StationaryGame
from ..model.canonical import booleans


class AddedReward(eqx.Module):
    """r(s,a,z) = own(s,a) + of_crowd(z)(s,a): what an agent earns by itself, and what the population adds."""

    own: Float[Array, "S A"]
    of_crowd: Callable[..., Array]

    def __call__(self, z: Array) -> Array:
        if isinstance(self.of_crowd, PairwiseReward):  # which takes a time
            return self.own + self.of_crowd(jnp.int32(0), z)
        return self.own + self.of_crowd(z)


def from_discrete_dp(
    ddp: Any,
    *,
    reward: Callable[..., Any] | None = None,
    initial: ArrayLike | None = None,
    observes: str = "states",
    state_labels: Sequence[str | int] | np.ndarray | None = None,
    action_labels: Sequence[str | int] | np.ndarray | None = None,
) -> StationaryGame:
    """Build the game of a population whose members each solve a `quantecon.markov.DiscreteDP`.

    A dynamic program is a game in which agents do not affect each other. If they do, `reward` says how:

        r(s,a,z) = R(s,a) + reward(z)(s,a)

    Without it, `solve(game, Greedy())` finds the optimal policy, and a stationary law of the agents who follow it.

    Args:
      ddp: the program, in product form or in that of state-action pairs, whose `Q` may be sparse. Its attributes `R`,
        `Q`, `beta`, `s_indices` and `a_indices` are read, QuantEcon itself is not needed. Actions whose `R` is −inf,
        and pairs that are not there, are not available.
      reward: a callable `(z) -> [S, A]` (or `[S, 1]`) or a `PairwiseReward`, added to `R`; None: nothing.
      initial: the law `[S]` from which iterations start; None: uniform.
      observes: what z is: "states", the law `[S]`, or "state_actions", the joint law `[S, A]`.
      state_labels: names of the states; None: numbers.
      action_labels: names of the actions; None: numbers.

    Returns:
      A `StationaryGame` with discount `ddp.beta`; its kernel is a `SuccessorKernel` where `Q` is sparse.

    Raises:
      ValueError: if an attribute is missing, or does not fit; if `ddp.beta` is not in (0, 1).

    Example:
      >>> import mfgjax as mfg
      >>> from types import SimpleNamespace  # in place of quantecon.markov.DiscreteDP(R, Q, beta)
      >>> R, Q = [[5, 10], [-1, -float("inf")]], [[[0.5, 0.5], [0, 1]], [[0, 1], [0.5, 0.5]]]
      >>> game = mfg.games.from_discrete_dp(SimpleNamespace(R=R, Q=Q, beta=0.95))
      >>> game.available[0].tolist()
      [[True, True], [True, False]]

    Source: Puterman (2005), Markov Decision Processes, section 3.1, for the example.
    """
    for name in ("R", "Q", "beta"):  # by attribute: QuantEcon need not be installed
        if not hasattr(ddp, name):
            raise ValueError(f"`ddp` must have R, Q and beta, as a `DiscreteDP`; {_checks.shorten(ddp)} has no {name}.")
    if reward is not None and not callable(reward):
        raise ValueError(f"`reward` must be a callable (z) -> [S, A], or None; got {_checks.shorten(reward)}.")
    beta = _checks.number_in("ddp.beta", ddp.beta, 0, 1, "[0, 1]")
    if beta in (0, 1):  # a `DiscreteDP` may have both
        remedy = "give `FiniteHorizonGame` the arrays, and a horizon" if beta else "without a future there is no game"
        raise ValueError(f"`ddp.beta` is {beta:g}, but a stationary game has its discount in (0, 1): {remedy}.")
    rewards = _checks.as_numbers("ddp.R", ddp.R)
    _checks.shape_is("ddp.R", rewards, [(None, None), (None,)], "states, actions; or state-action pairs")
    # the shape of R tells in which of its two forms the program is
    build = _of_pairs if rewards.ndim == 1 else _of_product
    kernel, table = build(ddp, np.asarray(rewards))
    is_valid = (table < np.inf) & ~np.isnan(table)
    _checks.all_true("ddp.R", table, is_valid, "it must be a number, or -inf where an action is not available")
    available = booleans("available", table > -np.inf)
    rows = available.any(axis=1)
    _checks.all_true("ddp.R", table.max(axis=1), rows, "every state needs an action whose reward is finite")
    own_reward: Any = np.where(available, table, 0)  # -inf times a probability of 0 would be NaN
    return StationaryGame(
        kernel,
        own_reward if reward is None else AddedReward(own_reward, reward),
        beta,
        initial=initial,
        available=available,
        observes=observes,
        state_labels=state_labels,
        action_labels=action_labels,
    )


def _of_product(ddp: Any, rewards: np.ndarray) -> tuple[AbstractKernel, np.ndarray]:
    """Return the kernel and the rewards `[S, A]` of a program given for all states and actions."""
    S, A = rewards.shape
    rows = _checks.as_numbers("ddp.Q", ddp.Q)
    _checks.shape_is("ddp.Q", rows, [(S, A, S)], "states, actions, next states, as R has states and actions")
    return DenseKernel(rows), rewards


def _of_pairs(ddp: Any, rewards: np.ndarray) -> tuple[AbstractKernel, np.ndarray]:
    """Return the kernel and the rewards `[S, A]` of a program given for pairs, −inf for those that are not there."""
    is_sparse = hasattr(ddp.Q, "tocsr")
    rows = ddp.Q if is_sparse else _checks.as_numbers("ddp.Q", ddp.Q)
    _checks.shape_is("ddp.Q", rows, [(len(rewards), None)], "state-action pairs, as in R, next states")
    S = rows.shape[1]
    s, a = (_places(ddp, name, len(rewards)) for name in ("s_indices", "a_indices"))
    _checks.all_true("ddp.s_indices", s, s < S, f"there are {S} states")
    A = int(a.max()) + 1
    table = np.full((S, A), -np.inf, rewards.dtype)
    has_pair = np.zeros((S, A), dtype=bool)  # assignment would keep the last of two pairs without a word
    has_pair[s, a] = True
    if has_pair.sum() < len(rewards):
        raise ValueError("`ddp.s_indices` and `ddp.a_indices` have a pair of state and action twice.")
    table[s, a] = rewards
    if not is_sparse:
        dense = np.zeros((S, A, S), rows.dtype)
        dense[s, a] = rows
        return DenseKernel(dense), table
    lists = rows.tocsr().copy()  # a copy: the next line changes it, and it is the user's
    lists.sum_duplicates()  # a sparse matrix may hold an entry in several parts
    counts = np.diff(lists.indptr)
    pair = np.repeat(np.arange(len(rewards)), counts)
    place = np.arange(lists.nnz) - np.repeat(lists.indptr[:-1], counts)
    shape = (S, A, max(int(counts.max()), 1))
    # -1 where a pair has fewer successors than another
    successors, chances = np.full(shape, -1), np.zeros(shape, lists.data.dtype)
    successors[s[pair], a[pair], place] = lists.indices
    chances[s[pair], a[pair], place] = lists.data
    return SuccessorKernel(successors, chances), table


def _places(ddp: Any, name: str, count: int) -> np.ndarray:
    places = getattr(ddp, name, None)
    array = None if places is None else np.asarray(places)
    if array is None or array.dtype.kind not in "iu":
        raise ValueError(f"`ddp.{name}` must be whole numbers, one for each entry of R; got {_checks.shorten(places)}.")
    _checks.shape_is(f"ddp.{name}", array, [(count,)], "state-action pairs, as in R")
    _checks.all_true(f"ddp.{name}", array, array >= 0, "it must not be negative")
    return array
