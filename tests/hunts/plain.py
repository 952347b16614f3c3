"""Equilibria judged by loops over formulas, in extended precision. NumPy only: nothing here comes from the library.

A `Plain` game has functions `kernel(t, seen) -> [S, A, S]` and `reward(t, seen) -> [S, A]`; `seen` is the law of the
states, or the joint law where `joint` holds. `horizon` 0 stands for a stationary game, whose arrays have one time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LONG = np.longdouble


@dataclass
class Plain:
    """A game as functions of NumPy arrays."""

    kernel: Callable[[int, np.ndarray], np.ndarray]
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
    S, A = q.shape
    values, policy, weights = np.zeros(S, LONG), np.zeros((S, A), LONG), np.zeros((S, A), LONG)
    for s in range(S):
        actions = np.flatnonzero(available[s])
        row = q[s, actions]
        best = actions[np.argmax(row)]
        weights[s, best] = 1
        if hand.name in ("soft", "boltzmann"):
            rho, beta = hand.prior[t, s, actions].astype(LONG), LONG(hand.beta)
            tilted = rho * np.exp(beta * (row - row.max()))
            policy[s, actions] = tilted / tilted.sum()
            values[s] = row.max()
            if hand.name == "soft":
                # log Σ ρ e^x, near Σ ρ = 1 by log1p: small β loses no digits
                rho = rho / rho.sum()
                values[s] = row.max() + np.log1p((rho * np.expm1(beta * (row - row.max()))).sum()) / beta
                weights[s] = policy[s]
            continue
        share = LONG(hand.epsilon) / (len(actions) - 1) if len(actions) > 1 and hand.name != "greedy" else LONG(0)
        policy[s, actions] = share
        policy[s, best] = 1 - share * (len(actions) - 1)
        if hand.name == "trembling":
            weights[s] = policy[s]
        values[s] = (weights[s, actions] * row).sum()
    return values, policy, weights


def linear(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a linear system in double precision, and refine in the extended one."""
    rough = matrix.astype(float)
    x = np.linalg.solve(rough, right.astype(float)).astype(LONG)
    for _ in range(4):
        x = x + np.linalg.solve(rough, (right - matrix @ x).astype(float))
    return x


def ahead(moves: np.ndarray, values: np.ndarray, available: np.ndarray) -> np.ndarray:
    """Return Σ_s' P(s'|s,a) V(s') of the available actions."""
    return np.where(available, (moves * values).sum(axis=-1), 0)


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
    moves = np.where(available[..., None], moves, 0)
    values, best = np.zeros(len(game.initial), LONG), np.inf
    kept = values
    for _ in range(400):
        q = rewards + game.discount * ahead(moves, values, available)
        after, _, weights = act(hand, 0, q, available)
        off = np.abs(after - values).max()
        if off < best:
            best, kept = off, values
        if off <= 1e-19 * np.abs(after).max():
            break
        chain = (weights[..., None] * moves).sum(axis=1)
        values = values + linear(np.eye(len(values), dtype=LONG) - game.discount * chain, after - values)
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
        mass = (law[:, None] * policy[0])[..., None]
        moved = (np.where(game.available[0][..., None], game.kernel(0, flow[0]), 0) * mass).sum(axis=(0, 1))
        return seen_of(game, moved, policy[0])[None]
    law, seen = game.initial, []
    for t in range(game.horizon + 1):
        seen.append(seen_of(game, law, policy[t]))
        if t < game.horizon:
            mass = (law[:, None] * policy[t])[..., None]
            law = (np.where(game.available[t][..., None], game.kernel(t, seen[t]), 0) * mass).sum(axis=(0, 1))
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
            moves = np.where(available[..., None], game.kernel(0, flow[0]), 0)
            chain = (pi[..., None] * moves).sum(axis=1)
            return linear(np.eye(len(values), dtype=LONG) - game.discount * chain, pay)
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
