"""Equilibria over whole grids of parameters, as labelled data."""

from .sweep import sweep as sweep
