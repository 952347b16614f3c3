"""Modes of JAX that refuse what the library does inside change no result, and still hold for functions of users."""

import contextlib
import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import COMPILED, assert_close

import mfgjax as mfg
from mfgjax._names import offered

NANS, INFS, STRICT, RANK = (
    ("jax_debug_nans", True),
    ("jax_debug_infs", True),
    ("jax_numpy_dtype_promotion", "strict"),
    ("jax_numpy_rank_promotion", "raise"),
)


@contextlib.contextmanager
def updated(*modes):
    before = [getattr(jax.config, name) for name, _ in modes]
    for name, value in modes:
        jax.config.update(name, value)
    try:
        yield
    finally:
        for (name, _), value in zip(modes, before, strict=True):
            jax.config.update(name, value)


@contextlib.contextmanager
def in_contexts():
    with jax.debug_nans(True), jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


# whatever one of them refuses is refused with all of them
MODES = {"all": functools.partial(updated, NANS, INFS, STRICT, RANK), "all as contexts": in_contexts}


def finite():
    """All flee the crowd, which is twice as bad in state 1."""

    def reward(t, mu):
        return -(jnp.array([1.0, 2.0]) * mu)[:, None]

    return mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [1, 0]]), reward, [1.0, 0.0], horizon=2)


def pairwise():
    L = -np.ones((2, 2, 2))
    return mfg.FiniteHorizonGame(np.full((2, 2, 2), 0.5), mfg.PairwiseReward(L, lambda t, x: jnp.tanh(x)), [1, 0], 2)


def stationary(pay=1.0):
    """Action 1 leads to state 1 with probability 0.9, action 0 with 0.1; state 1 pays, whatever others do."""
    rows = [[0.9, 0.1], [0.1, 0.9]]
    return mfg.StationaryGame([rows, rows], lambda z: pay * jnp.array([[0.0], [1.0]]) + 0 * z[:, None], discount=0.5)


def with_moving_kernel():
    def kernel(z):
        stay = (1 + z) / 2
        return jnp.stack([jnp.stack([stay, 1 - stay], axis=1), jnp.full((2, 2), 0.5)], axis=1)

    return mfg.StationaryGame(kernel, lambda z: -z[:, None], discount=0.5, available=np.ones((2, 2), bool))


def soft(beta=2.0):
    return mfg.EntropyRegularized(beta)


def at_end(beta, solver=None):
    return mfg.solve(finite(), soft(beta), solver).mean_field[-1, 1]


def by_newton(beta):
    return at_end(beta, mfg.Newton())


BETAS = np.array([0.5, 2.0])
EVEN = np.full((2, 2), 0.5)
CALLS = {
    "solve, soft": lambda: mfg.solve(finite(), soft()).mean_field,
    "solve, with a reference": lambda: mfg.solve(pairwise(), mfg.EntropyRegularized(2.0, [[0.9, 0.1], [0.5, 0.5]])).q,
    "solve, greedy": lambda: mfg.solve(finite(), mfg.Greedy()).mean_field,
    "solve, stationary, soft": lambda: mfg.solve(stationary(), soft()).mean_field,
    "solve, stationary, trembling": lambda: mfg.solve(stationary(), mfg.Trembling(0.1)).policy,
    "solve, kernel of a user": lambda: mfg.solve(with_moving_kernel(), soft()).values,
    "solve_batch": lambda: mfg.solve_batch(finite(), soft(), axes={"beta": BETAS}).mean_field,
    "sweep": lambda: mfg.sweep(finite(), soft(), beta=BETAS, progress=False)["exploitability"].values,
    "gradient": lambda: jax.grad(at_end)(2.0),
    "jit, and its gradient": lambda: jax.value_and_grad(jax.jit(by_newton))(2.0),
    "stationary gradient": lambda: jax.jacfwd(lambda pay: mfg.solve(stationary(pay), soft()).values)(1.0),
    "exploitability": lambda: mfg.exploitability(finite(), EVEN, soft()),
    "exploitability, stationary": lambda: mfg.exploitability(stationary(), EVEN, mfg.Trembling(0.1)),
    "maps": lambda: mfg.mean_field_map(finite(), soft())(mfg.propagate(finite(), EVEN)),
    "certify": lambda: [one.value for one in mfg.certify(finite(), soft()).certificates],
    "deviation_gain": lambda: mfg.finite.deviation_gain(finite(), EVEN, [5, 10]).gain,
    "simulate": lambda: mfg.finite.simulate(finite(), EVEN, 10, 20, key=jax.random.key(0)).flows,
    "learners": lambda: mfg.learners.run(stationary(), mfg.Trembling(0.1), mfg.learners.GMBL(20), 3).laws,
    "branch": lambda: mfg.branch(finite(), soft(), start=0.5, stop=2.0, resolution=5).mean_field,
}


@functools.cache
def usual(call):
    return np.asarray(CALLS[call]())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_gives_the_same_in_every_mode(call, mode):
    expected = usual(call)
    with MODES[mode]():
        actual = np.asarray(CALLS[call]())
    # where a user's own `jit` is compiled anew the order of sums may differ
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mode", MODES)
def test_ready_made_games_can_be_made_in_every_mode(mode):
    with MODES[mode]():
        games = [getattr(mfg.games, name)() for name in offered("games")]
    assert games


def test_a_mode_compiles_nothing_anew():
    game, response = mfg.games.left_right(), soft()
    mfg.solve(game, response)
    COMPILED.clear()
    for mode in MODES.values():
        with mode():
            mfg.solve(game, response)
    assert COMPILED == []


def test_functions_of_users_are_traced_in_the_users_mode():
    def make():
        return mfg.FiniteHorizonGame(EVEN[:, None] * np.ones((2, 2, 1)), lambda t, mu: (mu * t)[:, None], [1, 0], 2)

    game = make()  # a whole number times a floating one
    with updated(STRICT), pytest.raises(ValueError, match="`reward` fails at t = 0 with TypePromotionError"):
        make()
    with updated(STRICT), pytest.raises(ValueError, match="`reward` fails now with TypePromotionError"):
        mfg.solve(game, soft())
    with (
        updated(RANK),
        pytest.raises(ValueError, match="`reward` fails at the initial law with ValueError: Operands could"),
    ):
        mfg.StationaryGame(
            np.full((2, 2, 2), 0.5), lambda z: z[:, None] + jnp.zeros(2), 0.5, available=np.ones((2, 2), bool)
        )


@pytest.mark.parametrize("way", [functools.partial(updated, NANS), lambda: jax.debug_nans(True)])
def test_checks_for_nan_go_on_after_a_call(way):
    logarithm = jax.jit(lambda x: jnp.log(x))
    logarithm(1.0)  # compiled, and so without a look at its program
    with way():
        mfg.solve(finite(), soft())
        with pytest.raises(FloatingPointError):
            logarithm(-1.0)
    assert np.isnan(logarithm(-1.0))


def test_a_nan_of_a_users_reward_is_a_failed_solve_with_checks_for_nan():
    def reward(t, mu):  # sound in all populations that are tried when the game is made
        return jnp.where((mu > 0.6) & (mu < 0.9), jnp.nan, -mu)[:, None]

    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), reward, [1.0, 0.0], horizon=1)
    skewed = mfg.EntropyRegularized(1.0, [[0.2, 0.8], [0.2, 0.8]])
    with updated(NANS), pytest.raises(mfg.ConvergenceError) as caught:
        mfg.solve(game, skewed, mfg.Picard())
    assert caught.value.equilibrium.result == mfg.RESULTS.non_finite


def test_the_derivative_of_what_was_not_found_raises_with_checks_for_nan():
    def not_found(beta):
        return mfg.solve(finite(), soft(beta), mfg.Picard(0.1), max_steps=2, throw=False).mean_field[-1, 1]

    assert np.isnan(jax.grad(not_found)(2.0))
    with updated(NANS), pytest.raises(FloatingPointError):
        jax.grad(not_found)(2.0)


# --- shard_map, which checks over which devices values vary -------------------------------------------------

ON_TWO_DEVICES = """
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_enable_x64", True)
import mfgjax as mfg
from jax.sharding import Mesh, PartitionSpec as P
from test_jax_modes import stationary
mesh, found = Mesh(np.array(jax.devices()), ("lanes",)), {}
def spread(function, values, out=P("lanes")):
    return jax.jit(jax.shard_map(function, mesh=mesh, in_specs=P("lanes"), out_specs=out))(jax.numpy.asarray(values))
# the default solver has all methods, here in lanes and for trembling hands; one is enough for the rest
def right(beta):
    return mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(beta), mfg.Newton()).mean_field[1, 1]
found["value"], found["slope"] = spread(lambda beta: [x[None] for x in jax.value_and_grad(right)(beta[0])], [1.0, 5.0])
found["batch"] = spread(lambda beta: mfg.solve_batch(
    mfg.games.left_right(), mfg.EntropyRegularized(1.0), axes={"beta": beta}).mean_field[1, 1], [1.0, 2.0, 5.0, 9.0])
found["mapped"] = spread(jax.vmap(right), [1.0, 2.0, 5.0, 9.0])
def soft(beta):
    return spread(lambda beta: mfg.solve(
        stationary(), mfg.EntropyRegularized(beta[0]), mfg.Newton()).mean_field[None, 1], beta)
found["soft"], pulled = jax.vjp(soft, np.array([1.0, 5.0]))
found["soft slope"], = pulled(np.ones(2))
found["trembling"] = spread(
    lambda epsilon: mfg.solve(stationary(), mfg.Trembling(epsilon[0])).mean_field[None, 1], [0.1, 0.2])
np.savez(__import__("sys").argv[1], **found)
"""


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    path = tmp_path_factory.mktemp("spread") / "found.npz"
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", ON_TWO_DEVICES, path], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.load(path)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_shard_map_solves_finite_games(spread):
    """The law x on the left solves x = σ(β (2 (1 − x) − x)): left pays −x, right −2 (1 − x)."""
    for name, betas in (("value", [1.0, 5.0]), ("batch", [1.0, 2.0, 5.0, 9.0]), ("mapped", [1.0, 2.0, 5.0, 9.0])):
        x, beta = spread[name], np.array(betas)
        assert_close(sigmoid(beta * (2 - 3 * x)), x, atol=1e-9)  # ten times the tolerance of a solve


def test_shard_map_differentiates(spread):
    """By the implicit function theorem dx/dβ = σ' (2 − 3x) / (1 + 3 β σ') with σ' = x (1 − x)."""
    x, beta = spread["value"], np.array([1.0, 5.0])
    slope = x * (1 - x) * (2 - 3 * x) / (1 + 3 * beta * x * (1 - x))
    assert_close(spread["slope"], slope, atol=1e-9)
    p = sigmoid(beta * 0.8 * 0.5)  # of the stationary game below, from outside of `shard_map`
    assert_close(spread["soft slope"], 0.8 * 0.4 * p * (1 - p), atol=1e-9)


def test_shard_map_solves_stationary_games(spread):
    """Values of the states differ by 1, so that action 1 is worth 0.8 γ more; p play it, and z = 0.1 + 0.8 p."""
    p = sigmoid(np.array([1.0, 5.0]) * 0.8 * 0.5)
    assert_close(spread["soft"], 0.1 + 0.8 * p, atol=1e-9)
    assert_close(spread["trembling"], 0.1 + 0.8 * np.array([0.9, 0.8]), atol=1e-9)
