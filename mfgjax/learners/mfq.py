"""Mean-field Q-learning: every agent learns alone, with values that depend on the mean state of some agents."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array, ArrayLike
from .base import AbstractLearner, Task, count, refuse_size, start_values, step_size, values_before
from .sampling import draw_actions, histogram


class AgentsState(NamedTuple):
    """Law, action values and visits of every agent, `[I, bins, S, A]`, where each is, and what each last saw."""

    z: Array
    q: Array
    visits: Array
    states: Array
    seen: Array


class MFQ(AbstractLearner):
    """Mean-field Q-learning: every agent learns action values of (what it sees of the others, s, a) from its moves.

    These are TQ-values, the action values of an agent that errs with probability ε (see `Trembling`).

    An agent sees the mean state of some agents, drawn anew at each step from all (with replacement, itself among them),
    in one of a few bins of equal width from 0 to S. Agents start in states drawn from z_0, and look before they first
    act. As for `IQL`, Q₀ and the tie rule of the response decide for hundreds of steps what they play.

    Args:
      num_agents: I ≥ 1.
      bins: number of bins.
      num_seen: number of agents that an agent sees.
      rate: α as a callable of the number of the agent's visits, such as an optax schedule; None: n^−0.77.
      initial_q: Q₀ of every agent and in every bin, one number or a table `[S, A]`.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Source: the variant of Yang et al. (2018), ICML, with which Lee et al. (2021), arXiv:2006.11683, section 6, compare.
    """

    num_agents: int = eqx.field(static=True)
    bins: int = eqx.field(static=True)
    num_seen: int = eqx.field(static=True)
    rate: Callable[[Array], Array]
    initial_q: Any

    def __init__(
        self,
        num_agents: int = 1_000,
        *,
        bins: int = 5,
        num_seen: int = 25,
        rate: Callable[[Array], Array] | None = None,
        initial_q: ArrayLike = 0.0,
    ):
        self.num_agents, self.bins = count("num_agents", num_agents), count("bins", bins)
        self.num_seen = count("num_seen", num_seen)
        self.rate = step_size("rate", rate)
        self.initial_q = start_values(initial_q)

    def init(self, task: Task, key: Array, z: Array) -> AgentsState:
        refuse_size("`num_agents` · `num_seen`", self.num_agents * self.num_seen)
        refuse_size("`num_seen` · `bins` · S", self.num_seen * self.bins * len(z))
        state = start_agents(task, key, z, self.num_agents, self.bins, self.initial_q)
        # not by the key that drew the states
        return state._replace(seen=self._look(jax.random.fold_in(key, 1), state.states, len(z)))

    def _look(self, key: Array, states: Array, num_states: int) -> Array:
        seen = jax.random.randint(key, (self.num_agents, self.num_seen), 0, self.num_agents)
        # whole numbers, so that no mean at the edge of a bin is rounded into the next
        total = states[seen].sum(axis=1, dtype=jnp.int32)
        return total * self.bins // (self.num_seen * num_states)

    def step(self, task: Task, state: AgentsState, key: Array) -> AgentsState:
        act, look = jax.random.split(key)
        return act_and_learn(task, state, act, self.rate, lambda after: self._look(look, after, len(state.z)))

    def policy(self, task: Task, state: AgentsState) -> Array:
        return mean_policy(task, state)


def start_agents(task: Task, key: Array, z: Array, num_agents: int, bins: int, initial_q: Any) -> AgentsState:
    """Return agents in random places of a population, each with values Q₀."""
    S, A = task.game.num_states, task.game.num_actions
    refuse_size(f"action values of {num_agents} agents", num_agents * bins * S * A)
    states = jax.random.choice(key, S, (num_agents,), p=z).astype(jnp.int32)
    q = jnp.broadcast_to(values_before(task, initial_q, z.dtype), (num_agents, bins, S, A))
    # the law is that of the agents drawn, from which z differs
    return AgentsState(histogram(states, S, z.dtype), q, jnp.zeros_like(q), states, jnp.zeros(num_agents, jnp.int32))


def act_and_learn(
    task: Task, state: AgentsState, key: Array, rate: Callable[[Array], Array], look: Callable[[Array], Array]
) -> AgentsState:
    """Let every agent act once by its own values, and update the one it used; `look` tells what is seen next."""
    action_key, move_key = jax.random.split(key)
    agents, s, seen = jnp.arange(len(state.states)), state.states, state.seen
    actions = draw_actions(action_key, task.backup_rows(state.q[agents, seen, s], s).policy)
    next_states = task.simulator(state.z)(move_key, s, actions).astype(s.dtype)
    seen_next = look(next_states)
    ahead = task.backup_rows(state.q[agents, seen_next, next_states], next_states).values
    index = (agents, seen, s, actions)  # each agent once: no two updates fall on one entry
    visits = state.visits.at[index].add(1)
    alpha = jax.vmap(rate)(visits[index]).astype(ahead.dtype)
    target = task.reward(state.z)[s, actions] + task.game.discount * ahead
    q = state.q.at[index].add(alpha * (target - state.q[index]))
    return AgentsState(histogram(next_states, len(state.z), state.z.dtype), q, visits, next_states, seen_next)


def mean_policy(task: Task, state: AgentsState) -> Array:
    """Return the mean over all agents of what each would play, given what it last saw, in every state."""
    q_as_seen = state.q[jnp.arange(len(state.states)), state.seen]
    return jax.vmap(lambda q: task.backup(q).policy)(q_as_seen).mean(axis=0)
