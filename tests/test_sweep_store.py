"""A sweep on disk survives being killed at any moment, and takes no other sweep for itself."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest
import xarray as xr
from helpers import assert_close
from sweep_to_kill import BETAS, FIELDS, swept

import mfgjax as mfg

TILES = len(BETAS) * len(FIELDS)
LAST = "result_code"  # of the arrays of a tile the one that is written last


@pytest.fixture(scope="module")
def in_memory():
    return swept()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A whole sweep on disk, which tests copy."""
    out = tmp_path_factory.mktemp("finished") / "sweep"
    swept(out)
    return out


def opened(out):
    return xr.open_zarr(out, consolidated=False, chunks=None, mask_and_scale=False)


def assert_same(stored, expected):
    """The same numbers to the last bit under the same labels; only the store's own attributes come on top."""
    assert set(stored.data_vars) == set(expected.data_vars)
    for name in expected.variables:
        xr.testing.assert_identical(stored[name].load().drop_attrs(), expected[name].drop_attrs())
        attrs = {key: np.asarray(value).tolist() for key, value in stored[name].attrs.items()}
        attrs.pop("_FillValue", None)
        assert attrs == expected[name].attrs
    assert {name: stored.attrs[name] for name in expected.attrs} == expected.attrs


def tiles_of(out):
    """The tiles that are there whole, as the first part "i.j" of the names of their files."""
    return {path.name for path in (out / LAST).glob("*") if path.name.replace(".", "").isdigit()}


def files_of(out, tiles=None):
    """All files, or those of some tiles, with the time and the place of their contents on disk."""
    found = {}
    for path in out.rglob("*"):
        if path.is_file() and (tiles is None or ".".join(path.name.split(".")[:2]) in tiles):
            stat = path.stat()
            found[path.relative_to(out)] = stat.st_mtime_ns, stat.st_ino, path.read_bytes()
    return found


# --- the same as in memory ----------------------------------------------------------------------------------


def test_a_sweep_on_disk_equals_the_one_in_memory(in_memory, finished):
    stored = opened(finished)
    assert_same(stored, in_memory)
    assert (stored[LAST] == 0).all()
    assert len(tiles_of(finished)) == TILES


def test_the_same_call_again_reads_and_changes_nothing(in_memory, finished):
    before = files_of(finished)
    assert_same(swept(finished), in_memory)
    assert_same(swept(str(finished), block=1, progress=True), in_memory)
    assert files_of(finished) == before


def test_words_as_labels_and_laws_over_pairs_are_kept(tmp_path):
    """Labels that are words, games whose mean field is a joint law, points side by side, a user's dimensions."""
    rng = np.random.default_rng(0)
    game = mfg.FiniteHorizonGame(
        rng.dirichlet(np.ones(2), (2, 3)),
        lambda t, seen: -seen,
        [1.0, 0.0],
        2,
        observes="state_actions",
        available=np.ones((2, 3), bool),
        state_labels=["home", "außen"],
    )
    options = {
        "solver": mfg.Picard(0.5),
        "zipped": True,
        "beta": {"kühl": 2.0, "warm": 0.5, "heiß": 0.1},
        "discount": [0.9, 1.0, 0.8],
        "outputs": {"mean_field": None, "row": (lambda g, r, e: e.policy[0, 0], ("choice",))},
        "chunk": 2,
    }
    expected = mfg.sweep(game, **options)
    stored = mfg.sweep(game, out=tmp_path / "deep" / "below" / "sweep", **options)
    assert stored.mean_field.dims == ("point", "time", "state", "action")
    assert stored.row.dims == ("point", "choice")
    assert stored.beta.values.tolist() == ["kühl", "warm", "heiß"]
    assert_same(stored, expected)


# --- killed -------------------------------------------------------------------------------------------------


def start(out):
    environment = os.environ | {"JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}
    script = Path(__file__).with_name("sweep_to_kill.py")
    return subprocess.Popen([sys.executable, script, out], env=environment, stderr=subprocess.PIPE, text=True)


def kill_when(process, ready, seconds=300):
    """Kill the process the moment that `ready` holds, and say whether it was still running."""
    end = time.monotonic() + seconds
    try:
        while not ready() and process.poll() is None and time.monotonic() < end:
            time.sleep(0.0005)
    finally:
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate(timeout=30)
    assert ready(), said
    return process.returncode == -signal.SIGKILL


def test_killed_after_some_tiles_a_sweep_goes_on(tmp_path, in_memory):
    """With SIGKILL, in another process; what was there whole is not computed again."""
    out = tmp_path / "sweep"
    assert kill_when(start(out), lambda: len(tiles_of(out)) >= 1)
    done = tiles_of(out)
    assert 1 <= len(done) < TILES
    partial = opened(out)
    codes = partial[LAST].values
    assert set(codes.ravel().tolist()) == {-1, 0}
    assert (codes == 0).sum() == len(done)
    # what is marked as there is there
    for name in ("mean_field", "exploitability", "residual", "q"):
        assert_close(partial[name].values[codes == 0], in_memory[name].values[codes == 0])

    kept = files_of(out, done)
    assert_same(swept(out), in_memory)
    assert files_of(out, done) == kept


@pytest.mark.parametrize("share", [0.03, 0.3, 0.5, 0.98])
def test_a_sweep_cut_off_between_any_two_files_goes_on(tmp_path, finished, in_memory, share):
    """Each file is there whole or not at all: a kill leaves the first few of them, perhaps a draft of one more."""
    out = tmp_path / "sweep"
    shutil.copytree(finished, out)
    paths = [path for name in in_memory.data_vars for path in (out / name).glob("[0-9]*")]
    paths.sort(key=lambda path: (finished / path.relative_to(out)).stat().st_mtime_ns)
    count = int(share * len(paths))
    for path in paths[count:]:
        path.unlink()
    paths[count].with_suffix(".0123456789abcdef.partial").write_bytes(b"half of a fi")
    done = tiles_of(out)
    assert 0 < len(done) < TILES
    assert int((opened(out)[LAST] == 0).sum()) == len(done)
    kept = files_of(out, done)
    assert_same(swept(out), in_memory)
    assert files_of(out, done).items() >= kept.items()


def test_killed_while_the_folder_is_being_made_a_sweep_begins_again(tmp_path, finished, in_memory):
    """It is made under another name, so that a folder of the right name has all it needs."""
    draft = tmp_path / ".sweep.part"
    shutil.copytree(finished, draft)
    shutil.rmtree(draft / "q")
    (draft / "beta" / ".zarray").unlink()
    (draft / ".zattrs").unlink()
    assert_same(swept(tmp_path / "sweep"), in_memory)
    assert not draft.exists()


def test_what_another_sweep_is_being_made_of_is_left_alone(tmp_path, finished):
    """A folder whose name begins alike: its draft is no draft of this one."""
    draft = tmp_path / ".sweep.zarr.0123abcd.part"
    shutil.copytree(finished, draft)
    swept(tmp_path / "sweep")
    assert draft.exists()


# --- changed ------------------------------------------------------------------------------------------------


def paying(weight, bend):
    """A game whose reward is a plain function that holds a number, and another whose code is compiled apart."""
    bent = jax.jit(lambda law: bend * law)
    return mfg.FiniteHorizonGame(
        mfg.MovesKernel([[0, 1], [0, 1]]),
        lambda t, mean_field: -(weight * mean_field + bent(mean_field))[:, None],
        [0.5, 0.5],
        1,
        available=np.ones((2, 2), bool),
    )


def single_precision():
    cast = lambda leaf: leaf.astype(np.float32) if eqx.is_inexact_array(leaf) else leaf  # noqa: E731
    return jax.tree.map(cast, mfg.games.coordination(strength=-1.0))


def labelled():
    game = mfg.games.coordination(strength=-1.0)
    return mfg.FiniteHorizonGame(game.kernel, game.reward, game.initial, 1, state_labels=["here", "there"])


TILTED = mfg.EntropyRegularized(1.0, [[0.4, 0.6], [0.5, 0.5]])
CHANGES = {
    "a beta": (dict(beta=BETAS * (1 + 1e-15)), "`beta`"),
    "the number of betas": (dict(beta=BETAS[:-1]), "`beta`"),
    "labels": (dict(beta={f"{b:.2f}": b for b in BETAS}), "`beta`"),
    "another axis": (dict(**{"reward.L.field": FIELDS + 0.1}), "`reward.L.field`"),
    "one axis more": (dict(discount=[0.9]), "the axes"),
    "a number of the game": (dict(game=mfg.games.coordination(strength=-0.9)), "`reward.L.strength`"),
    "the labels of the game": (dict(game=labelled()), "`state_labels`"),
    "the reference": (dict(response=TILTED), "the response"),
    "the kind of response": (dict(response=mfg.Boltzmann(1.0)), "the response"),
    "the damping": (dict(solver=mfg.Picard(0.99)), "the solver"),
    "the solver": (dict(solver=mfg.Anderson()), "the solver"),
    "the tolerance": (dict(solver=mfg.Picard(atol=1e-9)), "the solver"),
    "the most steps": (dict(max_steps=100), "the solver"),
    "the guess": (dict(guess=np.full((2, 2), 0.5)), "the solver"),
    "an output": (dict(outputs=("mean_field", "exploitability")), "the outputs"),
    "the precision": (dict(game=single_precision()), "the precision"),
    "the warm start": (dict(warm_start="beta"), "the warm start"),
    "the chunks": (dict(chunk=5), "`chunk`"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_call_with_anything_changed_is_refused_and_says_what(name, finished):
    changed, word = CHANGES[name]
    before = files_of(finished)
    with pytest.raises(ValueError, match="holds another sweep") as caught:
        swept(finished, **changed)
    message = str(caught.value)
    assert "\n" not in message and str(finished) in message
    said = message.split("another sweep: ")[1].split(" changed. ")[0]
    assert word in said
    assert files_of(finished) == before


def apart(weights):
    """A function whose code is compiled apart, so that what it holds is a constant of that code alone."""
    return jax.jit(lambda law: (np.array(weights) * law).sum())


def program(pay=0.5, crowd=0.1, share=2.0, flow=3.0, rate=0.5):
    """A sweep full of functions that hold numbers and arrays: of the game, the outputs and the solver."""
    return {
        "game": paying(pay, np.array([0.2, crowd])),
        "outputs": {
            "share": lambda game, response, eq: share * eq.mean_field[1, 1],
            "flow": lambda game, response, eq: apart([1.0, flow])(eq.mean_field[1]),
        },
        "solver": mfg.MirrorDescent(lambda n: rate),
    }


def swept_program(out, **numbers):
    options = program(**numbers)
    return mfg.sweep(options.pop("game"), beta=[0.5, 1.0], out=out, **options)


@pytest.fixture(scope="module")
def programmed(tmp_path_factory):
    out = tmp_path_factory.mktemp("programmed") / "sweep"
    swept_program(out)
    return out


def test_functions_written_anew_that_do_the_same_are_the_same_sweep(programmed):
    before = files_of(programmed)
    assert swept_program(programmed)[LAST].values.tolist() == [0, 0]
    assert files_of(programmed) == before


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        ({"pay": 0.6}, "a number that the function `reward` reads"),
        ({"crowd": 0.3}, "a number that the function `reward` reads"),
        ({"share": 2.5}, "the outputs"),
        ({"flow": 3.5}, "the outputs"),
        ({"rate": 0.4}, "the solver"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_function_holds_is_part_of_the_sweep(programmed, numbers, word):
    """Functions have no name to know them by: what they compute is compared, with the constants they hold."""
    with pytest.raises(ValueError, match="holds another sweep") as caught:
        swept_program(programmed, **numbers)
    assert word in str(caught.value)


# --- not ours -----------------------------------------------------------------------------------------------


def foreign(kind, path):
    """Something at the place of a sweep that is none of this version."""
    if kind == "a file":
        path.write_text("precious")
    elif kind == "an empty folder":
        path.mkdir()
    elif kind == "a folder of files":
        path.mkdir()
        (path / "thesis.txt").write_text("precious")
    elif kind == "other labelled data":
        xr.Dataset({"precious": ("x", np.arange(3.0))}).to_zarr(path, consolidated=False, zarr_format=2)
    elif kind == "a sweep of another format":
        xr.Dataset(attrs={"format": "mfgjax-sweep/0", "identity": "{}"}).to_zarr(
            path, consolidated=False, zarr_format=2
        )
    elif kind == "an identity that is none":
        xr.Dataset(attrs={"format": "mfgjax-sweep/1", "identity": "?"}).to_zarr(path, consolidated=False, zarr_format=2)


@pytest.mark.parametrize(
    "kind",
    [
        "a file",
        "an empty folder",
        "a folder of files",
        "other labelled data",
        "a sweep of another format",
        "an identity that is none",
    ],
)
def test_what_is_no_sweep_is_refused_and_left_as_it_is(kind, tmp_path):
    path = tmp_path / "mine"
    foreign(kind, path)
    before = path.read_text() if path.is_file() else files_of(path)
    with pytest.raises(ValueError) as caught:
        swept(path)
    assert "`out` is " in str(caught.value) and "is not a sweep" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert before == (path.read_text() if path.is_file() else files_of(path))
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_nothing_is_written_to_says_why(tmp_path):
    """A place below a file cannot be made."""
    (tmp_path / "file").write_text("precious")
    with pytest.raises((ValueError, OSError), match="file"):
        swept(tmp_path / "file" / "sweep")
    assert (tmp_path / "file").read_text() == "precious"


def test_the_identity_names_its_parts(finished):
    attrs = json.loads((finished / ".zattrs").read_text())
    identity = json.loads(attrs["identity"])
    assert {"the game", "the response", "the solver", "the outputs", "the precision", "`beta`"} <= set(identity)
    assert attrs["mfgjax_version"] == mfg.__version__


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_coordinates_are_the_numbers_of_the_user_in_single_precision_too(place, tmp_path):
    with jax.enable_x64(False):
        out = None if place == "memory" else tmp_path / "sweep"
        found = mfg.sweep(mfg.games.left_right(), beta=[0.1, 0.3, 2.0], out=out, progress=False)
    assert found.mean_field.dtype == np.float32
    assert found.beta.values.tolist() == [0.1, 0.3, 2.0]
    assert found.residual.sel(beta=0.1).shape == ()


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_what_a_sweep_returns_can_be_written_and_read_again(place, tmp_path):
    out = None if place == "memory" else tmp_path / "sweep"
    half = np.full((2, 3, 2), 0.5)
    found = mfg.sweep(
        mfg.games.left_right(), beta=[0.1, 0.3], reference={"given": half, "uniform": None}, out=out, progress=False
    ).load()
    found.to_netcdf(tmp_path / "found.nc")
    found.to_zarr(tmp_path / "third.zarr", consolidated=False)
    found.to_zarr(tmp_path / "second.zarr", zarr_format=2, consolidated=False)
    assert xr.load_dataset(tmp_path / "found.nc").identical(found)
    for name in ("second", "third"):
        assert xr.open_zarr(tmp_path / f"{name}.zarr", consolidated=False).load().identical(found)


def test_a_file_of_a_sweep_that_is_cut_short_is_named(tmp_path):
    def sweep():
        return mfg.sweep(mfg.games.left_right(), beta=[0.1, 0.3], out=tmp_path / "sweep", progress=False)

    before = sweep().policy.values
    chunk = tmp_path / "sweep" / "policy" / "0.0.0.0"
    content = chunk.read_bytes()
    chunk.write_bytes(content[:7])
    with pytest.raises(ValueError, match=rf"the file policy/0.0.0.0 is damaged: it has 7 bytes of {len(content)}"):
        sweep()
    chunk.write_bytes(content)
    np.testing.assert_array_equal(sweep().policy.values, before)
