"""Ready-made games, each with its source, and functions that build, load and save games.

For first experiments, and for those who bring a game from a graph, a file, QuantEcon or MFGLib. The command line lists
games in this order.
"""
# ruff: noqa: I001

from .resource_allocation import resource_allocation as resource_allocation
from .resource_allocation import resource_allocation_reference as resource_allocation_reference
from .ring_crowd import ring_crowd as ring_crowd
from .grid import grid_crowd as grid_crowd
from .random_dense import random_dense as random_dense
from .small import coordination as coordination
from .small import left_right as left_right
from .infection import infection_spread as infection_spread
from .infection import infection_tipping as infection_tipping
from .mturk import mturk as mturk
from .discrete_dp import from_discrete_dp as from_discrete_dp
from .file import GameFile as GameFile
from .file import load_game as load_game
from .graph import NodeReward as NodeReward
from .graph import graph_game as graph_game
from .graph import moves as moves
from .graph import policy_on_edges as policy_on_edges
from .mfglib import from_mfglib as from_mfglib
from .stationary_graph import stationary_graph_game as stationary_graph_game
from .write import edges_of_policy as edges_of_policy
from .write import save_game as save_game
