"""The resource-allocation game of Guan et al."""

import numpy as np

from .. import _checks
from .._modes import in_own_modes
from .._typing import Array, Float
from ..model import FiniteHorizonGame, game_of
from .graph import NodeReward, graph_game, policy_on_edges

_MOVES = {"1": "125", "2": "234", "3": "34", "4": "345", "5": "15"}


@in_own_modes
def resource_allocation(preset: str = "paper", *, self_loop_at_2: bool = True) -> FiniteHorizonGame:
    """Build the resource-allocation example of Guan et al.: a crowd on five nodes chooses where to be at time 5.

    States: nodes 1..5. Actions: the edges 1→{1,2,5}, 2→{2,3,4}, 3→{3,4}, 4→{3,4,5}, 5→{1,5}. Horizon 5, and
    μ_0 = (.3, .2, .3, .1, .1). Only time 5 pays: (1.5·1{s=3} + 1{s=4} − μ(s))², so that being at 3 or 4 is
    worth more the fewer are there. As the square is taken of a negative number at nodes 1, 2 and 5, a crowd
    there is a small bonus.

    Without regularisation the equilibrium law at time 5 is (0, 0, .75, .25, 0), where 3 and 4 pay the same.

    Args:
      preset: "paper": as printed. "author-code": rewards times 0.6 and discount 0.9, as in the first
        author's published code.
      self_loop_at_2: False takes the edge 2→2 away, as the paper's fifth footnote supposes.

    Raises:
      ValueError: if there is no such preset.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.resource_allocation()
      >>> game.num_states, game.num_actions, game.horizon
      (5, 3, 5)

    Source: Guan et al. (2021), arXiv:2110.07469, section V; what the text leaves open (μ_0, H, the
    reference policy) is as in the first author's published code.
    """
    _checks.one_of("preset", preset, ("paper", "author-code"))
    self_loop_at_2 = _checks.boolean("self_loop_at_2", self_loop_at_2)
    scale, discount = (1.0, 1.0) if preset == "paper" else (0.6, 0.9)
    edges = [(s, n) for s, nexts in _MOVES.items() for n in nexts if self_loop_at_2 or (s, n) != ("2", "2")]
    return graph_game(
        edges,
        nodes=list(_MOVES),
        horizon=5,  # this and μ_0 are not in the paper, but in its first author's code
        initial=[0.3, 0.2, 0.3, 0.1, 0.1],
        terminal=NodeReward(value={"3": 1.5, "4": 1.0}, congestion=1.0, scale=scale, exponent=2),
        discount=discount,
    )


def resource_allocation_reference(game: FiniteHorizonGame) -> Float[Array, "S A"]:
    """Return the coordinator's reference policy of `resource_allocation`: go to nodes 3 and 4, in equal parts.

    Args:
      game: from `resource_allocation`; without the loop at node 2 it is one half each at that node.

    Returns:
      ρ(a|s) as `[5, 3]`, the same at all times.

    Example:
      >>> import mfgjax as mfg
      >>> game = mfg.games.resource_allocation()
      >>> rho = mfg.games.resource_allocation_reference(game)
      >>> response = mfg.EntropyRegularized(beta=3.0, reference=rho)
      >>> rho.shape  # states, actions
      (5, 3)

    Source: Guan et al. (2021), arXiv:2110.07469, section V with footnote 5; numbers as in the first
    author's published code.
    """
    # all three actions at node 2: the loop is there
    has_loop = bool(np.asarray(game_of(game).available)[0, 1].all())
    at_2 = {"2": 0.02, "3": 0.49, "4": 0.49} if has_loop else {"3": 0.5, "4": 0.5}
    weights = {
        "1": {"1": 0.01, "2": 0.98, "5": 0.01},
        "2": at_2,
        "3": {"3": 0.5, "4": 0.5},
        "4": {"3": 0.5, "4": 0.49, "5": 0.01},
        "5": {"1": 0.99, "5": 0.01},
    }
    return policy_on_edges(game, weights)
