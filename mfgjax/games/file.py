"""Graph games from a TOML file; `docs/game-file.md` describes the format."""

import datetime as dt
import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._typing import Array, Float
from ..model import FiniteHorizonGame
from .graph import NodeReward, graph_game, moves, policy_on_edges

FORMAT = "mfgjax-graph-game/1"
MAX_HORIZON = 100_000  # tables of H+1 times are held in memory
MAX_EXPONENT = 100

_REQUIRED = ("format", "horizon", "nodes", "edges", "initial")
_KEYS = (*_REQUIRED, "name", "description", "discount", "positions", "running", "terminal", "reference")
_REWARD_KEYS = ("value", "congestion", "scale", "exponent")


@dataclass(frozen=True, eq=False)
class GameFile:
    """A game as a file describes it, with what a file says besides the physics.

    Args:
      name: of the game; the stem of the file's name where the file gives none.
      game: the game.
      reference: ρ(a|s) as `policy_on_edges` gives it, positive exactly on the edges; None: not in the file.
      positions: where to draw each node, as (x, y); None: not in the file.
      description: any text; empty where the file gives none.
    """

    name: str
    game: FiniteHorizonGame
    reference: Float[Array, "S A"] | None
    positions: dict[str, tuple[float, float]] | None
    description: str


def load_game(path: str | os.PathLike[str]) -> GameFile:
    """Read a graph game from a TOML file.

    At node s the reward is scale · (value(s) − congestion(s) · μ_t(s))^exponent, with the numbers of
    `[running]` at t < H and those of `[terminal]` at t = H. Numbers get JAX's default precision: enable x64
    before loading for float64.

    Args:
      path: of the file.

    Returns:
      A `GameFile`; solve it with `solve(file.game, EntropyRegularized(beta, file.reference))`.

    Raises:
      ValueError: in one sentence that begins with the path and names the key, the place and the value,
        also where the file does not exist or cannot be read.
    """
    if not isinstance(path, str | os.PathLike) or not isinstance(os.fspath(path), str):
        raise ValueError(f"`path` must be the path of a TOML file; got {_shown(path)}.")
    try:
        return _game_file(_document(Path(path)), Path(path).stem)
    except ValueError as error:
        name = os.fspath(path)
        raise ValueError(f"`{name if name.isprintable() else ascii(name)[1:-1]}`: {error}") from error


def _game_file(document: dict[str, Any], stem: str) -> GameFile:
    if "format" in document and document["format"] != FORMAT:
        raise _wrong("format", document["format"], f"this version of mfgjax reads {FORMAT!r}")
    _check_keys("", document, _KEYS)
    for key in _REQUIRED:
        if key not in document:
            like = f', as in `format = "{FORMAT}"`' if key == "format" else ""
            raise ValueError(f"`{key}` is missing, but every game file needs it{like}.")
    name = _text("name", document.get("name", stem))
    description = document.get("description", "")
    if not isinstance(description, str):
        raise _wrong("description", description, "it must be a string")
    nodes = _nodes(document["nodes"])
    stages = {key: _node_reward(key, document[key], nodes) for key in ("running", "terminal") if key in document}
    if not stages:
        raise ValueError("`running` and `terminal` are both missing, but a game needs one of them to pay something.")
    game = graph_game(
        _edges(document["edges"], nodes),
        nodes=list(nodes),
        horizon=_whole("horizon", document["horizon"], MAX_HORIZON),
        initial=_initial(document["initial"], nodes),
        discount=_share("discount", document.get("discount", 1.0), "it must lie in (0, 1]"),
        **stages,
    )
    positions = _positions(document["positions"], nodes) if "positions" in document else None
    reference = _reference(document["reference"], game) if "reference" in document else None
    return GameFile(name, game, reference, positions, description)


def _document(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise ValueError("this is a directory, or no regular file." if path.exists() else "there is no such file.")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror}).") from error
    try:
        text = data.decode("utf-8-sig")  # editors under Windows put a byte order mark, which tomllib refuses
    except UnicodeDecodeError as error:
        byte, line = data[error.start], data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"byte {byte:#04x} at line {line} is not UTF-8, in which TOML is written.") from error
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("this is not valid TOML: it is nested too deeply.") from error
    except ValueError as error:  # besides TOMLDecodeError the one of Python for numbers of too many digits
        line = re.search(r"\(at line (\d+), ", str(error))
        quoted = f": {_shown(text.splitlines()[int(line[1]) - 1].strip())}" if line else ""
        raise ValueError(f"this is not valid TOML: {error}{quoted}.") from error


def _nodes(value: Any) -> dict[str, None]:
    """Return the names in order, as the keys of a dict, which finds them fast."""
    nodes: dict[str, None] = {}
    for i, node in enumerate(_list("nodes", value, "a list of names")):
        if _text(f"nodes[{i}]", node) in nodes:
            raise _wrong(f"nodes[{i}]", node, "this name is there twice")
        nodes[node] = None
    return nodes


def _edges(value: Any, nodes: Mapping[str, None]) -> list[tuple[str, str]]:
    must = 'an edge is a pair of names of nodes, as in ["hall", "exit"]'
    for i, edge in enumerate(_list("edges", value, "a list of pairs of nodes")):
        if not isinstance(edge, list) or len(edge) != 2 or not all(isinstance(node, str) for node in edge):
            raise _wrong(f"edges[{i}]", edge, must)
        for node in edge:
            _check_node(f"edges[{i}]", edge, node, nodes)
    return [(start, end) for start, end in value]


def _initial(value: Any, nodes: Mapping[str, None]) -> dict[str, float]:
    masses = _by_node("initial", value, nodes)
    for node, mass in masses.items():
        if not 0 <= mass <= 1:
            raise _wrong(f"initial[{node!r}]", value[node], "a mass must lie in [0, 1]")
    _check_sum("initial", masses, "masses")
    return masses


def _positions(value: Any, nodes: Mapping[str, None]) -> dict[str, tuple[float, float]]:
    positions = {}
    for node, pair in _table("positions", value, "a table of nodes").items():
        place = f"positions[{node!r}]"
        _check_node(place, pair, node, nodes)
        if not isinstance(pair, list) or len(pair) != 2:
            raise _wrong(place, pair, "a position is a pair of numbers [x, y]")
        positions[node] = (_number(f"{place}[0]", pair[0]), _number(f"{place}[1]", pair[1]))
    for node in nodes:
        if node not in positions:
            raise ValueError(f"`positions[{node!r}]` is missing, but all nodes need a position, or none.")
    return {node: positions[node] for node in nodes}


def _node_reward(key: str, value: Any, nodes: Mapping[str, None]) -> NodeReward:
    table = _table(key, value, "a table with `value` or `congestion`")
    _check_keys(f"{key}.", table, _REWARD_KEYS)
    if "value" not in table and "congestion" not in table:
        raise _wrong(key, value, "without `value` or `congestion` it pays nothing (leave it out for that)")
    fields: dict[str, Any] = {}
    for name in ("value", "congestion"):
        given = table.get(name, 0.0)
        place = f"{key}.{name}"
        fields[name] = _by_node(place, given, nodes) if isinstance(given, dict) else _number(place, given)
    fields["scale"] = _number(f"{key}.scale", table.get("scale", 1.0))
    fields["exponent"] = _whole(f"{key}.exponent", table.get("exponent", 1), MAX_EXPONENT)
    _check_size(key, nodes, **fields)
    return NodeReward(**fields)


def _check_size(key: str, nodes: Mapping[str, None], value: Any, congestion: Any, scale: float, exponent: int) -> None:
    """Refuse rewards that overflow: |v − cμ|, convex in μ, is largest at μ = 0 or μ = 1."""
    largest = float(jnp.finfo(_precision()).max)
    for node in nodes:
        v, c = (field.get(node, 0.0) if isinstance(field, dict) else field for field in (value, congestion))
        with np.errstate(over="ignore"):
            power = np.float64(max(abs(v), abs(v - c))) ** exponent
            if max(power, power * abs(scale)) > largest:
                raise ValueError(
                    f"`{key}` has rewards of size {power * abs(scale):.1e} at node {node!r} (value {v:g}, congestion "
                    f"{c:g}, scale {scale:g}, exponent {exponent}), but the largest {_precision()} number is "
                    f"{largest:.1e}."
                )


def _reference(value: Any, game: FiniteHorizonGame) -> Float[Array, "S A"]:
    nexts = dict(zip(game.state_labels, moves(game), strict=True))
    weights = {}
    for node, row in _table("reference", value, "a table of nodes").items():
        place = f"reference[{node!r}]"
        _check_node(place, row, node, nexts)
        _table(place, row, "a table that gives each next node its probability")
        weights[node] = {}
        for target, weight in row.items():
            at = f"{place}[{target!r}]"
            _check_node(at, weight, target, nexts)
            if target not in nexts[node]:
                raise _wrong(at, weight, f"no edge leads there; from {node!r} they lead to {_listed(nexts[node])}")
            must = "a reference must lie in (0, 1] on every edge (without the edge nobody moves there)"
            weights[node][target] = _share(at, weight, must)
        for target in nexts[node]:
            if target not in row:
                raise ValueError(
                    f"`{place}[{target!r}]` is missing, but a reference must be positive on every edge; "
                    f"{place} is {_shown(row)}."
                )
        _check_sum(place, weights[node], "probabilities")
    return policy_on_edges(game, weights)


def _by_node(place: str, value: Any, nodes: Mapping[str, None]) -> dict[str, float]:
    numbers = {}
    for node, number in _table(place, value, "a table of nodes with their numbers").items():
        _check_node(f"{place}[{node!r}]", number, node, nodes)
        numbers[node] = _number(f"{place}[{node!r}]", number)
    return numbers


def _check_sum(place: str, numbers: Mapping[str, float], what: str) -> None:
    total = math.fsum(numbers.values())
    if abs(total - 1) > 1e-8:
        raise ValueError(f"`{place}` sums to {total:.10g}, but {what} must sum to 1 (to within 1e-8).")


def _check_keys(prefix: str, table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    for key, value in table.items():
        if key not in keys:
            must = f"there is no such key{_suggestion(key, keys)}"
            raise _wrong(prefix + (key if key.isidentifier() else repr(key)), value, must)


def _check_node(place: str, value: Any, node: str, nodes: Mapping[str, Any]) -> None:
    if node not in nodes:
        raise _wrong(place, value, f"there is no node {_shown(node)}{_suggestion(node, nodes)}")


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    if word in _KEYS:
        return f"; the key {word!r} must stand above the first [table]"
    return f"; there are {_listed(known)}"


def _listed(words: Iterable[str]) -> str:
    names = [repr(word) for word in words]
    return ", ".join(names if len(names) <= 12 else [*names[:11], "..."])


def _table(place: str, value: Any, kind: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(place, value, f"it must be {kind}")
    return value


def _list(place: str, value: Any, kind: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise _wrong(place, value, f"it must be {kind}, not empty")
    return value


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _wrong(place, value, 'a name must be a string that is not empty, as in "1"')
    return value


def _whole(place: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise _wrong(place, value, f"it must be a whole number from 1 to {most} (without point or quotes)")
    return value


def _number(place: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "; names with a dot need quotes" if isinstance(value, dict) else ""
        raise _wrong(place, value, f"it must be a number{hint}")
    if isinstance(value, float) and not math.isfinite(value):
        raise _wrong(place, value, "it must be a finite number")
    largest = float(jnp.finfo(_precision()).max)
    if abs(value) > largest:  # also for whole numbers beyond any float
        raise _wrong(place, value, f"the largest {_precision()} number is {largest:.1e}")
    return float(value)


def _share(place: str, value: Any, must: str) -> float:
    """Return a number in (0, 1] that stays positive in the precision at work."""
    number = _number(place, value)
    if not 0 < number <= 1:
        raise _wrong(place, value, must)
    smallest = float(jnp.finfo(_precision()).tiny)
    if number < smallest:
        raise _wrong(place, value, f"the smallest positive {_precision()} number is {smallest:.1e}")
    return number


def _precision() -> np.dtype:
    return np.dtype(jnp.result_type(float))


def _wrong(place: str, value: Any, must: str) -> ValueError:
    sentence = f"`{place}` is {_shown(value)}, but {must}"
    return ValueError(sentence if sentence.endswith("?") else f"{sentence}.")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()  # as TOML writes it
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    try:
        text = repr(value).replace("\n", " ")
    except (ValueError, RecursionError):  # numbers of more digits than Python prints, tables nested too deeply
        return f"too long to be shown (of kind {type(value).__name__})"
    return text if len(text) <= 60 else f"{text[:57]}..."
