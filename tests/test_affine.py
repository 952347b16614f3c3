"""Programs that are proved to be affine in a law: each rule certifies its ordinary case, and nothing that bends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from mfgjax.ranges.affine import NotAffine, affine_in_law

S = 4
STEPS = jnp.arange(4.0)
TABLE = jnp.asarray(np.random.default_rng(0).standard_normal((3, S)))
GRID = np.random.default_rng(1).dirichlet(np.full(S, 0.7), 24)


@jax.custom_jvp
def twice_by_jvp(x):
    return 2 * x


twice_by_jvp.defjvp(lambda x, t: (twice_by_jvp(x[0]), t[0]))


@jax.custom_vjp
def twice_by_vjp(x):
    return 2 * x


twice_by_vjp.defvjp(lambda x: (2 * x, None), lambda _, g: (g,))

AFFINE = {
    "a table": lambda z: TABLE,
    "sum and difference": lambda z: 1 + z - STEPS * z,
    "minus": lambda z: -z,
    "matrix": lambda z: TABLE @ z,
    "matrix behind": lambda z: z @ TABLE.T,
    "einsum": lambda z: jnp.einsum("ij,j->i", TABLE, z),
    "mapped": lambda z: jax.vmap(lambda row: row @ z)(TABLE),
    "outer": lambda z: jnp.outer(z, STEPS),
    "mean": lambda z: z.mean() + (STEPS * z).sum(),
    "cumulative": lambda z: jnp.cumsum(z[::-1])[::-1],
    "filled": lambda z: jnp.take(z, jnp.array([0, 9]), mode="fill", fill_value=1.0),
    "clipped places": lambda z: jnp.take(z, jnp.array([0, 9]), mode="clip"),
    "entries": lambda z: z[jnp.array([0, -1])],
    "slice at a place": lambda z: lax.dynamic_slice(z, (1,), (2,)),
    "update at a place": lambda z: lax.dynamic_update_slice(z, z[:2], (1,)),
    "set and add": lambda z: jnp.zeros((2, S)).at[:, 1].set(z[0]).at[0].add(z),
    "shapes": lambda z: jnp.pad(jnp.roll(jnp.tile(z.reshape(2, 2).T, (2, 1)), 1), 1, constant_values=0.5),
    "stacked": lambda z: jnp.stack([1 - z[0], z[0]]),
    "split": lambda z: jnp.split(z, 2)[1],
    "differences": jnp.diff,
    "chosen by a table": lambda z: jnp.where(STEPS > 1, z, 2 * z),
    "quotient": lambda z: z / 3 - z / (1 + STEPS) + (z[:, None] * np.ones((1, 3)) / jnp.float64(7.0)).sum(axis=1),
    "shares": lambda z: z / z.sum(),
    "shares, guarded": lambda z: jnp.where(z.sum() > 0, z / z.sum(), 0.0),
    "numbers, guarded": lambda z: jnp.where(jnp.isfinite(z) & ~jnp.isnan(z), z, 0.0),
    "not a number": lambda z: jnp.nan_to_num(z, posinf=9.0, neginf=-9.0),
    "clip in range": lambda z: jnp.clip(z @ STEPS / 3, 0, 1),
    "larger than nothing": lambda z: jnp.maximum(z, 0) + jnp.minimum(z, 1) + jax.nn.relu(z),
    "absolute": lambda z: jnp.abs(z - 2),
    "first power": lambda z: z**1,
    "loop": lambda z: lax.fori_loop(0, S, lambda i, x: x + z[i] * STEPS[i], 0.0),
    "loop back": lambda z: lax.scan(lambda x, y: (x + y, x), 0.0, z, reverse=True)[1],
    "map": lambda z: lax.map(lambda i: 1 + 2 * z[i], jnp.arange(S)),
    "branch": lambda z: lax.cond(STEPS[1] > 0, lambda z: z, lambda z: z * z, z),
    "branch by a sum": lambda z: lax.cond(z.sum() > 0.5, lambda z: z, lambda z: 1 - z, z),
    "while of a number": lambda z: z * lax.while_loop(lambda x: x < 3, lambda x: x + 1, 0.0),
    "custom derivative": lambda z: twice_by_jvp(z) + twice_by_vjp(z),
    "no derivative": lambda z: 2 * lax.stop_gradient(z),
    "program in a program": lambda z: jax.jit(lambda z: jax.checkpoint(lambda z: 2 * z)(z))(z),
    "bent table": lambda z: z * jnp.exp(STEPS) + jnp.sort(jnp.round(STEPS)),
}

BENT = {
    "square": lambda z: z * z,
    "power": lambda z: z**2,
    "matrix of itself": lambda z: z @ z,
    "bump": lambda z: jnp.maximum(0, 1 - jnp.abs(z[1] - 0.5) / 0.02),
    "clip": lambda z: jnp.clip(z, 0.0, 0.9),
    "floor": lambda z: jnp.minimum(z, 0.5),
    "absolute": lambda z: jnp.abs(z - 0.5),
    "step": lambda z: jnp.where(z > 0.5, 1.0, 0.0),
    "step at a sum that is rounded": lambda z: jnp.where(z.sum() >= 1, z, 0.0),
    "step at the corner": lambda z: jnp.where(z >= 1, 1.0, 0.0),
    "round": jnp.round,
    "sign": lambda z: jnp.sign(z - 0.5),
    "floor of a sum": lambda z: jnp.floor(z.sum()),
    "remainder": lambda z: z % 0.5,
    "whole numbers": lambda z: (10 * z).astype(int) * 1.0,
    "single precision": lambda z: z.astype(jnp.float32),
    "half precision by a product": lambda z: lax.dot(TABLE, z, precision=lax.DotAlgorithmPreset.BF16_BF16_F32),
    "entry by the law": lambda z: STEPS[(3 * z[0]).astype(int)],
    "slice by the law": lambda z: lax.dynamic_index_in_dim(z, (2 * z[0]).astype(int)),
    "interpolated": lambda z: jnp.interp(z[0], STEPS / 3, STEPS**2),
    "sorted": jnp.sort,
    "largest": lambda z: z.max(),
    "place of the largest": lambda z: STEPS[z.argmax()],
    "branch": lambda z: lax.cond(z[0] > 0.3, lambda z: z, lambda z: 2 * z, z),
    "while": lambda z: lax.while_loop(lambda x: x[0] < 3, lambda x: x + z + 0.1, z),
    "loop": lambda z: lax.fori_loop(0, 2, lambda i, x: x * z, z),
    "long loop": lambda z: lax.fori_loop(0, 1000, lambda i, x: x + z, z),
    "quotient": lambda z: 1 / (1 + z),
    "shares of some": lambda z: z / (0.1 + z[:2].sum()),
    "multiplied at a place": lambda z: z.at[0].multiply(z[1]),
    "exponential": jnp.exp,
}


def certified(function):
    """Values at the point masses if the function is proved affine, else None."""
    try:
        found, holds = jax.jit(lambda: _parts(function))()
    except NotAffine:
        return None
    return np.asarray(found) if holds else None


def _parts(function):
    found, holds = affine_in_law(function, (S,), jnp.float64)
    return found.values, holds


@pytest.mark.parametrize("name", AFFINE)
def test_what_is_affine_is_proved_and_is_the_mixture_of_its_values_at_point_masses(name):
    found, holds = affine_in_law(AFFINE[name], (S,), jnp.float64)
    assert bool(holds)
    mixed = np.tensordot(GRID, np.asarray(found.values), axes=1)
    true = np.asarray(jax.vmap(AFFINE[name])(jnp.asarray(GRID)))
    # the bound on rounding, of the function and of the mixture
    bound = (found.steps + S + 2) * np.finfo(float).eps * np.asarray(found.size).max(axis=0)
    assert (np.abs(true - mixed) <= bound).all()


@pytest.mark.parametrize("name", BENT)
def test_what_bends_or_jumps_is_never_proved_affine(name):
    assert certified(BENT[name]) is None


def random_program(rng, depth):
    """Compose primitives at random; about half of the results are affine."""
    if depth == 0:
        return [lambda z: z, lambda z: jnp.roll(z, 1), lambda z: 1 - z, lambda z: jnp.full(S, 0.3)][rng.integers(4)]
    f, g = random_program(rng, depth - 1), random_program(rng, depth - 1)
    c, low, k = rng.normal(), rng.uniform(-1, 1), int(rng.integers(S))
    return [
        lambda z: f(z) + g(z),
        lambda z: f(z) - g(z),
        lambda z: c * f(z),
        lambda z: f(z) * g(z),
        lambda z: f(z) / (2 + z.sum()),
        lambda z: f(z) / (3 + jnp.abs(g(z))),
        lambda z: jnp.maximum(f(z), low),
        lambda z: jnp.minimum(f(z), g(z)),
        lambda z: jnp.clip(f(z), low, low + 1),
        lambda z: jnp.abs(f(z)),
        lambda z: jnp.where(f(z) > low, f(z), g(z)),
        lambda z: jnp.where(low < STEPS, f(z), g(z)),
        lambda z: jnp.cumsum(f(z)) - f(z).mean(),
        lambda z: jnp.take(f(z), jnp.array([k, 7, -1, 0]), mode="fill", fill_value=c),
        lambda z: f(z)[jnp.clip((4 * g(z)).astype(int), 0, 3)],
        lambda z: f(z).at[k].set(c),
        lambda z: lax.cond(f(z)[k] > low, f, g, z),
        lambda z: lax.fori_loop(0, 2, lambda i, x: x + f(z)[i] * STEPS, g(z)),
        lambda z: lax.stop_gradient(f(z)) + twice_by_jvp(g(z)),
        lambda z: jnp.round(f(z), 3),
    ][rng.integers(20)]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 3))
def test_whatever_is_proved_affine_mixes_at_random_laws(seed, depth):
    function = random_program(np.random.default_rng(seed), depth)
    values = certified(function)
    if values is None:
        return
    size = 1 + np.abs(values).max()
    true = np.asarray(jax.vmap(function)(jnp.asarray(GRID)))
    np.testing.assert_allclose(true, np.tensordot(GRID, values, axes=1), rtol=0, atol=1e-12 * size)
