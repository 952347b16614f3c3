"""Graph games from a TOML file; `docs/game-file.md` describes the format. Games of tables are in `mfgjax.io`."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import jax.numpy as jnp
import numpy as np

from .. import _toml
from .._display import Facts, Page, Part, shows_itself
from .._shorten import shown
from .._typing import Array, Float
from ..model import AbstractGame, FiniteHorizonGame, StationaryGame
from .graph import NodeReward, graph_game, moves, policy_on_edges
from .stationary_graph import stationary_graph_game

FORMAT = "mfgjax-graph-game/1"
MAX_HORIZON = 100_000  # tables of H+1 times are held in memory
MAX_EXPONENT = 100  # what overflows below it is found by `_check_size`

_KEYS = (  # in TOML a key below a table belongs to that table: messages say that these must stand above
    *("format", "horizon", "nodes", "edges", "initial"),
    *("name", "description", "discount", "positions", "running", "terminal", "reference"),
)

_REWARD_KEYS = ("value", "congestion", "scale", "exponent")

Game = TypeVar("Game", bound=AbstractGame)


@shows_itself
@dataclass(frozen=True, eq=False)
class GameFile(Generic[Game]):
    """A game with its name, reference policy, positions of the nodes and description, as a file holds them.

    Args:
      name: the name of the game; the stem of the file's name if the file gives none.
      game: the game.
      reference: ρ(a|s) as `policy_on_edges` returns it, positive exactly on the edges; None: not in the file.
      positions: where to draw each node, as (x, y); None: not in the file.
      description: any text; empty if the file gives none.
    """

    name: str
    game: Game
    reference: Float[Array, "S A"] | None
    positions: dict[str, tuple[float, float]] | None
    description: str

    def _page(self) -> Page:
        extras = [name for name in ("reference", "positions") if getattr(self, name) is not None]
        more = f", with {' and '.join(extras)}" if extras else ""
        summary = f"{self.name}: {self.game!r}{more}"
        return Page(type(self).__name__, summary, title=self.name, details=self._details)

    def _details(self) -> Iterator[Part]:
        if self.description:
            yield self.description
        yield Facts([(name, shown(getattr(self, name))) for name in ("game", "reference")])


def with_horizon(file: GameFile, caller: str) -> GameFile[FiniteHorizonGame]:
    """Check that a file's game has a finite horizon, which `caller` needs, and return the file."""
    if isinstance(file.game, StationaryGame):
        raise ValueError(f"`{caller}` is for games with a finite horizon, but {file.name} is stationary.")
    return file


def load_game(path: str | os.PathLike[str]) -> GameFile:
    """Read a graph game from a TOML file.

    At node s the reward is scale · (value(s) − congestion(s) · μ_t(s))^exponent, with the numbers of
    `[running]` at t < H and those of `[terminal]` at t = H. Numbers get JAX's default precision: set `jax_enable_x64`
    before loading for float64. A file without `horizon` is a stationary game, which `[running]` pays at all times.
    `mfgjax.io.load_game` reads such files, too, and games of tables in netCDF.

    Args:
      path: the path of the file.

    Returns:
      A `GameFile`; solve it with `solve(file.game, EntropyRegularized(beta, file.reference))`.

    Raises:
      ValueError: if the file is invalid, does not exist or cannot be read: one sentence that begins with the path and
        names the key, the place and the value.

    Example:
      >>> import mfgjax as mfg
      >>> file = mfg.games.load_game("examples/resource_allocation.toml")
      >>> file.name, file.game.horizon
      ('resource allocation', 5)
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise ValueError(f"`path` must be the path of a TOML file; got {_toml.shown(path)}.")
    with _toml.of_file(path):  # every message begins with the path
        if _is_netcdf(Path(path)):
            raise ValueError("this is netCDF, or HDF5: `mfgjax.io.load_game` reads games in it.")
        return _game_file(_toml.document(Path(path)), Path(path).stem)


def _is_netcdf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8) == b"\x89HDF\r\n\x1a\n"  # HDF5, on which netCDF-4 is built
    except (OSError, ValueError):  # what is wrong with it is said where it is read
        return False


def _game_file(document: dict[str, Any], stem: str) -> GameFile:
    name, description = _toml.head(document, FORMAT, _KEYS, ("format", "nodes", "edges"), kind="game", stem=stem)
    if "horizon" not in document and "discount" not in document:
        raise ValueError("`horizon` is missing, but a game needs it, or a `discount` below 1 if it is stationary.")
    if "horizon" in document and "initial" not in document:
        raise ValueError("`initial` is missing, but every game with a `horizon` needs it.")
    nodes = _nodes(document["nodes"])
    stages = {key: _node_reward(key, document[key], nodes) for key in ("running", "terminal") if key in document}
    # this one key tells the two kinds of games apart
    game = (_game if "horizon" in document else _stationary_game)(document, nodes, stages)
    positions = _positions(document["positions"], nodes) if "positions" in document else None
    reference = reference_of_table(document["reference"], game) if "reference" in document else None
    return GameFile(name, game, reference, positions, description)


def _game(
    document: Mapping[str, Any], nodes: Mapping[str, None], stages: Mapping[str, NodeReward]
) -> FiniteHorizonGame:
    if not stages:
        raise ValueError("`running` and `terminal` are both missing, but a game needs one of them to pay something.")
    return graph_game(
        _edges(document["edges"], nodes),
        nodes=list(nodes),
        horizon=_toml.whole("horizon", document["horizon"], MAX_HORIZON),
        initial=_initial(document["initial"], nodes),
        discount=_toml.share("discount", document.get("discount", 1.0), "it must lie in (0, 1]"),
        **stages,
    )


def _stationary_game(
    document: Mapping[str, Any], nodes: Mapping[str, None], stages: Mapping[str, NodeReward]
) -> StationaryGame:
    if "terminal" in stages:
        raise ValueError(
            "`horizon` is missing, so the game is stationary and has no last time, but `terminal` is given: "
            "give `horizon`, or remove `terminal`."
        )
    if "running" not in stages:
        raise ValueError(
            "`running` is missing, but a stationary game (one without `horizon`) needs it to pay something."
        )
    must = "without `horizon` the game is stationary, and it must lie in (0, 1)"
    discount = _toml.share("discount", document["discount"], must)
    if np.asarray(discount, _toml.precision()) == 1:  # in single precision 0.99999999 is 1
        raise _toml.wrong("discount", document["discount"], must)
    edges = _edges(document["edges"], nodes)
    initial = _initial(document["initial"], nodes) if "initial" in document else None
    return stationary_graph_game(edges, stages["running"], discount, initial=initial, nodes=list(nodes))


def _nodes(value: Any) -> dict[str, None]:
    """Return the names in order, as the keys of a dict, which finds them fast."""
    nodes: dict[str, None] = {}
    for i, node in enumerate(_toml.entries("nodes", value, "a list of names")):
        if _toml.text(f"nodes[{i}]", node) in nodes:
            raise _toml.wrong(f"nodes[{i}]", node, "this name is listed twice")
        nodes[node] = None
    return nodes


def _edges(value: Any, nodes: Mapping[str, None]) -> list[tuple[str, str]]:
    must = 'an edge is a pair of names of nodes, as in ["hall", "exit"]'
    for i, edge in enumerate(_toml.entries("edges", value, "a list of pairs of nodes")):
        if not isinstance(edge, list) or len(edge) != 2 or not all(isinstance(node, str) for node in edge):
            raise _toml.wrong(f"edges[{i}]", edge, must)
        for node in edge:
            _toml.check_name(f"edges[{i}]", edge, node, nodes, "node", _KEYS)
    return [(start, end) for start, end in value]


def _initial(value: Any, nodes: Mapping[str, None]) -> dict[str, float]:
    masses = _toml.by_name("initial", value, nodes, "node", _KEYS)
    for node, mass in masses.items():
        if not 0 <= mass <= 1:
            raise _toml.wrong(f"initial[{node!r}]", value[node], "a mass must lie in [0, 1]")
    _toml.check_sum("initial", masses, "masses")
    return masses


def _positions(value: Any, nodes: Mapping[str, None]) -> dict[str, tuple[float, float]]:
    positions = {}
    for node, pair in _toml.table("positions", value, "a table of nodes").items():
        place = f"positions[{node!r}]"
        _toml.check_name(place, pair, node, nodes, "node", _KEYS)
        if not isinstance(pair, list) or len(pair) != 2:
            raise _toml.wrong(place, pair, "a position is a pair of numbers [x, y]")
        positions[node] = (_toml.number(f"{place}[0]", pair[0]), _toml.number(f"{place}[1]", pair[1]))
    for node in nodes:
        if node not in positions:
            raise ValueError(f"`positions[{node!r}]` is missing, but all nodes need a position, or none.")
    return {node: positions[node] for node in nodes}  # in the order of the nodes, not of the table


def _node_reward(key: str, value: Any, nodes: Mapping[str, None]) -> NodeReward:
    def numbers(place: str, field: Any) -> Any:
        if isinstance(field, dict):
            return _toml.by_name(place, field, nodes, "node", _KEYS)
        return _toml.number(place, field)

    readers = numbers, numbers, _toml.number, partial(_toml.whole, most=MAX_EXPONENT)
    named: dict[str, Any] = dict(zip(_REWARD_KEYS, readers, strict=True))
    reward_fields = _toml.fields(key, value, "a table with `value` or `congestion`", named, _KEYS)
    if "value" not in reward_fields and "congestion" not in reward_fields:
        raise _toml.wrong(key, value, "without `value` or `congestion` it pays nothing (leave it out for that)")
    # as the defaults of `NodeReward`
    fields = {"value": 0.0, "congestion": 0.0, "scale": 1.0, "exponent": 1, **reward_fields}
    _check_size(key, nodes, **fields)
    return NodeReward(**fields)


def _check_size(key: str, nodes: Mapping[str, None], value: Any, congestion: Any, scale: float, exponent: int) -> None:
    """Refuse rewards that overflow: |v − cμ|, convex in μ, is largest at μ = 0 or μ = 1."""
    largest = float(jnp.finfo(_toml.precision()).max)
    for node in nodes:
        v, c = (field.get(node, 0.0) if isinstance(field, dict) else field for field in (value, congestion))
        with np.errstate(over="ignore"):  # an infinity is refused below
            power = np.float64(max(abs(v), abs(v - c))) ** exponent
            if max(power, power * abs(scale)) > largest:
                raise ValueError(
                    f"`{key}` has rewards of size {power * abs(scale):.1e} at node {node!r} (value {v:g}, congestion "
                    f"{c:g}, scale {scale:g}, exponent {exponent}), but the largest {_toml.precision()} number is "
                    f"{largest:.1e}."
                )


def reference_of_table(value: Any, game: AbstractGame, top: tuple[str, ...] = _KEYS) -> Float[Array, "S A"]:
    """Return the policy of a table [reference] in a file.

    Args:
      value: what stands there.
      game: a graph game.
      top: keys of the file, which must stand above its tables.

    Raises:
      ValueError: naming the node and the move.
    """
    nexts = dict(zip(game.state_labels, moves(game), strict=True))
    weights = {}
    for node, row in _toml.table("reference", value, "a table of nodes").items():
        place = f"reference[{node!r}]"
        _toml.check_name(place, row, node, nexts, "node", top)
        _toml.table(place, row, "a table that gives each next node its probability")
        weights[node] = {}
        for target, weight in row.items():
            at = f"{place}[{target!r}]"
            _toml.check_name(at, weight, target, nexts, "node", top)
            if target not in nexts[node]:
                raise _toml.wrong(
                    at, weight, f"no edge leads there; from {node!r} they lead to {_toml.listed(nexts[node])}"
                )
            must = "a reference must lie in (0, 1] on every edge (without the edge nobody moves there)"
            weights[node][target] = _toml.share(at, weight, must)
        for target in nexts[node]:
            if target not in row:
                raise ValueError(
                    f"`{place}[{target!r}]` is missing, but a reference must be positive on every edge; "
                    f"{place} is {_toml.shown(row)}."
                )
        _toml.check_sum(place, weights[node], "probabilities")
    return policy_on_edges(game, weights)
