"""A crowd on a grid that is drawn to a corner and avoids itself."""

from typing import Any

import numpy as np

from .. import _checks
from .._modes import in_own_modes
from .._typing import Array, ArrayLike
from ..kernels import MovesKernel
from ..model import FiniteHorizonGame, OwnStateInteraction, PairwiseReward

MOVES = {"stay": (0, 0), "north": (-1, 0), "south": (1, 0), "west": (0, -1), "east": (0, 1)}
"""The actions of `grid_crowd` in their order: what each adds to row and column."""


@in_own_modes
def grid_crowd(
    rows: int = 20,
    columns: int = 20,
    horizon: int = 40,
    congestion: float | Array = 1.0,
    obstacles: float | ArrayLike = 0.1,
    seed: int = 0,
) -> FiniteHorizonGame:
    """Build the game of a crowd that crosses a grid with obstacles to one corner and avoids crowded cells.

    States: the cells (r, c), numbered row by row: s = r · columns + c. Actions: stay, north, south, west,
    east; moves off the grid or into an obstacle are unavailable. At every time a cell pays

        R_t(s,a,μ) = −(distance from s to the goal) / (rows + columns − 2) − congestion · μ_t(s)

    with the distance |r − r'| + |c − c'| and the goal in the south-east corner; the crowd starts evenly
    spread over the free cells of the north-west ninth of the grid. An obstacle is a state like any other, so
    that cells keep their numbers, but nobody can enter it, and its one action is to stay.

    Obstacles given as a share are single pillars in odd rows and columns (counted from 0), as many as the
    share of all cells says, drawn without replacement from `seed`. Even rows and columns stay open, so any
    two free cells are connected; at most ⌊rows/2⌋ · ⌊columns/2⌋ cells, about a quarter, can be pillars, and
    never the goal.

    For congestion > 0 the reward is strictly decreasing in the crowd at one's own cell, and for
    congestion = 0 agents ignore each other, so the equilibrium is unique at every β.

    Args:
      rows: ≥ 2.
      columns: ≥ 2.
      horizon: H ≥ 1. The far corner is rows + columns − 2 moves away.
      congestion: weight of the crowd at one's own cell, in units of reward; negative attracts.
      obstacles: share of the cells, in [0, 0.25]; or booleans `[rows, columns]`, true where nobody can
        enter: the goal must be free, and reachable from the free cells of the start.
      seed: seed of NumPy's random generator, for the cells of the pillars.

    Returns:
      A game whose memory is O(S · A): moves as a `MovesKernel`, rewards as tables `[1, S, 1]`.

    Raises:
      ValueError: naming the parameter, the place and the value.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.grid_crowd(rows=4, columns=5, horizon=10)
      >>> game.num_states, game.num_actions, game.horizon
      (20, 5, 10)

    Source: the grid games used as benchmarks in the mean-field game literature, with a linear in place of
    a logarithmic crowd term: crowd motion and evacuation of Pérolat et al. (2021), arXiv:2103.00623, and
    `mfg_crowd_modelling_2d` with its forbidden cells in OpenSpiel (Lanctot et al. (2019), arXiv:1908.09453).
    The rewards and the layout here are this library's own.
    """
    num_rows, num_columns = _checks.integer_at_least("rows", rows, 2), _checks.integer_at_least("columns", columns, 2)
    _checks.scalar_in("congestion", congestion, -float("inf"), float("inf"), "(-inf, inf)")
    blocked = _blocked(num_rows, num_columns, obstacles, seed)
    row, column = np.indices(blocked.shape)
    # rounded up, so that a small grid has a start, too
    starts = (row < -(-num_rows // 3)) & (column < -(-num_columns // 3)) & ~blocked
    _check_reachable(blocked, starts)

    # a border of obstacles: then a step off the grid is one into an obstacle
    closed = np.pad(blocked, 1, constant_values=True)
    num_states = blocked.size
    table = np.full((num_states, len(MOVES)), -1, dtype=np.int32)
    cell = np.arange(num_states, dtype=np.int32)
    table[:, 0] = cell  # in obstacles, too: every state needs an action
    for action, (down, right) in list(enumerate(MOVES.values()))[1:]:
        target = closed[1 + down : 1 + down + num_rows, 1 + right : 1 + right + num_columns]
        may = (~target & ~blocked).ravel()
        table[may, action] = cell[may] + (down * num_columns + right)

    distance = (num_rows - 1 - row) + (num_columns - 1 - column)
    base = -(distance / (num_rows + num_columns - 2)).reshape(num_states, 1)
    return FiniteHorizonGame(
        MovesKernel(table),
        # a product, not `np.full`: congestion may be traced
        PairwiseReward(OwnStateInteraction(base, -congestion * np.ones((num_states, 1)))),
        (starts / starts.sum()).ravel(),
        horizon,
        available=table >= 0,
        state_labels=[f"{r},{c}" for r in range(num_rows) for c in range(num_columns)],
        action_labels=list(MOVES),
    )


def _blocked(rows: int, columns: int, obstacles: Any, seed: int) -> np.ndarray:
    """Return which cells are obstacles, from a share or from booleans."""
    seed = _checks.integer_at_least("seed", seed, 0)
    if isinstance(obstacles, list | tuple) or getattr(obstacles, "ndim", 0):
        return _booleans(rows, columns, obstacles)
    share = _checks.number_in("obstacles", obstacles, 0, 0.25, "[0, 0.25]")
    # in odd rows and columns; with both numbers even, the last of these places is the goal
    places = np.arange(1, rows, 2)[:, None] * columns + np.arange(1, columns, 2)
    places = places[places < rows * columns - 1]
    count = min(round(share * rows * columns), places.size)
    blocked = np.zeros(rows * columns, dtype=bool)
    blocked[np.random.default_rng(seed).choice(places, size=count, replace=False)] = True
    return blocked.reshape(rows, columns)


def _booleans(rows: int, columns: int, obstacles: Any) -> np.ndarray:
    try:
        blocked = np.asarray(obstacles)
    except (ValueError, TypeError):  # rows of different lengths, or traced
        blocked = np.empty(0)
    if blocked.dtype != bool:
        got = _checks.shorten(obstacles)
        raise ValueError(f"`obstacles` must be a share of the cells, or booleans [rows, columns]; got {got}.")
    _checks.shape_is("obstacles", blocked, [(rows, columns)], "rows, columns")
    if blocked[-1, -1]:
        raise ValueError(f"`obstacles[{rows - 1}, {columns - 1}]` is True, but that is the goal: it must be free.")
    return blocked


def _check_reachable(blocked: np.ndarray, starts: np.ndarray) -> None:
    if not starts.any():
        raise ValueError(
            "`obstacles` cover all cells of the start, the north-west ninth of the grid; one must be free."
        )
    from scipy.ndimage import label  # only builders of grids need it

    components: Any = label(~blocked)  # numbers of the connected parts, and how many there are
    cut_off = starts & (components[0] != components[0][-1, -1])
    if cut_off.any():
        r, c = np.argwhere(cut_off)[0]
        raise ValueError(f"`obstacles` cut the goal off from cell ({r}, {c}), where some of the crowd starts.")
