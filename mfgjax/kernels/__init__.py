"""Transition kernels: dense tables, successor lists, deterministic moves."""

from .base import AbstractKernel as AbstractKernel
from .dense import DenseKernel as DenseKernel
from .moves import MovesKernel as MovesKernel
from .successors import SuccessorKernel as SuccessorKernel
