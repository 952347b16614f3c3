"""Pictures of stationary games: bars and shades are the law and the policy."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.quiver import Quiver
from stationary_games import random_game

import mfgjax as mfg


@pytest.fixture(scope="module")
def solved():
    game, _ = random_game(np.random.default_rng(1))
    return game, mfg.solve(game, mfg.EntropyRegularized(2.0))


def test_bars_are_the_law_and_shades_the_policy(solved, tmp_path):
    game, eq = solved
    figure = mfg.plot.plot_stationary(game, eq, title="a $ game_")[0].figure
    upper, lower = figure.axes[:2]
    np.testing.assert_array_equal([bar.get_height() for bar in upper.patches], eq.mean_field)
    (image,) = lower.images
    shown = image.get_array()
    np.testing.assert_array_equal(shown.filled(0), np.asarray(eq.policy).T)
    np.testing.assert_array_equal(np.ma.getmaskarray(shown), ~np.asarray(game.available[0]).T)
    (line,) = upper.lines
    np.testing.assert_allclose(line.get_xdata(), float(eq.mean_state))
    assert upper.texts[0].get_text() == f"mean {float(eq.mean_state):.2f}"
    figure.savefig(tmp_path / "law.png")  # no text is taken for a formula
    assert (tmp_path / "law.png").stat().st_size > 5000


def test_a_saved_equilibrium_is_drawn_as_the_one_at_hand(solved, tmp_path):
    game, eq = solved
    saved = mfg.io.load_equilibrium(mfg.io.save_equilibrium(tmp_path / "eq.nc", game, eq))
    for figure in (mfg.plot.plot_stationary(saved)[0].figure, mfg.plot.plot_stationary(game, saved)[0].figure):
        upper, lower = figure.axes[:2]
        np.testing.assert_array_equal([bar.get_height() for bar in upper.patches], eq.mean_field)
        np.testing.assert_array_equal(np.ma.getmaskarray(lower.images[0].get_array()), ~np.asarray(game.available[0]).T)


def test_states_with_names_have_no_mean():
    names = ["_a", "$b$"]
    game = mfg.StationaryGame(np.full((2, 2, 2), 0.5), np.eye(2), 0.5, state_labels=names, action_labels=["x", "y"])
    figure = mfg.plot.plot_stationary(game, mfg.solve(game, mfg.Trembling(0.1)))[0].figure
    upper, lower = figure.axes[:2]
    assert not upper.lines and not upper.texts
    assert [label.get_text() for label in lower.get_xticklabels()] == names
    assert [label.get_text() for label in lower.get_yticklabels()] == ["x", "y"]


def test_many_states_are_drawn_with_few_names():
    S = 300
    game = mfg.StationaryGame(np.full((S, 1, S), 1 / S), np.zeros((S, 1)), 0.5)
    figure = mfg.plot.plot_stationary(game, mfg.solve(game, mfg.Trembling(0.0)))[0].figure
    upper, lower = figure.axes[:2]
    assert len(upper.patches) == S and len(lower.get_xticks()) <= 26


def test_a_grid_is_a_map_with_arrows_beside_it():
    labels = [f"{s // 2},{s % 2}" for s in range(4)]
    ends = np.arange(4)[:, None] ^ [0, 1]  # action 1 moves to the other column
    grid = mfg.StationaryGame(mfg.MovesKernel(ends), np.zeros((4, 2)), 0.5, state_labels=labels)
    law = np.array([0.1, 0.2, 0.3, 0.4])
    table = {"mean_field": ("state", law), "policy": (("state", "action"), np.tile([0.75, 0.25], (4, 1)))}
    point = xr.Dataset(table, {"state": np.array(labels, dtype=object), "action": [0, 1]})
    left, right = mfg.plot.plot_stationary(grid, point)
    np.testing.assert_array_equal(left.images[0].get_array(), law.reshape(2, 2))
    (arrows,) = (one for one in right.collections if isinstance(one, Quiver))
    np.testing.assert_array_equal(arrows.U, [0.25, -0.25] * 2)
    # moves that are not known: the policy is below, in colours
    upper, lower = mfg.plot.plot_stationary(point)
    np.testing.assert_array_equal(upper.images[0].get_array(), law.reshape(2, 2))
    np.testing.assert_array_equal(lower.images[0].get_array(), np.tile([[0.75], [0.25]], 4))


def test_what_is_not_stationary_is_refused(solved):
    game, eq = solved
    flow_game = mfg.games.left_right()
    flow = mfg.solve(flow_game, mfg.EntropyRegularized(1.0))
    with pytest.raises(ValueError, match=r"`game` must be a `StationaryGame`; got .*: see `plot_flow`"):
        mfg.plot.plot_stationary(flow_game, flow)
    with pytest.raises(ValueError, match="`plot_flow` draws a law for every time; got a stationary game, or one time"):
        mfg.plot.plot_flow(game, eq)
    with pytest.raises(ValueError, match=r"`equilibrium.policy` .*states, actions of `game`"):
        mfg.plot.plot_stationary(game, flow)
