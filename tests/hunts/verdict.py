"""Whether a result that is called converged is an equilibrium, judged by `plain.py`, with what rounding explains.

Rounding of one backup is `ROUNDING` spacings of numbers at the size of the values; `truth.amplified` says how far off
values and their differences are then. Policies of a temperature depend on β times the differences.
"""

from typing import Any

import numpy as np
import plain
import truth
from plain import LONG, Hand, Plain

ROUNDING = 64
FACTOR = 4  # the estimate of the error is of the first order, in some norm
TINY = LONG(np.finfo(np.float32).tiny)  # of a tolerance where nothing is at stake


class Verdict:
    """What is wrong with a result, in words, and what was found on the way.

    Attributes:
      wrong: each claim that does not hold: what, by how much, how much is explained.
      distance: to the equilibrium near the mean field, in total variation; None: not known.
    """

    def __init__(self):
        self.wrong: list[str] = []
        self.distance: LONG | None = None

    def hold(self, name: str, off: Any, allowed: Any) -> None:
        """Note what is off by more than is allowed, or no number."""
        if not off <= allowed:
            self.wrong.append(f"{name}: {float(off):.3g} where {float(allowed):.3g} is allowed")


def judge(game: Plain, hand: Hand, eps: float, found: Any) -> Verdict:
    """Judge a converged result in a precision whose spacing is `eps`."""
    verdict, eps = Verdict(), LONG(eps)
    at_rest = game.horizon == 0

    def own(x):
        return np.asarray(x, LONG)[None] if at_rest else np.asarray(x, LONG)

    flow, policy, log_policy = own(found.mean_field), own(found.policy), own(found.log_policy)
    hold, mask = verdict.hold, game.available
    hold("mass of the mean field", np.abs(flow.sum(axis=1) - 1).max(), ROUNDING * eps)
    hold("negative mass", -flow.min(), ROUNDING * eps)
    hold("sum of the policy", np.abs(policy.sum(axis=2) - 1).max(), ROUNDING * eps)
    hold("unavailable actions", np.where(mask, 0, policy).max(), 0)
    logs = np.where(policy > 1e-300, log_policy - np.log(np.maximum(policy, LONG(1e-300))), 0)
    size_of_logs = np.abs(np.where(policy > 0, log_policy, 0)).max()
    # of a policy below the smallest normal number no digits are left
    normal = policy > np.finfo(np.float32 if eps > 1e-10 else float).tiny
    hold("log policy", np.abs(np.where(normal, logs, 0)).max(), ROUNDING * eps * (1 + size_of_logs))

    best_values, best_policy, best_q = plain.answer(game, hand, flow)
    alike, apart = truth.amplified(game, hand, flow, best_q)
    pay = max(np.abs(np.where(mask[t], game.reward(t, flow[t]), 0)).max() for t in range(game.horizon + 1))
    size = pay + np.abs(best_q).max()
    if hand.name == "soft":
        size += np.abs(np.log(np.where(mask, hand.prior, 1).astype(LONG))).max() / LONG(hand.beta)
    one = ROUNDING * eps * size * max(1, np.sqrt(LONG(mask.shape[1])) / 8)  # rounding of sums over many states
    both = one * (alike + apart)
    hold("q", np.abs(np.where(mask, own(found.q) - best_q, 0)).max(), both)
    hold("values", np.abs(own(found.values) - best_values).max(), both)
    gain = plain.exploitability(game, hand, policy, flow)
    off = abs(LONG(found.exploitability) - gain)
    hold("exploitability", off, one * apart * alike + ROUNDING * eps * alike * gain)
    if hand.name in ("soft", "boltzmann"):
        _judge_smooth(verdict, game, hand, eps, found, flow, policy, (best_policy, best_q), one * apart)
    else:
        _judge_jumping(verdict, game, hand, eps, found, flow, policy, (best_policy, best_q), one * apart, gain)
    return verdict


def _judge_smooth(verdict, game, hand, eps, found, flow, policy, best, rounding):
    best_policy, best_q = best
    beta, hold = LONG(hand.beta), verdict.hold
    span = max(row[m].max() - row[m].min() for row, m in zip(best_q, game.available, strict=True))
    explained = min(8 * eps * beta * span, eps**0.5)
    hold("tolerance", LONG(found.tolerance), max(_atol(eps), explained * LONG(1.01)) * (1 + eps))
    tilt = min(beta * rounding, 1)
    # logs of the prior are rounded at their own size
    of_logs = ROUNDING * eps * (1 - np.log(hand.prior[game.available].min()))
    hold("policy", np.abs(policy - best_policy).sum(axis=2).max() / 2, min(of_logs + tilt, 1))
    slack = min((of_logs + tilt) * max(game.horizon, 1), 1)
    true = plain.apart(flow, plain.generated(game, best_policy, flow))
    hold("no fixed point", true, LONG(found.tolerance) + slack)
    hold("residual", abs(LONG(found.residual) - true), slack)
    estimate = getattr(found, "error_estimate", None)
    near = truth.true_equilibrium(game, hand, flow)
    if near is not None:
        verdict.distance = plain.apart(flow, near)
        if estimate is not None:
            hold("distance to the equilibrium", verdict.distance, FACTOR * LONG(estimate) + ROUNDING * eps)


def _judge_jumping(verdict, game, hand, eps, found, flow, policy, best, rounding, gain):
    (best_policy, best_q), mask, hold = best, game.available, verdict.hold
    by_gain = found.criterion == "exploitability"
    tolerance, moved = LONG(found.tolerance), plain.apart(flow, plain.generated(game, policy, flow))
    slack = ROUNDING * eps * max(game.horizon, 1)
    hold("policy and mean field", moved, max(_atol(eps), 1e-8 if by_gain else 0) + slack)
    number = mask.sum(axis=2, keepdims=True)
    if hand.name in ("trembling", "epsilon-greedy"):
        least = np.where(number > 1, LONG(hand.epsilon) / np.maximum(number - 1, 1), 1)
        hold("least probability", np.where(mask, least - policy, 0).max(), ROUNDING * eps)
    top = np.where(mask, best_q, -np.inf).max(axis=2)
    span = top.max() - np.where(mask, best_q, np.inf).min()
    if by_gain:
        alike = 1 / (1 - game.discount) if game.horizon == 0 else LONG(game.horizon + 1)
        hold("no equilibrium", gain, tolerance + rounding * alike)
        hold("residual", abs(LONG(found.residual) - gain), rounding * alike + ROUNDING * eps * alike * gain)
        share = LONG(1e-4 if eps < 1e-12 else 1e-3)
        # where actions tie, populations of best responses differ, and so does what is at stake there
        hold("tolerance", tolerance, 1.5 * share * _at_stake(game, hand) + share * rounding + TINY)
        return
    hold("tolerance", tolerance, _atol(eps) * (1 + eps))
    mixed = ((number[..., 0] > 1) & (policy.max(axis=2) < (1 - LONG(hand.epsilon)) * (1 - 64 * eps))).any()
    # of a mixture the residual counts what it loses, too, relative to the span of q
    loss = np.where(mask, (best_policy - policy) * best_q, 0).sum(axis=2).max() if mixed else LONG(0)
    loss = min((loss + rounding) / span, 1) if mixed and span > 0 else LONG(0)
    hold("residual", LONG(found.residual) - max(moved, loss), slack)
    hold("residual too small", moved - LONG(found.residual), slack)
    lost = top - np.take_along_axis(best_q, policy.argmax(axis=2)[..., None], axis=2)[..., 0]
    hold("not a best action", lost.max(), 2 * rounding + (mask.shape[2] * tolerance * span if mixed else 0))


def _atol(eps):
    return LONG(1e-10 if eps < 1e-12 else 1e-5)


def _at_stake(game, hand):
    """Return the most that an action is worth more than another where all act at random, or answer those who do."""
    mask, spans = game.available, []
    even = mask / mask.sum(axis=2, keepdims=True).astype(LONG)
    flow = game.initial[None] if game.horizon == 0 else plain.generated(game, even, None)
    for _ in range(2):
        _, policy, q = plain.answer(game, hand, flow)
        spans.append((np.where(mask, q, -np.inf).max(axis=2) - np.where(mask, q, np.inf).min(axis=2)).max())
        flow = plain.generated(game, policy, flow)
    return max(spans)
