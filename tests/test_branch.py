"""Paths of equilibria: folds and crossings of the coordination game against what is computed by hand."""

import re

import equinox as eqx
import jax
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


def test_a_value_that_the_path_does_not_reach_is_refused(s_curve):
    with pytest.raises(ValueError, match=r"`value` is 1.5, but the path has values from -1 to 1. The path reached"):
        s_curve.at(1.5)


def roots(beta, field, strength=1.0, cells=199_999):
    """All laws x of state 1 with x = σ(β (strength (2x − 1) + field)), by bisection in the cells of an odd grid."""

    def off(x):
        return 1 / (1 + np.exp(-beta * (strength * (2 * x - 1) + field))) - x

    grid = np.linspace(0, 1, cells + 1)
    found = []
    signs = np.sign(off(grid))
    for k in np.flatnonzero(signs[:-1] * signs[1:] < 0):
        low, high = grid[k], grid[k + 1]
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if np.sign(off(middle)) == np.sign(off(low)) else (low, middle)
        found.append((low + high) / 2)
    return found


@pytest.mark.parametrize("field", [0.266, 0.2664, -0.266, -0.26641, 0.26643, 0.3, -1.0])
def test_all_equilibria_next_to_a_fold_are_found_and_each_once(s_curve, field):
    expected = sorted(roots(BETA, field))
    found = s_curve.at(field)
    # 1e-10 in the equation is up to 1e-7 in x, so near to a fold
    np.testing.assert_allclose(sorted(float(eq.mean_field[1, 1]) for eq in found), expected, atol=1e-7)
    assert all(bool(eq.converged) for eq in found)


def test_values_of_points_and_of_folds_are_found_once(s_curve):
    x = (1 + np.array([-1, 1]) * np.sqrt(1 - 2 / BETA)) / 2
    for fold, turn in zip(field_by_hand(x), x, strict=True):
        laws = [float(eq.mean_field[1, 1]) for eq in s_curve.at(fold)]
        assert len(laws) == 2 and min(abs(np.array(laws) - turn)) < 1e-5
        inside, outside = fold - np.sign(fold) * 1e-9, fold + np.sign(fold) * 1e-9
        # 1e-9 inside there are two, 2.7e-5 apart: they are not taken for one
        assert (len(s_curve.at(inside)), len(s_curve.at(outside))) == (3, 1)
    for k in range(0, len(s_curve.parameter), 7):
        field = float(s_curve.parameter[k])
        assert len(s_curve.at(field)) == len(roots(BETA, field))


@pytest.mark.parametrize("beta", [2.001, 2.00001])
def test_two_folds_between_two_points_of_the_path_are_found(beta):
    """Just above the cusp at β = 2 the folds are ∓7e-6 and ∓7e-9 of a field, and x moves by 0.04 and 0.004 between."""
    x = (1 + np.array([-1, 1]) * np.sqrt(1 - 2 / beta)) / 2
    folds = np.log(x / (1 - x)) / beta - (2 * x - 1)
    game, response = mfg.games.coordination(), mfg.EntropyRegularized(beta)
    path = mfg.branch(game, response, lambda game, _: game.reward.L.field, start=-0.5, stop=0.5)
    np.testing.assert_allclose(path.folds, folds, atol=1e-11)
    found = sorted(float(eq.mean_field[1, 1]) for eq in path.at(folds[0] / 2))
    np.testing.assert_allclose(found, roots(beta, folds[0] / 2), atol=1e-5)
    assert len(path.bifurcations) == 0


def herd(places, field=0.0):
    """A stationary game in which one moves where one likes, and is paid the share of a place, and `field` in the last.

    Payoffs depend on the action alone, so z(a) ∝ exp(β (z(a) + field 1{a last})), whatever the discount.
    """
    moves = np.broadcast_to(np.eye(places), (places, places, places))
    table = Herd(jnp.asarray(field))
    return mfg.StationaryGame(moves, table, 0.5, initial=np.ones(places) / places)


class Herd(eqx.Module):
    field: jax.Array

    def __call__(self, z):
        return jnp.broadcast_to(z + self.field * (jnp.arange(len(z)) == len(z) - 1), (len(z), len(z)))


@pytest.mark.parametrize("game", [mfg.games.coordination(), herd(3)], ids=["horizon", "stationary, twice"])
def test_a_path_that_passes_a_pitchfork_says_so(game):
    """The even law is an equilibrium at every β; the derivative there is β/n on vectors of sum 0, n places."""
    places = game.num_states
    path = mfg.branch(game, mfg.EntropyRegularized(1.0), start=1.0, stop=5.0)
    np.testing.assert_allclose(path.bifurcations, [places], rtol=1e-3)
    assert path.complete and len(path.folds) == 0
    assert "crosses 1 near" in path.message and "not on this path" in path.message
    (found,) = path.at(4.5)
    np.testing.assert_allclose(found.mean_field[..., -1], 1 / places if game.is_stationary else 1 / 2, atol=1e-9)


def test_a_path_next_to_a_pitchfork_is_not_left():
    """With a field of 1e-6 the path bends off 0.004 away from the even law, and is smooth."""
    path = mfg.branch(mfg.games.coordination(field=1e-6), mfg.EntropyRegularized(1.0), start=1.0, stop=4.0)
    assert len(path.bifurcations) == len(path.folds) == 0 and path.message == "The path reached `stop`."
    (found,) = path.at(4.0)
    np.testing.assert_allclose(found.mean_field[1, 1], max(roots(4.0, 1e-6)), atol=1e-8)


def test_folds_of_a_stationary_game_are_those_of_the_hand_computation():
    """z = σ(β (2z − 1 + field)), as in coordination."""
    game, response = herd(2, 0.0), mfg.EntropyRegularized(BETA)
    path = mfg.branch(game, response, lambda game, _: game.reward.field, start=-0.5, stop=0.5)
    x = (1 + np.array([-1, 1]) * np.sqrt(1 - 2 / BETA)) / 2
    np.testing.assert_allclose(path.folds, field_by_hand(x), atol=1e-9)
    for field in (0.266, -0.26641, 0.0):
        found = [float(eq.mean_field[1]) for eq in path.at(field)]
        np.testing.assert_allclose(sorted(found), roots(BETA, field), atol=1e-7)


def test_a_path_in_beta_with_a_fold_finds_both_equilibria_next_to_it():
    """From the lower law at β = 6 downwards against a field of 0.1: β = log(x/(1−x))/(2x − 1 + 0.1) turns."""
    x = np.linspace(0.02, 0.4, 400_001)
    by_hand = np.log(x / (1 - x)) / (2 * x - 1 + 0.1)
    fold = by_hand.min()
    game = mfg.games.coordination(field=0.1)
    guess = jnp.array([[0.5, 0.5], [0.99, 0.01]])
    path = mfg.branch(game, mfg.EntropyRegularized(6.0), start=6.0, stop=2.0, guess=guess)
    assert len(path.folds) == 1 and not path.complete
    np.testing.assert_allclose(path.folds, fold, rtol=1e-8)
    found = sorted(float(eq.mean_field[1, 1]) for eq in path.at(fold + 1e-4))
    np.testing.assert_allclose(found, roots(fold + 1e-4, 0.1)[:2], atol=1e-6)
    assert path.at(-1.0) == []


def test_the_path_in_beta_leads_to_the_unregularised_equilibrium():
    """Where crowds repel with field 1/3, both places are equally good with 2/3 in state 1: 2 · 2/3 − 1 = 1/3."""
    game = mfg.games.coordination(field=1 / 3, strength=-1.0)
    path = mfg.branch(game, mfg.EntropyRegularized(1.0), start=0.1, stop=1e4)
    assert path.complete and len(path.folds) == 0
    np.testing.assert_allclose(path.parameter[[0, -1]], [0.1, 1e4])
    np.testing.assert_allclose(path.mean_field[-1, 1], [1 / 3, 2 / 3], atol=1e-4)  # 2/3 + O(1/β)


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
        ({"parameter": "gamma"}, "There is no parameter 'gamma'"),
        ({"parameter": "reward.L.feild"}, "did you mean 'reward.L.field'?"),
        ({"parameter": "initial"}, "`parameter` must name a single number, but 'initial' is an array of shape (2,)."),
        ({"parameter": "discount"}, "`discount[0]` is -1"),
        (
            {"parameter": 3.0},
            "`parameter` must be a name, or a function of (game, response) that returns one of their arrays; got 3.0.",
        ),
        ({"parameter": lambda game, response: game.initial}, "scalar array"),
        ({"parameter": lambda game, response: game.initial[1]}, "as it is, but it computes one, such as an entry"),
        ({"parameter": lambda game, response: 2 * response.beta}, "as it is, but it computes one"),
        ({"parameter": lambda game, response: response.beta, "log": False}, "`response.beta[0]` is -1"),
        ({"resolution": 0}, "`resolution` must be at least 1; got 0"),
        ({"max_points": 1}, "`max_points` must be at least 2; got 1"),
        ({"response": mfg.Greedy()}, "needs a smooth response"),
    ],
)
def test_bad_arguments_end_in_a_sentence(change, words):
    arguments = {"parameter": lambda game, response: game.reward.L.field, "start": -1.0, "stop": 1.0} | change
    response = arguments.pop("response", None) or mfg.EntropyRegularized(BETA)
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        mfg.branch(mfg.games.coordination(), response, **arguments)
    assert "\n" not in str(error.value)


def test_a_parameter_by_its_name_is_that_which_a_function_picks(s_curve):
    game, response = mfg.games.coordination(), mfg.EntropyRegularized(BETA)
    path = mfg.branch(game, response, "reward.L.field", start=-1.0, stop=1.0)
    np.testing.assert_array_equal(path.mean_field, s_curve.mean_field)
    assert len(path.at(0.1)) == 3


def door_kernel(seen, p):
    return jnp.stack([jnp.array([[1 - p, p], [0.5, 0.5]]), jnp.array([[0.5, 0.5], [0.1, 0.9]])])


def door_game(stationary):
    """In state 0 the first action moves with probability p, so that there is no game beyond p = 1."""
    pays = jnp.array([[0.0, 0.0], [0.5, 0.5]])
    if stationary:
        options = dict(available=np.ones((2, 2), bool), params={"p": 0.3})
        return mfg.StationaryGame(door_kernel, lambda z: pays - z[:, None], 0.5, **options)
    kernel = lambda t, mu, p: door_kernel(mu, p)  # noqa: E731
    return mfg.FiniteHorizonGame(kernel, lambda t, mu: pays - mu[:, None], [1.0, 0.0], 2, params={"p": 0.3})


@pytest.mark.parametrize("stationary", [False, True])
def test_a_path_ends_where_the_kernel_stops_being_one(stationary):
    game, response = door_game(stationary), mfg.EntropyRegularized(1.0)
    path = mfg.branch(game, response, "p", start=0.3, stop=1.8, resolution=5)
    assert not path.complete and len(path.parameter) > 2
    # rows are probabilities up to the square root of a rounding error, as `solve` has it
    np.testing.assert_allclose(path.parameter.max(), 1, atol=1e-7)
    end = r"The path ends near 1, as the game is not valid at 1\.\d+\. `kernel\[0, 0, 0\]` at .* is -0\."
    assert re.match(end, path.message)
    with pytest.raises(ValueError, match=r"`value` is 1.5, but the path has values from 0.3 to 1\. The path ends"):
        path.at(1.5)


@pytest.fixture(scope="module")
def jumping():
    """The second state pays `size` more from p = 1 on: at smaller p the shares at the last time are even."""

    def reward(t, mu, p, size):
        return size * jnp.floor(p) * jnp.array([[0.0], [1.0]]) - mu[:, None]

    def path(size):
        params = {"p": 0.3, "size": size}
        game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [1, 0]]), reward, [1.0, 0.0], 3, params=params)
        return mfg.branch(game, mfg.EntropyRegularized(1.0), "p", start=0.3, stop=1.7, resolution=1)

    return path


def test_a_path_ends_where_the_equilibrium_jumps(jumping):
    path = jumping(1.0)
    assert not path.complete and "lost near 1" in path.message and 0.99 < path.parameter.max() <= 1
    np.testing.assert_allclose(path.mean_field[:, -1], 0.5, atol=1e-9)


def test_an_equilibrium_within_a_jump_that_was_not_noticed_is_refused_in_a_sentence(jumping):
    path = jumping(0.05)
    assert path.complete
    with pytest.raises(mfg.ConvergenceError, match=r"between its points at 0.3 and 1.7: the equilibrium may jump"):
        path.at(0.99999)
    (found,) = path.at(0.9)
    np.testing.assert_allclose(found.mean_field[-1], 0.5, atol=1e-9)


class Waves(eqx.Module):
    """In state 1 the last reward is field − 0.7 sin(7.87 x + 6.05), with x the share there."""

    field: jax.Array

    def __call__(self, t, mu):
        gain = self.field - 0.7 * jnp.sin(7.87 * mu[1] + 6.05)
        return jnp.where(t == 1, jnp.array([[0.0], [1.0]]) * gain, 0) + jnp.zeros((2, 2))


def test_folds_where_points_of_the_path_are_far_apart_are_those_of_the_hand_computation():
    """x is an equilibrium at the field log(x/(1 − x))/2 + 0.7 sin(7.87 x + 6.05), which turns twice."""
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), Waves(jnp.array(0.0)), [0.5, 0.5], 1)
    path = mfg.branch(game, mfg.EntropyRegularized(2.0), lambda game, _: game.reward.field, start=-6.7, stop=6.7)
    x = np.linspace(0.01, 0.99, 2_000_001)
    field = np.log(x / (1 - x)) / 2 + 0.7 * np.sin(7.87 * x + 6.05)
    turns = np.flatnonzero(np.diff(field)[:-1] * np.diff(field)[1:] < 0) + 1
    np.testing.assert_allclose(np.sort(path.folds), np.sort(field[turns]), atol=1e-9)
    value = field[turns[0]] - 1e-5
    roots = x[np.flatnonzero((field[:-1] - value) * (field[1:] - value) < 0)]
    assert len(roots) == 3
    np.testing.assert_allclose([found.mean_field[1, 1] for found in path.at(value)], roots, atol=1e-6)
