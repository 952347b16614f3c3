"""What a picture shows, with its names: an equilibrium, arrays, a saved file or a point of a sweep."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from .. import _checks
from ..equilibrium import Equilibrium
from ..games import moves
from ..io.equilibria import leads_to as names_of_ends
from ..kernels import MovesKernel
from ..model import AbstractGame
from ..model.canonical import axes_of

Game = AbstractGame
_INNER = ("state", "action")


class Pictured(NamedTuple):
    """A crowd, what it does, and what its states and actions are called."""

    states: tuple[str, ...]
    actions: tuple[str, ...]
    times: np.ndarray | None  # None: of a stationary game, or a law by itself
    law: np.ndarray | None  # μ_t(s), [T, S]; one row where there are no times
    policy: np.ndarray | None  # π_t(a|s), [T, S, A], likewise
    available: np.ndarray  # [T or 1, S, A]
    leads_to: np.ndarray | None  # number of the next state, −1 where there is none, [S, A]; None: no graph
    ends: bool = True  # the last row is the end of the game, after which nobody moves

    def row(self, time: int) -> int:
        """Return where a time is among the rows; −1 is the last."""
        if self.times is None:
            if time != -1:
                raise ValueError(f"`time` is {time}, but what is drawn does not change with time.")
            return 0
        places = np.flatnonzero(self.times == time)
        if time == -1:
            return len(self.times) - 1
        if not len(places):
            raise ValueError(f"`time` is {time}, but there are times {self.times[0]} to {self.times[-1]}.")
        return int(places[0])

    def title(self, row: int, users_title: str | None) -> str | None:
        """Return the user's title; else the time of a row, if there are times."""
        return f"t = {self.times[row]}" if users_title is None and self.times is not None else users_title

    def laws(self) -> np.ndarray:
        """Return the laws, refused where there are none."""
        if self.law is None:
            raise ValueError(
                "the dataset has no law of the states: it must have `state_law` or `mean_field`; give `sweep` one of "
                "them as `outputs`."
            )
        return self.law

    def policies(self) -> np.ndarray:
        """Return the policies, refused where there are none."""
        if self.policy is None:
            raise ValueError(
                'there is no policy to draw: if this is a point of a sweep, give `sweep` "policy" among its `outputs`.'
            )
        return self.policy

    def open_to(self, row: int) -> np.ndarray:
        """Return which actions are available in a row, `[S, A]`."""
        return self.available[row % len(self.available)]

    def moves(self) -> list[tuple[int, int, int]]:
        """Return the edges as (state, action, next state), in order; refuse what is no graph."""
        if self.leads_to is None:
            raise ValueError(
                "this is not on a graph: there is no `MovesKernel`, in which each action leads to one state. For a "
                "sweep, give the game first, then the dataset."
            )
        return _edges(self.leads_to)


def pictured_of(game: Game | xr.Dataset, drawn: Any = None, *, is_policy: bool = False) -> Pictured:
    """Collect what a picture needs: laws, policies, names and masks.

    Args:
      game: for names and masks, or a dataset of one equilibrium, which has them itself.
      what: an `Equilibrium`, such a dataset, or an array: a law `[S]` or `[T, S]`, or a policy.
      is_policy: an array is a policy `[S, A]` or `[T, S, A]`.
    """
    if isinstance(game, xr.Dataset):
        if drawn is not None:
            raise ValueError("if a dataset is given in place of the game, nothing else can be given.")
        return _of_dataset(game)
    if not isinstance(game, Game):
        raise ValueError(f"`game` must be a game, or a dataset of one equilibrium; got {_checks.shorten(game)}.")
    names, mask = (game.state_labels, game.action_labels), np.asarray(game.available)
    if isinstance(drawn, xr.Dataset):
        found = _of_dataset(drawn)
        if (found.states, found.actions) != names and (found.states, found.actions) != (names[0], ()):
            raise ValueError("the dataset has other states or actions than `game`.")
        return found._replace(actions=names[1], available=mask, leads_to=leads_to(game))
    if drawn is None:
        raise ValueError("there is nothing to draw: give an equilibrium, a law or a dataset.")
    bare = Pictured(*names, game.coordinates_of_time().get("time"), None, None, mask, leads_to(game))
    inner = (game.num_states, game.num_actions)
    if isinstance(drawn, Equilibrium):
        law, policy = np.asarray(drawn.state_law), np.asarray(drawn.policy)
        meaning = f"{'times, ' if game.times else ''}states, actions of `game`"
        _checks.shape_is("equilibrium.policy", policy, [(*game.times, *inner)], meaning)
        return bare._replace(law=law.reshape(-1, inner[0]), policy=policy.reshape(-1, *inner))
    kind, shape = ("policy", inner) if is_policy else ("law", inner[:1])
    axes = axes_of(game.state_labels, game.action_labels)[: len(shape)]
    array = np.asarray(_checks.as_numbers(kind, drawn, axes=axes))
    if array.shape[-len(shape) :] != shape or array.ndim not in (len(shape), len(shape) + len(game.times)):
        raise ValueError(
            f"the {kind} has shape {array.shape}, but `game` has {inner[0]} states and {inner[1]} actions."
        )
    _checks.distribution(kind, array, leading=array.ndim - 1, slack=1e-3)  # a picture shows no more
    rows = array.reshape(-1, *shape)
    over = None if array.ndim == len(shape) else np.arange(len(rows))  # a simulated flow may be shorter
    ends = over is not None and len(rows) > game.horizon
    bare = bare._replace(times=over, ends=ends)
    return bare._replace(policy=rows) if is_policy else bare._replace(law=rows)


def leads_to(game: Game) -> np.ndarray | None:
    """Return the number of the state that each action leads to, −1 where there is none; None if this is no graph."""
    if not isinstance(game.kernel, MovesKernel):
        return None
    return _numbered(names_of_ends(game), game.state_labels)


def _numbered(ends: np.ndarray, states: Sequence[str]) -> np.ndarray:
    index = {"": -1, **{label: i for i, label in enumerate(states)}}
    return np.array([[index[str(label)] for label in row] for row in ends])


def edges_of(game: Game) -> list[tuple[int, int, int]]:
    """Return the edges of a graph as (state, action, next state), in order; refuse a game that is none."""
    moves(game)  # says what is wrong
    table = leads_to(game)
    assert table is not None
    return _edges(table)


def _edges(table: np.ndarray) -> list[tuple[int, int, int]]:
    return [(s, a, int(n)) for s, row in enumerate(table) for a, n in enumerate(row) if n >= 0]


def _of_dataset(dataset: xr.Dataset) -> Pictured:
    # a law at the end alone is drawn where nothing else is there
    laws = ("state_law", "mean_field", *(["terminal_law"] if "policy" not in dataset else []))
    name = next((n for n in laws if n in dataset), None)
    if "state" not in dataset.coords or (name is None and "policy" not in dataset):
        raise ValueError("the dataset holds no equilibrium: it has neither `state_law`, `mean_field` nor `policy`.")
    law = None if name is None else dataset[name]
    policy = dataset.get("policy")
    shown = [array for array in (law, policy) if array is not None]
    axes = {str(d): dataset[d].values for a in shown for d in a.dims if d not in ("time", "state", "action")}
    if axes:
        at = ", ".join(f"{dim}={_plain(values[0])!r}" for dim, values in axes.items())
        raise ValueError(
            f"the dataset holds equilibria along {', '.join(axes)}: choose one of them, such as `dataset.sel({at})`."
        )
    if law is not None and "action" in law.dims:
        law = law.sum("action", min_count=1)
    over = "time" in dataset.coords and name != "terminal_law"
    rows = dataset["time"].values.reshape(-1) if over else None
    states, actions = (dataset[n].values.astype(str) if n in dataset.coords else np.array([]) for n in _INNER)
    sizes = (len(states), len(actions))
    # of a sweep, NaN is where its other games have more states, or go on for longer
    whole = [a.transpose(..., *_INNER[: 2 if "action" in a.dims else 1]).values for a in shown]
    seen: Any = ~np.isnan(whole[0].reshape(1 if rows is None else len(rows), sizes[0], -1)).all(axis=2)
    if not seen.any():
        raise ValueError(
            "there is nothing to draw: all numbers are NaN, so this point of the sweep has not been computed."
        )
    when, where = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))

    def kept(array: xr.DataArray, *inner: int) -> np.ndarray:
        table = array.transpose(..., *_INNER[: len(inner)]).values.reshape(-1, *inner)
        return table[np.ix_(when, where, *map(np.arange, inner[1:]))]

    chosen = None if policy is None else kept(policy, *sizes)
    has_mask = "q" in dataset and policy is not None and dataset["q"].dims == policy.dims
    mask = ~np.isnan(kept(dataset["q"], *sizes)) if has_mask else None
    if mask is None:
        mask = np.ones((1, len(where), sizes[1]), bool) if chosen is None else ~np.isnan(chosen)
    graph = _numbered(dataset["leads_to"].values, tuple(states)) if "leads_to" in dataset else None
    return Pictured(
        tuple(map(str, states[where])),
        tuple(map(str, actions)),
        None if rows is None else rows[when],
        None if law is None else _without_nan(kept(law, sizes[0])),
        None if chosen is None else _without_nan(chosen),
        mask,
        graph,
        ends="time" in dataset.dims,
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _without_nan(table: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(table), 0.0, table)
