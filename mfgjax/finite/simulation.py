"""The result of `simulate`: counts and rewards of finite populations over time."""

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._display import Page, Part, shows_itself
from .._modes import in_own_modes
from .._shown_laws import MOST_SHOWN, law_parts
from .._typing import Array, Float, Int


@shows_itself
class Simulation(eqx.Module):
    """The result of `simulate`: simulated populations, many runs of each.

    `*batch` are the axes of `num_agents` and of the policies; it is empty for one population.

    Attributes:
      num_agents: N, `[*batch]`.
      counts: number of agents in each state, deviator included: whole numbers `[T, S, *batch, runs]` that add up to N
        exactly.
      rewards: average reward of the agents at each time, minus KL terms if a response was given, `[T, *batch, runs]`,
        in units of reward.
      discount: γ.
      states: the states of labelled agents, `[T, N, *batch, runs]`; the deviator is the first. None without labels.
      actions: their actions, in the same shape.
      deviator_states: the states of the agent that deviates, `[T, *batch, runs]`. None without a deviator.
      deviator_actions: its actions, in the same shape.
      deviator_rewards: its rewards, `[T, *batch, runs]`.
      state_labels: the names of the states, as in the game.
    """

    num_agents: Int[Array, "*batch"]
    counts: Int[Array, "T S *batch runs"]
    rewards: Float[Array, "T *batch runs"]
    discount: Float[Array, ""]
    states: Int[Array, "T N *batch runs"] | None
    actions: Int[Array, "T N *batch runs"] | None
    deviator_states: Int[Array, "T *batch runs"] | None
    deviator_actions: Int[Array, "T *batch runs"] | None
    deviator_rewards: Float[Array, "T *batch runs"] | None
    state_labels: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    @in_own_modes
    def flows(self) -> Float[Array, "T S *batch runs"]:
        """The empirical flows μ^N_t(s), counts/N."""
        return self.counts.astype(self.rewards.dtype) / self.num_agents.astype(self.rewards.dtype)[..., None]

    @property
    def value(self) -> Float[Array, "*batch"]:
        """Mean over the runs of Σ_t γ^t (average reward at t): an estimate of J^N."""
        return self._discounted(self.rewards).mean(axis=-1)

    @property
    def standard_error(self) -> Float[Array, "*batch"]:
        """Standard error of `value`; NaN for a single run."""
        # of the sums over time, as rewards of one run are correlated over time
        return _standard_error(self._discounted(self.rewards))

    @property
    def deviator_value(self) -> Float[Array, "*batch"]:
        """Mean over the runs of what the deviator earns."""
        return self._discounted(self._of_deviator()).mean(axis=-1)

    @property
    def deviator_standard_error(self) -> Float[Array, "*batch"]:
        """Standard error of `deviator_value`."""
        return _standard_error(self._discounted(self._of_deviator()))

    def _of_deviator(self) -> Array:
        if self.deviator_rewards is None:
            raise ValueError("There is no deviator: give `finite.simulate` the policy of one agent as `deviation`.")
        return self.deviator_rewards

    def _discounted(self, rewards: Array) -> Array:
        weight = self.discount ** jnp.arange(rewards.shape[0], dtype=rewards.dtype)
        # at full precision, also on accelerators
        return jnp.tensordot(weight, rewards, axes=1, precision=jax.lax.Precision.HIGHEST)

    def _page(self) -> Page:
        T, S, *batch, runs = self.counts.shape
        text = f"{runs} runs of {T} times, {S} states"
        if not batch:
            text += f", {int(self.num_agents):,} agents"
        if not batch and self.rewards.size <= MOST_SHOWN:
            rewards = np.asarray(self.rewards, float)  # in NumPy, as a `repr` compiles nothing
            values = np.asarray(self.discount, float) ** np.arange(T) @ rewards
            error = values.std(ddof=1) / np.sqrt(runs) if runs > 1 else np.nan
            text += f": value {values.mean():.6g} ± {error:.1g}"
        return Page(type(self).__name__, text, details=self._details)

    def _details(self) -> Iterator[Part]:
        if self.counts.ndim == 3 and self.counts.size <= MOST_SHOWN:
            law = np.asarray(self.counts).mean(axis=2) / int(self.num_agents)
            yield from law_parts(law, self.state_labels, "mean share of the agents in each state, over time")


@in_own_modes
def _standard_error(values: Array) -> Array:
    return values.std(axis=-1, ddof=1) / jnp.sqrt(jnp.asarray(values.shape[-1], values.dtype))
