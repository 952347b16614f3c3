"""Stationary games: responses, moves, values and equilibria against plain loops, on random games of one size."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stationary_oracle as oracle
from helpers import assert_close, random_policy
from stationary_games import A, S, random_game, random_reference

import mfgjax as mfg

# the oracle stops where values move by 1e-14; discount .8
CLOSE = {"atol": 1e-10}

respond = eqx.filter_jit(mfg.respond)


def responses(rng, game, tie="smallest"):
    """Every kind of response, with its form in the oracle."""
    mask, rho = np.asarray(game.available[0]), random_reference(rng, game)
    uniform = mask / mask.sum(axis=1, keepdims=True)
    return {
        "Trembling": (mfg.Trembling(0.2, tie), oracle.trembling(0.2, tie)),
        "EpsilonGreedy": (mfg.EpsilonGreedy(0.2, tie), oracle.trembling(0.2, tie, greedy_values=True)),
        "Greedy": (mfg.Greedy(tie), oracle.trembling(0.0, tie)),
        "EntropyRegularized": (mfg.EntropyRegularized(3.0, rho), oracle.soft(3.0, rho)),
        "Boltzmann": (mfg.Boltzmann(3.0), oracle.boltzmann(3.0, uniform)),
    }


KINDS = ["Trembling", "EpsilonGreedy", "Greedy", "EntropyRegularized", "Boltzmann"]
kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_a_response_is_the_fixed_point_that_value_iteration_by_loops_finds(kind, rng):
    for _ in range(3):
        game, plain = random_game(rng)
        response, by_hand = responses(rng, game)[kind]
        z = rng.dirichlet(np.ones(S))
        values, policy, q = oracle.best_response(plain, z, by_hand)
        found = respond(game, z, response)
        assert_close(found.values, values, **CLOSE)
        assert_close(found.policy, policy, **CLOSE)
        assert_close(np.where(plain.available, found.q, 0), q, **CLOSE)


def test_ties_are_broken_towards_the_action_asked_for():
    """Two actions are equal everywhere: trembling takes the first of them, or the last."""
    game = mfg.StationaryGame(np.full((2, 3, 2), 0.5), [[0.0, 1, 1], [2, 2, 0]], 0.5)
    for tie, chosen in (("smallest", [1, 0]), ("largest", [2, 1])):
        policy = respond(game, game.initial, mfg.Trembling(0.3, tie)).policy
        expected = np.full((2, 3), 0.15)
        expected[[0, 1], chosen] = 0.7
        assert_close(policy, expected, atol=1e-15)


def test_values_of_a_trembling_hand_count_the_trembling_and_greedy_ones_do_not():
    """One state, rewards 1 and 0, γ = 1/2, ε = .2: V = .8/(1 − .5) = 1.6 against 1/(1 − .5) = 2."""
    game = mfg.StationaryGame(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5)
    assert_close(respond(game, np.ones(1), mfg.Trembling(0.2)).values, [1.6], atol=1e-14)
    assert_close(respond(game, np.ones(1), mfg.EpsilonGreedy(0.2)).values, [2.0], atol=1e-14)
    exploit, policy = eqx.filter_jit(mfg.exploitability), jnp.array([[0.8, 0.2]])
    assert_close(exploit(game, policy, mfg.Trembling(0.2)), 0, atol=1e-14)
    # unrestricted: .2 is lost at each step
    assert_close(exploit(game, policy), 0.2 / 0.5, atol=1e-14)


@eqx.filter_jit
def applied(game, z, response, q):
    return mfg.q_operator(game, z, response)(q)


@kinds
def test_the_operator_on_action_values_contracts_by_the_discount_and_has_the_response_as_fixed_point(kind, rng):
    """Proposition 1, at random Q, near and far."""
    for _ in range(5):
        game, plain = random_game(rng)
        response, by_hand = responses(rng, game)[kind]
        z, first = rng.dirichlet(np.ones(S)), rng.standard_normal((S, A)) * 3
        second = first + rng.standard_normal((S, A)) * 10.0 ** rng.integers(-3, 2)
        images = [np.asarray(applied(game, z, response, q)) for q in (first, second)]
        apart = np.abs(images[0] - images[1])[plain.available].max()
        assert apart <= plain.discount * np.abs(first - second)[plain.available].max() * (1 + 1e-12)
        backed = oracle.backup(plain, z, by_hand(first, plain.available)[0])
        assert_close(np.where(plain.available, images[0], 0), backed, atol=1e-12)
        q = respond(game, z, response).q
        assert_close(applied(game, z, response, q), q, atol=1e-12)


@kinds
def test_value_iteration_and_policy_iteration_agree(kind, rng):
    game, _ = random_game(rng)
    response, _ = responses(rng, game)[kind]
    z = rng.dirichlet(np.ones(S))
    q = jnp.zeros((S, A))
    for _ in range(130):  # discount .8: .8^130 is 2.5e-13
        q = applied(game, z, response, q)
    found = respond(game, z, response)
    exists = np.asarray(game.available[0])
    assert_close(np.where(exists, found.q, 0), np.where(exists, q, 0), atol=1e-9)


def test_the_population_moves_as_the_mckean_vlasov_equation_says(rng):
    propagate = eqx.filter_jit(mfg.propagate)
    for _ in range(3):
        game, plain = random_game(rng)
        policy, z = random_policy(rng, plain.available, zeros=True), rng.dirichlet(np.ones(S))
        moved = propagate(game, policy, z)
        assert_close(moved, oracle.step(plain, z, policy), atol=1e-14)
        assert_close(moved.sum(), 1, atol=1e-15)
        rest = propagate(game, policy)
        assert_close(rest, oracle.stationary_law(plain, policy), atol=1e-12)


def test_policy_values_and_exploitability_are_those_of_linear_systems(rng):
    value, exploit = eqx.filter_jit(mfg.policy_value), eqx.filter_jit(mfg.exploitability)
    for _ in range(2):
        game, plain = random_game(rng)
        policy, z = random_policy(rng, plain.available), rng.dirichlet(np.ones(S))
        rho = random_reference(rng, game)
        soft = mfg.EntropyRegularized(2.0, rho)
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = np.where(plain.available, np.log(policy / rho) / 2.0, 0)
        plainly, penalised = oracle.policy_values(plain, z, policy), oracle.policy_values(plain, z, policy, cost)
        assert_close(value(game, policy, z), z @ plainly, atol=1e-12)
        assert_close(value(game, policy, z, soft), z @ penalised, atol=1e-12)
        best = oracle.best_response(plain, z, oracle.trembling(0.0))[0]
        assert_close(exploit(game, policy, mean_field=z), z @ (best - plainly), atol=1e-11)
        best = oracle.best_response(plain, z, oracle.soft(2.0, rho))[0]
        assert_close(exploit(game, policy, soft, mean_field=z), z @ (best - penalised), atol=1e-11)
        # at rest under the policy
        rest = oracle.stationary_law(plain, policy)
        best = oracle.best_response(plain, rest, oracle.trembling(0.0))[0]
        own = oracle.policy_values(plain, rest, policy)
        assert_close(exploit(game, policy), rest @ (best - own), atol=1e-11)


def test_the_iteration_is_algorithm_1(rng):
    for _ in range(2):
        game, plain = random_game(rng)
        step = eqx.filter_jit(lambda game, response, z: mfg.mean_field_map(game, response)(z))
        z = plain.initial
        for expected in oracle.iterate(plain, oracle.trembling(0.2), z, 8)[1:]:
            z = step(game, mfg.Trembling(0.2), z)
            assert_close(z, expected, **CLOSE)


@pytest.mark.parametrize("kind", ["EpsilonGreedy", "EntropyRegularized", "Boltzmann"])
def test_the_default_solver_finds_the_equilibria_of_other_responses(kind):
    rng = np.random.default_rng(6)
    game, plain = random_game(rng)
    response, by_hand = responses(rng, game)[kind]
    found = mfg.solve(game, response)
    z = np.asarray(found.mean_field)
    _, policy, _ = oracle.best_response(plain, z, by_hand)
    assert_close(oracle.step(plain, z, policy), z, atol=2e-10)
    own = oracle.policy_values(plain, z, policy)
    if kind != "EntropyRegularized":  # the unregularised gain of leaving it
        best = oracle.best_response(plain, z, oracle.trembling(0.0))[0]
        assert_close(found.exploitability, z @ (best - own), atol=1e-9)
    else:
        assert abs(float(found.exploitability)) < 1e-12


def test_a_greedy_equilibrium_mixes_where_a_crowd_avoids_itself():
    """Two places that pay −z(s) each, free to choose: half are at each, and no pure policy keeps that."""
    moves = mfg.MovesKernel([[0, 1], [0, 1]])
    reward = mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(np.zeros((2, 1)), -np.ones((2, 1))))
    game = mfg.StationaryGame(moves, reward, 0.5, initial=[0.9, 0.1])
    found = mfg.solve(game, mfg.Greedy())
    assert found.criterion == "exploitability" and float(found.exploitability) <= 1e-4
    assert_close(found.mean_field, [0.5, 0.5], atol=1e-3)
    with pytest.raises(mfg.ConvergenceError, match="cycle of period 2"):
        mfg.solve(game, mfg.Greedy(), mfg.Picard())


def test_a_population_that_keeps_moving_is_not_called_stationary():
    """Each of three places draws from the one before, the more the more are there: crowds go round for ever."""

    def moves(z):
        onward = 0.9 * jnp.roll(z, -1) ** 2 + 0.02
        return (jnp.diag(1 - onward) + jnp.roll(jnp.diag(onward), 1, axis=1))[:, None]

    game, alone = mfg.StationaryGame(moves, np.zeros((3, 1)), 0.9, initial=[0.4, 0.35, 0.25]), np.ones((3, 1))
    assert np.isnan(mfg.propagate(game, alone)).all() and np.isnan(mfg.exploitability(game, alone))
    found = mfg.solve(game, mfg.Greedy(), mfg.MirrorDescent(), throw=False)
    assert found.result.name == "not_at_rest"


def test_a_population_that_moves_slowly_is_followed_to_its_rest():
    """It leaves 0 at 1e-6 a step and never comes back: the law at rest is [0, 1], 20 million steps away."""
    moves = np.array([[[1 - 1e-6, 1e-6]], [[0, 1]]])
    alone = np.ones((2, 1))
    for kernel in (lambda z: jnp.array(moves), moves):
        game = mfg.StationaryGame(kernel, np.zeros((2, 1)), 0.9)
        assert_close(mfg.propagate(game, alone), [0, 1], atol=1e-9)
        assert_close(mfg.solve(game, mfg.Greedy(), mfg.MirrorDescent()).mean_field, [0, 1], atol=1e-9)


@pytest.mark.parametrize(("first", "last"), [(0.499, 1 / 11), (0.501, 10 / 11)])
@pytest.mark.parametrize("size", [1, 66])
def test_a_population_that_moves_slowly_goes_to_the_rest_on_its_side(first, last, size):
    """Two groups of which x and 1 - x draw others, 1e-7 (x³ + c) a step: whoever is more grows, up to a point.

    dx/ds = 1e-7 ((1 - x) (x³ + c) - x ((1 - x)³ + c)) = 1e-7 (2x - 1) (x (1 - x) - c) leads from 1/2 to where
    x (1 - x) = c.
    """
    c = last * (1 - last)

    def moves(z):
        here = z.reshape(2, size).sum(axis=1)
        drawn = 1e-7 * (here[::-1] ** 3 + c)
        rows = jnp.kron(jnp.array([[1.0, 0.0], [0.0, 1.0]]) * (1 - drawn), jnp.full((size, size), 1 / size))
        rows = rows + jnp.kron(jnp.array([[0.0, 1.0], [1.0, 0.0]]) * drawn[:, None], jnp.full((size, size), 1 / size))
        return rows[:, None]

    initial = np.repeat([first, 1 - first], size) / size
    game = mfg.StationaryGame(moves, np.zeros((2 * size, 1)), 0.9, initial=initial)
    law = np.asarray(mfg.propagate(game, np.ones((2 * size, 1)))).reshape(2, size).sum(axis=1)
    assert_close(law, [last, 1 - last], atol=1e-6)


def test_a_trembling_hand_with_a_finite_horizon_is_judged_within_its_strategies():
    """Left-right: 2/3 go left at every small ε, by mixing (1 − ε, ε) and (ε, 1 − ε); nobody gains within Π^ε."""
    found = mfg.solve(mfg.games.left_right(), mfg.Trembling(0.1))
    assert_close(found.mean_field[1], [0, 2 / 3, 1 / 3], atol=1e-3)
    assert found.criterion == "exploitability" and 0 <= float(found.exploitability) <= 1e-4
    # with ε = 1/2 there is nothing to choose: half go either way, and outside Π^ε one would gain
    found = mfg.solve(mfg.games.left_right(), mfg.Trembling(0.5))
    assert_close(found.mean_field[1], [0, 0.5, 0.5], atol=1e-12)
    assert_close(mfg.exploitability(mfg.games.left_right(), found.policy), 0.25, atol=1e-12)


def test_payoffs_may_see_the_joint_law():
    """A toll of the share of agents who pay it: at the equilibrium z π repeats under Φ and the response."""
    rng = np.random.default_rng(8)
    base, table = rng.dirichlet(np.ones(S), size=(S, A)), rng.standard_normal((S, A))

    class Toll(eqx.Module):
        table: jax.Array

        def __call__(self, joint):
            return self.table - joint

    game = mfg.StationaryGame(base, Toll(jnp.asarray(table)), 0.8, observes="state_actions")
    found = mfg.solve(game, mfg.EntropyRegularized(2.0))
    joint, law = np.asarray(found.mean_field), np.asarray(found.state_law)
    plain = oracle.PlainStationary(lambda z: base, lambda z: table - joint, law, np.ones((S, A), bool), 0.8)
    _, policy, _ = oracle.best_response(plain, law, oracle.soft(2.0, np.full((S, A), 1 / A)))
    assert_close(oracle.step(plain, law, policy), law, atol=1e-9)
    assert_close(law[:, None] * policy, joint, atol=1e-9)


def test_lanes_equal_single_solves():
    rng = np.random.default_rng(9)
    game, _ = random_game(rng)
    epsilons, pulls, discounts = np.array([0.05, 0.2, 0.4]), np.array([0.2, 0.5, 0.9]), np.array([0.5, 0.8, 0.9])
    axes = {"epsilon": epsilons, "kernel.pull": pulls, "discount": discounts}
    found = mfg.solve_batch(game, mfg.Trembling(0.1), axes=axes)
    assert np.asarray(found.converged).all() and found.mean_field.shape == (S, 3)
    for lane in range(3):
        one = eqx.tree_at(
            lambda g: (g.kernel.pull, g.discount), game, (jnp.asarray(pulls[lane]), jnp.asarray(discounts[lane]))
        )
        single = mfg.solve(one, mfg.Trembling(epsilons[lane]))
        assert_close(found.mean_field[:, lane], single.mean_field, atol=1e-9)
        assert_close(found.policy[..., lane], single.policy, atol=1e-12)
        assert_close(found.values[:, lane], single.values, atol=1e-8)
        assert_close(found.exploitability[lane], 0, atol=1e-12)


@pytest.mark.parametrize("kind", ["EntropyRegularized", "Boltzmann"])
def test_the_gradient_of_an_equilibrium_is_that_of_differences(kind):
    """Of a mean over the law and of one value, by discount, reward, kernel and beta; central differences to 1e-6."""
    rng = np.random.default_rng(10)
    game, _ = random_game(rng)
    response, _ = responses(rng, game)[kind]
    at = jnp.array([0.8, 0.7, 0.5, 3.0])
    solver = mfg.Newton(atol=1e-13)

    def places(pair):
        return pair[0].discount, pair[0].kernel.pull, pair[0].reward.weight, pair[1].beta

    def loss(x):
        moved = eqx.tree_at(places, (game, response), tuple(x))
        found = mfg.solve(*moved, solver, throw=False)
        return found.mean_field @ jnp.arange(S) + found.values[1] + found.policy[0, 0]

    both = jax.jit(jax.value_and_grad(loss))  # one program for values, too
    slope = both(at)[1]
    for i, step in enumerate(np.eye(4) * 1e-5):
        assert_close(slope[i], (both(at + step)[0] - both(at - step)[0]) / 2e-5, rtol=2e-6, atol=1e-8)
    if kind == "EntropyRegularized":
        along = jnp.array([0.1, 0.5, 0.3, 1.0])
        curvature = jax.jit(lambda x: jax.jvp(jax.grad(loss), (x,), (along,))[1])(at)
        expected = (both(at + 1e-5 * along)[1] - both(at - 1e-5 * along)[1]) / 2e-5
        assert_close(curvature, expected, rtol=1e-5, atol=1e-6)


def mapped(f):
    return lambda x: jax.vmap(f)(x[None])[0]


@pytest.mark.parametrize(
    ("transform", "derivatives"),
    [(lambda f: f, [jax.grad]), (jax.jit, [jax.hessian]), (mapped, [jax.jacfwd])],
    ids=["eager", "jit", "vmap"],
)
def test_the_equilibrium_does_not_move_with_the_law_that_iterations_start_from(transform, derivatives):
    """Action a leads to state a and earns a·w, so that z(1) = 1/(1 + exp(-w)) from any start."""

    def share(x, solver=None):
        game = mfg.StationaryGame(np.eye(2)[None].repeat(2, 0), x[2] * jnp.array([[0.0, 1.0]] * 2), 0.9, initial=x[:2])
        return mfg.solve(game, mfg.EntropyRegularized(1.0), solver).mean_field[1]

    def of_start(start):
        return share(jnp.append(start, 0.5), mfg.Picard())

    def of_starts(starts):
        game = mfg.StationaryGame(np.eye(2)[None].repeat(2, 0), np.array([[0.0, 0.5]] * 2), 0.9)
        found = mfg.solve_batch(game, mfg.EntropyRegularized(1.0), mfg.Picard(), axes={"initial": starts})
        return found.mean_field[1].sum()

    start, starts = jnp.array([0.3, 0.7]), jnp.array([[0.3, 0.6], [0.7, 0.4]])
    for derivative in derivatives:
        assert not np.asarray(transform(derivative(of_start))(start)).any()
    assert not np.asarray(transform(jax.grad(of_starts))(starts)).any()
    p = 1 / (1 + np.exp(-0.5))
    if transform is jax.jit:  # the first derivative, too, by all methods of the default solver
        assert_close(transform(jax.grad(share))(jnp.append(start, 0.5)), [0, 0, p * (1 - p)], atol=1e-9)


def test_the_derivative_of_a_trembling_equilibrium_is_refused():
    game, _ = random_game(np.random.default_rng(5), pull=0.3, weight=0.2)
    with pytest.raises(ValueError, match=r"`Trembling` response has no derivative.*`design\.sensitivity`"):
        jax.grad(lambda e: mfg.solve(game, mfg.Trembling(e)).mean_field[0])(0.2)


def test_the_path_of_equilibria_is_followed_in_a_stationary_game():
    game, _ = random_game(np.random.default_rng(5))
    found = mfg.branch(game, mfg.EntropyRegularized(1.0), start=0.5, stop=5.0, resolution=4)
    assert found.complete and found.mean_field.shape[1:] == (S,)
    direct = mfg.solve(game, mfg.EntropyRegularized(5.0)).mean_field
    assert_close(found.mean_field[-1], direct, atol=1e-8)


def test_single_precision_is_kept():
    game, _ = random_game(np.random.default_rng(5), pull=0.3, weight=0.2)
    single = jax.tree.map(lambda x: x.astype(np.float32) if eqx.is_inexact_array(x) else x, game)
    found = mfg.solve(single, mfg.Trembling(0.2))
    assert {str(x.dtype) for x in (found.mean_field, found.policy, found.q, found.exploitability)} == {"float32"}
    assert_close(found.mean_field, mfg.solve(game, mfg.Trembling(0.2)).mean_field, atol=1e-4)


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_what_stands_at_an_action_that_does_not_exist_changes_nothing(nothing, rng):
    """With -inf or NaN there policy iteration took its start, zeros, for the values."""
    moves, table = rng.dirichlet(np.ones(3), size=(3, 2)), rng.standard_normal((3, 2))
    mask = np.array([[True, True], [True, False], [True, True]])
    build = lambda number: mfg.StationaryGame(moves, np.where(mask, table, number), 0.9, available=mask)  # noqa: E731
    for response in (mfg.Trembling(0.2), mfg.EntropyRegularized(2.0), mfg.Greedy()):
        plain, other = (mfg.solve(build(number), response) for number in (0.0, nothing))
        assert_close(other.values, plain.values, rtol=0)
        assert_close(other.policy, plain.policy, rtol=0)
        assert_close(other.exploitability, plain.exploitability, rtol=0)
    gmbl = mfg.learners.GMBL(50)
    plain, other = (mfg.learners.run(build(x), mfg.Trembling(0.2), gmbl, 5).state.q for x in (0.0, nothing))
    assert_close(other, plain, rtol=0)


class Shunned(eqx.Module):
    """r(s,a,z) = −z(a): agents choose the state to be in next, and avoid the crowd."""

    def __call__(self, z):
        return jnp.broadcast_to(-z[None], (2, 2))


def test_a_lagged_iteration_that_goes_round_is_a_cycle_of_its_own_period():
    """With z_{k+1} the answer to z_{k−1}, all move together: 1, 0, 0, 1, 1, 0, 0, ... of period 4, and not 3."""
    moves = np.repeat(np.eye(2)[None], 2, axis=0)
    available = np.ones((2, 2), dtype=bool)
    game = mfg.StationaryGame(moves, Shunned(), 0.5, initial=[0.9, 0.1], available=available)
    z, before, path = np.array([0.9, 0.1]), np.full((2, 2), 0.5), []
    for _ in range(12):
        chosen = np.repeat(np.eye(2)[[int(z[0] > z[1])]], 2, axis=0)
        z, before = np.einsum("s,sa,sat->t", z, before, moves), chosen
        path.append(z)
    periods = [p for p in range(1, 6) if np.allclose(path[7:12], path[7 - p : 12 - p])]
    found = mfg.solve(game, mfg.Greedy(), mfg.solvers.Lagged(), throw=False)
    assert found.result == mfg.RESULTS.cycle and [int(found.result.period)] == periods == [4]


@pytest.mark.parametrize(
    ("rate", "dtype", "slack"),
    [(1e-3, np.float64, 1e-12), (1e-7, np.float64, 1e-8), (1e-3, np.float32, 1e-4), (1e-5, np.float32, 1e-2)],
)
def test_a_chain_that_mixes_slowly_comes_to_rest_all_the_same(rate, dtype, slack):
    """It leaves 0 at `rate` and 1 at twice that; nobody leaves 2 and 3. The slack is that of rounding the rates."""
    moves = np.eye(4)
    moves[0, :2], moves[1, :2] = (1 - rate, rate), (2 * rate, 1 - 2 * rate)
    initial = np.array([0.75, 0, 0.25, 0], dtype)
    game = mfg.StationaryGame(moves[:, None].astype(dtype), np.zeros((4, 1), dtype), 0.9, initial=initial)
    expected = [0.5, 0.25, 0.25, 0]
    assert_close(mfg.propagate(game, np.ones((4, 1), dtype)), expected, atol=slack)
    found = mfg.solve(game, mfg.Greedy(), mfg.solvers.StationaryLaw())
    if rate > 1e-5 or dtype == np.float64:  # where the initial law is not kept to the tolerance itself
        assert_close(found.mean_field, expected, atol=slack)


def test_a_temperature_that_the_values_do_not_see_may_be_followed():
    """Boltzmann values are greedy, and here payoffs do not see the crowd: nothing moves them along the path in β."""
    moves = np.repeat(np.array([[[0.7, 0.3], [0.2, 0.8]]]), 2, axis=0)
    game, response = mfg.StationaryGame(moves, np.array([[0, 1.0], [0, 1.0]]), 0.9), mfg.Boltzmann(2.0)
    # all values are equal, so that only the gain of 1 counts
    up = np.exp(2) / (1 + np.exp(2))
    law = np.array([0.7 - 0.5 * up, 0.3 + 0.5 * up])
    assert_close(mfg.solve(game, response, mfg.Continuation()).mean_field, law, atol=1e-9)
    traced = jax.jit(lambda beta: mfg.solve(game, mfg.Boltzmann(beta)).mean_field)  # all stages of `Auto` are compiled
    assert_close(traced(2.0), law, atol=1e-9)


class NoNumber(eqx.Module):
    """r = a, but NaN where between a tenth and nine tenths are in state 0: nowhere that a game is tried at first."""

    def __call__(self, z):
        return jnp.where((z[0] > 0.1) & (z[0] < 0.9) & (z[0] != 0.5), jnp.nan, jnp.arange(2.0)) * jnp.ones((2, 1))


@pytest.mark.parametrize("response", [mfg.Trembling(0.1), mfg.EpsilonGreedy(0.1), mfg.Greedy(), mfg.Boltzmann(1.0)])
def test_values_that_are_no_numbers_are_never_an_equilibrium(response):
    """Among NaN a response that jumps finds a best action all the same, and the population settles."""
    moves = np.repeat(np.array([[[0.7, 0.3], [0.6, 0.4]]]), 2, axis=0)
    game = mfg.StationaryGame(moves, NoNumber(), 0.9, available=np.ones((2, 2), dtype=bool))
    one_by_one = (mfg.Picard(), mfg.solvers.StationaryLaw()) if isinstance(response, mfg.Trembling) else ()
    for solver in (None, *one_by_one):
        found = mfg.solve(game, response, solver, throw=False)
        assert found.result == mfg.RESULTS.non_finite
    if isinstance(response, mfg.Greedy | mfg.EpsilonGreedy):
        return

    def code(discount):
        known = eqx.tree_at(lambda g: g.reward, game, lambda z: jnp.ones((2, 2)))
        return mfg.solve(eqx.tree_at(lambda g: g.discount, known, discount), response, mfg.Picard()).result.code

    assert jax.jit(code)(jnp.nan) != mfg.RESULTS.converged


def test_rounding_takes_no_exploitability_below_0_and_no_derivative_from_it():
    """Of trembling hands gains and losses of single actions add up to 0, in 30 equilibria in which they are rounded."""
    response, games = (
        mfg.Trembling(0.2),
        [random_game(np.random.default_rng(seed), 0.9, 0.0, 0.0)[0] for seed in range(30)],
    )
    for game in games:
        found = mfg.solve(game, response)
        gain = mfg.exploitability(game, found.policy, response, mean_field=found.mean_field)
        assert 0 <= gain < 1e-12 and 0 <= found.exploitability < 1e-12


def test_the_derivative_of_exploitability_at_an_equilibrium_is_that_of_its_formula():
    """Moved by h from one action to another at s it grows by d(s) (Q(s,to) − Q(s,from)) h/(1−γ), with either sign."""
    P, r, discount = np.full((2, 2, 2), 0.5), np.array([[0.0, 1.0], [2.0, 0.0]]), 0.5
    game, response = mfg.StationaryGame(P, r, discount), mfg.Trembling(0.2)
    law, policy = jnp.array([0.5, 0.5]), jnp.array([[0.2, 0.8], [0.8, 0.2]])  # the best of the hands

    @jax.jit
    def gain(x, policy=policy):
        return mfg.exploitability(game, policy.at[0].add(x * jnp.array([1.0, -1.0])), response, mean_field=law)

    assert_close(jax.grad(gain)(0.0), 0.5 * (1.0 - 0.0) / (1 - discount), atol=1e-12)
    assert np.isnan(gain(jnp.nan))
    greedy = jnp.array([[0.0, 1.0], [1.0, 0.0]])  # outside of what such hands can do: better than the best of them
    assert_close(gain(0.0, greedy), -0.5 * (0.2 + 0.4) / (1 - discount), atol=1e-12)
