"""Games, their rewards, and the maps that an equilibrium is a fixed point of."""

from .arguments import of_kind as of_kind
from .base import AbstractGame as AbstractGame
from .base import BestResponse as BestResponse
from .base import residual_tolerance as residual_tolerance
from .distances import flow_distance as flow_distance
from .distances import policy_distance as policy_distance
from .finite_horizon import FiniteHorizonGame as FiniteHorizonGame
from .lanes import LaneGame as LaneGame
from .maps import AnyGame as AnyGame
from .maps import mean_field_map as mean_field_map
from .maps import propagate as propagate
from .maps import q_operator as q_operator
from .maps import respond as respond
from .probes import validate as validate
from .rewards import DenseInteraction as DenseInteraction
from .rewards import OwnStateInteraction as OwnStateInteraction
from .rewards import PairwiseReward as PairwiseReward
from .rewards import Power as Power
from .rewards import Staged as Staged
from .rewards import SuccessorInteraction as SuccessorInteraction
from .stationary import StationaryGame as StationaryGame
from .traced import is_own as is_own
from .traced import trace_game as trace_game
from .traced import with_users_functions as with_users_functions
from .values import exploitability as exploitability
from .values import policy_value as policy_value
