"""Values from a few draws at each step."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array
from .base import AbstractLearner, Task, count
from .sampling import next_mean_field


class State(NamedTuple):
    """Law and action values."""

    z: Array
    q: Array


class FewDraws(AbstractLearner):
    """Back action values up once at each step, with the mean of n draws of the next state for the expectation.

    Args:
      num_samples: n ≥ 1, of each pair, and of the next population.
    """

    num_samples: int = eqx.field(static=True)

    def __init__(self, num_samples: int = 1_000):
        self.num_samples = count("num_samples", num_samples)

    def init(self, task: Task, key: Array, z: Array) -> State:
        return State(z, jnp.zeros((task.game.num_states, task.game.num_actions), z.dtype))

    def step(self, task: Task, state: State, key: Array) -> State:
        first, second = jax.random.split(key)
        S, A = state.q.shape
        draw, backup = task.simulator(state.z), task.backup(state.q)
        pairs = jnp.meshgrid(jnp.arange(S), jnp.arange(A), jnp.arange(self.num_samples), indexing="ij")
        ahead = backup.values[draw(first, *pairs[:2])].mean(axis=2)
        z = next_mean_field(draw, second, state.z, backup.policy, self.num_samples)
        return State(z, task.reward(state.z) + task.game.discount * ahead)

    def policy(self, task: Task, state: State) -> Array:
        return task.backup(state.q).policy
