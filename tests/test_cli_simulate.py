"""The command `simulate`: what it prints and saves is what `mfgjax.finite` finds."""

import json
from functools import partial
from pathlib import Path

import commands
import jax
import numpy as np
import pytest
from commands import EXAMPLE, PAPER, PNG, words
from PIL import Image

import mfgjax as mfg
from mfgjax.cli import catalogue
from mfgjax.games import GameFile

run = partial(commands.run, "simulate")
RUNS = "--runs=300"  # everywhere the same, so that it is compiled once


@pytest.fixture(scope="module")
def equilibrium():
    game = mfg.games.resource_allocation()
    response = mfg.EntropyRegularized(3.0, mfg.games.resource_allocation_reference(game))
    return game, response, mfg.solve(game, response)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "new" / "folder"
    return folder, run(PAPER, "--beta", "3", "--agents", "10,64,1e6", RUNS, "--out", str(folder))


def content_of(folder: Path) -> dict:
    return json.loads((folder / "simulation.json").read_text(encoding="utf-8"))


def test_the_numbers_are_those_of_the_library(saved, equilibrium):
    folder, (status, _, err) = saved
    assert (status, err) == (0, "")
    game, response, found = equilibrium
    numbers = np.array([10, 64, 10**6])
    rewards = mfg.finite.deviation_gain(game, found.policy, numbers)
    regularised = mfg.finite.deviation_gain(game, found.policy, numbers, response)
    laws = mfg.finite.law(game, found.policy, numbers)
    content = content_of(folder)
    rows = content["populations"]
    assert [row["num_agents"] for row in rows] == numbers.tolist() and content["method"] == "closed form"
    for i, row in enumerate(rows):
        for name in ("gain", "bound"):
            np.testing.assert_allclose(row[name], getattr(rewards, name)[i], rtol=1e-9)
            np.testing.assert_allclose(row[f"{name}_regularised"], getattr(regularised, name)[i], rtol=1e-6)
        np.testing.assert_allclose(row["value"], regularised.value[i], rtol=1e-12)
        np.testing.assert_allclose(row["distance"], laws.distance[:, i], rtol=1e-12)
        np.testing.assert_allclose(row["distance_bound"], laws.bound[:, i], rtol=1e-12)
    assert content["mean_field_value"] == float(regularised.mean_field_value)
    assert content["exploitability"] == float(rewards.exploitability)


def test_simulations_agree_with_what_is_exact(saved):
    content = content_of(saved[0])
    for row in content["populations"]:
        assert abs(row["simulated_value"] - row["value"]) < 4 * row["simulated_value_error"]
        # the deviation of the distance is below its mean: 4/sqrt(300) of it
        np.testing.assert_allclose(row["simulated_distance"], row["distance"], rtol=0.23)
    for line in content["terminal_law"].values():
        assert abs(line["mean"] - line["mean_field"]) < 4 * line["exact_standard_deviation"] / 300**0.5
        # of 300 nearly normal numbers: relative error 1/sqrt(600)
        np.testing.assert_allclose(line["standard_deviation"], line["exact_standard_deviation"], rtol=4 / 600**0.5)


def test_the_tables_are_whole_and_narrow(saved):
    _, (_, out, _) = saved
    told = words(out)
    assert "resource_allocation (entropy, β = 3) among N agents" in told
    assert "0.543226 3.55e-04 2.19e-03 8.94e-02" in told  # N = 10
    assert "mean field 0.587469" in told and "shares at t = 5, 1,000,000 agents, 300 runs" in told
    assert "exact by closed form" in told and "converged in" in told
    assert max(map(len, out.split("result  ")[0].splitlines())) <= 124 and "…" not in out


def test_out_has_numbers_and_pictures(saved):
    folder, (_, out, _) = saved
    assert {path.name for path in folder.iterdir()} == {"simulation.json", "gain.png", "agents.gif"}
    assert (folder / "gain.png").read_bytes().startswith(PNG) and (folder / "gain.png").stat().st_size > 10_000
    assert content_of(folder)["files"] == [str(folder / name) for name in ("simulation.json", "gain.png", "agents.gif")]
    assert all(file in out for file in content_of(folder)["files"])
    assert (folder / "agents.gif").stat().st_size < 2e6
    with Image.open(folder / "agents.gif") as picture:
        assert picture.n_frames > 20 and max(picture.size) < 700


def test_the_same_seed_gives_the_same_and_another_does_not():
    arguments = (PAPER, "--beta", "3", "--agents", "10", RUNS, "--json")
    one, other, third = (
        json.loads(run(*arguments, "--seed", seed)[1])["populations"][0]["simulated_value"] for seed in ("1", "1", "2")
    )
    assert one == other != third


def by_hand(game: mfg.FiniteHorizonGame) -> np.ndarray:
    """Everybody goes to the first node that can be reached."""
    policy = np.zeros((game.num_states, game.num_actions))
    policy[:, 0] = 1
    return policy


def test_a_policy_from_a_file_is_not_solved_for(tmp_path, monkeypatch):
    game = mfg.games.resource_allocation()
    policy = by_hand(game)
    rows, times, nodes = tmp_path / "rows.json", tmp_path / "times.json", tmp_path / "nodes.json"
    rows.write_text(json.dumps(policy.tolist()))
    times.write_text(json.dumps([policy.tolist()] * (game.horizon + 1)))
    named = zip(game.state_labels, mfg.games.moves(game), strict=True)
    nodes.write_text(json.dumps({node: {to[0]: 1} for node, to in named}))
    monkeypatch.setattr(mfg, "solve", lambda *a, **o: pytest.fail("it was solved"))
    found = []
    for game_name, path in ((PAPER, rows), (PAPER, times), (EXAMPLE, nodes)):
        status, out, err = run(game_name, "--policy", str(path), "--agents", "2,20", "--runs", "20", "--json")
        assert (status, err) == (0, "")
        found.append(json.loads(out))
    expected = mfg.finite.deviation_gain(game, policy, np.array([2, 20]))
    for content in found:
        assert content["policy"] == "from a file" and content["criterion"] == "rewards" and content["result"] is None
        np.testing.assert_allclose([row["gain"] for row in content["populations"]], expected.gain, rtol=1e-12)
        np.testing.assert_allclose([row["value"] for row in content["populations"]], expected.value, rtol=1e-12)
        assert content["populations"][0]["gain_regularised"] is None


def test_a_policy_from_a_file_has_kl_terms_with_beta(tmp_path):
    game = mfg.games.resource_allocation()
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(by_hand(game).tolist()))
    content = json.loads(run(PAPER, "--policy", str(path), "--beta", "2", "--agents", "7", RUNS, "--json")[1])
    response = mfg.EntropyRegularized(2.0, mfg.games.resource_allocation_reference(game))
    expected = mfg.finite.deviation_gain(game, by_hand(game), 7, response)
    np.testing.assert_allclose(content["populations"][0]["gain_regularised"], expected.gain, rtol=1e-12)
    assert content["criterion"] == "rewards less KL terms"


def test_no_equilibrium_is_status_1_and_is_printed_all_the_same(monkeypatch):
    solve = mfg.solve

    def cycles(game, response, throw):
        return solve(game, response, mfg.Picard(), throw=throw)

    monkeypatch.setattr(mfg, "solve", cycles)
    status, out, err = run(PAPER, "--beta", "3", "--agents", "10", RUNS)
    assert status == 1 and err.count("\n") == 1 and "cycle of period 2" in err
    assert "among N agents" in out and "cycle in" in out


def test_one_run_has_no_standard_error():
    status, out, err = run("left-right", "--response", "greedy", "--agents", "5", "--runs", "1", "--float32", "--json")
    content = json.loads(out)
    assert (status, err) == (0, "") and content["dtype"] == "float32" and jax.config.jax_enable_x64
    assert content["populations"][0]["simulated_value_error"] is None
    assert content["terminal_law"]["left"]["standard_deviation"] is None
    game = mfg.games.left_right()
    found = mfg.finite.deviation_gain(game, mfg.solve(game, mfg.Greedy()).policy, 5)
    np.testing.assert_allclose(content["populations"][0]["gain"], found.gain, atol=1e-3)


class Follow:
    """Two places; the more are at the second, the more of those who would stay are drawn there."""

    def __call__(self, t, mean_field):
        pull = 0.5 * mean_field[1]
        stay = jax.numpy.array([[1.0, 0.0], [0.0, 1.0]])
        leave = jax.numpy.stack([jax.numpy.stack([1 - pull, pull]), jax.numpy.array([0.0, 1.0])])
        return jax.numpy.stack([leave, stay[::-1]], axis=1)


def test_where_the_kernel_depends_on_the_population_there_are_no_gains(tmp_path, monkeypatch):
    game = mfg.FiniteHorizonGame(Follow(), np.array([[0.0, 0.1], [0.5, 0.0]]), [0.9, 0.1], 3)
    monkeypatch.setattr(catalogue, "load", lambda *a: GameFile("follow", game, None, None, ""))
    status, out, err = run("follow", "--beta", "1", "--agents", "4,10000", "--runs", "400", "--out", str(tmp_path))
    assert (status, err) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["simulation.json"]
    told = words(out)
    assert "the kernel depends on the population, so that an agent who leaves the policy moves the others too" in told
    assert "gain.png: the kernel depends on the population" in told and "– – – – – – –" in told
    content = content_of(tmp_path)
    few, many = content["populations"]
    assert content["method"] is None and few["gain"] is None and few["distance"] is None
    # 10,000 agents are near the mean field
    assert abs(many["simulated_value"] - content["mean_field_value"]) < 4 * many["simulated_value_error"] + 1e-3
    assert max(many["simulated_distance"]) < 0.02 < max(few["simulated_distance"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "rows.json").write_text("[[1, 2]]")
    (tmp_path / "node.json").write_text('{"1": {"4": 1}}')
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "a_file").write_text("not a folder")
    monkeypatch.chdir(tmp_path)
    return tmp_path


OUT, BETA, AGENTS = "--out=results", "--beta=1", "--agents=5"
ERRORS = [
    ([PAPER, BETA, OUT], "Missing option '--agents'"),
    ([PAPER, AGENTS, OUT], "needs `--beta`"),
    ([PAPER, BETA, "--agents=0", OUT], "`--agents 0`: it must lie between 1 and 1,000,000,000, but 0"),
    ([PAPER, BETA, "--agents=10,2e9", OUT], "but 2,000,000,000 is among them"),
    ([PAPER, BETA, "--agents=2.5", OUT], "it must be whole numbers, but 2.5 is among them"),
    ([PAPER, BETA, "--agents=many", OUT], "'many' is not a number"),
    ([PAPER, BETA, "--agents=5,5", OUT], "has 5.0 twice"),
    ([PAPER, BETA, "--agents=nan", OUT], "`--agents nan`"),
    ([PAPER, BETA, "--agents=1:100000:5000", OUT], "has 5,000 numbers, but 1,000 is the most"),
    ([PAPER, BETA, AGENTS, "--runs=0", OUT], "`--runs` must be at least 1; got 0"),
    ([PAPER, BETA, AGENTS, "--runs=1.5", OUT], "'1.5' is not a whole number"),
    ([PAPER, BETA, AGENTS, "--runs=100000000000", OUT], "GB are there: give fewer `--runs`"),
    ([PAPER, BETA, AGENTS, "--seed=-1", OUT], "`--seed` must lie between"),
    ([PAPER, "--beta=0", AGENTS, OUT], "`beta` is 0"),
    ([PAPER, BETA, AGENTS, "--response=greedy", OUT], "does not apply to `--response greedy`"),
    ([PAPER, BETA, AGENTS, "--policy=nosuch", OUT], "`--policy` must be the path of a JSON file; got 'nosuch'"),
    ([PAPER, AGENTS, "--policy=rows.json", OUT], "`policy` must have shape"),
    ([PAPER, AGENTS, "--policy=node.json", OUT], "`policy['1']` has the key '4'"),
    ([PAPER, AGENTS, "--policy=broken.json", OUT], "`--policy broken.json` is no valid JSON"),
    ([PAPER, AGENTS, "--policy=rows.json", "--response=greedy", OUT], "does not go with `--policy`"),
    ([PAPER, AGENTS, "--policy=rows.json", "--reference=uniform", OUT], "needs `--beta`, for the KL terms"),
    (["nosuch", BETA, AGENTS, OUT], "there is no such game"),
    ([PAPER, BETA, AGENTS, "--set", "frob=3", OUT], "no parameter 'frob'"),
    ([PAPER, BETA, AGENTS, "--out=a_file"], "that is a file, not a folder"),
]


@pytest.mark.parametrize(("arguments", "sentence"), ERRORS, ids=[" ".join(a)[-60:] for a, _ in ERRORS])
def test_bad_input_is_one_sentence_and_no_file(folder, arguments, sentence):
    before = sorted(folder.rglob("*"))
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("mfgjax: ") and err.endswith("\n") and err.count("\n") == 1
    assert sentence in err
    assert sorted(folder.rglob("*")) == before


def test_an_interruption_leaves_nothing_behind(folder, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(mfg.finite, "deviation_gain", interrupted)
    assert run(PAPER, BETA, AGENTS, OUT) == (130, "", "mfgjax: interrupted.\n")
    assert not (folder / "results").exists()
