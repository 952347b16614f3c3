"""What rounding alone shows refutes nothing, and a violation beyond it is found at every scale."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from certificates import bounds_of, known, soft

import mfgjax as mfg

S = 10


class Terms(eqx.Module):
    """Rewards with terms that do not depend on laws, though their programs do; all cases share one shape."""

    table: jax.Array  # times Σ μ, which is 1
    slope: jax.Array  # of the crowd at one's own state
    large: jax.Array  # times Σ μ − 1, which is 0
    skew: jax.Array

    def __call__(self, t, mean_field):
        shifted = jnp.roll(mean_field, 1) - jnp.roll(mean_field, -1)
        crowd = self.slope * mean_field + self.skew * shifted
        ones = mean_field.sum()
        return self.table * ones * (t + 1) + crowd[:, None] + self.large * (ones - 1) + (0 * mean_field).sum()


def judged(dtype, scale, table=0.0, slope: float | np.ndarray = 0.0, large=0.0, skew=0.0):
    drawn = np.random.default_rng(0).standard_normal((S, 2))
    numbers = (scale * (drawn + table), scale * np.broadcast_to(slope, S), scale * large, scale * skew)
    reward = Terms(*(jnp.asarray(x, dtype) for x in numbers))
    game = mfg.FiniteHorizonGame(np.full((S, 2, S), 1 / S, dtype), reward, np.full(S, 1 / S, dtype), 2)
    report = bounds_of(game, soft(np.asarray(1.0, dtype)))
    return report["monotone"].word, report["potential"].word


ATTRACTIVE_PAIR = np.where(np.arange(S) < 2, 0.02, -1.0)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rewards_that_laws_do_not_move_are_not_refuted_and_crowds_that_attract_are(dtype, scale):
    large = 1e6 if dtype == np.float64 else 1e2
    assert judged(dtype, scale) == ("holds", "holds")
    assert judged(dtype, scale, table=large) == ("holds", "holds")
    assert "fails" not in judged(dtype, scale, large=large)
    assert judged(dtype, scale, table=large, slope=-1.0) == ("holds", "holds")
    assert judged(dtype, scale, table=large, slope=1.0)[0] == "fails"
    assert judged(dtype, scale, slope=ATTRACTIVE_PAIR)[0] == "fails"
    assert judged(dtype, scale, slope=-1.0, skew=1.0) == ("holds", "fails")
    assert judged(dtype, scale, table=large, skew=1.0)[1] == "fails"


def test_a_table_is_monotone_and_has_a_potential():
    table = np.array([[0.0, -0.6], [-1, -1.6], [0, -0.6]])
    kernel = mfg.MovesKernel([[0, 1], [1, 2], [2, 0]])
    game = mfg.FiniteHorizonGame(kernel, lambda t, law: jnp.asarray(table), [0.9, 0.1, 0], 8)
    report = bounds_of(game, soft(1.0))
    assert report["monotone"].word == report["potential"].word == "holds"


def test_rounding_within_theta_is_no_crowd_that_attracts():
    """0.3 x and 3 (0.1 x) are one function, so their difference rises nowhere."""
    weight = np.array([[1.0], [2.0], [3.0]])
    interaction = mfg.model.OwnStateInteraction(0 * weight, weight)
    reward = mfg.PairwiseReward(interaction, lambda t, x: 3 * (0.1 * x) - 0.3 * x)
    game = mfg.FiniteHorizonGame(np.full((3, 2, 3), 1 / 3), reward, np.full(3, 1 / 3), 2)
    assert bounds_of(game, soft(1.0))["monotone"].word != "fails"


def test_slopes_without_a_bound_are_not_taken_for_rounding():
    """The reward rises by 5e-6 within 1e-6, which no pair of flows that are farther apart sees; 1/Σ μ has no bound."""

    def reward(t, law):
        return (5 * jnp.clip(law - 0.41234, 0, 1e-6) - law / law.sum())[:, None]

    game = mfg.FiniteHorizonGame(np.full((4, 2, 4), 0.25), reward, np.full(4, 0.25), 2)
    assert bounds_of(game, soft(1.0))["monotone"].word != "holds"


def steps_up_and_down(num_states):
    """Moves one state up or down, or none, each with probability 1/2."""
    kernel = np.zeros((num_states, 2, num_states))
    for s in range(num_states):
        for action, target in enumerate((max(s - 1, 0), min(s + 1, num_states - 1))):
            kernel[s, action, s] += 0.5
            kernel[s, action, target] += 0.5
    return kernel


def test_rounding_of_large_action_values_breaks_no_order():
    """A constant of 1e6 in the rewards moves soft policies by more than rounding of laws."""
    height = np.arange(6) / 6

    def reward(law, offset):
        return offset + (height[:, None] * (1 + height @ law) - np.array([0, 0.3]))

    for offset, word in ((0.0, "holds"), (1e6, "unknown")):
        game = mfg.StationaryGame(steps_up_and_down(6), lambda law, offset=offset: reward(law, offset), 0.9)
        found = mfg.bracket(game, soft(30.0), throw=False, max_steps=3000)
        assert found.certificate.startswith(word), found.certificate
        assert found.ordered == (word == "holds")  # so the constant did turn steps back


def test_sampled_complementarities_are_not_refuted_by_rounding_within_the_reward():
    height = np.arange(5) / 5

    def reward(law):
        one = 1e4 * law.sum() ** 2 - 1e4 + 1
        return height[:, None] * np.array([0.0, 1.0]) * one + (height @ law) ** 2

    found = mfg.check_complementarity(mfg.StationaryGame(np.full((5, 2, 5), 0.2), reward, 0.9))
    assert not found.fails and not found.affine
    falling = mfg.StationaryGame(np.full((5, 2, 5), 0.2), lambda law: -reward(law), 0.9)
    assert mfg.check_complementarity(falling).fails


IDENTITY = jnp.eye(2)


def times_identity(m, **how):
    return jnp.dot(IDENTITY, m, **how).astype(m.dtype)


@pytest.mark.parametrize(
    ("product", "why"),
    [
        (lambda m: times_identity(m, preferred_element_type=jnp.bfloat16), "to bfloat16"),
        (lambda m: times_identity(m, preferred_element_type=jnp.float16), "to float16"),
        (lambda m: times_identity(m, precision=jax.lax.DotAlgorithmPreset.BF16_BF16_F32), "to BF16_BF16_F32"),
        (lambda m: jax.lax.reduce_precision(m, 11, 8), "to 8 bits"),
    ],
    ids=["bfloat16", "float16", "algorithm", "reduced"],
)
def test_rewards_that_are_computed_with_fewer_digits_prove_nothing(product, why):
    """Squares are not affine, so that the program is read by intervals, too."""
    premises = known(paid_once(lambda m: product(m) ** 2), soft(1.9))
    assert why in premises.no_derivative and why in premises.why_not() and premises.payoffs is None


def test_of_rewards_without_bounds_and_derivatives_nothing_is_proved():
    report = bounds_of(paid_once(lambda m: jax.lax.reduce_precision(m, 11, 8) ** 2), soft(1.9))
    for name in ("contraction", "unique", "distance", "hypomonotone", "local_radius", "potential"):
        assert report[name].word == "unknown", name
    assert "to 8 bits" in report["path_span"].checked and "to 8 bits" in report["local_radius"].checked


def paid_once(reward, states=2, **options):
    """Who is in one of two states pays or earns there at time 1; a third state is never reached."""
    moves, initial = [[0, 1], [0, 1], [2, 2]][:states], [0.5, 0.5, 0.0][:states]

    def pay(t, m, **params):
        return jnp.where(t == 1, reward(m, **params), 0)[:, None]

    return mfg.FiniteHorizonGame(mfg.MovesKernel(moves), pay, initial, 1, **options)


@pytest.mark.parametrize(
    "reward",
    [
        lambda m: jnp.concatenate([(m[:2] + 1e15) - 1e15, 1e13 * m[2:]]),
        lambda m: jnp.concatenate([(m[:2] ** 2 / 2 + 1e15) - 1e15, 1e13 * m[2:]]),
        lambda m: m + 1e15,
        lambda m: 1e6 * ((m + 1e9) - 1e9) - (1e6 - 1) * m,
    ],
    ids=["beside a large reward", "by intervals", "a large constant", "scaled up and cancelled"],
)
def test_large_numbers_elsewhere_hide_no_steps(reward):
    """Rewards move in steps of .125, as they are computed, so that there are several equilibria."""
    report = bounds_of(paid_once(reward, 3), soft(1.9))
    for name in ("contraction", "unique", "distance", "hypomonotone"):
        assert report[name].word != "holds", name
    assert "rounding errors of rewards count as slopes" in report["path_span"].checked


def test_what_rounding_moves_is_part_of_the_distance():
    """Rewards m + 1e9 move in steps of 1.2e-7, and so does the equilibrium; those of m alone do not."""
    games = [paid_once(lambda m, c: m + c, params={"c": c}) for c in (0.0, 1e9)]
    small, large = (float(bounds_of(game, soft(1.9))["distance"].value) for game in games)
    assert large - small > 1e-7 / (1 - 0.95)
