"""A small game with names, and its parts as tables of pandas and xarray."""

import numpy as np
import pandas as pd
import xarray as xr
from faults import INITIAL, REWARD, A, H, S

import mfgjax as mfg

STATES, ACTIONS = ("low", "mid", "high"), ("stay", "go")
ROWS = np.random.default_rng(0).dirichlet(np.ones(S), size=(S, A))
FLOW = np.tile([0.5, 0.3, 0.2], (H + 1, 1))
UNIFORM = np.full((S, A), 0.5)


def game(kernel=ROWS, reward=REWARD, initial=INITIAL, horizon=H, **options):
    options = {"state_labels": STATES, "action_labels": ACTIONS, **options}
    return mfg.FiniteHorizonGame(kernel, reward, initial, horizon, **options)


GAME = game()
series = pd.Series(INITIAL, index=STATES)
frame = pd.DataFrame(REWARD, index=STATES, columns=ACTIONS)
table = xr.DataArray(REWARD, dims=("state", "action"), coords={"state": list(STATES), "action": list(ACTIONS)})
moves = xr.DataArray(
    ROWS,
    dims=("state", "action", "next_state"),
    coords={"state": list(STATES), "action": list(ACTIONS), "next_state": list(STATES)},
)
over_time = xr.concat([table + t for t in range(H + 1)], dim="time").assign_coords(time=range(H + 1))
MIXED, TURNED = ["high", "low", "mid"], ["go", "stay"]
