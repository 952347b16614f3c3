"""Several processes compute one sweep: an executor's workers, whoever joins in, and what is left when some die."""

import concurrent.futures
import json
import logging
import multiprocessing
import os
import threading
import time

import jax
import numpy as np
import pytest
from sweep_to_kill import swept

import mfgjax as mfg
from mfgjax.sweeps import blocks, claims
from mfgjax.sweeps.claims import Claims, Status

FEW = {"beta": [0.5, 1.0, 1.5], "reward.L.field": [0.0, 0.2]}


@pytest.fixture(scope="module")
def in_memory():
    return swept(**FEW)


class Here:
    """An executor that computes at once, in this thread; `loses` says which blocks its workers die at, how often."""

    def __init__(self, loses=()):
        self.given, self._loses = [], dict(loses)

    def submit(self, fn, *args):
        self.given.append(args[1])
        future = concurrent.futures.Future()
        if self._loses.get(args[1], 0):
            self._loses[args[1]] -= 1
            future.set_exception(RuntimeError("the worker died"))
        else:
            future.set_result(fn(*args))
        return future


class Broken(Here):
    """An executor that takes two blocks and is broken then."""

    def submit(self, fn, *args):
        if len(self.given) == 2:
            raise concurrent.futures.BrokenExecutor("a worker died")
        return super().submit(fn, *args)


def assert_whole(found, in_memory):
    """The numbers of one process, to the last bit, under the same labels."""
    for name in in_memory.variables:
        np.testing.assert_array_equal(found[name].values, in_memory[name].values)


# --- executors ----------------------------------------------------------------------------------------------


def test_an_executor_computes_the_blocks_that_are_left(tmp_path, in_memory):
    """An importable function, the folder and the number of the block are all that it is given."""
    out = tmp_path / "sweep"
    swept(out, **FEW)
    for name in in_memory.data_vars:
        (out / name / "1.1" if name in ("result_code", "residual") else out / "nothing").unlink(missing_ok=True)
    first, everything = Here(), Here()
    assert_whole(swept(out, executor=first, **FEW), in_memory)
    assert first.given == [3]
    assert_whole(swept(tmp_path / "other", executor=everything, **FEW), in_memory)
    assert everything.given == list(range(6))


def test_threads_may_compute_the_blocks(tmp_path, in_memory):
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        assert_whole(swept(tmp_path / "sweep", executor=threads, **FEW), in_memory)


def test_a_block_that_is_lost_with_its_worker_is_handed_out_again(tmp_path, in_memory, monkeypatch):
    monkeypatch.setattr(blocks, "_AGAIN", 0.0)
    executor = Here({2: 1})
    assert_whole(swept(tmp_path / "sweep", executor=executor, **FEW), in_memory)
    assert sorted(executor.given) == [0, 1, 2, 2, 3, 4, 5]


def test_a_block_that_kills_twice_is_given_up_and_tried_again_by_the_next_call(
    tmp_path, in_memory, monkeypatch, caplog
):
    monkeypatch.setattr(blocks, "_AGAIN", 0.0)
    with caplog.at_level(logging.WARNING, "mfgjax"):
        found = swept(tmp_path / "sweep", executor=Here({2: 2}), **FEW)
    [said] = [record.getMessage() for record in caplog.records]
    assert "Block 2" in said and "beta = 1.0, reward.L.field = 0.0" in said
    assert "the executor lost it 2 times: RuntimeError: the worker died" in said
    codes = found.result_code.values
    assert codes[1, 0] == -1 and (np.delete(codes.ravel(), 2) == 0).all()
    assert np.isnan(found.residual.values[1, 0])
    assert mfg.io.to_frame(found, per="point").result.tolist().count("not computed") == 1
    assert_whole(swept(tmp_path / "sweep", **FEW), in_memory)


def test_when_the_executor_breaks_the_process_goes_on_alone(tmp_path, in_memory, caplog):
    with caplog.at_level(logging.WARNING, "mfgjax"):
        assert_whole(swept(tmp_path / "sweep", executor=Broken(), **FEW), in_memory)
    assert "takes no more work (BrokenExecutor: a worker died); this process computes what is left" in caplog.text


def test_an_error_in_a_worker_is_raised_with_its_block(tmp_path, monkeypatch):
    def refuse(*_):
        raise ValueError("`reward` is of another kind")

    monkeypatch.setattr(blocks.Blocks, "compute", refuse)
    with pytest.raises(ValueError, match=r"Block 0 of the sweep in .*beta = 0.5, reward.L.field = 0.0.*`reward` is of"):
        swept(tmp_path / "sweep", executor=Here(), **FEW)


def test_a_full_disk_stops_the_sweep_and_the_same_call_resumes_it(tmp_path, in_memory, monkeypatch):
    written = blocks.Store.write

    def full(self, tile, arrays):
        if tile.begin == (1, 0):
            raise OSError(28, "No space left on device")
        written(self, tile, arrays)

    monkeypatch.setattr(blocks.Store, "write", full)
    for executor in (None, Here()):
        with pytest.raises(OSError, match="No space left on device"):
            swept(tmp_path / "sweep", executor=executor, **FEW)
    monkeypatch.setattr(blocks.Store, "write", written)
    assert_whole(swept(tmp_path / "sweep", **FEW), in_memory)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"executor": 3}, "`executor` must have a method `submit`"),
        ({"executor": Here(), "out": None}, "`executor` needs `out`"),
    ],
)
def test_what_cannot_be_handed_out_is_refused(options, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        swept(**{"out": tmp_path / "sweep", **FEW, **options})


def test_pools_that_fork_are_refused(tmp_path):
    pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
    with pool, pytest.raises(ValueError, match='get_context\\("spawn"\\)'):
        swept(tmp_path / "sweep", executor=pool, **FEW)


def test_what_cannot_be_pickled_is_refused_for_an_executor_alone(tmp_path):
    lock = threading.Lock()

    def reward(t, mean_field):
        return -mean_field[:, None] * (1 if lock.locked() else 2)

    game = mfg.FiniteHorizonGame(
        mfg.MovesKernel([[0, 1], [0, 1]]), reward, [0.5, 0.5], 1, available=np.ones((2, 2), bool)
    )
    with pytest.raises(ValueError, match=r"can be pickled; these cannot \(TypeError: cannot pickle"):
        mfg.sweep(game, beta=[1.0], out=tmp_path / "sweep", executor=Here(), progress=False)
    assert not (tmp_path / "sweep").exists()
    mfg.sweep(game, beta=[1.0], out=tmp_path / "sweep", progress=False)
    with pytest.raises(ValueError, match="does not hold what its sweep computes"):
        mfg.join_sweep(tmp_path / "sweep")


# --- whoever joins in ---------------------------------------------------------------------------------------


def test_whoever_joins_computes_what_is_left(tmp_path, in_memory, capsys):
    """Games with functions of the user's own are rebuilt from the folder, in their own precision."""
    from mfgjax.cli import main

    slope, out = 0.4, tmp_path / "results" / "sweep.zarr"
    with jax.enable_x64(False):
        game = mfg.FiniteHorizonGame(
            mfg.MovesKernel([[0, 1], [0, 1]]),
            lambda t, mean_field, toll: -(slope * mean_field + toll * jax.numpy.array([0.0, 1.0]))[:, None],
            [0.5, 0.5],
            1,
            available=np.ones((2, 2), bool),
            params={"toll": 0.1},
        )
        options = {"beta": [0.5, 1.0, 2.0], "out": out, "chunk": 1, "progress": False}
        whole = mfg.sweep(game, **options).load()
        assert whole.mean_field.dtype == np.float32
        (out / "result_code" / "1").unlink()
        assert main(["work", str(out.parent)]) == 0
        assert "computed here   1 points" in capsys.readouterr().out
        assert_whole(mfg.sweep(game, **options), whole)
    assert main(["work", str(tmp_path)]) == 2
    assert "holds no sweep" in capsys.readouterr().err


# --- who computes which block -------------------------------------------------------------------------------


def owner(**changed):
    return json.dumps(claims._whoami() | changed)


def test_a_block_is_computed_by_one_process_at_a_time(tmp_path):
    mine, other = Claims(tmp_path), Claims(tmp_path)
    with mine.hold(7) as first, other.hold(7) as second, other.hold(8) as third:
        assert (first, second, third) == (None, Status.taken, None)
    with other.hold(7) as obstacle:
        assert obstacle is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("died", [dict(process=2**22 + 1), dict(started="1")], ids=["process", "number used again"])
def test_the_block_of_a_process_of_this_machine_that_is_gone_is_free_at_once(died, tmp_path):
    (tmp_path / "block-3.0").write_text(owner(**died))
    asked = Claims(tmp_path)
    assert asked.deaths(3) == 1
    with asked.hold(3) as obstacle:
        assert obstacle is None
        assert asked.deaths(3) == 1


@pytest.mark.parametrize("skew", [-1e7, 0.0, 1e7])
@pytest.mark.parametrize("content", ["elsewhere", "nothing"])
def test_a_process_elsewhere_is_dead_after_a_minute_of_silence_whatever_its_clock(skew, content, tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(claims.time, "monotonic", lambda: now)
    claim = tmp_path / "block-3.0"
    claim.write_text(owner(where="another machine") if content == "elsewhere" else "")
    asked = Claims(tmp_path)

    def is_taken():
        with asked.hold(3) as obstacle:
            return obstacle is Status.taken

    for beat in range(4):
        os.utime(claim, (time.time() + skew + beat,) * 2)
        assert is_taken()
        now += 50.0
    assert is_taken()
    now += 20.0
    assert not is_taken()


def test_a_block_at_which_two_processes_died_is_given_up_with_the_reason(tmp_path):
    for n in range(2):
        (tmp_path / f"block-3.{n}").write_text(owner(host=f"host{n}", process=2**22 + n))
    asked = Claims(tmp_path)
    with asked.hold(3) as obstacle:
        assert obstacle is Status.given_up
    assert asked.reasons() == {
        3: "2 processes died while they computed it: process 4194304 on host0, process 4194305 on host1"
    }
    asked.forgive()
    with asked.hold(3) as obstacle:
        assert obstacle is None


def test_signs_of_life_are_given_while_a_block_is_computed(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "_BEAT", 0.01)
    with Claims(tmp_path).hold(3):
        claim = tmp_path / "block-3.0"
        before = claim.stat().st_mtime_ns
        end = time.monotonic() + 30
        while claim.stat().st_mtime_ns == before and time.monotonic() < end:
            time.sleep(0.01)
        assert claim.stat().st_mtime_ns != before


# --- killed -------------------------------------------------------------------------------------------------


def test_killed_workers_leave_nothing_out(tmp_path):
    """SIGKILL in the middle of a block, in a pool of two processes: the numbers are those of a run without it."""
    marker = tmp_path / "killed"
    marker.write_text("")

    def game(toll):
        if multiprocessing.parent_process() is not None and marker.exists():
            marker.unlink()
            os.kill(os.getpid(), 9)
        return mfg.games.coordination(strength=-1.0, field=toll)

    options = {"beta": [0.5, 1.0], "toll": [0.0, 0.1], "chunk": 1, "progress": False}
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        found = mfg.sweep(game, out=tmp_path / "sweep", executor=pool, **options)
    assert not marker.exists()
    assert_whole(found, mfg.sweep(game, **options))
