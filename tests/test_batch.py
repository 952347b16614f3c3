"""Many games at once: every lane is the equilibrium of its own game, fails alone, and has its own derivative."""

import functools
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import A, S, T, assert_close, random_game, random_policy, resource_allocation_by_hand

import mfgjax as mfg
from mfgjax import RESULTS

# --- two places that people avoid: closed forms -----------------------------------------------------------

LANES = 5
ATOL = 1e-10  # the default tolerance; at most four times that between two solutions of a monotone game


def logistic(u):
    return 1 / (1 + np.exp(-u))


def share(p, lane):
    """x = Σ_s m_s σ(β (c (2x − M) + h) + log ρ(1|s)/ρ(0|s)), and its gradient in all that it depends on.

    x is the law of place 1 at time 1, m the initial law with sum M, c ≤ 0 the strength, h the field. F, the
    right-hand side, falls in x, so there is one solution; its derivatives are those of F over 1 − F_x.
    """
    beta, m = p["beta"][lane], p["initial"][:, lane]
    odds = np.log(p["reference"][:, 1] / p["reference"][:, 0])

    def policy(x):
        return logistic(beta * (p["strength"] * (2 * x - m.sum()) + p["field"]) + odds)

    low, high = 0.0, m.sum()
    for _ in range(200):
        x = (low + high) / 2
        low, high = (x, high) if x < m @ policy(x) else (low, x)
    pi = policy(x)
    slopes = m * pi * (1 - pi)
    slope, pay = slopes.sum(), p["strength"] * (2 * x - m.sum()) + p["field"]
    gradient = {
        "beta": slope * pay,
        "field": slope * beta,
        "strength": slope * beta * (2 * x - m.sum()),
        "initial": pi - slope * beta * p["strength"],
        "reference": slopes[:, None] * np.array([-1, 1]) / p["reference"],
    }
    return x, {name: part / (1 - 2 * beta * p["strength"] * slope) for name, part in gradient.items()}


def parameters():
    """Undamped iteration converges for β up to some 2, and cycles in lane 1, at 7."""
    rng = np.random.default_rng(1)
    return {
        "beta": np.array([0.5, 7.0, 1.0, 0.1, 1.5]),
        "initial": rng.dirichlet([2, 2], size=LANES).T,
        "field": 0.2,
        "strength": -1.0,
        "reference": np.array([[0.6, 0.4], [0.3, 0.7]]),
    }


GENTLE = parameters() | {"beta": np.array([0.5, 0.7, 1.0, 0.1, 1.5])}


def places(p):
    game = mfg.games.coordination()
    game = eqx.tree_at(lambda g: (g.reward.L.field, g.reward.L.strength), game, (p["field"], p["strength"]))
    return game, mfg.EntropyRegularized(1.0, p["reference"])


def solved(p, damping=(1.0,) * LANES, **options):
    axes = {"beta": p["beta"], "initial": p["initial"], "damping": np.array(damping)}
    game, response = places(jax.tree.map(jnp.asarray, p))
    return mfg.solve_batch(game, response, mfg.Picard(), axes=axes, **options)


def assert_same_lanes(first, second, lanes):
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        if one.size:
            np.testing.assert_array_equal(np.asarray(one)[..., lanes], np.asarray(other)[..., lanes])


GOOD = np.array([0, 2, 3, 4])


@pytest.fixture(scope="module")
def cycling():
    """Plain iteration in all lanes; it does not settle in lane 1."""
    return solved(parameters())


def test_every_lane_solves_its_own_equation(cycling):
    for lane in GOOD:
        assert_close(cycling.mean_field[1, 1, lane], share(parameters(), lane)[0], atol=2 * ATOL)
        assert_close(cycling.mean_field[0, :, lane], parameters()["initial"][:, lane])
        assert cycling.residual[lane] <= ATOL
        # an exploitability is of second order in the residual
        assert 0 <= cycling.exploitability[lane] <= 1e-15
    assert cycling.mean_field.shape == (2, 2, LANES)
    assert cycling.policy.shape == cycling.q.shape == (2, 2, 2, LANES)
    assert cycling.num_steps.shape == cycling.tolerance.shape == (LANES,)


def test_a_lane_that_cycles_is_marked_and_spares_the_others_to_the_last_bit(cycling):
    expected = [RESULTS.converged] * LANES
    expected[1] = RESULTS.cycle
    assert cycling.result.code.tolist() == expected
    assert cycling.result.period.tolist() == [0, 2, 0, 0, 0]
    assert np.isfinite(cycling.mean_field).all()
    without = solved(GENTLE)
    assert without.converged.all()
    assert_same_lanes(cycling, without, GOOD)


def test_the_same_call_gives_the_same_bits(cycling):
    assert_same_lanes(cycling, solved(parameters()), slice(None))


def test_solvers_may_differ_from_lane_to_lane():
    """At β = 7 the slope is -3.3: α = 1 cycles, a damping of 0.3 contracts by a third."""
    p = parameters() | {"beta": np.full(LANES, 7.0)}
    damping = (1.0, 0.3, 0.2, 0.35, 0.1)
    found = solved(p, damping)
    assert found.result.code.tolist() == [RESULTS.cycle, 0, 0, 0, 0]
    for lane in range(1, LANES):
        assert_close(found.mean_field[1, 1, lane], share(p, lane)[0], atol=2 * ATOL)
    assert len(set(found.num_steps.tolist())) == LANES


def test_arrays_that_hold_lanes_give_the_same_as_lanes_by_name(cycling):
    p = jax.tree.map(jnp.asarray, parameters())
    game, response = places(p)
    game = eqx.tree_at(lambda g: g.initial, game, p["initial"])
    response = eqx.tree_at(lambda r: r.beta, response, p["beta"])
    solver = eqx.tree_at(lambda s: s.damping, mfg.Picard(), jnp.ones(LANES))
    nothing = jax.tree.map(lambda _: None, (game, response))
    marked = eqx.tree_at(
        lambda axes: (axes[0].initial, axes[1].beta), nothing, (-1, -1), is_leaf=lambda leaf: leaf is None
    )
    found = mfg.solve_batch(game, response, solver, axes=(*marked, -1))
    assert_same_lanes(cycling, found, slice(None))


def test_blocks_of_any_width_give_the_same_equilibria(cycling):
    """Five lanes in blocks of two: the last is filled up."""
    found = solved(parameters(), block=2)
    assert found.result.code.tolist() == cycling.result.code.tolist()
    assert_close(found.mean_field[..., GOOD], cycling.mean_field[..., GOOD], atol=4 * ATOL)
    assert_close(found.policy[..., GOOD], cycling.policy[..., GOOD], atol=8 * ATOL)  # β ≤ 2 times span
    assert found.mean_field.shape == cycling.mean_field.shape


def test_a_vmapped_solve_gives_the_same(cycling):
    p = parameters()

    def one(beta, initial):
        game, response = places(p)
        game = eqx.tree_at(lambda g: g.initial, game, initial)
        return mfg.solve(game, eqx.tree_at(lambda r: r.beta, response, beta), mfg.Picard(), throw=False)

    single = jax.jit(jax.vmap(one, in_axes=-1, out_axes=-1))(jnp.asarray(p["beta"]), jnp.asarray(p["initial"]))
    assert single.result.code.tolist() == cycling.result.code.tolist()
    assert single.num_steps.tolist() == cycling.num_steps.tolist()
    assert_close(single.mean_field[..., GOOD], cycling.mean_field[..., GOOD], atol=4 * ATOL)
    assert_close(single.values[..., GOOD], cycling.values[..., GOOD], atol=8 * ATOL)


def test_lanes_with_guesses_of_their_own_find_the_equilibria_near_them():
    """Both stable roots of the game of two places that people want to share, found from either side."""
    game = mfg.games.coordination(field=0.05)
    guess = np.array([[[0.5, 0.5], [0.5, 0.5]], [[0.9, 0.2], [0.1, 0.8]]])  # time, state, lane
    found = mfg.solve_batch(
        game, mfg.EntropyRegularized(1.0), mfg.Picard(), axes={"beta": [3.0, 3.0]}, guess=guess, block=2
    )
    low, high = np.asarray(found.mean_field[1, 1])
    assert low < 0.2 < 0.8 < high
    for x in (low, high):  # the slope is below 1 there: a residual of 1e-10 is an error of the same size
        assert_close(x, logistic(3 * (2 * x - 1 + 0.05)), atol=4 * ATOL)


# --- every kind of game, response and solver ----------------------------------------------------------------


CASES = {
    "dense": (mfg.Boltzmann, mfg.Picard(0.7)),
    "dense over time": (mfg.EntropyRegularized, mfg.Newton()),
    "crowd kernel": (mfg.EntropyRegularized, mfg.MirrorDescent()),
    "successors": (mfg.EntropyRegularized, mfg.Anderson()),
    "crowd successors": (mfg.EntropyRegularized, mfg.Picard(averaging="linear", atol=1e-6)),
    "moves": (mfg.EntropyRegularized, mfg.Continuation()),
    "joint law": (mfg.EntropyRegularized, mfg.Auto()),
}
BETAS = (0.5, 0.3, 0.05)  # small: the oracle's damped iteration contracts


@functools.cache
def lanes_of(kind):
    """A game of that kind in three lanes that differ in temperature, prior and initial law."""
    make, solver = CASES[kind]
    rng = np.random.default_rng(2)
    game, plain = random_game(kind, rng)
    priors = np.stack([random_policy(rng, plain.available) for _ in BETAS], axis=-1)
    laws = np.stack([rng.dirichlet(np.ones(S)) for _ in BETAS], axis=-1)
    name = "prior" if make is mfg.Boltzmann else "reference"
    axes = {"beta": BETAS, name: priors, "initial": laws}
    return game, plain, priors, laws, mfg.solve_batch(game, make(1.0), solver, axes=axes)


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_of_game_and_every_solver_reach_the_fixed_points_of_the_loops(kind):
    make, solver = CASES[kind]
    atol = solver.atol or ATOL
    _, plain, priors, laws, found = lanes_of(kind)
    assert found.converged.all()
    for lane, beta in enumerate(BETAS):
        plain.initial = laws[:, lane]
        respond = (oracle.softmax_of_greedy if make is mfg.Boltzmann else oracle.soft)(beta, priors[..., lane])
        flow = oracle.equilibrium(plain, respond, damping=0.7)
        assert_close(found.mean_field[..., lane], flow, atol=2 * atol)
        policy, law = np.asarray(found.policy[..., lane]), np.asarray(found.state_law[..., lane])
        assert_close(policy, oracle.best_response(plain, flow, respond)[1], atol=4 * atol)
        assert_close(law, oracle.spread(plain, policy)[0], atol=2 * atol)
        criterion = () if make is mfg.Boltzmann else (beta, priors[..., lane])
        assert_close(found.exploitability[lane], oracle.exploitability(plain, policy, *criterion), atol=atol)


def test_a_lane_is_what_a_single_solve_finds_in_as_many_steps():
    make, solver = CASES["joint law"]
    game, _, priors, laws, found = lanes_of("joint law")
    for lane, beta in enumerate(BETAS):
        one = eqx.tree_at(lambda g: g.initial, game, jnp.asarray(laws[:, lane]))
        single = mfg.solve(one, make(beta, priors[..., lane]), solver)
        assert int(found.num_steps[lane]) == int(single.num_steps)
        for name in ("mean_field", "policy", "values", "residual", "exploitability"):
            assert_close(getattr(found, name)[..., lane], getattr(single, name), atol=4 * ATOL)
        assert_close(found.tolerance[lane], single.tolerance, rtol=1e-6)


def test_greedy_lanes_are_not_exploitable():
    """Fictitious play of the left-right game, the right side paying −c μ(right): c/(1 + c) go left."""
    game = mfg.games.left_right()
    costs = np.array([2.0, 1.0, 4.0])
    weights = np.asarray(game.reward.L.weight)[..., None] * np.ones(3)
    weights[1, 2] = -costs
    found = mfg.solve_batch(game, mfg.Greedy(), mfg.Picard(averaging="uniform"), axes={"reward.L.weight": weights})
    assert found.criterion == "exploitability"
    assert found.converged.all()
    assert (found.exploitability <= found.tolerance).all()
    for lane, c in enumerate(costs):
        # a share δ too many on one side costs δ(1 + c) there, and a part of those gains that
        assert_close(found.mean_field[1, 1, lane], c / (1 + c), atol=5 * float(found.tolerance[lane]))


# --- the example, and methods in turn -----------------------------------------------------------------------

GOLDEN = {  # law of the nodes at time 5: computed once by an independent program
    0.1: (0.004675, 0.004222, 0.512844, 0.473560, 0.004699),
    1.0: (0.002714, 0.002452, 0.603457, 0.388649, 0.002729),
    3.0: (0.000854, 0.000772, 0.670311, 0.327205, 0.000859),
}
EXAMPLE_BETAS = (*GOLDEN, 30.0, 1000.0)


@functools.cache
def example():
    game = mfg.games.resource_allocation()
    return game, mfg.games.resource_allocation_reference(game)


def by_default(betas):
    """The first two methods of the default solver: 60 steps of Anderson's method, 600 of damped iteration."""
    game, rho = example()
    return mfg.solve_batch(game, mfg.EntropyRegularized(1.0, rho), axes={"beta": betas}, max_steps=660)


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_the_default_solver_runs_its_methods_in_turn_for_the_lanes_that_need_them(transform):
    """With the known equilibria of the example; at β = 1000 damped iteration moves in circles as well."""
    found = transform(by_default)(jnp.array(EXAMPLE_BETAS))
    for lane, law in enumerate(GOLDEN.values()):
        assert_close(found.mean_field[-1, :, lane], law, atol=1e-6)  # six digits are known
        assert found.num_steps[lane] < 60
    assert found.converged.tolist() == [True, True, True, True, False]
    assert 60 < found.num_steps[4] <= 660
    plain, rho = resource_allocation_by_hand()
    for lane, beta in enumerate(EXAMPLE_BETAS):
        flow = np.asarray(found.mean_field[..., lane])
        distance = oracle.flow_distance(flow, oracle.gamma(plain, flow, oracle.soft(beta, rho)))
        # what the residual says, up to the rounding of action values times β
        assert_close(found.residual[lane], distance, atol=1e-14 * max(1, beta))
        assert bool(found.converged[lane]) == (distance <= found.tolerance[lane])


# --- lanes whose numbers are none ------------------------------------------------------------------------------

ROWS = np.array([[[0.9, 0.1], [0.8, 0.2]], [[0.7, 0.3], [0.9, 0.1]]])


class RootReward(eqx.Module):
    """√(depth − μ(0)): not a number where the crowd at state 0 exceeds the depth. It counts its traces."""

    depth: jax.Array
    traces: ClassVar[list] = []

    def __call__(self, t, mean_field):
        self.traces.append(t)
        return jnp.sqrt(self.depth - mean_field[0]) * jnp.array([[0.0, 1.0], [1.0, 0.0]])


def rooted(depths, beta=0.5):
    game = mfg.FiniteHorizonGame(ROWS, RootReward(jnp.array(2.0)), [0.5, 0.5], 2, available=np.ones((2, 2), bool))
    return mfg.solve_batch(game, mfg.EntropyRegularized(beta), mfg.Picard(0.5), axes={"reward.depth": depths})


def test_a_lane_whose_rewards_are_no_numbers_is_marked_and_spares_the_others_to_the_last_bit():
    found = rooted([1.0, 0.6, 2.0])
    assert found.result.code.tolist() == [RESULTS.converged, RESULTS.non_finite, RESULTS.converged]
    assert_same_lanes(found, rooted([1.0, 1.5, 2.0]), [0, 2])
    for lane, depth in ((0, 1.0), (2, 2.0)):
        plain = oracle.PlainGame(
            lambda t, _: ROWS,
            lambda t, seen, depth=depth: np.sqrt(depth - seen[0]) * np.array([[0.0, 1.0], [1.0, 0.0]]),
            np.array([0.5, 0.5]),
            2,
            np.ones((3, 2, 2), bool),
        )
        flow = oracle.equilibrium(plain, oracle.soft(0.5, oracle.uniform_reference(plain)))
        assert_close(found.mean_field[..., lane], flow, atol=2 * ATOL)


def test_any_values_in_the_lanes_are_one_compilation():
    rooted([1.0, 0.9, 2.0])
    rooted([1.0, 0.9, 2.0])  # building a game probes its reward once
    before = len(RootReward.traces)
    rooted([1.1, 0.9, 3.0])
    each = len(RootReward.traces) - before
    for depths in ([3, 2, 1], np.float32([1.5, 1.25, 1]), jnp.array([1.1, 1.2, 1.3])):
        for beta in (1, 2.5, np.float32(0.3)):
            rooted(depths, beta)
    assert len(RootReward.traces) == before + 10 * each
    assert each <= 4  # shapes and values at both ends, and nothing of a solver


# --- derivatives ------------------------------------------------------------------------------------------------

WEIGHTS = np.array([1.0, -0.5, 0.7, 2.0, 0.3])


def total(p, kept):
    """Weighted shares over the lanes that are kept."""
    found = solved_exactly(p)
    return jnp.where(kept, WEIGHTS * found.mean_field[1, 1], 0).sum()


def solved_exactly(p):
    game, response = places(p)
    axes = {"beta": p["beta"], "initial": p["initial"]}
    return mfg.solve_batch(game, response, mfg.Picard(atol=1e-14), axes=axes)


gradient = jax.jit(jax.grad(total))
ALL, OTHERS = np.ones(LANES, bool), np.arange(LANES) != 1


def closed_gradient(p, kept):
    """Sums over lanes for what they share; for what is their own, the lanes side by side."""
    parts = [share(p, lane)[1] for lane in range(LANES)]
    weights = np.where(kept, WEIGHTS, 0)
    result = {}
    for name in p:
        lanes = np.stack([part[name] * w for part, w in zip(parts, weights, strict=True)], axis=-1)
        result[name] = lanes if name in ("beta", "initial") else lanes.sum(axis=-1)
    return result


def test_the_gradient_of_a_sum_over_lanes_equals_the_closed_form():
    actual, expected = gradient(GENTLE, ALL), closed_gradient(GENTLE, ALL)
    for name in GENTLE:
        # x is known to 1e-14, and contracts by 1/3 at worst
        assert_close(actual[name], expected[name], atol=1e-12)


def test_a_masked_lane_that_failed_leaves_finite_gradients_which_equal_the_closed_form():
    actual, expected = gradient(parameters(), OTHERS), closed_gradient(parameters(), OTHERS)
    for name in GENTLE:
        assert np.isfinite(actual[name]).all()
        assert_close(actual[name], expected[name], atol=1e-12)
    assert actual["beta"][1] == 0


def test_a_lane_that_failed_and_counts_makes_what_it_bears_on_nan_and_no_more():
    actual, expected = gradient(parameters(), ALL), closed_gradient(parameters(), ALL)
    assert np.isnan(actual["beta"]).tolist() == [lane == 1 for lane in range(LANES)]
    assert np.isnan(actual["field"]) and np.isnan(actual["strength"]) and np.isnan(actual["reference"]).any()
    for name in ("beta", "initial"):
        assert_close(actual[name][..., OTHERS], expected[name][..., OTHERS], atol=1e-12)


def test_forward_mode_equals_the_closed_form_lane_by_lane(rng):
    p = parameters()
    direction = jax.tree.map(lambda leaf: rng.standard_normal(np.shape(leaf)), p)
    move = jax.jit(lambda p, v: jax.jvp(lambda p: solved_exactly(p).mean_field[1, 1], (p,), (v,))[1])
    moved = move(p, direction)
    assert np.isnan(moved).tolist() == [lane == 1 for lane in range(LANES)]
    for lane in GOOD:
        own = direction | {name: direction[name][..., lane] for name in ("beta", "initial")}
        parts = share(p, lane)[1]
        assert_close(moved[lane], sum(np.vdot(parts[name], own[name]) for name in p), atol=1e-12)


MASK = random_game("joint law", np.random.default_rng(2))[0].available
SCORES = np.random.default_rng(4).standard_normal((3, T, S, A, 3))
OWN = ("beta", "initial", "steepness")


def rich_parameters():
    """Lanes of a game whose kernel and rewards see the joint law, with masks that change and empty states."""
    rng = np.random.default_rng(2)
    game, plain = random_game("joint law", rng)
    return {
        "beta": np.array([0.3, 0.8, 1.5]),
        "initial": np.stack([np.asarray(game.initial), [0.1, 0.2, 0.3, 0.4], [0.0, 0.0, 1.0, 0.0]], axis=-1),
        "steepness": np.array([1.0, 0.7, 1.2]),
        "reference": random_policy(rng, plain.available),
        "interaction": np.asarray(game.reward.L.table),
        "pull": np.asarray(game.kernel.pull),
        "discount": np.asarray(game.discount),
    }


def rich_game(p):
    game, _ = random_game("joint law", np.random.default_rng(2))
    return eqx.tree_at(
        lambda g: (g.reward.L.table, g.kernel.pull, g.discount), game, (p["interaction"], p["pull"], p["discount"])
    )


RICH_SOLVER = mfg.Picard(0.5, atol=1e-13)


def score(eq, weights, mask):
    """A number that depends on everything."""
    seen = (eq.mean_field, eq.policy, eq.q)
    return sum((w * jnp.where(mask, x, 0)).sum() for w, x in zip(weights, seen, strict=True))


def rich_total(p):
    axes = {"beta": p["beta"], "initial": p["initial"], "reward.theta.steepness": p["steepness"]}
    found = mfg.solve_batch(rich_game(p), mfg.EntropyRegularized(1.0, p["reference"]), RICH_SOLVER, axes=axes)
    return score(found, SCORES, MASK[..., None])


rich = jax.jit(jax.value_and_grad(rich_total))


def rich_single(p, weights):
    game = eqx.tree_at(lambda g: (g.initial, g.reward.theta.steepness), rich_game(p), (p["initial"], p["steepness"]))
    eq = mfg.solve(game, mfg.EntropyRegularized(p["beta"], p["reference"]), RICH_SOLVER)
    return score(eq, weights, MASK)


def difference(function, p, direction):
    """Derivative along a direction, by central differences at h, h/2, h/4, twice extrapolated: of order h⁶ = 1e-12."""
    steps = []
    for h in (1e-2, 5e-3, 2.5e-3):
        plus, minus = (function(jax.tree.map(lambda x, v, h=s * h: x + h * v, p, direction)) for s in (1, -1))
        steps.append((plus - minus) / (2 * h))
    coarse, middle, fine = steps
    first, second = (4 * middle - coarse) / 3, (4 * fine - middle) / 3
    return (16 * second - first) / 15


def test_gradients_of_rich_lanes_equal_sums_over_single_solves_and_differences(rng):
    p = rich_parameters()
    value, actual = rich(p)
    single = jax.jit(jax.value_and_grad(rich_single))
    parts = [single(p | {name: p[name][..., lane] for name in OWN}, SCORES[..., lane]) for lane in range(3)]
    assert_close(value, sum(part[0] for part in parts), rtol=1e-11)
    for name in p:
        lanes = np.stack([part[1][name] for part in parts], axis=-1)
        expected = lanes if name in OWN else lanes.sum(axis=-1)
        assert np.abs(expected).max() > 1e-3
        # fixed points known to 1e-13
        assert_close(actual[name], expected, atol=1e-8 * np.abs(expected).max())

    direction = jax.tree.map(lambda leaf: leaf * rng.standard_normal(np.shape(leaf)), p)
    direction["initial"] -= p["initial"] * direction["initial"].sum(axis=0)
    moved = sum(np.vdot(actual[name], direction[name]) for name in p)
    assert_close(moved, difference(lambda p: rich(p)[0], p, direction), rtol=1e-6)


def test_the_memory_of_a_gradient_grows_with_the_block_and_not_with_all_matrices():
    """512 lanes of 420 unknowns: their matrices alone, all at once, would take 720 MB."""
    lanes, block = 512, 4
    game = mfg.games.random_dense(num_states=20, num_actions=2, horizon=20)
    unknowns = (game.horizon + 1) * game.num_states
    numbers = unknowns * game.num_actions  # in one policy

    def spread(betas):
        found = mfg.solve_batch(
            game, mfg.EntropyRegularized(1.0), mfg.Picard(), axes={"beta": betas}, max_steps=10, block=block
        )
        return (found.mean_field[-1] ** 2).sum()

    compiled = jax.jit(jax.grad(spread)).lower(jax.ShapeDtypeStruct((lanes,), float)).compile()
    # matrix, factors and copy of the lanes of a block, and all columns pushed through policies and action
    # values; of every lane some dozens of policies
    bound = 8 * (block * unknowns * (3 * unknowns + 4 * numbers) + lanes * 40 * numbers)
    assert bound < 8 * lanes * unknowns**2 / 3
    assert compiled.memory_analysis().temp_size_in_bytes < bound


def test_greedy_lanes_have_no_derivative_and_say_so():
    game = mfg.games.coordination(field=0.3)

    def shares(fields):
        axes = {"reward.L.field": fields}
        return mfg.solve_batch(game, mfg.Greedy(), mfg.Picard(), axes=axes).mean_field[1, 1].sum()

    with pytest.raises(ValueError, match=r"`Greedy` response has no derivative.*EntropyRegularized"):
        jax.eval_shape(jax.grad(shares), jnp.array([0.3, 0.4]))


# --- bad input ----------------------------------------------------------------------------------------------------


def refused(function, *words):
    """It raises one sentence with all of the words."""
    with pytest.raises(ValueError) as caught:
        function()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def batch(response=None, **options):
    game, rho = example()
    response = mfg.EntropyRegularized(1.0, rho) if response is None else response
    return mfg.solve_batch(options.pop("game", game), response, **options)


def changed(array, index, value):
    array = np.array(array, float)
    array[index] = value
    return array


def three(array):
    return np.repeat(np.asarray(array, float)[..., None], 3, axis=-1)


def references():
    return three(example()[1])


NAMED = {
    "a negative beta": (lambda: {"beta": [1, 2, 3, -0.5]}, "`beta[3]` is -0.5", "(0, inf)"),
    "a beta of zero": (lambda: {"response.beta": [1, 0.0]}, "`response.beta[1]` is 0", "(0, inf)"),
    "a beta that is none": (lambda: {"beta": [1, np.nan]}, "`beta[1]` is nan"),
    "a discount of zero": (lambda: {"discount": [1, 0.0]}, "`discount[1]` is 0", "(0, 1]"),
    "a discount above one": (lambda: {"discount": [1.5]}, "`discount[0]` is 1.5", "(0, 1]"),
    "a row of no distribution": (
        lambda: {"reference": changed(references(), (2, slice(None), 1), 0.4)},
        "`reference[1, 2]` sums to 1.2",
        "must sum to 1",
    ),
    "a reference that forbids": (
        lambda: {"reference": changed(references(), (0, slice(None), 2), [1.0, 0.0, 0.0])},
        "`reference[2, 0, 1]` is 0",
        "positive exactly on the available actions",
    ),
    "a reference that allows": (
        lambda: {"reference": changed(references(), (2, slice(None), 0), [0.25, 0.5, 0.25])},
        "`reference[0, 2, 2]` is 0.25",
        "available",
    ),
    "a negative mass": (
        lambda: {"initial": changed(three(example()[0].initial), (slice(None), 1), [-0.5, 1.5, 0, 0, 0])},
        "`initial[1, 0]` is -0.5",
        "negative",
    ),
    "an initial law of another sum": (
        lambda: {"initial": changed(three(example()[0].initial), (0, 2), 0.5)},
        "`initial[2]` sums to 1.2",
    ),
    "a reward that is none": (
        lambda: {"reward.L.weight": changed(three(example()[0].reward.L.weight), (5, 3, 0, 2), np.inf)},
        "`reward.L.weight[2, 5, 3, 0]` is inf",
        "finite",
    ),
    "a name that is none": (
        lambda: {"gamma": [1.0]},
        "'gamma'",
        "beta, discount, initial, log_reference, reward.L.base, reward.L.weight",
    ),
    "the solver's name of another solver": (lambda: {"damping": [1.0]}, "'damping'", "there are beta"),
    "different numbers of lanes": (lambda: {"beta": [1, 2, 3.0], "discount": [1, 0.5]}, "3 lanes of 'beta'", "2 of"),
    "one array under two names": (lambda: {"beta": [1.0], "response.beta": [1.0]}, "response.beta", "twice"),
    "nothing": (lambda: {}, "`axes` is empty"),
    "no lanes": (lambda: {"beta": []}, "`beta`", "at least one lane"),
    "a number": (lambda: {"beta": 2.0}, "`beta`", "lane", "()"),
    "a matrix of temperatures": (lambda: {"beta": np.ones((2, 3))}, "`beta` must have shape (3,)", "got (2, 3)"),
    "references without lanes": (lambda: {"reference": example()[1]}, "`reference` must have shape", "got (5, 3)"),
    "laws of other states": (lambda: {"initial": np.full((4, 2), 0.25)}, "`initial` must have shape (5, 2)", "(4, 2)"),
    "words": (lambda: {"beta": ["hot", "cold"]}, "`beta[0]` is 'hot'", "real number"),
}


@pytest.mark.parametrize("name", NAMED)
def test_bad_values_in_a_lane_are_refused_in_one_sentence(name):
    axes, *words = NAMED[name]
    refused(lambda: batch(axes=axes()), *words)


def test_a_temperature_of_a_boltzmann_prior_is_no_reference():
    refused(lambda: batch(mfg.Boltzmann(1.0), axes={"reference": references()}), "'reference'", "log_weights")


def test_tables_over_a_wrong_number_of_times_are_refused():
    """Rewards have H + 1 times, kernels H."""
    rng = np.random.default_rng(0)
    game = mfg.FiniteHorizonGame(rng.dirichlet(np.ones(3), (3, 2)), rng.standard_normal((3, 2)), [1.0, 0, 0], 4)
    rewards, kernels = np.ones((4, 3, 2, 2)), np.full((5, 3, 2, 3, 2), 1 / 3)
    refused(lambda: batch(mfg.EntropyRegularized(1.0), game=game, axes={"reward.table": rewards}), "`reward.table`")
    refused(
        lambda: batch(mfg.EntropyRegularized(1.0), game=game, axes={"kernel.probabilities": kernels}),
        "`kernel.probabilities`",
    )


def hot(values):
    """The example's response with temperatures in place of one, and the prefix that marks them."""
    response = mfg.EntropyRegularized(1.0, example()[1])
    response = eqx.tree_at(lambda r: r.beta, response, jnp.asarray(values))
    return response, (None, eqx.tree_at(lambda r: (r.beta, r.log_reference), response, (-1, None)))


PREFIXES = {
    "a number": (lambda: (None, -1, -1, -1), "mapping", "tuple"),
    "first axes": (lambda: (None, 0), "-1 (lanes on the last axis) or None", "got 0"),
    "arrays": (lambda: (None, np.array([-1, -1])), "-1 (lanes on the last axis) or None"),
    "another structure": (lambda: (None, {"beta": -1}), "structure"),
    "nothing marked": (lambda: (None, None), "`axes`", "lanes"),
    "arrays without lanes": (lambda: (-1, None), "`axes`", "lanes"),
}


@pytest.mark.parametrize("name", PREFIXES)
def test_a_prefix_that_marks_no_lanes_is_refused_in_one_sentence(name):
    axes, *words = PREFIXES[name]
    refused(lambda: batch(hot([1.0, 2.0])[0], axes=axes()), *words)


def test_lanes_of_booleans_are_refused():
    """`vmap` gives lanes to what is available, too, which all lanes share."""
    games = jax.vmap(lambda field: mfg.games.coordination(field), out_axes=-1)(jnp.array([0.1, 0.2, 0.3]))
    refused(lambda: batch(mfg.EntropyRegularized(1.0), game=games, axes=(-1, None)), "`game.available`", "shared")


def test_values_out_of_range_in_arrays_that_hold_lanes_are_refused():
    response, axes = hot([1.0, 2.0, 0.0])
    refused(lambda: batch(response, axes=axes), "beta[2]` is 0", "(0, inf)")


def test_what_lanes_share_is_checked_as_in_a_single_solve():
    """A reference that forbids an available action, or is of another game."""
    forbids = changed(example()[1], 0, [1.0, 0.0, 0.0])
    refused(lambda: batch(mfg.EntropyRegularized(1.0, forbids), axes={"beta": [1.0, 2.0]}), "`reference` is 0", "(0, 0")
    other = mfg.EntropyRegularized(1.0, np.full((4, 2), 0.5))
    refused(lambda: batch(other, axes={"beta": [1.0, 2.0]}), "`reference` must have shape (1, 5, 3)")


def test_a_game_in_single_precision_takes_a_response_in_double():
    kernel, reward = np.full((3, 2, 3), 1 / 3, np.float32), np.ones((3, 2), np.float32)
    game = mfg.FiniteHorizonGame(kernel, reward, np.float32([1, 0, 0]), 4)
    response = mfg.EntropyRegularized(1.0, np.full((3, 2), 0.5))
    found = jax.eval_shape(lambda g: mfg.solve_batch(game, response, axes={"discount": g}), jnp.ones(2))
    assert found.mean_field.dtype == found.policy.dtype == np.float32


OPTIONS = {
    "a block of nothing": ({"block": 0}, "`block` must be at least 1; got 0"),
    "half a block": ({"block": 1.5}, "`block` must be a whole number", "1.5"),
    "no step": ({"max_steps": 0}, "`max_steps` must be at least 1; got 0"),
    "a guess of other times": ({"guess": np.full((3, 5), 0.2)}, "`guess` must have shape (6, 5) or (6, 5, 2)"),
    "a guess of no mass": ({"guess": np.zeros((6, 5))}, "`guess", "sums to 0"),
    "no solver": ({"solver": "newton"}, "`solver` must be a solver", "'newton'"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_options_are_refused_in_one_sentence(name):
    options, *words = OPTIONS[name]
    refused(lambda: batch(axes={"beta": [1.0, 2.0]}, **options), *words)


def test_what_is_no_game_or_no_response_is_refused():
    refused(lambda: batch(game="chess", axes={"beta": [1.0]}), "`game` must be a `FiniteHorizonGame`")
    refused(lambda: batch(3.0, axes={"beta": [1.0]}), "`response` must be a response", "3.0")
    refused(
        lambda: batch(mfg.Greedy(), solver=mfg.Newton(), axes={"discount": [1.0]}),
        "needs a smooth response, but `Greedy`",
    )
