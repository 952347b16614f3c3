"""Equilibria: known values, every solver, and how a solve ends."""

import functools
import re
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import COMPILED, assert_close, random_game, random_policy, resource_allocation_by_hand

import mfgjax as mfg
from mfgjax import RESULTS


@functools.cache
def example(preset="paper"):
    game = mfg.games.resource_allocation(preset)
    return game, mfg.games.resource_allocation_reference(game)


@functools.cache
def equilibrium(beta, preset="paper"):
    game, rho = example(preset)
    return mfg.solve(game, mfg.EntropyRegularized(beta, rho))


@functools.cache
def flow_by_hand(beta, preset="paper"):
    """The equilibrium by loops: damping 0.3 converges up to radius 5.6 of a negative spectrum."""
    plain, rho = resource_allocation_by_hand(preset)
    return oracle.equilibrium(plain, oracle.soft(beta, rho), damping=0.3)


# --- known equilibria ---------------------------------------------------------------------------------

GOLDEN = [  # preset, β, law of the nodes at time 5, μ_0·V_0: computed once by an independent program
    ("paper", 0.1, (0.004675, 0.004222, 0.512844, 0.473560, 0.004699), 0.624731),
    ("paper", 1.0, (0.002714, 0.002452, 0.603457, 0.388649, 0.002729), 0.606112),
    ("paper", 3.0, (0.000854, 0.000772, 0.670311, 0.327205, 0.000859), 0.587469),
    ("author-code", 1.0, (0.003694, 0.003431, 0.567887, 0.421397, 0.003592), 0.217726),
    ("author-code", 3.0, (0.002084, 0.002043, 0.633486, 0.360486, 0.001902), 0.211969),
]


@pytest.mark.parametrize(("preset", "beta", "law", "value"), GOLDEN)
def test_the_example_of_guan_et_al_has_its_known_equilibria(preset, beta, law, value):
    game, _ = example(preset)
    eq = equilibrium(beta, preset)
    assert_close(eq.mean_field[-1], law, atol=1e-6)  # six digits are known
    assert_close(game.initial @ eq.values[0], value, atol=1e-6)
    # and all of the flow, against loops; (I − DΓ)⁻¹ of a negative spectrum does not enlarge the residual
    assert_close(eq.mean_field, flow_by_hand(beta, preset), atol=1e-9)


def test_the_reference_of_the_example_leads_to_its_known_law():
    game, rho = example()
    flow = mfg.propagate(game, jnp.broadcast_to(rho, (6, 5, 3)))
    assert_close(flow[-1], (0.00498, 0.00449, 0.49522, 0.49031, 0.00500), atol=5e-6)


def test_a_large_beta_leads_to_three_quarters_at_node_3():
    eq = equilibrium(1e5)
    # at nodes 3 and 4 payoffs differ by O(log(ρ-ratios)/β); slopes there are 3
    assert_close(eq.mean_field[-1], (0, 0, 0.75, 0.25, 0), atol=1e-4)


def test_greedy_players_of_the_example_mix_three_to_one():
    game, _ = example()
    eq = mfg.solve(game, mfg.Greedy())
    assert eq.criterion == "exploitability"
    assert eq.exploitability <= eq.tolerance
    # a share δ too many at node 3 gains 3δ/4, one elsewhere 9/16 of itself
    assert_close(eq.mean_field[-1], (0, 0, 0.75, 0.25, 0), atol=2 * float(eq.tolerance))
    assert 0 <= oracle.exploitability(resource_allocation_by_hand()[0], np.asarray(eq.policy)) <= eq.tolerance + 1e-12


def bisection(function, low, high):
    """Root of an increasing function."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2


def left_share(beta):
    """x = P(left): log x/(1−x) = β (−x + 2(1 − x))."""
    return bisection(lambda x: np.log(x / (1 - x)) - beta * (2 - 3 * x), 1e-15, 1 - 1e-15)


@pytest.mark.parametrize("beta", [0.1, 1.0, 10.0, 1e3, 1e5])
def test_left_right_solves_its_scalar_equation(beta):
    eq = mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(beta))
    assert_close(eq.mean_field[1], (0, left_share(beta), 1 - left_share(beta)), atol=max(1e-9, 1e-14 * beta))
    if beta == 1e5:
        assert_close(eq.mean_field[1, 1], 2 / 3, atol=1e-5)  # off by log(2)/(3β)


def test_greedy_players_of_left_right_mix_two_to_one():
    eq = mfg.solve(mfg.games.left_right(), mfg.Greedy(), mfg.Picard(averaging="uniform"))
    # a share δ too many on the left gains at least δ for the third on the other side
    assert_close(eq.mean_field[1], (0, 2 / 3, 1 / 3), atol=3 * float(eq.tolerance))
    assert_close(eq.values[0, 0], -2 / 3, atol=6 * float(eq.tolerance))
    assert eq.exploitability <= eq.tolerance


def coordination_roots(beta, field):
    """All x = 1/(1 + exp(−β(2x − 1 + field))), by sign changes and bisection."""

    def gap(x):
        return x - 1 / (1 + np.exp(-beta * (2 * x - 1 + field)))

    grid = np.linspace(0, 1, 1001)
    signs = np.sign(gap(grid))
    found = []
    for low, high, s in zip(grid, grid[1:], signs * (signs != np.roll(signs, -1)), strict=False):
        if s:
            found.append(bisection(lambda x, s=s: -s * gap(x), low, high))
    return found


def test_all_three_equilibria_of_the_coordination_game_are_found_from_nearby():
    game = mfg.games.coordination(field=0.05)
    roots = coordination_roots(3.0, 0.05)
    assert len(roots) == 3
    for x in roots:
        near = np.array([[0.5, 0.5], [1.02 - x, x - 0.02]])
        eq = mfg.solve(game, mfg.EntropyRegularized(3.0), mfg.Newton(), guess=near)
        assert_close(eq.mean_field[1], (1 - x, x), atol=1e-9)


@pytest.mark.parametrize("beta", [0.5, 3.0, 50.0])
def test_the_default_solver_finds_a_root_of_the_coordination_game(beta):
    eq = mfg.solve(mfg.games.coordination(field=0.05), mfg.EntropyRegularized(beta))
    gaps = np.abs(np.array(coordination_roots(beta, 0.05)) - float(eq.mean_field[1, 1]))
    assert gaps.min() <= 1e-9


@pytest.mark.parametrize("kind", ["crowd successors", "joint law"])
def test_random_games_reach_the_fixed_point_of_the_loops(kind):
    """Masks, empty states, kernels of the crowd, a discount; at small β, where the equilibrium is unique."""
    for seed in range(2):
        rng = np.random.default_rng(seed)
        game, plain = random_game(kind, rng)
        rho = random_policy(rng, plain.available)
        eq = mfg.solve(game, mfg.EntropyRegularized(0.5, rho), mfg.Anderson(atol=1e-12))
        flow = oracle.equilibrium(plain, oracle.soft(0.5, rho), damping=0.7)
        assert_close(eq.mean_field, flow, atol=1e-11)
        assert_close(eq.state_law, oracle.spread(plain, np.asarray(eq.policy))[0], atol=1e-11)
        # E is of second order in the residual
        assert 0 <= eq.exploitability <= 1e-14


def test_a_boltzmann_equilibrium_is_the_fixed_point_of_the_loops():
    rng = np.random.default_rng(0)
    game, plain = random_game("dense", rng)
    rho = random_policy(rng, plain.available)
    eq = mfg.solve(game, mfg.Boltzmann(0.5, rho), mfg.Anderson(atol=1e-12))
    flow = oracle.equilibrium(plain, oracle.softmax_of_greedy(0.5, rho), damping=0.7)
    assert_close(eq.mean_field, flow, atol=1e-11)
    assert_close(eq.exploitability, oracle.exploitability(plain, np.asarray(eq.policy)), atol=1e-11)


# --- every solver -------------------------------------------------------------------------------------

SMOOTH_SOLVERS = {
    "damped Picard": (mfg.Picard(0.3), None),
    "uniform averaging": (mfg.Picard(averaging="uniform", atol=1e-5), None),  # error 1/k
    "linear averaging": (mfg.Picard(averaging="linear", atol=1e-6), None),  # error 1/k²
    "Anderson": (mfg.Anderson(), 60),  # as many steps as `Auto` gives them, so that the program is the same
    "Newton": (mfg.Newton(), None),
    "mirror descent": (mfg.MirrorDescent(), None),
    "continuation": (mfg.Continuation(), 4940),
    "continuation in β": (mfg.Continuation(through_folds=False), None),
    "default": (mfg.Auto(), None),
}


@pytest.mark.parametrize("name", SMOOTH_SOLVERS)
def test_every_solver_reaches_the_equilibrium_of_the_example_at_beta_3(name):
    game, rho = example()
    solver, most = SMOOTH_SOLVERS[name]
    eq = mfg.solve(game, mfg.EntropyRegularized(3.0, rho), solver, max_steps=most)
    atol = solver.atol or 1e-10
    assert eq.converged
    assert eq.residual <= atol * (1 + 1e-12)
    assert mfg.flow_distance(eq.mean_field, flow_by_hand(3.0)) <= 2 * atol
    # the residual is what it says, by loops
    plain, reference = resource_allocation_by_hand()
    flow = np.asarray(eq.mean_field)
    image = oracle.gamma(plain, flow, oracle.soft(3.0, reference))
    assert_close(eq.residual, oracle.flow_distance(flow, image), atol=1e-14)
    assert_close(eq.policy, oracle.best_response(plain, flow, oracle.soft(3.0, reference))[1], atol=1e-13)


GREEDY_SOLVERS = {
    "uniform averaging": mfg.Picard(averaging="uniform"),
    "linear averaging": mfg.Picard(averaging="linear"),
    "mirror descent": mfg.MirrorDescent(),
    "proximal mirror descent": mfg.MirrorDescent(0.1, prior_steps=50),
    "continuation": mfg.Continuation(),
}


@pytest.mark.parametrize("name", GREEDY_SOLVERS)
def test_every_solver_for_greedy_players_finds_the_mixed_equilibrium(name):
    game, _ = example()
    eq = mfg.solve(game, mfg.Greedy(), GREEDY_SOLVERS[name], max_steps=1000)
    assert eq.converged
    assert eq.residual <= eq.tolerance < 2e-4  # 1e-4 of what is at stake
    assert_close(eq.mean_field[-1], (0, 0, 0.75, 0.25, 0), atol=3e-4)
    assert_close(eq.policy.sum(axis=-1), 1, atol=1e-12)


@pytest.mark.parametrize(
    ("solver", "word"), [(mfg.Newton(), "Newton"), (mfg.Anderson(), "Anderson")], ids=["Newton", "Anderson"]
)
def test_methods_for_smooth_responses_refuse_greedy_ones(solver, word):
    with pytest.raises(ValueError, match=f"{word}.*is continuous in the mean field, but the policy of `Greedy` jumps"):
        mfg.solve(example()[0], mfg.Greedy(), solver)


def plain_random_dense(game):
    """The game of `random_dense` from its numbers."""
    P, L = np.asarray(game.kernel.probabilities[0]), np.asarray(game.reward.L.table[0])
    c = float(game.reward.theta.steepness)
    mask = np.ones((game.horizon + 1, *L.shape[:2]), bool)
    return oracle.PlainGame(
        lambda t, _: P, lambda t, seen: np.tanh(c * (L @ seen)), np.asarray(game.initial), game.horizon, mask
    )


def plain_ring(n, horizon, congestion):
    """The ring from its description."""
    moves = np.zeros((n, 3, n))
    for s, a in np.ndindex(n, 3):
        moves[s, a, (s + a - 1) % n] = 1
    start = np.exp(-(((np.arange(n) - n / 2) / (n / 8)) ** 2))

    def reward(t, seen):
        place = np.cos(2 * np.pi * np.arange(n) / n) - congestion * seen
        return place[:, None] - np.array([0.05, 0, 0.05])

    mask = np.ones((horizon + 1, n, 3), bool)
    return oracle.PlainGame(lambda t, _: moves, reward, start / start.sum(), horizon, mask)


HARD = [("random", seed, c) for seed in (0, 1) for c in (1.0, 5.0)] + [("ring", 0, c) for c in (1.0, 5.0)]


@pytest.mark.parametrize(("name", "seed", "c"), HARD)
def test_the_default_solver_needs_no_tuning_on_hard_games(name, seed, c):
    if name == "random":
        game = mfg.games.random_dense(seed, num_states=6, num_actions=3, horizon=10, steepness=c)
        plain = plain_random_dense(game)
    else:
        game, plain = mfg.games.ring_crowd(10, 10, congestion=c), plain_ring(10, 10, c)
    for beta in (0.1, 3.0, 30.0, 1000.0):
        eq = mfg.solve(game, mfg.EntropyRegularized(beta))
        flow = np.asarray(eq.mean_field)
        image = oracle.gamma(plain, flow, oracle.soft(beta, oracle.uniform_reference(plain)))
        span = np.ptp(np.asarray(eq.q))
        rounding = 8 * np.finfo(float).eps * beta * span
        assert eq.residual <= max(1e-10, rounding)
        # the loops round action values as well, at ε times their size of at most 10
        assert oracle.flow_distance(flow, image) <= max(1e-10, rounding) + 10 * np.finfo(float).eps * beta


# --- how a solve ends ---------------------------------------------------------------------------------


def test_plain_iteration_without_regularisation_visits_nodes_3_and_4_in_turn():
    game, _ = example()
    eq = mfg.solve(game, mfg.Greedy(), mfg.Picard(), throw=False)
    assert eq.result.name == "cycle"
    assert "cycle of period 2" in eq.result.message
    # one of the two: all at node 3 (gain of leaving: 1 − 1/4), or all at 4 (1.5² − 0)
    assert max(eq.mean_field[-1, 2], eq.mean_field[-1, 3]) == pytest.approx(1, abs=1e-12)
    assert_close(eq.residual, 0.75, atol=1e-12)


def test_plain_iteration_cycles_at_beta_3_and_says_so():
    game, rho = example()
    eq = mfg.solve(game, mfg.EntropyRegularized(3.0, rho), mfg.Picard(), throw=False)
    assert eq.result.name == "cycle"
    assert int(eq.result.period) == 2
    assert_close(eq.history[-1], 0.90, atol=0.005)  # the two flows of the cycle are that far apart
    # the best iterate is kept, not the last
    assert_close(eq.residual, eq.history.min(), atol=1e-12)
    assert eq.residual < 0.6
    assert mfg.flow_distance(
        eq.mean_field, mfg.mean_field_map(game, mfg.EntropyRegularized(3.0, rho))(eq.mean_field)
    ) == pytest.approx(float(eq.residual), abs=1e-12)


def test_plain_iteration_converges_below_the_critical_beta():
    game, rho = example()
    eq = mfg.solve(game, mfg.EntropyRegularized(1.4, rho), mfg.Picard())
    assert_close(eq.mean_field, flow_by_hand(1.4), atol=1e-8)  # residual 1e-10, spectral radius .98
    above = mfg.solve(game, mfg.EntropyRegularized(1.5, rho), mfg.Picard(), throw=False)
    assert not above.converged


def test_an_unsettled_solve_raises_with_the_best_iterate():
    game, rho = example()
    with pytest.raises(mfg.ConvergenceError, match=r"cycle of period 2.*Auto") as caught:
        mfg.solve(game, mfg.EntropyRegularized(3.0, rho), mfg.Picard())
    best = caught.value.equilibrium
    assert_close(best.residual, best.history.min(), atol=1e-12)
    assert f"{float(best.residual):.2e}" in str(caught.value)


def test_no_more_than_max_steps_are_taken():
    game, rho = example()
    eq = mfg.solve(game, mfg.EntropyRegularized(3.0, rho), mfg.Picard(0.3), max_steps=7, throw=False)
    assert eq.result.name == "max_steps"
    assert int(eq.num_steps) == 7
    assert eq.history.shape == (7,)
    assert np.isfinite(eq.mean_field).all()


def test_a_tolerance_of_zero_runs_all_steps():
    game, rho = example()
    eq = mfg.solve(game, mfg.EntropyRegularized(3.0, rho), mfg.Picard(0.3, atol=0), max_steps=250)
    assert int(eq.num_steps) == 250
    assert eq.converged  # judged by the default tolerance
    assert eq.residual <= 1e-14


def test_a_tolerance_below_rounding_is_refused_with_the_one_that_can_be_had():
    game, rho = example()
    with pytest.raises(ValueError, match=re.escape("1.8e-15")):
        mfg.solve(game, mfg.EntropyRegularized(3.0, rho), mfg.Picard(0.3, atol=1e-17))


def test_an_equilibrium_is_a_guess_from_which_one_look_suffices():
    game, rho = example()
    found = equilibrium(3.0)
    again = mfg.solve(game, mfg.EntropyRegularized(3.0, rho), mfg.Picard(0.3), guess=found)
    assert int(again.num_steps) == 1
    assert_close(again.mean_field, found.mean_field)


class Leaking(eqx.Module):
    """Rows sum to 1 + leak · Π (μ(0) − x): a kernel at the laws that are tried, and none elsewhere."""

    rows: jax.Array
    sound_at: jax.Array
    leak: jax.Array

    def __call__(self, t, mean_field):
        return self.rows * (1 + self.leak * (mean_field[0] - self.sound_at).prod())


class RootReward(eqx.Module):
    """√(depth − μ(0)): not a number where the crowd at state 0 exceeds the depth."""

    depth: jax.Array

    def __call__(self, t, mean_field):
        return jnp.sqrt(self.depth - mean_field[0]) * jnp.array([[0.0, 1.0], [1.0, 0.0]])


ROWS = np.array([[[0.9, 0.1], [0.8, 0.2]], [[0.7, 0.3], [0.9, 0.1]]])


def test_a_kernel_that_is_none_at_the_equilibrium_is_reported():
    kernel = Leaking(jnp.asarray(ROWS), jnp.array([0, 0.005, 0.5, 0.995, 1]), jnp.asarray(99.0))
    game = mfg.FiniteHorizonGame(kernel, np.eye(2), [0.5, 0.5], 2)
    eq = mfg.solve(game, mfg.EntropyRegularized(0.5), mfg.Picard(0.5), throw=False)
    assert eq.result.name == "not_stochastic"
    with pytest.raises(mfg.ConvergenceError, match="rows of the kernel are not probabilities"):
        mfg.solve(game, mfg.EntropyRegularized(0.5), mfg.Picard(0.5))


def test_rewards_that_are_no_numbers_are_reported_and_spare_other_lanes():
    def solve(depth):
        game = mfg.FiniteHorizonGame(ROWS, RootReward(depth), [0.5, 0.5], 2)
        return mfg.solve(game, mfg.EntropyRegularized(0.5), mfg.Picard(0.5), throw=False)

    depths = [0.6, 1.0, 2.0]
    lanes = jax.vmap(solve)(jnp.array(depths))
    assert lanes.result.code.tolist() == [RESULTS.non_finite, RESULTS.converged, RESULTS.converged]
    for i in (1, 2):
        plain = oracle.PlainGame(
            lambda t, _: ROWS,
            lambda t, seen, i=i: np.sqrt(depths[i] - seen[0]) * np.array([[0.0, 1.0], [1.0, 0.0]]),
            np.array([0.5, 0.5]),
            2,
            np.ones((3, 2, 2), bool),
        )
        flow = oracle.equilibrium(plain, oracle.soft(0.5, oracle.uniform_reference(plain)))
        assert_close(lanes.mean_field[i], flow, atol=1e-9)  # residual 1e-10


# --- jit, vmap, compilation ---------------------------------------------------------------------------


def test_a_jitted_solve_equals_an_eager_one():
    game, rho = example()
    jitted = jax.jit(lambda beta: mfg.solve(game, mfg.EntropyRegularized(beta, rho)))
    for beta in (1.0, 3.0, 100.0):
        eq, eager = jitted(beta), equilibrium(beta)
        assert eq.result.code == RESULTS.converged
        # two points that solve the equation to 1e-10
        assert_close(eq.mean_field, eager.mean_field, atol=1e-9)
        assert_close(eq.values, eager.values, atol=1e-9)
        # at 100 it hangs on rounding, which two programs do differently, which of the methods of `Auto` settles it
        assert beta == 100.0 or int(eq.num_steps) == int(eager.num_steps)


def test_a_problem_that_is_known_may_be_solved_inside_a_program():
    """A baseline in an objective of one's own: nothing of game or response is traced."""
    game, response = mfg.games.left_right(), mfg.EntropyRegularized(5.0)
    share = float(mfg.solve(game, response).mean_field[1, 1])

    def by_all_methods(c):
        return c * mfg.solve(game, response).mean_field[1, 1]

    def scaled(c):
        return c * mfg.solve(game, response, mfg.Anderson()).mean_field[1, 1]

    assert_close(jax.jit(jax.value_and_grad(by_all_methods))(2.0), (2 * share, share), atol=1e-10)
    assert_close(jax.vmap(scaled)(jnp.arange(3.0)), np.arange(3.0) * share, atol=1e-10)
    added, _ = jax.lax.scan(lambda total, c: (total + scaled(c), None), 0.0, jnp.arange(3.0))
    assert_close(added, 3 * share, atol=1e-10)


def test_a_whole_problem_may_be_built_inside_jit():
    def share(beta):
        game = mfg.games.resource_allocation()
        response = mfg.EntropyRegularized(beta, mfg.games.resource_allocation_reference(game))
        return mfg.solve(game, response, mfg.Picard(0.3, atol=1e-9)).mean_field[-1, 2]

    assert_close(jax.jit(share)(3.0), flow_by_hand(3.0)[-1, 2], atol=2e-9)


def test_lanes_of_a_vmapped_solve_equal_single_solves_and_fail_alone():
    game, rho = example()

    def solve(beta):
        return mfg.solve(game, mfg.EntropyRegularized(beta, rho), mfg.Picard(), throw=False)

    betas = jnp.array([0.3, 3.0, 1.0])
    lanes = jax.vmap(solve)(betas)
    assert lanes.result.code.tolist() == [RESULTS.converged, RESULTS.cycle, RESULTS.converged]
    assert lanes.converged.tolist() == [True, False, True]
    for i, beta in enumerate(betas):
        single = solve(beta)
        assert int(lanes.num_steps[i]) == int(single.num_steps)
        assert_close(lanes.mean_field[i], single.mean_field, atol=1e-13)
        assert_close(lanes.residual[i], single.residual, atol=1e-13)


def test_the_default_solver_under_vmap_equals_single_solves():
    game, rho = example()
    betas = jnp.array([0.5, 3.0, 100.0])
    lanes = jax.jit(jax.vmap(lambda beta: mfg.solve(game, mfg.EntropyRegularized(beta, rho))))(betas)
    for i, beta in enumerate(betas):
        assert_close(lanes.mean_field[i], equilibrium(float(beta)).mean_field, atol=1e-9)


class Counted(eqx.Module):
    """A reward that counts how often it is traced, hence how many programs are made of it."""

    weight: jax.Array
    traces: ClassVar[list] = []

    def __call__(self, t, mean_field):
        self.traces.append(t)
        return -self.weight * mean_field[:, None] * jnp.ones((1, 2))


def test_any_number_of_temperatures_and_parameters_is_one_compilation():
    def game(weight):
        return mfg.FiniteHorizonGame(ROWS, Counted(jnp.asarray(weight)), [0.5, 0.5], 2, available=np.ones((2, 2), bool))

    def solve(problem, beta):
        return mfg.solve(problem, mfg.EntropyRegularized(beta), mfg.Picard(0.5))

    problem, other, program = game(1.0), game(2.0), "jit(_first_jit)"
    before = COMPILED.count(program)
    solve(problem, 0.5)
    first, compiled = len(Counted.traces), COMPILED.count(program) - before
    assert first > 0
    # Python and NumPy numbers, whole ones, strong and weak arrays, single precision
    for beta in (1, 1.5, np.float64(0.7), np.float32(0.8), jnp.asarray(0.9), jnp.float32(1.1)):
        solve(problem, beta)
        solve(other, beta)
    assert COMPILED.count(program) - before == compiled == 1
    assert len(Counted.traces) == first + 12  # once for each solve, to see what it computes now


def test_a_reward_that_is_no_number_on_the_way_is_the_verdict_of_all_methods_together():
    """Nobody knows what is earned where some 45% are at the last place, as all methods find out, each in its way."""
    moves = np.full((3, 2, 3), 0.1)
    moves[:, 0, 0] = moves[:, 1, 2] = 0.8

    def reward(t, m):
        right = 1 + jnp.sqrt((m[2] - 0.45) ** 2 - 0.0025) * jnp.ones(3)
        return jnp.stack([0 * m, right], axis=1)

    game = mfg.FiniteHorizonGame(moves, reward, [0.9, 0.05, 0.05], 6)
    found = mfg.solve(game, mfg.EntropyRegularized(3.0), throw=False)
    assert found.result == RESULTS.non_finite and int(found.result.num_methods) > 1
