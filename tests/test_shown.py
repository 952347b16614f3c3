"""What objects show: one line, a text, and HTML that escapes names; never an error, never a compilation."""

import dataclasses
import inspect
import re
import struct
import xml.etree.ElementTree as ET
import zlib
from base64 import b64decode

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import COMPILED
from public_names import public_names
from shown import EQUILIBRIUM, EXAMPLES, FLOW, GAME, GREATEST, LEAST, STATES, equilibrium

import mfgjax as mfg
from mfgjax import _svg
from mfgjax._display import BAD, GOOD, Listing, aligned, as_html, shapes
from mfgjax._shorten import cut

KINDS = {
    thing
    for thing in public_names().values()
    if inspect.isclass(thing) and not inspect.isabstract(thing) and not issubclass(thing, Exception | mfg.RESULTS)
}
RETURNED = {
    kind
    for thing in public_names().values()
    if inspect.isfunction(thing) and inspect.isclass(kind := thing.__annotations__.get("return"))
    if kind.__module__.startswith("mfgjax") and not inspect.isabstract(kind)
}


def parsed(thing):
    """The HTML of an object as a tree: it must be well-formed."""
    return ET.fromstring(thing._repr_html_())


def words(tree):
    return "".join(tree.itertext())


def cells(tree, tag):
    return ["".join(cell.itertext()) for cell in tree.iter(tag)]


@pytest.mark.parametrize(
    "kind", sorted(KINDS | RETURNED, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__
)
def test_every_public_class_shows_itself(kind):
    assert kind.__name__ in EXAMPLES, f"give an example of `{kind.__name__}` in tests/shown.py"
    example = EXAMPLES[kind.__name__]
    assert type(example) is kind and hasattr(kind, "_repr_html_"), "decorate it with `shows_itself`"
    page = as_html(example)  # raises what `_repr_html_` would hide behind the shapes
    assert page == example._repr_html_() and len(page) < 20_000
    assert not re.search(r"<script|https?://(?!www\.w3\.org/2000/svg)|<b>home", page)
    tree = ET.fromstring(page)
    assert tree.find("div/b") is not None and not words(tree).count("f64[")
    assert not re.search(r"#(fff|FFF|000)|white|black", page)  # light and dark pages
    first = repr(example).splitlines()[0]
    assert len(first) < 600 and "Array(" not in first and str(example).startswith(first)


def test_nothing_is_compiled_to_show_an_object():
    jnp.zeros(3) + 1  # so that the list is filled
    before = len(COMPILED)
    for example in EXAMPLES.values():
        repr(example), str(example), example._repr_html_()
    assert COMPILED[before:] == []


STRANGE = {
    "None": lambda leaf: None,
    "an object": lambda leaf: object(),
    "a shape": lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), np.asarray(leaf).dtype),
    "a text": lambda leaf: "x",
    "one number": lambda leaf: np.float64(0.5),
    "more axes": lambda leaf: np.stack([leaf] * 2) if eqx.is_array_like(leaf) else leaf,
}


@pytest.mark.parametrize("strange", STRANGE)
def test_what_stands_in_place_of_arrays_raises_no_error(strange):
    for name, example in EXAMPLES.items():
        # JAX knows nothing inside of other classes
        if not jax.tree_util.all_leaves([example]):
            odd = jax.tree.map(STRANGE[strange], example)
            assert repr(odd) and str(odd) and odd._repr_html_(), name


def test_half_made_objects_raise_no_error():
    half = object.__new__(mfg.results.Equilibrium)
    assert repr(half).startswith("Equilibrium(mean_field='?'")


def test_inside_jit_shapes_are_shown():
    seen = []

    @jax.jit
    def look(tree):
        seen.extend([repr(tree), str(tree), tree._repr_html_(), repr(mfg.EntropyRegularized(tree.residual))])
        return tree.residual

    look(EQUILIBRIUM)
    assert seen[0] == seen[1] == shapes(EQUILIBRIUM) and seen[0] in seen[2]
    assert seen[0].startswith("Equilibrium(mean_field=(3, 2), policy=(3, 2, 2), ")
    assert seen[3] == "EntropyRegularized(beta=(), log_reference=None)"


def test_names_are_escaped_and_pictures_are_among_the_tables():
    tree = parsed(EQUILIBRIUM)
    assert set(STATES) <= set(cells(tree, "td")) and not [b for b in tree.iter("b") if b.text == "home"]
    text = [label for label in cells(tree, "{http://www.w3.org/2000/svg}text")]
    assert text[-2:] == ["<b>home</b>", "bar & grill"]


def test_signs_that_control_a_terminal_are_shown_as_escapes():
    game = mfg.FiniteHorizonGame(
        np.ones((2, 1, 2)) / 2, np.zeros((2, 1)), [1.0, 0.0], 1, state_labels=["\x1b[31mred", "a\nb\u202e"]
    )
    tree = parsed(game)
    assert "\\x1b[31mred" in words(tree) and "\x1b" not in str(game)
    assert cut("a\nb\u202e") == "a\\nb\\u202e" and cut("Persian\u200cword") == "Persian\u200cword"


def test_the_verdict_comes_first():
    tree = parsed(EQUILIBRIUM)
    assert tree.get("style") == f"border-color:{GOOD}"
    assert words(tree.find("div")).strip() == "Equilibrium converged in 7 steps"
    facts = dict(zip(cells(tree.find(".//table"), "th"), cells(tree.find(".//table"), "td"), strict=True))
    assert facts["residual"] == "1.00e-12 (tolerance 1e-10)" and facts["exploitability"] == "not computed"
    failed = equilibrium(FLOW, code=mfg.RESULTS.max_steps)
    tree = parsed(failed)
    assert tree.get("style") == f"border-color:{BAD}" and failed.result.message in words(tree)


def test_the_table_has_the_states_with_the_largest_mass_at_some_times():
    flow = np.full((9, 30), 0.01)
    flow[:, 5], flow[4, 20] = 0.71, 0.5
    table = parsed(equilibrium(flow)).findall(".//thead/..")[-1]
    assert cells(table, "th") == ["state", *(f"t = {t}" for t in (0, 1, 3, 4, 5, 7, 8))]
    rows = [cells(row, "td") for row in table.findall("tbody/tr")]
    # of equal masses the first states are shown
    assert [row[0] for row in rows] == [*map(str, range(11)), "20"]
    assert rows[5][1:] == ["0.7100"] * 7 and rows[-1][4] == "0.5000"
    assert "7 of 9 times are shown. 18 states with less mass are not shown." in str(equilibrium(flow))
    assert all(f"t = {t}" in str(equilibrium(flow[:8])) for t in range(8))


def test_a_batch_counts_its_results():
    lanes = jax.tree.map(lambda *x: np.stack(x, axis=-1), LEAST, GREATEST, equilibrium([1.0, 0.0], code=1))
    assert repr(lanes) == "Equilibrium(3 games: 2 converged, 1 max_steps; mean_field=(2, 3))"
    rows = [cells(row, "td") for row in parsed(lanes).findall(".//tbody/tr")]
    assert rows == [["converged", "2", "1.00e-12", "7", "7"], ["max_steps", "1", "1.00e-12", "7", "7"]]


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (
            lambda: GAME,
            "FiniteHorizonGame(2 states, 2 actions, horizon 2, kernel MovesKernel, reward a table)",
        ),
        (
            lambda: mfg.StationaryGame(
                lambda z: np.full((2, 1, 2), 0.5),
                lambda z, fee, rates: -fee * z[:, None],
                0.5,
                params={"fee": 1.0, "rates": [1.0, 2.0]},
                available=np.ones((2, 1), bool),
            ),
            "StationaryGame(2 states, 1 actions, discount 0.5, kernel a function, reward a function; parameters "
            "fee=1.0, rates=array of shape (2,))",
        ),
        (lambda: mfg.Trembling(0.1), "Trembling(epsilon=0.1, tie='smallest')"),
        (
            lambda: mfg.design.Entropy() + 2 * mfg.design.Cost(),
            "Sum(1 * Entropy(time=-1) + 1 * Sum(2 * Cost()))",
        ),
    ],
)
def test_a_line_says_what_matters(made, line):
    assert repr(made()) == str(made()) == line


def test_columns_of_numbers_end_in_line():
    table = Listing(["name", ">share"], [["a", "0.5"], ["long name", "10"]])
    assert aligned(table) == ["name       share", "a            0.5", "long name     10"]


def test_bars_are_as_high_as_the_shares():
    tree = ET.fromstring(_svg.bars(np.array([0.2, 0.4, np.nan]), ["a", "b", "c"], "state", "share"))
    heights = [float(bar.get("height")) for bar in tree.iter("{http://www.w3.org/2000/svg}rect")]
    # the axis goes from 0 at 136 to 0.4 at 10; what is not a number has no bar
    np.testing.assert_allclose(heights, [63, 126], atol=0.1)


def test_lines_have_gaps_where_numbers_are_missing_and_scales_of_logs():
    y = np.array([1.0, 10.0, np.nan, 100.0, np.nan, 0.0])
    tree = ET.fromstring(_svg.lines([_svg.Line("", np.arange(6), y)], "x", "y", log_y=True))
    path = next(p for p in tree.iter("{http://www.w3.org/2000/svg}path") if p.get("stroke") == _svg.COLOURS[0])
    # x from 0 at 48 to 5 at 330, log y from 0 at 136 to 2 at 10
    assert path.get("d") == "M48.0 136.0L104.4 73.0M217.2 10.0"
    dots = [(c.get("cx"), c.get("cy")) for c in tree.iter("{http://www.w3.org/2000/svg}circle")]
    assert dots == [("217.2", "10.0")]


def test_ticks_that_a_few_digits_do_not_tell_apart_count_from_the_first():
    drawn = _svg.lines([_svg.Line("", [0, 1], [-18.30012, -18.30008])], "x", "y")
    words = [text.text for text in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert "y + 18.30012" in words and words[:5] == ["0", "1e-5", "2e-5", "3e-5", "4e-5"]


def test_paths_and_simulations_name_the_parameter_and_the_states():
    branch = dataclasses.replace(EXAMPLES["Branch"], name="cost", state_labels=("home", "work"))
    assert {"cost", "share in state home"} <= set(cells(parsed(branch), "{http://www.w3.org/2000/svg}text"))
    ways = dataclasses.replace(EXAMPLES["Hysteresis"], state_labels=("home", "work"))
    assert "share in state home" in cells(parsed(ways), "{http://www.w3.org/2000/svg}text")
    runs = dataclasses.replace(EXAMPLES["Simulation"], state_labels=("home", "work"))
    assert {"home", "work"} <= set(cells(parsed(runs), "td"))


def test_a_map_is_an_image_in_viridis_with_the_greatest_of_neighbours():
    table = np.zeros((128, 2))
    table[3, 1] = 0.5
    tree = ET.fromstring(_svg.heat_map(table, [0, 1], [str(i) for i in range(128)], "time", "state"))
    data = b64decode(next(tree.iter("{http://www.w3.org/2000/svg}image")).get("href").partition(",")[2])
    assert struct.unpack(">2I", data[16:24]) == (2, 64)  # columns, and rows of two states each
    at = data.index(b"PLTE")
    assert data[at + 4 : at + 7].hex() == "440154" and data[at + 4 + 63 * 3 : at + 4 + 64 * 3].hex() == "fde725"
    size = struct.unpack(">I", data[data.index(b"IDAT") - 4 : data.index(b"IDAT")])[0]
    rows = np.frombuffer(zlib.decompress(data[data.index(b"IDAT") + 4 :][:size]), np.uint8).reshape(64, 3)[:, 1:]
    assert rows[1].tolist() == [0, 63] and rows.sum() == 63


def test_what_is_no_number_is_grey_on_a_map_and_said_to_be():
    """A failed solve looked like a population that is nowhere."""
    tables = np.full((12, 3), 0.5), np.where(np.arange(12)[:, None] == 2, np.nan, 0.5) * np.ones(3)
    for table, missing in zip(tables, (0, 3), strict=True):
        tree = ET.fromstring(_svg.heat_map(table, [0, 1, 2], list("abcdefghijkl"), "time", "state"))
        assert ("nan" in cells(tree, "{http://www.w3.org/2000/svg}text")) == (missing > 0)
        data = b64decode(next(tree.iter("{http://www.w3.org/2000/svg}image")).get("href").partition(",")[2])
        at = data.index(b"PLTE")
        assert data[at + 4 + 64 * 3 : at + 4 + 65 * 3].hex() == "bbbbbb"
        size = struct.unpack(">I", data[data.index(b"IDAT") - 4 : data.index(b"IDAT")])[0]
        shades = np.frombuffer(zlib.decompress(data[data.index(b"IDAT") + 4 :][:size]), np.uint8).reshape(12, 4)[:, 1:]
        assert (shades == 64).sum() == missing and (shades == 63).sum() == 36 - missing


def test_a_large_game_is_cut():
    big = equilibrium(np.full((101, 1000), 1e-3))
    assert len(big._repr_html_()) < 20_000 and len(str(big).splitlines()) == 15
    huge = equilibrium(np.full(400_000, 1 / 4e5), num_actions=1)
    assert "400,000 numbers, too many to be shown" in huge._repr_html_()
