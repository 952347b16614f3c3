"""Equilibria over whole grids of parameters, as labelled data."""

from .blocks import join_sweep as join_sweep
from .sweep import sweep as sweep
