"""Groups of agents that follow one policy: a crowd that is counted, and agents that carry labels."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array, Float, Int, Scalar
from ..model import FiniteHorizonGame
from .draws import Stream, multinomial
from .moves import Moves


class Crowd(eqx.Module):
    """Agents without labels, known by how many are in each state: counts `[S, B, runs]`.

    Exchangeable agents are described whole by counts: given n_t, those at s spread over the actions by a
    multinomial, and those who take a at s over its successors by another. The cost does not depend on how many they
    are.

    Attributes:
      policy: π, one for every population, `[T, S, A, B]`.
      cost: of an action beside its reward, `[T, S, A, B]`.
      size: how many agents there are in each population.
    """

    policy: Float[Array, "T S A B"]
    cost: Float[Array, "T S A B"]
    size: Int[Array, " B"]

    def start(self, stream: Stream, game: FiniteHorizonGame) -> Int[Array, "S B runs"]:
        runs = stream.words.shape[1]
        return multinomial(
            stream, jnp.broadcast_to(self.size[:, None], (*self.size.shape, runs)), game.initial[:, None, None]
        )

    def act(self, stream: Stream, t: Scalar, state: Array) -> tuple[Int[Array, "S A B runs"], None]:
        """Draw how many take which action where, and the actions of labelled agents (here: none)."""
        return multinomial(stream, state, self.policy[t][..., None]), None

    def move(self, stream: Stream, moves: Moves, state: Array, mass: Array, actions: Array | None) -> Array:
        """Draw the next state."""
        return moves.of_crowd(stream, mass)


class Labelled(eqx.Module):
    """Agents with labels, known by the state of each, `[N, B, runs]`; actions and moves are drawn one by one.

    Attributes:
      policy: as in `Crowd`.
      cost: as in `Crowd`.
      size: N.
    """

    policy: Float[Array, "T S A B"]
    cost: Float[Array, "T S A B"]
    size: int = eqx.field(static=True)

    def start(self, stream: Stream, game: FiniteHorizonGame) -> Int[Array, "N B runs"]:
        last = jnp.argmax(jnp.where(game.initial > 0, jnp.arange(game.num_states), -1))
        # the last state that can occur takes what rounding leaves of the sum
        upper = jnp.where(jnp.arange(game.num_states) < last, jnp.cumsum(game.initial), jnp.inf)
        states = jnp.searchsorted(upper, stream.uniform(self.size), side="right").astype(jnp.int32)
        # all populations of a batch start alike, so that differences between them are less noisy
        return jnp.broadcast_to(states[:, None], (self.size, self.policy.shape[3], states.shape[1]))

    def act(self, stream: Stream, t: Scalar, state: Array) -> tuple[Int[Array, "S A B runs"], Int[Array, "N B runs"]]:
        """Draw the actions, and count who takes which where."""
        S, A = self.policy.shape[1:3]
        N, B, runs = state.shape
        table = jnp.moveaxis(self.policy[t], 2, 1)
        upper = jnp.cumsum(table, axis=-1)
        last = (A - 1) - jnp.argmax(table[..., ::-1] > 0, axis=-1)[..., None]
        upper = jnp.where(jnp.arange(A) < last, upper, jnp.inf)  # as for states: the last takes the rest
        u = stream.uniform(N)[:, None]
        place = state * B + jnp.arange(B, dtype=jnp.int32)[:, None]
        bounds = jnp.moveaxis(upper, 2, 0).reshape(A, S * B)

        # one action after the other: no array of agents by actions
        def count_passed(a, actions):
            return actions + (u >= bounds[a][place]).astype(jnp.int32)

        actions = jax.lax.fori_loop(0, A - 1, count_passed, jnp.zeros_like(state))
        pairs = (state * A + actions).reshape(N, B * runs)
        lanes = jnp.broadcast_to(jnp.arange(B * runs), pairs.shape)
        mass = jnp.zeros((S * A, B * runs), jnp.int32).at[pairs, lanes].add(1)
        return mass.reshape(S, A, B, runs), actions

    def move(self, stream: Stream, moves: Moves, state: Array, mass: Array, actions: Array | None) -> Array:
        """Draw the next state."""
        assert actions is not None
        return moves.of_agents(stream, state, actions)


Group = Crowd | Labelled
