"""The formulas of stationary games as plain loops. NumPy only: nothing here comes from the library.

A game is a `PlainStationary`, whose kernel and reward are Python functions of z. Responses are functions
`(q, available) -> (values, policy)`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class PlainStationary:
    """A game as functions of NumPy arrays."""

    kernel: Callable[[np.ndarray], np.ndarray]  # P(s'|s,a,z) as [S, A, S]
    reward: Callable[[np.ndarray], np.ndarray]  # r(s,a,z) as [S, A]
    initial: np.ndarray
    available: np.ndarray  # [S, A]
    discount: float


def trembling(epsilon, tie="smallest", greedy_values=False):
    """1 − ε on the first (last) best action and ε shared among the others; values count the trembling, or not."""

    def respond(q, available):
        values, policy = np.zeros(len(q)), np.zeros_like(q)
        for s in range(len(q)):
            actions = [a for a in range(q.shape[1]) if available[s, a]]
            best = max(q[s, a] for a in actions)
            ranked = [a for a in actions if q[s, a] == best]
            chosen = ranked[0] if tie == "smallest" else ranked[-1]
            for a in actions:
                if len(actions) == 1:
                    policy[s, a] = 1
                else:
                    policy[s, a] = 1 - epsilon if a == chosen else epsilon / (len(actions) - 1)
            values[s] = best if greedy_values else sum(policy[s, a] * q[s, a] for a in actions)
        return values, policy

    return respond


def soft(beta, reference):
    """V = (1/β) log Σ ρ exp(βQ), π = ρ exp(β(Q − V))."""

    def respond(q, available):
        values, policy = np.zeros(len(q)), np.zeros_like(q)
        for s in range(len(q)):
            actions = [a for a in range(q.shape[1]) if available[s, a]]
            top = max(q[s, a] for a in actions)
            total = sum(reference[s, a] * np.exp(beta * (q[s, a] - top)) for a in actions)
            values[s] = top + np.log(total) / beta
            for a in actions:
                policy[s, a] = reference[s, a] * np.exp(beta * (q[s, a] - top)) / total
        return values, policy

    return respond


def boltzmann(beta, prior):
    """V = max Q, π ∝ prior exp(βQ)."""

    def respond(q, available):
        return trembling(0, greedy_values=True)(q, available)[0], soft(beta, prior)(q, available)[1]

    return respond


def backup(game, z, values):
    """q(s,a) = r(s,a,z) + γ Σ P(s'|s,a,z) V(s')."""
    rewards, moves, q = game.reward(z), game.kernel(z), np.zeros(game.available.shape)
    for s, a in np.argwhere(game.available):
        q[s, a] = rewards[s, a] + game.discount * sum(moves[s, a, n] * values[n] for n in range(len(z)))
    return q


def best_response(game, z, response, tolerance=1e-14):
    """Value iteration until nothing moves: (values, policy, q)."""
    values = np.zeros(len(z))
    while True:
        q = backup(game, z, values)
        after, policy = response(q, game.available)
        if np.abs(after - values).max() <= tolerance:
            return after, policy, q
        values = after


def step(game, z, policy, seen=None):
    """Φ(z, π)(s') = Σ z(s) π(a|s) P(s'|s,a,z), eqs. (1), (2); or with moves that see another population."""
    moves, after = game.kernel(z if seen is None else seen), np.zeros(len(z))
    for s, a in np.argwhere(game.available):
        for n in range(len(z)):
            after[n] += z[s] * policy[s, a] * moves[s, a, n]
    return after


def policy_values(game, z, policy, penalty=None):
    """V_{π,z} by a linear system; `penalty` [S, A] is what each action costs."""
    rewards, moves, size = game.reward(z), game.kernel(z), len(z)
    matrix, right = np.eye(size), np.zeros(size)
    for s, a in np.argwhere(game.available & (policy > 0)):
        right[s] += policy[s, a] * (rewards[s, a] - (0 if penalty is None else penalty[s, a]))
        matrix[s] -= game.discount * policy[s, a] * moves[s, a]
    return np.linalg.solve(matrix, right)


def iterate(game, response, z, steps, damping=1.0):
    """T-BR, algorithm 1, or its damped form: all z_k."""
    path = [z]
    for _ in range(steps):
        _, policy, _ = best_response(game, path[-1], response)
        path.append(path[-1] + damping * (step(game, path[-1], policy) - path[-1]))
    return path


def stationary_law(game, policy, z=None):
    """The law that a chain keeps: of the kernel at `z`, or of the population's own law."""
    law = game.initial
    for _ in range(100_000):
        seen = law if z is None else z
        after = (law + step(game, law, policy, seen)) / 2
        if np.abs(after - law).max() <= 1e-16:
            return after
        law = after
    raise AssertionError("the law of the chain did not become stationary")
