"""The command line: what it prints and saves is what the library finds, and what it refuses leaves no trace."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from commands import EXAMPLE, PAPER, PNG, ROOT, run

import mfgjax as mfg
from mfgjax import _progress, cli
from mfgjax._names import offered
from mfgjax.cli import output
from mfgjax.io import load_equilibrium

SOLVE = ["solve", PAPER]

# terminal laws and μ_0·V_0, computed independently of this library
GOLDEN = {
    ("paper", "beta_0.1"): ((0.004675, 0.004222, 0.512844, 0.473560, 0.004699), 0.624731),
    ("paper", "beta_1"): ((0.002714, 0.002452, 0.603457, 0.388649, 0.002729), 0.606112),
    ("paper", "beta_3"): ((0.000854, 0.000772, 0.670311, 0.327205, 0.000859), 0.587469),
    ("author-code", "beta_1"): ((0.003694, 0.003431, 0.567887, 0.421397, 0.003592), 0.217726),
    ("author-code", "beta_3"): ((0.002084, 0.002043, 0.633486, 0.360486, 0.001902), 0.211969),
}
REFERENCE_LAW = (0.00498, 0.00449, 0.49522, 0.49031, 0.00500)


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(PNG) and path.stat().st_size > 5_000


@pytest.fixture(scope="module", params=["paper", "author-code"])
def reproduced(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "new" / "folder"
    printed = run("reproduce", "resource-allocation", "--preset", request.param, "--out", str(folder))
    return request.param, folder, printed


def law(row: dict) -> list[float]:
    return list(row["terminal_law"].values())


def test_reproduce_finds_the_known_laws(reproduced):
    preset, folder, (status, _, err) = reproduced
    assert (status, err) == (0, "")
    rows = {row["run"]: row for row in json.loads((folder / "table.json").read_text(encoding="utf-8"))}
    for (which, key), (expected, value) in GOLDEN.items():
        if which == preset:
            np.testing.assert_allclose(law(rows[key]), expected, atol=1e-6)
            np.testing.assert_allclose(rows[key]["value"], value, atol=1e-6)
            assert rows[key]["result"] == "converged" and rows[key]["residual"] <= 1e-10
            assert 0 <= rows[key]["exploitability_regularised"] < 1e-12 < rows[key]["exploitability"]
    np.testing.assert_allclose(law(rows["reference"]), REFERENCE_LAW, atol=6e-6)  # given to five digits
    np.testing.assert_allclose(law(rows["greedy"]), [0, 0, 0.75, 0.25, 0], atol=1e-6)
    assert rows["greedy"]["result"] == "converged" and rows["greedy"]["exploitability"] < 1e-12


def test_reproduce_shows_the_oscillations(reproduced):
    preset, folder, _ = reproduced
    rows = {row["run"]: row for row in json.loads((folder / "table.json").read_text(encoding="utf-8"))}
    plain = rows["greedy_plain"]
    assert (plain["result"], plain["period"]) == ("cycle", 2)
    visited = sorted(tuple(phase.values()) for phase in plain["cycle"])
    np.testing.assert_allclose(visited, [(0, 0, 0, 1, 0), (0, 0, 1, 0, 0)], atol=1e-12)
    if preset == "paper":  # the distance of the two laws is .90
        first, second = (np.array(list(phase.values())) for phase in rows["beta_3_plain"]["cycle"])
        assert abs(np.abs(first - second).sum() / 2 - 0.90) < 5e-3


def test_reproduce_writes_everything(reproduced):
    preset, folder, (_, out, _) = reproduced
    runs = ["greedy_plain", "greedy", "beta_3_plain", "beta_3", "beta_1", "beta_0.1"]
    pictures = ["fig1.png", "fig2.png", "residuals.png"]
    expected = {*pictures, "config.json", "table.csv", "table.json", *(f"{name}.nc" for name in runs)}
    assert {path.name for path in folder.iterdir()} == expected
    assert all(name in out for name in expected)
    assert all(is_png(folder / name) for name in pictures)
    table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    for row in table[1:]:
        dataset = load_equilibrium(folder / f"{row['run']}.nc")
        assert dataset.state_law[-1].values.tolist() == law(row)
        assert dataset.attrs["result"] == row["result"]
    with (folder / "table.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["run"] for line in lines] == ["reference", *runs]
    assert [float(line["terminal_law_3"]) for line in lines] == [row["terminal_law"]["3"] for row in table]
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert (config["preset"], config["dtype"]) == (preset, "float64")
    assert config["runs"][4]["response"] == {
        "kind": "EntropyRegularized",
        "beta": 3.0,
        "log_reference": "array of shape (1, 5, 3)",
    }


def test_reproduce_prints_a_table(reproduced):
    _, _, (_, out, _) = reproduced
    assert "cycle of 2" in out and "0.7500 0.2500" in " ".join(out.split()) and "reference policy alone" in out
    assert max(map(len, out.split("saved in")[0].splitlines())) <= 124
    assert "…" not in out


def test_solve_prints_and_saves_what_the_library_finds(tmp_path):
    status, out, err = run(*SOLVE, "--beta", "3", "--out", str(tmp_path))
    assert (status, err) == (0, "")
    assert "0.670311" in out and "0.587469" in out and "converged in" in out
    assert {path.name for path in tmp_path.iterdir()} == {"equilibrium.nc", "flow.png", "graph.png"}
    assert is_png(tmp_path / "flow.png") and is_png(tmp_path / "graph.png")
    game = mfg.games.resource_allocation()
    found = mfg.solve(game, mfg.EntropyRegularized(3.0, mfg.games.resource_allocation_reference(game)))
    loaded = load_equilibrium(tmp_path / "equilibrium.nc")
    np.testing.assert_array_equal(loaded.policy, found.policy)
    assert json.loads(loaded.attrs["request"])["beta"] == 3.0


def test_json_is_all_there_is_on_stdout():
    status, out, err = run(*SOLVE, "--beta", "3", "--json")
    content = json.loads(out)
    assert (status, err) == (0, "")
    np.testing.assert_allclose(list(content["terminal_law"].values()), GOLDEN["paper", "beta_3"][0], atol=1e-6)
    assert content["converged"] and content["result"] == "converged" and content["files"] == []


def test_a_file_gives_the_game_and_its_reference():
    by_file = json.loads(run("solve", EXAMPLE, "--beta", "0.1", "--json")[1])
    np.testing.assert_allclose(list(by_file["terminal_law"].values()), GOLDEN["paper", "beta_0.1"][0], atol=1e-6)
    assert by_file["game"] == "resource allocation"
    uniform = json.loads(run("solve", EXAMPLE, "--beta", "0.1", "--reference", "uniform", "--json")[1])
    assert uniform["terminal_law"]["3"] < 0.4


def test_references_are_the_same_however_they_are_given(tmp_path):
    game = mfg.games.resource_allocation()
    policy = np.asarray(mfg.games.resource_allocation_reference(game))
    rows, nodes = tmp_path / "rows.json", tmp_path / "nodes.json"
    rows.write_text(json.dumps(policy.tolist()))
    named = [dict(zip(to, p.tolist(), strict=False)) for to, p in zip(mfg.games.moves(game), policy, strict=True)]
    nodes.write_text(json.dumps(dict(zip(game.state_labels, named, strict=True))))
    laws = [
        json.loads(run(*SOLVE, "--beta", "1", "--reference", how, "--json")[1])["terminal_law"]
        for how in ("paper", str(rows), str(nodes))
    ]
    for other in laws:
        np.testing.assert_allclose(list(other.values()), GOLDEN["paper", "beta_1"][0], atol=1e-6)


def test_settings_reach_the_builder():
    arguments = ["--set", "preset=author-code", "--set", "self_loop_at_2=true"]
    content = json.loads(run(*SOLVE, "--beta", "3", *arguments, "--json")[1])
    np.testing.assert_allclose(list(content["terminal_law"].values()), GOLDEN["author-code", "beta_3"][0], atol=1e-6)


def test_float32_computes_in_single_precision():
    content = json.loads(run(*SOLVE, "--beta", "0.1", "--solver", "picard", "--float32", "--json")[1])
    assert content["dtype"] == "float32" and content["converged"]
    np.testing.assert_allclose(list(content["terminal_law"].values()), GOLDEN["paper", "beta_0.1"][0], atol=1e-5)
    assert jax.config.jax_enable_x64  # as it was before


def test_no_equilibrium_is_status_1_with_its_sentence_and_all_results(tmp_path):
    status, out, err = run(*SOLVE, "--beta", "3", "--solver", "picard", "--out", str(tmp_path))
    assert status == 1 and err.count("\n") == 1
    assert "cycle of period 2" in err and "cycle in" in out
    assert load_equilibrium(tmp_path / "equilibrium.nc").attrs["result"] == "cycle"


def test_greedy_fictitious_play_finds_three_quarters():
    options = ["--response", "greedy", "--solver", "picard", "--averaging", "uniform", "--json"]
    content = json.loads(run(*SOLVE, *options)[1])
    np.testing.assert_allclose(content["terminal_law"]["3"], 0.75, atol=1e-6)
    assert content["exploitability_regularised"] is None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "a_file").write_text("not a folder")
    (tmp_path / "broken.toml").write_text("horizon =")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "node.json").write_text('{"1": {"4": 1}}')
    (tmp_path / "rows.json").write_text("[[1, 2]]")
    monkeypatch.chdir(tmp_path)
    return tmp_path


OUT = "--out=results"
BETA = "--beta=1"
ERRORS = [
    (["frob"], "There is no command 'frob'; there are list, solve, sweep,"),
    (["solve", OUT], "Missing argument"),
    (["solve", "nosuch", BETA, OUT], "'nosuch', but there is no such game"),
    ([*SOLVE, OUT], "needs `--beta`"),
    ([*SOLVE, "--beta=0", OUT], "`beta` is 0"),
    ([*SOLVE, "--beta=-1", OUT], "`beta` is -1"),
    ([*SOLVE, "--beta=nan", OUT], "`beta` is nan"),
    ([*SOLVE, "--beta=inf", OUT], "`beta` is inf"),
    ([*SOLVE, "--beta=much", OUT], "'--beta': 'much' is not a number"),
    ([*SOLVE, BETA, "--frob", OUT], "No such option"),
    ([*SOLVE, BETA, "more", OUT], "(more)"),
    ([*SOLVE, BETA, "--solver=magic", OUT], "'magic' is not one of"),
    ([*SOLVE, BETA, "--response=magic", OUT], "'magic' is not one of"),
    ([*SOLVE, BETA, "--averaging=magic", OUT], "'magic' is not one of"),
    (
        [*SOLVE, BETA, "--solver=newton", "--damping=.5", OUT],
        "`--damping 0.5` applies to `--solver` picard, lagged, stationary",
    ),
    ([*SOLVE, BETA, "--averaging=uniform", OUT], "`--averaging uniform` applies to `--solver picard` only"),
    ([*SOLVE, BETA, "--solver=picard", "--averaging=uniform", "--damping=.5", OUT], "`damping` must be 1"),
    ([*SOLVE, BETA, "--solver=picard", "--damping=2", OUT], "`damping` is 2"),
    ([*SOLVE, BETA, "--response=greedy", OUT], "`--beta 1.0` does not apply to `--response greedy`"),
    ([*SOLVE, "--response=greedy", "--reference=paper", OUT], "`--reference paper` does not apply"),
    ([*SOLVE, "--response=greedy", "--solver=newton", OUT], "needs a response that is continuous in the mean field"),
    ([*SOLVE, BETA, "--atol=-1", OUT], "`atol` is -1"),
    ([*SOLVE, BETA, "--atol=tiny", OUT], "'tiny' is not a number"),
    ([*SOLVE, BETA, "--atol=1e-17", OUT], "float64 cannot reach"),
    ([*SOLVE, BETA, "--max-steps=0", OUT], "`max_steps` must be at least 1; got 0"),
    ([*SOLVE, BETA, "--max-steps=1.5", OUT], "'1.5' is not a whole number"),
    ([*SOLVE, BETA, "--solver=picard", "--max-steps=99999999999999", OUT], "`max_steps` must be below 2^31"),
    ([*SOLVE, BETA, "--set", "preset", OUT], "`--set` takes KEY=VALUE; got 'preset'"),
    ([*SOLVE, BETA, "--set", "=3", OUT], "`--set` takes KEY=VALUE; got '=3'"),
    ([*SOLVE, BETA, "--set", "frob=3", OUT], "no parameter 'frob'"),
    ([*SOLVE, BETA, "--set", "preset=mine", OUT], "`preset` must be one of"),
    ([*SOLVE, BETA, "--set", "self_loop_at_2=maybe", OUT], "true or false; got 'maybe'"),
    ([*SOLVE, BETA, "--set", "preset=paper", "--set", "preset=paper", OUT], "is set twice"),
    (["solve", "ring-crowd", BETA, "--set", "num_states=2.5", OUT], "a whole number; got '2.5'"),
    (["solve", "ring-crowd", BETA, "--set", "congestion=much", OUT], "a number; got 'much'"),
    (["solve", "ring-crowd", BETA, "--set", "num_states=2", OUT], "`num_states` must be at least 3"),
    (["solve", "ring-crowd", BETA, "--set", "num_states=100000000000", OUT], "not enough memory"),
    (["solve", "ring-crowd", BETA, "--set", "horizon=1000000000", OUT], "more than can be solved"),
    (["solve", "ring-crowd", BETA, "--reference=paper", OUT], "has no such reference"),
    (["solve", EXAMPLE, BETA, "--reference=paper", OUT], "has no such reference"),
    (["solve", EXAMPLE, BETA, "--set", "horizon=3", OUT], "change it there"),
    ([*SOLVE, BETA, "--reference=nosuch", OUT], "there is no such file"),
    ([*SOLVE, BETA, "--reference=broken.json", OUT], "no valid JSON"),
    ([*SOLVE, BETA, "--reference=node.json", OUT], "`reference['1']` has the key '4'"),
    ([*SOLVE, BETA, "--reference=rows.json", OUT], "sums to 3"),
    ([*SOLVE, BETA, "--reference=.", OUT], "cannot be read"),
    (["solve", "broken.toml", BETA, OUT], "not valid TOML"),
    (["solve", "nosuch.toml", BETA, OUT], "there is no such file"),
    (["solve", ".", BETA, OUT], "directory"),
    ([*SOLVE, BETA, "--out=a_file"], "`--out` is 'a_file', but that is a file, not a folder"),
    ([*SOLVE, BETA, "--out=a_file/results"], "nothing can be written there"),
    ([*SOLVE, BETA, "--out=/proc/results"], "nothing can be written there"),
    (["reproduce", "everything", OUT], "'everything' is not one of"),
    (["reproduce", "resource-allocation"], "Missing option '--out'"),
    (["reproduce", "resource-allocation", "--preset=mine", OUT], "'mine' is not one of"),
    (["reproduce", "resource-allocation", "--out=a_file"], "that is a file, not a folder"),
]


@pytest.mark.parametrize(("arguments", "sentence"), ERRORS, ids=[" ".join(a)[-60:] for a, _ in ERRORS])
def test_bad_input_is_one_sentence_and_no_file(folder, arguments, sentence):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("mfgjax: ") and err.endswith("\n") and err.count("\n") == 1
    assert sentence in err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["slove"], "did you mean 'solve'?"),
        (["bracket", "mturk"], "did you mean 'certify'?"),  # which has it
        (["multi_start", "mturk"], "did you mean 'multi-start'?"),
        ([*SOLVE, "--bta=1"], "did you mean --beta?"),
        ([*SOLVE, BETA, "--solver=newtn"], "did you mean 'newton'?"),
        (["solve", "resource-alocation", BETA], "did you mean 'resource-allocation'?"),
        (["solve", "ring_crwd", BETA], "did you mean 'ring-crowd'?"),
        (["solve", "ring-crowd", BETA, "--set=congestin=1"], "did you mean 'congestion'?"),
        ([*SOLVE, BETA, "--reference=papr"], "did you mean 'paper'?"),
        (["sweep", PAPER, BETA, "--outputs=polcy"], "did you mean 'policy'?"),
        (["learn", "mturk", "--epsilon=.1", "--learners=iql,mfqq"], "did you mean 'mfq'?"),
        (["plot", PAPER, "--kind=grap", "--out=g.png"], "did you mean 'graph'?"),
        (["plot", "resource-alocation", "--out=g.png"], "did you mean 'resource-allocation'?"),
        (["reproduce", "mturc", "--out=results"], "did you mean 'mturk'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(folder, arguments, meant):
    status, out, err = run(*arguments)
    assert (status, out) == (2, "") and err.endswith(f"{meant}\n") and err.count("\n") == 1


@pytest.mark.parametrize("call", ["mkdtemp", "mkdir", "replace"])
def test_a_folder_that_may_not_be_written_is_refused(folder, monkeypatch, call):
    def denied(*arguments, **options):
        raise PermissionError(13, "Permission denied", "results")

    owner = {"mkdtemp": output.tempfile, "mkdir": Path, "replace": output.os}[call]
    monkeypatch.setattr(owner, call, denied)
    if call != "replace":  # then nothing is even solved
        monkeypatch.setattr(mfg, "solve", lambda *a, **o: pytest.fail("it was solved"))
    status, out, err = run(*SOLVE, BETA, OUT)
    assert (status, out, err.count("\n")) == (2, "", 1) and "Permission denied" in err
    assert not (folder / "results").exists()


def test_an_interruption_leaves_nothing_behind(folder, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(mfg, "solve", interrupted)
    status, out, err = run(*SOLVE, BETA, "--out=results/deep")
    assert (status, out, err) == (130, "", "mfgjax: interrupted.\n")
    assert not (folder / "results").exists()


def test_other_files_in_the_folder_stay(folder):
    with output.staged(folder) as staging:
        (staging / "new").write_text("new")
        (staging / "a_file").write_text("replaced")
        assert not (folder / "new").exists()
    assert (folder / "new").read_text() == "new" and (folder / "a_file").read_text() == "replaced"
    assert (folder / "broken.json").exists() and not list(folder.glob(".*"))


def test_a_folder_in_the_place_of_a_file_is_not_touched(folder):
    (folder / "out" / "b").mkdir(parents=True)
    with pytest.raises(ValueError, match="b in it is a folder"), output.staged(folder / "out") as staging:
        (staging / "a").write_text("a")
        (staging / "b").write_text("b")
    assert [path.name for path in (folder / "out").iterdir()] == ["b"]


def test_list_names_every_game_with_its_parameters():
    status, out, err = run("list")
    assert (status, err) == (0, "")
    for name in offered("games"):
        assert name.replace("_", "-") in out
    assert "--set num_states=20" in out and "--set self_loop_at_2=true" in out


def test_the_version_is_that_of_the_library():
    assert run("--version") == (0, f"mfgjax {mfg.__version__}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], [], ["solve", "--help"], ["reproduce", "-h"]])
def test_help_tells_the_exit_statuses(arguments):
    status, out, err = run(*arguments)
    assert (status, err) == (0, "") and "Exit status: 0 done" in out
    assert "solve" not in arguments or "mfgjax solve resource-allocation --beta 3" in out


def test_there_is_no_progress_line_without_a_terminal(capsys):
    with _progress.progress_line(2) as begin:
        begin("one")
        begin("two")
    assert capsys.readouterr() == ("", "")


def process(*command: str, **environment: str) -> subprocess.CompletedProcess:
    settings = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **environment}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=settings, timeout=120)


def test_the_library_does_not_import_what_only_commands_need():
    heavy = "{'xarray', 'matplotlib', 'typer', 'rich'}"
    found = process("-c", f"import sys, mfgjax; print({heavy} & set(sys.modules), mfgjax.__version__)")
    assert found.stdout == f"set() {mfg.__version__}\n"


def test_the_tab_key_offers_games_files_and_learners(tmp_path, monkeypatch):
    """As bash asks, through the environment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "other.toml").write_text("")
    (tmp_path / "notes.txt").write_text("")

    def offered(line):
        words = {"COMP_WORDS": f"mfgjax {line}", "COMP_CWORD": str(line.count(" ") + 1)}
        return set(process("-m", "mfgjax", _MFGJAX_COMPLETE="complete_bash", **words).stdout.split())

    assert {"mturk", "mine.toml", "more/"} <= offered("solve m") and "notes.txt" not in offered("solve ")
    assert offered("solve infection-") == {"infection-spread", "infection-tipping"}
    assert offered("solve infection_") == {"infection_spread", "infection_tipping"}
    assert offered("tune more/") == {"more/other.toml"}
    assert offered("learn mturk --learners iql,") == {"iql,tmfq", "iql,gmbl", "iql,online-tmfq", "iql,mfq"}


@pytest.mark.parametrize("arguments", [["--help"], ["solve", "--help"]])
def test_help_does_not_wait_for_jax(arguments):
    imported = "{'jax', 'xarray', 'matplotlib'} & set(sys.modules)"
    found = process("-c", f"import sys; from mfgjax.cli import main; main({arguments}); print({imported})")
    assert found.stdout.endswith("set()\n") and "Exit status" in found.stdout


def test_functions_stay_what_they_are_whatever_is_imported_first():
    code = (
        "import mfgjax.solve, mfgjax.certify.report, mfgjax as mfg; print(callable(mfg.solve), callable(mfg.certify))"
    )
    assert process("-c", code).stdout == "True True\n"


def test_all_public_names_are_there_before_the_first_use():
    code = "import mfgjax; names = dir(mfgjax); from mfgjax import *; print('Picard' in names, {*names} - {*globals()})"
    assert process("-c", f"{code}; print(callable(solve), games.__name__)").stdout == "True set()\nTrue mfgjax.games\n"


def test_the_process_ends_with_the_status():
    found = process("-m", "mfgjax", "solve", "left-right", "--beta", "zero")
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == "mfgjax: Invalid value for '--beta': 'zero' is not a number.\n"


def test_shells_can_complete_commands():
    found = process("-m", "mfgjax", _MFGJAX_COMPLETE="complete_bash", COMP_WORDS="mfgjax so", COMP_CWORD="1")
    assert found.stdout.split() == ["solve"]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_without_greek_letters_gets_their_names_and_no_failure(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
    assert cli.main(["list"]) == 0
    cut = len(raw.getvalue())
    print("beta β, Γ, ≤ 2 → “ü” \u4e2d")
    output.print_json({"β": "Γ ü"})
    sys.stdout.flush()
    assert PAPER.encode() in raw.getvalue()[:cut]
    first, *rest = raw.getvalue()[cut:].decode(encoding).splitlines()
    assert first.startswith("beta beta, Gamma, <= 2 -> ") and first.endswith("?")
    assert json.loads("\n".join(rest)) == {"β": "Γ ü"}
