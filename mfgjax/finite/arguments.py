"""Checks of the arguments that functions on finite populations share: game, policy, numbers of agents, criterion."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._simplex import log_ratio, safe_log
from .._typing import Array, ArrayLike, Float
from ..engine import fit_response
from ..kernels import AbstractKernel
from ..model import FiniteHorizonGame, of_kind, trace_game
from ..model.canonical import axes_of, with_times
from ..responses import AbstractResponse, EntropyRegularized
from .precision import DOUBLE, double

MOST_AGENTS = 10**9


def checked_game(game: object) -> FiniteHorizonGame:
    """Return a finite-horizon game with its functions traced in double precision, or refuse what is no such game."""
    with double():
        return trace_game(of_kind(FiniteHorizonGame, game), DOUBLE).seeing_laws()


def decoupled_game(game: object, function: str) -> FiniteHorizonGame:
    """Return the game, refused if its agents do not move independently of each other."""
    game = checked_game(game)
    if not isinstance(game.kernel, AbstractKernel):
        raise ValueError(
            f"`game.kernel` is a callable of the mean field, but `finite.{function}` needs agents who move "
            "independently of each other: a table or a kernel object. For such a game use `finite.simulate`, with "
            "`deviation` for an agent that leaves the policy."
        )
    return game


def checked_policy(game: FiniteHorizonGame, policy: ArrayLike, name: str = "policy") -> Float[Array, "T S A *lanes"]:
    """Return a policy as `[T, S, A, *lanes]`; one that is the same at all times may be given as `[S, A]`.

    Raises:
      ValueError: naming the entry that is negative, the row that does not sum to 1, or mass on an action that is not
        available.
    """
    axes = with_times(axes_of(game.state_labels, game.action_labels), game.horizon + 1)
    table = _checks.as_numbers(name, policy, axes=axes)
    T, S, A = game.horizon + 1, game.num_states, game.num_actions
    lanes = (None,) * max(table.ndim - 3, 0)
    _checks.shape_is(name, table, [(S, A), (1, S, A, *lanes), (T, S, A, *lanes)], "times (or 1), states, actions")
    table = table[None] if table.ndim == 2 else table
    if not _checks.is_traced((table, game.available)):
        values = np.asarray(table)
        _checks.distribution(name, np.moveaxis(values, 2, -1), leading=values.ndim - 1)
        mask = np.asarray(game.available).reshape(game.available.shape + (1,) * len(lanes))
        values, mask = np.broadcast_arrays(values, mask)
        must = "that action is not available: there it must be 0"
        _checks.all_true(name, values, mask | (values == 0), must)
    return jnp.broadcast_to(jnp.asarray(table), (T, *table.shape[1:]))


def single_policy(game: FiniteHorizonGame, policy: ArrayLike, name: str = "policy") -> Float[Array, "T S A"]:
    """Return one policy, checked, refused if it has lanes."""
    table = checked_policy(game, policy, name)
    if table.ndim > 3:
        T, S, A = table.shape[:3]
        raise ValueError(f"`{name}` must be one policy, of shape {(T, S, A)}; got shape {table.shape}.")
    return table


def checked_agents(num_agents: ArrayLike) -> Any:
    """Return numbers of agents as int32. Known ones outside 1..1e9 are refused; traced ones become 0, which gives NaN.

    Known ones are of NumPy, so that they stay known within a `jit` of the user's.
    """
    numbers = _checks.as_numbers("num_agents", num_agents, "whole numbers")
    if _checks.is_traced(num_agents):
        # not by way of floating numbers, which may be of single precision
        counts = jnp.asarray(num_agents)
        valid = (counts >= 1) & (counts <= MOST_AGENTS) & (counts == jnp.round(counts))
        return jnp.where(valid, counts, 0).astype(jnp.int32)
    numbers = np.asarray(num_agents, dtype=np.float64)
    if not numbers.size:
        raise ValueError("`num_agents` is empty; give at least one number.")
    _checks.finite("num_agents", numbers)
    _checks.all_true("num_agents", numbers, numbers == np.round(numbers), "it must be a whole number")
    inside = (numbers >= 1) & (numbers <= MOST_AGENTS)
    # as whole numbers in the message, unless int64 cannot hold them
    shown = np.asarray(num_agents) if inside.all() or np.abs(numbers).max() > 2**62 else numbers.astype(np.int64)
    _checks.all_true("num_agents", shown, inside, "it must lie between 1 and 1,000,000,000")
    return numbers.astype(np.int32)


def checked_key(key: object, needed_for: str) -> Array:
    """Return a key of JAX, or say what it is needed for."""
    return _checks.random_key("key", key, f": {needed_for}")


def checked_criterion(
    game: FiniteHorizonGame, response: AbstractResponse | None, function: str
) -> EntropyRegularized | None:
    """Return the response whose KL terms belong to the criterion, or None for rewards alone."""
    if response is None:
        return None
    if isinstance(response, AbstractResponse) and response.is_optimal:
        fitted: Any = fit_response(game, response)
        return None if fitted.penalty(game.available, game.dtype) is None else fitted
    got = type(response).__name__ if isinstance(response, AbstractResponse) else _checks.shorten(response)
    raise ValueError(
        f"`finite.{function}(..., response={got})`: there is a criterion for `response=None` (rewards alone) and for "
        "`EntropyRegularized`; other responses maximise none."
    )


def normalized(policy: Array) -> Array:
    """Return a policy in double precision with rows that sum to 1 in it."""
    # rows in single precision miss 1 by 1e-7, which is more than gains of order 1/N²
    table = policy.astype(DOUBLE)
    return table / table.sum(axis=2, keepdims=True)


def penalty(game: FiniteHorizonGame, policy: Array, criterion: EntropyRegularized | None) -> Array:
    """Return log(π/ρ)/β, `[T, S, A, *lanes]`, the cost of each action; 0 where it is not taken, or without KL terms."""
    if criterion is None:
        return jnp.zeros_like(policy)
    log_policy = safe_log(policy)
    log_reference = criterion.log_prior(game.available, policy.dtype)
    log_reference = log_reference.reshape(log_reference.shape + (1,) * (policy.ndim - 3))
    return log_ratio(log_policy, jnp.broadcast_to(log_reference, policy.shape)) / criterion.beta
