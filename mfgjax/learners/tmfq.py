"""TMFQ-learning: one agent explores a simulator while the population stands still."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._typing import Array
from .base import AbstractLearner, Task, step_size
from .sampling import draw_actions, next_mean_field


class TMFQState(NamedTuple):
    """Law, action values, visits of each pair, and where the agent is."""

    z: Array
    q: Array
    visits: Array
    state: Array


class TMFQ(AbstractLearner):
    """Learn TQ-values in a simulator that holds the population at z_k, then move the population once.

        Q(s_t,a_t) ← (1 − α) Q(s_t,a_t) + α (r(s_t,a_t,z_k) + γ G(Q)(s_{t+1})),   a_t ~ π_Q^ε(s_t),   t < T₀

    then z_{k+1} = Next-MF(z_k, π_Q^ε). Values go on from one population to the next. The paper stops when one update is
    small, which an asynchronous update is by accident; here T₀ is fixed.

    Args:
      num_updates: T₀ ≥ 1.
      num_samples: M ≥ 1, draws of Next-MF.
      stratified: draw them from strata.
      rate: α as a callable of the number of visits of the pair, such as an optax schedule; None: n^−0.77.
      decay: what remains of the visits from one population to the next, in [0, 1]; 0 starts them anew, as printed.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Source: Lee et al. (2021), arXiv:2006.11683, algorithm 2 and eq. (6).
    """

    num_updates: int = eqx.field(static=True)
    num_samples: int = eqx.field(static=True)
    stratified: bool = eqx.field(static=True)
    rate: Callable[[Array], Array]
    decay: Array

    def __init__(
        self,
        num_updates: int = 10_000,
        num_samples: int = 5_000,
        *,
        stratified: bool = False,
        rate: Callable[[Array], Array] | None = None,
        decay: float = 0.0,
    ):
        self.num_updates = _checks.integer_at_least("num_updates", num_updates, 1)
        self.num_samples = _checks.integer_at_least("num_samples", num_samples, 1)
        self.stratified = _checks.boolean("stratified", stratified)
        self.rate = step_size("rate", rate)
        self.decay = _checks.scalar_in("decay", decay, 0, 1, "[0, 1]")

    def init(self, task: Task, key: Array, z: Array) -> TMFQState:
        nothing = jnp.zeros((task.game.num_states, task.game.num_actions), z.dtype)
        start = jax.random.choice(key, len(z), p=z)
        return TMFQState(z, nothing, nothing, start)

    def step(self, task: Task, state: TMFQState, key: Array) -> TMFQState:
        explore, move = jax.random.split(key)
        reward, draw, discount = task.reward(state.z), task.simulator(state.z), task.game.discount

        def update(carry: tuple, key: Array) -> tuple[tuple, None]:
            q, visits, s = carry
            first, second = jax.random.split(key)
            (a,) = draw_actions(first, task.backup_rows(q[s][None], s[None]).policy)
            after = draw(second, s, a)
            ahead = task.backup_rows(q[after][None], after[None]).values[0]
            visits = visits.at[s, a].add(1)
            alpha = self.rate(visits[s, a]).astype(q.dtype)
            q = q.at[s, a].add(alpha * (reward[s, a] + discount * ahead - q[s, a]))
            return (q, visits, after.astype(s.dtype)), None

        carry = (state.q, self.decay.astype(state.q.dtype) * state.visits, state.state)
        (q, visits, s), _ = jax.lax.scan(update, carry, jax.random.split(explore, self.num_updates))
        policy = task.backup(q).policy
        z = next_mean_field(draw, move, state.z, policy, self.num_samples, stratified=self.stratified)
        return TMFQState(z, q, visits, s)

    def policy(self, task: Task, state: TMFQState) -> Array:
        return task.backup(state.q).policy
