"""Whether best responses rise, judged by the action values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mfgjax as mfg

LOWEST, EVEN, HIGHEST = np.eye(25)[0], np.full(25, 1 / 25), np.eye(25)[24]


def whole_way(game, response, steps=20):
    """The populations of plain iteration from the smallest one, upwards, and then those from the largest one."""
    step = jax.jit(mfg.mean_field_map(game, response))
    ways = [[LOWEST], [HIGHEST]]
    for way in ways:
        for _ in range(steps):
            way.append(step(way[-1]))
    return np.array([*ways[0], *ways[1][::-1]])


@pytest.mark.parametrize(
    ("game", "epsilon"), [(mfg.games.infection_spread, 0.2), (mfg.games.mturk, 0.1)], ids=["infection", "mturk"]
)
def test_with_complementarities_responses_rise_along_the_whole_way(game, epsilon):
    """The theorem: post-decision complementarities make best responses rise with the state and the population."""
    game, response = game(), mfg.Trembling(epsilon)
    found = mfg.check_monotone_response(game, response, whole_way(game, response), "post-decision")
    assert found.holds and len(found.conditions) == 4 and "worst" not in str(found)


def test_the_printed_infection_spread_is_found_out_and_where():
    """Its best effort falls with health just below the top, where more of it is lost by clipping, at s = 21."""
    game, response = mfg.games.infection_spread(as_printed=True), mfg.Trembling(0.2)
    laws = np.array([LOWEST, EVEN, HIGHEST])
    found = mfg.check_monotone_response(game, response, laws)
    names = [condition.name for condition in found.fails]
    assert "Q supermodular in (s, a)" in names and "policy non-decreasing in s" in names
    policy = np.asarray(mfg.respond(game, laws[0], response).policy)
    drop = max(policy[s, k:].sum() - policy[s + 1, k:].sum() for s in range(24) for k in range(5))
    told = next(condition for condition in found.fails if condition.name == "policy non-decreasing in s")
    assert told.violation == pytest.approx(drop, abs=1e-12) and "population 0, s = 21" in told.where
    assert "worst 0.75 at population 0" in str(found)


def test_one_population_asks_nothing_of_z():
    game = mfg.games.mturk()
    found = mfg.check_monotone_response(game, mfg.EntropyRegularized(5.0), EVEN[None], "post-decision")
    assert [condition.name for condition in found.conditions] == [
        "Q supermodular in (s, y)",
        "policy non-decreasing in s",
    ]


def test_wrong_arguments_are_named():
    game, response = mfg.games.mturk(), mfg.Trembling(0.1)
    falling = np.eye(25)[[3, 2]]
    with pytest.raises(ValueError, match=r"`laws\[0, 3\]` is -1.0, but tails must rise"):
        mfg.check_monotone_response(game, response, falling)
    with pytest.raises(ValueError, match="`laws`"):
        mfg.check_monotone_response(game, response, np.ones(25) / 25)
    with pytest.raises(ValueError, match="`form`"):
        mfg.check_monotone_response(game, response, falling, "both")
    with pytest.raises(ValueError, match="`game` must be a `StationaryGame`"):
        mfg.check_monotone_response(mfg.games.left_right(), response, falling)


def test_a_policy_that_falls_is_found_out_in_single_precision_and_with_patient_agents():
    """The rounding of large action values is no excuse: the probabilities of a trembling hand are exact."""
    gains = np.array([[0, 1], [0, 1], [0, 0.5]], np.float32) * 500
    gains[2, 0] = 900
    moves = np.full((3, 2, 3), 1 / 3, np.float32)
    game = mfg.StationaryGame(moves, gains, np.float32(0.995))
    found = mfg.check_monotone_response(game, mfg.Trembling(0.1), np.full((1, 3), 1 / 3, np.float32))
    assert [c.name for c in found.fails][-1] == "policy non-decreasing in s"
    assert found.fails[-1].violation == pytest.approx(0.8, abs=1e-6)  # from 0.9 to 0.1


def test_values_that_are_no_numbers_do_not_hold():
    """Rewards that are NaN only in between, where a game is not tried when it is made."""
    even = np.array([0.5, 0.5])
    game = mfg.StationaryGame(
        np.full((2, 2, 2), 0.5),
        lambda z: jnp.where((z[0] > 0.1) & (z[0] < 0.4), jnp.nan, jnp.eye(2)),
        0.5,
        available=np.ones((2, 2), dtype=bool),
    )
    laws = np.array([even, [0.3, 0.7]])
    for form in ("action", "post-decision"):
        with pytest.raises(ValueError, match=r"`laws\[1\]` is a population in which action values are not finite"):
            mfg.check_monotone_response(game, mfg.Trembling(0.1), laws, form)
