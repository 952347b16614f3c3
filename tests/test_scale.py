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


@pytest.mark.parametrize("beta", [1e5, 3e5, 1e6])
def test_a_cycle_that_rounding_explains_is_none(beta):
    """Two places, crowds that repel: in double precision there is an equilibrium, in single precision none is known."""

    def game():
        moves, pays = mfg.MovesKernel([[0, 1], [1, 0]]), jnp.diag(jnp.array([1, 1.3]))
        return mfg.FiniteHorizonGame(moves, lambda t, m: pays - 2 * m[:, None], [0.3, 0.7], 6)

    assert mfg.solve(game(), mfg.EntropyRegularized(beta)).residual < 1e-8
    with jax.enable_x64(False):
        found = mfg.solve(game(), mfg.EntropyRegularized(beta), throw=False)
        assert found.result == mfg.RESULTS.precision and "double precision" in found.result.message


def test_converged_means_that_the_residual_meets_the_tolerance_shown():
    """In single precision at large β another program rounds Γ by more than the tolerance."""
    betas = np.geomspace(1e3, 1e6, 4)
    with jax.enable_x64(False):
        game = crowded_chain(jnp.float32)
        for beta in betas:
            found = mfg.solve(game, mfg.EntropyRegularized(beta), throw=False)
            assert found.mean_field.dtype == jnp.float32
            assert bool(found.converged) <= (found.residual <= found.tolerance)
        points = mfg.sweep(game, solver=mfg.Anderson(), beta=betas, progress=False)
        converged = points.result_code == mfg.RESULTS.converged
        assert converged.any() and (~converged | (points.residual <= points.tolerance)).all()


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


UNITS = (1e-9, 1e-6, 1e6, 1e9)
SMOOTH = {"entropy": mfg.EntropyRegularized, "boltzmann": mfg.Boltzmann}
JUMPING = {"greedy": mfg.Greedy(), "trembling": mfg.Trembling(0.1)}
SOLVERS = {
    "auto": mfg.Auto(),
    "damped": mfg.Picard(0.3),
    "averaged": mfg.Picard(averaging="uniform"),
    "anderson": mfg.Anderson(),
    "newton": mfg.Newton(),
    "continuation": mfg.Continuation(),
}


def in_units(kind, unit):
    """A crowd that avoids itself, its rewards in a unit: `PairwiseReward`, so that all units share a program."""
    rng = np.random.default_rng(5)
    S, A = 4, 3
    kernel, base = rng.dirichlet(np.ones(S), (S, A)), rng.normal(size=(S, A))
    interaction = mfg.rewards.OwnStateInteraction(unit * base, -2.0 * unit * np.ones((S, A)))
    if kind == "finite":
        return mfg.FiniteHorizonGame(kernel, mfg.PairwiseReward(interaction), rng.dirichlet(np.ones(S)), 5)
    return mfg.StationaryGame(kernel, mfg.PairwiseReward(interaction), 0.9)


@pytest.mark.parametrize(
    ("kind", "response", "solver"),
    [
        *((kind, response, "auto") for kind in ("finite", "stationary") for response in (*SMOOTH, *JUMPING)),
        *(("finite", "entropy", solver) for solver in ("averaged", "anderson", "newton", "continuation")),
        *(("stationary", "entropy", solver) for solver in ("newton", "continuation")),
        *(("finite", "greedy", solver) for solver in ("averaged", "continuation")),
        *((kind, "trembling", "newton") for kind in ("finite", "stationary")),
        ("stationary", "greedy", "averaged"),
        ("finite", "trembling", "damped"),
    ],
)
def test_the_unit_of_rewards_changes_no_equilibrium(kind, response, solver):
    """Rewards times c, and β/c: the same policies are best."""

    def solved(unit):
        own = SMOOTH[response](5 / unit) if response in SMOOTH else JUMPING[response]
        return mfg.solve(in_units(kind, unit), own, SOLVERS[solver], max_steps=2_000, throw=False)

    if (kind, response, solver) == ("finite", "trembling", "newton"):
        with pytest.raises(ValueError, match="Newton"):
            solved(1.0)
        return
    first = solved(1.0)
    for unit in UNITS:
        found = solved(unit)
        assert found.result.code == first.result.code
        assert_close(found.mean_field, first.mean_field, atol=1e-9)


@pytest.mark.parametrize("unit", [1e-9, 1e-6, 1.0, 1e9])
@pytest.mark.parametrize("solver", [None, mfg.Picard(averaging="uniform")], ids=["auto", "fictitious play"])
def test_a_greedy_crowd_splits_by_payoffs_however_small(unit, solver):
    """The right side of the left-right game costs 2 μ(right), the left one μ(left): two thirds go left."""
    game = mfg.games.left_right()
    reward = mfg.PairwiseReward(
        mfg.rewards.OwnStateInteraction(unit * game.reward.L.base, unit * game.reward.L.weight), game.reward.theta
    )
    game = mfg.FiniteHorizonGame(game.kernel, reward, game.initial, game.horizon)
    found = mfg.solve(game, mfg.Greedy(), solver)
    # half on either side: −1/2 against −1; when all go left −1 against 0, so that one unit is at stake
    assert_close(found.tolerance, 1e-4 * unit, rtol=1e-12)
    assert found.converged and found.residual <= found.tolerance
    assert_close(found.mean_field[1, 1], 2 / 3, atol=1e-3)


@pytest.mark.parametrize("kind", ["function", "theta"])
def test_functions_of_time_keep_the_precision_of_the_game(kind):
    """In double precision cos(t) of an integer of 32 bits would be off by 2e-8."""
    pay = {
        "function": lambda t, m: jnp.cos(t) * jnp.ones((2, 1)),
        "theta": mfg.PairwiseReward(lambda t, m: jnp.cos(t) * jnp.ones((2, 1)), lambda t, x: x + jnp.sin(t)),
    }[kind]
    game = mfg.FiniteHorizonGame(np.full((2, 1, 2), 0.5), pay, [0.5, 0.5], 7)
    times = np.arange(8)
    exact = np.cos(times) + (np.sin(times) if kind == "theta" else 0)
    found = mfg.solve(game, mfg.EntropyRegularized(1.0))
    assert_close(found.q[:, 0, 0], exact[::-1].cumsum()[::-1], atol=1e-14)
    assert_close(mfg.policy_value(game, np.ones((2, 1)), found.mean_field), exact.sum(), atol=1e-14)
    with jax.enable_x64(False):
        game = mfg.FiniteHorizonGame(np.full((2, 1, 2), 0.5, np.float32), pay, [0.5, 0.5], 7)
        assert_close(mfg.solve(game, mfg.EntropyRegularized(1.0)).q[:, 0, 0], exact[::-1].cumsum()[::-1], atol=1e-5)


def affine_on_the_simplex(kind, rng, S=4, A=2, H=4):
    """A kernel Σ_j z_j T_j of random stochastic T_j: its rows sum to Σ_j z_j; and the same game, written otherwise."""
    T, base = rng.dirichlet(np.ones(S), (S, S, A)), rng.normal(size=(S, A))

    def rows(z):
        return jnp.einsum("j,jsat->sat", z, T)

    def whole(z):  # rows that sum to 1 wherever z is
        moved = rows(z)[..., :-1]
        return jnp.concatenate([moved, 1 - moved.sum(axis=-1, keepdims=True)], axis=-1)

    available = np.ones((S, A), bool)
    if kind == "stationary":
        return [mfg.StationaryGame(f, lambda z: base - 2 * z[:, None], 0.9, available=available) for f in (rows, whole)]
    law = rng.dirichlet(np.ones(S))
    return [
        mfg.FiniteHorizonGame(lambda t, m, f=f: f(m), lambda t, m: base - 2 * m[:, None], law, H, available=available)
        for f in (rows, whole)
    ]


@pytest.mark.parametrize("kind", ["finite", "stationary"])
def test_kernels_whose_rows_sum_to_1_at_laws_alone(kind, rng):
    """Equilibrium and derivative are those of the same kernel written so that its rows sum to 1 everywhere."""
    game, everywhere = affine_on_the_simplex(kind, rng)

    def last(beta, game, solver=None):
        return mfg.solve(game, mfg.EntropyRegularized(beta), solver).mean_field[..., 0].sum()

    one, slope = jax.value_and_grad(last)(3.0, game, mfg.Newton())
    h = 1e-4
    assert_close(one, last(3.0, everywhere), atol=1e-8)
    assert_close(slope, (last(3.0 + h, everywhere) - last(3.0 - h, everywhere)) / (2 * h), atol=1e-5)
    assert_close(last(3.0, game, mfg.Continuation()), one, atol=1e-8)
