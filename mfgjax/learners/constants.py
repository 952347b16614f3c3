"""The constants that the printed sample bounds ask for, estimated from a game."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._display import shows_itself
from .._modes import in_own_modes
from .._typing import Array, ArrayLike
from ..model import StationaryGame, of_kind, respond
from ..responses.trembling import AbstractTrembling
from .base import count, refuse_size, seed_number
from .bounds import population, zero_sum_norm
from .sampling import GameSimulator, draw_actions


@shows_itself
class Constants(NamedTuple):
    """The result of `estimate_constants`: Lipschitz constants in the l1 norm (laws) and maximum norm (values).

    Attributes:
      c1: of rewards in z.
      c2: of the law of the next state in z.
      c3: of the moves under π_Q in Q.
      c4: of Φ(z, π) in z.
      c5: of Φ(z, π_Q) in Q; it equals C₃, which is attained if the population is in the state that changes most.
    """

    c1: float
    c2: float
    c3: float
    c4: float
    c5: float


@in_own_modes
def estimate_constants(
    game: StationaryGame,
    response: AbstractTrembling,
    *,
    seed: int = 0,
    num_laws: int = 16,
    num_pairs: int = 32,
    resolution: float = 1e-2,
) -> Constants:
    """Estimate the constants C₁ to C₅ of the paper's assumptions 1 and 2, from below.

        |r(s,a,z) − r(s,a,z')| ≤ C₁ ‖z − z'‖₁,   ‖P(·|s,a,z) − P(·|s,a,z')‖₁ ≤ C₂ ‖z − z'‖₁,
        ‖P_{z,π_Q}(·|s) − P_{z,π_Q'}(·|s)‖₁ ≤ C₃ ‖Q − Q'‖∞,
        ‖Φ(z,π_Q) − Φ(z',π_Q')‖₁ ≤ C₄ ‖z − z'‖₁ + C₅ ‖Q − Q'‖∞

    C₁, C₂ and C₄ are the largest slopes at all point masses and at random laws. They are exact if rewards and kernel
    are affine in z, except that for C₄ only random policies are tried. Finite C₃ = C₅ do not exist: the policy of
    `Trembling` jumps where two actions have the same value, however little Q changes there. The numbers reported for
    them are the largest quotients between values that differ by at least `resolution` of their range; they grow like
    1/`resolution`.

    Args:
      game: one whose payoffs see the law of the states.
      response: how agents act.
      seed: of the random numbers.
      num_laws: number of random populations, besides the point masses.
      num_pairs: number of pairs of action values near a tie in each population.
      resolution: share of the range of Q, in (0, 1).

    Returns:
      `Constants`, for `tmfq_updates` and similar functions.

    Raises:
      ValueError: naming the argument that is out of range.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> game = mfg.StationaryGame(np.full((2, 2, 2), 0.5), lambda z: -z[:, None], discount=0.5)
      >>> found = mfg.learners.estimate_constants(game, mfg.Trembling(0.1))
      >>> f"{found.c1:.2f}, {found.c2:.2f}"
      '0.50, 0.00'

    Source: Lee et al. (2021), arXiv:2006.11683, assumptions 1 and 2.
    """
    game, _, response = population(game, response, of_kind(StationaryGame, game).initial)
    seed = seed_number(seed)
    num_laws, num_pairs = count("num_laws", num_laws), count("num_pairs", num_pairs)
    resolution = _checks.number_in("resolution", resolution, 0, 1, "(0, 1)")
    law_key, pair_key = jax.random.split(jax.random.key(seed))
    laws = jax.random.dirichlet(law_key, jnp.ones(game.num_states, game.dtype), (num_laws,))
    laws = jnp.concatenate([jnp.eye(game.num_states, dtype=game.dtype), laws])
    largest_by_law = _constants(
        game, response, laws, jax.random.split(pair_key, len(laws)), num_pairs, jnp.asarray(resolution, game.dtype)
    )
    c1, c2, c3, c4 = (float(np.max(largest)) for largest in largest_by_law)
    return Constants(c1, c2, c3, c4, c3)  # C₅ = C₃: see `Constants`


@compiled
def _constants(
    game: StationaryGame, response: AbstractTrembling, laws: Array, keys: Array, num_pairs: int, resolution: Array
) -> tuple[Array, ...]:
    identity, mask, time = jnp.eye(game.num_states, dtype=game.dtype), game.available[0], jnp.int32(0)

    def rows(z: Array) -> Array:
        return jax.vmap(game.kernel_at(time, z).expect, in_axes=1, out_axes=2)(identity)

    def policy_of(q: Array) -> Array:
        return response.backup(time, q, mask).policy

    def at(pair: tuple[Array, Array]) -> tuple[Array, ...]:
        z, key = pair
        slopes = jax.jacfwd(lambda z: game.reward_at(time, z))(z)
        c1 = jnp.where(mask, jnp.ptp(slopes, axis=2) / 2, 0).max()  # z − z' sums to zero: osc/2 times its l1 norm
        moves = jax.lax.map(zero_sum_norm, jax.jacfwd(rows)(z).reshape(-1, *identity.shape))
        c2 = jnp.where(mask.reshape(-1), moves, 0).max()
        table, best = rows(z), respond(game, z, response).q
        scale = jnp.ptp(jnp.where(mask, best, best[0, 0]))

        def compare(key: Array) -> tuple[Array, ...]:
            # in every state one action is lifted from just below the best to just above it: there policies jump
            lifted = jax.random.categorical(key, jnp.where(mask, 0.0, -jnp.inf), axis=1)
            is_lifted = jnp.arange(mask.shape[1]) == lifted[:, None]
            tied = jnp.where(is_lifted, jnp.where(mask & ~is_lifted, best, -jnp.inf).max(axis=1, keepdims=True), best)
            # where only one action exists there is nothing to tie with
            tied, apart = jnp.where(jnp.isfinite(tied), tied, best), scale * resolution
            below, above = (policy_of(tied + side * apart / 2 * is_lifted) for side in (-1, 1))
            change = jnp.abs(jnp.einsum("sa,san->sn", above - below, table)).sum(axis=1).max()
            slope = jax.jacfwd(lambda z: game.moved_on(z[None], below[None])[0][0])(z)
            return change / apart, zero_sum_norm(slope)

        c3, c4 = (constant.max() for constant in jax.lax.map(compare, jax.random.split(key, num_pairs)))
        return c1, c2, c3, c4

    return jax.lax.map(at, (laws, keys))


@in_own_modes
def covering_time(
    game: StationaryGame,
    response: AbstractTrembling,
    mean_field: ArrayLike,
    *,
    seed: int = 0,
    num_chains: int = 64,
    max_steps: int = 1_000_000,
) -> float:
    """Estimate the covering time: the steps in which an agent visits every state and action, with probability 1/2.

    The population does not move, and the agent follows its best response to it; the worst initial state counts.

    Args:
      game: one whose payoffs see the law of the states.
      response: how agents act; all pairs are visited only if ε > 0.
      mean_field: z, `[S]`.
      seed: of the random numbers.
      num_chains: number of agents that start from each state.
      max_steps: number of steps after which an agent is stopped.

    Returns:
      The median over the agents, and then the largest over the initial states; infinite if half of the agents were
      stopped.

    Raises:
      ValueError: naming the argument that is out of range.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> game = mfg.StationaryGame(np.full((2, 2, 2), 0.5), lambda z: -z[:, None], discount=0.5)
      >>> mfg.learners.covering_time(game, mfg.Trembling(0.5), np.array([0.5, 0.5])) >= 4  # there are four pairs
      True

    Source: Even-Dar and Mansour (2003), JMLR 5, section 3; Lee et al. (2021), arXiv:2006.11683, theorem 4.
    """
    game, z, response = population(game, response, mean_field)
    seed = seed_number(seed)
    num_chains, max_steps = count("num_chains", num_chains), count("max_steps", max_steps)
    refuse_size("`num_chains` · S · S · A", num_chains * game.num_states**2 * game.num_actions)
    when = np.asarray(_cover(game, response, z, jax.random.key(seed), num_chains, max_steps), float)
    when[when < 0] = np.inf
    return float(np.median(when, axis=0).max())


@compiled
def _cover(
    game: StationaryGame, response: AbstractTrembling, z: Array, key: Array, num_chains: int, max_steps: int
) -> Array:
    """Return when each agent had visited all pairs, −1 for never, `[num_chains, S]` by the state it started from."""
    S, A = game.num_states, game.num_actions
    policy, draw = respond(game, z, response).policy, GameSimulator(game)(z)
    states = jnp.tile(jnp.arange(S), num_chains)
    agents = jnp.arange(len(states))
    # actions that do not exist need no visit
    visited = jnp.broadcast_to(~game.available[0], (len(states), S, A))

    def unfinished(carry: tuple) -> Array:
        *_, when, step = carry
        return (when < 0).any() & (step < max_steps)

    def move(carry: tuple) -> tuple:
        states, visited, when, step = carry
        action_key, move_key = jax.random.split(jax.random.fold_in(key, step))
        actions = draw_actions(action_key, policy[states])
        visited = visited.at[agents, states, actions].set(True)
        step = step + 1
        when = jnp.where((when < 0) & visited.all(axis=(1, 2)), step, when)
        return draw(move_key, states, actions).astype(states.dtype), visited, when, step

    never = jnp.full(len(states), -1, jnp.int32)
    when = jax.lax.while_loop(unfinished, move, (states, visited, never, jnp.int32(0)))[2]
    return when.reshape(num_chains, S)
