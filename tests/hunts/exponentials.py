"""Attacks on exact numbers of finite populations of any size: Θ = exp(k (x − c)), whose means are known in closed form.

Agents are independent, so that E exp(k Σ L/N) is the generating function of one of them to the power of N − 1. Steep
and flat k, laws that are almost certain, N up to 1e9, both precisions; what the library refuses is counted, not judged.
"""

import equinox as eqx
import finite_numbers
import jax
import jax.numpy as jnp
import numpy as np
import tally

import mfgjax as mfg

S, A, T = 3, 2, 3
KINDS = [
    f"finite exponential/{name}" for name in ("lattice", "own state", "successor", "single lattice", "single own state")
]
WIDE = np.longdouble


class Exponential(eqx.Module):
    """Θ(x) = exp(k (x − c))."""

    k: jax.Array
    c: jax.Array

    def __call__(self, t, x):
        return jnp.exp(self.k * (x - self.c))


def almost(rng, rows):
    """Return rows of probabilities, half of them within 1e-14 to 1e-2 of certain."""
    certain = np.eye(rows.shape[-1])[rng.integers(rows.shape[-1], size=rows.shape[:-1])]
    share = np.where(rng.random(rows.shape[:-1]) < 0.5, 10 ** rng.uniform(-14, -2, rows.shape[:-1]), 1)[..., None]
    return (1 - share) * certain + share * rows


def expected(table, own, law, k, c, num):
    """Return E Θ − Θ(mean) and Θ(mean) of an agent counted at `own`: what it sees, and the law of another one."""
    mean = table @ law
    away = k * (table - mean) / num
    # Σ p (e^x − 1 − x), by its series where x is small
    series = away**2 / 2 * (1 + away / 3 * (1 + away / 4 * (1 + away / 5 * (1 + away / 6))))
    bend = np.where(np.abs(away) < 1e-3, series, np.expm1(away) - away)
    limit = np.exp(k * (mean - c))
    return limit * np.expm1((num - 1) * np.log1p(bend @ law) + away[own]), limit


def attack(kind, seed, table):
    """Compare the numbers of one game, for one N, with closed forms."""
    rng = tally.generator(kind, seed)
    name = kind.split("/", 1)[1]
    dtype = np.float32 if "single" in name else np.float64
    kernel = almost(rng, rng.dirichlet(np.ones(S), size=(S, A)))
    policy = almost(rng, rng.dirichlet(np.ones(A), size=(T, S)))
    initial = almost(rng, rng.dirichlet(np.ones(S)))
    base, weight = rng.normal(size=(S, A)), rng.normal(size=(S, A))
    there = rng.integers(S, size=(S, A))
    kernel, policy, initial, base, weight = (np.asarray(x, dtype) for x in (kernel, policy, initial, base, weight))
    if "lattice" in name:
        L = seen = rng.integers(0, 4, size=(S, A, S)).astype(dtype)
    else:
        own = np.arange(S)[:, None].repeat(A, axis=1)
        place = there if name == "successor" else own
        L = (
            mfg.rewards.SuccessorInteraction(base, weight, there)
            if name == "successor"
            else mfg.rewards.OwnStateInteraction(base, weight)
        )
        seen = base[..., None] + weight[..., None] * (np.arange(S) == place[..., None])
    num = round(10 ** rng.uniform(0, 9))
    k, c = dtype(rng.choice([-1, 1]) * 10 ** rng.uniform(-2, 2.5)), dtype(rng.uniform(seen.min(), seen.max()))
    beta = 1.0 if seed % 2 else None
    response = None if beta is None else mfg.EntropyRegularized(beta)
    with jax.enable_x64(dtype == np.float64):
        reward = mfg.PairwiseReward(L, Exponential(jnp.asarray(k), jnp.asarray(c)))
        game = mfg.FiniteHorizonGame(kernel, reward, initial, T - 1)
        found = mfg.finite.deviation_gain(game, policy, num, response)
    row = f"{kind.split('/')[0]} {dtype.__name__}"
    table.count(row, f"by {found.method}")
    kernel, policy, law = (
        x.astype(WIDE) / x.astype(WIDE).sum(axis=-1, keepdims=True) for x in (kernel, policy, initial)
    )
    seen, flow = seen.astype(WIDE), []
    shift, limit = np.zeros((2, T, S, A), WIDE)
    for t in range(T):
        flow.append(law)
        for s in range(S):
            for a in range(A):
                shift[t, s, a], limit[t, s, a] = expected(seen[s, a], s, law, WIDE(k), WIDE(c), num)
        law = np.einsum("s,sa,sax->x", law, policy[t], kernel)
    mass = np.array(flow)[..., None] * policy
    rewards = shift + limit
    rounding = 3e-13 if dtype == np.float64 else 1e-6
    wrong = []

    def compare(what, got, right, slack):
        off = np.abs(np.asarray(got, WIDE) - right)
        if not np.all(off <= slack):
            wrong.append(f"{what} is off by {float(off.max()):.3g} (allowed {float(np.max(slack)):.1g})")

    compare(
        "rewards",
        found.rewards,
        rewards,
        1e-6 * np.abs(shift) + 20 * rounding * (rewards + limit) + float(np.finfo(dtype).tiny),
    )
    gap = np.abs((mass * shift).sum())
    # a difference keeps the digits of Θ alone; single precision is that of what is returned
    kept = 3e-6 * (mass * np.abs(shift)).sum() + 1e-14 * (1 + abs(k)) * (mass * (limit + rewards)).sum()
    compare("value_gap", found.value_gap, gap, kept + rounding * gap)
    made = {"mask": np.ones((S, A), bool), "rho": np.full((S, A), 1 / A), "discount": 1.0, "initial": np.array(flow[0])}
    value, best = finite_numbers.values_of(made, np.asarray(kernel), np.asarray(rewards), np.asarray(policy), beta)
    size = T * (float(np.abs(rewards).max()) + (0 if beta is None else 50 / beta))
    compare("value", found.value, value, 1e-9 * size + rounding * size)
    compare("gain", found.gain, best - value, 1e-9 * size + rounding * size)
    table.count(row, "attacks")
    if wrong:
        table.count(row, "FALSE")
        table.fail(kind, seed, f"N = {num}, by {found.method}: " + "; ".join(wrong))
