"""Save runs of learners to files, and load them to resume."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._files import written_whole
from .._version import __version__
from ..model import StationaryGame
from ..responses.trembling import AbstractTrembling
from .base import AbstractLearner
from .run import Run, initial_states, task_of

FORMAT = "mfgjax-run/1"


def save_run(path: str | os.PathLike, run: Run, note: Mapping[str, Any] | None = None) -> Path:
    """Save a run as a NumPy archive (npz), which is written completely or not at all.

    Args:
      path: the path of the file, which ends in ".npz" and is replaced if it exists; its folder must exist.
      run: what `learners.run` returned.
      note: other data to be recorded, in a form that JSON can hold; `saved_note` reads it.

    Returns:
      The path.

    Raises:
      ValueError: if `path` is not a path, or has another ending.
      OSError: if the file cannot be written.

    Example:
      >>> import mfgjax as mfg
      >>> game, response, learner = mfg.games.infection_spread(), mfg.Trembling(0.2), mfg.learners.GMBL(100)
      >>> run = mfg.learners.run(game, response, learner, num_steps=5, num_seeds=2)
      >>> mfg.learners.save_run("run.npz", run, note={"why": "a test"}).name
      'run.npz'
    """
    path, header = _checks.path_to_write("path", path, ".npz"), {"format": FORMAT, "mfgjax_version": __version__}
    header |= {"num_steps": run.num_steps, "seed": run.seed, "note": dict(note or {})}
    leaves: dict[str, Any] = {f"state_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(run.state))}
    with written_whole(path) as partial, partial.open("wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), laws=run.laws, policy=run.policy, **leaves)
    return path


def saved_note(path: str | os.PathLike) -> dict[str, Any]:
    """Return the note that was saved with a run.

    Args:
      path: the path of the file.

    Raises:
      ValueError: as `load_run`.

    Example:
      >>> import mfgjax as mfg
      >>> game, response, learner = mfg.games.infection_spread(), mfg.Trembling(0.2), mfg.learners.GMBL(100)
      >>> run = mfg.learners.run(game, response, learner, num_steps=5, num_seeds=2)
      >>> path = mfg.learners.save_run("run.npz", run, note={"why": "a test"})
      >>> mfg.learners.saved_note(path)
      {'why': 'a test'}
    """
    return _read(_checks.file_path("path", path), ())[0]["note"]


def load_run(
    path: str | os.PathLike, game: StationaryGame, response: AbstractTrembling, learner: AbstractLearner
) -> Run:
    """Load a run that `save_run` wrote; `learners.run(..., resume=run)` resumes it.

    Args:
      path: the path of the file.
      game: the game of the run.
      response: the response of the run.
      learner: the learner of the run.

    Returns:
      The `Run`, the state of its learner included.

    Raises:
      ValueError: if there is no such file; if the file is damaged, of another program or of another version of the
        format; or if the state of its learner has other shapes than that of `learner` in `game`.

    Example:
      >>> import mfgjax as mfg
      >>> game, response, learner = mfg.games.infection_spread(), mfg.Trembling(0.2), mfg.learners.GMBL(100)
      >>> run = mfg.learners.run(game, response, learner, num_steps=5, num_seeds=2)
      >>> path = mfg.learners.save_run("run.npz", run)
      >>> mfg.learners.load_run(path, game, response, learner).laws.shape
      (2, 6, 25)
    """
    path = _checks.file_path("path", path)
    header, arrays = _read(path, ("laws", "policy"))
    laws = arrays["laws"]
    task = task_of(game, response, learner, None)
    initial = jnp.asarray(game.initial)
    # shapes alone: the numbers are in the file
    expected = jax.eval_shape(lambda: initial_states(learner, task, header["seed"], len(laws), initial))
    leaves, structure = jax.tree.flatten(expected)
    state_leaves = [arrays.get(f"state_{i}") for i in range(len(leaves))]
    shapes = [None if leaf is None else (leaf.shape, str(leaf.dtype)) for leaf in state_leaves]
    expected_shapes = [(leaf.shape, str(leaf.dtype)) for leaf in leaves]
    if shapes != expected_shapes or f"state_{len(leaves)}" in arrays:  # or one leaf more than this learner has
        kind = type(learner).__name__
        raise ValueError(f"{path} holds a run of another learner, game or precision than this `{kind}`.")
    state = jax.tree.unflatten(structure, [jnp.asarray(leaf) for leaf in state_leaves])
    return Run(laws, arrays["policy"], state, header["num_steps"], header["seed"])


def _read(path: Path, needed: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    if not path.is_file():
        raise ValueError(f"`path` is {path}, but there is no such file.")
    try:
        # without pickle, as reading a file must not run code from it
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            arrays = {name: archive[name] for name in archive.files if needed}  # a note alone needs none
        format_found = header["format"]
        complete = {"num_steps", "seed", "note"} <= set(header)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no run of mfgjax, or it is damaged.") from error
    if format_found != FORMAT:
        raise ValueError(
            f"{path} has the format {_checks.shorten(format_found)}, but this version of mfgjax reads {FORMAT!r}."
        )
    if not complete:
        raise ValueError(f"{path} is damaged: its header lacks the steps, the seed or the note.")
    for name in needed:
        if name not in arrays:
            raise ValueError(f"{path} is damaged: the array `{name}` is missing.")
    return header, arrays
