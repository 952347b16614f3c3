"""The command line on stationary games: what it prints and saves is what the library finds."""

import json

import equinox as eqx
import numpy as np
import pytest
import xarray as xr
from commands import run, words
from helpers import assert_close

import mfgjax as mfg
from mfgjax.cli import ranges
from mfgjax.io import load_equilibrium

PNG = b"\x89PNG\r\n\x1a\n"
TREMBLING = ["--response", "trembling"]
SPREAD = ["infection-spread", *TREMBLING, "--epsilon", "0.2", "--set", "c_f=0.3"]
CAFES = """
format = "mfgjax-graph-game/1"
discount = 0.9
nodes = ["home", "café"]
edges = [["home", "home"], ["home", "café"], ["café", "café"], ["café", "home"]]
running.value = { "café" = 1.0 }
running.congestion = { "café" = 1.5 }
"""


# --- list and solve -----------------------------------------------------------------------------------------


def test_the_list_says_which_games_are_stationary_and_what_they_take():
    status, out, _ = run("list")
    assert status == 0
    for name in ("infection-spread", "infection-tipping", "mturk"):
        assert f"{name} (stationary)\n" in out
    assert "ring-crowd\n" in out
    for line in ("--set c_f=0.1", "--set delta=0.7,0.2,0.009", "--set wages=0.2,0.7", "--set as_printed=false"):
        assert f"    {line}\n" in out


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("solved") / "out"
    return folder, run("solve", *SPREAD, "--out", str(folder))


def test_solve_prints_law_mean_values_and_exploitability(solved):
    _, (status, out, err) = solved
    eq = mfg.solve(mfg.games.infection_spread(0.3), mfg.Trembling(0.2))
    assert (status, err) == (0, "")
    assert "infection_spread (trembling, ε = 0.2, solver auto)" in out
    row = f" 24 {float(eq.mean_field[24]):.6f} 0 0.8000 {float(eq.values[24]):.6f} "
    assert row in words(out)
    assert "mean state 13.778329" in words(out)  # as `infection_spread` documents it
    assert f"value {float(eq.mean_field @ eq.values):.6f} (of an agent somewhere in the population" in words(out)
    free = float(mfg.exploitability(mfg.games.infection_spread(0.3), eq.policy))
    assert f"{free:.2e} among all policies" in out and "among policies with the same ε" in out


def test_solve_saves_the_equilibrium_and_a_picture_of_law_and_policy(solved):
    folder, (_, out, _) = solved
    assert sorted(path.name for path in folder.iterdir()) == ["equilibrium.nc", "law.png"]
    assert (folder / "law.png").read_bytes().startswith(PNG) and "law.png" in out
    eq = mfg.solve(mfg.games.infection_spread(0.3), mfg.Trembling(0.2))
    ds = load_equilibrium(folder / "equilibrium.nc")
    assert ds.mean_field.dims == ("state",) and ds.policy.dims == ("state", "action")
    np.testing.assert_array_equal(ds.mean_field, eq.mean_field)
    np.testing.assert_array_equal(ds.policy, eq.policy)


def test_json_has_the_numbers():
    status, out, err = run("solve", *SPREAD, "--json")
    content = json.loads(out)
    eq = mfg.solve(mfg.games.infection_spread(0.3), mfg.Trembling(0.2))
    assert (status, err) == (0, "") and content["discount"] == 0.5 and "horizon" not in content
    assert list(content["law"].values()) == eq.mean_field.tolist()
    assert content["values"] == dict(zip(map(str, range(25)), eq.values.tolist(), strict=True))
    assert content["actions"] == {str(s): str(a) for s, a in enumerate(eq.policy.argmax(axis=1).tolist())}
    assert_close(content["mean_state"], 13.778329, atol=1e-6)
    assert content["exploitability_trembling"] < 1e-12 < content["exploitability"]
    assert content["exploitability_regularised"] is None and content["files"] == []


@pytest.fixture
def solves(monkeypatch):
    """What `solve` is called with; it returns one equilibrium, whatever it is asked for."""
    found, calls = mfg.solve(mfg.games.infection_spread(0.3), mfg.Trembling(0.2)), []

    def solve(*arguments, **_):
        calls.append(arguments)
        return found

    monkeypatch.setattr(mfg, "solve", solve)
    return calls


@pytest.mark.parametrize("solver", ["lagged", "stationary-law", "picard", "newton"])
def test_the_solver_that_is_named_is_used(solver, solves):
    content = json.loads(run("solve", *SPREAD, "--solver", solver, "--json")[1])
    ((game, response, method),) = solves
    assert eqx.tree_equal((game, response), (mfg.games.infection_spread(0.3), mfg.Trembling(0.2)))
    assert content["converged"] and content["solver"] == type(method).__name__
    assert content["solver"].lower() == solver.replace("-", "")
    assert_close(content["mean_state"], 13.778329, atol=1e-6)


def test_damping_goes_to_the_solvers_that_have_it():
    options = ["--solver", "lagged", "--damping", "0.5", "--json"]
    damped, plain = (json.loads(run("solve", *SPREAD, *more)[1]) for more in (options, [*options[:2], "--json"]))
    eq = mfg.solve(mfg.games.infection_spread(0.3), mfg.Trembling(0.2), mfg.solvers.Lagged(0.5))
    assert damped["num_steps"] == int(eq.num_steps) != plain["num_steps"]


@pytest.mark.parametrize(
    ("options", "response"),
    [
        (["--beta", "3"], mfg.EntropyRegularized(3.0)),
        (["--beta", "3", "--response", "boltzmann"], mfg.Boltzmann(3.0)),
        (["--response", "epsilon-greedy", "--epsilon", "0.1"], mfg.EpsilonGreedy(0.1)),
    ],
)
def test_other_responses_are_those_of_the_library(options, response, solves):
    content = json.loads(run("solve", "mturk", *options, "--set", "wages=0.1,0.8", "--json")[1])
    ((game, given, _),) = solves
    assert eqx.tree_equal((game, given), (mfg.games.mturk(wages=(0.1, 0.8)), response))
    assert content["exploitability_trembling"] is None
    assert (content["exploitability_regularised"] is None) == (not isinstance(given, mfg.EntropyRegularized))


def test_a_stationary_graph_in_a_file_is_drawn_and_has_no_mean(tmp_path):
    (tmp_path / "cafes.toml").write_text(CAFES, encoding="utf-8")
    status, out, err = run("solve", str(tmp_path / "cafes.toml"), "--beta", "5", "--out", str(tmp_path / "out"))
    assert (status, err) == (0, "") and "mean state" not in out and "café" in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["equilibrium.nc", "graph.png", "law.png"]
    ds = load_equilibrium(tmp_path / "out" / "equilibrium.nc")
    assert ds.leads_to.sel(state="café").values.tolist() == ["café", "home"]
    # at home 5 (Q(stay) - Q(go)) < 0: the café is worth 1 - 1.5 m a step, m the share there, below 1 / 1.5
    assert "edge 1 → café" in out
    content = json.loads(run("solve", str(tmp_path / "cafes.toml"), "--beta", "5", "--json")[1])
    assert content["actions"]["home"] == "edge 1" and content["leads_to"]["home"] == "café"


# --- sweep --------------------------------------------------------------------------------------------------

SWEEP = ["sweep", "infection-spread", *TREMBLING, "--epsilon", "0.1,0.2", "--set", "c_f=0.05:0.5:4"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept") / "out"
    return folder, run(*SWEEP, "--out", str(folder))


def test_sweep_tells_the_mean_and_the_law_at_both_ends(swept):
    folder, (status, out, err) = swept
    assert (status, err) == (0, "")
    assert "8 (4 c_f × 2 epsilon), of which 8 converged" in words(out)
    table = json.loads((folder / "table.json").read_text(encoding="utf-8"))
    assert table["along"] == "c_f" and [group["at"] for group in table["groups"]] == [
        {"epsilon": 0.1},
        {"epsilon": 0.2},
    ]
    for group in table["groups"]:
        for end in group["ends"]:
            eq = mfg.solve(mfg.games.infection_spread(end["c_f"]), mfg.Trembling(group["at"]["epsilon"]))
            assert_close(end["mean_state"], eq.mean_state, atol=1e-10)
            assert_close(list(end["law"].values()), eq.mean_field, atol=1e-12)
            assert f"{end['mean_state']:.4f};" in out
    assert "mean state and law, c_f = 0.05" in out


def test_the_whole_sweep_is_on_disk_with_its_picture(swept):
    folder, _ = swept
    assert sorted(path.name for path in folder.iterdir()) == ["phase.png", "sweep.zarr", "table.json"]
    assert (folder / "phase.png").read_bytes().startswith(PNG)
    with xr.open_zarr(folder / "sweep.zarr", consolidated=False, mask_and_scale=False) as ds:
        assert ds.mean_field.dims == ("c_f", "epsilon", "state") and "time" not in ds.coords
        assert {"mean_state", "policy", "exploitability"} <= set(ds.data_vars)
        assert_close(ds.mean_state, (ds.mean_field * np.arange(25)).sum("state"), rtol=1e-12)


def test_the_same_command_again_computes_nothing(swept):
    folder, _ = swept
    status, out, _ = run(*SWEEP, "--out", str(folder), "--json")
    assert status == 0 and json.loads(out)["num_computed"] == 0
    status, _, err = run(*[word.replace("0.1,0.2", "0.1,0.15") for word in SWEEP], "--out", str(folder))
    assert status == 2 and "holds another sweep: `epsilon` changed" in err


def test_sweeps_of_soft_responses_and_dampings():
    options = ["--beta", "1,5", "--set", "effort_cost=0.1,0.2", "--solver", "stationary-law", "--damping", "0.5,1"]
    status, out, err = run("sweep", "mturk", *options, "--outputs", "values", "--json")
    content = json.loads(out)
    assert (status, err) == (0, "") and content["num_converged"] == 8
    assert content["outputs"] == ["mean_field", "mean_state", "values"]
    ends = content["groups"][0]["ends"]
    assert content["groups"][0]["at"] == {"effort_cost": 0.1, "damping": 0.5}
    for end in ends:
        eq = mfg.solve(mfg.games.mturk(0.1), mfg.EntropyRegularized(end["beta"]))
        assert_close(end["mean_state"], eq.mean_state, atol=1e-6)  # residuals of 1e-10, weighed by states up to 24


# --- certify ------------------------------------------------------------------------------------------------


def test_certify_shows_every_condition_and_both_ends(tmp_path):
    command = ["certify", "infection-tipping", *TREMBLING, "--epsilon", "0.1", "--out", str(tmp_path)]
    status, out, err = run(*command)
    assert (status, err) == (0, "")
    game = mfg.games.infection_tipping()
    checked, found = mfg.check_complementarity(game), mfg.bracket(game, mfg.Trembling(0.1))
    for condition in checked.conditions:
        assert f"{condition.name} {condition.status}" in words(out)
    assert "post-decision form" in out and found.certificate in out
    assert "least converged 5.798445" in words(out) and "greatest converged 17.231141" in words(out)
    content = json.loads((tmp_path / "certificates.json").read_text(encoding="utf-8"))
    assert content["complementarity"]["holds"] and not content["bracket"]["coincide"]
    assert [c["name"] for c in content["complementarity"]["conditions"]] == [c.name for c in checked.conditions]
    assert [c["violation"] for c in content["complementarity"]["conditions"]] == [
        c.violation for c in checked.conditions
    ]
    assert content["bracket"]["certificate"] == found.certificate and content["bracket"]["distance"] == found.distance
    assert list(content["bracket"]["greatest"]["law"].values()) == found.greatest.mean_field.tolist()
    assert (tmp_path / "bracket.png").read_bytes().startswith(PNG)


def test_certify_says_where_a_condition_fails():
    arguments = ["infection-spread", *TREMBLING, "--epsilon", "0.2", "--set", "as_printed=true"]
    status, out, err = run("certify", *arguments, "--json")
    content = json.loads(out)
    assert (status, err) == (0, "") and not content["complementarity"]["holds"]
    failing = [c for c in content["complementarity"]["conditions"] if c["status"] == "fails"]
    assert failing and all(c["violation"] > 0 and "s = " in c["where"] for c in failing)
    assert not content["bracket"]["certificate"].startswith("holds")
    printed = words(run("certify", *arguments)[1])
    for c in failing:
        assert f"{c['name']} fails {c['violation']:.2g} {c['where']}" in printed


def test_certify_does_not_test_what_lacks_actions(tmp_path):
    (tmp_path / "line.toml").write_text(
        CAFES.replace('"home", "café"]\nedges = [', '"home", "café", "shop"]\nedges = [["shop", "home"], '), "utf-8"
    )
    status, out, _ = run("certify", str(tmp_path / "line.toml"), "--beta", "1")
    assert status == 0 and "not tested: some actions do not exist in some states" in out and "holds: " not in out


# --- what is refused ----------------------------------------------------------------------------------------

OUT = "--out=results"
REFUSED = [
    (["simulate", "mturk", "--agents=10", *TREMBLING, "--epsilon=.1", OUT], "`simulate` is for games with a finite"),
    (["tune", "tune.toml", OUT], "`tune` is for games with a finite horizon, but mturk is stationary."),
    (["solve", "mturk", OUT], "`--response entropy` needs `--beta`"),
    (["solve", "mturk", *TREMBLING, OUT], "`--response trembling` needs `--epsilon`, a number in [0, 1)"),
    (["solve", "mturk", *TREMBLING, "--epsilon=.9", OUT], "`epsilon` is 0.9, but where 5 actions are available"),
    (["solve", "mturk", *TREMBLING, "--epsilon=1", OUT], "`epsilon` is 1"),
    (["solve", "mturk", *TREMBLING, "--epsilon=x", OUT], "'--epsilon': 'x' is not a number"),
    (
        ["solve", "mturk", *TREMBLING, "--epsilon=.1", "--beta=1", OUT],
        "`--beta 1.0` does not apply to `--response tremb",
    ),
    (
        ["solve", "mturk", *TREMBLING, "--epsilon=.1", "--reference=uniform", OUT],
        "`--reference uniform` does not apply",
    ),
    (["solve", "mturk", "--beta=1", "--epsilon=.1", OUT], "`--epsilon 0.1` does not apply to `--response entropy`"),
    (["solve", "mturk", "--beta=1", "--set", "wages=0.2", OUT], "it must be 2 numbers with commas between them"),
    (["solve", "mturk", "--beta=1", "--set", "wages=a,b", OUT], "it must be 2 numbers with commas between them"),
    (["solve", "mturk", "--beta=1", "--set", "discount=1", OUT], "`discount` is 1"),
    (["solve", "mturk", "--beta=1", "--set", "discount=x", OUT], "it must be a number; got 'x'"),
    (["solve", "ring-crowd", *TREMBLING, "--epsilon=.1", "--solver=lagged", OUT], "is for a `StationaryGame`"),
    (["sweep", "mturk", *TREMBLING, OUT], "`--response trembling` needs `--epsilon`: START:STOP:COUNT"),
    (["sweep", "mturk", *TREMBLING, "--epsilon=.1,.2", "--beta=1", OUT], "`--beta 1` does not apply"),
    (["sweep", "mturk", *TREMBLING, "--epsilon=.1,.9", OUT], "`epsilon[1]` is 0.9"),
    (["sweep", "mturk", "--beta=1", "--outputs=terminal_law", OUT], "in a stationary game there is no last time"),
    (["sweep", "mturk", "--beta=1", "--outputs=unique", OUT], "`--outputs` has 'unique'"),
    (
        ["certify", "mturk", *TREMBLING, "--epsilon=.1", "--explain", OUT],
        "`--explain` is for games with a finite horizon",
    ),
    (["certify", "mturk", "--beta=1", "--critical", OUT], "`--critical` is for games with a finite horizon"),
    (["certify", "mturk", "--beta=1", "--set", "churn=0:1:3", OUT], "one stationary game at a time: give one value"),
]


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED, ids=[" ".join(a)[:70] for a, _ in REFUSED])
def test_bad_input_is_one_sentence_and_no_file(tmp_path, monkeypatch, arguments, sentence):
    problem = (
        'format = "mfgjax-tune/1"\ngame = "mturk"\nbeta = 1.0\nparameters.beta = { start = 1.0 }\nobjective = []\n'
    )
    (tmp_path / "tune.toml").write_text(problem)
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("mfgjax: ") and err.count("\n") == 1 and sentence in err
    assert [path.name for path in tmp_path.iterdir()] == ["tune.toml"]


def test_parameters_that_may_be_arrays_are_read_as_their_defaults_are():
    assert ranges.values_of_settings("mturk", ["churn=0:0.1:2", "wages=0.1,0.8"]) == {
        "churn": [0.0, 0.1],
        "wages": [(0.1, 0.8)],
    }
    assert ranges.values_of_settings("infection-spread", ["as_printed=true,false", "damage=3,4"]) == {
        "as_printed": [True, False],
        "damage": [3, 4],
    }
