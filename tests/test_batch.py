"""Many games at once: every lane is the equilibrium of its own game, and fails alone."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from batches import ATOL, GENTLE, GOOD, LANES, logistic, parameters, places, share
from helpers import assert_close

import mfgjax as mfg
from mfgjax import RESULTS


def solved(p, damping=(1.0,) * LANES, **options):
    axes = {"beta": p["beta"], "initial": p["initial"], "damping": np.array(damping)}
    game, response = places(jax.tree.map(jnp.asarray, p))
    return mfg.solve_batch(game, response, mfg.Picard(), axes=axes, **options)


def assert_same_lanes(first, second, lanes):
    for one, other in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        if one.size:
            np.testing.assert_array_equal(np.asarray(one)[..., lanes], np.asarray(other)[..., lanes])


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
