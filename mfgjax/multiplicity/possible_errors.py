"""Estimates, from the residual, of how far a mean field is from the equilibrium near it."""

import jax
import jax.numpy as jnp
import numpy as np

from .._compiled import compiled
from .._gradients import stop_gradients
from .._typing import Array
from ..engine.elimination import linear_solver
from ..model import AbstractGame, flow_distance, mean_field_map
from ..responses import AbstractResponse
from ..solvers.base import Problem

MOST = 1e-2
"""What is assumed of a mean field where 1 is an eigenvalue of DΓ, so that the residual says nothing."""


@compiled
def possible_errors(game: AbstractGame, response: AbstractResponse, mean_fields: Array) -> Array:
    """Return 4 |(I − D_μ Γ)⁻¹ (Γ(μ) − μ)| of many mean fields with times, rounding included, at most 0.01.

    In total variation. The first-order estimate is half of the truth at a double root of μ = Γ(μ), a third at a triple
    one, hence the factor. It is an estimate, no bound. For trembling hands each choice is held.
    """

    def error_of(mean_field: Array) -> Array:
        # traced once: each product with DΓ is then a linear program alone
        image, jvp = jax.linearize(mean_field_map(game, response), mean_field)
        noise = Problem(game, response, np.zeros(())).floor(mean_field) + 8 * jnp.finfo(game.dtype).eps
        axes = tuple(range(1, mean_field.ndim))
        # a change of sum 0 in no special direction stands for that of rounding
        spread = jnp.cos(3.0 * jnp.arange(mean_field.size, dtype=mean_field.dtype)).reshape(mean_field.shape)
        spread = spread - spread.mean(axis=axes, keepdims=True)
        spread = noise * spread / jnp.maximum(jnp.abs(spread).sum(axis=axes, keepdims=True), noise)
        direct = linear_solver(*stop_gradients((game, response, mean_field)))

        def moved(gap: Array) -> Array:
            change, solved = direct(lambda v: v - jvp(v), gap, False)
            return jnp.where(solved, flow_distance(mean_field + change, mean_field), MOST)

        return jnp.minimum(4 * (moved(image - mean_field) + moved(spread)), MOST)

    return jax.lax.map(error_of, mean_fields)
