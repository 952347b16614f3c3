"""Pictures of policies, laws and flows show the same numbers of equilibria, arrays, files and points of sweeps."""

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

import mfgjax as mfg
from mfgjax import io, plot

GAME = mfg.games.resource_allocation()
RESPONSE = mfg.EntropyRegularized(3.0, mfg.games.resource_allocation_reference(GAME))


@pytest.fixture(scope="module")
def eq():
    return mfg.solve(GAME, RESPONSE)


@pytest.fixture(scope="module")
def forms(eq, tmp_path_factory):
    """What can be drawn, by how it is given."""
    path = io.save_equilibrium(tmp_path_factory.mktemp("eq") / "eq.nc", GAME, eq)
    swept = mfg.sweep(GAME, RESPONSE, beta=[1.0, 3.0], outputs=("mean_field", "policy"))
    return {
        "equilibrium": (GAME, eq),
        "file": (io.load_equilibrium(path),),
        "file of a game": (GAME, io.load_equilibrium(path)),
        "dataset": (io.to_dataset(GAME, eq),),
        "point of a sweep": (GAME, swept.sel(beta=3.0)),
    }


FORMS = ("equilibrium", "file", "file of a game", "dataset", "point of a sweep")


def next_nodes(policy):
    """π(next node | node) by a loop over the edges."""
    names, found = mfg.games.moves(GAME), np.zeros((5, 5))
    for s in range(5):
        for a, name in zip(np.flatnonzero(GAME.available[0, s]), names[s], strict=True):
            found[s, GAME.state_labels.index(name)] += policy[s, a]
    return found


@pytest.mark.parametrize("form", FORMS)
def test_flows_are_those_of_the_equilibrium_however_it_is_given(form, forms, eq):
    flow = np.asarray(eq.mean_field)
    bars = plot.plot_flow(*forms[form], kind="bars")
    np.testing.assert_allclose([[bar.get_height() for bar in c] for c in bars.containers], flow.T, atol=1e-9)
    heat = plot.plot_flow(*forms[form], kind="heat")
    np.testing.assert_allclose(heat.images[0].get_array(), flow.T, atol=1e-9)
    area = plot.plot_flow(*forms[form], kind="area", ax=Figure().add_subplot())
    tops = [
        [patch.get_paths()[0].vertices[patch.get_paths()[0].vertices[:, 0] == t, 1].max() for t in range(6)]
        for patch in area.collections
    ]
    np.testing.assert_allclose(tops, flow.cumsum(axis=1).T, atol=1e-9)
    assert area.get_legend() is not None and len(area.get_legend().get_texts()) == 5


@pytest.mark.parametrize("form", FORMS)
def test_policies_are_told_by_the_nodes_they_lead_to(form, forms, eq):
    ax = plot.plot_policy(*forms[form], time=3)
    image = ax.images[0].get_array()
    expected = next_nodes(np.asarray(eq.policy[3]))
    np.testing.assert_allclose(image.filled(0), expected.T, atol=1e-9)
    np.testing.assert_array_equal(np.ma.getmaskarray(image), expected.T == 0)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(GAME.state_labels)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("state", "state it leads to", "t = 3")
    assert {text.get_text() for text in ax.texts} == {f"{p:.2f}" for p in expected[expected > 0]}


@pytest.mark.parametrize("form", FORMS)
def test_a_state_is_drawn_over_time(form, forms, eq):
    ax = plot.plot_policy(*forms[form], state="2")
    expected = np.array([next_nodes(policy)[1] for policy in np.asarray(eq.policy)])
    nodes = np.flatnonzero(expected.any(axis=0))
    np.testing.assert_allclose(ax.images[0].get_array(), expected[:, nodes].T, atol=1e-9)
    assert [label.get_text() for label in ax.get_yticklabels()] == [GAME.state_labels[n] for n in nodes]
    assert [label.get_text() for label in ax.get_xticklabels()] == list("012345")


@pytest.mark.parametrize("form", FORMS)
def test_graphs_have_the_masses_and_flows_of_their_time(form, forms, eq):
    ax = plot.plot_graph(*forms[form], time=1)
    masses = {f"{mass:.2f}" for mass in np.asarray(eq.mean_field[1]) if mass >= 0.005}
    assert masses <= {text.get_text() for text in ax.texts}
    widths = [patch.get_linewidth() for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    flows = (np.asarray(eq.mean_field[1])[:, None] * np.asarray(eq.policy[1]))[np.asarray(GAME.available[0])]
    np.testing.assert_allclose(max(widths) - 0.8, (sorted(widths)[-2] - 0.8) * flows.max() / np.sort(flows)[-2])
    # after the last time nobody moves
    last = plot.plot_graph(*forms[form], time=-1)
    assert len({patch.get_linewidth() for patch in last.patches if isinstance(patch, FancyArrowPatch)}) == 1
    assert (ax.get_title(), last.get_title()) == ("t = 1", "t = 5")


def test_without_a_graph_policies_are_told_by_actions():
    game = mfg.games.random_dense(num_states=4, num_actions=3, horizon=2)
    eq = mfg.solve(game, mfg.EntropyRegularized(1.0))
    ax = plot.plot_policy(game, eq)
    np.testing.assert_array_equal(ax.images[0].get_array(), np.asarray(eq.policy[0]).T)
    assert [label.get_text() for label in ax.get_yticklabels()] == list(game.action_labels)
    ax = plot.plot_policy(game, np.asarray(eq.policy[1]), ax=Figure().add_subplot())  # a table by itself has no time
    np.testing.assert_array_equal(ax.images[0].get_array(), np.asarray(eq.policy[1]).T)
    assert ax.get_title() == ""
    ax = plot.plot_policy(game, eq, state=game.state_labels[2])
    np.testing.assert_array_equal(ax.images[0].get_array(), np.asarray(eq.policy[:, 2]).T)


def test_a_stationary_policy_has_no_time():
    game = mfg.games.infection_spread()
    eq = mfg.solve(game, mfg.Trembling(0.2))
    ax = plot.plot_policy(io.to_dataset(game, eq))
    np.testing.assert_array_equal(ax.images[0].get_array(), np.asarray(eq.policy).T)
    with pytest.raises(ValueError, match="`time` is 2, but what is drawn does not change with time"):
        plot.plot_policy(game, eq, time=2)
    with pytest.raises(ValueError, match="this policy is the same at all times"):
        plot.plot_policy(game, eq, state="3")


def test_bars_are_the_law_of_a_time(eq):
    ax = plot.plot_law(GAME, eq, time=2)
    np.testing.assert_array_equal([bar.get_height() for bar in ax.patches], eq.mean_field[2])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("state", "share of the population", "t = 2")
    ends = mfg.sweep(GAME, RESPONSE, beta=[3.0], outputs=("terminal_law",)).sel(beta=3.0)
    shown = [bar.get_height() for bar in plot.plot_law(ends).patches]
    np.testing.assert_allclose(shown, eq.mean_field[-1], atol=1e-9)


def test_of_many_states_a_stack_tells_eleven_apart():
    game = mfg.games.ring_crowd(num_states=20, horizon=50)
    flow = np.random.default_rng(0).dirichlet(np.arange(1, 21) / 4, 51)
    ax = plot.plot_flow(game, flow, kind="area")
    assert len(ax.collections) == 12
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    most = np.sort(np.argsort(-flow.max(axis=0))[:11])
    assert names == ["9 others", *[str(s) for s in most[::-1]]]
    assert tuple(ax.collections[-1].get_facecolor()[0]) == to_rgba("white")
    assert len(plot.plot_flow(game, flow).images) == 1  # so many states are a map by themselves


def test_games_of_a_sweep_that_are_smaller_are_drawn_without_what_they_lack():
    swept = mfg.sweep(lambda num_states: mfg.games.ring_crowd(num_states=num_states, horizon=2),
                      mfg.EntropyRegularized(1.0), num_states=[4, 6], outputs=("mean_field", "policy"))  # fmt: skip
    small = swept.sel(num_states=4)
    assert np.isnan(small.mean_field).any()
    assert len(plot.plot_flow(small).lines) == 4
    assert plot.plot_policy(small).images[0].get_array().shape[1] == 4


def test_a_history_is_drawn_with_its_tolerance(eq, forms):
    for one in (eq, forms["file"][0]):
        ax = plot.plot_residuals(one, title="one")
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), eq.history)
        np.testing.assert_array_equal(ax.lines[1].get_ydata(), [eq.tolerance] * 2)
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["converged", "tolerance"]
    both = plot.plot_residuals({"now": eq, "then": forms["file"][0]})
    assert [text.get_text() for text in both.get_legend().get_texts()] == ["now (converged)", "then (converged)"]


def test_a_wide_layout_has_its_title_near_by(eq):
    names = [f"n{i}" for i in range(6)]
    edges = [(a, b) for i, a in enumerate(names) for b in names[max(0, i - 1) : i + 2]]
    game = mfg.games.graph_game(edges, horizon=1, initial={"n0": 1.0}, running=mfg.games.NodeReward(), nodes=names)
    places = {name: (i, 0.3 * (i % 2)) for i, name in enumerate(names)}
    for shown in (places, None):
        ax = plot.plot_graph(game, game.initial, positions=shown, title="wide")
        figure = ax.get_figure(root=True)
        figure.canvas.draw()
        title = ax.title.get_window_extent()
        below = max(artist.get_window_extent().y1 for artist in (*ax.texts, *ax.patches))
        assert 0 <= title.y0 - below < 0.6 * figure.dpi
        assert figure.bbox.y1 - title.y1 < 0.5 * figure.dpi


def test_what_cannot_be_drawn_is_refused(eq, forms):
    swept = mfg.sweep(GAME, RESPONSE, beta=[1.0, 3.0], outputs=("mean_field", "policy"))
    with pytest.raises(ValueError, match=r"along beta: choose one of them, such as `dataset.sel\(beta=1.0\)`"):
        plot.plot_flow(GAME, swept)
    with pytest.raises(ValueError, match=r"`equilibria` must be what `solve` returned.* without `residual_history`"):
        plot.plot_residuals(swept.sel(beta=1.0))
    with pytest.raises(ValueError, match="there is no policy to draw: if this is a point of a sweep"):
        plot.plot_policy(swept.drop_vars("policy").sel(beta=1.0))
    with pytest.raises(ValueError, match="give the game first, then the dataset"):
        plot.plot_graph(swept.sel(beta=1.0))
    with pytest.raises(ValueError, match="has other states or actions"):
        plot.plot_flow(mfg.games.left_right(), forms["file"][0])
    with pytest.raises(ValueError, match="`game` must be a game, or a dataset"):
        plot.plot_flow(eq)
    with pytest.raises(ValueError, match="nothing else can be given"):
        plot.plot_flow(forms["file"][0], eq)
    with pytest.raises(ValueError, match="there is nothing to draw"):
        plot.plot_flow(GAME)
    with pytest.raises(ValueError, match=r"the law has shape \(6, 4\), but `game` has 5 states"):
        plot.plot_flow(GAME, np.ones((6, 4)))
    with pytest.raises(ValueError, match="`kind`"):
        plot.plot_flow(GAME, eq, kind="pie")
    with pytest.raises(ValueError, match="`time` is 6, but there are times 0 to 5"):
        plot.plot_policy(GAME, eq, time=6)
    with pytest.raises(ValueError, match=r"`state` is '9', but .* no state of this name; the states are 1, 2, 3"):
        plot.plot_policy(GAME, eq, state="9")
    with pytest.raises(ValueError, match="cannot both be given"):
        plot.plot_policy(GAME, eq, state="2", time=1)
    with pytest.raises(ValueError, match="needs at least two times"):
        plot.plot_flow(GAME, np.asarray(eq.mean_field)[:1], kind="area")
    with pytest.raises(ValueError, match="holds no equilibrium"):
        plot.plot_flow(swept.drop_vars(["mean_field", "policy", "terminal_law"], errors="ignore").sel(beta=1.0))
