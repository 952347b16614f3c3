"""Mean-field Q-learning: every agent for itself, with values that depend on a look at the others."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._typing import Array
from .base import AbstractLearner, Task, step_size
from .sampling import draw_actions, histogram


class AgentsState(NamedTuple):
    """Law, action values and visits of every agent, `[I, bins, S, A]`, where each is, and what each last saw."""

    z: Array
    q: Array
    visits: Array
    states: Array
    seen: Array


class MFQ(AbstractLearner):
    """Let every agent learn TQ-values of its own over (what it sees of the others, s, a), from its own moves.

    An agent sees the mean state of some others, drawn anew at each step, in one of a few bins of equal width.

    Args:
      num_agents: I ≥ 1.
      bins: number of bins.
      num_seen: how many others are looked at.
      rate: α as a callable of the number of the agent's visits, such as an optax schedule; None: n^−0.77.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Source: the variant of Yang et al. (2018), ICML, with which Lee et al. (2021), arXiv:2006.11683, section 6, compare.
    """

    num_agents: int = eqx.field(static=True)
    bins: int = eqx.field(static=True)
    num_seen: int = eqx.field(static=True)
    rate: Callable[[Array], Array]

    def __init__(
        self,
        num_agents: int = 1_000,
        *,
        bins: int = 5,
        num_seen: int = 25,
        rate: Callable[[Array], Array] | None = None,
    ):
        self.num_agents = _checks.integer_at_least("num_agents", num_agents, 1)
        self.bins = _checks.integer_at_least("bins", bins, 1)
        self.num_seen = _checks.integer_at_least("num_seen", num_seen, 1)
        self.rate = step_size("rate", rate)

    def init(self, task: Task, key: Array, z: Array) -> AgentsState:
        return start_agents(task, key, z, self.num_agents, self.bins)

    def _look(self, key: Array, states: Array, num_states: int) -> Array:
        others = jax.random.randint(key, (self.num_agents, self.num_seen), 0, self.num_agents)
        mean = states[others].mean(axis=1)
        return jnp.minimum((mean * self.bins / num_states).astype(jnp.int32), self.bins - 1)

    def step(self, task: Task, state: AgentsState, key: Array) -> AgentsState:
        act, look = jax.random.split(key)
        return act_and_learn(task, state, act, self.rate, lambda after: self._look(look, after, len(state.z)))

    def policy(self, task: Task, state: AgentsState) -> Array:
        return mean_policy(task, state)


def start_agents(task: Task, key: Array, z: Array, num_agents: int, bins: int) -> AgentsState:
    """Return agents in random places of a population, whose values are all 0."""
    S, A = task.game.num_states, task.game.num_actions
    states = jax.random.choice(key, S, (num_agents,), p=z).astype(jnp.int32)
    nothing = jnp.zeros((num_agents, bins, S, A), z.dtype)
    return AgentsState(histogram(states, S, z.dtype), nothing, nothing, states, jnp.zeros(num_agents, jnp.int32))


def act_and_learn(
    task: Task, state: AgentsState, key: Array, rate: Callable[[Array], Array], look: Callable[[Array], Array]
) -> AgentsState:
    """Let every agent act once by its own values, and update the one it used; `look` tells what is seen next."""
    first, second = jax.random.split(key)
    agents, s, seen = jnp.arange(len(state.states)), state.states, state.seen
    actions = draw_actions(first, task.backup_rows(state.q[agents, seen, s], s).policy)
    after = task.simulator(state.z)(second, s, actions).astype(s.dtype)
    seen_next = look(after)
    ahead = task.backup_rows(state.q[agents, seen_next, after], after).values
    place = (agents, seen, s, actions)
    visits = state.visits.at[place].add(1)
    alpha = jax.vmap(rate)(visits[place]).astype(ahead.dtype)
    target = task.reward(state.z)[s, actions] + task.game.discount * ahead
    q = state.q.at[place].add(alpha * (target - state.q[place]))
    return AgentsState(histogram(after, len(state.z), state.z.dtype), q, visits, after, seen_next)


def mean_policy(task: Task, state: AgentsState) -> Array:
    """Return the mean over all agents of what each would play, given what it last saw, in every state."""
    own = state.q[jnp.arange(len(state.states)), state.seen]
    return jax.vmap(lambda q: task.backup(q).policy)(own).mean(axis=0)
