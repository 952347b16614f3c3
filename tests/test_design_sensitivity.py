"""Derivatives of an equilibrium quantity, for every array at once, against differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, random_game, random_policy

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


def test_derivatives_of_laws_are_along_laws():
    """A constant quantity of a law: the derivative with respect to each row sums to zero against the row."""
    found = mfg.design.sensitivity(GAME, mfg.EntropyRegularized(3.0, RHO), on_node_3)
    assert_close((found.derivatives["initial"] * GAME.initial).sum(), 0, atol=1e-12)
    assert_close(found.derivatives["log_reference"].sum(axis=-1), 0, atol=1e-12)
    assert (np.asarray(found.derivatives["log_reference"])[0][~np.asarray(GAME.available)[0]] == 0).all()


def test_the_table_names_what_moves_the_crowd_most():
    found = mfg.design.sensitivity(GAME, mfg.EntropyRegularized(3.0, RHO), on_node_3)
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


def test_bad_input_is_refused():
    response = mfg.EntropyRegularized(1.0)
    for arguments, message in [
        (("game", response, on_node_3), "`game` must be a `FiniteHorizonGame`"),
        ((GAME, response, "share"), "`quantity` must be a function of the equilibrium; got 'share'"),
        ((GAME, response, lambda eq: eq.mean_field), r"`quantity` must return one real number; got shape \(6, 5\)"),
        ((GAME, mfg.Greedy(), on_node_3), "`Greedy` response has no derivative"),
    ]:
        with pytest.raises(ValueError, match=message):
            mfg.design.sensitivity(*arguments)
    with pytest.raises(ValueError, match="nothing moves the quantity"):
        plot_sensitivity(mfg.design.sensitivity(GAME, response, lambda eq: eq.mean_field[0, 0] * 0.0))


def test_it_works_inside_jit():
    def slope(beta):
        return mfg.design.sensitivity(GAME, mfg.EntropyRegularized(beta, RHO), on_node_3).derivatives["beta"]

    assert_close(jax.jit(slope)(3.0), slope(3.0), rtol=1e-6)
