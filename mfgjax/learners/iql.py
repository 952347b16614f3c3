"""Independent Q-learning: every agent learns alone and sees nothing of the others."""

from collections.abc import Callable
from typing import Any

import equinox as eqx

from .._typing import Array, ArrayLike
from .base import AbstractLearner, Task, count, start_values, step_size
from .mfq import AgentsState, act_and_learn, mean_policy, start_agents


class IQL(AbstractLearner):
    """Independent Q-learning: every agent learns action values `[S, A]` from its own moves and ignores the others.

    These are TQ-values, the action values of an agent that errs with probability ε (see `Trembling`).

    Agents start in states drawn from z_0. An agent makes one move at each step, so for hundreds of steps Q₀ and the tie
    rule of the response decide what it plays: with Q₀ = 0 and positive rewards what was tried first looks best.

    Args:
      num_agents: I ≥ 1.
      rate: α as a callable of the number of the agent's visits, such as an optax schedule; None: n^−0.77.
      initial_q: Q₀ of every agent, one number or a table `[S, A]`.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Source: the baseline of Lee et al. (2021), arXiv:2006.11683, section 6.
    """

    num_agents: int = eqx.field(static=True)
    rate: Callable[[Array], Array]
    initial_q: Any

    def __init__(
        self,
        num_agents: int = 1_000,
        *,
        rate: Callable[[Array], Array] | None = None,
        initial_q: ArrayLike = 0.0,
    ):
        self.num_agents = count("num_agents", num_agents)
        self.rate = step_size("rate", rate)
        self.initial_q = start_values(initial_q)

    def init(self, task: Task, key: Array, z: Array) -> AgentsState:
        return start_agents(task, key, z, self.num_agents, 1, self.initial_q)

    def step(self, task: Task, state: AgentsState, key: Array) -> AgentsState:
        # blind: there is one bin, and what is seen never changes
        return act_and_learn(task, state, key, self.rate, lambda after: state.seen)

    def policy(self, task: Task, state: AgentsState) -> Array:
        return mean_policy(task, state)
