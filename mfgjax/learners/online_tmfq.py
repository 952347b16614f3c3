"""Online TMFQ-learning: values are learned from the moves of all agents of one population."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._typing import Array, ArrayLike
from .base import AbstractLearner, Task, count, refuse_size, start_values, step_size, values_before
from .sampling import draw_actions, histogram, table_draw

DECAY, SWEEPS = 0.98, 40


class OnlineState(NamedTuple):
    """Law, action values, weights of the moves in memory `[S, A, S]`, and where the agents are."""

    z: Array
    q: Array
    memory: Array
    states: Array


class OnlineTMFQ(AbstractLearner):
    """Online TMFQ-learning: all agents act once by π_{k−1}, and TQ-values are learned from a memory of their moves.

    TQ-values are the action values of an agent that errs with probability ε (see `Trembling`).

    Pairs that the memory does not hold keep their values. The values of the others are learned from the frequencies P̂
    in the memory, starting from the last values, in one of two ways:

        sweeps of value iteration:     Q(s,a) ← r(s,a,z_k) + γ Σ_s' P̂(s'|s,a) G(Q)(s')
        TQ-learning (`num_updates`):   Q(s,a) ← (1 − α_n) Q(s,a) + α_n (r(s,a,z_k) + γ G(Q)(s')),   s' ~ P̂(·|s,a)

    Both update all pairs at once. Each sweep multiplies the distance to the TQ-values of P̂ by γ. Agents start in
    states drawn from z_0. Algorithm 3 of the paper is `memory="reset"` with `num_updates`; the paper does not say how
    many.

    Args:
      num_agents: I ≥ 1.
      memory: "running": moves k steps ago count decay^k; "reset": only those of this step, as in the paper, which with
        1,000 agents misses rare pairs and is biased low: on Infection Spread at c_f = 0.3 mean health, 13.78, by 2.9;
        a running memory by 0.2.
      decay: of a running memory, in [0, 1]; None: 0.98.
      sweeps: number of sweeps of value iteration at each step; None: 40, which leave γ^40 of the distance (1e-12 at γ =
        0.5, but 1.5% at γ = 0.9).
      num_updates: number of updates of TQ-learning at each step, instead of sweeps.
      rate: α of TQ-learning as a callable of the number n of the update; None: n^−0.77.
      initial_q: Q₀, one number or a table `[S, A]`.

    Raises:
      ValueError: if an argument is out of range or without effect, naming it.

    Source: Lee et al. (2021), arXiv:2006.11683, algorithm 3; its TQ-learning is analysed as one of all pairs at once.
    """

    num_agents: int = eqx.field(static=True)
    memory: str = eqx.field(static=True)
    decay: Array
    sweeps: int | None = eqx.field(static=True)
    num_updates: int | None = eqx.field(static=True)
    rate: Callable[[Array], Array] | None
    initial_q: Any

    def __init__(
        self,
        num_agents: int = 1_000,
        memory: str = "running",
        *,
        decay: float | None = None,
        sweeps: int | None = None,
        num_updates: int | None = None,
        rate: Callable[[Array], Array] | None = None,
        initial_q: ArrayLike = 0.0,
    ):
        self.num_agents = count("num_agents", num_agents)
        _checks.one_of("memory", memory, ("running", "reset"))
        self.memory = str(memory)
        if memory == "reset" and decay is not None:
            raise ValueError('`decay` is without effect with `memory="reset"`, which keeps nothing.')
        memory_decay = 0.0 if memory == "reset" else DECAY if decay is None else decay
        self.decay = _checks.scalar_in("decay", memory_decay, 0, 1, "[0, 1]")
        if num_updates is not None and sweeps is not None:
            raise ValueError("`sweeps` and `num_updates` are two ways to learn from the memory; give one of them.")
        if num_updates is None and rate is not None:
            raise ValueError("`rate` is without effect without `num_updates`: sweeps have no step size.")
        self.num_updates = None if num_updates is None else count("num_updates", num_updates)
        self.sweeps = None if num_updates is not None else SWEEPS if sweeps is None else count("sweeps", sweeps)
        self.rate = None if num_updates is None else step_size("rate", rate)
        self.initial_q = start_values(initial_q)

    def init(self, task: Task, key: Array, z: Array) -> OnlineState:
        S, A = task.game.num_states, task.game.num_actions
        refuse_size(f"a memory of {S} states and {A} actions", S * A * S)
        states = jax.random.choice(key, S, (self.num_agents,), p=z)
        law = histogram(states, S, z.dtype)
        return OnlineState(law, values_before(task, self.initial_q, z.dtype), jnp.zeros((S, A, S), z.dtype), states)

    def step(self, task: Task, state: OnlineState, key: Array) -> OnlineState:
        action_key, move_key = jax.random.split(key)
        actions = draw_actions(action_key, task.backup(state.q).policy[state.states])
        next_states = task.simulator(state.z)(move_key, state.states, actions)
        # counted in whole numbers first: float32 does not add 1 to 2^24
        moves = jnp.zeros(state.memory.shape, jnp.int32).at[state.states, actions, next_states].add(1)
        memory = self.decay.astype(state.q.dtype) * state.memory + moves.astype(state.q.dtype)
        weight = memory.sum(axis=2)
        frequencies = memory / jnp.where(weight > 0, weight, 1)[:, :, None]
        # pairs never seen have rows of zeros here, and are left as they are by `weight > 0`
        learn = self._sweep if self.num_updates is None else self._update
        q = learn(task, state.q, task.reward(state.z), frequencies, weight > 0, jax.random.fold_in(key, 2))
        return OnlineState(histogram(next_states, len(state.z), state.z.dtype), q, memory, next_states)

    def _sweep(self, task: Task, q: Array, reward: Array, frequencies: Array, visited: Array, _: Array) -> Array:
        def sweep(_: Array, q: Array) -> Array:
            ahead = jnp.tensordot(frequencies, task.backup(q).values, axes=1)
            return jnp.where(visited, reward + task.game.discount * ahead, q)

        return jax.lax.fori_loop(0, self.sweeps, sweep, q)

    def _update(self, task: Task, q: Array, reward: Array, frequencies: Array, visited: Array, key: Array) -> Array:
        draw, rate = table_draw(frequencies), self.rate
        states, actions = jnp.indices(q.shape, jnp.int32)
        assert rate is not None

        def update(n: Array, q: Array) -> Array:
            ahead = task.backup(q).values[draw(jax.random.fold_in(key, n), states, actions)]
            # all pairs are updated at once, so that n counts the visits of each
            alpha = rate((n + 1).astype(q.dtype)).astype(q.dtype)
            return jnp.where(visited, q + alpha * (reward + task.game.discount * ahead - q), q)

        return jax.lax.fori_loop(0, self.num_updates, update, q)

    def policy(self, task: Task, state: OnlineState) -> Array:
        return task.backup(state.q).policy
