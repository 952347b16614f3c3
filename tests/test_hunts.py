"""The hunts of `tests/hunts` in small: no equilibrium and no claim is refuted by loops."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "hunts"))

import claims
import equilibria
import tally

SOLVED = (
    "finite/module/soft",
    "finite/table/greedy",
    "finite/moves/trembling",
    "stationary/joint/boltzmann",
    "stationary/moves/soft",
    "stationary/pairwise/epsilon-greedy",
)
CLAIMED = {
    "certify/outside tanh": 5,
    "certify/theta tent": 5,
    "certify moving/tanh": 3,
    "finite/theta square": 3,
    "finite/vector sort": 3,
    "complementarity/entry affine": 6,
    "bracket trembling/entry affine": 6,
}


@pytest.mark.parametrize("kind", SOLVED)
def test_what_is_said_to_be_converged_is_an_equilibrium_by_loops_in_extended_precision(kind):
    table = equilibria.hunt([kind], 6, 0, tally.Tally(quiet=True))
    assert table.failures == []
    assert table.total("converged") >= 4


@pytest.mark.parametrize("kind", CLAIMED)
def test_no_claim_is_refuted_by_trying(kind):
    table = claims.hunt([kind], 10**6, 0, tally.Tally(quiet=True), most_games=CLAIMED[kind])
    assert table.failures == []
    assert table.total("attacks") >= CLAIMED[kind] // 2


@pytest.mark.parametrize("claim", ["q", "residual", "policy", "no fixed point"])
def test_the_judge_notices_what_is_off(claim):
    import equinox as eqx
    import jax.numpy as jnp

    import mfgjax as mfg

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
