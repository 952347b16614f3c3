"""The policy nearest to a given one that moves a population along a given flow."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._compiled import compiled
from .._display import shows_itself
from .._modes import in_own_modes
from .._simplex import log_normalize
from .._typing import Array, ArrayLike, Float
from ..engine import fit_response
from ..kernels import AbstractKernel
from ..model import FiniteHorizonGame, of_kind, trace_game
from ..responses import Boltzmann

_STEPS = 100


@shows_itself
class LeastEffort(eqx.Module):
    """The result of `least_effort_policy`: the policy nearest to a prior that moves the population along a given flow.

    Attributes:
      policy: π_t(a|s), `[T, S, A]`; it equals the prior at time H, where nobody moves, and in states that are empty.
      log_policy: its log.
      effort: Σ_s μ_t(s) KL(π_t(·|s) ‖ prior_t(·|s)) at each time, in nats.
      residual: the distance of the policy's flow from the given one, max_t d_TV.
    """

    policy: Float[Array, "T S A"]
    log_policy: Float[Array, "T S A"]
    effort: Float[Array, " T"]
    residual: Float[Array, ""]


@in_own_modes
def least_effort_policy(game: FiniteHorizonGame, flow: ArrayLike, prior: ArrayLike | None = None) -> LeastEffort:
    """Find the policy of least KL divergence from a prior that moves a population along a flow.

        min Σ_s μ_t(s) KL(π_t(·|s) ‖ prior_t(·|s))   subject to   Σ_{s,a} μ_t(s) π_t(a|s) P_t(s'|s,a,μ_t) = μ_{t+1}(s')

    Since the flow is given, this is a separate problem for each t. It is convex. Its solution is π ∝ prior · exp(Σ_s' P
    f(s')), where the prices f minimise Σ_s μ_t log Σ_a prior exp(Σ P f) − Σ_s' μ_{t+1} f(s'); they are found by
    Newton's method.

    Args:
      game: a game with a finite horizon that observes the law of the states; its kernel may depend on the population,
        which is known here.
      flow: laws of the states `[H+1, S]`, starting with the game's `initial`.
      prior: `[S, A]` or `[H+1, S, A]`, positive exactly on the available actions; None: uniform over them.

    Returns:
      A `LeastEffort`.

    Raises:
      ValueError: if no policy realises the flow; it names the time and the state where more agents should arrive than
        can move there, or the available action for which no agent is left (then no policy that is positive on all
        available actions realises the flow).

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.left_right()
      >>> found = mfg.design.least_effort_policy(game, [[1.0, 0.0, 0.0], [0.0, 0.75, 0.25]])
      >>> f"{found.policy[0, 0, 0]:.2f}"  # the probability of going left
      '0.75'

    Source: the regularised moves of Guan et al. (2021), arXiv:2110.07469, with prices in place of rewards: the
    Schrödinger problem of one step.
    """
    game = of_kind(FiniteHorizonGame, game)
    if game.observes != "states":
        raise ValueError("`flow` is one of states, but the game observes joint laws of states and actions.")
    game = trace_game(game)
    mu = _checks.as_numbers("flow", flow)
    _checks.shape_is("flow", mu, [(game.horizon + 1, game.num_states)], "times, states")
    if _checks.is_traced((mu, game)):
        raise ValueError(
            "`flow` or `game` is traced by JAX, but its numbers must be known, to check that the flow is possible: "
            "call this function outside `jit`."
        )
    _checks.distribution("flow", mu, leading=1)
    start = np.asarray(mu)[0]
    starts_alike = np.abs(start - np.asarray(game.initial)) <= 1e-6
    _checks.all_true("flow", start, starts_alike, "at time 0 it must be the game's `initial`", " at time 0")
    response = fit_response(game, Boltzmann(1.0, prior))  # whose policy is called a prior
    logs = response.log_prior(game.available, game.dtype)
    mu = jnp.asarray(mu, game.dtype)
    _check_possible(game, mu)
    return _found(game, mu, jnp.broadcast_to(logs, (game.horizon + 1, *logs.shape[1:])))


@compiled
def _found(game: FiniteHorizonGame, mu: Array, log_prior: Array) -> LeastEffort:
    def at(xs: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
        t, here, there, logs = xs
        kernel = game.kernel_at(t, here)
        log_policy = _tilted(kernel, logs, _prices(kernel, here, there, logs))
        # nobody is there, so any policy realises the flow: the prior costs nothing
        log_policy = jnp.where((here > 0)[:, None], log_policy, logs)
        policy = jnp.exp(log_policy)
        # where the policy is 0 so is its share of the divergence, not 0 · (−∞)
        spent = jnp.where(policy > 0, policy * (log_policy - jnp.where(policy > 0, logs, 0)), 0).sum(axis=1)
        off = jnp.abs(kernel.push(here[:, None] * policy) - there).sum() / 2
        return log_policy, (here * spent).sum(), off

    times = jnp.arange(game.horizon, dtype=jnp.int32)
    log_policy, effort, off = jax.lax.map(at, (times, mu[:-1], mu[1:], log_prior[:-1]))
    log_policy = jnp.concatenate([log_policy, log_prior[-1:]])
    return LeastEffort(jnp.exp(log_policy), log_policy, jnp.append(effort, 0), off.max())


def _tilted(kernel: AbstractKernel, log_prior: Array, prices: Array) -> Array:
    return log_normalize(log_prior + kernel.expect(prices), axis=1)


def _prices(kernel: AbstractKernel, here: Array, there: Array, log_prior: Array) -> Array:
    """Find prices f of the next states under which the policy moves the wanted mass to each of them."""

    def loss(f: Array) -> Array:
        return (here * jax.nn.logsumexp(log_prior + kernel.expect(f), axis=1)).sum() - (there * f).sum()

    def slope(f: Array) -> Array:
        return kernel.push(here[:, None] * jnp.exp(_tilted(kernel, log_prior, f))) - there

    def not_optimal(carry: tuple[Array, Array]) -> Array:
        f, k = carry
        return (jnp.abs(slope(f)).sum() > 8 * jnp.finfo(f.dtype).eps) & (k < _STEPS)

    def step(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        f, k = carry
        gradient, curvature = slope(f), jax.jacfwd(slope)(f)
        # prices count up to a constant, and those of places that nobody comes near do not count at all
        scale = jnp.abs(curvature).max() + jnp.finfo(f.dtype).tiny
        direction = -jnp.linalg.lstsq(curvature / scale, gradient / scale, rcond=1e-13)[0]
        before, descent = loss(f), (gradient * direction).sum()

        def shorter(share: Array) -> Array:
            # 1e-15: where the loss no longer changes but for rounding, steps count as enough
            enough = loss(f + share * direction) <= before + 1e-4 * share * descent + 1e-15
            return ~enough & (share > 1e-10)

        share = jax.lax.while_loop(shorter, lambda share: share / 2, jnp.ones((), f.dtype))
        return f + share * direction, k + 1

    return jax.lax.while_loop(not_optimal, step, (jnp.zeros_like(there), jnp.int32(0)))[0]


def _check_possible(game: FiniteHorizonGame, mu: Array) -> None:
    """Refuse a flow that no policy positive on all available actions realises, by linear programs."""
    from scipy import optimize, sparse  # half a second to import

    S, A = game.num_states, game.num_actions
    flow, eye = np.asarray(mu, dtype=float), jnp.eye(S, dtype=game.dtype)
    for t in range(game.horizon):
        here, there = flow[t], flow[t + 1]
        mask = np.asarray(game.available_at(jnp.int32(t))).reshape(-1) & np.repeat(here > 0, A)
        moves = np.asarray(game.kernel_at(jnp.int32(t), mu[t]).expect(eye), dtype=float).reshape(S * A, S)[mask]
        state_of = np.repeat(np.arange(S), A)[mask]
        reachable = np.array([(here * _largest(moves[:, n], state_of, S)).sum() for n in range(S)])
        # the simple reason first: it names a state without a linear program
        for n in np.flatnonzero(there > reachable + 1e-9):
            raise ValueError(
                f"`flow[{t + 1}, {n}]` is {there[n]:.6g}, but from the law at time {t} at most {reachable[n]:.6g} can "
                f"move to state {game.state_labels[n]!r}."
            )
        # shares of the mass of a state, at least δ each, δ as large as possible, and what is missing at each place
        leave = sparse.csr_matrix(
            (np.ones(len(state_of)), (state_of, np.arange(len(state_of)))), shape=(S, len(state_of))
        )
        arrive = sparse.csr_matrix((moves * here[state_of][:, None]).T)
        nothing, lack = sparse.csr_matrix((S, 2 * S + 1)), sparse.eye(S)
        equal = sparse.vstack(
            [
                sparse.hstack([leave, nothing]),
                sparse.hstack([arrive, lack, -lack, sparse.csr_matrix((S, 1))]),
            ]
        )
        least = sparse.hstack(
            [-sparse.eye(len(state_of)), sparse.csr_matrix((len(state_of), 2 * S)), np.ones((len(state_of), 1))]
        )
        # missing mass costs so much that no δ is bought with it
        cost = np.concatenate([np.zeros(len(state_of)), np.full(2 * S, 1e3), [-1.0]])
        found: Any = optimize.linprog(
            cost, A_ub=least, b_ub=np.zeros(len(state_of)), A_eq=equal, b_eq=np.concatenate([(here > 0) * 1.0, there]),
            bounds=[(0, None)] * (len(cost) - 1) + [(0, 1)],
        )  # fmt: skip
        missing, room = found.x[len(state_of) : len(state_of) + S], found.x[-1]
        if missing.max() > 1e-9:
            n = int(missing.argmax())
            raise ValueError(
                f"`flow[{t + 1}, {n}]` is {there[n]:.6g}, but no policy leads from the law at time {t} to that at time "
                f"{t + 1}: a share of {missing[n]:.3g} is missing in state {game.state_labels[n]!r}."
            )
        if room <= 1e-12:
            at = int(np.flatnonzero(found.x[: len(state_of)] <= 1e-9)[0])
            s, a = state_of[at], np.tile(np.arange(A), S)[mask][at]
            raise ValueError(
                f"`flow[{t + 1}]` is reached only by policies that give probability 0 to some available action at time "
                f"{t}, such as {game.action_labels[a]!r} in state {game.state_labels[s]!r}; no policy that is positive "
                "on all available actions leads to it."
            )


def _largest(column: np.ndarray, state_of: np.ndarray, num_states: int) -> np.ndarray:
    """Return for each state the largest probability among its actions."""
    best = np.zeros(num_states)
    np.maximum.at(best, state_of, column)
    return best
