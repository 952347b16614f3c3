"""Ranges of values and derivatives read off programs hold at every point, and are exact where they should be."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

from mfgjax.ranges.intervals import Interval, hull, inverse, power, product
from mfgjax.ranges.programs import range_of
from mfgjax.ranges.ranges import NotDerivable

N = 3
MATRIX = jnp.array([[1.0, -2.0, 0.5], [0.0, 1.0, -1.0]])

PROGRAMS = {
    "square": lambda m: m**2,
    "own square": lambda m: m * m,
    "cube": lambda m: (m - 0.3) ** 3,
    "inverse power": lambda m: (m + 0.5) ** -2,
    "product": lambda m: m[0] * m[1:] - m[1] * m[2],
    "quotient": lambda m: (m - 0.2) / (m.sum() + 1),
    "matrix": lambda m: MATRIX @ m + 1,
    "transposed matrix": lambda m: m @ MATRIX.T,
    "bilinear": lambda m: jnp.outer(m, m - 0.5) @ m,
    "functions": lambda m: jnp.tanh(2 * m - 1) + jnp.exp(-m) + jnp.log1p(m) + jnp.sqrt(m + 0.1) + jnp.expm1(m / 2),
    "more functions": lambda m: jax.nn.sigmoid(4 * m - 2) * jnp.sin(3 * m) + jax.scipy.special.erf(m) + jnp.exp2(m),
    "broken power": lambda m: (m + 0.1) ** 1.5,
    "softmax": lambda m: jax.nn.softmax(0.5 * m),
    "pieces": lambda m: jnp.clip(m, 0.2, 0.7) + jax.nn.relu(m - 0.3) + jnp.abs(m - 0.5) + jnp.maximum(m, 0.4),
    "rows": lambda m: jnp.array([[1.0, m[0], m[1] * m[2]], [m[2], 2.0, 0.0]]),
    "set and add": lambda m: m.at[0].set(3.0).at[1].add(m[2]),
    "moved": lambda m: jnp.roll(m, 1) + jnp.cumsum(m) - m[::-1] + jnp.pad(m, 1)[2:],
    "extremes": lambda m: m.max() - m.min() * m,
    "chosen": lambda m: jnp.where(jnp.arange(N) > 0, m, 0.5),
    "called": lambda m: jax.jit(jax.checkpoint(jnp.tanh))(m),
    "held": lambda m: jax.lax.stop_gradient(m) * 2,
    "constant": lambda m: jnp.ones(2),
}
AFFINE = {"matrix", "transposed matrix", "set and add", "moved", "chosen", "constant", "held"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_derivatives_lie_in_their_ranges(name, rng):
    function, (low, high) = PROGRAMS[name], np.sort(rng.uniform(0, 1, size=(2, N)), axis=0)
    found = eqx.filter_jit(lambda box: range_of(function, box))(Interval(jnp.asarray(low), jnp.asarray(high)))
    points = jnp.asarray(rng.uniform(low, high, size=(400, N)))
    differentiable = (lambda m: 2 * m) if name == "held" else function  # the range is that of the function itself
    values = np.asarray(jax.vmap(function)(points))
    slopes = np.moveaxis(np.asarray(jax.vmap(jax.jacfwd(differentiable))(points)), -1, 1)
    slack = 1e-12  # rounding: the arithmetic is not directed
    assert (values >= found.value.low - slack).all() and (values <= found.value.high + slack).all()
    assert (slopes >= found.slope.low - slack).all() and (slopes <= found.slope.high + slack).all()
    assert found.affine == (name in AFFINE)
    if found.affine:
        assert_close(found.slope.low, found.slope.high)


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (lambda x: x**2, (-1.0, 1.6)),  # 2x
        (jnp.tanh, (1 - np.tanh(0.8) ** 2, 1.0)),  # largest at 0
        (lambda x: jnp.exp(-x), (-np.exp(0.5), -np.exp(-0.8))),
        (lambda x: x**3, (0.0, 3 * 0.8**2)),
        (jnp.abs, (-1.0, 1.0)),
        (jax.nn.sigmoid, (1 / (2 + np.exp(0.8) + np.exp(-0.8)), 0.25)),
    ],
)
def test_the_derivative_of_one_bent_function_is_exact(function, derivative):
    box = Interval(jnp.full(1, -0.5), jnp.full(1, 0.8))
    found = range_of(function, box, entrywise=True)
    assert_close([found.slope.low[0, 0], found.slope.high[0, 0]], derivative, rtol=1e-12)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda m: jnp.where(m > 0.5, m, 0.0), "gt"),
        (jnp.sort, "sort"),
        (jnp.round, "round"),
        (lambda m: m[jnp.argmax(m)] * m, "argmax"),
        (lambda m: jax.lax.fori_loop(0, 3, lambda i, x: x * m, m), "scan"),
        (lambda m: m.astype(int), "it rounds the mean field, to int64"),
        (lambda m: m.astype(jnp.float32) * 3, "it rounds the mean field, to float32"),
        (lambda m: m.astype(jnp.bfloat16), "to bfloat16"),
        (lambda m: jnp.dot(MATRIX, m, preferred_element_type=jnp.bfloat16), "to bfloat16"),
        (lambda m: jnp.einsum("ij,j->i", MATRIX, m, preferred_element_type=jnp.float16), "to float16"),
        (lambda m: jnp.dot(MATRIX, m, preferred_element_type=jnp.int32), "to int32"),
        (lambda m: jnp.dot(MATRIX, m, precision="BF16_BF16_F32"), "to BF16_BF16_F32"),
        (lambda m: jnp.dot(MATRIX, m, precision="F32_F32_F32"), "to F32_F32_F32"),
        (lambda m: jnp.sum(m, dtype=jnp.float16), "to float16"),
        (lambda m: jax.lax.exp(m, accuracy=jax.lax.Tolerance(rtol=0.1)), "`accuracy` of `exp`"),
        (lambda m: (m, m), "several arrays"),
        (lambda m: 2.0**m, "pow"),
    ],
)
def test_what_cannot_be_read_says_why(function, why):
    box = Interval(jnp.zeros(N), jnp.ones(N))
    with pytest.raises(NotDerivable, match=why):
        range_of(function, box)


def test_an_entrywise_function_must_not_mix_entries():
    box = Interval(jnp.zeros(N), jnp.ones(N))
    with pytest.raises(NotDerivable, match="reduce_sum"):
        range_of(lambda x: x / x.sum(), box, entrywise=True)


def test_a_function_that_may_have_no_bound_has_none():
    """√x has an unbounded derivative at 0, 1/x no value: the ranges are infinite, never NaN."""
    box = Interval(jnp.zeros(1), jnp.ones(1))
    root, quotient = range_of(jnp.sqrt, box), range_of(lambda x: 1 / x, box)
    assert_close(root.slope.high, [[np.inf]])
    assert_close(quotient.value.high, [np.inf])
    for end in (*root.value, *root.slope, *quotient.value, *quotient.slope):
        assert not np.isnan(np.asarray(end)).any()


def test_interval_arithmetic_holds_and_is_attained(rng):
    low, high = np.sort(rng.normal(size=(2, 2, 50)), axis=0)
    x, y = (Interval(jnp.asarray(low[i]), jnp.asarray(high[i])) for i in (0, 1))
    a, b = (rng.uniform(low[i], high[i], size=(200, 50)) for i in (0, 1))
    cases = [(product(x, y), a * b), (power(x, 2), a**2), (power(x, 3), a**3), (power(x, 0), a**0)]
    for found, values in cases:
        assert (values >= np.asarray(found.low) - 1e-12).all() and (values <= np.asarray(found.high) + 1e-12).all()
    apart = Interval(jnp.array([0.5, -2.0, -1.0]), jnp.array([2.0, -1.0, 1.0]))
    assert_close(inverse(apart), [[0.5, -1.0, -np.inf], [2.0, -0.5, np.inf]])
    assert_close(hull(jnp.array(2.0), jnp.array(-1.0), jnp.array(0.5)), [-1.0, 2.0])
    assert_close(
        product(Interval(jnp.zeros(1), jnp.zeros(1)), Interval(-jnp.full(1, jnp.inf), jnp.ones(1))), [[0], [0]]
    )


def test_the_rounding_of_a_sum_is_carried_to_the_end():
    """Numbers near 1e9 are 2^-23 apart, so that a sum there is off by half of that; a bound may be twice as large."""
    found = range_of(lambda m: jnp.stack([30 * ((m[0] + 1e9) - 1e9), m[1]]), Interval(jnp.zeros(2), jnp.ones(2)))
    assert 30 * 2.0**-24 <= float(found.rounding[0]) <= 2 * 30 * 2.0**-24
    assert float(found.rounding[1]) == 0


def test_an_algorithm_that_keeps_all_digits_is_followed():
    found = range_of(lambda m: jnp.dot(MATRIX, m, precision="F64_F64_F64"), Interval(jnp.zeros(N), jnp.ones(N)))
    assert_close(found.slope.low.T, MATRIX)
