"""TMFQ-learning: one agent explores a simulator while the population stands still."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._modes import double_precision
from .._typing import Array, ArrayLike
from .base import AbstractLearner, Task, count, start_values, step_size, values_before
from .sampling import draw_actions, next_mean_field

DECAY = 0.98  # the default: `TMFQ` says what bias it removes


class TMFQState(NamedTuple):
    """Law, action values, visits of each pair, where the agent is, and the number of updates of the last step."""

    z: Array
    q: Array
    visits: Array
    state: Array
    num_updates: Array


class TMFQ(AbstractLearner):
    """TMFQ-learning: learn TQ-values in a simulator that keeps the population at z_k, then move the population once.

    TQ-values are the action values of an agent that errs with probability ε (see `Trembling`), and G(Q) the values of
    the states.

        Q(s_t,a_t) ← (1 − α) Q(s_t,a_t) + α (r(s_t,a_t,z_k) + γ G(Q)(s_{t+1})),   a_t ~ π_Q^ε(s_t),   t < T₀

    then z_{k+1} = Next-MF(z_k, π_Q^ε). The agent starts in a state drawn from z_0. Algorithm 2 of the paper is
    `TMFQ(tolerance=ε₁, restart=True)`.

    Args:
      num_updates: T₀ ≥ 1, the maximal number of updates in each population.
      num_samples: M ≥ 1, the number of draws of Next-MF.
      stratified: whether Next-MF draws from strata, see `next_mean_field`.
      rate: α as a callable of the number of visits of the pair, such as an optax schedule; None: n^−0.77.
      decay: factor on the numbers of visits each time the population moves, in [0, 1]; None: 0.98. With 0 visits are
        counted anew, and the first one replaces what was learned before: on Infection Spread at c_f = 0.3 mean health,
        13.78, is then 1.24 too low with 10,000 updates and 0.73 with 30,000; with 0.98 it is within 0.1.
      initial_q: Q₀, one number or a table `[S, A]`.
      restart: whether learning begins anew in each population, with Q₀, no visits and a state drawn from z_k; otherwise
        it continues from where it was in the last population.
      tolerance: ε₁ > 0: stop learning in a population once an update changes a value by less. One update of one pair
        can be that small by accident. None: always T₀ updates.

    Raises:
      ValueError: if an argument is out of range or without effect, naming it.

    Source: Lee et al. (2021), arXiv:2006.11683, algorithm 2 and eq. (6).
    """

    num_updates: int = eqx.field(static=True)
    num_samples: int = eqx.field(static=True)
    stratified: bool = eqx.field(static=True)
    rate: Callable[[Array], Array]
    decay: Array
    initial_q: Any
    restart: bool = eqx.field(static=True)
    tolerance: Array | None

    def __init__(
        self,
        num_updates: int = 10_000,
        num_samples: int = 5_000,
        *,
        stratified: bool = False,
        rate: Callable[[Array], Array] | None = None,
        decay: float | None = None,
        initial_q: ArrayLike = 0.0,
        restart: bool = False,
        tolerance: float | None = None,
    ):
        self.num_updates, self.num_samples = count("num_updates", num_updates), count("num_samples", num_samples)
        self.stratified = _checks.boolean("stratified", stratified)
        self.rate = step_size("rate", rate)
        self.restart = _checks.boolean("restart", restart)
        if self.restart and decay is not None:
            raise ValueError("`decay` is without effect with `restart=True`, which counts visits anew.")
        visits_decay = 0.0 if self.restart else DECAY if decay is None else decay
        self.decay = _checks.scalar_in("decay", visits_decay, 0, 1, "[0, 1]")
        self.initial_q = start_values(initial_q)
        self.tolerance = None if tolerance is None else _positive(tolerance)

    def init(self, task: Task, key: Array, z: Array) -> TMFQState:
        if z.dtype.itemsize < 8 and self.num_updates > 2**24:
            raise ValueError(
                f"`num_updates` is {self.num_updates}, but float32 counts visits up to {2**24}; {double_precision()}."
            )
        q = values_before(task, self.initial_q, z.dtype)
        start = jax.random.choice(key, len(z), p=z)
        return TMFQState(z, q, jnp.zeros_like(q), start, jnp.int32(0))

    def step(self, task: Task, state: TMFQState, key: Array) -> TMFQState:
        explore, move, restart_key = jax.random.split(key, 3)  # three with or without `restart`: the same draws
        reward, draw, discount = task.reward(state.z), task.simulator(state.z), task.game.discount
        q, s = state.q, state.state
        if self.restart:
            q = values_before(task, self.initial_q, q.dtype)
            s = jax.random.choice(restart_key, len(state.z), p=state.z).astype(s.dtype)

        def update(carry: tuple) -> tuple:
            t, _, q, visits, s = carry
            action_key, move_key = jax.random.split(jax.random.fold_in(explore, t))
            # the row of s alone: policies of all states would cost S times as much at each of T₀ updates
            (a,) = draw_actions(action_key, task.backup_rows(q[s][None], s[None]).policy)
            next_state = draw(move_key, s, a)
            ahead = task.backup_rows(q[next_state][None], next_state[None]).values[0]
            visits = visits.at[s, a].add(1)
            change = self.rate(visits[s, a]).astype(q.dtype) * (reward[s, a] + discount * ahead - q[s, a])
            return t + 1, jnp.abs(change), q.at[s, a].add(change), visits, next_state.astype(s.dtype)

        # old visits count less, as the population has moved; no change yet is below any tolerance
        carry = (jnp.int32(0), jnp.full((), jnp.inf, q.dtype), q, self.decay.astype(q.dtype) * state.visits, s)
        if self.tolerance is None:
            carry = jax.lax.fori_loop(0, self.num_updates, lambda t, carry: update(carry), carry)
        else:
            bound = self.tolerance.astype(q.dtype)
            carry = jax.lax.while_loop(lambda c: (c[0] < self.num_updates) & (c[1] >= bound), update, carry)
        t, _, q, visits, s = carry
        policy = task.backup(q).policy
        z = next_mean_field(draw, move, state.z, policy, self.num_samples, stratified=self.stratified)
        return TMFQState(z, q, visits, s, t)

    def policy(self, task: Task, state: TMFQState) -> Array:
        return task.backup(state.q).policy


def _positive(tolerance: float) -> Array:
    return _checks.scalar_in("tolerance", tolerance, 0, float("inf"), "(0, inf)")
