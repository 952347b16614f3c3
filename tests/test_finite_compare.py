"""The report of mean field and N agents side by side."""

import jax
import numpy as np
import pytest
from helpers import assert_close, random_game, random_policy

import mfgjax as mfg


def test_a_report_holds_what_the_single_functions_return():
    game = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(game)
    response = mfg.EntropyRegularized(3.0, rho)
    report = mfg.finite.compare(game, rho, [10, 1000], response)
    gain = mfg.finite.deviation_gain(game, rho, [10, 1000], response)
    law = mfg.finite.law(game, rho, [10, 1000])
    assert_close(report.values, gain.value)
    assert_close(report.gains, gain.gain)
    assert_close(report.bounds, gain.bound)
    assert_close(report.distance, law.distance)
    assert_close(report.laws, np.repeat(np.asarray(law.mean_field)[..., None], 2, axis=-1))
    policy = np.repeat(np.asarray(rho)[None], 6, axis=0)
    flow = mfg.propagate(game, policy)
    assert_close(report.mean_field_value, mfg.policy_value(game, policy, flow, response), rtol=1e-12)
    assert_close(report.exploitability, mfg.exploitability(game, policy, response), rtol=1e-9)


def test_a_report_prints_a_row_for_every_population_and_one_for_the_mean_field():
    game = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(game)
    lines = str(mfg.finite.compare(game, rho, [2, 1_000_000])).splitlines()
    assert lines[0] == "Values and gains in rewards alone, by closed form."
    assert lines[1].split()[:2] == ["agents", "value"]
    assert [line.split()[0] for line in lines[2:5]] == ["2", "1,000,000", "mean"]


def test_coupled_populations_are_simulated():
    """Their values tend to that of the mean field; gains there are none."""
    game, plain = random_game("crowd kernel", np.random.default_rng(0))
    policy = random_policy(np.random.default_rng(1), plain.available)
    response = mfg.EntropyRegularized(1.0)
    report = mfg.finite.compare(game, policy, [3, 10**6], response, key=jax.random.key(0), num_runs=200)
    assert report.method == "simulation"
    assert np.isnan(report.gains).all()
    simulation = mfg.finite.simulate(game, policy, [3, 10**6], 200, key=jax.random.key(0), response=response)
    assert_close(report.values, simulation.value, rtol=1e-12)
    assert_close(report.value_errors, simulation.standard_error, rtol=1e-9)
    assert_close(report.values[1], report.mean_field_value, atol=1e-3)
    assert_close(report.laws[..., 1], report.mean_field, atol=1e-3)
    assert (np.asarray(report.distance)[:, 1] < np.asarray(report.distance)[:, 0]).all()
    assert "by simulation" in str(report)
    with pytest.raises(ValueError, match=r"`key` must be a random key .*: simulations are random; got None"):
        mfg.finite.compare(game, policy, 3)
