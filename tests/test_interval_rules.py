"""Every rule of interval analysis, against values and difference quotients that NumPy samples in boxes of all kinds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from mfgjax.ranges.intervals import Interval
from mfgjax.ranges.programs import range_of
from mfgjax.ranges.ranges import NotDerivable

ENDS = (0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, 1e-300, 1e100, 40.0, -800.0, 800.0)
OTHERS = st.floats(-3, 3, allow_subnormal=False) | st.floats(-1e100, 1e100, allow_subnormal=False)
ODD = np.arange((len(ENDS) + 6) ** 2) % 2 > 0


def boxes_of(others):
    """All pairs of ends: points, boxes, and empty ones, where the first end is above the other."""
    ends = np.concatenate([ENDS, others])
    return np.stack(np.meshgrid(ends, ends)).reshape(2, -1)


RULES = {
    "sum": (lambda x: x + 1.5 - x * 3, lambda x: 1.5 - 2 * x),
    "negative": (lambda x: -x, lambda x: -x),
    "product": (lambda x: x * (x - 0.5), lambda x: x * (x - 0.5)),
    "zero times": (lambda x: 0.0 * jnp.log(x), lambda x: 0.0 * np.log(x)),
    "quotient": (lambda x: (x + 2) / x, lambda x: (x + 2) / x),
    "quotient by a number": (lambda x: x / 3, lambda x: x / 3),
    "inverse": (lambda x: 1 / (x - 0.5), lambda x: 1 / (x - 0.5)),
    "inverse of a square": (lambda x: x**-2, lambda x: x**-2.0),
    "inverse of a cube": (lambda x: x**-3, lambda x: x**-3.0),
    "cube": (lambda x: x**3, lambda x: x**3),
    "square": (lambda x: jnp.square(x), lambda x: x**2),
    "power": (lambda x: x**1.5, lambda x: x**1.5),
    "power below 1": (lambda x: x**0.25, lambda x: x**0.25),
    "power below 0": (lambda x: x**-0.5, lambda x: x**-0.5),
    "root": (jnp.sqrt, np.sqrt),
    "logarithm": (jnp.log, np.log),
    "log1p": (jnp.log1p, np.log1p),
    "exponential": (jnp.exp, np.exp),
    "exp2": (jnp.exp2, np.exp2),
    "expm1": (jnp.expm1, np.expm1),
    "tanh": (jnp.tanh, np.tanh),
    "logistic": (jax.nn.sigmoid, scipy.special.expit),
    "erf": (jax.scipy.special.erf, scipy.special.erf),
    "sine": (jnp.sin, np.sin),
    "cosine": (jnp.cos, np.cos),
    "absolute": (jnp.abs, np.abs),
    "maximum": (lambda x: jnp.maximum(x, 0.5 - x), lambda x: np.maximum(x, 0.5 - x)),
    "minimum": (lambda x: jnp.minimum(x, 0.5 - x), lambda x: np.minimum(x, 0.5 - x)),
    "clamp": (lambda x: jax.lax.clamp(-0.5, x, 0.5), lambda x: np.clip(x, -0.5, 0.5)),
    "held": (lambda x: jax.lax.stop_gradient(x) * x, lambda x: x * x),
    "known choice": (
        lambda x: jnp.where(ODD, x, -x),
        lambda x: np.where(ODD, x, -x),
    ),
    "logarithm of a quotient": (lambda x: jnp.exp(jnp.log(x / x + 0.1)), lambda x: np.exp(np.log(x / x + 0.1))),
    "flat of a root": (lambda x: jnp.tanh(30 + jnp.sqrt(x)) * 1e24, lambda x: np.tanh(30 + np.sqrt(x)) * 1e24),
    "exponential of a logarithm": (lambda x: jnp.exp(2 * jnp.log(x)), lambda x: np.exp(2 * np.log(x))),
    "square of a root": (lambda x: jnp.square(jnp.sqrt(x)), lambda x: np.sqrt(x) ** 2),
}


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=5, deadline=None)
@given(others=st.lists(OTHERS, min_size=6, max_size=6), seed=st.integers(0, 2**32 - 1))
def test_ranges_hold_all_sampled_values_and_difference_quotients(name, others, seed):
    (function, oracle), rng = RULES[name], np.random.default_rng(seed)
    low, high = boxes_of(others)  # empty where low > high
    found = range_of(function, Interval(jnp.asarray(low), jnp.asarray(high)), entrywise=True)
    value, slope, *_ = jax.tree.map(np.asarray, found)
    for part in (value, slope):
        assert not (np.isnan(part.low) | np.isnan(part.high)).any() and (part.low <= part.high).all()
    x = sampled(low, high, rng)
    with np.errstate(all="ignore"):
        y = np.stack([oracle(row) for row in x])
        off = 1e-12 * np.maximum(1e-280, np.abs(y))
        inside = (y >= value.low - off) & (y <= value.high + off)
        no_claim = np.isinf(slope.low[0]) & np.isinf(slope.high[0])  # NaN in between may be squashed, its slope not
        wrong = ~(inside | np.isnan(x) | (np.isnan(y) & no_claim))
        assert not wrong.any(), told(wrong, low, high, value.low, value.high)
        apart = x[:, None] - x[None]
        quotient = (y[:, None] - y[None]) / apart
        # what rounding of y and of x, and numbers that are too small to be held, may do to a quotient
        noise = (1e-14 * (np.abs(y[:, None]) + np.abs(y[None])) + 1e-307) / np.abs(apart)
        noise += 1e-14 * np.abs(quotient) * (np.abs(x[:, None]) + np.abs(x[None])) / np.abs(apart)
        slack = noise + 1e-9 * np.abs(quotient)
        fits = (quotient >= slope.low[0] - slack) & (quotient <= slope.high[0] + slack)
        wrong = ~(fits | ~np.isfinite(quotient) | ~np.isfinite(slack))
    assert not wrong.any(), told(wrong.any(axis=0), low, high, slope.low[0], slope.high[0])


def told(wrong, left, right, low, high):
    i = int(np.argwhere(wrong)[0][-1])
    return f"box [{left[i]}, {right[i]}], range [{low[i]}, {high[i]}]"


def sampled(low, high, rng):
    """Points between the ends, the finite ends among them; NaN in an empty box."""
    left, right = np.clip(low, -900, None), np.clip(high, None, 900)
    left, right = np.minimum(left, 1e100), np.maximum(right, -900)
    share = np.concatenate([[0, 1], rng.random(10), 10.0 ** -rng.uniform(1, 12, 6)])[:, None]
    x = left + (right - left) * share
    x = np.clip(np.concatenate([x, rng.normal(size=(8, low.size))]), left, np.maximum(left, right))
    return np.where((low <= high) & (low <= 900) & (high >= -900), x, np.nan)


@pytest.mark.parametrize(
    "function",
    [
        jnp.floor,
        jnp.round,
        jnp.sign,
        jnp.argmax,
        jnp.cumprod,
        jax.lax.cumlogsumexp,
        jnp.sort,
        lambda m: (m > 0.5) * 1.0,
        lambda m: jnp.where(m > 0.5, m, 0.0),
        lambda m: jnp.arange(3.0)[(2 * m).astype(int)],
        lambda m: jax.lax.dynamic_slice(jnp.arange(5.0), (jnp.argmax(m),), (2,)),
        lambda m: jax.lax.scan(lambda c, x: (c * x, c), 1.0, m)[1],
        lambda m: jax.lax.while_loop(lambda x: x.sum() < 5, lambda x: 2 * x + 1, m),
        lambda m: jax.lax.cond(m[0] > 0.5, jnp.sin, jnp.cos, m),
        lambda m: m % 0.3,
        lambda m: jax.lax.reduce_precision(m, 8, 3),
    ],
)
def test_what_may_jump_or_has_no_rule_is_refused(function):
    with pytest.raises(NotDerivable):
        range_of(function, Interval(jnp.zeros(3), jnp.ones(3)))


def test_a_rule_that_lies_about_its_derivative_is_not_asked():
    @jax.custom_jvp
    def steep(x):
        return 5 * x

    steep.defjvp(lambda primals, tangents: (steep(*primals), 0 * tangents[0]))
    found = range_of(steep, Interval(jnp.zeros(2), jnp.ones(2)), entrywise=True)
    np.testing.assert_array_equal(np.asarray(found.slope.high), [[5.0, 5.0]])


def test_sums_of_nothing_are_zero_and_extremes_of_nothing_unknown():
    box = Interval(jnp.zeros(3), jnp.ones(3))
    empty = range_of(lambda m: m[:0].sum()[None], box)
    np.testing.assert_array_equal(np.asarray([empty.value.low, empty.value.high]), [[0], [0]])
    top = range_of(lambda m: jax.lax.reduce_max_p.bind(m[:0], axes=(0,), out_sharding=None)[None], box)
    assert np.isinf(np.asarray(top.value.low)).all() and np.isinf(np.asarray(top.slope.high)).all()
