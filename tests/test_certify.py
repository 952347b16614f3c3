"""What `certify` reports: numbers against loops and closed forms, statuses against what is true, and its words."""

import itertools
import json
from decimal import Decimal, getcontext

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import Squash, assert_close, random_game

import mfgjax as mfg
from mfgjax.certify.local import arnoldi_radius, spectral_radius
from mfgjax.model import DenseInteraction, OwnStateInteraction, SuccessorInteraction

GAME = mfg.games.resource_allocation()
RHO = mfg.games.resource_allocation_reference(GAME)
CONTRACTIONS = ("paper_meant", "naive_chain", "span_sum", "path_span")


def soft(beta, reference=None):
    return mfg.EntropyRegularized(beta, reference)


def bounds_of(game, response, **options):
    """A report without a solve: at the flow in which nobody moves, which compiles in half of the time."""
    return mfg.certify(game, response, resting(game), critical=False, **options)


def resting(game):
    return np.broadcast_to(np.asarray(game.initial), (game.horizon + 1, game.num_states))


def thresholds(report, *names):
    return [float(report[name].threshold) for name in names]


# --- the example of the paper ---------------------------------------------------------------------------


def test_the_example_has_its_known_thresholds():
    """κ = 5 at time 5 only, so 4/5; the critical β and those of Theorem 1 are known from elsewhere."""
    report = mfg.certify(GAME, soft(0.5, RHO))
    assert_close(thresholds(report, "path_span", "span_sum", "critical_beta"), [0.8, 0.8, 1.431], rtol=4e-4)
    assert_close(report.paper_printed.log10_threshold, np.log10(8e-11), atol=0.02)
    assert_close(report.paper_meant.log10_threshold, -19, atol=0.05)
    assert report["path_span"].word == report["unique"].word == report["local_radius"].word == "holds"
    assert report["paper_printed"].word == "unknown"  # no bound, whatever the number


def test_the_preset_of_the_author_code_has_its_known_thresholds():
    """κ = 3, γ = .9: S_t = 3 · .9^(5−t), and sqrt(S_0² + .19 ΣS_t²) = 2.7, so 4/2.7."""
    game = mfg.games.resource_allocation("author-code")
    report = mfg.certify(game, soft(0.5, RHO))
    assert_close(thresholds(report, "path_span", "critical_beta"), [4 / 2.7, 2.651], rtol=4e-4)


def test_uniqueness_on_the_example_is_proved_up_to_2():
    """Nodes 1, 2, 5 pay μ², whose slope is 2x: m = 1/2. Contraction ends at .8, iteration at 1.431."""
    report = mfg.certify(GAME, soft(1.9, RHO))
    assert_close(report["hypomonotone"].threshold, 2, rtol=2e-3)  # 1,024 cells
    assert report["hypomonotone"].word == report["unique"].word == "holds"
    assert report["path_span"].word == report["local_radius"].word == "fails"
    assert report["monotone"].word == "fails"


def test_above_its_thresholds_nothing_is_proved_at_beta_3():
    report = mfg.certify(GAME, soft(3.0, RHO))
    assert report["unique"].word == report["distance"].word == "unknown"
    assert np.isinf(float(report.factor))


def test_the_distance_to_the_equilibrium_is_bounded(rng):
    """A solution of low accuracy, against one of full accuracy."""
    response = soft(0.6, RHO)
    exact = mfg.solve(GAME, response).mean_field
    rough = mfg.solve(GAME, response, mfg.Picard(atol=1e-3))
    bound = float(mfg.certify(GAME, response, rough)["distance"].value)
    assert float(mfg.flow_distance(rough.mean_field, exact)) <= bound < 5e-3


# --- against loops ----------------------------------------------------------------------------------------


def osc(row):
    return max(row) - min(row)


def random_linear_game(rng, S=3, A=2, H=3, discount=1.0):
    table = rng.standard_normal((H + 1, S, A, S))
    kernel = rng.dirichlet(np.full(S, 0.4), size=(H, S, A)) * (rng.random((H, S, A, S)) < 0.7)
    kernel[..., 0] += 1e-3
    kernel /= kernel.sum(axis=-1, keepdims=True)
    mask = rng.random((H + 1, S, A)) < 0.8
    mask[..., 0] = True
    initial = rng.dirichlet(np.ones(S))
    game = mfg.FiniteHorizonGame(kernel, mfg.PairwiseReward(table), initial, H, available=mask, discount=discount)
    return game, table, kernel, mask, initial


def dobrushin(kernel, mask):
    H, S, A, _ = kernel.shape
    largest = 0.0
    for t in range(H):
        pairs = [(s, a) for s in range(S) for a in range(A) if mask[t, s, a]]
        for x, y in itertools.product(pairs, pairs):
            largest = max(largest, 0.5 * sum(abs(kernel[t][x][n] - kernel[t][y][n]) for n in range(S)))
    return largest


def path_pairs(kernel, mask, contrast, discount, begin, start):
    """The most that one feasible path collects beyond another, both from `start` at time `begin`, by enumeration."""
    H, S, A, _ = kernel.shape

    def paths(t, s):
        for a in range(A):
            if mask[t, s, a]:
                if t == H:
                    yield ((s, a),)
                else:
                    for n in range(S):
                        if kernel[t, s, a, n] > 0:
                            for rest in paths(t + 1, n):
                                yield ((s, a), *rest)

    found = list(paths(begin, start))
    return max(
        sum(discount ** (k - 0) * contrast(begin + k, x, y) for k, (x, y) in enumerate(zip(one, two, strict=True)))
        for one in found
        for two in found
    )


@pytest.mark.parametrize("discount", [1.0, 0.7])
def test_the_bounds_are_those_of_the_formulas(rng, discount):
    game, table, kernel, mask, initial = random_linear_game(rng, H=2, discount=discount)
    H, S, A, _ = kernel.shape
    alpha = dobrushin(kernel, mask)

    def contrast(t, x, y):
        return osc(table[t][x] - table[t][y]) if t > 0 else 0.0  # mean fields share μ_0

    pairs = [[(s, a) for s in range(S) for a in range(A) if mask[t, s, a]] for t in range(H + 1)]
    constants = [max(osc(table[t][x]) for x in pairs[t]) if t else 0.0 for t in range(H + 1)]
    spans = [max(contrast(t, x, y) for x in pairs[t] for y in pairs[t]) for t in range(H + 1)]

    def tail(values, t):
        return sum(discount ** (k - t) * values[k] for k in range(t, H + 1))

    chain = sum(alpha**k for k in range(1, H + 1)) * 0.5 * max(tail(constants, t) for t in range(H))
    later = (1 - discount**2) * sum(tail(spans, t) ** 2 for t in range(1, H))
    by_spans = alpha / 4 * np.sqrt(tail(spans, 0) ** 2 + later)
    worst = [0.0] + [
        max(path_pairs(kernel, mask, contrast, discount, t, s) for s in range(S)) for t in range(1, H)
    ]  # every state can be reached
    later = (1 - discount**2) * sum(w**2 for w in worst)
    by_paths = sum(
        initial[s] * alpha / 4 * np.sqrt(path_pairs(kernel, mask, contrast, discount, 0, s) ** 2 + later)
        for s in range(S)
    )
    report = bounds_of(game, soft(1.0))
    values = [report[name].value for name in ("naive_chain", "span_sum", "path_span")]
    assert_close(values, [chain, by_spans, min(by_paths, by_spans)], rtol=1e-12)
    assert_close(report.lipschitz.reward[1:], constants[1:], rtol=1e-12)


def test_theorem_1_is_computed_as_printed_and_as_meant(rng):
    """In decimal arithmetic of 60 digits, from the formulas."""
    getcontext().prec = 60
    game, table, _, mask, _ = random_linear_game(rng, H=3)
    beta, S, A, H = Decimal("0.003"), 3, 2, 3
    logs = np.where(mask, rng.standard_normal(mask.shape), -np.inf)
    rho = np.exp(logs) / np.exp(logs).sum(axis=-1, keepdims=True)
    ratio = Decimal(float(rho[mask].max())) / Decimal(float(rho[mask].min()))
    largest = Decimal(float(np.abs(table).max()))  # Θ is the identity: K_Θ = 1 and R_max = L_max
    own = 2 * largest
    printed, meant = [own], [own]
    for _ in range(H):
        rate = 2 * beta * (H + 1) * largest
        printed.append(own + ratio * (rate * printed[-1]).exp())
        meant.append(own + ratio * rate.exp() * meant[-1])
    propagation = Decimal(S) * (Decimal(S) ** H - 1) / (S - 1)
    report = bounds_of(game, mfg.EntropyRegularized(float(beta), rho))
    for bound, values in ((report.paper_printed, printed), (report.paper_meant, meant)):
        policy = Decimal(A * (A - 1)) / 2 * beta * ratio**2 * max(values)
        expected = [float(x.log10()) for x in (propagation, max(values), policy, propagation * policy)]
        found = [bound.log10_propagation, bound.log10_action_values, bound.log10_policy, bound.log10_factor]
        assert_close(found, expected, rtol=1e-12)


def test_the_threshold_of_theorem_1_is_where_its_factor_is_1():
    beta = 10 ** float(mfg.certify(GAME, soft(1.0, RHO)).paper_meant.log10_threshold)
    assert_close(mfg.certify(GAME, soft(beta, RHO)).paper_meant.log10_factor, 0, atol=1e-9)


def test_the_recursion_as_printed_is_no_bound():
    """Θ = id, L = 1{s' = 1} at all times, uniform ρ, β → 0: K_Q,t = 2 + 1 = 3, but Q_0 differs by H."""
    H, beta = 5, 1e-9
    table = np.zeros((2, 2, 2))
    table[..., 1] = 1
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), mfg.PairwiseReward(table), [0.5, 0.5], H)
    flows = np.zeros((2, H + 1, 2))
    flows[:, 0] = 0.5
    flows[0, 1:, 0] = flows[1, 1:, 1] = 1
    q = [mfg.respond(game, jnp.asarray(flow), soft(beta)).q for flow in flows]
    report = mfg.certify(game, soft(beta), flows[0], critical=False)
    difference = float(jnp.abs(q[0] - q[1]).max()) / float(mfg.flow_distance(*jnp.asarray(flows)))
    assert_close(difference, H, rtol=1e-6)
    assert_close(10**report.paper_printed.log10_action_values, 3, rtol=1e-6)
    assert difference > 10**report.paper_printed.log10_action_values
    assert difference <= 10**report.paper_meant.log10_action_values
    assert_close(report.chain.action_values, H)


# --- each bound is attained somewhere -------------------------------------------------------------------


def stretch(game, response, first, second):
    gamma = mfg.mean_field_map(game, response)
    return float(mfg.flow_distance(gamma(first), gamma(second)) / mfg.flow_distance(first, second))


def two_flows(shares):
    return [jnp.array([[0.5, 0.5], [1 - share, share]]) for share in shares]


@pytest.mark.parametrize("discount", [1.0, 0.6])
def test_coordination_attains_chain_spans_and_paths(discount):
    """x ↦ 1/(1 + exp(−βγ(2x−1))) has slope βγ/2 at 1/2, and K = 1, κ = 2: every bound is βγ/2."""
    base = mfg.games.coordination()
    game = mfg.FiniteHorizonGame(base.kernel, base.reward, [0.5, 0.5], 1, discount=discount)
    response = soft(0.5)
    report = bounds_of(game, response)
    truth = stretch(game, response, *two_flows([0.49, 0.51]))
    for name in ("naive_chain", "span_sum", "path_span", "local_radius"):
        assert_close(report[name].value, 0.25 * discount, rtol=1e-9)
    assert 0.99 * 0.25 * discount < truth <= 0.25 * discount


def test_noise_in_the_kernel_is_attained_too():
    """With probability 1 − α the action does not matter: the bound shrinks by α, and Γ by α²."""
    alpha = 0.95
    noisy = np.full((2, 2, 2), (1 - alpha) / 2)
    noisy[:, 0, 0] += alpha
    noisy[:, 1, 1] += alpha
    base = mfg.games.coordination()
    game = mfg.FiniteHorizonGame(noisy, base.reward, [0.5, 0.5], 1)
    report = bounds_of(game, soft(0.5))
    truth = stretch(game, soft(0.5), *two_flows([0.49, 0.51]))
    assert_close(report["path_span"].value, 0.25 * alpha, rtol=1e-12)
    assert 0.94 * 0.25 * alpha < truth <= 0.25 * alpha


def test_a_joint_law_attains_the_bound():
    """One decision, seen by all: the share of action 1 is pushed by β/2 · (2x − 1)."""
    table = np.zeros((2, 1, 2, 1, 2))
    table[0, 0, 0, 0, 0] = table[0, 0, 1, 0, 1] = 1
    game = mfg.FiniteHorizonGame(
        np.ones((1, 2, 1)), mfg.PairwiseReward(DenseInteraction(table, 2)), [1.0], 1, observes="state_actions"
    )
    shares = [jnp.array([[[1 - x, x]], [[0.5, 0.5]]]) for x in (0.49, 0.51)]
    report = mfg.certify(game, soft(0.5))
    truth = stretch(game, soft(0.5), *shares)
    assert_close([report["span_sum"].value, report["naive_chain"].value], [0.25, 0.25], rtol=1e-12)
    assert truth > 0.99 * 0.25


def test_paths_that_exclude_each_other_tighten_the_bound_and_attain_it():
    """Who goes to place 1 at time 1 is stuck there, so rewards at time 2 that only place 0 sees cannot add up."""
    kernel = mfg.MovesKernel([[0, 1], [1, 1]])
    table = np.zeros((3, 2, 1, 2))
    table[1, 1, 0] = [0, 1]  # at time 1 place 1 pays its own share
    table[2, 0, 0] = [0, 1]  # at time 2 place 0 pays the share of place 1
    game = mfg.FiniteHorizonGame(kernel, mfg.PairwiseReward(table), [1.0, 0.0], 2)
    response = soft(0.2)
    report = bounds_of(game, response)
    assert_close(report["span_sum"].value, 0.2 / 4 * 2, rtol=1e-12)
    # (0→1 at time 1) collects the first alone; the other path the second alone; either way the contrast is 2
    assert float(report["path_span"].value) <= float(report["span_sum"].value)
    flows = [jnp.array([[1.0, 0.0], [1 - x, x], [1 - y, y]]) for x, y in ((0.0, 1.0), (1.0, 0.0))]
    assert stretch(game, response, *flows) > 0.7 * float(report["path_span"].value)


@pytest.mark.parametrize("discount", [1.0, 0.6])
def test_the_threshold_of_hypomonotone_rewards_is_attained(discount):
    """Coordination has one equilibrium up to βγ = 2 and three beyond: the threshold is exactly 2/γ."""
    base = mfg.games.coordination()
    game = mfg.FiniteHorizonGame(base.kernel, base.reward, [0.5, 0.5], 1, discount=discount)
    report = mfg.certify(game, soft(1.0))
    assert_close(thresholds(report, "hypomonotone", "critical_beta"), [2 / discount] * 2, rtol=1e-6)
    above = [mfg.solve(game, soft(2.1 / discount), guess=flow).mean_field[1, 1] for flow in two_flows([0.01, 0.99])]
    assert float(above[1] - above[0]) > 0.3


def test_the_bound_on_the_distance_is_attained():
    """In a coordination game errors shrink by exactly the factor, all in one direction."""
    game, response = mfg.games.coordination(), soft(1.0)
    near = two_flows([0.501])[0]
    assert_close(mfg.certify(game, response, near)["distance"].value, 0.001, rtol=1e-2)


# --- uniqueness ---------------------------------------------------------------------------------------------


class Congestion(eqx.Module):
    """Linear congestion as a program of one's own."""

    weight: jax.Array

    def __call__(self, t, mean_field):
        return (jnp.arange(3) / 3 - self.weight * mean_field)[:, None]


CONGESTED = {
    "ring": mfg.games.ring_crowd(6, 4, 3.0),
    "grid": mfg.games.grid_crowd(3, 3, 4, congestion=5.0),
    "left and right": mfg.games.left_right(),
    "program": mfg.FiniteHorizonGame(np.full((3, 2, 3), 1 / 3), Congestion(jnp.array(4.0)), [1.0, 0, 0], 3),
    "table": mfg.FiniteHorizonGame(
        np.full((3, 2, 3), 1 / 3), mfg.PairwiseReward(np.tile(-np.eye(3)[:, None], (1, 2, 1))), [1.0, 0, 0], 3
    ),
}


@pytest.mark.parametrize("name", CONGESTED)
@pytest.mark.parametrize("beta", [0.1, 1000.0])
def test_linear_congestion_has_one_equilibrium_at_every_beta(name, beta):
    game = CONGESTED[name]
    report = bounds_of(game, soft(beta))
    assert report["monotone"].word == report["unique"].word == report["potential"].word == "holds"
    assert np.isinf(thresholds(report, "monotone", "hypomonotone", "unique")).all()


@pytest.mark.parametrize("beta", [2.05, 3.0, 10.0, 100.0])
def test_a_game_with_two_equilibria_is_never_certified_unique(beta):
    game, response = mfg.games.coordination(0.01), soft(beta)
    found = [mfg.solve(game, response, guess=flow) for flow in two_flows([0.0, 1.0])]
    report = mfg.certify(game, response, found[0])
    assert report["unique"].word == "unknown"
    if beta > 2.5:  # the field lets the pair appear a little beyond 2
        assert float(mfg.flow_distance(found[0].mean_field, found[1].mean_field)) > 0.3
        for equilibrium in found:
            residual = mfg.flow_distance(
                equilibrium.mean_field, mfg.mean_field_map(game, response)(equilibrium.mean_field)
            )
            assert float(residual) < 1e-9
            assert mfg.certify(game, response, equilibrium)["unique"].word == "unknown"


def test_negative_definite_interactions_are_monotone_and_others_not(rng):
    """Only the symmetric part counts; a positive direction is a violation; skew parts spoil potentials."""
    S, H = 4, 2
    root, skew = rng.standard_normal((S, S)), rng.standard_normal((S, S))
    flow, kernel = np.full((H + 1, S), 1 / S), np.full((S, 2, S), 1 / S)
    cases = {
        "definite": (-root.T @ root, "holds", "holds"),
        "definite and skew": (-root.T @ root + skew - skew.T, "holds", "fails"),
        "indefinite": (np.diag([1.0, 1, -1, -1]), "fails", "holds"),
    }
    for matrix, is_monotone, is_potential in cases.values():
        reward = mfg.PairwiseReward(np.tile(matrix[:, None], (1, 2, 1)))
        report = bounds_of(mfg.FiniteHorizonGame(kernel, reward, flow[0], H), soft(5.0))
        assert report["monotone"].word == is_monotone
        assert report["potential"].word == is_potential


def test_constants_added_to_a_row_do_not_matter(rng):
    """Mean fields sum to one, so L + c 1ᵀ is the same interaction up to constants."""
    matrix = -np.eye(4) + rng.standard_normal((4, 1))
    game = mfg.FiniteHorizonGame(
        np.full((4, 2, 4), 0.25), mfg.PairwiseReward(np.tile(matrix[:, None], (1, 2, 1))), np.full(4, 0.25), 2
    )
    report = bounds_of(game, soft(5.0))
    assert report["monotone"].word == report["potential"].word == "holds"


def test_monotone_but_curved_rewards_are_proved_by_intervals():
    """−exp(μ(s)) falls in the crowd at one's own state; the derivative lies in [−e, −1]."""

    class Curved(eqx.Module):
        def __call__(self, t, mean_field):
            return -jnp.exp(mean_field)[:, None]

    game = mfg.FiniteHorizonGame(np.full((3, 2, 3), 1 / 3), Curved(), [0.2, 0.3, 0.5], 2)
    report = bounds_of(game, soft(5.0))
    assert report["monotone"].word == "holds"
    assert "eigenvalues" in report["monotone"].checked


def test_a_reward_that_cannot_be_read_is_only_sampled():
    class Jumping(eqx.Module):
        sign: float = eqx.field(static=True)

        def __call__(self, t, mean_field):
            return (self.sign * jnp.where(mean_field > 0.5, mean_field, 0.0))[:, None]

    words = {}
    for sign in (-1.0, 1.0):
        game = mfg.FiniteHorizonGame(np.full((2, 2, 2), 0.5), Jumping(sign), [0.5, 0.5], 2)
        report = bounds_of(game, soft(0.1))
        words[sign] = report["monotone"].word
        assert "no violation was found" in report["monotone"].checked
        assert all(report[name].word == "unknown" for name in (*CONTRACTIONS, "unique", "distance", "potential"))
        assert "gt" in report["path_span"].checked
    assert words == {-1.0: "unknown", 1.0: "fails"}


# --- near one equilibrium -------------------------------------------------------------------------------------


def test_the_local_radius_is_the_rate_of_plain_iteration():
    response = soft(1.0, RHO)
    radius = float(mfg.certify(GAME, response)["local_radius"].value)
    history = np.asarray(mfg.solve(GAME, response, mfg.Picard(atol=1e-12)).history)
    assert_close(history[-1] / history[-2], radius, rtol=1e-3)


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
    report = mfg.certify(game, soft(100.0))
    assert np.isinf(thresholds(report, "critical_beta", "path_span", "paper_meant", "unique")).all()
    assert report["unique"].word == report["path_span"].word == "holds"


def test_a_critical_beta_that_was_not_found_is_not_promised_not_to_exist():
    """In this random game the radius stays below 1 for all β that are searched."""
    game = mfg.games.random_dense(0, 5, 4, 6)
    report = mfg.certify(game, soft(1e-3), resting(game), critical=True)["critical_beta"]
    assert np.isinf(float(report.value)) and np.isnan(float(report.threshold)) and report.word == "holds"
    far = mfg.certify(game, soft(1e7), resting(game), critical=True)["critical_beta"]
    assert far.word == "unknown"


@pytest.mark.parametrize("size", [1, 2, 7, 60])
def test_radii_agree_with_numpy(rng, size):
    matrix = rng.standard_normal((size, size))
    truth = np.abs(np.linalg.eigvals(matrix)).max()
    assert_close(spectral_radius(jnp.asarray(matrix)), truth, rtol=1e-6)
    assert_close(arnoldi_radius(lambda v: jnp.asarray(matrix) @ v, size, jnp.float64), truth, rtol=1e-6)


def test_the_radius_of_a_large_dominated_matrix_and_of_a_nilpotent_one(rng):
    size = 300
    vectors, _ = np.linalg.qr(rng.standard_normal((size, size)))
    matrix = vectors @ np.diag([-3.0, *np.linspace(-2, 2, size - 1)]) @ vectors.T
    assert_close(arnoldi_radius(lambda v: jnp.asarray(matrix) @ v, size, jnp.float64), 3, rtol=1e-6)
    assert_close(spectral_radius(jnp.diag(jnp.ones(5), 1)), 0)


# --- kernels that depend on the mean field ----------------------------------------------------------------------


class Mixture(eqx.Module):
    """P(s'|s,a,μ) = Σ_n μ(n) P_n(s'|s,a): affine in the mean field."""

    tables: jax.Array

    def __call__(self, t, mean_field):
        return jnp.tensordot(mean_field, self.tables, axes=1)


def test_for_coupled_kernels_it_says_what_falls_away_and_what_remains(rng):
    game, _ = random_game("crowd kernel", rng)
    report = mfg.certify(game, soft(0.5))
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
    table, function = bounds_of(game, soft(0.2)), bounds_of(clock, soft(0.2))
    for line in table.certificates:
        assert function[line.name].word == line.word
        np.testing.assert_allclose(function[line.name].value, line.value, rtol=1e-9, atol=1e-12)


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


# --- other responses, given and sampled constants -----------------------------------------------------------------


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
    report = mfg.certify(mfg.games.left_right(), mfg.Greedy())
    assert report["monotone"].word == report["potential"].word == "holds"
    assert report["unique"].word == report["local_radius"].word == "unknown"
    assert "What is proved\n" in str(report)


def test_given_constants_are_used_and_sampled_ones_prove_nothing():
    game = mfg.games.coordination()
    given = bounds_of(game, soft(0.5), lipschitz=mfg.Lipschitz([0.0, 1.0]))
    sampled = mfg.sample_lipschitz(game, key=jax.random.key(1), num_pairs=50)
    assert_close(given["path_span"].value, 0.25)
    assert given["path_span"].word == "holds" and given["paper_meant"].word == "unknown"
    assert float(sampled.reward[1]) <= 1 + 1e-9
    assert float(sampled.reward[1]) > 0.9
    report = bounds_of(game, soft(0.5), lipschitz=sampled)
    assert all(report[name].word == "unknown" for name in (*CONTRACTIONS, "contraction", "hypomonotone", "unique"))
    assert "sampled" in report["path_span"].checked
    assert report.lipschitz.origin == "sampled"


def test_an_unread_reward_is_certified_with_given_constants():
    class Softplus(eqx.Module):
        def __call__(self, t, mean_field):
            return jax.nn.softplus(mean_field)[:, None]  # compares inside; 1-Lipschitz in the share, so in d_TV

    game = mfg.FiniteHorizonGame(np.full((2, 2, 2), 0.5), Softplus(), [0.5, 0.5], 2)
    assert bounds_of(game, soft(0.1))["path_span"].word == "unknown"
    assert bounds_of(game, soft(0.1), lipschitz=mfg.Lipschitz(1.0))["path_span"].word == "holds"


def test_one_node_tables_agree_with_their_dense_form(rng):
    """Rewards where one's move leads, against the full table of the same interaction."""
    S, A, H = 4, 3, 3
    successors = rng.integers(0, S, size=(S, A))
    base, weight = rng.standard_normal((2, S, A))
    table = np.zeros((S, A, S))
    for s, a, n in np.ndindex(S, A, S):
        table[s, a, n] = base[s, a] + weight[s, a] * (n == successors[s, a])
    rewards = [mfg.PairwiseReward(SuccessorInteraction(base, weight, successors)), mfg.PairwiseReward(table)]
    kernel, initial = rng.dirichlet(np.ones(S), size=(S, A)), np.full(S, 1 / S)
    reports = [bounds_of(mfg.FiniteHorizonGame(kernel, reward, initial, H), soft(0.3)) for reward in rewards]
    for name in CONTRACTIONS:
        assert_close(reports[0][name].value, reports[1][name].value, rtol=1e-12)


def test_a_game_of_two_states_knows_no_third(rng):
    """With two states g 1{0} has the oscillation |g|, and contrasts of 1{0} and 1{1} add up."""
    weight = np.array([[1.0], [-2.0]])
    reward = mfg.PairwiseReward(OwnStateInteraction(np.zeros((2, 1)), weight))
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), reward, [0.5, 0.5], 1)
    assert_close(bounds_of(game, soft(1.0))["span_sum"].value, 0.25)  # osc(1·1{0} + 2·1{1}) = 1


# --- families, words and bad input --------------------------------------------------------------------------------


def test_families_are_certified_at_once():
    betas = jnp.array([0.3, 1.0, 3.0])
    together = jax.jit(jax.vmap(lambda beta: mfg.certify(GAME, soft(beta, RHO))))(betas)
    for i, beta in enumerate(betas):
        single = mfg.certify(GAME, soft(float(beta), RHO))
        for line in single.certificates:
            assert_close(together[line.name].status[i], line.status)
            if line.name != "distance":  # residuals are rounding
                np.testing.assert_allclose(together[line.name].value[i], line.value, rtol=1e-7, atol=1e-12)
    assert "beta=" in str(together)


def test_references_and_games_are_families_too(rng):
    references = jnp.asarray(rng.dirichlet(np.ones(2), size=(3, 2)))
    fields = jnp.array([0.0, 0.1, 0.2])

    def radius(reference, field):
        game = eqx.tree_at(lambda g: g.reward.L.field, mfg.games.coordination(), field)
        report = mfg.certify(game, soft(1.0, reference), jnp.full((2, 2), 0.5), critical=False)
        return report["local_radius"].value, report["path_span"].value

    radii, bounds = jax.vmap(radius)(references, fields)
    assert (radii <= bounds).all() and len(set(np.asarray(radii).tolist())) == 3


def test_a_report_has_a_table_words_and_json():
    report = mfg.certify(GAME, soft(0.5, RHO))
    table = str(report)
    assert "What is proved at β = 0.5" in table and len(table.splitlines()) == 2 + len(report.certificates)
    assert all(len(line) <= 120 for line in table.splitlines())
    for certificate in report.certificates:
        text = report.explain(certificate.name)
        assert certificate.name in text and "Theorem" in text and "Checked" in text
    assert report.explain().count("Theorem:") == len(report.certificates)
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["certificates"]["path_span"]["status"] == "holds"
    assert_close(content["factors"]["naive_chain"]["propagation"], 5)
    with pytest.raises(KeyError, match="there is no certificate 'contractions'"):
        report["contractions"]


def test_single_precision_certifies_the_same():
    game, response = jax.tree.map(
        lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, (GAME, soft(0.5, RHO))
    )
    report = mfg.certify(game, response)
    assert_close(thresholds(report, "path_span", "critical_beta"), [0.8, 1.431], rtol=2e-3)
    assert report["unique"].word == "holds"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("game", soft(1.0)), {}, "`game` must be a `FiniteHorizonGame`; got str"),
        ((GAME, 3.0), {}, "`response` must be a response"),
        ((GAME, soft(1.0), np.ones((6, 4))), {}, r"`equilibrium` must have shape \(6, 5\)"),
        ((GAME, soft(1.0), np.full((6, 5), 0.3)), {}, r"`equilibrium\[0\]` sums to 1.5"),
        ((GAME, soft(1.0), np.full((6, 5), 0.2)), {}, r"`equilibrium\[0\]` at time 0 is 0.2, but at time 0 it must be"),
        ((GAME, soft(1.0)), {"lipschitz": 2.0}, "`lipschitz` must be a `Lipschitz`, or None; got 2.0"),
        (
            (GAME, soft(1.0)),
            {"lipschitz": mfg.Lipschitz(np.ones(4))},
            r"`lipschitz.reward` must have shape \(1,\) or \(6,\)",
        ),
        (
            (GAME, soft(1.0)),
            {"lipschitz": mfg.Lipschitz(0.01)},
            r"`lipschitz.reward` is 0.01 at time 5, but that is no",
        ),
        ((GAME, soft(1.0)), {"critical": 1}, "`critical` must be"),
    ],
)
def test_bad_input_is_one_sentence(arguments, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        mfg.certify(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((-1.0,), {}, "`lipschitz.reward` is -1.0, but a Lipschitz constant is a finite number >= 0"),
        (([1.0, np.inf],), {}, r"`lipschitz.reward\[1\]` is inf"),
        ((1.0, np.nan), {}, "`lipschitz.kernel` is nan"),
        ((1.0,), {"origin": "guessed"}, "`origin` must be"),
        (("one",), {}, "`lipschitz.reward` must hold real numbers"),
    ],
)
def test_bad_constants_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        mfg.Lipschitz(*arguments, **options)


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


# --- what was once said wrongly ---------------------------------------------------------------------------------


def places(reward, horizon=1, **options):
    """Two places, each of which can be reached from anywhere."""
    moves = np.zeros((2, 2, 2))
    moves[:, 0, 0] = moves[:, 1, 1] = 1
    return mfg.FiniteHorizonGame(moves, reward, [0.5, 0.5], horizon, **{"available": np.ones((2, 2), bool), **options})


UNBOUNDED = {
    "root": lambda t, m: (5 * jnp.sqrt(m))[:, None],
    "power": lambda t, m: (5 * m**0.5)[:, None],
    "logarithm": lambda t, m: jnp.log(m)[:, None],
    "powers": lambda t, m: (8 * m ** jnp.array([0.0, 2.0]))[:, None],
    "theta of one's own state": mfg.PairwiseReward(
        OwnStateInteraction(np.zeros((2, 1)), np.ones((2, 1))), lambda t, x: 5 * jnp.sqrt(x)
    ),
    "theta of a table": mfg.PairwiseReward(np.eye(2)[:, None], lambda t, x: 5 * jnp.sqrt(x)),
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_slopes_without_a_bound_prove_nothing(name):
    """Crowds that attract with infinite slope at an empty place have several equilibria."""
    report = bounds_of(places(UNBOUNDED[name]), soft(3.0))
    for line in (*CONTRACTIONS, "contraction", "hypomonotone", "unique", "distance"):
        assert report[line].word != "holds", line
        assert not np.isinf(float(report[line].threshold)), line
    assert report["monotone"].word != "holds"


@pytest.mark.parametrize("scale", [1e-14, 1e-5, 1e9])
def test_weak_attraction_is_not_taken_for_rounding(scale):
    """Coordination with reward scale · μ(s): three equilibria beyond β = 2/scale, however small the scale is."""
    weight = scale * np.ones((2, 1))
    game = places(mfg.PairwiseReward(OwnStateInteraction(0 * weight, weight)))
    above, below = bounds_of(game, soft(6 / scale)), bounds_of(game, soft(1 / scale))
    assert above["unique"].word == "unknown" and above["monotone"].word == "fails"
    assert below["unique"].word == "holds"
    assert_close(above["hypomonotone"].threshold * scale, 2, rtol=2e-3)


def test_times_of_other_scales_do_not_hide_attraction():
    L = np.zeros((3, 2, 1), np.float32)
    L[1], L[2] = -1e3, 4e-3  # strong congestion, then weak attraction
    game = places(mfg.PairwiseReward(OwnStateInteraction(np.zeros_like(L), L)), 2)
    assert bounds_of(game, soft(2000.0))["unique"].word == "unknown"
    skew = np.zeros((3, 3, 1, 3))
    skew[1, :, 0] = -1e3 * np.eye(3)
    skew[2, :, 0] = 1e-5 * np.array([[0, 1, -1], [-1, 0, 1], [1, -1, 0]])
    cycle = mfg.FiniteHorizonGame(np.full((3, 2, 3), 1 / 3), mfg.PairwiseReward(skew), np.full(3, 1 / 3), 2)
    assert bounds_of(cycle, soft(1.0))["potential"].word == "fails"


def test_actions_that_exist_at_the_end_only_count():
    """Their rows of the kernel may be empty: nobody moves after H."""
    kernel, mask = np.zeros((3, 3, 3)), np.ones((3, 3, 3), bool)
    kernel[:, 0, 0] = kernel[:, 1, 1] = 1
    mask[:2, :, 2] = False

    def reward(t, m):
        return jnp.where(t == 2, jnp.zeros((3, 3)).at[:, 2].set(6 * m), 0.0)

    for structured in (kernel, mfg.SuccessorKernel(np.tile([0, 1, 2], (3, 3, 1)), kernel)):
        game = mfg.FiniteHorizonGame(structured, reward, [1.0, 0, 0], 2, available=mask)
        report = bounds_of(game, soft(2.0))
        assert_close(report["path_span"].value, report["span_sum"].value, rtol=1e-12)
        assert float(report["path_span"].value) > 5 and report["unique"].word == "unknown"


def test_the_report_of_many_games_is_json_and_says_so_where_it_has_no_table():
    report = jax.vmap(lambda beta: bounds_of(mfg.games.coordination(), soft(beta)))(jnp.array([1.0, 3.0]))
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["certificates"]["unique"]["status"] == ["holds", "unknown"]
    with pytest.raises(ValueError, match="of many games"):
        report.rows()
    assert jax.tree.map(lambda x: x[0], report)["unique"].word == "holds"


@pytest.mark.parametrize("key", [3, "a"])
def test_keys_are_checked(key):
    with pytest.raises(ValueError, match="`key` must be a key such as"):
        mfg.certify(GAME, soft(1.0), resting(GAME), key=key)
    with pytest.raises(ValueError, match="`key` must be a key such as"):
        mfg.sample_lipschitz(GAME, key=key)
    with pytest.raises(ValueError, match="`game` must be a `FiniteHorizonGame`; got 3"):
        mfg.sample_lipschitz(3, key=jax.random.key(0))


def test_krylov_radii_of_matrices_that_are_not_normal(rng):
    """A large part that only grows for a while must not be taken for the radius."""
    size = 300
    matrix = np.triu(rng.standard_normal((size, size)) / 10, 1)
    matrix[np.diag_indices(size)] = np.linspace(-0.4, 0.5, size)
    found = float(arnoldi_radius(lambda v: jnp.asarray(matrix) @ v, size, jnp.float64))
    assert found >= 0.5 * (1 - 1e-2)
