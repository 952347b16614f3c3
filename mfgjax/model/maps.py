"""The maps of a game: best response, propagation, and their composition."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from .. import _checks
from .._modes import in_own_modes
from .._typing import Array, ArrayLike, Float
from ..responses import AbstractResponse
from .arguments import game_of, mean_field_of, policy_of, response_of
from .base import AbstractGame, BestResponse
from .changed import trace_game
from .lanes import LaneGame
from .stationary import StationaryGame

AnyGame = AbstractGame | LaneGame


def as_now(game: AnyGame) -> AnyGame:
    """Trace the user's functions in a game anew, so that they compute what they compute now; see `trace_game`.

    This is needed outside of `jit`, too: JAX keeps what it traced of a function that the user jitted, and of loops.
    """
    return game if isinstance(game, LaneGame) else trace_game(game)


@in_own_modes
def respond(
    game: AnyGame, mean_field: ArrayLike, response: AbstractResponse, start: Array | None = None
) -> BestResponse:
    """Compute the best response to a given mean field.

        Q_t(s,a) = R_t(s,a,μ_t) + γ Σ_s' P_t(s'|s,a,μ_t) V_{t+1}(s'),   Q_H = R_H
        Greedy:              V = max_a Q,                           π on a maximiser            (12)
        EntropyRegularized:  V = (1/β) log Σ_a ρ exp(βQ),           π = ρ exp(β(Q − V))         (15)
        Boltzmann:           V = max_a Q,                           π ∝ prior exp(βQ)
        Trembling:           V = Σ_a π Q,                           π in Π^ε on a maximiser

    In a stationary game Q = r(·,·,z) + γ P(·,z) V and V are the same at all times: the fixed point of these equations.
    It is found by policy iteration. Each policy is evaluated by elimination or, with more than a thousand states, by
    iteration that continues until only rounding errors are left.

    Args:
      game: the game.
      mean_field: the law of the states at each time, `[H+1, S]` (or the joint law of states and actions, `[H+1, S, A]`,
        if the game observes that); in a stationary game `[S]` (or `[S, A]`).
      response: how the agent acts.
      start: for stationary games: values `[S]` to start from, which save work if they are near the solution; None:
        zeros.

    Returns:
      `BestResponse(policy, log_policy, values, q)`; values in units of reward.

    Raises:
      ValueError: if an argument is of the wrong kind or shape.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> found = mfg.respond(game, [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]], response)
      >>> f"{found.policy[0, 0, 0]:.2f}"  # the probability of going left
      '0.62'

    Source: Guan et al. (2021), arXiv:2110.07469, eqs. (11), (12), (15); for stationary games Lee et al. (2021),
    arXiv:2006.11683, eqs. (3)-(5).
    """
    response = response_of(game, response, "respond(game, mean_field, response)")
    mean_field = mean_field_of(game, mean_field, "respond(game, mean_field, response)")
    game = as_now(game)
    if start is not None and game.is_stationary:  # with a horizon there is no fixed point to start from
        _checks.shape_is("start", start, [game.initial.shape], "states")
    (seen,), untimed = timed(game, (mean_field, game.num_seen_axes))
    return untimed(game.best_response(seen, response, start))


@in_own_modes
def q_operator(
    game: StationaryGame, mean_field: Array, response: AbstractResponse
) -> Callable[[Float[Array, "S A"]], Float[Array, "S A"]]:
    """Return the operator on action values whose fixed point is the q of `respond` in a stationary game.

        F_z(Q)(s,a) = r(s,a,z) + γ Σ_s' P(s'|s,a,z) G(Q)(s')

    where G(Q)(s) is the value that the response gives to Q(s,·): Σ_a π_Q^ε(a|s) Q(s,a) for `Trembling` (the TQ-value
    operator), max_a Q(s,a) for `Greedy`, (1/β) log Σ_a ρ exp(βQ) for `EntropyRegularized`. Each operator is a
    γ-contraction in the maximum norm over available actions; iterating it is (TQ-)value iteration.

    Args:
      game: the game.
      mean_field: z, `[S]` (or `[S, A]`).
      response: how agents act.

    Returns:
      F_z, from `[S, A]` to `[S, A]`, in units of reward.

    Raises:
      ValueError: if an argument is of the wrong kind or shape, or the mean field is not a probability law.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> kernel = [[[0.9, 0.1], [0.5, 0.5]], [[0.5, 0.5], [0.1, 0.9]]]
      >>> game = mfg.StationaryGame(kernel, lambda z: -z[:, None], discount=0.5)
      >>> one_step = mfg.q_operator(game, [0.25, 0.75], mfg.Greedy())
      >>> one_step(np.zeros((2, 2))).tolist()
      [[-0.25, -0.25], [-0.75, -0.75]]

    Source: Lee et al. (2021), arXiv:2006.11683, eq. (5) and proposition 1.
    """
    if not game_of(game, mean_field).is_stationary:
        raise ValueError(
            "`game` has a finite horizon, but `q_operator` needs a `StationaryGame`: use the `q` of `respond`."
        )
    response = response_of(game, response, "q_operator(game, mean_field, response)")
    mean_field = mean_field_of(game, mean_field, "q_operator(game, mean_field, response)")
    # inside the library a stationary game has one time
    problem = as_now(game).decision(jnp.asarray(mean_field)[None])  # pyright: ignore[reportAttributeAccessIssue]

    @in_own_modes
    def operator(q: Array) -> Array:
        _checks.shape_is("q", q, [problem.available.shape], "states, actions")
        q = jnp.asarray(q)
        # without a band of ties, on which the values do not depend
        return problem.q(response.backup(jnp.int32(0), q, problem.available).values)

    return operator


@in_own_modes
def propagate(game: AnyGame, policy: Float[Array, "... S A"] | ArrayLike, mean_field: ArrayLike | None = None) -> Array:
    """Compute the mean field of a population that follows a policy (B_prop).

        μ_{t+1}(s') = Σ_{s,a} μ_t(s) π_t(a|s) P_t(s'|s,a,μ_t)

    A kernel that depends on the mean field sees the flow that is being computed.

    Args:
      game: the game.
      policy: `[H+1, S, A]`, or `[S, A]` for all times.
      mean_field: only for a stationary game: the law `[S]` of the population one step before. None: the population is
        stationary.

    Returns:
      The flow `[H+1, S]`, or the joint laws μ_t(s)π_t(a|s), `[H+1, S, A]`, if the game observes those. In a stationary
      game: Φ(mean_field, policy), `[S]`, one step of the McKean-Vlasov dynamics. Without a mean field: the stationary
      law that a population reaches from `initial` if it follows the policy, or NaN if no stationary law was reached.

    Raises:
      ValueError: if an argument is of the wrong kind or shape, or if `mean_field` is given although the game has a
        finite horizon (then the flow starts from `initial`).

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> game = mfg.games.left_right()
      >>> mfg.propagate(game, np.full((3, 2), 0.5))[1].tolist()  # half go left, half go right
      [0.0, 0.5, 0.5]

    Source: Guan et al. (2021), arXiv:2110.07469, eqs. (9), (13); Lee et al. (2021), arXiv:2006.11683, (1), (2).
    """
    policy = policy_of(game, policy, "propagate(game, policy)")
    game = as_now(game)
    if mean_field is not None and not game.is_stationary:
        raise ValueError("`mean_field` is for stationary games: a flow with a finite horizon starts from `initial`.")
    (pi,), untimed = timed(game, (policy, 2))
    if mean_field is None:
        seen = game.generated(pi)[1]
        # a law that still changes must not look stationary
        return untimed(jnp.where(game.is_moving(seen, pi), jnp.nan, seen))
    mean_field = mean_field_of(game, mean_field, "propagate(game, policy, mean_field)")
    # from `policy` again: `untimed` depends on how both were given
    (pi, seen), untimed = timed(game, (policy, 2), (mean_field, game.num_seen_axes))
    return untimed(game.moved_on(seen, pi)[1])


def timed(game: AnyGame, *arrays: tuple[Any, int]) -> tuple[list[Array], Any]:
    """Give arrays of a stationary game an axis of one time, and return them with a function that removes it again.

    Each array comes with the number of axes it has without times and lanes. Those of users have no time, those of
    solvers do.
    """
    pairs = [(jnp.asarray(array), count) for array, count in arrays]
    plain = [array.ndim == count + len(game.lanes) for array, count in pairs]  # as users give them: without times
    timed = [array[None] if bare else array for (array, _), bare in zip(pairs, plain, strict=True)]
    return timed, (lambda tree: jax.tree.map(lambda x: x[0], tree)) if all(plain) else (lambda tree: tree)


@in_own_modes
def mean_field_map(game: AnyGame, response: AbstractResponse):
    """Return the mean-field map Γ, whose fixed points are the equilibria.

    Γ takes a mean field to the best response to it (`respond`, B_opt in the paper), and that policy to the mean field
    of a population that follows it (`propagate`, B_prop in the paper).

    In a stationary game it maps z to Φ(z, π), where π is the response to z: one step of the McKean-Vlasov dynamics.

    Args:
      game: the game.
      response: how agents act; Γ_β of the paper for `EntropyRegularized`, Γ for `Greedy`.

    Returns:
      A pure function from mean field to mean field.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> eq = mfg.solve(game, response)
      >>> image = mfg.mean_field_map(game, response)(eq.mean_field)
      >>> f"{mfg.flow_distance(image, eq.mean_field):.4f}"  # an equilibrium is a fixed point
      '0.0000'

    Source: Guan et al. (2021), arXiv:2110.07469, eq. (16) and section III-A; for stationary games the iteration of
    Lee et al. (2021), arXiv:2006.11683, algorithm 1.
    """

    response = response_of(game, response, "mean_field_map(game, response)")

    @in_own_modes
    def gamma(mean_field: Array) -> Array:
        mean_field = mean_field_of(game, mean_field, "mean_field_map(game, response)(mean_field)")
        now = as_now(game)  # at each call: what a reward reads may have changed since Γ was made
        (seen,), untimed = timed(now, (mean_field, now.num_seen_axes))
        # the policy alone, which is cheaper than `best_response`
        return untimed(now.moved_on(seen, now.policy_from(seen, response, None)[0])[1])

    return gamma
