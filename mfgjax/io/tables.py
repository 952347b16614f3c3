"""Games that are made of tables as datasets, and back."""

import inspect
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import xarray as xr

from .. import _checks
from .._coordinates import coordinates
from .._version import __version__
from ..games import GameFile
from ..games.random_dense import SquashedLinear
from ..kernels import DenseKernel, MovesKernel, SuccessorKernel
from ..model import (
    AbstractGame,
    FiniteHorizonGame,
    OwnStateInteraction,
    PairwiseReward,
    Power,
    StationaryGame,
    SuccessorInteraction,
)
from ..model.rewards import DenseInteraction, Staged, TableReward

FORMAT = "mfgjax-game/1"

_PAIR, _EACH = ("state", "action"), ("time?", "state", "action?")
_SEEN = {1: ("seen_state",), 2: ("seen_state", "seen_action")}
_SCALARS = {"power": (Power, "scale"), "tanh": (SquashedLinear, "steepness")}


class _Tables:
    """The variables of a dataset. A dimension written "time?" is left out where a table is the same all along it."""

    def __init__(self, game: AbstractGame):
        # a game without an end has no times, so none of its tables has that dimension
        times = sum(game.times)
        self.sizes = {"time": times, "move": times - 1, "state": game.num_states, "action": game.num_actions}
        self.data: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}

    def put(self, name: str, dims: tuple[str, ...], table: Any) -> None:
        array, kept_dims = np.asarray(table), []
        for axis, dim in reversed(list(enumerate(dims))):
            bare = dim.rstrip("?")
            # from the last axis to the first, as squeezing one moves those behind it
            if dim != bare and array.shape[axis] == 1 and self.sizes[bare] != 1:
                array = array.squeeze(axis)
            else:
                kept_dims.append(bare)
        self.data[name] = (tuple(reversed(kept_dims)), array)


def to_tables(file: GameFile) -> xr.Dataset:
    """Return a game with what its file says besides, as a dataset.

    Raises:
      ValueError: naming the field that is no table, and what to do.
    """
    game = file.game
    if _checks.is_traced(game) or game.initial.ndim != 1:
        raise ValueError("`game` must be a single one with known numbers; got a batch, or one inside `jit` or `vmap`.")
    tables = _Tables(game)
    tables.put("initial", ("state",), game.initial)
    tables.put("discount", (), game.discount)
    tables.put("available", ("time?", *_PAIR), game.available)
    kernel, reward = _put_kernel(tables, game.kernel), _put_reward(tables, game)
    if file.reference is not None:
        reference = _checks.as_numbers("reference", file.reference)
        _checks.shape_is("reference", reference, [(game.num_states, game.num_actions)], "states, actions")
        _checks.distribution("reference", reference, leading=1)
        tables.put("reference", _PAIR, reference)
    if file.positions is not None:
        tables.put("position", ("state", "axis"), [file.positions[label] for label in game.state_labels])
    recorded = {
        "format": FORMAT,
        "mfgjax_version": __version__,
        "jax_version": jax.__version__,
        "name": file.name,
        "description": file.description,
        "kind": "stationary" if game.is_stationary else "finite_horizon",
        "observes": game.observes,
        "kernel": kernel,
        **reward,
    }
    if game.times:
        recorded["horizon"] = game.horizon
    return xr.Dataset(tables.data, coordinates(game.state_labels, game.action_labels), recorded)


def _put_kernel(tables: _Tables, kernel: Any) -> str:
    if isinstance(kernel, MovesKernel):
        tables.put("leads_to", _PAIR, np.where(kernel.leads, kernel.next_state, -1))
        return "moves"
    if isinstance(kernel, SuccessorKernel):
        leads = kernel.predecessors.leading_places(kernel.successors.size).reshape(kernel.successors.shape)
        # unused places of a kernel hold some state, too; in a file, as in the constructor, they are −1
        tables.put("successors", (*_PAIR, "successor"), np.where(leads, kernel.successors, -1))
        tables.put("probabilities", ("move?", *_PAIR, "successor"), kernel.probabilities)
        return "successors"
    if isinstance(kernel, DenseKernel):
        tables.put("probabilities", ("move?", *_PAIR, "next_state"), kernel.probabilities)
        return "dense"
    raise ValueError(
        f"`game.kernel` is {_kind(kernel)}, but a file holds tables only: give the game an array, a `DenseKernel`, "
        "a `SuccessorKernel` or a `MovesKernel`, or keep the code that builds it."
    )


def _put_reward(tables: _Tables, game: AbstractGame) -> dict[str, str]:
    reward = game.reward
    if isinstance(reward, TableReward):
        tables.put("reward", _EACH, reward.table)
        return {"reward": "table"}
    if not isinstance(reward, PairwiseReward):
        raise ValueError(
            f"`game.reward` is {_kind(reward)}, but a file holds tables only: give the game an array or a "
            "`PairwiseReward` of tables, or keep the code that builds it."
        )
    L = reward.L
    if isinstance(L, DenseInteraction):
        kind = "dense"
        tables.put("interaction", (*_EACH, *_SEEN[L.num_seen_axes]), L.table)
    elif isinstance(L, OwnStateInteraction | SuccessorInteraction):
        kind = "own_state" if isinstance(L, OwnStateInteraction) else "successor"
        tables.put("base", _EACH, L.base)
        tables.put("weight", _EACH, L.weight)
        if isinstance(L, SuccessorInteraction):
            tables.put("weighed_state", _PAIR, L.next_state)
    else:
        raise ValueError(
            f"`game.reward.L` is {_kind(L)}, but a file holds tables only: give it as an array, an "
            "`OwnStateInteraction` or a `SuccessorInteraction`, or keep the code that builds it."
        )
    return {"reward": "pairwise", "interaction": kind, "theta": json.dumps(_theta(reward.theta))}


def _theta(theta: Any) -> Any:
    if theta is None:
        return None
    if isinstance(theta, Power):
        # JSON keeps every digit of a float, so that also single precision comes back to the last bit
        return {"kind": "power", "scale": float(theta.scale), "exponent": theta.exponent}
    if isinstance(theta, SquashedLinear):
        return {"kind": "tanh", "steepness": float(theta.steepness)}
    if isinstance(theta, Staged):
        stages = {name: _theta(getattr(theta, name)) for name in ("running", "terminal")}
        return {"kind": "staged", "horizon": theta.horizon, **stages}
    raise ValueError(
        f"`game.reward.theta` is {_kind(theta)}, but a file holds numbers only: make it a `Power` or None, or keep "
        "the code that builds the game."
    )


def _kind(thing: object) -> str:
    return "a function" if inspect.isfunction(thing) else f"of the class {type(thing).__name__}"


def from_tables(dataset: xr.Dataset) -> GameFile:
    """Return the game of a dataset that `to_tables` made.

    Raises:
      ValueError: naming what is missing or does not fit.
    """
    kind = _word(dataset, "kind", ("finite_horizon", "stationary"))
    labels = {}
    for dim in _PAIR:
        if dim not in dataset.coords:
            raise ValueError(f"the labels `{dim}` are missing.")
        labels[f"{dim}_labels"] = [str(label) for label in dataset[dim].values]
    options = {
        "available": _table(dataset, "available", ("time?", *_PAIR)),
        "discount": _table(dataset, "discount", ()),
        "observes": _word(dataset, "observes", ("states", "state_actions")),
        **labels,
    }
    initial = _table(dataset, "initial", ("state",))
    kernel, reward = _kernel(dataset), _reward(dataset, initial.dtype)
    game: AbstractGame
    if kind == "stationary":
        # stationary games take tables without times
        options["available"] = options["available"][0]
        reward = reward[0] if isinstance(reward, np.ndarray) else reward
        game = StationaryGame(kernel, reward, initial=initial, **options)
    else:
        game = FiniteHorizonGame(kernel, reward, initial, int(_attribute(dataset, "horizon")), **options)
    reference: Any = None
    if "reference" in dataset:
        reference = _checks.as_numbers("reference", _table(dataset, "reference", _PAIR))
    positions = None
    if "position" in dataset:
        rows = _table(dataset, "position", ("state", "axis"))
        positions = {label: (float(x), float(y)) for label, (x, y) in zip(game.state_labels, rows, strict=True)}
    name, description = str(_attribute(dataset, "name")), str(_attribute(dataset, "description"))
    return GameFile(name, game, reference, positions, description)


def _kernel(dataset: xr.Dataset) -> DenseKernel | SuccessorKernel | MovesKernel:
    kind = _word(dataset, "kernel", ("dense", "successors", "moves"))
    if kind == "moves":
        return MovesKernel(_table(dataset, "leads_to", _PAIR))
    if kind == "dense":
        return DenseKernel(_table(dataset, "probabilities", ("move?", *_PAIR, "next_state")))
    lists = _table(dataset, "successors", (*_PAIR, "successor"))
    return SuccessorKernel(lists, _table(dataset, "probabilities", ("move?", *_PAIR, "successor")))


def _reward(dataset: xr.Dataset, dtype: np.dtype) -> Any:
    if _word(dataset, "reward", ("table", "pairwise")) == "table":
        return _table(dataset, "reward", _EACH)
    kind = _word(dataset, "interaction", ("dense", "own_state", "successor"))
    if kind == "dense":
        axes = 1 if _word(dataset, "observes", ("states", "state_actions")) == "states" else 2
        L = DenseInteraction(_table(dataset, "interaction", (*_EACH, *_SEEN[axes])), axes)
    else:
        base, weight = (_table(dataset, name, _EACH) for name in ("base", "weight"))
        if kind == "own_state":
            L = OwnStateInteraction(base, weight)
        else:
            L = SuccessorInteraction(base, weight, _table(dataset, "weighed_state", _PAIR))
    try:
        theta = _theta_of(json.loads(str(_attribute(dataset, "theta"))), dtype)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"its attribute `theta` is {dataset.attrs['theta']!r}, which is no Θ.") from error
    return PairwiseReward(L, theta)


def _theta_of(content: Mapping[str, Any] | None, dtype: np.dtype) -> Any:
    if content is None:
        return None
    if content["kind"] == "staged":
        return Staged(_theta_of(content["running"], dtype), _theta_of(content["terminal"], dtype), content["horizon"])
    made, field = _SCALARS[content["kind"]]
    # in the precision of the game, which a Python number would widen
    number = np.asarray(content[field], dtype)
    return Power(scale=number, exponent=content["exponent"]) if made is Power else made(jax.numpy.asarray(number))


def _attribute(dataset: xr.Dataset, name: str) -> Any:
    if name not in dataset.attrs:
        raise ValueError(f"the attribute `{name}` is missing.")
    return dataset.attrs[name]


def _word(dataset: xr.Dataset, name: str, allowed: tuple[str, ...]) -> str:
    found = _attribute(dataset, name)
    if found not in allowed:
        raise ValueError(f"its attribute `{name}` is {found!r}, but it must be one of {', '.join(map(repr, allowed))}.")
    return found


def _table(dataset: xr.Dataset, name: str, dims: tuple[str, ...]) -> np.ndarray:
    """Return a variable as an array with all of `dims`; those marked "?" have length 1 where it lacks them."""
    if name not in dataset:
        raise ValueError(f"the variable `{name}` is missing.")
    found = dataset[name]
    expected = tuple(bare for dim in dims if (bare := dim.rstrip("?")) == dim or bare in found.dims)
    if found.dims != expected:
        raise ValueError(f"`{name}` has dims {found.dims}, but they must be {expected}.")
    absent = tuple(axis for axis, dim in enumerate(dims) if dim.rstrip("?") not in expected)
    return np.expand_dims(found.values, absent)
