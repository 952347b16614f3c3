"""Which of many states are worth a row of a table, or a line of a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ._typing import Array, Float, Int


def largest_states(masses: Float[Array, " S"] | np.ndarray, most: int | None) -> Int[np.ndarray, " rows"]:
    """Return the places of the largest numbers, in their own order; of equal ones the first count.

    Args:
      masses: one number a state; NaN counts as less than any.
      most: how many at most; None: all.
    """
    # `argsort` puts NaN last
    return np.sort(np.argsort(-np.asarray(masses), kind="stable")[:most])
