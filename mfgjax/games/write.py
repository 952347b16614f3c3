"""Writing of graph games to TOML files, which `load_game` reads."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import _checks
from ..kernels import MovesKernel
from ..model import AbstractGame, OwnStateInteraction, PairwiseReward, Power, Staged, game_of
from ..model.canonical import axes_of
from .file import FORMAT, GameFile
from .graph import moves


def save_game(path: str | os.PathLike[str], file: GameFile) -> None:
    """Write a graph game to a TOML file.

    `load_game` reads the same game from it, to the last digit of every number. Other games that consist of tables are
    saved by `mfgjax.io.save_game`.

    Args:
      path: the path of the file, which ends in ".toml" and is replaced if it exists; its folder must exist.
      file: the game with its name, its reference (the same at all times) and the positions of its nodes.

    Raises:
      ValueError: if the format cannot hold something, such as a reward that depends on pairs of nodes, or the path has
        another ending.
      OSError: if the file cannot be written.

    Example:
      >>> import mfgjax as mfg
      >>> file = mfg.games.GameFile("sides", mfg.games.left_right(), None, None, "")
      >>> mfg.games.save_game("sides.toml", file)
      >>> mfg.games.load_game("sides.toml").game.state_labels
      ('centre', 'left', 'right')
    """
    _checks.path_to_write("path", path, ".toml").write_text(game_text(file), encoding="utf-8")


def game_text(file: GameFile) -> str:
    """Return a graph game as `save_game` writes it."""
    game = file.game
    stages = _stages(game)
    nexts = moves(game)
    labels = game.state_labels
    lines = [f"format = {_toml(FORMAT)}", f"name = {_toml(file.name)}", f"description = {_toml(file.description)}", ""]
    lines += [f"horizon = {game.horizon}"] if game.times else []
    lines += [f"discount = {_toml(float(game.discount))}", ""]
    lines += [f"nodes = {_toml(labels)}", "edges = ["]
    for node, ends in zip(labels, nexts, strict=True):
        lines.append("  " + " ".join(f"{_toml([node, end])}," for end in ends))
    lines += ["]", "", "[initial]"]  # tables come last: in TOML a key below one would belong to it
    lines += [f"{_toml(node)} = {_toml(float(m))}" for node, m in zip(labels, _initial(game), strict=True) if m > 0]
    if file.positions is not None:
        lines += ["", "[positions]"]
        lines += [f"{_toml(node)} = {_toml([float(x) for x in file.positions[node]])}" for node in labels]
    for name, (value, congestion, theta) in stages.items():
        lines += ["", f"[{name}]", f"scale = {_toml(float(theta.scale))}", f"exponent = {theta.exponent}"]
        for key, numbers in (("value", value), ("congestion", congestion)):
            # what is not named is 0 to the reader
            rows = {node: float(x) for node, x in zip(labels, numbers, strict=True) if x}
            lines.append(f"{key} = {_toml(rows)}" if rows else f"{key} = 0.0")
    if file.reference is not None:
        lines += ["", "[reference]"]
        rows = edges_of_policy(game, file.reference)
        lines += [f"{_toml(node)} = {_toml(row)}" for node, row in rows.items()]
    return "\n".join(lines) + "\n"


def edges_of_policy(game: AbstractGame, policy: Any) -> dict[str, dict[str, float]]:
    """Return the probabilities of the moves of a policy, for each node: the inverse of `policy_on_edges`.

    Args:
      game: a graph game.
      policy: π(a|s) as `[S, A]`, or `[1, S, A]`.

    Raises:
      ValueError: if the policy changes over time, or a row does not sum to 1.

    Example:
      >>> import mfgjax as mfg, numpy as np
      >>> game = mfg.games.left_right()
      >>> mfg.games.edges_of_policy(game, np.full((3, 2), 0.5))["centre"]
      {'left': 0.5, 'right': 0.5}
    """
    axes = axes_of(game_of(game).state_labels, game.action_labels)
    table = np.asarray(_checks.as_numbers("policy", policy, axes=axes))
    _checks.shape_is("policy", table, [(None, *game.available.shape[1:]), game.available.shape[1:]], "states, actions")
    _checks.distribution("policy", table, leading=table.ndim - 1)
    if table.ndim == 3 and len(table) != 1:
        raise ValueError(
            f"`policy` has {len(table)} times, but it must be the same at all times: `[S, A]`, or `[1, S, A]`."
        )
    rows = zip(game.state_labels, moves(game), table.reshape(table.shape[-2:]), _available(game), strict=True)
    return {node: dict(zip(nexts, map(float, row[mask]), strict=True)) for node, nexts, row, mask in rows}


def _available(game: AbstractGame) -> np.ndarray:
    return np.asarray(np.asarray(game.available).any(axis=0))


def _initial(game: AbstractGame) -> np.ndarray:
    law = np.asarray(game.initial, float)
    return law if abs(law.sum() - 1) < 1e-9 else law / law.sum()  # a single-precision law in double


def _stages(game: AbstractGame) -> dict[str, tuple[np.ndarray, np.ndarray, Power]]:
    """Return value, congestion and Θ of the nodes for each stage, and refuse what the format cannot hold."""
    if not isinstance(game.kernel, MovesKernel):
        raise ValueError(
            f"`game.kernel` is a {type(game.kernel).__name__}, but the file format holds only games on a graph, whose "
            "kernel is a `MovesKernel`."
        )
    if len(np.asarray(game.available)) > 1:
        raise ValueError("`game.available` changes over time, which the file format cannot hold.")
    reward = game.reward
    if not isinstance(reward, PairwiseReward) or not isinstance(reward.L, OwnStateInteraction):
        raise ValueError(
            "`game.reward` must be a `PairwiseReward` whose L is an `OwnStateInteraction`: the file format cannot hold "
            "another reward."
        )
    theta = Power() if reward.theta is None else reward.theta
    running, terminal = (theta.running, theta.terminal) if isinstance(theta, Staged) else (theta, theta)
    if not isinstance(running, Power) or not isinstance(terminal, Power):
        raise ValueError(f"`game.reward.theta` is a {type(theta).__name__}, which the file format cannot hold.")
    times = game.horizon + 1
    tables = []
    for name, leaf, sign in (("base", reward.L.base, 1), ("weight", reward.L.weight, -1)):
        table = np.asarray(leaf, float)
        if (table != table[:, :, :1]).any():
            raise ValueError(f"`game.reward.L.{name}` differs between actions, which the file format cannot hold.")
        table = np.broadcast_to(table[:, :, 0], (times, game.num_states))
        if (table[:-1] != table[0]).any():  # the last time may differ: it is the stage [terminal]
            raise ValueError(f"`game.reward.L.{name}` changes before the last time, which the file format cannot hold.")
        tables.append(sign * table)
    if not game.times:
        return {"running": (tables[0][0], tables[1][0], running)}
    stages = {"running": (tables[0][0], tables[1][0], running), "terminal": (tables[0][-1], tables[1][-1], terminal)}
    paying = {name: stage for name, stage in stages.items() if stage[0].any() or stage[1].any()}
    return paying or {"terminal": stages["terminal"]}  # the format wants a stage that pays, if only 0


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one that JSON leaves as it is
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return repr(value)  # the shortest digits that give the same number back
