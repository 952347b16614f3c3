"""What is to be tuned, from a TOML file; `docs/problem-file.md` describes the format."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from .. import _checks, _toml
from .._names import by_word, did_you_mean, is_ready_made
from ..games import GameFile, edges_of_policy, load_game, moves, ready_made
from ..games.file import reference_of_table
from ..kernels import MovesKernel
from ..model import FiniteHorizonGame
from ..responses import EntropyRegularized
from .search_settings import SearchSettings, search_of
from .space import DesignSpace
from .spaces import design_space
from .terms import Term, terms_of
from .variables import Variable

if TYPE_CHECKING:
    from .tune import Tuned

FORMAT = "mfgjax-tune/1"
_REQUIRED = ("format", "game", "parameters", "objective")
KEYS = (*_REQUIRED, "name", "description", "settings", "beta", "reference", "scenarios", "search")
_SCENARIO_KEYS = ("beta", "over", "smoothing")
_LAW_KEYS = ("shared", "lower", "states")
_NUMBER_KEYS = ("start", "lower", "upper")
_TABLE_KEYS = (*_NUMBER_KEYS, "states", "times")
_VARIABLE_KEYS = frozenset((*_LAW_KEYS, *_TABLE_KEYS))
_MOST_SCENARIOS = 10_000


@dataclass(frozen=True, eq=False)
class DesignProblem:
    """A problem as a file describes it.

    Attributes:
      name: of the problem; the stem of the file's name where the file gives none.
      loaded: the game, with what its own file says besides.
      response: how agents act before anything is tuned; in the first scenario, if there are several.
      parameters: what may change.
      terms: what is to be small: their sum.
      betas: of the scenarios; of the response if there is one scenario.
      over: "mean" or "worst" of the scenarios.
      smoothing: of the worst.
      search: how.
      resolved: everything, for JSON.
    """

    name: str
    loaded: GameFile
    response: EntropyRegularized
    parameters: dict[str, Variable]
    terms: tuple[Term, ...]
    betas: tuple[float, ...]
    over: str
    smoothing: float | None
    search: SearchSettings
    resolved: dict[str, Any]

    def tune(self, *, out: str | os.PathLike[str] | None = None, resume: bool = False) -> Tuned:
        """Search for the design that the problem asks for.

        Args:
          out: JSON file to which the best design is written every ten seconds, and at the end; None: nothing is.
          resume: start from the best design that an earlier search has left in `out`, if there is one.

        Returns:
          The design, as `design.tune` returns it.

        Raises:
          ValueError: if what is in `out` is of another problem, naming what differs.
        """
        from .resume import SavedSearch, read_saved, tune_from

        saved = SavedSearch(None if out is None else Path(out), self)
        return tune_from(read_saved(saved) if resume else saved)

    @property
    def game(self) -> FiniteHorizonGame:
        """The game before anything is tuned."""
        return self.loaded.game

    @property
    def scenarios(self) -> dict[str, np.ndarray] | None:
        """What differs between scenarios."""
        return {"beta": np.array(self.betas)} if len(self.betas) > 1 else None

    @cached_property
    def plan(self) -> DesignSpace:
        """What may change, in coordinates."""
        return design_space(self.game, self.parameters, self.response, None, self.scenarios)


def load_problem(path: str | os.PathLike[str]) -> DesignProblem:
    """Read what is to be tuned from a TOML file, whose format `docs/problem-file.md` describes.

    Args:
      path: of the file; a game that it names by a path lies relative to it.

    Returns:
      The problem, whose `tune` searches for the design.

    Raises:
      ValueError: in one sentence that begins with the path and names the key, the place and the value.
    """
    try:
        return _problem(_toml.document(Path(path)), Path(path))
    except ValueError as error:
        path = os.fspath(path)
        raise ValueError(f"`{path if path.isprintable() else ascii(path)[1:-1]}`: {error}") from error


def _problem(document: dict[str, Any], path: Path) -> DesignProblem:
    here = " here; `mfgjax solve` reads games"
    name, description = _toml.head(document, FORMAT, KEYS, _REQUIRED, kind="problem", stem=path.stem, here=here)
    loaded = _game(document, path)
    game = loaded.game
    betas, over, smoothing = _temperatures(document)
    start = _reference(document, loaded)
    response = EntropyRegularized(betas[0], start)
    parameters, told = _parameters(document["parameters"], game, start, len(betas) > 1)
    terms = terms_of(document["objective"], game, start)
    search = search_of(document.get("search", {}))
    resolved = {
        "format": FORMAT,
        "name": name,
        "description": description,
        "game": {"name": loaded.name, "given": document["game"], "settings": document.get("settings", {})}
        | {"dtype": str(game.dtype), "sha256": _digest(game)},
        "beta": list(betas),
        "reference": table_of_policy(game, start),
        "parameters": told,
        "objective": [term.told for term in terms],
        "scenarios": {"beta": list(betas), "over": over, "smoothing": smoothing} if len(betas) > 1 else None,
        "search": search.told,
    }
    problem = DesignProblem(name, loaded, response, parameters, terms, betas, over, smoothing, search, resolved)
    problem.plan  # noqa: B018 - says what is wrong with the variables
    return problem


def _game(document: Mapping[str, Any], path: Path) -> GameFile:
    given = _toml.text("game", document["game"])
    settings = _toml.table("settings", document.get("settings", {}), "a table of parameters of a ready-made game")
    if is_ready_made(given):
        words = []
        for key, value in settings.items():
            if isinstance(value, dict | list):
                raise _toml.wrong(f"settings.{key}", value, "it must be a number, a word, true or false")
            words.append(f"{key}={str(value).lower() if isinstance(value, bool) else value}")
        found = ready_made.settings_of(given, words, "settings:")
        loaded = ready_made.build(given, {key: setting.value() for key, setting in found.items()})
    else:
        file = path.parent / given
        if not given.endswith((".toml", ".nc")) and not file.exists():
            names = by_word("games")
            which = did_you_mean(given, names, f", and the ready-made games are {', '.join(names)}")
            raise _toml.wrong("game", given, f"there is no such file{which}")
        if settings and file.exists():
            raise _toml.wrong("settings", settings, f"it is for ready-made games; {given!r} is a file: change it there")
        loaded = _read(os.fspath(file))
    _checks.policy_can_be_solved(loaded.name, loaded.game)
    if loaded.game.is_stationary:
        raise ValueError(f"`tune` is for games with a finite horizon, but {loaded.name} is stationary.")
    return loaded


def _read(path: str) -> GameFile:
    if path.endswith(".toml"):
        return load_game(path)
    from .. import io  # slow to import, and often not needed

    return io.load_game(path)


def _temperatures(document: Mapping[str, Any]) -> tuple[tuple[float, ...], str, float | None]:
    """Return β of every scenario, of one if there are no others, and what counts over them."""
    if "scenarios" not in document:
        if "beta" not in document:
            raise ValueError("`beta` is missing, but every problem file needs it, or `scenarios.beta`.")
        return (_toml.number_above("beta", document["beta"], 0),), "mean", None
    table = _toml.table("scenarios", document["scenarios"], "a table with `beta`")
    _toml.check_keys("scenarios.", table, _SCENARIO_KEYS, KEYS)
    if "beta" not in table:
        raise ValueError("`scenarios.beta` is missing: a list of the β for which the design must be good.")
    if "beta" in document:
        raise _toml.wrong("beta", document["beta"], "`scenarios.beta` gives several: leave one of them out")
    given = _toml.entries("scenarios.beta", table["beta"], "a list of numbers")
    betas = tuple(_toml.number_above(f"scenarios.beta[{i}]", beta, 0) for i, beta in enumerate(given))
    if len(set(betas)) != len(betas) or not 2 <= len(betas) <= _MOST_SCENARIOS:
        raise _toml.wrong("scenarios.beta", given, "it must be at least two different numbers")
    over = _toml.one_of("scenarios.over", table.get("over", "mean"), ("mean", "worst"))
    if "smoothing" not in table:
        return betas, over, None
    if over == "mean":
        must = '`scenarios.over` is "mean", which needs no smoothing'
        raise _toml.wrong("scenarios.smoothing", table["smoothing"], must)
    return betas, over, _toml.number_above("scenarios.smoothing", table["smoothing"], 0)


def _reference(document: Mapping[str, Any], loaded: GameFile) -> np.ndarray:
    """Return the policy that agents are drawn to before anything is tuned."""
    game, given = loaded.game, document.get("reference")
    if isinstance(given, dict):
        if not isinstance(game.kernel, MovesKernel):
            raise _toml.wrong("reference", given, f"{loaded.name} is no game on a graph; it can be 'uniform'")
        return np.asarray(reference_of_table(given, game, KEYS))
    if given not in (None, "file", "uniform"):
        raise _toml.wrong("reference", given, "it must be 'file', 'uniform' or a table of nodes")
    if given == "file" and loaded.reference is None:
        raise _toml.wrong("reference", given, f"{loaded.name} has no reference of its own")
    if given != "uniform" and loaded.reference is not None:
        return np.asarray(loaded.reference)
    available = np.asarray(game.available)
    available = available[0] if len(available) == 1 else available
    return available / np.maximum(available.sum(axis=-1, keepdims=True), 1)


def table_of_policy(game: FiniteHorizonGame, policy: Any) -> Any:
    """Return a policy for JSON: by node and move on a graph, else rows; with several times a list of these."""
    table = np.asarray(policy, float)
    if table.ndim == 3:
        several = [table_of_policy(game, one) for one in table]
        return several[0] if len(several) == 1 else several
    return edges_of_policy(game, table) if isinstance(game.kernel, MovesKernel) else table.tolist()


def _digest(game: FiniteHorizonGame) -> str:
    """Return what tells games apart: one number for all their arrays."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(game):
        array = np.asarray(leaf)
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


# --- what may change -------------------------------------------------------------------------------------------------


def _parameters(
    value: Any, game: FiniteHorizonGame, start: np.ndarray, several: bool
) -> tuple[dict[str, Variable], dict[str, Any]]:
    """Return the variables, and what they are for JSON."""
    table = _toml.table("parameters", value, "a table of what may change, as in [parameters.reference]")
    if not table:
        raise _toml.wrong("parameters", value, "something must change: write [parameters.reference]")
    variables, told = {}, {}
    for name, given in _flat(table).items():
        place = f"parameters.{name}"
        _toml.table(place, given, "a table, which may be empty")
        if name == "reference":
            variables[name] = _law(place, given, game, start if start.ndim == 3 else start[None])
        elif name == "initial":
            _toml.check_keys(f"{place}.", given, ("lower",), KEYS)
            variables[name] = Variable(lower=_optional(place, given, "lower"))
        elif name == "beta":
            if several:
                raise _toml.wrong(place, given, "`scenarios.beta` gives it: it cannot change")
            variables[name] = _numbers(place, given, game, None)
        else:
            variables[name] = _numbers(place, given, game, name)
        told[name] = dict(given)
    return variables, told


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return variables by name: [parameters.reward.L.base] without quotes is a table of tables."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        nested = isinstance(value, dict) and value and not _VARIABLE_KEYS & set(value)
        if nested and all(isinstance(entry, dict) for entry in value.values()):
            found |= _flat(value, f"{name}.")
        else:
            found[name] = value
    return found


def _law(place: str, given: Mapping[str, Any], game: FiniteHorizonGame, start: np.ndarray) -> Variable:
    """Return the reference as a variable: shared over time, or one for each time."""
    _toml.check_keys(f"{place}.", given, _LAW_KEYS, KEYS)
    shared = _toml.boolean(f"{place}.shared", given.get("shared", True))
    if shared and len(start) > 1:
        raise _toml.wrong(f"{place}.shared", True, "what can be done in this game changes over time")
    where = _states(place, given, game)
    rows = np.ones(game.num_states, bool) if where is None else where
    lower = _optional(place, given, "lower")
    if lower is not None:
        mask = np.broadcast_to(np.asarray(game.available), start.shape)
        largest = 1 / int(mask.sum(axis=-1).max())
        if not 0 <= lower < largest:
            most = f"{1 / largest:.0f} moves at one node leave at most {largest:.4g} for each"
            raise _toml.wrong(
                f"{place}.lower", given["lower"], f"it must be at least 0 and below {largest:.4g}: {most}"
            )
        low = mask & (start <= lower) & (mask.sum(axis=-1, keepdims=True) > 1) & rows[:, None]
        if low.any():
            t, s, a = np.argwhere(low)[0]
            move = moves(game)[s][mask[t, s, :a].sum()] if isinstance(game.kernel, MovesKernel) else ""
            move = f"[{move!r}]" if move else f"[{game.action_labels[a]!r}]"
            at = f"reference[{game.state_labels[s]!r}]{move}"
            raise _toml.wrong(at, float(start[t, s, a]), f"it must be above `{place}.lower` = {lower:g}")
    if not shared and len(start) == 1:
        start = np.broadcast_to(start, (game.horizon + 1, *start.shape[1:]))
    return Variable(start, lower=lower, where=None if where is None else where[None])


def _numbers(place: str, given: Mapping[str, Any], game: FiniteHorizonGame, name: str | None) -> Variable:
    """Return numbers as a variable; for an array of the game with an axis of states, some of them may be chosen."""
    keys = _NUMBER_KEYS if name is None or name == "discount" else _TABLE_KEYS
    _toml.check_keys(f"{place}.", given, keys, KEYS)
    start, lower, upper = (_optional(place, given, key) for key in _NUMBER_KEYS)
    if lower is not None and upper is not None and not lower < upper:
        raise _toml.wrong(f"{place}.lower", given["lower"], f"it must be below `{place}.upper` = {upper:g}")
    if start is not None and not ((-np.inf if lower is None else lower) < start < (np.inf if upper is None else upper)):
        raise _toml.wrong(f"{place}.start", given["start"], "it must lie strictly between the bounds")
    where = None
    if name is not None and ("states" in given or "times" in given):
        where = _where(place, given, game, name)
        if start is not None:  # elsewhere the array stays as it is
            start = np.where(where, start, _leaf(place, game, name))
    return Variable(start, lower=lower, upper=upper, where=where)


def _where(place: str, given: Mapping[str, Any], game: FiniteHorizonGame, name: str) -> np.ndarray:
    """Return which entries of an array over times and states may change."""
    shape, horizon = np.shape(_leaf(place, game, name)), game.horizon
    if len(shape) < 3 or shape[1] != game.num_states or shape[0] not in (1, horizon + 1):
        key = "states" if "states" in given else "times"
        raise _toml.wrong(f"{place}.{key}", given[key], f"this array, of shape {shape}, has no times and states")
    states, where = _states(place, given, game), np.ones(shape, bool)
    if states is not None:
        where &= states.reshape(1, -1, *([1] * (len(shape) - 2)))
    if "times" in given:
        if shape[0] == 1:
            raise _toml.wrong(f"{place}.times", given["times"], "this array is the same at all times")
        chosen = np.zeros(horizon + 1, bool)
        for i, t in enumerate(_toml.entries(f"{place}.times", given["times"], "a list of times")):
            chosen[_toml.whole(f"{place}.times[{i}]", t, horizon, 0)] = True
        where &= chosen.reshape(-1, *([1] * (len(shape) - 1)))
    return where


def _leaf(place: str, game: FiniteHorizonGame, name: str) -> np.ndarray:
    array: Any = game
    for part in name.removeprefix("game.").split("."):
        array = getattr(array, part, None)
    if not hasattr(array, "shape"):
        raise ValueError(f"`{place}`: there is no array {name!r} in the game.")
    return np.asarray(array)


def _states(place: str, given: Mapping[str, Any], game: FiniteHorizonGame) -> np.ndarray | None:
    if "states" not in given:
        return None
    chosen = np.zeros(game.num_states, bool)
    for i, state in enumerate(_toml.entries(f"{place}.states", given["states"], "a list of names of states")):
        _toml.text(f"{place}.states[{i}]", state)
        _toml.check_name(f"{place}.states[{i}]", state, state, game.state_labels, "state")
        chosen[game.state_labels.index(state)] = True
    return chosen


def _optional(place: str, given: Mapping[str, Any], key: str) -> float | None:
    return None if key not in given else _toml.number(f"{place}.{key}", given[key])
