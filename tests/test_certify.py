"""What `certify` reports of the paper's example and of families of games, and what it refuses."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from certificates import GAME, RHO, resting, soft, thresholds
from helpers import assert_close

import mfgjax as mfg


def test_the_example_has_its_known_thresholds():
    """κ = 5 at time 5 only, so 4/5; the critical β and those of Theorem 1 are known from elsewhere."""
    report = mfg.certify(GAME, soft(0.5, RHO))
    assert_close(thresholds(report, "path_span", "span_sum", "critical_beta"), [0.8, 0.8, 1.431], rtol=4e-4)
    assert_close(report.paper_printed.log10_threshold, np.log10(8e-11), atol=0.02)
    assert_close(report.paper_meant.log10_threshold, -19, atol=0.05)
    assert report["path_span"].word == report["unique"].word == report["local_radius"].word == "holds"
    assert report["paper_printed"].word == "unknown"  # no bound, whatever the number


def test_the_preset_of_the_author_code_has_its_known_thresholds():
    """κ = 3, γ = .9: S_t = 3 · .9^(5−t), and sqrt(S_0² + .19 ΣS_t²) = 2.7, so 4/2.7."""
    game = mfg.games.resource_allocation("author-code")
    report = mfg.certify(game, soft(0.5, RHO))
    assert_close(thresholds(report, "path_span", "critical_beta"), [4 / 2.7, 2.651], rtol=4e-4)


def test_uniqueness_on_the_example_is_proved_up_to_2():
    """Nodes 1, 2, 5 pay μ², whose slope is 2x: m = 1/2. Contraction ends at .8, iteration at 1.431."""
    report = mfg.certify(GAME, soft(1.9, RHO))
    assert_close(report["hypomonotone"].threshold, 2, rtol=2e-3)  # 1,024 cells
    assert report["hypomonotone"].word == report["unique"].word == "holds"
    assert report["path_span"].word == report["local_radius"].word == "fails"
    assert report["monotone"].word == "fails"


def test_above_its_thresholds_nothing_is_proved_at_beta_3():
    report = mfg.certify(GAME, soft(3.0, RHO))
    assert report["unique"].word == report["distance"].word == "unknown"
    assert "why: report.explain(name)" in str(report)
    assert np.isinf(float(report.factor))


def test_the_distance_to_the_equilibrium_is_bounded():
    """A flow near the equilibrium, against the equilibrium."""
    response = soft(0.6, RHO)
    exact = mfg.solve(GAME, response)
    rough = 0.998 * exact.mean_field + 0.002 * resting(GAME)
    bound = float(mfg.certify(GAME, response, rough)["distance"].value)
    assert 1e-4 < float(mfg.flow_distance(rough, exact.mean_field)) <= bound < 5e-3
    assert float(mfg.certify(GAME, response, exact)["distance"].value) < 1e-9


def test_families_of_games_temperatures_and_references_are_certified_at_once(rng):
    """Each as it is alone; the report of all is JSON, and says so where it has no table."""
    mask = np.asarray(GAME.available)[0]
    betas, weights = np.array([0.3, 1.0, 3.0]), np.array([1.0, 0.98, 1.02])
    references = np.stack([(1 - x) * np.asarray(RHO) + x * mask / mask.sum(1, keepdims=True) for x in rng.random(3)])

    def certified(beta, reference, weight):
        game = eqx.tree_at(lambda g: g.reward.L.weight, GAME, weight * GAME.reward.L.weight)
        return mfg.certify(game, soft(beta, reference))

    family = [jnp.asarray(x) for x in (betas, references, weights)]
    together = jax.jit(jax.vmap(certified))(*family)
    for i in range(3):
        single = certified(*(x[i] for x in family))
        for line in single.certificates:
            assert_close(together[line.name].status[i], line.status)
            if line.name != "distance":  # residuals are rounding
                np.testing.assert_allclose(together[line.name].value[i], line.value, rtol=1e-7, atol=1e-12)
    assert "beta=" in str(together)
    content = json.loads(json.dumps(together.to_dict(), allow_nan=False))
    assert content["certificates"]["unique"]["status"] == ["holds", "holds", "unknown"]
    with pytest.raises(ValueError, match="of many games"):
        together.rows()
    assert jax.tree.map(lambda x: x[0], together)["unique"].word == "holds"


def test_nothing_is_proved_of_a_kernel_with_a_negative_probability():
    """Its parameter was replaced after the game was made; the same game with a sound one is monotone."""

    def kernel(t, mu, p):
        return jnp.array([[[1 - p, p], [0.5, 0.5]], [[0.5, 0.5], [0.1, 0.9]]])

    made = mfg.FiniteHorizonGame(kernel, lambda t, mu: -mu[:, None], [1.0, 0.0], 1, params={"p": 0.3})

    def certified(p):
        game = eqx.tree_at(lambda game: game.params.p, made, p)
        return mfg.certify(game, soft(1.0), jnp.array([[1.0, 0.0], [0.5, 0.5]]), critical=False)

    with pytest.raises(
        ValueError, match=r"`kernel\[0, 0, 0\]` at t = 0 is -0\.6\d*, but a probability must not be negative"
    ):
        certified(jnp.array(1.6))
    report = jax.jit(jax.vmap(certified))(jnp.array([0.3, 1.6]))  # where no error can be raised
    assert report.unique.tolist() == [1, 0]
    assert all(int(line.status[1]) == 0 and np.isnan(line.threshold[1]) for line in report.certificates)


def test_a_report_has_a_table_words_and_json():
    report = mfg.certify(GAME, soft(0.5, RHO))
    table = str(report)
    assert "What is proved at β = 0.5" in table and len(table.splitlines()) == 3 + len(report.certificates)
    assert all(len(line) <= 120 for line in table.splitlines())
    for certificate in report.certificates:
        text = report.explain(certificate.name)
        assert certificate.name in text and "Theorem" in text and "Checked" in text
    assert report.explain().count("Theorem:") == len(report.certificates)
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["certificates"]["path_span"]["status"] == "holds"
    assert_close(content["factors"]["naive_chain"]["propagation"], 5)
    with pytest.raises(KeyError, match="there is no certificate 'contractions'"):
        report["contractions"]


def test_single_precision_certifies_the_same():
    game, response = jax.tree.map(
        lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, (GAME, soft(0.5, RHO))
    )
    flow = mfg.solve(GAME, soft(0.5, RHO)).mean_field.astype(jnp.float32)  # to all digits that there are
    report = mfg.certify(game, response, flow)
    assert_close(thresholds(report, "path_span", "critical_beta"), [0.8, 1.431], rtol=2e-3)
    assert report["unique"].word == "holds"


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("game", soft(1.0)), {}, "`game` must be a `FiniteHorizonGame`; got 'game'"),
        ((GAME, 3.0), {}, "`response` must be a response"),
        ((GAME, soft(1.0), np.ones((6, 4))), {}, r"`equilibrium` must have shape \(6, 5\)"),
        ((GAME, soft(1.0), np.full((6, 5), 0.3)), {}, r"`equilibrium\[0\]` sums to 1.5"),
        ((GAME, soft(1.0), np.full((6, 5), 0.2)), {}, r"`equilibrium\[0\]` at time 0 is 0.2, but at time 0 it must be"),
        ((GAME, soft(1.0)), {"lipschitz": 2.0}, "`lipschitz` must be a `Lipschitz`, or None; got 2.0"),
        (
            (GAME, soft(1.0)),
            {"lipschitz": mfg.Lipschitz(np.ones(4))},
            r"`lipschitz.reward` must have shape \(1,\) or \(6,\)",
        ),
        (
            (GAME, soft(1.0)),
            {"lipschitz": mfg.Lipschitz(0.01)},
            r"`lipschitz.reward` is 0.01 at time 5, but that is no",
        ),
        ((GAME, soft(1.0)), {"critical": 1}, "`critical` must be"),
    ],
)
def test_bad_input_is_one_sentence(arguments, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        mfg.certify(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((-1.0,), {}, "`lipschitz.reward` is -1.0, but a Lipschitz constant is a finite number >= 0"),
        (([1.0, np.inf],), {}, r"`lipschitz.reward\[1\]` is inf"),
        ((1.0, np.nan), {}, "`lipschitz.kernel` is nan"),
        ((1.0,), {"origin": "guessed"}, "`origin` must be"),
        (("one",), {}, "`lipschitz.reward` must hold real numbers"),
    ],
)
def test_bad_constants_are_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        mfg.Lipschitz(*arguments, **options)


@pytest.mark.parametrize("key", [3, "a"])
def test_keys_are_checked(key):
    with pytest.raises(ValueError, match="`key` must be a random key such as"):
        mfg.certify(GAME, soft(1.0), resting(GAME), key=key)
    with pytest.raises(ValueError, match="`key` must be a random key such as"):
        mfg.sample_lipschitz(GAME, key=key)
    with pytest.raises(ValueError, match="`game` must be a `FiniteHorizonGame`; got 3"):
        mfg.sample_lipschitz(3, key=jax.random.key(0))
