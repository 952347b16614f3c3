"""Right at every scale: inverse temperatures, units of reward, precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg


def crowded_chain(dtype):
    """Five places in a row: crowds hold back who goes down, and push who goes up."""
    S = 5
    s, a, eye = jnp.arange(S)[:, None], jnp.arange(3)[None] / 2, jnp.eye(S, dtype=dtype)

    def kernel(z):
        mean = (z * jnp.arange(S)).sum() / 4
        up = jnp.where(s < 4, 0.1 + 0.35 * a + 0.3 * mean * a, 0.0)
        down = jnp.where(s > 0, 0.25 * (1 - 0.5 * mean), 0.0) * jnp.ones((1, 3))
        above, below = jnp.roll(eye, 1, axis=1)[:, None], jnp.roll(eye, -1, axis=1)[:, None]
        return up[..., None] * above + down[..., None] * below + (1 - up - down)[..., None] * eye[:, None]

    def reward(z):
        return 0.5 * s - 0.4 * jnp.arange(3.0) - 0.8 * z[:, None] ** 2

    return mfg.StationaryGame(kernel, reward, 0.9, initial=jnp.full(S, 0.2, dtype), available=np.ones((S, 3), bool))


def test_converged_means_that_the_residual_meets_the_tolerance_shown():
    """In single precision at large β another program rounds Γ by more than the tolerance."""
    betas = np.geomspace(1e3, 1e6, 7)
    with jax.enable_x64(False):
        game = crowded_chain(jnp.float32)
        for beta in betas:
            found = mfg.solve(game, mfg.EntropyRegularized(beta), throw=False)
            assert found.mean_field.dtype == jnp.float32
            assert bool(found.converged) <= (found.residual <= found.tolerance)
        points = mfg.sweep(game, beta=betas, progress=False)
        assert ((points.result_code != mfg.RESULTS.converged) | (points.residual <= points.tolerance)).all()


@pytest.mark.parametrize("beta", [1e-4, 1e-2, 1.0])
def test_exploitability_is_no_rounding_error_divided_by_a_small_beta(beta):
    """The sum of KL terms, squares of what policies miss: below 1e-9 where the residual is below 1e-5."""
    with jax.enable_x64(False):
        found = mfg.solve(mfg.games.ring_crowd(8, 8), mfg.EntropyRegularized(beta))
        assert found.exploitability.dtype == jnp.float32 and 0 <= found.exploitability < 1e-9


@pytest.mark.parametrize("off", [1e-7, 1e-3, 0.1, 0.5, 3.0])
def test_the_gain_of_leaving_a_policy_keeps_its_digits_however_near_it_is_to_the_best(rng, off):
    """One state, so the gain is KL(π ‖ π*)/β, in long double."""
    beta, pay = 1e-3, rng.normal(size=4)
    best = np.exp(np.longdouble(beta * pay))
    best /= best.sum()
    policy = best * np.exp(np.longdouble(off) * np.array([1.0, -1.0, 0.5, -0.2]))
    policy /= policy.sum()
    game = mfg.FiniteHorizonGame(np.ones((1, 4, 1)), pay[None], [1.0], 1)
    last = np.stack([policy, best]).astype(float)[:, None]  # after a last move at time 1 nothing is lost
    gained = mfg.exploitability(game, last, mfg.EntropyRegularized(beta))
    policy = last[0, 0].astype(np.longdouble)
    exact = float((policy * np.log(policy / best) - policy + best).sum() / beta)
    # logs are known to 1e-16 each, and the sum above to 1e-19
    assert_close(gained, exact, atol=(1e-15 * off + 1e-19) / beta)
