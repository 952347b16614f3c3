"""Finite populations: N agents exactly where that can be computed, and by simulation at any N up to 1e9."""

from .simulate import Simulation as Simulation
from .simulate import simulate as simulate
