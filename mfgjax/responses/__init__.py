"""How agents act on their action values: softly, greedily, or with random mistakes.

For everybody who solves a game; a response of your own is a subclass of `AbstractResponse`. The command line lists
responses in this order.
"""
# ruff: noqa: I001

from .base import AbstractResponse as AbstractResponse
from .entropy_regularized import EntropyRegularized as EntropyRegularized
from .entropy_regularized import soft_backup as soft_backup
from .boltzmann import Boltzmann as Boltzmann
from .greedy import Greedy as Greedy
from .trembling import Trembling as Trembling
from .trembling import EpsilonGreedy as EpsilonGreedy
