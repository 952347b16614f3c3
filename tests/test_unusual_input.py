"""Unusual input is no bad input: it gives the same game."""

import equinox as eqx
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from faults import (
    CHANCES,
    FLOW,
    INITIAL,
    INTERACTION,
    KERNEL,
    MASK,
    NEXT,
    REFERENCE,
    REWARD,
    SUCCESSORS,
    A,
    H,
    S,
    game,
    graph,
    inf,
    over_time,
    put,
    traced,
)

import mfgjax as mfg
from mfgjax import (
    Anderson,
    Boltzmann,
    Continuation,
    DenseKernel,
    EntropyRegularized,
    MirrorDescent,
    MovesKernel,
    PairwiseReward,
    Picard,
    SuccessorKernel,
    games,
    solve,
    validate,
)
from mfgjax.model import DenseInteraction
from mfgjax.rewards import Power, SuccessorInteraction


class Reward:
    """A plain object that is called."""

    def __call__(self, t, mean_field):
        return jnp.asarray(REWARD)

    def method(self, t, mean_field):
        return jnp.asarray(REWARD)


PLAIN = {
    "float32": lambda: game(KERNEL.astype("f4"), REWARD.astype("f4"), INITIAL.astype("f4")),
    "jnp": lambda: game(jnp.asarray(KERNEL), jnp.asarray(REWARD), jnp.asarray(INITIAL)),
    "lists": lambda: game(KERNEL.tolist(), REWARD.tolist(), INITIAL.tolist()),
    "tuples": lambda: game(tuple(map(tuple, KERNEL.tolist())), REWARD, tuple(INITIAL)),
    "arrays in a list": lambda: game(list(KERNEL), list(jnp.asarray(REWARD)), [jnp.array(0.5), np.float32(0.25), 0.25]),
    "half precision reward": lambda: game(reward=REWARD.astype("f2")),
    "long double": lambda: game(initial=INITIAL.astype(np.longdouble)),
    "read-only and strided": lambda: game(np.broadcast_to(np.float64(1 / S), (S, A, S)), REWARD[::-1][::-1]),
    "kernel object": lambda: game(DenseKernel(KERNEL)),
    "kernel per time": lambda: game(over_time(KERNEL, H)),
    "kernel with a time axis of 1": lambda: game(KERNEL[None]),
    "kernel callable": lambda: game(lambda t, m: KERNEL),
    "kernel callable, object": lambda: game(lambda t, m: DenseKernel(jnp.asarray(KERNEL))),
    "reward per time": lambda: game(reward=over_time(REWARD, H + 1)),
    "reward with a time axis of 1": lambda: game(reward=REWARD[None]),
    "reward callable with a default": lambda: game(reward=lambda t, m, c=1.0: c * jnp.asarray(REWARD)),
    "reward callable of any arguments": lambda: game(reward=lambda *args: jnp.asarray(REWARD)),
    "reward callable of NumPy numbers": lambda: game(reward=lambda t, m: REWARD),
    "reward object": lambda: game(reward=Reward()),
    "reward method": lambda: game(reward=Reward().method),
    "reward jitted": lambda: game(reward=jax.jit(lambda t, m: jnp.asarray(REWARD))),
    "available as list": lambda: game(available=[[True] * A] * S),
    "available as jnp": lambda: game(available=jnp.ones((S, A), bool)),
    "available as NumPy booleans": lambda: game(available=[[np.True_] * A] * S),
    "available per time": lambda: game(available=np.ones((H + 1, S, A), bool)),
    "discount integer": lambda: game(discount=1),
    "discount 0-d": lambda: game(discount=np.array(1.0, "f4")),
    "discount jnp": lambda: game(discount=jnp.array(1)),
    "horizon NumPy": lambda: game(horizon=np.int64(H)),
    "horizon 0-d": lambda: game(horizon=np.array(H)),
    "horizon jnp": lambda: game(horizon=jnp.array(H)),
    "labels tuple": lambda: game(state_labels=("0", "1", "2")),
    "labels array": lambda: game(state_labels=np.array(["0", "1", "2"])),
    "labels integers": lambda: game(state_labels=[0, np.int64(1), "2"]),
    "observes NumPy string": lambda: game(observes=np.str_("states")),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_an_unusual_kind_of_input_gives_the_same_game(kind):
    made = PLAIN[kind]()
    uniform = made.initial
    last = jnp.int32(H)
    assert (made.horizon, made.num_states, made.num_actions) == (H, S, A)
    assert made.state_labels == ("0", "1", "2")
    # 1e-7: the tables may have been given in single precision
    np.testing.assert_allclose(made.initial, INITIAL, atol=1e-7)
    np.testing.assert_allclose(made.reward_at(last, uniform), REWARD, atol=1e-7)
    np.testing.assert_allclose(
        made.kernel_at(jnp.int32(0), uniform).expect(jnp.arange(3.0)), np.ones((S, A)), atol=1e-6
    )
    assert made.available_at(last).all() and made.discount == 1
    validate(made)


def settled(guess):
    return solve(game(), EntropyRegularized(1), Picard(), guess=guess)


ACCEPTED = {
    "unavailable rows of any sum": lambda: game(put(KERNEL, (1, 1), 0), available=MASK),
    "unavailable rewards of any kind": lambda: game(reward=put(REWARD, (1, 1), -inf), available=MASK),
    "a move that leads nowhere at the last time only": lambda: game(
        MovesKernel(put(NEXT, (1, 1), -1)), available=put(over_time(MASK, H + 1), (H, 1, 1), True)
    ),
    "one state and one action": lambda: game([[[1]]], [[0]], [1]),
    "integers for a law": lambda: game(initial=[1, 0, 0]),
    "one reward for all actions": lambda: game(reward=REWARD[:, :1]),
    "moves as lists": lambda: game(MovesKernel(NEXT.tolist())),
    "moves as whole floats": lambda: game(MovesKernel(NEXT * 1.0)),
    "moves as small integers": lambda: game(MovesKernel(NEXT.astype(np.uint8))),
    "moves as jnp": lambda: game(MovesKernel(jnp.asarray(NEXT))),
    "successors as lists": lambda: game(SuccessorKernel(SUCCESSORS.tolist(), CHANCES.tolist())),
    "L of integers": lambda: game(reward=PairwiseReward(INTERACTION.astype(int))),
    "L for all actions": lambda: game(reward=PairwiseReward(INTERACTION[:, :1])),
    "L per time": lambda: game(reward=PairwiseReward(over_time(INTERACTION, H + 1))),
    "L of a joint law": lambda: game(
        reward=PairwiseReward(DenseInteraction(np.ones((S, A, S, A)), 2)), observes="state_actions"
    ),
    "structured L": lambda: game(reward=PairwiseReward(SuccessorInteraction(REWARD, -REWARD[:, :1], NEXT.tolist()))),
    "theta with integers": lambda: game(reward=PairwiseReward(INTERACTION, Power(scale=2, exponent=np.int64(2)))),
    "a horizon of one": lambda: game(horizon=1),
    "beta 0-d": lambda: EntropyRegularized(np.array(2, "i4")),
    "beta of half precision": lambda: EntropyRegularized(np.float16(2)),
    "beta traced": traced(EntropyRegularized, ()),
    "reference as list": lambda: EntropyRegularized(1, REFERENCE.tolist()),
    "prior as float32": lambda: Boltzmann(1, np.full((S, 3), 1 / 3, "f4")),
    "log_reference with unavailable actions": lambda: EntropyRegularized(
        1, log_reference=[[0.0, 0.0], [0.0, -inf], [1.0, 2.0]]
    ),
    "guess as list": lambda: settled(FLOW.tolist()),
    "guess of integers": lambda: settled([[1, 0, 0]] * (H + 1)),
    "guess in single precision": lambda: settled(jnp.asarray(FLOW, jnp.float32)),
    "guess from a solve": lambda: settled(settled(FLOW)),
    "solver options of NumPy": lambda: (
        Picard(np.float32(0.5), atol=np.float64(1e-6)),
        Anderson(np.int32(3), np.array(1)),
        Continuation(np.True_, start=np.array(0.5), largest_step=1, atol=0),
        MirrorDescent(jnp.array(1), prior_steps=np.array(3), prior_beta=2),
    ),
    "a schedule": lambda: MirrorDescent(lambda step: 1 / (1 + step)),
    "a constant schedule": lambda: MirrorDescent(lambda step: 0.1),
    "games traced": traced(lambda x: (games.ring_crowd(5, 3, congestion=x), games.resource_allocation()), ()),
    "a law of traced numbers": traced(lambda x: game(initial=[x, 1 - x, 0.0]), ()),
    "everything traced": traced(lambda k, r, i, d: game(k, r, i, discount=d), (S, A, S), (H + 1, S, A), (S,), ()),
    "a networkx graph": lambda: graph(nx.Graph([("a", "b"), ("a", "a"), ("b", "b")])),
    "nodes that are no strings": lambda: graph([(0, 1), (1, (2, 3)), ((2, 3), 0)], initial={0: 1}),
    "edges as an array": lambda: graph(np.array([[0, 1], [1, 0]]), initial=[1, 0]),
}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_unusual_input_is_accepted(kind):
    assert ACCEPTED[kind]() is not None


def _swapped(array):
    """The same numbers in the other byte order, as in files of netCDF-3 and FITS."""
    array = np.asarray(array)
    return array.astype(array.dtype.newbyteorder("S"))


class Scaled(eqx.Module):
    scale: np.ndarray
    power: np.ndarray

    def __call__(self, *time_and_law):
        return self.scale**self.power * time_and_law[-1][:, None]


LAWS = np.array([[1.0, 0.0], [0.5, 0.5]])
TABLES = np.stack([np.eye(2), 2 * np.eye(2)], axis=-1)
POLICY = np.array([[0.25, 0.75], [0.5, 0.5]])
TURN = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.0, 1.0], [0.25, 0.75]]])


def _short(kernel=TURN, reward=POLICY, initial=LAWS[1], **options):
    return mfg.FiniteHorizonGame(kernel, reward, initial, 2, **options)


def _flow(game, *, beta=2.0, reference=None, **options):
    return mfg.solve(game, mfg.EntropyRegularized(beta, reference), **options).mean_field


IN_ANY_ORDER = {
    "kernel": lambda order: _short(order(TURN)).kernel.probabilities,
    "kernel in single precision": lambda order: _short(order(TURN.astype("f4"))).kernel.probabilities,
    "kernel of a stationary game": lambda order: _flow(mfg.StationaryGame(order(TURN), order(POLICY), order(0.5))),
    "reward": lambda order: _short(reward=order(POLICY)).reward.table,
    "reward in half precision": lambda order: _short(reward=order(POLICY.astype("f2"))).reward.table,
    "reward of whole numbers": lambda order: _short(reward=order(np.array([[1, 2], [3, 4]]))).reward.table,
    "reward in a list": lambda order: _short(reward=[order(POLICY[0]), order(POLICY[1])]).reward.table,
    "reward as a frame": lambda order: _short(reward=pd.DataFrame(order(POLICY))).reward.table,
    "reward of xarray": lambda order: _short(reward=xr.DataArray(order(POLICY), dims=("state", "action"))).reward.table,
    "initial": lambda order: _short(initial=order(LAWS[1])).initial,
    "initial as a series": lambda order: _short(initial=pd.Series(order(LAWS[1]), index=["1", "0"])).initial,
    "available": lambda order: _short(available=order(np.ones((2, 2), bool))).available,
    "discount": lambda order: _short(discount=order(0.5)).discount,
    "moves": lambda order: mfg.MovesKernel(order(np.array([[0, 1], [1, 0]]))).next_state,
    "successors": lambda order: mfg.SuccessorKernel(order(np.array([[[0, 1]], [[1, 0]]])), order(LAWS[:, None])).push(
        jnp.array([[0.25], [0.75]])
    ),
    "interaction": lambda order: _flow(_short(reward=mfg.PairwiseReward(order(-TURN)))),
    "fields of a reward": lambda order: _flow(_short(reward=Scaled(order(-POLICY), order(np.array(3))))),
    "fields of a stationary reward": lambda order: _flow(
        mfg.StationaryGame(TURN, Scaled(order(-POLICY), order(np.array(3))), 0.5)
    ),
    "response": lambda order: _flow(_short(), beta=order(2.0), reference=order(POLICY)),
    "solver": lambda order: _flow(_short(), solver=mfg.Picard(order(0.5))),
    "guess": lambda order: _flow(_short(), guess=order(LAWS[[0, 1, 1]])),
    "mean field and policy": lambda order: mfg.exploitability(
        _short(reward=Scaled(-POLICY, np.array(1))), order(POLICY), mfg.EntropyRegularized(2.0)
    ),
    "axes of a sweep": lambda order: (
        mfg.sweep(
            _short(), beta=order([1.0, 2.0]), initial=order(LAWS), reference=[order(POLICY), None], progress=False
        ).mean_field
    ),
    "a series as an axis": lambda order: (
        mfg.sweep(_short(), beta=[1.0], discount=pd.Series(order([0.5, 1.0])), progress=False).mean_field
    ),
    "lanes": lambda order: (
        mfg.solve_batch(
            _short(), mfg.EntropyRegularized(1.0), axes={"beta": order([1.0, 2.0]), "reward.table": order(TABLES)}
        ).mean_field
    ),
    "a design": lambda order: (
        mfg.design.tune(
            _short(),
            {"reference": mfg.design.Variable(order(POLICY), lower=order(0.1))},
            mfg.design.TargetLaw(order([0.3, 0.7])) + mfg.design.ReferenceChange(order(POLICY)),
            response=mfg.EntropyRegularized(1.0),
            max_steps=2,
        ).equilibrium.mean_field
    ),
    "what is to be brought about": lambda order: (
        mfg.design.inverse_reference(_short(), order(POLICY), beta=2.0).reference
    ),
    "agents": lambda order: mfg.finite.deviation_gain(_short(), order(POLICY), order([2, 3])).gain,
}


@pytest.mark.parametrize("what", IN_ANY_ORDER)
def test_numbers_may_be_in_either_byte_order(what):
    made = IN_ANY_ORDER[what]
    np.testing.assert_array_equal(np.asarray(made(_swapped)), np.asarray(made(np.asarray)))
