"""Every solver that is offered, with its defaults, on small games whose map contracts, against plain loops."""

import functools

import numpy as np
import oracle
import pytest
import stationary_games
import stationary_oracle
from entries import classes
from helpers import assert_close, random_game, random_policy

import mfgjax as mfg
from mfgjax.engine.prepare import methods

KINDS = classes("solvers")
every = pytest.mark.parametrize("name", KINDS)


@functools.cache
def with_horizon():
    """A game in which agents are soft, its equilibrium by loops, and what loops say of a flow: residual and policy."""
    rng = np.random.default_rng(3)
    game, plain = random_game("dense over time", rng)
    rho = random_policy(rng, plain.available)
    soft = oracle.soft(0.2, rho)

    def judge(flow):
        policy = oracle.best_response(plain, flow, soft)[1]
        return oracle.flow_distance(flow, oracle.gamma(plain, flow, soft)), policy

    return game, mfg.EntropyRegularized(0.2, rho), oracle.equilibrium(plain, soft, damping=1.0), judge


@functools.cache
def stationary():
    """A game in which hands tremble, with the same."""
    game, plain = stationary_games.random_game(np.random.default_rng(5), pull=0.3, weight=0.2)
    hand = stationary_oracle.trembling(0.2)

    def judge(z):
        policy = stationary_oracle.best_response(plain, z, hand)[1]
        return np.abs(stationary_oracle.step(plain, z, policy) - z).sum() / 2, policy

    z = stationary_oracle.iterate(plain, hand, plain.initial, 60)[-1]
    assert judge(z)[0] < 1e-14
    return game, mfg.Trembling(0.2), z, judge


def cases(solver):
    """The games that a solver is for; it is for one at least."""
    found = []
    for case in (with_horizon(), stationary()):
        try:
            methods(*case[:2], solver)
        except ValueError as error:
            assert type(solver).__name__ in str(error)
        else:
            found.append(case)
    assert found
    return found


@every
def test_with_its_defaults_it_reaches_the_equilibrium_of_the_loops(name):
    solver = KINDS[name]()
    for game, response, equilibrium, judge in cases(solver):
        found = mfg.solve(game, response, solver)
        assert found.converged and found.result.name == "converged"
        assert_close(found.mean_field, equilibrium, atol=1e-9)  # the residual is 1e-10, and the slope below 1/2
        residual, policy = judge(np.asarray(found.mean_field))
        assert_close(found.residual, residual, atol=1e-13)
        assert_close(found.policy, policy, atol=1e-10)  # the loops' values move by 1e-14 at the end, discounted by .8
        assert abs(float(found.exploitability)) < 1e-12
        assert found.criterion == "residual" and found.residual <= found.tolerance
        assert 1 <= len(found.history) <= int(found.num_steps)  # of steps that measure a residual


@every
def test_where_it_stops_too_soon_it_says_so_and_gives_the_best_that_it_saw(name):
    solver = KINDS[name]()
    game, response, _, judge = cases(solver)[0]
    found = mfg.solve(game, response, solver, max_steps=2, throw=False)
    left, _ = judge(np.asarray(found.mean_field))
    assert_close(found.residual, left, atol=1e-13)
    assert bool(found.converged) == (left <= float(found.tolerance))
    assert (found.result.name == "converged") == bool(found.converged)
    assert (found.residual <= found.history + 1e-13).all()
    assert int(found.num_steps) <= 2
