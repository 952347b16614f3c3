"""Graph games from files: the examples are the games they claim to be, and every fault has its sentence."""

import datetime as dt
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from documents import GONE, changed, write
from hypothesis import given, settings
from hypothesis import strategies as st

from mfgjax import EntropyRegularized, StationaryGame, games, solve
from mfgjax.games import file as game_file
from mfgjax.games import load_game

ROOT = Path(__file__).parent.parent
nan, inf = float("nan"), float("inf")

VALID = {
    "format": "mfgjax-graph-game/1",
    "name": "walk",
    "description": "two rooms and an exit",
    "horizon": 3,
    "discount": 0.9,
    "nodes": ["a", "b", "exit"],
    "edges": [["a", "a"], ["a", "b"], ["b", "exit"], ["b", "a"], ["exit", "exit"]],
    "initial": {"a": 0.75, "b": 0.25},
    "positions": {"a": [0, 0], "b": [1.5, 0], "exit": [3, -1]},
    "running": {"value": {"a": -1.0, "b": -2}, "congestion": {"a": 0.5}, "scale": 2.0, "exponent": 1},
    "terminal": {"value": 1.0, "congestion": 0.25, "scale": 3.0, "exponent": 2},
    "reference": {"a": {"a": 0.25, "b": 0.75}, "exit": {"exit": 1.0}},
}


def refusal(path: object) -> str:
    """Return the sentence with which a file is refused, having checked that it is one, and names the file."""
    with pytest.raises(ValueError) as caught:
        load_game(path)
    sentence = str(caught.value)
    assert sentence.splitlines() == [sentence]
    assert sentence.startswith(f"`{path}`: ")
    assert sentence.endswith((".", "?"))
    return sentence.removeprefix(f"`{path}`: ")


DATE = dt.date(1979, 5, 27)
HUGE = 1 << 4000  # a whole number beyond every float
UNPRINTABLE = 1 << 20000  # and one of more digits than Python prints

NO_NUMBER = [
    ("'0.5'", "0.5"),
    ("true", True),
    ("[0.5]", [0.5]),
    ("{'x': 1}", {"x": 1}),
    ("[]", []),
    ("''", ""),
    ("1979-05-27", DATE),
]
NO_FINITE = [("nan", nan), ("inf", inf), ("-inf", -inf)]
TOO_LARGE = [(str(HUGE)[:40], HUGE), ("too long to be shown", UNPRINTABLE)]
BAD_NUMBER = [*NO_NUMBER, *NO_FINITE, *TOO_LARGE]
NO_STRING = [
    ("3", 3),
    ("1979-05-27", DATE),
    ("1.5", 1.5),
    ("true", True),
    ("['a']", ["a"]),
    ("{'x': 1}", {"x": 1}),
    ("nan", nan),
]
NO_NAME = [*NO_STRING, ("''", ""), ("'  '", "  ")]
NO_TABLE = [("3", 3), ("nan", nan), ("true", True), ("'a'", "a"), ("['a', 1]", ["a", 1]), ("[]", [])]
NO_LIST = [("3", 3), ("nan", nan), ("true", True), ("'a'", "a"), ("{'a': 1}", {"a": 1}), ("[]", []), ("{}", {})]
NO_WHOLE = [*BAD_NUMBER, ("2.0", 2.0), ("0", 0), ("-1", -1)]
NO_SHARE = [*BAD_NUMBER, ("0", 0), ("0.0", 0.0), ("-0.5", -0.5), ("1.5", 1.5), ("2", 2), ("1e-320", 1e-320)]
NO_PAIR = [("['a']", ["a"]), ("['a', 'b', 'a']", ["a", "b", "a"]), ("['a', 1]", ["a", 1]), ("[1, 'a']", [1, "a"])]
NO_POINT = [("[]", []), ("[1]", [1]), ("[1, 2, 3]", [1, 2, 3]), ("{'x': 1, 'y': 2}", {"x": 1, "y": 2})]
NO_TABLES = [*NO_TABLE[:-1], ("[[1]]", [[1]])]

# key -> (where to put it, what the sentence calls it, [(what the sentence shows, value)])
REPLACED = {
    "format": [(("format",), "format", [*NO_STRING, ("'mfgjax-graph-game/2'", "mfgjax-graph-game/2"), ("''", "")])],
    "name": [(("name",), "name", NO_NAME)],
    "description": [(("description",), "description", NO_STRING)],
    "horizon": [(("horizon",), "horizon", [*NO_WHOLE, ("100001", 100_001)])],
    "discount": [(("discount",), "discount", NO_SHARE)],
    "nodes": [
        (("nodes",), "nodes", NO_LIST),
        (("nodes", 1), "nodes[1]", [*NO_NAME, ("'a'", "a")]),
    ],
    "edges": [
        (("edges",), "edges", NO_LIST),
        (("edges", 2), "edges[2]", [*NO_LIST, *NO_PAIR, ("['b', 'exut']", ["b", "exut"]), ("['B', 'a']", ["B", "a"])]),
        (("edges", 5), "edges[5]", [("('b', 'a')", ["b", "a"])]),
    ],
    "initial": [
        (("initial",), "initial", NO_TABLE),
        (("initial", "a"), "initial['a']", [*BAD_NUMBER, ("-0.25", -0.25), ("1.25", 1.25)]),
        (("initial", "exut"), "initial['exut']", [("0.0", 0.0)]),
        (("initial", "b"), "initial", [("sums to 1.24", 0.49), ("sums to 0.75", 0), ("sums to 1.0000001", 0.2500001)]),
    ],
    "positions": [
        (("positions",), "positions", NO_TABLE),
        (("positions", "a"), "positions['a']", [*NO_LIST, *NO_POINT]),
        (("positions", "a", 0), "positions['a'][0]", BAD_NUMBER),
        (("positions", "exit", 1), "positions['exit'][1]", BAD_NUMBER),
        (("positions", "exut"), "positions['exut']", [("[0, 0]", [0, 0])]),
    ],
    "reference": [
        (("reference",), "reference", NO_TABLE),
        (("reference", "a"), "reference['a']", [*NO_TABLES, ("sums to 1.25", {"a": 0.25, "b": 1})]),
        (("reference", "a"), "reference['a']['b']", [("{'a': 1.0}", {"a": 1.0})]),
        (("reference", "a", "b"), "reference['a']['b']", NO_SHARE),
        (("reference", "a", "b"), "reference['a']", [("sums to 0.95", 0.7)]),
        (("reference", "a", "exit"), "reference['a']['exit']", [("0.5", 0.5)]),
        (("reference", "a", "exut"), "reference['a']['exut']", [("0.5", 0.5)]),
        (("reference", "exut"), "reference['exut']", [("{'a': 1.0}", {"a": 1.0})]),
    ],
}
for stage in ("running", "terminal"):
    REPLACED[stage] = [
        ((stage,), stage, [*NO_TABLE, ("{}", {}), ("{'scale': 2.0, 'exponent': 1}", {"scale": 2.0, "exponent": 1})])
    ]
    for field in ("value", "congestion"):
        REPLACED[f"{stage}.{field}"] = [
            ((stage, field), f"{stage}.{field}", [fault for fault in BAD_NUMBER if not isinstance(fault[1], dict)]),
            ((stage, field), f"{stage}.{field}['a']", [(shown, {"a": wrong}) for shown, wrong in BAD_NUMBER]),
            ((stage, field), f"{stage}.{field}['exut']", [("0.0", {"exut": 0.0})]),
        ]
    REPLACED[f"{stage}.scale"] = [((stage, "scale"), f"{stage}.scale", BAD_NUMBER)]
    REPLACED[f"{stage}.exponent"] = [((stage, "exponent"), f"{stage}.exponent", [*NO_WHOLE, ("101", 101)])]

CASES = [
    pytest.param(place, named, shown, value, id=f"{'.'.join(map(str, place))}={shown}")
    for faults in REPLACED.values()
    for place, named, values in faults
    for shown, value in values
]


def test_the_table_of_faults_covers_every_key():
    stages = [f"{stage}.{key}" for stage in ("running", "terminal") for key in game_file._REWARD_KEYS]
    assert set(REPLACED) == {*game_file._KEYS, *stages}


@pytest.mark.parametrize(("place", "named", "shown", "value"), CASES)
def test_a_wrong_value_is_refused_with_its_key_and_place(tmp_path, place, named, shown, value):
    sentence = refusal(write(tmp_path / "game.toml", changed(VALID, place, value)))
    assert f"`{named}`" in sentence
    assert shown in sentence


@pytest.mark.parametrize("key", ["format", "horizon", "nodes", "edges", "initial"])
def test_a_missing_key_is_named(tmp_path, key):
    sentence = refusal(write(tmp_path / "game.toml", changed(VALID, (key,), GONE)))
    assert sentence.startswith(f"`{key}` is missing")


def test_a_game_that_pays_nothing_is_refused(tmp_path):
    document = changed(VALID, ("running",), GONE)
    del document["terminal"]
    assert "`running` and `terminal` are both missing" in refusal(write(tmp_path / "game.toml", document))


def test_a_node_without_position_is_named(tmp_path):
    assert "`positions['b']` is missing" in refusal(
        write(tmp_path / "game.toml", changed(VALID, ("positions", "b"), GONE))
    )


def test_a_node_that_no_edge_leaves_is_named(tmp_path):
    assert "`edges` has no edge that leaves node 'exit'" in refusal(
        write(tmp_path / "game.toml", changed(VALID, ("edges", 4), GONE))
    )


@pytest.mark.parametrize(
    ("place", "named", "meant"),
    [
        (("horizn",), "horizn", "'horizon'"),
        (("initials",), "initials", "'initial'"),
        (("running", "congestions"), "running.congestions", "'congestion'"),
        (("terminal", "exponents"), "terminal.exponents", "'exponent'"),
        (("my key",), "'my key'", "'format', 'horizon'"),
        (("running", "horizon"), "running.horizon", "must stand above the first [table]"),
        (("initial", "horizon"), "initial['horizon']", "must stand above the first [table]"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path, place, named, meant):
    sentence = refusal(write(tmp_path / "game.toml", changed(VALID, place, 5)))
    assert sentence.startswith(f"`{named}` is 5, but there is no ")
    assert meant in sentence


@pytest.mark.parametrize("place", [("edges", 2, 1), ("initial",), ("terminal", "value"), ("reference",)])
def test_a_misspelt_node_is_refused_with_the_nearest_one(tmp_path, place):
    wrong = "exut" if place[0] == "edges" else {"exut": 1.0}
    sentence = refusal(write(tmp_path / "game.toml", changed(VALID, place, wrong)))
    assert "there is no node 'exut'; did you mean 'exit'?" in sentence


def test_rewards_that_overflow_are_refused_with_node_and_stage(tmp_path):
    document = changed(VALID, ("terminal",), {"value": {"b": 1e300}, "exponent": 2})
    assert re.match(
        r"`terminal` has rewards of size inf at node 'b' .value 1e\+300,",
        refusal(write(tmp_path / "game.toml", document)),
    )


def test_what_single_precision_cannot_hold_is_refused_there_alone(tmp_path):
    tiny = write(tmp_path / "tiny.toml", changed(VALID, ("reference", "a"), {"a": 1e-50, "b": 1.0}))
    large = write(tmp_path / "large.toml", changed(VALID, ("running", "scale"), 1e60))
    load_game(tiny), load_game(large)
    with jax.enable_x64(False):
        assert refusal(tiny) == ("`reference['a']['a']` is 1e-50, but the smallest positive float32 number is 1.2e-38.")
        assert refusal(large) == "`running.scale` is 1e+60, but the largest float32 number is 3.4e+38."
        assert load_game(write(tmp_path / "game.toml", VALID)).game.dtype == np.float32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"horizon = 3\nnodes = [,]\n", "at line 2, column 10): 'nodes = [,]'."),
        (b"[initial]\na = 1\na = 2\n", "at line 3, column 6): 'a = 2'."),
        (b"nodes = ['a'", "at end of document"),
        (b"x = " + b"[" * 100_000, "nested too deeply"),
        (b"x = " + b"9" * 5000, "4300 digits"),
        (b"name = 'a'\ndescription = '\xe9t\xe9'", "byte 0xe9 at line 2 is not UTF-8"),
        (b"\xff\xfen\x00", "byte 0xff at line 1 is not UTF-8"),
        (b"\x00", "at line 1, column 1"),
        (b"", "`format` is missing"),
        (b"horizn = 1979-05-27", "`horizn` is 1979-05-27, but there is no such key"),
        (b"x" + b".y" * 5000 + b" = 1", "`x` is too long to be shown (of kind dict), but there is no such key"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_toml_of_ours_is_refused_with_its_place(tmp_path, text, expected):
    path = tmp_path / "game.toml"
    path.write_bytes(text)
    assert expected in refusal(path)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    assert refusal(tmp_path / "nowhere.toml") == "there is no such file."
    assert refusal(tmp_path) == "this is a directory, or no regular file."
    assert refusal(str(tmp_path / ("x" * 5000))).startswith("the file cannot be read (File name too long")
    with pytest.raises(ValueError, match=r"`a\\x00\\nb`: there is no such file"):
        load_game("a\0\nb")


@pytest.mark.parametrize("path", [3, None, b"game.toml", True, UNPRINTABLE], ids=lambda path: type(path).__name__)
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match="`path` must be the path of a TOML file; got "):
        load_game(path)


ANYTHING = st.one_of(
    st.none().map(lambda _: GONE),
    st.sampled_from([nan, inf, -0.0, 0, 1, 1.0, 0.5, -3, 1e308, 5e-324, HUGE, True, "", "a", "exit", [], {}, [[]]]),
    st.lists(st.sampled_from(["a", "b", "exit", 1, nan]), max_size=3),
    st.dictionaries(st.sampled_from(["a", "b", "exit", "value", "scale"]), st.sampled_from([0.5, 1, nan, "a", {}])),
)


def places(value: object, way: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return ([way] if way else []) + [place for key, entry in inner for place in places(entry, (*way, key))]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(places(VALID)), ANYTHING)
def test_a_file_is_read_or_refused_in_one_sentence(tmp_path_factory, place, value):
    path = write(tmp_path_factory.getbasetemp() / "any.toml", changed(VALID, place, value))
    try:
        assert load_game(path).game.num_states == 3
    except ValueError as error:
        assert re.fullmatch(r"`.*any\.toml`: [^\n]*[.?]", str(error))


def test_rewards_are_those_of_the_formula(tmp_path, rng):
    game = load_game(write(tmp_path / "game.toml", VALID)).game
    for t in range(4):
        mu = rng.dirichlet(np.ones(3))
        for s, node in enumerate(VALID["nodes"]):
            if t < 3:
                v, c = {"a": -1.0, "b": -2.0}.get(node, 0.0), {"a": 0.5}.get(node, 0.0)
                expected = 2.0 * (v - c * mu[s])
            else:
                expected = 3.0 * (1.0 - 0.25 * mu[s]) ** 2
            # a handful of roundings
            np.testing.assert_allclose(game.reward_at(np.int32(t), mu)[s], expected, rtol=1e-14)


def test_a_file_gives_names_moves_law_reference_and_positions(tmp_path):
    file = load_game(write(tmp_path / "game.toml", VALID))
    assert (file.name, file.description, file.game.horizon) == ("walk", "two rooms and an exit", 3)
    assert file.positions == {"a": (0.0, 0.0), "b": (1.5, 0.0), "exit": (3.0, -1.0)}
    assert file.game.state_labels == ("a", "b", "exit")
    assert games.moves(file.game) == [["a", "b"], ["exit", "a"], ["exit"]]
    np.testing.assert_array_equal(file.game.initial, [0.75, 0.25, 0])
    np.testing.assert_array_equal(file.game.discount, 0.9)
    np.testing.assert_array_equal(file.reference, [[0.25, 0.75], [0.5, 0.5], [1, 0]])


def test_what_is_optional_may_be_left_out(tmp_path):
    document = {key: VALID[key] for key in ("format", "horizon", "nodes", "edges", "initial")}
    path = write(tmp_path / "short walk.toml", {**document, "running": {"congestion": 1}})
    file = load_game(str(path))
    assert (file.name, file.description, file.positions, file.reference) == ("short walk", "", None, None)
    assert float(file.game.discount) == 1
    mu = np.array([0.5, 0.25, 0.25])
    np.testing.assert_array_equal(file.game.reward_at(np.int32(2), mu)[:, 0], -mu)
    np.testing.assert_array_equal(file.game.reward_at(np.int32(3), mu), np.zeros((3, 2)))


def test_an_empty_reference_is_uniform(tmp_path):
    file = load_game(write(tmp_path / "game.toml", changed(VALID, ("reference",), {})))
    np.testing.assert_array_equal(file.reference, [[0.5, 0.5], [0.5, 0.5], [1, 0]])


def test_byte_order_marks_and_line_ends_of_windows_are_accepted(tmp_path):
    path = write(tmp_path / "game.toml", VALID)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_game(path).name == "walk"


def test_the_file_of_the_resource_allocation_is_the_built_in_game():
    file = load_game(ROOT / "examples" / "resource_allocation.toml")
    expected = games.resource_allocation()
    assert jax.tree.structure(file.game) == jax.tree.structure(expected)
    for ours, theirs in zip(jax.tree.leaves(file.game), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(file.reference, games.resource_allocation_reference(expected))
    assert file.positions is not None and set(file.positions) == set("12345")


def test_in_the_evacuation_thinking_ahead_sends_more_people_down_the_back_stairs():
    file = load_game(ROOT / "examples" / "evacuation.toml")
    back = file.game.state_labels.index("back exit")
    out = [file.game.state_labels.index(name) for name in ("main exit", "back exit")]
    laws = [solve(file.game, EntropyRegularized(b, file.reference)).mean_field[-1] for b in (0.2, 5.0)]
    shares = [float(law[back]) for law in laws]
    assert shares[1] > 2 * shares[0]
    assert all(float(law[np.array(out)].sum()) > 0.95 for law in laws)


def test_the_manual_names_every_key_and_its_example_can_be_loaded(tmp_path):
    manual = (ROOT / "docs" / "game-file.md").read_text("utf-8")
    for key in (*game_file._KEYS, *game_file._REWARD_KEYS):
        assert f"| `{key}` |" in manual
    example = re.search(r"```toml\n(.*?)```", manual, re.DOTALL)
    assert example is not None
    for key in (*game_file._KEYS, *game_file._REWARD_KEYS):
        assert re.search(rf"^(\[{key}\]|{key} =)", example[1], re.MULTILINE)
    path = tmp_path / "example.toml"
    path.write_text(example[1], "utf-8")
    file = load_game(path)
    assert file.name == "two doors" and file.reference is not None and file.positions is not None


STATIONARY = {key: VALID[key] for key in ("format", "nodes", "edges", "positions", "reference", "running", "discount")}


def test_a_file_without_a_horizon_is_a_stationary_game(tmp_path):
    file = load_game(write(tmp_path / "walk.toml", STATIONARY))
    assert isinstance(file.game, StationaryGame) and float(file.game.discount) == 0.9
    assert games.moves(file.game) == [["a", "b"], ["exit", "a"], ["exit"]]
    np.testing.assert_allclose(file.game.initial, 1 / 3, rtol=1e-15)
    np.testing.assert_array_equal(file.reference, [[0.25, 0.75], [0.5, 0.5], [1, 0]])
    z = np.array([0.5, 0.25, 0.25])
    pay = [2.0 * (-1.0 - 0.5 * 0.5), 2.0 * -2.0, 0.0]  # scale (value − congestion z)
    np.testing.assert_allclose(file.game.reward_at(np.int32(0), z)[:, 0], pay, rtol=1e-14)
    own = load_game(write(tmp_path / "own.toml", {**STATIONARY, "initial": VALID["initial"]}))
    np.testing.assert_array_equal(own.game.initial, [0.75, 0.25, 0])


def test_a_stationary_game_is_written_and_read_to_the_last_digit(tmp_path):
    file = load_game(write(tmp_path / "walk.toml", {**STATIONARY, "initial": VALID["initial"]}))
    games.save_game(tmp_path / "again.toml", file)
    again = load_game(tmp_path / "again.toml")
    assert jax.tree.structure(again.game) == jax.tree.structure(file.game)
    for ours, theirs in zip(jax.tree.leaves(again.game), jax.tree.leaves(file.game), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(again.reference, file.reference)
    assert again.positions == file.positions


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"discount": 1.0},
            "`discount` is 1.0, but without `horizon` the game is stationary, and it must lie in (0, 1).",
        ),
        ({"discount": GONE}, "`horizon` is missing, but a game needs it, or a `discount` below 1"),
        (
            {"terminal": {"value": 1.0}},
            "`horizon` is missing, so the game is stationary and has no last time, but `terminal` is given",
        ),
        ({"running": GONE}, "`running` is missing"),
        ({"initial": {"a": 0.5}}, "`initial` sums to 0.5"),
    ],
)
def test_what_does_not_fit_a_stationary_game_is_refused(tmp_path, changes, sentence):
    document = {key: value for key, value in (STATIONARY | changes).items() if value is not GONE}
    assert refusal(write(tmp_path / "game.toml", document)).startswith(sentence)


def test_the_manual_s_cafes_are_in_equilibrium_by_loops(tmp_path):
    """V and π by value iteration from the formulas, at the law found."""
    manual = (ROOT / "docs" / "game-file.md").read_text("utf-8")
    path = tmp_path / "cafes.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)[1], "utf-8")
    file = load_game(path)
    eq = solve(file.game, EntropyRegularized(5.0))
    z = np.asarray(eq.mean_field)
    nexts, pay = [[0, 1, 2], [1, 0], [2, 0]], [0.0, 1.0 - 1.5 * z[1], 0.7 - z[2]]
    values = np.zeros(3)
    for _ in range(400):  # 0.9^400 is below rounding
        q = [[pay[s] + 0.9 * values[n] for n in nexts[s]] for s in range(3)]
        values = np.array([np.log(np.mean(np.exp(5.0 * np.array(row)))) / 5.0 for row in q])
    moved = np.zeros(3)
    for s in range(3):
        weights = np.exp(5.0 * np.array(q[s]))
        for n, share in zip(nexts[s], weights / weights.sum(), strict=True):
            moved[n] += z[s] * share
    np.testing.assert_allclose(eq.values, values, rtol=1e-9)
    np.testing.assert_allclose(moved, z, atol=2e-10)
    assert file.game.state_labels == ("home", "left café", "right café")
