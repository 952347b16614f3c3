"""The spread of an infection against which agents protect themselves."""

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
_RESET = _NUM_STATES + _NUM_ACTIONS - 2
"""Damage from which an infection leaves nothing of any health that can be reached in a step."""


class InfectionMoves(eqx.Module):
    """The moves of health: infection with probability i_z, none, or replacement by a newcomer.

        i_z = c_f p(Σ_s s z(s)),   p(y) = 1 − y/S

    A newcomer comes with probability ζ; infection and its absence share the rest.
    """

    c_f: Scalar
    regeneration: Scalar
    infected: MovesKernel
    spared: MovesKernel
    newcomer: RestartKernel
    takes_lanes: ClassVar[bool] = True

    def __call__(self, z: Array) -> MixtureKernel:
        intensity = self.c_f * _susceptibility(_mean(z), len(z))
        stays = 1 - self.regeneration
        weights = (stays * intensity, stays * (1 - intensity), self.regeneration)
        # only the weights depend on z: tables of moves are made once
        return MixtureKernel((self.infected, self.spared, self.newcomer), weights)


class InfectionReward(eqx.Module):
    """r(s,a,z) = δ₁ (1 − p(s)) + δ₂ Σ_s' z(s') (1 − p(s')) − δ₃ a."""

    delta1: Scalar
    delta2: Scalar
    delta3: Scalar
    takes_lanes: ClassVar[bool] = True

    def __call__(self, z: Array) -> Array:
        immunity = 1 - _susceptibility(jnp.arange(len(z)), len(z))
        # `z[:, None]` lends its axes alone: lanes may follow
        own_immunity, effort = align(immunity[:, None], z[:, None]), align(jnp.arange(_NUM_ACTIONS)[None], z[:, None])
        crowd = (align(immunity, z) * z).sum(axis=0)
        return self.delta1 * own_immunity + self.delta2 * crowd - self.delta3 * effort


def _susceptibility(health: Array, num_states: int) -> Array:
    return 1 - health / num_states


def _mean(z: Array) -> Array:
    return (align(jnp.arange(len(z)), z) * z).sum(axis=0)


@in_own_modes
def infection_spread(
    c_f: ArrayLike = 0.1,
    *,
    regeneration: ArrayLike = 0.1,
    discount: ArrayLike = 0.5,
    delta: ArrayLike = (0.7, 0.2, 0.009),
    damage: int | None = None,
    as_printed: bool = False,
) -> StationaryGame:
    """Build the game of Infection Spread: agents pay for their health, and each is safer the healthier the others are.

    States: health s = 0..24. Actions: effort a = 0..4, which lifts health to y = s + a. Then with probability ζ the
    agent is replaced by one of uniform health; else with probability i_z = c_f (1 − mean(z)/25) an infection takes w
    of the health, leaving max(y − w, 0), and else it stays y; at most 24. An agent earns, with p(s) = 1 − s/25,

        r(s,a,z) = δ₁ (1 − p(s)) + δ₂ Σ_s' z(s') (1 − p(s')) − δ₃ a.

    As printed in the paper, with effort as the action, the game does not have strategic complementarities in the sense
    of the paper's definition: the tails of s + a are not supermodular, and if an infection leaves part of the health,
    the best response may fall as the population gets healthier. Here, by default, an infection resets health to 0 (w =
    28 takes all the health that can be reached). Then the next population rises with the population. Proof: take the
    health y after the decision, s ≤ y ≤ s + 4, as the action. Rewards are δ₁(1 − p(s)) + δ₃ s + δ₂(...) − δ₃ y:
    separable, hence supermodular in (s, y), and additive in z. The next state depends on (s, y) through y alone. Its
    tails P(s' ≥ k) = (1−ζ)(1−i_z) 1{y ≥ k} + const for k ≥ 1 rise in y and in z, with increasing differences in (y, z).
    The constraint sets rise with s. So the values and the best y rise in s and z, and so does the next population, z ↦
    Φ(z, BR(z)).

    With the defaults and `Trembling(0.2)` the equilibrium is unique for c_f = .05, .1 and .3, with mean health
    20.359148, 19.569801 and 13.778329.

    Args:
      c_f: infection intensity c_f in [0, 1]; `game.kernel.c_f`.
      regeneration: ζ in (0, 1), the probability of replacement; `game.kernel.regeneration`.
      discount: γ in (0, 1).
      delta: δ₁, δ₂, δ₃ ≥ 0; `game.reward.delta1` and so on.
      damage: w ≥ 0, the health that an infection takes; None: 28, or 4 with `as_printed`.
      as_printed: allow an infection that leaves part of the health (w < 28).

    Raises:
      ValueError: naming the parameter that is out of range.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.infection_spread(c_f=0.3)
      >>> game.num_states, game.num_actions, f"{game.discount:g}"
      (25, 5, '0.5')

    Source: Lee et al. (2021), arXiv:2006.11683, section 2 ("Infection Spread") and section 6; numbers that the paper
    leaves to its supplement are chosen such that its qualitative results show.
    """
    as_printed = _checks.boolean("as_printed", as_printed)
    w = (4 if as_printed else _RESET) if damage is None else _checks.integer_at_least("damage", damage, 0)
    if w < _RESET and not as_printed:
        raise ValueError(
            f"`damage` is {w}, which leaves part of the health: complementarities then fail. Use `as_printed=True` for "
            f"that, or at least {_RESET}."
        )
    deltas = _checks.as_numbers("delta", delta)
    _checks.shape_is("delta", deltas, [(3,)], "δ₁, δ₂, δ₃")
    if not _checks.is_traced(deltas):
        _checks.all_true("delta", deltas, np.asarray(deltas) >= 0, "it must not be negative")
    reached = np.arange(_NUM_STATES)[:, None] + np.arange(_NUM_ACTIONS)
    top = _NUM_STATES - 1
    kernel = InfectionMoves(
        _checks.scalar_in("c_f", c_f, 0, 1, "[0, 1]"),
        _checks.scalar_in("regeneration", regeneration, 0, 1, "(0, 1)"),
        MovesKernel(np.clip(reached - w, 0, top)),  # cut at the top after the loss: effort beyond the top still helps
        MovesKernel(np.minimum(reached, top)),
        RestartKernel(np.full(_NUM_STATES, 1 / _NUM_STATES), _NUM_ACTIONS),
    )
    # functions do not tell how many states and actions there are
    available = np.ones((_NUM_STATES, _NUM_ACTIONS), dtype=bool)
    # δ as three fields, so that each can be swept by its name
    return StationaryGame(kernel, InfectionReward(*deltas), discount, available=available)


@in_own_modes
def infection_tipping(c_f: ArrayLike = 0.2) -> StationaryGame:
    """Build Infection Spread with two equilibria: a population that protects itself, and one that has given up.

    It is `infection_spread` with more patient agents and a higher cost of effort: γ = .9, δ = (.5, .3, .05). With
    `Trembling(0.1)` and c_f = .2 its least and greatest equilibrium have mean health 5.798445 and 17.231141.

    Args:
      c_f: infection intensity c_f in [0, 1]; `game.kernel.c_f`.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.infection_tipping()
      >>> game.num_states, game.num_actions, f"{game.discount:g}"
      (25, 5, '0.9')

    Source: the game of Lee et al. (2021), arXiv:2006.11683, section 2, with other numbers.
    """
    return infection_spread(c_f, discount=0.9, delta=(0.5, 0.3, 0.05))
