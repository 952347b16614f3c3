"""Transition kernels: dense tables, successor lists, deterministic moves, and mixtures of them."""

from .base import AbstractKernel as AbstractKernel
from .dense import DenseKernel as DenseKernel
from .mixture import MixtureKernel as MixtureKernel
from .mixture import RestartKernel as RestartKernel
from .moves import MovesKernel as MovesKernel
from .successors import SuccessorKernel as SuccessorKernel
