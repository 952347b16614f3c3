"""A callable that reads an array outside its entries is refused: JAX reads the nearest entry without a word."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from faults import INITIAL, INTERACTION, KERNEL, A, H, S, assert_refused, game

from mfgjax import DenseKernel, FiniteHorizonGame, PairwiseReward, StationaryGame, validate

SHORT = np.arange(H * S * A, dtype=float).reshape(H, S, A)  # times 0..H−1: reading it at H is past its end
TABLE = jnp.asarray(SHORT)
BINS = jnp.arange(10.0)
CHANCES = jnp.asarray(np.broadcast_to(KERNEL, (H - 1, S, A, S)))


def looped(t, mean_field):
    return jax.lax.fori_loop(0, 2, lambda k, total: total + TABLE[t + k], jnp.zeros((S, A)))


def counted(t, mean_field):
    return jax.lax.while_loop(lambda c: c[0] <= t, lambda c: (c[0] + 1, c[1] + TABLE[c[0]]), (0, jnp.zeros((S, A))))[1]


def branching(t, mean_field):
    return jax.lax.cond(t < 2, lambda: jnp.zeros((S, A)), lambda: TABLE[t])


def stationary(reward=None, kernel=KERNEL):
    return StationaryGame(kernel, jnp.zeros((S, A)) if reward is None else reward, 0.9, initial=INITIAL)


OUTSIDE = {
    "a table too short": (
        lambda: game(reward=lambda t, m: 2 * TABLE[t]),
        "`reward` reads `TABLE[t]` past its end at t = 4: index 4 of an axis of length 4",
        "jnp.minimum(index, 3)",
    ),
    "one row": (lambda: game(reward=lambda t, m: TABLE[t, 0] + jnp.zeros((S, A))), "`TABLE[t, 0]`", "at t = 4"),
    "states beside": (lambda: game(reward=lambda t, m: TABLE[t, jnp.arange(S)]), "at t = 4", "index 4"),
    "a later time": (lambda: game(reward=lambda t, m: TABLE[t + 2]), "`TABLE[t + 2]`", "at t = 2", "index 4"),
    "from the end": (lambda: game(reward=lambda t, m: TABLE[-t - 1]), "before its beginning at t = 4", "index -5"),
    "a slice": (
        lambda: game(reward=lambda t, m: jax.lax.dynamic_slice_in_dim(TABLE, t, 2).sum(0)),
        "at t = 3",
        "entries 3 to 4",
    ),
    "a known index": (lambda: game(reward=lambda t, m: TABLE[7] * m[0]), "`TABLE[7]`", "at t = 0", "index 7"),
    "known indices": (lambda: game(reward=lambda t, m: TABLE[jnp.array([1, 9, 2]), 0]), "at t = 0", "index 9"),
    "whole numbers": (lambda: game(reward=lambda t, m: TABLE.astype(int)[t]), "at t = 4"),
    "take of whole numbers": (lambda: game(reward=lambda t, m: jnp.take(TABLE.astype(int), t, axis=0)), "at t = 4"),
    "booleans": (lambda: game(reward=lambda t, m: jnp.where((TABLE > 3)[t], 1.0, 2.0)), "at t = 4"),
    "inside jit": (lambda: game(reward=jax.jit(lambda t, m: TABLE[t])), "`TABLE[t]`", "at t = 4"),
    "inside vmap": (lambda: game(reward=lambda t, m: jax.vmap(lambda s: TABLE[t, s])(jnp.arange(S))), "at t = 4"),
    "inside a scan": (lambda: game(reward=looped), "`TABLE[t + k]`", "at t = 3", "index 4"),
    "inside a loop": (lambda: game(reward=counted), "`TABLE[c[0]]`", "at t = 4"),
    "inside a branch": (lambda: game(reward=branching), "`TABLE[t]`", "at t = 4"),
    "a table of the crowd": (
        lambda: game(reward=lambda t, m: BINS[(10 * m).astype(int)][:, None] * jnp.ones(A)),
        "`BINS[(10 * m).astype(int)]`",
        "at t = 0 with all in the first state",
        "index 10 of an axis of length 10",
    ),
    "a crowd and a time": (
        lambda: game(reward=lambda t, m: TABLE[t + (m[-1] > 0.9)]),
        "at t = 3 with 99% in the last state",
    ),
    "theta": (lambda: game(reward=PairwiseReward(INTERACTION, lambda t, x: x * TABLE[t])), "`TABLE[t]`", "at t = 4"),
    "L": (lambda: game(reward=PairwiseReward(lambda t, m: TABLE[t])), "`TABLE[t]`", "at t = 4"),
    "a joint law": (lambda: game(reward=lambda t, m: TABLE[t] * m, observes="state_actions"), "at t = 4"),
    "a kernel": (
        lambda: game(lambda t, m: CHANCES[t]),
        "`kernel` reads `CHANCES[t]` past its end at t = 3: index 3 of an axis of length 3",
    ),
    "a kernel object": (
        lambda: game(lambda t, m: DenseKernel(m[t % 3] * KERNEL[0] + jnp.roll(CHANCES, 1)[t])),
        "`kernel",
    ),
    "a stationary game": (
        lambda: stationary(lambda z: BINS[(10 * z).astype(int)][:, None] * jnp.ones(A)),
        "`reward` reads `BINS[(10 * z).astype(int)]` past its end with all in the first state",
    ),
    "a stationary kernel": (
        lambda: stationary(kernel=lambda z: CHANCES[(3 * z[-1]).astype(int)]),
        "`kernel` reads `CHANCES[(3 * z[-1]).astype(int)]` past its end with all in the last state",
    ),
}


@pytest.mark.parametrize("case", OUTSIDE)
def test_a_read_outside_an_array_is_refused_with_the_time_the_index_and_the_length(case):
    assert_refused(OUTSIDE[case])


INSIDE = {
    "a table of all times": (
        lambda t, m: jnp.pad(TABLE, ((0, 1), (0, 0), (0, 0)))[t],
        lambda t, m: [*SHORT, 0 * SHORT[0]][t],
    ),
    "the last entry on purpose": (lambda t, m: TABLE[jnp.minimum(t, H - 1)], lambda t, m: SHORT[min(t, H - 1)]),
    "around the end": (lambda t, m: TABLE[t % H], lambda t, m: SHORT[t % H]),
    "clipped": (lambda t, m: jnp.take(TABLE, t, axis=0, mode="clip"), lambda t, m: SHORT[min(t, H - 1)]),
    "filled": (
        lambda t, m: TABLE.at[t].get(mode="fill", fill_value=7.0),
        lambda t, m: SHORT[t] if t < H else np.full((S, A), 7.0),
    ),
    "wrapped": (lambda t, m: jnp.take(TABLE, t, axis=0, mode="wrap"), lambda t, m: SHORT[t % H]),
    "the last of them": (lambda t, m: TABLE[t - 1], lambda t, m: SHORT[t - 1]),
    "a read that is thrown away": (
        lambda t, m: jnp.where(t < H, TABLE[t], 3.0),
        lambda t, m: SHORT[t] if t < H else np.full((S, A), 3.0),
    ),
    "a branch that is not taken": (
        lambda t, m: jax.lax.cond(t < H, lambda: TABLE[t], lambda: jnp.zeros((S, A))),
        lambda t, m: SHORT[t] if t < H else np.zeros((S, A)),
    ),
    "a logarithm of the crowd": (
        lambda t, m: -jnp.log(m)[:, None] + TABLE[0],
        lambda t, m: SHORT[0] - np.log(m)[:, None],
    ),
}


@pytest.mark.parametrize("case", INSIDE)
def test_a_read_that_is_meant_or_without_effect_is_accepted(case):
    function, expected = INSIDE[case]
    made = game(reward=function)
    for t in range(H + 1):
        np.testing.assert_allclose(made.reward_at(jnp.int32(t), made.initial), expected(t, INITIAL), rtol=1e-12)


def test_a_table_that_is_too_short_only_where_an_action_is_missing_is_accepted():
    masked = np.ones((H + 1, S, A), bool)
    masked[H, :, 1] = False
    column = jnp.asarray(SHORT[:, :, 1])
    made = game(reward=lambda t, m: jnp.stack([m, column[t]], axis=1), available=masked)
    validate(made)


def rows(t, mean_field, bad_time, law):
    """Return rows that are no probabilities at one time, in one kind of population."""
    return jnp.where((t == bad_time) & law(mean_field), 0.5, 1.0) * KERNEL


@pytest.mark.parametrize("time", [0, 1, 2, 3])
@pytest.mark.parametrize(
    ("law", "words"),
    [
        (lambda m: m[0] == 0.5, ""),
        (lambda m: jnp.abs(m[0] - 1 / 3) < 1e-3, " at the uniform law"),
        (lambda m: m[0] > 0.9, " with 99% in the first state"),
        (lambda m: m[-1] == 1, " with all in the last state"),
    ],
)
def test_rows_that_are_no_probabilities_are_found_at_any_time_and_in_several_populations(time, law, words):
    with pytest.raises(ValueError, match=rf"`kernel\[0, 0\]` at t = {time}{words} sums to 0.5"):
        game(lambda t, m: rows(t, m, time, law))


@pytest.mark.parametrize("time", range(H + 1))
def test_a_reward_that_is_no_number_is_found_at_any_time(time):
    with pytest.raises(ValueError, match=rf"`reward\[1, 0\]` at t = {time} at the uniform law is nan"):
        game(reward=lambda t, m: jnp.full((S, A), jnp.where((t == time) & (m[0] < 0.4), jnp.nan, 1.0)).at[0].set(0.0))


def test_a_known_game_is_checked_inside_jit_too():
    def build(x):
        return x * FiniteHorizonGame(KERNEL, lambda t, m: TABLE[t], INITIAL, H).discount

    with pytest.raises(ValueError, match="past its end at t = 4"):
        jax.jit(build)(1.0)
