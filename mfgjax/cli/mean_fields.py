"""Several mean fields of one game, for `branch`, `hysteresis` and `multi-start`: in JSON, in tables and on axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .._largest_states import heaviest
from .behaviour import response_of
from .options import GameAndResponse
from .output import finite
from .tables import number

if TYPE_CHECKING:
    from ..games import GameFile
    from ..model import AbstractGame


def moving_response(options: GameAndResponse, loaded: GameFile, parameter: str, first: float) -> Any:
    """Build the response from the options, with the first value of the parameter that a command moves.

    Raises:
      ValueError: if the options are wrong, or give β or ε although that is what moves.
    """
    if parameter in ("beta", "epsilon"):
        if (fixed := getattr(options, parameter)) is not None:
            raise ValueError(f"`--{parameter} {fixed}` cannot be given: {parameter} is the `--parameter` that moves.")
        options = replace(options, **{parameter: first})
    return response_of(options, loaded)


def laws_at_end(game: AbstractGame, mean_fields: Any) -> np.ndarray:
    """Return the laws of the states `[n, S]` of many mean fields, at the last time if there are times."""
    laws = np.asarray(mean_fields, float)
    laws = laws[:, -1] if game.times else laws
    return laws if game.observes == "states" else laws.sum(axis=-1)


def described(game: AbstractGame, mean_field: Any) -> dict[str, Any]:
    """Return a mean field for JSON: the law of the states at the last time, its mean if states are numbers, and all."""
    law = laws_at_end(game, np.asarray(mean_field)[None])[0]
    return {
        "mean_state": finite(law @ np.arange(len(law))) if game.has_numbered_states else None,
        "law": dict(zip(game.state_labels, law.tolist(), strict=True)),
        "mean_field": np.asarray(mean_field).tolist(),
    }


def headings(game: AbstractGame) -> list[str]:
    """Return the headings of the columns that `cells` fills."""
    when = f", t = {game.horizon}" if game.times else ""
    return [">mean state"] * game.has_numbered_states + [f"largest shares (state: share{when})"]


def cells(mean_field: Mapping[str, Any]) -> list[str]:
    """Return the mean and the states with most mass of what `described` has returned."""
    law = mean_field["law"]
    mean = mean_field["mean_state"]
    return [number(mean, ".4f")] * (mean is not None) + [heaviest(list(law), list(law.values()))]


def drawn_quantity(game: AbstractGame, mean_fields: Any) -> tuple[Any, str]:
    """Return a number for each of many mean fields, and what it is: the mean state, or the share that varies most."""
    laws = laws_at_end(game, mean_fields)
    when = f" at t = {game.horizon}" if game.times else ""
    if game.has_numbered_states and game.num_states > 2:
        return laws @ np.arange(laws.shape[1]), f"mean state{when}"
    varied = int(np.ptp(laws, axis=0).argmax())
    return laws[:, varied], f"share in state {game.state_labels[varied]}{when}"
