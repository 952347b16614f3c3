"""Near one equilibrium: the rate of iteration, the β where it ends, and the radii behind both."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from certificates import GAME, RHO, resting, soft, thresholds
from helpers import assert_close, resource_allocation_by_hand

import mfgjax as mfg
from mfgjax.certify.radius import arnoldi_radius, spectral_radius


def test_the_local_radius_is_the_rate_of_plain_iteration():
    """By the loops of the oracle."""
    radius = float(mfg.certify(GAME, soft(1.0, RHO))["local_radius"].value)
    plain, rho = resource_allocation_by_hand()
    flows = [oracle.spread(plain, rho)[1]]
    for _ in range(40):
        flows.append(oracle.gamma(plain, flows[-1], oracle.soft(1.0, rho)))
    last = [oracle.flow_distance(one, other) for one, other in itertools.pairwise(flows[-3:])]
    assert 1e-9 < last[0] < 1e-3
    assert_close(last[1] / last[0], radius, rtol=1e-3)


def test_the_critical_beta_is_where_an_eigenvalue_reaches_1():
    """By NumPy's eigenvalues of the derivative at solutions on both sides."""
    critical = float(mfg.certify(GAME, soft(1.0, RHO))["critical_beta"].value)
    for factor, sign in ((0.999, -1), (1.001, 1)):
        response = soft(factor * critical, RHO)
        flow = mfg.solve(GAME, response).mean_field
        derivative = jax.jacfwd(mfg.mean_field_map(GAME, response))(flow).reshape(flow.size, flow.size)
        largest = np.abs(np.linalg.eigvals(np.asarray(derivative))).max()
        assert sign * (largest - 1) > 0


def test_where_payoffs_ignore_the_crowd_iteration_converges_at_every_beta():
    game = mfg.FiniteHorizonGame(np.full((2, 2, 2), 0.5), np.arange(4.0).reshape(2, 2), [0.5, 0.5], 3)
    report = mfg.certify(game, soft(100.0), resting(game), critical=True)  # all moves are even
    assert np.isinf(thresholds(report, "critical_beta", "path_span", "paper_meant", "unique")).all()
    assert report["unique"].word == report["path_span"].word == "holds"


def test_a_critical_beta_that_was_not_found_is_not_promised_not_to_exist():
    """In this random game the radius stays below 1 for all β that are searched."""
    game = mfg.games.random_dense(0, 5, 4, 6)
    report = mfg.certify(game, soft(1e-3), resting(game), critical=True)["critical_beta"]
    assert np.isinf(float(report.value)) and np.isnan(float(report.threshold)) and report.word == "holds"
    far = mfg.certify(game, soft(1e7), resting(game), critical=True)["critical_beta"]
    assert far.word == "unknown"


def share_and_radius(beta, field, strength=-1.0):
    """The equilibrium law x = σ(β(strength (2x − 1) + field)) of a repelling crowd, and |dΓ/dx| there."""
    low, high = 0.0, 1.0
    for _ in range(60):
        x = (low + high) / 2
        above = 1 / (1 + np.exp(-beta * (strength * (2 * x - 1) + field))) > x
        low, high = (x, high) if above else (low, x)
    return x, abs(2 * beta * strength * x * (1 - x))


@pytest.mark.parametrize("field", [1.1994953, 1.19965, 1.2002])
def test_a_radius_that_passes_1_for_a_short_while_is_found_or_nothing_is_claimed(field):
    """It exceeds 1 for β in (6.32, 6.81) at the first field, in (6.46, 6.65) at the second, nowhere at the third."""
    radii = np.array([share_and_radius(beta, field)[1] for beta in np.geomspace(1, 20, 3_000)])
    assert (radii.max() > 1) == (field < 1.1997)
    game = mfg.games.coordination(field=field, strength=-1.0)
    for beta in (0.9, 3.0, 6.5, 10.0):
        x = share_and_radius(beta, field)[0]
        line = mfg.certify(game, soft(beta), np.array([[0.5, 0.5], [1 - x, x]]), critical=True)["critical_beta"]
        if beta > 2:  # Γ contracts for β < 2: only there it is proved
            assert line.word != "holds"
        else:
            assert line.word == "holds"
        assert "at the points tried" in line.checked
        if line.word == "fails":
            assert radii.max() > 1 and abs(share_and_radius(float(line.value), field)[1] - 1) < 1e-6
    if field == 1.1994953:
        assert abs(float(line.value) - 6.32) < 0.01


def test_a_derivative_that_vanishes_at_the_first_flow_does_not_end_the_search():
    """Payoffs 0.1 + 40 (x − 1/2)³ of state 1, whose slope is 0 at the even reference; x = σ(β payoff) from there on."""
    game = mfg.FiniteHorizonGame(
        np.array([[[1.0, 0], [0, 1]]] * 2),
        lambda t, mu: jnp.where(t == 1, jnp.array([0.0, 0.1 + 40 * (mu[1] - 0.5) ** 3]), 0.0)[:, None] * jnp.ones(2),
        [0.5, 0.5],
        1,
    )
    line = mfg.certify(game, soft(2.0), np.full((2, 2), 0.5), critical=True)["critical_beta"]
    assert line.word == "unknown" and "at the points tried" in line.checked
    beta, x = float(line.value), 0.5
    for _ in range(200_000):  # up to the fold, which is where the least root above 1/2 disappears
        x += (1 / (1 + np.exp(-0.9999 * beta * (0.1 + 40 * (x - 0.5) ** 3))) - x) / 2
    assert 0.95 < 120 * beta * (x - 0.5) ** 2 * x * (1 - x) < 1


@pytest.mark.parametrize("size", [1, 2, 7, 60])
def test_radii_agree_with_numpy(rng, size):
    matrix = rng.standard_normal((size, size))
    truth = np.abs(np.linalg.eigvals(matrix)).max()
    radius = spectral_radius(jnp.asarray(matrix))
    assert_close(radius.estimate, truth, rtol=1e-6)
    assert radius.low <= truth * (1 + 1e-12) and radius.high >= truth * (1 - 1e-12) and radius.high < 1.001 * radius.low
    assert_close(arnoldi_radius(lambda v: jnp.asarray(matrix) @ v, size, jnp.float64), truth, rtol=1e-6)


def test_the_radius_of_a_large_dominated_matrix_and_of_a_nilpotent_one(rng):
    size = 300
    vectors, _ = np.linalg.qr(rng.standard_normal((size, size)))
    matrix = vectors @ np.diag([-3.0, *np.linspace(-2, 2, size - 1)]) @ vectors.T
    assert_close(arnoldi_radius(lambda v: jnp.asarray(matrix) @ v, size, jnp.float64), 3, rtol=1e-6)
    assert_close(spectral_radius(jnp.diag(jnp.ones(5), 1)).estimate, 0)


def test_krylov_radii_of_matrices_that_are_not_normal(rng):
    """A large part that only grows for a while must not be taken for the radius."""
    size = 300
    matrix = np.triu(rng.standard_normal((size, size)) / 10, 1)
    matrix[np.diag_indices(size)] = np.linspace(-0.4, 0.5, size)
    found = float(arnoldi_radius(lambda v: jnp.asarray(matrix) @ v, size, jnp.float64))
    assert found >= 0.5 * (1 - 1e-2)


@pytest.mark.parametrize("off", [0.0, 1e-14, 1e-6])
def test_bounds_on_a_radius_hold_for_all_matrices_nearby(rng, off):
    """Triangular matrices in other coordinates, whose eigenvalues small changes move far, and cycles of all lengths."""
    for n in (3, 20, 60):
        turn, _ = np.linalg.qr(rng.standard_normal((n, n)))
        upper = np.triu(rng.standard_normal((n, n)), 1) * rng.choice([0.1, 1, 3]) + np.diag(rng.uniform(-0.5, 0.5, n))
        radius = spectral_radius(jnp.asarray(turn @ upper @ turn.T), off + 1e-13)
        assert radius.low <= np.abs(np.diag(upper)).max() <= radius.high
        change = rng.standard_normal((n, n))
        near = np.abs(np.linalg.eigvals(upper + off * change / np.linalg.norm(change))).max()
        assert radius.low <= near * (1 + 1e-9) and near <= radius.high * (1 + 1e-9)
    for n in range(2, 15):
        radius = spectral_radius(1.3 * jnp.roll(jnp.eye(n), 1, axis=0), off)
        # off by E, the n-th power of the radius, that of the product of the n entries, is at most (1.3 + off)^n
        assert (1.3 - off) * 0.99 < radius.low <= 1.3 <= radius.high * (1 + 1e-12) and radius.high < 1.32


@pytest.mark.parametrize(("own", "other"), [(0.6, 1.8), (1.8, 0.6), (2.2, 0.5), (0.6, 40.0)])
def test_what_looks_from_town_to_town_one_way_has_the_radius_of_one_town(own, other):
    """DΓ is triangular in towns with −β·own/2 on the diagonal, so its radius is own/2 however much `other` is."""
    num_towns = 70
    table = np.zeros((2, 2 * num_towns, 1, 2 * num_towns))
    for k in range(num_towns):
        for i in (0, 1):
            table[1, 2 * k + i, 0, 2 * k + i] = -own * num_towns
            if k:
                table[1, 2 * k + i, 0, 2 * k + i - 2] = -other * num_towns
    kernel = mfg.MovesKernel([[s, s ^ 1] for s in range(2 * num_towns)])
    game = mfg.FiniteHorizonGame(kernel, mfg.PairwiseReward(table), np.full(2 * num_towns, 0.5 / num_towns), 1)
    report = mfg.certify(game, soft(1.0), resting(game), critical=False)
    line = report["local_radius"]
    assert line.word != ("fails" if own < 2 else "holds")
    # one of the bounds where they are far apart
    assert float(line.value) >= own / 2 * (1 - 1e-9) or 1 <= float(line.value) <= own / 2
    assert report["contraction"].word != "fails" or own > 2
    if own > 2:
        assert line.word == "fails"
