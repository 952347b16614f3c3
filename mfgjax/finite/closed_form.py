"""Expected rewards in a finite population where mean and variance suffice: Θ a polynomial of degree 2 at most."""

from typing import Any

import jax
import jax.numpy as jnp

from .._typing import Array, Scalar
from ..model import DenseInteraction, FiniteHorizonGame, OwnStateInteraction, PairwiseReward, Power, Staged
from ..model import SuccessorInteraction as Successors
from .interaction import all_places, one_place


def fits(game: FiniteHorizonGame) -> bool:
    """Tell whether Θ is a polynomial of degree 2 at most, of an interaction with a known table."""
    reward: Any = game.reward
    return (
        type(reward) is PairwiseReward  # what a class of the user's computes is not known by its parents
        and type(reward.L) in (OwnStateInteraction, Successors, DenseInteraction)
        and _is_quadratic(reward.theta)
    )


def _is_quadratic(theta: Any) -> bool:
    if type(theta) is Staged:
        return _is_quadratic(theta.running) and _is_quadratic(theta.terminal)
    return theta is None or (type(theta) is Power and theta.exponent <= 2)


def _coefficients(theta: Any, t: Scalar) -> tuple[Array, Array]:
    """Return b, c of Θ_t(x) = b x + c x²."""
    if isinstance(theta, Staged):
        stages = (_coefficients(theta.running, t), _coefficients(theta.terminal, t))
        first, second = (jnp.where(t < theta.horizon, *pair) for pair in zip(*stages, strict=True))
        return first, second
    scale = jnp.ones(()) if theta is None else theta.scale
    linear = theta is None or theta.exponent == 1
    return (scale, jnp.zeros(())) if linear else (jnp.zeros(()), scale)


def shift(game: FiniteHorizonGame, mu: Array, seen: Array, num_agents: Array) -> Array:
    """Return R^N − R, `[T, S, A or 1]`, for one N, without cancellation.

    With M = E L(X) and V = Var L(X) over another agent's place X, the sum has mean M + d, d = (L(itself) − M)/N, and
    variance (N−1)V/N²; E Θ(sum) − Θ(M) = b d + c (d (2M + d) + (N−1)V/N²).
    """
    reward: Any = game.reward
    L = reward.L

    def at(t, law, seen):
        if isinstance(L, DenseInteraction):
            table, itself, p = all_places(L, t, seen)
            # sums of products at full precision, also on accelerators
            mean = (table * p).sum(axis=-1)
            variance = ((table - mean[..., None]) ** 2 * p).sum(axis=-1)
        else:
            base, weight, p, there = one_place(L, t, law)
            mean, variance, itself = base + weight * p, weight**2 * p * (1 - p), base + weight * there
        linear, quadratic = _coefficients(reward.theta, t)
        d = (itself - mean) / num_agents
        return linear * d + quadratic * (d * (2 * mean + d) + (num_agents - 1) * variance / num_agents**2)

    times = jnp.arange(game.horizon + 1, dtype=jnp.int32)
    return jax.lax.map(lambda x: at(*x), (times, mu, seen))
