"""Many games of every kind at once, by every solver, and by several in turn."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from batches import ATOL, example
from helpers import S, assert_close, random_game, random_policy, resource_allocation_by_hand

import mfgjax as mfg

CASES = {
    "dense": (mfg.Boltzmann, mfg.Picard(0.7)),
    "dense over time": (mfg.EntropyRegularized, mfg.Newton()),
    "crowd kernel": (mfg.EntropyRegularized, mfg.MirrorDescent()),
    "successors": (mfg.EntropyRegularized, mfg.Anderson()),
    "crowd successors": (mfg.EntropyRegularized, mfg.Picard(averaging="linear", atol=1e-6)),
    "moves": (mfg.EntropyRegularized, mfg.Continuation()),
    "joint law": (mfg.EntropyRegularized, mfg.Auto()),
}
BETAS = (0.5, 0.3, 0.05)  # small: the oracle's damped iteration contracts


@functools.cache
def lanes_of(kind):
    """A game of that kind in three lanes that differ in temperature, prior and initial law."""
    make, solver = CASES[kind]
    rng = np.random.default_rng(2)
    game, plain = random_game(kind, rng)
    priors = np.stack([random_policy(rng, plain.available) for _ in BETAS], axis=-1)
    laws = np.stack([rng.dirichlet(np.ones(S)) for _ in BETAS], axis=-1)
    name = "prior" if make is mfg.Boltzmann else "reference"
    axes = {"beta": BETAS, name: priors, "initial": laws}
    return game, plain, priors, laws, mfg.solve_batch(game, make(1.0), solver, axes=axes)


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_of_game_and_every_solver_reach_the_fixed_points_of_the_loops(kind):
    make, solver = CASES[kind]
    atol = solver.atol or ATOL
    _, plain, priors, laws, found = lanes_of(kind)
    assert found.converged.all()
    for lane, beta in enumerate(BETAS):
        plain.initial = laws[:, lane]
        respond = (oracle.softmax_of_greedy if make is mfg.Boltzmann else oracle.soft)(beta, priors[..., lane])
        flow = oracle.equilibrium(plain, respond, damping=0.7)
        assert_close(found.mean_field[..., lane], flow, atol=2 * atol)
        policy, law = np.asarray(found.policy[..., lane]), np.asarray(found.state_law[..., lane])
        assert_close(policy, oracle.best_response(plain, flow, respond)[1], atol=4 * atol)
        assert_close(law, oracle.spread(plain, policy)[0], atol=2 * atol)
        criterion = () if make is mfg.Boltzmann else (beta, priors[..., lane])
        assert_close(found.exploitability[lane], oracle.exploitability(plain, policy, *criterion), atol=atol)


def test_a_lane_is_what_a_single_solve_finds_in_as_many_steps():
    make, solver = CASES["joint law"]
    game, _, priors, laws, found = lanes_of("joint law")
    for lane, beta in enumerate(BETAS):
        one = eqx.tree_at(lambda g: g.initial, game, jnp.asarray(laws[:, lane]))
        single = mfg.solve(one, make(beta, priors[..., lane]), solver)
        assert int(found.num_steps[lane]) == int(single.num_steps)
        for name in ("mean_field", "policy", "values", "residual", "exploitability"):
            assert_close(getattr(found, name)[..., lane], getattr(single, name), atol=4 * ATOL)
        assert_close(found.tolerance[lane], single.tolerance, rtol=1e-6)


def test_greedy_lanes_are_not_exploitable():
    """Fictitious play of the left-right game, the right side paying −c μ(right): c/(1 + c) go left."""
    game = mfg.games.left_right()
    costs = np.array([2.0, 1.0, 4.0])
    weights = np.asarray(game.reward.L.weight)[..., None] * np.ones(3)
    weights[1, 2] = -costs
    found = mfg.solve_batch(game, mfg.Greedy(), mfg.Picard(averaging="uniform"), axes={"reward.L.weight": weights})
    assert found.criterion == "exploitability"
    assert found.converged.all()
    assert (found.exploitability <= found.tolerance).all()
    for lane, c in enumerate(costs):
        # a share δ too many on one side costs δ(1 + c) there, and a part of those gains that
        assert_close(found.mean_field[1, 1, lane], c / (1 + c), atol=5 * float(found.tolerance[lane]))


GOLDEN = {  # law of the nodes at time 5: computed once by an independent program
    0.1: (0.004675, 0.004222, 0.512844, 0.473560, 0.004699),
    1.0: (0.002714, 0.002452, 0.603457, 0.388649, 0.002729),
    3.0: (0.000854, 0.000772, 0.670311, 0.327205, 0.000859),
}
EXAMPLE_BETAS = (*GOLDEN, 30.0, 1000.0)


def by_default(betas):
    """The first three methods of the default solver: at most 100 steps of Anderson's, 100 of Newton's, damped ones."""
    game, rho = example()
    return mfg.solve_batch(game, mfg.EntropyRegularized(1.0, rho), axes={"beta": betas}, max_steps=660)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_the_default_solver_runs_its_methods_in_turn_for_the_lanes_that_need_them(transform):
    """With the known equilibria of the example; at β = 1000 both Anderson's steps and damped ones move in circles."""
    found = transform(by_default)(jnp.array(EXAMPLE_BETAS))
    for lane, law in enumerate(GOLDEN.values()):
        assert_close(found.mean_field[-1, :, lane], law, atol=1e-6)  # six digits are known
        assert found.num_steps[lane] < 60
    assert found.converged.all()
    game, rho = example()
    first = mfg.solve(game, mfg.EntropyRegularized(1000.0, rho), mfg.Anderson(within=100), throw=False)
    assert not first.converged and first.num_steps < found.num_steps[4] < 60
    plain, rho = resource_allocation_by_hand()
    for lane, beta in enumerate(EXAMPLE_BETAS):
        flow = np.asarray(found.mean_field[..., lane])
        distance = oracle.flow_distance(flow, oracle.gamma(plain, flow, oracle.soft(beta, rho)))
        # what the residual says, up to the rounding of action values times β
        assert_close(found.residual[lane], distance, atol=1e-14 * max(1, beta))
        assert bool(found.converged[lane]) == (distance <= found.tolerance[lane])
