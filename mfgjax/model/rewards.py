"""Rewards that pair an agent with the population, and fixed tables.

A callable whose class says `takes_lanes = True` works also where its arrays, the mean field, or both carry a
trailing axis of lanes (many games at once); others are mapped over the lanes. This holds for rewards, and for kernels
given as callables that return kernel objects, in `sweep` and `solve_batch`; elsewhere a user's callable is mapped.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._display import shows_itself
from .._typing import Array, ArrayLike, Float, Int, Scalar
from ..kernels.base import align, time_slice
from ..kernels.predecessors import AXES, as_table


@shows_itself
class TableReward(eqx.Module):
    """A reward that ignores the population: `table[t, s, a]` (or one table for all times)."""

    table: Float[Array, "#T S A *batch"]
    takes_lanes: ClassVar[bool] = True

    def __call__(self, t: Scalar | int, mean_field: Array) -> Array:
        return time_slice(self.table, t)


@shows_itself
class DenseInteraction(eqx.Module):
    """L_t(s,a,s') as a full table `[S, A, S]` or `[H+1, S, A, S]` (with s' a pair for a joint law)."""

    table: Array
    num_seen_axes: int = eqx.field(static=True)
    takes_lanes: ClassVar[bool] = True

    def __init__(self, table: ArrayLike, num_seen_axes: int = 1):
        L = _checks.as_numbers("reward.L", table)
        one_time = 2 + _checks.integer_at_least("num_seen_axes", num_seen_axes, 1)
        _checks.shape_is(
            "reward.L",
            L,
            [(None,) * one_time, (None,) * (one_time + 1)],
            "states, actions, seen; or per time",
        )
        if not _checks.is_traced(L):
            _checks.finite("reward.L", L)
        self.table = L[None] if L.ndim == one_time else L
        self.num_seen_axes = num_seen_axes

    def __call__(self, t: Scalar | int, mean_field: Array) -> Array:
        precision = jax.lax.Precision.HIGHEST  # accelerators would round the factors to 10 bits by default
        table = time_slice(self.table, t)
        if table.ndim > 2 + self.num_seen_axes:  # each lane has its own
            seen = "xy"[: self.num_seen_axes]
            return jnp.einsum(f"sa{seen}b,{seen}b->sab", table, mean_field, precision=precision)
        return jnp.tensordot(table, mean_field, axes=self.num_seen_axes, precision=precision)


@shows_itself
class OwnStateInteraction(eqx.Module):
    """An interaction with the agents in one's own state: L_t(s,a,s') = base_t(s,a) + weight_t(s,a)·1{s' = s}.

    Args:
      base: `[S, A]` or `[H+1, S, A]`; A may be 1 where all actions earn the same.
      weight: the same; negative for congestion.
    """

    base: Float[Array, "#T S A *batch"]
    weight: Float[Array, "#T S A *batch"]
    takes_lanes: ClassVar[bool] = True

    def __init__(self, base: ArrayLike, weight: ArrayLike):
        self.base, self.weight = _time_table("base", base), _time_table("weight", weight)

    def __call__(self, t: Scalar | int, mean_field: Array) -> Array:
        # one entry of μ for each state: no table of S x S
        return _affine(time_slice(self.base, t), time_slice(self.weight, t), mean_field[:, None])


@shows_itself
class SuccessorInteraction(eqx.Module):
    """An interaction with the agents in the state to which one's move leads.

    L_t(s,a,s') = base_t(s,a) + weight_t(s,a)·1{s' = next(s,a)}

    Args:
      base: `[S, A]` or `[H+1, S, A]`.
      weight: the same; negative for congestion.
      next_state: integers `[S, A]`, as in `MovesKernel`.
    """

    base: Float[Array, "#T S A *batch"]
    weight: Float[Array, "#T S A *batch"]
    next_state: Int[Array, "S A"]
    takes_lanes: ClassVar[bool] = True

    def __init__(self, base: ArrayLike, weight: ArrayLike, next_state: ArrayLike):
        self.base, self.weight = _time_table("base", base), _time_table("weight", weight)
        table = as_table("reward.L.next_state", next_state, 2, "states, actions")
        # -1 marks a missing action: what it reads is ignored
        self.next_state = np.maximum(table, 0).astype(np.int32)  # pyright: ignore[reportAttributeAccessIssue]

    def __call__(self, t: Scalar | int, mean_field: Array) -> Array:
        return _affine(time_slice(self.base, t), time_slice(self.weight, t), mean_field[self.next_state])  # likewise


def _affine(base: Array, weight: Array, crowd: Array) -> Array:
    return align(base, crowd) + align(weight, crowd) * crowd


@shows_itself
class PairwiseReward(eqx.Module):
    """A reward that depends on the mean field through the average of an interaction with all agents.

        R_t(s,a,μ) = Θ_t(Σ_s' L_t(s,a,s') μ(s'))

    Args:
      L: the interaction: an array `[S, A, S]` or `[H+1, S, A, S]`; or one that never stores S×S numbers:
        `OwnStateInteraction`, `SuccessorInteraction`, or any callable `(t, mean_field) -> [S, A]`.
      theta: Θ as a callable `(t, x) -> array of the shape of x`; None is the identity. If you want to sweep or
        differentiate a number of Θ, make Θ an `equinox.Module` and the number a field of it.

    Raises:
      ValueError: if Θ is not callable. Whether L fits a game is checked when the game is built.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> crowding = mfg.PairwiseReward(-np.eye(2)[:, None, :])  # R(s,a,μ) = −μ(s)
      >>> game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [1, 0]]), crowding, [1.0, 0.0], horizon=3)
      >>> game.reward_at(0, np.array([0.75, 0.25])).tolist()
      [[-0.75, -0.75], [-0.25, -0.25]]

    Source: Guan et al. (2021), arXiv:2110.07469, eqs. (3), (5), (10).
    """

    L: Callable[[Scalar | int, Array], Array]
    theta: Callable[[Scalar | int, Array], Array] | None = None

    def __init__(self, L: ArrayLike | Callable, theta: Callable | None = None):
        if theta is not None and not callable(theta):
            raise ValueError(f"`reward.theta` must be a callable (t, x), or None; got {_checks.shorten(theta)}.")
        self.L = L if callable(L) else DenseInteraction(_checks.as_numbers("reward.L", L, or_function=True))
        self.theta = theta

    @property
    def takes_lanes(self) -> bool:
        """Whether the parts, and so the whole, work with a trailing axis of lanes."""
        # a table alone does not know of lanes that only Θ carries
        knows = all(part is None or getattr(part, "takes_lanes", False) for part in (self.L, self.theta))
        return knows and not isinstance(self.L, TableReward)

    def __call__(self, t: Scalar | int, mean_field: Array) -> Array:
        x = self.L(t, mean_field)
        return x if self.theta is None else self.theta(t, x)


@shows_itself
class Power(eqx.Module):
    """A power as the function Θ of a `PairwiseReward`: Θ(x) = scale · x^exponent, for every t.

    Args:
      scale: a number.
      exponent: a whole number ≥ 1; it cannot be swept or differentiated. Both are given by name.

    Raises:
      ValueError: if the exponent is no whole number ≥ 1.
    """

    scale: Float[Array, "*batch"]
    exponent: int = eqx.field(static=True)
    takes_lanes: ClassVar[bool] = True

    def __init__(self, *, scale: ArrayLike = 1.0, exponent: int = 1):
        self.scale = _checks.scalar_in("theta.scale", scale, -float("inf"), float("inf"), "(-inf, inf)")
        self.exponent = _checks.integer_at_least("theta.exponent", exponent, 1)

    def __call__(self, t: Scalar | int, x: Array) -> Array:
        return self.scale * x**self.exponent  # an int in Python: x may be negative, and the derivative at 0 is finite


@shows_itself
class Staged(eqx.Module):
    """Θ_t that is one function before the end, and another at the end.

    Args:
      running: `(t, x) -> array` for t < H.
      terminal: the same for t = H.
      horizon: H.
    """

    running: Callable[[Scalar | int, Array], Array]
    terminal: Callable[[Scalar | int, Array], Array]
    horizon: int = eqx.field(static=True)

    def __check_init__(self):
        for name, function in (("running", self.running), ("terminal", self.terminal)):
            if not callable(function):
                raise ValueError(f"`theta.{name}` must be a callable (t, x); got {_checks.shorten(function)}.")
        _checks.integer_at_least("theta.horizon", self.horizon, 1)

    @property
    def takes_lanes(self) -> bool:
        """Whether the parts, and so the whole, work with a trailing axis of lanes."""
        return all(getattr(part, "takes_lanes", False) for part in (self.running, self.terminal))

    def __call__(self, t: Scalar | int, x: Array) -> Array:
        return jnp.where(t < self.horizon, self.running(t, x), self.terminal(t, x))  # t is traced: both are computed


def _time_table(name: str, table: ArrayLike) -> Array:
    array = _checks.as_numbers(f"reward.L.{name}", table, axes=AXES[:2])
    _checks.shape_is(f"reward.L.{name}", array, [(None,) * 2, (None,) * 3], "states, actions; or per time")
    if not _checks.is_traced(array):
        _checks.finite(f"reward.L.{name}", array)
    return array[None] if array.ndim == 2 else array  # always with times, as `time_slice` expects


def check_table(table: Any, num_states: int | None, num_actions: int | None, num_times: int | None = None) -> None:
    """Refuse a table of rewards of a wrong shape.

    Args:
      table: as the user gave it, with an axis of times or without.
      num_states: S; None if it is not known.
      num_actions: A; None if it is not known.
      num_times: H + 1; None for a game without times.
    """
    S, A, shape = num_states, num_actions, tuple(np.shape(table))
    # actions first, the order of other codes: the sentence says how to convert it
    if None not in (S, A) and S != A and len(shape) in (2, 3) and shape[-2:] == (A, S):
        raise ValueError(
            f"`reward` has shape {shape}, with actions before states; it must be (states, actions): "
            "`numpy.swapaxes(reward, -2, -1)`."
        )
    at_one_time, meaning = [(S, A)] if A is None else [(S, A), (S, 1)], "states, actions or 1"
    if num_times is None:
        _checks.shape_is("reward", table, at_one_time, meaning)
    else:
        _checks.shape_at_times("reward", table, at_one_time, num_times, meaning)


def refuse_interaction(aggregate: object) -> None:
    """Say that pairwise rewards are of laws, in a game whose payoffs see an aggregate."""
    if aggregate is not None:
        raise ValueError(
            "`reward` is a PairwiseReward, which sums over the law of the population, but `observes` is an "
            "`Aggregate`: give a function of it as reward."
        )


def check_interaction(L: object, seen: tuple[int, ...], num_actions: int, num_times: int) -> None:
    """Check that the tables of the library's own interactions fit what payoffs see.

    Args:
      L: an interaction; those of users are left to their own calls.
      seen: shape of the mean field of one time.
      num_actions: A.
      num_times: H + 1.
    """
    S, A, T = seen[0], num_actions, num_times
    rows = [(S, A), (S, 1)]  # one column where all actions earn the same
    if isinstance(L, DenseInteraction):
        if L.num_seen_axes != len(seen):
            kind = "states" if len(seen) == 1 else "states and actions"
            of_L = "states only" if L.num_seen_axes == 1 else f"{L.num_seen_axes} axes"
            raise ValueError(
                f"`reward.L` sums over {of_L}, but the game observes {kind}: use "
                f"`DenseInteraction(table, num_seen_axes={len(seen)})`."
            )
        allowed = [(*row, *seen) for row in rows]
        _checks.shape_at_times("reward.L", _given(L.table), allowed, T, "states, actions or 1, axes of the mean field")
    elif isinstance(L, OwnStateInteraction | SuccessorInteraction):
        if len(seen) != 1:
            raise ValueError(f'`reward.L` is a {type(L).__name__}, which works only with `observes="states"`.')
        _checks.shape_at_times("reward.L.base", _given(L.base), rows, T, "states, actions or 1")
        _checks.shape_at_times("reward.L.weight", _given(L.weight), rows, T, "states, actions or 1")
        if isinstance(L, SuccessorInteraction):
            _checks.shape_is("reward.L.next_state", L.next_state, [(S, A)], "states, actions")


def _given(table: Array) -> Array:
    """Return a table as it was given, as a rule: without an axis of one time."""
    return table[0] if len(table) == 1 else table
