"""Which states and rows are shown, by tables and pictures that cannot show all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._typing import Array, Float, Int


def largest_states(masses: Float[Array, " S"] | np.ndarray, most: int | None) -> Int[np.ndarray, " rows"]:
    """Return the indices of the states with the largest mass, in increasing order; of equal masses the first count.

    Args:
      masses: one number a state; NaN counts as less than any.
      most: how many at most; None: all.
    """
    order = -np.asarray(masses)
    places = np.arange(len(order))
    if most is not None and 0 < most < len(order):
        # only those that may be among the largest are sorted; all if that is not known, because of NaN
        limit = np.partition(order, most - 1)[most - 1]
        places = np.flatnonzero(order <= limit) if np.isfinite(limit) else places
    # `argsort` puts NaN last
    return np.sort(places[np.argsort(order[places], kind="stable")[:most]])


def heaviest(labels: Sequence[str], masses: Sequence[float] | np.ndarray, most: int = 3) -> str:
    """Return the few states with the largest mass and their shares on a line, the heaviest first."""
    # rounded, so that shares that are equal but for rounding keep the order of the states
    rounded = np.round(np.asarray(masses, float), 6)
    first = sorted(largest_states(rounded, most).tolist(), key=lambda s: -rounded[s])
    return ", ".join(f"{labels[s]}: {masses[s]:.3f}" for s in first if masses[s] >= 5e-4)


def evenly(count: int, most: int) -> list[int]:
    """Return which of many rows are shown: evenly spaced ones, the first and the last among them."""
    shown = min(count, most)
    return [round(i * (count - 1) / max(shown - 1, 1)) for i in range(shown)]
