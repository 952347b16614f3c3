"""Random next states, actions and populations: the simulator of a game, and estimates of the next mean field."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import _checks
from .._display import shows_itself
from .._modes import in_own_modes
from .._typing import Array
from ..model import StationaryGame

Draw = Callable[[Array, Array, Array], Array]
"""`(key, states, actions) -> next states`, integers of one shape: what a simulator does in one population."""


@shows_itself
class GameSimulator(eqx.Module):
    """The simulator of a game: z ↦ a function that draws s' ~ P(·|s,a,z).

    Any callable of this form can be used instead, such as one that calls your own simulator: learners use nothing else
    to sample moves.

    Args:
      game: the game whose kernel is sampled.
    """

    game: StationaryGame

    @in_own_modes
    def __call__(self, z: Array) -> Draw:
        """Return `draw(key, states, actions)` for integer arrays of one shape, in a population with law z."""
        S, A = self.game.num_states, self.game.num_actions
        if S * A * S > 2**31 - 1:  # `base.MOST`; base imports this file
            raise ValueError(
                f"sampling {S} states and {A} actions needs a table of {S * A * S} numbers, more than int32 can index; "
                "give a `simulator` of your own."
            )
        kernel = self.game.kernel_at(jnp.int32(0), z)
        return table_draw(kernel.expect(jnp.eye(S, dtype=self.game.dtype)))


def table_draw(rows: Array) -> Draw:
    """Return `draw(key, states, actions)` for a table of probabilities of the next state, `[S, A, S]`."""
    S, A = rows.shape[:2]
    table = cumulated(rows).reshape(-1)

    @in_own_modes
    def draw(key: Array, states: Array, actions: Array) -> Array:
        row = (states * A + actions) * S  # in the flat table: rows of all agents, [N, S], are never formed
        u = jax.random.uniform(key, jnp.shape(states), table.dtype)
        low, high = jnp.zeros_like(row), jnp.full_like(row, S - 1)
        for _ in range((S - 1).bit_length()):  # the first state whose cumulated probability exceeds u
            middle = (low + high) // 2
            beyond = u >= table[row + middle]
            low, high = jnp.where(beyond, middle + 1, low), jnp.where(beyond, high, middle)
        return low

    return draw


def cumulated(rows: Array) -> Array:
    """Return cumulated probabilities along the last axis, infinite from the last possible entry on.

    That entry takes what rounding leaves: a sum of 1 − 1e-7 would lead to an impossible last entry now and then.
    """
    possible_after = jnp.flip(jnp.cumsum(jnp.flip(rows > 0, -1), axis=-1), -1) - (rows > 0)
    return jnp.where(possible_after > 0, jnp.cumsum(rows, axis=-1), jnp.inf)


class OwnSimulator(eqx.Module):
    """A user's simulator, whose next states are converted to the integer type of the states."""

    simulator: Callable[[Array], Draw]

    def __call__(self, z: Array) -> Draw:
        draw = self.simulator(z)
        return lambda key, states, actions: jnp.asarray(draw(key, states, actions)).astype(states.dtype)


def draw_actions(key: Array, rows: Array) -> Array:
    """Return one action for each row of a table of policies `[N, A]`."""
    u = jax.random.uniform(key, rows.shape[:1], rows.dtype)
    beyond = u[:, None] >= cumulated(rows)[:, :-1]
    return beyond.sum(axis=1)


@in_own_modes
def next_mean_field(
    draw: Draw, key: Array, z: Array, policy: Array, num_samples: int, *, stratified: bool = False
) -> Array:
    """Estimate Φ(z, π) from draws: the law of the next states of `num_samples` agents (the Next-MF scheme).

    Args:
      draw: the function that draws next states in the population z, such as `GameSimulator(game)(z)`.
      key: random key of the draws.
      z: law of the states, `[S]`.
      policy: `[S, A]`.
      num_samples: M, the number of draws.
      stratified: whether to take one pair (s, a) in each of M equal parts of z ⊗ π instead of independent pairs: less
        variance, no bias.

    Returns:
      A law `[S]` in multiples of 1/M.

    Raises:
      ValueError: if `z` or a row of the policy is not a probability law.

    Example:
      >>> import jax, mfgjax as mfg, numpy as np
      >>> game, z = mfg.games.mturk(), np.full(25, 1 / 25)
      >>> draw = mfg.learners.GameSimulator(game)(z)
      >>> mfg.learners.next_mean_field(draw, jax.random.key(0), z, np.full((25, 5), 0.2), 1000).shape
      (25,)

    Source: the scheme that Lee et al. (2021), arXiv:2006.11683, section 4.1, call Next-MF; its details are in their
    supplement.
    """
    if not _checks.is_traced((z, policy)):
        _checks.distribution("z", _checks.as_numbers("z", z))
        _checks.distribution("policy", _checks.as_numbers("policy", policy), leading=1)
    z, policy = jnp.asarray(z), jnp.asarray(policy)
    pair_key, move_key = jax.random.split(key)
    u = jax.random.uniform(pair_key, (num_samples,), z.dtype)
    if stratified:  # one number in each of M equal parts, evenly spread within: still without bias
        u = (jnp.arange(num_samples) + u) / num_samples
    pairs = jnp.searchsorted(cumulated((z[:, None] * policy).reshape(-1)), u, side="right")
    states, actions = jnp.divmod(pairs, policy.shape[1])
    return histogram(draw(move_key, states, actions), len(z), z.dtype)


def histogram(states: Array, num_states: int, dtype: Any) -> Array:
    """Return the empirical law of many states."""
    # whole numbers: in float32, 1/n added ten million times misses by percents
    return jnp.zeros(num_states, jnp.int32).at[states].add(1).astype(dtype) / states.size
