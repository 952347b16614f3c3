"""Sliders over a game or a dataset: points agree with `solve`, and what is wrong is said in one sentence."""

import base64
import json
import re
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from commands import run

import mfgjax as mfg
from mfgjax.explorers import widget as widgets
from mfgjax.explorers.layout import layout_of
from mfgjax.explorers.precomputed import quantities_at_each_point
from mfgjax.explorers.quantities import Quantity

GAME = mfg.games.left_right()
REFERENCE = [[0.9, 0.1], [0.5, 0.5], [0.5, 0.5]]
RESPONSE = mfg.EntropyRegularized(5.0, REFERENCE)

RESPONSE_TO_ALL = mfg.EntropyRegularized(1.0)
HALF = [[0.7, 0.3], [0.5, 0.5], [0.5, 0.5]]
"""Half of the uniform policy, half of the reference."""


@pytest.fixture(scope="module")
def explorer():
    return mfg.explore(GAME, RESPONSE, beta=(0.1, 10), mix=(0, 1))


def test_a_point_is_the_equilibrium_of_solve(explorer):
    here, there = mfg.solve(GAME, RESPONSE), mfg.solve(GAME, mfg.EntropyRegularized(1.3, HALF))
    np.testing.assert_allclose(explorer.at(beta=5.0).mean_field, here.mean_field, atol=1e-9)
    np.testing.assert_allclose(explorer.at(beta=1.3, mix=0.5).policy, there.policy, atol=1e-9)


def test_sliders_start_at_the_values_of_game_and_response(explorer):
    assert explorer.sliders["beta"][explorer.place[0]] == 5.0
    assert explorer.sliders["mix"][explorer.place[1]] == 1.0


def test_a_frame_holds_the_law_and_the_verdict(explorer):
    step = 100
    frame = explorer.frame(beta=explorer.sliders["beta"][step])
    law = np.frombuffer(base64.b64decode(frame["law"]), "<u2").reshape(2, 3) / 65534
    expected = mfg.solve(GAME, mfg.EntropyRegularized(1.0, REFERENCE)).mean_field
    np.testing.assert_allclose(law, expected, atol=1e-5)
    assert frame["verdict"]["found"] and frame["quantity"] == pytest.approx(float(expected[-1].max()), rel=1e-6)


def test_a_quantity_of_the_user_is_drawn():
    explorer = mfg.explore(GAME, beta=(0.1, 10), quantity={"gap": lambda eq: eq.mean_field[1, 1] - eq.mean_field[1, 2]})
    law = mfg.solve(GAME, mfg.EntropyRegularized(float(explorer.sliders["beta"][40]))).mean_field
    answer = explorer.answer({"kind": "quantities", "places": [[40]]})
    assert explorer.scene()["quantity"] == "gap"
    assert answer["points"] == [{"quantity": pytest.approx(float(law[1, 1] - law[1, 2]), abs=1e-6), "found": True}]


def test_a_parameter_of_the_builder_has_a_slider_that_starts_at_its_default():
    explorer = mfg.explore(mfg.games.ring_crowd, mfg.EntropyRegularized(1.0), congestion=(0.5, 2.0))
    assert explorer.sliders["congestion"][explorer.place[0]] == 1.0
    explorer = mfg.explore(mfg.games.grid_crowd, mfg.EntropyRegularized(1.0), seed=(0, 3))
    assert explorer.sliders["seed"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mfg.explore(GAME, RESPONSE, betta=(0.1, 10)),
            r"There is no parameter 'betta' .* did you mean 'beta'\?",
        ),
        (lambda: mfg.explore(GAME, RESPONSE, beta=(10, 0.1)), r"`beta` is the range \(10, 0.1\), but its first number"),
        (lambda: mfg.explore(GAME, RESPONSE, beta=(-1.0, 10)), r"`beta\[0\]` is -1"),
        (lambda: mfg.explore(GAME, mfg.EntropyRegularized(1.0), mix=(0, 1)), "`mix` mixes the uniform policy with"),
        (lambda: mfg.explore(GAME, RESPONSE, mix=(0, 2)), r"`mix` must be a range within \[0, 1\]"),
        (lambda: mfg.explore(mfg.games.mturk(), mfg.Greedy()), "`explore` needs at least one slider"),
        (lambda: mfg.explore(GAME, RESPONSE, mix=(0, 1), reference=[REFERENCE]), "`mix` moves the reference, which"),
        (lambda: mfg.explore("game"), "`game` must be a game"),
        (
            lambda: mfg.explore(mfg.games.ring_crowd, RESPONSE_TO_ALL, num_states=(4, 8)),
            "The sliders change which states",
        ),
        (lambda: mfg.explore(xr.Dataset()), "the dataset is not one that `sweep` returns"),
        (lambda: mfg.explore(GAME, quantity=3), "`quantity` must be a function of the `Equilibrium`"),
        (lambda: mfg.explore(GAME, title=3), "`title` must be a text; got 3"),
        (lambda: mfg.explore(random_sweep(2, 2).isel(beta=[])), "the dataset has no point: its axis 'beta' is empty"),
        (lambda: mfg.explore(random_sweep(2, 2).isel(state=0)), "the dataset has no distribution over the states"),
        (
            lambda: mfg.explore(random_sweep(2, 1).assign(word=(("beta", "toll"), [["x"], ["y"]])), quantity="word"),
            "`quantity` is 'word', but the dataset has no such number",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_unknown_sliders_and_values_are_refused(explorer):
    with pytest.raises(ValueError, match=r"There is no slider 'betta'; did you mean 'beta'\?"):
        explorer.at(betta=1.0)
    words = mfg.explore(GAME, RESPONSE, reference={"own": REFERENCE, "uniform": None})
    with pytest.raises(ValueError, match=r"`reference` has no value 'unifrom'; did you mean 'uniform'\?"):
        words.at(reference="unifrom")
    np.testing.assert_allclose(
        words.at(reference="uniform").policy, mfg.solve(GAME, mfg.EntropyRegularized(5.0)).policy
    )


def test_of_a_dataset_too_values_that_there_are_not_are_refused():
    explorer = mfg.explore(random_sweep(3, 2).assign_coords(toll=["low", "high"]))
    assert explorer.at(beta=2.0, toll="high").toll == "high"
    assert float(explorer.at(beta=-1.0).beta) == 0.1  # the nearest one
    for value, message in (("hihg", "did you mean 'high'"), ([1, 2], "has no value")):
        with pytest.raises(ValueError, match=f"`toll` has no value.*{message}|{message}"):
            explorer.at(toll=value)
    for value, message in ((np.nan, "`beta` is nan"), ("x", "`beta` must be a real number")):
        with pytest.raises(ValueError, match=message):
            explorer.frame(beta=value)


def test_the_ends_of_a_range_may_be_numbers_of_numpy_and_jax():
    explorer = mfg.explore(GAME, RESPONSE, beta=(np.float32(0.5), jnp.array(8.0)))
    assert len(explorer.sliders["beta"]) == 201 and explorer.scene()["sliders"][0]["log"]


@pytest.mark.parametrize("values", [[1234567, 1234568, 1234569], [1.0, 1.0000001, 1.0000002]])
def test_values_of_a_slider_stay_as_they_are(values):
    (slider, _) = mfg.explore(random_sweep(3, 1).assign_coords(beta=values)).scene()["sliders"]
    assert slider["numbers"] == values and len({f"{x:.{slider['digits']}g}" for x in values}) == 3


def test_of_some_times_a_page_says_which_they_are():
    ds = random_sweep(2, 1).isel(time=[0, 5, 20])
    assert mfg.explore(ds).scene()["times"] == ["0", "5", "20"]
    assert mfg.explore(random_sweep(2, 1)).scene()["times"] is None  # 0, 1, ...


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        (["0,0", "0,1", "1,0", "1,1"], "grid"),
        (["0,0", "0,1", "0,2", "0,3"], "bars"),  # a line
        (["0,0", "0,1", "1,0", "(0, 1)"], "bars"),  # two states in one cell
        (["0,0", "0,1", "1,0", "9000,9000"], "bars"),  # most cells have no state
    ],
)
def test_states_are_cells_if_these_make_a_grid(states, kind):
    assert layout_of(states)["kind"] == kind


def moves_to(target):
    """A game of three states in which action 1 leads to one of them, and action 0 stays."""
    ends = np.array([[s, target] for s in range(3)])
    return mfg.FiniteHorizonGame(mfg.MovesKernel(ends), np.zeros((3, 2)), [1.0, 0.0, 0.0], 1)


def test_moves_that_differ_between_points_are_not_drawn():
    same = mfg.explore(moves_to, RESPONSE_TO_ALL, target=[1, 1]).scene()
    assert same["layout"]["kind"] == "graph" and same["layout"]["ends"][0] == [0, 1]
    scene = mfg.explore(moves_to, RESPONSE_TO_ALL, target=[1, 2, 1]).scene()
    assert scene["layout"] == {"kind": "bars", "ends": None} and scene["available"] is None


def test_a_page_has_no_moves_that_its_points_do_not_have():
    available = np.array([[True, False], [True, True], [True, True]])
    game = mfg.FiniteHorizonGame(
        mfg.MovesKernel([[0, 1], [1, 2], [2, 0]]), np.zeros((3, 2)), [1.0, 0.0, 0.0], 1, available=available
    )
    law, policy = np.full((2, 2, 3), 1 / 3), np.full((2, 2, 3, 2), 0.5)
    axes = ("seed", "time", "state")
    data = {"mean_field": (axes, law), "policy": ((*axes, "action"), policy), "result_code": ("seed", [0, 0])}
    ds = xr.Dataset(data, {"seed": [0, 1], "time": [0, 1], "state": [0, 1, 2], "action": [0, 1]})
    assert mfg.explore(game, ds).scene()["layout"]["ends"] is None  # somebody takes action 1 in state 0
    ds["policy"][:, :, 0] = [1.0, 0.0]
    assert mfg.explore(game, ds).scene()["layout"]["kind"] == "graph"


def test_states_that_change_in_the_middle_of_a_slider_are_refused():
    def of_size(num_states=3):
        return mfg.FiniteHorizonGame(
            np.full((num_states, 1, num_states), 1 / num_states),
            np.zeros((num_states, 1)),
            [1.0] + [0.0] * (num_states - 1),
            1,
        )

    message = "The sliders change which states"
    with pytest.raises(ValueError, match=message):
        mfg.explore(of_size, RESPONSE_TO_ALL, num_states=[2, 3, 2])
    rare = mfg.explore(of_size, RESPONSE_TO_ALL, num_states=[2, 3, 2, 2])
    with pytest.raises(ValueError, match=message):
        rare.frame(num_states=3)


def data_of(path):
    return json.loads(re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


def numbers_of(path):
    """The scene and the laws of a page."""
    data = data_of(path)
    return data["scene"], np.frombuffer(zlib.decompress(base64.b64decode(data["law"])), "<u2") / 65534


def quantities_of(path):
    return np.frombuffer(zlib.decompress(base64.b64decode(data_of(path)["quantity"])), "<f8")


def test_a_builder_without_a_name_is_no_title():
    explorer = mfg.explore(lambda congestion=1.0: mfg.games.ring_crowd(3, 2, congestion), congestion=(0.5, 2))
    assert explorer.scene()["title"] == ""
    assert mfg.explore(random_sweep(2, 2).assign_attrs(game="<lambda>")).scene()["title"] == ""


def test_a_page_of_a_sweep_holds_its_laws(tmp_path):
    ds = mfg.sweep(GAME, RESPONSE, beta=[0.5, 1.0, 2.0], progress=False)
    scene, law = numbers_of(mfg.explore(GAME, ds).to_html(tmp_path / "page.html"))
    np.testing.assert_allclose(law.reshape(3, 2, 3), ds.mean_field, atol=1e-5)
    assert scene["sliders"][0]["numbers"] == [0.5, 1.0, 2.0] and scene["states"] == ["centre", "left", "right"]
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]  # nothing is left beside it


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_solved(tmp_path):
    explorer = mfg.explore(GAME, beta=(0.1, 10))
    with pytest.raises(FileNotFoundError, match="but there is no folder"):
        explorer.to_html(tmp_path / "no" / "y.html")
    with pytest.raises(IsADirectoryError, match="but that is a folder"):
        explorer.to_html(tmp_path)
    with pytest.raises(ValueError, match=r"x\.pdf, but such a file ends in \.html\.$"):
        explorer.to_html(tmp_path / "x.pdf")


def test_the_command_writes_a_page_of_the_equilibria(tmp_path):
    page = tmp_path / "page.html"
    status, out, err = run("explore", "left-right", "--beta", "1,5", "--out", str(page))
    assert (status, err) == (0, "") and f"saved           {page}" in out and "2 (2 beta), of which 2 converged" in out
    law = numbers_of(page)[1].reshape(2, 2, 3)[1]
    np.testing.assert_allclose(law, mfg.solve(GAME, mfg.EntropyRegularized(5.0)).mean_field, atol=1e-5)


def test_the_command_says_which_points_have_no_equilibrium(tmp_path):
    options = ["--beta", "0.1,50", "--solver", "picard"]
    status, _, err = run("explore", "left-right", *options, "--out", str(tmp_path / "page.html"))
    assert status == 1 and "no equilibrium was found at 1 of 2 points (1 cycle)" in err
    status, _, err = run("explore", "left-right", "--out", str(tmp_path / "page.png"))
    assert (status, err) == (2, f"mfgjax: `--out` is {str(tmp_path / 'page.png')!r}, but a page ends in .html.\n")


def test_a_quantity_on_a_page_is_that_of_the_equilibria(tmp_path):
    explorer = mfg.explore(GAME, beta=(0.1, 10), quantity=lambda eq: eq.q[0, 0, 0] + eq.exploitability)
    page = explorer.to_html(tmp_path / "page.html", points=2)
    ends = [mfg.solve(GAME, mfg.EntropyRegularized(beta)) for beta in (0.1, 10.0)]
    np.testing.assert_allclose(
        quantities_of(page)[[0, -1]], [eq.q[0, 0, 0] + eq.exploitability for eq in ends], rtol=1e-6
    )


def test_quantities_of_games_that_end_sooner_are_those_at_their_own_ends():
    share = np.array([[0.5, 0.25, np.nan], [0.5, 0.3, 0.125]])  # of two horizons, over time
    law, pairs = np.stack([share, 1 - share], axis=-1), np.broadcast_to(share[..., None, None], (2, 3, 2, 2))
    data = {"mean_field": (("horizon", "time", "state"), law), "values": (("horizon", "time", "state"), law)}
    data |= {name: (("horizon", "time", "state", "action"), pairs) for name in ("policy", "log_policy", "q")}
    whole = ("result_code", "result_period", "num_steps")
    data |= {name: ("horizon", np.zeros(2, np.int32)) for name in whole}
    numbers = ("residual", "exploitability", "tolerance", "error_estimate")
    data |= {name: ("horizon", np.zeros(2)) for name in numbers}
    coords = {"horizon": [1, 2], "time": [0, 1, 2], "state": ["a", "b"], "action": ["c", "d"]}
    dataset = xr.Dataset(data, coords, {"criterion": "residual"})
    quantity = Quantity("", lambda eq: eq.mean_field[-1, 0])
    np.testing.assert_allclose(quantities_at_each_point(quantity, dataset, "states"), [0.25, 0.125])
    points = mfg.explore(dataset).answer({"kind": "quantities", "places": [[0], [1]]})["points"]
    assert [point["quantity"] for point in points] == [0.75, 0.875]  # by default the largest share


def random_sweep(num_betas, num_tolls, times=21, states=20, actions=3):
    """A dataset of random numbers, which cannot be compressed, in the shape of a sweep."""
    draw = np.random.default_rng(0)
    shape, axes = (num_betas, num_tolls), ("beta", "toll")
    law = draw.dirichlet(np.ones(states), (*shape, times))
    policy = draw.dirichlet(np.ones(actions), (*shape, times, states))
    data = {"mean_field": ((*axes, "time", "state"), law), "policy": ((*axes, "time", "state", "action"), policy)}
    data |= {"result_code": (axes, np.zeros(shape, int)), "residual": (axes, np.zeros(shape))}
    coords = {"beta": np.geomspace(0.1, 10, num_betas), "toll": np.linspace(0, 1, num_tolls), "time": np.arange(times)}
    coords |= {
        dim: np.array([f"{dim} {i}" for i in range(n)], dtype=object)
        for dim, n in (("state", states), ("action", actions))
    }
    return xr.Dataset(data, coords)


def test_a_page_of_64_by_16_points_is_below_5_megabytes(tmp_path):
    path = mfg.explore(random_sweep(64, 16)).to_html(tmp_path / "page.html")
    scene, law = numbers_of(path)
    assert path.stat().st_size < 5e6 and len(law) == 64 * 16 * 21 * 20 and not scene["notes"]


def test_a_larger_sweep_is_thinned_and_the_page_says_so(tmp_path):
    ds = random_sweep(64, 16, times=31)
    path = mfg.explore(ds).to_html(tmp_path / "page.html")
    scene, law = numbers_of(path)
    counts = [len(slider["numbers"]) for slider in scene["sliders"]]
    assert path.stat().st_size < 5.1e6 and np.prod(counts) < 64 * 16
    assert scene["notes"][0].startswith(
        f"This page has {counts[0]} beta × {counts[1]} toll of the 64 beta × 16 toll points"
    )
    kept = ds.mean_field.sel(beta=scene["sliders"][0]["numbers"], toll=scene["sliders"][1]["numbers"], method="nearest")
    np.testing.assert_allclose(law, kept.values.ravel(), atol=1e-5)


def test_without_the_extra_one_sentence_says_how_to_install_it(explorer, monkeypatch):
    monkeypatch.setattr(widgets.importlib.util, "find_spec", lambda name: None)
    shown = explorer._repr_mimebundle_()["text/plain"]
    assert shown.startswith(
        "Explorer(game: sliders beta, mix). The widget needs anywidget: run `pip install 'mfgjax[explore]'`"
    )
    with pytest.raises(ImportError, match="The widget needs anywidget"):
        explorer.widget()


def test_the_widget_tells_what_goes_wrong_in_an_answer():
    pytest.importorskip("anywidget", reason="no anywidget: it comes with the extra `explore`")
    explorer = mfg.explore(GAME, beta=(0.1, 10), quantity=lambda eq: eq.mean_field)
    widget = explorer.widget()
    widget.request = {"kind": "frame", "place": [3], "number": "1"}
    assert widget.answer["number"] == "1" and "`quantity` must return a single number" in widget.answer["error"]


def test_a_path_passes_a_fold():
    explorer = mfg.explore(mfg.games.coordination(), mfg.EntropyRegularized(4.0), **{"reward.L.field": (-0.5, 0.5)})
    path = explorer.path("reward.L.field")
    turns = np.diff(np.sign(np.diff(path["numbers"])))
    assert np.count_nonzero(turns) == 2  # two folds: three equilibria between them
