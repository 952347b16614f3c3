"""Rewards that are none are refused in one sentence that names the field, the place and the value."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faults import (
    INTERACTION,
    KERNEL,
    MASK,
    NEXT,
    NONE,
    REWARD,
    A,
    H,
    S,
    assert_refused,
    game,
    inf,
    nan,
    over_time,
    put,
    traced,
    under,
    whole,
)

from mfgjax import PairwiseReward
from mfgjax.model import DenseInteraction, Staged
from mfgjax.rewards import OwnStateInteraction, Power, SuccessorInteraction


class Scaled(eqx.Module):
    """A reward with a parameter, as a user would write it."""

    scale: jax.Array

    def __call__(self, t, mean_field):
        return jnp.zeros((S, A)) + self.scale


class Bar(eqx.Module):
    """A reward whose `__call__` was forgotten."""

    fun: float = 1.0

    def reward(self, t, mean_field):
        return self.fun * REWARD


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


REWARDS = {
    "reward-nan": (lambda: game(reward=put(REWARD, (2, 1), nan)), "`reward[2, 1]`", "nan"),
    "reward-inf": (lambda: game(reward=put(REWARD, (2, 1), -inf)), "`reward[2, 1]`", "-inf"),
    "reward-nan at a time": (
        lambda: game(reward=put(over_time(REWARD, H + 1), (3, 2, 1), nan)),
        "`reward[3, 2, 1]`",
        "nan",
    ),
    "reward-shape": (lambda: game(reward=np.zeros((S, 3))), "`reward` must have shape (3, 2) or (3, 1)", "got (3, 3)"),
    "reward-states": (lambda: game(reward=np.zeros((4, A))), "`reward` must have shape (3, 2) or (3, 1)", "got (4, 2)"),
    "reward-transposed": (
        lambda: game(reward=REWARD.T),
        "`reward` has shape (2, 3), with actions before states; it must be (states, actions)",
        "`numpy.swapaxes(reward, -2, -1)`",
    ),
    "reward-transposed at every time": (
        lambda: game(reward=over_time(REWARD.T, H + 1)),
        "`reward` has shape (5, 2, 3), with actions before states",
    ),
    "reward-transposed, of a kernel that is a function": (
        lambda: game(lambda t, m: KERNEL, REWARD.T),
        "`reward` must have shape (3, any) or (5, 3, any) (states, actions or 1; or times first); got (2, 3)",
    ),
    "reward-list": (
        lambda: game(reward=[1.0, 2.0, 3.0]),
        "`reward` must have shape (3, 2) or (3, 1) or (5, 3, 2) or (5, 3, 1)",
        "got (3,)",
    ),
    "reward-list, where the mask tells the actions": (
        lambda: game(lambda t, m: KERNEL, [1.0, 2.0, 3.0], available=MASK),
        "`reward` must have shape (3, 2) or (3, 1)",
        "got (3,)",
    ),
    "reward-times": (lambda: game(reward=over_time(REWARD, H)), "`reward`", "(4, 3, 2)"),
    "reward-none": (lambda: game(reward=None), "`reward`", "None"),
    "reward-string": (lambda: game(reward="high"), "`reward`", "'high'"),
    "reward-none, what it may be": (
        lambda: game(reward=None),
        "`reward` must be an array or a function;",
        " got None.",
    ),
    "reward-no call": (
        lambda: game(reward=Bar()),
        "`reward` must be an array or a function; got Bar(), which has no `__call__`.",
    ),
    "L-no call": (
        lambda: PairwiseReward(Bar()),
        "`reward.L` must be an array or a function; got Bar(), which has no `__call__`.",
    ),
    "reward-dict": (
        lambda: game(reward={"a": 1}),
        "`reward` must hold real numbers, in an array or a `pandas.DataFrame` with labels; got the dict {'a': 1}.",
    ),
    "reward-bool": (lambda: game(reward=MASK), "`reward`", "bool"),
    "reward-complex": (lambda: game(reward=REWARD * 1j), "`reward`", "complex"),
    "reward-ragged": (lambda: game(reward=[[1, 0], [0]]), "`reward`", "[[1, 0], [0]]"),
    "reward-traced shape": (traced(lambda r: game(reward=r), (S, 3)), "`reward`", "got (3, 3)"),
    "reward-class": (lambda: game(reward=Power), "`reward`"),
    "reward callable-no arguments": (
        lambda: game(reward=lambda: REWARD),
        "`reward`",
        "(t, mean_field)",
        "no arguments",
    ),
    "reward callable-three": (lambda: game(reward=lambda t, s, a: REWARD), "`reward`", "(t, s, a)"),
    "reward callable-swapped arguments": (
        lambda: game(reward=lambda mu, t: REWARD - mu[:, None]),
        "`reward` is called with (t, mean_field), in this order, but its arguments are (mu, t).",
    ),
    "reward callable-swapped arguments of L": (
        lambda: game(reward=PairwiseReward(lambda mu, t: REWARD - mu[:, None])),
        "`reward.L` is called with (t, mean_field), in this order, but its arguments are (mu, t).",
    ),
    "reward callable-swapped arguments of theta": (
        lambda: game(reward=PairwiseReward(INTERACTION, lambda x, t: x[t, 0] * REWARD[0])),
        "`reward.theta` is called with (t, x), in this order, but its arguments are (x, t).",
    ),
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
    "reward callable-float": (
        lambda: game(reward=lambda t, m: float(m[0]) * REWARD),
        "`reward` needs the value",
        "float()",
    ),
    "reward callable-numpy": (lambda: game(reward=numpy_reward), "`reward`", "jax.numpy"),
    "reward callable-numpy index": (lambda: game(reward=indexing), "`reward`", "jax.numpy"),
    "reward callable-raises": (lambda: game(reward=broken), "`reward`", "at t = 0", "no such table"),
    "reward callable-matmul": (lambda: game(reward=lambda t, m: np.eye(4) @ m), "`reward`", "at t = 0"),
    "reward module-nan": (lambda: game(reward=Scaled(jnp.array(nan))), "`reward[0, 0]` at t = 0", "nan"),
    "reward callable-actions unknown": (
        lambda: game(lambda t, m: KERNEL, lambda t, m: m[:, :1], observes="state_actions"),
        "`available`",
        "functions",
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
    "L-other states": (lambda: game(reward=PairwiseReward(np.ones((4, A, 4)))), "`reward.L`", "got (4, 2, 4)"),
    "L-other seen": (lambda: game(reward=PairwiseReward(np.ones((S, A, 4)))), "`reward.L`", "got (3, 2, 4)"),
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
    "L-traced": (traced(lambda L: game(reward=PairwiseReward(L)), (S, A, 4)), "`reward.L`", "got (3, 2, 4)"),
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
        "got (4, 2)",
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
    **under("theta.scale", [NONE], lambda value: Power(scale=value)),
    **whole("theta.exponent", lambda value: Power(scale=1.0, exponent=value)),
}


@pytest.mark.parametrize("fault", REWARDS)
def test_a_faulty_reward_is_refused_in_one_sentence_with_field_place_and_value(fault):
    assert_refused(REWARDS[fault])
