"""How an agent moves: kernels stored as dense tables, lists of successors or deterministic moves, and mixtures of them.

For those who build a game of their own; the three most common kernels are also at the top level.
"""

from .base import AbstractKernel as AbstractKernel
from .dense import DenseKernel as DenseKernel
from .mixture import MixtureKernel as MixtureKernel
from .mixture import RestartKernel as RestartKernel
from .moves import MovesKernel as MovesKernel
from .successors import SuccessorKernel as SuccessorKernel
