"""The games that the command line knows: ready-made ones and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._names import by_word, did_you_mean, is_ready_made

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


def load_with_horizon(command: str, game: str, settings: Sequence[str] = ()) -> GameFile:
    """Load a game of which a command can make something, refused if it is stationary."""
    loaded = load(game, settings)
    if loaded.game.is_stationary:
        raise ValueError(f"`{command}` is for games with a finite horizon, but {loaded.name} is stationary.")
    return loaded
