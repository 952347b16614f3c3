"""Random stationary games, twice: as the library's objects, and as NumPy functions for the oracle. All of one size."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from helpers import random_mask, random_policy
from stationary_oracle import PlainStationary

import mfgjax as mfg

S, A = 5, 3


class CrowdedKernel(eqx.Module):
    """P(s'|s,a,z) ∝ base(s,a,s') · exp(pull · z(s'))."""

    base: jax.Array
    pull: jax.Array

    def __call__(self, z):
        law = z if z.ndim == 1 else z.sum(axis=1)
        weights = self.base * jnp.exp(self.pull * law)
        return weights / weights.sum(axis=-1, keepdims=True)


class CrowdedReward(eqx.Module):
    """r(s,a,z) = table(s,a) − weight · z(s)²."""

    table: jax.Array
    weight: jax.Array

    def __call__(self, z):
        law = z if z.ndim == 1 else z.sum(axis=1)
        return self.table - self.weight * law[:, None] ** 2


def random_game(rng, discount=0.8, pull=0.7, weight=0.5):
    """Kernel and reward depend on the crowd; actions are missing in some states."""
    base, table = rng.dirichlet(np.ones(S), size=(S, A)), rng.standard_normal((S, A))
    mask, initial = random_mask(rng, S, A), rng.dirichlet(np.ones(S))
    game = mfg.StationaryGame(
        CrowdedKernel(jnp.asarray(base), jnp.asarray(pull)),
        CrowdedReward(jnp.asarray(table), jnp.asarray(weight)),
        discount,
        initial=initial,
        available=mask,
    )

    def kernel(z):
        moves = np.zeros((S, A, S))
        for s, a in np.ndindex(S, A):
            weights = [base[s, a, n] * np.exp(pull * z[n]) for n in range(S)]
            moves[s, a] = np.array(weights) / sum(weights)
        return moves

    def reward(z):
        return np.array([[table[s, a] - weight * z[s] ** 2 for a in range(A)] for s in range(S)])

    return game, PlainStationary(kernel, reward, initial, mask, discount)


def random_reference(rng, game):
    return random_policy(rng, np.asarray(game.available[0]))
