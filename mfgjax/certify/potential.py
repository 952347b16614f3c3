"""Rewards that are a gradient: potentials."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from .._typing import Array
from ..model import FiniteHorizonGame
from .certificate import Certificate, Theorem
from .paths import availability, counted
from .premises import Premises
from .rounding import explained, rounded_otherwise
from .sampling import sample_laws, seen_of
from .uniqueness import rounding_of_matrices, without_constants

_POTENTIAL = Theorem(
    "potential",
    "Rewards are the gradient of a function of the population (a potential), whose regularised critical points are the "
    "equilibria.",
    "largest asymmetry of the derivative of rewards on vectors that sum to 0",
    "a derivative that is symmetric everywhere on a convex set is that of a gradient",
    "Poincaré's lemma",
    "for the statement on equilibria: the kernel does not depend on the mean field, and the discount is 1",
)


def potential(premises: Premises, key: Array) -> Certificate:
    """Certify that R_t(·,μ) = ∇F_t(μ) on laws: that its derivative D is symmetric on vectors that sum to 0.

    It is refuted if D is not, by more than rounding, at some of the mean fields that are tried, drawn with `key`.
    """
    game, payoffs = premises.smooth, premises.payoffs
    size, times = game.num_states * game.num_actions, jnp.arange(game.horizon + 1, dtype=jnp.int32)
    rounding = rounding_of_matrices(game)
    if payoffs is not None and payoffs.separable is not None:
        alike = (payoffs.separable.alike | (times == 0)).all()  # at time 0 the law is μ_0 anyway
        how = (
            "by the form of the rewards: each depends on the share of agents in its own state alone, so it has an "
            "antiderivative if all actions there earn the same"
        )
        return _POTENTIAL.certificate(jnp.where(alike, 0, jnp.asarray(jnp.nan, game.dtype)), how, holds=alike)
    if premises.no_derivative or size * size * (game.horizon + 1) > 2**24:
        return _POTENTIAL.unknown(premises.no_derivative or "the game is too large", premises.beta)
    affine = payoffs is not None and payoffs.affine
    if affine:
        mask = availability(game)
        laws = (mask / mask.sum(axis=(1, 2), keepdims=True)).astype(game.dtype)[None]
        how = "by the derivative, which is the same at all mean fields"
    else:
        laws = sample_laws(game, key, 8)[:, 0]
        how = f"by the derivative at 8 random mean fields; {premises.how}"
    weights = availability(game).reshape(len(times), size).astype(game.dtype)

    def asymmetry(t: Array, seen: Array, weight: Array) -> tuple[Array, Array, Array, Array]:
        def derivative(reward: Callable[[Array], Array]) -> Array:
            slopes = jax.jacfwd(reward)(seen)
            if game.observes == "states":
                slopes = jnp.broadcast_to(slopes[:, :, :, None], (*slopes.shape, game.num_actions))
            both_available = (weight[:, None] > 0) & (weight > 0)
            return jnp.where(both_available, slopes.reshape(size, size), 0)

        def reward(m: Array) -> Array:
            return game.reward_at(t, m)

        slopes = derivative(reward)
        project = jnp.diag(weight) - weight[:, None] * weight[None, :] / weight.sum()
        projected = project @ without_constants(slopes, weight > 0) @ project
        missed = _missed(game, t, seen) if affine else jnp.zeros(())
        # what the entries may be off, on the scale of what they were computed from before it cancelled
        off = explained(slopes, derivative(rounded_otherwise(reward))).max() + rounding * jnp.abs(slopes).max()
        return jnp.abs(projected - projected.T).max(), jnp.abs(projected).max(), off, missed

    checks_by_law = jax.lax.map(lambda seen: jax.vmap(asymmetry)(times, seen, weights), seen_of(game, laws))
    worst, largest, off, missed = (jax.vmap(lambda row: counted(game, row))(check) for check in checks_by_law)
    is_derivative = (missed <= 0).all()
    if affine and premises.constants is not None:  # NaN where rounding leaves little of a reward
        is_derivative = is_derivative & ~jnp.isnan(counted(game, premises.constants)).any()
    # on the scale of each time; 8 points can only refute, and what is between the two bounds may be rounding
    holds = affine & (worst <= rounding * largest).all() & is_derivative
    fails = (worst > off).any() & is_derivative
    return _POTENTIAL.certificate(worst.max(), how, holds=holds, fails=fails)


def _missed(game: FiniteHorizonGame, t: Array, seen: Array) -> Array:
    """Return how far the derivative is from the differences of an affine reward between point masses.

    A derivative of the user's own, or one that is stopped, says nothing of the rewards.
    """
    points = jnp.eye(seen.size, dtype=game.dtype).reshape(-1, *seen.shape)
    slopes = jax.vmap(lambda m: jax.jvp(lambda x: game.reward_at(t, x), (seen,), (m,))[1])(points)
    values = jax.vmap(lambda m: game.reward_at(t, m))(points)
    missed = values - values[0] - (slopes - slopes[0])
    scale = rounding_of_matrices(game) * (jnp.abs(values).max(axis=0) + jnp.abs(slopes).max(axis=0))
    available = game.available_at(t)
    is_available = available[None] & (available.reshape(-1, 1, 1) if game.observes != "states" else True)
    return jnp.where(is_available, jnp.abs(missed) - scale, -jnp.inf).max()
