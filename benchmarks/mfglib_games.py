"""Games of mfgjax in MFGLib, and steps of the fixed-point iteration put together from MFGLib's parts.

What MFGLib computes in a step, for one game at a time: Q_T, ..., Q_0 by a Python loop over times, each a dense product
of P `[S, A, S]` with max_a Q_{t+1}; the policy; then L_0, ..., L_T by a second such loop, L_t the joint law of states
and actions. The Boltzmann policies of its `PriorDescent` (with `n_inner=None`, called GMF-V there) are those of
`mfgjax.Boltzmann`: π ∝ prior exp(Q/η), with Q that of greedy agents and η = 1/β. It has no log-sum-exp values, and so
no `EntropyRegularized` response. It damps nothing but policies of its fictitious play; damping is added here.

Done in MFGLib's favour: what depends neither on time nor on the crowd is a table, `QFn` verifies nothing, PyTorch
records nothing for gradients, and sums are contracted in the order that turns out to be the faster.

MFGLib has no masks. An unavailable action leads back to its state and costs 1,000; the prior gives it no weight.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from mfglib.alg import PriorDescent  # pyright: ignore[reportMissingImports]
from mfglib.alg.q_fn import QFn  # pyright: ignore[reportMissingImports]
from mfglib.env import Environment  # pyright: ignore[reportMissingImports]
from mfglib.utils import mean_field_from_policy  # pyright: ignore[reportMissingImports]

PENALTY = 1e3


class Game(NamedTuple):
    """An environment of MFGLib, and the prior policy `[T+1, S, A]` of its agents with its log."""

    env: Any
    prior: Any
    log_prior: Any


def _tensor(array: Any) -> Any:
    return torch.tensor(np.asarray(array))  # copies: arrays of JAX are not to be written to


def _game(game: Any, prior: Any, reward_fn: Any) -> Game:
    """Return a game with the moves of one with a `MovesKernel`."""
    available, S, A = np.asarray(game.available)[0], game.num_states, game.num_actions
    target = np.where(available, np.asarray(game.kernel.next_state), np.arange(S)[:, None])
    P = torch.zeros(S, S, A)
    P[_tensor(target), torch.arange(S)[:, None], torch.arange(A)] = 1
    env = Environment(
        T=game.horizon,
        S=(S,),
        A=(A,),
        mu0=_tensor(game.initial),
        r_max=PENALTY,
        reward_fn=reward_fn,
        transition_fn=lambda env, t, L_t: P,
    )
    prior = _tensor(np.broadcast_to(np.asarray(prior), (game.horizon + 1, S, A)))
    return Game(env, prior, prior.log())


def _penalty(game: Any) -> Any:
    return torch.where(_tensor(np.asarray(game.available)[0]), 0.0, -PENALTY)


def resource_allocation(game: Any, prior: Any) -> Game:
    """Return `mfgjax.games.resource_allocation()`, whose only reward is (value(s) − μ_T(s))² at the last time."""
    penalty, value = _penalty(game), torch.tensor([0, 0, 1.5, 1, 0])

    def reward(env: Any, t: int, L_t: Any) -> Any:
        return penalty if t < env.T else (value - L_t.sum(-1)).square().unsqueeze(-1) + penalty

    return _game(game, prior, reward)


def grid_crowd(game: Any, prior: Any) -> Game:
    """Return a `mfgjax.games.grid_crowd`, whose rewards are base(s) + weight(s) μ_t(s) at all times."""
    weight = _tensor(game.reward.L.weight)[0]
    table = _tensor(game.reward.L.base)[0] + _penalty(game)

    def reward(env: Any, t: int, L_t: Any) -> Any:
        return torch.addcmul(table, weight, L_t.sum(-1, keepdim=True))

    return _game(game, prior, reward)


@torch.inference_mode()
def prior_flow(game: Game) -> Any:
    """Return the joint laws `[T+1, S, A]` under the prior, from which all iterations start."""
    return mean_field_from_policy(game.prior, env=game.env)


def _image(game: Game, law: Any, beta: float) -> Any:
    q = QFn(game.env, law, verify_integrity=False).optimal()
    policy = torch.softmax(game.log_prior + beta * q, dim=-1)
    return mean_field_from_policy(policy, env=game.env)


@torch.inference_mode()
def image(game: Game, law: Any, beta: float) -> Any:
    """Return the joint laws under the Boltzmann policy against given ones: Γ."""
    return _image(game, law, beta)


@torch.inference_mode()
def damped_steps(game: Game, beta: float, steps: int, damping: float) -> Any:
    """Return the joint laws after steps L ← (1 − α) L + α Γ(L)."""
    law = prior_flow(game)
    for _ in range(steps):
        law = torch.lerp(law, _image(game, law, beta), damping)
    return law


@torch.inference_mode()
def own_steps(game: Game, beta: float, steps: int) -> Any:
    """Return the joint laws after steps of `PriorDescent`, taken one by one: no exploitability."""
    method = PriorDescent(eta=1 / beta)
    state = method.init_state(game.env, game.prior)
    for _ in range(steps):
        state = method.step_next_state(state, None, None)
    return mean_field_from_policy(state.pi, env=game.env)


@torch.inference_mode()
def own_solve(game: Game, beta: float, steps: int) -> Any:
    """Return the joint laws that `PriorDescent.solve` ends with; it computes the exploitability of every step."""
    policies, _, _ = PriorDescent(eta=1 / beta).solve(game.env, pi_0=game.prior, max_iter=steps, atol=None, rtol=None)
    return mean_field_from_policy(policies[-1], env=game.env)


@torch.inference_mode()
def residual(game: Game, law: Any, beta: float) -> float:
    """Return max_t d_TV(μ_t, Γ(μ)_t)."""
    return float((law - image(game, law, beta)).sum(-1).abs().sum(-1).max() / 2)


def states(law: Any) -> np.ndarray:
    """Return the laws of the states `[T+1, S]`."""
    return law.sum(-1).numpy()


def joint(game: Game, mean_field: Any) -> Any:
    """Return joint laws with the given laws of the states `[T+1, S]`; rewards here see no more of them."""
    return _tensor(mean_field)[..., None] * game.prior


def transitions(game: Game) -> np.ndarray:
    """Return P(s'|s,a) as `[S, A, S]`."""
    return game.env.prob(0, None).permute(1, 2, 0).numpy()


def set_threads(count: int) -> None:
    torch.set_num_threads(count)


def use_faster_einsum(seconds_of: Callable[[], float]) -> str:
    """Let opt_einsum order PyTorch's sums, or not, whichever is faster; return which.

    PyTorch uses opt_einsum where it happens to be installed, as it is beside JAX. MFGLib itself does not ask for it.
    """
    if not torch.backends.opt_einsum.is_available():
        return "without opt_einsum"
    seconds = {}
    for enabled in (False, True):
        torch.backends.opt_einsum.enabled = enabled
        seconds[enabled] = min(seconds_of() for _ in range(3))
    torch.backends.opt_einsum.enabled = seconds[True] < seconds[False]
    return "with opt_einsum" if torch.backends.opt_einsum.enabled else "without opt_einsum"
