"""A market for small tasks, whose workers' reputations lift each other."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._modes import in_own_modes
from .._typing import Array, ArrayLike, Scalar
from ..kernels import MixtureKernel, MovesKernel, RestartKernel
from ..kernels.base import align
from ..model import StationaryGame

_NUM_STATES, _NUM_ACTIONS = 25, 5


class Reputations(eqx.Module):
    """The moves of reputation: what effort adds, a loss of all, or replacement by a newcomer."""

    churn: Scalar
    regeneration: Scalar
    lost: MovesKernel
    earned: MovesKernel
    newcomer: RestartKernel
    takes_lanes: ClassVar[bool] = True

    def __call__(self, z: Array) -> MixtureKernel:
        losing, stays = self.churn * (1 - _standing(z)), 1 - self.regeneration
        weights = (stays * losing, stays * (1 - losing), self.regeneration)
        # only the weights depend on z: tables of moves are made once
        return MixtureKernel((self.lost, self.earned, self.newcomer), weights)


class Wages(eqx.Module):
    """r(s,a,z) = (s/24) (w₀ + w₁ m(z)) − d a/4, with m the mean reputation as a share of the highest."""

    base: Scalar
    crowd: Scalar
    effort_cost: Scalar
    takes_lanes: ClassVar[bool] = True

    def __call__(self, z: Array) -> Array:
        like = z[:, None]  # lends its axes alone: lanes may follow
        reputation = align(jnp.arange(_NUM_STATES)[:, None] / (_NUM_STATES - 1), like)
        effort = align(jnp.arange(_NUM_ACTIONS)[None] / (_NUM_ACTIONS - 1), like)
        return reputation * (self.base + self.crowd * _standing(z)) - self.effort_cost * effort


def _standing(z: Array) -> Array:
    return (align(jnp.arange(len(z)), z) * z).sum(axis=0) / (len(z) - 1)


@in_own_modes
def mturk(
    effort_cost: ArrayLike = 0.164,
    *,
    churn: ArrayLike = 0.1,
    regeneration: ArrayLike = 0.1,
    discount: ArrayLike = 0.75,
    wages: ArrayLike = (0.2, 0.7),
) -> StationaryGame:
    """Build the game of a market for small tasks: each worker is paid better the better all work.

    States: reputation s = 0..24. Actions: effort a = 0..4. With m = mean(z)/24, the standing of the market, an agent is
    replaced by one of uniform reputation with probability ζ; else it loses all with probability χ (1 − m), and else
    moves to min(s + a, 24). It earns r(s,a,z) = (s/24)(w₀ + w₁ m) − d a/4.

    It has strategic complementarities in the reputation after the decision, as `infection_spread` has. With the
    defaults and `Trembling(0.1)` its least and greatest equilibrium have mean reputation 8.890705 and 20.109247.

    Args:
      effort_cost: d ≥ 0, the cost of full effort; `game.reward.effort_cost`.
      churn: χ in [0, 1], the probability of losing all reputation in a market without standing; `game.kernel.churn`.
      regeneration: ζ in (0, 1), the probability of replacement; `game.kernel.regeneration`.
      discount: γ in (0, 1).
      wages: w₀, w₁ ≥ 0; `game.reward.base` and `game.reward.crowd`.

    Raises:
      ValueError: naming the parameter that is out of range.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.mturk(effort_cost=0.2)
      >>> game.num_states, game.num_actions, f"{game.discount:g}"
      (25, 5, '0.75')

    Source: a model of our own for the example that Lee et al. (2021), arXiv:2006.11683, describe in section 2.
    """
    pay = _checks.as_numbers("wages", wages)
    _checks.shape_is("wages", pay, [(2,)], "w₀, w₁")
    if not _checks.is_traced(pay):
        _checks.all_true("wages", pay, np.asarray(pay) >= 0, "it must not be negative")
    reached = np.arange(_NUM_STATES)[:, None] + np.arange(_NUM_ACTIONS)
    kernel = Reputations(
        _checks.scalar_in("churn", churn, 0, 1, "[0, 1]"),
        _checks.scalar_in("regeneration", regeneration, 0, 1, "(0, 1)"),
        MovesKernel(np.zeros_like(reached)),
        MovesKernel(np.minimum(reached, _NUM_STATES - 1)),
        RestartKernel(np.full(_NUM_STATES, 1 / _NUM_STATES), _NUM_ACTIONS),
    )
    cost = _checks.scalar_in("effort_cost", effort_cost, 0, float("inf"), "[0, inf)")
    # functions do not tell how many states and actions there are
    available = np.ones((_NUM_STATES, _NUM_ACTIONS), dtype=bool)
    # wages as fields of their own, so that each can be swept by its name
    return StationaryGame(kernel, Wages(pay[0], pay[1], cost), discount, available=available)
