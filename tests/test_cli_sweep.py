"""The command `sweep`: what it prints and saves is what the library finds, and no interruption loses anything."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import commands
import numpy as np
import pytest
import xarray as xr
from commands import EXAMPLE, PAPER, PNG, ROOT

import mfgjax as mfg
from mfgjax._result import RESULTS
from mfgjax.cli import output, ranges
from mfgjax.cores import num_cores

run = partial(commands.run, "sweep")
PICARD = ["--solver", "picard"]

# terminal laws of the paper's example, computed independently of this library
LAW_AT_1 = (0.002714, 0.002452, 0.603457, 0.388649, 0.002729)
LAW_AT_3 = (0.000854, 0.000772, 0.670311, 0.327205, 0.000859)


def opened(folder: Path) -> xr.Dataset:
    with xr.open_zarr(folder / "sweep.zarr", consolidated=False, chunks=None, mask_and_scale=False) as found:
        return found.load()


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The paper's example at its two betas, with both references."""
    folder = tmp_path_factory.mktemp("out") / "new" / "folder"
    return folder, run(PAPER, "--beta", "3,1", "--reference", "paper,uniform", "--out", str(folder))


def test_a_sweep_finds_the_known_laws_and_says_how(saved):
    folder, (status, out, err) = saved
    assert (status, err) == (0, "")
    assert "2 converged" in out and "4 (2 reference × 2 beta), of which 4 converged" in out
    assert "law at the end, beta = 1" in out and "3: 0.670, 4: 0.327, 5: 0.001" in out
    assert all(f"saved           {folder / name}" in out for name in ("sweep.zarr", "phase.png", "table.json"))
    assert max(map(len, out.split("\ngames")[0].splitlines())) <= 124 and "…" not in out
    found = opened(folder)
    for beta, law in ((1, LAW_AT_1), (3, LAW_AT_3)):
        np.testing.assert_allclose(found.terminal_law.sel(reference="paper", beta=beta), law, atol=1e-6)
    assert found.result_code.dims == ("reference", "beta") and found.beta.values.tolist() == [3, 1]


def test_a_folder_gets_the_sweep_a_picture_and_the_table(saved):
    folder, _ = saved
    assert {path.name for path in folder.iterdir()} == {"sweep.zarr", "phase.png", "table.json"}
    assert (folder / "phase.png").read_bytes().startswith(PNG)
    assert (folder / "phase.png").stat().st_size > 20_000
    assert {"terminal_law", "mean_field", "policy", "exploitability"} < set(opened(folder).data_vars)
    assert opened(folder).attrs["game"] == "resource_allocation"


def test_the_table_has_all_that_is_promised(saved):
    folder, _ = saved
    table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    assert set(table) == {
        *("game", "dtype", "platform", "num_devices", "request", "axes", "outputs", "along", "criterion", "num_lanes"),
        *("num_converged", "results", "first_failure", "num_groups", "groups", "seconds", "num_computed"),
        *("lanes_per_second", "files"),
    }
    assert (table["game"], table["dtype"], table["along"]) == ("resource_allocation", "float64", "beta")
    assert table["axes"]["beta"] == {"count": 2, "first": 3.0, "last": 1.0}
    assert table["axes"]["reference"] == {"count": 2, "first": "paper", "last": "uniform"}
    assert (table["num_lanes"], table["num_computed"], table["results"]) == (4, 4, {"converged": 4})
    assert table["first_failure"] is None and table["request"]["beta"] == "3,1"
    paper, uniform = table["groups"]
    assert (paper["at"], uniform["at"]) == ({"reference": "paper"}, {"reference": "uniform"})
    assert set(paper) == {"at", "num_lanes", "results", "worst_residual", "median_steps", "most_steps", "ends"}
    least, greatest = paper["ends"]  # in the order of beta, whatever that of the command
    assert (least["beta"], greatest["beta"], greatest["result"]) == (1, 3, "converged")
    np.testing.assert_allclose(list(least["terminal_law"].values()), LAW_AT_1, atol=1e-6)
    found = opened(folder).sel(reference="paper")
    assert paper["worst_residual"] == float(found.residual.max()) <= 1e-10
    assert paper["most_steps"] == int(found.num_steps.max())


def test_a_sweep_of_one_lane_tells_it_once():
    status, out, err = run(PAPER, "--beta", "1")
    assert (status, err) == (0, "") and out.count("beta = 1") == 1
    assert "3: 0.603, 4: 0.389" in out  # the law at the end that `test_cli` has from elsewhere


def test_the_same_command_again_computes_nothing(saved, monkeypatch):
    folder, _ = saved
    before = {path: data for path, data in contents(folder).items() if path.name != "table.json"}
    status, out, err = run(PAPER, "--beta", "3,1", "--reference", "paper,uniform", "--out", str(folder))
    assert (
        (status, err) == (0, "") and "4 of them were solved in an earlier run" in out and "games per second" not in out
    )
    assert {path: data for path, data in contents(folder).items() if path.name != "table.json"} == before


@pytest.mark.parametrize("change", [["--beta", "3,2"], ["--reference", "uniform,paper"], ["--atol", "1e-9"]])
def test_a_changed_command_is_refused_and_nothing_is_lost(saved, change):
    folder, _ = saved
    before = contents(folder)
    options = {"--beta": "3,1", "--reference": "paper,uniform", "--out": str(folder), change[0]: change[1]}
    status, out, err = run(PAPER, *(word for option in options.items() for word in option))
    assert (status, out) == (2, "") and err.count("\n") == 1 and "holds another sweep" in err
    assert contents(folder) == before


def test_lanes_that_fail_are_told_and_saved_with_all_others(tmp_path):
    options = ["--beta", "0.5,1,2.5,3", *PICARD, "--damping", "1,0.2", "--max-steps", "500", "--out", str(tmp_path)]
    status, out, err = run(PAPER, *options)
    assert status == 1 and "2 converged, 2 cycle" in out and "4 converged" in out
    assert err == "mfgjax: 2 of 8 games did not converge (2 cycle), the first at beta 2.5 to 3, damping 1.\n"
    codes = opened(tmp_path).result_code.sel(damping=1.0)
    assert (codes == RESULTS.cycle).values.tolist() == [False, False, True, True]
    table = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))
    assert table["first_failure"] == {"beta": [2.5, 3.0], "damping": 1.0}
    assert table["results"] == {"converged": 6, "cycle": 2} and (tmp_path / "phase.png").exists()


def test_json_is_all_there_is_on_stdout():
    status, out, err = run(EXAMPLE, "--beta", "1:3:2", "--reference", "file", "--json")
    content = json.loads(out)
    assert (status, err, content["files"]) == (0, "", [])
    assert content["axes"]["reference"] == {"count": 1, "first": "file", "last": "file"}
    assert content["outputs"] == ["terminal_law", "exploitability"]
    for end, law in zip(content["groups"][0]["ends"], (LAW_AT_1, LAW_AT_3), strict=True):
        np.testing.assert_allclose(list(end["terminal_law"].values()), law, atol=1e-6)


def test_parameters_of_the_builder_are_swept_or_fixed():
    settings = ["--set", "field=0:0.2:3", "--set", "strength=0"]
    status, out, _ = run("coordination", "--beta", "2", *settings, "--json", *PICARD)
    content = json.loads(out)
    assert status == 0 and set(content["axes"]) == {"field", "beta"} and content["along"] == "field"
    least, greatest = content["groups"][0]["ends"]
    # with strength 0 the law of state 1 is 1/(1 + exp(−β field))
    np.testing.assert_allclose(least["terminal_law"]["1"], 0.5, atol=1e-9)
    np.testing.assert_allclose(greatest["terminal_law"]["1"], 1 / (1 + np.exp(-0.4)), atol=1e-9)


def test_games_of_several_shapes_go_in_one_table():
    settings = ["--set", "num_states=3,5", "--set", "horizon=2", "--reference", "uniform", "--outputs", "values"]
    status, out, err = run("ring-crowd", "--beta", "0.1,0.2", *settings, *PICARD, "--json")
    assert (status, err) == (0, "")
    groups = json.loads(out)["groups"]
    assert [len(group["ends"][0]["terminal_law"]) for group in groups] == [3, 5]
    for group in groups:
        np.testing.assert_allclose([sum(end["terminal_law"].values()) for end in group["ends"]], 1, atol=1e-12)


def test_greedy_sweeps_something_else_than_beta():
    options = ["--response", "greedy", *PICARD, "--averaging", "linear", "--max-steps", "20", "--set", "strength=1,2"]
    status, out, err = run("coordination", *options, "--json")
    assert json.loads(out)["criterion"] == "exploitability"
    assert status == (0 if json.loads(out)["num_converged"] == 2 else 1) and err.count("\n") == status


def test_boltzmann_float32_and_warm_starts_are_passed_on():
    options = ["--response", "boltzmann", "--float32", "--warm-start", "--beta", "0.1:0.2:18", "--reference", "uniform"]
    status, out, err = run("left-right", *options, *PICARD, "--block", "2", "--chunk", "16", "--json")
    content = json.loads(out)
    assert (status, err, content["dtype"]) == (0, "", "float32")
    assert list(content["axes"]) == ["prior", "beta"] and content["groups"][0]["at"] == {"prior": "uniform"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", [3.0]),
        ("0.5,1,3", [0.5, 1.0, 3.0]),
        ("1:2:5", [1.0, 1.25, 1.5, 1.75, 2.0]),
        ("2:-2:3", [2.0, 0.0, -2.0]),
        ("1:100:3:log", [1.0, 10.0, 100.0]),
    ],
)
def test_a_range_is_what_it_says(text, expected):
    np.testing.assert_allclose(ranges.numbers("--beta", text), expected, rtol=1e-12)


def test_ranges_of_whole_numbers_are_whole():
    assert ranges.numbers("--set", "8:64:4:log", whole=True) == [8, 16, 32, 64]
    assert ranges.values_of_settings("ring-crowd", ["num-states=10:20:3", "congestion=1"]) == {
        "num_states": [10, 15, 20],
        "congestion": [1.0],
    }
    assert ranges.values_of_settings(PAPER, ["preset=paper, author-code", "self_loop_at_2=true,false"]) == {
        "preset": ["paper", "author-code"],
        "self_loop_at_2": [True, False],
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "a_file").write_text("not a folder")
    (tmp_path / "rows.json").write_text("[[1, 2]]")
    (tmp_path / "other" / "sweep.zarr").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


OUT = "--out=results"
BETA = "--beta=1:2:3"
ERRORS = [
    ([OUT], "Missing argument"),
    (["nosuch", BETA, OUT], "'nosuch', but there is no such game"),
    ([PAPER, OUT], "needs `--beta`: START:STOP:COUNT"),
    ([PAPER, "--beta=1:2", OUT], "`--beta 1:2` is no range"),
    ([PAPER, "--beta=1:2:3:lin", OUT], "`--beta 1:2:3:lin` is no range"),
    ([PAPER, "--beta=1:2:3:log:4", OUT], "is no range; it must be START:STOP:COUNT"),
    ([PAPER, "--beta=1:2:2.5", OUT], "'2.5' is not a whole number"),
    ([PAPER, "--beta=1:2:1", OUT], "COUNT must be at least 2"),
    ([PAPER, "--beta=1:2:100000000", OUT], "at most 10,000,000; got 100000000"),
    ([PAPER, "--beta=1:1:4", OUT], "START and STOP must be different finite numbers"),
    ([PAPER, "--beta=1:inf:4", OUT], "START and STOP must be different finite numbers"),
    ([PAPER, "--beta=0:1:4:log", OUT], "with log, START and STOP must be > 0; got 0"),
    ([PAPER, "--beta=a:1:4", OUT], "'a' is not a number"),
    ([PAPER, "--beta=1,,2", OUT], "'' is not a number"),
    ([PAPER, "--beta=1,2,1", OUT], "has 1.0 twice"),
    ([PAPER, "--beta=0:1:4", OUT], "`beta` is 0.0, but it must lie in (0, inf)"),
    ([PAPER, "--beta=1,nan", OUT], "`beta[1]` is nan"),
    ([PAPER, BETA, "--reference=paper,paper", OUT], "has paper twice"),
    ([PAPER, BETA, "--reference=paper,nosuch", OUT], "there is no such file"),
    ([PAPER, BETA, "--reference=paper,rows.json", OUT], "shape"),
    ([EXAMPLE, BETA, "--reference=paper", OUT], "has no such reference"),
    ([PAPER, BETA, "--set", "self_loop_at_2=true,false", "--reference=paper", OUT], "the available actions"),
    ([EXAMPLE, BETA, "--set", "horizon=3:5:3", OUT], "change it there"),
    ([PAPER, BETA, "--set", "preset", OUT], "`--set` takes KEY=VALUE"),
    ([PAPER, BETA, "--set", "frob=1:2:3", OUT], "no parameter 'frob'"),
    ([PAPER, BETA, "--set", "preset=paper,mine", OUT], "`preset` must be one of"),
    ([PAPER, BETA, "--set", "self_loop_at_2=true,maybe", OUT], "true or false; got 'maybe'"),
    ([PAPER, BETA, "--set", "self_loop_at_2=true,TRUE", OUT], "has True twice"),
    (["ring-crowd", BETA, "--set", "horizon=5:10:3", OUT], "must be whole numbers, but 7.5 is among them"),
    (["ring-crowd", BETA, "--set", "num_states=2,3", OUT], "`num_states` must be at least 3"),
    (["ring-crowd", BETA, "--set", "horizon=3,1000000000", OUT], "more than can be solved"),
    ([PAPER, BETA, "--response=greedy", OUT], "does not apply to `--response greedy`"),
    ([PAPER, "--response=greedy", OUT], "There is nothing to sweep"),
    ([PAPER, "--response=greedy", "--warm-start", OUT], "`--warm-start` goes along beta"),
    ([PAPER, BETA, "--damping=0.5", OUT], "applies to `--solver` picard"),
    ([PAPER, BETA, *PICARD, "--damping=0.5:1.5:3", OUT], "`damping[2]` is 1.5"),
    ([PAPER, BETA, *PICARD, "--damping=1,0.5", "--averaging=uniform", OUT], "`damping` must be 1"),
    ([PAPER, BETA, "--atol=1e-17", OUT], "float64 cannot reach"),
    ([PAPER, BETA, "--max-steps=0", OUT], "`max_steps` must be at least 1"),
    ([PAPER, BETA, *PICARD, "--max-steps=99999999999999", "--float32", OUT], "`max_steps` must be below 2^31"),
    ([PAPER, BETA, "--outputs=policy,frob", OUT], "`--outputs` has 'frob', but the outputs are exploitability"),
    ([PAPER, BETA, "--block=0", OUT], "`block` must be at least 1; got 0"),
    ([PAPER, BETA, "--chunk=0", OUT], "`chunk` must be at least 1; got 0"),
    ([PAPER, BETA, "--chunk=many", OUT], "'many' is not a whole number"),
    ([PAPER, BETA, "--cores=0", OUT], "`cores` must be at least 1; got 0"),
    ([PAPER, BETA, "--cores=100000", OUT], f"this process may use {num_cores()} at most"),
    ([PAPER, BETA, "--out=a_file"], "`--out` is 'a_file', but that is a file, not a folder"),
    ([PAPER, BETA, "--out=/proc/results"], "nothing can be written there"),
    ([PAPER, BETA, "--out=other"], "is not a sweep that this version of mfgjax can resume"),
]


@pytest.mark.parametrize(("arguments", "sentence"), ERRORS, ids=[" ".join(a)[-60:] for a, _ in ERRORS])
def test_bad_input_is_one_sentence_and_no_file(folder, arguments, sentence):
    before = contents(folder)
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("mfgjax: ") and err.endswith("\n") and err.count("\n") == 1
    assert sentence in err
    assert contents(folder) == before and not (folder / "results").exists()


def test_more_lanes_than_memory_or_disk_can_hold_are_refused(folder, monkeypatch):
    # 4,000 lanes of 6 · 5 · 3 numbers for the policy, as many · 1/3 for the mean field, 5 for the law, 6 more
    monkeypatch.setattr(output.shutil, "disk_usage", lambda path: SimpleNamespace(free=3_000_000))
    monkeypatch.setattr(output.os, "sysconf", lambda name: 500)
    _, _, err = run(PAPER, "--beta=1:2:4000", OUT)
    assert "4,000 games take 0.00419 GB of disk, but 0.003 GB are free in 'results'" in err
    assert not (folder / "results").exists()
    _, _, err = run(PAPER, "--beta=1:2:4000")
    assert "4,000 games take 0.000352 GB of memory, but 0.00025 GB are there: give fewer, or `--out`." in err


def test_an_interruption_before_the_first_lane_leaves_nothing(folder, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(mfg, "sweep", interrupted, raising=False)
    assert run(PAPER, BETA, "--out=results/deep") == (130, "", "mfgjax: interrupted.\n")
    assert not (folder / "results").exists()


def test_help_teaches_ranges_and_exit_statuses(monkeypatch):
    monkeypatch.setenv("COLUMNS", "124")
    status, out, err = run("--help")
    assert (status, err) == (0, "") and "Exit status: 0 done" in out
    assert "START:STOP:COUNT:log" in out and "mfgjax sweep resource-allocation --beta 0.05:50:256:log" in out


LONG = [PAPER, "--beta", "0.05:1:2048:log", *PICARD, "--damping", "0.1", "--chunk", "16", "--out"]


def stopped(folder: Path, how: int, after: int) -> tuple[int, str, str]:
    """Start the long sweep, stop it once so many of its files are there, and return what it said."""
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "mfgjax", "sweep", *LONG, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=settings)
    try:
        end = time.monotonic() + 100
        while num_files(folder) < after and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()
        process.send_signal(how)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err
    finally:
        process.kill()


DROPPED = """
import importlib, sys, time
entry = importlib.import_module("mfgjax.cli.main")  # `mfgjax.cli.main` by another way is the function
class Finaliser:
    def __del__(self): raise KeyboardInterrupt  # which Python drops
def command(**_):
    Finaliser()
    time.sleep(60)
entry.app = command
sys.exit(entry.main())
"""


def test_an_interruption_that_python_drops_is_repeated():
    settings = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", DROPPED], env=settings, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mfgjax: interrupted.\n")


def num_files(folder: Path) -> int:
    return len([path for path in (folder / "sweep.zarr" / "result_code").glob("*") if path.name.isdigit()])


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
def test_a_sweep_that_is_interrupted_and_then_killed_goes_on_where_it_was(tmp_path):
    status, out, err = stopped(tmp_path, signal.SIGINT, 3)
    assert (status, out) == (130, "") and err.count("\n") == 1
    assert f"of 2,048 games are in {tmp_path / 'sweep.zarr'}, and the same command resumes the sweep." in err
    first = num_files(tmp_path)
    status, out, err = stopped(tmp_path, signal.SIGKILL, first + 3)
    assert (status, out, err) == (-signal.SIGKILL, "", "")
    there = {path: data for path, data in contents(tmp_path / "sweep.zarr").items() if path.name.isdigit()}
    done = 16 * num_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.zarr"} and 16 * first < done < 2048

    status, out, err = run(*LONG, str(tmp_path), "--json")
    content = json.loads(out)
    assert (status, err) == (0, "")
    # a file that was being written when the process was killed does not count
    assert content["num_computed"] in (2048 - done, 2048 - done + 16) and content["num_converged"] == 2048
    now = contents(tmp_path / "sweep.zarr")
    codes = [path for path in there if path.parent.name == "result_code"]
    assert codes and all(now[path] == there[path] for path in codes)
    assert {path.name for path in tmp_path.iterdir()} == {"sweep.zarr", "phase.png", "table.json"}

    game = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(game)
    found = opened(tmp_path)
    for place in (0, 17, 2047):
        alone = mfg.solve(game, mfg.EntropyRegularized(found.beta.values[place], rho))
        np.testing.assert_allclose(found.mean_field[place], alone.mean_field, atol=1e-9)
