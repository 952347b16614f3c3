"""References in closed form make any policy an equilibrium; the policy of least effort realises a flow."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import GAMES, assert_close, random_game, random_policy
from scipy import optimize

import mfgjax as mfg

GAME = mfg.games.resource_allocation()
RHO = mfg.games.resource_allocation_reference(GAME)


@pytest.mark.parametrize("kind", GAMES)
@pytest.mark.parametrize("beta", [0.1, 1.0, 30.0])
def test_any_policy_is_an_equilibrium_under_its_reference(kind, beta, rng):
    """On 5 games each: 105 in all, with masks, discounts, empty states, coupled kernels and joint laws."""
    for _ in range(5):
        game, plain = random_game(kind, rng)
        policy = random_policy(rng, plain.available)
        found = mfg.design.inverse_reference(game, policy, beta)
        assert float(found.residual) < 1e-10
        reference = np.exp(np.asarray(found.log_reference, dtype=np.longdouble))
        assert_close(reference.sum(axis=-1), 1, atol=1e-12)
        assert (np.asarray(found.log_reference) == -np.inf).tolist() == (~plain.available).tolist()
        # by the loops of the oracle, where no entry of ρ has underflowed
        flow = oracle.spread(plain, policy)[1]
        answer = oracle.best_response(plain, flow, oracle.soft(beta, reference))[1]
        assert_close(answer, policy, atol=1e-9)
        assert_close(found.mean_field, flow, atol=1e-12)


def test_the_reference_of_an_equilibrium_is_the_one_it_was_solved_with():
    found = mfg.solve(GAME, mfg.EntropyRegularized(3.0, RHO))
    again = mfg.design.inverse_reference(GAME, found.policy, 3.0)
    # the policy answers a flow that is off by the residual
    assert_close(again.reference, np.broadcast_to(RHO, (6, 5, 3)), atol=1e-8)


def test_solving_with_it_finds_the_policy(rng):
    policy = random_policy(rng, np.broadcast_to(np.asarray(GAME.available), (6, 5, 3)))
    found = mfg.design.inverse_reference(GAME, policy, 0.5)  # below 0.8 there is one equilibrium
    solved = mfg.solve(GAME, mfg.EntropyRegularized(0.5, log_reference=found.log_reference))
    assert_close(solved.policy, policy, atol=1e-8)


def test_it_is_differentiable_and_maps_over_beta(rng):
    policy = jnp.asarray(random_policy(rng, np.asarray(GAME.available)[0]))

    def first(beta):
        return mfg.design.inverse_reference(GAME, policy, beta).reference[0, 1, 1]

    betas = jnp.array([0.5, 1.0, 2.0])
    together = jax.vmap(first)(betas)
    assert_close(together, [first(beta) for beta in betas], rtol=1e-12)
    slope, step = jax.grad(first)(1.0), 1e-5
    assert_close(slope, (first(1 + step) - first(1 - step)) / (2 * step), rtol=1e-7)


def test_small_entries_of_the_reference_are_kept_as_logs():
    """At β = 1e4 an action that loses half a unit of reward needs a weight of exp(−5000)."""
    game = mfg.FiniteHorizonGame(np.full((1, 2, 1), 1.0), [[0.0, 0.5]], [1.0], 1)
    found = mfg.design.inverse_reference(game, [[0.5, 0.5]], 1e4)
    assert_close(found.log_reference[1, 0, 1] - found.log_reference[1, 0, 0], -5000, rtol=1e-9)
    assert float(found.residual) < 1e-12


# --- flows ----------------------------------------------------------------------------------------------------


def least_effort_by_search(here, there, moves, prior):
    """The policy of one step by a general solver: S·A shares, with equations for every state and every target."""
    S, A, _ = moves.shape

    def effort(x):
        pi = x.reshape(S, A)
        return sum(here[s] * pi[s, a] * np.log(pi[s, a] / prior[s, a]) for s in range(S) for a in range(A))

    equations = [
        {"type": "eq", "fun": lambda x: x.reshape(S, A).sum(axis=1) - 1},
        {"type": "eq", "fun": lambda x: (np.einsum("s,sa,san->n", here, x.reshape(S, A), moves) - there)[:-1]},
    ]
    found = optimize.minimize(
        effort, prior.ravel(), constraints=equations, bounds=[(1e-9, 1)] * (S * A), method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    assert found.success, found.message
    return found.x.reshape(S, A), found.fun


def test_the_policy_of_least_effort_is_that_of_a_general_solver(rng):
    S, A, H = 3, 3, 2
    kernel = rng.dirichlet(np.ones(S), size=(H, S, A))
    prior, initial = rng.dirichlet(np.ones(A) * 3, size=S), rng.dirichlet(np.ones(S) * 3)
    game = mfg.FiniteHorizonGame(kernel, np.zeros((S, A)), initial, H)
    flow = mfg.propagate(game, jnp.asarray(rng.dirichlet(np.ones(A) * 3, size=(H + 1, S))))
    found = mfg.design.least_effort_policy(game, flow, prior)
    assert float(found.residual) < 1e-13
    assert_close(mfg.propagate(game, found.policy), flow, atol=1e-12)
    for t in range(H):
        policy, effort = least_effort_by_search(np.asarray(flow[t]), np.asarray(flow[t + 1]), kernel[t], prior)
        assert_close(found.effort[t], effort, rtol=1e-6, atol=1e-9)
        assert_close(found.policy[t], policy, atol=1e-4)  # the general solver's accuracy
    assert_close(found.policy[H], prior, atol=1e-12)
    assert_close(found.effort[H], 0)


@pytest.mark.parametrize("kind", [kind for kind in GAMES if kind != "joint law"])
def test_flows_of_random_policies_are_realised(kind, rng):
    game, plain = random_game(kind, rng)
    flow = oracle.spread(plain, random_policy(rng, plain.available))[1]
    found = mfg.design.least_effort_policy(game, flow)
    assert float(found.residual) < 1e-12
    assert_close(oracle.spread(plain, np.asarray(found.policy))[1], flow, atol=1e-11)
    assert (np.asarray(found.policy) > 0).tolist() == plain.available.tolist()
    assert (np.asarray(found.effort) >= -1e-15).all()


@pytest.mark.parametrize("beta", [0.1, 3.0, 30.0])
def test_a_target_flow_becomes_an_equilibrium(beta):
    flow = 0.5 * mfg.solve(GAME, mfg.EntropyRegularized(1.0, RHO)).mean_field
    flow += 0.5 * mfg.propagate(GAME, jnp.broadcast_to(RHO, (6, 5, 3)))
    found = mfg.design.inverse_reference(GAME, flow, beta, prior=RHO)
    assert float(found.residual) < 1e-10
    assert_close(found.mean_field, flow, atol=1e-12)


def test_the_flow_of_the_prior_takes_no_effort():
    flow = mfg.propagate(GAME, jnp.broadcast_to(RHO, (6, 5, 3)))
    found = mfg.design.least_effort_policy(GAME, flow, RHO)
    assert_close(found.policy, np.broadcast_to(RHO, (6, 5, 3)), atol=1e-9)
    assert_close(found.effort, 0, atol=1e-12)


def flow_with(t, law):
    flow = np.array(mfg.propagate(GAME, jnp.broadcast_to(RHO, (6, 5, 3))))
    flow[t] = law
    return flow


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            flow_with(1, [0, 0, 0, 0, 1]),
            r"`flow\[1, 4\]` is 1, but from the law at time 0 at most 0.5 can move to state '5'",
        ),
        (flow_with(1, [0.5, 0.5, 0, 0, 0]), r"`flow\[1, \d\]` is 0.5, but from the law at time 0 at most 0.[45]"),
        (flow_with(0, [0.2] * 5), r"`flow\[0\]` at time 0 is 0.2, but at time 0 it must be the game's `initial`"),
        (flow_with(1, [0.3] * 5), r"`flow\[1\]` sums to 1.5"),
        (np.ones((6, 4)), r"`flow` must have shape \(6, 5\)"),
    ],
)
def test_impossible_flows_are_refused_with_time_and_node(target, message):
    with pytest.raises(ValueError, match=message):
        mfg.design.least_effort_policy(GAME, target)


def test_a_flow_that_is_impossible_as_a_whole_is_refused():
    """Places 0 and 1 can each be reached by 0.6 of the crowd, but by the same 0.6."""
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1], [2, 2]]), np.zeros((3, 2)), [0.3, 0.3, 0.4], 1)
    with pytest.raises(
        ValueError, match=r"`flow\[1, [01]\]` is 0.5, but no policy leads from the law at time 0 to that at time 1"
    ):
        mfg.design.least_effort_policy(game, [[0.3, 0.3, 0.4], [0.5, 0.5, 0.0]])


def test_a_flow_that_leaves_no_room_for_an_action_is_refused():
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), np.zeros((2, 2)), [0.5, 0.5], 1)
    with pytest.raises(ValueError, match=r"`flow\[1\]` is reached only by .* at time 0, such as '1' in state '[01]'"):
        mfg.design.least_effort_policy(game, [[0.5, 0.5], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        (np.full((5, 3), 1 / 3), {}, r"`target\[0, 2, 2\]` is 0.33.*, but the action is not available"),
        (np.zeros((6, 5, 3)), {}, r"`target\[0, 0\]` sums to 0"),
        (np.ones((2, 2)), {}, r"`target` must have shape \(6, 5, 3\) or \(5, 3\) or \(6, 5\)"),
        (np.asarray(RHO), {"prior": RHO}, "`prior` is for a flow"),
    ],
)
def test_bad_targets_are_one_sentence(target, options, message):
    with pytest.raises(ValueError, match=message):
        mfg.design.inverse_reference(GAME, target, 1.0, **options)


def test_other_bad_input():
    with pytest.raises(ValueError, match="`beta`"):
        mfg.design.inverse_reference(GAME, RHO, -1.0)
    with pytest.raises(ValueError, match="`game` must be a `FiniteHorizonGame`"):
        mfg.design.inverse_reference("game", RHO, 1.0)
    square = mfg.FiniteHorizonGame(np.full((3, 3, 3), 1 / 3), np.zeros((3, 3)), np.full(3, 1 / 3), 2)
    with pytest.raises(ValueError, match="may be a policy or a flow"):
        mfg.design.inverse_reference(square, np.full((3, 3), 1 / 3), 1.0)
    forbidden = np.asarray(RHO).copy()
    forbidden[1] = [0.0, 0.5, 0.5]
    with pytest.raises(ValueError, match=r"`target\[0, 1, 0\]` is 0.0, but the action is available"):
        mfg.design.inverse_reference(GAME, forbidden, 1.0)
    with pytest.raises(ValueError, match="traced"):
        jax.jit(lambda flow: mfg.design.least_effort_policy(GAME, flow).policy)(flow_with(0, GAME.initial))
