"""Tables changed in place after a game was made: what is part of the game keeps its numbers, the rest follows."""

import collections
import functools

import equinox as eqx
import jax
import numpy as np
import pytest

import mfgjax as mfg

STAY = mfg.MovesKernel([[0], [1]])


def aligned(shape):
    """Zeros at an address whose memory JAX could share, on a CPU a multiple of 64."""
    size = 8 * int(np.prod(shape))
    memory = np.zeros(size + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    return memory[begin : begin + size].view(float).reshape(shape)


def pay(table, t, mean_field):
    return table + 0 * mean_field[:, None]


class Module(eqx.Module):
    table: np.ndarray

    def __call__(self, t, mean_field):
        return pay(self.table, t, mean_field)


class Named(collections.namedtuple("Named", "table")):
    def __call__(self, t, mean_field):
        return pay(self.table, t, mean_field)


class Plain:
    def __init__(self, table):
        self.table = table

    def __call__(self, t, mean_field):
        return pay(self.table, t, mean_field)


OWN = {
    "a table": lambda table: table,
    "a module": Module,
    "a named tuple": Named,
    "a partial of JAX": lambda table: jax.tree_util.Partial(pay, table),
    "an interaction": lambda table: mfg.PairwiseReward(mfg.rewards.OwnStateInteraction(table, 0 * table)),
    "a module in a reward": lambda table: mfg.PairwiseReward(Module(table)),
}
READ = {
    "an object": Plain,
    "a partial": lambda table: functools.partial(pay, table),
    "a default": lambda table: lambda t, mean_field, table=table: pay(table, t, mean_field),
    "a closure": lambda table: lambda t, mean_field: pay(table, t, mean_field),
    "a closure in a reward": lambda table: mfg.PairwiseReward(lambda t, mean_field: pay(table, t, mean_field)),
}


def responded(game):
    return mfg.respond(game, np.full((2, 2), 0.5), mfg.Greedy()).values[1]


def solved(game):
    return mfg.solve(game, mfg.Greedy()).values[1]


def swept(game):
    return mfg.sweep(game, beta=[1.0], outputs=("values",), progress=False)["values"].values[0, 1]


def changed(make, values=responded):
    """Return the values at the last time, before and after what a reward holds has risen from 0 to 5."""
    table = aligned((2, 1))
    game = mfg.FiniteHorizonGame(STAY, make(table), [0.5, 0.5], horizon=1)
    before = values(game)
    table += 5
    return [before.tolist(), values(game).tolist()]


@pytest.mark.parametrize("kind", OWN)
def test_what_is_part_of_a_game_is_copied_when_it_is_made(kind):
    assert changed(OWN[kind]) == [[0, 0], [0, 0]]


@pytest.mark.parametrize("kind", READ)
def test_what_a_function_reads_is_read_at_each_call(kind):
    assert changed(READ[kind]) == [[0, 0], [5, 5]]


@pytest.mark.parametrize("values", [solved, swept])
def test_equilibria_and_sweeps_read_the_same(values):
    assert changed(OWN["a module"], values) == [[0, 0], [0, 0]]
    assert changed(READ["a closure"], values) == [[0, 0], [5, 5]]


def test_the_numbers_of_a_kernel_that_is_a_module_are_copied():
    class Leaning(eqx.Module):
        share: np.ndarray

        def __call__(self, t, mean_field):
            return jax.numpy.stack([1 - self.share, self.share], axis=-1)[:, None]

    share = aligned((2,))
    game = mfg.FiniteHorizonGame(
        Leaning(share), np.zeros((2, 1)), [1.0, 0.0], horizon=1, available=np.ones((2, 1), bool)
    )
    share += 1
    assert mfg.propagate(game, np.ones((2, 1)))[1].tolist() == [1, 0]
