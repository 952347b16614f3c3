"""Independent Q-learning: every agent for itself, blind to the others."""

from collections.abc import Callable

import equinox as eqx

from .. import _checks
from .._typing import Array
from .base import AbstractLearner, Task, step_size
from .mfq import AgentsState, act_and_learn, mean_policy, start_agents


class IQL(AbstractLearner):
    """Let every agent learn TQ-values `[S, A]` of its own from its own moves, as if nobody else were there.

    Args:
      num_agents: I ≥ 1.
      rate: α as a callable of the number of the agent's visits, such as an optax schedule; None: n^−0.77.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Source: the baseline of Lee et al. (2021), arXiv:2006.11683, section 6.
    """

    num_agents: int = eqx.field(static=True)
    rate: Callable[[Array], Array]

    def __init__(self, num_agents: int = 1_000, *, rate: Callable[[Array], Array] | None = None):
        self.num_agents = _checks.integer_at_least("num_agents", num_agents, 1)
        self.rate = step_size("rate", rate)

    def init(self, task: Task, key: Array, z: Array) -> AgentsState:
        return start_agents(task, key, z, self.num_agents, 1)

    def step(self, task: Task, state: AgentsState, key: Array) -> AgentsState:
        return act_and_learn(task, state, key, self.rate, lambda after: state.seen)

    def policy(self, task: Task, state: AgentsState) -> Array:
        return mean_policy(task, state)
