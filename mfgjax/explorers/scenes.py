"""What does not change while sliders move: names, the layout of the states, and which actions there are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ..model import AbstractGame
from .layout import layout_of
from .quantities import Quantity
from .sliders import Slider
from .stored import Stored


class Names(NamedTuple):
    """What the pictures call things, and where they put them.

    Attributes:
      title: of the page; "" if there is none.
      states: labels.
      actions: labels; none if there is no policy.
      over_time: whether the mean field has times.
      times: what these are called; None: 0, 1, ...
      layout: as `layout_of` returns it.
      available: which actions there are, `[S, A]`, at any time; None: not known.
    """

    title: str
    states: tuple[str, ...]
    actions: tuple[str, ...]
    over_time: bool
    layout: dict[str, Any]
    available: np.ndarray | None
    times: list[str] | None = None


def names_of_game(game: AbstractGame, positions: Mapping[str, tuple[float, float]] | None, title: str) -> Names:
    """Return the names of a game."""
    layout = layout_of(game.state_labels, game, positions)
    available: Any = np.asarray(game.available).any(axis=0)
    return Names(title, game.state_labels, game.action_labels, bool(game.times), layout, available)


def names_of_dataset(source: Stored, title: str | None) -> Names:
    """Return the names of a dataset, which tells neither how states are connected nor which actions there are."""
    dataset = source.dataset
    states = tuple(map(str, dataset["state"].values))
    actions = tuple(map(str, dataset["action"].values)) if source.policy is not None else ()
    own = str(dataset.attrs.get("game", ""))
    name = "" if own in ("FiniteHorizonGame", "StationaryGame") else name_in_words(own)
    times = source.times
    own_times = None if times is None or np.array_equal(times, np.arange(len(times))) else [str(t) for t in times]
    return Names(title or name, states, actions, times is not None, layout_of(states), None, own_times)


def name_in_words(name: str) -> str:
    """Return the name of a function as a title; "" if it has none, as `lambda`, or a call of something else."""
    return name.replace("_", " ") if name.isidentifier() else ""


def without_moves(names: Names) -> Names:
    """Return the names of points that differ in their moves: a page has one set of moves, and would show wrong ones."""
    return names._replace(layout=layout_of(names.states), available=None)


def are_open(names: Names, policy: xr.DataArray) -> bool:
    """Tell whether policies `[..., S, A]` take no action that is not available."""
    taken = (policy > 0).any([dim for dim in policy.dims if dim not in ("state", "action")]).values
    return names.available is None or not (taken & ~names.available).any()


def scene_of(names: Names, sliders: Sequence[Slider], place: Sequence[int], quantity: Quantity) -> dict[str, Any]:
    """Return the scene as JSON."""
    available = names.available
    return {
        "title": names.title,
        "states": list(names.states),
        "actions": list(names.actions),
        "over_time": names.over_time,
        "times": names.times,
        "layout": names.layout,
        "available": None if available is None else available.astype(int).tolist(),
        "sliders": [slider.described() for slider in sliders],
        "place": list(place),
        "quantity": quantity.label,
    }
