"""Values at discounts near 1 and with many states, alone and in lanes, against policy iteration with exact solves."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg as sparse
from helpers import assert_close

import mfgjax as mfg
from mfgjax.operators.chain import Chain, solve_values

RING = 700

respond = eqx.filter_jit(mfg.respond)


def around(S, is_ring=True):
    """Tables `[S, 3, 3]` of moves down, none and up, that are missed with probability .2."""
    places = np.arange(S)[:, None] + np.arange(-1, 2)
    places = places % S if is_ring else np.clip(places, 0, S - 1)
    return np.repeat(places[:, None], 3, axis=1), np.tile(0.7 * np.eye(3) + 0.1, (S, 1, 1))


def matrices(successors, probabilities):
    S, A, K = successors.shape
    own = np.repeat(np.arange(S), K)
    return [sp.csr_matrix((probabilities[:, a].ravel(), (own, successors[:, a].ravel())), (S, S)) for a in range(A)]


def game_and_plain(S, discount, rng, is_ring=True):
    successors, probabilities = around(S, is_ring)
    reward = rng.normal(size=(S, 1)) - np.array([0.1, 0.0, 0.1])
    game = mfg.StationaryGame(mfg.SuccessorKernel(successors, probabilities), reward, discount)
    return game, matrices(successors, probabilities), reward


def acting(q, kind):
    """Policy, the policy whose values are backed up, and what is taken off their rewards; β = 3, ε = .2."""
    A = q.shape[1]
    best = np.eye(A)[q.argmax(axis=1)]
    hand = np.where(best == 1, 0.8, 0.2 / (A - 1))
    soft = np.exp(3 * (q - q.max(axis=1, keepdims=True)))
    soft /= soft.sum(axis=1, keepdims=True)
    nothing = np.zeros_like(q)
    return {
        "Greedy": (best, best, nothing),
        "Trembling": (hand, hand, nothing),
        "EpsilonGreedy": (hand, best, nothing),
        "Boltzmann": (soft, best, nothing),
        "EntropyRegularized": (soft, soft, np.log(np.maximum(soft * A, 1e-300)) / 3),
    }[kind]


RESPONSES = {
    "Greedy": mfg.Greedy(),
    "Trembling": mfg.Trembling(0.2),
    "EpsilonGreedy": mfg.EpsilonGreedy(0.2),
    "Boltzmann": mfg.Boltzmann(3.0),
    "EntropyRegularized": mfg.EntropyRegularized(3.0),
}


def policy_iteration(moves, reward, discount, kind):
    """Values less that of state 0, that value, and the policy: W = r_π − g + γ P W with W(0) = 0, V(0) = g/(1 − γ)."""
    S = len(reward)
    relative, level = np.zeros(S), 0.0
    while True:
        q = reward + discount * np.stack([move @ relative for move in moves], axis=1)
        policy, weights, cost = acting(q, kind)
        mean = sum(sp.diags(weights[:, a]) @ moves[a] for a in range(len(moves)))
        matrix = (sp.eye(S) - discount * mean).tolil()
        matrix[:, 0] = 1.0  # in the place of W(0), which is 0, the gain of a step
        found = sparse.spsolve(matrix.tocsc(), (weights * (reward - cost)).sum(axis=1))
        level, after = found[0] / (1 - discount), np.concatenate([[0.0], found[1:]])
        if np.abs(after - relative).max() <= 1e-11 * (1 + np.abs(after).max()):
            return after, level, policy
        relative = after


@pytest.mark.parametrize("discount", [0.99999, 0.999999])
@pytest.mark.parametrize("kind", RESPONSES)
def test_values_on_a_ring_of_700_states_are_right_at_discounts_near_1(kind, discount):
    game, moves, reward = game_and_plain(RING, discount, np.random.default_rng(3))
    relative, level, policy = policy_iteration(moves, reward, discount, kind)
    found = respond(game, game.initial, RESPONSES[kind])
    values = np.asarray(found.values)
    # the constant to its own rounding, differences to that of numbers of its size
    assert_close(values[0], level, rtol=1e-10)
    assert_close(values - values[0], relative, atol=4 * np.spacing(abs(level)) + 1e-8)
    assert_close(found.policy, policy, atol=1e-8)


@pytest.mark.parametrize("kind", RESPONSES)
def test_lanes_are_as_exact_as_one_problem_alone(kind):
    """Of one game at four discounts, also where lanes look for no more than the policy: at .99999 by its values."""
    discounts = np.array([0.5, 0.99, 0.9999, 0.99999])
    game, moves, reward = game_and_plain(60, 0.9, np.random.default_rng(4))
    found = mfg.solve_batch(game, RESPONSES[kind], mfg.Picard(), axes={"discount": discounts}, max_steps=2)
    for k, discount in enumerate(discounts):
        relative, level, policy = policy_iteration(moves, reward, discount, kind)
        values = np.asarray(found.values)[..., k]
        assert_close(values[0], level, rtol=1e-10)
        assert_close(values - values[0], relative, atol=1e-8)
        assert_close(np.asarray(found.policy)[..., k], policy, atol=1e-8)


def test_a_large_ring_is_solved_in_lanes():
    discounts = np.array([0.9, 0.99999])
    game, moves, reward = game_and_plain(RING, 0.9, np.random.default_rng(3))
    found = mfg.solve_batch(game, mfg.Greedy(), mfg.Picard(), axes={"discount": discounts}, max_steps=1)
    for k, discount in enumerate(discounts):
        relative, level, _ = policy_iteration(moves, reward, discount, "Greedy")
        values = np.asarray(found.values)[..., k]
        assert_close(values[0], level, rtol=1e-10)
        assert_close(values - values[0], relative, atol=1e-8)


@pytest.mark.parametrize("discount", [0.95, 0.99999])
def test_values_of_4000_states_with_two_successors_each_are_right(discount):
    rng = np.random.default_rng(5)
    S, A = 4000, 3
    successors, probabilities = rng.integers(0, S, (S, A, 2)), rng.dirichlet(np.ones(2), size=(S, A))
    reward = rng.normal(size=(S, A))
    game = mfg.StationaryGame(mfg.SuccessorKernel(successors, probabilities), reward, discount)
    values = np.asarray(respond(game, game.initial, mfg.Greedy()).values)
    moves = matrices(successors, probabilities)
    # the residual of the optimality equation, with the constant split off: errors of differences are 1/(1 − γλ) times
    # that, with λ < .8 on random graphs; the constant is off by 1/(1 − γ) times that
    relative = values - values.mean()
    backed = (reward + discount * np.stack([move @ relative for move in moves], axis=1)).max(axis=1)
    change = backed - relative
    assert np.ptp(change) < 64 * np.spacing(np.abs(values).max()) + 1e-13
    assert_close(change.mean() / (1 - discount), values.mean(), rtol=1e-10)


def test_values_of_a_dense_kernel_are_right():
    rng = np.random.default_rng(6)
    S, A, discount = 300, 5, 0.9999
    table, reward = rng.dirichlet(np.ones(S), size=(S, A)), rng.normal(size=(S, A))
    values = np.asarray(respond(mfg.StationaryGame(table, reward, discount), np.full(S, 1 / S), mfg.Greedy()).values)
    q = reward + discount * table @ values
    best = table[np.arange(S), q.argmax(axis=1)]
    expected = np.linalg.solve(np.eye(S) - discount * best, reward[np.arange(S), q.argmax(axis=1)])
    assert (reward + discount * table @ expected <= expected[:, None] + 1e-9).all()  # no action is better
    assert_close(values, expected, rtol=1e-11)


def test_the_law_of_a_slow_walk_on_1000_states_is_that_of_detailed_balance():
    """Up with .1 + .7 u(s), down with .1 + .7 (.9 − u(s)): slow, as up and down nearly balance."""
    S = 1000
    rng = np.random.default_rng(7)
    successors, probabilities = around(S, is_ring=False)
    game = mfg.StationaryGame(mfg.SuccessorKernel(successors, probabilities), np.zeros((S, 3)), 0.9)
    lean = 0.45 + 0.01 * rng.normal(size=S)
    policy = np.stack([0.9 - lean, np.full(S, 0.1), lean], axis=1)
    up, down = 0.1 + 0.7 * policy[:, 2], 0.1 + 0.7 * policy[:, 0]
    law = np.exp(np.concatenate([[0.0], np.cumsum(np.log(up[:-1]) - np.log(down[1:]))]))
    found = mfg.propagate(game, policy)
    assert_close(found, law / law.sum(), atol=1e-10)


def test_single_precision_says_that_it_does_not_reach_these_values():
    with jax.enable_x64(False):
        codes = []
        for discount in (0.9, 0.99999):
            table = np.full((50, 2, 50), 1 / 50, np.float32)
            table[:, 0] = 0.999 * np.eye(50) + 0.001 / 50
            reward = np.linspace(0, 1, 50, dtype=np.float32)[:, None] - np.array([0, 0.1], np.float32)
            game = mfg.StationaryGame(table, reward, discount)
            found = mfg.solve(game, mfg.EntropyRegularized(1.0), throw=False)
            assert found.values.dtype == np.float32
            codes.append(found.result.name)
        assert codes == ["converged", "values_inexact"]
        assert "double precision" in found.result.message


@pytest.mark.parametrize("kind", ["EntropyRegularized", "Greedy"])
def test_values_at_discount_9999_have_the_derivatives_of_the_oracle(kind):
    """In rewards, the discount, and how often moves miss, by differences of values found by the oracle."""
    S, discount = 40, 0.9999
    rng = np.random.default_rng(8)
    successors, probabilities = around(S)
    reward, toward, weights = rng.normal(size=(S, 3)), rng.normal(size=(S, 3)), rng.normal(size=S)
    weights = weights - weights.mean() + 1e-3  # differences of values count, and their level
    missed = np.full_like(probabilities, 1 / 3)
    kernel = mfg.SuccessorKernel(successors, probabilities)

    def value(x):
        table = (1 - x[2]) * probabilities + x[2] * missed
        game = mfg.StationaryGame(kernel.with_probabilities(table), reward + x[0] * toward, discount + x[1])
        return weights @ mfg.respond(game, jnp.full(S, 1 / S), RESPONSES[kind]).values

    def plainly(x):
        table = (1 - x[2]) * probabilities + x[2] * missed
        moves = matrices(successors, table)
        relative, level, _ = policy_iteration(moves, reward + x[0] * toward, discount + x[1], kind)
        return weights @ relative + weights.sum() * level

    found = jax.jit(jax.grad(value))(jnp.zeros(3))
    for i, step in enumerate((1e-4, 1e-7, 1e-4)):
        e = np.eye(3)[i] * step
        expected = (plainly(e) - plainly(-e)) / (2 * step)
        assert_close(found[i], expected, rtol=1e-4)


def test_rows_that_sum_to_1_up_to_rounding_count_as_normalised():
    # state 1 pays 1 and is left with probability 1/4; from 0 an agent comes there with `up`; the first row is too long
    discount, beta, up = 1 - 2.0**-20, 1.0, np.array([0.25, 0.5])
    stay = np.array([0.75 + 2.0**-52, 0.5])
    kernel = np.array([np.stack([stay, up], axis=1), [[0.25, 0.75], [0.25, 0.75]]])
    reward = np.array([[0.0, 0.0], [1.0, 1.0]])
    found = mfg.solve(mfg.StationaryGame(kernel, reward, discount), mfg.EntropyRegularized(beta))
    # h = V(1) − V(0) = 1 + γ (3/4) h − (1/β) log mean_a exp(β γ up h), by bisection in extended precision
    g, rows = np.longdouble(discount), up.astype(np.longdouble)
    rows = rows / (rows + stay)
    low, high = np.longdouble(0), np.longdouble(4)
    for _ in range(80):
        h = (low + high) / 2
        weights = np.exp(beta * g * rows * h)
        low, high = (h, high) if 1 + g * 3 / 4 * h - np.log(weights.mean()) / beta > h else (low, h)
    rate = weights @ rows / weights.sum()
    # values are near a million: rows taken as they are would move the policy by 2e-16 of that
    assert abs(float(found.mean_field[1]) - rate / (rate + 0.25)) < 1e-15


def test_many_right_hand_sides_of_a_large_chain_share_its_matrix():
    """Mapped over right-hand sides, no matrix is made for each: of 1,100 states that would be 10 MB every time."""
    size, discount = 1100, 0.95
    rng = np.random.default_rng(3)
    steps = np.stack([np.clip(np.arange(size) + step, 0, size - 1) for step in (-1, 1)], axis=1)
    policy = rng.dirichlet(np.ones(2), size=size)
    kernel = mfg.MovesKernel(steps).at(0)
    chain = Chain(kernel, jnp.asarray(policy), jnp.asarray(discount))
    moves = np.zeros((size, size))
    for state in range(size):
        for action in range(2):
            moves[state, steps[state, action]] += policy[state, action]
    right = rng.normal(size=(40, size))
    solved = jax.jit(jax.vmap(lambda b: solve_values(chain, b)))
    program = solved.lower(right).compile()
    np.testing.assert_allclose(program(right).T, np.linalg.solve(np.eye(size) - discount * moves, right.T), atol=1e-12)
    assert program.memory_analysis().temp_size_in_bytes < 8 * 8 * size**2  # a few matrices, not one for each of 40
