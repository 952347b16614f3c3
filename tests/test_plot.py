"""Pictures: what they show is in proportion, and all of it is legible."""

import itertools
import re
from io import BytesIO

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.quiver import Quiver

import mfgjax as mfg
from mfgjax import plot


@pytest.fixture(scope="module")
def game():
    return mfg.games.resource_allocation()


@pytest.fixture(scope="module")
def reference(game):
    policy = mfg.games.resource_allocation_reference(game)
    return np.broadcast_to(policy, (6, 5, 3))


@pytest.fixture(scope="module")
def flow(game, reference):
    return mfg.propagate(game, reference)


def png(ax: Axes) -> bytes:
    buffer = BytesIO()
    ax.get_figure(root=True).savefig(buffer)
    return buffer.getvalue()


def texts_do_not_overlap_and_are_not_cut(ax: Axes) -> None:
    figure = ax.get_figure(root=True)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
    for first, second in itertools.combinations(boxes, 2):
        assert not first.overlaps(second)


def test_the_graph_has_every_edge_and_prints_every_mass_but_the_smallest(game, flow):
    ax = plot.plot_graph(game, flow[-1], title="the end")
    assert len(png(ax)) > 10_000
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    pairs = [(name, end) for name, ends in zip(game.state_labels, mfg.games.moves(game), strict=True) for end in ends]
    assert len(arrows) == sum(name != end for name, end in pairs)  # of a law alone it is not known who stays
    shown = {text.get_text() for text in ax.texts if text.get_text()}
    assert shown == set("12345") | {f"{mass:.2f}" for mass in np.asarray(flow[-1]) if mass >= 0.005}
    texts_do_not_overlap_and_are_not_cut(ax)


def test_areas_grow_in_proportion_to_mass(game):
    law = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    ax = plot.plot_graph(game, law)
    areas = np.array([patch.radius**2 for patch in ax.patches if isinstance(patch, Circle)])
    np.testing.assert_allclose(np.diff(areas), np.diff(areas)[0])
    assert areas[1] > areas[0] > 0


def widths_of(ax: Axes) -> np.ndarray:
    return np.array([patch.get_linewidth() for patch in ax.patches if isinstance(patch, FancyArrowPatch)])


def test_arrows_widen_with_the_flow(game, flow, reference):
    widths = widths_of(plot.plot_graph(game, flow[0], policy=reference[0]))
    flows = (np.asarray(flow[0])[:, None] * reference[0])[np.asarray(game.available[0])]
    slope, least = np.polyfit(flows, widths, 1)
    assert slope > 1
    np.testing.assert_allclose(widths, least + slope * flows, atol=1e-9)


def test_times_are_side_by_side_with_loops_where_somebody_stays(game, flow, reference):
    ax = plot.plot_graph(game, flow, policy=reference)
    shown = [text.get_text() for text in ax.texts]
    assert [text for text in shown if text.startswith("t =")] == [f"t = {t}" for t in range(6)]
    assert shown.count("3") == 6
    texts_do_not_overlap_and_are_not_cut(ax)
    law = np.array([0.5, 0.5, 0.0, 0.0, 0.0])
    ends = mfg.games.moves(game)
    loops = sum(name in ends[s] for s, name in enumerate(game.state_labels) if law[s] > 0)
    others = sum(name != end for name, row in zip(game.state_labels, ends, strict=True) for end in row)
    assert len(widths_of(plot.plot_graph(game, law, policy=reference[0]))) == others + loops
    assert len(widths_of(plot.plot_graph(game, flow, policy=reference, time=[0, -1]))) > 2 * others
    with pytest.raises(
        ValueError, match="`policy` is of one time, but the law is drawn at 6 times: choose one with `time`"
    ):
        plot.plot_graph(game, flow, policy=reference[0])


@pytest.mark.parametrize("num_states", [3, 8, 20])
def test_rings_of_many_sizes_are_legible(num_states):
    game = mfg.games.ring_crowd(num_states=num_states, horizon=2)
    texts_do_not_overlap_and_are_not_cut(plot.plot_graph(game, game.initial))


def test_the_picture_does_not_depend_on_the_unit_of_positions(game, flow):
    circle = plot.circle_positions(game.state_labels)
    pictures = [png(plot.plot_graph(game, flow[0], positions=circle))]
    for scale in (1e-3, 1e3):
        positions = {name: (scale * x, scale * y) for name, (x, y) in circle.items()}
        ax = plot.plot_graph(game, flow[0], positions=positions)
        texts_do_not_overlap_and_are_not_cut(ax)
        pictures.append(png(ax))
    assert max(map(len, pictures)) - min(map(len, pictures)) < 500


def test_odd_names_are_printed_as_they_are():
    names = ["_hidden", "$x$", "a very long name of a node", "plain", "50%"]
    edges = [(a, b) for a in names for b in names]
    game = mfg.games.graph_game(edges, horizon=1, initial={"plain": 1.0}, running=mfg.games.NodeReward(), nodes=names)
    law = np.full(5, 0.2)
    graph = plot.plot_graph(game, law)
    assert len(png(graph)) > 10_000
    assert {"_hidden", "$x$", "plain", "50%"} <= {line for t in graph.texts for line in t.get_text().split("\n")}
    ax = plot.plot_flow(game, np.array([law, law]), kind="bars")
    assert len(png(ax)) > 5_000
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["50%", "plain", "a very lo…node", "$x$", "_hidden"]


def test_bars_stack_up_to_the_whole_population(game, flow):
    figure = Figure(layout="constrained")
    ax = figure.add_subplot()
    assert plot.plot_flow(game, flow, kind="bars", title="flow", ax=ax) is ax
    heights = np.array([[bar.get_height() for bar in bars] for bars in ax.containers])
    np.testing.assert_allclose(heights, np.asarray(flow).T)
    assert ax.get_xlabel() == "time t (steps)" and ax.get_ylabel() == "share of the population"
    texts_do_not_overlap_and_are_not_cut(ax)


def test_few_states_become_lines(game, flow):
    ax = plot.plot_flow(game, flow)
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines], np.asarray(flow).T)
    assert len({(line.get_linestyle(), line.get_marker()) for line in ax.lines}) == 5  # told apart without colours
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list("12345")


def test_a_grid_becomes_maps_with_its_obstacles():
    blocked = np.zeros((3, 4), bool)
    blocked[1, 1] = True
    game = mfg.games.grid_crowd(3, 4, horizon=2, obstacles=blocked)
    flow = np.stack([np.asarray(game.initial), np.eye(12)[6], np.eye(12)[11]])
    ax = plot.plot_flow(game, flow)
    for image, law in zip(ax.images, flow, strict=True):
        np.testing.assert_array_equal(image.get_array(), np.ma.masked_array(law.reshape(3, 4), blocked))
        assert np.ma.getmaskarray(image.get_array()).sum() == 1
    assert [text.get_text() for text in ax.texts] == ["t = 0", "t = 1", "t = 2"]
    texts_do_not_overlap_and_are_not_cut(ax)
    ax = plot.plot_law(game, flow, time=1)
    np.testing.assert_array_equal(ax.images[0].get_array(), np.ma.masked_array(flow[1].reshape(3, 4), blocked))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column", "row") and ax.yaxis_inverted()
    with pytest.raises(ValueError, match="is for a grid"):
        plot.plot_flow(mfg.games.left_right(), np.full((2, 3), 1 / 3), kind="maps")


def test_a_policy_on_a_grid_is_arrows_as_long_as_its_probabilities():
    game = mfg.games.grid_crowd(2, 3, horizon=1, obstacles=0.0)
    policy = np.zeros((6, 5))
    policy[:, 0] = 1.0
    policy[0] = [0.2, 0.0, 0.3, 0.0, 0.5]  # stay, north, south, west, east
    ax = plot.plot_policy(game, policy)
    dots, arrows = sorted(ax.collections, key=lambda artist: isinstance(artist, Quiver))
    assert arrows.get_offsets().tolist() == [[0, 0], [0, 0]]
    np.testing.assert_allclose(np.stack([arrows.U, arrows.V], axis=1), [[0, 0.3], [0.5, 0]])  # rows go down
    np.testing.assert_allclose(dots._widths / dots._widths.max(), np.sqrt([0.2, 1, 1, 1, 1, 1]))


def test_many_states_become_a_map():
    game = mfg.games.ring_crowd(num_states=30, horizon=3)
    flow = np.tile(np.asarray(game.initial), (4, 1))
    ax = plot.plot_flow(game, flow)
    np.testing.assert_array_equal(ax.images[0].get_array(), flow.T)
    assert len(png(ax)) > 5_000


def test_residuals_are_drawn_by_name(game, reference):
    response = mfg.EntropyRegularized(3.0, reference[0])
    plain = mfg.solve(game, response, mfg.Picard(), throw=False)
    ax = plot.plot_residuals({"plain": plain, "costs $": plain})
    assert len(png(ax)) > 5_000
    assert ax.get_yscale() == "log"
    assert ax.get_legend().get_texts()[0].get_text() == "plain (cycle)"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), plain.history)


def test_what_cannot_be_drawn_is_refused(game, flow):
    with pytest.raises(ValueError, match="no entry for the node '5'"):
        plot.plot_graph(game, flow[0], positions={name: (int(name), 0) for name in "1234"})
    dense = mfg.games.random_dense(num_states=3, num_actions=2, horizon=1)
    with pytest.raises(ValueError, match="MovesKernel"):
        plot.plot_graph(dense, dense.initial)


def test_a_path_is_drawn_with_its_folds():
    # folds where 1/(β x (1 − x)) = 2, at β = 4 in the field log(x/(1 − x))/4 − (2x − 1)
    x = (1 + np.array([-1, 1]) * np.sqrt(0.5)) / 2
    folds = np.log(x / (1 - x)) / 4 - (2 * x - 1)
    game, response = mfg.games.coordination(), mfg.EntropyRegularized(4.0)
    path = mfg.branch(game, response, lambda game, response: game.reward.L.field, start=-1.0, stop=1.0)
    ax = plot.plot_branch(path, path.mean_field[:, 1, 1], parameter="field", label="share", title="S")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("field", "share", "S")
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    assert legend == ["start of the path", "folds: " + ", ".join(f"{fold:.4g}" for fold in folds)]
    *parts, _, marks = ax.lines
    assert [part.get_linestyle() for part in parts] == ["-", "--", "-"]
    np.testing.assert_allclose(marks.get_xdata(), folds, atol=0.01)  # at the nearest points of the path
    assert len(png(ax)) > 10_000


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (plot.plot_sweep, "`dataset` must be what `sweep` returns"),
        (plot.plot_phase, "`dataset` must be what `sweep` returns"),
        (lambda game: plot.plot_sweep_map(game, "residual"), "`dataset` must be what `sweep` returns"),
        (plot.plot_certificates, "`report` must be what `certify` returns"),
        (lambda game: plot.plot_thresholds([1.0], game), "`reports` must be what `certify` returns"),
        (lambda game: plot.plot_thresholds([1.0], [game]), "`reports[0]` must be what `certify` returns"),
        (plot.plot_sensitivity, "`found` must be what `design.sensitivity` returns"),
        (lambda game: plot.plot_laws(game, game), "`before` must be what `solve` returns"),
        (plot.plot_gain, "`gains` must be what `finite.deviation_gain` returns, or map names to that"),
        (lambda game: plot.plot_gain({"a": game}), "`gains['a']` must be what `finite.deviation_gain` returns"),
        (plot.plot_residuals, "`equilibria` must be what `solve` returns, or map names to that"),
        (lambda game: plot.plot_residuals({}), "`equilibria` is empty"),
        (lambda game: plot.plot_tuned(game, game), "`found` must be what `design.tune` returns"),
        (lambda game: plot.circle_positions(game), "`labels` must be a list of names"),
        (lambda game: plot.plot_graph(game, np.eye(3)[[0, 0]], time=[]), "`time` is empty"),
        (lambda game: plot.plot_graph(game, np.eye(3)[0], positions=3), "`positions` must map the names of nodes"),
        (
            lambda game: plot.plot_graph(game, np.eye(3)[0], positions=dict.fromkeys(game.state_labels, (0, np.nan))),
            "`positions['centre']` must be two finite numbers (x, y); got (0, nan)",
        ),
        (lambda game: plot.animate_agents(game, game), "`simulation` must be what `finite.simulate` returns"),
    ],
)
def test_something_else_than_what_is_drawn_is_refused_in_a_sentence(draw, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        draw(mfg.games.left_right())
    assert not plt.get_fignums()


def test_a_path_is_drawn_with_one_number_for_each_point():
    path = mfg.branch(mfg.games.left_right(), mfg.EntropyRegularized(1.0), start=0.1, stop=1.0)
    with pytest.raises(ValueError, match=r"`quantity` has shape .*, but the path has \d+ points"):
        plot.plot_branch(path, path.mean_field[:, 1])
    with pytest.raises(ValueError, match="`path` must be what `branch` returns"):
        plot.plot_branch(path.mean_field, path.mean_field[:, 1, 1])
    assert len(plot.plot_branch(path, path.mean_field[:, 1, 1], log=True).get_legend().get_texts()) == 1
