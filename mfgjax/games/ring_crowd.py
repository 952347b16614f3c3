"""A crowd on a ring that avoids itself."""

import numpy as np

from .. import _checks
from .._modes import in_own_modes
from .._typing import Array
from ..kernels import MovesKernel
from ..model import FiniteHorizonGame, OwnStateInteraction, PairwiseReward


@in_own_modes
def ring_crowd(num_states: int = 20, horizon: int = 20, congestion: float | Array = 1.0) -> FiniteHorizonGame:
    """Build the game of a crowd on a ring: one side of the ring pays best, and crowded places pay less.

    States: places 0..n−1 on a circle. Actions: one place back, stay, one place on. At every time a place
    pays cos(2πs/n) − congestion · μ_t(s), and moving costs 0.05; everybody starts near the worst place. The
    reward is decreasing in the crowd at one's own place, so the equilibrium is unique at every β.

    Args:
      num_states: n ≥ 3.
      horizon: H ≥ 1.
      congestion: weight of the crowd in the reward.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.ring_crowd(num_states=8, horizon=10)
      >>> game.num_states, game.num_actions, game.horizon
      (8, 3, 10)

    Source: the ring games of Pérolat et al. (2021), arXiv:2103.00623, with a linear crowd term.
    """
    n = _checks.integer_at_least("num_states", num_states, 3)
    _checks.scalar_in("congestion", congestion, -float("inf"), float("inf"), "(-inf, inf)")
    place = np.arange(n)
    attraction = np.cos(2 * np.pi * place / n)[:, None]
    cost = np.array([0.05, 0.0, 0.05])[None, :]
    start = np.exp(-(((place - n / 2) / (n / 8)) ** 2))  # around n/2, where cos(2πs/n) is least
    return FiniteHorizonGame(
        MovesKernel((place[:, None] + np.array([-1, 0, 1])) % n),  # modulo n: a circle has no ends
        # a product, not `np.full`: congestion may be traced
        PairwiseReward(OwnStateInteraction(attraction - cost, -congestion * np.ones((n, 3)))),
        start / start.sum(),
        horizon,
        action_labels=["back", "stay", "on"],
    )
