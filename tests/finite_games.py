"""Random games with every kind of reward, for the library and as loops, and equilibria of the example."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from helpers import Squash, random_mask, random_policy, repeat
from oracle import PlainGame

import mfgjax as mfg
from mfgjax.model import DenseInteraction

S, A, H = 3, 2, 3
T = H + 1
BETA = 2.0


class Kink(eqx.Module):
    """Θ(x) = |x − corner|."""

    corner: jax.Array

    def __call__(self, t, x):
        return jnp.abs(x - self.corner)


class SquaredCrowd(eqx.Module):
    """R_t(s,a,μ) = table(s,a) − μ(s)³ + μ(0) μ(s): no pairs."""

    table: jax.Array

    def __call__(self, t, mean_field):
        return self.table - (mean_field**3)[:, None] + (mean_field[0] * mean_field)[:, None]


# --- random games with every kind of reward, for the library and as loops ------------------------------------


def own_table(base, weight):
    return np.array([[[base[s, a] + weight[s, a] * (n == s) for n in range(S)] for a in range(A)] for s in range(S)])


def next_table(base, weight, there):
    return np.array(
        [[[base[s, a] + weight[s, a] * (n == there[s, a]) for n in range(S)] for a in range(A)] for s in range(S)]
    )


def paired(table, theta):
    """R = Θ(Σ L μ) by sums over the table [S, A, *seen]."""
    return lambda t, seen: np.array([[theta(np.sum(table[s, a] * seen)) for a in range(A)] for s in range(S)])


def build(kind, rng):
    base, weight = rng.standard_normal((S, A)), rng.standard_normal((S, A))
    there, whole = rng.integers(0, S, size=(S, A)), rng.integers(-2, 3, size=(S, A, S))
    dense, joint = rng.standard_normal((S, A, S)), rng.standard_normal((S, A, S, A))
    squash, square, kink = Squash(jnp.asarray(1.3)), mfg.rewards.Power(scale=0.7, exponent=2), Kink(jnp.asarray(0.2))
    tanh, power, corner = lambda x: np.tanh(1.3 * x), lambda x: 0.7 * x**2, lambda x: abs(x - 0.2)
    own, successor = (
        mfg.rewards.OwnStateInteraction(base, weight),
        mfg.rewards.SuccessorInteraction(base, weight, there),
    )
    whole_joint = rng.integers(0, 3, size=(S, A, S, A))
    kinds = {
        "own square": (mfg.PairwiseReward(own, square), paired(own_table(base, weight), power)),
        "own kinked": (mfg.PairwiseReward(own, kink), paired(own_table(base, weight), corner)),
        "own linear": (mfg.PairwiseReward(own), paired(own_table(base, weight), lambda x: x)),
        "successor tanh": (mfg.PairwiseReward(successor, squash), paired(next_table(base, weight, there), tanh)),
        "successor square": (mfg.PairwiseReward(successor, square), paired(next_table(base, weight, there), power)),
        "lattice": (mfg.PairwiseReward(0.1 + 0.3 * whole, kink), paired(0.1 + 0.3 * whole, corner)),
        "dense square": (mfg.PairwiseReward(dense, square), paired(dense, power)),
        "dense tanh": (mfg.PairwiseReward(dense, squash), paired(dense, tanh)),
        "no pairs": (
            SquaredCrowd(jnp.asarray(base)),
            lambda t, m: np.array([[base[s, a] - m[s] ** 3 + m[0] * m[s] for a in range(A)] for s in range(S)]),
        ),
        "table": (base, lambda t, m: base),
        "joint square": (mfg.PairwiseReward(DenseInteraction(joint, 2), square), paired(joint, power)),
        "joint lattice": (
            mfg.PairwiseReward(DenseInteraction(0.5 * whole_joint, 2), squash),
            paired(0.5 * whole_joint, tanh),
        ),
        "joint tanh": (mfg.PairwiseReward(DenseInteraction(joint, 2), squash), paired(joint, tanh)),
    }
    reward, plain_reward = kinds[kind]
    joint = kind.startswith("joint")
    P, mu, mask, g = rng.dirichlet(np.ones(S), size=(S, A)), rng.dirichlet(np.ones(S)), random_mask(rng, S, A), 0.9
    game = mfg.FiniteHorizonGame(
        P, reward, mu, H, available=mask, discount=g, observes="state_actions" if joint else "states"
    )
    return game, PlainGame(lambda t, _: P, plain_reward, mu, H, repeat(mask[None], T), g, joint)


@functools.cache
def small(kind, seed=0):
    rng = np.random.default_rng([seed, *kind.encode()])
    game, plain = build(kind, rng)
    rho = random_policy(rng, plain.available)
    return game, plain, random_policy(rng, plain.available, zeros=seed > 0), rho


# --- the example -----------------------------------------------------------------------------------------------


@functools.cache
def equilibrium(preset, beta):
    game = mfg.games.resource_allocation(preset)
    response = mfg.EntropyRegularized(beta, mfg.games.resource_allocation_reference(game))
    return game, response, mfg.solve(game, response, mfg.Newton(atol=1e-14)).policy
