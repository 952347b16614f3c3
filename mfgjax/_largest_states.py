"""The states with the largest mass, for tables and pictures that cannot show all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._typing import Array, Float, Int


def largest_states(masses: Float[Array, " S"] | np.ndarray, most: int | None) -> Int[np.ndarray, " rows"]:
    """Return the indices of the states with the largest mass, in increasing order; of equal masses the first count.

    Args:
      masses: one number a state; NaN counts as less than any.
      most: how many at most; None: all.
    """
    # `argsort` puts NaN last
    return np.sort(np.argsort(-np.asarray(masses), kind="stable")[:most])
