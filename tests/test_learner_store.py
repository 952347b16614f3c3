"""Runs of learners in files."""

import json

import numpy as np
import pytest

import mfgjax as mfg
from mfgjax import learners

GAME, RESPONSE = mfg.games.infection_spread(), mfg.Trembling(0.2)


@pytest.fixture(scope="module")
def first():
    return learners.run(GAME, RESPONSE, learners.IQL(10), 2, num_seeds=2, seed=4)


def test_a_run_that_was_saved_goes_on_as_if_it_had_not_been(first, tmp_path):
    path = learners.save_run(tmp_path / "run.npz", first, {"who": "IQL"})
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]
    assert learners.saved_note(path) == {"who": "IQL"}
    again = learners.load_run(path, GAME, RESPONSE, learners.IQL(10))
    np.testing.assert_array_equal(again.laws, first.laws)
    options = {"num_seeds": 2, "seed": 4}
    gone_on = learners.run(GAME, RESPONSE, learners.IQL(10), 3, resume=again, **options)
    whole = learners.run(GAME, RESPONSE, learners.IQL(10), 5, **options)
    np.testing.assert_array_equal(gone_on.laws, whole.laws)
    np.testing.assert_array_equal(gone_on.policy, whole.policy)
    assert gone_on.num_steps == 5


def test_other_files_are_refused_with_a_sentence(first, tmp_path):
    path = tmp_path / "run.npz"

    def load(learner=None):
        return learners.load_run(path, GAME, RESPONSE, learner or learners.IQL(10))

    with pytest.raises(ValueError, match=r"run\.npz, but there is no such file"):
        load()
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"is no run of mfgjax, or it is damaged"):
        load()
    learners.save_run(path, first)
    with pytest.raises(ValueError, match="run of another learner, game or precision than this `MFQ`"):
        load(learners.MFQ(10))
    with pytest.raises(ValueError, match="run of another learner, game or precision than this `IQL`"):
        load(learners.IQL(11))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="or it is damaged"):
        load()
    with np.load(_written(path, whole), allow_pickle=False) as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays["header"]))
    arrays["header"] = np.array(json.dumps({**header, "format": "mfgjax-run/99"}))
    np.savez(path, **arrays)
    with pytest.raises(
        ValueError, match=r"has the format 'mfgjax-run/99', but this version of mfgjax reads 'mfgjax-run/1'"
    ):
        load()
    arrays["header"] = np.array(json.dumps({name: x for name, x in header.items() if name != "num_steps"}))
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="is damaged: its header lacks the steps, the seed or the note"):
        load()


def _written(path, content):
    path.write_bytes(content)
    return path
