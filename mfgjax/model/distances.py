"""Distances of mean fields and of policies, in total variation."""

from typing import Any

import jax.numpy as jnp

from .. import _checks, _simplex
from .._modes import in_own_modes
from .._typing import Array, ArrayLike, Scalar


@in_own_modes
def flow_distance(first: ArrayLike, second: ArrayLike) -> Scalar:
    """Return the distance of two mean fields, d_M = max_t d_TV(μ_t, μ'_t).

    Args:
      first: `[T, S]`, or `[T, S, A]` for joint laws; or one law `[S]`.
      second: the same.

    Raises:
      ValueError: if the shapes differ, or one of the two is not a probability law.

    Example:
      >>> import mfgjax as mfg
      >>> float(mfg.flow_distance([[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.25, 0.75]]))
      0.25

    Source: Guan et al. (2021), arXiv:2110.07469, section II-d.
    """
    first_laws, second_laws = _laws("first", first), _laws("second", second)
    _check_same_shape(first_laws, second_laws)
    if first_laws.ndim == 1:
        return _simplex.total_variation(first_laws, second_laws)
    return _simplex.total_variation(first_laws, second_laws, axis=tuple(range(1, first_laws.ndim))).max()


@in_own_modes
def policy_distance(first: ArrayLike, second: ArrayLike) -> Scalar:
    """Return the distance of two policies, d_Π = max_t max_s d_TV(π_t(·|s), π'_t(·|s)).

    Args:
      first: `[T, S, A]`.
      second: the same.

    Raises:
      ValueError: if shapes differ, or a row does not sum to 1.

    Example:
      >>> import mfgjax as mfg
      >>> float(mfg.policy_distance([[[0.5, 0.5]]], [[[0.25, 0.75]]]))
      0.25

    Source: Guan et al. (2021), arXiv:2110.07469, section II-d.
    """
    first_rows, second_rows = _rows("first", first), _rows("second", second)
    _check_same_shape(first_rows, second_rows)
    return _simplex.total_variation(first_rows, second_rows, axis=-1).max()


def _laws(name: str, value: Any) -> Array:
    table = _checks.as_numbers(name, value)
    _checks.shape_is(name, table, [(None,), (None,) * 2, (None,) * 3], "states; or times, states; or also actions")
    return _checked(name, table, min(table.ndim - 1, 1))  # at most one axis of times; all others are one law


def _rows(name: str, value: Any) -> Array:
    table = _checks.as_numbers(name, value)
    _checks.shape_is(name, table, [(None,) * 2, (None,) * 3], "states, actions; or times first")
    return _checked(name, table, table.ndim - 1)


def _checked(name: str, table: Any, leading: int) -> Array:
    if not _checks.is_traced(table):
        # the sums of a flow that was computed lose some digits at every step
        slack_of_table = 8 * float(jnp.finfo(table.dtype).eps) * len(table)
        _checks.distribution(name, table, leading=leading, slack=slack_of_table)
    return jnp.asarray(table)


def _check_same_shape(first: Array, second: Array) -> None:
    if first.shape != second.shape:
        raise ValueError(f"`first` has shape {first.shape}, but `second` has {second.shape}.")
