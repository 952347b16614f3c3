"""The finite test of strategic complementarities, against its definition over all pairs, and on the zoo."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg

S, A = 4, 3


class Affine(eqx.Module):
    """Σ_j z(j) table_j: a kernel `[S, S, A, S]`, or a reward `[S, S, A]`, that is affine in z."""

    table: jax.Array

    def __call__(self, z):
        return jnp.tensordot(z, self.table, axes=1)


def tails(row):
    return [sum(row[k:]) for k in range(1, S)]


def above(first, second):
    return all(x >= y for x, y in zip(first, second, strict=True))


def definition_1(P, r):
    """Which conditions fail, over all pairs of points and of point masses; `P[j]` and `r[j]` are those at δ_j."""
    pairs, failed = list(np.ndindex(S, A)), set()
    values = {"r": lambda j, s, a: np.array([r[j, s, a]]), "tails": lambda j, s, a: np.array(tails(P[j, s, a]))}
    for (name, f), j in itertools.product(values.items(), range(S)):
        for x, y in itertools.product(pairs, pairs):
            low, high = (min(x[0], y[0]), min(x[1], y[1])), (max(x[0], y[0]), max(x[1], y[1]))
            if (f(j, *high) + f(j, *low) < f(j, *x) + f(j, *y) - 1e-12).any():
                failed.add(f"{name} supermodular in (s,a)")
            if x[0] >= y[0] and x[1] == y[1] and (f(j, *x) < f(j, *y) - 1e-12).any():
                failed.add(f"{name} non-decreasing in s")
            if name == "tails" and x[0] == y[0] and x[1] >= y[1] and (f(j, *x) < f(j, *y) - 1e-12).any():
                failed.add("tails non-decreasing in a")
            for i in range(j):
                change = (f(j, *x) - f(i, *x)) - (f(j, *y) - f(i, *y))
                if above(x, y) and (change < -1e-12).any():
                    failed.add(f"{name} with increasing differences")
                if name == "tails" and x == y and (f(j, *x) < f(i, *x) - 1e-12).any():
                    failed.add("tails non-decreasing in z")
        if any(max(r[j, s]) > max(r[j, s + 1]) + 1e-12 for s in range(S - 1)):
            failed.add("r at its best action non-decreasing in s")
    return failed


def complementary_tables(rng):
    """Tails and rewards that are sums of non-negative multiples of s, a, j and of their products."""
    s, a, j = np.meshgrid(np.arange(S), np.arange(A), np.arange(S), indexing="ij")
    grown = [x.transpose(2, 0, 1) for x in (s, a, j, s * a, s * j, a * j)]
    r = sum(rng.random() * x for x in grown)
    T = np.cumsum([sum(rng.random() * x for x in grown) for _ in range(S - 1)], axis=0)[::-1]
    T = T / T.max() * 0.9
    P = -np.diff(np.concatenate([np.ones((1, S, S, A)), T, np.zeros((1, S, S, A))]), axis=0)
    return P.transpose(1, 2, 3, 0), r


def test_the_test_finds_what_the_definition_finds(rng):
    """On random tables almost all fails; on complementary ones, whole or with one entry moved, what was moved."""
    seen = set()
    for kind in ("random", "whole", "whole", "moved", "moved", "moved"):
        P, r = complementary_tables(rng)
        if kind == "random":
            P, r = rng.dirichlet(np.ones(S), size=(S, S, A)), rng.standard_normal((S, S, A))
        elif kind == "moved":
            place = tuple(rng.integers(1, n) for n in (S, S, A))
            r[place] -= 30 * rng.random()
            P[place] = P[place][::-1]
        available = np.ones((S, A), bool)
        game = mfg.StationaryGame(Affine(jnp.asarray(P)), Affine(jnp.asarray(r)), 0.5, available=available)
        found = mfg.check_complementarity(game, "action")
        failed = {
            c.name.split(" differences")[0] + " differences" if "differences" in c.name else c.name for c in found.fails
        }
        assert failed == definition_1(P, r)
        assert found.affine and found.holds == (not failed)
        assert all(c.violation > 0 for c in found.fails)
        seen |= failed | {found.holds}
    assert {True, False, "tails supermodular in (s,a)", "tails non-decreasing in z"} <= seen


def test_infection_spread_fails_as_printed_and_holds_repaired():
    """The tails of s + a are not supermodular, whatever the parameters; those of y are, if an infection resets."""
    by_action = mfg.check_complementarity(mfg.games.infection_spread(), "action")
    assert [c.name for c in by_action.fails] == ["tails supermodular in (s,a)"]
    # at z = δ_24 an agent stays, uninfected, with probability (1 − ζ)(1 − c_f (1 − 24/25))
    assert by_action.fails[0].violation == pytest.approx(0.9 * (1 - 0.1 / 25), abs=1e-12)
    for game in (mfg.games.infection_spread(), mfg.games.infection_tipping(), mfg.games.mturk()):
        found = mfg.check_complementarity(game)
        assert found.holds and found.form == "post-decision" and found.affine
    printed = mfg.games.infection_spread(as_printed=True)
    assert not mfg.check_complementarity(printed).holds
    assert [c.name for c in mfg.check_complementarity(printed, "post-decision").fails] == [
        "tails with increasing differences in y and z"
    ]
    assert "fails" in str(by_action) and "s' >=" in str(by_action)


def test_curvature_in_the_population_is_never_said_to_hold():
    """A reward with z(S−1)² has no violation at point masses, but is not affine."""

    class Curved(eqx.Module):
        def __call__(self, z):
            return jnp.arange(S)[:, None] * (1 + z[-1] ** 2) - jnp.zeros((1, A))

    kernel = np.tile(np.eye(S)[:, None], (1, A, 1))
    found = mfg.check_complementarity(mfg.StationaryGame(kernel, Curved(), 0.5), "action")
    assert not found.affine and not found.holds and not found.fails
    assert {c.status for c in found.conditions} == {"no violation found"}


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: mfg.check_complementarity(mfg.games.left_right()), "`game` must be a `StationaryGame`"),  # pyright: ignore
        (lambda: mfg.check_complementarity(mfg.games.mturk(), "both"), "`form` must be one of None, 'action'"),
        (
            lambda: mfg.check_complementarity(
                mfg.StationaryGame(np.ones((1, 2, 1)), np.zeros((1, 2)), 0.5, available=[[True, False]])
            ),
            "`game.available` lacks actions",
        ),
    ],
)
def test_what_cannot_be_tested_is_refused(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_next_state_that_falls_with_the_state_at_one_decision_has_no_complementarities():
    """To the top with a probability that rises with s + 2a = 2y − s: it falls with s where y is held.

    Rewards are best at y = 4, so all but the top state choose y = 4 or near it, and better states then rise less often:
    the law after one move falls, though all the other conditions hold.
    """
    num_states, num_actions = 5, 4
    s, a = np.arange(num_states)[:, None], np.arange(num_actions)[None]
    rises = (s + 2 * a) / 12
    moves = np.zeros((num_states, num_actions, num_states))
    moves[..., -1], moves[..., 0] = rises, 1 - rises
    game = mfg.StationaryGame(moves, 200 * s - 20.0 * (s + a - 4) ** 2, 0.5)
    found = mfg.check_complementarity(game, "post-decision")
    assert [condition.name for condition in found.fails] == ["tails non-decreasing in s with y held"]
    assert found.fails[0].violation == pytest.approx(1 / 12, abs=1e-12)
    policy = np.asarray(mfg.respond(game, np.full(num_states, 0.2), mfg.Greedy()).policy)
    after = np.array([mfg.propagate(game, policy, law) for law in np.eye(num_states)])
    assert (after[3, -1] > after[4, -1] + 0.08) and mfg.bracket(game, mfg.Greedy()).certificate.startswith("unknown")


def two_states(up, rewards=((0.0, -0.1), (1.0, 0.9))):
    """Whatever one does, the next state is 1 with probability up(p), p the share in it."""

    def kernel(z):
        p = up(z[1])
        return jnp.broadcast_to(jnp.stack([1 - p, p]), (2, 2, 2))

    return mfg.StationaryGame(kernel, np.array(rewards), 0.5)


def bump(p):
    return 0.1 + 0.5 * p + 0.15 * jnp.maximum(0, 1 - jnp.abs(p - 0.5) / 0.02)


@pytest.mark.parametrize(
    "up",
    [
        bump,
        lambda p: 0.1 + 0.5 * p - 0.3 * jnp.exp(-(((p - 0.37) / 1e-3) ** 2)),
        lambda p: jnp.asarray([0.1, 0.5, 0.3, 0.7, 0.7])[(4.999 * p).astype(int)],
        lambda p: jnp.where(p > 0.999, 0.2, 0.1 + 0.5 * p),
        lambda p: jnp.round(0.1 + 0.5 * p, 2),
    ],
    ids=["bump", "dip", "table by the law", "step", "rounded"],
)
def test_what_bends_between_sampled_laws_is_never_said_to_hold(up):
    found = mfg.check_complementarity(two_states(up))
    assert not found.affine and not found.holds
    assert "tested at 66 laws only, which is no proof" in str(found)


def test_a_bracket_of_what_bends_between_sampled_laws_is_no_proof():
    """The bump has three fixed points and is not isotone, but no sampled law lies on its falling side."""
    found = mfg.bracket(two_states(bump), mfg.Trembling(0.1), throw=False)
    assert found.complementarity is not None and not found.complementarity.holds
    assert not found.complementarity.fails and found.certificate.startswith("unknown")
    assert "tested at 66 laws only, which is no proof" in found.certificate


def test_what_bends_at_no_law_holds():
    """A clip that never clips, shares of a sum that is 1, and a guard against an empty population."""
    guarded = two_states(lambda p: jnp.where(p >= -1, 0.1 + 0.5 * p, 0.9))
    assert mfg.check_complementarity(guarded).holds
    found = mfg.bracket(two_states(lambda p: jnp.clip(0.1 + 0.5 * p, 0.0, 1.0)), mfg.Trembling(0.1))
    assert found.certificate.startswith("holds") and "reached from every law" in found.certificate
    assert_close(found.least.mean_field[1], 0.2, atol=1e-11)  # p = 0.1 + 0.5 p


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-20, 1e-6, 1.0, 1e6])
def test_violations_count_on_the_scale_of_what_is_violated(dtype, scale):
    """r(1,1) falls short of additivity by 1e-5; a reward far off that is a billion times larger hides nothing of it."""
    rewards = scale * np.array([[0, -0.1, -0.2], [1, 0.9 - 1e-5, 0.8], [2, 1.9, 1.8]])
    kernel = np.full((3, 3, 3), 1 / 3)
    with jax.enable_x64(dtype == np.float64):
        found = mfg.check_complementarity(mfg.StationaryGame(kernel.astype(dtype), rewards.astype(dtype), 0.5))
        assert [c.name for c in found.fails][:1] == ["r supermodular in (s,a)"]
        whole = scale * np.array([[0, -0.1, -0.2], [1, 0.9, 0.8], [2, 1.9, 1.8]])
        assert mfg.check_complementarity(mfg.StationaryGame(kernel.astype(dtype), whole.astype(dtype), 0.5)).holds
        rewards[2] += 1e9 * scale
        found = mfg.check_complementarity(mfg.StationaryGame(kernel.astype(dtype), rewards.astype(dtype), 0.5))
        assert not found.holds


def test_rewards_that_are_lost_in_sums_with_larger_numbers_are_not_judged():
    """r + 1e14 z_0 − 1e14 z_0 keeps 1/64 of r at best: rounding is no excuse for a violation."""
    rewards = jnp.asarray([[0.0, -0.1], [1.0, 0.89]])
    game = mfg.StationaryGame(
        np.full((2, 2, 2), 0.5),
        lambda z: (rewards + 1e14 * z[0]) - 1e14 * z[0],
        0.5,
        available=np.ones((2, 2), bool),
    )
    assert not mfg.check_complementarity(game, "action").holds


def test_a_best_action_that_falls_between_point_masses_is_not_said_to_rise():
    """max_a r is 1 in state 0 at both point masses, 0.9 in state 1 between them, as its two actions take turns."""
    at_points = np.zeros((2, 2, 2))
    at_points[:, 0] = 0.9
    at_points[0, 1], at_points[1, 1] = [1, 0], [0, 1]
    kernel = np.full((2, 2, 2), 0.5)
    game = mfg.StationaryGame(kernel, Affine(jnp.asarray(at_points)), 0.5, available=np.ones((2, 2), bool))
    between = np.asarray(game.reward_at(0, np.array([0.5, 0.5]))).max(axis=1)
    assert between[0] > between[1]
    status = {c.name: c.status for c in mfg.check_complementarity(game, "action").conditions}
    assert status["r at its best action non-decreasing in s"] != "holds"


def test_a_kernel_that_is_unsound_with_all_in_a_middle_state_is_named():
    def kernel(z):
        p = 0.1 + 1.5 * z[1]
        return jnp.broadcast_to(jnp.stack([1 - p, jnp.zeros(()), p]), (3, 1, 3))

    initial = np.array([0.5, 0.0, 0.5])
    with pytest.raises(ValueError, match=r"`kernel\[0, 0.*with all in state 1"):
        mfg.check_complementarity(
            mfg.StationaryGame(kernel, np.zeros((3, 1)), 0.5, initial=initial, available=np.ones((3, 1), bool))
        )
