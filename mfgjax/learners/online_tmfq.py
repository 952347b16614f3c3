"""Online TMFQ-learning: the population explores for all, without a simulator."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._typing import Array
from .base import AbstractLearner, Task
from .sampling import draw_actions, histogram


class OnlineState(NamedTuple):
    """Law, action values, weights of the moves in memory `[S, A, S]`, and where the agents are."""

    z: Array
    q: Array
    memory: Array
    states: Array


class OnlineTMFQ(AbstractLearner):
    """Let all agents act once by π_{k−1}, put their moves in a memory, and learn TQ-values from that.

    Learning from a memory until nothing changes gives the TQ-values of its frequencies; pairs that it does not hold
    keep their values. `sweeps` of value iteration from the last values do that here.

    Args:
      num_agents: I ≥ 1.
      memory: "running": moves k steps ago count decay^k; "reset": those of this step alone, as printed, which with
        1,000 agents misses rare pairs and is biased low.
      decay: of a running memory, in [0, 1].
      sweeps: of value iteration at each step.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Source: Lee et al. (2021), arXiv:2006.11683, algorithm 3.
    """

    num_agents: int = eqx.field(static=True)
    memory: str = eqx.field(static=True)
    decay: Array
    sweeps: int = eqx.field(static=True)

    def __init__(self, num_agents: int = 1_000, memory: str = "running", *, decay: float = 0.98, sweeps: int = 40):
        self.num_agents = _checks.integer_at_least("num_agents", num_agents, 1)
        _checks.one_of("memory", memory, ("running", "reset"))
        self.memory = str(memory)
        self.decay = _checks.scalar_in("decay", decay, 0, 1, "[0, 1]")
        self.sweeps = _checks.integer_at_least("sweeps", sweeps, 1)

    def init(self, task: Task, key: Array, z: Array) -> OnlineState:
        S, A = task.game.num_states, task.game.num_actions
        states = jax.random.choice(key, S, (self.num_agents,), p=z)
        law = histogram(states, S, z.dtype)
        return OnlineState(law, jnp.zeros((S, A), z.dtype), jnp.zeros((S, A, S), z.dtype), states)

    def step(self, task: Task, state: OnlineState, key: Array) -> OnlineState:
        first, second = jax.random.split(key)
        actions = draw_actions(first, task.backup(state.q).policy[state.states])
        after = task.simulator(state.z)(second, state.states, actions)
        kept = self.decay.astype(state.q.dtype) * state.memory if self.memory == "running" else 0 * state.memory
        memory = kept.at[state.states, actions, after].add(1)
        weight = memory.sum(axis=2)
        frequencies = memory / jnp.where(weight > 0, weight, 1)[:, :, None]
        reward = task.reward(state.z)

        def sweep(q: Array, _: None) -> tuple[Array, None]:
            ahead = jnp.tensordot(frequencies, task.backup(q).values, axes=1)
            return jnp.where(weight > 0, reward + task.game.discount * ahead, q), None

        q, _ = jax.lax.scan(sweep, state.q, None, length=self.sweeps)
        return OnlineState(histogram(after, len(state.z), state.z.dtype), q, memory, after)

    def policy(self, task: Task, state: OnlineState) -> Array:
        return task.backup(state.q).policy
