"""Many games at once compute, lane by lane, what each game computes alone.

Nothing is compiled for the lanes: every operation runs by itself, so that any array can be given lanes for little.
"""

import functools
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    GAMES,
    KERNELS,
    SUCCESSORS,
    A,
    CrowdReward,
    H,
    S,
    T,
    assert_close,
    random_flow,
    random_game,
    random_policy,
)

import mfgjax as mfg
from mfgjax.games.random_dense import SquashedLinear
from mfgjax.model import DenseInteraction, LaneGame
from mfgjax.model.rewards import Staged, TableReward
from mfgjax.model.values import gain

LANES = 6  # unlike any other length, so that no axis is taken for another
ATOL = 1e-13  # the same sums of numbers of order 1, in another order


def inexact(tree):
    """Numbers and places of the floating leaves of a tree."""
    found = enumerate(jax.tree_util.tree_leaves_with_path(tree))
    return {jax.tree_util.keystr(path): i for i, (path, leaf) in found if eqx.is_inexact_array(leaf)}


def with_lanes(rng, tree, chosen):
    """The tree with random numbers near the old ones in all lanes of the chosen leaves; and the lanes one by one."""
    leaves, structure = jax.tree.flatten(tree)
    for i in chosen:
        shape = (*leaves[i].shape, LANES)
        leaves[i] = np.asarray(leaves[i])[..., None] * rng.uniform(0.9, 1, shape)
    together = jax.tree.unflatten(structure, leaves)
    alone = [
        jax.tree.unflatten(structure, [leaf[..., b] if i in chosen else leaf for i, leaf in enumerate(leaves)])
        for b in range(LANES)
    ]
    return together, tuple(i in chosen for i in range(len(leaves))), alone


def maps(game, flow, response, log_policy):
    """The response to a flow, where it leads, and what it gains on another policy."""
    best = mfg.respond(game, flow, response)
    mu, image = game.generated(best.policy)
    penalty = None
    if isinstance(response, mfg.EntropyRegularized):
        penalty = response.beta, response.log_prior(game.available, game.dtype)
    return {**best._asdict(), "law": mu, "image": image, "gain": gain(game, mu, log_policy, best, penalty)}


alone_jit = eqx.filter_jit(maps)


@functools.cache
def problem(kind):
    """A game with a flow and a policy in each lane."""
    rng = np.random.default_rng(0)
    game, plain = random_game(kind, rng)
    flow = np.stack([random_flow(rng, plain.joint) for _ in range(LANES)], axis=-1)
    policy = np.stack([random_policy(rng, plain.available, zeros=True) for _ in range(LANES)], axis=-1)
    with np.errstate(divide="ignore"):
        return game, flow, np.log(policy)


def compare(games, alone, flow, response, log_policy, responses=None):
    with jax.disable_jit():
        together = jax.device_get(maps(games, jnp.asarray(flow), response, jnp.asarray(log_policy)))
    for b in range(LANES):
        single = alone_jit(alone[b], flow[..., b], response if responses is None else responses[b], log_policy[..., b])
        for name, expected in single.items():
            assert together[name].shape == (*expected.shape, LANES), name
            assert_close(together[name][..., b], expected, atol=ATOL)


# --- games ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", GAMES)
def test_any_array_of_a_game_may_differ_from_lane_to_lane(kind, rng):
    """All of them at once, and each alone beside others that are shared."""
    game, flow, log_policy = problem(kind)
    places = set(inexact(game).values())
    for chosen in (places, *({place} for place in places)):
        together, carried, alone = with_lanes(rng, game, chosen)
        compare(LaneGame(together, carried, LANES), alone, flow, mfg.EntropyRegularized(0.7), log_policy)


def test_lanes_of_one_and_the_same_game_differ_by_their_flows():
    game, flow, log_policy = problem("crowd successors")
    nothing = (False,) * len(jax.tree.leaves(game))
    compare(LaneGame(game, nothing, LANES), [game] * LANES, flow, mfg.EntropyRegularized(0.7), log_policy)


@pytest.mark.parametrize("kind", ["dense over time", "crowd kernel"])
def test_the_exploitability_of_every_lane_is_that_of_its_own_game(kind, rng):
    game, _, log_policy = problem(kind)
    together, carried, alone = with_lanes(rng, game, set(inexact(game).values()))
    with jax.disable_jit():
        games = LaneGame(together, carried, LANES)
        mu, seen = games.generated(jnp.exp(log_policy))
        gained = np.asarray(gain(games, mu, jnp.asarray(log_policy), mfg.respond(games, seen, mfg.Greedy()), None))
    single = jax.jit(mfg.exploitability)
    for b in range(LANES):
        expected = single(alone[b], np.exp(log_policy[..., b]))
        assert expected > 1e-2
        assert_close(gained[b], expected, atol=ATOL)


# --- responses ------------------------------------------------------------------------------------------


def tempered(kind, times):
    """The response with β and prior that differ from lane to lane, and the responses one by one."""
    rng = np.random.default_rng(5)
    game, flow, log_policy = problem("joint law")
    mask = np.asarray(game.available)[:times]
    betas = rng.uniform(0.2, 3, LANES)
    priors = [random_policy(rng, mask) for _ in range(LANES)]
    alone = [kind(beta, prior) for beta, prior in zip(betas, priors, strict=True)]
    together = jax.tree.map(lambda *leaves: np.stack(leaves, axis=-1), *alone)
    return together, alone, flow, log_policy


@pytest.mark.parametrize("kind", [mfg.EntropyRegularized, mfg.Boltzmann])
def test_temperatures_and_priors_may_differ_from_lane_to_lane(kind):
    together, alone, flow, log_policy = tempered(kind, T)
    game = problem("joint law")[0]
    games = LaneGame(game, (False,) * len(jax.tree.leaves(game)), LANES)
    compare(games, [game] * LANES, flow, together, log_policy, alone)


@pytest.mark.parametrize("tie", ["smallest", "largest"])
def test_greedy_lanes_break_ties_as_one_game_does(tie, rng):
    """All actions earn the same and lead to the same place: everything is a tie, rounding included."""
    kernel = mfg.MovesKernel(np.tile([[1], [2], [3], [0]], A))
    game = mfg.FiniteHorizonGame(kernel, numbers(S, 1), np.ones(S) / S, H)
    _, flow, log_policy = problem("dense")
    together, carried, alone = with_lanes(rng, game, {inexact(game)[".reward.table"]})
    compare(LaneGame(together, carried, LANES), alone, flow, mfg.Greedy(tie), log_policy)
    with jax.disable_jit():
        best = mfg.respond(LaneGame(together, carried, LANES), flow, mfg.Greedy(tie))
    assert (best.policy[:, :, 0 if tie == "smallest" else A - 1] == 1).all()


# --- kernels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dense", "dense over time", "successors", "successors with gaps over time"])
def test_kernels_whose_probabilities_have_lanes_act_lane_by_lane(name, rng):
    kernel, _ = KERNELS[name](rng)
    assert kernel.takes_lanes
    together, _, alone = with_lanes(rng, kernel, {inexact(kernel)[".probabilities"]})
    values = rng.standard_normal((kernel.num_states, LANES))
    mass = rng.standard_normal((kernel.num_states, kernel.num_actions, LANES))
    act = jax.jit(
        lambda kernel, v, m: [(kernel.at(t).expect(v), kernel.at(t).push(m)) for t in {0, kernel.num_times - 1}]
    )
    for b, expected in enumerate(act(alone[b], values[:, b], mass[..., b]) for b in range(LANES)):
        for got, wanted in zip(
            jax.tree.leaves(jax.device_get(act(together, values, mass))), jax.tree.leaves(expected), strict=True
        ):
            assert_close(got[..., b], wanted, atol=ATOL)


class LazyWalk(mfg.kernels.AbstractKernel):
    """Stay with a probability, else go where the table leads: of a user, who thinks of one game only."""

    stay: jax.Array
    table: mfg.DenseKernel

    @property
    def probabilities(self):
        eye = jnp.eye(self.num_states)[:, None]
        return (self.stay * eye + (1 - self.stay) * self.table.probabilities[0])[None]

    def at(self, t):
        return LazyWalk(self.stay, self.table.at(t))

    def expect(self, values):
        assert self.stay.ndim == 0 and values.ndim == 1
        return self.stay * values[:, None] + (1 - self.stay) * self.table.expect(values)

    def push(self, mass):
        return self.stay * mass.sum(axis=1) + (1 - self.stay) * self.table.push(mass)

    @property
    def num_states(self):
        return self.table.num_states

    @property
    def num_actions(self):
        return self.table.num_actions

    @property
    def num_times(self):
        return self.table.num_times


def test_kernel_classes_of_users_need_not_know_of_lanes(rng):
    table = mfg.DenseKernel(rng.dirichlet(np.ones(S), size=(H, S, A)))
    game = mfg.FiniteHorizonGame(LazyWalk(jnp.asarray(0.3), table), rng.standard_normal((T, S, A)), np.ones(S) / S, H)
    _, flow, log_policy = problem("dense")
    log_policy = np.log(np.exp(log_policy) / 2 + 1 / (2 * A))
    together, carried, alone = with_lanes(rng, game, set(inexact(game.kernel).values()))
    compare(LaneGame(together, carried, LANES), alone, flow, mfg.EntropyRegularized(0.7), log_policy)


# --- rewards --------------------------------------------------------------------------------------------


def numbers(*shape):
    return np.random.default_rng(7).standard_normal(shape)


REWARDS = {
    "a table": lambda: TableReward(numbers(1, S, A)),
    "a table over time": lambda: TableReward(numbers(T, S, A)),
    "a table of states": lambda: TableReward(numbers(T, S, 1)),
    "a full interaction": lambda: mfg.PairwiseReward(numbers(S, A, S), mfg.rewards.Power(scale=0.7, exponent=2)),
    "a full interaction over time": lambda: mfg.PairwiseReward(numbers(T, S, A, S), SquashedLinear(jnp.array(0.7))),
    "a full interaction of states": lambda: mfg.PairwiseReward(DenseInteraction(numbers(S, 1, S))),
    "one's own state": lambda: mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(numbers(S, A), numbers(T, S, 1))),
    "one's own state, by stages": lambda: mfg.PairwiseReward(
        mfg.rewards.OwnStateInteraction(numbers(S, 1), numbers(S, 1)),
        Staged(mfg.rewards.Power(scale=0.5, exponent=2), mfg.rewards.Power(scale=1.5, exponent=3), H),
    ),
    "where one's move leads": lambda: mfg.PairwiseReward(
        mfg.rewards.SuccessorInteraction(numbers(T, S, A), numbers(S, A), SUCCESSORS[..., 0]),
        mfg.rewards.Power(scale=1.2, exponent=1),
    ),
}


paid = eqx.filter_jit(lambda game, t, mean_field: game.reward_at(jnp.asarray(t), mean_field))


def assert_pays_lane_by_lane(reward, rng):
    """With lanes on all of its arrays, and on each alone."""
    game, flow, _ = problem("dense")
    game = eqx.tree_at(lambda g: g.reward, game, reward)
    inner = {place for path, place in inexact(game).items() if path.startswith(".reward")}
    for chosen in [inner, *({place} for place in inner)]:
        together, carried, alone = with_lanes(rng, game, chosen)
        for t in (0, H):
            rewards = np.asarray(paid(LaneGame(together, carried, LANES), t, flow[t]))
            assert rewards.shape == (S, A, LANES)
            for b in range(LANES):
                assert_close(rewards[..., b], paid(alone[b], t, flow[t, :, b]), atol=ATOL)


@pytest.mark.parametrize("name", REWARDS)
def test_rewards_of_the_library_compute_all_lanes_at_once(name, rng):
    reward = REWARDS[name]()
    assert reward.takes_lanes
    assert_pays_lane_by_lane(reward, rng)


def test_a_function_behind_a_table_that_ignores_the_crowd_has_lanes_of_its_own(rng):
    """The table has states and actions only; what stands before it must not take its lanes for actions."""
    assert_pays_lane_by_lane(
        mfg.PairwiseReward(TableReward(numbers(1, S, A)), mfg.rewards.Power(scale=0.7, exponent=2)), rng
    )


class Watched(eqx.Module):
    """A reward that keeps the shapes of the mean fields that it saw."""

    weight: jax.Array
    takes_lanes: bool = eqx.field(static=True)
    seen: ClassVar[list] = []

    def __call__(self, t, mean_field):
        self.seen.append(mean_field.shape)
        return -self.weight * mean_field[:, None]


@pytest.mark.parametrize(("takes_lanes", "shape"), [(False, (S,)), (True, (S, LANES))])
def test_a_reward_of_a_user_sees_one_game_unless_it_says_that_it_takes_lanes(takes_lanes, shape, rng):
    reward = Watched(jnp.array(1.5), takes_lanes)
    game = mfg.FiniteHorizonGame(np.full((S, A, S), 1 / S), reward, np.ones(S) / S, H)
    together, carried, alone = with_lanes(rng, game, {inexact(game)[".reward.weight"]})
    flow = problem("dense")[1]
    Watched.seen.clear()
    rewards = np.asarray(paid(LaneGame(together, carried, LANES), 1, flow[1]))
    assert Watched.seen == [shape]
    for b in range(LANES):
        assert_close(rewards[..., b], -alone[b].reward.weight * flow[1, :, b][:, None] * np.ones((1, A)), atol=ATOL)


def test_a_function_of_a_user_behind_an_interaction_of_the_library_is_mapped(rng):
    class Bent(eqx.Module):
        bend: jax.Array

        def __call__(self, t, x):
            assert x.shape == (S, A)
            return jnp.sin(self.bend * x)

    game, flow, log_policy = problem("dense")
    game = eqx.tree_at(lambda g: g.reward, game, mfg.PairwiseReward(numbers(S, A, S), Bent(jnp.array(0.8))))
    together, carried, alone = with_lanes(rng, game, set(inexact(game).values()))
    compare(LaneGame(together, carried, LANES), alone, flow, mfg.EntropyRegularized(0.7), log_policy)


def test_a_callable_without_any_array_serves_all_lanes(rng):
    """A plain function as kernel, one as reward; only the initial laws differ."""
    table = jnp.asarray(rng.dirichlet(np.ones(S), size=(S, A)))
    reward = CrowdReward(jnp.asarray(numbers(T, S, A)), jnp.array(1.0))
    game = mfg.FiniteHorizonGame(
        lambda t, mean_field: table,
        lambda t, mean_field: reward(t, mean_field),
        np.ones(S) / S,
        H,
        available=np.ones((S, A), bool),
    )
    _, flow, log_policy = problem("dense")
    together, carried, alone = with_lanes(rng, game, {inexact(game)[".initial"]})
    compare(LaneGame(together, carried, LANES), alone, flow, mfg.EntropyRegularized(0.7), log_policy)
