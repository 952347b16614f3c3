"""Learners: updates against plain loops where nothing is random, draws against the laws, and where they get."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg
from mfgjax import learners

NEXT = np.array([[1, 2], [2, 3], [3, 0], [0, 1]])
PAY = np.array([[0.1, 0.9], [-0.3, 0.2], [0.4, -1.0], [0.0, 0.5]])
GREEDY = mfg.Trembling(0.0)

respond, propagate = eqx.filter_jit(mfg.respond), eqx.filter_jit(mfg.propagate)


def certain_game():
    """Deterministic moves from one state: with ε = 0 all agents are always together, and nothing is random."""
    return mfg.StationaryGame(mfg.MovesKernel(NEXT), PAY, 0.5, initial=[0.0, 1.0, 0.0, 0.0])


def update(q, visits, s, state_of=lambda s: s):
    """One step of Q-learning with α = n^−0.77, acting greedily: the next state."""
    a = int(np.argmax(q[state_of(s)]))
    after = NEXT[s, a]
    visits[state_of(s)][a] += 1
    target = PAY[s, a] + 0.5 * max(q[state_of(after)])
    q[state_of(s)][a] += visits[state_of(s)][a] ** -0.77 * (target - q[state_of(s)][a])
    return after


def test_tmfq_updates_as_equation_6_and_then_moves_the_population_once():
    q, s, crowd = np.zeros((4, 2)), 1, 1
    for _ in range(3):
        visits = np.zeros((4, 2))
        for _ in range(7):
            s = update(q, visits, s)
        crowd = NEXT[crowd, np.argmax(q[crowd])]
    found = learners.run(certain_game(), GREEDY, learners.TMFQ(7, 10, decay=0), 3)
    assert_close(found.state.q[0], q, atol=1e-14)
    assert_close(found.laws[0, -1], np.eye(4)[crowd], atol=1e-14)
    assert int(found.state.state[0]) == s
    assert_close(found.policy[0], np.eye(2)[q.argmax(axis=1)], atol=1e-15)


def test_independent_learners_update_their_own_values_with_their_own_moves():
    q, visits, s = np.zeros((4, 2)), np.zeros((4, 2)), 1
    for _ in range(20):
        s = update(q, visits, s)
    found = learners.run(certain_game(), GREEDY, learners.IQL(3), 20)
    assert found.state.q.shape == (1, 3, 1, 4, 2)
    for agent in range(3):
        assert_close(found.state.q[0, agent, 0], q, atol=1e-14)
    assert_close(found.laws[0, -1], np.eye(4)[s], atol=1e-14)


def test_mean_field_q_learning_keeps_values_for_every_bin_of_what_is_seen():
    """All are together, so what is seen of others after a move is where one is; the first look is at bin 0."""
    q, visits, s, seen = np.zeros((2, 4, 2)), np.zeros((2, 4, 2)), 1, 0
    for _ in range(20):
        a = int(np.argmax(q[seen, s]))
        after = NEXT[s, a]
        ahead = 0 if after < 2 else 1  # two bins of four states
        visits[seen, s, a] += 1
        target = PAY[s, a] + 0.5 * max(q[ahead, after])
        q[seen, s, a] += visits[seen, s, a] ** -0.77 * (target - q[seen, s, a])
        s, seen = after, ahead
    found = learners.run(certain_game(), GREEDY, learners.MFQ(3, bins=2, num_seen=2), 20)
    for agent in range(3):
        assert_close(found.state.q[0, agent], q, atol=1e-14)


@pytest.mark.parametrize("memory", ["running", "reset"])
def test_online_learning_solves_its_memory_and_keeps_the_values_of_what_it_does_not_hold(memory):
    q, held, s = np.zeros((4, 2)), set(), 1
    for _ in range(6):
        a = int(np.argmax(q[s]))
        held = {*held, (s, a)} if memory == "running" else {(s, a)}
        for _ in range(40):
            old = q.copy()
            for x, b in held:
                q[x, b] = PAY[x, b] + 0.5 * max(old[NEXT[x, b]])
        s = NEXT[s, a]
    found = learners.run(certain_game(), GREEDY, learners.OnlineTMFQ(5, memory), 6)
    assert_close(found.state.q[0], q, atol=1e-13)
    assert_close(found.laws[0, -1], np.eye(4)[s], atol=1e-14)


def test_model_based_learning_is_exact_where_moves_are_certain():
    game = certain_game()
    found = learners.run(game, mfg.Trembling(0.2), learners.GMBL(3), 5)
    z = game.initial
    for k in range(6):
        assert_close(found.laws[0, k], z, atol=1e-13)
        best = respond(game, z, mfg.Trembling(0.2))
        z = propagate(game, best.policy, z)
    assert_close(found.state.q[0], best.q, atol=1e-12)


def test_draws_have_the_law_of_the_kernel():
    """40,000 draws from each of three pairs: frequencies within 5 standard deviations; impossible states never come."""
    game = mfg.games.mturk()
    z, n = np.full(25, 1 / 25), 40_000
    draw = learners.GameSimulator(game)(z)
    for i, (s, a) in enumerate([(0, 0), (7, 3), (24, 4)]):
        drawn = np.bincount(draw(jax.random.key(i), jnp.full(n, s), jnp.full(n, a)), minlength=25) / n
        p = row_of(game, z, s, a)
        assert (np.abs(drawn - p) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-15).all()


def row_of(game, z, s, a):
    return np.asarray(game.kernel_at(0, z).expect(jnp.eye(25))[s, a])


def test_next_mean_field_is_unbiased_and_strata_make_it_sharper():
    game = mfg.games.mturk()
    z = np.full(25, 1 / 25)
    policy = respond(game, z, mfg.Trembling(0.1)).policy
    draw, exact = learners.GameSimulator(game)(z), np.asarray(propagate(game, policy, z))
    keys, spread = jax.random.split(jax.random.key(0), 300), {}
    for stratified in (False, True):
        estimate = jax.jit(
            jax.vmap(lambda key, how=stratified: learners.next_mean_field(draw, key, z, policy, 400, stratified=how))
        )
        laws = np.asarray(estimate(keys))
        assert_close(laws.sum(axis=1), 1, atol=1e-12)
        assert (np.abs(laws.mean(axis=0) - exact) <= 5 * np.sqrt(exact * (1 - exact) / (400 * 300))).all()
        spread[stratified] = laws.std(axis=0).sum()
    assert spread[True] < 0.9 * spread[False]


LONE = learners.IQL(20)


def test_a_simulator_of_ones_own_takes_the_place_of_the_kernel():
    """The kernel of the game stays put; the simulator leads everybody to state 2, and learners believe that."""
    game = mfg.StationaryGame(np.tile(np.eye(4)[:, None], (1, 2, 1)), PAY, 0.5)

    def lead(z):
        return lambda key, states, actions: jnp.full(jnp.shape(states), 2)

    found = learners.run(game, mfg.Trembling(0.1), learners.OnlineTMFQ(50), 4, simulator=lead)
    assert_close(found.laws[0, 1:], np.tile(np.eye(4)[2], (4, 1)), atol=1e-12)


def test_after_150_steps_shared_learning_has_arrived_and_lone_learners_have_not():
    """From z_0 uniform and Q_0 = 0, with 1,000 agents: the picture of the paper's figures 2 and 3."""
    game, response = mfg.games.infection_spread(0.05), mfg.Trembling(0.2)
    end = mfg.solve(game, response)
    apart = {}
    for name, learner in {"online": learners.OnlineTMFQ(1_000), "IQL": learners.IQL(1_000)}.items():
        found = learners.run(game, response, learner, 150, num_seeds=4)
        apart[name] = found.distance(end)[:, -1].mean()
        assert found.mean_state.shape == (4, 151)
    assert apart["online"] < 0.12
    assert apart["IQL"] > 0.2


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: learners.run(mfg.games.left_right(), GREEDY, LONE), "`game` must be a `StationaryGame`"),
        (lambda: learners.run(certain_game(), mfg.Greedy(), LONE), "`response` must be `Trembling"),
        (lambda: learners.run(certain_game(), mfg.Trembling(0.7), LONE), "`epsilon` is 0.7, but where 2 actions"),
        (lambda: learners.run(certain_game(), GREEDY, "IQL"), "`learner` must be a learner"),
        (lambda: learners.run(certain_game(), GREEDY, LONE, 0), "`num_steps` must be at least 1"),
        (lambda: learners.run(certain_game(), GREEDY, LONE, initial=[1.0, 1, 0, 0]), "`initial` sums to 2"),
        (lambda: learners.run(certain_game(), GREEDY, LONE, simulator=3), "`simulator` must be a callable"),
        (lambda: learners.OnlineTMFQ(memory="none"), "`memory` must be one of 'running', 'reset'"),
        (lambda: learners.TMFQ(rate=0.5), r"`rate` must be a callable \(visits\)"),
        (lambda: learners.IQL(rate=lambda n: jnp.ones(2)), r"`rate` must have shape \(\)"),
        (lambda: learners.Polynomial(0.5), r"`exponent` is 0.5, but it must lie in \(1/2, 1\)"),
    ],
)
def test_wrong_arguments_are_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_the_end_of_another_run_is_refused():
    first = learners.run(certain_game(), GREEDY, LONE, 2)
    with pytest.raises(ValueError, match="`resume` is 1 runs from seed 0; got `num_seeds=1`, `seed=1`"):
        learners.run(certain_game(), GREEDY, LONE, 2, seed=1, resume=first)
    for learner in (learners.GMBL(3), learners.IQL(3)):
        with pytest.raises(ValueError, match="`resume` is a run of another learner, game or precision than this"):
            learners.run(certain_game(), GREEDY, learner, 2, resume=first)
    with pytest.raises(ValueError, match="`resume` is a run of another learner, game or precision than this"):
        learners.run(mfg.games.mturk(), GREEDY, LONE, 2, resume=first)
    with pytest.raises(ValueError, match=r"`resume` must be what `learners\.run` returns; got 5"):
        learners.run(certain_game(), GREEDY, LONE, 2, resume=5)
