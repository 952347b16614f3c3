"""Attacks on what is claimed of stationary games in order: complementarities, and the bracket of all equilibria.

Rewards and kernels have complementarities but for one program φ of the population, which may break them near one law
only. Conditions that are said to hold are computed by loops between many pairs of ordered laws near that law; where a
bracket is said to hold, the iteration is started from many laws, one of which may be an equilibrium by construction.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import tally
from programs import ENTRY, VECTOR, _ball

import mfgjax as mfg

S, A = 3, 2
NAMES = (
    *(f"entry {name}" for name in ("affine", "tent", "tall tent", "window", "bump", "relu", "minimum", "clip", "hole")),
    *(f"entry {name}" for name in ("jump", "floor", "square", "tanh", "stopped", "lying rule", "interp", "rounded")),
    *(f"vector {name}" for name in ("take fill", "sort", "square in a box", "affine twice", "scatter past the end")),
    "ball",
    "box",
    "hat",
)
LOCAL = ("ball", "box", "hat", "entry bump")  # 0 but near p
STRAIGHT = ("entry affine", "entry rounded", "entry stopped", "vector take fill", "vector affine twice")
RESPONSES = ("trembling", "soft", "greedy")
KINDS = [f"complementarity/{name}" for name in NAMES]
KINDS += [f"complementarity single/{name}" for name in NAMES[:4]]
KINDS += [f"bracket {response}/{name}" for response in RESPONSES for name in LOCAL]
KINDS += [f"bracket {RESPONSES[i % 3]}/{name}" for i, name in enumerate(STRAIGHT)]
STARTS, STEPS = 24, 300


class Feature(eqx.Module):
    """φ(z), a number."""

    name: str = eqx.field(static=True)
    c: jax.Array
    w: jax.Array
    p: jax.Array
    v: jax.Array

    def __call__(self, z):
        if self.name == "ball":
            return _ball(z, self.p, self.w)
        if self.name == "box":
            return jnp.where((jnp.abs(z - self.p) < self.w).all(), 1.0, 0.0).astype(z.dtype)
        if self.name == "hat":
            return jnp.maximum(0, 1 - jnp.abs(self.v @ z - self.c) / self.w)
        place, name = self.name.split(" ", 1)
        if place == "vector":
            return self.v @ VECTOR[name](z, self.c, self.w, self.p)
        return ENTRY[name](self.v @ z, self.c, self.w)


class Ordered(eqx.Module):
    """f(s,a,z) = Σ coefficients · (1, s, a, s a, x, s x, a x) + φ(z) bonus(s,a), x the mean state, all in [0, 1]."""

    coefficients: jax.Array  # [7]
    bonus: jax.Array
    feature: Feature

    def __call__(self, z):
        s = jnp.linspace(0, 1, S, dtype=z.dtype)
        a = jnp.linspace(0, 1, A, dtype=z.dtype)
        x = s @ z
        c = self.coefficients
        return (
            c[0]
            + c[1] * s[:, None]
            + c[2] * a
            + c[3] * s[:, None] * a
            + x * (c[4] + c[5] * s[:, None] + c[6] * a)
            + self.feature(z) * self.bonus
        )


class Lifted(eqx.Module):
    """P = (1 − h) low + h high, with h as above and high above low."""

    height: Ordered
    low: jax.Array
    high: jax.Array

    def __call__(self, z):
        h = self.height(z)[..., None]
        return (1 - h) * self.low + h * self.high


@eqx.filter_jit
def _at(kernel, reward, laws):
    return jax.vmap(kernel)(laws), jax.vmap(reward)(laws)


def draw(kind, seed):
    """Return the game, its programs, the law of the trouble, the response."""
    rng = tally.generator(kind, seed)
    family, name = kind.split("/", 1)
    dtype = np.float32 if "single" in family else np.float64
    p = rng.dirichlet(np.ones(S))
    v = np.sort(rng.random(S))
    w = 10 ** rng.uniform(-4, 0)
    low, high = np.sort(rng.dirichlet(np.ones(S), size=2)[:, ::-1].cumsum(axis=1), axis=0)  # tails, in order
    low, high = (np.diff(tails, prepend=0)[::-1] for tails in (low, high))
    weights = rng.dirichlet(np.full(8, 0.7)) * rng.uniform(0.5, 0.95)
    reward = rng.random(7) * rng.choice([0.0, 1.0], size=7)
    reward[2] = rng.uniform(-1.5, 0.5)
    discount = rng.choice([0.3, 0.8])
    bonus = np.zeros((S, A))
    moved = np.zeros((S, A))
    epsilon = rng.choice([0.0, rng.uniform(0, 0.4)]) if "trembling" in family else 0.0
    # p is the stationary law of a policy that is paid for near p, and not elsewhere
    if name in LOCAL and rng.random() < 0.7:
        policy = rng.integers(A, size=S)
        p = _at_rest(weights[:7], low, high, policy, epsilon)
        bonus[np.arange(S), policy] = rng.uniform(1, 6)
    elif rng.random() < 0.5:
        bonus = rng.uniform(-1, 1) * rng.choice([np.ones((S, A)), np.linspace(0, 1, A) + np.zeros((S, 1))])
    else:
        moved = np.full((S, A), weights[7] * rng.choice([-1, 1]) * 0.3)

    def cast(x):
        return jnp.asarray(np.asarray(x, dtype))

    feature = Feature(name, cast(v @ p), cast(w), cast(p), cast(v))
    pay = Ordered(cast(reward), cast(bonus), feature)
    kernel = Lifted(Ordered(cast(weights[:7]), cast(moved), feature), cast(low), cast(high))
    initial = np.asarray(rng.dirichlet(np.ones(S)), dtype)
    game = mfg.StationaryGame(kernel, pay, np.asarray(discount, dtype), initial=initial)
    return rng, game, kernel, pay, p, dtype, epsilon


def _at_rest(weights, low, high, policy, epsilon):
    """Return the stationary law of a population that follows a policy with trembling, if the feature is 0."""
    s, a = np.linspace(0, 1, S), (1 - epsilon) * policy + epsilon * (1 - policy)
    z = np.full(S, 1 / S)
    for _ in range(2000):
        x = s @ z
        h = weights[0] + weights[1] * s + weights[2] * a + weights[3] * s * a
        h = h + x * (weights[4] + weights[5] * s + weights[6] * a)
        z = z @ ((1 - h)[:, None] * low + h[:, None] * high)
    return z


def laws_of(rng, p, w):
    """Return pairs of laws `[n, 2, S]`, the second above the first, most of them near p."""
    found = []
    for i in range(120):
        low = rng.dirichlet(np.full(S, 0.7))
        if i % 3:
            low = p + min(1.0, w * 10 ** rng.uniform(-1, 1)) * (low - p)
        up = np.triu(rng.dirichlet(np.full(S, 0.3), size=S))
        up[:, -1] += 1 - up.sum(axis=1)
        share = 1.0 if i % 3 == 0 else min(1.0, w * 10 ** rng.uniform(-1, 1))
        found.append((low, (1 - share) * low + share * (low @ up)))
    return np.array(found)


def by_y(f):
    """Return a function of (s,a) as one of (s,y), y = s + a."""
    g = np.full((S, S + A - 1, *f.shape[2:]), np.nan)
    for s in range(S):
        for a in range(A):
            g[s, s + a] = f[s, a]
    return g


def differences(name, form, low, high):
    """Return what must not be negative of a condition: of functions [S, A, k] at one law and at one above it."""
    g, h = (by_y(f) if form == "post-decision" else f for f in (low, high))
    if "with increasing differences in s" in name:
        return np.diff(h, axis=0) - np.diff(g, axis=0)
    if "with increasing differences" in name:
        return np.diff(h, axis=1) - np.diff(g, axis=1)
    if "best action" in name:
        return np.diff(low.max(axis=1), axis=0)
    if "supermodular" in name:
        return np.diff(np.diff(g, axis=0), axis=1)
    if name.endswith("in s with y held"):
        return np.diff(g, axis=0)
    if name.endswith("non-decreasing in s"):
        return np.diff(low, axis=0)
    if name.endswith("non-decreasing in z"):
        return h - g
    if name.endswith(("non-decreasing in a", "non-decreasing in y")):
        return np.diff(g, axis=1)
    raise AssertionError(f"the condition {name!r} is new")


def attack(kind, seed, table):
    """Check one game, and try all that is claimed of it."""
    rng, game, kernel, reward, p, dtype, epsilon = draw(kind, seed)
    row = kind.split("/")[0]
    if kind.startswith("bracket"):
        return _attack_bracket(kind, seed, table, rng, game, kernel, reward, p, epsilon)
    checked = mfg.check_complementarity(game)
    pairs = laws_of(rng, p, float(reward.feature.w))
    moves, pays = (np.asarray(x, float) for x in _at(kernel, reward, jnp.asarray(pairs.reshape(-1, S), dtype)))
    tails = moves[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:]
    eps = float(np.finfo(dtype).eps)
    for condition in checked.conditions:
        if condition.status != "holds":
            continue
        f = tails if condition.name.startswith("tails") else pays[..., None]
        slack = 300 * eps * max(1.0, float(np.abs(f).max()))
        found = [
            np.nanmin(differences(condition.name, checked.form, f[2 * i], f[2 * i + 1])) for i in range(len(pairs))
        ]
        table.count(row, "attacks")
        table.count(row, "conditions")
        worst = int(np.argmin(found))
        if found[worst] < -slack:
            table.count(row, "FALSE")
            where = " and ".join(np.array2string(law, precision=4) for law in pairs[worst])
            table.fail(kind, seed, f"{checked.form}: {condition.name!r} holds: {found[worst]:.3g} at {where}")
    if checked.holds:
        table.count(row, "all hold")


def _response(kind, rng, epsilon):
    if "trembling" in kind:
        return mfg.Trembling(epsilon), "trembling", epsilon
    if "soft" in kind:
        beta = 10 ** rng.uniform(-1, 2)
        return mfg.EntropyRegularized(beta), "soft", beta
    return mfg.Greedy(), "trembling", 0.0


def step(kernel, reward, discount, hand, number, laws):
    """Return z ↦ Φ(z, π) of many laws `[n, S]`, by NumPy."""
    moves, pays = (np.asarray(x, float) for x in _at(kernel, reward, jnp.asarray(laws)))
    values = np.zeros((len(laws), S))
    for _ in range(30):
        q = pays + discount * np.einsum("nsax,nx->nsa", moves, values)
        top = q.max(axis=2, keepdims=True)
        if hand == "soft":
            policy = np.exp(number * (q - top))
            backed = top[..., 0] + np.log(policy.mean(axis=2)) / number
            policy = policy / policy.sum(axis=2, keepdims=True)
        else:
            policy = np.full(q.shape, number / (A - 1))
            np.put_along_axis(policy, q.argmax(axis=2)[..., None], 1 - number, axis=2)
            backed = (policy * q).sum(axis=2)
        off = backed - values
        if np.abs(off).max() < 1e-14 * max(1.0, np.abs(values).max()):
            break
        chain = np.einsum("nsa,nsax->nsx", policy, moves)
        values = values + np.linalg.solve(np.eye(S) - discount * chain, off[..., None])[..., 0]
    return np.einsum("ns,nsa,nsax->nx", laws, policy, moves)


def _attack_bracket(kind, seed, table, rng, game, kernel, reward, p, epsilon):
    row = kind.split("/")[0]
    response, hand, number = _response(kind, rng, epsilon)
    ends = mfg.bracket(game, response, throw=False, max_steps=3000)
    table.count(row, ends.certificate.split(":")[0])
    if not ends.certificate.startswith("holds"):
        return
    laws = np.concatenate([np.eye(S), p[None], rng.dirichlet(np.ones(S), size=STARTS // 2)])
    near = 10 ** rng.uniform(-5, -1, size=(STARTS - len(laws), 1))
    laws = np.concatenate([laws, p + near * (rng.dirichlet(np.ones(S), size=len(near)) - p)])
    for _ in range(STEPS):
        image = step(kernel, reward, float(game.discount), hand, number, laws)
        change = np.abs(image - laws).sum(axis=1) / 2
        laws = image
        if change.max() < 1e-13:
            break
    least, greatest = (np.asarray(end.mean_field, float) for end in (ends.least, ends.greatest))

    def tails(z):
        return z[..., ::-1].cumsum(axis=-1)[..., ::-1]

    why = ""
    for z in laws[change < 1e-11]:
        outside = max((tails(least) - tails(z)).max(), (tails(z) - tails(greatest)).max())
        if outside > 1e-6:
            why = f"an equilibrium {np.array2string(z, precision=5)} lies outside by {outside:.3g}"
    if not why and ends.coincide and change.max() > 1e-3:
        why = f"the ends coincide, but from one law the iteration still moves by {change.max():.3g}"
    claim = "one equilibrium" if ends.coincide else "all between two"
    table.count(row, "attacks")
    table.count(row, claim)
    if why:
        table.count(row, "FALSE")
        table.fail(kind, seed, f"{claim}: {why}")
