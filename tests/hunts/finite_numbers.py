"""Attacks on numbers of finite populations that are said to be exact: all joint states of the others are summed up."""

import itertools
import math

import numpy as np
import reports
from programs import PROGRAMS
from reports import HORIZON, A, S, T, draw

import mfgjax as mfg

EXTRA = ("theta square", "theta affine", "inside affine", "vector take clip", "vector quadratic")
# a jump exactly at what whole numbers of agents see is on the side to which sums happen to be rounded
JUMPS = "jump window hole mod floor ceil round sign rem integer boolean half if".split()  # noqa: SIM905
ROUNDED = [name for name in PROGRAMS if name.startswith("theta ") and not any(word in name for word in JUMPS)]
KINDS = [
    *(f"finite/{name}" for name in PROGRAMS),
    *(f"finite joint/{name}" for name in EXTRA),
    *(f"finite rounded/{name}" for name in ROUNDED),
    *(f"finite single/{name}" for name in EXTRA),
    *(f"finite rounded single/{name}" for name in ROUNDED[::4]),
]
POPULATIONS = np.array([1, 2, 3, 5])


def others(places, num):
    """Return all counts of `num` agents over places, `[C, places]`."""
    cuts = itertools.combinations(range(num + places - 1), places - 1)
    rows = [np.diff([-1, *cut, num + places - 1]) - 1 for cut in cuts]
    return np.array(rows)


def occurrences(counts, law):
    """Return the probability of each of the counts, agents being independent with a law."""
    found = np.zeros(len(counts))
    for i, row in enumerate(counts):
        term = float(math.factorial(int(row.sum())))
        for number, p in zip(row, law, strict=True):
            term *= p**number / math.factorial(int(number))
        found[i] = term
    return found


def flow_of(made, kernel, policy):
    """Return the laws of the states `[T, S]`."""
    laws = [made["initial"].astype(float)]
    for t in range(HORIZON):
        laws.append(np.einsum("s,sa,sax->x", laws[-1], policy[t], kernel.astype(float)))
    return np.array(laws)


def among(made, reward, kernel, policy, num):
    """Return what an agent expects to earn at (t, s, a) among num − 1 others, `[T, S, A]`, by summing them all up."""
    laws = flow_of(made, kernel, policy)
    joint = made["joint"]
    places = S * A if joint else S
    counts = others(places, num - 1)
    asked, weights = [], []
    for t in range(T):
        law = (laws[t][:, None] * policy[t]).ravel() if joint else laws[t]
        weights.append(occurrences(counts, law))
    for place in range(places):
        asked.append((counts + np.eye(places)[place]) / num)
    flows = np.repeat(np.concatenate(asked)[:, None], T, axis=1)
    loops = reports.Loops(made, reward, kernel, 1.0)
    found = loops.rewards(flows).reshape(places, len(counts), T, S, A)
    expected = np.einsum("tc,pctsa->ptsa", np.array(weights), found)
    table = np.zeros((T, S, A))
    for s in range(S):
        for a in range(A):
            table[:, s, a] = expected[s * A + a if joint else s, :, s, a]
    return np.where(made["mask"], table, 0), laws


def in_mean_field(made, reward, kernel, policy, laws):
    """Return R_t(s,a,μ_t), `[T, S, A]`."""
    seen = laws[:, :, None] * policy if made["joint"] else laws
    found = reports.Loops(made, reward, kernel, 1.0).rewards(seen.reshape(1, T, -1))[0]
    return np.where(made["mask"], found, 0)


def values_of(made, kernel, rewards, policy, beta):
    """Return the value of a policy and the best value, with KL terms if there is a β, at the start."""
    kernel, rho, mask = kernel.astype(float), made["rho"].astype(float), made["mask"]
    discount = float(made["discount"])
    own, best = np.zeros(S), np.zeros(S)
    for t in reversed(range(T)):
        go = discount if t < HORIZON else 0.0
        q = rewards[t] + go * np.einsum("sax,x->sa", kernel, own)
        cost = (
            np.zeros((S, A)) if beta is None else np.log(np.where(mask, policy[t] / np.where(mask, rho, 1), 1)) / beta
        )
        own = np.where(policy[t] > 0, policy[t] * (q - cost), 0).sum(axis=1)
        q = np.where(mask, rewards[t] + go * np.einsum("sax,x->sa", kernel, best), -np.inf)
        top = q.max(axis=1)
        best = top if beta is None else top + np.log((rho * np.exp(beta * (q - top[:, None]))).sum(axis=1)) / beta
    start = made["initial"].astype(float)
    return float(start @ own), float(start @ best)


def attack(kind, seed, table):
    """Compare one game's numbers, for several N, with sums over all others."""
    rng, game, made, reward, kernel = draw(kind, seed)
    policy = np.where(made["mask"], rng.dirichlet(np.full(A, rng.choice([0.5, 5.0])), size=(T, S)) + 0.01, 0)
    policy = policy / policy.sum(axis=2, keepdims=True)
    beta = None if seed % 2 else 10 ** rng.uniform(-1, 1)
    response = None if beta is None else mfg.EntropyRegularized(beta, made["rho"])
    row = kind.split("/")[0]
    numbers = POPULATIONS[:3] if made["joint"] else POPULATIONS
    method = None
    if seed % 3 == 2:
        method = str(rng.choice(["closed form", "binomial sum", "lattice", "enumeration"]))
    found = mfg.finite.deviation_gain(game, policy, numbers, response, method=method)
    table.count(row, f"by {found.method}")
    failures = []
    for i, num in enumerate(numbers):
        rewards, laws = among(made, reward, kernel, policy, int(num))
        limit = in_mean_field(made, reward, kernel, policy, laws)
        value, best = values_of(made, kernel, rewards, policy, beta)
        value_limit, best_limit = values_of(made, kernel, limit, policy, beta)
        size = max(np.abs(rewards).max(), np.abs(limit).max()) + (0 if beta is None else 5 / beta)
        slack = (1e-9 if made["dtype"] == np.float64 else 3e-6) * size * T
        wrong = []

        def compare(name, got, expected, wrong=wrong, slack=slack):
            off = np.abs(np.asarray(got, float) - expected).max()
            if not off <= slack:
                wrong.append(f"{name} is off by {off:.3g} (allowed {slack:.1g})")

        compare("rewards", np.where(made["mask"], np.asarray(found.rewards)[..., i], 0), rewards)
        compare("value", found.value[i], value)
        compare("best_value", found.best_value[i], best)
        compare("gain", found.gain[i], best - value)
        compare("value_gap", found.value_gap[i], abs(value - value_limit))
        compare("mean_field_value", found.mean_field_value, value_limit)
        compare("exploitability", found.exploitability, best_limit - value_limit)
        if best - value > float(found.bound[i]) + slack:
            wrong.append(f"gain {best - value:.4g} above its bound {float(found.bound[i]):.4g}")
        table.count(row, "attacks")
        if wrong:
            table.count(row, "FALSE")
            failures.append(f"N = {num}: " + "; ".join(wrong))
    if failures:
        table.fail(kind, seed, f"by {found.method}: {failures[0]}" + ", and for other N" * (len(failures) > 1))
