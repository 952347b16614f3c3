"""Several equilibria: paths along a parameter, extreme equilibria, hysteresis, and searches from many starts."""

from .bracket import Bracket as Bracket
from .bracket import bracket as bracket
from .branch import Branch as Branch
from .branch import branch as branch
from .hysteresis import Hysteresis as Hysteresis
from .hysteresis import hysteresis as hysteresis
from .multi_start import MultiStart as MultiStart
from .multi_start import multi_start as multi_start
