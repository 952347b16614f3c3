"""Games and reports that several tests of `certify` share."""

import jax.numpy as jnp
import numpy as np

import mfgjax as mfg
from mfgjax.certify.premises import premises_of
from mfgjax.model import trace_game

GAME = mfg.games.resource_allocation()
RHO = mfg.games.resource_allocation_reference(GAME)
CONTRACTIONS = ("paper_meant", "naive_chain", "span_sum", "path_span")


def soft(beta, reference=None):
    return mfg.EntropyRegularized(beta, reference)


def bounds_of(game, response, **options):
    """A report without a solve: at the flow in which nobody moves, which compiles in half of the time."""
    return mfg.certify(game, response, resting(game), critical=False, **options)


def resting(game):
    return np.broadcast_to(np.asarray(game.initial), (game.horizon + 1, game.num_states))


def known(game, response):
    """What theorems need to know, or why it is unknown: what `certify` reads first, without compiling the rest."""
    return premises_of(trace_game(game), response, None)


def thresholds(report, *names):
    return [float(report[name].threshold) for name in names]


def random_linear_game(rng, S=3, A=2, H=3, discount=1.0):
    table = rng.standard_normal((H + 1, S, A, S))
    kernel = rng.dirichlet(np.full(S, 0.4), size=(H, S, A)) * (rng.random((H, S, A, S)) < 0.7)
    kernel[..., 0] += 1e-3
    kernel /= kernel.sum(axis=-1, keepdims=True)
    mask = rng.random((H + 1, S, A)) < 0.8
    mask[..., 0] = True
    initial = rng.dirichlet(np.ones(S))
    game = mfg.FiniteHorizonGame(kernel, mfg.PairwiseReward(table), initial, H, available=mask, discount=discount)
    return game, table, kernel, mask, initial


def stretch(game, response, first, second):
    gamma = mfg.mean_field_map(game, response)
    return float(mfg.flow_distance(gamma(first), gamma(second)) / mfg.flow_distance(first, second))


def two_flows(shares):
    return [jnp.array([[0.5, 0.5], [1 - share, share]]) for share in shares]
