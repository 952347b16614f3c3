"""The stationary games of the zoo: their numbers, and their moves and rewards from the formulas."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
import stationary_oracle as oracle
from helpers import assert_close

import mfgjax as mfg

HEALTH = np.arange(25)


def infection_by_hand(c_f, discount, delta, damage=28):
    """Infection Spread from its description."""

    def kernel(z):
        moves, infected = np.zeros((25, 5, 25)), c_f * (1 - sum(s * z[s] for s in range(25)) / 25)
        for s, a in np.ndindex(25, 5):
            moves[s, a, min(max(s + a - damage, 0), 24)] += 0.9 * infected
            moves[s, a, min(s + a, 24)] += 0.9 * (1 - infected)
            moves[s, a] += 0.1 / 25
        return moves

    def reward(z):
        crowd = sum(z[s] * s / 25 for s in range(25))
        return np.array([[delta[0] * s / 25 + delta[1] * crowd - delta[2] * a for a in range(5)] for s in range(25)])

    return oracle.PlainStationary(kernel, reward, np.full(25, 1 / 25), np.ones((25, 5), bool), discount)


def mturk_by_hand():
    def kernel(z):
        moves, lost = np.zeros((25, 5, 25)), 0.1 * (1 - sum(s * z[s] for s in range(25)) / 24)
        for s, a in np.ndindex(25, 5):
            moves[s, a, min(s + a, 24)] += 0.9 * (1 - lost)
            moves[s, a, 0] += 0.9 * lost
            moves[s, a] += 0.1 / 25
        return moves

    def reward(z):
        m = sum(s * z[s] for s in range(25)) / 24
        return np.array([[s / 24 * (0.2 + 0.7 * m) - 0.164 * a / 4 for a in range(5)] for s in range(25)])

    return oracle.PlainStationary(kernel, reward, np.full(25, 1 / 25), np.ones((25, 5), bool), 0.75)


BY_HAND = {
    "infection_spread": (mfg.games.infection_spread(0.3), infection_by_hand(0.3, 0.5, (0.7, 0.2, 0.009))),
    "as printed": (
        mfg.games.infection_spread(0.3, as_printed=True),
        infection_by_hand(0.3, 0.5, (0.7, 0.2, 0.009), damage=4),
    ),
    "infection_tipping": (mfg.games.infection_tipping(), infection_by_hand(0.2, 0.9, (0.5, 0.3, 0.05))),
    "mturk": (mfg.games.mturk(), mturk_by_hand()),
}


@eqx.filter_jit
def parts(game, z):
    kernel = game.kernel_at(0, z)
    table = jnp.moveaxis(kernel.expect(jnp.eye(25)), -1, 2)
    return table, kernel.push(jnp.ones((25, 5))), game.reward_at(0, z)


@pytest.mark.parametrize("name", BY_HAND)
def test_moves_and_rewards_are_those_of_the_description(name, rng):
    game, plain = BY_HAND[name]
    z = rng.dirichlet(np.ones(25))
    table, pushed, reward = parts(game, z)
    assert_close(table, plain.kernel(z), atol=1e-15)
    assert_close(pushed, plain.kernel(z).sum(axis=(0, 1)), atol=1e-12)
    assert_close(reward, plain.reward(z), atol=1e-14)
    assert float(game.discount) == plain.discount


@pytest.mark.parametrize("name", ["infection_tipping", "mturk"])
def test_a_response_in_a_game_of_the_zoo_is_that_of_the_loops(name):
    """One response, by value iteration in NumPy; the other numbers of the zoo follow from it and the moves."""
    game, plain = BY_HAND[name]
    z = np.arange(1.0, 26) / 325
    moves, pay, values = plain.kernel(z), plain.reward(z), np.zeros(25)
    for _ in range(400):
        values, policy = oracle.trembling(0.1)(pay + plain.discount * moves @ values, plain.available)
    found = mfg.respond(game, z, mfg.Trembling(0.1))
    assert_close(found.values, values, atol=1e-12)
    assert_close(found.policy, policy, atol=1e-15)


# mean states of the least and the greatest equilibrium, computed once by an independent program
GOLDEN = {
    "c_f = .05": (lambda: mfg.games.infection_spread(0.05), 0.2, 20.359148, 20.359148),
    "c_f = .1": (lambda: mfg.games.infection_spread(), 0.2, 19.569801, 19.569801),
    "c_f = .3": (lambda: mfg.games.infection_spread(0.3), 0.2, 13.778329, 13.778329),
    "tipping": (mfg.games.infection_tipping, 0.1, 5.798445, 17.231141),
    "mturk": (mfg.games.mturk, 0.1, 8.890705, 20.109247),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_equilibria_from_both_ends_are_the_known_ones(name):
    build, epsilon, least, greatest = GOLDEN[name]
    game = build()
    for end, mean in ((0, least), (24, greatest)):
        found = mfg.solve(game, mfg.Trembling(epsilon), guess=np.eye(25)[end])
        assert_close(found.mean_field @ HEALTH, mean, atol=1e-6)


def test_parameters_are_arrays_that_can_be_swept_in_lanes():
    axes = {"kernel.c_f": [0.05, 0.1, 0.3], "epsilon": [0.2, 0.2, 0.2]}
    found = mfg.solve_batch(mfg.games.infection_spread(), mfg.Trembling(0.1), axes=axes)
    assert_close(HEALTH @ found.mean_field, [20.359148, 19.569801, 13.778329], atol=1e-6)
    game, axes = mfg.games.mturk(), {"reward.effort_cost": [0.01, 0.164, 1.0]}
    found = mfg.solve_batch(game, mfg.Trembling(0.1), axes=axes, guess=np.eye(25)[0])
    # a low cost of effort lifts the market from the lowest start; a high cost does not
    assert_close(HEALTH @ found.mean_field, [20.109247, 8.890705, 8.890705], atol=1e-6)


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: mfg.games.infection_spread(1.2), r"`c_f` is 1.2, but it must lie in \[0, 1\]"),
        (lambda: mfg.games.infection_spread(regeneration=0.0), r"`regeneration` is 0.0, but it must lie in \(0, 1\)"),
        (lambda: mfg.games.infection_spread(discount=1.0), r"`discount` is 1.0, but it must lie in \(0, 1\)"),
        (lambda: mfg.games.infection_spread(delta=(1, -1, 0)), r"`delta\[1\]` is -1.0, but it must not be negative"),
        (lambda: mfg.games.infection_spread(damage=3), "`damage` is 3, which leaves part of the health"),
        (lambda: mfg.games.mturk(-0.1), r"`effort_cost` is -0.1, but it must lie in \[0, inf\)"),
        (lambda: mfg.games.mturk(wages=(0.1,)), r"`wages` must have shape \(2,\)"),
    ],
)
def test_parameters_out_of_range_are_named(build, sentence):
    with pytest.raises(ValueError, match=sentence):
        build()
