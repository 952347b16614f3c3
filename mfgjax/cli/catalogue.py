"""The games that the command line knows, ready-made ones and files, and ranges of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._names import GAMES, did_you_mean, is_ready_made

if TYPE_CHECKING:
    from ..games import GameFile

RANGE = "START:STOP:COUNT, START:STOP:COUNT:log, a list such as 0.5,1,3, or one value"
_MOST_VALUES = 10**7  # of a range


def load(game: str, settings: Sequence[str] = ()) -> GameFile:
    """Build a ready-made game, or read a file; a game that is too large to be solved is refused.

    Args:
      game: a name, with "-" for "_" if one likes, or the path of a file, TOML or netCDF.
      settings: "key=value" for the builder's parameters.

    Raises:
      ValueError: if there is no such game or file, or a setting does not fit.
    """
    from .. import _checks  # slow to import
    from ..games import load_game, ready_made

    if is_ready_made(game):
        found = ready_made.settings_of(game, settings)
        return build(game, {key: setting.value() for key, setting in found.items()})
    if not (game.endswith((".toml", ".nc")) or Path(game).exists() or "/" in game):
        names = [name.replace("_", "-") for name in GAMES]
        which = did_you_mean(game, names, f"; the games are {', '.join(names)}.")
        raise ValueError(f"`GAME` is {game!r}, but there is no such game and no such file{which}")
    if settings:
        raise ValueError(f"`--set {settings[0]}` is for ready-made games; {game!r} is a file: change it there.")
    if game.endswith(".toml"):
        loaded = load_game(game)
    else:
        from .. import io  # slow to import

        loaded = io.load_game(game)
    _checks.policy_can_be_solved(loaded.name, loaded.game)
    return loaded


def build(game: str, arguments: Mapping[str, Any]) -> GameFile:
    """Build a ready-made game from the builder's arguments, refused if it is too large to be solved."""
    from .. import _checks
    from ..games import ready_made

    loaded = ready_made.build(game, arguments)
    _checks.policy_can_be_solved(loaded.name, loaded.game)
    return loaded


def load_with_horizon(command: str, game: str, settings: Sequence[str] = ()) -> GameFile:
    """Load a game of which a command can make something, refused if it is stationary."""
    loaded = load(game, settings)
    if loaded.game.is_stationary:
        raise ValueError(f"`{command}` is for games with a finite horizon, but {loaded.name} is stationary.")
    return loaded


def ranges(game: str, settings: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values that each "key=range" gives to a parameter of a ready-made game: one, or several."""
    from ..games.ready_made import settings_of

    values: dict[str, list[Any]] = {}
    for key, setting in settings_of(game, settings).items():
        kinds = setting.kinds
        if tuple in kinds:
            values[key] = [setting.value()]
        elif bool not in kinds and (int in kinds or float in kinds):
            values[key] = numbers(setting.said, setting.text, whole=int in kinds)
        else:
            values[key] = different(setting.said, [setting.value(word.strip()) for word in setting.text.split(",")])
    return values


def numbers(said: str, text: str, *, whole: bool = False) -> list[Any]:
    """Return the numbers of a range.

    Args:
      said: option and value, for sentences.
      text: START:STOP:COUNT, START:STOP:COUNT:log, or numbers with commas between them.
      whole: they are whole numbers.
    """
    kind, noun = (int, "a whole number") if whole else (float, "a number")
    parts = [part.strip() for part in text.split(":")]
    if len(parts) == 1:
        return different(said, [_number(said, part.strip(), kind, noun) for part in text.split(",")])
    if len(parts) not in (3, 4) or parts[3:] not in ([], ["log"]):
        raise ValueError(f"`{said}` is no range; it must be {RANGE}.")
    start, stop = (_number(said, part, float, "a number") for part in parts[:2])
    count = _number(said, parts[2], int, "a whole number")
    if not (math.isfinite(start) and math.isfinite(stop)) or start == stop:
        raise ValueError(f"`{said}`: START and STOP must be different finite numbers.")
    if not 2 <= count <= _MOST_VALUES:
        raise ValueError(f"`{said}`: COUNT must be at least 2 and at most {_MOST_VALUES:,}; got {count}.")
    if len(parts) == 4 and min(start, stop) <= 0:
        raise ValueError(f"`{said}`: with log, START and STOP must be > 0; got {min(start, stop):g}.")
    values = (np.geomspace if len(parts) == 4 else np.linspace)(start, stop, count)
    if not whole:
        return values.tolist()
    rounded = np.round(values)
    wrong = values[~np.isclose(values, rounded, rtol=1e-9, atol=1e-9)]
    if len(wrong):
        raise ValueError(f"`{said}`: it must be whole numbers, but {wrong[0]:g} is among them.")
    return different(said, [int(value) for value in rounded])


def _number(said: str, text: str, kind: Callable[[str], Any], noun: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"`{said}`: {text!r} is not {noun}; it must be {RANGE}.") from None


def different(said: str, values: list[Any]) -> list[Any]:
    """Return values, refused if one is there twice."""
    if len(set(values)) < len(values):
        twice = next(value for i, value in enumerate(values) if value in values[:i])
        raise ValueError(f"`{said}` has {twice} twice.")
    return values
