"""What several tests of many games at once share: two places that people avoid, in closed form, and the example."""

import functools

import equinox as eqx
import numpy as np

import mfgjax as mfg

LANES = 5
ATOL = 1e-10  # the default tolerance; at most four times that between two solutions of a monotone game


def logistic(u):
    return 1 / (1 + np.exp(-u))


def share(p, lane):
    """x = Σ_s m_s σ(β (c (2x − M) + h) + log ρ(1|s)/ρ(0|s)), and its gradient in all that it depends on.

    x is the law of place 1 at time 1, m the initial law with sum M, c ≤ 0 the strength, h the field. F, the
    right-hand side, falls in x, so there is one solution; its derivatives are those of F over 1 − F_x.
    """
    beta, m = p["beta"][lane], p["initial"][:, lane]
    odds = np.log(p["reference"][:, 1] / p["reference"][:, 0])

    def policy(x):
        return logistic(beta * (p["strength"] * (2 * x - m.sum()) + p["field"]) + odds)

    low, high = 0.0, m.sum()
    for _ in range(200):
        x = (low + high) / 2
        low, high = (x, high) if x < m @ policy(x) else (low, x)
    pi = policy(x)
    slopes = m * pi * (1 - pi)
    slope, pay = slopes.sum(), p["strength"] * (2 * x - m.sum()) + p["field"]
    gradient = {
        "beta": slope * pay,
        "field": slope * beta,
        "strength": slope * beta * (2 * x - m.sum()),
        "initial": pi - slope * beta * p["strength"],
        "reference": slopes[:, None] * np.array([-1, 1]) / p["reference"],
    }
    return x, {name: part / (1 - 2 * beta * p["strength"] * slope) for name, part in gradient.items()}


def parameters():
    """Undamped iteration converges for β up to some 2, and cycles in lane 1, at 7."""
    rng = np.random.default_rng(1)
    return {
        "beta": np.array([0.5, 7.0, 1.0, 0.1, 1.5]),
        "initial": rng.dirichlet([2, 2], size=LANES).T,
        "field": 0.2,
        "strength": -1.0,
        "reference": np.array([[0.6, 0.4], [0.3, 0.7]]),
    }


GENTLE = parameters() | {"beta": np.array([0.5, 0.7, 1.0, 0.1, 1.5])}


def places(p):
    game = mfg.games.coordination()
    game = eqx.tree_at(lambda g: (g.reward.L.field, g.reward.L.strength), game, (p["field"], p["strength"]))
    return game, mfg.EntropyRegularized(1.0, p["reference"])


GOOD = np.array([0, 2, 3, 4])


@functools.cache
def example():
    game = mfg.games.resource_allocation()
    return game, mfg.games.resource_allocation_reference(game)
