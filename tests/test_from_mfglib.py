"""Environments of MFGLib as games: stand-ins in NumPy against plain loops, and MFGLib itself where it is installed."""

import importlib.util
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import assert_close
from oracle import PlainGame

import mfgjax as mfg
from mfgjax import games


def environment(T, S, A, mu0, reward, prob):
    """What has the attributes of `mfglib.env.Environment`; `reward` and `prob` are functions (t, L_t) in NumPy."""
    return SimpleNamespace(T=T, S=S, A=A, mu0=np.asarray(mu0), reward=reward, prob=prob)


def left_right():
    """As `Environment.left_right()`, from Cui and Koeppl (2021): start at 0, choose 1 or 2, both are crowded."""
    P = np.zeros((3, 3, 2))
    P[1, :, 0] = P[2, :, 1] = 1

    def reward(t, L):
        mu, pay = L.sum(1), np.zeros((3, 2))
        pay[1], pay[2] = -mu[1], -2 * mu[2]
        return pay

    return environment(1, (3,), (2,), [1.0, 0.0, 0.0], reward, lambda t, L: P)


def infection(T):
    """As `Environment.susceptible_infected()`: who goes out catches it from those who are infected."""
    pay = np.array([[0.0, -0.5], [-1.0, -1.5]])

    def prob(t, L):
        caught = 0.81 * L.sum(1)[1]
        P = np.zeros((2, 2, 2))
        P[:, 1, :] = [[0.3, 0.3], [0.7, 0.7]]
        P[:, 0, 0] = [1 - caught, caught]
        P[:, 0, 1] = [1, 0]
        return P

    return environment(T, (2,), (2,), [0.4, 0.6], lambda t, L: pay, prob)


def factory(rng, T=3):
    """Two axes of states and of actions; payoffs are linear in the joint law and change over time."""
    S, A = (2, 3), (2, 2)
    base, slope = rng.standard_normal((T + 1, *S, *A)), rng.standard_normal((T + 1, *S, *A, *S, *A))
    P = np.moveaxis(rng.dirichlet(np.ones(6), (T, *S, *A)).reshape(T, *S, *A, *S), (5, 6), (1, 2))
    mu0 = rng.dirichlet(np.ones(6)).reshape(S)
    return environment(T, S, A, mu0, lambda t, L: base[t] + np.tensordot(slope[t], L, 4), lambda t, L: P[t])


def plain(env):
    """The same game for the oracle, with one axis of states and one of actions."""
    S, A = int(np.prod(env.S)), int(np.prod(env.A))

    def kernel(t, L):
        rows = env.prob(t, L.reshape(*env.S, *env.A)).reshape(S, S, A)
        return np.array([[[rows[n, s, a] for n in range(S)] for a in range(A)] for s in range(S)])

    mask = np.ones((env.T + 1, S, A), bool)
    return PlainGame(
        kernel,
        lambda t, L: env.reward(t, L.reshape(*env.S, *env.A)).reshape(S, A),
        env.mu0.reshape(-1),
        env.T,
        mask,
        joint=True,
    )


@pytest.mark.parametrize("env", [left_right(), infection(4), factory(np.random.default_rng(0))], ids=["a", "b", "c"])
def test_equilibria_are_those_of_plain_loops(env):
    game, other = games.from_mfglib(env), plain(env)
    assert game.observes == "state_actions" and game.horizon == env.T
    response = oracle.soft(0.5, oracle.uniform_reference(other))
    found = mfg.solve(game, mfg.EntropyRegularized(0.5))
    assert_close(found.mean_field, oracle.equilibrium(other, response), atol=1e-8)


def test_left_right_has_its_known_equilibrium():
    game = games.from_mfglib(left_right(), observes="states")
    assert_close(mfg.solve(game, mfg.Greedy()).mean_field[1], [0, 2 / 3, 1 / 3], atol=2e-4)  # its tolerance
    response = mfg.EntropyRegularized(2.0)
    assert_close(mfg.solve(game, response).mean_field, mfg.solve(games.left_right(), response).mean_field, atol=1e-8)


def test_states_and_actions_of_several_axes_are_numbered_in_order():
    game = games.from_mfglib(factory(np.random.default_rng(0)))
    assert game.state_labels == ("0,0", "0,1", "0,2", "1,0", "1,1", "1,2")
    assert game.action_labels == ("0,0", "0,1", "1,0", "1,1")
    assert game.kernel.num_times == 3


def test_transitions_that_depend_on_the_crowd_are_stable_over_a_long_time():
    """Rows that were multiples of Σ L would double its rounding at every step: 1e-16 · 2^100."""
    env = infection(100)
    game, other = games.from_mfglib(env, observes="states"), plain(env)
    policy = np.random.default_rng(1).dirichlet(np.ones(2), (101, 2))
    assert_close(mfg.propagate(game, policy), oracle.spread(other, policy)[0], atol=1e-12)


def test_equilibria_are_differentiable_and_swept():
    game = games.from_mfglib(infection(4))
    ds = mfg.sweep(game, beta=[0.5, 1.0], progress=False)
    assert (ds.result_code == 0).all()

    def ill(beta):
        return mfg.solve(game, mfg.EntropyRegularized(beta)).mean_field[-1, 1].sum()

    slope = (ill(1.0 + 1e-4) - ill(1.0 - 1e-4)) / 2e-4
    assert_close(jax.grad(ill)(1.0), slope, rtol=1e-5)


def beach(T=3, n=4):
    """As `Environment.beach_bar()`: −log of the crowd, which is not linear."""
    away = np.abs(np.arange(n) - 2.0)
    P = np.zeros((n, n, 3))
    for s in range(n):
        for a in range(3):
            for step, chance in zip((-1, 0, 1), (0.25, 0.5, 0.25), strict=True):
                P[min(max(s + a - 1 + step, 0), n - 1), s, a] += chance

    def reward(t, L):
        return -away[:, None] - np.array([1, 0, 1]) / n - np.log(L.sum(1) + 1e-20)[:, None]

    return environment(T, (n,), (3,), np.full(n, 1 / n), reward, lambda t, L: P)


def beach_reward(t, mean_field):
    mu = mean_field if mean_field.ndim == 1 else mean_field.sum(axis=1)
    away, effort = jnp.abs(jnp.arange(len(mu)) - 2.0), jnp.array([1, 0, 1]) / len(mu)
    return -away[:, None] - effort - jnp.log(mu + 1e-20)[:, None]


@pytest.mark.parametrize("observes", ["states", "state_actions"])
def test_a_reward_that_is_written_again_in_jax_is_taken_when_it_agrees(observes):
    env = beach()
    game, other = games.from_mfglib(env, reward=beach_reward, observes=observes), plain(env)
    found = mfg.solve(game, mfg.Boltzmann(0.5))
    response = oracle.softmax_of_greedy(0.5, oracle.uniform_reference(other))
    assert_close(found.state_law, oracle.equilibrium(other, response).sum(axis=2), atol=1e-8)


def test_moves_to_few_states_are_kept_as_lists():
    env = beach(n=12)
    game, other = games.from_mfglib(env, reward=beach_reward, observes="states"), plain(env)
    assert isinstance(game.kernel, mfg.SuccessorKernel) and game.kernel.probabilities.shape == (1, 12, 3, 3)
    policy = np.random.default_rng(1).dirichlet(np.ones(3), (4, 12))
    assert_close(mfg.propagate(game, policy), oracle.spread(other, policy)[0], atol=1e-14)


def without(name):
    env = left_right()
    delattr(env, name)
    return env


def changed(**fields):
    return SimpleNamespace(**{**vars(left_right()), **fields})


def two_actions_matter(t, L):
    return np.full((3, 2), L[0, 1])


REFUSED = {
    "a logarithm": (
        lambda: games.from_mfglib(beach()),
        "`env.reward` is not linear in the mean field (at t = 0, state 0, action 0), and JAX cannot compile "
        "functions of PyTorch: give it as `reward`, a callable (t, mean_field) -> [S, A].",
    ),
    "bends at the last time": (
        lambda: games.from_mfglib(changed(reward=lambda t, L: np.tile(L.sum(1)[:, None] ** (1 + t), 2))),
        "is not linear in the mean field (at t = 1, state 0, action 0)",
    ),
    "a kink that few populations see": (
        lambda: games.from_mfglib(changed(reward=lambda t, L: np.full((3, 2), max(0.0, L[2, 1] - 0.95)))),
        "`env.reward` is no linear function of the mean field",
    ),
    "moves by a softmax": (
        lambda: games.from_mfglib(
            changed(prob=lambda t, L: np.tile(np.exp(L.sum(1)) / np.exp(L.sum(1)).sum(), (2, 3, 1)).T)
        ),
        "`env.prob` is not linear in the mean field (at t = 0, state 0, action 0)",
    ),
    "actions that count": (
        lambda: games.from_mfglib(changed(reward=two_actions_matter), observes="states"),
        "no linear function of the law of the states alone (if actions matter, use `observes='state_actions'`)",
    ),
    "another reward": (
        lambda: games.from_mfglib(beach(), reward=lambda t, L: beach_reward(t, L) + 1e-3 * (t == 2)),
        "`reward` is -0.8627056 at t = 2, [0, 0], but `env.reward` is -0.8637056 in the same population.",
    ),
    "another kernel": (
        lambda: games.from_mfglib(left_right(), kernel=np.full((3, 2, 3), 1 / 3)),
        "`kernel` is 0.3333333 at t = 0, [0, 0, 0], but `env.prob` is 0 in the same population.",
    ),
    "no environment": (lambda: games.from_mfglib(3), "`env` must be an `mfglib.env.Environment`; 3 has no `T`."),
    "no law": (lambda: games.from_mfglib(without("mu0")), "has no `mu0`"),
    "no time": (lambda: games.from_mfglib(changed(T=0)), "`env.T` must be at least 1; got 0."),
    "a law of another shape": (
        lambda: games.from_mfglib(changed(mu0=np.ones(2) / 2)),
        "`env.mu0` must have shape (3,)",
    ),
    "no law at all": (lambda: games.from_mfglib(changed(mu0=np.ones(3))), "`env.mu0` has no probabilities at [0]"),
    "no probabilities": (
        lambda: games.from_mfglib(changed(prob=lambda t, L: np.ones((3, 3, 2)))),
        "`env.prob(0, L)` has no probabilities at [0, 0]: they sum to 3.",
    ),
    "a negative one": (
        lambda: games.from_mfglib(
            changed(prob=lambda t, L: np.tile(np.array([1.5, -0.5, 0.0])[:, None, None], (3, 2)))
        ),
        "`env.prob(0, L)` has no probabilities at [0, 0]: one is -0.5.",
    ),
    "rewards of another shape": (
        lambda: games.from_mfglib(changed(reward=lambda t, L: np.zeros(3))),
        "`env.reward(0, L)` must have shape (3, 2)",
    ),
    "no number": (
        lambda: games.from_mfglib(changed(reward=lambda t, L: np.full((3, 2), np.nan))),
        "`env.reward` is not linear in the mean field",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_taken_over_is_refused_in_a_sentence(what):
    call, sentence = REFUSED[what]
    with pytest.raises(ValueError) as caught:
        call()
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_tables_that_are_too_large_are_refused(monkeypatch):
    monkeypatch.setattr("mfgjax.games.mfglib.MAX_ENTRIES", 71)
    with pytest.raises(ValueError, match=r"`env.reward` would be a table of 2 x 3 x 2 x 3 x 2 numbers"):
        games.from_mfglib(left_right())
    games.from_mfglib(left_right(), observes="states")


@pytest.mark.skipif(importlib.util.find_spec("mfglib") is None, reason="MFGLib is not installed")
@pytest.mark.parametrize("name", ["left_right", "rock_paper_scissors", "susceptible_infected"])
def test_environments_of_mfglib_move_and_pay_as_there(name):
    import torch  # pyright: ignore[reportMissingImports]
    from mfglib.alg.q_fn import QFn  # pyright: ignore[reportMissingImports]
    from mfglib.env import Environment  # pyright: ignore[reportMissingImports]
    from mfglib.utils import mean_field_from_policy  # pyright: ignore[reportMissingImports]

    env = getattr(Environment, name)()
    game = games.from_mfglib(env)
    policy = np.random.default_rng(0).dirichlet(np.ones(game.num_actions), (game.horizon + 1, game.num_states))
    flow = mean_field_from_policy(torch.tensor(policy, dtype=torch.float32), env=env)
    ours = mfg.propagate(game, policy)
    assert_close(ours, flow.numpy(), atol=2e-6)
    q = mfg.respond(game, ours, mfg.Greedy()).q
    assert_close(q, QFn(env, flow).optimal().numpy(), atol=2e-5)
