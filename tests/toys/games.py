"""Two bars."""

from ..model import FiniteHorizonGame, OwnStateInteraction, PairwiseReward


def two_bars(horizon: int = 2) -> FiniteHorizonGame:
    """Build the game of two bars of which everybody wants the emptier one, and can walk to either.

    Args:
      horizon: H ≥ 1.

    Source: after Arthur (1994), American Economic Review 84(2).
    """
    moves = [[[1.0, 0.0], [0.0, 1.0]]] * 2
    crowd = OwnStateInteraction([[0.0], [0.0]], [[-1.0], [-1.0]])
    return FiniteHorizonGame(moves, PairwiseReward(crowd), [1.0, 0.0], horizon)
