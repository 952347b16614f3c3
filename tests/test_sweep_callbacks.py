"""Functions that call Python while they run: no checksum knows what they do, so no sweep on disk goes on with them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

import mfgjax as mfg

MOVES = mfg.MovesKernel([[0, 1], [1, 0]])
SWEPT = {"beta": [1.0], "progress": False}


def with_reward(reward):
    return mfg.FiniteHorizonGame(MOVES, reward, initial=[0.75, 0.25], horizon=1)


def called(call, weight, **options):
    """A reward that Python computes: who goes to state 1 earns `weight`."""
    shape = jax.ShapeDtypeStruct((2, 2), jnp.zeros(()).dtype)

    def pay(t, mu):
        return call(lambda law: np.asarray([[0.0, weight], [weight, 0.0]], shape.dtype), shape, mu, **options)

    return pay


CALLS = {
    "pure_callback": lambda weight: called(jax.pure_callback, weight, vmap_method="sequential"),
    "io_callback": lambda weight: called(io_callback, weight),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_game_that_calls_python_is_swept_in_memory_but_not_on_disk(name, tmp_path):
    def game(weight):
        return with_reward(CALLS[name](weight))

    for weight in (0.0, 5.0):  # the odds of going at time 0 to those of staying are e^weight
        found = mfg.sweep(game(weight), **SWEPT)
        np.testing.assert_allclose(found.policy[0, 0, 0, 1], 1 / (1 + np.exp(-weight)), rtol=1e-9)
        with pytest.raises(ValueError, match=rf"^`out` cannot be given if .* calls Python by `{name}`: .*\.$"):
            mfg.sweep(game(weight), out=tmp_path / "sweep", **SWEPT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", CALLS)
def test_a_game_that_calls_python_is_solved_without_an_estimate_that_needs_derivatives(name):
    """Nobody earns anything, so that the first look meets the tolerance."""
    found = mfg.solve(with_reward(CALLS[name](0.0)), mfg.EntropyRegularized(1.0))
    np.testing.assert_allclose(found.mean_field[1], [0.5, 0.5], rtol=1e-12)
    assert np.isnan(found.error_estimate)


def test_a_call_within_a_branch_is_seen(tmp_path):
    pay = CALLS["pure_callback"](1.0)
    game = with_reward(lambda t, mu: jax.lax.cond(t == 0, pay, lambda t, mu: jnp.zeros((2, 2)), t, mu))
    with pytest.raises(ValueError, match="calls Python by `pure_callback`"):
        mfg.sweep(game, out=tmp_path / "sweep", **SWEPT)


def test_an_output_that_calls_python_is_not_kept_on_disk(tmp_path):
    def output(game, response, equilibrium):
        law = equilibrium.mean_field
        return jax.pure_callback(np.asarray, jax.ShapeDtypeStruct(law.shape, law.dtype), law, vmap_method="sequential")

    game = with_reward([[0.0, 1.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="calls Python by `pure_callback`"):
        mfg.sweep(game, outputs={"copy": output}, out=tmp_path / "sweep", **SWEPT)


def test_what_only_prints_is_kept_on_disk(tmp_path, capsys):
    def pay(t, mu):
        jax.debug.callback(lambda law: None, mu)
        return -mu[:, None]

    again = [mfg.sweep(with_reward(pay), out=tmp_path / "sweep", **SWEPT).mean_field.values for _ in range(2)]
    np.testing.assert_array_equal(*again)
