"""A population led there and back along a parameter."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg


def test_a_market_breaks_down_at_a_higher_price_than_it_recovers_at():
    """At every price both ways are between the least and the greatest equilibrium."""
    prices = np.array([0.11, 0.15, 0.164, 0.2, 0.24])
    path = mfg.hysteresis(mfg.games.mturk(), mfg.Trembling(0.1), "reward.effort_cost", prices)
    assert path.found.all()
    there, back = path.mean_state
    assert_close((there[2], back[2]), (20.109247, 8.890705), atol=1e-6)
    assert_close(path.apart(), prices[1:4])
    assert_close(path.distance[[0, -1]], 0, atol=1e-9)
    assert path.jumps(0.3) == {"there": [(0.2, 0.24)], "back": [(0.11, 0.15)]}
    for price, up, down in zip(prices, there, back, strict=True):
        low, high = (np.arange(25) @ end for end in ends_by_iteration(mfg.games.mturk(price)))
        assert low - 1e-6 <= down <= high + 1e-6 and low - 1e-6 <= up <= high + 1e-6


def test_the_way_back_begins_where_the_way_there_ended():
    """At .2 there are two equilibria: from the one at .11 the market stays in the greater, whatever was guessed."""
    empty = np.eye(25)[0]
    path = mfg.hysteresis(mfg.games.mturk(), mfg.Trembling(0.1), "reward.effort_cost", [0.11, 0.2], guess=empty)
    assert_close(path.mean_state, np.full((2, 2), 20.109247), atol=1e-6)
    assert path.apart().size == 0


@eqx.filter_jit
def ends_by_iteration(game):
    """Where plain iteration leads from the smallest and the largest population: the least and greatest equilibrium."""
    step = mfg.mean_field_map(game, mfg.Trembling(0.1))
    return [jax.lax.fori_loop(0, 500, lambda _, z: step(z), jnp.eye(25)[state]) for state in (0, 24)]


def test_flows_of_a_game_with_a_horizon_and_values_that_fail():
    """Coordination at small β has one equilibrium, by symmetry even; a β at which plain iteration cycles is NaN."""
    game = mfg.games.coordination()
    plain = {"response": mfg.EntropyRegularized(1.0), "parameter": "beta", "solver": mfg.Picard()}
    path = mfg.hysteresis(game, values=[0.5, 1.0], **plain)
    assert path.there.shape == (2, game.horizon + 1, 2)
    assert_close(path.there[0], path.back[0], atol=1e-8)
    assert_close(path.mean_state, 0.5, atol=1e-8)
    # crowds that repel: at β = 7 the slope is -3
    cycles = mfg.hysteresis(mfg.games.coordination(field=-0.2, strength=-1.0), values=[0.5, 7.0], **plain)
    assert cycles.found.tolist() == [[True, False], [True, False]]
    assert np.isnan(cycles.distance[1]) and cycles.apart().size == 0


def test_two_ways_to_one_equilibrium_that_is_found_inexactly_are_not_two():
    """At β = 2 coordination has one equilibrium, where DΓ has the eigenvalue 1: both ways end up to 1e-3 off it."""
    game = mfg.games.coordination(field=0.0)
    start = np.array([[0.5, 0.5], [0.02, 0.98]])
    path = mfg.hysteresis(game, mfg.EntropyRegularized(4.0), "beta", [4.0, 2.0, 1.0], solver=mfg.Newton(), guess=start)
    # a residual below the tolerance, and a distance of up to 1e-3: ill conditioned; the way back starts at the root
    assert path.found.tolist() == [[True, False, True], [True, True, True]] and path.apart().tolist() == [4.0]
    # x = σ(4 (2x − 1)) on the way there; from the even law on the way back
    x = 0.98
    for _ in range(200):
        x = 1 / (1 + np.exp(-4 * (2 * x - 1)))
    assert_close((path.there[0, 1, 1], path.back[0, 1, 1]), (x, 0.5), atol=1e-8)
    assert (path.error[:, 0] < 1e-8).all()


def test_an_epidemic_breaks_out_once_nobody_ill_is_unstable():
    """Of the healthy a share rate · (ill) falls ill, of the ill half recover: ill = 1 − 1/(2 rate), or nobody is."""
    rates = np.array([0.3, 0.6, 0.9])
    path = mfg.hysteresis(epidemic(), mfg.EntropyRegularized(1.0), "rate", rates)
    assert_close(path.there[:, 1], np.maximum(1 - 1 / (2 * rates), 0), atol=1e-8)
    assert path.apart().size == 0


def epidemic(rate=0.9):
    """One choice; the healthy, the ill."""

    def moves(z, rate):
        return jnp.array([[[1 - rate * z[1], rate * z[1]]], [[0.5, 0.5]]])

    return mfg.StationaryGame(moves, np.zeros((2, 1)), 0.9, params={"rate": rate}, initial=[0.8, 0.2])


@pytest.mark.parametrize("solver", [mfg.Auto(), mfg.Newton()])
def test_an_extrapolated_step_does_not_end_an_epidemic(solver):
    """From a fifth the first step of Newton's method, or of Anderson's, leads below 0."""
    found = mfg.solve(epidemic(), mfg.EntropyRegularized(1.0), solver)
    assert_close(found.mean_field, [5 / 9, 4 / 9], atol=1e-9)


def test_rounding_makes_nobody_ill():
    """The immune lose their immunity, nobody is ill: a share of −1e-17 grew, and bracket gave infinite numbers."""

    def moves(z):
        return jnp.array([[1 - 0.9 * z[1], 0.9 * z[1], 0.0], [0.0, 0.7, 0.3], [0.1, 0.0, 0.9]])[:, None]

    game = mfg.StationaryGame(moves, np.zeros((3, 1)), 0.9, initial=[0.0, 0.0, 1.0])
    found = mfg.solve(game, mfg.EntropyRegularized(1.0), mfg.Picard())
    assert_close(found.mean_field, [1.0, 0.0, 0.0], atol=1e-9)
    greatest = mfg.bracket(game, mfg.EntropyRegularized(1.0)).greatest.mean_field
    assert_close(greatest, [1.0, 0.0, 0.0], atol=1e-9)
    assert (greatest >= 0).all() and (found.mean_field >= 0).all()


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("reward.cost", [0.1, 0.2], "There is no parameter 'reward.cost'"),
        ("initial", [0.1, 0.2], "must name a single number, but .initial. is an array of shape"),
        ("epsilon", [0.1, 0.9], r"`epsilon\[1\]` is 0.9"),
        ("epsilon", [0.1], "`values` must hold at least two"),
        ("epsilon", [[0.1, 0.2]], "`values`"),
    ],
)
def test_wrong_arguments_are_named(name, values, sentence):
    with pytest.raises(ValueError, match=sentence):
        mfg.hysteresis(mfg.games.mturk(), mfg.Trembling(0.1), name, values)
