"""The games of a sweep: one, or what a builder makes of every combination of its parameters."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from .. import _checks, _functions
from .._families import differing, kind_of
from ..model import AbstractGame, trace_game
from .grid import Points, SweptAxis


class Family(NamedTuple):
    """Games of one shape, which differ in floating arrays only.

    Attributes:
      games: in the order of the combinations.
      differing: for the leaves that differ, by their number, the values with a last axis of games.
    """

    games: list[AbstractGame]
    differing: dict[int, np.ndarray]


class Games(NamedTuple):
    """All games of a sweep.

    Attributes:
      families: games of one shape each; horizon and graph differ between them.
      family_of: of every combination of the builder's parameters.
      place_of: of every combination, among the games of its family.
      combination: from the indices of a tile's points along the axes to combinations.
    """

    families: list[Family]
    family_of: np.ndarray
    place_of: np.ndarray
    combination: Callable[[list[np.ndarray]], np.ndarray]


def build_games(game: AbstractGame | Callable, points: Points) -> Games:
    """Return the games that the points of a sweep need, each built once."""
    building = [i for i, axis in enumerate(points.axes) if axis.builds]
    axes = [points.axes[i] for i in building]
    if isinstance(game, AbstractGame):
        return Games(
            [_family([trace_game(game, in_lanes=True)])],
            np.zeros(1, int),
            np.zeros(1, int),
            lambda places: np.zeros_like(places[0]),
        )
    lengths = [len(axis.values) for axis in axes]
    if points.zipped and axes:
        rows: dict[str, int] = {}
        of_point = np.array(  # side by side, a combination may come again: it is built once
            [rows.setdefault(repr([axis.values[i] for axis in axes]), len(rows)) for i in range(lengths[0])]
        )
        firsts = [int(np.argmax(of_point == k)) for k in range(len(rows))]
        chosen = [(i,) * len(axes) for i in firsts]
    else:
        of_point = np.arange(1)
        chosen = list(np.ndindex(*lengths))
    built = [_build(game, axes, indices) for indices in chosen]
    if len({type(game_built) for game_built in built}) > 1:
        raise ValueError("`game` returns games with a finite horizon and stationary ones: sweep them separately.")
    keys: dict[Any, int] = {}
    # games of one kind share a compiled program; any other shape, label or program needs its own
    family_of = np.array([keys.setdefault(kind_of(game_built), len(keys)) for game_built in built])
    place_of = np.array([int((family_of[:k] == family_of[k]).sum()) for k in range(len(built))])
    families = [
        _family([game_built for game_built, f in zip(built, family_of, strict=True) if f == k])
        for k in range(len(keys))
    ]

    def combination(places: list[np.ndarray]) -> np.ndarray:
        if not axes:
            return np.zeros_like(places[0])
        if points.zipped:
            return of_point[places[0]]
        return np.ravel_multi_index([places[i] for i in building], lengths)

    return Games(families, family_of, place_of, combination)


def _build(builder: Callable, axes: Sequence[SweptAxis], indices: Sequence[int]) -> AbstractGame:
    chosen = {axis.name: axis.values[i] for axis, i in zip(axes, indices, strict=True)}
    signature = _functions.signature_of(builder)
    for name, parameter in signature.parameters.items() if signature else ():
        is_needed = parameter.default is parameter.empty and parameter.kind != parameter.VAR_POSITIONAL
        if is_needed and parameter.kind != parameter.VAR_KEYWORD and name not in chosen:
            raise ValueError(
                f"`game` is a function that needs `{name}`: sweep it, `{name}=[...]`, or give it a default."
            )
    # of NumPy's numbers builders get Python's: whole numbers and words are static to them
    arguments = {name: value.item() if isinstance(value, np.generic) else value for name, value in chosen.items()}
    built = builder(**{k: float(v) if isinstance(v, jax.Array) and v.ndim == 0 else v for k, v in arguments.items()})
    if not isinstance(built, AbstractGame):
        raise ValueError(f"`game` must be a game or a function that returns one; got {_checks.shorten(built)}.")
    return trace_game(built, in_lanes=True)


def _family(games: list[AbstractGame]) -> Family:
    return Family(games, differing(games))
