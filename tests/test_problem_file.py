"""Problem files: the examples are the problems they claim to be, and every fault has its sentence."""

from pathlib import Path

import jax
import numpy as np
import pytest
from documents import GONE, changed, write

import mfgjax as mfg
from mfgjax.design.problem import KEYS, load_problem
from mfgjax.design.problem_tables import KINDS, SearchSettings

ROOT = Path(mfg.__file__).parents[1]
SEARCH_KEYS = tuple(SearchSettings.__dataclass_fields__)

VALID = {
    "format": "mfgjax-tune/1",
    "name": "walk",
    "description": "of a few",
    "game": "resource-allocation",
    "settings": {"preset": "author-code"},
    "reference": {"3": {"3": 0.25, "4": 0.75}},
    "parameters": {
        "reference": {"shared": False, "lower": 0.01, "states": ["2", "3"]},
        "discount": {"start": 0.5, "lower": 0.1, "upper": 0.9},
        "reward.L.base": {"start": 1.0, "lower": 0.5, "upper": 2, "states": ["3"], "times": [5]},
    },
    "objective": [
        {"kind": "target-law", "law": {"3": 0.5, "4": 0.25}, "time": 4, "weight": 2.0},
        {"kind": "occupancy", "states": ["1", "2"], "outside": True},
        {"kind": "cost", "weight": -1},
        {"kind": "inequality"},
        {"kind": "entropy", "time": 0},
        {"kind": "reference-change", "weight": 0.1},
    ],
    "scenarios": {"beta": [1, 2.5], "over": "worst", "smoothing": 0.1},
    "search": {
        "optimizer": "adam",
        "learning_rate": 0.1,
        "max_steps": 7,
        "restarts": 2,
        "spread": 0.5,
        "seed": 3,
        "gtol": 0.0,
        "goal": -1,
    },
}


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return load_problem(str(write(tmp_path_factory.mktemp("full") / "full.toml", VALID)))


def test_a_file_with_every_key_is_read_as_it_stands(full):
    assert full.name == "walk" and full.betas == (1.0, 2.5) and full.over == "worst" and full.smoothing == 0.1
    game = mfg.games.resource_allocation("author-code")
    assert full.game.horizon == 5 and jax.tree.all(jax.tree.map(np.array_equal, full.game, game))
    rho = np.exp(np.asarray(full.response.log_reference))[0]
    np.testing.assert_allclose(rho[2, :2], [0.25, 0.75])
    np.testing.assert_allclose(rho[0], 1 / 3)  # nodes left out move uniformly
    assert [term.weight for term in full.terms] == [2, 1, -1, 1, 1, 0.1]
    assert full.search.max_steps == 7 and full.search.method is not None
    assert {*VALID, "beta"} == {*KEYS} and {*VALID["search"]} == {*SEARCH_KEYS}
    assert [term["kind"] for term in VALID["objective"]] == [*KINDS]


def test_what_may_change_is_what_the_file_says(full):
    variables = full.plan.variables
    reference, discount, base = variables["reference"], variables["discount"], variables["reward.L.base"]
    assert reference.start.shape == (6, 5, 3) and float(reference.lower) == 0.01
    np.testing.assert_array_equal(np.unique(np.argwhere(reference.free)[:, 1]), [1, 2])
    assert float(discount.start) == 0.5 and float(discount.upper) == 0.9
    np.testing.assert_array_equal(np.argwhere(base.free), [[5, 2, 0]])
    own = np.asarray(full.game.reward.L.base)
    np.testing.assert_array_equal(base.start, np.where(base.free, 1.0, own))


def test_objectives_are_those_of_the_library(full):
    game, response = full.game, full.response
    found = mfg.solve(game, response)
    d, rho = mfg.design, np.exp(np.asarray(response.log_reference))
    expected = [
        d.TargetLaw({"3": 0.5, "4": 0.25}, 4),
        d.Occupancy(["1", "2"], outside=True),
        d.Cost(),
        d.Inequality(),
        d.Entropy(0),
        d.ReferenceChange(rho),
    ]
    for term, objective in zip(full.terms, expected, strict=True):
        value, same = (float(o(game, response, found)) for o in (term.objective, objective))
        np.testing.assert_allclose(value, same, rtol=1e-12, atol=1e-15, err_msg=term.label)


def test_a_short_file_has_the_defaults(tmp_path):
    document = {
        "format": "mfgjax-tune/1",
        "game": "resource-allocation",
        "beta": 3,
        "parameters": {"reference": {}},
        "objective": [{"kind": "target-law", "law": {"3": 1}}],
    }
    problem = load_problem(str(write(tmp_path / "short.toml", document)))
    assert problem.name == "short" and problem.scenarios is None and problem.search.method is None
    assert problem.search.max_steps == 200 and problem.terms[0].label == "target law at t = 5"
    reference = problem.plan.variables["reference"]
    assert reference.start.shape == (1, 5, 3) and float(reference.lower) == 0
    np.testing.assert_array_equal(reference.start[0], mfg.games.resource_allocation_reference(problem.game))


def test_a_game_lies_beside_its_problem_and_tables_need_no_quotes(tmp_path):
    (tmp_path / "sub").mkdir()
    mfg.games.save_game(tmp_path / "sub" / "a.toml", mfg.games.load_game(ROOT / "examples" / "evacuation.toml"))
    text = 'format = "mfgjax-tune/1"\ngame = "sub/a.toml"\nbeta = 1.0\nreference = "uniform"\n'
    text += '[parameters.reward.L.base]\nstates = ["foyer"]\n[[objective]]\nkind = "cost"\n'
    (tmp_path / "p.toml").write_text(text)
    problem = load_problem(str(tmp_path / "p.toml"))
    assert problem.loaded.name == "evacuation" and list(problem.parameters) == ["reward.L.base"]
    np.testing.assert_allclose(np.exp(np.asarray(problem.response.log_reference))[0, 0, :2], 0.5)


@pytest.mark.parametrize("name", ["half_and_half", "evacuation_signs"])
def test_the_examples_are_read(name):
    problem = load_problem(str(ROOT / "examples" / f"{name}.toml"))
    assert problem.name == name.replace("_", " ") and list(problem.parameters) == ["reference"]
    assert [term.weight for term in problem.terms] == {"half_and_half": [1, 1e-5], "evacuation_signs": [1, 2]}[name]


@pytest.mark.parametrize("name", ["resource_allocation", "evacuation"])
def test_a_game_that_was_written_is_read_as_the_same(tmp_path, name):
    file = mfg.games.load_game(ROOT / "examples" / f"{name}.toml")
    mfg.games.save_game(tmp_path / "copy.toml", file)
    again = mfg.games.load_game(tmp_path / "copy.toml")
    assert jax.tree.structure(file.game) == jax.tree.structure(again.game)
    assert jax.tree.all(jax.tree.map(np.array_equal, file.game, again.game))
    np.testing.assert_array_equal(file.reference, again.reference)
    assert (file.name, file.description, file.positions) == (again.name, again.description, again.positions)


def test_a_game_without_a_place_in_the_format_is_not_written(tmp_path):
    for game, sentence in (
        (mfg.games.random_dense(), "holds only games on a graph"),
        (mfg.games.ring_crowd(), "`game.reward.L.base` differs between actions"),
    ):
        with pytest.raises(ValueError, match=sentence):
            mfg.games.save_game(tmp_path / "x.toml", mfg.games.file.GameFile("x", game, None, None, ""))
    assert not (tmp_path / "x.toml").exists()


GOAL = "objective"
WRONG = [
    (("format",), "mfgjax-graph-game/1", "`format` is 'mfgjax-graph-game/1', but this version of mfgjax reads"),
    (("format",), GONE, "`format` is missing, but every problem file needs it, as in `format = "),
    (("game",), GONE, "`game` is missing"),
    (
        ("game",),
        "resource-alocation",
        "`game` is 'resource-alocation', but there is no such file; did you mean 'resource-allocation'?",
    ),
    (("game",), "nosuch.toml", "nosuch.toml`: there is no such file"),
    (("game",), 3, "`game` is 3, but a name must be a string"),
    (("gane",), "x", "`gane` is 'x', but there is no such key; did you mean 'game'?"),
    (("settings", "preset"), "mine", "`preset` must be one of 'paper', 'author-code'; got 'mine'"),
    (("settings", "frob"), 3, "`settings: frob=3`: resource_allocation has no parameter 'frob'"),
    (("beta",), 3.0, "`beta` is 3.0, but `scenarios.beta` gives several: leave one of them out"),
    (("scenarios",), GONE, "`beta` is missing, but every problem file needs it, or `scenarios.beta`"),
    (("scenarios", "beta"), GONE, "`scenarios.beta` is missing"),
    (("scenarios", "beta"), [1.0, -2], "`scenarios.beta[1]` is -2, but it must be above 0"),
    (("scenarios", "beta"), [1.0, 1.0], "`scenarios.beta` is [1.0, 1.0], but it must be at least two different"),
    (("scenarios", "over"), "best", "`scenarios.over` is 'best', but it must be one of 'mean', 'worst'"),
    (("scenarios", "over"), "mean", '`scenarios.smoothing` is 0.1, but `scenarios.over` is "mean"'),
    (("reference",), "mine", "`reference` is 'mine', but it must be 'file', 'uniform' or a table of nodes"),
    (("reference", "3", "4"), 0.5, "`reference['3']` sums to 0.75, but probabilities must sum to 1"),
    (("reference", "9"), {"3": 1.0}, "there is no node '9'"),
    (("parameters",), {}, "`parameters` is {}, but something must change"),
    (("parameters", "reference", "lower"), 0.4, "`parameters.reference.lower` is 0.4, but it must be at least 0 and"),
    (("parameters", "reference", "lower"), 0.3, "`reference['3']['3']` is 0.25, but it must be above `parameters.re"),
    (("parameters", "reference", "shared"), "yes", "`parameters.reference.shared` is 'yes', but it must be true or"),
    (("parameters", "reference", "upper"), 0.5, "`parameters.reference.upper` is 0.5, but there is no such key"),
    (("parameters", "reference", "states"), ["7"], "`parameters.reference.states[0]` is '7', but there is no state"),
    (("parameters", "beta"), {"lower": 1}, "`parameters.beta` is {'lower': 1}, but `scenarios.beta` fixes"),
    (
        ("parameters", "discount", "start"),
        0.95,
        "`parameters.discount.start` is 0.95, but it must lie between the bounds",
    ),
    (("parameters", "discount", "lower"), 0.9, "`parameters.discount.lower` is 0.9, but it must be below"),
    (("parameters", "reward.L.bass"), {}, "There is no parameter 'reward.L.bass' in game, response or solver"),
    (("parameters", "reward.L.base", "times"), [6], "`parameters.reward.L.base.times[0]` is 6, but it must be a whole"),
    (("parameters", "reward.L.base", "lower"), "0", "`parameters.reward.L.base.lower` is '0', but it must be a number"),
    (("parameters", "initial"), {"upper": 1}, "`parameters.initial.upper` is 1, but there is no such key"),
    ((GOAL,), [], "`objective` is [], but it must be one or more tables [[objective]], not empty"),
    ((GOAL, 0, "kind"), GONE, "`objective[0].kind` is missing; it is one of 'target-law'"),
    ((GOAL, 0, "kind"), "target-low", "no such objective; did you mean 'target-law'?"),
    ((GOAL, 0, "weight"), 0, "`objective[0].weight` is 0, but it must not be 0"),
    ((GOAL, 0, "law"), GONE, "`objective[0].law` is missing"),
    ((GOAL, 0, "law"), {"3": 0.75, "4": 0.5}, "but it must be shares of at most 1 in all"),
    ((GOAL, 0, "law", "3"), -0.5, "`objective[0].law['3']` is -0.5, but a share must lie in [0, 1]"),
    ((GOAL, 0, "law", "hall"), 0.1, "`objective[0].law['hall']` is 0.1, but there is no state 'hall'; there are '1'"),
    ((GOAL, 0, "time"), 6, "`objective[0].time` is 6, but it must be a whole number from 0 to 5"),
    ((GOAL, 1, "states"), [], "`objective[1].states` is [], but it must be a list of names of states, not empty"),
    ((GOAL, 1, "outside"), 1, "`objective[1].outside` is 1, but it must be true or false"),
    ((GOAL, 2, "time"), 1, "`objective[2].time` is 1, but there is no such key"),
    (("search", "optimizer"), "magic", "`search.optimizer` is 'magic', but it must be one of 'lbfgs', 'adam'"),
    (("search", "optimizer"), "lbfgs", "`search.learning_rate` is 0.1, but 'lbfgs' finds the length of its steps"),
    (("search", "learning_rate"), GONE, "`search.learning_rate` is missing, but 'adam' needs it"),
    (("search", "learning_rate"), 0, "`search.learning_rate` is 0, but it must be above 0"),
    (("search", "max_steps"), 2.0, "`search.max_steps` is 2.0, but it must be a whole number from 1"),
    (("search", "seed"), -1, "`search.seed` is -1, but it must be a whole number from 0"),
    (("search", "goal"), "low", "`search.goal` is 'low', but it must be a number"),
]


@pytest.mark.parametrize(("place", "value", "sentence"), WRONG, ids=[f"{w[0][-1]} {w[2][:40]}" for w in WRONG])
def test_a_mistake_is_one_sentence_with_key_place_and_value(tmp_path, place, value, sentence):
    path = write(tmp_path / "problem.toml", changed(VALID, place, value))
    with pytest.raises(ValueError) as caught:
        load_problem(str(path))
    said = str(caught.value)
    assert said.startswith(f"`{path}`: ") and said.endswith((".", "?")) and said.splitlines() == [said]
    assert sentence in said


def test_files_that_are_no_problems_are_refused(tmp_path):
    (tmp_path / "no.toml").write_text("format = ")
    for path, sentence in ((tmp_path / "no.toml", "this is not valid TOML"), (tmp_path / "x.toml", "no such file")):
        with pytest.raises(ValueError, match=sentence):
            load_problem(str(path))


def test_a_document_explains_every_key_and_its_example_is_read(tmp_path):
    text = (ROOT / "docs" / "problem-file.md").read_text(encoding="utf-8")
    for key in (*KEYS, *SEARCH_KEYS, "shared", "lower", "upper", "start", "states", "times", "over", "smoothing"):
        assert f"`{key}`" in text, key
    for kind in KINDS:
        assert f'`"{kind}"`' in text, kind
    example = text.split("```toml\n")[1].split("```")[0]
    (tmp_path / "evacuation.toml").write_bytes((ROOT / "examples" / "evacuation.toml").read_bytes())
    (tmp_path / "example.toml").write_text(example, encoding="utf-8")
    problem = load_problem(str(tmp_path / "example.toml"))
    assert set(problem.parameters) == {"reference", "beta", "reward.L.base"}
