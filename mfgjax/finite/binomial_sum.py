"""Expected rewards in a finite population where one number of agents matters: that at one's own state, or successor."""

from typing import Any

import jax
import jax.numpy as jnp

from .._typing import Array
from ..model import FiniteHorizonGame, OwnStateInteraction, PairwiseReward, SuccessorInteraction
from . import binomial
from .interaction import one_place, treats_entries_alone
from .poles import theta_with_poles
from .rounding import Terms, beside_limit, jump, may_jump, share


def fits(game: FiniteHorizonGame) -> bool:
    """Tell whether only one number of agents matters to a reward; Θ may be anything that acts on each entry alone."""
    reward: Any = game.reward
    is_of_kind = type(reward) is PairwiseReward and type(reward.L) in (OwnStateInteraction, SuccessorInteraction)
    return is_of_kind and treats_entries_alone(game)


def shift(game: FiniteHorizonGame, mu: Array, seen: Array, num_agents: Array) -> tuple[Array, Array | None]:
    """Return R^N − R, `[T, S, A or 1]`, for one N, and by how much rounding may change it.

    It is a sum over the binomial law of the others at the place.
    """
    reward: Any = game.reward
    theta = reward.theta or (lambda t, x: x)
    jumps, theta_or_pole = may_jump(game), theta_with_poles(game)

    def at(t, law, seen):
        base, weight, p, itself = one_place(reward.L, t, law)
        limit = theta_or_pole(t, base + weight * p, jnp.abs(base) + jnp.abs(weight) * p)

        def difference(count):
            # before the sum, not after: the difference is of order 1/N
            crowd = share(itself + count, num_agents)
            x = base + weight * crowd
            moved = theta_or_pole(t, x, jnp.abs(base) + jnp.abs(weight) * crowd) - limit
            if not jumps:
                return moved, None
            return moved, jump(lambda x: theta(t, x), x, Terms.of_place(base, weight, crowd))

        total, width = binomial.expectation(difference, num_agents - 1, p)
        return (total + beside_limit(limit, game.reward_at(t, seen)) if jumps else total), width

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    return jax.lax.map(lambda x: at(*x), (times, mu, seen))
