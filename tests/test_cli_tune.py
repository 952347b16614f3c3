"""The command `tune`: what it prints and saves is what the library finds, and a search that stopped goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import commands
import numpy as np
import pytest
from commands import PAPER, PNG, ROOT

import mfgjax as mfg
from mfgjax.cli import tune
from mfgjax.design import resume

run = partial(commands.run, "tune")
EXAMPLES = ROOT / "examples"
HALF, SIGNS = str(EXAMPLES / "half_and_half.toml"), str(EXAMPLES / "evacuation_signs.toml")
FILES = {"tuned.json", "reference.json", "tuned.toml", "tuned.png", "search.json"}


def content_of(folder: Path) -> dict:
    return json.loads((folder / "tuned.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """The paper's game, steered to 50/50 at nodes 3 and 4."""
    folder = tmp_path_factory.mktemp("out") / "new" / "folder"
    return folder, run(HALF, "--agents", "10,1000", "--runs", "400", "--out", str(folder))


def test_the_crowd_is_steered_to_half_and_half(half):
    folder, (status, out, err) = half
    assert (status, err) == (0, "")
    content = content_of(folder)
    (before,), (after,) = content["before"]["scenarios"], content["after"]["scenarios"]
    law = np.array(list(after["terminal_law"].values()))
    assert 0.5 * np.abs(law - [0, 0, 0.5, 0.5, 0]).sum() < 1e-4 < before["terms"]["target law at t = 5"]
    assert content["search"]["num_steps"] <= 200 and content["search"]["objective"] == pytest.approx(
        content["after"]["objective"], rel=1e-6
    )
    assert "The gradient is below `gtol`." in out and "no equilibrium  0 designs" in out
    assert max(map(len, out.split("search  ")[0].splitlines())) <= 124 and "…" not in out


def test_the_saved_reference_and_game_give_the_tuned_equilibrium(half):
    folder, (_, out, _) = half
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(str(folder / name) in out for name in FILES) and (folder / "tuned.png").read_bytes().startswith(PNG)
    content, file = content_of(folder), mfg.games.load_game(folder / "tuned.toml")
    reference = json.loads((folder / "reference.json").read_text(encoding="utf-8"))
    rho = mfg.games.policy_on_edges(file.game, reference)
    np.testing.assert_allclose(file.reference, rho, rtol=1e-12)
    found = mfg.solve(file.game, mfg.EntropyRegularized(3.0, file.reference))
    law = list(content["after"]["scenarios"][0]["terminal_law"].values())
    np.testing.assert_allclose(found.mean_field[-1], law, atol=1e-8)  # both solved to 1e-10
    assert content["parameters"]["reference"] == reference and file.positions is not None


def test_the_policy_among_agents_is_that_of_the_library(half):
    content, file = content_of(half[0]), mfg.games.load_game(half[0] / "tuned.toml")
    response = mfg.EntropyRegularized(3.0, file.reference)
    found, numbers = mfg.solve(file.game, response), np.array([10, 1000])
    gain = mfg.finite.deviation_gain(file.game, found.policy, numbers, response)
    distance = mfg.finite.law(file.game, found.policy, numbers).distance[-1]
    for row, expected, apart, n in zip(content["populations"], gain.gain, distance, numbers, strict=True):
        assert row["num_agents"] == n and row["method"] == "closed form"
        np.testing.assert_allclose(row["gain_regularised"], expected, rtol=1e-5)
        np.testing.assert_allclose(row["distance"], apart, rtol=1e-6)
        # agents are independent: the mean of (x − 1/2)² is the variance 1/(4N), at both nodes
        term = row["terms"]["target law at t = 5"]
        assert abs(term["mean"] - 0.5 / n) < 5 * term["standard_error"]
        assert abs(row["terminal_law"]["3"]["standard_deviation"] / (0.5 / n**0.5) - 1) < 5 / 800**0.5


def test_json_is_what_is_saved_and_all_there_is_on_stdout(half):
    status, out, err = run(HALF, "--max-steps", "3", "--json")
    content, saved = json.loads(out), content_of(half[0])
    assert (status, err) == (0, "") and content.keys() == saved.keys() and content["files"] == []
    assert content["search"]["status"] == "All steps were used up." and content["search"]["num_steps"] == 3
    assert content["problem"]["search"]["max_steps"] == 3
    # the same start, and the same first steps
    first, same = (np.array(one["search"]["history"][:3], float) for one in (content, saved))
    np.testing.assert_allclose(first, same, rtol=1e-9)
    assert content["before"] == saved["before"]


def test_a_search_goes_on_where_it_was(half, tmp_path):
    assert run(HALF, "--max-steps", "8", "--out", str(tmp_path), "--resume")[0] == 0  # nothing there: from the start
    first = content_of(tmp_path)
    status, out, err = run(HALF, "--max-steps", "4", "--out", str(tmp_path), "--resume")
    assert (status, err) == (0, "") and "4 designs in" in out and "after 8 in earlier runs" in out
    second = content_of(tmp_path)
    history = second["search"]["history"]
    assert history[:8] == first["search"]["history"] and len(history) == 12
    np.testing.assert_allclose(history[8], first["search"]["objective"], rtol=1e-5)  # a share of 1e-9 is the start's
    assert second["search"]["objective"] <= first["search"]["objective"] and second["before"] == first["before"]
    problem = mfg.design.load_problem(HALF)  # the same in Python
    problem = replace(problem, search=replace(problem.search, max_steps=2))
    third = problem.tune(out=tmp_path / "search.json", resume=True)
    assert third.num_steps == 2 and third.value <= second["search"]["objective"] * (1 + 1e-6)
    assert json.loads((tmp_path / "search.json").read_text())["history"][:12] == history
    with pytest.raises(ValueError, match=r"`resume`: .* is of another problem"):
        replace(problem, resolved=problem.resolved | {"beta": [1.0]}).tune(out=tmp_path / "search.json", resume=True)
    other = (EXAMPLES / "half_and_half.toml").read_text(encoding="utf-8").replace("1e-5", "1e-4")
    game = EXAMPLES / "resource_allocation.toml"
    (tmp_path / "other.toml").write_text(other.replace("resource_allocation.toml", game.as_posix()))
    status, _, err = run(str(tmp_path / "other.toml"), "--out", str(tmp_path), "--resume")
    assert status == 2 and "`--resume`" in err and "is of another problem, in which `game` is different" in err
    (tmp_path / "search.json").write_text("{}")
    status, _, err = run(HALF, "--out", str(tmp_path), "--resume")
    assert status == 2 and "does not hold a search of this program" in err
    (tmp_path / "search.json").write_text('{"problem": {}, "parameters": {}, "history": []}')
    status, _, err = run(HALF, "--out", str(tmp_path), "--resume")
    assert status == 2 and "search.json' is of an earlier version of mfgjax; give another `--out`" in err


def test_ctrl_c_keeps_the_best_design(half, tmp_path, monkeypatch):
    keep = resume.SavedSearch.keep

    def interrupted(self, told):
        keep(self, told)
        if told["step"] == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(resume.SavedSearch, "keep", interrupted)
    status, out, err = run(HALF, "--out", str(tmp_path))
    assert status == 130 and err.startswith("mfgjax: interrupted; the best design so far is in ")
    assert "The search was stopped from outside." in out and {path.name for path in tmp_path.iterdir()} == FILES
    content = content_of(tmp_path)
    assert content["search"]["interrupted"] and content["after"]["objective"] < content["before"]["objective"]
    assert json.loads((tmp_path / "search.json").read_text())["objective"] == content["search"]["objective"]


def test_ctrl_c_after_the_search_says_what_is_there(half, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(tune, "_of_judged", interrupted)
    status, out, err = run(HALF, "--max-steps", "2", "--out", str(tmp_path))
    assert (status, out) == (130, "") and "`--resume` goes on from it" in err
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]


def test_no_equilibrium_at_the_start_is_status_1_and_no_file(tmp_path, monkeypatch):
    def fails(*arguments, **options):
        raise mfg.ConvergenceError("No equilibrium was found at any start; the best residual is 1.", None)

    monkeypatch.setattr(mfg.design, "tune", fails)
    status, out, err = run(HALF, "--out", str(tmp_path / "results"))
    assert (status, out, err) == (1, "", "mfgjax: No equilibrium was found at any start; the best residual is 1.\n")
    assert not (tmp_path / "results").exists()


SEVERAL = """
format = "mfgjax-tune/1"
game = "resource-allocation"
[parameters.reference]
shared = false
lower = 0.001
[[objective]]
kind = "target-law"
law = { "3" = 0.5, "4" = 0.5 }
[[objective]]
kind = "cost"
weight = 0.01
[scenarios]
beta = [1.0, 3.0]
over = "worst"
[search]
optimizer = "adam"
learning_rate = 0.05
max_steps = 6
restarts = 2
"""


def test_several_temperatures_and_a_reference_that_changes(tmp_path):
    (tmp_path / "several.toml").write_text(SEVERAL, encoding="utf-8")
    status, out, err = run(str(tmp_path / "several.toml"), "--out", str(tmp_path / "out"))
    assert (status, err) == (0, "")
    content = content_of(tmp_path / "out")
    assert [one["beta"] for one in content["after"]["scenarios"]] == [1.0, 3.0]
    totals = [one["objective"] for one in content["after"]["scenarios"]]
    assert content["after"]["objective"] == max(totals) < content["before"]["objective"]
    assert len(content["search"]["restarts"]) == 2 and "restarts        2, which ended between" in out
    assert content["not_written"] == ["tuned.toml: the reference changes over time, for which a game file has no place"]
    reference = json.loads((tmp_path / "out" / "reference.json").read_text(encoding="utf-8"))
    assert len(reference) == 6 and reference[0] != reference[1]
    saved = list(content["after"]["scenarios"][1]["terminal_law"].values())
    reference = str(tmp_path / "out" / "reference.json")  # which `solve` reads
    status, out, _ = commands.run("solve", PAPER, "--beta", "3", "--json", "--reference", reference)
    assert status == 0
    np.testing.assert_allclose(list(json.loads(out)["terminal_law"].values()), saved, atol=1e-8)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_signs_empty_the_building_sooner_and_a_search_that_is_killed_leaves_its_best(tmp_path):
    code = (
        "import sys, time; from mfgjax.cli import main; from mfgjax.design import resume\n"
        "keep = resume.SavedSearch.keep; resume.SECONDS = 0\n"
        "resume.SavedSearch.keep = lambda self, told: (keep(self, told), time.sleep(0.1))[0]; sys.exit(main())"
    )
    arguments = [sys.executable, "-c", code, "tune", SIGNS, "--float32", "--out", str(tmp_path)]
    process = subprocess.Popen(arguments, cwd=ROOT)
    saved = tmp_path / "search.json"
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            if saved.exists() and len(json.loads(saved.read_text(encoding="utf-8"))["history"]) > 8:
                break
            time.sleep(0.05)
        else:
            pytest.fail("it was not to be killed in time")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    content = json.loads(saved.read_text(encoding="utf-8"))
    assert {path.name for path in tmp_path.iterdir()} == {"search.json"}
    assert content["problem"]["game"]["dtype"] == "float32"
    assert content["objective"] == min(content["history"]) < 0.72 * content["history"][0]
    reference = np.array(content["parameters"]["reference"])
    assert reference[reference > 0].min() >= 0.02 - 1e-6 and reference[0, 0, 1] > 0.7  # out of the office
    np.testing.assert_allclose(reference.sum(axis=-1), 1, rtol=1e-5)


OUT = "--out=results"
ERRORS = [
    ([OUT], "Missing argument"),
    (["nosuch.toml", OUT], "`nosuch.toml`: there is no such file"),
    (["bad.toml", OUT], "`bad.toml`: `objective` is missing"),
    ([HALF, "--resume"], "`--resume` needs `--out`"),
    ([HALF, "--agents=0", OUT], "`--agents 0`: it must lie between 1 and"),
    ([HALF, "--runs=0", OUT], "`--runs` must be at least 1; got 0"),
    ([HALF, "--max-steps=0", OUT], "`--max-steps` must be at least 1; got 0"),
    ([HALF, "--max-steps=many", OUT], "'many' is not a whole number"),
    ([HALF, "--seed=-1", OUT], "`--seed` must be at least 0; got -1"),
    ([HALF, "--out=a_file"], "`--out` is 'a_file', but that is a file, not a folder"),
]


@pytest.mark.parametrize(("arguments", "sentence"), ERRORS, ids=[" ".join(a)[-40:] for a, _ in ERRORS])
def test_bad_input_is_one_sentence_and_no_file(tmp_path, monkeypatch, arguments, sentence):
    (tmp_path / "a_file").write_text("not a folder")
    (tmp_path / "bad.toml").write_text('format = "mfgjax-tune/1"\ngame = "left-right"\nparameters = {}\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mfg.design, "tune", lambda *a, **o: pytest.fail("it was tuned"))
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("mfgjax: ") and err.endswith("\n") and err.count("\n") == 1
    assert sentence in err
    assert sorted(os.listdir(tmp_path)) == ["a_file", "bad.toml"]
