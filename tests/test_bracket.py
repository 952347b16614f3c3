"""The least and the greatest equilibrium, from both ends of the order."""

import dataclasses
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg

HEALTH = np.arange(25)


def dominates(high, low, slack=1e-14):
    """By its definition: Σ f(s) high(s) ≥ Σ f(s) low(s) for all f = 1{s ≥ k}."""
    return all(high[k:].sum() >= low[k:].sum() - slack for k in range(len(high)))


def test_the_ends_of_a_game_with_one_equilibrium_coincide():
    for c_f, mean in ((0.05, 20.359148), (0.1, 19.569801), (0.3, 13.778329)):
        found = mfg.bracket(mfg.games.infection_spread(c_f), mfg.Trembling(0.2))
        for end in (found.least, found.greatest):
            assert_close(end.mean_field @ HEALTH, mean, atol=1e-6)
        assert found.coincide and found.ordered and found.distance < 1e-10
        assert found.certificate.startswith("holds") and "reached from every law" in found.certificate


@pytest.mark.parametrize(
    ("build", "least", "greatest"),
    [(mfg.games.infection_tipping, 5.798445, 17.231141), (mfg.games.mturk, 8.890705, 20.109247)],
    ids=["tipping", "mturk"],
)
def test_both_equilibria_of_a_game_that_tips_are_found_and_every_step_keeps_the_order(build, least, greatest):
    found = mfg.bracket(build(), mfg.Trembling(0.1))
    assert_close(found.least.mean_field @ HEALTH, least, atol=1e-6)
    assert_close(found.greatest.mean_field @ HEALTH, greatest, atol=1e-6)
    assert not found.coincide and found.ordered
    assert found.certificate.startswith("holds") and "at least two equilibria" in found.certificate
    for way, sign in ((found.rising, 1), (found.falling, -1)):
        assert all(dominates(*(b, a)[::sign]) for a, b in zip(way.laws[:-1], way.laws[1:], strict=True))
        k = way.steps_to(0.01)
        apart = np.abs(way.laws - way.laws[-1]).sum(axis=1)
        assert (apart[k:] <= 0.01).all() and apart[k - 1] > 0.01
        assert 0 < way.error < 1e-10
    assert dominates(np.asarray(found.greatest.mean_field), np.asarray(found.least.mean_field))


def test_the_error_bound_holds_and_is_attained():
    """Stopped early, with the policy of the end: the distance to the limit is below the bound, and above a tenth."""
    game = mfg.games.infection_spread(0.3)
    limit = np.asarray(mfg.bracket(game, mfg.Trembling(0.2)).least.mean_field)
    early = mfg.bracket(game, mfg.Trembling(0.2), atol=1e-6)
    away = np.abs(np.asarray(early.least.mean_field) - limit).sum() / 2
    assert away <= early.rising.error * (1 + 1e-4)
    assert away >= early.rising.error / 10


def test_a_map_that_is_not_isotone_is_reported():
    """Two states; the more are in the second, the better it is to leave: the way from below falls back."""

    class Crowding(eqx.Module):
        def __call__(self, z):
            return jnp.array([[0.0, 0.0], [0.0, 0.0]]) + jnp.arange(2)[:, None] * (0.5 - z[1])

    moves = np.array([[[0.9, 0.1], [0.1, 0.9]]] * 2)
    game = mfg.StationaryGame(moves, Crowding(), 0.5)
    found = mfg.bracket(game, mfg.Trembling(0.1), max_steps=30, throw=False)
    assert not found.ordered and found.rising.disorder > 0.1
    assert found.certificate.startswith("fails") and found.complementarity is not None
    assert not found.complementarity.holds
    with pytest.raises(mfg.ConvergenceError):
        mfg.bracket(game, mfg.Trembling(0.1), max_steps=30)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: mfg.bracket(mfg.games.left_right(), mfg.Trembling(0.1)), "`game` must be a `StationaryGame`"),
        (lambda: mfg.bracket(mfg.games.mturk(), 0.1), "`response` must be a response"),
        (lambda: mfg.bracket(mfg.games.mturk(), mfg.Trembling(0.1), atol=1e-20), "`atol` is 1.0e-20"),
        (lambda: mfg.bracket(mfg.games.mturk(), mfg.Trembling(0.9)), r"`epsilon` is 0.9, but where 5 actions are"),
    ],
)
def test_wrong_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 1)])
def test_one_state_or_one_action_has_no_neighbours_and_nothing_to_violate(shape, rng):
    num_states, num_actions = shape
    rows = np.stack([np.linspace(1, 2 + s, num_states) for s in range(num_states)])
    rows = np.repeat((rows / rows.sum(axis=1, keepdims=True))[:, None], num_actions, axis=1)
    game = mfg.StationaryGame(rows, np.arange(num_states)[:, None] + np.zeros(shape), 0.9)
    found = mfg.bracket(game, mfg.Trembling(0.0))
    law = np.linalg.matrix_power(rows[:, 0], 200)[0]  # the chain forgets where it began
    assert_close(found.least.mean_field, law, rtol=1e-11)
    assert found.coincide and found.certificate.startswith("holds")
    response = mfg.check_monotone_response(game, mfg.Trembling(0.0), found.rising.laws)
    assert response.holds and mfg.check_complementarity(game, "post-decision").holds


def test_ends_that_were_not_reached_are_no_equilibria():
    """There is one equilibrium; after three steps nothing is known of it."""
    found = mfg.bracket(mfg.games.infection_spread(0.1), mfg.Trembling(0.2), max_steps=3, throw=False)
    assert found.ordered and found.distance > 0.5
    assert found.certificate.startswith("unknown") and "least end was not reached (max_steps)" in found.certificate
    assert "two equilibria" not in found.certificate


def test_where_nobody_moves_no_number_tells_how_many_equilibria_there_are():
    """Every law is kept, but so, in numbers, is every law near a single equilibrium where the derivative is 1."""
    stays = np.repeat(np.eye(3)[:, None], 2, axis=1)
    found = mfg.bracket(mfg.StationaryGame(stays, np.zeros((3, 2)), 0.9), mfg.Trembling(0.2))
    assert found.distance == 1 and found.ordered and not found.coincide and not found.differ
    assert found.certificate.startswith("unknown") and "one equilibrium or two" in found.certificate


def test_ends_out_of_order_are_reported_as_such():
    found = mfg.bracket(mfg.games.infection_tipping(), mfg.Trembling(0.1))
    exchanged = dataclasses.replace(found, least=found.greatest, greatest=found.least)
    assert not exchanged.ordered and exchanged.certificate.startswith("fails: the ends are not in order")


def test_complementarities_of_a_game_prove_nothing_of_agents_with_a_reference_of_their_own():
    """The game has complementarities; a reference that lifts low states more than high ones makes the law fall."""
    num_states = 5
    s = np.arange(num_states)
    moves = np.zeros((num_states, 2, num_states))
    moves[..., -1] = np.array([0, 0.4]) + s[:, None] / 40
    moves[..., 0] = 1 - moves[..., -1]
    game = mfg.StationaryGame(moves, s[:, None] + np.zeros(2), 0.5)
    assert mfg.check_complementarity(game).holds
    leans = np.stack([0.1 + 0.2 * s, 0.9 - 0.2 * s], axis=1)
    for response in (mfg.EntropyRegularized(0.1, leans), mfg.Boltzmann(0.1, leans)):
        found = mfg.bracket(game, response, atol=1e-11)
        assert found.complementarity is None and not found.certificate.startswith("holds")
    for response in (mfg.EntropyRegularized(0.1), mfg.Boltzmann(0.1)):
        assert mfg.bracket(game, response).certificate.startswith("holds")


def leads_where_it_is_sent(reward, discount=0.5, base=((1, 0), (0, 1)), dtype=np.float64):
    """A game in which the action alone decides the next law."""
    base = np.array(base, dtype)
    moves = np.broadcast_to(base[None], (base.shape[1], *base.shape)).copy()
    return mfg.StationaryGame(moves, reward, discount)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("beta", "several"), [(1.0, False), (1.9, False), (1.999, False), (2.1, True), (3.0, True)])
def test_soft_responses_have_several_equilibria_only_above_the_threshold(beta, several, dtype):
    """x = 1/(1 + exp(−β (2x − 1))) has the one root 1/2 up to β = 2, and three beyond."""
    game = leads_where_it_is_sent(
        lambda z: jnp.broadcast_to(jnp.array([0, 1], z.dtype) * (2 * z[1] - 1), (2, 2)), dtype=dtype
    )
    found = mfg.bracket(game, mfg.EntropyRegularized(beta), throw=False)
    assert found.differ == several and ("at least two" in found.certificate) == several
    assert found.coincide != several or not found.least.converged


class Draws(eqx.Module):
    """What action 1 gains is c + k times the mean of the law."""

    c: jax.Array
    k: jax.Array

    def __call__(self, z):
        s = jnp.arange(3, dtype=z.dtype)
        return s[:, None] + jnp.arange(2, dtype=z.dtype) * (self.c + self.k * (s * z).sum())


@pytest.mark.parametrize(("response", "dtype"), [(mfg.Greedy(), np.float64), (mfg.Trembling(0.1), np.float32)])
def test_rounding_of_the_ends_decides_nothing(response, dtype, rng):
    """Ends that are one law, or in order, but for the rounding of a sum, whatever the rows are."""
    for _ in range(6):
        low = rng.dirichlet(np.ones(3))
        tails = np.sort(np.append(1 - np.cumsum(low)[:2] + rng.random() * np.cumsum(low)[:2], [0, 1]))[::-1]
        c, k = rng.uniform(-1, 0), rng.choice([0.5, 2.0])
        reward = Draws(jnp.asarray(c, dtype), jnp.asarray(k, dtype))
        game = leads_where_it_is_sent(reward, base=(low, -np.diff(tails)), dtype=dtype)
        found = mfg.bracket(game, response, throw=False)
        assert "fails" not in found.certificate
        same = np.abs(np.asarray(found.least.policy) - np.asarray(found.greatest.policy)).max() < 0.1
        assert found.coincide == same and found.differ != same


class Baseline(eqx.Module):
    """Rewards whose gain of action 1 is k z₁ − c, where a baseline is added and taken away; 1 in state 1."""

    k: jax.Array
    c: jax.Array
    baseline: jax.Array

    def __call__(self, z):
        gain = ((self.baseline + self.k) * z[1] - self.baseline * z[1]) - self.c
        return jnp.array([[0.0, 0.0], [1.0, 1.0]]) + jnp.stack([0 * gain, gain])


@pytest.mark.parametrize(("baseline", "k", "is_lost"), [(0.0, 1e-6, False), (1e5, 1.0, False), (4e9, 1e-6, True)])
def test_rewards_whose_own_rounding_decides_leave_the_number_of_equilibria_open(baseline, k, is_lost, rng):
    """Action a leads to state 1 with probability p_a, an equilibrium where a is best at it by exact fractions."""
    lower, upper, discount = Fraction(1, 4), Fraction(5, 8), 2.0**-10
    exact_k = Fraction(baseline + k) - Fraction(baseline)
    for share in (0.5, 0.9, 1.1, 2.0, 3.0):
        c = float(Fraction(discount) * (upper - lower) + exact_k * lower * Fraction(share))
        gains = [exact_k * p + Fraction(discount) * (upper - lower) - Fraction(c) for p in (lower, upper)]
        moves = np.broadcast_to(np.array([[0.75, 0.25], [0.375, 0.625]]), (2, 2, 2)).copy()
        reward = Baseline(*(jnp.asarray(x) for x in (k, c, baseline)))
        found = mfg.bracket(mfg.StationaryGame(moves, reward, discount), mfg.Greedy(), throw=False)
        several = gains[0] <= 0 <= gains[1]
        if is_lost:
            assert found.certificate.startswith("unknown") and "rounding" in found.certificate
            assert min(found.rising.gap_error, found.falling.gap_error) > 1e-8
        else:
            assert found.certificate.startswith("holds") and ("at least two" in found.certificate) == several
            assert several or found.least.mean_field[1] == float(upper if gains[0] > 0 else lower)


@pytest.mark.parametrize("num_states", [2, 3, 4, 7])
def test_laws_between_two_ends_are_within_the_spread_of_them_and_may_attain_it(num_states, rng):
    """For ends that are δ apart a law between them is ⌊S/2⌋ δ away at most: so it is where all pairs are exchanged."""
    found = mfg.bracket(mfg.games.infection_tipping(), mfg.Trembling(0.1))
    delta = 0.5 / num_states
    low = np.full(num_states, 1 / num_states)
    high, between = low.copy(), low.copy()
    high[0], high[-1] = low[0] - delta, low[-1] + delta
    between[0 : num_states - 1 : 2] -= delta
    between[1::2] += delta
    assert dominates(high, between) and dominates(between, low)
    ways = [dataclasses.replace(way, error=0.0, barrier=low) for way in (found.rising, found.falling)]
    ends = dataclasses.replace(found, rising=ways[0], falling=ways[1], distance=delta)
    assert_close(np.abs(between - low).sum() / 2, ends.spread, rtol=1e-12)
    for _ in range(200):
        share = rng.integers(0, 2, num_states - 1)  # of the way from one distribution function to the other
        tails = np.append((1 - share) * np.cumsum(low)[:-1] + share * np.cumsum(high)[:-1], 1)
        assert np.abs(np.diff(tails, prepend=0) - low).sum() / 2 <= ends.spread * (1 + 1e-12)
