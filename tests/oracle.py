"""The formulas of finite-horizon games as plain loops. NumPy only: nothing here comes from the library.

A game is a `PlainGame`, whose kernel and reward are Python functions `(t, seen)`; `seen` is the law `[S]` of the
states, or the joint law `[S, A]` where `joint` holds. Responses are functions `(t, q, available) -> (values,
policy)` on the arrays of one time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class PlainGame:
    """A game as functions of NumPy arrays."""

    kernel: Callable[[int, np.ndarray], np.ndarray]  # P_t(s'|s,a) as [S, A, S]; rows off the mask may be anything
    reward: Callable[[int, np.ndarray], np.ndarray]  # R_t(s,a) as [S, A]
    initial: np.ndarray
    horizon: int
    available: np.ndarray  # [H+1, S, A]
    discount: float = 1.0
    joint: bool = False

    @property
    def sizes(self):
        return self.horizon + 1, *self.available.shape[1:]


def uniform_reference(game):
    return game.available / game.available.sum(axis=-1, keepdims=True)


def soft(beta, reference):
    """V = (1/β) log Σ ρ exp(βQ), π = ρ exp(β(Q − V)), in long double."""

    def respond(t, q, available):
        num_states, num_actions = q.shape
        values, policy = np.zeros(num_states), np.zeros_like(q)
        for s in range(num_states):
            actions = [a for a in range(num_actions) if available[s, a]]
            top = max(q[s, a] for a in actions)
            total = np.longdouble(0)
            for a in actions:
                total += np.longdouble(reference[t, s, a]) * np.exp(np.longdouble(beta) * (q[s, a] - top))
            values[s] = top + np.log(total) / np.longdouble(beta)
            for a in actions:
                policy[s, a] = reference[t, s, a] * np.exp(np.longdouble(beta) * (q[s, a] - top)) / total
        return values, policy

    return respond


def hard(tie="smallest"):
    """V = max Q, all weight on the first or the last maximiser."""

    def respond(t, q, available):
        num_states, num_actions = q.shape
        values, policy = np.zeros(num_states), np.zeros_like(q)
        for s in range(num_states):
            actions = [a for a in range(num_actions) if available[s, a]]
            if tie == "largest":
                actions.reverse()
            best = actions[0]
            for a in actions:
                if q[s, a] > q[s, best]:
                    best = a
            values[s], policy[s, best] = q[s, best], 1
        return values, policy

    return respond


def softmax_of_greedy(beta, prior):
    """V = max Q, π ∝ prior exp(βQ)."""

    def respond(t, q, available):
        values, _ = hard()(t, q, available)
        _, policy = soft(beta, prior)(t, q, available)
        return values, policy

    return respond


def best_response(game, flow, response):
    """Backward induction against a flow: (values [T,S], policy [T,S,A], q [T,S,A])."""
    times, num_states, num_actions = game.sizes
    values = np.zeros((times, num_states))
    policy, q = np.zeros(game.sizes), np.zeros(game.sizes)
    following = np.zeros(num_states)
    for t in reversed(range(times)):
        rewards = game.reward(t, flow[t])
        moves = game.kernel(t, flow[t]) if t < game.horizon else None
        for s in range(num_states):
            for a in range(num_actions):
                q[t, s, a] = rewards[s, a]
                if moves is not None and game.available[t, s, a]:
                    for n in range(num_states):
                        q[t, s, a] += game.discount * moves[s, a, n] * following[n]
        values[t], policy[t] = response(t, q[t], game.available[t])
        following = values[t]
    return values, policy, q


def spread(game, policy, flow=None):
    """Law of the states [T,S] under a policy, and what payoffs see of it; moves as in `flow`, or its own flow."""
    times, num_states, num_actions = game.sizes
    law = np.zeros((times, num_states))
    law[0] = game.initial
    seen = []
    for t in range(times):
        mass = np.zeros((num_states, num_actions))
        for s in range(num_states):
            for a in range(num_actions):
                mass[s, a] = law[t, s] * policy[t, s, a]
        seen.append(mass if game.joint else law[t])
        if t == game.horizon:
            break
        moves = game.kernel(t, seen[t] if flow is None else flow[t])
        for s in range(num_states):
            for a in range(num_actions):
                if game.available[t, s, a]:
                    for n in range(num_states):
                        law[t + 1, n] += mass[s, a] * moves[s, a, n]
    return law, np.array(seen)


def gamma(game, flow, response):
    """Γ = propagate ∘ respond."""
    return spread(game, best_response(game, flow, response)[1])[1]


def policy_value(game, policy, flow, beta=None, reference=None):
    """J (or J^KL) of one agent's policy against a flow: forwards, from the agent's own law."""
    law, _ = spread(game, policy, flow)
    times, num_states, num_actions = game.sizes
    total = 0.0
    for t in range(times):
        rewards = game.reward(t, flow[t])
        for s in range(num_states):
            for a in range(num_actions):
                p = policy[t, s, a]
                if p > 0:
                    penalty = 0 if beta is None else np.log(p / reference[t, s, a]) / beta
                    total += game.discount**t * law[t, s] * p * (rewards[s, a] - penalty)
    return total


def exploitability(game, policy, beta=None, reference=None):
    """Value of the best response in the flow of a policy, less the value of the policy there."""
    _, seen = spread(game, policy)
    response = hard() if beta is None else soft(beta, reference)
    _, best, _ = best_response(game, seen, response)
    criterion = (beta, reference)
    return policy_value(game, best, seen, *criterion) - policy_value(game, policy, seen, *criterion)


def paths(game):
    """All paths (s_0, a_0, s_1, ..., a_H) of positive start probability; for tiny games."""
    unfinished = [((s,), 0) for s in range(game.sizes[1]) if game.initial[s] > 0]
    while unfinished:
        path, t = unfinished.pop()
        for a in range(game.sizes[2]):
            if not game.available[t, path[-1], a]:
                continue
            if t == game.horizon:
                yield (*path, a)
            else:
                unfinished.extend(((*path, a, n), t + 1) for n in range(game.sizes[1]))


def policy_value_by_enumeration(game, policy, flow, beta=None, reference=None):
    """J (or J^KL) as a sum over all paths, straight from the expectation."""
    total = 0.0
    rewards = [game.reward(t, flow[t]) for t in range(game.horizon + 1)]
    moves = [game.kernel(t, flow[t]) for t in range(game.horizon)]
    for path in paths(game):
        states, actions = path[0::2], path[1::2]
        probability, payoff = game.initial[states[0]], 0.0
        for t, (s, a) in enumerate(zip(states, actions, strict=True)):
            p = policy[t, s, a]
            probability *= p
            if t < game.horizon:
                probability *= moves[t][s, a, states[t + 1]]
            if probability == 0:
                break
            payoff += game.discount**t * rewards[t][s, a]
            if beta is not None:
                payoff -= game.discount**t * np.log(p / reference[t, s, a]) / beta
        total += probability * payoff if probability > 0 else 0.0
    return total


def flow_distance(first, second):
    """max_t of half the l1 distance."""
    return max(
        0.5 * sum(abs(x - y) for x, y in zip(p.ravel(), q.ravel(), strict=True))
        for p, q in zip(first, second, strict=True)
    )


def equilibrium(game, response, damping=0.5, tolerance=1e-13, most=5000):
    """A fixed point of Γ by damped iteration; for small β, where that converges."""
    flow = spread(game, uniform_reference(game))[1]
    for _ in range(most):
        image = gamma(game, flow, response)
        if flow_distance(flow, image) <= tolerance:
            return flow
        flow = flow + damping * (image - flow)
    raise AssertionError("the damped iteration of the oracle did not converge")
