"""Every ready-made game that is offered, with its defaults: it is valid, says what it is, and has an equilibrium."""

import inspect

import numpy as np
import pytest
from entries import classes
from helpers import assert_close

import mfgjax as mfg
from mfgjax.games import ready_made

BUILDERS = classes("games")
every = pytest.mark.parametrize("name", BUILDERS)


@every
def test_it_is_valid_and_its_docstring_says_where_it_is_from(name):
    game = BUILDERS[name]()
    mfg.validate(game)
    assert ready_made.is_stationary(name) == isinstance(game, mfg.StationaryGame)
    assert ready_made.build(name, {}).name == name
    assert "\nSource:" in inspect.getdoc(BUILDERS[name])


@every
def test_the_default_solver_finds_an_equilibrium(name):
    game = BUILDERS[name]()
    response = mfg.Trembling(0.1) if ready_made.is_stationary(name) else mfg.EntropyRegularized(1.0)
    found = mfg.solve(game, response)
    assert found.converged
    flow = np.asarray(found.mean_field)
    assert_close(flow.reshape(*game.mean_field_shape[: len(game.times)], -1).sum(axis=-1), 1, atol=1e-12)
    assert_close(found.exploitability, 0, atol=1e-9)
