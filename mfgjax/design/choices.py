"""Equilibria of trembling hands as functions of the parameters, every choice of an action held."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._gradients import stop_gradients
from .._typing import Array, Scalar
from ..engine.elimination import linear_solver
from ..engine.implicit import fixed_point
from ..equilibrium import Equilibrium
from ..model import StationaryGame, exploitability, mean_field_map, respond
from ..operators import action_gap
from ..responses.trembling import AbstractTrembling

_ROUNDING = 16
"""Spacings of numbers, at the size of the values, by which a reward plus an expectation may be off."""


def with_choices_held(game: StationaryGame, response: AbstractTrembling, found: Equilibrium) -> Equilibrium:
    """Return a pure equilibrium as a differentiable function of game and response.

        dz* = (I − D_z Φ(z*, π))⁻¹ ∂_θ Φ(z*, π)   on vectors of sum zero,   ∂_ε π = −1 or 1/(A(s) − 1)

    where each state keeps its chosen action: π depends on ε alone, V and Q also on z and on the game. This is the
    derivative wherever the choices do not change nearby, hence where no action gap is 0.

    Args:
      game: the game, to be differentiated.
      response: likewise.
      found: their equilibrium, with a constant `mean_field`.

    Source: the implicit function theorem; the equilibrium is that of Lee et al. (2021), arXiv:2006.11683, section 2.
    """
    # `argmax` passes no derivative on, so that of Γ is the one with choices held
    seen = fixed_point((game, response), found.mean_field[None], found.converged)[0]
    best = respond(game, seen, response)
    parts = (seen, best.policy, best.log_policy, best.values, best.q)
    if not response.maximises:
        # not least at its equilibria, so that it moves, too
        gain = exploitability(game, best.policy, mean_field=seen)
        return eqx.tree_at(lambda e: (*_parts(e), e.exploitability), found, (*parts, gain))
    return eqx.tree_at(_parts, found, parts)


def smallest_gap(game: StationaryGame, response: AbstractTrembling, found: Equilibrium) -> tuple[Scalar, Scalar]:
    """Return the smallest action gap of an equilibrium, and by how much it may be off, in units of reward.

        gap = min_s (max_a Q(s,a) − next best Q(s,·)),   off ≤ 2 (|D_z Q (I − D_z Γ)⁻¹ (Γ(z) − z)| + 16 u |Q|/(1 − γ))

    with maximum norms and u the spacing of numbers at 1: what is left of the residual, to first order, and rounding.
    """
    z, gamma = found.mean_field[None], mean_field_map(game, response)  # with the axis of one time
    available = game.available[0]

    def action_values(z: Array) -> Array:
        return jnp.where(available, respond(game, z[0], response).q, 0)

    image, jvp = jax.linearize(gamma, z)
    left, _ = linear_solver(*stop_gradients((game, response, z)))(lambda v: v - jvp(v), image - z, False)
    q, shift = jax.jvp(action_values, (z,), (left,))
    rounding = _ROUNDING * jnp.finfo(q.dtype).eps * jnp.abs(q).max() / (1 - game.discount)
    return action_gap(q, available), 2 * (jnp.abs(shift).max() + rounding)


def _parts(found: Equilibrium) -> tuple[Array, ...]:
    return found.mean_field, found.policy, found.log_policy, found.values, found.q
