"""Games, their rewards, and the maps that an equilibrium is a fixed point of."""

from .distances import flow_distance as flow_distance
from .distances import policy_distance as policy_distance
from .distances import seen_distance as seen_distance
from .finite_horizon import FiniteHorizonGame as FiniteHorizonGame
from .finite_horizon import validate as validate
from .lanes import LaneGame as LaneGame
from .maps import AnyGame as AnyGame
from .maps import BestResponse as BestResponse
from .maps import best_policy as best_policy
from .maps import mean_field_map as mean_field_map
from .maps import moved_on as moved_on
from .maps import propagate as propagate
from .maps import q_operator as q_operator
from .maps import respond as respond
from .maps import state_law as state_law
from .rewards import DenseInteraction as DenseInteraction
from .rewards import OwnStateInteraction as OwnStateInteraction
from .rewards import PairwiseReward as PairwiseReward
from .rewards import Power as Power
from .rewards import Staged as Staged
from .rewards import SuccessorInteraction as SuccessorInteraction
from .stationary import StationaryGame as StationaryGame
from .values import exploitability as exploitability
from .values import policy_value as policy_value
