"""From hot to cold: β from 1e-4 to 1e6 on the example, in both precisions, without a NaN anywhere."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close, resource_allocation_by_hand

import mfgjax as mfg
from mfgjax._simplex import log_normalize

BETAS = 10.0 ** np.arange(-4, 7)


@functools.cache
def example(dtype):
    game = mfg.games.resource_allocation()
    game = jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, game)
    return game, mfg.games.resource_allocation_reference(game)


@functools.cache
def solved(beta, dtype):
    game, rho = example(dtype)
    return mfg.solve(game, mfg.EntropyRegularized(beta, rho), throw=False)


precisions = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def reference_play():
    """Law of the nodes at 5, and the expected reward of the reference policy, by hand."""
    plain, rho = resource_allocation_by_hand()
    law = np.array([0.3, 0.2, 0.3, 0.1, 0.1])
    moves = np.einsum("sa,san->sn", rho[0], plain.kernel(0, law))
    for _ in range(5):
        law = law @ moves
    return law, law @ (np.array([0, 0, 1.5, 1, 0]) - law) ** 2


@precisions
@pytest.mark.parametrize("beta", BETAS)
def test_no_field_of_an_equilibrium_is_ever_nan(beta, dtype):
    eq = solved(beta, dtype)
    for name in ("mean_field", "policy", "values", "q", "residual", "exploitability", "tolerance"):
        array = np.asarray(getattr(eq, name))
        assert array.dtype == dtype, name
        assert np.isfinite(array).all(), name
    log_policy = np.asarray(eq.log_policy)
    assert not np.isnan(log_policy).any()
    available = np.broadcast_to(example(dtype)[0].available, log_policy.shape)
    assert ((log_policy == -np.inf) == ~available).all()  # no log underflows, whatever β
    assert eq.exploitability >= 0
    few = 64 * np.finfo(dtype).eps
    assert_close(eq.mean_field.sum(axis=-1), 1, atol=few)
    assert_close(eq.policy.sum(axis=-1), 1, atol=few)


@pytest.mark.parametrize("beta", BETAS)
def test_double_precision_converges_at_every_beta(beta):
    eq = solved(beta, np.float64)
    assert eq.converged
    assert eq.residual <= max(1e-10, 8 * np.finfo(float).eps * beta * np.ptp(np.asarray(eq.q)))


@precisions
def test_a_small_beta_plays_the_reference_for_its_expected_reward(dtype):
    law, value = reference_play()
    game, rho = example(dtype)
    eq = solved(1e-4, dtype)
    # payoffs span less than 2.3, so π differs from ρ by at most tanh(β·2.3/4) < 6e-5 at each of 5 steps
    assert_close(eq.policy, np.broadcast_to(rho, (6, 5, 3)), atol=6e-5)
    assert_close(eq.mean_field[-1], law, atol=3e-4)
    # V − E_ρ R ≤ β·2.3²/8 < 7e-5, plus how rewards move with the law (slope 3)
    assert_close(game.initial @ eq.values[0], value, atol=1e-3)


@precisions
@pytest.mark.parametrize("beta", [1e4, 1e5, 1e6])
def test_a_large_beta_mixes_three_to_one_at_the_end(beta, dtype):
    eq = solved(beta, dtype)
    # in single precision the result may say so: βQ is rounded at 6e-8·β
    assert eq.result.name in ("converged", "precision") if dtype == np.float32 else eq.converged
    # q of nodes 3 and 4 differs by log(π-ratios)/β, slopes are 3; 6e-4 at 1e4
    assert_close(eq.mean_field[-1], (0, 0, 0.75, 0.25, 0), atol=1e-3)
    assert_close(eq.values[-1, 2:4], (0.75**2, 0.75**2), atol=2e-3)


@precisions
def test_laws_move_steadily_from_the_reference_to_the_cold_limit(dtype):
    """The share at node 3 rises with β from .495 to .75: rewards there exceed those of node 4 until they meet."""
    shares = np.array([solved(beta, dtype).mean_field[-1, 2] for beta in BETAS])
    slack = 1e-8 if dtype == np.float64 else 1e-3
    assert (np.diff(shares) >= -slack).all()


@precisions
def test_exploitability_without_regularisation_falls_like_one_over_beta(dtype):
    """E(π) ≤ (1/β) Σ_t max KL(greedy ‖ ρ) ≤ 6·log(100)/β, as π is the best response up to the KL terms."""
    game, _ = example(dtype)
    gain = eqx.filter_jit(mfg.exploitability)
    for beta in (1.0, 100.0, 1e4):
        eq = solved(beta, dtype)
        rounding = 1e-5 if dtype == np.float32 else 1e-9
        assert 0 <= gain(game, eq.policy) <= 6 * np.log(100) / beta + rounding


def test_a_solve_in_single_precision_needs_no_x64():
    """The same with x64 off, as a user who changes nothing has it."""
    with jax.enable_x64(False):
        game = mfg.games.resource_allocation()
        rho = mfg.games.resource_allocation_reference(game)
        assert game.dtype == np.float32
        eq = mfg.solve(game, mfg.EntropyRegularized(3.0, rho), mfg.Picard(0.3))
        assert eq.mean_field.dtype == np.float32
        # the residual is at most 1e-5
        assert_close(eq.mean_field[-1], (0.000854, 0.000772, 0.670311, 0.327205, 0.000859), atol=2e-5)


def test_rows_of_large_logits_in_single_precision_sum_to_one():
    logits = jnp.asarray([[70000.013, 69999.5, 69990.0], [-3e6, -3e6, -np.inf]], jnp.float32)
    rows = np.exp(np.asarray(log_normalize(logits, axis=1), float))
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=3e-7)
    first = np.exp(np.asarray(logits[0], float) - float(logits[0, 0]))
    np.testing.assert_allclose(rows, [first / first.sum(), [0.5, 0.5, 0]], atol=3e-7)
