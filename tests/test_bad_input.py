"""Bad input is refused in one sentence that names the field, the place and the value; unusual input is not."""

import equinox as eqx
import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mfgjax import (
    RESULTS,
    Anderson,
    Auto,
    Boltzmann,
    Continuation,
    DenseKernel,
    EntropyRegularized,
    FiniteHorizonGame,
    Greedy,
    MirrorDescent,
    MovesKernel,
    Newton,
    OwnStateInteraction,
    PairwiseReward,
    Picard,
    Power,
    SuccessorInteraction,
    SuccessorKernel,
    games,
    solve,
    validate,
)
from mfgjax.model import DenseInteraction, Staged

S, A, H = 3, 2, 4
KERNEL = np.full((S, A, S), 1 / S)
REWARD = np.arange(S * A, dtype=float).reshape(S, A) / 4
INITIAL = np.array([0.5, 0.25, 0.25])
MASK = np.array([[True, True], [True, False], [True, True]])
REFERENCE = np.array([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]])
UNIFORM = np.full((S, A), 0.5)
INTERACTION = np.ones((S, A, S))
NEXT = np.array([[0, 1], [1, 2], [2, 0]])
SUCCESSORS = np.array([[[0, 1], [1, 2]], [[1, 2], [2, 0]], [[2, 0], [0, -1]]])
CHANCES = np.array([[[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [1.0, 0.0]]])
FLOW = np.tile(INITIAL, (H + 1, 1))
EDGES = [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")]
nan, inf = np.nan, np.inf


def game(kernel=KERNEL, reward=REWARD, initial=INITIAL, horizon=H, **options):
    return FiniteHorizonGame(kernel, reward, initial, horizon, **options)


def put(array, index, value):
    changed = np.array(array)
    changed[index] = value
    return changed


def over_time(array, times):
    return np.broadcast_to(array, (times, *np.shape(array))).copy()


def graph(edges=EDGES, **options):
    return games.graph_game(edges, **{"horizon": 2, "initial": {"a": 1.0}, **options})


def started(guess, observes="states"):
    return lambda: solve(game(observes=observes), EntropyRegularized(1.0), guess=guess)


def traced(function, *shapes):
    """Call `function` with traced arrays of given shapes, whose values nobody knows."""
    return lambda: jax.eval_shape(function, *(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes))


def under(name, wrong, make):
    """Give the faults that every scalar has in common, with what the sentence must hold."""
    return {
        f"{name}-{kind}": (lambda value=value: make(value), f"`{name}`", shown)
        for kind, value, shown in [
            ("nan", nan, "nan"),
            ("inf", inf, "inf"),
            ("string", "high", "'high'"),
            ("bool", True, "True"),
            ("complex", 1 + 1j, "(1+1j)"),
            ("dict", {"a": 1}, "{'a': 1}"),
            ("ragged", [1, [2, 3]], "[1, [2, 3]]"),
            ("array", [0.5, 0.5], "(2,)"),
            *wrong,
        ]
    }


def whole(name, make, least=1):
    """Give the faults that every whole number has in common."""
    return {
        f"{name}-{kind}": (lambda value=value: make(value), f"`{name}`", shown)
        for kind, value, shown in [
            ("small", least - 1, str(least - 1)),
            ("fraction", 2.5, "2.5"),
            ("float", 2.0, "2.0"),
            ("nan", nan, "nan"),
            ("string", "two", "'two'"),
            ("bool", True, "True"),
            ("complex", 2j, "2j"),
            ("list", [2], "[2]"),
            ("dict", {}, "{}"),
            ("many", np.array([2, 3]), "array([2, 3])"),
        ]
    }


NONE = ("none", None, "None")
ZERO = ("zero", 0, " 0")
NEGATIVE = ("negative", -0.5, "-0.5")
ABOVE_ONE = ("large", 1.5, "1.5")


class Scaled(eqx.Module):
    """A reward with a parameter, as a user would write it."""

    scale: jax.Array

    def __call__(self, t, mean_field):
        return jnp.zeros((S, A)) + self.scale


def branching(t, mean_field):
    return jnp.zeros((S, A)) if t == 0 else jnp.ones((S, A))


def numpy_reward(t, mean_field):
    return np.log(mean_field)[:, None] + REWARD


def indexing(t, mean_field):
    return over_time(REWARD, H + 1)[t]


def broken(t, mean_field):
    raise KeyError("no such table")


def late_nan(t, mean_field):
    return jnp.where(t == H, jnp.nan, 0.0) * jnp.ones((S, A))


def late_kernel(t, mean_field):
    return jnp.where(t == H - 1, 0.5, 1.0) * KERNEL


KERNELS = {
    "kernel-nan": (lambda: game(put(KERNEL, (1, 0, 2), nan)), "`kernel[1, 0, 2]`", "nan"),
    "kernel-inf": (lambda: game(put(KERNEL, (1, 0, 2), inf)), "`kernel[1, 0, 2]`", "inf"),
    "kernel-negative": (lambda: game(put(KERNEL, (2, 1), [-0.5, 0.5, 1])), "`kernel[2, 1, 0]`", "-0.5"),
    "kernel-sum": (lambda: game(put(KERNEL, (2, 1), [0.25, 0.25, 0.25])), "`kernel[2, 1]`", "0.75"),
    "kernel-sum at a time": (
        lambda: game(put(over_time(KERNEL, H), (3, 2, 1), [1, 1, 0])),
        "`kernel[3, 2, 1]`",
        "sums to 2",
    ),
    "kernel-nan where unavailable": (
        lambda: game(put(KERNEL, (1, 1, 0), nan), available=MASK),
        "`kernel[1, 1, 0]`",
        "nan",
    ),
    "kernel-times": (lambda: game(over_time(KERNEL, H + 1)), "`kernel`", "5 times", "horizon = 4"),
    "kernel-no times": (lambda: game(np.ones((0, S, A, S))), "`kernel`", "(0, 3, 2, 3)"),
    "kernel-other states": (lambda: game(np.full((4, A, 4), 0.25)), "`kernel`", "4 states", "3 states"),
    "kernel-other actions": (lambda: game(np.full((S, 3, S), 1 / 3), available=MASK), "`available`", "(3, 2)"),
    "kernel-not square": (lambda: game(np.full((S, A, 4), 0.25)), "`kernel`", "(3, 2, 4)"),
    "kernel-matrix": (lambda: game(np.eye(S)), "`kernel`", "(3, 3)"),
    "kernel-number": (lambda: game(1.0), "`kernel`", "()"),
    "kernel-none": (lambda: game(None), "`kernel`", "None"),
    "kernel-string": (lambda: game("stay"), "`kernel`", "'stay'"),
    "kernel-dict": (lambda: game({"a": 1}), "`kernel`", "{'a': 1}"),
    "kernel-bool": (lambda: game(np.ones((S, A, S), bool)), "`kernel`", "True", "bool"),
    "kernel-complex": (lambda: game(KERNEL + 0j), "`kernel`", "complex"),
    "kernel-ragged": (lambda: game([[1, 0], [0]]), "`kernel`", "[[1, 0], [0]]"),
    "kernel-string within": (lambda: game([[[1.0]], [["x"]]]), "`kernel[1, 0, 0]`", "'x'"),
    "kernel-none within": (lambda: game([[[1.0]], [[None]]]), "`kernel[1, 0, 0]`", "None"),
    "kernel-traced, not square": (traced(lambda k: game(k), (S, A, 4)), "`kernel`", "(3, 2, 4)"),
    "kernel-traced, times": (traced(lambda k: game(k), (2, S, A, S)), "`kernel`", "2 times"),
    "DenseKernel-shape": (lambda: DenseKernel(np.eye(S)), "`kernel`", "(3, 3)"),
    "kernel callable-one argument": (lambda: game(lambda t: KERNEL), "`kernel`", "(t, mean_field)", "(t)"),
    "kernel callable-keyword": (lambda: game(lambda t, *, mean_field: KERNEL), "`kernel`", "(t, *, mean_field)"),
    "kernel callable-shape": (lambda: game(lambda t, m: np.eye(S)), "`kernel`", "(3, 3)"),
    "kernel callable-time axis": (lambda: game(lambda t, m: over_time(KERNEL, H)), "`kernel`", "(4, 3, 2, 3)"),
    "kernel callable-kernel of many times": (
        lambda: game(lambda t, m: DenseKernel(over_time(KERNEL, H))),
        "`kernel`",
        "(4, 3, 2)",
    ),
    "kernel callable-kernel of other states": (
        lambda: game(lambda t, m: DenseKernel(np.full((4, A, 4), 0.25))),
        "`kernel`",
        "(1, 4, 2)",
    ),
    "kernel callable-none": (lambda: game(lambda t, m: None), "`kernel`", "None"),
    "kernel callable-string": (lambda: game(lambda t, m: "stay"), "`kernel`", "'stay'"),
    "kernel callable-tuple": (lambda: game(lambda t, m: (KERNEL, 1)), "`kernel`", "array"),
    "kernel callable-complex": (lambda: game(lambda t, m: KERNEL * 1j), "`kernel`", "complex"),
    "kernel callable-sum": (lambda: game(lambda t, m: KERNEL / 2), "`kernel[0, 0]` at t = 0", "0.5"),
    "kernel callable-late sum": (lambda: game(late_kernel), "`kernel[0, 0]` at t = 3", "0.5"),
    "kernel callable-nan": (lambda: game(lambda t, m: KERNEL * jnp.log(m - 0.25)), "`kernel[0, 0, 1]` at t = 0", "inf"),
    "kernel callable-nowhere": (
        lambda: game(lambda t, m: MovesKernel(put(NEXT, (1, 1), -1))),
        "`next_state[1, 1]` at t = 0",
        "-1",
    ),
    "next_state-fraction": (lambda: MovesKernel(NEXT + 0.5), "`next_state[0, 0]`", "0.5"),
    "next_state-large": (lambda: MovesKernel(put(NEXT, (1, 0), 3)), "`next_state[1, 0]`", "3", "between 0 and 2"),
    "next_state-negative": (lambda: MovesKernel(put(NEXT, (1, 0), -2)), "`next_state[1, 0]`", "-2"),
    "next_state-nan": (lambda: MovesKernel(put(NEXT * 1.0, (1, 0), nan)), "`next_state[1, 0]`", "nan"),
    "next_state-inf": (lambda: MovesKernel(put(NEXT * 1.0, (1, 0), inf)), "`next_state[1, 0]`", "inf"),
    "next_state-bool": (lambda: MovesKernel(MASK), "`next_state`", "bool"),
    "next_state-none": (lambda: MovesKernel(None), "`next_state`", "None"),
    "next_state-string": (lambda: MovesKernel([["a", 1]]), "`next_state[0, 0]`", "'a'"),
    "next_state-dict": (lambda: MovesKernel({0: [1]}), "`next_state`", "{0: [1]}"),
    "next_state-complex": (lambda: MovesKernel(NEXT + 0j), "`next_state`", "complex"),
    "next_state-ragged": (lambda: MovesKernel([[0, 1], [1]]), "`next_state`", "[[0, 1], [1]]"),
    "next_state-list": (lambda: MovesKernel([0, 1]), "`next_state`", "(2,)"),
    "next_state-empty": (lambda: MovesKernel(np.zeros((0, 2), int)), "`next_state`", "(0, 2)"),
    "next_state-traced": (traced(MovesKernel, (S, A)), "`next_state`", "traced"),
    "next_state-nowhere, available": (lambda: game(MovesKernel(put(NEXT, (2, 1), -1))), "`next_state[2, 1]`", "-1"),
    "next_state-nowhere, once available": (
        lambda: game(MovesKernel(put(NEXT, (1, 1), -1)), available=put(over_time(MASK, H + 1), (2, 1, 1), True)),
        "`next_state[1, 1]`",
        "-1",
    ),
    "successors-large": (
        lambda: SuccessorKernel(put(SUCCESSORS, (0, 1, 0), 9), CHANCES),
        "`successors[0, 1, 0]`",
        "9",
    ),
    "successors-shape": (lambda: SuccessorKernel(NEXT, CHANCES), "`successors`", "(3, 2)"),
    "successors-fraction": (lambda: SuccessorKernel(SUCCESSORS * 0.5, CHANCES), "`successors[0, 0, 1]`", "0.5"),
    "probabilities-shape": (lambda: SuccessorKernel(SUCCESSORS, CHANCES[..., :1]), "`probabilities`", "(3, 2, 1)"),
    "probabilities-string": (lambda: SuccessorKernel(SUCCESSORS, "half"), "`probabilities`", "'half'"),
    "probabilities-unused": (
        lambda: SuccessorKernel(SUCCESSORS, put(CHANCES, (2, 1), 0.5)),
        "`probabilities[2, 1, 1]`",
        "0.5",
    ),
    "probabilities-nan": (
        lambda: game(SuccessorKernel(SUCCESSORS, put(CHANCES, (0, 1, 1), nan))),
        "`kernel[0, 1, 1]`",
        "nan",
    ),
    "probabilities-negative": (
        lambda: game(SuccessorKernel(SUCCESSORS, put(CHANCES, (0, 1), [1.5, -0.5]))),
        "`kernel[0, 1, 1]`",
        "-0.5",
    ),
    "probabilities-sum": (
        lambda: game(SuccessorKernel(SUCCESSORS, put(CHANCES, (0, 1, 1), 0.25))),
        "`kernel[0, 1]`",
        "0.75",
    ),
    "probabilities-times": (
        lambda: game(SuccessorKernel(SUCCESSORS, over_time(CHANCES, H + 1))),
        "`kernel`",
        "5 times",
        "horizon = 4",
    ),
    "with_probabilities-shape": (
        lambda: SuccessorKernel(SUCCESSORS, CHANCES).with_probabilities(jnp.ones((S, A, 1))),
        "`probabilities`",
        "(3, 2, 1)",
    ),
}

REWARDS = {
    "reward-nan": (lambda: game(reward=put(REWARD, (2, 1), nan)), "`reward[2, 1]`", "nan"),
    "reward-inf": (lambda: game(reward=put(REWARD, (2, 1), -inf)), "`reward[2, 1]`", "-inf"),
    "reward-nan at a time": (
        lambda: game(reward=put(over_time(REWARD, H + 1), (3, 2, 1), nan)),
        "`reward[3, 2, 1]`",
        "nan",
    ),
    "reward-shape": (lambda: game(reward=np.zeros((S, 3))), "`reward`", "(1, 3, 3)"),
    "reward-states": (lambda: game(reward=np.zeros((4, A))), "`reward`", "(1, 4, 2)"),
    "reward-transposed": (lambda: game(reward=REWARD.T), "`reward`", "(1, 2, 3)"),
    "reward-list": (lambda: game(reward=[1.0, 2.0, 3.0]), "`reward`", "(3,)"),
    "reward-times": (lambda: game(reward=over_time(REWARD, H)), "`reward`", "(4, 3, 2)"),
    "reward-none": (lambda: game(reward=None), "`reward`", "None"),
    "reward-string": (lambda: game(reward="high"), "`reward`", "'high'"),
    "reward-dict": (lambda: game(reward={"a": 1}), "`reward`", "{'a': 1}"),
    "reward-bool": (lambda: game(reward=MASK), "`reward`", "bool"),
    "reward-complex": (lambda: game(reward=REWARD * 1j), "`reward`", "complex"),
    "reward-ragged": (lambda: game(reward=[[1, 0], [0]]), "`reward`", "[[1, 0], [0]]"),
    "reward-traced shape": (traced(lambda r: game(reward=r), (S, 3)), "`reward`", "(1, 3, 3)"),
    "reward-class": (lambda: game(reward=Power), "`reward`"),
    "reward callable-no arguments": (lambda: game(reward=lambda: REWARD), "`reward`", "(t, mean_field)", "()"),
    "reward callable-three": (lambda: game(reward=lambda t, s, a: REWARD), "`reward`", "(t, s, a)"),
    "reward callable-shape": (lambda: game(reward=lambda t, m: m), "`reward`", "(3,)"),
    "reward callable-number": (lambda: game(reward=lambda t, m: 1.0), "`reward`", "1.0"),
    "reward callable-none": (lambda: game(reward=lambda t, m: None), "`reward`", "None"),
    "reward callable-string": (lambda: game(reward=lambda t, m: "high"), "`reward`", "'high'"),
    "reward callable-complex": (lambda: game(reward=lambda t, m: REWARD * 1j), "`reward`", "complex"),
    "reward callable-bool": (lambda: game(reward=lambda t, m: m[:, None] > 0), "`reward`", "bool"),
    "reward callable-nan": (
        lambda: game(reward=lambda t, m: jnp.log(m - 0.3)[:, None] + REWARD),
        "`reward[1, 0]` at t = 0",
        "nan",
    ),
    "reward callable-late nan": (lambda: game(reward=late_nan), "`reward[0, 0]` at t = 4", "nan"),
    "reward callable-if": (lambda: game(reward=branching), "`reward`", "jax.numpy.where"),
    "reward callable-numpy": (lambda: game(reward=numpy_reward), "`reward`", "jax.numpy"),
    "reward callable-numpy index": (lambda: game(reward=indexing), "`reward`", "jax.numpy"),
    "reward callable-raises": (lambda: game(reward=broken), "`reward`", "at t = 0", "no such table"),
    "reward callable-matmul": (lambda: game(reward=lambda t, m: np.eye(4) @ m), "`reward`", "at t = 0"),
    "reward module-nan": (lambda: game(reward=Scaled(jnp.array(nan))), "`reward[0, 0]` at t = 0", "nan"),
    "reward callable-actions unknown": (
        lambda: game(lambda t, m: KERNEL, lambda t, m: m[:, None]),
        "`available`",
        "callables",
    ),
    "reward callable-unknown actions, signature": (
        lambda: game(lambda t, m: KERNEL, lambda t: REWARD),
        "`reward`",
        "(t)",
    ),
    "L-nan": (lambda: PairwiseReward(put(INTERACTION, (0, 1, 2), nan)), "`reward.L[0, 1, 2]`", "nan"),
    "L-inf": (lambda: PairwiseReward(put(INTERACTION, (0, 1, 2), inf)), "`reward.L[0, 1, 2]`", "inf"),
    "L-matrix": (lambda: PairwiseReward(np.eye(S)), "`reward.L`", "(3, 3)"),
    "L-none": (lambda: PairwiseReward(None), "`reward.L`", "None"),
    "L-string": (lambda: PairwiseReward("crowd"), "`reward.L`", "'crowd'"),
    "L-dict": (lambda: PairwiseReward({}), "`reward.L`", "{}"),
    "L-bool": (lambda: PairwiseReward(INTERACTION > 0), "`reward.L`", "bool"),
    "L-complex": (lambda: PairwiseReward(INTERACTION * 1j), "`reward.L`", "complex"),
    "L-ragged": (lambda: PairwiseReward([[[1]], [[1, 2]]]), "`reward.L`", "[[[1]], [[1, 2]]]"),
    "L-other states": (lambda: game(reward=PairwiseReward(np.ones((4, A, 4)))), "`reward.L`", "(1, 4, 2, 4)"),
    "L-other seen": (lambda: game(reward=PairwiseReward(np.ones((S, A, 4)))), "`reward.L`", "(1, 3, 2, 4)"),
    "L-times": (lambda: game(reward=PairwiseReward(np.ones((H, S, A, S)))), "`reward.L`", "(4, 3, 2, 3)"),
    "L-joint": (
        lambda: game(reward=PairwiseReward(DenseInteraction(np.ones((S, A, S, A)), 2))),
        "`reward.L`",
        "num_seen_axes=1",
    ),
    "L-not joint": (
        lambda: game(reward=PairwiseReward(INTERACTION), observes="state_actions"),
        "`reward.L`",
        "num_seen_axes=2",
    ),
    "L-own state of a joint law": (
        lambda: game(reward=PairwiseReward(OwnStateInteraction(REWARD, REWARD)), observes="state_actions"),
        "`reward.L`",
        "OwnStateInteraction",
    ),
    "L-traced": (traced(lambda L: game(reward=PairwiseReward(L)), (S, A, 4)), "`reward.L`", "(1, 3, 2, 4)"),
    "L callable-signature": (lambda: game(reward=PairwiseReward(lambda t: REWARD)), "`reward.L`", "(t)"),
    "L callable-shape": (lambda: game(reward=PairwiseReward(lambda t, m: m)), "`reward.L`", "(3,)"),
    "L callable-none": (lambda: game(reward=PairwiseReward(lambda t, m: None)), "`reward.L`", "None"),
    "num_seen_axes-fraction": (lambda: DenseInteraction(INTERACTION, 1.5), "`num_seen_axes`", "1.5"),
    "base-nan": (lambda: OwnStateInteraction(put(REWARD, (0, 1), nan), REWARD), "`reward.L.base[0, 1]`", "nan"),
    "base-list": (lambda: OwnStateInteraction([1.0, 2.0], REWARD), "`reward.L.base`", "(2,)"),
    "base-none": (lambda: OwnStateInteraction(None, REWARD), "`reward.L.base`", "None"),
    "base-other states": (
        lambda: game(reward=PairwiseReward(OwnStateInteraction(np.ones((4, A)), REWARD))),
        "`reward.L.base`",
        "(1, 4, 2)",
    ),
    "weight-inf": (lambda: OwnStateInteraction(REWARD, put(REWARD, (2, 0), inf)), "`reward.L.weight[2, 0]`", "inf"),
    "weight-string": (lambda: OwnStateInteraction(REWARD, "much"), "`reward.L.weight`", "'much'"),
    "weight-times": (
        lambda: game(reward=PairwiseReward(OwnStateInteraction(REWARD, over_time(REWARD, 2)))),
        "`reward.L.weight`",
        "(2, 3, 2)",
    ),
    "L.next_state-large": (
        lambda: SuccessorInteraction(REWARD, REWARD, put(NEXT, (1, 1), 7)),
        "`reward.L.next_state[1, 1]`",
        "7",
    ),
    "L.next_state-fraction": (
        lambda: SuccessorInteraction(REWARD, REWARD, NEXT + 0.5),
        "`reward.L.next_state[0, 0]`",
        "0.5",
    ),
    "L.next_state-string": (lambda: SuccessorInteraction(REWARD, REWARD, "on"), "`reward.L.next_state`", "'on'"),
    "L.next_state-other states": (
        lambda: game(reward=PairwiseReward(SuccessorInteraction(REWARD, REWARD, NEXT[:2] % 2))),
        "`reward.L.next_state`",
        "(2, 2)",
    ),
    "theta-number": (lambda: PairwiseReward(INTERACTION, 2.0), "`reward.theta`", "2.0"),
    "theta-string": (lambda: PairwiseReward(INTERACTION, "tanh"), "`reward.theta`", "'tanh'"),
    "theta-one argument": (
        lambda: game(reward=PairwiseReward(INTERACTION, lambda x: x)),
        "`reward.theta`",
        "(t, x)",
        "are (x)",
    ),
    "theta-shape": (
        lambda: game(reward=PairwiseReward(INTERACTION, lambda t, x: x.sum())),
        "`reward.theta`",
        "(3, 2)",
        "got ()",
    ),
    "theta-none": (lambda: game(reward=PairwiseReward(INTERACTION, lambda t, x: None)), "`reward.theta`", "None"),
    "theta-nan": (
        lambda: game(reward=PairwiseReward(-INTERACTION, lambda t, x: jnp.log(x))),
        "`reward[0, 0]` at t = 0",
        "nan",
    ),
    "Staged-number": (lambda: Staged(1.0, Power(), 3), "`theta.running`", "1.0"),
    "Staged-none": (lambda: Staged(Power(), None, 3), "`theta.terminal`", "None"),
    "Staged-horizon": (lambda: Staged(Power(), Power(), 0), "`theta.horizon`", "0"),
    **under("theta.scale", [NONE], Power),
    **whole("theta.exponent", lambda value: Power(1.0, value)),
}

FIELDS = {
    "initial-nan": (lambda: game(initial=[0.5, nan, 0.5]), "`initial[1]`", "nan"),
    "initial-inf": (lambda: game(initial=[0.5, inf, 0.5]), "`initial[1]`", "inf"),
    "initial-negative": (lambda: game(initial=[0.75, 0.5, -0.25]), "`initial[2]`", "-0.25"),
    "initial-sum": (lambda: game(initial=[0.25, 0.25, 0.25]), "`initial`", "0.75"),
    "initial-counts": (lambda: game(initial=[1, 1, 1]), "`initial`", "sums to 3"),
    "initial-shape": (lambda: game(initial=INITIAL[None]), "`initial`", "(1, 3)"),
    "initial-number": (lambda: game(initial=1.0), "`initial`", "()"),
    "initial-empty": (lambda: game(initial=[]), "`initial`", "(0,)"),
    "initial-other states": (lambda: game(initial=[0.5, 0.5]), "`kernel`", "`initial` has 2 states"),
    "initial-none": (lambda: game(initial=None), "`initial`", "None"),
    "initial-string": (lambda: game(initial="uniform"), "`initial`", "'uniform'"),
    "initial-dict": (lambda: game(initial={"a": 1.0}), "`initial`", "{'a': 1.0}"),
    "initial-string within": (lambda: game(initial=[0.5, "half", 0]), "`initial[1]`", "'half'"),
    "initial-none within": (lambda: game(initial=[0.5, None, 0.5]), "`initial[1]`", "None"),
    "initial-bool": (lambda: game(initial=[True, False, False]), "`initial`", "True"),
    "initial-complex": (lambda: game(initial=[1j, 0, 1]), "`initial`", "1j"),
    "initial-ragged": (lambda: game(initial=[0.5, [0.5]]), "`initial`", "[0.5, [0.5]]"),
    "initial-callable": (lambda: game(initial=lambda: INITIAL), "`initial`", "function"),
    "initial-traced": (traced(lambda m: game(initial=m), (1, S)), "`initial`", "(1, 3)"),
    "initial-traced list, ragged": (traced(lambda x: game(initial=[x, [x]]), ()), "`initial`", "rectangular"),
    "initial-traced bool": (
        lambda: jax.eval_shape(lambda m: game(initial=m), jnp.ones(S, bool)),
        "`initial`",
        "bool",
    ),
    "initial-traced complex": (
        lambda: jax.eval_shape(lambda m: game(initial=m), jnp.ones(S, complex)),
        "`initial`",
        "complex",
    ),
    "available-integers": (lambda: game(available=MASK.astype(int)), "`available`", "int", "[[1, 1]"),
    "available-floats": (lambda: game(available=MASK * 1.0), "`available`", "float"),
    "available-nan": (lambda: game(available=np.full((S, A), nan)), "`available`", "nan"),
    "available-string": (lambda: game(available="all"), "`available`", "'all'"),
    "available-dict": (lambda: game(available={}), "`available`", "{}"),
    "available-bool": (lambda: game(available=True), "`available`", "()"),
    "available-none within": (lambda: game(available=[[True, None]] * S), "`available`", "None"),
    "available-ragged": (lambda: game(available=[[True], [True, False]]), "`available`", "[[True], [True, False]]"),
    "available-shape": (lambda: game(available=MASK.T), "`available`", "(2, 3)"),
    "available-times": (lambda: game(available=over_time(MASK, H)), "`available`", "(4, 3, 2)"),
    "available-row": (lambda: game(available=put(MASK, 1, False)), "`available[1]`", "False"),
    "available-row at a time": (
        lambda: game(available=put(over_time(MASK, H + 1), (4, 2), False)),
        "`available[4, 2]`",
        "False",
    ),
    "available-traced": (traced(lambda x: game(available=x), (S, A)), "`available`", "float32"),
    "available-traced shape": (
        traced(lambda x: game(available=x > 0), (A, S)),
        "`available`",
        "(2, 3)",
    ),
    "observes-other": (lambda: game(observes="actions"), "`observes`", "'actions'"),
    "observes-none": (lambda: game(observes=None), "`observes`", "None"),
    "observes-list": (lambda: game(observes=["states"]), "`observes`", "['states']"),
    "observes-array": (lambda: game(observes=np.array(["states", "x"])), "`observes`", "array"),
    **under("discount", [NONE, ("zero", 0.0, "0.0"), NEGATIVE, ABOVE_ONE], lambda value: game(discount=value)),
    "discount-traced": (traced(lambda d: game(discount=d), (2,)), "`discount`", "(2,)"),
    **whole("horizon", lambda value: game(horizon=value)),
    "horizon-none": (lambda: game(horizon=None), "`horizon`", "None"),
    "horizon-traced": (lambda: jax.eval_shape(lambda n: game(horizon=n), jnp.int32(3)), "`horizon`", "traced"),
    **{
        f"{name}-{kind}": (lambda name=name, value=value: game(**{name: value}), f"`{name}{place}`", shown)
        for name, count in (("state_labels", S), ("action_labels", A))
        for kind, value, place, shown in [
            ("few", ["a"], "", "got 1: a"),
            ("many", list("abcd"), "", "got 4: a, b, c, d"),
            ("twice", ["a"] * count, "[1]", "'a'"),
            ("string", "abc"[:count], "", "'ab"),
            ("number", 3, "", "3"),
            ("dict", dict.fromkeys(range(count)), "", "{0: None"),
            ("none within", [None, *"ab"][:count], "[0]", "None"),
            ("list within", ["a", ["b"], "c"][:count], "[1]", "['b']"),
        ]
    },
}

RESPONSES = {
    **under("beta", [NONE, ("zero", 0.0, "0.0"), NEGATIVE], EntropyRegularized),
    **{f"Boltzmann {key}": case for key, case in under("beta", [NONE, NEGATIVE], Boltzmann).items()},
    "beta-traced": (traced(EntropyRegularized, (2,)), "`beta`", "(2,)"),
    "beta-traced complex": (lambda: jax.eval_shape(Boltzmann, jnp.ones((), complex)), "`beta`", "complex"),
    "beta-changed": (
        lambda: solve(game(), EntropyRegularized(1.0).with_beta(jnp.array(-1.0))),
        "`beta`",
        "-1.0",
    ),
    "tie-other": (lambda: Greedy("first"), "`tie`", "'first'"),
    "tie-none": (lambda: Greedy(None), "`tie`", "None"),
    "tie-number": (lambda: Greedy(0), "`tie`", "0"),
    "tie-list": (lambda: Greedy(["smallest"]), "`tie`", "['smallest']"),
    "response-class": (lambda: solve(game(), Greedy), "`response`", "Greedy"),
    "response-number": (lambda: solve(game(), 2.0), "`response`", "2.0"),
    "response-none": (lambda: solve(game(), None), "`response`", "None"),
}
for kind, build in (("reference", EntropyRegularized), ("prior", Boltzmann)):
    log = f"log_{kind}"

    def given_table(table, build=build):
        return build(1.0, table)

    def given_log(table, build=build, log=log):
        return build(1.0, **{log: table})

    def played(table, build=build, **options):
        return solve(game(available=MASK), build(1.0, table), **options)

    RESPONSES |= {
        f"{kind}-{fault}": (lambda make=make, table=table: make(table), *needles)
        for fault, make, table, *needles in [
            ("nan", given_table, put(REFERENCE, (2, 1), nan), f"`{kind}[2, 1]`", "nan"),
            ("inf", given_table, put(REFERENCE, (2, 1), inf), f"`{kind}[2, 1]`", "inf"),
            ("negative", given_table, put(REFERENCE, 2, [-0.5, 1.5]), f"`{kind}[2, 0]`", "-0.5"),
            ("sum", given_table, put(REFERENCE, (2, 1), 0.5), f"`{kind}[2]`", "0.75"),
            ("sum at a time", given_table, put(over_time(UNIFORM, 2), (1, 2), 1.0), f"`{kind}[1, 2]`", "2"),
            ("list", given_table, [0.5, 0.5], f"`{kind}`", "(2,)"),
            ("string", given_table, "uniform", f"`{kind}`", "'uniform'"),
            ("bool", given_table, MASK, f"`{kind}`", "bool"),
            ("complex", given_table, REFERENCE * 1j, f"`{kind}`", "complex"),
            ("ragged", given_table, [[1.0], [0.5, 0.5]], f"`{kind}`", "[[1.0], [0.5, 0.5]]"),
            ("dict", given_table, {}, f"`{kind}`", "{}"),
            ("log nan", given_log, put(REFERENCE, (0, 1), nan), f"`{log}[0, 1]`", "nan"),
            ("log inf", given_log, put(REFERENCE, (0, 1), inf), f"`{log}[0, 1]`", "inf"),
            ("log row", given_log, put(REFERENCE, 1, -inf), f"`{log}[1]`", "-inf"),
            ("log list", given_log, [0.0, 0.0], f"`{log}`", "(2,)"),
            ("log string", given_log, "uniform", f"`{log}`", "'uniform'"),
            ("other states", played, np.full((4, A), 0.5), f"`{kind}`", "(1, 4, 2)"),
            ("other actions", played, np.full((S, 4), 0.25), f"`{kind}`", "(1, 3, 4)"),
            ("times", played, over_time(REFERENCE, H), f"`{kind}`", "(4, 3, 2)"),
            ("zero, available", played, put(REFERENCE, 2, [0, 1]), f"`{kind}`", "is 0", "(0, 2, 0)"),
            ("positive, unavailable", played, UNIFORM, f"`{kind}`", "is 0.5", "(0, 1, 1)"),
            (
                "zero at a time",
                played,
                put(over_time(REFERENCE, H + 1), (3, 0), [1, 0]),
                f"`{kind}`",
                "is 0",
                "(3, 0, 1)",
            ),
        ]
    }
    RESPONSES[f"{kind}-twice"] = (
        lambda build=build, log=log: build(1.0, UNIFORM, **{log: np.log(UNIFORM)}),
        f"`{kind}`",
        f"`{log}`",
    )
    RESPONSES[f"{kind}-traced"] = (traced(lambda table, make=played: make(table), (S, 3)), f"`{kind}`", "(1, 3, 3)")

SOLVERS = {
    "game-none": (lambda: solve(None, Greedy()), "`game`", "None"),
    "solver-string": (lambda: solve(game(), Greedy(), "picard"), "`solver`", "'picard'"),
    "solver-class": (lambda: solve(game(), Greedy(), Picard), "`solver`", "Picard"),
    "throw-string": (lambda: solve(game(), Greedy(), throw="no"), "`throw`", "'no'"),
    "throw-none": (lambda: solve(game(), Greedy(), throw=None), "`throw`", "None"),
    **whole("max_steps", lambda value: solve(game(), Greedy(), max_steps=value)),
    "guess-nan": (started(put(FLOW, (3, 1), nan)), "`guess[3, 1]`", "nan"),
    "guess-inf": (started(put(FLOW, (3, 1), inf)), "`guess[3, 1]`", "inf"),
    "guess-negative": (started(put(FLOW, 2, [-0.5, 1, 0.5])), "`guess[2, 0]`", "-0.5"),
    "guess-sum": (started(put(FLOW, (2, 0), 0.25)), "`guess[2]`", "0.75"),
    "guess-one time": (started(INITIAL), "`guess`", "(3,)"),
    "guess-times": (started(FLOW[:-1]), "`guess`", "(4, 3)"),
    "guess-states": (started(np.full((H + 1, 4), 0.25)), "`guess`", "(5, 4)"),
    "guess-joint": (started(np.full((H + 1, S, A), 1 / 6)), "`guess`", "(5, 3, 2)"),
    "guess-not joint": (started(FLOW, "state_actions"), "`guess`", "(5, 3)"),
    "guess-joint sum": (
        started(put(np.full((H + 1, S, A), 1 / 6), (1, 0), 0), "state_actions"),
        "`guess[1]`",
        "0.6666",
    ),
    "guess-string": (started("uniform"), "`guess`", "'uniform'"),
    "guess-dict": (started({}), "`guess`", "{}"),
    "guess-bool": (started(FLOW > 0), "`guess`", "bool"),
    "guess-complex": (started(FLOW + 0j), "`guess`", "complex"),
    "guess-ragged": (started([[0.5, 0.5], [1]]), "`guess`", "[[0.5, 0.5], [1]]"),
    "guess-traced": (
        traced(lambda flow: started(flow)(), (H, S)),
        "`guess`",
        "(4, 3)",
    ),
    **under("damping", [NONE, ("zero", 0, "0.0"), NEGATIVE, ABOVE_ONE], Picard),
    "damping-averaging": (lambda: Picard(0.5, "uniform"), "`damping`", "0.5", "'uniform'"),
    "averaging-other": (lambda: Picard(averaging="mean"), "`averaging`", "'mean'"),
    "averaging-bool": (lambda: Picard(averaging=True), "`averaging`", "True"),
    "averaging-number": (lambda: Picard(averaging=0), "`averaging`", "0"),
    "averaging-array": (lambda: Picard(averaging=np.zeros(2)), "`averaging`", "array"),
    **whole("memory", Anderson),
    **under("mixing", [NONE, ("zero", 0, "0.0"), NEGATIVE, ABOVE_ONE], lambda value: Anderson(mixing=value)),
    **under("learning_rate", [NONE, ("zero", 0, "0.0"), NEGATIVE], MirrorDescent),
    "learning_rate-signature": (lambda: MirrorDescent(lambda: 0.5), "`learning_rate`", "(step)", "()"),
    "learning_rate-shape": (lambda: MirrorDescent(lambda k: jnp.ones(2)), "`learning_rate`", "(2,)"),
    "learning_rate-returns": (lambda: MirrorDescent(lambda k: "fast"), "`learning_rate`", "'fast'"),
    "learning_rate-if": (lambda: MirrorDescent(lambda k: 1.0 if k < 9 else 0.1), "`learning_rate`", "where"),
    **whole("prior_steps", lambda value: MirrorDescent(prior_steps=value)),
    **under("prior_beta", [NONE, ("zero", 0, "0.0"), NEGATIVE], lambda value: MirrorDescent(prior_beta=value)),
    **under("start", [("zero", 0, "0.0"), NEGATIVE], lambda value: Continuation(start=value)),
    **under("largest_step", [NONE, ("zero", 0, "0.0"), NEGATIVE], lambda value: Continuation(largest_step=value)),
    "largest_step-traced": (
        traced(lambda x: Continuation(largest_step=x), ()),
        "`largest_step`",
        "traced",
    ),
    "through_folds-number": (lambda: Continuation(1), "`through_folds`", "1"),
    "through_folds-string": (lambda: Continuation("yes"), "`through_folds`", "'yes'"),
    "through_folds-none": (lambda: Continuation(None), "`through_folds`", "None"),
    **{
        f"{solver.__name__} {key}": case
        for solver in (Picard, Anderson, MirrorDescent, Newton, Continuation, Auto)
        for key, case in under("atol", [NEGATIVE], lambda value, solver=solver: solver(atol=value)).items()
    },
    "atol-traced": (traced(lambda x: Auto(atol=x), ()), "`atol`", "traced"),
    "atol-unreachable": (lambda: solve(game(), Greedy(), Auto(atol=1e-30)), "`atol`", "1.0e-30"),
    "Anderson-greedy": (lambda: solve(game(), Greedy(), Anderson()), "`solver=Anderson(...)`", "`Greedy`"),
    "Newton-greedy": (lambda: solve(game(), Greedy(), Newton()), "`solver=Newton(...)`", "`Greedy`"),
    "MirrorDescent-boltzmann": (
        lambda: solve(game(), Boltzmann(1.0), MirrorDescent()),
        "`solver=MirrorDescent(...)`",
        "`Boltzmann`",
    ),
    "prior_steps-smooth": (
        lambda: solve(game(), EntropyRegularized(1.0), MirrorDescent(prior_steps=5)),
        "`prior_steps=5`",
        "`Greedy`",
    ),
}

ZOO = {
    **whole("num_states", lambda n: games.random_dense(num_states=n)),
    **whole("num_actions", lambda n: games.random_dense(num_actions=n)),
    **whole("seed", lambda n: games.random_dense(seed=n), least=0),
    **under("steepness", [NONE], lambda value: games.random_dense(steepness=value)),
    **{f"random_dense {k}": c for k, c in whole("horizon", lambda n: games.random_dense(horizon=n)).items()},
    **{f"ring_crowd {k}": c for k, c in whole("num_states", lambda n: games.ring_crowd(num_states=n), least=3).items()},
    **{f"ring_crowd {k}": c for k, c in whole("horizon", lambda n: games.ring_crowd(horizon=n)).items()},
    **under("congestion", [NONE], lambda value: games.ring_crowd(congestion=value)),
    **under("field", [NONE], lambda value: games.coordination(field=value)),
    **under("strength", [NONE], lambda value: games.coordination(strength=value)),
    "preset-other": (lambda: games.resource_allocation("printed"), "`preset`", "'printed'"),
    "preset-none": (lambda: games.resource_allocation(None), "`preset`", "None"),
    "self_loop_at_2-string": (lambda: games.resource_allocation(self_loop_at_2="no"), "`self_loop_at_2`", "'no'"),
    "edges-none": (lambda: graph(None), "`edges`", "None"),
    "edges-number": (lambda: graph(3), "`edges`", "3"),
    "edges-empty": (lambda: graph([]), "`edges`", "empty"),
    "edges-numbers": (lambda: graph([1, 2]), "`edges`", "1"),
    "edges-triple": (lambda: graph([("a", "a"), ("a", "b", 1.0)]), "`edges[1]`", "('a', 'b', 1.0)"),
    "edges-twice": (lambda: graph([*EDGES, ("a", "b")]), "`edges[4]`", "('a', 'b')"),
    "edges-unhashable": (lambda: graph([(["a"], "b")]), "`edges[0]`", "['a']"),
    "edges-other node": (lambda: graph(nodes=["a"]), "`edges[1]`", "'b'"),
    "edges-dead end": (lambda: graph([("a", "b")]), "`edges`", "'b'"),
    "nodes-twice": (lambda: graph(nodes=["a", "b", "a"]), "`nodes`", "3"),
    "nodes-number": (lambda: graph(nodes=2), "`nodes`", "2"),
    "nodes-isolated": (lambda: graph(nodes=["a", "b", "c"]), "`edges`", "'c'"),
    **{f"graph_game {k}": c for k, c in whole("horizon", lambda n: graph(horizon=n)).items()},
    **{
        f"graph_game {k}": c
        for k, c in under("discount", [NONE, NEGATIVE, ABOVE_ONE], lambda value: graph(discount=value)).items()
        if "array" not in k
    },
    "graph_game initial-other node": (lambda: graph(initial={"c": 1.0}), "`initial`", "'c'"),
    "graph_game initial-sum": (lambda: graph(initial={"a": 0.5}), "`initial`", "0.5"),
    "graph_game initial-nan": (lambda: graph(initial={"b": nan}), "`initial[1]`", "nan"),
    "graph_game initial-string": (lambda: graph(initial="a"), "`initial`", "'a'"),
    "graph_game initial-string within": (lambda: graph(initial={"a": "all"}), "`initial['a']`", "'all'"),
    "graph_game initial-array within": (lambda: graph(initial={"a": [1, 0]}), "`initial['a']`", "(2,)"),
    "graph_game initial-none": (lambda: graph(initial=None), "`initial`", "None"),
    "graph_game initial-shape": (lambda: graph(initial=[1.0, 0, 0]), "`initial`", "(3,)"),
    "running-number": (lambda: graph(running=1.0), "`running`", "1.0"),
    "terminal-dict": (lambda: graph(terminal={"a": 1.0}), "`terminal`", "{'a': 1.0}"),
    "terminal-zero": (lambda: graph(terminal=0), "`terminal`", "0"),
    "NodeReward value-other node": (
        lambda: graph(running=games.NodeReward({"c": 1})),
        "value`",
        "'c'",
    ),
    "NodeReward value-nan": (lambda: graph(running=games.NodeReward({"b": nan})), "value[1]`", "nan"),
    "NodeReward value-string": (lambda: graph(running=games.NodeReward("x")), "value`", "'x'"),
    "NodeReward value-none": (lambda: graph(running=games.NodeReward(None)), "value`", "None"),
    "NodeReward value-bool": (lambda: graph(running=games.NodeReward(True)), "value`", "True"),
    "NodeReward value-shape": (lambda: graph(running=games.NodeReward(np.ones(3))), "value`", "(3,)"),
    "NodeReward congestion-inf": (
        lambda: graph(terminal=games.NodeReward(congestion=[0, inf])),
        "congestion[1]`",
        "inf",
    ),
    "NodeReward congestion-ragged": (
        lambda: graph(terminal=games.NodeReward(congestion=[0, [1, 2]])),
        "congestion`",
        "[0, [1, 2]]",
    ),
    "NodeReward scale-string": (lambda: games.NodeReward(scale="x"), "scale`", "'x'"),
    "NodeReward exponent-zero": (lambda: games.NodeReward(exponent=0), "exponent`", "0"),
    "moves-dense": (lambda: games.moves(game()), "`game.kernel`", "DenseKernel"),
    "moves-none": (lambda: games.moves(None), "`game`", "None"),
    "policy_on_edges-game": (lambda: games.policy_on_edges(game(), {}), "`game.kernel`", "DenseKernel"),
    "policy_on_edges-none": (lambda: games.policy_on_edges(graph(), None), "`reference`", "None"),
    "policy_on_edges-other node": (lambda: games.policy_on_edges(graph(), {"c": {}}), "`reference`", "'c'"),
    "policy_on_edges-number": (lambda: games.policy_on_edges(graph(), {"a": 1.0}), "`reference['a']`", "1.0"),
    "policy_on_edges-no edge": (
        lambda: games.policy_on_edges(graph(), {"a": {"c": 1.0}}),
        "`reference['a']`",
        "'c'",
    ),
    "policy_on_edges-string": (
        lambda: games.policy_on_edges(graph(), {"a": {"b": "x"}}),
        "`reference['a']['b']`",
        "'x'",
    ),
    "policy_on_edges-array": (
        lambda: games.policy_on_edges(graph(), {"a": {"b": [1, 0]}}),
        "`reference['a']['b']`",
        "(2,)",
    ),
    "policy_on_edges-nan": (lambda: games.policy_on_edges(graph(), {"a": {"b": nan}}), "`reference['a']['b']`", "nan"),
    "policy_on_edges-negative": (
        lambda: games.policy_on_edges(graph(), {"a": {"b": -0.5, "a": 1.5}}),
        "`reference[0, 1]`",
        "-0.5",
    ),
    "policy_on_edges-sum": (lambda: games.policy_on_edges(graph(), {"a": {"b": 0.5}}), "`reference[0]`", "0.5"),
}

FAULTS = KERNELS | REWARDS | FIELDS | RESPONSES | SOLVERS | ZOO


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_refused_in_one_sentence_with_field_place_and_value(fault):
    make, *needles = FAULTS[fault]
    with pytest.raises(ValueError) as caught:
        make()
    message = str(caught.value)
    assert type(caught.value) is ValueError, "a subclass comes from elsewhere"
    assert "\n" not in message and len(message) < 300 and message.endswith(".")
    assert "Traceback" not in message and "Tracer" not in message
    for needle in needles:
        assert needle in message


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
    "theta with integers": lambda: game(reward=PairwiseReward(INTERACTION, Power(2, np.int64(2)))),
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


def test_values_unknown_while_traced_end_as_a_result_code():
    @jax.jit
    def code(reward):
        return solve(game(reward=reward), EntropyRegularized(1.0), Picard(), max_steps=3).result.code

    assert code(jnp.asarray(REWARD)) == RESULTS.converged
    assert code(jnp.full((S, A), jnp.nan)) != RESULTS.converged


sizes = st.tuples(*(st.integers(1, 4),) * 3)
not_finite = st.sampled_from([nan, inf, -inf])
a_few = settings(max_examples=40, deadline=None)


def valid_tables(num_states, num_actions, horizon, seed):
    rng = np.random.default_rng(seed)
    return {
        "kernel": rng.dirichlet(np.ones(num_states), size=(horizon, num_states, num_actions)),
        "reward": rng.normal(size=(horizon + 1, num_states, num_actions)),
        "initial": rng.dirichlet(np.ones(num_states)),
    }


@a_few
@given(sizes, st.integers(0, 2**31), st.sampled_from(["kernel", "reward", "initial"]), not_finite, st.data())
def test_one_entry_that_is_not_finite_is_always_found(size, seed, field, value, data):
    tables = valid_tables(*size, seed)
    index = np.unravel_index(data.draw(st.integers(0, tables[field].size - 1)), tables[field].shape)
    tables[field][index] = value
    # a table for a single time is shown without its time axis, as it could have been given
    shown = index[1:] if field == "kernel" and size[2] == 1 else index
    place = ", ".join(map(str, shown))
    with pytest.raises(ValueError) as caught:
        FiniteHorizonGame(**tables, horizon=size[2])
    assert str(caught.value) == f"`{field}[{place}]` is {value}, but it must be a finite number."


@a_few
@given(sizes, st.integers(0, 2**31), st.floats(1e-4, 1e3), st.booleans(), st.data())
def test_one_row_that_is_no_distribution_is_always_found(size, seed, amount, is_negative, data):
    tables = valid_tables(*size, seed)
    kernel = tables["kernel"]
    index = np.unravel_index(data.draw(st.integers(0, kernel.size - 1)), kernel.shape)
    kernel[index] = -amount if is_negative else kernel[index] + amount
    shown = index[1:] if size[2] == 1 else index
    place = ", ".join(map(str, shown if is_negative else shown[:-1]))
    with pytest.raises(ValueError, match="negative" if is_negative else "sums to") as caught:
        FiniteHorizonGame(**tables, horizon=size[2])
    assert str(caught.value).startswith(f"`kernel[{place}]`")


@a_few
@given(st.sampled_from([(3, 2, 2), (2, 3, 1)]), st.integers(0, 2**31), st.data())
def test_a_reference_off_the_available_actions_is_always_found(size, seed, data):
    num_states, num_actions, horizon = size
    tables = valid_tables(*size, seed)
    rng = np.random.default_rng(seed)
    mask = rng.random((horizon + 1, num_states, num_actions)) < 0.7
    mask[..., 0] = True
    reference = mask / mask.sum(axis=-1, keepdims=True)
    made = FiniteHorizonGame(**tables, horizon=horizon, available=mask)
    t, s, a = np.unravel_index(data.draw(st.integers(0, mask.size - 1)), mask.shape)
    if mask[t, s].sum() == 1 and mask[t, s, a]:
        return  # the only action of a row has probability 1, or the row is no distribution
    reference[t, s, a] = 0 if mask[t, s, a] else 0.5
    reference[t, s] /= reference[t, s].sum()
    with pytest.raises(ValueError) as caught:
        solve(made, EntropyRegularized(1.0, reference))
    assert f"(time, state, action) = ({t}, {s}, {a})" in str(caught.value)
