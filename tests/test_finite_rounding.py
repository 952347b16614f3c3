"""Finite populations where Θ jumps at a number that the crowd attains, so that rounding decides on the side.

Every agent goes to state 0 or 1 by policy, L is base + weight · (share in one's own state), and Θ(x) = 1{x ≥ level}:
then R^N is a tail of a binomial law, by exact fractions or with the rounding of the numbers as they are.
"""

import math
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

import mfgjax as mfg

LAWS = ((Fraction(1, 2), Fraction(1, 2)), (Fraction(2, 5), Fraction(3, 5)))  # of one agent, at times 0 and 1
POLICY = np.array([[0.4, 0.6], [0.4, 0.6]])


class Step(eqx.Module):
    level: jax.Array

    def __call__(self, t, x):
        return jnp.where(x >= self.level, 1.0, 0.0)


def build(kind, base, weight, level, theta=None):
    base, weight, theta = float(base), float(weight), theta or Step(jnp.asarray(float(level)))
    if kind == "table":
        L = base + weight * np.eye(2)[:, None]
    elif kind == "own":
        L = mfg.rewards.OwnStateInteraction(np.full((2, 1), base), np.full((2, 1), weight))
    else:
        L = lambda t, m: base + weight * m[:, None]  # noqa: E731
    return mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), mfg.PairwiseReward(L, theta), [0.5, 0.5], 1)


def tail(p, N, pays):
    """P(n agents at the own state, oneself one of them, such that it pays), for another one's probability p."""
    weights = (math.comb(N - 1, k) * p**k * (1 - p) ** (N - 1 - k) for k in range(N))
    return float(sum(w for k, w in enumerate(weights) if pays(k + 1)))


def value(N, pays):
    return sum(float(p) * tail(p, N, pays) for law in LAWS for p in law)


CASES = [  # base, weight, N, level
    ("0", ".7", 5, ".42"),
    ("1", ".1", 5, "1.04"),
    ("1", ".1", 10, "1.07"),
    ("-.7", ".7", 10, "-.49"),
    ("-.7", ".7", 10, "-.07"),
    ("0", "3", 5, "1.8"),
    ("0", "3", 10, ".9"),
    ("-.6", "2.4", 10, ".12"),
    ("2.9", "2.7", 5, "3.98"),
]


@pytest.mark.parametrize("kind", ["table", "own", "program"])
@pytest.mark.parametrize("base, weight, N, level", CASES)
def test_the_exact_value_is_within_the_error_where_rounding_decides(kind, base, weight, N, level):
    b, w, c = Fraction(base), Fraction(weight), Fraction(level)
    right = value(N, lambda n: b + w * Fraction(n, N) >= c)
    other = value(N, lambda n: b + w * Fraction(n, N) > c)  # with the jump on its other side
    game = build(kind, b, w, c)
    # enumerated, a program is asked what it pays, without an error: see the next test
    for method in ("binomial sum" if kind == "own" else "lattice", "enumeration")[: 1 + (kind != "program")]:
        found = mfg.finite.deviation_gain(game, POLICY, N, method=method)
        assert abs(found.value - right) <= found.value_error + 1e-12
        assert_close(found.value_error, right - other, atol=1e-12)
        assert found.gain_error >= found.value_error and found.bound >= found.gain
    if kind == "table":  # few enough to be enumerated with the game's own rewards
        assert mfg.finite.deviation_gain(game, POLICY, N).method == "enumeration"


@pytest.mark.parametrize("kind", ["table", "own", "program"])
@pytest.mark.parametrize("weight, N, level", [(w, N, c) for b, w, N, c in CASES if b == "0"])
def test_all_methods_and_simulations_pay_what_the_game_does_at_the_shares(kind, weight, N, level):
    w, c = float(weight), float(level)
    game, pays = build(kind, 0, w, c), lambda n: w * (n / N) >= c
    assert [bool(game.pay_at(0, jnp.array([n / N, 1 - n / N]))[0, 0]) for n in range(N + 1)] == list(
        map(pays, range(N + 1))
    )
    for method in (None, "binomial sum" if kind == "own" else "lattice", "enumeration"):
        assert_close(mfg.finite.deviation_gain(game, POLICY, N, method=method).value, value(N, pays), atol=1e-12)
    runs = mfg.finite.simulate(game, POLICY, N, 300, key=jax.random.key(0))
    earned = [[sum(n * pays(n) for n in law) / N for law in zip(*at, strict=True)] for at in np.asarray(runs.counts)]
    assert_close(runs.rewards, earned, atol=1e-12)


@pytest.mark.parametrize("kind", ["table", "own"])
@pytest.mark.parametrize(
    "base, weight, N, level",
    [("0", "1", 10, ".3"), ("0", "-2", 10, "-1.4"), (".5", "3", 8, "1.625"), ("0", ".7", 10, ".45")],
)
def test_there_is_no_error_where_nothing_is_rounded_or_no_jump_is_near(kind, base, weight, N, level):
    """Shares are the numbers nearest to k/N, such as .3, and so are their halves and doubles; 1/8 is exact."""
    b, w, c = Fraction(base), Fraction(weight), Fraction(level)
    found = mfg.finite.deviation_gain(build(kind, b, w, c), POLICY, N)
    assert_close(found.value, value(N, lambda n: b + w * Fraction(n, N) >= c), atol=1e-12)
    assert found.value_error == found.gain_error == 0
    assert found.method == ("lattice" if kind == "table" else "binomial sum")


def test_a_choice_without_a_jump_has_no_error():
    game = build("own", 0, ".7", 0, theta=lambda t, x: jnp.where(x > 0.42, x - 0.42, 0))
    found = mfg.finite.deviation_gain(game, POLICY, 5)
    assert found.value_error == found.gain_error == 0


@pytest.mark.parametrize("kind", ["table", "own"])
def test_populations_too_large_to_enumerate_carry_the_mass_at_the_jump(kind):
    """Of N = 6,000 the jump is where exactly 3,600 are in one's state; its mass is a binomial coefficient."""
    N, n = 6000, 3600
    ways = math.comb(N - 1, n - 1)
    mass = sum(float(p * ways * p ** (n - 1) * (1 - p) ** (N - n)) for law in LAWS for p in law)
    found = mfg.finite.deviation_gain(build(kind, 0, ".7", ".42"), POLICY, N)
    assert found.method == ("lattice" if kind == "table" else "binomial sum")
    assert_close(found.value_error, mass, rtol=1e-8)


POLES = {  # unbounded at 0
    "inverse": lambda t, x: 1 / x,
    "weak": lambda t, x: 1 + 1e-25 / x,
    "guarded": lambda t, x: jnp.where(x == 0, 0.0, 1 / x),
}


@pytest.mark.parametrize("kind", ["table", "own", "program"])
@pytest.mark.parametrize("name", POLES)
def test_a_pole_that_the_crowd_attains_is_refused_by_every_method(name, kind):
    """−.21 + .3 · 7/10 is 0, but not as it is rounded."""
    game = build(kind, "-.21", ".3", 0, theta=POLES[name])
    # enumerated or drawn, a program is asked what it pays: bounded as far as its steps have bounds
    methods = ("binomial sum" if kind == "own" else "lattice", "enumeration", "Monte Carlo")
    for method in methods[: 1 if kind == "program" and name == "guarded" else 3]:
        with pytest.raises(ValueError, match="may hide a pole"):
            mfg.finite.deviation_gain(game, POLICY, 10, method=method, key=jax.random.key(0))


def test_a_pole_at_the_mean_field_alone_is_refused():
    game = build("own", "-.21", ".3", 0, theta=POLES["inverse"])
    with pytest.raises(ValueError, match="may hide a pole"):
        mfg.finite.deviation_gain(game, np.array([[0.7, 0.3], [0.7, 0.3]]), 9)


@pytest.mark.parametrize("kind", ["table", "own"])
@pytest.mark.parametrize(
    "theta",
    [lambda t, x: jnp.sqrt(jnp.abs(x)) / (2 + x), lambda t, x: 1 / (0.22 + x), lambda t, x: 1 / (x - 0.015)],
    ids=["root", "no pole", "pole between"],
)
def test_what_is_bounded_where_the_crowd_is_has_its_value(theta, kind):
    found = mfg.finite.deviation_gain(build(kind, "-.21", ".3", 0, theta=theta), POLICY, 10)
    exact = 0.0
    for p in (float(p) for law in LAWS for p in law):
        weights = [math.comb(9, k) * p**k * (1 - p) ** (9 - k) for k in range(10)]
        exact += p * sum(
            w * float(theta(0, float(Fraction("-.21") + Fraction(".03") * (k + 1)))) for k, w in enumerate(weights)
        )
    assert_close(found.value, exact, rtol=1e-7)  # the root is steep at 0
    assert found.value_error == 0


def test_a_logarithm_of_a_share_that_is_rare_but_not_rounded_is_taken_as_it_is():
    rare = np.array([[1 - 1e-20, 1e-20]] * 2)
    found = mfg.finite.deviation_gain(build("own", 0, 1, 0, theta=lambda t, x: -jnp.log(x)), rare, [5, 10**9])
    assert np.isfinite(found.value).all() and (found.value_error == 0).all()
