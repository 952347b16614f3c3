"""Pictures of learners, brackets and hysteresis: what is drawn is what was computed."""

import dataclasses

import numpy as np
import pytest
from helpers import assert_close
from matplotlib.figure import Figure

import mfgjax as mfg
from mfgjax import learners

GAME, RESPONSE = mfg.games.mturk(), mfg.Trembling(0.1)


@pytest.fixture(scope="module")
def runs():
    return {
        name: learners.run(GAME, RESPONSE, learner, 3, num_seeds=3)
        for name, learner in (("shared $Q$", learners.OnlineTMFQ(40)), ("alone", learners.IQL(40)))
    }


@pytest.fixture(scope="module")
def ends():
    return mfg.bracket(GAME, RESPONSE)


def test_means_and_bands_of_distances_and_mean_states(runs, ends):
    ax = mfg.plot.plot_learning(runs, ends.least, title="learning")
    shared = runs["shared $Q$"]
    apart = np.abs(shared.laws - np.asarray(ends.least.mean_field)).sum(axis=2) / 2
    assert_close(ax.lines[0].get_ydata(), apart.mean(axis=0), atol=1e-12)
    band = ax.collections[0].get_paths()[0].vertices
    assert_close(band[:, 1].max(), (apart.mean(axis=0) + apart.std(axis=0)).max(), atol=1e-12)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [r"shared \$Q\$", "alone"]
    assert ax.get_title() == "learning" and "total variation" in ax.get_ylabel()

    ax = mfg.plot.plot_learning(runs, ends.least, quantity="mean_state", ax=Figure().add_subplot())
    assert_close(ax.lines[1].get_ydata(), runs["alone"].laws.mean(axis=0) @ np.arange(25), atol=1e-12)
    assert_close(ax.lines[2].get_ydata()[0], 8.890705, atol=1e-6)  # the golden value of the least equilibrium
    ax = mfg.plot.plot_learning(runs, [ends.least, ends.greatest], quantity="mean_state")
    assert_close(ax.lines[3].get_ydata()[0], 20.109247, atol=1e-6)


def test_laws_at_the_end_cumulated_or_not(runs, ends):
    ax = mfg.plot.plot_learned_laws(runs, ends.greatest)
    assert_close(ax.lines[0].get_ydata()[-1], 1, atol=1e-12)
    assert_close(ax.lines[2].get_ydata(), np.cumsum(ends.greatest.mean_field), atol=1e-12)
    ax = mfg.plot.plot_learned_laws({"alone": runs["alone"]}, cumulative=False)
    assert_close(ax.lines[0].get_ydata(), runs["alone"].laws[:, -1].mean(axis=0), atol=1e-12)
    assert ax.get_legend() is None


def test_a_bracket_is_drawn_by_tails(ends):
    ax = mfg.plot.plot_bracket(ends)
    assert "0.58 apart" in ax.get_title()
    thick = [line for line in ax.lines if line.get_linewidth() > 2]
    for line, end in zip(thick, (ends.least, ends.greatest), strict=True):
        law = np.asarray(end.mean_field)
        assert_close(line.get_ydata(), [law[s:].sum() for s in range(25)], atol=1e-12)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "least equilibrium, mean 8.89",
        "greatest equilibrium, mean 20.11",
    ]


def test_a_bracket_without_a_proof_is_not_called_one_equilibrium(ends):
    found = dataclasses.replace(ends, greatest=ends.least, falling=ends.rising, distance=0.0, complementarity=None)
    assert found.coincide and found.certificate.startswith("unknown")
    ax = mfg.plot.plot_bracket(found)
    assert ax.get_title() == "the ends coincide"
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["from the least law, mean 8.89", "from the greatest law, mean 8.89"]


def test_a_value_alone_at_which_the_ways_differ_is_shaded():
    there = np.array([[0.5, 0.5], [0.9, 0.1], [0.5, 0.5], [0.6, 0.4]])
    back = np.array([[0.5, 0.5], [0.1, 0.9], [0.5, 0.5], [0.5, 0.5]])
    error = np.array([[0, 0, 0, 0.2], [0, 0, 0, 0.2]])  # the last difference may be error alone
    path = mfg.results.Hysteresis("price", np.array([0.0, 1, 3, 4]), there, back, False, error)
    (shaded,) = mfg.plot.plot_hysteresis(path).collections
    (cell,) = shaded.get_paths()
    assert (cell.vertices[:, 0].min(), cell.vertices[:, 0].max()) == (0.5, 2.0)


def test_hysteresis_is_shaded_where_the_ways_differ():
    path = mfg.hysteresis(GAME, RESPONSE, "reward.effort_cost", [0.24, 0.16, 0.11])
    ax = mfg.plot.plot_hysteresis(path, label="price", title="there and back")
    assert_close(ax.lines[0].get_ydata(), path.mean_state[0])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "two equilibria at least",
        "parameter falling",
        "parameter rising",
    ]
    assert ax.get_xlabel() == "price" and ax.get_title() == "there and back"


def test_wrong_arguments_are_named(runs, ends):
    with pytest.raises(ValueError, match="`runs` must map at least one name"):
        mfg.plot.plot_learning({})
    with pytest.raises(ValueError, match="`equilibrium` must be given"):
        mfg.plot.plot_learning(runs)
    with pytest.raises(ValueError, match="`equilibrium` holds 1 laws for 2 runs"):
        mfg.plot.plot_learning(runs, [ends.least])
    with pytest.raises(ValueError, match="`quantity`"):
        mfg.plot.plot_learning(runs, ends.least, quantity="policy")
    with pytest.raises(ValueError, match="`found` must be what `bracket` returns"):
        mfg.plot.plot_bracket(runs)
    with pytest.raises(ValueError, match="`found` must be what `hysteresis` returns"):
        mfg.plot.plot_hysteresis(ends)
