"""Kernels: `expect` and `push` against the dense table, and against each other."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import KERNELS, A, S, assert_close

import mfgjax as mfg

# sums of some ten (star: a hundred) numbers near 1, in another order
CLOSE = {"atol": 1e-13}

kernels = pytest.mark.parametrize("kind", KERNELS)
batches = pytest.mark.parametrize("batch", [(), (2, 3)], ids=["single", "batch"])


@functools.cache
def kernel_and_tables(kind):
    """The same kernel in all tests, so that its program is compiled once."""
    return KERNELS[kind](np.random.default_rng(7))


@eqx.filter_jit
def expect_and_push(kernel, t, values, mass):
    now = kernel.at(t)
    return now.expect(values), now.push(mass)


def expect_by_loops(table, values):
    result = np.zeros(table.shape[:2] + values.shape[1:])
    for s, a, n in np.argwhere(table):
        result[s, a] += table[s, a, n] * values[n]
    return result


def push_by_loops(table, mass):
    result = np.zeros(table.shape[:1] + mass.shape[2:])
    for s, a, n in np.argwhere(table):
        result[n] += table[s, a, n] * mass[s, a]
    return result


def random_inputs(rng, kernel, batch):
    num_states, num_actions = kernel.num_states, kernel.num_actions
    return rng.standard_normal((num_states, *batch)), rng.random((num_states, num_actions, *batch))


def leading(table, like):
    """Booleans: which pairs lead somewhere, with axes for a batch."""
    present = table.sum(axis=-1) > 0
    return present.reshape(present.shape + (1,) * (like.ndim - 2))


@batches
@kernels
def test_expect_and_push_equal_the_dense_table_at_every_time(kind, batch, rng):
    kernel, tables = kernel_and_tables(kind)
    assert kernel.num_times == len(tables)
    values, mass = random_inputs(rng, kernel, batch)
    for t, table in enumerate(tables):
        expected, pushed = expect_and_push(kernel, jnp.int32(t), values, mass)
        # an absent move has no expectation; what stands there only has to be finite
        assert_close(np.where(leading(table, mass), expected, 0), expect_by_loops(table, values), **CLOSE)
        assert np.isfinite(expected).all()
        assert_close(pushed, push_by_loops(table, mass), **CLOSE)


@batches
@kernels
def test_the_chain_of_a_policy_is_the_mean_of_the_table_over_its_actions(kind, batch, rng):
    kernel, tables = kernel_and_tables(kind)
    _, weights = random_inputs(rng, kernel, batch)
    weights = weights * leading(tables[0], weights)
    found = eqx.filter_jit(lambda kernel, weights: kernel.at(jnp.int32(0)).chain(weights))(kernel, weights)
    expected = np.zeros((kernel.num_states,) * 2 + batch)
    for s, a, n in np.argwhere(tables[0]):
        expected[s, n] += weights[s, a] * tables[0][s, a, n]
    assert_close(found, expected, **CLOSE)


@batches
@kernels
def test_push_is_the_transpose_of_expect_and_conserves_the_mass_that_moves(kind, batch, rng):
    kernel, tables = kernel_and_tables(kind)
    values, mass = random_inputs(rng, kernel, batch)
    mass = mass * leading(tables[0], mass)
    expected, pushed = expect_and_push(kernel, jnp.int32(0), values, mass)
    assert_close(np.vdot(pushed, values), np.vdot(mass, expected), rtol=1e-12, atol=1e-12)
    assert_close(pushed.sum(axis=0), mass.sum(axis=(0, 1)), rtol=1e-13)  # rows sum to 1
    assert (pushed >= 0).all()


@pytest.mark.parametrize("kind", ["dense over time", "successors with gaps over time", "moves with gaps"])
def test_reverse_mode_of_push_is_expect_and_that_of_expect_is_push(kind, rng):
    kernel, tables = kernel_and_tables(kind)
    values, mass = random_inputs(rng, kernel, ())
    mass = mass * leading(tables[0], mass)

    @jax.jit
    def pull(values, mass):
        now = kernel.at(jnp.int32(0))
        return jax.vjp(now.push, mass)[1](values)[0], jax.vjp(now.expect, values)[1](mass)[0]

    from_push, from_expect = pull(values, mass)
    expected = expect_by_loops(tables[0], values)  # 0 at absent moves, from where nothing is pushed
    assert_close(from_push, expected, **CLOSE)
    assert_close(from_expect, push_by_loops(tables[0], mass), **CLOSE)


def test_predecessors_of_a_hub_take_at_most_twice_the_entries():
    kernel, _ = kernel_and_tables("star of moves")
    stored = sum(bucket.size for bucket in kernel.predecessors.buckets)
    moves = int((np.asarray(kernel.leads)).sum())
    assert stored <= 2 * moves  # one padded table would take 65 · 64


def test_unavailable_moves_carry_no_mass_and_stay_finite():
    kernel = mfg.MovesKernel([[1, -1], [-1, 0]])
    assert_close(kernel.push(jnp.array([[0.5, 7.0], [9.0, 0.25]])), [0.25, 0.5])
    assert np.isfinite(kernel.expect(jnp.array([1.0, 2.0]))).all()
    assert_close(kernel.probabilities[0, ..., 0], [[1, 0], [0, 1]])


def test_a_state_that_nobody_reaches_receives_nothing():
    kernel = mfg.MovesKernel([[1, 1], [1, 1], [0, 1]])
    assert_close(kernel.push(jnp.ones((3, 2))), [1.0, 5.0, 0.0])
    lists = mfg.SuccessorKernel([[[0, -1]], [[0, 1]]], [[[1.0, 0.0]], [[0.25, 0.75]]])
    assert_close(lists.push(jnp.array([[1.0], [4.0]])), [2.0, 3.0])


def test_other_probabilities_may_be_put_into_a_kernel_under_jit(rng):
    kernel, _ = kernel_and_tables("successors")
    p = rng.dirichlet(np.ones(2), size=(S, A))
    mass = jnp.asarray(rng.random((S, A)))
    moved = jax.jit(lambda p: kernel.with_probabilities(p).push(mass))(p)
    again = mfg.SuccessorKernel(np.asarray(kernel.successors), p).push(mass)
    assert_close(moved, again, atol=1e-15)


@pytest.mark.parametrize("kind", ["dense", "successors", "moves"])
def test_kernels_keep_single_precision(kind, rng):
    kernel, tables = kernel_and_tables(kind)
    single = jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, kernel)
    values, mass = (x.astype(np.float32) for x in random_inputs(rng, kernel, ()))
    expected, pushed = expect_and_push(single, jnp.int32(0), values, mass)
    assert expected.dtype == pushed.dtype == np.float32
    # a dozen roundings of 6e-8 relative to numbers near 1
    assert_close(expected, expect_by_loops(tables[0], values), atol=2e-6)
    assert_close(pushed, push_by_loops(tables[0], mass), atol=2e-6)
