"""Rewards of the papers' class, and the interactions that they are made of."""

from .model import OwnStateInteraction as OwnStateInteraction
from .model import PairwiseReward as PairwiseReward
from .model import Power as Power
from .model import SuccessorInteraction as SuccessorInteraction
