"""Pictures of thresholds: lines are where the certificates say, and shades claim no more than those."""

import math
from io import BytesIO

import jax
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from mfgjax import plot
from mfgjax.certify import Certificate, Report
from mfgjax.certify.paper_bounds import PaperBound

NAMES = (
    "paper_meant",
    "naive_chain",
    "span_sum",
    "path_span",
    "contraction",
    "monotone",
    "hypomonotone",
    "unique",
    "critical_beta",
)
INF, NAN = math.inf, math.nan
PAPER, NAIVE = "contraction: Theorem 1 of Guan et al.", "contraction: Lipschitz constants"
UNIQUE = "one equilibrium: the best of these"


def report(beta=1.0, log10_paper=-20.0, **thresholds):
    """A report with these thresholds, NaN where none is given, each holding below its own."""

    def line(name):
        end = thresholds.get(name, NAN)
        word = np.int8(1 if beta < end else 0)
        return Certificate(name, "", "", np.float64(0), np.float64(end), word, "", "", "", "")

    bound = PaperBound(*(np.float64(x) for x in (1, 2, 3, 4, log10_paper)))
    return Report(tuple(map(line, NAMES)), np.float64(beta), None, None, None, bound)


def family(x):
    """Thresholds 0.1/x, 1/x, 3/x and 5/x."""
    found = []
    for v in x:
        ends = dict(span_sum=1 / v, path_span=1 / v, contraction=1 / v, unique=3 / v, critical_beta=5 / v)
        found.append(report(naive_chain=0.1 / v, **ends))
    return found


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line(ax, label):
    return next(found for found in ax.lines if found.get_label() == label)


def arrows(ax):
    """Horizontal places of the arrows at the upper edge."""
    found = [artist for artist in ax.lines if artist.get_marker() == "^" and artist.get_label().startswith("_")]
    assert all(np.all(artist.get_ydata() == 1) for artist in found)
    return np.concatenate([artist.get_xdata() for artist in found])


def all_is_inside(ax):
    figure, buffer = ax.get_figure(root=True), BytesIO()
    figure.savefig(buffer)
    texts = [*ax.texts, ax.title, ax.xaxis.label, ax.yaxis.label]
    texts += ax.get_yticklabels() if ax.get_yscale() == "linear" else []  # log axes have some that are not drawn
    texts += [] if ax.get_legend() is None else ax.get_legend().get_texts()
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    for box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    return len(buffer.getvalue()) > 10_000


def test_lines_are_where_the_certificates_say():
    x = [4.0, 1.0, 2.0]
    ax = plot.plot_thresholds(x, family(x), parameter="congestion", beta=0.5, title="a ring")
    spans = "contraction: spans of rewards,\n = spans along paths"
    for label, times in ((NAIVE, 0.1), (spans, 1), (UNIQUE, 3), ("critical β", 5)):
        np.testing.assert_array_equal(line(ax, label).get_xdata(), [1, 2, 4])
        np.testing.assert_allclose(line(ax, label).get_ydata(), times / np.array([1, 2, 4]))
    assert ax.get_yscale() == "log" and ax.get_xlabel() == "congestion"
    assert ax.get_ylabel() == "inverse temperature β (1/reward)"
    assert "asked for: β = 0.5" in legend(ax)
    assert all_is_inside(ax)


def test_bounds_that_coincide_are_one_line_and_others_are_not():
    differs = [report(naive_chain=v, span_sum=v, path_span=v + (v > 1), unique=v, critical_beta=v) for v in (1.0, 2.0)]
    labels = legend(plot.plot_thresholds([1, 2], differs))
    assert f"{NAIVE},\n = spans of rewards" in labels and "contraction: spans along paths" in labels
    assert UNIQUE in labels and "critical β" in labels  # what they are about differs


def test_what_holds_at_every_beta_is_an_arrow_at_the_edge():
    reports = [report(path_span=2.0, contraction=2.0, unique=end) for end in (INF, INF, 4.0)]
    ax = plot.plot_thresholds([-2, -1, 1], reports)
    np.testing.assert_array_equal(arrows(ax), [-2, -1])
    np.testing.assert_array_equal(line(ax, UNIQUE).get_ydata(), [NAN, NAN, 4])
    assert any(text.startswith("at the upper edge") for text in legend(ax))
    assert "critical β: not known" in legend(ax)


def test_one_far_value_does_not_stretch_the_picture():
    ends = [2.0, 1e15, 2.0, 1.0, 0.5]
    ax = plot.plot_thresholds(range(5), [report(path_span=end, unique=end) for end in ends])
    assert ax.get_ylim()[1] < 20
    np.testing.assert_array_equal(np.unique(arrows(ax)), [1])


def test_the_papers_bound_is_drawn_only_near_the_picture():
    ends = dict(path_span=1.0, unique=1.0)
    near = plot.plot_thresholds([1, 2], [report(log10_paper=-1.0, **ends), report(log10_paper=-1.3, **ends)])
    np.testing.assert_allclose(line(near, PAPER).get_ydata(), [0.1, 10**-1.3])
    assert near.get_ylim()[0] < 10**-1.3
    far = plot.plot_thresholds([1, 2], [report(log10_paper=-400.0, **ends), report(log10_paper=-300.5, **ends)])
    assert far.get_ylim()[0] > 0.01
    assert any("not drawn, at β = 1.0e-400 to 3.2e-301" in text for text in legend(far))


def shades(ax):
    return [found for found in ax.collections if isinstance(found, PolyCollection)]


@pytest.mark.parametrize("order", [1, -1])
def test_shades_claim_nothing_between_a_point_and_one_on_the_edge(order):
    reports = [report(path_span=1.0, contraction=1.0, unique=u, critical_beta=u) for u in (3.0, INF)][::order]
    ax = plot.plot_thresholds([0, 1], reports)
    proved, contracts, fails = (found.get_paths()[0] for found in shades(ax))
    high = ax.get_ylim()[1]
    assert proved.contains_point((0.5, 2.9)) and not proved.contains_point((0.5, 3.1))
    assert contracts.contains_point((0.5, 0.9)) and not contracts.contains_point((0.5, 1.1))
    assert not fails.contains_point((0.5, 0.99 * high))


def test_reports_of_vmap_are_drawn_like_single_ones():
    x = np.array([1.0, 2.0, 4.0])
    together = jax.tree.map(lambda *leaves: np.stack(leaves), *family(x))
    one, other = plot.plot_thresholds(x, family(x)), plot.plot_thresholds(x, together)
    assert legend(one) == legend(other)
    for a, b in zip(one.lines, other.lines, strict=True):
        np.testing.assert_array_equal(a.get_ydata(), b.get_ydata())


def test_values_that_grow_by_a_factor_have_a_log_axis():
    for x, scale in ((np.geomspace(0.1, 8, 6), "log"), (np.linspace(0.5, 8, 6), "linear"), ([-1, 0, 3], "linear")):
        assert plot.plot_thresholds(x, [report(path_span=1.0)] * len(x)).get_xscale() == scale


def test_a_family_of_one_is_drawn():
    ax = plot.plot_thresholds([3.0], family([3.0]))
    assert all_is_inside(ax)


def test_bars_end_at_their_thresholds():
    one = report(0.5, naive_chain=0.1, span_sum=0.8, path_span=0.8, monotone=INF, unique=INF, critical_beta=1.4)
    ax = plot.plot_certificates(one, title="one game")
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == [
        f"{PAPER} (unknown)",
        f"{NAIVE} (unknown)",
        "contraction: spans of rewards (holds)",
        "contraction: spans along paths (holds)",
        "one equilibrium: monotone rewards (holds)",
        f"{UNIQUE} (holds)",
        "below the critical β (holds)",
    ]
    low, high = ax.get_xlim()
    ends = [bar.get_segments()[0][1][0] for bar in ax.collections]
    np.testing.assert_allclose(ends, [low, 0.1, 0.8, 0.8, high, high, 1.4])
    texts = [text.get_text() for text in ax.texts]
    assert texts[0] == "β < 1.0e-20" and texts[2] == "β < 0.8" and texts[4] == "every β"
    assert texts[-1] == "asked for: β = 0.5"
    assert all_is_inside(ax)


def test_axes_that_are_given_are_drawn_on():
    above, below = Figure(layout="constrained", figsize=(9, 9)).subplots(2)
    assert plot.plot_thresholds([1, 2], family([1, 2]), ax=above) is above
    assert plot.plot_certificates(report(path_span=1.0), ax=below) is below
    assert all_is_inside(above) and above.get_figure(root=True).canvas.manager is None


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="there are 3 values"):
        plot.plot_thresholds([1, 2, 3], family([1, 2]))
    for values in (["a", "b"], [1, NAN], [], [[1, 2]]):
        with pytest.raises(ValueError, match="`values` must be finite numbers"):
            plot.plot_thresholds(values, family([1, 2]))
    for draw in (lambda: plot.plot_thresholds([1], [report()]), lambda: plot.plot_certificates(report())):
        with pytest.raises(ValueError, match="nothing to draw"):
            draw()
    with pytest.raises(ValueError, match="is of 2 games"):
        plot.plot_certificates(jax.tree.map(lambda *leaves: np.stack(leaves), *family([1, 2])))
