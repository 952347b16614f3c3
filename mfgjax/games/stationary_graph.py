"""Games without an end of a crowd that moves along the edges of a graph."""

from collections.abc import Hashable, Sequence
from typing import Any

from .. import _checks
from .._modes import in_own_modes
from .._typing import ArrayLike
from ..kernels import MovesKernel
from ..model import OwnStateInteraction, PairwiseReward, StationaryGame
from .graph import NodeReward, next_nodes, per_node


@in_own_modes
def stationary_graph_game(
    edges: Any,
    reward: NodeReward,
    discount: ArrayLike,
    *,
    initial: Any = None,
    nodes: Sequence[Hashable] | None = None,
) -> StationaryGame:
    """Build the stationary game of a crowd that moves along the edges of a directed graph, without a last time.

    It is like `graph_game`, with the same reward at all times; an equilibrium is a law of the nodes that does not
    change. A node to which no agent can return is empty in the long run. If parts of the graph are not connected, the
    initial law decides how many agents are in each part.

    Args:
      edges: pairs (from, to), or a networkx graph (undirected edges lead both ways).
      reward: the reward of the nodes.
      discount: γ in (0, 1), per move.
      initial: law of the nodes from which iterations start: a mapping from names (other nodes get 0) or an array in the
        order of nodes; None: uniform.
      nodes: names of the nodes in order; None: those of the graph, or in the order in which `edges` first has them.

    Returns:
      A `StationaryGame` with `MovesKernel` and `PairwiseReward`.

    Raises:
      ValueError: naming the edge or the node that does not fit.

    Example:
      >>> import mfgjax as mfg
      >>> edges = [("a", "a"), ("a", "b"), ("b", "b"), ("b", "a")]
      >>> game = mfg.games.stationary_graph_game(edges, mfg.games.NodeReward(congestion=1.0), discount=0.9)
      >>> mfg.games.moves(game)
      [['a', 'b'], ['b', 'a']]
    """
    if not isinstance(reward, NodeReward):
        raise ValueError(f"`reward` must be a `NodeReward`; got {_checks.shorten(reward)}.")
    names, table = next_nodes(edges, nodes)
    place = {name: i for i, name in enumerate(names)}
    value = per_node("reward.value", reward.value, place)
    weight = -per_node("reward.congestion", reward.congestion, place)
    return StationaryGame(
        MovesKernel(table),
        # Θ itself, not `Staged`: there is no end
        PairwiseReward(OwnStateInteraction(value[:, None], weight[:, None]), reward.theta),
        discount,
        initial=None if initial is None else per_node("initial", initial, place, one_for_all=False),
        available=table >= 0,
        state_labels=[str(name) for name in names],
        action_labels=[f"edge {k}" for k in range(table.shape[1])],
    )
