"""Games in files: tables as netCDF, graphs also as TOML."""

import os
from collections.abc import Mapping
from pathlib import Path

from .. import _checks, games
from .._typing import ArrayLike
from ..games import GameFile
from ..model import AbstractGame
from . import netcdf
from .tables import FORMAT, from_tables, to_tables


def save_game(
    path: str | os.PathLike[str],
    game: AbstractGame | GameFile,
    *,
    reference: ArrayLike | None = None,
    name: str | None = None,
    description: str = "",
    positions: Mapping[str, tuple[float, float]] | None = None,
) -> Path:
    """Save a game that consists of tables as a netCDF file, which `load_game` and the command line read.

    The kernel may be an array, a `DenseKernel`, a `SuccessorKernel` or a `MovesKernel`; the reward an array, or a
    `PairwiseReward` of tables whose Θ is None or a `Power`. All numbers are stored exactly, in the game's precision. If
    the path ends in ".toml", the file is written by `mfgjax.games.save_game`, for graph games. A file is written
    completely or not at all.

    Args:
      path: the path of the file, which ends in ".nc" or ".toml" and is replaced if it exists; its folder must exist.
      game: the game; or a `GameFile`, which also has the other arguments in it.
      reference: ρ(a|s) `[S, A]` to be saved with the game, or None.
      name: the name of the game; None: the stem of the path.
      description: any text.
      positions: where to draw each state, by its label, as (x, y).

    Returns:
      The path.

    Raises:
      ValueError: if a field is not a table, such as a reward given as a function; it names the field and says what to
        do. If the path has another ending.
      OSError: if the file cannot be written.

    Example:
      >>> import mfgjax as mfg
      >>> path = mfg.io.save_game("grid.nc", mfg.games.grid_crowd(3, 3, horizon=4))
      >>> mfg.io.load_game(path).game.num_states
      9
    """
    path = _checks.path_to_write("path", path, ".nc", ".toml")
    if not isinstance(game, GameFile):
        if not isinstance(game, AbstractGame):
            raise ValueError(
                "`game` must be a `FiniteHorizonGame`, a `StationaryGame` or a `GameFile`; got "
                f"{_checks.shorten(game)}."
            )
        places = None if positions is None else dict(positions)
        missing = [label for label in game.state_labels if places is not None and label not in places]
        if missing:
            raise ValueError(f"`positions[{missing[0]!r}]` is missing, but all states need a position, or none.")
        rho = None if reference is None else _checks.as_numbers("reference", reference)
        game = GameFile(path.stem if name is None else name, game, rho, places, description)
    elif not (reference is name is positions is None) or description:
        raise ValueError("`game` is a `GameFile`, which has name, reference, positions and description in it.")
    if path.suffix.lower() == ".toml":
        games.save_game(path, game)
    else:
        netcdf.write(path, to_tables(game))
    return path


def load_game(path: str | os.PathLike[str]) -> GameFile:
    """Read a game from a file of either format: netCDF, as `save_game` writes it, or TOML for a graph game.

    Args:
      path: the path of the file. A text file is read as TOML, by `mfgjax.games.load_game`.

    Returns:
      A `GameFile`; solve it with `solve(file.game, EntropyRegularized(beta, file.reference))`. Numbers have the
      precision they were saved in, but no more than JAX's default: set `jax_enable_x64` before loading for float64.

    Raises:
      ValueError: if there is no such file, or the file is damaged, of another program, or of another version of the
        format.

    Example:
      >>> import mfgjax as mfg
      >>> path = mfg.io.save_game("game.nc", mfg.games.left_right())
      >>> mfg.io.load_game(path).game.state_labels
      ('centre', 'left', 'right')
    """
    path = _checks.file_path("path", path)
    if _is_text(path):
        return games.load_game(path)
    dataset = netcdf.read(path)
    netcdf.check_format(path, dataset, FORMAT, "game")
    try:
        return from_tables(dataset)
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _is_text(path: Path) -> bool:
    """Tell whether a file is read as TOML, by its ending or else by its content."""
    if path.suffix in (".toml", ".nc"):
        return path.suffix == ".toml"
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(4096)  # netCDF files are binary, and hold zeros in their first bytes
    except (OSError, ValueError):  # what is wrong with it is said where it is read
        return True
