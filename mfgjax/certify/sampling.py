"""Random pairs of populations, in which violations of bounds are looked for."""

import jax
import jax.numpy as jnp

from .._typing import Array, Float
from ..model import FiniteHorizonGame


def sample_laws(game: FiniteHorizonGame, key: Array, count: int) -> Float[Array, "count 2 T S A"]:
    """Return pairs of joint laws of states and available actions, independent over time.

    Softmax of normals, from nearly flat to nearly at a corner of the simplex; every other pair is close together.
    """
    mask = game.available
    normals = jax.random.normal(key, (count, 2, game.horizon + 1, *mask.shape[1:]), game.dtype)
    sharpness = jnp.exp(jnp.linspace(-1, 3, count, dtype=game.dtype)).reshape(-1, 1, 1, 1, 1)
    logs = jnp.where(mask, sharpness * normals, -jnp.inf)
    laws = jax.nn.softmax(logs.reshape(*logs.shape[:3], -1), axis=-1).reshape(logs.shape)
    share = jnp.where(jnp.arange(count) % 2 == 0, 1, 0.01).astype(game.dtype).reshape(-1, 1, 1, 1)
    first, other = laws[:, 0], laws[:, 1]
    return jnp.stack([first, first + share * (other - first)], axis=1)


def seen_of(game: FiniteHorizonGame, laws: Float[Array, "*x S A"]) -> Array:
    """Return the mean fields of joint laws: the laws of states, or the joint laws themselves."""
    return laws.sum(axis=-1) if game.observes == "states" else laws
