"""What is wrong with many games at once is named with its lane, place and value."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import example

import mfgjax as mfg


def refused(function, *words):
    """It raises one sentence with all of the words."""
    with pytest.raises(ValueError) as caught:
        function()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def batch(response=None, **options):
    game, rho = example()
    response = mfg.EntropyRegularized(1.0, rho) if response is None else response
    return mfg.solve_batch(options.pop("game", game), response, **options)


def changed(array, index, value):
    array = np.array(array, float)
    array[index] = value
    return array


def three(array):
    return np.repeat(np.asarray(array, float)[..., None], 3, axis=-1)


def references():
    return three(example()[1])


NAMED = {
    "a negative beta": (lambda: {"beta": [1, 2, 3, -0.5]}, "`beta[3]` is -0.5", "(0, inf)"),
    "a beta of zero": (lambda: {"response.beta": [1, 0.0]}, "`response.beta[1]` is 0", "(0, inf)"),
    "a beta that is none": (lambda: {"beta": [1, np.nan]}, "`beta[1]` is nan"),
    "a discount of zero": (lambda: {"discount": [1, 0.0]}, "`discount[1]` is 0", "(0, 1]"),
    "a discount above one": (lambda: {"discount": [1.5]}, "`discount[0]` is 1.5", "(0, 1]"),
    "a row of no distribution": (
        lambda: {"reference": changed(references(), (2, slice(None), 1), 0.4)},
        "`reference[1, 2]` sums to 1.2",
        "must sum to 1",
    ),
    "a reference that forbids": (
        lambda: {"reference": changed(references(), (0, slice(None), 2), [1.0, 0.0, 0.0])},
        "`reference[2, 0, 1]` is 0",
        "positive exactly on the available actions",
    ),
    "a reference that allows": (
        lambda: {"reference": changed(references(), (2, slice(None), 0), [0.25, 0.5, 0.25])},
        "`reference[0, 2, 2]` is 0.25",
        "available",
    ),
    "a negative mass": (
        lambda: {"initial": changed(three(example()[0].initial), (slice(None), 1), [-0.5, 1.5, 0, 0, 0])},
        "`initial[1, 0]` is -0.5",
        "negative",
    ),
    "an initial law of another sum": (
        lambda: {"initial": changed(three(example()[0].initial), (0, 2), 0.5)},
        "`initial[2]` sums to 1.2",
    ),
    "a reward that is none": (
        lambda: {"reward.L.weight": changed(three(example()[0].reward.L.weight), (5, 3, 0, 2), np.inf)},
        "`reward.L.weight[2, 5, 3, 0]` is inf",
        "finite",
    ),
    "a name that is none": (
        lambda: {"gamma": [1.0]},
        "'gamma'",
        "beta, discount, initial, log_reference, reference, reward.L.base, reward.L.weight",
    ),
    "the solver's name of another solver": (lambda: {"damping": [1.0]}, "'damping'", "there are beta"),
    "different numbers of lanes": (lambda: {"beta": [1, 2, 3.0], "discount": [1, 0.5]}, "3 lanes of 'beta'", "2 of"),
    "one array under two names": (
        lambda: {"beta": [1.0], "response.beta": [1.0]},
        "response.beta",
        "which another entry of `axes` also sets",
    ),
    "nothing": (lambda: {}, "`axes` is empty"),
    "no lanes": (lambda: {"beta": []}, "`beta`", "at least one lane"),
    "a number": (lambda: {"beta": 2.0}, "`beta`", "lane", "()"),
    "a matrix of temperatures": (lambda: {"beta": np.ones((2, 3))}, "`beta` must have shape (3,)", "got (2, 3)"),
    "references without lanes": (lambda: {"reference": example()[1]}, "`reference` must have shape", "got (5, 3)"),
    "laws of other states": (lambda: {"initial": np.full((4, 2), 0.25)}, "`initial` must have shape (5, 2)", "(4, 2)"),
    "words": (lambda: {"beta": ["hot", "cold"]}, "`beta[0]` is 'hot'", "real number"),
}


@pytest.mark.parametrize("name", NAMED)
def test_bad_values_in_a_lane_are_refused_in_one_sentence(name):
    axes, *words = NAMED[name]
    refused(lambda: batch(axes=axes()), *words)


def test_a_temperature_of_a_boltzmann_prior_is_no_reference():
    refused(lambda: batch(mfg.Boltzmann(1.0), axes={"reference": references()}), "'reference'", "log_weights")


def test_tables_over_a_wrong_number_of_times_are_refused():
    """Rewards have H + 1 times, kernels H."""
    rng = np.random.default_rng(0)
    game = mfg.FiniteHorizonGame(rng.dirichlet(np.ones(3), (3, 2)), rng.standard_normal((3, 2)), [1.0, 0, 0], 4)
    rewards, kernels = np.ones((4, 3, 2, 2)), np.full((5, 3, 2, 3, 2), 1 / 3)
    refused(lambda: batch(mfg.EntropyRegularized(1.0), game=game, axes={"reward.table": rewards}), "`reward.table`")
    refused(
        lambda: batch(mfg.EntropyRegularized(1.0), game=game, axes={"kernel.probabilities": kernels}),
        "`kernel.probabilities`",
    )


def hot(values):
    """The example's response with temperatures in place of one, and the prefix that marks them."""
    response = mfg.EntropyRegularized(1.0, example()[1])
    response = eqx.tree_at(lambda r: r.beta, response, jnp.asarray(values))
    return response, (None, eqx.tree_at(lambda r: (r.beta, r.log_reference), response, (-1, None)))


PREFIXES = {
    "a number": (lambda: (None, -1, -1, -1), "mapping", "tuple"),
    "first axes": (lambda: (None, 0), "-1 (lanes on the last axis) or None", "got 0"),
    "arrays": (lambda: (None, np.array([-1, -1])), "-1 (lanes on the last axis) or None"),
    "another structure": (lambda: (None, {"beta": -1}), "structure"),
    "nothing marked": (lambda: (None, None), "`axes`", "lanes"),
    "arrays without lanes": (lambda: (-1, None), "`axes`", "lanes"),
}


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_that_marks_no_lanes_is_refused_in_one_sentence(name):
    axes, *words = PREFIXES[name]
    refused(lambda: batch(hot([1.0, 2.0])[0], axes=axes()), *words)


def test_lanes_of_booleans_are_refused():
    """`vmap` gives lanes to what is available, too, which all lanes share."""
    games = jax.vmap(lambda field: mfg.games.coordination(field), out_axes=-1)(jnp.array([0.1, 0.2, 0.3]))
    refused(lambda: batch(mfg.EntropyRegularized(1.0), game=games, axes=(-1, None)), "`game.available`", "shared")


def test_values_out_of_range_in_arrays_that_hold_lanes_are_refused():
    response, axes = hot([1.0, 2.0, 0.0])
    refused(lambda: batch(response, axes=axes), "beta[2]` is 0", "(0, inf)")


def test_what_lanes_share_is_checked_as_in_a_single_solve():
    """A reference that forbids an available action, or is of another game."""
    forbids = changed(example()[1], 0, [1.0, 0.0, 0.0])
    refused(lambda: batch(mfg.EntropyRegularized(1.0, forbids), axes={"beta": [1.0, 2.0]}), "`reference` is 0", "(0, 0")
    other = mfg.EntropyRegularized(1.0, np.full((4, 2), 0.5))
    refused(lambda: batch(other, axes={"beta": [1.0, 2.0]}), "`reference` must have shape (5, 3)")


def test_a_game_in_single_precision_takes_a_response_in_double():
    kernel, reward = np.full((3, 2, 3), 1 / 3, np.float32), np.ones((3, 2), np.float32)
    game = mfg.FiniteHorizonGame(kernel, reward, np.float32([1, 0, 0]), 4)
    response = mfg.EntropyRegularized(1.0, np.full((3, 2), 0.5))
    found = jax.eval_shape(lambda g: mfg.solve_batch(game, response, axes={"discount": g}), jnp.ones(2))
    assert found.mean_field.dtype == found.policy.dtype == np.float32


OPTIONS = {
    "a block of nothing": ({"block": 0}, "`block` must be at least 1; got 0"),
    "half a block": ({"block": 1.5}, "`block` must be a whole number", "1.5"),
    "no step": ({"max_steps": 0}, "`max_steps` must be at least 1; got 0"),
    "a guess of other times": ({"guess": np.full((3, 5), 0.2)}, "`guess` must have shape (6, 5) or (6, 5, 2)"),
    "a guess of no mass": ({"guess": np.zeros((6, 5))}, "`guess", "sums to 0"),
    "no solver": ({"solver": "newton"}, "`solver` must be a solver", "'newton'"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_options_are_refused_in_one_sentence(name):
    options, *words = OPTIONS[name]
    refused(lambda: batch(axes={"beta": [1.0, 2.0]}, **options), *words)


def test_what_is_no_game_or_no_response_is_refused():
    refused(lambda: batch(game="chess", axes={"beta": [1.0]}), "`game` must be a `FiniteHorizonGame`")
    refused(lambda: batch(3.0, axes={"beta": [1.0]}), "`response` must be a response", "3.0")
    refused(
        lambda: batch(mfg.Greedy(), solver=mfg.Newton(), axes={"discount": [1.0]}),
        "needs a response that is continuous in the mean field, but the policy of `Greedy` jumps",
    )
