"""Games of a crowd that moves along the edges of a graph."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .. import _checks
from .._display import shows_itself
from .._modes import in_own_modes
from .._names import suggestion
from .._plain import shorten_list
from .._typing import Array, ArrayLike, Float
from ..kernels import MovesKernel
from ..model import AbstractGame, FiniteHorizonGame, OwnStateInteraction, PairwiseReward, Power, Staged, game_of


@shows_itself
class NodeReward(eqx.Module):
    """The reward of the nodes of a graph: scale · (value(s) − congestion(s) · μ(s))^exponent at node s.

    Args:
      value: the value of each node: a mapping from names (other nodes get 0), an array, or one number for all.
      congestion: the weight of the crowd at each node, in the same form; positive numbers repel.
      scale: a number.
      exponent: a whole number ≥ 1.
    """

    value: Any
    congestion: Any
    theta: Power

    def __init__(self, value: Any = 0.0, congestion: Any = 0.0, scale: ArrayLike = 1.0, exponent: int = 1):
        self.value, self.congestion = value, congestion
        self.theta = Power(scale=scale, exponent=exponent)


@in_own_modes
def graph_game(
    edges: Any,
    *,
    horizon: int,
    initial: Any,
    running: NodeReward | None = None,
    terminal: NodeReward | None = None,
    nodes: Sequence[Hashable] | None = None,
    discount: ArrayLike = 1.0,
) -> FiniteHorizonGame:
    """Build the game of a crowd that moves along the edges of a directed graph.

    Action k at a node is its k-th outgoing edge, in the given order; `moves(game)` lists them. A self-loop is an edge
    like any other: at a node without one nobody can stay.

    Args:
      edges: pairs (from, to), or a networkx graph (undirected edges lead both ways).
      horizon: H ≥ 1, the number of moves.
      initial: law of the nodes at time 0: a mapping from names (other nodes get 0) or an array in the order of nodes.
      running: what nodes pay at t < H. One of `running` and `terminal` must be given.
      terminal: what they pay at H.
      nodes: names of the nodes in order; None: those of the graph, or in the order in which `edges` first has them.
      discount: γ in (0, 1].

    Returns:
      A `FiniteHorizonGame` with `MovesKernel` and `PairwiseReward`.

    Raises:
      ValueError: naming the edge or the node that does not fit.

    Example:
      >>> import mfgjax as mfg
      >>> edges = [("home", "home"), ("home", "bar"), ("bar", "bar")]
      >>> bar = mfg.games.NodeReward(value={"bar": 1.0}, congestion={"bar": 2.0})
      >>> game = mfg.games.graph_game(edges, horizon=2, initial={"home": 1.0}, terminal=bar)
      >>> mfg.games.moves(game)
      [['home', 'bar'], ['bar']]
    """
    names, table = next_nodes(edges, nodes)
    place = {name: i for i, name in enumerate(names)}
    horizon = _checks.integer_at_least("horizon", horizon, 1)
    for name, reward in (("running", running), ("terminal", terminal)):
        if reward is not None and not isinstance(reward, NodeReward):
            raise ValueError(f"`{name}` must be a `NodeReward`, or None; got {_checks.shorten(reward)}.")
    pays = running is not None or terminal is not None
    stages = {"running": running or NodeReward(), "terminal": terminal or NodeReward()}
    value = [per_node(f"{name}.value", stage.value, place) for name, stage in stages.items()]
    # congestion is what others cost
    weight = [-per_node(f"{name}.congestion", stage.congestion, place) for name, stage in stages.items()]
    law = per_node("initial", initial, place, one_for_all=False)
    if not pays:
        raise ValueError(
            "`running` and `terminal` are both missing, but a game needs one of them to pay something: "
            "`running=NodeReward()` pays 0."
        )
    at_end = np.minimum(np.arange(horizon + 1) // horizon, 1)  # 0 before the end, 1 at the end
    # one column: a node pays the same whichever edge is taken
    interaction = OwnStateInteraction(np.stack(value)[at_end][..., None], np.stack(weight)[at_end][..., None])
    return FiniteHorizonGame(
        MovesKernel(table),
        PairwiseReward(interaction, Staged(stages["running"].theta, stages["terminal"].theta, horizon)),
        law,
        horizon,
        available=table >= 0,
        discount=discount,
        state_labels=[str(name) for name in names],  # networkx takes any hashable object for a name
        action_labels=[f"edge {k}" for k in range(table.shape[1])],
    )


def next_nodes(edges: Any, nodes: Sequence[Hashable] | None) -> tuple[list[Hashable], np.ndarray]:
    """Return the names of the nodes, and the node that each edge of each node leads to, padded with −1.

    Args:
      edges: as in `graph_game`.
      nodes: likewise.
    """
    if hasattr(edges, "edges") and hasattr(edges, "nodes"):  # by attributes: pairs need no networkx
        graph = edges if edges.is_directed() else edges.to_directed()
        nodes, edges = list(graph.nodes) if nodes is None else nodes, list(graph.edges())
    pairs = _pairs(edges)
    # a dict keeps the order in which names first appear
    names = list(dict.fromkeys(node for pair in pairs for node in pair)) if nodes is None else _nodes(nodes)
    place = {name: i for i, name in enumerate(names)}
    if len(place) != len(names):
        twice = next(node for i, node in enumerate(names) if node in names[:i])
        raise ValueError(f"`nodes` must not repeat a name; {twice!r} occurs twice.")
    successors: list[list[int]] = [[] for _ in names]
    for i, (start, end) in enumerate(pairs):
        for node in (start, end):
            if node not in place:
                raise ValueError(f"`edges[{i}]` is ({start!r}, {end!r}), but there is no node {node!r}.")
        if place[end] in successors[place[start]]:
            raise ValueError(f"`edges[{i}]` is ({start!r}, {end!r}), which occurs twice.")
        successors[place[start]].append(place[end])
    for name, nexts in zip(names, successors, strict=True):
        if not nexts:
            raise ValueError(f"`edges` has no edge that leaves node {name!r}; a node to stay at needs a self-loop.")
    table = np.full((len(names), max(map(len, successors))), -1)  # padded: nodes have different numbers of edges
    for s, nexts in enumerate(successors):
        table[s, : len(nexts)] = nexts
    return names, table


def _pairs(edges: Iterable) -> list[tuple[Hashable, Hashable]]:
    try:
        pairs = [tuple(edge) for edge in edges]
    except TypeError as error:
        got = _checks.shorten(edges)
        raise ValueError(f"`edges` must be pairs of nodes or a networkx graph; got {got}.") from error
    if not pairs:
        raise ValueError("`edges` is empty; a graph needs an edge.")
    for i, pair in enumerate(pairs):
        if len(pair) != 2:
            raise ValueError(f"`edges[{i}]` is {_checks.shorten(pair)}, but an edge is a pair of nodes.")
        _hashable(f"edges[{i}]", pair)
    return pairs


def _nodes(nodes: Any) -> list[Hashable]:
    if isinstance(nodes, str) or not isinstance(nodes, Iterable):  # a string is iterable, but its letters are not meant
        raise ValueError(f"`nodes` must be a list of names; got {_checks.shorten(nodes)}.")
    names = list(nodes)
    for i, name in enumerate(names):
        _hashable(f"nodes[{i}]", name)
    return names


def _hashable(name: str, value: Any) -> None:
    try:
        hash(value)  # the only sure test: a tuple is hashable only if what it holds is
    except TypeError as error:
        got = _checks.shorten(value)
        raise ValueError(f"`{name}` is {got}, but names are strings, numbers or tuples of them.") from error


def per_node(name: str, values: Any, place: Mapping[Hashable, int], one_for_all: bool = True) -> np.ndarray:
    """Return one number per node from a mapping (others 0), an array, or, unless it is a law, a number."""
    if isinstance(values, Mapping):
        array = np.zeros(len(place))
        for node, value in values.items():
            if node not in place:
                raise ValueError(f"`{name}` has the key {node!r}, {_no_node(node, place)}.")
            number = _checks.as_numbers(f"{name}[{node!r}]", value, "a real number")
            if number.shape != ():
                raise ValueError(f"`{name}[{node!r}]` must be one number; got an array of shape {number.shape}.")
            _untraced(f"{name}[{node!r}]", number)
            array[place[node]] = float(number)
    else:
        numbers = np.asarray(_untraced(name, _checks.as_numbers(name, values)))
        if one_for_all:
            _checks.shape_is(name, numbers, [(), (len(place),)], "one number, or one for each node")
        else:
            _checks.shape_is(name, numbers, [(len(place),)], "one share for each node")
        array = np.broadcast_to(numbers, (len(place),))
    _checks.finite(name, array)
    return array


def _no_node(node: Hashable, nodes: Iterable[Hashable]) -> str:
    """Return the end of an error on a node that does not exist, with the nearest name and the first ones."""
    names = list(map(str, nodes))
    return f"but there is no such node{suggestion(str(node), names)}: they are {shorten_list(names)}"


def _untraced(name: str, number: Array) -> Array:
    if _checks.is_traced(number):
        raise ValueError(f"`{name}` is traced, but a graph game is built of known numbers: build it outside `jit`.")
    return number


def _moves_kernel(game: AbstractGame) -> MovesKernel:
    game_of(game)
    if not isinstance(game.kernel, MovesKernel):
        raise ValueError(f"`game.kernel` must be a `MovesKernel`; got {type(game.kernel).__name__}.")
    return game.kernel


def moves(game: AbstractGame) -> list[list[str]]:
    """Return the names of the states to which the available actions of each state lead, in the order of actions.

    Args:
      game: a game with a `MovesKernel`, such as `graph_game` builds.

    Example:
      >>> import mfgjax as mfg
      >>> mfg.games.moves(mfg.games.left_right())[0]  # from the centre
      ['left', 'right']
    """
    table = np.asarray(_moves_kernel(game).next_state)
    available = np.atleast_2d(np.asarray(game.available).any(axis=0))
    return [
        [game.state_labels[n] for n, ok in zip(row, mask, strict=True) if ok]
        for row, mask in zip(table, available, strict=True)
    ]


def policy_on_edges(
    game: AbstractGame,
    weights: Mapping[str, Mapping[str, float]],
    *,
    name: str = "reference",
) -> Float[Array, "S A"]:
    """Build a policy from the probabilities of the moves, given for each node.

    Args:
      game: a graph game.
      weights: for each node, a mapping from the next nodes to probabilities; a node that is left out moves uniformly.
      name: the name of the policy, for error messages.

    Returns:
      The policy `[S, A]`, the same at all times.

    Raises:
      ValueError: naming the node or the move that does not exist.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.left_right()
      >>> policy = mfg.games.policy_on_edges(game, {"centre": {"left": 0.75, "right": 0.25}})
      >>> policy[0].tolist()
      [0.75, 0.25]
    """
    next_state = np.asarray(_moves_kernel(game).next_state)
    table = np.where(np.asarray(game.available)[0], next_state, -1)
    if not isinstance(weights, Mapping):
        raise ValueError(f"`{name}` must map nodes to the weights of their moves; got {_checks.shorten(weights)}.")
    place = {label: i for i, label in enumerate(game.state_labels)}
    policy = (table >= 0) / (table >= 0).sum(axis=1, keepdims=True)
    for node, row in weights.items():
        if node not in place:
            raise ValueError(f"`{name}` has the key {node!r}, {_no_node(node, place)}.")
        if not isinstance(row, Mapping):
            raise ValueError(f"`{name}[{node!r}]` must map nodes to weights; got {_checks.shorten(row)}.")
        s = place[node]
        policy[s] = 0  # moves that the row does not name have probability 0
        for target, weight in row.items():
            # -2 is equal to no entry, also not to the -1 of padding
            actions = np.flatnonzero(table[s] == place.get(target, -2))
            if not len(actions):
                raise ValueError(f"`{name}[{node!r}]` has the key {target!r}, but no edge leads there from {node!r}.")
            anything = (-float("inf"), float("inf"), "[-inf, inf]")  # signs and sums are checked below, row by row
            policy[s, actions[0]] = _checks.number_in(f"{name}[{node!r}][{target!r}]", weight, *anything)
    _checks.distribution(name, policy, leading=1)
    return _checks.as_numbers(name, policy)
