"""Tables with labels, exact numbers, other precisions and other people's arrays: read as they are meant, or refused."""

import re
from decimal import Decimal
from fractions import Fraction

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from faults import INITIAL, MASK, NEXT, REWARD, A, H, S, assert_refused, put
from labelled import (
    ACTIONS,
    FLOW,
    GAME,
    MIXED,
    ROWS,
    STATES,
    TURNED,
    UNIFORM,
    frame,
    game,
    moves,
    over_time,
    series,
    table,
)
from scipy import sparse

import mfgjax as mfg


class Opaque:
    """An array of another library that does not turn into one of NumPy, as PyTorch's with a gradient."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("cannot call numpy()")


class Open:
    def __array__(self, dtype=None, copy=None):
        return INITIAL


READ = {
    "a series in another order": (lambda: game(initial=series[MIXED]).initial, INITIAL),
    "a series without labels": (lambda: game(initial=pd.Series(INITIAL)).initial, INITIAL),
    "a series of nullable numbers": (lambda: game(initial=pd.Series(INITIAL, dtype="Float64")).initial, INITIAL),
    "numbers as labels, in another order": (
        lambda: game(initial=pd.Series(INITIAL, index=[2, 0, 1]), state_labels=None).initial,
        INITIAL[[1, 2, 0]],
    ),
    "labels that are numbers": (
        lambda: game(initial=pd.Series(INITIAL, index=[30, 10, 20]), state_labels=[10, 20, 30]).initial,
        INITIAL[[1, 2, 0]],
    ),
    "a frame in another order": (lambda: game(reward=frame.loc[MIXED, TURNED]).reward.table[0], REWARD),
    "frames over time": (lambda: game(reward=[frame.loc[MIXED] + t for t in range(H + 1)]).reward.table[2], REWARD + 2),
    "a frame of booleans": (
        lambda: game(available=pd.DataFrame(MASK, index=STATES, columns=ACTIONS).loc[MIXED]).available[0],
        MASK,
    ),
    "xarray, transposed and in another order": (
        lambda: game(reward=table.sel(state=MIXED, action=TURNED).T).reward.table[0],
        REWARD,
    ),
    "xarray of other names": (lambda: game(reward=xr.DataArray(REWARD, dims=("x", "y"))).reward.table[0], REWARD),
    "xarray over time": (
        lambda: game(reward=over_time.sel(time=[4, 2, 0, 1, 3]).transpose("action", "time", "state")).reward.table[3],
        REWARD + 3,
    ),
    "a kernel of xarray": (
        lambda: game(moves.sel(next_state=MIXED, state=MIXED[::-1]).transpose("action", ...)).kernel.probabilities[0],
        ROWS,
    ),
    "a stationary game": (
        lambda: mfg.StationaryGame(
            moves.sel(action=TURNED),
            frame.loc[MIXED],
            0.9,
            initial=series[MIXED],
            state_labels=STATES,
            action_labels=ACTIONS,
        ).reward.table[0],
        REWARD,
    ),
    "nothing masked": (lambda: game(reward=np.ma.array(REWARD)).reward.table[0], REWARD),
    "fractions": (lambda: game(initial=[Fraction(1, 3)] * 3).initial, np.full(3, 1 / 3)),
    "decimals": (lambda: game(initial=[Decimal("0.5"), Decimal("0.25"), Decimal("0.25")]).initial, INITIAL),
    "an array of objects": (lambda: game(initial=np.array([Fraction(1, 2), 0.25, Decimal("0.25")])).initial, INITIAL),
    "a fraction": (lambda: mfg.EntropyRegularized(Fraction(1, 3)).beta, 1 / 3),
    "an array of another library": (lambda: game(initial=Open()).initial, INITIAL),
    "a mean field by label": (
        lambda: mfg.respond(GAME, pd.DataFrame(FLOW, columns=STATES)[MIXED], mfg.Greedy()).q,
        mfg.respond(GAME, FLOW, mfg.Greedy()).q,
    ),
    "a policy by label": (
        lambda: mfg.propagate(GAME, xr.DataArray(MASK / MASK.sum(1, keepdims=True), table.coords)[::-1]),
        mfg.propagate(GAME, MASK / MASK.sum(1, keepdims=True)),
    ),
    "a policy by label among agents": (
        lambda: mfg.finite.law(GAME, pd.DataFrame(UNIFORM, STATES, ACTIONS).loc[MIXED], 5).mean_field,
        mfg.propagate(GAME, UNIFORM),
    ),
    "moves that lead nowhere": (lambda: game(mfg.MovesKernel(put(NEXT, (1, 1), -1))).available[0], MASK),
    "rows of zeros": (lambda: game(put(ROWS, (1, 1), 0)).available[0], MASK),
    "rows of zeros in a stationary game": (
        lambda: mfg.StationaryGame(put(ROWS, (1, 1), 0), REWARD, 0.9).available[0],
        MASK,
    ),
    "actions of a callable kernel": (
        lambda: game(lambda t, m: ROWS, lambda t, m: m[:, None]).available[0],
        np.ones((S, A), bool),
    ),
}


@pytest.mark.parametrize("case", READ)
def test_a_table_is_read_as_it_is_meant(case):
    made, expected = READ[case]
    np.testing.assert_allclose(made(), expected, rtol=1e-14)


REFUSED = {
    "labels of others": (lambda: game(initial=series.rename({"low": "lower"})), "`initial`", "'lower'", "'mid'"),
    "a label is missing": (lambda: game(initial=series[["low", "mid"]]), "`initial`", "no entry", "'high'"),
    "a label twice": (lambda: game(initial=pd.Series([*INITIAL, 0.0], [*STATES, "mid"])), "two entries", "'mid'"),
    "labels without names": (lambda: game(initial=series, state_labels=None), "`initial`", "'low'", "'0'"),
    "numbers for names": (lambda: game(initial=pd.Series(INITIAL, index=[2, 0, 1])), "`initial`", "'2'", "'low'"),
    "a transposed frame": (lambda: game(reward=frame.T), "`reward`", "'stay'", "no such state"),
    "levels of labels": (lambda: game(reward=frame.stack()), "`reward`", "unstack"),
    "other dimensions": (lambda: game(reward=table.rename(state="day")), "`reward`", "'day'", "'state'"),
    "a dataset": (lambda: game(reward=table.to_dataset(name="x")), "`reward`", "xarray.Dataset"),
    "a reference with labels": (
        lambda: mfg.EntropyRegularized(1.0, frame * 0 + 0.5),
        "`reference`",
        "'low'",
        "to_numpy",
    ),
    "missing numbers": (lambda: game(initial=pd.Series([0.5, None, 0.5])), "`initial[1]`", "nan"),
    "masked": (lambda: game(reward=np.ma.array(REWARD, mask=REWARD > 1)), "`reward[2, 1]`", "masked"),
    "masked in a list": (lambda: game(initial=[0.5, 0.5, np.ma.masked]), "`initial[2]`", "masked"),
    "a masked policy": (lambda: mfg.propagate(GAME, np.ma.array(UNIFORM, mask=~MASK)), "`policy[1, 1]`", "masked"),
    "masked moves": (lambda: mfg.MovesKernel(np.ma.array(NEXT, mask=~MASK)), "`next_state[1, 1]`", "masked"),
    "sparse": (lambda: game(reward=sparse.csr_array(REWARD)), "`reward`", "`reward.toarray()`"),
    "booleans among numbers": (lambda: game(initial=[True, 0.0, 0.0]), "`initial[0]`", "True"),
    "booleans among fractions": (lambda: game(initial=[Fraction(1), False, False]), "`initial[1]`", "False"),
    "a fraction too large": (lambda: game(reward=[[Fraction(10**400), 0]] * 3), "`reward[0, 0]`", "Fraction(1000"),
    "a record": (lambda: game(initial=np.zeros(3, [("p", float)])), "`initial`", "[('p', '<f8')]"),
    "dates": (lambda: game(initial=np.zeros(3, "M8[D]")), "`initial`", "datetime64"),
    "keys": (lambda: game(initial=jax.random.split(jax.random.key(0), 3)), "`initial`", "key<fry>"),
    "an array that does not turn": (lambda: game(initial=Opaque()), "`initial`", "Opaque"),
    "no law": (lambda: mfg.respond(GAME, 2 * FLOW, mfg.Greedy()), "`mean_field[0]`", "sums to 2"),
    "a negative mean field": (
        lambda: mfg.policy_value(GAME, UNIFORM, put(FLOW, (1, 0), -0.5)),
        "`mean_field[1, 0]`",
        "-0.5",
    ),
    "no law of a map": (lambda: mfg.mean_field_map(GAME, mfg.Greedy())(FLOW / 2), "`mean_field[0]`", "sums to 0.5"),
    "an unnormalised policy": (lambda: mfg.propagate(GAME, np.ones((S, A))), "`policy[0]`", "sums to 2"),
    "a policy of NaN": (lambda: mfg.exploitability(GAME, put(UNIFORM, (2, 1), np.nan)), "`policy[2, 1]`", "nan"),
    "a policy of one time": (
        lambda: mfg.policy_value(GAME, put(np.tile(UNIFORM, (H + 1, 1, 1)), (3, 1, 0), 0.75), FLOW),
        "`policy[3, 1]`",
        "sums to 1.25",
    ),
    "a policy off the actions": (
        lambda: mfg.exploitability(game(available=MASK), UNIFORM),
        "`policy[1, 1]`",
        "0.5",
        "not available",
    ),
    "a policy of text": (lambda: mfg.propagate(GAME, "uniform"), "`policy`", "'uniform'"),
    "a mean field of None": (lambda: mfg.respond(GAME, None, mfg.Greedy()), "`mean_field`", "None"),
    "a complex policy": (lambda: mfg.propagate(GAME, UNIFORM + 0j), "`policy`", "complex"),
    "distances of what is no law": (lambda: mfg.flow_distance(FLOW, 2 * FLOW), "`second[0]`", "sums to 2"),
    "distances of other shapes": (lambda: mfg.flow_distance(FLOW, FLOW[:2]), "`first` has shape (5, 3)", "(2, 3)"),
    "distances of what is no policy": (lambda: mfg.policy_distance(UNIFORM, UNIFORM * 2), "`second[0]`", "sums to 2"),
    "agents of no policy": (lambda: mfg.finite.law(GAME, np.ones((S, A)), 5), "`policy[0, 0]`", "sums to 2"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_as_it_is_meant_is_refused_in_one_sentence(case):
    assert_refused(REFUSED[case])


def test_traced_policies_and_mean_fields_pass_though_they_are_no_laws():
    value = jax.jit(lambda scale: mfg.policy_value(GAME, scale * UNIFORM, scale * FLOW))
    assert jnp.isfinite(value(2.0))
    assert mfg.propagate(GAME, jnp.asarray(UNIFORM)).shape == (H + 1, S)


@pytest.mark.parametrize(
    ("response", "as_callable"),
    [(mfg.EntropyRegularized, False), (mfg.EntropyRegularized, True), (mfg.Boltzmann, False)],
)
def test_rewards_of_minus_infinity_at_missing_actions_leave_derivatives_as_they_are(response, as_callable):
    def value(reward, beta):
        given = jax.tree_util.Partial(lambda table, t, m: table - m[:, None], reward) if as_callable else reward
        found = mfg.solve(game(reward=given, available=MASK), response(beta))
        return (found.mean_field * jnp.arange(S)).sum() + found.values[0] @ jnp.asarray(INITIAL)

    plain, infinite = jnp.asarray(REWARD), jnp.asarray(put(REWARD, (1, 1), -np.inf))
    expected, found = (jax.grad(value, (0, 1))(reward, 2.0) for reward in (plain, infinite))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10)


KINDS = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)
THIRDS = np.full((S, A, S), 1 / 3)


@pytest.mark.parametrize(
    ("kernel", "reward", "initial", "expected"),
    [
        (np.float32, np.float64, np.float64, np.float64),
        (np.float64, np.float32, np.float32, np.float64),
        (np.float32, np.float16, ml_dtypes.bfloat16, np.float32),
        (ml_dtypes.bfloat16, np.float16, np.float64, np.float64),
        (np.float16, np.float16, np.float16, np.float32),
        (np.float32, np.int32, np.float32, np.float64),
    ],
)
def test_the_widest_precision_given_is_that_of_the_game_and_rows_sum_to_1_in_it(kernel, reward, initial, expected):
    made = mfg.FiniteHorizonGame(THIRDS.astype(kernel), np.ones((S, A), reward), np.full(S, 1 / 3).astype(initial), H)
    rho = np.array([[1 / 3, 2 / 3]] * S).astype(kernel)
    found = mfg.solve(made, mfg.EntropyRegularized(1.0, rho))
    assert made.dtype == found.mean_field.dtype == found.policy.dtype == expected
    np.testing.assert_allclose(found.mean_field, 1 / 3, rtol=16 * np.finfo(expected).eps)
    np.testing.assert_allclose(found.policy.sum(axis=2), 1, rtol=16 * np.finfo(expected).eps)
    # a policy and a mean field in another precision change neither result nor precision
    for kind in KINDS:
        value = mfg.policy_value(made, UNIFORM.astype(kind), FLOW.round(1).astype(kind))
        assert value.dtype == expected
        np.testing.assert_allclose(value, H + 1, rtol=16 * np.finfo(expected).eps)


@pytest.mark.parametrize(("inside", "outside"), [(np.float32, np.float64), (np.float64, np.float32)])
def test_what_callables_return_in_another_precision_is_brought_to_that_of_the_game(inside, outside):
    made = mfg.FiniteHorizonGame(
        lambda t, m: jnp.asarray(THIRDS.astype(inside)),
        lambda t, m: jnp.ones((S, A), inside),
        np.full(S, 1 / 3).astype(outside),
        H,
    )
    found = mfg.solve(made, mfg.EntropyRegularized(1.0))
    assert found.mean_field.dtype == outside
    np.testing.assert_allclose(found.mean_field, 1 / 3, rtol=16 * np.finfo(outside).eps)
    np.testing.assert_allclose(found.values[0], H + 1, rtol=16 * np.finfo(outside).eps)


def test_a_game_alike_in_its_states_and_its_labels_is_taken_by_position_where_nothing_is_named():
    """A square table without labels may be transposed and nobody can know: it is read as states, actions."""
    square = np.array([[1.0, 2.0], [3.0, 4.0]])
    made = mfg.FiniteHorizonGame(np.full((2, 2, 2), 0.5), pd.DataFrame(square), [0.5, 0.5], 2)
    np.testing.assert_array_equal(made.reward.table[0], square)
    assert made.state_labels == ("0", "1")


def test_a_kernel_that_is_the_same_under_another_order_of_states_has_the_same_equilibrium():
    shuffled = moves.sel(state=MIXED, next_state=MIXED)
    found = mfg.solve(game(shuffled, frame.loc[MIXED], series[MIXED]), mfg.EntropyRegularized(1.0))
    np.testing.assert_allclose(found.mean_field, mfg.solve(GAME, mfg.EntropyRegularized(1.0)).mean_field, rtol=1e-12)


def _game():
    return mfg.games.coordination()


def test_rows_without_labels_on_an_axis_of_laws_are_its_values():
    laws = np.array([[0.1, 0.9], [0.8, 0.2]])
    found = mfg.sweep(_game(), beta=[1.0], initial=pd.DataFrame(laws), progress=False)
    np.testing.assert_allclose(found.mean_field[0, :, 0], laws, rtol=1e-15)


def _solved():
    return mfg.solve(_game(), mfg.EntropyRegularized(1.0))


MIXED_UP = {
    "an axis misspelt": (
        lambda: mfg.sweep(_game(), betta=[1.0]),
        "There is no parameter 'betta' in game, response or solver; did you mean 'beta'?",
    ),
    "a reference misspelt where there is none yet": (
        lambda: mfg.sweep(_game(), beta=[1.0], refrence=[None]),
        "There is no parameter 'refrence' in game, response or solver; did you mean 'reference'?",
    ),
    "a lane of references misspelt": (
        lambda: mfg.solve_batch(_game(), mfg.EntropyRegularized(1.0), axes={"log_refrence": np.zeros((2, 2, 1))}),
        "There is no parameter 'log_refrence' in game, response or solver; did you mean 'log_reference'?",
    ),
    "a value of an axis with a wrong shape": (
        lambda: mfg.sweep(_game(), beta=[1.0], initial=[[0.5, 0.25, 0.25]]),
        "`initial[0]` must have shape (2,) (that of `game.initial`); got (3,).",
    ),
    "one law in the place of several": (
        lambda: mfg.sweep(_game(), beta=[1.0], initial=[0.5, 0.5]),
        "`initial[0]` must have shape (2,) (that of `game.initial`); got ().",
    ),
    "a reference of an axis with a wrong shape": (
        lambda: mfg.sweep(_game(), beta=[1.0], reference=[np.full((2, 3), 1 / 3)]),
        "`reference[0]` must have shape (2, 2) or (1, 2, 2) or",
    ),
    "a guess as a dict": (
        lambda: mfg.solve(_game(), mfg.EntropyRegularized(1.0), guess={"0": [0.5, 0.5]}),
        "`guess` must hold real numbers, in an array or a `pandas.DataFrame` with labels; got the dict {'0': [0.5",
    ),
    "a parameter of the builder misspelt": (
        lambda: mfg.sweep(mfg.games.ring_crowd, beta=[1.0], congestionn=[1.0]),
        "There is no parameter 'congestionn' in game, response or solver, and no such argument of the function that "
        "builds the game; did you mean 'congestion'?",
    ),
    "a word for a parameter misspelt": (
        lambda: mfg.sweep(mfg.games.ring_crowd, beta=[1.0], congestionn=["high"]),
        "did you mean 'congestion'?",
    ),
    "no parameter of the builder": (
        lambda: mfg.sweep(mfg.games.ring_crowd, beta=[1.0], zzz=[1.0]),
        "no such argument of the function that builds the game; there are num_states, horizon, congestion, beta, "
        "discount, initial,",
    ),
    "rows with labels on an axis of laws": (
        lambda: mfg.sweep(_game(), beta=[1.0], initial=pd.DataFrame({"1": [0.1], "0": [0.9]})),
        "`initial` is labelled '1', '0' (axis), but the labels of the game are not known there",
    ),
    "a series with labels on an axis of laws": (
        lambda: mfg.sweep(_game(), beta=[1.0], initial=[pd.Series({"1": 0.1, "0": 0.9})]),
        "`initial[0]` is labelled '1', '0' (axis), but the labels of the game are not known there",
    ),
    "a word first on an axis of numbers": (
        lambda: mfg.sweep(_game(), beta=["1"]),
        "`beta[0]` must be a real number; got '1'.",
    ),
    "rows on an axis of numbers": (
        lambda: mfg.sweep(_game(), beta=np.ones((2, 2))),
        "`beta[0]` must be one number; got an array of shape (2,).",
    ),
    "a number out of range first on an axis": (
        lambda: mfg.sweep(_game(), mfg.Trembling, epsilon=[2.0, 0.1]),
        "`epsilon[0]` is 2.0",
    ),
    "no game to sweep": (
        lambda: mfg.sweep(None, beta=[1.0]),
        "`game` must be a game or a function that returns one; got None.",
    ),
    "no game to solve": (lambda: mfg.solve(None, mfg.EntropyRegularized(1.0)), "or a `StationaryGame`; got None."),
    "an equilibrium for its policy": (
        lambda: mfg.exploitability(_game(), _solved()),
        "Did you mean its `.policy`?",
    ),
    "an equilibrium for its mean field": (
        lambda: mfg.respond(_game(), _solved(), mfg.EntropyRegularized(1.0)),
        "Did you mean its `.mean_field`?",
    ),
    "a game for a path": (
        lambda: mfg.io.save_equilibrium(_game(), _solved(), "here.nc"),
        "`path` must be the path of a file; got FiniteHorizonGame",
    ),
    "no path": (lambda: mfg.io.load_equilibrium(None), "`path` must be the path of a file; got None."),
    "a stationary game to certify": (
        lambda: mfg.certify(mfg.games.mturk(), mfg.Trembling(0.1)),
        "for a `StationaryGame` use `bracket` and `check_complementarity`.",
    ),
}


@pytest.mark.parametrize("mistake", MIXED_UP)
def test_arguments_that_are_mixed_up_are_told_apart(mistake):
    call, message = MIXED_UP[mistake]
    with pytest.raises(ValueError, match=re.escape(message)):
        call()
