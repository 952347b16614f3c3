"""Pictures: what they show is in proportion, all of it is legible, and pyplot is left alone."""

import itertools
import re
from io import BytesIO

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

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


def test_the_graph_has_every_edge_and_prints_every_mass(game, flow):
    ax = plot.plot_graph(game, flow[-1], title="the end")
    assert len(png(ax)) > 10_000
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == sum(map(len, mfg.games.moves(game))) == 13
    shown = {text.get_text() for text in ax.texts}
    assert shown == set("12345") | {f"{mass:.3f}" for mass in np.asarray(flow[-1])}
    texts_do_not_overlap_and_are_not_cut(ax)


def test_areas_grow_in_proportion_to_mass(game):
    law = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    ax = plot.plot_graph(game, law)
    areas = np.array([patch.radius**2 for patch in ax.patches if isinstance(patch, Circle)])
    np.testing.assert_allclose(np.diff(areas), np.diff(areas)[0])
    assert areas[1] > areas[0] > 0


def test_arrows_widen_with_the_flow(game, flow, reference):
    ax = plot.plot_graph(game, flow[0], policy=reference[0])
    widths = [patch.get_linewidth() for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    flows = (np.asarray(flow[0])[:, None] * reference[0])[np.asarray(game.available[0])]
    np.testing.assert_allclose(np.diff(widths), 5 * np.diff(flows), atol=1e-12)


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
    game = mfg.games.graph_game(edges, horizon=1, initial={"plain": 1.0}, nodes=names)
    law = np.full(5, 0.2)
    graph = plot.plot_graph(game, law)
    assert len(png(graph)) > 10_000
    assert {"_hidden", "$x$", "plain", "50%"} <= {line for t in graph.texts for line in t.get_text().split("\n")}
    ax = plot.plot_flow(game, np.array([law, law]))
    assert len(png(ax)) > 5_000
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert shown == ["50%", "plain", "a very long n…", "$x$", "_hidden"]


def test_bars_stack_up_to_the_whole_population(game, flow):
    figure = Figure(layout="constrained")
    ax = figure.add_subplot()
    assert plot.plot_flow(game, flow, title="flow", ax=ax) is ax
    heights = np.array([[bar.get_height() for bar in bars] for bars in ax.containers])
    np.testing.assert_allclose(heights, np.asarray(flow).T)
    assert ax.get_xlabel() == "time t (steps)" and ax.get_ylabel() == "share of the population"
    texts_do_not_overlap_and_are_not_cut(ax)


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


def test_pyplot_holds_no_figure(game, flow):
    assert plot.plot_graph(game, flow[0]).get_figure(root=True).canvas.manager is None


def test_notebooks_show_the_figure_of_new_axes(game, flow):
    ax = plot.plot_flow(game, flow)
    shown = ax._repr_png_()
    assert shown[:4] == b"\x89PNG" and len(shown) > 10_000
    assert shown == ax.get_figure(root=True)._repr_png_()


def test_axes_that_are_given_stay_what_they_are(game, flow):
    ax = Figure().add_subplot()
    assert plot.plot_flow(game, flow, ax=ax) is ax


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
        (lambda game: plot.animate_agents(game, game), "`simulation` must be what `finite.simulate` returns"),
    ],
)
def test_something_else_than_what_is_drawn_is_refused_in_a_sentence(draw, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        draw(mfg.games.left_right())


def test_a_path_is_drawn_with_one_number_for_each_point():
    path = mfg.branch(mfg.games.left_right(), mfg.EntropyRegularized(1.0), start=0.1, stop=1.0)
    with pytest.raises(ValueError, match=r"`quantity` has shape .*, but the path has \d+ points"):
        plot.plot_branch(path, path.mean_field[:, 1])
    with pytest.raises(ValueError, match="`path` must be what `branch` returns"):
        plot.plot_branch(path.mean_field, path.mean_field[:, 1, 1])
    assert len(plot.plot_branch(path, path.mean_field[:, 1, 1], log=True).get_legend().get_texts()) == 1
