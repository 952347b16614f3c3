"""Animations of crowds: every picture shows the masses of its time, and notebooks show them."""

import base64
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from PIL import Image

import mfgjax as mfg
from mfgjax import io, plot

GAME = mfg.games.resource_allocation()


@pytest.fixture(scope="module")
def eq():
    return mfg.solve(GAME, mfg.EntropyRegularized(3.0))


def frames_of(animation, tmp_path):
    """Masses and discs of every picture by (t, k); saving also spares a warning."""
    found = {}
    for t, k in animation.new_frame_seq():
        drawn = animation._func((t, k))
        found[t, k] = drawn, drawn[0].axes.get_title(loc="left")
        if isinstance(drawn[0], Circle) or any(hasattr(artist, "get_text") for artist in drawn):
            texts = [artist.get_text() for artist in drawn if hasattr(artist, "get_text")]
            masses = [float(text) for text in texts if "." in text]
            discs = [a.radius**2 for a in drawn if isinstance(a, Circle) and a.get_zorder() == 1.5]
            nodes = [a.radius**2 for a in drawn if isinstance(a, Circle) and a.get_zorder() == 2]
            found[t, k] = masses, nodes, discs, found[t, k][1]
        else:
            found[t, k] = [bar.get_height() for bar in drawn], found[t, k][1]
    animation.save(tmp_path / "crowd.gif", writer="pillow", dpi=50)
    return found


def test_masses_are_those_of_the_time_and_even_between(eq, tmp_path):
    flow = np.asarray(eq.mean_field)
    frames = frames_of(plot.animate_flow(GAME, eq, frames_per_step=2, title="β = 3"), tmp_path)
    assert set(frames) == {(t, k) for t in range(6) for k in (0, 1)} - {(5, 1)}
    for (t, k), (masses, _, _, title) in frames.items():
        expected = flow[t] if k == 0 else (flow[t] + flow[t + 1]) / 2
        np.testing.assert_allclose(masses, expected[expected >= 0.005], atol=5.1e-3)  # two digits are printed
        assert title == (f"β = 3, t = {t}" if k == 0 else f"β = 3, t = {t} → {t + 1}")
    with Image.open(tmp_path / "crowd.gif") as picture:
        assert picture.n_frames == 11  # pictures that are the same are one


def test_discs_have_the_area_that_they_add_to_a_node(eq, tmp_path):
    frames = frames_of(plot.animate_flow(GAME, eq, frames_per_step=2), tmp_path)
    _, nodes, none, _ = frames[0, 0]
    assert not none  # at a time everybody is at a node
    by_mass = np.polyfit(np.asarray(eq.mean_field[0]), nodes, 1)[0]
    moves = {s: [GAME.state_labels.index(n) for n in names] for s, names in enumerate(mfg.games.moves(GAME))}
    leave = [
        float(eq.mean_field[0, s] * eq.policy[0, s, a])
        for s in range(5)
        for a, n in zip(np.flatnonzero(GAME.available[0, s]), moves[s], strict=True)
        if n != s
    ]
    np.testing.assert_allclose(frames[0, 1][2], by_mass * np.array([m for m in leave if m >= 5e-4]))


def test_saved_equilibria_and_bare_flows_move(eq, tmp_path):
    frames = frames_of(plot.animate_flow(io.to_dataset(GAME, eq), frames_per_step=2), tmp_path)
    law = np.asarray(eq.mean_field[2])
    np.testing.assert_allclose(frames[2, 0][0], law[law >= 0.005], atol=5.1e-3)
    bare = frames_of(plot.animate_flow(GAME, np.asarray(eq.mean_field), frames_per_step=2), tmp_path)
    assert all(not discs for _, _, discs, _ in bare.values())  # of a law alone it is not known who moves


def test_without_a_graph_bars_move(tmp_path):
    game = mfg.games.random_dense(num_states=4, horizon=2)
    eq = mfg.solve(game, mfg.EntropyRegularized(1.0))
    frames = frames_of(plot.animate_flow(game, eq, frames_per_step=2), tmp_path)
    np.testing.assert_allclose(frames[1, 1][0], (eq.mean_field[1] + eq.mean_field[2]) / 2)
    np.testing.assert_allclose(frames[2, 0][0], eq.mean_field[2])


def test_axes_that_are_given_keep_what_is_on_them(eq, tmp_path):
    left, right = Figure(figsize=(10, 5)).subplots(1, 2)
    own = right.add_patch(Circle((0, 0), 0.1))
    frames_of(plot.animate_flow(GAME, eq, frames_per_step=1, ax=right), tmp_path)
    assert own in right.patches and not left.patches


def test_notebooks_show_a_gif(eq, tmp_path):
    animation = plot.animate_flow(GAME, eq, frames_per_step=1)
    (text,) = re.findall(r'<img src="data:image/gif;base64,([^"]+)"', animation._repr_mimebundle_()["text/html"])
    (tmp_path / "shown.gif").write_bytes(base64.b64decode(text))
    with Image.open(tmp_path / "shown.gif") as picture:
        assert picture.n_frames == 6


def test_what_cannot_move_is_refused(eq):
    stationary = mfg.games.infection_spread()
    with pytest.raises(ValueError, match="does not change with time"):
        plot.animate_flow(stationary, stationary.initial)
    with pytest.raises(ValueError, match="`frames_per_step` must be at least 1"):
        plot.animate_flow(GAME, eq, frames_per_step=0)
    with pytest.raises(ValueError, match="no entry for the node '2'"):
        plot.animate_flow(GAME, eq, positions={"1": (0.0, 0.0)})
