"""Sample bounds: the printed displays against plain Python, the useful ones in simulation."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg
from mfgjax.learners import (
    frozen_contraction,
    model_guarantee,
    online_agents,
    tmfq_updates,
    tmfq_updates_contracting,
)

COMMON = {"num_steps": 3, "discount": 0.5, "num_states": 4, "num_actions": 2, "distance": 0.1, "delta": 0.05}


def printed(b, cover, w=0.77, front=1.0):
    v, beta, eps, delta, k0, pairs = 2.0, 0.25, 0.1, 0.05, 3, 8
    inner = math.log(2 * b * k0 * pairs * v / (delta * beta * eps))
    first = (b**2 * cover ** (1 + 3 * w) * v**2 / (beta**2 * eps**2) * inner) ** (1 / w)
    return math.log10(front * first + (cover / beta * math.log(b * v / eps)) ** (1 / (1 - w)))


def test_the_printed_bounds_are_those_of_the_paper():
    c1, c2, c3, d = 0.3, 0.2, 0.4, (0.3 + 0.5 * 0.2) / 0.5
    b = (1 + c2 + c3 * d) ** 4 * (c3 + 1)
    assert_close(tmfq_updates(c1=c1, c2=c2, c3=c3, covering_time=20, **COMMON), printed(b, 20), rtol=1e-12)
    b = (0.1 + 1) / (1 - (0.5 + 0.1 * d))
    found = tmfq_updates_contracting(c1=c1, c2=c2, c4=0.5, c5=0.1, covering_time=20, **COMMON)
    assert_close(found, printed(b, 20), rtol=1e-12)
    m, eps, zeta = max(1 + c2, c3 * d), 0.2, 0.1
    b = ((1 - zeta) * 2 * m) ** 3 * (c3 * eps) / ((1 - zeta) * (m - 1))
    found = online_agents(c1=c1, c2=c2, c3=c3, epsilon=eps, regeneration=zeta, **COMMON)
    assert_close(found, printed(b, 1, front=8 / (eps * zeta)), rtol=1e-12)
    # beyond what a float can hold
    assert tmfq_updates(c1=1, c2=1, c3=10, covering_time=1e3, **{**COMMON, "num_steps": 500}) > 1000


def small_game(rng):
    return mfg.StationaryGame(rng.dirichlet(np.ones(4), size=(4, 2)), rng.uniform(0, 1, (4, 2)), 0.8)


def test_the_useful_bound_holds_as_often_as_it_says(rng):
    """200 estimated kernels at δ = .05: at most 10 fail; with the samples asked for, the choices are right."""
    game, response = small_game(rng), mfg.Trembling(0.1)
    z, moves = np.full(4, 0.25), np.asarray(game.kernel.probabilities[0])
    values = eqx.filter_jit(
        lambda table: mfg.respond(eqx.tree_at(lambda g: g.kernel.probabilities, game, table[None]), z, response).q
    )
    exact = np.asarray(values(jnp.asarray(moves)))
    said = model_guarantee(game, response, z, 100)
    fails = wrong = 0
    enough = int(said.samples)
    assert model_guarantee(game, response, z, enough).error < said.gap / 2
    assert enough == 1 or model_guarantee(game, response, z, enough - 1).error >= said.gap / 2 * (1 - 1e-9)
    for _ in range(200):
        fails += np.abs(np.asarray(values(jnp.asarray(rng.multinomial(100, moves) / 100))) - exact).max() > said.error
        q = np.asarray(values(jnp.asarray(rng.multinomial(enough, moves) / enough)))
        wrong += (q.argmax(axis=1) != exact.argmax(axis=1)).any()
    assert fails <= 10 and wrong <= 10


@pytest.mark.parametrize("c_f", [0.115, 0.117])
def test_the_frozen_policy_contracts_by_hand_below_a_threshold(c_f):
    """C₂ = (1 − ζ) c_f 24/25: both parts of a change of infection, for a change of the mean by 12 per unit of l1."""
    game, response = mfg.games.infection_spread(c_f), mfg.Trembling(0.2)
    z = mfg.solve(game, response).mean_field
    bound, exact = frozen_contraction(game, response, z, 0.1)
    assert_close(bound, 0.9 + 0.9 * c_f * 24 / 25, rtol=1e-10)
    assert exact <= bound and (bound < 1) == (c_f < 0.116)


def test_bad_input_names_the_argument(rng):
    game = small_game(rng)
    good = {"c1": 1, "c2": 1, "c3": 1, "covering_time": 10, **COMMON}
    for name, value in [("c3", 0), ("discount", 1), ("delta", 0), ("distance", 2), ("exponent", 0.5), ("num_steps", 0)]:
        with pytest.raises(ValueError, match=f"`{name}`"):
            tmfq_updates(**{**good, name: value})
    with pytest.raises(ValueError, match=r"`c4`.*below 1"):
        tmfq_updates_contracting(c1=1, c2=1, c4=0.5, c5=1, covering_time=10, **COMMON)
    with pytest.raises(ValueError, match="`mean_field`"):
        model_guarantee(game, mfg.Trembling(0.1), [1.0, 1.0, 0, 0], 10)
    with pytest.raises(ValueError, match="`response`"):
        model_guarantee(game, mfg.Greedy(), [1.0, 0, 0, 0], 10)
