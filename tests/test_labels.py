"""Labels of tables within lists, of single columns and of dimensions: aligned as they are meant, or refused."""

from collections import deque

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from faults import MASK, NEXT, REWARD, A, H, assert_refused
from labelled import ACTIONS, FLOW, GAME, MIXED, ROWS, STATES, TURNED, frame, game, moves, over_time, series, table

import mfgjax as mfg

numbered = xr.DataArray(REWARD, dims=("state", "action"), coords={"action": range(A)})
rows = [frame.loc[label, TURNED] for label in STATES]
certain = pd.DataFrame({"go": [1.0, 0.0, 1.0], "stay": [0.0, 1.0, 0.0]}, index=STATES)

READ = {
    "labels within lists": (lambda: game(reward=rows).reward.table[0], REWARD),
    "labels within other sequences": (lambda: game(reward=deque(rows)).reward.table[0], REWARD),
    "labels within lists of lists": (
        lambda: game(reward=[[row + t for row in rows] for t in range(H + 1)]).reward.table[2],
        REWARD + 2,
    ),
    "labels within lists of xarray": (
        lambda: game(reward=[table.sel(state=label, action=TURNED) for label in STATES]).reward.table[0],
        REWARD,
    ),
    "labels within a list of a kernel": (
        lambda: game(
            [moves.sel(state=label, next_state=MIXED, action=TURNED).to_pandas() for label in STATES]
        ).kernel.probabilities[0],
        ROWS,
    ),
    "labels within a list of a kernel of xarray": (
        lambda: game([moves.sel(state=label, next_state=MIXED).transpose() for label in STATES]).kernel.probabilities[
            0
        ],
        ROWS,
    ),
    "labels within a list of what is available": (
        lambda: game(available=[pd.Series(row, ACTIONS)[TURNED] for row in MASK]).available[0],
        MASK,
    ),
    "labels within a list of a policy": (
        lambda: mfg.propagate(GAME, [row for _, row in certain.iterrows()]),
        mfg.propagate(GAME, certain[list(ACTIONS)].to_numpy()),
    ),
    "labels within a list of a policy among agents": (
        lambda: mfg.finite.law(GAME, [row for _, row in certain.iterrows()], 5).mean_field,
        mfg.propagate(GAME, certain[list(ACTIONS)].to_numpy()),
    ),
    "labels within a list of a mean field": (
        lambda: mfg.respond(GAME, [pd.Series(law, STATES)[MIXED] for law in FLOW], mfg.Greedy()).q,
        mfg.respond(GAME, FLOW, mfg.Greedy()).q,
    ),
    "numbered rows within a list": (lambda: game(reward=[pd.Series(row) for row in REWARD]).reward.table[0], REWARD),
    "a kernel of xarray, transposed": (
        lambda: mfg.DenseKernel(moves.drop_vars(moves.coords).transpose()).probabilities[0],
        ROWS,
    ),
    "one column of a name of its own": (
        lambda: game(reward=frame[["go"]].rename(columns={"go": "pay"})).reward.table[0],
        REWARD[:, 1:],
    ),
    "one column of a name of its own, by default names": (
        lambda: game(reward=pd.DataFrame({"pay": REWARD[:, 1]}), state_labels=None, action_labels=None).reward.table[0],
        REWARD[:, 1:],
    ),
    "one column without a name": (
        lambda: game(reward=pd.DataFrame(REWARD[:, 1:], STATES)).reward.table[0],
        REWARD[:, 1:],
    ),
    "the only move": (
        lambda: game(moves.expand_dims(time=[0]), horizon=1).kernel.probabilities[0],
        ROWS,
    ),
}


@pytest.mark.parametrize("case", READ)
def test_a_table_is_read_by_its_labels(case):
    made, expected = READ[case]
    np.testing.assert_allclose(made(), expected, rtol=1e-14)


REFUSED = {
    "one action for all": (
        lambda: game(reward=frame[["go"]]),
        "`reward` has no entry for the action 'stay': its labels are 'go'.",
    ),
    "one action for all, in xarray": (lambda: game(reward=table.sel(action=["go"])), "no entry for the action 'stay'"),
    "one action for all, in a list": (
        lambda: game(reward=[row[["go"]] for row in rows]),
        "no entry for the action 'stay'",
    ),
    "one action for all, by number": (
        lambda: game(reward=numbered.isel(action=[0]), state_labels=None, action_labels=None),
        "`reward` has no entry for the action '1': its labels are '0'.",
    ),
    "one action for all, by number, where a function moves": (
        lambda: game(
            lambda t, m: ROWS, numbered.isel(action=[0]), state_labels=None, action_labels=None, available=MASK
        ),
        "`reward` has no entry for the action '1'",
    ),
    "one action for all, by number, in a stationary game": (
        lambda: mfg.StationaryGame(ROWS, numbered.isel(action=[0]), 0.9),
        "`reward` has no entry for the action '1'",
    ),
    "one state for all": (lambda: game(initial=series[["low"]]), "`initial` has no entry for the state 'mid'"),
    "one time for all": (
        lambda: game(reward=over_time.isel(time=[0])),
        "`reward` has no entry for the time '1': its labels are '0'.",
    ),
    "a later time for all": (lambda: game(reward=over_time.isel(time=[3])), "no entry for the time '0'"),
    "one time for all, in a kernel": (
        lambda: game(moves.expand_dims(time=[0])),
        "`kernel` has no entry for the time '1'",
    ),
    "one time for all, in a policy": (
        lambda: mfg.finite.law(GAME, over_time.isel(time=[0]) * 0 + 0.5, 5),
        "`policy` has no entry for the time '1'",
    ),
    "times for states": (
        lambda: game(reward=xr.DataArray(REWARD, dims=("time", "state"))),
        "`reward` has the dimensions 'time', 'state'; they must be 'state', 'action'.",
    ),
    "times for states, in a policy": (
        lambda: mfg.propagate(GAME, over_time[:3, 0] * 0 + 0.5),
        "`policy` has the dimensions 'time', 'action'; they must be 'state', 'action'.",
    ),
    "times for actions, in a kernel": (
        lambda: game(moves.drop_vars(moves.coords).rename(action="time")),
        "`kernel` has the dimensions 'state', 'time', 'next_state'; they must be 'state', 'action', 'next_state'.",
    ),
    "times for actions, in a kernel object": (
        lambda: mfg.DenseKernel(moves.drop_vars(moves.coords).rename(action="time")),
        "`kernel` has the dimensions 'state', 'time', 'next_state'",
    ),
    "times for states, in moves": (
        lambda: mfg.MovesKernel(xr.DataArray(NEXT, dims=("time", "state"))),
        "`next_state` has the dimensions 'time', 'state'; they must be 'state', 'action'.",
    ),
    "times for states, in an interaction": (
        lambda: mfg.rewards.OwnStateInteraction(xr.DataArray(REWARD, dims=("time", "action")), REWARD),
        "`reward.L.base` has the dimensions",
    ),
    "states for actions, in a list": (
        lambda: game(reward=[table[:2, 0].drop_vars("state") for _ in STATES]),
        "`reward` has the dimensions 'state'; they must be 'action'.",
    ),
    "a label of others in a list": (
        lambda: game(reward=[row.rename({"go": "run"}) for row in rows]),
        "`reward`",
        "'run'",
        "no such action",
    ),
    "a reference with labels within a list": (
        lambda: mfg.EntropyRegularized(1.0, [row * 0 + 0.5 for row in rows]),
        "`reference`",
        "'go'",
        "to_numpy",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_labels_that_cannot_be_meant_are_refused_in_one_sentence(case):
    assert_refused(REFUSED[case])
