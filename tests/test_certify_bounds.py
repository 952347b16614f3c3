"""Bounds on contraction: they equal loops over their formulas, and each is attained somewhere."""

import itertools
from decimal import Decimal, getcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from certificates import GAME, RHO, bounds_of, known, random_linear_game, resting, soft, stretch, thresholds, two_flows
from helpers import Squash, assert_close, random_policy

import mfgjax as mfg
from mfgjax.model import DenseInteraction, OwnStateInteraction, SuccessorInteraction


def osc(row):
    return max(row) - min(row)


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
    rho = random_policy(rng, mask)  # of which no bound but that of the paper knows
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
    report = bounds_of(game, soft(1.0, rho))
    values = [report[name].value for name in ("naive_chain", "span_sum", "path_span")]
    assert_close(values, [chain, by_spans, min(by_paths, by_spans)], rtol=1e-12)
    assert_close(report.lipschitz.reward[1:], constants[1:], rtol=1e-12)


def test_theorem_1_is_computed_as_printed_and_as_meant(rng):
    """In decimal arithmetic of 60 digits, from the formulas."""
    getcontext().prec = 60
    game, table, _, mask, _ = random_linear_game(rng, H=2)
    beta, S, A, H = Decimal("0.003"), 3, 2, 2
    rho = random_policy(rng, mask)
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
    beta = 10 ** float(bounds_of(GAME, soft(1.0, RHO)).paper_meant.log10_threshold)
    assert_close(bounds_of(GAME, soft(beta, RHO)).paper_meant.log10_factor, 0, atol=1e-9)


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


def coordination(discount=1.0, alpha=1.0):
    """The game of coordination where the action does not matter with probability 1 − α."""
    noisy = np.full((2, 2, 2), (1 - alpha) / 2)
    noisy[:, 0, 0] += alpha
    noisy[:, 1, 1] += alpha
    reward = mfg.games.coordination().reward
    return mfg.FiniteHorizonGame(noisy, reward, [0.5, 0.5], 1, discount=discount, available=np.ones((2, 2), bool))


@pytest.mark.parametrize("discount", [1.0, 0.6])
def test_coordination_attains_chain_spans_and_paths(discount):
    """x ↦ 1/(1 + exp(−βγ(2x−1))) has slope βγ/2 at 1/2, and K = 1, κ = 2: every bound is βγ/2."""
    game, response = coordination(discount), soft(0.5)
    report = bounds_of(game, response)
    truth = stretch(game, response, *two_flows([0.49, 0.51]))
    for name in ("naive_chain", "span_sum", "path_span", "local_radius"):
        assert_close(report[name].value, 0.25 * discount, rtol=1e-9)
    assert 0.99 * 0.25 * discount < truth <= 0.25 * discount


def test_noise_in_the_kernel_is_attained_too():
    """With probability 1 − α the action does not matter: the bound shrinks by α, and Γ by α²."""
    alpha = 0.95
    game = coordination(alpha=alpha)
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
    report = mfg.certify(game, soft(0.5), np.full((2, 1, 2), 0.5), critical=False)
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
    game = coordination(discount)
    report = mfg.certify(game, soft(1.0), resting(game), critical=True)  # the even flow is an equilibrium at every β
    assert_close(thresholds(report, "hypomonotone", "critical_beta"), [2 / discount] * 2, rtol=1e-6)
    share = 1.0
    for _ in range(1000):  # of the greatest equilibrium, at 2.1 instead of 2
        share = 1 / (1 + np.exp(-2.1 * (2 * share - 1)))
    assert share > 0.65


def test_the_bound_on_the_distance_is_attained():
    """In a coordination game errors shrink by exactly the factor, all in one direction."""
    near = two_flows([0.501])[0]
    assert_close(mfg.certify(coordination(), soft(1.0), near)["distance"].value, 0.001, rtol=1e-2)


@pytest.mark.parametrize("form", ["own", "successors"])
@pytest.mark.parametrize("theta", [None, Squash(jnp.asarray(1.2))])
def test_one_node_tables_agree_with_their_dense_form(form, theta, rng):
    """Rewards where one is, or where one's move leads, against the full table of the same interaction."""
    S, A, H = 4, 3, 3
    successors = np.arange(S)[:, None].repeat(A, 1) if form == "own" else rng.integers(0, S, size=(S, A))
    base, weight = rng.standard_normal((2, S, A))
    table = np.zeros((S, A, S))
    for s, a, n in np.ndindex(S, A, S):
        table[s, a, n] = base[s, a] + weight[s, a] * (n == successors[s, a])
    sparse = OwnStateInteraction(base, weight) if form == "own" else SuccessorInteraction(base, weight, successors)
    kernel, initial = rng.dirichlet(np.ones(S), size=(S, A)), np.full(S, 1 / S)
    numbers = []
    for L in (sparse, table):
        reward = mfg.PairwiseReward(L) if theta is None else mfg.PairwiseReward(L, theta)
        premises = known(mfg.FiniteHorizonGame(kernel, reward, initial, H), soft(0.3))
        contrasts = [premises.payoffs.slopes.contrasts(jnp.int32(t)) for t in range(H + 1)]
        slopes = premises.payoffs.slopes.constants()
        numbers.append([np.broadcast_to(x, (H + 1, *x.shape[-2:])) for x in (slopes, np.stack(contrasts))])
        numbers[-1] += [premises.constants, premises.spans, premises.payoffs.value.low, premises.payoffs.value.high]
        numbers[-1] += jax.tree.leaves(premises.payoffs.pairwise)
    for one, other in zip(*numbers, strict=True):
        # the range of Θ' is bounded on 1,024 cells here and on 64 there, exactly in both: tanh' is unimodal
        assert_close(one, other, rtol=1e-12 if theta is None else 1e-9, atol=1e-14)


def test_a_game_of_two_states_knows_no_third(rng):
    """With two states g 1{0} has the oscillation |g|, and contrasts of 1{0} and 1{1} add up."""
    weight = np.array([[1.0], [-2.0]])
    reward = mfg.PairwiseReward(OwnStateInteraction(np.zeros((2, 1)), weight))
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), reward, [0.5, 0.5], 1)
    assert_close(bounds_of(game, soft(1.0))["span_sum"].value, 0.25)  # osc(1·1{0} + 2·1{1}) = 1


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
