"""Two-state games small enough to be solved by hand."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._modes import in_own_modes
from .._typing import Array, Scalar
from ..kernels import MovesKernel
from ..model import FiniteHorizonGame, OwnStateInteraction, PairwiseReward


class Together(eqx.Module):
    """L_1(s,a,s') = strength · 1{s' = s} + field · 1{s = 1} at time 1, and 0 at time 0."""

    field: Scalar
    strength: Scalar

    def __call__(self, t: Scalar | int, mean_field: Array) -> Array:
        pay = self.strength * mean_field + self.field * jnp.arange(2)
        return jnp.where(t == 1, pay, 0)[:, None]  # t is traced, so no `if`


@in_own_modes
def coordination(field: float | Array = 0.0, strength: float | Array = 1.0) -> FiniteHorizonGame:
    """Build the coordination game: two states, and everybody wants to be where most others are.

    States 0 and 1; the action at time 0 is the place at time 1, the horizon is 1, and only time 1 pays:
    strength · μ(s) + field · 1{s = 1}. With a uniform reference its regularised equilibria are the
    solutions of x = 1/(1 + exp(−β (strength (2x − 1) + field))), x the law of state 1 at time 1. For
    β · strength > 2 and a small field there are three of them; as the field varies they form an S.

    Args:
      field: how much more state 1 pays than state 0; `game.reward.L.field`.
      strength: what a state pays per share of the population there; `game.reward.L.strength`.

    Raises:
      ValueError: if a number is not finite.

    Example:
      >>> import mfgjax as mfg
      >>> eq = mfg.solve(mfg.games.coordination(), mfg.EntropyRegularized(beta=1.0))
      >>> f"{eq.mean_field[1, 1]:.2f}"  # the share in state 1
      '0.50'

    Source: the mean-field Ising model with logit choice: Brock and Durlauf (2001), Review of Economic
    Studies 68.
    """
    anything = (-float("inf"), float("inf"), "(-inf, inf)")
    pay = Together(_checks.scalar_in("field", field, *anything), _checks.scalar_in("strength", strength, *anything))
    return FiniteHorizonGame(
        MovesKernel([[0, 1], [0, 1]]), PairwiseReward(pay), [0.5, 0.5], 1, action_labels=["to 0", "to 1"]
    )


@in_own_modes
def left_right() -> FiniteHorizonGame:
    """Build the left-right game: agents go left or right from the centre, and are paid less where more agents are.

    States centre, left, right; the action at time 0 chooses the side, and only time 1 pays: −μ(left) on the
    left, −2 μ(right) on the right. Without regularisation 2/3 go left, where both sides pay −2/3.

    Example:
      >>> import mfgjax as mfg
      >>> eq = mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0))
      >>> f"{eq.mean_field[1, 1]:.2f}"  # the share on the left
      '0.57'

    Source: Cui and Koeppl (2021), arXiv:2102.01585, section 5.
    """
    weight = np.zeros((2, 3, 2))
    weight[1, 1], weight[1, 2] = -1, -2  # at time 0 everybody is in the centre, and nothing is paid
    return FiniteHorizonGame(
        MovesKernel([[1, 2], [1, 2], [1, 2]]),  # nobody moves from the sides, but every state needs a row
        PairwiseReward(OwnStateInteraction(np.zeros((3, 2)), weight)),
        [1.0, 0.0, 0.0],
        1,
        state_labels=["centre", "left", "right"],
        action_labels=["left", "right"],
    )
