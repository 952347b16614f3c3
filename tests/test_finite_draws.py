"""Random counts and the binomial law, against NumPy and closed forms, in both precisions."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close
from scipy import stats

from mfgjax.finite import binomial as law
from mfgjax.finite.draws import Stream, binomial, categorical, multinomial

RUNS = 20_000
TRIALS = [10, 1_000, 1_000_000, 1_000_000_000]
precisions = pytest.mark.parametrize("x64", [True, False], ids=["x64", "x64 off"])


def streams(seed, runs=RUNS):
    return Stream.of_runs(jax.random.key(seed), jnp.arange(runs, dtype=jnp.uint32))


@jax.jit
def draw(stream, n, p):
    total = jnp.full((1, stream.words.shape[1]), n, jnp.int32)
    return binomial(stream, lambda attempt: attempt, total, p, 1 - p)[0]


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("probability", [1e-9, 1e-4, 0.03, 0.3, 0.5, 0.8, 1 - 1e-6])
@pytest.mark.parametrize("trials", TRIALS)
def test_binomials_have_the_right_mean_variance_and_distribution(double, trials, probability):
    """Five standard errors of 20,000 draws; where few numbers are likely, each has its frequency (χ²)."""
    count = np.asarray(draw(streams(trials), trials, probability), dtype=np.float64)
    assert ((count >= 0) & (count <= trials)).all()
    mean, variance = trials * probability, trials * probability * (1 - probability)
    assert abs(count.mean() - mean) <= 5 * np.sqrt(variance / RUNS) + 1e-12
    fourth = 3 * variance**2 + variance * (1 - 6 * probability * (1 - probability))
    error = np.sqrt((fourth - variance**2) / RUNS)
    if variance > 1e-2:
        assert abs(np.mean((count - mean) ** 2) - variance) <= 5 * error
    if 1e-2 < variance < 1e4:
        low = max(int(mean - 5 * np.sqrt(variance)), 0)
        numbers = np.arange(low, min(int(mean + 5 * np.sqrt(variance)) + 2, trials + 1))
        # by the recursion f(k+1)/f(k) = (n−k)/(k+1) · p/(1−p), normalised
        logs = np.cumsum(
            [0.0, *(np.log((trials - k) / (k + 1) * probability / (1 - probability)) for k in numbers[:-1])]
        )
        expected = RUNS * np.exp(logs - logs.max()) / np.exp(logs - logs.max()).sum()
        observed = np.array([(count == k).sum() for k in numbers])
        likely = expected > 10
        chi2 = ((observed - expected) ** 2 / expected)[likely].sum()
        assert chi2 <= likely.sum() + 5 * np.sqrt(2 * likely.sum()) + 10


@pytest.mark.parametrize("trials", TRIALS)
@precisions
def test_multinomials_add_up_and_have_the_right_moments(trials, x64):
    """Also where single precision is the default, which cannot even hold a number above 2^24."""
    p = np.array([0.2, 0.0, 0.5, 0.3 - 1e-4, 1e-4, 0.0])
    # 64-bit integers would be truncated, so that the draws run inside the context whatever the default is
    with jax.enable_x64(x64), jax.enable_x64(True):
        total = jnp.full((1, RUNS), trials, jnp.int32)
        counts = jax.jit(multinomial)(streams(1), total, jnp.asarray(p)[:, None, None])
    counts = np.asarray(counts, dtype=np.int64)[:, 0]
    assert (counts.sum(axis=0) == trials).all()
    assert (counts[p == 0] == 0).all()
    for k in np.flatnonzero(p):
        mean, variance = trials * p[k], trials * p[k] * (1 - p[k])
        assert abs(counts[k].mean() - mean) <= 5 * np.sqrt(variance / RUNS)
    covariance = np.cov(counts[0], counts[2])[0, 1] / trials
    assert abs(covariance + p[0] * p[2]) <= 5 * np.sqrt((0.16 * 0.25 + 0.1**2) / RUNS)


def test_categories_have_their_frequencies_and_impossible_ones_never_occur(double):
    p = np.array([0.0, 0.3, 0.0, 0.6, 0.1, 0.0])
    drawn = np.asarray(categorical(streams(2, 1000), jnp.asarray(p)[None, None], 100))
    assert drawn.shape == (100, 1000)
    frequency = np.bincount(drawn.ravel(), minlength=6) / drawn.size
    assert (frequency[p == 0] == 0).all()
    assert (np.abs(frequency - p) <= 5 * np.sqrt(p * (1 - p) / drawn.size)).all()


def test_uniform_numbers_are_uniform_and_differ_between_streams(double):
    u = np.asarray(streams(3, 500).uniform(200))
    assert u.shape == (200, 500)
    assert ((u >= 0) & (u < 1)).all()
    assert len(np.unique(u)) == u.size
    assert abs(u.mean() - 0.5) <= 5 / np.sqrt(12 * u.size)
    # neighbours in both directions are uncorrelated
    for first, second in ((u[1:], u[:-1]), (u[:, 1:], u[:, :-1])):
        assert abs(np.mean((first - 0.5) * (second - 0.5))) <= 5 / (12 * np.sqrt(first.size))
    for other in (streams(3, 500).fold(1).uniform(200), streams(3, 500).uniform(200, draw=1)):
        assert not np.isin(other, u).any()


def test_raw_and_typed_keys_give_the_same_streams():
    runs = jnp.arange(3, dtype=jnp.uint32)
    words = [Stream.of_runs(key, runs).words for key in (jax.random.key(5), jax.random.PRNGKey(5))]
    assert (words[0] == words[1]).all()


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (7, 0.5), (60, 0.01), (300, 0.37), (1000, 0.999)])
def test_the_binomial_law_equals_exact_fractions(double, n, p):
    """Numbers up to 1000 choose 500 as whole numbers: the relative error is that of the logarithm, some 1e-12."""
    exact = Fraction(p)
    expected = [float(math.comb(n, k) * exact**k * (1 - exact) ** (n - k)) for k in range(n + 1)]
    assert_close(np.exp(law.log_pmf(np.arange(n + 1), n, p)), expected, rtol=1e-11, atol=1e-300)


def test_the_binomial_law_is_accurate_at_a_billion(double):
    """log f(k+1) − log f(k) is known in closed form: both of them are near −10, out of terms near 2e10."""
    n, p = 10**9, 0.3
    k = np.arange(299_900_000, 300_100_000, 1999)
    steps = law.log_pmf(k + 1, n, p) - law.log_pmf(k, n, p)
    assert_close(steps, np.log((n - k) / (k + 1) * p / (1 - p)), atol=2e-7)
    peak = float(law.log_pmf(300_000_000, n, p))
    assert_close(peak, -0.5 * np.log(2 * np.pi * n * p * (1 - p)), atol=1e-6)  # Stirling: 1 + O(1/n)


def test_certain_outcomes_have_probability_one(double):
    assert_close(law.log_pmf([0, 5, 0], [5, 5, 0], [0.0, 1.0, 0.4]), 0)
    assert (np.asarray(law.log_pmf([1, 4], [5, 5], [0.0, 1.0])) == -np.inf).all()


@pytest.mark.parametrize("n", [1, 2, 10, 1000, 10**6, 10**9])
def test_mean_absolute_deviations_equal_sums_over_the_law(double, n):
    p = jnp.asarray([0.0, 1e-9, 1e-3, 0.2, 0.5, 0.75, 1.0])
    summed = law.expectation(lambda k: jnp.abs(k - n * p), n, p)
    assert_close(law.mean_absolute_deviation(n, p), summed, rtol=1e-6, atol=1e-300)
    if n == 10:
        by_hand = [sum(math.comb(10, k) * 0.2**k * 0.8 ** (10 - k) * abs(k - 2) for k in range(11))]
        assert_close(law.mean_absolute_deviation(10, 0.2), by_hand[0], rtol=1e-13)


def test_expectations_of_polynomials_are_exact(double):
    """E B and Var B in closed form, also at a billion, where 400,000 terms are summed."""
    p = jnp.asarray([[0.2, 0.5], [0.999, 0.01]])
    for n in (3, 500, 10**9):
        assert_close(law.expectation(lambda k: k, n, p), n * p, rtol=1e-13)
        variance = law.expectation(lambda k, n=n: (k - n * p) ** 2, n, p)
        assert_close(variance, n * p * (1 - p), rtol=1e-9)


def test_a_new_number_of_trials_compiles_nothing(double):
    traces = []

    @jax.jit
    def mean(n, p):
        traces.append(n)
        return law.expectation(lambda k: k, n, p)

    for n in (2, 100, 10**6):
        mean(jnp.float64(n), jnp.asarray([0.3]))
    assert len(traces) == 1


def test_binomials_pass_a_kolmogorov_test_at_a_million(double):
    count = np.asarray(draw(streams(9), 10**6, 0.37), dtype=float)
    # a uniform number spreads each atom evenly: then the distance is that of a continuous law
    u = np.random.default_rng(0).random(count.size)
    level = stats.binom.cdf(count - 1, 10**6, 0.37) + u * stats.binom.pmf(count, 10**6, 0.37)
    assert stats.kstest(level, "uniform").pvalue > 1e-4
