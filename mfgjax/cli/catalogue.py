"""The games that the command line knows, the zoo by name and files, and how values are given to their parameters."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from .. import games
from ..games import GameFile
from ..model import FiniteHorizonGame, StationaryGame
from .completion import NAMES

RANGE = "START:STOP:COUNT, START:STOP:COUNT:log, a list such as 0.5,1,3, or one value"
_MOST_VALUES = 10**7  # of a range


def builder(name: str) -> Callable[..., Any]:
    """Return the function of `mfgjax.games` that builds a game of the zoo."""
    return getattr(games, name)


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """Return the parameters of a game of the zoo by name."""
    return dict(inspect.signature(builder(name)).parameters)


def summary(name: str) -> str:
    """Return the first sentence of a builder's docstring, as a description of the game."""
    sentence = (inspect.getdoc(builder(name)) or "").splitlines()[0].removeprefix("Build ")
    return sentence[:1].upper() + sentence[1:]


def is_ready_made(game: str) -> bool:
    """Tell whether a game is one of the zoo, with "-" for "_" if one likes; else it is a file."""
    return game.replace("-", "_") in NAMES


def is_stationary(game: str) -> bool:
    """Tell whether a game of the zoo is stationary."""
    return inspect.signature(builder(game.replace("-", "_"))).return_annotation is StationaryGame


def load(game: str, settings: Sequence[str]) -> GameFile:
    """Build a game of the zoo, or read a file.

    Args:
      game: a name, with "-" for "_" if one likes, or the path of a file, TOML or netCDF.
      settings: "key=value" for the builder's parameters.

    Raises:
      ValueError: if there is no such game or file, or a setting does not fit.
    """
    if is_ready_made(game):
        return build(game, {key: _parse(setting, text, kind) for setting, key, text, kind in _split(game, settings)})
    if not (game.endswith((".toml", ".nc")) or Path(game).exists() or "/" in game):
        raise ValueError(
            f"`GAME` is {game!r}, but there is no such game and no such file; the games are "
            f"{', '.join(n.replace('_', '-') for n in NAMES)}."
        )
    if settings:
        raise ValueError(f"`--set {settings[0]}` is for ready-made games; {game!r} is a file: change it there.")
    return read(game)


def read(path: str) -> GameFile:
    """Read a game from a file, TOML or netCDF."""
    if path.endswith(".toml"):
        return games.load_game(path)
    from .. import io  # slow to import, and often not needed

    return io.load_game(path)


def with_horizon(command: str, loaded: GameFile) -> GameFile[FiniteHorizonGame]:
    """Return a game of which a command can make something, refused if it is stationary."""
    if loaded.game.is_stationary:
        raise ValueError(f"`{command}` is for games with a finite horizon, but {loaded.name} is stationary.")
    return loaded


def build(game: str, arguments: Mapping[str, Any]) -> GameFile:
    """Build a game of the zoo from the builder's arguments."""
    name = game.replace("-", "_")
    built = builder(name)(**arguments)
    reference = getattr(games, f"{name}_reference", None)
    return GameFile(name, built, None if reference is None else reference(built), None, summary(name))


def ranges(game: str, settings: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values that each "key=range" gives to a parameter of a game of the zoo: one, or several."""
    values: dict[str, list[Any]] = {}
    for setting, key, text, parameter in _split(game, settings):
        said, kinds = f"--set {setting}", _kinds(parameter)
        if tuple in kinds:
            values[key] = [_parse(setting, text, parameter)]
        elif bool not in kinds and (int in kinds or float in kinds):
            values[key] = numbers(said, text, whole=int in kinds)
        else:
            values[key] = different(said, [_parse(setting, word.strip(), parameter) for word in text.split(",")])
    return values


def _split(game: str, settings: Sequence[str]) -> list[tuple[str, str, str, inspect.Parameter]]:
    """Return for each "key=value" of a game of the zoo itself, the key, the value and the builder's parameter."""
    name = game.replace("-", "_")
    known, found = parameters(name), {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise ValueError(f"`--set` takes KEY=VALUE; got {setting!r}.")
        if key not in known:
            names = ", ".join(known) or "none"
            raise ValueError(f"`--set {setting}`: {name} has no parameter {key!r}; it has {names}.")
        if key in found:
            raise ValueError(f"`--set {setting}`: {key!r} is set twice.")
        found[key] = setting, key, text.strip(), known[key]
    return list(found.values())


def _kinds(parameter: inspect.Parameter) -> tuple[Any, ...]:
    """Return the types that a parameter may have; where it may be any array, that of its default."""
    kinds = get_args(parameter.annotation) or (parameter.annotation,)
    return (type(parameter.default),) if kinds == (Any,) else kinds


def _parse(setting: str, text: str, parameter: inspect.Parameter) -> Any:
    kinds = _kinds(parameter)
    if bool in kinds:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"`--set {setting}`: it must be true or false; got {text!r}.")
        return text.lower() == "true"
    if tuple in kinds:
        words, many = text.split(","), len(parameter.default)
        try:
            found = tuple(float(word) for word in words)
        except ValueError:
            found = ()
        if len(found) != many:
            raise ValueError(f"`--set {setting}`: it must be {many} numbers with commas between them; got {text!r}.")
        return found
    for kind, noun in ((int, "a whole number"), (float, "a number")):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                raise ValueError(f"`--set {setting}`: it must be {noun}; got {text!r}.") from None
    return text


def numbers(said: str, text: str, *, whole: bool = False) -> list[float] | list[int]:
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


def print_catalogue() -> None:
    """Print every game of the zoo with its parameters and their defaults."""
    for name in NAMES:
        print(name.replace("_", "-") + (" (stationary)" if is_stationary(name) else ""))
        print(f"    {summary(name)}")
        for key, parameter in parameters(name).items():
            print(f"    --set {key}={_default(parameter.default)}")


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "..." if value is None else str(value)
