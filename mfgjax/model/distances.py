"""Distances of mean fields and of policies, in total variation."""

from .. import _simplex
from .._typing import Array, Float, Scalar
from .maps import AnyGame


def flow_distance(first: Array, second: Array) -> Scalar:
    """Return the distance of two mean fields, d_M = max_t d_TV(μ_t, μ'_t).

    Args:
      first: `[T, S]`, or `[T, S, A]` for joint laws; or one law `[S]`.
      second: the same.

    Source: Guan et al. (2021), arXiv:2110.07469, section II-d.
    """
    if first.ndim == 1:
        return _simplex.total_variation(first, second)
    return _simplex.total_variation(first, second, axis=tuple(range(1, first.ndim))).max()


def seen_distance(game: AnyGame, first: Array, second: Array) -> Array:
    """Return `flow_distance` of two mean fields of a game, or of every lane of many."""
    axes = tuple(range(1, 1 + game.num_seen_axes))
    return _simplex.total_variation(first, second, axis=axes).max(axis=0)


def policy_distance(first: Float[Array, "T S A"], second: Float[Array, "T S A"]) -> Scalar:
    """Return the distance of two policies, d_Π = max_t max_s d_TV(π_t(·|s), π'_t(·|s)).

    Args:
      first: `[T, S, A]`.
      second: the same.

    Source: Guan et al. (2021), arXiv:2110.07469, section II-d.
    """
    return _simplex.total_variation(first, second, axis=-1).max()
