"""Equilibria as files: what was written is read, whole or not at all, and nothing else is taken for it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import mfgjax as mfg
from mfgjax import io
from mfgjax._coordinates import coordinate


@pytest.fixture(scope="module")
def solved():
    game = mfg.games.resource_allocation()
    response = mfg.EntropyRegularized(3.0, mfg.games.resource_allocation_reference(game))
    return game, response, mfg.solve(game, response)


@pytest.fixture(scope="module")
def content(solved, tmp_path_factory) -> bytes:
    game, response, found = solved
    path = tmp_path_factory.mktemp("io") / "equilibrium.nc"
    return io.save_equilibrium(path, game, found, response=response).read_bytes()


def test_what_is_loaded_is_what_was_solved(solved, tmp_path):
    game, response, found = solved
    options = dict(response=response, solver=mfg.Auto(), attrs={"note": "ü", "numbers": [1, 2.5, None, float("nan")]})
    loaded = io.load_equilibrium(io.save_equilibrium(tmp_path / "a.nc", game, found, **options))
    xr.testing.assert_identical(loaded, io.to_dataset(game, found, **options))
    for name in ("mean_field", "state_law", "policy", "values", "residual", "tolerance", "exploitability", "num_steps"):
        np.testing.assert_array_equal(loaded[name], getattr(found, name))
    np.testing.assert_array_equal(loaded.residual_history, found.history)
    np.testing.assert_allclose(loaded.reference, mfg.games.resource_allocation_reference(game), rtol=1e-14)
    assert loaded.policy.dims == ("time", "state", "action")
    assert loaded.state.values.tolist() == [1, 2, 3, 4, 5] and loaded.action.values[0] == "edge 0"
    assert loaded.leads_to.sel(state=4).values.tolist() == ["3", "4", "5"]
    assert loaded.leads_to.sel(state=3).values.tolist() == ["3", "4", ""]
    assert loaded.attrs["format"] == "mfgjax-equilibrium/1"
    assert json.loads(loaded.attrs["numbers"]) == [1, 2.5, None, None]
    assert json.loads(loaded.attrs["response"])["beta"] == 3.0
    assert json.loads(loaded.attrs["solver"]) == {"kind": "Auto", "atol": None}


def test_a_stationary_equilibrium_is_kept_without_times(tmp_path):
    rng = np.random.default_rng(0)
    mask = np.array([[True, True], [True, False], [True, True]])
    game = mfg.StationaryGame(rng.dirichlet(np.ones(3), (3, 2)), rng.standard_normal((3, 2)), 0.8, available=mask)
    rho = np.array([[0.3, 0.7], [1.0, 0.0], [0.5, 0.5]])
    response = mfg.EntropyRegularized(2.0, rho)
    found = mfg.solve(game, response)
    loaded = io.load_equilibrium(io.save_equilibrium(tmp_path / "a.nc", game, found, response=response))
    xr.testing.assert_identical(loaded, io.to_dataset(game, found, response=response))
    for name in ("mean_field", "state_law", "policy", "values", "residual", "exploitability", "num_steps"):
        np.testing.assert_array_equal(loaded[name], getattr(found, name))
    assert set(loaded.dims) == {"state", "action", "step"} and loaded.mean_field.dims == ("state",)
    np.testing.assert_array_equal(loaded.q.isnull(), ~mask)
    np.testing.assert_allclose(loaded.reference, rho, rtol=1e-14)
    again = mfg.solve(game, response, guess=loaded.mean_field.values)
    assert int(again.num_steps) == 1
    flat = loaded.drop_vars("policy").assign(policy=("state", found.policy[:, 0]))
    flat.to_netcdf(tmp_path / "b.nc")
    with pytest.raises(ValueError, match=r"`policy` has dims \('state',\), but they must be \('state', 'action'\)"):
        io.load_equilibrium(tmp_path / "b.nc")


def test_numbers_that_an_earlier_version_wrote_as_texts_are_read_as_numbers(solved, tmp_path):
    game, _, found = solved
    now = io.to_dataset(game, found)
    now.assign_coords(state=np.array(list("12345"), object)).to_netcdf(tmp_path / "a.nc")
    xr.testing.assert_identical(io.load_equilibrium(tmp_path / "a.nc"), now)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, "2", "30"], [1, 2, 30]),
        (["-1", "0", "1"], [-1, 0, 1]),
        (["0", "01"], ["0", "01"]),  # 01 would come back as 1
        (["1", "home"], ["1", "home"]),
        (["0.5", "1"], ["0.5", "1"]),
        (["10000000000000000000"], ["10000000000000000000"]),  # more than 64 bits hold
    ],
)
def test_labels_are_numbers_only_if_all_of_them_are_whole_numbers_as_python_writes_them(labels, expected):
    assert coordinate(labels).tolist() == expected


def test_an_equilibrium_by_itself_has_the_axes_of_its_saved_file(solved):
    game, _, found = solved
    bare, saved = found.to_xarray(), io.to_dataset(game, found)
    xr.testing.assert_identical(bare.drop_attrs(), saved[list(bare)].drop_attrs())
    assert set(bare) == set(saved) - {"q", "leads_to"}
    assert bare.attrs == {
        "criterion": "residual",
        "observes": "states",
        "result": "converged",
        "message": found.result.message,
    }


def test_a_batch_has_a_last_dimension_of_lanes_and_its_laws_are_those_of_the_states():
    game = mfg.FiniteHorizonGame(
        np.full((2, 2, 2), 0.5), lambda t, mass: -mass, [0.5, 0.5], 1, observes="state_actions"
    )
    lanes = mfg.solve_batch(game, mfg.EntropyRegularized(1.0), axes={"beta": [0.5, 1.0, 2.0]})
    ds = lanes.to_xarray()
    assert ds.mean_field.dims == ("time", "state", "action", "lane") and ds.result_code.values.tolist() == [0, 0, 0]
    np.testing.assert_allclose(ds.state_law, np.full((2, 2, 3), 0.5), atol=1e-15)  # by symmetry
    assert ds.state.values.tolist() == ds.action.values.tolist() == [0, 1] and "result" not in ds.attrs


def test_a_batch_of_vmap_and_one_inside_jit_are_refused(solved):
    found = solved[2]
    mapped = jax.tree.map(lambda leaf: jnp.stack([leaf] * 2), found)
    with pytest.raises(ValueError, match=r"batch of `jax\.vmap`: take one with"):
        mapped.to_xarray()
    with pytest.raises(ValueError, match=r"`to_xarray` needs known numbers"):
        jax.jit(lambda eq: eq.to_xarray())(found)


def test_any_netcdf_reader_can_open_the_file(content, solved, tmp_path):
    path = tmp_path / "a.nc"
    path.write_bytes(content)
    with xr.open_dataset(path) as dataset:
        np.testing.assert_array_equal(dataset.mean_field, solved[2].mean_field)


def test_a_loaded_mean_field_is_a_guess(content, solved, tmp_path):
    game, response, _ = solved
    path = tmp_path / "a.nc"
    path.write_bytes(content)
    again = mfg.solve(game, response, guess=io.load_equilibrium(path).mean_field.values)
    assert int(again.num_steps) == 1


def test_q_is_nan_exactly_at_unavailable_actions(solved):
    game, _, found = solved
    missing = np.isnan(io.to_dataset(game, found).q.values)
    np.testing.assert_array_equal(missing, np.broadcast_to(~np.asarray(game.available), missing.shape))


def test_joint_laws_have_an_action_axis(tmp_path):
    game = mfg.FiniteHorizonGame(
        np.full((2, 2, 2), 0.5), lambda t, mass: -mass, [0.5, 0.5], 1, observes="state_actions"
    )
    found = mfg.solve(game, mfg.EntropyRegularized(1.0))
    loaded = io.load_equilibrium(io.save_equilibrium(tmp_path / "a.nc", game, found))
    assert loaded.mean_field.dims == ("time", "state", "action")
    np.testing.assert_allclose(loaded.mean_field.sum("action"), loaded.state_law, atol=1e-15)
    assert "leads_to" not in loaded and "reference" not in loaded


def damaged(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 255
    return bytes(changed)


@pytest.mark.parametrize(
    "change",
    [lambda c: b"", lambda c: b"no netCDF", lambda c: c[: len(c) // 2], lambda c: c[:-200]]
    + [lambda c, k=k: damaged(c, k * len(c) // 40) for k in range(40)],
)
def test_a_damaged_file_is_refused(content, tmp_path, change):
    path = tmp_path / "a.nc"
    path.write_bytes(change(content))
    with pytest.raises(ValueError, match="cannot be read as netCDF") as caught:
        io.load_equilibrium(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda ds: ds.drop_attrs(), "it has no attribute `format`"),
        (lambda ds: ds.assign_attrs(format="mfgjax-equilibrium/0"), "has the format 'mfgjax-equilibrium/0'"),
        (lambda ds: ds.drop_vars("policy"), "`policy` is missing"),
        (lambda ds: ds.rename_dims(step="n"), "`residual_history` has dims"),
    ],
)
def test_a_file_of_something_else_is_refused(solved, tmp_path, change, sentence):
    change(io.to_dataset(solved[0], solved[2])).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError, match=sentence):
        io.load_equilibrium(tmp_path / "a.nc")


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(ValueError, match="there is no such file"):
        io.load_equilibrium(tmp_path / "a.nc")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_folder_as_it_was(solved, tmp_path, monkeypatch, error):
    def half(self, path, **options):
        path.write_bytes(b"half")
        raise error

    (tmp_path / "a.nc").write_bytes(b"earlier")
    monkeypatch.setattr(xr.Dataset, "to_netcdf", half)
    with pytest.raises(type(error)):
        io.save_equilibrium(tmp_path / "a.nc", solved[0], solved[2])
    assert [path.name for path in tmp_path.iterdir()] == ["a.nc"]
    assert (tmp_path / "a.nc").read_bytes() == b"earlier"


def test_a_missing_folder_is_named(solved, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        io.save_equilibrium(tmp_path / "no" / "a.nc", solved[0], solved[2])


def test_attributes_of_the_format_are_not_overwritten(solved):
    with pytest.raises(ValueError, match="'format', which this format writes itself"):
        io.to_dataset(solved[0], solved[2], attrs={"format": "mine"})


def test_arguments_that_are_swapped_are_refused_in_a_sentence(solved, tmp_path):
    game, _, found = solved
    with pytest.raises(ValueError, match="`game` must be a `FiniteHorizonGame` or a `StationaryGame`; got Equilibrium"):
        io.to_dataset(found, game)
    with pytest.raises(ValueError, match="`game` must be a `FiniteHorizonGame` or a `StationaryGame`; got Equilibrium"):
        io.save_equilibrium(tmp_path / "a.nc", found, game)
    with pytest.raises(ValueError, match="`equilibrium` must be what `solve` returns; got "):
        io.to_dataset(game, game)


def test_a_batch_is_refused(solved):
    batch = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), solved[2])
    with pytest.raises(ValueError, match="a single one with known numbers"):
        io.to_dataset(solved[0], batch)
