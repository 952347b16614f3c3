"""Finite populations by brute force: the Markov chain of the joint states of N agents, as plain loops in NumPy."""

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass
class Chain:
    """Exact expectations in a population of N agents.

    counts: E n_t(s), [T, S]. second: E n_t(s)², [T, S]. distance: E d_TV(n_t/N, reference_t), [T].
    rewards: E of what agent i earns at t, [N, T].
    """

    counts: np.ndarray
    second: np.ndarray
    distance: np.ndarray
    rewards: np.ndarray


def chain(game, policies, reference=None, beta=None, rho=None):
    """Follow the law of the joint state of N agents, agent i with `policies[i]` [T, S, A], all from μ_0.

    At each time all joint actions are enumerated; rewards and kernels see the empirical law. With `beta`, agents pay
    log(π/ρ)/β for their actions.
    """
    T, S, A = game.sizes
    N = len(policies)
    joint = {
        states: np.prod([game.initial[s] for s in states])
        for states in itertools.product(range(S), repeat=N)
        if all(game.initial[s] > 0 for s in states)
    }
    counts, second, distance, rewards = np.zeros((T, S)), np.zeros((T, S)), np.zeros(T), np.zeros((N, T))
    for t in range(T):
        after = {}
        for states, p in joint.items():
            n = np.bincount(states, minlength=S)
            counts[t] += p * n
            second[t] += p * n**2
            if reference is not None:
                distance[t] += p * 0.5 * np.abs(n / N - reference[t]).sum()
            choices = [[a for a in range(A) if pi[t, s, a] > 0] for s, pi in zip(states, policies, strict=True)]
            seen_cache = None
            for actions in itertools.product(*choices):
                q = p * np.prod([pi[t, s, a] for pi, s, a in zip(policies, states, actions, strict=True)])
                if game.joint:
                    seen = np.zeros((S, A))
                    for s, a in zip(states, actions, strict=True):
                        seen[s, a] += 1 / N
                    pay = game.reward(t, seen)
                    moves = game.kernel(t, seen) if t < T - 1 else None
                else:
                    if seen_cache is None:
                        seen = n / N
                        seen_cache = game.reward(t, seen), game.kernel(t, seen) if t < T - 1 else None
                    pay, moves = seen_cache
                for i, (s, a) in enumerate(zip(states, actions, strict=True)):
                    cost = 0 if beta is None else np.log(policies[i][t, s, a] / rho[t, s, a]) / beta
                    rewards[i, t] += q * (pay[s, a] - cost)
                if moves is None:
                    continue
                rows = [moves[s, a] for s, a in zip(states, actions, strict=True)]
                for nexts in itertools.product(*(np.flatnonzero(row > 0) for row in rows)):
                    weight = q * np.prod([row[s] for row, s in zip(rows, nexts, strict=True)])
                    key = tuple(int(s) for s in nexts)
                    after[key] = after.get(key, 0.0) + weight
        joint = after
    return Chain(counts, second, distance, rewards)
