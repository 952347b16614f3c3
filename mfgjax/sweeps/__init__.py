"""Equilibria over whole grids of parameters, as labelled data."""

from .entry import sweep as sweep
