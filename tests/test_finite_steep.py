"""Finite populations at the edges: steep Θ, agents that are almost surely somewhere, single precision, rare events."""

import itertools
import math
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from helpers import assert_close

import mfgjax as mfg
from mfgjax.ranges.entries import acts_on_entries


class Exponential(eqx.Module):
    """Θ(x) = exp(k (x − centre)), whose mean over independent agents is known in closed form."""

    steepness: jax.Array
    centre: jax.Array

    def __call__(self, t, x):
        return jnp.exp(self.steepness * (x - self.centre))


def at_rest(L, theta, law):
    """A game of two times in which nobody moves and each state has one action."""
    size = len(law)
    return mfg.FiniteHorizonGame(np.eye(size)[:, None], mfg.PairwiseReward(L, theta), np.asarray(law), 1)


def exponential(L, k, centre, law, num_agents):
    """E Θ(Σ L/N) of an agent at each state: the generating function of the others, to the power of N − 1.

    Returns it divided by Θ of the mean, less 1, and Θ of the mean.
    """
    mean = L[:, 0] @ law
    away = k * (L[:, 0] - mean[:, None]) / num_agents
    # Σ p (e^x − 1) with Σ p x = 0, without cancellation where x is small
    bend = np.where(abs(away) < 1e-3, away**2 / 2 * (1 + away / 3 * (1 + away / 4)), np.expm1(away) - away)
    logs = (num_agents - 1) * np.log1p(bend @ law) + np.diagonal(away)
    return np.expm1(logs), np.exp(k * (mean - centre))


STEEP = [
    (30, 60.0, [0.1, 0.3, 0.6]),
    (2000, 200.0, [0.1, 0.3, 0.6]),
    (10**5, 300.0, [0.5, 0.3, 0.2]),
    (10**9, 20.0, [0.5, 0.3, 0.2]),
    (10**9, 3.0, [1 - 1e-9, 7e-10, 3e-10]),
    (10**7, -40.0, [1e-6, 1 - 3e-6, 2e-6]),
]


@pytest.mark.parametrize(("num_agents", "k", "law"), STEEP)
@pytest.mark.parametrize("method", ["lattice", "binomial sum"])
def test_exponentials_equal_the_generating_function(num_agents, k, law, method):
    law = np.array(law) / np.sum(law)
    table = np.array([[[1.0, 0, 0]], [[0, 1.0, 0]], [[0, 0, 1.0]]])
    L = table
    if method == "binomial sum":
        L = mfg.rewards.OwnStateInteraction(np.zeros((3, 1)), np.ones((3, 1)))
    centre = law.max()
    found = mfg.finite.deviation_gain(
        at_rest(L, Exponential(jnp.asarray(k), jnp.asarray(centre)), law), np.ones((3, 1)), num_agents, method=method
    )
    shift, limit = exponential(table, k, centre, law, num_agents)
    assert_close(found.rewards[0, :, 0], (1 + shift) * limit, rtol=1e-9)
    # rounding of Θ is all that is lost of the difference
    rounding = 1e-13 * (law * limit).sum()
    assert_close(found.value_gap, abs(2 * (law * shift * limit).sum()), rtol=3e-6, atol=rounding)


def test_cubes_have_their_third_moments_at_a_billion():
    """E x³ = m³ + 3 m v + κ of means of N − 1 places; the transform's own rounding would be 2% of the gap."""
    law, num = [Fraction(2, 10), Fraction(5, 10), Fraction(3, 10)], 10**9
    mean = sum(k * q for k, q in enumerate(law))
    second, third = (sum(q * (k - mean) ** r for k, q in enumerate(law)) for r in (2, 3))
    total = Fraction(0)
    for state, q in enumerate(law):
        centre = (state + (num - 1) * mean) / num
        moment = centre**3 + 3 * centre * (num - 1) * second / num**2 + (num - 1) * third / num**3
        total += 2 * q * (moment - mean**3)
    L = np.broadcast_to(np.arange(3.0), (3, 1, 3))
    for dtype in (np.float64, np.float32):
        with jax.enable_x64(dtype == np.float64):
            game = at_rest(L.astype(dtype), lambda t, x: x**3, np.array([0.25, 0.5, 0.25], dtype))
            assert mfg.finite.deviation_gain(game, np.ones((3, 1)), num).value_gap.dtype == dtype
    found = mfg.finite.deviation_gain(at_rest(L, lambda t, x: x**3, [0.2, 0.5, 0.3]), np.ones((3, 1)), num)
    assert found.method == "lattice"
    assert_close(found.value_gap, float(total), rtol=1e-6)


@pytest.mark.parametrize("law", [[1.0, 0.0, 0.0], [1 - 1e-12, 5e-13, 5e-13]])
def test_a_billion_agents_at_one_place_are_the_mean_field(law):
    L = np.eye(3)[:1].repeat(3, axis=0)[:, None]
    found = mfg.finite.deviation_gain(at_rest(L, lambda t, x: jnp.tanh(x), law), np.ones((3, 1)), 10**9)
    assert found.method == "lattice"
    assert_close(found.value_gap, 0, atol=1e-15)


def test_what_rounding_would_drown_is_refused_or_drawn():
    """What matters of exp(600 x) lies ten standard deviations from the mean: there the transform has no digits."""
    L = np.broadcast_to(np.array([0.0, 3.0, 1.0]), (3, 1, 3))
    game = at_rest(L, Exponential(jnp.asarray(600.0), jnp.asarray(1.9)), [0.2, 0.5, 0.3])
    policy = np.ones((3, 1))
    with pytest.raises(ValueError, match=r"`method` is 'lattice', but Θ is so steep that rounding errors exceed"):
        mfg.finite.deviation_gain(game, policy, 6000, method="lattice")
    with pytest.raises(ValueError, match=r"`key` must be a random key such as .*: no exact method fits this game"):
        mfg.finite.deviation_gain(game, policy, 6000)
    found = mfg.finite.deviation_gain(game, policy, 6000, key=jax.random.key(0), num_samples=64)
    assert found.method == "Monte Carlo"
    assert np.isnan(found.bound)  # a rare event may never have been drawn


# --- Θ that sees more than one pair ---------------------------------------------------------------------------

MIXING = {
    "max": lambda t, x: x - x.max(),
    "mean of a row": lambda t, x: x - x.mean(axis=1, keepdims=True),
    "first": lambda t, x: x * x[0, 0],
    "softmax": lambda t, x: jax.nn.softmax(x, axis=0),
}


@pytest.mark.parametrize(
    ("name", "kind"), [("max", "own"), ("softmax", "own"), ("mean of a row", "dense"), ("first", "dense")]
)
def test_a_theta_that_mixes_entries_is_summed_over_whole_populations(name, kind):
    rng = np.random.default_rng(7)
    base, weight = rng.standard_normal((2, 3, 2))
    table = base[..., None] + weight[..., None] * np.eye(3)[:, None]
    L = mfg.rewards.OwnStateInteraction(base, weight) if kind == "own" else np.round(table)
    table = table if kind == "own" else np.round(table)
    law, policy, theta = np.array([0.2, 0.5, 0.3]), np.full((3, 2), 0.5), MIXING[name]
    kernel = np.eye(3)[:, None].repeat(2, axis=1)
    found = mfg.finite.deviation_gain(mfg.FiniteHorizonGame(kernel, mfg.PairwiseReward(L, theta), law, 1), policy, 3)
    assert found.method == "enumeration"
    expected = np.zeros((3, 2))
    for others in itertools.product(range(3), repeat=2):
        for own in range(3):
            seen = np.bincount([*others, own], minlength=3) / 3
            pay = np.asarray(theta(0, jnp.asarray(np.einsum("sax,x->sa", table, seen))))
            expected[own] += law[list(others)].prod() * pay[own]
    assert_close(found.rewards[0], expected, atol=1e-12)
    with pytest.raises(ValueError, match="Θ that provably treats each pair of state and action alone"):
        mfg.finite.deviation_gain(
            mfg.FiniteHorizonGame(kernel, mfg.PairwiseReward(L, theta), law, 1),
            policy,
            3,
            method="binomial sum" if kind == "own" else "lattice",
        )


TABLE = jnp.linspace(0.0, 1.0, 50)
COLUMNS = jnp.arange(6.0).reshape(3, 2)
ALONE = {
    "identity": lambda x: x,
    "constant": lambda x: COLUMNS,
    "coefficients": lambda x: COLUMNS * x,
    "where": lambda x: jnp.where(x > 0.2, x, 0.0),
    "select": lambda x: jnp.select([x < 0, x < 1], [x, x**2], 3.0),
    "piecewise": lambda x: jnp.piecewise(x, [x < 0, x < 1], [lambda x: x, lambda x: x * x, lambda x: -x]),
    "interpolation": lambda x: jnp.interp(x, TABLE, TABLE**2),
    "look up": lambda x: TABLE[jnp.floor(x * 10).astype(int)],
    "loop": lambda x: jax.lax.fori_loop(0, 5, lambda i, y: y * x + TABLE[i], x),
    "while": lambda x: jax.lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * x), (0, x))[1],
    "stacked loop": lambda x: jax.lax.scan(lambda y, k: (y * k + x, y), x, TABLE)[1].sum(0),
    "polynomial": lambda x: jnp.polyval(jnp.array([1.0, 2.0, 3.0]), x),
    "larger of two": lambda x: jnp.stack([x, x**2]).max(0),
    "basis": lambda x: (x[..., None] ** jnp.arange(4)).sum(-1),
    "mapped": lambda x: jax.vmap(jax.vmap(lambda y: jax.lax.cond(y > 0, lambda: y, lambda: -y)))(x),
    "held back": lambda x: jnp.prod(jnp.asarray(jax.lax.optimization_barrier((x, jnp.ones(2)))[0])[None], 0),
    "turned twice": lambda x: (x.T * 2).T,
    "soft": lambda x: jax.nn.softplus(x) + jax.nn.relu(x) + jax.scipy.special.erf(x),
}
TOGETHER = {
    "maximum": lambda x: x - x.max(),
    "row": lambda x: x - x.mean(1, keepdims=True),
    "corner": lambda x: x - x[0, 0],
    "reversed": lambda x: x[::-1],
    "sums": lambda x: jnp.cumsum(x, 0),
    "sorted": lambda x: jnp.sort(x, 0),
    "product": lambda x: x @ x.T @ x,
    "branch": lambda x: jax.lax.cond(x[0, 0] > 0, lambda: x, lambda: -x),
    "rolled": lambda x: jnp.roll(x, 1, 0),
    "until all": lambda x: jax.lax.while_loop(lambda s: s.sum() < 3, lambda s: s + 1, x),
    "one by one": lambda x: jax.lax.scan(lambda y, row: (y + row, y), x[0], x)[1],
    "any": lambda x: jnp.where((x > 0).any(), x, 0.0),
    "other shape": lambda x: x.T.reshape(3, 2),
    "written": lambda x: x.at[0].add(x[1]),
    "taken": lambda x: x[jnp.array([0, 0, 1])],
    "held back": lambda x: jax.lax.optimization_barrier((x, x.sum()))[1] + x,
}


def test_programs_that_treat_entries_alone_are_told_from_those_that_do_not():
    """And of each, the matrix of derivatives agrees: it is diagonal for the first kind at a random point."""
    x = jnp.asarray(np.random.default_rng(0).uniform(0.1, 0.9, (3, 2)))
    told = {name: acts_on_entries(f, jax.ShapeDtypeStruct(x.shape, x.dtype)) for name, f in (ALONE | TOGETHER).items()}
    assert told == dict.fromkeys(ALONE, True) | dict.fromkeys(TOGETHER, False)
    for function in ALONE.values():
        slopes = jax.jacfwd(function)(x).reshape(6, 6)
        assert_close(slopes, np.diag(np.diagonal(slopes)), atol=0)


# --- single precision -----------------------------------------------------------------------------------------


def test_probabilities_in_single_precision_are_those_of_the_law():
    """The share 1 − 2^-30 rounds to 1 in single precision; n agents are all there with (1 − 2^-30)^n."""
    share = 2.0**-30
    with jax.enable_x64(False):
        game = at_rest(np.zeros((2, 1, 2)), None, np.array([1.0, share], np.float32))
        law = mfg.finite.law(game, np.ones((2, 1)), 10**9)
        found = [law.probability(10**9 - k, 0, 0) for k in (0, 1, 20)]
    p = share / (1 + share)
    expected = [
        math.exp((10**9 - k) * math.log1p(-p) + math.lgamma(1e9 + 1) - math.lgamma(1e9 - k + 1))
        * p**k
        / math.factorial(k)
        for k in (0, 1)
    ]
    assert found[0].dtype == np.float32
    assert_close(found[:2], expected, rtol=1e-5)  # 1 − p has ten digits left
    assert 0 < found[2] < 1e-18


def test_the_smallest_population_is_the_same_in_single_precision():
    game, response = mfg.games.left_right(), mfg.EntropyRegularized(1.0)
    policy = np.asarray(mfg.solve(game, response).policy, np.float32).astype(float)
    policy = policy / policy.sum(axis=-1, keepdims=True)
    for measure, epsilon in (("value_gap", 3.3e-9), ("gain", 1e-15)):
        double = mfg.finite.smallest_population(game, policy, epsilon, response, measure=measure)
        with jax.enable_x64(False):
            single = mfg.finite.smallest_population(
                mfg.games.left_right(), policy, epsilon, mfg.EntropyRegularized(1.0), measure=measure
            )
        assert abs(single.num_agents / double.num_agents - 1) < 1e-5  # inputs are rounded, results are not
        assert single.value <= epsilon < single.value_before


def test_a_coupled_population_of_a_billion_is_compared_in_single_precision():
    """Distances are 1e-5 there, and differences of values 1e-6: the rounding of shares in single precision."""

    def crowded(t, mu):
        up = 0.3 + 0.4 * mu[1]
        return (
            jnp.array([[[0.7, 0.3]], [[0.0, 0.0]]])
            + jnp.array([[[0, 0]], [[1, 0]]]) * (1 - up)
            + jnp.array([[[0, 0]], [[0, 1]]]) * up
        )

    def reports(dtype):
        with jax.enable_x64(dtype == np.float64):
            game = mfg.FiniteHorizonGame(crowded, lambda t, mu: 1e3 * mu[:, None] ** 2, np.array([0.5, 0.5], dtype), 3)
            return mfg.finite.compare(game, np.ones((2, 1)), 10**9, key=jax.random.key(1), num_runs=50)

    double, single = reports(np.float64), reports(np.float32)
    assert single.distance.dtype == single.differences.dtype == np.float32
    assert_close(single.distance, double.distance, rtol=1e-4)
    assert_close(single.differences, double.differences, rtol=1e-3, atol=1e-6)
    assert_close(double.differences, double.values - double.mean_field_value, atol=1e-12)
    assert_close(single.value_errors, double.value_errors, rtol=1e-3)


# --- what cannot happen ---------------------------------------------------------------------------------------


def test_what_cannot_happen_may_earn_anything():
    """Nobody else is at state 1, where one of two others would be worth infinity to those at state 0."""
    moves, stay, law = mfg.MovesKernel([[0, 1], [1, 1]]), np.array([[1.0, 0.0]] * 2), [1.0, 0.0]
    table = np.zeros((2, 1, 2))
    table[0, 0, 1] = 1
    successor = mfg.rewards.SuccessorInteraction(np.zeros((2, 2)), [[1.0, 1.0], [0.0, 0.0]], [[1, 1], [1, 1]])
    for L in (successor, table):
        game = mfg.FiniteHorizonGame(moves, mfg.PairwiseReward(L, lambda t, x: 1 / (3 * x - 1)), law, 2)
        found = mfg.finite.deviation_gain(game, stay, 3)
        assert_close(found.rewards, -1, atol=1e-12)
        assert_close([found.value, found.gain], [-3, 0], atol=1e-12)


def test_values_of_a_steep_game_are_those_of_all_joint_states():
    """Two times, three agents, moves: the law of the others by loops."""
    rng = np.random.default_rng(3)
    kernel = rng.dirichlet(np.ones(3), (3, 2))
    table = np.round(2 * rng.standard_normal((3, 2, 3)))
    policy, law = rng.dirichlet(np.ones(2), (2, 3)), rng.dirichlet(np.ones(3))
    game = mfg.FiniteHorizonGame(
        kernel, mfg.PairwiseReward(table, Exponential(jnp.asarray(5.0), jnp.asarray(1.0))), law, 1
    )
    found = mfg.finite.deviation_gain(game, policy, 3)
    assert found.method == "lattice"
    plain = oracle.PlainGame(lambda t, m: kernel, lambda t, m: None, law, 1, np.ones((2, 3, 2), bool), 1.0)
    flow, _ = oracle.spread(plain, policy)
    expected = np.zeros((2, 3, 2))
    for t in range(2):
        for others in itertools.product(range(3), repeat=2):
            for own in range(3):
                x = (table[own][:, [*others, own]]).sum(axis=1) / 3
                expected[t, own] += flow[t][list(others)].prod() * np.exp(5 * (x - 1))
    assert_close(found.rewards, expected, rtol=1e-12)
    assert_close(found.value, sum((flow[t][:, None] * policy[t] * expected[t]).sum() for t in range(2)), rtol=1e-12)


# --- derivatives, traced numbers, lattices that are none -----------------------------------------------------------


@pytest.mark.parametrize("method", ["closed form", "binomial sum", "lattice", "enumeration"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_derivatives_are_right_where_nobody_or_everybody_is_somewhere(method, share):
    """A share q moves to state 1, and Θ = x² there: what is earned on average is known for every q."""
    num = 4
    if method == "lattice":
        L = np.zeros((2, 2, 2))
        L[:, :, 1] = 1
    else:
        L = mfg.rewards.SuccessorInteraction(np.zeros((2, 2)), np.ones((2, 2)), [[1, 1], [1, 1]])
    theta = mfg.rewards.Power(scale=1.0, exponent=2) if method == "closed form" else lambda t, x: x * x
    game = mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [0, 1]]), mfg.PairwiseReward(L, theta), [1.0, 0.0], 1)

    def value(q):
        row = jnp.array([1 - q, q])
        policy = jnp.stack([row, jnp.array([1.0, 0.0])])
        return mfg.finite.deviation_gain(game, policy, num, method=method).value

    found, slope = jax.jvp(value, (jnp.asarray(share),), (jnp.ones(()),))
    # E (B/N)² of a binomial B, and its derivative in q
    assert_close(found, (share * (1 - share) / num + share**2), atol=1e-12)
    assert_close(slope, (1 - 2 * share) / num + 2 * share, atol=1e-9)


def test_gradients_through_the_transform_are_those_of_differences():
    game = mfg.FiniteHorizonGame(
        np.full((2, 1, 2), 0.5),
        mfg.PairwiseReward(np.array([[[0.0, 1.0]]] * 2), lambda t, x: jnp.tanh(2 * x + 1)),
        [0.7, 0.3],
        1,
    )

    def value(z):
        started = eqx.tree_at(lambda g: g.initial, game, jnp.array([1 - z, z]))
        return mfg.finite.deviation_gain(started, np.ones((2, 1)), 10**6, method="lattice").value

    slope = jax.grad(value)(0.3)
    assert_close(slope, (value(0.3 + 1e-5) - value(0.3 - 1e-5)) / 2e-5, rtol=1e-6)
    _, forward = jax.jvp(value, (0.3,), (1.0,))
    assert_close(forward, slope, rtol=1e-9)


def test_traced_numbers_of_agents_that_are_none_give_no_number():
    game, policy = mfg.games.left_right(), np.full((3, 2), 0.5)
    gains = jax.jit(lambda n: mfg.finite.deviation_gain(game, policy, n).gain)
    laws = jax.jit(lambda n: mfg.finite.law(game, policy, n).distance)
    for number in (-5, 0, 2**32 + 20, 2.7, 2e9):
        assert np.isnan(gains(jnp.asarray(number))), number
        assert np.isnan(laws(jnp.asarray(number))).all(), number
    assert_close(gains(jnp.asarray(20)), mfg.finite.deviation_gain(game, policy, 20).gain, rtol=1e-12)


def test_known_numbers_stay_known_within_jit():
    L = np.broadcast_to(np.arange(3.0), (3, 1, 3))
    game = at_rest(L, lambda t, x: jnp.tanh(x), [0.2, 0.5, 0.3])
    inside = []

    @jax.jit
    def value(policy):
        found = mfg.finite.deviation_gain(game, policy, 50, key=jax.random.key(0))
        inside.append(found.method)
        return found.value

    policy = jnp.ones((2, 3, 1))
    found = value(policy)
    assert inside == ["lattice"]
    assert_close(found, mfg.finite.deviation_gain(game, policy, 50).value, rtol=1e-12)


NEARLY = {
    "a small step": (np.float32, [1000.0, 1000.003, 1000.0], 1 / 3e-3),
    "nearly even steps": (np.float32, [0.0, 1.000003, 2.0], 1e5),
    "a few roundings": (np.float64, [1000.0, 1000.0 + 4e-12, 1000.0], 1e9),
}


@pytest.mark.parametrize("case", NEARLY)
def test_tables_that_are_nearly_a_lattice_are_summed_as_they_are(case):
    """Seen through a steep Θ, as sums over all that the others can be."""
    dtype, row, steep = NEARLY[case]
    row, law = np.array(row, dtype), np.array([0.5, 0.25, 0.25], dtype)
    middle = float(row[1] + row[0]) / 2
    game = at_rest(np.broadcast_to(row, (3, 1, 3)).copy(), lambda t, x: jnp.abs(x - middle) * steep, law)
    found = mfg.finite.deviation_gain(game, np.ones((3, 1), dtype), 5)
    exact, expected = [Fraction(float(x)) for x in row], 0.0
    for own in range(3):
        for others in itertools.product(range(3), repeat=4):
            x = sum(exact[k] for k in (own, *others)) / 5
            expected += 2 * law[[own, *others]].astype(float).prod() * abs(float(x - Fraction(middle))) * steep
    assert_close(found.value, expected, rtol=1e-6, atol=steep * 1e-12)


@pytest.mark.parametrize("theta", [jnp.exp, jnp.sqrt, lambda x: jnp.abs(x - 0.3)])
@pytest.mark.parametrize("law", [[1.0, 0.0], [1 - 1e-9, 1e-9]])
def test_agents_at_one_place_are_no_trouble_to_the_transform(theta, law):
    game = at_rest(np.array([[[0.0, 1.0]]] * 2), lambda t, x: theta(x), law)
    found = mfg.finite.deviation_gain(game, np.ones((2, 1)), 10**6)
    assert found.method == "lattice"
    # Θ(x) − Θ(M) for a few of the others at state 1
    p, num, expected = law[1], 10**6, 0.0
    for own, share in enumerate(law):
        for k in range(8):
            chance = math.comb(num - 1, k) * p**k * (1 - p) ** (num - 1 - k)
            expected += 2 * share * chance * float(theta(jnp.asarray((own + k) / num)) - theta(jnp.asarray(p)))
    assert_close(found.value_gap, abs(expected), rtol=1e-6, atol=1e-14)


def test_an_epsilon_between_two_roundings_of_one_number_is_no_trouble(monkeypatch):
    """A measure of 1/N that is rounded otherwise in every call, as transforms of other sizes are."""
    calls = itertools.count()

    def rounded(game, policy, numbers, response):
        gain = (1 + 4e-16 * (-1) ** next(calls)) / np.asarray(numbers, float)
        none, policy = np.zeros(()), np.zeros((1, 1, 1, len(gain)))
        return mfg.finite.DeviationGain(
            np.asarray(numbers), gain, gain, gain, gain, none, none, gain, policy, policy, 0 * gain, 0 * gain, "exact"
        )

    monkeypatch.setattr("mfgjax.finite.smallest.gain_in_double", rounded)
    game = mfg.games.left_right()
    for num in (33, 100, 518, 903, 1576, 10**6):
        for epsilon in (1 / num, np.nextafter(1 / num, 0), np.nextafter(1 / num, 1)):
            found = mfg.finite.smallest_population(game, np.full((3, 2), 0.5), epsilon)
            assert abs(found.num_agents - num) <= 1
