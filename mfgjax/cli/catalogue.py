"""The games that the command line knows: the zoo by name, and files."""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from .. import games
from ..games import GameFile

NAMES = ("resource_allocation", "ring_crowd", "random_dense", "coordination", "left_right")


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


def load(game: str, settings: Sequence[str]) -> GameFile:
    """Build a game of the zoo, or read a file.

    Args:
      game: a name, with "-" for "_" if one likes, or the path of a TOML file.
      settings: "key=value" for the builder's parameters.

    Raises:
      ValueError: if there is no such game or file, or a setting does not fit.
    """
    name = game.replace("-", "_")
    if name in NAMES:
        built = builder(name)(**_typed(name, settings))
        reference = getattr(games, f"{name}_reference", None)
        return GameFile(name, built, None if reference is None else reference(built), None, summary(name))
    if not (game.endswith(".toml") or Path(game).exists() or "/" in game):
        raise ValueError(
            f"`GAME` is {game!r}, but there is no such game and no such file; the games are "
            f"{', '.join(n.replace('_', '-') for n in NAMES)}."
        )
    if settings:
        raise ValueError(f"`--set {settings[0]}` is for ready-made games; {game!r} is a file: change it there.")
    return games.load_game(game)


def _typed(name: str, settings: Sequence[str]) -> dict[str, Any]:
    known, values = parameters(name), {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise ValueError(f"`--set` takes KEY=VALUE; got {setting!r}.")
        if key not in known:
            names = ", ".join(known) or "none"
            raise ValueError(f"`--set {setting}`: {name} has no parameter {key!r}; it has {names}.")
        if key in values:
            raise ValueError(f"`--set {setting}`: {key!r} is set twice.")
        values[key] = _parse(setting, text.strip(), known[key])
    return values


def _parse(setting: str, text: str, parameter: inspect.Parameter) -> Any:
    kinds = get_args(parameter.annotation) or (parameter.annotation,)
    if bool in kinds:
        if text.lower() not in ("true", "false"):
            raise ValueError(f"`--set {setting}`: it must be true or false; got {text!r}.")
        return text.lower() == "true"
    for kind, noun in ((int, "a whole number"), (float, "a number")):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                raise ValueError(f"`--set {setting}`: it must be {noun}; got {text!r}.") from None
    return text


def print_catalogue() -> None:
    """Print every game of the zoo with its parameters and their defaults."""
    for name in NAMES:
        print(name.replace("_", "-"))
        print(f"    {summary(name)}")
        for key, parameter in parameters(name).items():
            default = str(parameter.default)
            print(f"    --set {key}={default.lower() if isinstance(parameter.default, bool) else default}")
