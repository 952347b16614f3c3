"""Uniqueness is proved where it holds, and never where crowds attract."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from certificates import CONTRACTIONS, bounds_of, known, soft, thresholds, two_flows
from helpers import assert_close

import mfgjax as mfg
from mfgjax.model import OwnStateInteraction


class Congestion(eqx.Module):
    """Linear congestion as a program of one's own."""

    weight: jax.Array

    def __call__(self, t, mean_field):
        return (jnp.arange(3) / 3 - self.weight * mean_field)[:, None]


def places(reward, horizon=1, **options):
    """Two places, each of which can be reached from anywhere."""
    moves = np.zeros((2, 2, 2))
    moves[:, 0, 0] = moves[:, 1, 1] = 1
    return mfg.FiniteHorizonGame(moves, reward, [0.5, 0.5], horizon, **{"available": np.ones((2, 2), bool), **options})


CONGESTED = {
    "own state": places(mfg.PairwiseReward(OwnStateInteraction(np.ones((2, 1)), [[-1.0], [-3.0]]))),
    "program": mfg.FiniteHorizonGame(np.full((3, 2, 3), 1 / 3), Congestion(jnp.array(4.0)), [1.0, 0, 0], 3),
    "table": mfg.FiniteHorizonGame(
        np.full((4, 2, 4), 1 / 4), mfg.PairwiseReward(np.tile(-np.eye(4)[:, None], (1, 2, 1))), [1.0, 0, 0, 0], 2
    ),
}


@pytest.mark.parametrize("name", CONGESTED)
@pytest.mark.parametrize("beta", [0.1, 1000.0])
def test_linear_congestion_has_one_equilibrium_at_every_beta(name, beta):
    game = CONGESTED[name]
    report = bounds_of(game, soft(beta))
    assert report["monotone"].word == report["unique"].word == report["potential"].word == "holds"
    assert np.isinf(thresholds(report, "monotone", "hypomonotone", "unique")).all()


@pytest.mark.parametrize("beta", [2.05, 3.0, 10.0, 100.0])
def test_a_game_with_two_equilibria_is_never_certified_unique(beta):
    """x = 1/(1 + exp(−β (2x − 1 + 0.01))), iterated from below and from above."""
    game, shares = mfg.games.coordination(0.01), np.array([0.0, 1.0])
    for _ in range(2000):
        shares = 1 / (1 + np.exp(-beta * (2 * shares - 1 + 0.01)))
    assert (shares[1] - shares[0] > 0.3) == (beta > 2.5)  # the field lets the pair appear a little beyond 2
    for flow in two_flows(shares):
        report = mfg.certify(game, soft(beta), flow, critical=False)
        assert report["unique"].word == report["distance"].word == "unknown"
        assert float(report["local_radius"].value) < 1 + 1e-9


def test_negative_definite_interactions_are_monotone_and_others_not(rng):
    """Only the symmetric part counts; a positive direction is a violation; skew parts spoil potentials."""
    S, H = 4, 2
    root, skew = rng.standard_normal((S, S)), rng.standard_normal((S, S))
    flow, kernel = np.full((H + 1, S), 1 / S), np.full((S, 2, S), 1 / S)
    cases = {
        "definite": (-root.T @ root, "holds", "holds"),
        "definite and skew": (-root.T @ root + skew - skew.T, "holds", "fails"),
        "indefinite": (np.diag([1.0, 1, -1, -1]), "fails", "holds"),
    }
    for matrix, is_monotone, is_potential in cases.values():
        reward = mfg.PairwiseReward(np.tile(matrix[:, None], (1, 2, 1)))
        report = bounds_of(mfg.FiniteHorizonGame(kernel, reward, flow[0], H), soft(5.0))
        assert report["monotone"].word == is_monotone
        assert report["potential"].word == is_potential


def test_constants_added_to_a_row_do_not_matter(rng):
    """Mean fields sum to one, so L + c 1ᵀ is the same interaction up to constants."""
    matrix = -np.eye(4) + rng.standard_normal((4, 1))
    game = mfg.FiniteHorizonGame(
        np.full((4, 2, 4), 0.25), mfg.PairwiseReward(np.tile(matrix[:, None], (1, 2, 1))), np.full(4, 0.25), 2
    )
    report = bounds_of(game, soft(5.0))
    assert report["monotone"].word == report["potential"].word == "holds"


def test_monotone_but_curved_rewards_are_proved_by_intervals():
    """−exp(μ(s)) falls in the crowd at one's own state; the derivative lies in [−e, −1]."""

    class Curved(eqx.Module):
        def __call__(self, t, mean_field):
            return -jnp.exp(mean_field)[:, None]

    game = mfg.FiniteHorizonGame(np.full((3, 2, 3), 1 / 3), Curved(), [0.2, 0.3, 0.5], 2)
    report = bounds_of(game, soft(5.0))
    assert report["monotone"].word == "holds"
    assert "eigenvalues" in report["monotone"].checked


def test_a_reward_that_cannot_be_read_is_only_sampled():
    class Jumping(eqx.Module):
        sign: jax.Array

        def __call__(self, t, mean_field):
            return (self.sign * jnp.where(mean_field > 0.5, mean_field, 0.0))[:, None]

    words = {}
    for sign in (-1.0, 1.0):
        game = mfg.FiniteHorizonGame(np.full((2, 2, 2), 0.5), Jumping(jnp.array(sign)), [0.5, 0.5], 2)
        report = bounds_of(game, soft(0.1))
        words[sign] = report["monotone"].word
        assert "no violation was found" in report["monotone"].checked
        assert all(report[name].word == "unknown" for name in (*CONTRACTIONS, "unique", "distance", "potential"))
        assert "gt" in report["path_span"].checked
    assert words == {-1.0: "unknown", 1.0: "fails"}


OWN = OwnStateInteraction(np.zeros((2, 1)), np.ones((2, 1)))
UNBOUNDED = {
    "root": lambda t, m: (5 * jnp.sqrt(m))[:, None],
    "powers": lambda t, m: (8 * m ** jnp.array([0.0, 2.0]))[:, None],
    "theta of one's own state": mfg.PairwiseReward(OWN, lambda t, x: 5 * jnp.sqrt(x)),
    "theta of a table": mfg.PairwiseReward(np.eye(2)[:, None], lambda t, x: 5 * jnp.sqrt(x)),
}


@pytest.mark.parametrize("name", ["powers", "theta of a table"])
def test_no_constant_is_known_of_slopes_without_a_bound(name):
    """At an empty place the slope is infinite."""
    premises = known(places(UNBOUNDED[name]), soft(3.0))
    assert premises.payoffs is None or not np.isfinite(np.asarray([premises.constants, premises.spans])).all()


@pytest.mark.parametrize("name", ["root", "theta of one's own state"])
def test_slopes_without_a_bound_prove_nothing(name):
    """Crowds that attract with infinite slope at an empty place have several equilibria."""
    report = bounds_of(places(UNBOUNDED[name]), soft(3.0))
    for line in (*CONTRACTIONS, "contraction", "hypomonotone", "unique", "distance"):
        assert report[line].word != "holds", line
        assert not np.isinf(float(report[line].threshold)), line
    assert report["monotone"].word != "holds"


@pytest.mark.parametrize("scale", [1e-14, 1e-5, 1e9])
def test_weak_attraction_is_not_taken_for_rounding(scale):
    """Coordination with reward scale · μ(s): three equilibria beyond β = 2/scale, however small the scale is."""
    weight = scale * np.ones((2, 1))
    game = places(mfg.PairwiseReward(OwnStateInteraction(0 * weight, weight)))
    above, below = bounds_of(game, soft(6 / scale)), bounds_of(game, soft(1 / scale))
    assert above["unique"].word == "unknown" and above["monotone"].word == "fails"
    assert below["unique"].word == "holds"
    assert_close(above["hypomonotone"].threshold * scale, 2, rtol=2e-3)


def test_times_of_other_scales_do_not_hide_attraction():
    L = np.zeros((3, 2, 1), np.float32)
    L[1], L[2] = -1e3, 4e-3  # strong congestion, then weak attraction
    game = places(mfg.PairwiseReward(OwnStateInteraction(np.zeros_like(L), L)), 2)
    assert bounds_of(game, soft(2000.0))["unique"].word == "unknown"
    skew = np.zeros((3, 3, 1, 3))
    skew[1, :, 0] = -1e3 * np.eye(3)
    skew[2, :, 0] = 1e-5 * np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    cycle = mfg.FiniteHorizonGame(np.full((3, 2, 3), 1 / 3), mfg.PairwiseReward(skew), np.full(3, 1 / 3), 2)
    assert bounds_of(cycle, soft(1.0))["potential"].word == "fails"


def test_a_violation_that_was_found_is_no_bound_where_the_reward_jumps():
    """Of two laws on both sides of a jump of 1/2, with |η−η'|_1 = 2 h, the sum is h/2, which is 1/(8 h) (2 h)²."""
    game = mfg.FiniteHorizonGame(
        np.full((3, 1, 3), 1 / 3), lambda t, m: (jnp.floor(5 * m) / 2)[:, None], np.full(3, 1 / 3), 1
    )
    line = bounds_of(game, soft(1.0))["monotone"]
    assert line.word == "fails" and "without a bound the largest found" in line.meaning
    h = 1e-6
    above, below = np.array([0.2 + h / 2, 0.5, 0.3 - h / 2]), np.array([0.2 - h / 2, 0.5, 0.3 + h / 2])
    pays = [np.asarray(game.pay_at(1, jnp.asarray(law)))[:, 0] for law in (above, below)]
    reached = (above - below) @ (pays[0] - pays[1]) / np.abs(above - below).sum() ** 2
    assert_close(reached, 1 / (8 * h), rtol=1e-6)
    assert 0 < float(line.value) < reached
