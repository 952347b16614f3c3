"""Newton's equation of single steps: the same zeros as μ − Γ(μ), its elimination equals the dense system at any flow,
and Newton's method finds from afar what iterating does not."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import GAMES, A, S, T, assert_close, random_game, random_policy

import mfgjax as mfg
from mfgjax.solvers.shooting import eliminate, steps_off

KINDS = [kind for kind in GAMES if kind != "joint law"]


@eqx.filter_jit
def both_ways(game, response, flow, b):
    """The solution by elimination, and the matrix that JAX derives of all steps at once."""

    def off(flow):
        return steps_off(game, flow, game.best_response(flow, response).policy)

    matrix = jax.jacfwd(off)(flow).reshape(flow.size, flow.size)
    return eliminate(game, response, flow, game.best_response(flow, response)).solve(b), matrix, off(flow)


@pytest.mark.parametrize("kind", KINDS)
def test_elimination_equals_the_dense_newton_step_at_flows_that_no_policy_generates(kind, rng):
    game, _ = random_game(kind, rng)
    mask = np.broadcast_to(np.asarray(game.available), (T, S, A))
    for beta in (0.3, 3.0, 30.0):
        response = mfg.EntropyRegularized(beta, random_policy(rng, mask))
        flow, b = rng.dirichlet(np.ones(S), T), rng.standard_normal((T, S))
        x, matrix, _ = both_ways(game, response, jnp.asarray(flow), jnp.asarray(b))
        size = np.linalg.cond(matrix)
        assert_close(x.reshape(-1), -np.linalg.solve(matrix, b.reshape(-1)), atol=1e-13 * size * T, rtol=1e-9)


def test_the_steps_of_a_generated_flow_are_off_only_where_the_policy_is_no_response(rng):
    game, _ = random_game("dense", rng)
    response = mfg.EntropyRegularized(2.0)
    found = mfg.solve(game, response)
    _, _, off = both_ways(game, response, found.mean_field, jnp.zeros((T, S)))
    assert float(jnp.abs(off).max()) < 1e-9  # the tolerance of `solve`
    flow = mfg.propagate(game, found.policy[::-1])
    policy = mfg.respond(game, flow, response).policy
    _, _, off = both_ways(game, response, flow, jnp.zeros((T, S)))
    kernel: Any = game.kernel
    table = np.asarray(kernel.probabilities)[0]
    for t in range(T - 1):  # by the definition, with loops
        moved = sum(flow[t, s] * policy[t, s, a] * table[s, a] for s in range(S) for a in range(A))
        assert_close(off[t + 1], moved - flow[t + 1], atol=1e-14)


@pytest.mark.parametrize("beta", [1.0, 10.0, 100.0])
def test_newton_finds_a_crowd_on_a_ring_from_a_cold_start(beta):
    """At β = 100 Newton's method on μ − Γ(μ) stalled, and other methods took 689 steps."""
    game, response = mfg.games.ring_crowd(), mfg.EntropyRegularized(beta)
    found = mfg.solve(game, response, mfg.Newton())
    assert int(found.num_steps) <= 40
    # the equilibrium is unique, as the reward falls in the crowd at one's own place
    assert_close(found.mean_field, mfg.solve(game, response, mfg.Continuation()).mean_field, atol=1e-8)


def birth_death(num_states):
    """A chain that moves up the faster, the higher the others are."""
    places = jnp.arange(num_states)

    def kernel(z):
        up = jnp.array([0.05, 0.1 + 0.6 * (places @ z) / (num_states - 1)])
        P = jnp.zeros((num_states, 2, num_states))
        P = P.at[places, :, jnp.minimum(places + 1, num_states - 1)].add(up)
        return P.at[places, :, jnp.maximum(places - 1, 0)].add(0.2).at[places, :, places].add(0.8 - up)

    reward = jnp.sqrt(places / (num_states - 1))[:, None] - 0.15 * jnp.array([0.0, 1.0])
    return mfg.StationaryGame(kernel, reward, 0.95), kernel


def test_newton_finds_a_birth_death_chain_at_every_beta():
    """Iterating takes hundreds of steps, or stalls."""
    game, kernel = birth_death(20)
    for beta in (1.0, 5.0, 20.0, 100.0, 1000.0):
        found = mfg.solve(game, mfg.EntropyRegularized(beta), mfg.Newton())
        assert int(found.num_steps) <= 25
        z, pi = np.asarray(found.mean_field), np.asarray(found.policy)
        assert_close(np.einsum("s,sa,sax->x", z, pi, np.asarray(kernel(jnp.asarray(z)))), z, atol=1e-9)


def test_steps_empty_the_states_that_a_population_leaves():
    """Half of it begins in the lower half of the states, and hardly anybody ends there."""
    game, kernel = birth_death(30)
    found = mfg.solve(game, mfg.EntropyRegularized(10.0), mfg.Newton())
    z, pi = np.asarray(found.mean_field), np.asarray(found.policy)
    assert int(found.num_steps) <= 20 and z[:15].sum() < 1e-3
    assert_close(np.einsum("s,sa,sax->x", z, pi, np.asarray(kernel(jnp.asarray(z)))), z, atol=1e-9)
