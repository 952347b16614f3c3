"""Derivatives of an equilibrium quantity, for every array at once, against differences."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, random_game, random_policy
from stationary_games import random_game as stationary_game

import mfgjax as mfg
from mfgjax.plot import plot_sensitivity

GAME = mfg.games.resource_allocation()
RHO = mfg.games.resource_allocation_reference(GAME)


def on_node_3(found):
    return found.mean_field[-1, 2]


def test_every_derivative_is_that_of_differences(rng):
    """Random directions in each array, along laws where rows are laws; beyond the critical β, too."""
    game, plain = random_game("dense over time", rng)
    response = mfg.EntropyRegularized(4.0, random_policy(rng, plain.available))

    def quantity(found):
        return (found.values[0] * jnp.arange(4)).sum() + found.mean_field[-1, 1] ** 2

    def at(place, entries):
        pair = eqx.tree_at(picks[place], (game, response), entries)
        return float(quantity(mfg.solve(*pair, atol(1e-13))))

    def atol(x):
        return mfg.Auto(atol=x)

    picks = {
        "initial": lambda pair: pair[0].initial,
        "kernel.probabilities": lambda pair: pair[0].kernel.probabilities,
        "reward.L.table": lambda pair: pair[0].reward.L.table,
        "reward.theta.steepness": lambda pair: pair[0].reward.theta.steepness,
        "discount": lambda pair: pair[0].discount,
        "beta": lambda pair: pair[1].beta,
        "log_reference": lambda pair: pair[1].log_reference,
    }
    found = mfg.design.sensitivity(game, response, quantity, atol(1e-13))
    assert set(found.derivatives) == set(picks)
    assert_close(found.value, quantity(mfg.solve(game, response, atol(1e-13))), rtol=1e-10)
    step = 1e-5
    for place, pick in picks.items():
        entries = np.asarray(pick((game, response)))
        direction = rng.standard_normal(entries.shape)
        if place in ("initial", "kernel.probabilities"):
            # along the rows: what one entry gains, others lose; empty rows and entries stay
            direction = np.where(entries > 0, direction, 0)
            weights = np.where(entries.sum(-1, keepdims=True) > 0, entries, 0)
            direction = direction * entries - weights * (direction * entries).sum(-1, keepdims=True)
            moved = [entries + sign * step * direction for sign in (1, -1)]
        elif place == "log_reference":
            possible = np.isfinite(entries)
            direction = np.where(possible, direction, 0)
            moved = [entries + sign * step * direction for sign in (1, -1)]
            moved = [logs - np.logaddexp.reduce(logs, axis=-1, keepdims=True) for logs in moved]
        else:
            moved = [entries + sign * step * direction for sign in (1, -1)]
        difference = (at(place, jnp.asarray(moved[0])) - at(place, jnp.asarray(moved[1]))) / (2 * step)
        slope = (np.asarray(found.derivatives[place]) * np.where(np.isfinite(direction), direction, 0)).sum()
        assert_close(slope, difference, rtol=2e-5, atol=1e-8)


@pytest.fixture(scope="module")
def node_3():
    return mfg.design.sensitivity(GAME, mfg.EntropyRegularized(3.0, RHO), on_node_3)


def test_derivatives_of_laws_are_along_laws(node_3):
    """A constant quantity of a law: the derivative with respect to each row sums to zero against the row."""
    found = node_3
    assert found.action_gap is None and found.gap_text == "" and not found.at_tie  # choices are not held
    assert_close((found.derivatives["initial"] * GAME.initial).sum(), 0, atol=1e-12)
    assert_close(found.derivatives["log_reference"].sum(axis=-1), 0, atol=1e-12)
    assert (np.asarray(found.derivatives["log_reference"])[0][~np.asarray(GAME.available)[0]] == 0).all()


@pytest.mark.parametrize("kind", ["horizon", "stationary", "trembling"])
def test_each_entry_of_each_kind_of_array_has_the_derivative_in_the_unit_that_is_stated(kind, rng):
    """Central differences, entry by entry: laws by mass put on an entry, and per unit of the probability itself."""
    exact = mfg.Picard(atol=1e-14) if kind == "trembling" else mfg.Newton(atol=1e-13)
    moves = rng.dirichlet(np.ones(3), (3, 2))
    pay, pull = rng.standard_normal((3, 2)), 0.3 * rng.standard_normal((3, 2))
    if kind == "horizon":
        game = mfg.FiniteHorizonGame(
            moves, mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(pay, pull)), [0.2, 0.5, 0.3], 3, discount=0.9
        )
    else:
        reward = mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(pay, pull))
        game = mfg.StationaryGame(moves, reward, 0.6, initial=[0.2, 0.5, 0.3])
    response = mfg.EntropyRegularized(1.5, rng.dirichlet(np.ones(2), 3))
    response = mfg.Trembling(0.2) if kind == "trembling" else response

    def quantity(found):
        return (found.mean_field * jnp.arange(3.0)).sum() + found.values.sum() / 7

    picks = {
        "initial": lambda pair: pair[0].initial,
        "kernel.probabilities": lambda pair: pair[0].kernel.probabilities,
        "reward.L.base": lambda pair: pair[0].reward.L.base,
        "reward.L.weight": lambda pair: pair[0].reward.L.weight,
        "discount": lambda pair: pair[0].discount,
    }
    picks |= {"epsilon": lambda pair: pair[1].epsilon} if kind == "trembling" else {}
    if kind != "trembling":
        picks |= {"beta": lambda pair: pair[1].beta, "log_reference": lambda pair: pair[1].log_reference}
    found = mfg.design.sensitivity(game, response, quantity, exact)
    assert set(found.laws) == {"initial", "kernel.probabilities", "log_reference"} & set(picks)
    solved = eqx.filter_jit(lambda pair: quantity(mfg.solve(*pair, exact)))

    def difference(pick, entries, way):
        ends = [eqx.tree_at(pick, (game, response), jnp.asarray(entries + sign * 1e-5 * way)) for sign in (1, -1)]
        return float(solved(ends[0]) - solved(ends[1])) / 2e-5

    for place, pick in picks.items():
        entries = np.asarray(pick((game, response)))
        for index in list(np.ndindex(entries.shape))[:5]:
            one = np.zeros(entries.shape)
            one[index] = 1.0
            slope = float(np.asarray(found.derivatives[place])[index])
            if place in ("initial", "kernel.probabilities"):
                row = np.zeros(entries.shape)
                row[index[:-1]] = entries[index[:-1]]
                share = entries[index]
                assert_close(slope, difference(pick, entries, one - row), rtol=2e-6, atol=1e-8)
                others = (row - share * one) / (1 - share)  # which shrink in proportion as p grows by one unit
                assert_close(slope / (1 - share), difference(pick, entries, one - others), rtol=2e-6, atol=1e-8)
            elif place == "log_reference":
                row = np.zeros(entries.shape)
                row[index[:-1]] = np.exp(entries[index])  # what normalising takes from all logs of the row
                assert_close(slope, difference(pick, entries, one - row), rtol=2e-6, atol=1e-8)
            else:
                assert_close(slope, difference(pick, entries, one), rtol=2e-6, atol=1e-8)


def test_the_table_says_the_unit_of_probabilities():
    """Half of a population is free to go: its share in state 1 after one certain step is what was there."""
    game = mfg.FiniteHorizonGame(np.eye(2)[:, None], np.zeros((2, 1)), [0.7, 0.3], 1)
    found = mfg.design.sensitivity(game, mfg.EntropyRegularized(1.0), lambda eq: eq.mean_field[1, 1])
    assert_close(found.derivatives["initial"], [-0.3, 0.7])  # 1 per unit of p: (1 − 0.3) of it per unit of mass
    text = str(found).replace("kernel.probabilities, ", "")
    # multiplied by 1 − h, with h added to the second entry, the row is (0.7 − 0.7 h, 0.3 + 0.7 h)
    assert "Each row of initial sums to 1." in text and "multiplied by 1 − h and h is added to the entry" in text
    assert "divide the derivative by 1 − p" in text


def test_the_table_names_what_moves_the_crowd_most(node_3):
    found = node_3
    rows = found.top(3)
    assert [row[0] for row in rows][:2] == ["reward.L.base[t = 5, state 3]", "reward.L.base[t = 5, state 4]"]
    assert rows[0][1] > 0 > rows[1][1] and rows[0][2] == 1.5
    assert [abs(row[1]) for row in rows] == sorted((abs(row[1]) for row in rows), reverse=True)
    text = str(found)
    assert "0.67031" in text and "reward.L.base[t = 5, state 3]" in text and "beta" in text
    ax = plot_sensitivity(found, top=5, quantity="share on node 3")
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[0] == "reward.L.base[t = 5, state 3] = 1.5" and len(labels) == 5
    assert "share on node 3" in ax.get_xlabel()


def test_boltzmann_policies_and_games_without_a_table_have_sensitivities():
    found = mfg.design.sensitivity(mfg.games.coordination(0.1), mfg.Boltzmann(1.0), lambda eq: eq.mean_field[1, 1])
    # x = σ(β (2x − 1 + h)): dx/dh = β x(1−x)/(1 − 2 β x (1−x)), β = 1
    x = float(found.value)
    assert_close(found.derivatives["reward.L.field"], x * (1 - x) / (1 - 2 * x * (1 - x)), rtol=1e-8)
    assert set(found.laws) == {"initial"} and "divide the derivative" not in str(found)


def test_bad_input_is_refused(node_3):
    response = mfg.EntropyRegularized(1.0, RHO)  # of the program of `node_3`
    for arguments, message in [
        (("game", response, on_node_3), "`game` must be a `FiniteHorizonGame`"),
        ((GAME, response, "share"), "`quantity` must be a function of the equilibrium; got 'share'"),
        ((GAME, response, lambda eq: eq.mean_field), r"`quantity` must return one real number; got shape \(6, 5\)"),
        ((mfg.games.left_right(), mfg.Greedy(), on_node_3), "`Greedy` response has no derivative"),
    ]:
        with pytest.raises(ValueError, match=message):
            mfg.design.sensitivity(*arguments)
    nothing = {name: 0 * derivative for name, derivative in node_3.derivatives.items()}
    with pytest.raises(ValueError, match="all derivatives in `found` are zero"):
        plot_sensitivity(dataclasses.replace(node_3, derivatives=nothing))


def test_it_works_inside_jit(node_3):
    def slope(beta):
        response = mfg.EntropyRegularized(beta, RHO)
        return mfg.design.sensitivity(GAME, response, on_node_3, mfg.Newton()).derivatives["beta"]

    assert_close(jax.jit(slope)(3.0), node_3.derivatives["beta"], rtol=1e-6)


EXACT = mfg.Picard(atol=1e-13)


def mean_health(found):
    return found.mean_field @ jnp.arange(25.0)


def infection(c_f=0.1, epsilon=0.2, discount=0.5, regeneration=0.1, delta3=0.009):
    delta = (0.7, 0.2, delta3)
    game = mfg.games.infection_spread(c_f, regeneration=regeneration, discount=discount, delta=delta)
    return game, mfg.Trembling(epsilon)


def gap_by_loops(q, available):
    gaps = []
    for s in range(len(q)):
        ranked = sorted((q[s, a] for a in range(q.shape[1]) if available[s, a]), reverse=True)
        gaps += [ranked[0] - ranked[1]] if len(ranked) > 1 else []
    return min(gaps, default=np.inf)


@pytest.fixture(scope="module")
def health():
    return mfg.design.sensitivity(*infection(), mean_health, EXACT)


def test_a_trembling_equilibrium_moves_as_differences_of_equilibria_do(health):
    """Where the choices do not change: d mean/dθ to the error of central differences; bounded by 1e-12/step, step²."""
    places = {
        "c_f": "kernel.c_f",
        "epsilon": "epsilon",
        "discount": "discount",
        "regeneration": "kernel.regeneration",
        "delta3": "reward.delta3",
    }
    at = {"c_f": 0.1, "epsilon": 0.2, "discount": 0.5, "regeneration": 0.1, "delta3": 0.009}
    policy = np.asarray(mfg.solve(*infection(), EXACT).policy)
    for name, place in places.items():
        ends = [mfg.solve(*infection(**{name: at[name] + sign * 1e-5}), EXACT) for sign in (1, -1)]
        for end in ends:  # what the formula assumes
            assert (np.asarray(end.policy).argmax(axis=1) == policy.argmax(axis=1)).all()
        difference = float(mean_health(ends[0]) - mean_health(ends[1])) / 2e-5
        assert_close(health.derivatives[place], difference, rtol=1e-7, atol=1e-7)
    # held choices: neither rewards nor the discount move the crowd; the start is forgotten
    for place in ("discount", "reward.delta1", "reward.delta2", "reward.delta3", "initial"):
        assert_close(health.derivatives[place], 0, atol=1e-12)
    assert_close(health.value, 19.569801, atol=1e-6)
    # along laws: a constant added to nothing
    law = health.entries["kernel.newcomer.law"]
    assert_close((health.derivatives["kernel.newcomer.law"] * law).sum(), 0, atol=1e-10)


def test_the_smallest_action_gap_stands_beside_the_table(health):
    game, response = infection()
    found = mfg.solve(game, response, EXACT)
    gap = gap_by_loops(np.asarray(found.q), np.asarray(game.available[0]))
    assert_close(health.action_gap, gap, rtol=1e-8)
    assert 0 < float(health.gap_error) < 1e-6 and not health.at_tie
    assert str(health).endswith(f"the smallest action gap is {gap:.4g} in units of reward.")
    assert "kernel.newcomer.law[state 0]" in str(health)
    assert f"smallest action gap {gap:.3g}" in plot_sensitivity(health, top=3).get_title()


@pytest.mark.parametrize("kind", [mfg.Trembling, mfg.EpsilonGreedy])
def test_sensitivities_of_random_trembling_games_are_those_of_differences_inside_jit(kind):
    """Of law, values, action values, policy and gain; by discount, pull, weight, ε and a random change of rewards."""
    rng = np.random.default_rng(7)
    tried = 0
    picks = {
        "discount": lambda pair: pair[0].discount,
        "kernel.pull": lambda pair: pair[0].kernel.pull,
        "reward.weight": lambda pair: pair[0].reward.weight,
        "reward.table": lambda pair: pair[0].reward.table,
        "epsilon": lambda pair: pair[1].epsilon,
    }
    response, exact = kind(0.2), mfg.Picard(atol=1e-14)

    def quantity(found):
        return found.mean_field @ jnp.arange(5.0) + found.values[1] * found.policy[2].max() + found.exploitability

    jitted = eqx.filter_jit(lambda *pair: mfg.design.sensitivity(*pair, quantity, exact))
    for _ in range(3):
        game, plain = stationary_game(rng, pull=0.3, weight=0.3)
        direction = rng.standard_normal(plain.available.shape)
        found = jitted(game, response)
        base = mfg.solve(game, response, exact)
        assert_close(found.action_gap, gap_by_loops(np.asarray(base.q), plain.available), rtol=1e-8)
        if float(found.action_gap) < 1e-3:  # a choice could change within the step
            continue
        tried += 1
        for place, pick in picks.items():
            entries = pick((game, response))
            along = direction if entries.ndim else 1.0
            ends = [eqx.tree_at(pick, (game, response), entries + sign * 1e-5 * along) for sign in (1, -1)]
            plus, minus = (float(quantity(mfg.solve(*pair, exact))) for pair in ends)
            slope = float((found.derivatives[place] * along).sum())
            assert_close(slope, (plus - minus) / 2e-5, rtol=1e-6, atol=1e-7)
    assert tried >= 2


def test_rows_of_a_table_of_moves_are_laws_in_a_stationary_game():
    """A chain of two states and one action: z(1) = p01/(p01 + p10); each row is renormalised."""
    p01, p10 = 0.3, 0.2
    moves = np.array([[[1 - p01, p01]], [[p10, 1 - p10]]])
    game = mfg.StationaryGame(moves, np.ones((2, 1)), 0.5)
    found = mfg.design.sensitivity(game, mfg.Trembling(0.0), lambda eq: eq.mean_field[1])
    d01, d10 = p10 / (p01 + p10) ** 2, -p01 / (p01 + p10) ** 2
    # entry p01 up by h: the row is (1 − p01, p01 + h)/(1 + h), so p01 moves by (1 − p01) h
    expected = [[-p01 * d01, (1 - p01) * d01], [(1 - p10) * d10, -p10 * d10]]
    assert_close(np.asarray(found.derivatives["kernel.probabilities"]).reshape(2, 2), expected, rtol=1e-9)
    assert np.isinf(found.action_gap) and "No state has more than one action" in str(found)


def test_a_tie_is_said_plainly():
    """Two actions that are the same: which is chosen decides the law only by name; the gap is 0."""
    game = mfg.StationaryGame(np.array([[[0.7, 0.3]] * 2, [[0.4, 0.6]] * 2]), np.ones((2, 2)) * [[1.0], [2.0]], 0.5)
    found = mfg.design.sensitivity(game, mfg.Trembling(0.1), lambda eq: eq.mean_field[1])
    assert found.at_tie and float(found.action_gap) <= float(found.gap_error) < 1e-9
    assert "no more than rounding explains" in str(found) and "there is no derivative" in str(found)
    assert "a tie" in plot_sensitivity(found, top=2).get_title()


def test_trembling_sensitivities_refuse_what_has_none(health):
    game, response = infection()
    alike = mfg.StationaryGame(np.full((2, 1, 2), 0.5), np.ones((2, 1)), 0.5)
    mixing = mfg.Picard(averaging="uniform", atol=1e-3)
    for arguments, message in [
        (("game", response, mean_health), "`game` must be a `FiniteHorizonGame` or a `StationaryGame`; got 'game'"),
        ((game, 0.2, mean_health), "`response` must be a response such as .*; got 0.2"),
        ((game, mfg.Trembling(0.9), mean_health), r"`epsilon` is 0.9.*\[0, 4/5\]"),
        ((game, response, lambda eq: eq.policy, EXACT), r"`quantity` must return one real number; got shape \(25, 5\)"),
        ((alike, mfg.Trembling(0.0), mean_health, mixing), "`solver` mixes policies"),
        ((mfg.games.left_right(), mfg.Trembling(0.1), on_node_3), "`Trembling` response has no derivative"),
    ]:
        with pytest.raises(ValueError, match=message):
            mfg.design.sensitivity(*arguments)
