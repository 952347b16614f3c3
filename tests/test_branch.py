"""Paths of equilibria: folds and crossings of the coordination game against what is computed by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

import mfgjax as mfg

BETA = 4.0


def field_by_hand(x):
    """The field at which x is an equilibrium law of state 1: x = 1/(1 + exp(−β(2x − 1 + field))), solved for it."""
    return np.log(x / (1 - x)) / BETA - (2 * x - 1)


@pytest.fixture(scope="module")
def s_curve():
    game, response = mfg.games.coordination(), mfg.EntropyRegularized(BETA)
    return mfg.branch(game, response, lambda game, response: game.reward.L.field, start=-1.0, stop=1.0)


def test_the_path_follows_the_s_shaped_curve_to_its_end(s_curve):
    assert s_curve.complete and s_curve.message == "The path reached `stop`."
    assert s_curve.parameter[0] == -1.0 and s_curve.parameter[-1] == 1.0
    # points are corrected to a residual of 1e-10; near a fold that is 1e-10 in the field, not in x
    np.testing.assert_allclose(field_by_hand(s_curve.mean_field[:, 1, 1]), s_curve.parameter, atol=1e-7)
    assert (np.diff(s_curve.mean_field[:, 1, 1]) > 0).all()  # no jump from branch to branch, no way back


def test_both_folds_are_where_the_hand_computation_has_them(s_curve):
    # the field turns where its derivative 1/(β x (1 − x)) − 2 is zero: x = (1 ± sqrt(1 − 2/β))/2
    x = (1 + np.array([-1, 1]) * np.sqrt(1 - 2 / BETA)) / 2
    assert len(s_curve.folds) == 2
    np.testing.assert_allclose(s_curve.folds, field_by_hand(x), atol=1e-6)


@pytest.mark.parametrize("field", [-0.2, 0.0, 0.1])
def test_three_equilibria_are_found_between_the_folds(s_curve, field):
    found = s_curve.at(field)
    assert len(found) == 3
    laws = [float(eq.mean_field[1, 1]) for eq in found]
    assert laws == sorted(laws) and min(np.diff(laws)) > 0.05
    for eq, x in zip(found, laws, strict=True):
        assert bool(eq.converged)
        np.testing.assert_allclose(field_by_hand(x), field, atol=1e-9)


def test_one_equilibrium_is_found_outside_the_folds(s_curve):
    assert [len(s_curve.at(field)) for field in (-0.9, 0.6, 1.0)] == [1, 1, 1]
    assert s_curve.at(1.5) == []


def test_the_path_in_beta_leads_to_the_unregularised_equilibrium():
    game = mfg.games.left_right()
    path = mfg.branch(game, mfg.EntropyRegularized(1.0), start=0.1, stop=1e4)
    assert path.complete and len(path.folds) == 0
    np.testing.assert_allclose(path.parameter[[0, -1]], [0.1, 1e4])
    np.testing.assert_allclose(path.mean_field[-1, 1], [0, 2 / 3, 1 / 3], atol=1e-4)  # 2/3 + O(1/β)


def test_a_path_that_cannot_reach_stop_comes_back_and_says_so():
    # from the upper branch at field 0 downwards in the strength of the wish to be together there is no end before 1,
    # but from strength 1 down to -1 the two outer branches meet in a pitchfork at strength 1/2 when the field is 0;
    # with a small field they part: the path of the disfavoured branch turns at a fold and comes back to the start
    game, response = mfg.games.coordination(field=-0.05), mfg.EntropyRegularized(BETA)
    guess = jnp.array([[0.5, 0.5], [0.05, 0.95]])
    path = mfg.branch(game, response, lambda game, _: game.reward.L.strength, start=1.0, stop=-1.0, guess=guess)
    assert not path.complete
    assert path.message == "The path came back to `start` without reaching `stop`."
    assert len(path.folds) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stop": -1.0}, "`start` and `stop` are both -1.0"),
        ({"start": float("nan")}, "`start` is nan"),
        ({"stop": float("inf")}, "`stop` is inf"),
        ({"log": True}, "both must be positive"),
        ({"parameter": "gamma"}, "got 'gamma'"),
        ({"parameter": lambda game, response: game.initial}, "scalar array"),
        ({"resolution": 0}, "`resolution` must be at least 1; got 0"),
        ({"max_points": 1}, "`max_points` must be at least 2; got 1"),
        ({"response": mfg.Greedy()}, "needs a smooth response"),
    ],
)
def test_bad_arguments_end_in_a_sentence(change, words):
    arguments = {"parameter": lambda game, response: game.reward.L.field, "start": -1.0, "stop": 1.0} | change
    response = arguments.pop("response", None) or mfg.EntropyRegularized(BETA)
    with pytest.raises(ValueError, match="`") as error:
        mfg.branch(mfg.games.coordination(), response, **arguments)
    assert words in str(error.value) and "\n" not in str(error.value)
