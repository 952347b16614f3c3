"""The finite test of strategic complementarities, against its definition over all pairs, and on the zoo."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

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
            "`game` lacks actions",
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
