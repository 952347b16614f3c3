"""Parameters with names that mean something else in `sweep`: an error says what to write, or no harm is done."""

import re

import equinox as eqx
import jax.numpy as jnp
import pytest

import mfgjax as mfg

SOFT, VALUES = mfg.EntropyRegularized(5.0), [0.5, 1.0]


def game(name):
    def reward(t, mean_field, **params):
        return params[name] * jnp.array([[0.0], [1.0]]) - mean_field[:, None]

    return mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [1, 0]]), reward, [1.0, 0.0], 3, params={name: 1.0})


OUTPUTS = ("residual", "tolerance", "error_estimate", "result_code", "num_steps", "time", "state", "policy")
ARGUMENTS = ("out", "solver", "guess", "zipped", "outputs", "progress", "max_steps", "warm_start", "block", "chunk")


@pytest.mark.parametrize("name", [*OUTPUTS, *ARGUMENTS])
def test_a_sweep_says_how_a_parameter_with_a_taken_name_is_swept(name):
    with pytest.raises(ValueError, match=re.escape('**{"params.' + name + '": [...]}')):
        mfg.sweep(game(name), SOFT, **{name: VALUES})


def test_an_argument_beside_an_axis_may_be_meant_as_a_parameter():
    with pytest.raises(ValueError, match=r"`out` is an argument of `sweep` and a parameter.*params\.out"):
        mfg.sweep(game("out"), SOFT, out=VALUES, beta=VALUES)


@pytest.mark.parametrize("name", ["game", "response"])
def test_a_name_that_no_axis_can_have_is_refused_when_the_game_is_built(name):
    with pytest.raises(ValueError, match=f"`params` has '{name}', but functions such as `sweep` have an argument"):
        game(name)


@pytest.mark.parametrize(
    ("name", "response"),
    [("prior", SOFT), ("reference", mfg.Boltzmann(5.0)), ("reference", mfg.Greedy()), ("log_prior", SOFT)],
)
def test_a_policy_that_the_response_does_not_have_is_told_from_a_parameter(name, response):
    with pytest.raises(ValueError, match=rf"'{name}' is the name of a policy.*'params\.{name}'"):
        mfg.sweep(game(name), response, **{name: VALUES})
    with pytest.raises(ValueError, match=rf"'{name}' is the name of a policy.*'params\.{name}'"):
        mfg.solve_batch(game(name), response, axes={name: VALUES})


@pytest.mark.parametrize("axes", [{}, {"beta": VALUES}])
def test_values_in_the_place_of_the_response_are_refused(axes):
    with pytest.raises(ValueError, match=r"`response` must be .*not a list of values: .*beta=.*got \[0\.5, 1\.0\]"):
        mfg.sweep(game("toll"), VALUES, **axes)


@pytest.mark.parametrize("name", ["tree_flatten_with_keys", "tree_unflatten"])
def test_a_parameter_may_have_any_other_name(name):
    assert getattr(game(name).params, name) == 1


@pytest.mark.parametrize("value", [2.0, 2, [2.0]])
def test_a_parameter_that_is_replaced_must_be_an_array(value):
    changed = eqx.tree_at(lambda game: game.params.toll, game("toll"), value, is_leaf=lambda x: x is value)
    with pytest.raises(
        ValueError, match=re.escape("`params.toll` must be an array of JAX") + f".*got {re.escape(str(value))}"
    ):
        mfg.solve(changed, SOFT)
