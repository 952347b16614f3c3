"""Programs of rewards that theorems do not like: kinks, jumps, bumps, roots and logarithms at 0, reads past an end.

`ENTRY[name](x, c, w)` acts on every entry, with a trouble at c of width w; `VECTOR[name](m, c, w, p)` mixes the
entries of a mean field and has its trouble near the law p. A `Program` holds one of them by name and its constants as
arrays, so that many random constants are tried with one compiled program.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


@jax.custom_jvp
def _lying(x):
    return x * x


_lying.defjvp(lambda primals, tangents: (_lying(*primals), jnp.zeros_like(tangents[0])))


@jax.custom_vjp
def _lying_back(x):
    return 3 * x


_lying_back.defvjp(lambda x: (_lying_back(x), None), lambda _, g: (jnp.zeros_like(g),))


def _single(x):
    return x.astype(jnp.float32).astype(x.dtype)


def _table(x, c, w):
    grid = jnp.linspace(-2, 2, 9, dtype=x.dtype)
    return jnp.interp(x, grid, jnp.abs(grid - c))


ENTRY = {
    "affine": lambda x, c, w: x,
    "abs": lambda x, c, w: jnp.abs(x - c),
    "relu": lambda x, c, w: jnp.maximum(x - c, 0),
    "nn relu": lambda x, c, w: jax.nn.relu(x - c),
    "leaky": lambda x, c, w: jnp.where(x > c, x, 0.1 * x),
    "jump": lambda x, c, w: jnp.where(x > c, 1.0, 0.0) * jnp.ones_like(x),
    "window": lambda x, c, w: jnp.where(jnp.abs(x - c) < w, x + 1, x),
    "hole": lambda x, c, w: jnp.where(x == c, 1.0, x),
    "bump": lambda x, c, w: jnp.exp(-(((x - c) / w) ** 2)),
    "tent": lambda x, c, w: x + w * jnp.maximum(0, 1 - jnp.abs(x - c) / w),
    "tall tent": lambda x, c, w: x + jnp.maximum(0, 1 - jnp.abs(x - c) / w),
    "log": lambda x, c, w: jnp.log(jnp.abs(x - c) + w),
    "log at zero": lambda x, c, w: jnp.maximum(jnp.log(jnp.abs(x)), -5),
    "x log x": lambda x, c, w: jnp.where(x > 0, x * jnp.log(jnp.where(x > 0, x, 1)), 0),
    "plain x log x": lambda x, c, w: jnp.abs(x) * jnp.log(jnp.abs(x) + 1e-300),
    "xlogy": lambda x, c, w: jax.scipy.special.xlogy(jnp.abs(x), jnp.abs(x)),
    "entr": lambda x, c, w: jax.scipy.special.entr(jnp.abs(x)),
    "root": lambda x, c, w: jnp.sqrt(jnp.abs(x - c)),
    "root of square": lambda x, c, w: jnp.sqrt((x - c) ** 2),
    "x root x": lambda x, c, w: jnp.abs(x) * jnp.sqrt(jnp.abs(x)),
    "power": lambda x, c, w: jnp.abs(x) ** 0.5,
    "power three halves": lambda x, c, w: jnp.abs(x - c) ** 1.5,
    "cube root": lambda x, c, w: jnp.cbrt(x - c),
    "reciprocal twice": lambda x, c, w: 1 / (1 / (jnp.abs(x) + w)),
    "x over x": lambda x, c, w: (x - c) / (x - c + jnp.where(x == c, 1, 0)),
    "one over x": lambda x, c, w: jnp.clip(1 / (x - c + 1e-9), -1, 1),
    "arc of one over x": lambda x, c, w: jnp.arctan(1 / (x - c)),
    "tanh of one over x": lambda x, c, w: jnp.tanh(w / (x - c)),
    "arctan2": lambda x, c, w: jnp.arctan2(x - c, -w),
    "rational": lambda x, c, w: x / (1 + x**2),
    "sign": lambda x, c, w: jnp.sign(x - c),
    "floor": lambda x, c, w: w * jnp.floor(x / w),
    "ceil": lambda x, c, w: w * jnp.ceil(x / w),
    "round": lambda x, c, w: w * jnp.round(x / w),
    "mod": lambda x, c, w: jnp.mod(x, w),
    "rem": lambda x, c, w: lax.rem(x, w * jnp.ones_like(x)),
    "integer": lambda x, c, w: w * (x / w).astype(jnp.int32).astype(x.dtype),
    "boolean": lambda x, c, w: (x > c).astype(x.dtype),
    "stopped": lambda x, c, w: lax.stop_gradient(x),
    "half stopped": lambda x, c, w: x * lax.stop_gradient(x),
    "lying rule": lambda x, c, w: _lying(x - c),
    "lying rule back": lambda x, c, w: _lying_back(x),
    "sine": lambda x, c, w: w * jnp.sin(x / w),
    "cosine": lambda x, c, w: jnp.cos(2 * x + c),
    "tan": lambda x, c, w: jnp.clip(jnp.tan(x), -5, 5),
    "tanh": lambda x, c, w: jnp.tanh((x - c) / w),
    "logistic": lambda x, c, w: jax.nn.sigmoid((x - c) / w),
    "erf": lambda x, c, w: jax.scipy.special.erf((x - c) / w),
    "softplus": lambda x, c, w: w * jnp.logaddexp((x - c) / w, 0.0),
    "silu": lambda x, c, w: jax.nn.silu((x - c) / w),
    "square": lambda x, c, w: (x - c) ** 2,
    "cube": lambda x, c, w: (x - c) ** 3,
    "inverse square": lambda x, c, w: 1 / ((x - c) ** 2 + w),
    "negative power": lambda x, c, w: (jnp.abs(x - c) + w) ** -2,
    "rsqrt": lambda x, c, w: lax.rsqrt((x - c) ** 2 + w),
    "exp": lambda x, c, w: jnp.exp(x),
    "exp overflow": lambda x, c, w: 1 / (1 + jnp.exp((x - c) / w**3)),
    "expm1": lambda x, c, w: jnp.expm1(x) - jnp.log1p(jnp.abs(x)),
    "asinh": lambda x, c, w: jnp.arcsinh((x - c) / w),
    "arcsine": lambda x, c, w: jnp.arcsin(jnp.clip(x - c, -1, 1)),
    "clip": lambda x, c, w: jnp.clip(x, c - w, c + w),
    "minimum": lambda x, c, w: jnp.minimum(x, 2 * c - x),
    "max of three": lambda x, c, w: jnp.maximum(jnp.maximum(x, 2 * c - x), c + w),
    "rounded": lambda x, c, w: lax.reduce_precision(x, 8, 3),
    "half precision": lambda x, c, w: x.astype(jnp.float16).astype(x.dtype),
    "single precision": lambda x, c, w: _single(_single(x) * 3),
    "nan guard": lambda x, c, w: jnp.nan_to_num(jnp.log(x - c), nan=0.0, neginf=-3.0),
    "finite guard": lambda x, c, w: jnp.where(jnp.isfinite(1 / (x - c)), x, x + 1),
    "interp": _table,
    "loop": lambda x, c, w: lax.fori_loop(0, 3, lambda i, y: 0.5 * y * y, x),
    "heaviside": lambda x, c, w: jnp.heaviside(x - c, 0.5),
    "select": lambda x, c, w: jnp.select([x < c - w, x < c + w], [x, x + w], x),
    "gamma": lambda x, c, w: lax.lgamma(jnp.abs(x) + 0.5),
    "zero times": lambda x, c, w: x + 0 * jnp.log(jnp.abs(x) + 1e-30),
    "checkpointed": lambda x, c, w: jax.checkpoint(lambda y: jnp.abs(y - c))(x),
    "jitted": lambda x, c, w: jax.jit(lambda y: jnp.maximum(y - c, 0) ** 2)(x),
}


def _ball(m, p, w):
    return jnp.maximum(0, 1 - ((m - p) ** 2).sum() / w**2)


def _until(m, c):
    return lax.while_loop(lambda y: y.sum() > c, lambda y: y * 0.7, m)


_MIX = np.random.default_rng(8).standard_normal((8, 8))

VECTOR = {
    "take fill": lambda m, c, w, p: jnp.take(m, jnp.arange(m.size) + 1, mode="fill", fill_value=2.0),
    "take fill nan": lambda m, c, w, p: jnp.nan_to_num(jnp.take(m, jnp.arange(m.size) + 1, mode="fill"), nan=1.0),
    "take clip": lambda m, c, w, p: jnp.take(m, jnp.arange(m.size) + 1, mode="clip"),
    "take wrap": lambda m, c, w, p: jnp.take(m, jnp.arange(m.size) + 1, mode="wrap"),
    "get fill": lambda m, c, w, p: m.at[jnp.arange(m.size) + 1].get(mode="fill", fill_value=-1.0),
    "square of fill": lambda m, c, w, p: m.at[jnp.arange(m.size) + 1].get(mode="fill", fill_value=-1.0) ** 2,
    "slice past the end": lambda m, c, w, p: jnp.tile(lax.dynamic_slice(m, (m.size - 1,), (2,)).sum(), m.size),
    "place by size": lambda m, c, w, p: jnp.take(m, jnp.floor(m / w).astype(jnp.int32) % m.size),
    "roll by argmax": lambda m, c, w, p: jnp.roll(m, jnp.argmax(m)),
    "sort": lambda m, c, w, p: jnp.sort(m),
    "top k": lambda m, c, w, p: jnp.tile(lax.top_k(m, 2)[0].sum(), m.size),
    "argmax": lambda m, c, w, p: jax.nn.one_hot(jnp.argmax(m), m.size, dtype=m.dtype),
    "rank": lambda m, c, w, p: jnp.argsort(m).astype(m.dtype),
    "cumsum": lambda m, c, w, p: jnp.cumsum(m),
    "cumprod": lambda m, c, w, p: jnp.cumprod(1 - m),
    "cummax": lambda m, c, w, p: lax.cummax(m),
    "cumulative logsumexp": lambda m, c, w, p: lax.cumlogsumexp(m / w) * w,
    "softmax": lambda m, c, w, p: jax.nn.softmax(m / w),
    "logsumexp": lambda m, c, w, p: jax.nn.logsumexp(jnp.stack([m, m[::-1], p]), axis=0),
    "max of affine": lambda m, c, w, p: (_MIX[: m.size, : m.size] @ m).max() * jnp.ones_like(m),
    "min of affine": lambda m, c, w, p: jnp.minimum(_MIX[: m.size, : m.size] @ m, m),
    "median": lambda m, c, w, p: jnp.full_like(m, jnp.median(m)),
    "scatter set": lambda m, c, w, p: m.at[0].set(m[1] ** 2),
    "scatter add": lambda m, c, w, p: m.at[jnp.array([0, 0, 1])].add(m[1]),
    "scatter multiply": lambda m, c, w, p: m.at[jnp.array([0, 1])].mul(m[1]),
    "scatter max": lambda m, c, w, p: m.at[0].max(m[1]),
    "scatter past the end": lambda m, c, w, p: m.at[jnp.array([1, 99])].add(m[0], mode="drop"),
    "quadratic": lambda m, c, w, p: m * (_MIX[: m.size, : m.size] @ m),
    "product": lambda m, c, w, p: jnp.full_like(m, jnp.prod(m)),
    "norm": lambda m, c, w, p: m / jnp.linalg.norm(m),
    "length": lambda m, c, w, p: jnp.full_like(m, jnp.linalg.norm(m - p)),
    "share": lambda m, c, w, p: jnp.where(m + m[::-1] > 0, m / (m + m[::-1]), 0.5),
    "share with floor": lambda m, c, w, p: m / jnp.maximum(m + m[::-1], w),
    "scan": lambda m, c, w, p: lax.scan(lambda y, x: (y * 0.5 + x, y * x), jnp.zeros((), m.dtype), m)[1],
    "while": lambda m, c, w, p: _until(m * 2, jnp.abs(c) + 0.1),
    "cond": lambda m, c, w, p: lax.cond(m[0] > p[0], lambda y: y, lambda y: y + 1, m),
    "switch": lambda m, c, w, p: lax.switch(jnp.argmax(m), [lambda y, i=i: y * i for i in range(m.size)], m),
    "convolution": lambda m, c, w, p: jnp.convolve(m, m, mode="same"),
    "fourier": lambda m, c, w, p: jnp.abs(jnp.fft.fft(m)),
    "all": lambda m, c, w, p: jnp.where((m >= p * 0.9).all(), m + 1, m),
    "ball": lambda m, c, w, p: m + w * _ball(m, p, w),
    "tall ball": lambda m, c, w, p: m + 2 * _ball(m, p, w),
    "square in a box": lambda m, c, w, p: jnp.where((jnp.abs(m - p) < w).all(), m**2 * 5, m),
    "sum of abs": lambda m, c, w, p: jnp.full_like(m, jnp.abs(m - p).sum()),
    "affine twice": lambda m, c, w, p: _MIX[: m.size, : m.size] @ (m[::-1] + p) - m,
    "total": lambda m, c, w, p: jnp.full_like(m, m.sum()),
    "pad": lambda m, c, w, p: lax.pad(m, jnp.zeros((), m.dtype), [(1, -1, 0)]),
    "barrier": lambda m, c, w, p: lax.optimization_barrier(m) ** 2,
    "callback": lambda m, c, w, p: jax.pure_callback(
        lambda y: np.abs(np.asarray(y) - 0.3), jax.ShapeDtypeStruct(m.shape, m.dtype), m, vmap_method="sequential"
    ),
    "dot with itself": lambda m, c, w, p: jnp.full_like(m, m @ m),
    "mean state": lambda m, c, w, p: jnp.full_like(m, (m @ jnp.arange(m.size, dtype=m.dtype)) ** 2),
    "piecewise mean state": lambda m, c, w, p: jnp.full_like(m, jnp.abs((m - p) @ jnp.arange(m.size, dtype=m.dtype))),
}

TOGETHER = {
    "less the largest": lambda x, c, w: x - x.max(),
    "less its row's mean": lambda x, c, w: x - x.mean(axis=1, keepdims=True),
    "times the first": lambda x, c, w: x * x[0, 0],
    "softmax": lambda x, c, w: jax.nn.softmax(x / w, axis=0),
    "if any": lambda x, c, w: jnp.where((x > c).any(), x, 0),
    "while any": lambda x, c, w: lax.while_loop(
        lambda s: (s[1] > 1).any() & (s[0] < 9), lambda s: (s[0] + 1, s[1] / 2), (0, x)
    )[1],
}
"""Θ that sees what all pairs of state and action earn in the same population."""

PLACES = ("theta", "outside", "inside")
PROGRAMS = [f"{place} {name}" for place in PLACES for name in ENTRY]
PROGRAMS += [f"theta {name}" for name in TOGETHER] + [f"vector {name}" for name in VECTOR]


class Theta(eqx.Module):
    """Θ(x) = k f(x)."""

    name: str = eqx.field(static=True)
    k: jax.Array
    c: jax.Array
    w: jax.Array

    def __call__(self, t, x):
        return self.k * (ENTRY | TOGETHER)[self.name](x, self.c, self.w)


class Program(eqx.Module):
    """A reward [S, A]: k f(base + table m) "outside", base + k table f(m) "inside", base + k table g(m) "vector"."""

    name: str = eqx.field(static=True)
    k: jax.Array
    c: jax.Array
    w: jax.Array
    p: jax.Array
    base: jax.Array
    table: jax.Array  # [S, A, n]

    def __call__(self, *arguments):
        m = arguments[-1].reshape(-1)
        place, name = self.name.split(" ", 1)
        if place == "outside":
            return self.k * ENTRY[name](self.base + self.table @ m, self.c, self.w)
        found = ENTRY[name](m, self.c, self.w) if place == "inside" else VECTOR[name](m, self.c, self.w, self.p)
        return self.base + self.k * (self.table @ found)


def draw_program(rng, name, S, A, n, dtype):
    """Return constants of a program: its trouble lies at the law p, or where the values are at p."""
    place = name.split(" ", 1)[0]
    p = rng.dirichlet(np.ones(n))
    if rng.random() < 0.2:
        p = np.eye(n)[rng.integers(n)]
    base, table = rng.standard_normal((S, A)), rng.standard_normal((S, A, n))
    if rng.random() < 0.3:  # all actions earn the same, as in a crowd that repels
        base, table = np.repeat(base[:, :1], A, axis=1), np.repeat(table[:, :1], A, axis=1)
    if rng.random() < 0.2:
        table = np.repeat(-np.eye(n)[rng.permutation(n)[:S], None] if n >= S else table, A, axis=1)
    if rng.random() < 0.3:
        base = base * 0
    s, a, j = rng.integers(S), rng.integers(A), rng.integers(n)
    c = p[j] if place in ("inside", "vector") else base[s, a] + table[s, a] @ p
    k = rng.choice([-1, 1]) * 10 ** rng.choice([0, 0, 0, rng.uniform(-3, 3), -12, -30 if dtype == np.float64 else -20])
    w = 10 ** rng.uniform(-3, 0)
    if place == "outside" and rng.random() < 0.3:
        k = abs(k)
    return {
        key: np.asarray(x, dtype)
        for key, x in (("k", k), ("c", c), ("w", w), ("p", p), ("base", base), ("table", table))
    }


def program_of(name, made):
    """Return the module of a program from its constants."""
    return Program(name, *(jnp.asarray(made[key]) for key in ("k", "c", "w", "p", "base", "table")))


class MovingKernel(eqx.Module):
    """P = (1 − h) P_0 + h P_1 with h = logistic(k f(v·m))."""

    name: str = eqx.field(static=True)
    k: jax.Array
    c: jax.Array
    w: jax.Array
    v: jax.Array
    tables: jax.Array  # [2, S, A, S]

    def __call__(self, t, m):
        h = jax.nn.sigmoid(self.k * ENTRY[self.name](self.v @ m, self.c, self.w))
        return (1 - h) * self.tables[0] + h * self.tables[1]


class ByTime(eqx.Module):
    """base_t + k |table m − c_t|, or another f, whose trouble may lie at a flow."""

    name: str = eqx.field(static=True)
    k: jax.Array
    w: jax.Array
    base: jax.Array
    table: jax.Array
    c: jax.Array  # [T, S, A]

    def __call__(self, t, m):
        name = self.name.split(" ", 1)[1]
        x = self.table @ m
        at = self.c[t]
        return self.base + self.k * (ENTRY[name](x, at, self.w) - ENTRY[name](at, at, self.w))
