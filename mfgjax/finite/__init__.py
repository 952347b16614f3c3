"""Finite populations: N agents exactly where that can be computed, and by simulation at any N up to 1e9."""

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
