"""Equilibria judged by loops over formulas, in extended precision. NumPy only: nothing here comes from the library.

A `Plain` game has functions `kernel(t, seen) -> [S, A, S]` (or `Listed`) and `reward(t, seen) -> [S, A]`; `seen` is the
law of the states, or the joint law where `joint` holds. `horizon` 0 stands for a stationary game, whose arrays have one
time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

LONG = np.longdouble


@dataclass
class Listed:
    """Moves to a few successors, for many states."""

    successors: np.ndarray  # [S, A, K]
    probabilities: np.ndarray


Moves = np.ndarray | Listed


@dataclass
class Plain:
    """A game as functions of NumPy arrays."""

    kernel: Callable[[int, np.ndarray], Moves]
    reward: Callable[[int, np.ndarray], np.ndarray]
    initial: np.ndarray
    horizon: int
    available: np.ndarray  # [T, S, A]
    discount: float
    joint: bool = False


@dataclass
class Hand:
    """How an agent acts: "soft", "boltzmann", "greedy", "trembling" or "epsilon-greedy"."""

    name: str
    beta: float = np.inf
    prior: np.ndarray | None = None  # [T, S, A]
    epsilon: float = 0.0

    @property
    def maximised(self) -> "Hand":
        """The response that maximises what this one is judged by."""
        return self if self.name in ("soft", "trembling") else Hand("greedy")


def act(hand: Hand, t: int, q: np.ndarray, available: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values `[S]`, the policy `[S, A]`, and the weights of the actions in the values, dV/dQ."""
    many, column = available.sum(axis=1, keepdims=True), q[:, :1] * 0
    shown = np.where(available, q, -np.inf)
    top = shown.max(axis=1, keepdims=True)
    best = (np.arange(q.shape[1]) == shown.argmax(axis=1)[:, None]).astype(LONG)
    if hand.name in ("soft", "boltzmann"):
        rho, beta = np.where(available, hand.prior[t], 0).astype(LONG), LONG(hand.beta)
        over = beta * np.where(available, q - top, 0)
        tilted = rho * np.exp(over)
        policy = tilted / tilted.sum(axis=1, keepdims=True)
        if hand.name == "boltzmann":
            return top[:, 0], policy, best
        # log Σ ρ e^x, near Σ ρ = 1 by log1p: small β loses no digits; near 0, where ρ is tiny at the best, not
        rho = rho / rho.sum(axis=1, keepdims=True)
        less, total = (rho * np.expm1(over)).sum(axis=1), (rho * np.exp(over)).sum(axis=1)
        return top[:, 0] + np.where(less > -0.5, np.log1p(np.maximum(less, -0.5)), np.log(total)) / beta, policy, policy
    others = column if hand.name == "greedy" else np.where(many > 1, LONG(hand.epsilon) / np.maximum(many - 1, 1), 0)
    policy = np.where(available, others + best * (1 - others * many), 0)
    weights = policy if hand.name == "trembling" else best
    return np.where(available, weights * q, 0).sum(axis=1), policy, weights


def linear(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a linear system in double precision, and refine in the extended one."""
    factors = scipy.linalg.lu_factor(matrix.astype(float))
    x = scipy.linalg.lu_solve(factors, right.astype(float)).astype(LONG)
    for _ in range(4):
        x = x + scipy.linalg.lu_solve(factors, (right - matrix @ x).astype(float))
    return x


def ahead(moves: Moves, values: np.ndarray, available: np.ndarray) -> np.ndarray:
    """Return Σ_s' P(s'|s,a) V(s') of the available actions."""
    if isinstance(moves, Listed):
        return np.where(available, (moves.probabilities * values[moves.successors]).sum(axis=2), 0)
    return np.where(available, (moves * values).sum(axis=-1), 0)


def push(moves: Moves, mass: np.ndarray, available: np.ndarray) -> np.ndarray:
    """Return Σ_{s,a} mass(s,a) P(s'|s,a) over the available actions."""
    if isinstance(moves, Listed):
        there = np.zeros(len(mass), LONG)
        np.add.at(there, moves.successors, np.where(available, mass, 0)[..., None] * moves.probabilities)
        return there
    return (np.where(available[..., None], moves, 0) * mass[..., None]).sum(axis=(0, 1))


def chain(moves: Moves, weights: np.ndarray, available: np.ndarray) -> np.ndarray:
    """Return Σ_a w(s,a) P(s'|s,a) over the available actions, `[S, S]`."""
    if isinstance(moves, Listed):
        rows = np.zeros((len(weights), len(weights)), LONG)
        places = np.arange(len(weights))[:, None, None], moves.successors
        np.add.at(rows, places, np.where(available, weights, 0)[..., None] * moves.probabilities)
        return rows
    return (weights[..., None] * np.where(available[..., None], moves, 0)).sum(axis=1)


def answer(game: Plain, hand: Hand, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values `[T, S]`, the policy `[T, S, A]` and q `[T, S, A]` against a flow `[T, ...]`."""
    if game.horizon == 0:
        return answer_at_rest(game, hand, flow)
    found = []
    values = np.zeros(len(game.initial), LONG)
    for t in reversed(range(game.horizon + 1)):
        q = np.where(game.available[t], game.reward(t, flow[t]), 0)
        if t < game.horizon:
            q = q + game.discount * ahead(game.kernel(t, flow[t]), values, game.available[t])
        values, policy, _ = act(hand, t, q, game.available[t])
        found.append((values, policy, q))
    return tuple(np.stack(part[::-1]) for part in zip(*found, strict=True))


def answer_at_rest(game: Plain, hand: Hand, flow: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same of a stationary game, by Newton's method on V = T(V)."""
    available = game.available[0]
    rewards, moves = np.where(available, game.reward(0, flow[0]), 0), game.kernel(0, flow[0])
    values, best = np.zeros(len(game.initial), LONG), np.inf
    kept, since = values, 0
    for _ in range(400):
        q = rewards + game.discount * ahead(moves, values, available)
        after, _, weights = act(hand, 0, q, available)
        off = np.abs(after - values).max()
        since = 0 if off < best else since + 1
        if off < best:
            best, kept = off, values
        size = np.abs(after).max()
        if off <= 1e-19 * size or (since == 10 and best <= 1e-17 * size):
            break
        system = np.eye(len(values), dtype=LONG) - game.discount * chain(moves, weights, available)
        values = values + linear(system, after - values)
    q = rewards + game.discount * ahead(moves, kept, available)
    found = act(hand, 0, q, available)
    return found[0][None], found[1][None], q[None]


def seen_of(game: Plain, law: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Return what payoffs see of a law of states and a policy."""
    return law[:, None] * policy if game.joint else law


def generated(game: Plain, policy: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Return the flow of a policy; of a stationary game one step from where it is."""
    if game.horizon == 0:
        law = flow[0].sum(axis=1) if game.joint else flow[0]
        moved = push(game.kernel(0, flow[0]), law[:, None] * policy[0], game.available[0])
        return seen_of(game, moved, policy[0])[None]
    law, seen = game.initial, []
    for t in range(game.horizon + 1):
        seen.append(seen_of(game, law, policy[t]))
        if t < game.horizon:
            law = push(game.kernel(t, seen[t]), law[:, None] * policy[t], game.available[t])
    return np.stack(seen)


def worth(game: Plain, hand: Hand, policy: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Return the values at the start of a policy against a flow, with KL terms for a soft hand, `[S]`."""
    values = np.zeros(len(game.initial), LONG)
    for t in reversed(range(game.horizon + 1)):
        pi, available = policy[t], game.available[t]
        rewards = np.where(available, game.reward(t, flow[t]), 0)
        if hand.name == "soft":
            positive = pi > 0
            prior = np.where(positive, hand.prior[t], 1).astype(LONG)
            rewards = rewards - np.where(positive, np.log(np.where(positive, pi, 1) / prior), 0) / LONG(hand.beta)
        pay = np.where(pi > 0, pi * rewards, 0).sum(axis=1)
        if game.horizon == 0:
            moved = chain(game.kernel(0, flow[0]), pi, available)
            return linear(np.eye(len(values), dtype=LONG) - game.discount * moved, pay)
        if t < game.horizon:
            following = ahead(game.kernel(t, flow[t]), values, available)
            pay = pay + game.discount * np.where(pi > 0, pi * following, 0).sum(axis=1)
        values = pay
    return values


def exploitability(game: Plain, hand: Hand, policy: np.ndarray, flow: np.ndarray) -> LONG:
    """Return what leaving a policy gains where all follow it; of a stationary game in the population that is given."""
    own = hand.maximised
    if game.horizon:
        flow, start = generated(game, policy, flow), game.initial
    else:
        start = flow[0].sum(axis=1) if game.joint else flow[0]
    best = answer(game, own, flow)[0][0]
    return (start * (best - worth(game, own, policy, flow))).sum()


def apart(first: np.ndarray, second: np.ndarray) -> LONG:
    """Return the largest total variation over times."""
    return np.abs(first - second).reshape(len(first), -1).sum(axis=1).max() / 2
