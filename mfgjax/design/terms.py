"""The terms of an objective, from the tables [[objective]] of a problem file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _toml
from ..model import FiniteHorizonGame
from .objectives import AbstractObjective, Cost, Entropy, Inequality, Occupancy, ReferenceChange, TargetLaw

KINDS = {
    "target-law": ("law", "time"),
    "occupancy": ("states", "outside"),
    "cost": (),
    "inequality": (),
    "entropy": ("time",),
    "reference-change": (),
}


@dataclass(frozen=True, eq=False)
class Term:
    """One term of the objective.

    Attributes:
      label: that tells it from the others.
      weight: its factor.
      objective: what is weighted.
      of_law: whether it is a number of the flow of the states alone, so that N agents have it too.
      told: what the file says, for JSON.
    """

    label: str
    weight: float
    objective: AbstractObjective
    of_law: bool
    told: dict[str, Any]


def terms_of(value: Any, game: FiniteHorizonGame, reference: np.ndarray) -> tuple[Term, ...]:
    """Return the terms of an objective.

    Args:
      value: what stands at `objective` in the file.
      game: before anything is tuned.
      reference: from which changes count.

    Raises:
      ValueError: naming the table, the key and the value.
    """
    terms: list[Term] = []
    for i, given in enumerate(_toml.entries("objective", value, "one or more tables [[objective]]")):
        place = f"objective[{i}]"
        _toml.table(place, given, "a table, written as [[objective]]")
        if "kind" not in given:
            raise ValueError(f"`{place}.kind` is missing; it is one of {_toml.listed(KINDS)}.")
        kind = given["kind"]
        if not isinstance(kind, str) or kind not in KINDS:
            close = _toml.suggestion(kind, KINDS) if isinstance(kind, str) else f"; there are {_toml.listed(KINDS)}"
            raise _toml.wrong(f"{place}.kind", kind, f"there is no such objective{close}")
        _toml.check_keys(f"{place}.", given, ("kind", "weight", *KINDS[kind]))
        weight = _toml.number(f"{place}.weight", given.get("weight", 1.0))
        if weight == 0:
            raise _toml.wrong(f"{place}.weight", given["weight"], "it must not be 0: leave the table out for that")
        label, objective, of_law = _objective(place, kind, given, game, reference)
        same = sum(term.label.split(" #")[0] == label for term in terms)
        terms.append(Term(f"{label} #{same + 1}" if same else label, weight, objective, of_law, dict(given)))
    return tuple(terms)


def _objective(
    place: str, kind: str, given: Mapping[str, Any], game: FiniteHorizonGame, reference: np.ndarray
) -> tuple[str, AbstractObjective, bool]:
    """Return what tells the term from others, the objective, and whether it is one of the flow alone."""
    if kind == "target-law":
        if "law" not in given:
            raise ValueError(f"`{place}.law` is missing, but a target is needed: a table of states with their shares.")
        law = _toml.by_name(f"{place}.law", given["law"], game.state_labels, "state")
        for name, share in law.items():
            if not 0 <= share <= 1:
                raise _toml.wrong(f"{place}.law[{name!r}]", given["law"][name], "a share must lie in [0, 1]")
        if not law or sum(law.values()) > 1 + 1e-8:
            raise _toml.wrong(
                f"{place}.law", given["law"], "it must be shares of at most 1 in all, of one state at least"
            )
        time = _time(place, given, game)
        return f"target law at t = {time}", TargetLaw(law, time), True
    if kind == "entropy":
        time = _time(place, given, game)
        return f"entropy at t = {time}", Entropy(time), True
    if kind == "occupancy":
        if "states" not in given:
            raise ValueError(f"`{place}.states` is missing, but states are needed: a list of their names.")
        states = _toml.entries(f"{place}.states", given["states"], "a list of names of states")
        for i, state in enumerate(states):
            _toml.text(f"{place}.states[{i}]", state)
            _toml.check_name(f"{place}.states[{i}]", state, state, game.state_labels, "state")
        outside = _toml.boolean(f"{place}.outside", given.get("outside", False))
        shown = ", ".join(states if len(states) <= 3 else [*states[:2], "..."])
        return f"time {'outside' if outside else 'in'} {shown}", Occupancy(states, outside=outside), True
    if kind == "cost":
        return "cost", Cost(), False
    if kind == "inequality":
        return "inequality", Inequality(), False
    return "reference change", ReferenceChange(reference), False


def _time(place: str, given: Mapping[str, Any], game: FiniteHorizonGame) -> int:
    return _toml.whole(f"{place}.time", given.get("time", game.horizon), game.horizon, 0)
