"""The tables of a problem file: [parameters], what may change; [[objective]], what is to be small; [search], how."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import optax

from .. import _toml
from ..games import moves
from ..kernels import MovesKernel
from ..model import FiniteHorizonGame
from .objectives import AbstractObjective, Cost, Entropy, Inequality, Occupancy, ReferenceChange, TargetLaw
from .variables import Variable

KEYS = (
    *("format", "game", "parameters", "objective"),
    *("name", "description", "settings", "beta", "reference", "scenarios", "search"),
)
"""Of the whole file; the first four are required."""
KINDS = {
    "target-law": ("law", "time"),
    "occupancy": ("states", "outside"),
    "cost": (),
    "inequality": (),
    "entropy": ("time",),
    "reference-change": (),
}
_VARIABLE_KEYS = {"shared", "lower", "upper", "states", "start", "times"}
_BOUNDS: dict[str, Any] = dict.fromkeys(("start", "lower", "upper"), _toml.number)
_OPTIMIZERS = {"adam": optax.adam, "adabelief": optax.adabelief, "rmsprop": optax.rmsprop, "sgd": optax.sgd}
_AT_LEAST_0 = partial(_toml.number_above, low=0, included=True)
_SEARCH = {
    "optimizer": partial(_toml.one_of, words=("lbfgs", *_OPTIMIZERS)),
    "learning_rate": partial(_toml.number_above, low=0),
    "max_steps": partial(_toml.whole, most=10**6),
    "restarts": partial(_toml.whole, most=10**5),
    "spread": _AT_LEAST_0,
    "seed": partial(_toml.whole, most=2**32 - 1, least=0),
    "gtol": _AT_LEAST_0,
    "goal": _toml.number,
}


@dataclass(frozen=True)
class SearchSettings:
    """How a design is sought; names and meanings are those of `design.tune`."""

    optimizer: str = "lbfgs"
    learning_rate: float | None = None
    max_steps: int = 200
    restarts: int = 1
    spread: float = 1.0
    seed: int = 0
    gtol: float | None = None
    goal: float | None = None

    @property
    def method(self) -> optax.GradientTransformation | None:
        """The optimizer; None is L-BFGS."""
        # `search_of` refuses it for L-BFGS alone
        return None if self.learning_rate is None else _OPTIMIZERS[self.optimizer](self.learning_rate)

    @property
    def for_json(self) -> dict[str, Any]:
        """The settings, as JSON can hold them."""
        return asdict(self)


def search_of(value: Any) -> SearchSettings:
    """Read the table [search].

    Args:
      value: what stands at `search` in the file.

    Raises:
      ValueError: naming the key and the value.
    """
    search = SearchSettings(**_toml.fields("search", value, "a table", _SEARCH))
    if search.optimizer == "lbfgs" and search.learning_rate is not None:
        must = "'lbfgs' finds the length of its steps itself"
        raise _toml.wrong("search.learning_rate", value["learning_rate"], must)
    if search.optimizer != "lbfgs" and search.learning_rate is None:
        needs = f"{search.optimizer!r} needs it, a number > 0 such as 0.05."
        raise ValueError(f"`search.learning_rate` is missing, but {needs}")
    return search


@dataclass(frozen=True, eq=False)
class Term:
    """One term of the objective.

    Attributes:
      label: that tells it from the others.
      weight: its factor.
      objective: what is weighted.
      of_law: whether it is a number of the flow of the states alone, so that N agents have it too.
      for_json: what the file says.
    """

    label: str
    weight: float
    objective: AbstractObjective
    of_law: bool
    for_json: dict[str, Any]


def terms_of(value: Any, game: FiniteHorizonGame, reference: np.ndarray) -> tuple[Term, ...]:
    """Read the tables [[objective]], one term each.

    Args:
      value: what stands at `objective` in the file.
      game: before anything is tuned.
      reference: from which changes count.

    Raises:
      ValueError: naming the table, the key and the value.
    """
    readers = {
        "kind": _toml.text,
        "weight": _toml.number,
        "law": partial(_shares, game=game),
        "time": partial(_toml.whole, most=game.horizon, least=0),
        "states": partial(_names, game=game),
        "outside": _toml.boolean,
    }
    terms: list[Term] = []
    for i, entry in enumerate(_toml.entries("objective", value, "one or more tables [[objective]]")):
        place = f"objective[{i}]"
        table = "a table, written as [[objective]]"
        if "kind" not in _toml.table(place, entry, table):
            raise ValueError(f"`{place}.kind` is missing; it is one of {_toml.listed(KINDS)}.")
        kind = entry["kind"]
        if not isinstance(kind, str) or kind not in KINDS:
            close = _toml.suggestion(kind, KINDS) if isinstance(kind, str) else f"; there are {_toml.listed(KINDS)}"
            raise _toml.wrong(f"{place}.kind", kind, f"there is no such objective{close}")
        # each kind has keys of its own, and those of others are refused
        options = _toml.fields(place, entry, table, {key: readers[key] for key in ("kind", "weight", *KINDS[kind])})
        if options.get("weight") == 0:
            must = "it must not be 0; to leave this objective out, delete its table"
            raise _toml.wrong(f"{place}.weight", entry["weight"], must)
        label, objective, of_law = _objective(place, options, game, reference)
        same = sum(term.label.split(" #")[0] == label for term in terms)  # labels are keys in what is printed and saved
        label = f"{label} #{same + 1}" if same else label
        terms.append(Term(label, options.get("weight", 1.0), objective, of_law, dict(entry)))
    return tuple(terms)


def _objective(
    place: str, options: Mapping[str, Any], game: FiniteHorizonGame, reference: np.ndarray
) -> tuple[str, AbstractObjective, bool]:
    """Return a label for the term, its objective, and whether the flow of states alone determines it."""
    kind, time = options["kind"], options.get("time", game.horizon)
    if kind == "target-law":
        if "law" not in options:
            raise ValueError(f"`{place}.law` is missing, but a target is needed: a table of states with their shares.")
        return f"target law at t = {time}", TargetLaw(options["law"], time), True
    if kind == "entropy":
        return f"entropy at t = {time}", Entropy(time), True
    if kind == "occupancy":
        if "states" not in options:
            raise ValueError(f"`{place}.states` is missing, but states are needed: a list of their names.")
        states, outside = options["states"], options.get("outside", False)
        shown = ", ".join(states if len(states) <= 3 else [*states[:2], "..."])
        return f"time {'outside' if outside else 'in'} {shown}", Occupancy(states, outside=outside), True
    if kind == "cost":
        return "cost", Cost(), False
    if kind == "inequality":
        return "inequality", Inequality(), False
    return "reference change", ReferenceChange(reference), False


def _shares(place: str, value: Any, game: FiniteHorizonGame) -> dict[str, float]:
    law = _toml.by_name(place, value, game.state_labels, "state")
    for name, share in law.items():
        if not 0 <= share <= 1:
            raise _toml.wrong(f"{place}[{name!r}]", value[name], "a share must lie in [0, 1]")
    if not law or sum(law.values()) > 1 + 1e-8:
        raise _toml.wrong(place, value, "it must be shares of at most 1 in all, of one state at least")
    return law


def _names(place: str, value: Any, game: FiniteHorizonGame) -> list[str]:
    states = _toml.entries(place, value, "a list of names of states")
    for i, state in enumerate(states):
        _toml.text(f"{place}[{i}]", state)
        _toml.check_name(f"{place}[{i}]", state, state, game.state_labels, "state")
    return states


def parameters_of(
    value: Any, game: FiniteHorizonGame, start: np.ndarray, several: bool
) -> tuple[dict[str, Variable], dict[str, Any]]:
    """Read [parameters]: the variables, and what the file says of them; `several` scenarios set β themselves."""
    table = _toml.table("parameters", value, "a table of what may change, as in [parameters.reference]")
    if not table:
        raise _toml.wrong("parameters", value, "something must change: write [parameters.reference]")
    variables, for_json = {}, {}
    for name, entry in _flat(table).items():
        place = f"parameters.{name}"
        _toml.table(place, entry, "a table, which may be empty")
        if name == "reference":
            variables[name] = _law(place, entry, game, start if start.ndim == 3 else start[None])
        elif name == "initial":
            variables[name] = Variable(**_toml.fields(place, entry, "a table", {"lower": _toml.number}, KEYS))
        elif name == "beta":
            if several:
                raise _toml.wrong(place, entry, "`scenarios.beta` fixes the values of β, so β cannot be tuned")
            variables[name] = _numbers(place, entry, game, None)
        else:
            variables[name] = _numbers(place, entry, game, name)
        for_json[name] = dict(entry)
    return variables, for_json


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return variables by name: [parameters.reward.L.base] without quotes is a table of tables."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        # a table that is empty, or has a key of variables, is a variable
        nested = isinstance(value, dict) and value and not _VARIABLE_KEYS & set(value)
        if nested and all(isinstance(entry, dict) for entry in value.values()):
            found |= _flat(value, f"{name}.")
        else:
            found[name] = value
    return found


def _law(place: str, entry: Mapping[str, Any], game: FiniteHorizonGame, start: np.ndarray) -> Variable:
    """Return the reference as a variable: shared over time, or one for each time."""
    readers = {"shared": _toml.boolean, "lower": _toml.number, "states": partial(_chosen, game=game)}
    options = _toml.fields(place, entry, "a table", readers, KEYS)
    shared, lower, where = options.get("shared", True), options.get("lower"), options.get("states")
    if shared and len(start) > 1:
        raise _toml.wrong(f"{place}.shared", True, "what can be done in this game changes over time")
    rows = np.ones(game.num_states, bool) if where is None else where
    if lower is not None:
        mask = np.broadcast_to(np.asarray(game.available), start.shape)
        largest = 1 / int(mask.sum(axis=-1).max())  # n entries of at least `lower` each need n · lower < 1
        if not 0 <= lower < largest:
            moves_at_node = f"{1 / largest:.0f} moves at one node leave at most {largest:.4g} for each"
            raise _toml.wrong(
                f"{place}.lower", entry["lower"], f"it must be at least 0 and below {largest:.4g}: {moves_at_node}"
            )
        # a row with one action has nothing to move, whatever the bound
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


def _numbers(place: str, entry: Mapping[str, Any], game: FiniteHorizonGame, name: str | None) -> Variable:
    """Return numbers as a variable; for an array of the game with an axis of states, some of them may be chosen."""
    readers = {**_BOUNDS, "states": partial(_chosen, game=game), "times": partial(_times, game=game)}
    # single numbers have neither states nor times
    options = _toml.fields(place, entry, "a table", _BOUNDS if name in (None, "discount") else readers, KEYS)
    start, lower, upper = (options.get(key) for key in _BOUNDS)
    if lower is not None and upper is not None and not lower < upper:
        raise _toml.wrong(f"{place}.lower", entry["lower"], f"it must be below `{place}.upper` = {upper:g}")
    if start is not None:
        below, above = lower is not None and start < lower, upper is not None and start > upper
        if below or above:
            raise _toml.wrong(f"{place}.start", entry["start"], "it must lie between the bounds")
        # a start on one of two bounds is moved inside later
        if (lower is None or upper is None) and start in (lower, upper):
            must = "it must not lie on the bound: choose a start well inside"
            raise _toml.wrong(f"{place}.start", entry["start"], must)
    where = None
    if name is not None and options.keys() & {"states", "times"}:
        array = _leaf(place, game, name)
        where = _where(place, entry, options, game, array.shape)
        if start is not None:  # elsewhere the array stays as it is
            start = np.where(where, start, array)
    return Variable(start, lower=lower, upper=upper, where=where)


def _where(
    place: str, entry: Mapping[str, Any], options: Mapping[str, Any], game: FiniteHorizonGame, shape: tuple[int, ...]
) -> np.ndarray:
    """Return which entries of an array over times and states may change."""
    if len(shape) < 3 or shape[1] != game.num_states or shape[0] not in (1, game.horizon + 1):
        key = "states" if "states" in options else "times"
        raise _toml.wrong(f"{place}.{key}", entry[key], f"this array, of shape {shape}, has no times and states")
    if "times" in options and shape[0] == 1:
        raise _toml.wrong(f"{place}.times", entry["times"], "this array is the same at all times")
    states, times = options.get("states", np.array([True])), options.get("times", np.array([True]))
    inner = [1] * (len(shape) - 2)
    return np.broadcast_to(times.reshape(-1, 1, *inner) & states.reshape(1, -1, *inner), shape)


def _times(place: str, value: Any, game: FiniteHorizonGame) -> np.ndarray:
    times = _toml.entries(place, value, "a list of times")
    chosen = [_toml.whole(f"{place}[{i}]", t, game.horizon, 0) for i, t in enumerate(times)]
    return np.isin(np.arange(game.horizon + 1), chosen)


def _chosen(place: str, value: Any, game: FiniteHorizonGame) -> np.ndarray:
    return np.isin(game.state_labels, _names(place, value, game))


def _leaf(place: str, game: FiniteHorizonGame, name: str) -> np.ndarray:
    array: Any = game
    for field in name.removeprefix("game.").split("."):
        array = getattr(array, field, None)
    if not hasattr(array, "shape"):
        raise ValueError(f"`{place}`: there is no array {name!r} in the game.")
    return np.asarray(array)
