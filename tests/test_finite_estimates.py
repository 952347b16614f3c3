"""Gains by Monte Carlo against exact ones, and the smallest population that is good enough."""

import jax
import numpy as np
import pytest
from finite_games import BETA, build, equilibrium, small
from helpers import assert_close, random_policy

import mfgjax as mfg

# --- Monte Carlo -----------------------------------------------------------------------------------------------


def test_monte_carlo_lies_within_four_standard_errors_of_exact():
    """Fifty random games of the general class, values and gains, with and without KL terms in turn."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        game, plain = build("dense tanh", rng)
        policy, rho = random_policy(rng, plain.available), random_policy(rng, plain.available)
        response = mfg.EntropyRegularized(BETA, rho) if seed % 2 else None
        exact = mfg.finite.deviation_gain(game, policy, [4], response)
        drawn = mfg.finite.deviation_gain(
            game, policy, [4], response, method="Monte Carlo", key=jax.random.key(seed), num_samples=3200
        )
        assert (exact.method, drawn.method) == ("enumeration", "Monte Carlo")
        assert abs(drawn.value - exact.value)[0] <= 4 * drawn.value_error[0]
        assert abs(drawn.gain - exact.gain)[0] <= 4 * drawn.gain_error[0] + 1e-12
        assert drawn.value_error[0] > 0


def test_monte_carlo_gains_are_not_biased_by_the_best_answer_to_noise():
    """At an equilibrium the gain is quadratic in the noise, and smaller: its mean over 30 keys is the exact one."""
    game, response, policy = equilibrium("paper", 3.0)
    exact = mfg.finite.deviation_gain(game, policy, 300, response).gain
    drawn = [
        mfg.finite.deviation_gain(
            game, policy, 300, response, method="Monte Carlo", key=jax.random.key(seed), num_samples=640
        ).gain
        for seed in range(30)
    ]
    error = np.std(drawn, ddof=1) / np.sqrt(30)
    assert abs(np.mean(drawn) - exact) <= 4 * error


def test_monte_carlo_takes_over_where_nothing_exact_fits():
    game, _, policy, _ = small("dense tanh")
    with pytest.raises(ValueError, match=r"`key` must be a random key such as .*: no exact method fits this game"):
        mfg.finite.deviation_gain(game, policy, [2, 500])
    found = mfg.finite.deviation_gain(game, policy, [2, 500], key=jax.random.key(0), num_samples=640)
    assert found.method == "Monte Carlo"


# --- the smallest population -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("measure", "epsilon"), [("gain", 1e-6), ("value_gap", 1e-3), ("bound", 1e-4)])
def test_the_smallest_population_is_the_first_below_epsilon(measure, epsilon):
    game, response, policy = equilibrium("paper", 3.0)
    found = mfg.finite.smallest_population(game, policy, epsilon, response, measure=measure)
    n = found.num_agents
    near = mfg.finite.deviation_gain(game, policy, np.arange(n - 1, n + 31), response)
    values = np.asarray(getattr(near, measure))
    assert values[0] > epsilon >= values[1:].max()
    assert_close((found.value_before, found.value), values[:2], rtol=1e-9)


def test_a_population_of_one_may_be_enough_and_a_billion_too_few():
    game, response, policy = equilibrium("paper", 3.0)
    assert mfg.finite.smallest_population(game, policy, 10.0, response).num_agents == 1
    with pytest.raises(ValueError, match=r"`epsilon` is 0.001, but the gain is still 0.0788 with 1,000,000,000 agents"):
        mfg.finite.smallest_population(game, policy, 1e-3)
