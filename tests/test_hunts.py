"""The hunts of `tests/hunts` in small: no equilibrium and no claim is refuted by loops."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hunts"))

import claims
import equilibria
import numpy as np
import plain
import scales
import tally
import truth

import mfgjax as mfg

SOLVED = (
    "finite/module/soft",
    "finite/table/greedy",
    "finite/moves/trembling",
    "stationary/joint/boltzmann",
    "stationary/moves/soft",
    "stationary/pairwise/epsilon-greedy",
)
# how many games; small ones and dense crowds run the same code as those in units
SCALES = {
    "finite-sharp": 3,
    "finite-units": 3,
    "finite-single": 3,
    "finite-large": 3,
    "stationary-units": 3,
    "stationary-single": 3,
    "stationary-large": 1,  # the next one takes a minute
}
CLAIMED = {
    "certify/outside tanh": 5,
    "certify/theta tent": 5,
    "certify joint/outside affine": 3,
    "certify moving/tanh": 3,
    "finite/theta square": 3,
    "finite/vector sort": 3,
    "complementarity/entry affine": 6,
    "bracket trembling/entry affine": 6,
}


@pytest.mark.parametrize("kind", SOLVED)
def test_what_is_said_to_be_converged_is_an_equilibrium_by_loops_in_extended_precision(kind):
    table = equilibria.hunt([kind], 4, 0, tally.Tally(quiet=True))
    assert table.failures == []
    assert table.total("converged") >= 3


@pytest.mark.parametrize("kind", SCALES)
def test_what_is_said_to_be_converged_is_an_equilibrium_at_every_scale(kind):
    shared, table = scales.KINDS[kind], tally.Tally(quiet=True)
    programs = len(shared.sizes) * len(shared.hands)
    for i in range(SCALES[kind]):
        scales.attack(kind, (2 + i) * programs, table)  # of one program, the first of the kind
    assert table.failures == []
    assert table.total("converged") >= (SCALES[kind] + 1) // 2


def test_a_game_that_was_once_wrong_at_some_scale_is_right_and_so_are_others_of_its_program():
    table = tally.Tally(quiet=True)
    for seed in (1020019, 1020034, 1020049):
        scales.attack("stationary-small", seed, table)
        assert table.failures == [] and table.total("converged") >= 1
    assert table.total("converged") >= 2


@pytest.mark.parametrize("leaving", [1e-2, 1e-5, 1e-7])
def test_the_oracle_finds_the_law_of_a_chain_that_is_seldom_left(leaving):
    """Who leaves the first state with e and the second with 2e is there two thirds of the time."""
    e = plain.LONG(leaving)
    rows = np.array([[1 - e, e], [2 * e, 1 - 2 * e]])
    kernel, pay = np.stack([rows, rows], axis=1), np.array([[0, 1], [1, 0]], plain.LONG)
    game = plain.Plain(lambda t, z: kernel, lambda t, z: pay * z[:, None], rows[0], 0, np.ones((1, 2, 2), bool), 0.99)
    hand = plain.Hand("soft", 2.0, np.full((1, 2, 2), 0.5))
    found = truth.true_equilibrium(game, hand, np.array([[0.6, 0.4]], plain.LONG))
    # 1 − e is rounded, which counts against e
    rounding = 4 * np.finfo(plain.LONG).eps / e
    assert plain.apart(found, np.array([[2, 1]]) / plain.LONG(3)) < rounding
    # three states, by Newton's method: e, 2e, 4e
    rows = np.array([[1 - e, e, 0], [0, 1 - 2 * e, 2 * e], [4 * e, 0, 1 - 4 * e]])
    kernel, pay = np.stack([rows, rows], axis=1), np.array([[0, 1], [1, 0], [1, 1]], plain.LONG)
    game = plain.Plain(lambda t, z: kernel, lambda t, z: pay * z[:, None], rows[0], 0, np.ones((1, 3, 2), bool), 0.99)
    hand = plain.Hand("soft", 2.0, np.full((1, 3, 2), 0.5))
    found = truth.true_equilibrium(game, hand, np.array([[0.6, 0.3, 0.1]], plain.LONG))
    assert plain.apart(found, np.array([[4, 2, 1]]) / plain.LONG(7)) < rounding + 1e-15


@pytest.mark.parametrize("kind", CLAIMED)
def test_no_claim_is_refuted_by_trying(kind):
    table = claims.hunt([kind], 10**6, 0, tally.Tally(quiet=True), most_games=CLAIMED[kind])
    assert table.failures == []
    assert table.total("attacks") >= CLAIMED[kind] // 2


@pytest.mark.parametrize("claim", ["q", "residual", "policy", "no fixed point"])
def test_the_judge_notices_what_is_off(claim):
    import equinox as eqx
    import jax.numpy as jnp

    game, response, loops, hand = equilibria.draw("finite/module/soft", 2)
    found = mfg.solve(game, response, throw=False)
    assert equilibria.judge(game, response, loops, hand, found) == []
    changes = {
        "q": lambda e: eqx.tree_at(lambda e: e.q, e, e.q * 1.001),
        "residual": lambda e: eqx.tree_at(lambda e: e.residual, e, e.residual + 1e-3),
        "policy": lambda e: eqx.tree_at(lambda e: e.policy, e, jnp.roll(e.policy, 1, axis=2)),
        "no fixed point": lambda e: eqx.tree_at(lambda e: e.mean_field, e, jnp.roll(e.mean_field, 1, axis=1)),
    }
    wrong = equilibria.judge(game, response, loops, hand, changes[claim](found))
    assert any(line.startswith(claim) for line in wrong)


def test_a_game_that_one_method_fails_to_continue_in_keeps_what_the_others_found_out():
    """Small changes of such a game move its population far, and no number of it is infinite or undefined."""
    game, response, _, _ = equilibria.draw("stationary/sparse/soft", 1410009)
    found = mfg.solve(game, response, throw=False)
    assert found.result == mfg.RESULTS.ill_conditioned


def test_the_judge_of_every_scale_notices_what_is_off():
    import equinox as eqx
    import jax.numpy as jnp
    import verdict

    game, response, loops, hand = scales.draw("finite-units", 0)
    found = mfg.solve(game, response)
    eps = np.finfo(float).eps
    assert verdict.judge(loops, hand, eps, found).wrong == []
    fields = {
        "q": found.q * 1.001,
        "residual": found.residual + 1e-3,
        "policy": found.policy**2 / (found.policy**2).sum(axis=2, keepdims=True),
        "mean_field": jnp.roll(found.mean_field, 1, axis=1),
    }
    said = {"q": "q", "residual": "residual", "policy": "policy", "mean_field": "no fixed point"}
    for name, value in fields.items():
        changed = eqx.tree_at(lambda e, name=name: getattr(e, name), found, value)
        wrong = verdict.judge(loops, hand, eps, changed).wrong
        assert any(line.startswith(said[name]) for line in wrong)

    class Sure:  # of an error that is smaller than it is
        def __init__(self, estimate):
            self.error_estimate = estimate

        def __getattr__(self, name):
            return getattr(near, name)

    moved = found.mean_field + 1e-11 * jnp.array([1.0, -1.0, 0.0, 0.0])
    near = eqx.tree_at(lambda e: e.mean_field, found, moved)
    assert not any(line.startswith("distance") for line in verdict.judge(loops, hand, eps, Sure(1e-10)).wrong)
    assert any(line.startswith("distance") for line in verdict.judge(loops, hand, eps, Sure(1e-13)).wrong)
