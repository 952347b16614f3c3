"""What certify claims is about the numbers of rewards and kernels, not about the rules of their derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from certificates import known, soft
from helpers import assert_close

import mfgjax as mfg

FLAT = np.full((2, 2), 0.5)


def places(reward, kernel=None):
    moves = np.zeros((2, 2, 2))
    moves[:, 0, 0] = moves[:, 1, 1] = 1
    kernel = moves if kernel is None else kernel
    return mfg.FiniteHorizonGame(kernel, reward, [0.5, 0.5], 1, available=np.ones((2, 2), bool))


def certified(reward, beta=3.0, kernel=None):
    return mfg.certify(places(reward, kernel), soft(beta), FLAT, critical=False)


@jax.custom_jvp
def steep(x):
    return 5 * x


steep.defjvp(lambda primals, tangents: (steep(*primals), 0 * tangents[0]))


@jax.custom_vjp
def backward_only(x):
    return 5 * x


backward_only.defvjp(lambda x: (5 * x, None), lambda _, g: (0 * g,))


def test_an_undefined_quotient_proves_nothing():
    """There are three equilibria: the share m of a place solves log(m/(1−m)) = 9 (m − (1−m)), as with 3 (m + .1)."""
    share = 0.9
    for _ in range(200):
        share = 1 / (1 + np.exp(-9 * (2 * share - 1)))
    assert share > 0.99  # and 1/2, and 1 − share
    report = certified(lambda t, m: (3 * jnp.exp(jnp.log(jnp.eye(2) @ (m / m.sum()) + 0.1)))[:, None])
    assert report["unique"].word == "unknown" and report["contraction"].word == "fails"
    assert_close(report["local_radius"].value, 4.5, rtol=1e-6)  # β · 3/2


def test_a_kernel_with_an_undefined_quotient_has_no_constant():
    def kernel(t, m):
        row = jnp.exp(jnp.log(jnp.eye(2) @ (m / m.sum()) + 0.1)) / 1.2
        return jnp.broadcast_to(row, (2, 2, 2))

    report = certified(lambda t, m: m[:, None], 0.1, kernel)
    assert report["naive_chain"].word != "holds" and report["unique"].word == "unknown"


@pytest.mark.parametrize("hold", [steep, lambda m: 5 * jax.lax.stop_gradient(m)], ids=["custom_jvp", "stop_gradient"])
def test_rules_of_derivatives_are_not_believed(hold):
    """The reward is 5 (m + A m) with a skew matrix A of eigenvalues ±i √3, so it is no gradient.

    One goes where one likes, so that at the flat flow the map has the derivative β · 5 (1 + A)/3.
    """
    skew = jnp.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])
    moves = mfg.MovesKernel([[0, 1, 2]] * 3)
    game = mfg.FiniteHorizonGame(moves, lambda t, m: hold(m + skew @ m)[:, None], np.ones(3) / 3, 1)
    report = mfg.certify(game, soft(3.0), np.full((2, 3), 1 / 3), critical=False)
    assert_close(report["local_radius"].value, 5 * 2, rtol=1e-6)  # |1 + i √3| = 2
    assert report["local_radius"].word == report["potential"].word == "fails" and report["unique"].word == "unknown"


def test_where_derivatives_say_nothing_the_lines_are_unknown_with_the_reason():
    report = certified(lambda t, m: backward_only(m)[:, None])
    for name in ("local_radius", "potential", "critical_beta"):
        assert report[name].word == "unknown" and "custom_vjp" in report[name].checked, name
    assert report["unique"].word == "unknown"


@pytest.mark.parametrize(
    ("reward", "why"),
    [
        (lambda t, m: m.astype(jnp.float16).astype(m.dtype)[:, None], "float16"),
        (lambda t, m: (5 * jnp.round(m * 1e6) / 1e6)[:, None], "round"),
        (lambda t, m: ((m[:, None] > jnp.linspace(0, 1, 999)) * 5.0).mean(axis=1)[:, None], "gt"),
    ],
)
def test_rewards_that_move_in_steps_have_neither_derivatives_nor_bounds(reward, why):
    premises = known(places(reward), soft(3.0))
    assert why in premises.no_derivative and premises.payoffs is None and premises.why_not(coupled=True)


@pytest.mark.parametrize(
    "reward",
    [
        lambda t, m: jnp.abs(jnp.exp(30j * m[0]) - 1) * jnp.ones((2, 1)),
        lambda t, m: jnp.real((m + 1j) ** 2)[:, None],
        lambda t, m: jnp.real(jax.lax.complex(m, m) ** 2)[:, None],
        lambda t, m: jnp.abs(jnp.fft.fft(m))[:, None],
        mfg.PairwiseReward(lambda t, m: m[:, None], lambda t, x: jnp.abs(jnp.exp(3j * x) - 1)),
    ],
)
def test_complex_numbers_inside_a_reward_leave_its_constants_unknown(reward):
    premises = known(mfg.FiniteHorizonGame(np.full((2, 1, 2), 0.5), reward, [0.5, 0.5], 1), soft(1.0))
    assert "complex numbers" in premises.no_derivative and premises.payoffs is None
    assert "complex numbers" in premises.why_not()


def test_of_rewards_with_complex_numbers_inside_nothing_is_proved():
    report = certified(lambda t, m: jnp.real((m + 1j) ** 2)[:, None])
    for name in ("path_span", "hypomonotone", "local_radius", "distance"):
        assert report[name].word == "unknown", name
    assert "complex numbers" in report["path_span"].checked and "complex numbers" in report["local_radius"].checked


def test_the_reasons_of_reward_and_kernel_are_both_shown():
    def kernel(t, m):
        return jnp.broadcast_to(jnp.sort(m), (2, 2, 2))

    why = known(places(lambda t, m: jnp.round(m)[:, None], kernel), soft(1.0)).why_not(coupled=True)
    assert "the reward's constants cannot be derived: there is no rule for `round`" in why
    assert "the kernel's constants cannot be derived: there is no rule for `sort`" in why


def test_sums_of_large_numbers_prove_nothing():
    """(m + 2^52) − 2^52 is round(m), so that there are three equilibria."""
    large = 2.0**52
    report = certified(lambda t, m: 2 * ((m + large) - large - m)[:, None])
    for name in ("contraction", "unique", "distance", "local_radius", "hypomonotone"):
        assert report[name].word != "holds", name


def test_a_bend_at_the_equilibrium_leaves_the_local_radius_unknown():
    """The flow is even, and the reward |m − 1/2| bends there: its derivative is ±1, or what JAX takes for it."""
    report = certified(lambda t, m: jnp.abs(m - 0.5)[:, None] * 3)
    assert report["local_radius"].word == "unknown"
    assert certified(lambda t, m: jnp.abs(m + 0.5)[:, None] * 3)["local_radius"].word != "unknown"


class Contrarian(mfg.EntropyRegularized):
    """Minimises what it is paid, plus KL/β."""

    def backup(self, t, q, available, band=0.0):
        found = super().backup(t, -q, available, band)
        return found._replace(values=-found.values)

    def act(self, t, reward, ahead, available, band=0.0):
        return super().act(t, -reward, ahead, available, band)


def test_theorems_are_not_claimed_for_responses_of_the_users_own_classes():
    """Who seeks crowds where they are paid to flee them has three equilibria: x = 1/(1 + exp(−5 (2x − 1)))."""
    game = mfg.FiniteHorizonGame(
        mfg.MovesKernel([[0, 1], [0, 1]]), lambda t, m: jnp.where(t == 1, -m, 0)[:, None], [0.5, 0.5], 1
    )
    report = mfg.certify(game, Contrarian(5.0), FLAT, critical=False)
    for name in ("contraction", "unique", "monotone", "hypomonotone", "distance"):
        assert report[name].word != "holds", name
    share = 1.0
    for _ in range(200):
        share = 1 / (1 + np.exp(-5 * (2 * share - 1)))
    flow = np.array([[0.5, 0.5], [1 - share, share]])
    assert share > 0.9
    assert_close(mfg.mean_field_map(game, Contrarian(5.0))(flow), flow, atol=1e-12)
