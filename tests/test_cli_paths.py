"""Several equilibria on the command line: `branch`, `hysteresis` and `multi-start` print and save what is there."""

import json

import numpy as np
import pytest
from commands import PAPER, PNG, run, words
from helpers import assert_close

import mfgjax as mfg
from mfgjax.io import load_equilibrium

BETA = 4.0
FIELD = ["--beta", "4", "--parameter", "reward.L.field", "--start", "-0.5", "--stop", "0.5"]
MARKET = ["mturk", "--response", "trembling", "--epsilon", "0.1"]
MEANS = (8.890705, 20.109247)  # of its extreme equilibria, as `mturk` documents them


def field_by_hand(x):
    """The field at which x is an equilibrium share of state 1: x = 1/(1 + exp(−β(2x − 1 + field))), solved for it."""
    return np.log(x / (1 - x)) / BETA - (2 * x - 1)


@pytest.fixture(scope="module")
def branched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("branched") / "out"
    printed = run("branch", "coordination", *FIELD, "--at", "0,0.7", "--out", str(folder))
    return json.loads((folder / "branch.json").read_text(encoding="utf-8")), folder, printed


@pytest.fixture(scope="module")
def led(tmp_path_factory):
    folder = tmp_path_factory.mktemp("led") / "out"
    options = ["--parameter", "reward.effort_cost", "--values", "0.11,0.15,0.164,0.2,0.24", "--out", str(folder)]
    printed = run("hysteresis", *MARKET, *options)
    return json.loads((folder / "hysteresis.json").read_text(encoding="utf-8")), folder, printed


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    folder = tmp_path_factory.mktemp("started") / "out"
    printed = run("multi-start", *MARKET, "--starts", "32", "--out", str(folder))
    return json.loads((folder / "multi_start.json").read_text(encoding="utf-8")), folder, printed


def test_branch_saves_the_path_of_the_hand_computation_with_its_folds(branched):
    content, folder, (status, _, err) = branched
    assert (status, err) == (0, "") and content["complete"]
    turns = (1 + np.array([-1, 1]) * np.sqrt(1 - 2 / BETA)) / 2  # where the field by hand has derivative 0
    assert_close(content["folds"], field_by_hand(turns), atol=1e-6)
    points = content["path"]
    assert [points[0]["reward.L.field"], points[-1]["reward.L.field"]] == [-0.5, 0.5]
    flows = np.array([point["mean_field"] for point in points])
    assert flows.shape == (len(points), 2, 2)
    assert_close(field_by_hand(flows[:, 1, 1]), [point["reward.L.field"] for point in points], atol=1e-7)
    assert [point["reward.L.field"] for point in points if point["fold"]] == content["folds"]
    assert sorted(path.name for path in folder.iterdir()) == ["branch.json", "branch.png"]
    assert (folder / "branch.png").read_bytes().startswith(PNG)


def test_branch_prints_the_path_and_the_equilibria_at_a_value(branched):
    content, _, (_, out, _) = branched
    shares = [one["mean_field"][1][1] for one in content["equilibria"]]
    low = 0.02
    for _ in range(100):  # x = σ(4 (2x − 1)) attracts its lowest solution
        low = 1 / (1 + np.exp(-BETA * (2 * low - 1)))
    assert_close(sorted(shares), (low, 0.5, 1 - low), atol=1e-8)
    assert "folds 2, at 0.26642, -0.26642" in words(out) and "bifurcations none found" in words(out)
    assert f"0 {low:.4f} 0: {1 - low:.3f}, 1: {low:.3f}" in words(out)
    assert "`value` is 0.7, but the path has values from -0.5 to 0.5." in words(out)  # and yet all else is there
    assert out.count("fold ") == 2 and max(map(len, out.split("saved")[0].splitlines())) <= 124


def test_a_path_in_beta_that_is_cut_is_printed_with_status_1():
    """Up to β = 2 coordination has only the even equilibrium."""
    options = ["--start", "0.5", "--stop", "1.5", "--max-points", "5", "--json"]
    status, out, err = run("branch", "coordination", *options)
    assert status == 1 and err == "mfgjax: The path was cut after 5 points.\n"
    content = json.loads(out)
    betas = [point["beta"] for point in content["path"]]
    assert len(betas) == 5 and not content["complete"] and (np.diff(betas) > 0).all()
    assert_close([point["mean_field"][1] for point in content["path"]], 0.5, atol=1e-8)


def test_hysteresis_saves_both_ways_and_where_they_differ(led):
    content, folder, (status, _, err) = led
    assert (status, err) == (0, "")
    assert content["apart"] == [0.15, 0.164, 0.2]
    assert content["jumps"] == {"there": [[0.2, 0.24]], "back": [[0.11, 0.15]]}
    row = content["rows"][2]
    assert_close((row["back"]["mean_state"], row["there"]["mean_state"]), MEANS, atol=1e-6)
    laws = [np.array(row[way]["mean_field"]) for way in ("there", "back")]
    assert_close(row["distance"], np.abs(laws[0] - laws[1]).sum() / 2)
    assert sorted(path.name for path in folder.iterdir()) == ["hysteresis.json", "hysteresis.png"]
    assert (folder / "hysteresis.png").read_bytes().startswith(PNG)


def test_hysteresis_prints_means_and_jumps(led):
    _, _, (_, out, _) = led
    assert "0.164 20.1092 8.8907" in words(out)
    assert "two equilibria at 3 of 5 values, 0.15 to 0.2" in words(out)
    assert "jumps there between 0.2 and 0.24 jumps back between 0.11 and 0.15" in words(out)


def test_values_without_an_equilibrium_are_dashes_and_status_1(tmp_path):
    """Plain iteration settles at β = 0.5 and cycles at β = 3; nodes with names have no mean to be drawn."""
    options = ["--parameter", "beta", "--values", "0.5,3", "--solver", "picard", "--out", str(tmp_path)]
    status, out, err = run("hysteresis", PAPER, *options)
    assert (status, err) == (1, "mfgjax: no equilibrium was found at 2 of 4 steps, the first at 3 (there).\n")
    assert "3 – – –" in words(out) and "two equilibria at no value" in words(out)
    assert "not drawn hysteresis.png" in words(out)
    assert [path.name for path in tmp_path.iterdir()] == ["hysteresis.json"]
    assert json.loads((tmp_path / "hysteresis.json").read_text(encoding="utf-8"))["rows"][1]["back"] is None


def test_multi_start_saves_each_equilibrium_once(started):
    content, folder, (status, out, err) = started
    assert (status, err) == (0, "")
    found = content["equilibria"]
    assert_close(sorted(one["mean_state"] for one in found), MEANS, atol=1e-6)
    assert sum(one["num_starts"] for one in found) == 32 and content["num_failed"] == 0
    names = ["equilibrium_1.nc", "equilibrium_2.nc", "multi_start.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for one, name in zip(found, names, strict=False):
        assert load_equilibrium(folder / name).mean_field.values.tolist() == one["mean_field"]
        assert f"{one['num_starts']} {one['mean_state']:.4f}" in words(out)
    assert "found 2 equilibria; others may exist" in words(out)


def test_no_equilibrium_from_any_start_is_status_1():
    status, out, err = run("multi-start", PAPER, "--beta", "3", "--solver", "picard", "--starts", "4")
    assert (status, err) == (1, "mfgjax: none of 4 starts reached an equilibrium.\n")
    assert "starts 4, of which 4 failed" in words(out)


START_STOP = ["--start", "1", "--stop", "2"]
VALUES = ["--parameter", "beta", "--values"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["branch", *MARKET, *START_STOP, "--parameter", "discount"],
            "'trembling' is not one of entropy, boltzmann",
        ),
        (["branch", "left-right", *START_STOP, "--beta", "1"], "`--beta 1.0` cannot be given: beta is the"),
        (["branch", "left-right", "--start", "-1", "--stop", "2"], "`beta` is -1"),
        (["branch", "left-right", *START_STOP, "--at", "x"], "`--at x`: 'x' is not a number"),
        (["branch", "mturk", "--beta=1", "--parameter=effort_cost", *START_STOP], "did you mean 'reward.effort_cost'?"),
        (["branch", "left-right", "--stop", "2"], "Missing option '--start'"),
        (["hysteresis", "left-right", *VALUES, "1"], "`values` must hold at least two numbers"),
        (["hysteresis", "left-right", *VALUES, "1:2"], "`--values 1:2` is no range"),
        (["hysteresis", "left-right", "--beta=1", *VALUES, "1,2"], "`--beta 1.0` cannot be given"),
        (["hysteresis", "mturk", "--response=greedy", *VALUES, "1,2"], "does not apply to `--response greedy`"),
        (["multi-start", "left-right"], "`--response entropy` needs `--beta`"),
        (["multi-start", "left-right", "--beta=1", "--starts=0"], "`--starts` must be at least 1; got 0"),
        (["multi-start", "left-right", "--beta=1", "--distance=2"], "`distance` is 2"),
        (["multi-start", "left-right", "--beta=1", "--starts=99999999999"], "give fewer `--starts`"),
    ],
)
def test_bad_input_is_one_sentence_and_no_file(tmp_path, arguments, sentence):
    status, out, err = run(*arguments, f"--out={tmp_path / 'results'}")
    assert (status, out, err.count("\n")) == (2, "", 1) and sentence in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("branch", ["branch", "left-right", *START_STOP]),
        ("hysteresis", ["hysteresis", "left-right", *VALUES, "1,2"]),
        ("multi_start", ["multi-start", "left-right", "--beta=1"]),
    ],
)
def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch, function, arguments):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(mfg, function, interrupted)
    assert run(*arguments, f"--out={tmp_path / 'deep' / 'results'}") == (130, "", "mfgjax: interrupted.\n")
    assert not list(tmp_path.iterdir())
