"""Rewards of agents who meet in pairs, the class of the papers, and the interactions that such rewards consist of.

For those who build a game from tables; a reward may also be an array or a Python function.
"""

from .model import OwnStateInteraction as OwnStateInteraction
from .model import PairwiseReward as PairwiseReward
from .model import Power as Power
from .model import SuccessorInteraction as SuccessorInteraction
