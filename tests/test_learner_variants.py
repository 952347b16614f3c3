"""The variants of learners against plain loops: of 200 runs each, with random numbers of their own.

Means over runs differ by at most 5 standard errors of their difference.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mfgjax as mfg
from mfgjax import learners

RUNS, STEPS, EPSILON, DISCOUNT = 200, 3, 0.2, 0.6
MOVES = 8  # of agents who learn alone
RNG = np.random.default_rng(5)
NEAR, FAR = RNG.dirichlet(np.ones(3), size=(2, 3, 2))
PAY = RNG.uniform(-1, 1, (3, 2))
START = np.array([0.5, 0.2, 0.3])
TABLE = np.array([[0.3, -0.2], [0.1, 0.1], [-0.4, 0.5]])


def moves(z):
    return (1 - z[2]) * NEAR + z[2] * FAR


def pay(z):
    return PAY + z[1] * np.array([[0.4, -0.4]])


@functools.cache
def game():
    return mfg.StationaryGame(moves, pay, DISCOUNT, initial=START)


def hand(q, tie):
    """The policy of a row of two values, and its worth."""
    best = int(np.argmax(q)) if tie == "smallest" else len(q) - 1 - int(np.argmax(q[::-1]))
    policy = np.full(len(q), EPSILON / (len(q) - 1))
    policy[best] = 1 - EPSILON
    return policy, policy @ q


def draw(rng, p):
    return int(np.searchsorted(np.cumsum(p), rng.uniform() * np.sum(p), side="right"))


def law_of(states):
    return np.bincount(states, minlength=3) / len(states)


def tmfq(rng, tie, most, q0, decay=0.98, restart=False, tolerance=None):
    """Algorithm 2, with Next-MF of 50 draws."""
    z, q, visits = START, q0.copy(), np.zeros((3, 2))
    s = draw(rng, z)
    for _ in range(STEPS):
        visits *= decay
        if restart:
            q, visits, s = q0.copy(), np.zeros((3, 2)), draw(rng, z)
        for _ in range(most):
            a = draw(rng, hand(q[s], tie)[0])
            after = draw(rng, moves(z)[s, a])
            visits[s, a] += 1
            change = visits[s, a] ** -0.77 * (pay(z)[s, a] + DISCOUNT * hand(q[after], tie)[1] - q[s, a])
            q[s, a] += change
            s = after
            if tolerance is not None and abs(change) < tolerance:
                break
        joint = z[:, None] * np.array([hand(row, tie)[0] for row in q])
        pairs = rng.choice(6, size=50, p=joint.ravel())
        z = law_of([draw(rng, moves(z)[pair // 2, pair % 2]) for pair in pairs])
    return q, z


def alone(rng, tie, q0, bins, num_seen):
    """Four agents with values of their own; with one bin they do not look at each other."""
    states = np.array([draw(rng, START) for _ in range(4)])
    q, visits = np.tile(q0, (4, bins, 1, 1)), np.zeros((4, bins, 3, 2))

    def look(states):
        return [int(states[rng.integers(0, 4, num_seen)].mean() / 3 * bins + 1e-12) for _ in states]

    seen = look(states)
    for _ in range(MOVES):
        z = law_of(states)
        actions = [draw(rng, hand(q[i, seen[i], states[i]], tie)[0]) for i in range(4)]
        after = np.array([draw(rng, moves(z)[s, a]) for s, a in zip(states, actions, strict=True)])
        ahead = look(after)
        for i, (s, a) in enumerate(zip(states, actions, strict=True)):
            place = (i, seen[i], s, a)
            visits[place] += 1
            target = pay(z)[s, a] + DISCOUNT * hand(q[i, ahead[i], after[i]], tie)[1]
            q[place] += visits[place] ** -0.77 * (target - q[place])
        states, seen = after, ahead
    return q.mean(axis=(0, 1)), law_of(states)


def online(rng, tie, q0, decay, num_updates):
    """Algorithm 3 with 6 agents: TQ-learning of all pairs at once, from moves that are drawn from the memory."""
    states, q, memory = [draw(rng, START) for _ in range(6)], q0.copy(), np.zeros((3, 2, 3))
    for _ in range(STEPS):
        z, memory = law_of(states), decay * memory
        after = []
        for s in states:
            a = draw(rng, hand(q[s], tie)[0])
            after.append(draw(rng, moves(z)[s, a]))
            memory[s, a, after[-1]] += 1
        for n in range(1, num_updates + 1):
            old = q.copy()
            for s, a in np.ndindex(3, 2):
                if memory[s, a].sum() > 0:
                    target = pay(z)[s, a] + DISCOUNT * hand(old[draw(rng, memory[s, a])], tie)[1]
                    q[s, a] = old[s, a] + n**-0.77 * (target - old[s, a])
        states = after
    return q, law_of(states)


ZERO = np.zeros((3, 2))
VARIANTS = {
    "TMFQ": (learners.TMFQ(12, 50), "smallest", lambda rng, tie: tmfq(rng, tie, 12, ZERO)),
    "TMFQ as printed": (
        learners.TMFQ(12, 50, restart=True, tolerance=0.2, initial_q=TABLE),
        "largest",
        lambda rng, tie: tmfq(rng, tie, 12, TABLE, restart=True, tolerance=0.2),
    ),
    "IQL": (learners.IQL(4), "largest", lambda rng, tie: alone(rng, tie, ZERO, 1, 1)),
    "MFQ": (
        learners.MFQ(4, bins=2, num_seen=3, initial_q=TABLE),
        "smallest",
        lambda rng, tie: alone(rng, tie, TABLE, 2, 3),
    ),
    "online TMFQ": (
        learners.OnlineTMFQ(6, decay=0.5, num_updates=4, initial_q=0.7),
        "smallest",
        lambda rng, tie: online(rng, tie, ZERO + 0.7, 0.5, 4),
    ),
    "online TMFQ as printed": (
        learners.OnlineTMFQ(6, "reset", num_updates=3),
        "smallest",
        lambda rng, tie: online(rng, tie, ZERO, 0.0, 3),
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_means_are_those_of_plain_loops(name):
    learner, tie, loop = VARIANTS[name]
    steps = MOVES if name in ("IQL", "MFQ") else STEPS
    run = learners.run(game(), mfg.Trembling(EPSILON, tie=tie), learner, steps, num_seeds=RUNS)
    q = np.asarray(run.state.q)
    found = np.concatenate([q.mean(axis=tuple(range(1, q.ndim - 2))).reshape(RUNS, -1), run.laws[:, -1]], axis=1)
    rng = np.random.default_rng(0)
    expected = np.array([np.concatenate([x.ravel() for x in loop(rng, tie)]) for _ in range(RUNS)])
    error = np.sqrt((found.var(axis=0) + expected.var(axis=0)) / RUNS)
    assert (np.abs(found.mean(axis=0) - expected.mean(axis=0)) <= 5 * error + 1e-12).all()
    assert error.max() < 0.07  # small enough to tell variants apart


def test_the_stop_is_met_by_accident_long_before_values_are_right():
    run = learners.run(game(), mfg.Trembling(EPSILON), learners.TMFQ(10_000, 10, tolerance=0.05), 2, num_seeds=20)
    used = np.asarray(run.state.num_updates)
    assert used.min() >= 1 and used.max() < 200


def test_options_without_effect_are_refused():
    for call, sentence in [
        (lambda: learners.TMFQ(decay=0.5, restart=True), "`decay` is without effect with `restart=True`"),
        (lambda: learners.OnlineTMFQ(memory="reset", decay=0.5), '`decay` is without effect with `memory="reset"`'),
        (lambda: learners.OnlineTMFQ(sweeps=3, num_updates=3), "`sweeps` and `num_updates` are two ways"),
        (lambda: learners.OnlineTMFQ(rate=lambda n: 1 / n), "`rate` is without effect without `num_updates`"),
        (lambda: learners.TMFQ(tolerance=0), r"`tolerance` is 0.0, but it must lie in \(0, inf\)"),
        (lambda: learners.IQL(initial_q=np.zeros(3)), r"`initial_q` must have shape \(any, any\)"),
        (lambda: learners.IQL(initial_q=np.inf), "`initial_q` is inf, but it must be a finite number"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            call()
    run = learners.run(game(), mfg.Trembling(EPSILON), VARIANTS["IQL"][0], 1)
    with pytest.raises(ValueError, match="`initial` is without effect with `resume`"):
        learners.run(game(), mfg.Trembling(EPSILON), VARIANTS["IQL"][0], 1, resume=run, initial=START)
    for kind in (learners.IQL, learners.MFQ, learners.OnlineTMFQ, learners.TMFQ):
        with pytest.raises(ValueError, match=r"`initial_q` must have shape \(\) or \(3, 2\)"):
            learners.run(game(), mfg.Trembling(EPSILON), kind(5, initial_q=np.zeros((2, 3))), 1)


BIG = 2**31


def test_sizes_beyond_int32_are_refused_with_a_sentence():
    response = mfg.Trembling(EPSILON)

    def run(learner, *arguments, **options):
        return learners.run(game(), response, learner, *arguments, **options)

    for call, name in [
        (lambda: learners.TMFQ(BIG), "num_updates"),
        (lambda: learners.TMFQ(1, BIG), "num_samples"),
        (lambda: learners.GMBL(BIG), "num_samples"),
        (lambda: learners.IQL(BIG), "num_agents"),
        (lambda: learners.MFQ(BIG), "num_agents"),
        (lambda: learners.MFQ(bins=BIG), "bins"),
        (lambda: learners.MFQ(num_seen=BIG), "num_seen"),
        (lambda: learners.OnlineTMFQ(BIG), "num_agents"),
        (lambda: learners.OnlineTMFQ(sweeps=BIG), "sweeps"),
        (lambda: learners.OnlineTMFQ(num_updates=BIG), "num_updates"),
        (lambda: run(learners.IQL(1), BIG), "num_steps"),
        (lambda: run(learners.IQL(1), 1, num_seeds=BIG), "num_seeds"),
        (lambda: learners.covering_time(game(), response, START, max_steps=BIG), "max_steps"),
        (lambda: learners.covering_time(game(), response, START, num_chains=BIG), "num_chains"),
        (lambda: learners.estimate_constants(game(), response, num_laws=BIG), "num_laws"),
    ]:
        with pytest.raises(ValueError, match=f"`{name}` is 2147483648, but counts and indices are int32"):
            call()
    with pytest.raises(ValueError, match="action values of 1000000000 agents: an array of 6000000000 numbers"):
        run(learners.IQL(10**9))
    with pytest.raises(ValueError, match="`num_agents` · `num_seen`: an array of 2500000000 numbers"):
        run(learners.MFQ(10**8))
    with pytest.raises(ValueError, match=r"`seed` is 4294967296, but it must be below 2\*\*32"):
        run(learners.IQL(1), seed=2**32)


def test_a_table_of_moves_beyond_int32_is_refused_with_a_sentence():
    S, A = 1300, 1300  # the kernel itself is small: one move for each pair
    large = mfg.StationaryGame(mfg.MovesKernel(np.zeros((S, A), int)), np.zeros((S, A)), 0.5)
    with pytest.raises(ValueError, match="table of 2197000000 numbers, more than int32 can index"):
        learners.GameSimulator(large)(large.initial)


def test_many_agents_in_single_precision_are_counted_exactly():
    """A million times 1/n misses by a percent in float32, and 2^25 + 1 is 2^25."""
    n = 1_000_000
    law = learners.sampling.histogram(jnp.zeros(n, jnp.int32).at[:4].set(1), 3, jnp.float32)
    assert law.dtype == jnp.float32
    np.testing.assert_array_equal(np.asarray(law), np.array([(n - 4) / n, 4 / n, 0], np.float32))
    single = mfg.StationaryGame(np.ones((1, 1, 1), np.float32), np.zeros((1, 1), np.float32), np.float32(0.5))
    learner = learners.OnlineTMFQ(8, decay=1.0)
    run = learners.run(single, mfg.Trembling(np.float32(0)), learner, 1)
    before = run.state._replace(memory=jnp.full((1, 1, 1, 1), 2.0**25, jnp.float32))
    resumed = dataclasses.replace(run, state=before)
    after = learners.run(single, mfg.Trembling(np.float32(0)), learner, 1, resume=resumed)
    assert after.state.memory.dtype == jnp.float32 and float(after.state.memory.sum()) == 2**25 + 8


@pytest.mark.parametrize("highest", [1 - 2.0**-24, 1 - 2.0**-53])
def test_what_is_impossible_is_never_drawn_however_sums_are_rounded(monkeypatch, highest):
    """Ten probabilities that sum to a little less than 1: the largest random number lies between."""
    dtype = jnp.float32 if highest < 1 - 2.0**-50 else jnp.float64
    row = np.append(np.full(10, 0.1 * (1 - 8 * (1 - highest))), [0.0, 0.0])
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape, dtype=dtype: jnp.full(shape, highest, dtype))
    rows = jnp.asarray(row, dtype)
    assert float(jnp.cumsum(rows)[-1]) < highest
    assert int(learners.sampling.draw_actions(jax.random.key(0), rows[None])[0]) == 9
    drawn = learners.sampling.table_draw(jnp.tile(rows, (12, 1, 1)))(jax.random.key(0), jnp.array([3]), jnp.array([0]))
    assert int(drawn[0]) == 9
    monkeypatch.setattr(jax.random, "split", lambda key: (key, key))
    where = learners.next_mean_field(lambda key, s, a: s, jax.random.key(0), rows, jnp.ones((12, 1), dtype), 1)
    np.testing.assert_array_equal(where, np.eye(12)[9])
