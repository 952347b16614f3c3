"""The arrays of game, response and solver by name, and values for them that differ from lane to lane."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._names import did_you_mean, suggestion
from .._simplex import log_normalize, safe_log
from .._traced import AbstractStandIn, named_path, owner_of
from .._typing import Array, ArrayLike
from ..model import AbstractGame, check_reads_of_games, trace_game
from ..responses import AbstractResponse, Boltzmann, EntropyRegularized
from ..responses.base import response_in_precision
from ..responses.trembling import check_epsilon
from ..solvers import AbstractSolver
from .lanes import Lanes

Triple = tuple[AbstractGame, AbstractResponse, AbstractSolver]

_POSITIVE = ("beta", "learning_rate", "prior_beta")
_SHARES = ("discount", "damping", "mixing")
_POLICIES = ("reference", "log_reference", "prior", "log_prior")


class Parameter(NamedTuple):
    """An array of `(game, response, solver)` that may differ from lane to lane.

    Attributes:
      path: its place, such as "game.reward.L.weight".
      leaf: its number among the leaves of the triple.
      values: in its shape, with a last axis of lanes.
    """

    path: str
    leaf: int
    values: Array


def swept(game: AbstractGame, response: AbstractResponse, solver: Any, axes: Mapping[str, ArrayLike]) -> Lanes:
    """Return the problems that have the given values, with a last axis of lanes, in place of single ones."""
    triple = with_policy_leaf((game, cast_response(game, response), solver), axes)
    found = {name: parameter(triple, name, values) for name, values in axes.items()}
    counts = {name: p.values.shape[-1] for name, p in found.items()}
    if not counts:
        raise ValueError("`axes` is empty: it must name what differs between lanes.")
    num_lanes = next(iter(counts.values()))
    for name, count in counts.items():
        if count != num_lanes:
            first = next(iter(counts))
            raise ValueError(f"`axes` has {num_lanes} lanes of {first!r}, but {count} of {name!r}.")
    leaves, structure = jax.tree.flatten(triple)
    carried = [False] * len(leaves)
    for name, p in found.items():
        if carried[p.leaf]:
            raise ValueError(f"`axes[{name!r}]` is the array {p.path}, which another entry of `axes` also sets.")
        leaves[p.leaf], carried[p.leaf] = p.values, True
    return _checked(Lanes(jax.tree.unflatten(structure, leaves), tuple(carried), num_lanes))


def _checked(lanes: Lanes) -> Lanes:
    """Return the problems if no function of their games depends on an entry outside an array."""
    leaves = jax.tree.leaves(lanes.problem[0])
    values = {i: leaf for i, (leaf, lane) in enumerate(zip(leaves, lanes.carried, strict=False)) if lane}
    index = dict.fromkeys(values, np.arange(lanes.num_lanes))
    one = lanes.lane(0)[0]
    check_reads_of_games(one, values, index, lambda lane: f" in lane {lane}")
    return lanes


def place(game: AbstractGame, response: AbstractResponse, solver: Any, axes: Any) -> Lanes:
    """Return the problems of arrays that hold lanes already, where a prefix of -1 and None says so."""
    if not isinstance(axes, tuple) or len(axes) not in (2, 3):
        got = _checks.shorten(axes)
        raise ValueError(f"`axes` must be a mapping from names to values, or a tuple for (game, response); got {got}.")
    triple: Triple = (game, cast_response(game, response), solver)
    flags = (*axes, *((None,) if len(axes) == 2 else ()))

    def spread(flag: Any, part: Any) -> Any:
        if flag is not None and not (isinstance(flag, int) and flag == -1):
            raise ValueError(f"`axes` must hold -1 (lanes on the last axis) or None; got {_checks.shorten(flag)}.")
        return jax.tree.map(lambda leaf: flag == -1 and eqx.is_inexact_array(leaf), part)

    try:
        carried = jax.tree.map(spread, flags, triple, is_leaf=lambda flag: flag is None)
    except (TypeError, KeyError, ValueError) as error:
        if "`axes`" in str(error):
            raise
        must = "`axes` does not have the structure of (game, response), in which -1 or None may stand for a whole part."
        raise ValueError(must) from error
    S, A = game.initial.shape[0], game.num_actions
    shared = "times (or 1), states, actions: booleans and whole numbers are shared by all lanes"
    _checks.shape_is("game.available", game.available, [(1, S, A), (game.horizon + 1, S, A)], shared)
    carried = jax.tree.leaves(carried)
    leaves, structure = jax.tree.flatten(triple)
    counts = {leaf.shape[-1] if leaf.ndim else 0 for leaf, lane in zip(leaves, carried, strict=True) if lane}
    if len(counts) != 1 or 0 in counts:
        raise ValueError(
            "`axes` must mark at least one array with -1, and all marked arrays must have the same number of lanes "
            f"(the length of the last axis); the numbers of lanes are {sorted(counts)}."
        )
    for path, index in paths(triple).items():
        leaf = leaves[index]
        if not carried[index]:
            continue
        if path in ("response.log_reference", "response.log_weights"):
            leaf = _log_policies(game, path, "log_reference", leaf)
        elif not _checks.is_traced(leaf):
            _check_values(game, path.removeprefix("game."), path, np.moveaxis(np.asarray(leaf), -1, 0))
        leaves[index] = leaf.astype(game.dtype)
    return _checked(_traced(Lanes(jax.tree.unflatten(structure, leaves), tuple(carried), counts.pop())))


def _traced(lanes: Lanes) -> Lanes:
    """Return the problems with the functions of users in them as programs, traced for the first lane."""
    one = lanes.lane(0)
    game = trace_game(one[0], in_lanes=True)
    if game is one[0]:
        return lanes
    held = jax.tree.leaves(lanes.problem)
    carried = {path: held[index] for path, index in paths(lanes.problem).items() if lanes.carried[index]}
    triple = (game, *one[1:])
    leaves, structure = jax.tree.flatten(triple)
    flags = [False] * len(leaves)
    for path, index in paths(triple).items():
        if path in carried:
            leaves[index], flags[index] = carried[path], True
    return Lanes(jax.tree.unflatten(structure, leaves), tuple(flags), lanes.num_lanes)


def cast_response(game: AbstractGame, response: AbstractResponse) -> AbstractResponse:
    """Return the response in the precision of the game."""
    return response_in_precision(response, game.dtype)


def is_policy(name: str) -> bool:
    """Tell whether a name is that of the response's reference or prior, or of their logarithm."""
    return name.removeprefix("response.") in _POLICIES


def with_policy_leaf(triple: Triple, names: Iterable[str]) -> Triple:
    """Return the triple with a table for the reference (or prior) where one is swept and none was given."""
    game, response, solver = triple
    if response.prior_table is None and any(map(is_policy, names)):
        field = response.prior_field
        if field is not None:
            table = response.log_prior(game.available, game.dtype)
            is_none = {"is_leaf": lambda leaf: leaf is None}
            response = eqx.tree_at(lambda r: getattr(r, field), response, table, **is_none)
    return game, response, solver


def parameter(triple: Triple, name: str, values: Any, each: bool = False) -> Parameter:
    """Find an array by name, and bring values for it, with a last axis of lanes, into its shape.

    Args:
      triple: game, response and solver.
      name: of the array.
      values: with a last axis of lanes.
      each: whether the user gave the values one by one, so that messages speak of one of them, without lanes.

    Raises:
      ValueError: if there is no such array, or naming the first value that is out of range (lane first).
    """
    index, path, kind = find(triple, name)
    averaging = getattr(triple[2], "averaging", None)
    if path == "solver.damping" and averaging is not None:
        raise ValueError(
            f"`{name}` cannot be given with `averaging={averaging!r}`, which sets the weight of each step."
        )
    leaf, game = jax.tree.leaves(triple)[index], triple[0]
    table = _checks.as_numbers(name, values)
    if table.ndim == 0 or table.shape[-1] == 0:
        raise ValueError(f"`{name}` must have a last axis of at least one lane; got shape {table.shape}.")
    if kind in _POLICIES:
        return Parameter(path, index, _log_policies(game, name, kind, table, each))
    shape, given = tuple(leaf.shape), tuple(table.shape[:-1])
    times = game.horizon if path.startswith("game.kernel") else game.horizon + 1
    over_time = shape[:1] == (1,) and given == (times, *shape[1:]) and _is_table_of_times(triple, index)
    if shape and shape[0] == 1 and given == shape[1:]:
        table = table[None]
    elif given != shape and not over_time:
        allowed = [shape, shape[1:]] if shape and shape[0] == 1 else [shape]
        _lanes_of_shape(name, table, allowed, f"that of `{path}`{'' if each else ', then lanes'}", each)
    if not _checks.is_traced(table):
        values = _checks.cast_to(game.dtype, name, np.moveaxis(np.asarray(table), -1, 0))
        _check_values(game, name, path, values)
        table = np.moveaxis(values, 0, -1)
    return Parameter(path, index, jnp.asarray(table, game.dtype))


def _is_table_of_times(triple: Triple, index: int) -> bool:
    """Tell whether a first axis of length 1 stands for all times: in the library's own kernels and rewards alone."""
    keys, _ = jax.tree_util.tree_leaves_with_path(triple)[index]
    kind = type(owner_of(triple, keys))
    return keys[1].name in ("kernel", "reward") and kind.__module__.startswith("mfgjax.")


def paths(triple: Triple) -> dict[str, int]:
    """Return the places of all floating arrays of a triple, with their numbers among its leaves."""
    found = {}
    for index, (keys, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(triple)):
        own = named_path(triple, keys)
        if eqx.is_inexact_array(leaf) and own is not None:
            head = ("game", "response", "solver")[keys[0].idx]
            found[head + jax.tree_util.keystr(tuple(own[1:]))] = index
    return found


def find(triple: Triple, name: str, of_builder: Sequence[str] = ()) -> tuple[int, str, str]:
    """Return the leaf that a name stands for, its path, and what kind of values it takes.

    Args:
      triple: game, response and solver.
      name: of the array.
      of_builder: parameters of the function that built the game, which may have been meant.

    Raises:
      ValueError: if there is no such array.
    """
    known = paths(triple)
    kind = name.removeprefix("response.")
    alias = {"reference": "log_reference", "prior": "log_weights", "log_prior": "log_weights"}.get(kind, kind)
    of_game = f"game.params.{name}"
    wrong = {"reference": Boltzmann, "log_reference": Boltzmann, "prior": EntropyRegularized}.get(kind)
    has_policy = wrong is None or not isinstance(triple[1], wrong)
    for path in (f"response.{alias}", f"solver.{name}", f"game.{name}", name, of_game) if has_policy else ():
        if path in known:
            if of_game in known and path != of_game:
                path = f"response.{name}" if path == f"response.{alias}" else path
                raise ValueError(f"{name!r} may be {path!r} or {of_game[5:]!r}: give one of these names.")
            if path == of_game and kind in _POLICIES:
                break
            return known[path], path, kind if kind in _POLICIES else ""
    if of_game in known:
        raise ValueError(
            f"{name!r} is the name of a policy of responses, which `{type(triple[1]).__name__}` does not have; the "
            f"parameter of the game is {of_game[5:]!r}."
        )
    names, hint = [*of_builder, *_names(triple[1], known)], ""
    if name == "horizon":
        raise ValueError(
            "`horizon` changes the shape of a game: give `sweep` a function `(horizon) -> game` that builds each game."
        )
    inside = [place for place in names if place.endswith(f".{name}")]  # "toll" for "reward.toll"
    which = f"; did you mean {inside[0]!r}?" if inside else did_you_mean(name, names)
    calls_users = any(isinstance(part, AbstractStandIn) for part in (triple[0].kernel, triple[0].reward))
    if name.startswith(("reward.", "kernel.")) or (calls_users and not inside and not suggestion(name, names)):
        hint = (
            " A number that a function uses is a parameter only if it is in `params` of the game, or a floating-point "
            "field (2.0, not 2) of an `equinox.Module`."
        )
    where = "game, response or solver" + (
        ", and no such argument of the function that builds the game" if of_builder else ""
    )
    raise ValueError(f"There is no parameter {name!r} in {where}{which}{hint}")


def find_number(triple: Triple, name: str) -> int:
    """Return the number of the leaf of a parameter; refuse one that is not a single number."""
    triple = with_policy_leaf(triple, [name])
    index = find(triple, name)[0]
    if shape := np.shape(jax.tree.leaves(triple)[index]):
        raise ValueError(f"`parameter` must name a single number, but {name!r} is an array of shape {shape}.")
    return index


def _names(response: AbstractResponse, known: Mapping[str, int]) -> list[str]:
    """Return the names that `find` understands, also those of the policies that a response holds as logs, or could."""
    policies = {"log_reference": ("reference", "log_reference"), "log_weights": ("prior", "log_prior")}
    held = policies.get(response.prior_field or "", ())
    short = (path.removeprefix("game.").removeprefix("params.").removeprefix("response.") for path in known)
    return sorted({*held, *short})


def _lanes_of_shape(name: str, table: Any, allowed: Sequence[tuple], meaning: str, each: bool) -> None:
    """Refuse values with a last axis of lanes unless each has an allowed shape."""
    if each:
        _checks.shape_is(f"{name}[0]", table[..., 0], allowed, meaning)
    else:
        _checks.shape_is(name, table, [(*shape, table.shape[-1]) for shape in allowed], meaning)


def _log_policies(game: AbstractGame, name: str, kind: str, table: Any, each: bool = False) -> Array:
    """Return logs `[#T, S, A, lanes]` of policies given as probabilities, or as logs, with lanes last."""
    S, A, T = game.num_states, game.num_actions, game.horizon + 1
    meaning = f"states, actions{'' if each else ', lanes'}; or times first"
    _lanes_of_shape(name, table, [(S, A), (1, S, A), (T, S, A)], meaning, each)
    table = table if table.ndim == 4 else table[None]
    if not _checks.is_traced(table):
        first = np.moveaxis(np.asarray(table), -1, 0)
        shown = first[:, 0] if first.shape[1] == 1 else first
        if not kind.startswith("log_"):
            _checks.distribution(name, shown, leading=shown.ndim - 1)
        support = first > (-np.inf if kind.startswith("log_") else 0)
        good = support == np.asarray(game.available)
        must = "it must be positive exactly on the available actions (lane first, then state and action)"
        _checks.all_true(name, shown, good if shown is first else good[:, 0], must)
    logs = jnp.asarray(table, game.dtype)
    return log_normalize(logs if kind.startswith("log_") else safe_log(logs), axis=2)


def _check_values(game: AbstractGame, name: str, path: str, values: np.ndarray) -> None:
    """Refuse values of known arrays that are out of range; the first axis is lanes."""
    field = path.rsplit(".", 1)[-1]
    owner = path.split(".", 1)[0]
    if owner != "game" and field in _POSITIVE:
        _checks.all_true(name, values, (values > 0) & (values < np.inf), "it must lie in (0, inf)")
    elif owner != "game" and field == "epsilon":
        check_epsilon(values, np.asarray(game.available))
    elif path == "game.discount" or (owner != "game" and field in _SHARES):
        interval = game.discounts if owner == "game" else "(0, 1]"
        _checks.all_true(name, values, _checks.inside(values, 0, 1, interval), f"it must lie in {interval}")
    elif path == "game.initial":
        _checks.distribution(name, values, leading=1)
    elif path == "game.kernel.probabilities":
        # a row that is no law matters where its action ever exists
        rows = np.broadcast_to(np.asarray(game.available).any(axis=0), values.shape[:-1])
        _checks.distribution(name, values, rows, leading=values.ndim - 1)
    else:
        _checks.finite(name, values)
