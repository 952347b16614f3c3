"""Where the states of a game lie in a picture: on a grid, as the nodes of a graph, or side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._coordinates import cells
from ..io.equilibria import leads_to
from ..kernels import MovesKernel
from ..model import AbstractGame

_MOST_NODES = 30
"""States up to which a graph without positions is drawn as nodes on a circle."""


def layout_of(
    states: Sequence[str], game: AbstractGame | None = None, positions: Mapping[str, tuple[float, float]] | None = None
) -> dict[str, Any]:
    """Return how states are drawn: `{"kind": "grid" | "graph" | "bars", ...}`.

    States that are called "row,column" are the cells of a grid. The states of a game with a `MovesKernel` are nodes, at
    their own positions or, where they are few, on a circle. All others stand side by side.

    Args:
      states: their labels.
      game: for the moves between them; None: not known.
      positions: of the nodes, by label.
    """
    ends = None if game is None else ends_of(game)
    grid = cells(states)
    if grid is not None:
        rows, columns = (int(n) for n in grid.max(axis=0) + 1)
        return {"kind": "grid", "rows": rows, "columns": columns, "cells": grid.tolist(), "ends": ends}
    if ends is not None and (positions is not None or len(states) <= _MOST_NODES):
        # the page puts them on a circle where they have none
        places = None if positions is None else [[float(x) for x in positions[label]] for label in states]
        return {"kind": "graph", "places": places, "ends": ends}
    return {"kind": "bars", "ends": ends}


def have_same_moves(game: AbstractGame, other: AbstractGame) -> bool:
    """Tell whether two games have the same actions in every state, and these lead to the same states."""
    return np.array_equal(game.available, other.available) and ends_of(game) == ends_of(other)


def ends_of(game: AbstractGame) -> list[list[int]] | None:
    """Return the number of the state that each action leads to, −1 where there is none; None: it is not one state."""
    if not isinstance(game.kernel, MovesKernel):
        return None
    numbers = {label: number for number, label in enumerate(game.state_labels)} | {"": -1}
    return [[numbers[label] for label in row] for row in leads_to(game)]
