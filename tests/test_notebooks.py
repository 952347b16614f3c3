"""Every notebook runs from top to bottom on public names, shows its pictures, and says what is true.

What notebooks compute is compared with closed forms, theorems and `tests/oracle.py`.
"""

import ast
import base64
import contextlib
import functools
import importlib.util
import io
import json
import re
from pathlib import Path
from unittest import mock

import matplotlib
import numpy as np
import oracle
import pytest
from helpers import resource_allocation_by_hand

import mfgjax as mfg

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 400_000
ABSOLUTE_PATH = re.compile(r"""(?:^|[\s'"`(=])(?:/[\w.~-]+/[\w.~-]|[A-Za-z]:\\|file://)""", re.MULTILINE)

NUMBER = re.compile(r"\d+\.?\d*(?:e[+-]?\d+)?")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(path):
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def squeezed(text):
    """A text without blanks and commas between thousands, and without numbers of steps, which rounding may change."""
    return re.sub(r"\s|(?<=\d),(?=\d{3})", "", re.sub(r"\d+ steps", "steps", text))


def texts(cell):
    """All texts among the stored outputs of a cell; a picture that pyplot shows has one, too, with its size."""
    for output in cell["outputs"]:
        if output["output_type"] == "display_data" and "image/png" in output["data"]:
            continue
        yield "".join(output.get("text", ""))
        yield "".join(output.get("data", {}).get("text/plain", ""))


def pictures(cell):
    data = [output.get("data", {}) for output in cell["outputs"]]
    return [one[kind] for one in data for kind in ("image/png", "image/gif") if kind in one]


@functools.cache
def run(name):
    """What the names of a notebook stand for in the end, and what each cell printed and returned."""
    matplotlib.use("Agg")
    names, shown = {}, {}
    with mock.patch.object(mfg, "use_cpu_cores", lambda: 1):  # JAX has begun to compute long ago
        for cell in code_cells(FOLDER / f"{name}.ipynb"):
            if "IPython" in source(cell) and importlib.util.find_spec("IPython") is None:
                continue
            tree, value, where = ast.parse(source(cell)), None, f"{name}:{cell['id']}"
            shows = isinstance(tree.body[-1], ast.Expr) and not source(cell).endswith(";")  # as in IPython
            last = ast.Expression(tree.body.pop().value) if shows else None
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(tree, where, "exec"), names)
                if last is not None:
                    value = eval(compile(last, where, "eval"), names)
            shown[cell["id"]] = printed.getvalue() + ("" if value is None else repr(value))
    return names, shown


def executed(name):
    return run(name)[0]


@each_notebook
def test_a_notebook_runs(path):
    assert executed(path.stem)["mfg"] is mfg


@each_notebook
def test_a_notebook_asks_for_double_precision_first(path):
    first = [line for line in source(code_cells(path)[0]).splitlines() if line]
    assert first == ["import jax", 'jax.config.update("jax_enable_x64", True)']


@each_notebook
def test_a_notebook_uses_public_names_only(path):
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(source(cell))):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")
            elif isinstance(node, ast.ImportFrom):
                assert not node.module.startswith("mfgjax")
            elif isinstance(node, ast.Import):
                names = [(alias.name, alias.asname) for alias in node.names if alias.name.startswith("mfgjax")]
                assert names in ([], [("mfgjax", "mfg")])


@each_notebook
def test_a_notebook_is_committed_as_execute_py_leaves_it(path):
    notebook, cells = read(path), code_cells(path)
    assert path.stat().st_size < MOST_BYTES
    assert notebook["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


@each_notebook
def test_every_cell_that_draws_shows_its_picture(path):
    drawing = [cell for cell in code_cells(path) if re.search(r"mfg\.plot\.|Image\(", source(cell))]
    assert drawing
    for cell in drawing:
        (picture,) = pictures(cell)
        assert base64.b64decode("".join(picture))[:4] in (b"\x89PNG", b"GIF8")


@each_notebook
def test_no_output_is_an_error_a_warning_or_a_path_of_some_machine(path):
    for cell in code_cells(path):
        for output in cell["outputs"]:
            assert output["output_type"] != "error" and output.get("name") != "stderr"
        for text in texts(cell):
            assert "Warning" not in text and "Traceback" not in text
            assert not ABSOLUTE_PATH.search(text), text


@each_notebook
def test_what_a_notebook_shows_is_what_its_cells_give(path):
    _, fresh = run(path.stem)
    for cell in code_cells(path):
        if cell["id"] in fresh and not any("image/gif" in output.get("data", {}) for output in cell["outputs"]):
            stored, now = "".join(texts(cell)), fresh[cell["id"]]
            assert NUMBER.sub("#", squeezed(stored)) == NUMBER.sub("#", squeezed(now))
            numbers = [[float(number) for number in NUMBER.findall(squeezed(text))] for text in (stored, now)]
            # rounded to three digits at least, with residuals at the level of rounding among them
            np.testing.assert_allclose(*numbers, rtol=2e-3, atol=2e-6, err_msg=source(cell))


@each_notebook
def test_links_of_a_notebook_lead_somewhere(path):
    prose = "\n".join(source(cell) for cell in read(path)["cells"] if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)#]+)\)", prose)
    assert all((FOLDER / link).exists() for link in links if "://" not in link)


@pytest.mark.parametrize("text", ["see /root/x/y.py", "'/tmp/a/b'", "C:\\Users", "file:///a"])
def test_paths_of_machines_are_recognised(text):
    assert ABSOLUTE_PATH.search(text)
    assert not ABSOLUTE_PATH.search("β (1/reward), a / b, docs/game-file.md")


def soft_equilibrium_gap(mean_field, beta, reference):
    """d_M(μ, Γ(μ)) of the five nodes, by plain loops."""
    game, _ = resource_allocation_by_hand()
    flow = np.asarray(mean_field)
    return oracle.flow_distance(flow, oracle.gamma(game, flow, oracle.soft(beta, np.asarray(reference))))


def over_time(policy):
    return np.broadcast_to(np.asarray(policy), (6, 5, 3))


def test_01_finds_an_equilibrium_by_plain_loops_and_the_one_computed_by_hand():
    names = executed("01_first_equilibrium")
    assert soft_equilibrium_gap(names["eq"].mean_field, 3.0, over_time(names["rho"])) < 1e-9
    # at 3/4 and 1/4 both nodes pay (3/4)^2
    np.testing.assert_allclose(names["greedy"].mean_field[-1], [0, 0, 0.75, 0.25, 0], atol=1e-3)
    assert float(names["mfg"].flow_distance(names["flow"], names["eq"].mean_field)) < 1e-9
    # the spectral radius of DΓ is above 1 from β = 1.431 on, with a negative eigenvalue
    assert names["plain"].result == mfg.RESULTS.cycle and int(names["plain"].result.period) == 2


def test_01_has_the_gradient_of_the_oracles_equilibrium():
    names = executed("01_first_equilibrium")
    game, reference = resource_allocation_by_hand()

    def share(shift):
        moved = reference + shift * np.eye(5)[2][:, None] * np.array([1, -1, 0])
        flow = oracle.equilibrium(game, oracle.soft(3.0, moved), damping=0.35, tolerance=1e-12)
        return flow[-1][2]

    slope = (share(1e-4) - share(-1e-4)) / 2e-4
    expected = names["gradient"][2, 0] - names["gradient"][2, 1]
    np.testing.assert_allclose(slope, expected, rtol=1e-5)  # h² of the differences, 1e-12/h of the equilibria


def test_02_has_the_limits_that_theory_says():
    names = executed("02_reference_and_beta")
    game, _ = resource_allocation_by_hand()
    fond = np.asarray(names["references"]["fond of 4"])
    _, by_habit = oracle.spread(game, over_time(fond))
    np.testing.assert_allclose(names["reference_flow"], by_habit, atol=1e-12)
    law = names["ds"].terminal_law
    np.testing.assert_allclose(law.sel(reference="fond of 4").values[0], by_habit[-1], atol=0.03)  # O(β)
    np.testing.assert_allclose(law.isel(beta=-1), np.tile([0, 0, 0.75, 0.25, 0], (3, 1)), atol=0.02)  # O(1/β)
    assert not names["ds"].result_code.any()


def test_02_fails_by_plain_iteration_from_the_critical_beta_on():
    # the spectral radius of DΓ reaches 1 at 1.431 under the coordinator's policy
    codes, betas = executed("02_reference_and_beta")["plain"].result_code.sel(reference="coordinator"), 1.431
    assert not codes.where(codes.beta < 0.95 * betas, 0).any()
    assert (codes.where(codes.beta > 1.05 * betas, 1) > 0).all()


def test_02_reads_beta_off_a_share():
    names = executed("02_reference_and_beta")
    game, reference = resource_allocation_by_hand()
    flow = oracle.equilibrium(game, oracle.soft(float(names["beta_of_60"]), reference))
    np.testing.assert_allclose(flow[-1][2], 0.6, atol=1e-3)  # of linear interpolation between 64 values


def test_03_follows_the_curve_of_the_equation_and_finds_its_folds():
    names = executed("03_what_is_proved")

    def beta_by_hand(x):
        return np.log(x / (1 - x) * 9) / (2 * x - 1 + 0.82)

    beta = names["path"].parameter
    np.testing.assert_allclose(beta_by_hand(np.asarray(names["adopted"])), beta, rtol=1e-5)
    x = np.linspace(0.101, 0.999, 200_001)
    turns = np.flatnonzero(np.diff(np.sign(np.diff(beta_by_hand(x))))) + 1
    np.testing.assert_allclose(names["path"].folds, beta_by_hand(x[turns]), rtol=1e-5)
    three = np.array([float(eq.mean_field[1, 1]) for eq in names["three"]])
    assert len(three) == 3
    np.testing.assert_allclose(beta_by_hand(three), 3.0, rtol=1e-8)


def test_03_has_the_thresholds_of_the_theorems():
    names = executed("03_what_is_proved")
    assert 1.9 < float(names["unique"].threshold) <= 2.0  # m = 1/2: the nodes without reward pay μ²
    # coordination has one equilibrium for βγ strength < 2, and three of them beyond
    np.testing.assert_allclose(float(names["report"]["unique"].threshold), 2.0, rtol=1e-6)
    assert float(names["report"]["unique"].threshold) < min(names["path"].folds)
    np.testing.assert_allclose(names["reports"]["unique"].threshold, 2 / names["strengths"], rtol=1e-6)


def test_04_finds_the_toll_of_the_textbook():
    names = executed("04_design_by_gradient")
    # at a toll of 1/2 and half of the crowd on each road both cost 1, so a half is an equilibrium at every β
    np.testing.assert_allclose(names["toll"], 0.5, atol=1e-4)
    np.testing.assert_allclose(names["steps"][-1][1], 0.75, atol=1e-6)
    np.testing.assert_allclose(float(names["tuned"].parameters["toll"]), 0.5, atol=1e-5)
    np.testing.assert_allclose(names["tuned"].value, 0.75, atol=1e-9)


def test_04_has_the_slope_of_the_logit_equation():
    low, high = 0.0, 1.0  # x = 1/(1 + exp(−10 (1 − x))), by bisection
    for _ in range(60):
        x = (low + high) / 2
        low, high = (x, high) if x < 1 / (1 + np.exp(-10 * (1 - x))) else (low, x)
    spread = x * (1 - x)
    slope = (2 * x - 1) * -10 * spread / (1 + 10 * spread)
    found = executed("04_design_by_gradient")["value_and_slope"](0.0)
    np.testing.assert_allclose(found, [x * x + 1 - x, slope], atol=1e-9)


def test_04_tunes_habits_to_an_equilibrium_at_one_half_each():
    names = executed("04_design_by_gradient")
    signs, front = names["signs"], names["front"]
    flow, reference = signs.equilibrium.mean_field, over_time(signs.parameters["reference"])
    assert soft_equilibrium_gap(flow, 3.0, reference) < 1e-9
    np.testing.assert_allclose(flow[-1, 2:4], 0.5, atol=5e-3)
    # minimisers of (1 − w) A + w B have A rising and B falling in w
    assert (np.diff(front.first) > 0).all() and (np.diff(front.second) < 0).all()


def test_05_has_the_gain_computed_by_hand_and_the_rates_of_the_theorem():
    names = executed("05_n_agents")
    by_hand = mfg.finite.deviation_gain(names["sides"], names["two_thirds"], names["num_agents"]).gain
    np.testing.assert_allclose(by_hand, 1 / (3 * names["num_agents"]), rtol=1e-12)
    gain, numbers = names["gain"], names["numbers"]
    large = numbers >= 64
    for measure, slope in ((gain.gain, -2), (gain.value_gap, -1)):
        fitted = np.polyfit(np.log(numbers[large]), np.log(np.asarray(measure)[large]), 1)[0]
        np.testing.assert_allclose(fitted, slope, atol=0.02)
    assert (np.asarray(gain.gain) <= np.asarray(gain.bound)).all()


def test_05_simulates_binomial_shares():
    names = executed("05_n_agents")
    p = float(names["eq"].mean_field[-1, 2])
    expected = np.sqrt(p * (1 - p) / np.array([10, 1000, 10**9]))
    # of 200 runs a standard deviation is known to 5%
    np.testing.assert_allclose(np.std(names["share_at_3"], axis=-1), expected, rtol=0.2)


PAY_BY_REPUTATION, EFFORT = np.arange(25)[:, None] / 24, np.arange(5) / 4
REACHED = np.minimum(np.arange(25)[:, None] + np.arange(5), 24)


def trembling_by_hand(q):
    policy = np.full((25, 5), 0.1 / 4)
    policy[np.arange(25), q.argmax(axis=1)] = 0.9
    return (policy * q).sum(axis=1), policy


def soft_by_hand(q):
    weights = np.exp(20 * q) / 5
    return np.log(weights.sum(axis=1)) / 20, weights / weights.sum(axis=1, keepdims=True)


def market_by_hand(price, z, respond=trembling_by_hand):
    """What the market for small tasks ends in from a population, by value iteration in NumPy from its description."""
    values, bottom = np.zeros(25), np.eye(25)[0]
    while True:
        m = z @ np.arange(25) / 24
        lost = 0.1 * (1 - m)
        change = 1.0
        while change > 1e-14:
            ahead = 0.9 * ((1 - lost) * values[REACHED] + lost * values[0]) + 0.1 * values.mean()
            after, policy = respond(PAY_BY_REPUTATION * (0.2 + 0.7 * m) - price * EFFORT + 0.75 * ahead)
            change, values = np.abs(after - values).max(), after
        earned = np.bincount(REACHED.ravel(), (z[:, None] * policy).ravel(), 25)
        tomorrow = 0.9 * ((1 - lost) * earned + lost * bottom) + 0.1 / 25
        if np.abs(tomorrow - z).sum() < 1e-13:
            return tomorrow
        z = tomorrow


def test_06_finds_both_equilibria_of_the_market_and_the_one_of_infection_spread():
    names = executed("06_strategic_complementarities_and_learning")
    ends, healthy = names["ends"], names["healthy"]
    for end, state, mean in ((ends.least, 0, 8.890705), (ends.greatest, 24, 20.109247)):
        np.testing.assert_allclose(end.mean_state, mean, atol=1e-6)
        np.testing.assert_allclose(end.mean_field, market_by_hand(0.164, np.eye(25)[state]), atol=1e-9)
    np.testing.assert_allclose(names["eq"].mean_field, market_by_hand(0.164, np.full(25, 1 / 25)), atol=1e-8)
    assert ends.certificate.startswith("holds") and healthy.certificate.startswith("holds") and healthy.coincide
    np.testing.assert_allclose(healthy.least.mean_state, 20.359148, atol=1e-6)
    assert not names["mfg"].check_complementarity(names["printed"]).holds


def test_06_leads_the_market_there_and_back_as_plain_iteration_does():
    names = executed("06_strategic_complementarities_and_learning")
    z, ways = np.full(25, 1 / 25), []
    for prices in (names["prices"], names["prices"][::-1]):
        ways.append([])
        for price in prices:
            z = market_by_hand(price, z)
            ways[-1].append(z @ np.arange(25))
    np.testing.assert_allclose(names["path"].mean_state, [ways[0], ways[1][::-1]], atol=1e-6)


def test_06_has_shared_learning_at_the_top_and_lone_learning_at_the_bottom():
    names = executed("06_strategic_complementarities_and_learning")
    shared, *alone = (run.mean_state[:, -1] for run in names["runs"].values())
    assert (shared > 18.5).all() and (np.stack(alone) < 11).all()  # of 8.89 and 20.11
    # at the even population the least effort is the best, by less than a thousandth
    even = names["mfg"].respond(names["market"], names["market"].initial, names["trembling"]).q[8]
    assert int(even.argmax()) == 0 and 0 < even[0] - even[-1] < 1e-3
    assert names["mine"].distance(names["ends"].greatest)[:, -1].max() < 0.25
    apart = {name: run.distance(names["healthy"].least)[:, -1].mean() for name, run in names["spreading"].items()}
    assert apart["online TMFQ"] < 0.1 and apart["GMBL"] < 0.12 and apart["IQL"] > 0.4


def test_06_draws_by_the_rules_that_the_market_has():
    names = executed("06_strategic_complementarities_and_learning")
    jax, num = names["jax"], 100_000
    draw = names["rules"](np.eye(25)[12])  # a standing of one half: 0.05 of those who stay lose all
    drawn = np.asarray(draw(jax.random.key(0), np.full(num, 3), np.full(num, 2)))
    expected = np.full(25, 0.1 / 25) + 0.9 * (0.05 * np.eye(25)[0] + 0.95 * np.eye(25)[5])
    np.testing.assert_allclose(np.bincount(drawn, minlength=25) / num, expected, atol=0.006)  # 5 deviations


def test_06_has_the_slope_of_the_equilibria_by_plain_iteration():
    names = executed("06_strategic_complementarities_and_learning")
    low, middle, high = (
        market_by_hand(price, np.full(25, 1 / 25), soft_by_hand) @ np.arange(25) for price in (0.1639, 0.164, 0.1641)
    )
    np.testing.assert_allclose(names["value"], middle, rtol=1e-9)
    np.testing.assert_allclose(names["slope"], (high - low) / 2e-4, rtol=1e-5)  # h² of the differences


def test_07_fills_the_beach_like_water():
    pay = -np.abs(np.arange(11) - 5) / 5
    low, high = -5.0, 0.0  # the common pay c: Σ max(0, pay − c)/4 = 1
    for _ in range(60):
        level = (low + high) / 2
        low, high = (level, high) if np.maximum(0, pay - level).sum() / 4 > 1 else (low, level)
    expected = np.maximum(0, pay - level) / 4
    np.testing.assert_allclose(executed("07_your_own_game")["eq"].mean_field[-1], expected, atol=0.02)  # O(1/β)


def test_07_has_the_shares_computed_by_hand():
    names = executed("07_your_own_game")
    # 2 x = 0.2 + (1 − x), up to log(1.5)/β/3
    for eq in (names["commute"], names["from_file"]):
        np.testing.assert_allclose(eq.mean_field[1, 1], 0.4, atol=2e-3)
    # no state wins on average against thirds, so nothing beats the uniform habit, which slips into thirds
    np.testing.assert_allclose(names["played"].mean_field[1:], 1 / 3, atol=1e-9)


def test_07_finds_an_equilibrium_where_moves_depend_on_the_crowd():
    def move(t, seen):
        through = np.exp(-3 * seen[1])
        road = [0, 1 - through, through]
        return np.array([[[1, 0, 0], [0, 1, 0]], [road, road], [[0, 0, 1], [0, 0, 1]]])

    def reward(t, seen):
        return np.array([[-0.5] * 2, [-1.0] * 2, [0.0] * 2])

    available = np.ones((9, 3, 2), bool)
    game = oracle.PlainGame(move, reward, np.array([1.0, 0, 0]), 8, available)
    flow = np.asarray(executed("07_your_own_game")["jammed"].mean_field)
    image = oracle.gamma(game, flow, oracle.soft(10.0, np.full((9, 3, 2), 0.5)))
    assert oracle.flow_distance(flow, image) < 1e-9
