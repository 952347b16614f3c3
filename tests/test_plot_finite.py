"""Pictures of finite populations: lines are where the numbers are, agents where they were simulated to be."""

import itertools
from io import BytesIO

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from PIL import Image

import mfgjax as mfg
from mfgjax import plot
from mfgjax.finite import DeviationGain, Simulation
from mfgjax.plot.finite import fitted_slope

NUMBERS = np.array([2, 16, 64, 256, 1024])


def made(gain, gap=None, *, numbers=NUMBERS, error=None, limit=0.0, method="closed form"):
    """Gains that are what one says."""
    gain, n = np.asarray(gain, float), len(numbers)
    gap, error = (np.zeros(n) if x is None else np.asarray(x, float) for x in (gap, error))
    nothing = np.zeros((1, 1, 1, n))
    arrays = (numbers, gain, gap, gap, gap, np.array(0.0), np.array(limit), 3 * gain, nothing, nothing, error, error)
    return DeviationGain(*map(jnp.asarray, arrays), method)


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line(ax, beginning):
    return next(found for found in ax.lines if str(found.get_label()).startswith(beginning))


def all_is_inside(ax):
    figure, buffer = ax.get_figure(root=True), BytesIO()
    figure.savefig(buffer)
    texts = [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label, *ax.get_legend().get_texts()]
    for box in (text.get_window_extent() for text in texts if text.get_text()):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    return len(buffer.getvalue()) > 10_000


def test_the_slope_is_that_of_a_power():
    np.testing.assert_allclose(fitted_slope(NUMBERS, 5.0 * NUMBERS**-1.5), -1.5, rtol=1e-12)
    bent = np.where(NUMBERS < 64, 1.0, NUMBERS**-2.0)
    np.testing.assert_allclose(fitted_slope(NUMBERS, bent), -2, rtol=1e-12)  # from 64 on
    assert np.isnan(fitted_slope([64, 128], [1.0, 0.0])) and np.isnan(fitted_slope([2, 4], [1.0, 1.0]))


def test_lines_are_where_the_numbers_are():
    gains = {"with KL terms": made(0.1 / NUMBERS**2.0, 0.3 / NUMBERS), "alone": made(0.2 + 1.0 / NUMBERS, limit=0.2)}
    ax = plot.plot_gain(gains, title="β = 3")
    np.testing.assert_allclose(line(ax, "gain (with").get_ydata(), 0.1 / NUMBERS**2.0)
    np.testing.assert_allclose(line(ax, "value gap").get_ydata(), 0.3 / NUMBERS)
    np.testing.assert_allclose(line(ax, "proved bound").get_ydata(), 0.3 / NUMBERS**2.0)
    half = line(ax, "slope −1/2")
    np.testing.assert_allclose(half.get_ydata(), 0.15 * (NUMBERS / 2) ** -0.5)
    assert legend(ax) == [
        "gain (with KL terms): slope −2.00",
        "gain (alone): tends to 0.2",
        "value gap: slope −1.00",
        "slope −1/2: Theorem 2 of Guan et al.",
        "proved bound on the gain (with KL terms): slope −2.00",
    ]
    assert ax.get_legend().get_title().get_text() == "slopes: fitted for N = 64 to 1,024"
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert ax.get_xlabel() == "number of agents N" and ax.get_ylabel() == "units of reward"
    assert all_is_inside(ax)


def test_slopes_are_fitted_to_the_numbers_asked_for():
    bent = made(np.where(NUMBERS < 64, 1.0 / NUMBERS, NUMBERS**-2.0), 1.0 / NUMBERS)
    assert legend(plot.plot_gain(bent))[0] == "gain: slope −2.00"
    assert legend(plot.plot_gain(bent, fit=(2, 16)))[0] == "gain: slope −1.00"
    few = made([1.0, 0.5], [1.0, 0.5], numbers=np.array([2, 4]))
    ax = plot.plot_gain(few)
    assert legend(ax)[0] == "gain: slope −1.00"
    assert ax.get_legend().get_title().get_text() == "slopes: fitted for N = 2 to 4"


def test_estimates_have_bars_and_what_is_not_clear_an_arrow():
    exact = made(1.0 / NUMBERS**2.0, 1.0 / NUMBERS)
    sampled = made([0.26, 0.001], [0.51, 0.06], numbers=NUMBERS[:2], error=[0.02, 0.004], method="Monte Carlo")
    ax = plot.plot_gain({"": exact}, sampled={"": sampled})
    bars = [found for found in ax.containers if len(found.lines[2])]
    ends = np.concatenate([bar.lines[2][0].get_segments() for bar in bars if bar.lines[2][0].get_segments()])
    np.testing.assert_allclose(ends[0], [[2, 0.24], [2, 0.28]])
    assert any(np.allclose(segment[:, 0], 16) and np.isclose(segment[:, 1].max(), 0.009) for segment in ends)
    assert "Monte Carlo, ± 1 standard error" in legend(ax) and all_is_inside(ax)


def test_gains_of_monte_carlo_alone_are_points():
    sampled = made([0.26, 0.004], [0.5, 0.06], numbers=NUMBERS[:2], error=[0.02, 0.001], method="Monte Carlo")
    ax = plot.plot_gain(sampled)
    assert not any(str(found.get_label()).startswith("gain") for found in ax.lines)
    assert legend(ax)[0].startswith("gain: slope") and all_is_inside(ax)


def test_axes_that_are_given_are_drawn_on():
    above, below = Figure(layout="constrained", figsize=(9, 9)).subplots(2)
    assert plot.plot_gain(made(1.0 / NUMBERS, 1.0 / NUMBERS), ax=below) is below
    assert not above.lines and below.get_figure(root=True).canvas.manager is None


def test_gains_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="no gain is above 0"):
        plot.plot_gain(made(np.zeros(5)))
    with pytest.raises(ValueError, match="two numbers of agents"):
        plot.plot_gain(made([1.0], numbers=np.array([2])))
    with pytest.raises(ValueError, match="`sampled` has 'b', but `gains` has 'a'"):
        plot.plot_gain({"a": made(np.ones(5))}, sampled={"b": made(np.ones(5))})
    with pytest.raises(ValueError, match="1 to 4 entries; got 0"):
        plot.plot_gain({})


@pytest.fixture(scope="module")
def game():
    return mfg.games.resource_allocation()


def walking(states, *, deviates=False):
    """One run of agents at these places, `[T, N]`."""
    states = np.asarray(states)[..., None]
    T, N, _ = states.shape
    counts = np.stack([[np.bincount(nodes[:, 0], minlength=5)] for nodes in states]).reshape(T, 5, 1)
    numbers = np.array(N, np.int32)
    who = (states[:, 0], states[:, 0], np.zeros((T, 1))) if deviates else (None, None, None)
    return Simulation(numbers, counts, np.zeros((T, 1)), np.array(1.0), states, states, *who)


def frames_of(animation, tmp_path):
    """Where the agents are in every picture, and the texts; drawing them also spares a warning."""
    found = []
    for frame in animation.new_frame_seq():
        drawn = animation._func(frame)
        texts = {artist.get_text() for artist in drawn if hasattr(artist, "get_text")}
        found.append((frame, np.array(drawn[0].get_offsets()), texts, drawn[0].axes.get_title(loc="left")))
    animation.save(tmp_path / "agents.gif", writer="pillow", dpi=60)
    return found


PATHS = np.array([[0, 0, 1, 4, 2], [0, 1, 2, 0, 2], [4, 1, 3, 1, 3]])


def test_agents_are_at_their_nodes_at_all_times_and_on_edges_between(game, tmp_path):
    animation = plot.animate_agents(game, walking(PATHS), frames_per_step=4, title="five")
    frames = frames_of(animation, tmp_path)
    places = np.array(list(plot.circle_positions(game.state_labels).values()))
    for (t, k), offsets, _, title in frames:
        if k == 0:
            apart = np.linalg.norm(offsets[:, None] - places[None], axis=-1)
            assert apart.argmin(axis=1).tolist() == PATHS[t].tolist()
            assert title == f"five, t = {t}"
        else:
            assert title == f"five, t = {t} → {t + 1}"
    stood = [offsets for (t, k), offsets, _, _ in frames if t < 2]
    for before, after in itertools.pairwise(stood):
        assert np.linalg.norm(after - before, axis=1).max() < 1.0  # no jumps: edges are up to 1.9 long
    # the first agent stays where it is until t = 1, in the same place of its node
    first = [offsets[0] for (t, k), offsets, _, _ in frames if t == 0 or (t, k) == (1, 0)]
    assert max(np.linalg.norm(place - first[0]) for place in first) < 1e-12


def test_agents_never_cover_each_other_at_a_node(game, tmp_path):
    states = np.zeros((3, 60), int)
    states[1, 30:], states[2, ::2] = 1, 2
    states[2, 1::2] = states[1, 1::2]
    animation = plot.animate_agents(game, walking(states), frames_per_step=2)
    for (_, k), offsets, _, _ in frames_of(animation, tmp_path):
        if k == 0:
            apart = np.linalg.norm(offsets[:, None] - offsets[None], axis=-1) + np.eye(60)
            dots = next(c for c in animation._fig.axes[0].collections if isinstance(c, EllipseCollection))
            assert apart.min() > dots._widths[0] * 2  # half widths


def test_counts_are_beside_the_nodes(game, tmp_path):
    animation = plot.animate_agents(game, walking(PATHS))
    for (t, _), _, texts, _ in frames_of(animation, tmp_path):
        counts = np.bincount(PATHS[t], minlength=5)
        assert {f"{label}: {n}" for label, n in zip(game.state_labels, counts, strict=True)} <= texts
        assert set("12345") <= texts  # of the agents


def test_texts_are_apart_and_inside(tmp_path):
    for name in ("left_right", "ring_crowd", "resource_allocation"):
        game = getattr(mfg.games, name)()
        states = np.zeros((2, 3), int)
        counts = np.zeros((2, game.num_states, 1), int)
        simulation = Simulation(
            np.array(3), counts, np.zeros((2, 1)), np.array(1.0), states[..., None], None, *[None] * 3
        )
        animation = plot.animate_agents(game, simulation, frames_per_step=1)
        frames_of(animation, tmp_path)
        figure = animation._fig
        figure.canvas.draw()
        (ax,) = figure.axes
        boxes = [text.get_window_extent() for text in ax.texts if ":" in text.get_text()]
        assert len(boxes) == game.num_states
        for box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        for first, second in itertools.combinations(boxes, 2):
            assert not first.overlaps(second)


def test_the_picture_moves_and_a_deviator_stands_out(game, tmp_path):
    animation = plot.animate_agents(game, walking(PATHS, deviates=True), frames_per_step=3)
    frames_of(animation, tmp_path)
    with Image.open(tmp_path / "agents.gif") as picture:
        assert picture.n_frames == 2 * 3 + 1  # pictures that are the same are one
    dots = next(c for c in animation._fig.axes[0].collections if isinstance(c, EllipseCollection))
    assert not np.allclose(dots.get_facecolors()[0], dots.get_facecolors()[1])


def test_axes_that_are_given_are_animated_on(game, tmp_path):
    left, right = Figure(figsize=(10, 5)).subplots(1, 2)
    frames_of(plot.animate_agents(game, walking(PATHS), ax=right), tmp_path)
    assert right.collections and not left.collections


def test_what_cannot_be_animated_is_refused(game):
    counted = Simulation(np.array(5), np.zeros((3, 5, 1), int), np.zeros((3, 1)), np.array(1.0), *[None] * 5)
    with pytest.raises(ValueError, match="has no labels: simulate with `labelled=True`"):
        plot.animate_agents(game, counted)
    with pytest.raises(ValueError, match="`run` is 1, but there are runs 0 to 0"):
        plot.animate_agents(game, walking(PATHS), run=1)
    with pytest.raises(ValueError, match="no entry for the node '2'"):
        plot.animate_agents(game, walking(PATHS), positions={"1": (0.0, 0.0)})
    with pytest.raises(ValueError, match="`frames_per_step` must be at least 1"):
        plot.animate_agents(game, walking(PATHS), frames_per_step=0)
    dense = mfg.games.random_dense()
    with pytest.raises(ValueError, match="MovesKernel"):
        plot.animate_agents(dense, walking(PATHS))
