"""The classes of what functions return: for annotations, and to look up what their fields mean."""

from ._result import Result as Result
from .certify import Certificate as Certificate
from .certify import Complementarity as Complementarity
from .certify import MonotoneResponse as MonotoneResponse
from .certify import Report as Report
from .equilibrium import Equilibrium as Equilibrium
from .model import BestResponse as BestResponse
from .multiplicity import Bracket as Bracket
from .multiplicity import Branch as Branch
from .multiplicity import Hysteresis as Hysteresis
from .multiplicity import MultiStart as MultiStart
