"""A number of a game that is an index, and is changed after the game was built, must not read past a table."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mfgjax as mfg

PRICE = jnp.array([1.0, 2.0, 3.0])
RESPONSE = mfg.EntropyRegularized(5.0)
PAST = r"`reward` reads `PRICE\[month.astype\(int\)\]` past its end at t = 0{}: index 12 of an axis of length 3"


def reward(t, mean_field, month, toll=0.0):
    return (PRICE[month.astype(int)] - toll) * jnp.array([[0.0], [1.0]]) - mean_field[:, None]


class Reward(eqx.Module):
    month: jax.Array

    def __call__(self, t, mean_field):
        return reward(t, mean_field, self.month)


def built(reward=reward, **params):
    return mfg.FiniteHorizonGame(mfg.MovesKernel([[0, 1], [1, 0]]), reward, [1.0, 0.0], 3, params=params or None)


GAME = built(month=0, toll=0.0)
CHANGED = eqx.tree_at(lambda game: game.params.month, GAME, jnp.array(12.0))


@pytest.mark.parametrize("months", [[0, 12, 2], [12, 0, 2], [0, 2, 12]])
def test_every_value_of_a_sweep_is_checked(months):
    with pytest.raises(ValueError, match=PAST.format(" for month = 12")):
        mfg.sweep(GAME, RESPONSE, month=months, progress=False)


def test_the_point_that_reads_outside_is_named():
    with pytest.raises(ValueError, match=PAST.format(" for toll = 0.5, month = 12")):
        mfg.sweep(GAME, RESPONSE, zipped=True, toll=[0.0, 0.5, 1.0], month=[0, 12, 2], progress=False)


def test_a_point_matters_only_if_its_game_reads_the_table():
    # month 12 stands only beside the toll for which nothing is read
    game = built(
        lambda t, z, month, toll: jnp.where(toll > 1, toll, PRICE[month.astype(int)]) - z[:, None], month=0, toll=0
    )
    ds = mfg.sweep(game, RESPONSE, zipped=True, toll=[0.0, 2.0], month=[2, 12], outputs=[], progress=False)
    assert (ds.result_code == 0).all()
    with pytest.raises(ValueError, match="for toll = 0, month = 12"):
        mfg.sweep(game, RESPONSE, toll=[0, 2], month=[2, 12], outputs=[], progress=False)


def test_fields_of_modules_are_checked_as_well():
    with pytest.raises(ValueError, match=r"past its end at t = 0 for reward\.month = 12: index 12"):
        mfg.sweep(built(Reward(jnp.array(0.0))), RESPONSE, **{"reward.month": [0, 12, 2]}, progress=False)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mfg.solve(CHANGED, RESPONSE),
        lambda: mfg.certify(CHANGED, RESPONSE),
        lambda: mfg.exploitability(CHANGED, np.full((4, 2, 2), 0.5), RESPONSE),
        lambda: mfg.design.tune(CHANGED, {"toll": None}, lambda eq: eq.mean_field[-1, 0], response=RESPONSE),
        lambda: mfg.solve_batch(GAME, RESPONSE, axes={"month": [0.0, 12.0]}),
        lambda: mfg.hysteresis(GAME, RESPONSE, "month", [0.0, 12.0]),
    ],
)
def test_a_changed_game_is_checked_wherever_it_is_used(call):
    with pytest.raises(ValueError, match=PAST.format("( in lane 1)?")):
        call()


def test_a_global_index_that_has_changed_is_checked():
    place = {"month": np.array(0)}
    game = built(lambda t, mean_field: PRICE[place["month"]] - mean_field[:, None])
    place["month"] = np.array(12)
    with pytest.raises(ValueError, match="past its end at t = 0: index 12"):
        mfg.solve(game, RESPONSE)


def test_a_read_at_a_fixed_place_that_counts_at_one_time_only_is_found_when_the_game_is_built():
    with pytest.raises(ValueError, match="past its end at t = 2: index 12"):
        built(lambda t, z, month: jnp.where(t == 2, PRICE[month.astype(int)], 0.0) - z[:, None], month=12)


@pytest.mark.parametrize(
    ("game", "name", "must"),
    [
        (built(lambda t, z, v: v.sum() - z[:, None], v=[[0.5, 0.5]]), "v", r"\(1, 2\) or \(2,\)"),
        (
            built(eqx.Partial(lambda v, t, z: v.sum() - z[:, None], jnp.full((1, 2), 0.5))),
            "reward.args[0]",
            r"\(1, 2\)",
        ),
    ],
)
def test_an_array_of_the_user_s_has_no_axis_of_times_that_the_user_does_not_know(game, name, must):
    with pytest.raises(ValueError, match=rf"must have shape {must}.*got \(4, 2\)"):
        mfg.sweep(game, RESPONSE, **{name: [np.full((4, 2), 0.5)]}, progress=False)
