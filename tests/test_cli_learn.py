"""`mfgjax learn`, and `reproduce` of the examples in which agents learn."""

import json

import numpy as np
import pytest
from commands import run

import mfgjax as mfg
from mfgjax import learners

SMALL = ("--epsilon", "0.2", "--learners", "online-tmfq,iql", "--seeds", "2", "--agents", "30")


def test_runs_are_told_saved_and_gone_on_with(tmp_path):
    out = tmp_path / "out"
    status, told, said = run("learn", "infection-spread", *SMALL, "--steps", "6", "--out", str(out))
    assert (status, said) == (0, "")
    assert "online TMFQ" in told and "one equilibrium, reached from every law" in told
    names = ["iql.npz", "laws.png", "learning.png", "online-tmfq.npz", "table.json"]
    assert sorted(path.name for path in out.iterdir()) == names
    before = (out / "iql.npz").read_bytes()
    status, told, _ = run("learn", "infection-spread", *SMALL, "--steps", "8", "--out", str(out), "--json")
    report = json.loads(told)
    assert status == 0 and [row["num_steps"] for row in report["rows"]] == [8, 8]
    assert report["coincide"] and report["equilibria"][0]["mean_state"] == pytest.approx(19.569801, abs=1e-6)
    assert json.loads((out / "table.json").read_text(encoding="utf-8")) == report
    assert (out / "iql.npz").read_bytes() != before
    with np.load(out / "iql.npz") as archive:
        assert archive["laws"].shape == (2, 9, 25)
        mean = float((archive["laws"][:, -1] @ np.arange(25)).mean())
    assert report["rows"][1]["mean_state"] == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize(("call", "begins_with"), [(3, 2), (5, None)], ids=["within a learner", "between two"])
def test_an_interruption_leaves_what_was_done(tmp_path, monkeypatch, call, begins_with):
    """Four steps are four calls for each of two learners."""
    calls, original = [], learners.run

    def interrupted(*arguments, **options):
        calls.append(options)
        if len(calls) == call:
            raise KeyboardInterrupt
        return original(*arguments, **options)

    monkeypatch.setattr(learners, "run", interrupted)
    command = ("learn", "mturk", *SMALL, "--steps", "4", "--out", str(tmp_path / "out"))
    status, _, said = run(*command)
    assert status == 130 and "the same command resumes them" in said
    calls.clear()
    calls.extend([{}] * call)  # no more interruptions
    status, told, _ = run(*command, "--json")
    assert status == 0 and [row["num_steps"] for row in json.loads(told)["rows"]] == [4, 4]
    before = calls[call]["resume"]
    assert (None if before is None else before.num_steps) == begins_with
    assert len(calls) == 9  # eight, and the one that was cut off


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("resource-allocation", "--epsilon", "0.1"), "has a horizon; learners are for stationary games"),
        (("mturk", "--epsilon", "0.9"), "`epsilon` is 0.9"),
        (("mturk", "--epsilon", "0.1", "--learners", "dqn"), "`--learners` has 'dqn'"),
        (("mturk", "--epsilon", "0.1", "--learners", "iql,iql"), "`--learners` has iql twice"),
        (("mturk", "--epsilon", "0.1", "--steps", "0"), "`--steps`"),
        (("mturk", "--epsilon", "0.1", "--agents", "0"), "`--agents`"),
        (("mturk", "--epsilon", "0.1", "--agents", "2147483648", "--learners", "iql"), "counts and indices are int32"),
        (("mturk", "--epsilon", "0.1", "--learners", "iql", "--updates", "5"), "`--updates` is without effect"),
        (("mturk", "--epsilon", "0.1", "--learners", "iql", "--restart"), "`--restart` is without effect"),
        (("mturk", "--epsilon", "0.1", "--learners", "tmfq", "--agents", "5"), "`--agents` is without effect"),
        (("mturk", "--epsilon", "0.1", "--learners", "gmbl", "--initial-q", "0"), "`--initial-q` is without effect"),
    ],
)
def test_bad_input_is_one_sentence(arguments, sentence):
    status, told, said = run("learn", *arguments)
    assert status == 2 and told == "" and sentence in said and said.count("\n") == 1


def test_another_run_in_the_folder_is_refused(tmp_path):
    common = ("learn", "mturk", "--learners", "iql", "--seeds", "2", "--agents", "30", "--out", str(tmp_path))
    assert run(*common, "--epsilon", "0.1", "--steps", "2")[0] == 0
    status, _, said = run(*common, "--epsilon", "0.2", "--steps", "2")
    assert status == 2 and "run with another `response`" in said
    status, _, said = run(*common, "--epsilon", "0.1", "--steps", "2", "--float32")
    assert status == 2 and "run with another `precision`" in said
    status, _, said = run(*common, "--epsilon", "0.1", "--steps", "2", "--start", "highest")
    assert status == 2 and "run with another `start`" in said
    status, _, said = run(*common, "--epsilon", "0.1", "--steps", "1")
    assert status == 2 and "has 2 steps already" in said
    path = tmp_path / "iql.npz"
    game, response = mfg.games.mturk(), mfg.Trembling(0.1)
    learners.save_run(path, learners.load_run(path, game, response, learners.IQL(30)))  # without its identity
    status, _, said = run(*common, "--epsilon", "0.1", "--steps", "2")
    assert status == 2 and "is no run that this version can go on with; give another `--out`" in said


def test_q_0_ties_and_start_are_options():
    """All start at the bottom; where all efforts count the same, the smallest or the largest is made."""
    common = (
        "learn",
        "mturk",
        "--epsilon",
        "0",
        "--learners",
        "iql",
        "--seeds",
        "1",
        "--agents",
        "200",
        "--steps",
        "1",
    )
    found = {}
    for tie in ("smallest", "largest"):
        status, told, _ = run(*common, "--start", "lowest", "--tie", tie, "--initial-q", "0.5", "--json")
        assert status == 0
        found[tie] = json.loads(told)["rows"][0]["mean_state"]
    # of those who stay, 0.9, one in ten loses all; newcomers have 12 on average
    assert found["smallest"] == pytest.approx(0.1 * 12, abs=1.0)
    assert found["largest"] == pytest.approx(0.9 * 0.9 * 4 + 0.1 * 12, abs=1.0)


def test_reproduce_mturk_tells_its_equilibria_and_refuses_options_of_others(tmp_path):
    small = ("--seeds", "1", "--steps", "2", "--agents", "20", "--out", str(tmp_path / "out"))
    status, told, _ = run("reproduce", "mturk", *small)
    assert status == 0 and "8.890705" in told and "jumps on the way back" in told
    assert (tmp_path / "out" / "hysteresis.png").stat().st_size > 5_000
    status, _, said = run("reproduce", "mturk", *small, "--preset", "paper")
    assert status == 2 and "`--preset paper` does not apply to `mfgjax reproduce mturk`" in said
    status, _, said = run("reproduce", "resource-allocation", *small)
    assert status == 2 and "`--seeds 1` does not apply to `mfgjax reproduce resource-allocation`" in said
