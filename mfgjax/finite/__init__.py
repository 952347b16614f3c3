"""Finite populations: what changes if N agents play, up to N = 1e9, in place of infinitely many.

For those who want to know how well a mean-field policy does among N agents: exactly where that can be computed, else by
simulation.
"""

from .compare import Comparison as Comparison
from .compare import compare as compare
from .deviation import DeviationGain as DeviationGain
from .deviation import deviation_gain as deviation_gain
from .law import PopulationLaw as PopulationLaw
from .law import law as law
from .simulate import simulate as simulate
from .simulation import Simulation as Simulation
from .smallest import SmallestPopulation as SmallestPopulation
from .smallest import smallest_population as smallest_population
