"""Design problems in TOML files; `docs/problem-file.md` describes the format."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _checks, _toml
from .._display import Facts, Listing, Page, Part, shows_itself
from .._identity import arrays_of, checksum
from .._names import by_word, did_you_mean, is_ready_made
from .._shown_laws import listed
from ..games import GameFile, edges_of_policy, load_game, ready_made
from ..games.file import reference_of_table, with_horizon
from ..kernels import MovesKernel
from ..model import FiniteHorizonGame
from ..responses import EntropyRegularized
from .problem_tables import KEYS, SearchSettings, Term, parameters_of, search_of, terms_of
from .space import DesignSpace, design_space
from .variables import Variable

if TYPE_CHECKING:
    from .tune import Tuned

FORMAT = "mfgjax-tune/1"
_MOST_SCENARIOS = 10_000


@shows_itself
@dataclass(frozen=True, eq=False)  # arrays have no single truth value when they are compared
class DesignProblem:
    """A design problem that was read from a file.

    Attributes:
      name: the name of the problem; the stem of the file's name if the file gives none.
      loaded: the game, with what else its own file contains.
      response: how agents act before anything is tuned; in the first scenario, if there are several.
      parameters: what may change.
      terms: the objectives, whose sum is minimised.
      betas: β in each scenario; β of the response if there is one scenario.
      over: "mean" or "worst": how the scenarios are combined.
      smoothing: smoothing of the worst, as in `tune`.
      search: the options of the search.
      resolved: all settings of the problem, as data for JSON.
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

    def _page(self) -> Page:
        tuned, terms = ", ".join(self.parameters), len(self.terms)
        scenarios = f", {len(self.betas)} scenarios" if len(self.betas) > 1 else ""
        summary = f"{self.name}: tunes {tuned}; {terms} objective{'s' * (terms > 1)}{scenarios}"
        return Page(type(self).__name__, summary, details=self._details)

    def _details(self) -> Iterator[Part]:
        rows = [("game", repr(self.game)), ("response", repr(self.response))]
        rows += [(f"tunes {name}", repr(variable)) for name, variable in self.parameters.items()]
        if len(self.betas) > 1:
            rows.append(("scenarios", f"{self.over} over β = {listed([f'{beta:g}' for beta in self.betas])}"))
        yield Facts(rows)
        yield Listing(("objective", ">weight"), [(term.label, f"{term.weight:g}") for term in self.terms])

    def tune(self, *, out: str | os.PathLike[str] | None = None, resume: bool = False) -> Tuned:
        """Search for the design that solves the problem.

        Args:
          out: JSON file to which the best design is written every ten seconds, and at the end; None: nothing is.
          resume: start from the best design that an earlier search has left in `out`, if there is one.

        Returns:
          The design, as `design.tune` returns it.

        Raises:
          ValueError: if what is in `out` is of another problem, naming what differs.
        """
        from .resume import SavedSearch, read_saved, tune_from  # it imports this file

        saved = SavedSearch(None if out is None else Path(out), self)
        return tune_from(read_saved(saved) if resume else saved)

    @property
    def game(self) -> FiniteHorizonGame:
        """The game before anything is tuned."""
        return self.loaded.game

    @property
    def scenarios(self) -> dict[str, np.ndarray] | None:
        """The values that differ between scenarios."""
        return {"beta": np.array(self.betas)} if len(self.betas) > 1 else None

    @cached_property
    def plan(self) -> DesignSpace:
        """What may change, in coordinates."""
        return design_space(self.game, self.parameters, self.response, None, self.scenarios)


def load_problem(path: str | os.PathLike[str]) -> DesignProblem:
    """Read a design problem from a TOML file, whose format `docs/problem-file.md` describes.

    Args:
      path: the path of the file; the path of a game in the file is relative to it.

    Returns:
      A `DesignProblem`; its method `tune` searches for the design.

    Raises:
      ValueError: in one sentence that begins with the path and names the key, the place and the value.

    Example:
      >>> import mfgjax as mfg
      >>> problem = mfg.design.load_problem("examples/half_and_half.toml")
      >>> problem.name, problem.game.horizon
      ('half and half', 5)
    """
    with _toml.of_file(path):
        return _problem(_toml.document(Path(path)), Path(path))


def _problem(document: dict[str, Any], path: Path) -> DesignProblem:
    here = " here; `mfgjax solve` reads games"
    name, description = _toml.head(document, FORMAT, KEYS, KEYS[:4], kind="problem", stem=path.stem, here=here)
    loaded = _game(document, path)
    game = loaded.game
    betas, over, smoothing = _temperatures(document)
    start = _reference(document, loaded)
    response = EntropyRegularized(betas[0], start)
    parameters, for_json = parameters_of(document["parameters"], game, start, len(betas) > 1)
    terms = terms_of(document["objective"], game, start)
    search = search_of(document.get("search", {}))
    resolved = {
        "format": FORMAT,
        "name": name,
        "description": description,
        "game": {"name": loaded.name, "given": document["game"], "settings": document.get("settings", {})}
        | {"dtype": str(game.dtype), "sha256": checksum(arrays_of(game))},
        "beta": list(betas),
        "reference": table_of_policy(game, start),
        "parameters": for_json,
        "objective": [term.for_json for term in terms],
        "scenarios": {"beta": list(betas), "over": over, "smoothing": smoothing} if len(betas) > 1 else None,
        "search": search.for_json,
    }
    problem = DesignProblem(name, loaded, response, parameters, terms, betas, over, smoothing, search, resolved)
    problem.plan  # noqa: B018 - says what is wrong with the variables
    return problem


def _game(document: Mapping[str, Any], path: Path) -> GameFile:
    named_game = _toml.text("game", document["game"])
    settings = _toml.table("settings", document.get("settings", {}), "a table of parameters of a ready-made game")
    if is_ready_made(named_game):
        words = []
        for key, value in settings.items():
            if isinstance(value, dict | list):
                raise _toml.wrong(f"settings.{key}", value, "it must be a number, a word, true or false")
            # as `--set` takes them, so that both are read by one parser
            words.append(f"{key}={str(value).lower() if isinstance(value, bool) else value}")
        found = ready_made.settings_of(named_game, words, "settings:")
        loaded = ready_made.build(named_game, {key: setting.value() for key, setting in found.items()})
    else:
        file = path.parent / named_game
        if not named_game.endswith((".toml", ".nc")) and not file.exists():
            names = by_word("games")
            which = did_you_mean(named_game, names, f", and the ready-made games are {', '.join(names)}")
            raise _toml.wrong("game", named_game, f"there is no such file{which}")
        if settings and file.exists():
            raise _toml.wrong(
                "settings", settings, f"it is for ready-made games; {named_game!r} is a file: change it there"
            )
        loaded = _read(os.fspath(file))
    _checks.policy_can_be_solved(loaded.name, loaded.game)
    return with_horizon(loaded, "tune")


def _read(path: str) -> GameFile:
    if path.endswith(".toml"):
        return load_game(path)
    from .. import io  # slow to import, and often not needed

    return io.load_game(path)


def _temperatures(document: Mapping[str, Any]) -> tuple[tuple[float, ...], str, float | None]:
    """Return β of every scenario, whether their mean or the worst counts, and the smoothing of the worst."""
    if "scenarios" not in document:
        if "beta" not in document:
            raise ValueError("`beta` is missing, but every problem file needs it, or `scenarios.beta`.")
        return (_toml.number_above("beta", document["beta"], 0),), "mean", None
    scenarios = document["scenarios"]
    table = _toml.fields("scenarios", scenarios, "a table with `beta`", _SCENARIOS, KEYS)
    if "beta" not in table:
        raise ValueError("`scenarios.beta` is missing: a list of the β for which the design must be good.")
    if "beta" in document:
        raise _toml.wrong("beta", document["beta"], "`scenarios.beta` gives several: leave one of them out")
    over, smoothing = table.get("over", "mean"), table.get("smoothing")
    if over == "mean" and smoothing is not None:
        must = '`scenarios.over` is "mean", which needs no smoothing'
        raise _toml.wrong("scenarios.smoothing", scenarios["smoothing"], must)
    return table["beta"], over, smoothing


def _betas(place: str, value: Any) -> tuple[float, ...]:
    listed = _toml.entries(place, value, "a list of numbers")
    betas = tuple(_toml.number_above(f"{place}[{i}]", beta, 0) for i, beta in enumerate(listed))
    if len(set(betas)) != len(betas) or not 2 <= len(betas) <= _MOST_SCENARIOS:
        raise _toml.wrong(place, listed, "it must be at least two different numbers")
    return betas


_SCENARIOS = {
    "beta": _betas,
    "over": partial(_toml.one_of, words=("mean", "worst")),
    "smoothing": partial(_toml.number_above, low=0),
}


def _reference(document: Mapping[str, Any], loaded: GameFile) -> np.ndarray:
    """Return the reference policy before anything is tuned."""
    game, wanted = loaded.game, document.get("reference")
    if isinstance(wanted, dict):
        if not isinstance(game.kernel, MovesKernel):
            raise _toml.wrong("reference", wanted, f"{loaded.name} is no game on a graph; it can be 'uniform'")
        return np.asarray(reference_of_table(wanted, game, KEYS))
    if wanted not in (None, "file", "uniform"):
        raise _toml.wrong("reference", wanted, "it must be 'file', 'uniform' or a table of nodes")
    if wanted == "file" and loaded.reference is None:
        raise _toml.wrong("reference", wanted, f"{loaded.name} has no reference of its own")
    if wanted != "uniform" and loaded.reference is not None:
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
