"""The gain of one deviator among N against brute force over joint states, and against theorems."""

import functools
import itertools
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from finite_games import BETA, A, H, Kink, S, T, equilibrium, small
from finite_oracle import chain
from helpers import COMPILED, Squash, assert_close, random_game, random_policy
from oracle import PlainGame

import mfgjax as mfg
from mfgjax.finite.payoffs import payoff_methods

NUMBERS = np.array([1, 2, 3, 4, 5])
METHODS = {  # the first that fits
    "own square": "closed form",
    "own kinked": "binomial sum",
    "own linear": "closed form",
    "successor tanh": "binomial sum",
    "successor square": "closed form",
    "lattice": "lattice",
    "dense square": "closed form",
    "dense tanh": "enumeration",
    "no pairs": "enumeration",
    "table": "closed form",
    "joint square": "closed form",
    "joint lattice": "lattice",
    "joint tanh": "enumeration",
}


# --- brute force ----------------------------------------------------------------------------------------------


def rewards_by_enumeration(plain, policy, num_agents):
    """R^N_t(s,a): the sum over all joint states (and actions) of the others, from the law of one of them."""
    law, _ = oracle.spread(plain, policy)
    expected = np.zeros(plain.sizes)
    places = list(np.ndindex(S, A)) if plain.joint else [(s,) for s in range(S)]
    for t in range(T):
        one = law[t][:, None] * policy[t] if plain.joint else law[t]
        for others in itertools.product(places, repeat=num_agents - 1):
            p = np.prod([one[x] for x in others])
            crowd = np.zeros(one.shape)
            for x in others:
                crowd[x] += 1 / num_agents
            for own in places:
                seen = crowd.copy()
                seen[own] += 1 / num_agents
                pay = plain.reward(t, seen)
                if plain.joint:
                    expected[t][own] += p * pay[own]
                else:
                    expected[t, own[0]] += p * pay[own[0]]
    return expected


def decision_problem(plain, rewards):
    """The deviator's own problem, as a game whose rewards ignore the population."""
    return PlainGame(plain.kernel, lambda t, _: rewards[t], plain.initial, H, plain.available, plain.discount)


def by_brute_force(plain, policy, num_agents, criterion):
    rewards = rewards_by_enumeration(plain, policy, num_agents)
    problem = decision_problem(plain, rewards)
    flow = np.zeros((T, S))
    response = oracle.hard() if criterion[0] is None else oracle.soft(*criterion)
    _, best, _ = oracle.best_response(problem, flow, response)
    value = oracle.policy_value(problem, policy, flow, *criterion)
    return rewards, value, oracle.policy_value(problem, best, flow, *criterion), best


# and others that fit: sums for each form of interaction, and enumerations, which look at rewards alone
CASES = [(kind, method, True) for kind, method in METHODS.items()]
CASES += [(kind, "enumeration", True) for kind in ("own square", "successor tanh", "dense square", "joint lattice")]
CASES += [("own square", "binomial sum", True), ("successor square", "binomial sum", True)]
CASES += [("own square", "closed form", False), ("no pairs", "enumeration", False)]


@pytest.mark.parametrize(("kind", "method", "regularized"), CASES)
def test_rewards_values_and_gain_equal_brute_force(kind, method, regularized):
    """To 1e-10, for every method that fits and N = 1..5 at once, the deviator counted at its own place."""
    game, plain, policy, rho = small(kind)
    criterion = (BETA, rho) if regularized else (None, None)
    response = mfg.EntropyRegularized(BETA, rho) if regularized else None
    numbers = NUMBERS[:3] if plain.joint else NUMBERS
    found = mfg.finite.deviation_gain(game, policy, numbers, response, method=method)
    assert found.method == method
    for i, n in enumerate(numbers):
        rewards, value, best_value, best = brute_force(kind, int(n), regularized)
        assert_close(np.where(plain.available, found.rewards[..., i] - rewards, 0), 0, atol=1e-10)
        assert_close(found.value[i], value, atol=1e-10)
        assert_close(found.best_value[i], best_value, atol=1e-10)
        assert_close(found.gain[i], best_value - value, atol=1e-10)
        if regularized:  # else ties may be broken either way
            assert_close(found.policy[..., i], best, atol=1e-9)
        limit = oracle.policy_value(plain, policy, oracle.spread(plain, policy)[1], *criterion)
        assert_close(found.mean_field_value, limit, atol=1e-10)
        assert_close(found.value_gap[i], abs(value - limit), atol=1e-10)
        assert found.gain[i] >= 0
    assert_close(found.exploitability, oracle.exploitability(plain, policy, *criterion), atol=1e-10)
    assert_close(found.gain_error, 0)


@functools.cache
def brute_force(kind, num_agents, regularized):
    _, plain, policy, rho = small(kind)
    return by_brute_force(plain, policy, num_agents, (BETA, rho) if regularized else (None, None))


@pytest.mark.parametrize("kind", ["successor tanh", "no pairs", "joint tanh"])
def test_values_equal_the_markov_chain_of_all_agents(kind):
    """J^N of following and of the best deviation from the joint chain of three agents, actions and all."""
    game, plain, policy, rho = small(kind)
    found = mfg.finite.deviation_gain(game, policy, 3, mfg.EntropyRegularized(BETA, rho))
    weight = plain.discount ** np.arange(T)
    everybody = chain(plain, [policy] * 3, beta=BETA, rho=rho).rewards
    assert_close(weight @ everybody[0], found.value, atol=1e-10)
    deviated = chain(plain, [np.asarray(found.policy), policy, policy], beta=BETA, rho=rho).rewards
    assert_close(weight @ deviated[0], found.best_value, atol=1e-10)


def test_the_methods_are_chosen_by_what_fits():
    for kind, method in METHODS.items():
        game, _, _, _ = small(kind)
        assert next(payoff_methods(game, jnp.asarray([2]), None, None, 640)).method == method


def test_a_gain_is_never_above_its_bound():
    """At random policies, with actions left out too, with and without KL terms."""
    for kind, seed in itertools.product(["own kinked", "dense tanh"], range(1, 6)):
        game, _, policy, rho = small(kind, seed)
        for response in (mfg.EntropyRegularized(BETA, rho), None):
            found = mfg.finite.deviation_gain(game, policy, [1, 2, 3], response)
            assert (np.asarray(found.gain) <= np.asarray(found.bound) + 1e-12).all()


@pytest.mark.parametrize("discount", [0.9, 1.0])
def test_a_gain_has_a_finite_bound_where_the_policy_leaves_actions_out(discount):
    """The KL criterion makes the distance to the response infinite there; what is left is the bound of any policy."""
    weight = np.array([[[-1.0], [-2.0]]])
    reward = mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(0 * weight, weight))
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), reward, [0.5, 0.5], 2, discount=discount)
    stay = np.broadcast_to([1.0, 0.0], (3, 2, 2))
    found = mfg.finite.deviation_gain(game, stay, [2, 10], mfg.EntropyRegularized(1.0))
    assert np.isfinite(found.bound).all()
    assert (np.asarray(found.gain) <= np.asarray(found.bound) + 1e-12).all()


def test_the_quadratic_bound_holds_at_equilibria_and_is_attained():
    """Two places that repel differently; as β → 0 both are equally likely, and the gain is β Δ²/8 for a shift Δ."""
    weight = np.array([[[0.0], [0.0]], [[-1.0], [-2.0]]])
    reward = mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(0 * weight, weight))
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), reward, [0.5, 0.5], 1)
    for beta in (0.01, 0.5, 3.0):
        response = mfg.EntropyRegularized(beta)
        policy = mfg.solve(game, response, mfg.Newton(atol=1e-14)).policy
        found = mfg.finite.deviation_gain(game, policy, [2, 10, 1000], response)
        ratio = np.asarray(found.gain / found.bound)
        assert (ratio <= 1 + 1e-6).all()
        if beta == 0.01:
            assert (ratio > 0.9).all()


# --- the example ------------------------------------------------------------------------------------------


def slope(numbers, values):
    return np.log(values[-1] / values[0]) / np.log(numbers[-1] / numbers[0])


@pytest.mark.parametrize("method", ["closed form", "binomial sum"])
@pytest.mark.parametrize("beta", [1.0, 3.0])
@pytest.mark.parametrize("preset", ["paper", "author-code"])
def test_value_gaps_fall_like_1_over_n_and_regularised_gains_like_its_square(preset, beta, method):
    """Slopes −1 and −2 to 1 % between N = 64 and 16,384; and the gain stays below its bound."""
    game, response, policy = equilibrium(preset, beta)
    numbers = np.array([64, 1024, 16384])
    found = mfg.finite.deviation_gain(game, policy, numbers, response, method=method)
    assert abs(slope(numbers, np.asarray(found.value_gap)) + 1) <= 0.01
    assert abs(slope(numbers, np.asarray(found.gain)) + 2) <= 0.02
    assert (np.asarray(found.gain) <= np.asarray(found.bound)).all()


@pytest.mark.parametrize("preset", ["paper", "author-code"])
def test_a_hundred_populations_take_less_than_a_second(preset):
    game, response, policy = equilibrium(preset, 3.0)

    def call(method):
        return jax.block_until_ready(
            mfg.finite.deviation_gain(game, policy, np.arange(2, 101), response, method=method).gain
        )

    for method in (None, "binomial sum"):
        call(method)
        start = time.perf_counter()
        call(method)
        assert time.perf_counter() - start < 1


def test_a_kink_at_the_equilibrium_halves_the_rate():
    """Two equal places, Θ(x) = −|x − ½|: E|n/N − ½| falls like N^(−1/2), and with it the value gap."""
    own = mfg.rewards.OwnStateInteraction(np.zeros((2, 1)), np.ones((2, 1)))
    reward = mfg.PairwiseReward(own, Kink(jnp.asarray(0.5)))
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), reward, [0.5, 0.5], 2)
    numbers = np.array([64, 1024, 16384])
    found = mfg.finite.deviation_gain(game, np.full((2, 2), 0.5), numbers)
    assert found.method == "binomial sum"
    assert abs(slope(numbers, np.asarray(found.value_gap)) + 0.5) <= 0.005


def test_large_populations_are_exact_too():
    """At a billion the binomial sum over 400,000 terms equals mean and variance in closed form."""
    game, response, policy = equilibrium("paper", 1.0)
    numbers = [10**6, 10**9]
    exact, summed = (
        mfg.finite.deviation_gain(game, policy, numbers, response, method=m) for m in ("closed form", "binomial sum")
    )
    assert_close(summed.value_gap, exact.value_gap, rtol=1e-6)
    assert_close(summed.gain, exact.gain, rtol=1e-4)


def test_single_precision_by_default_still_resolves_the_gain():
    """R^N − R is 1e-6 and the gain 1e-12 there: found in double precision, returned in single."""
    game, _, policy = equilibrium("paper", 1.0)
    rounded = np.asarray(policy, np.float32).astype(float)
    rounded /= rounded.sum(axis=-1, keepdims=True)
    expected = mfg.finite.deviation_gain(game, rounded, [100, 10**5])
    with jax.enable_x64(False):
        single = mfg.games.resource_allocation()
        found = mfg.finite.deviation_gain(single, np.asarray(policy, np.float32), [100, 10**5])
        assert found.gain.dtype == np.float32
        assert_close(found.value_gap, expected.value_gap, rtol=1e-5)
        assert_close(found.gain, expected.gain, rtol=1e-5)


def test_a_lattice_and_an_enumeration_agree_with_large_transforms():
    """Two states, a table with values 0 and 1: the lattice against the binomial sum at N = 3,000."""
    weight = np.array([[1.0, 1.0], [1.0, 1.0]])
    own = mfg.rewards.OwnStateInteraction(0 * weight, weight)
    theta = Squash(jnp.asarray(2.0))
    table = np.einsum("sa,sn->san", weight, np.eye(2))
    policy = np.array([[0.3, 0.7], [0.6, 0.4]])
    games = [
        mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), mfg.PairwiseReward(L, theta), [0.5, 0.5], 3)
        for L in (own, table)
    ]
    first, second = (mfg.finite.deviation_gain(game, policy, [2, 3000, 40_000]) for game in games)
    assert (first.method, second.method) == ("binomial sum", "lattice")
    assert_close(first.rewards, second.rewards, atol=1e-12)
    assert_close(first.value_gap, second.value_gap, rtol=1e-7)


def test_new_numbers_of_agents_compile_nothing():
    class Bent(eqx.Module):
        def __call__(self, t, x):
            return jnp.tanh(x)

    own = mfg.rewards.OwnStateInteraction(np.zeros((2, 1)), np.ones((2, 1)))
    moves = mfg.MovesKernel([[0, 1], [0, 1]])
    game = mfg.FiniteHorizonGame(moves, mfg.PairwiseReward(own, Bent()), [0.5, 0.5], 2)
    policy = np.full((2, 2), 0.5)
    mfg.finite.deviation_gain(game, policy, [2, 3], mfg.EntropyRegularized(1.0))
    before = COMPILED.count("jit(_deviate)")
    mfg.finite.deviation_gain(game, policy, [50, 10**7], mfg.EntropyRegularized(2.5))
    assert COMPILED.count("jit(_deviate)") == before


def test_gains_can_be_computed_inside_jit():
    game, response, policy = equilibrium("paper", 1.0)
    outside = mfg.finite.deviation_gain(game, policy, [5, 50], response)
    inside = jax.jit(lambda p, n: mfg.finite.deviation_gain(game, p, n, response).gain)
    assert_close(inside(policy, jnp.asarray([5, 50])), outside.gain, rtol=1e-9)


# --- refusals --------------------------------------------------------------------------------------------------


def test_what_cannot_be_exact_is_refused_with_what_remains():
    game, plain = random_game("crowd kernel", np.random.default_rng(0))
    policy = random_policy(np.random.default_rng(1), plain.available)
    for function in (mfg.finite.deviation_gain, mfg.finite.law):
        with pytest.raises(ValueError, match=r"`game.kernel` is a callable .* For such a game use `finite.simulate`"):
            function(game, policy, 10)


def test_wrong_arguments_are_refused_with_a_sentence():
    game, _, policy, _ = small("dense tanh")
    call = functools.partial(mfg.finite.deviation_gain, game, policy, 3)
    with pytest.raises(ValueError, match=r"`finite.deviation_gain\(..., response=Boltzmann\)`"):
        call(mfg.Boltzmann(1.0))
    with pytest.raises(ValueError, match=r"`method` must be one of 'closed form', .*; got 'magic'"):
        call(method="magic")
    with pytest.raises(ValueError, match=r"`method` is 'lattice', which does not fit this game"):
        call(method="lattice")
    with pytest.raises(ValueError, match=r"`num_samples` must be at least 64; got 3"):
        call(method="Monte Carlo", key=jax.random.key(0), num_samples=3)
    with pytest.raises(
        ValueError, match=r"`policy` must be one policy, of shape \(4, 3, 2\); got shape \(4, 3, 2, 2\)"
    ):
        mfg.finite.deviation_gain(game, np.stack([policy, policy], axis=-1), 3)
    with pytest.raises(ValueError, match=r"`num_agents\[1\]` is -1, but it must lie between 1 and 1,000,000,000"):
        mfg.finite.deviation_gain(game, policy, [3, -1])
    with pytest.raises(ValueError, match=r"`epsilon` is 0.0, but it must lie in \(0, inf\)"):
        mfg.finite.smallest_population(game, policy, 0)


def test_a_reward_whose_program_is_affine_is_computed_in_closed_form():
    """`coordination` has an interaction of its own making; at N = 1e6 nothing else would be exact."""
    game, response = mfg.games.coordination(0.1), mfg.EntropyRegularized(1.0)
    policy = mfg.solve(game, response).policy
    found = mfg.finite.deviation_gain(game, policy, [2, 5, 10**6], response)
    assert found.method == "closed form"
    by_hand = mfg.finite.deviation_gain(game, policy, [2, 5], response, method="enumeration")
    assert_close(found.gain[:2], by_hand.gain, rtol=1e-9)
    # μ̃^N(s) = (1 + (N−1) μ(s))/N at one's own place, so R^N − R = (1 − μ(s))/N
    shift = (1 - np.asarray(mfg.propagate(game, policy)[1])) / 1e6
    assert_close(found.rewards[1, :, 0, 2] - game.reward_at(1, mfg.propagate(game, policy)[1])[:, 0], shift, rtol=1e-6)


def test_a_lattice_whose_mean_is_high_loses_no_values():
    """All numbers fit into the transform; the lowest ones must not be taken for others."""
    L = np.broadcast_to(np.array([0.0, 5.0, 1.0]), (3, 1, 3)).copy()
    reward = mfg.PairwiseReward(L, lambda t, x: jnp.abs(x - 1))
    game = mfg.FiniteHorizonGame(mfg.MovesKernel(np.arange(3)[:, None]), reward, [0.43, 0.57, 0.0], 1)
    numbers = np.array([2, 3, 4, 5, 8])
    found = mfg.finite.deviation_gain(game, np.ones((3, 1)), numbers)
    assert found.method == "lattice"
    exact = mfg.finite.deviation_gain(game, np.ones((3, 1)), numbers, method="enumeration")
    assert_close(found.rewards, exact.rewards, atol=1e-12)
    assert_close(found.value, exact.value, atol=1e-12)


@pytest.mark.parametrize("num_states", [3, 5, 7, 10, 13])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_that_round_above_1_are_no_trouble(num_states, dtype):
    """All go to one place: the sum of their shares is 1, or a little more."""
    with jax.enable_x64(dtype == np.float64):
        shares = np.full(num_states, 1 / num_states, dtype)
        one = np.ones((num_states, 1), dtype)
        reward = mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(0 * one, -one), lambda t, x: jnp.abs(x))
        game = mfg.FiniteHorizonGame(mfg.MovesKernel(np.zeros((num_states, 1), int)), reward, shares, 2)
        gain, law = mfg.finite.deviation_gain(game, one, 5), mfg.finite.law(game, one, 5)
    # at times 1 and 2 all are together and pay 1; at time 0 others are met with probability 1/S
    assert_close(gain.value, 2 + (1 + 4 / num_states) / 5, rtol=1e-6)
    assert_close(law.bound[1:], 0, atol=1e-7)
    assert_close(law.distance[1:], 0, atol=1e-7)


def test_one_place_and_many_agents_are_enumerated():
    game = mfg.FiniteHorizonGame(np.ones((1, 2, 1)), lambda t, m: jnp.sin(m[0]) * jnp.array([[1.0, 2.0]]), [1.0], 1)
    found = mfg.finite.deviation_gain(game, np.full((1, 2), 0.5), 3)
    assert found.method == "enumeration"
    assert_close([found.value, found.gain], [3 * np.sin(1), np.sin(1)], rtol=1e-12)


def test_rewards_without_a_limit_are_refused_by_place():
    reward = mfg.PairwiseReward(
        mfg.rewards.OwnStateInteraction(np.zeros((3, 1)), np.ones((3, 1))),
        lambda t, x: jnp.where(t > 0, -jnp.log(x), 0.0),
    )
    stay = np.broadcast_to(np.eye(3)[None, :2], (3, 2, 3)).copy()
    game = mfg.FiniteHorizonGame(stay, reward, [0.4, 0.3, 0.3], 2)
    always_first = np.zeros((3, 2))
    always_first[:, 0] = 1
    with pytest.raises(ValueError, match=r"not finite at \(time, state, action\) = \(1, 1, 0\)"):
        mfg.finite.deviation_gain(game, always_first, [2, 5])


def test_actions_that_are_not_available_may_earn_anything():
    mask = np.array([[True, False], [True, True]])

    def reward(t, m):
        return jnp.where(jnp.asarray(mask), m[:, None] * jnp.ones(2), -jnp.inf)

    kernel = mfg.MovesKernel([[0, -1], [0, 1]])
    game = mfg.FiniteHorizonGame(kernel, reward, [0.5, 0.5], 1, available=mask)
    found = mfg.finite.deviation_gain(game, [[1.0, 0.0], [0.5, 0.5]], [2, 3])
    assert np.isfinite(found.gain).all() and (np.asarray(found.gain) >= 0).all()


def test_more_bad_input_is_one_sentence():
    game = mfg.games.left_right()
    policy = np.full((3, 2), 0.5)
    for call in (mfg.finite.law, mfg.finite.deviation_gain):
        with pytest.raises(ValueError, match="`num_agents` is empty"):
            call(game, policy, [])
    with pytest.raises(ValueError, match="`num_agents` is 1, the deviator"):
        mfg.finite.simulate(game, policy, 1, 5, key=jax.random.key(0), deviation=policy, labelled=True)
    law = mfg.finite.law(game, policy, 3)
    for arguments, message in [
        ((1, 99, 0), "`t` is 99.0, but it must lie between 0 and 1"),
        ((1, 0, 7), "`state` is 7.0, but it must lie between 0 and 2"),
        ((1.5, 0, 0), "`count` is 1.5, but it must be a whole number"),
    ]:
        with pytest.raises(ValueError, match=message):
            law.probability(*arguments)
    opaque = mfg.FiniteHorizonGame(
        np.full((2, 2, 2), 0.5), lambda t, m: jnp.sin(m)[:, None], [0.5, 0.5], 1, available=np.ones((2, 2), bool)
    )
    with pytest.raises(ValueError, match="no exact method fits for populations up to 1e9"):
        mfg.finite.smallest_population(opaque, np.full((2, 2), 0.5), 0.1)


@pytest.mark.parametrize("of_pairs", [False, True])
def test_what_a_gather_fills_in_is_no_part_of_the_mean_field(of_pairs):
    """The reward sees μ(1), and 1 where it reads beyond the last state; all others are counted one by one."""

    def crowd(t, mu):
        return jnp.take(mu, jnp.array([1, 5]), mode="fill", fill_value=1.0)[:, None] * jnp.array([-1.0, -0.6])

    reward = mfg.PairwiseReward(crowd, mfg.rewards.Power(scale=1.0, exponent=2)) if of_pairs else crowd
    shares, policy = np.array([0.3, 0.7]), np.array([[0.2, 0.8], [0.9, 0.1]])
    game = mfg.FiniteHorizonGame(np.eye(2)[:, None].repeat(2, axis=1), reward, shares, 1)
    found = mfg.finite.deviation_gain(game, policy, 4)
    assert found.method == "closed form"
    value = 0.0
    for s in range(2):
        for k in range(4):  # of the three others in state 1
            chance = [1, 3, 3, 1][k] * 0.7**k * 0.3 ** (3 - k)
            seen = (k + (s == 1)) / 4 if s == 0 else 1.0
            pay = np.array([-seen, -0.6 * seen])
            value += 2 * shares[s] * chance * (policy[s] @ (pay**2 if of_pairs else pay))  # nobody moves
    assert_close(found.value, value, rtol=1e-12)


def test_a_class_of_ones_own_is_not_taken_for_its_parent():
    """A power with a cap is no polynomial, a table that is read backwards is no table."""

    class Capped(mfg.rewards.Power):
        def __call__(self, t, x):
            return jnp.minimum(super().__call__(t, x), 0.1)

    shares = np.array([0.3, 0.7])
    reward = mfg.PairwiseReward(
        mfg.rewards.OwnStateInteraction(np.zeros((2, 1)), np.ones((2, 1))), Capped(scale=1.0, exponent=2)
    )
    game = mfg.FiniteHorizonGame(np.eye(2)[:, None], reward, shares, 1)
    found = mfg.finite.deviation_gain(game, np.ones((2, 1)), 2)
    assert found.method != "closed form"
    # an agent sees half of all, or all, at its own state: both beyond the cap
    assert_close(found.value, 0.2, rtol=1e-12)
