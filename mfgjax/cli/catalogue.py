"""The games that the command line knows, ready-made ones and files, and the command `list`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._names import by_word, did_you_mean, is_ready_made
from . import ranges

if TYPE_CHECKING:
    from ..games import GameFile


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
    # what looks like a path is answered by the reader of files, else by names that are near
    if not (game.endswith((".toml", ".nc")) or Path(game).exists() or "/" in game):
        names = by_word("games")
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


class Family(NamedTuple):
    """Games that a command is asked for at once.

    Attributes:
      first: the game of the first values.
      varied: the parameters with several values, by name.
      fixed: the values of other parameters.
    """

    first: GameFile
    varied: dict[str, list[Any]]
    fixed: dict[str, Any]


def load_family(game: str, settings: Sequence[str]) -> Family:
    """Load the games that settings with ranges ask for; a file is one game without parameters."""
    if not is_ready_made(game):
        return Family(load(game, settings), {}, {})
    values = ranges.values_of_settings(game, settings)
    varied = {key: several for key, several in values.items() if len(several) > 1}
    fixed = {key: several[0] for key, several in values.items() if key not in varied}
    return Family(build(game, {key: several[0] for key, several in values.items()}), varied, fixed)


def list_games() -> None:
    """List the ready-made games and their parameters.

    Prints the parameters with their defaults, in the form of the option --set of the other commands.

    Example:
      mfgjax list
    """
    from ..games import ready_made  # slow to import

    for shown, name in by_word("games").items():
        print(shown + (" (stationary)" if ready_made.is_stationary(name) else ""))
        print(f"    {ready_made.summary(name)}")
        for key, parameter in ready_made.parameters(name).items():
            print(f"    --set {key}={_default(parameter.default)}")


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "..." if value is None else str(value)
