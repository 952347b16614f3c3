"""Every picture belongs to pyplot, draws where it is told to, and follows the user's style."""

import dataclasses
import inspect

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.animation import FuncAnimation
from matplotlib.colors import to_rgb
from shown import ASCENT

import mfgjax as mfg
from mfgjax import plot
from mfgjax.certify import Certificate, Report
from mfgjax.design import Sensitivity, TradeOff, Tuned
from mfgjax.finite import DeviationGain, Simulation
from mfgjax.multiplicity.bracket import Bracket
from mfgjax.multiplicity.branch import Branch
from mfgjax.multiplicity.hysteresis import Hysteresis

NAMES = [name for name in dir(plot) if name.startswith(("plot_", "animate_"))]
GAME = mfg.games.left_right()
MARKET = mfg.StationaryGame(np.full((2, 2, 2), 0.5), np.eye(2), 0.5)


@pytest.fixture(scope="module")
def drawings():
    """What draws each kind of picture, from two solves and otherwise from made-up results."""
    eq = mfg.solve(GAME, mfg.EntropyRegularized(1.0))
    still = mfg.solve(MARKET, mfg.Trembling(0.1))
    half, betas, numbers = np.full((3, 2), 0.5), np.geomspace(0.1, 10, 4), np.array([2, 64, 128])
    path = Branch(betas, np.zeros(4), np.array([]), np.array([]), True, "", lambda value: [])
    zero, low = np.zeros((1, 1, 1, 3)), 1.0 / numbers
    gain = DeviationGain(*map(jnp.asarray, (numbers, low, low, low, low, 0.0, 0.0, low, zero, zero, low, low)), "exact")
    names = [
        "naive_chain",
        "span_sum",
        "path_span",
        "contraction",
        "monotone",
        "hypomonotone",
        "unique",
        "critical_beta",
    ]
    lines = [Certificate(name, "", "", np.float64(0), np.float64(2), np.int8(1), *[""] * 4) for name in names]
    report = Report(tuple(lines), np.float64(1.0), None, None, None, None)
    table = {"terminal_law": (("beta", "state"), np.full((4, 2), 0.5)), "result_code": ("beta", [0, 0, 1, 2])}
    table |= {"num_steps": ("beta", [3, 4, 5, 6]), "residual": ("beta", [1e-9, 1e-9, 1e-2, 1e-1])}
    ds = xr.Dataset(table, {"beta": betas, "state": ["0", "1"]}, {"criterion": "residual"})
    way = dataclasses.replace(ASCENT, laws=half)
    ends = Bracket(still, still, way, way, 0.0, True, None)
    tuned = Tuned({}, GAME, None, eq, 0.1, np.array([0.1]), np.array([0.1]), {}, ("",), half[:, :1], half[:, :1],
                  np.zeros((3, 1), bool), 3)  # fmt: skip
    front = TradeOff(
        np.array([0.2, 0.8]), np.array([0.1, 0.2]), np.array([2.0, 1.0]), np.array([True, True]), {}, (), 3
    )
    slopes = Sensitivity(jnp.array(1.0), {"beta": jnp.array(0.5)}, {"beta": jnp.array(1.0)}, ((), ()))
    states = np.array([[0, 0], [1, 2]])[..., None]
    counts = np.array([[2, 0, 0], [0, 1, 1]])[..., None]
    agents = Simulation(np.array(2), counts, np.zeros((2, 1)), np.array(1.0), states, None, *[None] * 3)
    runs = {"learner": mfg.learners.Run(np.full((2, 5, 2), 0.5), np.full((2, 5, 2, 2), 0.5), None, 4, 0)}
    return {
        "plot_flow": lambda **o: plot.plot_flow(GAME, eq, **o),
        "plot_law": lambda **o: plot.plot_law(GAME, eq, **o),
        "plot_policy": lambda **o: plot.plot_policy(GAME, eq, **o),
        "plot_graph": lambda **o: plot.plot_graph(GAME, eq, **o),
        "plot_residuals": lambda **o: plot.plot_residuals(eq, **o),
        "plot_stationary": lambda **o: plot.plot_stationary(MARKET, still, **o),
        "plot_phase": lambda **o: plot.plot_phase(ds, **o),
        "plot_sweep": lambda **o: plot.plot_sweep(ds, **o),
        "plot_sweep_map": lambda **o: plot.plot_sweep_map(ds, "num_steps", **o),
        "plot_branch": lambda **o: plot.plot_branch(path, betas, **o),
        "plot_bracket": lambda **o: plot.plot_bracket(ends, **o),
        "plot_hysteresis": lambda **o: plot.plot_hysteresis(
            Hysteresis("cost", betas, np.full((4, 2), 0.5), np.full((4, 2), 0.5), False, np.zeros((2, 4))), **o
        ),
        "plot_learning": lambda **o: plot.plot_learning(runs, quantity="mean_state", **o),
        "plot_learned_laws": lambda **o: plot.plot_learned_laws(runs, **o),
        "plot_certificates": lambda **o: plot.plot_certificates(report, **o),
        "plot_thresholds": lambda **o: plot.plot_thresholds([1.0, 2.0], [report, report], **o),
        "plot_gain": lambda **o: plot.plot_gain(gain, **o),
        "plot_laws": lambda **o: plot.plot_laws(eq, tuned, **o),
        "plot_search": lambda **o: plot.plot_search(tuned, **o),
        "plot_tuned": lambda **o: plot.plot_tuned(tuned, eq, **o),
        "plot_trade_off": lambda **o: plot.plot_trade_off(front, **o),
        "plot_sensitivity": lambda **o: plot.plot_sensitivity(slopes, **o),
        "animate_flow": lambda **o: plot.animate_flow(GAME, eq, frames_per_step=1, **o),
        "animate_agents": lambda **o: plot.animate_agents(GAME, agents, frames_per_step=1, **o),
    }


def axes_of(returned):
    """The axes that a function returns; an animation is drawn, as it warns if it never is."""
    if isinstance(returned, FuncAnimation):
        returned._init_draw()
        returned._draw_was_started = True
        return []
    return list(np.ravel(returned))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_drawn_belongs_to_pyplot(name, drawings):
    with plt.rc_context():
        plt.title("on another figure")
        before = dict(plt.rcParams)
        returned = drawings[name]()
        assert len(plt.get_fignums()) == 2 and dict(plt.rcParams) == before
        axes = axes_of(returned)
        plt.title("mine")
        assert (plt.gca() in axes) or isinstance(returned, FuncAnimation)
        assert plt.gca().get_title() == "mine" and set(axes) <= set(plt.gcf().axes)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_given_is_drawn_on(name, drawings):
    figure = plt.figure(layout="constrained", figsize=(14, 8))
    if "ax" in inspect.signature(getattr(plot, name)).parameters:
        left, right = figure.subplots(1, 2)
        returned = drawings[name](ax=right)
        assert returned is right or axes_of(returned) == []
    else:
        left, right = figure.subfigures(1, 2)
        axes = drawings[name](figure=right)
        assert all(ax.get_figure(root=False) in (right, *right.subfigs) for ax in axes)
    assert not left.findobj(lambda artist: isinstance(artist, plt.Line2D) and len(artist.get_xdata()) > 3)
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("name", NAMES)
def test_what_cannot_be_drawn_on_is_refused_and_leaves_no_figure(name, drawings):
    where = "ax" if "ax" in inspect.signature(getattr(plot, name)).parameters else "figure"
    with pytest.raises(ValueError, match=f"`{where}` must be .* of matplotlib.*; got 3"):
        drawings[name](**{where: 3})
    assert not plt.get_fignums()


def brightness(colour):
    return float(np.mean(to_rgb(colour)))


@pytest.mark.parametrize("name", NAMES)
def test_a_dark_style_is_respected(name, drawings):
    with plt.style.context("dark_background"):
        axes_of(drawings[name]())
        figure = plt.gcf()
        legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend() is not None)]
        texts = [
            text for ax in figure.axes for text in (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels())
        ]
        texts += [text for legend in legends for text in legend.get_texts()]
        assert all(brightness(text.get_color()) > 0.9 for text in texts)
        assert all(brightness(ax.get_facecolor()) < 0.2 for ax in figure.axes)
        lines = [line for ax in figure.axes for line in ax.get_lines() if line.get_linestyle() != "None"]
        assert all(brightness(line.get_color()) > 0.3 for line in lines)


@pytest.mark.parametrize(
    "name",
    [
        "plot_flow",
        "plot_residuals",
        "plot_stationary",
        "plot_bracket",
        "plot_learning",
        "plot_learned_laws",
        "plot_search",
    ],
)
def test_ticks_of_times_states_and_steps_are_whole_numbers(name, drawings):
    ax = axes_of(drawings[name]())[0]
    low, high = ax.get_xlim()
    ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
    assert ticks and ticks == [round(tick) for tick in ticks]


def test_colours_are_paul_tols_unless_the_style_has_its_own():
    assert plot.plot_law(GAME, GAME.initial).patches[0].get_facecolor()[:3] == to_rgb("#4477AA")
    for own in ("dark_background", "mfgjax.plot.grey"):
        with plt.style.context(own):
            first = plt.rcParams["axes.prop_cycle"].by_key()["color"][0]
            found = plot.plot_law(GAME, GAME.initial).patches[0].get_facecolor()[:3]
            assert found == pytest.approx(to_rgb(first if first.startswith("#") else f"#{first}"), abs=0.01)


def test_hatches_are_for_pictures_in_grey():
    flow = np.array([[0.2, 0.3, 0.5]] * 2)
    assert not any(bar.get_hatch() for bar in plot.plot_flow(GAME, flow, kind="bars").patches)
    with plt.style.context("mfgjax.plot.grey"):
        assert len({bar.get_hatch() for bar in plot.plot_flow(GAME, flow, kind="bars").patches}) == 3


def test_an_animation_that_a_notebook_shows_leaves_no_picture_behind(drawings):
    assert "image/gif" in drawings["animate_flow"]()._repr_mimebundle_()["text/html"]
    assert plt.get_fignums() == []
