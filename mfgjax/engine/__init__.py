"""From a game, a response and a solver to an equilibrium: what every entry point of the library runs through.

prepare -> run (the methods in turn, each by the one loop) -> finish (all that follows, and the derivative)
"""

from .finish import finish as finish
from .finish import finish_lanes as finish_lanes
from .finish import unsound as unsound
from .lanes import Lanes as Lanes
from .prepare import Prepared as Prepared
from .prepare import fit_response as fit_response
from .prepare import prepare as prepare
from .run import equilibria as equilibria
from .run import join as join
from .run import measure as measure
from .run import run as run
from .run import run_stage as run_stage
