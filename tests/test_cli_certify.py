"""The command `certify`: what it prints and saves is what the library proves, and it says what is not proved."""

import json
import math
from functools import partial
from types import SimpleNamespace

import commands
import numpy as np
import pytest
from commands import EXAMPLE, PAPER, PNG, words

import mfgjax as mfg
from mfgjax.certify import summary

run = partial(commands.run, "certify")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The paper's example at β = 0.5."""
    folder = tmp_path_factory.mktemp("out") / "new" / "folder"
    return folder, run(PAPER, "--beta", "0.5", "--out", str(folder))


def test_the_table_has_every_certificate_with_its_status(saved):
    _, (status, out, err) = saved
    assert (status, err) == (0, "")
    assert "path_span holds 0.625 0.8 q in the bound" in words(out)
    assert "critical_beta holds 1.431 1.431 first" in words(out)
    assert "naive_chain unknown 3.75 0.1333" in words(out) and "monotone fails" in words(out)
    assert max(map(len, out.split("At β = 0.5")[0].splitlines())) <= 124 and "…" not in out


def test_the_summary_says_what_follows(saved):
    _, (_, out, _) = saved
    (sentence,) = [line for line in out.splitlines() if line.startswith("At β = 0.5")]
    assert "there is exactly one equilibrium (hypomonotone)" in sentence
    assert "iteration converges (rate 0.3669, proved to be at most 0.625)" in sentence
    bound = float(sentence.split("within ")[1].split(" of it")[0])
    report = json.loads((saved[0] / "certificates.json").read_text(encoding="utf-8"))
    assert report["certificates"]["distance"]["value"] <= bound < 1e-9


def test_the_factors_are_those_of_the_theorem(saved):
    # |S| = 5, H = 5: K_prop = 5 (5^5 - 1)/4 = 3905; the naive chain has 5, 3 and 3 β/2, as 5 times move with α = 1
    _, (_, out, _) = saved
    lines = {line.split("  ")[0].strip(): line for line in out.splitlines() if "10^" in line}
    assert f"10^{math.log10(3905):.2f}" in lines["Theorem 1, as meant"]
    powers = [f"10^{math.log10(x):.2f}" for x in (5, 3, 0.75, 3.75)]
    assert lines["naive_chain"].split()[1:] == [*powers, "0.1333"]


def test_out_has_the_numbers_and_a_picture(saved):
    folder, (_, out, _) = saved
    assert {path.name for path in folder.iterdir()} == {"certificates.json", "thresholds.png"}
    assert (folder / "thresholds.png").read_bytes().startswith(PNG)
    content = json.loads((folder / "certificates.json").read_text(encoding="utf-8"))
    assert content["files"] == [str(folder / "certificates.json"), str(folder / "thresholds.png")]
    assert all(file in out for file in content["files"])
    np.testing.assert_allclose(content["certificates"]["path_span"]["threshold"], 0.8, rtol=1e-9)


@pytest.mark.parametrize(("preset", "path_span", "critical"), [("paper", 0.8, 1.431), ("author-code", 1.481, 2.651)])
def test_thresholds_are_the_known_ones(preset, path_span, critical):
    # computed independently of this library
    status, out, err = run(PAPER, "--beta", "0.5", "--set", f"preset={preset}", "--json")
    content = json.loads(out)
    assert (status, err) == (0, "")
    lines = content["certificates"]
    np.testing.assert_allclose(lines["path_span"]["threshold"], path_span, rtol=5e-4)
    np.testing.assert_allclose(lines["critical_beta"]["threshold"], critical, rtol=5e-4)
    assert lines["unique"]["status"] == "holds" and content["converged"]
    assert content["game"] == "resource_allocation" and content["request"]["settings"] == [f"preset={preset}"]
    assert content["summary"].startswith("At β = 0.5 there is exactly one equilibrium")
    assert content["factors"]["paper_meant"]["log10_threshold"] < -15 and content["files"] == []


def test_what_is_not_proved_is_said_and_is_no_error():
    status, out, err = run(PAPER, "--beta", "3")
    assert (status, err) == (0, "")
    assert "That there is only one equilibrium is not proved at β = 3: it is for β < " in out
    assert "Plain iteration does not converge to the one found (rate 1.983; for β < 1.431 it does)" in out


def test_a_file_has_the_thresholds_of_its_game():
    content = json.loads(run(EXAMPLE, "--beta", "0.5", "--json")[1])
    assert content["game"] == "resource allocation"
    np.testing.assert_allclose(content["certificates"]["path_span"]["threshold"], 0.8, rtol=1e-9)


def test_explain_prints_the_theorems():
    status, out, _ = run(PAPER, "--beta", "0.5", "--explain")
    assert status == 0 and "Theorem: " in out and "Assumed: " in out and "Checked: " in out
    assert "arXiv:2110.07469, Theorem 1" in words(out)


def test_greedy_agents_have_no_threshold_and_no_picture(tmp_path):
    status, out, err = run("left-right", "--response", "greedy", "--float32", "--out", str(tmp_path))
    assert json.loads((tmp_path / "certificates.json").read_text(encoding="utf-8"))["dtype"] == "float32"
    assert (status, err) == (0, "") and [path.name for path in tmp_path.iterdir()] == ["certificates.json"]
    assert "the theorems are for responses with a β" in out and "not drawn" in out
    assert "monotone holds" in words(out)


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """Coordination over its strength c: all thresholds are 2/|c|, and for c <= 0 crowds repel."""
    folder = tmp_path_factory.mktemp("family")
    return folder, run("coordination", "--beta", "1.5", "--set", "strength=-2:2:5", "--out", str(folder))


def test_a_range_certifies_a_family(family):
    folder, (status, _, err) = family
    assert (status, err) == (0, "")
    content = json.loads((folder / "certificates.json").read_text(encoding="utf-8"))
    members = content["members"]
    assert content["parameter"] == "strength" and [row["strength"] for row in members] == [-2, -1, 0, 1, 2]
    for row in members:
        strength, ends = row["strength"], {name: float(end) for name, end in row["thresholds"].items()}
        expected = 2 / abs(strength) if strength else math.inf
        for name in ("naive_chain", "span_sum", "path_span", "critical_beta"):
            np.testing.assert_allclose(ends[name], expected, rtol=1e-6)
        np.testing.assert_allclose(ends["unique"], expected if strength > 0 else math.inf, rtol=1e-6)
        assert row["status"]["unique"] == ("unknown" if strength == 2 else "holds")
    assert (folder / "thresholds.png").read_bytes().startswith(PNG)


def test_a_family_is_printed_a_row_for_each_game(family):
    _, (_, out, _) = family
    rows = [line.split() for line in out.splitlines() if line.split()[-1:] in (["holds"], ["unknown"])]
    assert [row[0] for row in rows] == ["-2", "-1", "0", "1", "2"]
    assert rows[3][2:] == ["2", "2", "2", "2", "2", "holds"] and rows[4][-1] == "unknown"
    assert "At β = 1.5 it is proved for 4 of 5 values of strength that there is one equilibrium, and for 3 that" in out
    assert "Plain iteration stops converging at 1 times the certified β." in out


def test_the_json_of_a_family_is_all_there_is_on_stdout(family):
    status, out, err = run("coordination", "--beta", "1.5", "--set", "strength=1,2", "--json")
    assert (status, err) == (0, "")
    content = json.loads((family[0] / "certificates.json").read_text(encoding="utf-8"))
    assert json.loads(out)["members"] == content["members"][3:]


def test_of_many_games_an_even_choice_is_printed():
    _, out, _ = run("coordination", "--beta", "1", "--set", "strength=1:2:61")
    rows = [line.split()[0] for line in out.splitlines() if line.split()[-1:] in (["holds"], ["unknown"])]
    assert len(rows) == 40 and rows[0] == "1" and rows[-1] == "2"
    assert "21 values of strength are not shown." in out


@pytest.fixture
def unsolved(monkeypatch):
    solve = mfg.solve
    monkeypatch.setattr(mfg, "solve", lambda *a, **o: solve(*a, mfg.Picard(), max_steps=2, **o))


def test_what_was_not_solved_is_status_1_with_all_that_was_found(unsolved, tmp_path):
    status, out, err = run("coordination", "--beta", "1", "--set", "field=0.5", "--out", str(tmp_path))
    assert status == 1 and err.count("\n") == 1 and "did not converge" in err
    assert "there is exactly one equilibrium" in out and "local_radius" in out
    bound = float(out.split("the mean field found is within ")[1].split(" of it")[0])
    assert bound > 1e-3  # Banach's bound holds for any mean field
    assert {path.name for path in tmp_path.iterdir()} == {"certificates.json", "thresholds.png"}
    status, out, err = run("coordination", "--beta", "1", "--set", "field=0.5,1")
    assert status == 1 and err.startswith("mfgjax: 2 of 2 games were not solved, the first at field = 0.5: ")


def test_a_bound_stays_one_when_it_is_rounded():
    pairs = ((8.95e-12, "9e-12"), (9.5e-5, "1e-4"), (1e-3, "1e-3"), (3e-9, "3e-9"), (1.01, "2e+00"), (0, "0"))
    for number, text in pairs:
        assert summary._rounded_up(number) == text


OUT = "--out=results"
BETA = "--beta=1"
ERRORS = [
    ([OUT], "Missing argument"),
    (["nosuch", BETA, OUT], "'nosuch', but there is no such game"),
    ([PAPER, OUT], "needs `--beta`"),
    ([PAPER, "--beta=0", OUT], "`beta` is 0"),
    ([PAPER, "--beta=much", OUT], "'--beta': 'much' is not a number"),
    ([PAPER, "--beta=0.5,1", OUT], "'--beta': '0.5,1' is not a number"),
    ([PAPER, BETA, "--response=magic", OUT], "'magic' is not one of"),
    ([PAPER, BETA, "--response=greedy", OUT], "`--beta 1.0` does not apply to `--response greedy`"),
    ([PAPER, BETA, "--reference=nosuch", OUT], "there is no such file"),
    (["ring-crowd", BETA, "--reference=paper", OUT], "has no such reference"),
    ([PAPER, BETA, "--set", "preset", OUT], "`--set` takes KEY=VALUE; got 'preset'"),
    ([PAPER, BETA, "--set", "frob=3", OUT], "no parameter 'frob'"),
    ([PAPER, BETA, "--set", "preset=mine", OUT], "`preset` must be one of"),
    ([PAPER, BETA, "--set", "preset=paper,author-code", OUT], "'paper' among them: a range is of numbers"),
    ([PAPER, BETA, "--set", "self_loop_at_2=true,false", OUT], "True among them: a range is of numbers"),
    (["ring-crowd", BETA, "--set", "num_states=2.5", OUT], "'2.5' is not a whole number"),
    (["ring-crowd", BETA, "--set", "congestion=0:1", OUT], "is no range"),
    (["ring-crowd", BETA, "--set", "congestion=0,1", "--set", "horizon=1,2", OUT], "gives one for congestion, horizon"),
    (["ring-crowd", BETA, "--set", "num_states=2,3", OUT], "`num_states` must be at least 3"),
    (["ring-crowd", BETA, "--set", "horizon=1000000000", OUT], "more than can be solved"),
    (["coordination", BETA, "--set", "strength=1,2", "--explain", OUT], "`--explain` is for one game"),
    (["coordination", "--response=greedy", "--set", "strength=1,2", OUT], "has no β, hence no thresholds"),
    (["coordination", "--set", "strength=1,2", OUT], "needs `--beta`"),
    ([EXAMPLE, BETA, "--set", "horizon=3", OUT], "change it there"),
    ([PAPER, BETA, "--out=a_file"], "`--out` is 'a_file', but that is a file, not a folder"),
]


@pytest.mark.parametrize(("arguments", "sentence"), ERRORS, ids=[" ".join(a)[-60:] for a, _ in ERRORS])
def test_bad_input_is_one_sentence_and_no_file(tmp_path, monkeypatch, arguments, sentence):
    (tmp_path / "a_file").write_text("not a folder")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mfg, "certify", lambda *a, **o: pytest.fail("it was certified"))
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("mfgjax: ") and err.endswith("\n") and err.count("\n") == 1
    assert sentence in err
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


def test_an_interruption_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(mfg, "certify", interrupted)
    monkeypatch.setattr(mfg, "solve", lambda *a, **o: SimpleNamespace())
    assert run(PAPER, BETA, "--out", str(tmp_path / "deep")) == (130, "", "mfgjax: interrupted.\n")
    assert not (tmp_path / "deep").exists()
