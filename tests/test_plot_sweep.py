"""Pictures of sweeps: they show the dataset's numbers, leave out what failed and say so, and are legible."""

import itertools
from io import BytesIO

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm
from matplotlib.text import Text

import mfgjax as mfg
from mfgjax import plot
from mfgjax.plot import plot_sweep_map

FIELDS = ("residual", "tolerance", "num_steps", "exploitability")


def solved(game, references, betas, solver, max_steps):
    """What `sweep` is to return for these, by a loop over references and a map over betas."""
    lanes = []
    for reference in references.values():

        def one(beta, reference=reference):
            response = mfg.EntropyRegularized(beta, reference)
            found = mfg.solve(game, response, solver, max_steps=max_steps, throw=False)
            numbers = {name: getattr(found, name) for name in FIELDS}
            result = dict(result_code=found.result.code, result_period=found.result.period)
            return dict(numbers, **result, mean_field=found.mean_field)

        lanes.append(jax.jit(lambda values, one=one: jax.lax.map(one, values))(jnp.asarray(betas)))
    data = {
        name: (("beta", "reference", "time", "state")[: lane.ndim + 1], np.stack([run[name] for run in lanes], axis=1))
        for name, lane in lanes[0].items()
    }
    coords = dict(beta=betas, reference=list(references), time=np.arange(game.horizon + 1), state=game.state_labels)
    attrs = dict(game="resource_allocation", criterion="residual", observes="states")
    return xr.Dataset(data, {name: np.array(value) for name, value in coords.items()}, attrs)


@pytest.fixture(scope="module")
def example():
    """The paper's example by plain iteration: it cycles from β = 1.43 on with the paper's reference."""
    game = mfg.games.resource_allocation()
    references = {"paper": mfg.games.resource_allocation_reference(game), "uniform": None}
    dataset = solved(game, references, np.geomspace(0.01, 100, 25), mfg.Picard(), 400)
    return dataset.assign(terminal_law=dataset.mean_field.isel(time=-1))


def made(num_states=5, dims=("beta", "reference", "congestion"), sizes=(6, 2, 8), seed=0):
    """A dataset of that form with random numbers; all lanes converged."""
    rng = np.random.default_rng(seed)
    coords = {
        "beta": np.geomspace(0.1, 100, sizes[0]),
        "reference": np.array(["paper", "uniform", *"abcdefghijklmnopqrstuv"], dtype=object),
        "congestion": np.linspace(0.5, 4, 8),
        "horizon": np.arange(1, 9),
    }
    coords = {dim: coords[dim][:size] for dim, size in zip(dims, sizes, strict=True)}
    data = {
        "terminal_law": ((*dims, "state"), rng.dirichlet(np.ones(num_states), sizes)),
        "result_code": (dims, np.zeros(sizes, int)),
        "num_steps": (dims, rng.integers(3, 40, sizes)),
        "residual": (dims, 10 ** rng.uniform(-14, -10, sizes)),
        "tolerance": (dims, np.full(sizes, 1e-10)),
    }
    coords["state"] = np.array([f"s{i}" for i in range(num_states)], dtype=object)
    return xr.Dataset(data, coords, {"game": "made", "criterion": "residual"})


def zipped(num_points=40):
    """Points in no order, of two references."""
    rng = np.random.default_rng(1)
    dataset = made(dims=("beta",), sizes=(num_points,)).rename(beta="point").drop_vars("point")
    beta, reference = rng.permutation(np.geomspace(0.1, 100, num_points)), rng.choice(["paper", "uniform"], num_points)
    return dataset.assign_coords(beta=("point", beta), reference=("point", reference))


def plot_phase(*arguments, **options):
    """The figure that is drawn."""
    return plot.plot_phase(*arguments, **options)[0].get_figure(root=True)


def plot_sweep(*arguments, **options):
    return plot.plot_sweep(*arguments, **options)[0].get_figure(root=True)


def png(picture) -> bytes:
    buffer = BytesIO()
    picture.get_figure(root=True).savefig(buffer)
    return buffer.getvalue()


def legend_of(figure):
    (box,) = figure.legends
    return [text.get_text() for text in box.get_texts()]


def words(code):
    return mfg.RESULTS(code).name.replace("_", " ")


def hatched(ax):
    """The borders of what is hatched from bottom to top, by hatching."""
    found = {}
    for boxes in ax.collections:
        if isinstance(boxes, PolyCollection) and boxes.get_hatch() is not None:
            found[boxes.get_hatch()] = [
                (path.vertices[:, 0].min(), path.vertices[:, 0].max()) for path in boxes.get_paths()
            ]
    return found


def all_texts_are_apart_and_inside(figure):
    figure = figure.get_figure(root=True)
    figure.draw_without_rendering()
    texts = [figure._suptitle, *(sub._suptitle for sub in figure.subfigs)]
    boxes = [*figure.legends, *(box for sub in figure.subfigs for box in sub.legends)]
    for ax in figure.axes:
        texts += [ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [
                label
                for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
                if low <= tick.get_loc() <= high
                for label in (tick.label1, tick.label2)
            ]
        boxes += [] if ax.get_legend() is None else [ax.get_legend()]
    texts += [text for box in boxes for text in (*box.get_texts(), box.get_title())]
    shown = [text for text in texts if text is not None and text.get_visible() and text.get_text().strip()]
    extents = [text.get_window_extent() for text in shown]
    for text, box in zip(shown, extents, strict=True):
        where = (text.get_text(), box.extents, figure.bbox.extents)
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, where
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, where
    for (a, first), (b, second) in itertools.combinations(zip(shown, extents, strict=True), 2):
        assert not first.overlaps(second), (a.get_text(), b.get_text())


def test_every_line_is_the_law_of_a_state_and_lanes_that_failed_are_gaps(example):
    figure = plot_phase(example)
    assert len(figure.axes) == 2
    for ax, reference in zip(figure.axes, ("paper", "uniform"), strict=True):
        lanes = example.sel(reference=reference)
        assert ax.get_title() == f"reference = {reference}"
        assert ax.get_xscale() == "log" and ax.get_xlabel() == "inverse temperature β (1/reward)"
        assert len(ax.lines) == 5
        for line, state in zip(ax.lines, example.state.values, strict=True):
            expected = np.where(lanes.result_code == 0, lanes.terminal_law.sel(state=state), np.nan)
            np.testing.assert_array_equal(line.get_xdata(), example.beta)
            np.testing.assert_array_equal(line.get_ydata(), expected)
        assert np.isnan(ax.lines[0].get_ydata()).any() and np.isfinite(ax.lines[0].get_ydata()).any()
    assert figure.axes[0].get_ylabel() == "share of the population\nat t = 5"
    all_texts_are_apart_and_inside(figure)


def test_the_order_of_dimensions_does_not_matter(example):
    turned = example.transpose("state", "reference", "time", "beta")
    for ax, expected in zip(plot_phase(turned).axes, plot_phase(example).axes, strict=True):
        for line, other in zip(ax.lines, expected.lines, strict=True):
            np.testing.assert_array_equal(line.get_xydata(), other.get_xydata())
    mesh, expected = (plot_sweep_map(data, "residual").collections[0] for data in (turned, example))
    np.testing.assert_array_equal(mesh.get_array(), expected.get_array())


def test_what_failed_is_hatched_up_to_half_way_and_named_with_its_range(example):
    figure = plot_phase(example.isel(reference=[0]))
    code, beta = example.result_code.isel(reference=0).values, example.beta.values
    first = np.flatnonzero(code)[0]
    assert (code[:first] == 0).all() and (code[first:] != 0).all()  # plain iteration, as in the paper's erratum
    cycles = np.flatnonzero(code == mfg.RESULTS.cycle)
    expected = f"cycle: {len(cycles)} of 25\nβ = {beta[cycles[0]]:.4g} to 100"
    assert expected in legend_of(figure)
    borders = sorted(itertools.chain(*hatched(figure.axes[0]).values()))
    assert borders[0][0] == pytest.approx(np.sqrt(beta[first - 1] * beta[first]))
    assert borders[-1][1] >= 100
    for (_, end), (start, _) in itertools.pairwise(borders):
        assert end == pytest.approx(start)


def test_each_way_to_fail_has_a_hatching_of_its_own():
    count = len(mfg.RESULTS)
    dataset = made(dims=("beta",), sizes=(2 * count,))
    dataset["result_code"] = ("beta", np.repeat(np.arange(count), 2))
    figure = plot_phase(dataset)
    assert len(hatched(figure.axes[0])) == count - 1
    names = [words(result) for result in mfg.RESULTS if result]
    assert [text.split(":")[0] for text in legend_of(figure)[5:]] == names
    assert len(png(figure)) > 10_000


def test_a_lane_between_failures_is_marked_and_one_between_gaps_too():
    dataset = made(dims=("beta",), sizes=(200,))
    code = np.ones(200, int)
    code[[0, 100, 101, 150]] = 0
    dataset["result_code"] = ("beta", code)
    for line in plot_phase(dataset).axes[0].lines:
        assert {0, 150} <= set(line.get_markevery())


def test_the_last_law_comes_from_the_mean_field_if_need_be(example):
    by_flow = plot_phase(example.drop_vars("terminal_law"))
    joint = example.mean_field.expand_dims(action=["a", "b"], axis=-1) / 2
    by_joint = plot_phase(example.drop_vars("terminal_law").assign(mean_field=joint))
    for figure in (by_flow, by_joint):
        for ax, expected in zip(figure.axes, plot_phase(example).axes, strict=True):
            for line, other in zip(ax.lines, expected.lines, strict=True):
                np.testing.assert_allclose(line.get_ydata(), other.get_ydata())


def test_games_of_different_shapes_are_drawn_each_with_its_own_states_and_last_time():
    builder, horizons, sizes = mfg.games.ring_crowd, [2, 4], [5, 12]
    flow = np.full((1, 2, 2, 5, 12), np.nan)
    for (i, horizon), (j, n) in itertools.product(enumerate(horizons), enumerate(sizes)):
        game = builder(num_states=n, horizon=horizon)
        flow[0, i, j, : horizon + 1, :n] = mfg.solve(game, mfg.EntropyRegularized(1.0)).mean_field
    dims = ("beta", "horizon", "num_states")
    dataset = xr.Dataset(
        {"mean_field": ((*dims, "time", "state"), flow), "result_code": (dims, np.zeros((1, 2, 2), int))},
        dict(beta=[1.0], horizon=horizons, num_states=sizes, time=np.arange(5), state=[str(i) for i in range(12)]),
    )
    figure = plot_phase(dataset, along="beta")
    assert figure.axes[4].get_ylabel() == "share of the population at the last time"
    for ax, (i, j) in zip(figure.axes[:4], np.ndindex(2, 2), strict=True):
        last = np.ma.masked_invalid(flow[0, i, j, horizons[i]])
        np.testing.assert_allclose(ax.collections[0].get_array()[:, 0].filled(-1), last.filled(-1))


def test_lanes_that_an_interrupted_sweep_left_are_said_to_be_not_computed():
    dataset = made(dims=("beta", "reference"), sizes=(9, 2))
    dataset["result_code"][5:] = -1
    for name in ("terminal_law", "residual"):
        dataset[name][5:] = np.nan
    beta = dataset.beta.values
    assert legend_of(plot_phase(dataset))[-1] == f"not computed: 8 of 18\nβ = {beta[5]:.4g} to {beta[-1]:.4g}"
    bar = plot_sweep_map(dataset, "result_code").collections[0].colorbar
    assert [label.get_text() for label in bar.ax.get_yticklabels()] == ["not computed", "converged"]
    all_texts_are_apart_and_inside(plot_sweep(dataset))


def test_of_many_values_an_even_choice_is_drawn_and_named():
    dataset = made()
    figure = plot_phase(dataset, title="a sweep")
    expected = [
        f"reference = {reference}\ncongestion = {congestion:.4g}"
        for reference in ("paper", "uniform")
        for congestion in dataset.congestion.values[[0, 2, 5, 7]]
    ]
    assert [ax.get_title() for ax in figure.axes] == expected
    assert figure.get_suptitle() == "a sweep\ncongestion: 4 of 8 values"
    lane = dataset.terminal_law.isel(congestion=2, state=3).sel(reference="uniform")
    np.testing.assert_array_equal(figure.axes[5].lines[3].get_ydata(), lane)
    all_texts_are_apart_and_inside(figure)


@pytest.mark.parametrize("num_references, rows, columns", [(1, 1, 1), (3, 1, 3), (5, 2, 3), (8, 2, 4), (20, 4, 4)])
def test_one_more_axis_is_folded_into_rows(num_references, rows, columns):
    figure = plot_phase(made(dims=("beta", "reference"), sizes=(6, num_references)))
    assert len(figure.axes) == min(num_references, 16)
    grid = figure.axes[0].get_subplotspec().get_gridspec()
    assert grid.get_geometry() == (rows, columns)
    for ax in figure.axes[-columns:]:
        assert ax.get_xlabel() and all(tick.label1.get_visible() for tick in ax.xaxis.get_major_ticks())
    all_texts_are_apart_and_inside(figure)


def test_three_more_axes_make_at_most_sixteen_panels():
    figure = plot_phase(made(dims=("beta", "reference", "congestion", "horizon"), sizes=(4, 2, 8, 8)))
    assert len(figure.axes) == 16
    assert figure.get_suptitle() == "congestion: 2 of 8 values; horizon: 4 of 8 values"
    all_texts_are_apart_and_inside(figure)


def test_more_than_six_states_are_a_map_of_states_with_gaps_where_lanes_failed():
    dataset = made(num_states=7, dims=("beta", "reference"), sizes=(30, 2))
    dataset["result_code"][3, 1] = mfg.RESULTS.cycle
    figure = plot_phase(dataset)
    for i, ax in enumerate(figure.axes[:2]):
        mesh = ax.collections[0]
        expected = dataset.terminal_law.isel(reference=i).where(dataset.result_code.isel(reference=i) == 0)
        np.testing.assert_array_equal(mesh.get_array().filled(np.nan), expected.transpose("state", "beta"))
        assert mesh.get_clim() == (0, float(dataset.terminal_law.where(dataset.result_code == 0).max()))
        assert not ax.lines
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(dataset.state.values)
    assert figure.axes[2].get_ylabel() == "share of the population at the last time"
    assert legend_of(figure) == [f"cycle: 1 of 60\nβ = {dataset.beta.values[3]:.4g}"]
    all_texts_are_apart_and_inside(figure)


def test_a_narrow_range_is_linear_and_a_single_value_is_a_mark():
    narrow = plot_phase(made(dims=("beta",), sizes=(6,)).assign_coords(beta=np.linspace(1, 3, 6)))
    assert narrow.axes[0].get_xscale() == "linear"
    single = plot_phase(made(dims=("beta",), sizes=(1,)))
    assert single.axes[0].get_xticks().tolist() == [0.1]
    assert single.axes[0].lines[0].get_markevery() == [0]
    assert len(png(single)) > 5_000


def test_zipped_points_are_sorted_in_a_panel_for_each_name():
    dataset = zipped()
    figure = plot_phase(dataset)
    assert {ax.get_title() for ax in figure.axes} == {"reference = paper", "reference = uniform"}
    for ax in figure.axes:
        points = dataset.isel(point=dataset.reference.values == ax.get_title().split()[-1]).sortby("beta")
        for line, state in zip(ax.lines, range(5), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), points.beta)
            np.testing.assert_array_equal(line.get_ydata(), points.terminal_law[:, state])


def test_no_line_goes_through_points_that_share_their_beta():
    dataset = zipped().drop_vars("reference").assign_coords(beta=("point", np.repeat([1.0, 5.0], 20)))
    assert {line.get_linestyle() for line in plot_phase(dataset).axes[0].lines} == {"None"}


def test_zipped_numbers_are_named_by_their_range():
    dataset = zipped().drop_vars("reference").assign_coords(congestion=("point", np.linspace(2, 7, 40)))
    assert plot_phase(dataset).axes[0].get_title() == "congestion = 2 to 7"


def test_without_beta_the_numbers_with_most_values_are_horizontal():
    dataset = made(dims=("reference", "congestion", "horizon"), sizes=(2, 3, 8))
    assert plot_phase(dataset).axes[-1].get_xlabel() == "horizon"
    assert plot_phase(dataset, along="congestion").axes[-1].get_xlabel() == "congestion"
    one_beta = made(dims=("beta", "congestion"), sizes=(1, 3))
    assert plot_phase(one_beta).axes[0].get_xlabel() == "congestion"
    assert plot_phase(one_beta).axes[0].get_title() == "β = 0.1"


def test_arrays_that_go_by_their_number_are_no_numbers():
    dataset = made(dims=("reference", "congestion"), sizes=(5, 3)).assign_coords(reference=np.arange(5))
    assert plot_phase(dataset).axes[-1].get_xlabel() == "congestion"
    points = zipped().assign_coords(reference=("point", np.arange(40) % 2), start=("point", np.arange(40).astype(str)))
    titles = ["reference = 0\nstart = 20 values", "reference = 1\nstart = 20 values"]
    assert sorted(ax.get_title() for ax in plot_phase(points).axes) == titles


def test_words_as_zarr_holds_them_are_drawn():
    dataset = made(dims=("beta", "reference"), sizes=(4, 2))
    words = {name: dataset[name].values.astype(np.dtypes.StringDType()) for name in ("reference", "state")}
    figure = plot_phase(dataset.assign_coords(words))
    assert [ax.get_title() for ax in figure.axes] == ["reference = paper", "reference = uniform"]
    assert legend_of(figure) == [f"s{i}" for i in range(5)]


def test_names_can_be_horizontal():
    figure = plot_phase(made(dims=("reference",), sizes=(3,)))
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["paper", "uniform", "a"]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), [0, 1, 2])


def test_units_that_the_dataset_gives_are_used():
    dataset = made(dims=("beta", "congestion"), sizes=(3, 4))
    dataset["congestion"].attrs.update(long_name="toll per head", units="reward")
    assert plot_phase(dataset, along="congestion").axes[-1].get_xlabel() == "toll per head (reward)"


def test_dates_are_printed_as_dates_and_values_that_are_no_numbers_refused():
    days = np.array(["2024-01-01", "2024-02-01", "2024-03-01"], dtype="datetime64[ns]")
    dataset = made(dims=("beta",), sizes=(3,))
    ax = plot_phase(dataset.assign_coords(beta=days)).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2024-01-01", "2024-02-01", "2024-03-01"]
    with pytest.raises(ValueError, match=r"`dataset` cannot be drawn along 'beta'.* is nan"):
        plot_phase(dataset.assign_coords(beta=[1.0, np.nan, 3.0]))


def test_odd_names_are_printed_as_they_are():
    dataset = made(num_states=4, dims=("beta", "reference"), sizes=(3, 2)).rename(reference="$r_")
    states = np.array(["_hidden", "$x$", "50%", "a very long name of a state"], dtype=object)
    dataset = dataset.assign_coords(state=states, **{"$r_": np.array(["$y_1$", "_z"], dtype=object)})
    figure = plot_phase(dataset, title="$t$ 5%")
    assert [ax.get_title() for ax in figure.axes] == ["$r_ = $y_1$", "$r_ = _z"]
    assert legend_of(figure) == ["_hidden", "$x$", "50%", "a very lo…tate"]
    assert len(png(figure)) > 10_000
    ax = plot_sweep_map(dataset, "num_steps", title="$t$ 5%")
    assert [label.get_text() for label in ax.get_yticklabels()] == ["$y_1$", "_z"]
    assert ax.get_ylabel() == "$r_"
    assert len(png(ax)) > 5_000
    named = plot_phase(dataset, along="$r_").axes[0]
    assert [label.get_text() for label in named.get_xticklabels()] == ["$y_1$", "_z"]
    assert len(png(named)) > 10_000
    for drawn in (figure, ax.figure, named.figure):
        for text in drawn.findobj(Text):  # ticks that are numbers are formulas of matplotlib's own
            assert not (text.get_parse_math() and "$" in text.get_text().replace("$\\mathdefault", "")[:-1]), text


def test_a_map_has_a_cell_for_every_lane():
    dataset = made()
    ax = plot_sweep_map(dataset, "num_steps")
    (mesh, *_) = ax.collections
    expected = dataset.num_steps.stack(row=("reference", "congestion")).transpose("row", "beta")
    np.testing.assert_array_equal(mesh.get_array(), expected)
    edges = mesh.get_coordinates()[0, :, 0]
    np.testing.assert_allclose(edges[1:-1] ** 2, dataset.beta.values[1:] * dataset.beta.values[:-1])
    np.testing.assert_allclose(edges[1:] / edges[:-1], edges[1] / edges[0])  # as β is, up to both ends
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == ["paper, 0.5", "paper, 1"]
    assert ax.get_ylabel() == "reference, congestion" and ax.yaxis_inverted()
    assert mesh.colorbar.ax.get_ylabel() == "steps of the solver"
    all_texts_are_apart_and_inside(ax)


def test_residuals_have_colours_of_a_log_scale_down_to_rounding():
    dataset = made()
    dataset["residual"][0, 0, :2] = [0.0, 1e-200]
    ax = plot_sweep_map(dataset, "residual")
    mesh = ax.collections[0]
    assert isinstance(mesh.norm, LogNorm) and mesh.norm.vmin == 1e-18
    assert mesh.colorbar.ax.get_ylabel() == "residual (total variation),\nless is drawn as 1e-18"
    np.testing.assert_array_equal(mesh.get_array()[:3, 0], [1e-18, 1e-18, dataset.residual[0, 0, 2]])
    dataset.attrs["criterion"] = "exploitability"
    label = plot_sweep_map(dataset, "residual").collections[0].colorbar.ax.get_ylabel()
    assert label.startswith("residual (units of reward)")


def test_exploitabilities_that_are_rounding_alone_are_said_to_be_so():
    dataset = made()
    dataset["exploitability"] = dataset["residual"] * 0 + 1e-17
    dataset["exploitability"][0, 0, 0] = -1e-15
    mesh = plot_sweep_map(dataset, "exploitability").collections[0]
    assert mesh.colorbar.ax.get_ylabel() == "exploitability (units of reward),\nall below 1e-12"
    assert set(np.ma.compressed(mesh.get_array())) == {1e-12}


def test_cells_of_thousands_of_lanes_show_the_greatest():
    dataset = made(dims=("beta", "reference"), sizes=(4096, 2))
    dataset["residual"][17, 1] = np.nan
    mesh = plot_sweep_map(dataset, "residual").collections[0]
    expected = np.nanmax(dataset.residual.values.T.reshape(2, 512, 8), axis=2)
    np.testing.assert_array_equal(mesh.get_array(), expected)
    assert mesh.colorbar.ax.get_ylabel().endswith("the greatest of 8 neighbours")
    odd = plot_sweep_map(dataset.isel(beta=slice(None, 1030)), "num_steps").collections[0]
    assert odd.get_array().shape == (2, 344) and odd.get_coordinates()[0, -1, 0] > dataset.beta.values[1029]


def test_results_have_a_colour_and_a_hatching_each(example):
    ax = plot_sweep_map(example, "result_code")
    mesh = ax.collections[0]
    present = np.unique(example.result_code)
    names = [words(code) for code in present]
    assert [label.get_text() for label in mesh.colorbar.ax.get_yticklabels()] == names
    np.testing.assert_array_equal(present[mesh.get_array()], example.result_code.values.T)
    failed = " ".join(f"{words(code)} {(example.result_code == code).sum():d}," for code in present[1:])
    assert ax.get_title() == f"hatched: did not converge ({failed[:-1]})"
    assert len(png(ax)) > 5_000


def test_a_sweep_over_one_axis_is_a_line_with_its_tolerance(example):
    dataset = example.isel(reference=0, drop=True)
    ax = plot_sweep_map(dataset, "residual")
    line, tolerance = ax.lines
    np.testing.assert_array_equal(line.get_ydata(), dataset.residual)
    np.testing.assert_array_equal(tolerance.get_ydata(), dataset.tolerance)
    assert ax.get_yscale() == "log" and ax.get_ylabel() == "residual (total variation)"
    assert [text.get_text() for text in ax.texts] == ["tolerance"]
    assert hatched(ax)
    results = plot_sweep_map(dataset, "result_code")
    np.testing.assert_array_equal(results.lines[0].get_ydata(), dataset.result_code)
    names = [words(code) for code in np.unique(dataset.result_code)]
    assert [label.get_text() for label in results.get_yticklabels()] == names


def test_zipped_points_are_a_line_for_each_name():
    dataset = zipped()
    ax = plot_sweep_map(dataset, "num_steps")
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    for line, name in zip(ax.lines, names, strict=True):
        points = dataset.isel(point=dataset.reference.values == name.split()[-1]).sortby("beta")
        np.testing.assert_array_equal(line.get_xdata(), points.beta)
        np.testing.assert_array_equal(line.get_ydata(), points.num_steps)
    all_texts_are_apart_and_inside(ax)


@pytest.mark.parametrize(
    "dataset",
    [
        made(),
        made(dims=("beta",), sizes=(4096,)),
        made(dims=("beta", "reference"), sizes=(3, 2)),
        made(num_states=20, dims=("beta", "reference"), sizes=(50, 5)),
        made(dims=("congestion",), sizes=(8,)),
        made(dims=("reference",), sizes=(20,)),
        made(dims=("beta",), sizes=(1,)),
        made(dims=("beta", "reference", "congestion"), sizes=(1, 1, 1)),
        zipped(),
    ],
    ids=lambda dataset: "x".join(map(str, dataset.result_code.shape)),
)
def test_a_page_is_legible(dataset):
    n = dataset.result_code.size
    figure = plot_sweep(dataset)
    assert figure.get_suptitle().startswith(f"made: {n:,} of {n:,} converged")
    labels = {ax.get_ylabel() for ax in figure.axes}
    assert not labels & {"steps of the solver", "residual (total variation)"}  # for what failed
    all_texts_are_apart_and_inside(figure)
    dataset["result_code"][(0,) * dataset.result_code.ndim] = mfg.RESULTS.cycle
    figure = plot_sweep(dataset)
    assert figure.get_suptitle() == f"made: {n - 1:,} of {n:,} converged"
    labels = {label for ax in figure.axes for label in (ax.get_ylabel(), ax.get_title())}
    assert {"steps of the solver", "residual (total variation)"} <= labels
    all_texts_are_apart_and_inside(figure)


def test_a_page_with_failures_is_legible(example):
    figure = plot_sweep(example, title="by plain iteration")
    assert figure.get_suptitle() == "by plain iteration"
    all_texts_are_apart_and_inside(figure)


def test_a_page_can_be_drawn_where_nothing_converged_or_nothing_differs():
    failed = made(dims=("beta", "reference"), sizes=(5, 2))
    failed["result_code"][:] = mfg.RESULTS.non_finite
    for name in ("terminal_law", "residual"):
        failed[name][:] = np.nan
    same = made(dims=("beta", "reference"), sizes=(5, 2))
    same["num_steps"][:], same["residual"][:] = 3, 0.0
    for dataset in (failed, failed.isel(reference=0), same, same.isel(reference=0)):
        figure = plot_sweep(dataset)
        all_texts_are_apart_and_inside(figure)
        assert len(png(figure)) > 10_000


def test_what_cannot_be_drawn_is_refused(example):
    without = example.drop_vars(["terminal_law", "mean_field"])
    for draw in (plot_phase, plot_sweep):
        with pytest.raises(ValueError, match="neither `terminal_law` nor `mean_field`"):
            draw(without)
    with pytest.raises(ValueError, match="`along` is 'state', but the swept axes are 'beta', 'reference'"):
        plot_phase(example, along="state")
    with pytest.raises(ValueError, match="no variable `result_code`"):
        plot_phase(example.drop_vars("result_code"))
    with pytest.raises(ValueError, match=r"its `result_code` has shape \(\)"):
        plot_phase(example.isel(beta=0, reference=0))
    with pytest.raises(ValueError, match="no variable 'steps'"):
        plot_sweep_map(example, "steps")
    with pytest.raises(ValueError, match="it must be one number for each of"):
        plot_sweep_map(example, "mean_field")
