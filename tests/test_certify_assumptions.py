"""Where the assumptions of a theorem fail, or only constants are known, `certify` proves what remains."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from certificates import CONTRACTIONS, bounds_of, known, random_linear_game, soft, stretch
from helpers import Squash, assert_close, random_game

import mfgjax as mfg
from mfgjax.certify.contraction import AgainstContraction, path_space

NOTHING = AgainstContraction()  # speaks against a contraction


class Mixture(eqx.Module):
    """P(s'|s,a,μ) = Σ_n μ(n) P_n(s'|s,a): affine in the mean field."""

    tables: jax.Array

    def __call__(self, t, mean_field):
        return jnp.tensordot(mean_field, self.tables, axes=1)


def test_for_coupled_kernels_it_says_what_falls_away_and_what_remains(rng):
    game, plain = random_game("crowd kernel", rng)
    flow = oracle.equilibrium(plain, oracle.soft(0.5, oracle.uniform_reference(plain)))
    report = mfg.certify(game, soft(0.5), flow, critical=False)
    for name in ("paper_meant", "span_sum", "path_span", "hypomonotone"):
        assert report[name].word == "unknown"
        assert "kernel depends on the mean field" in report[name].checked
    assert report["local_radius"].word == "holds"
    assert np.isfinite(float(report["naive_chain"].value))


class Clock(eqx.Module):
    """A kernel given as a function that changes with time, and ignores the mean field."""

    tables: jax.Array

    def __call__(self, t, mean_field):
        return self.tables[t]


def test_a_kernel_given_as_a_function_of_time_alone_keeps_all_theorems(rng):
    game, _, kernel, mask, initial = random_linear_game(rng)
    clock = mfg.FiniteHorizonGame(Clock(jnp.asarray(kernel)), game.reward, initial, game.horizon, available=mask)
    table, function = known(game, soft(0.2)), known(clock, soft(0.2))
    assert function.decoupled and function.why_not() == function.no_derivative == ""
    for name in ("mixing", "constants", "spans", "kernel"):
        assert_close(getattr(function, name), getattr(table, name), rtol=1e-12, atol=1e-14)
    for one, other in zip(path_space(function, NOTHING), path_space(table, NOTHING), strict=True):
        assert one.word == other.word
        assert_close(one.value, other.value, rtol=1e-12)


def test_the_chain_with_a_coupled_kernel_is_never_violated_and_contracts(rng):
    S, A, H, count = 3, 2, 3, 100

    def bounds(tables, table, initial, beta, pairs):
        game = mfg.FiniteHorizonGame(
            Mixture(tables), mfg.PairwiseReward(table), initial, H, available=np.ones((S, A), bool)
        )
        response = soft(beta)
        report = mfg.certify(game, response, pairs[0, 0], critical=False)
        gamma = mfg.mean_field_map(game, response)
        moved = jax.vmap(lambda pair: mfg.flow_distance(*jax.vmap(gamma)(pair)) / mfg.flow_distance(*pair))(pairs)
        return report["naive_chain"].value, moved.max(), report["contraction"].status, report.lipschitz.kernel

    base = rng.dirichlet(np.ones(S), size=(count, 1, S, A))
    tables = base + rng.uniform(0, 0.3, size=(count, 1, 1, 1, 1)) * (
        rng.dirichlet(np.ones(S), size=(count, S, S, A)) - base
    )
    initial = rng.dirichlet(np.ones(S), size=count)
    pairs = rng.dirichlet(np.full(S, 0.4), size=(count, 16, 2, H + 1))
    pairs[:, :, :, 0] = initial[:, None, None]
    run = jax.jit(jax.vmap(bounds))
    found = run(tables, rng.standard_normal((count, S, A, S)), initial, np.geomspace(1e-3, 1, count), pairs)
    bound, truth, status, kernel = map(np.asarray, found)
    assert (truth <= bound * (1 + 1e-9)).all()
    assert 5 < (status == 1).sum() < count
    # the kernel's constant is the largest distance of two of the tables
    rows = tables[0].reshape(S, S * A, S)
    largest = max(0.5 * np.abs(rows[i] - rows[j]).sum(axis=-1).max() for i in range(S) for j in range(S))
    assert largest - 1e-12 <= kernel[0, 0] <= 2 * largest


def test_boltzmann_policies_have_the_chain_alone(rng):
    game, _ = random_game("dense", rng)
    response = mfg.Boltzmann(0.02)
    report = bounds_of(game, response)
    assert report["naive_chain"].word == "holds" and report["unique"].word == "holds"
    assert report["path_span"].word == "unknown" and "KL-regularised" in report["path_span"].checked
    flows = rng.dirichlet(np.ones(4), size=(2, 5))
    flows[:, 0] = game.initial
    assert stretch(game, response, *jnp.asarray(flows)) <= float(report["naive_chain"].value)


def test_greedy_policies_leave_what_is_true_of_the_game():
    report = bounds_of(mfg.games.left_right(), mfg.Greedy())
    assert report["monotone"].word == report["potential"].word == "holds"
    assert report["unique"].word == report["local_radius"].word == "unknown"
    assert "What is proved\n" in str(report)


def test_sampled_constants_prove_nothing():
    game = mfg.games.coordination()
    sampled = mfg.sample_lipschitz(game, key=jax.random.key(1), num_pairs=50)
    assert float(sampled.reward[1]) <= 1 + 1e-9
    assert float(sampled.reward[1]) > 0.9
    report = bounds_of(game, soft(0.5), lipschitz=sampled)
    assert all(report[name].word == "unknown" for name in (*CONTRACTIONS, "contraction", "hypomonotone", "unique"))
    assert "sampled" in report["path_span"].checked
    assert report.lipschitz.origin == "sampled"


def test_an_unread_reward_is_certified_with_given_constants():
    """β (1 + 1)/4, as two constants of 1 may add up at time 1."""

    class Softplus(eqx.Module):
        def __call__(self, t, mean_field):
            return jax.nn.softplus(mean_field)[:, None]  # compares inside; 1-Lipschitz in the share, so in d_TV

    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), Softplus(), [0.5, 0.5], 1)
    given = bounds_of(game, soft(0.5), lipschitz=mfg.Lipschitz([0.0, 1.0]))
    assert_close(given["path_span"].value, 0.25)
    assert given["path_span"].word == "holds" and given["paper_meant"].word == "unknown"


def test_given_constants_of_a_coupled_kernel(rng):
    """Theta of a tanh and a mixture of kernels with known constants: the chain holds where they are small."""
    S = 3
    base = rng.dirichlet(np.ones(S), size=(1, S, 2))
    tables = jnp.asarray(base + 0.01 * (rng.dirichlet(np.ones(S), size=(S, S, 2)) - base))
    reward = mfg.PairwiseReward(rng.standard_normal((S, 2, S)), Squash(jnp.asarray(1.0)))
    game = mfg.FiniteHorizonGame(Mixture(tables), reward, [0.2, 0.3, 0.5], 2, available=np.ones((S, 2), bool))
    report = bounds_of(game, soft(0.01), lipschitz=mfg.Lipschitz(10.0, 0.02))
    assert report["naive_chain"].word == "holds"
    with pytest.raises(ValueError, match=r"`lipschitz.kernel` is 1e-06 at time 1"):
        bounds_of(game, soft(0.01), lipschitz=mfg.Lipschitz(10.0, 1e-6))
