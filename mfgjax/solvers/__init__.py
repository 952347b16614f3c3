"""Methods for the fixed-point equation of an equilibrium."""

from .anderson import Anderson as Anderson
from .auto import Auto as Auto
from .base import AbstractMethod as AbstractMethod
from .base import AbstractSolver as AbstractSolver
from .base import Problem as Problem
from .continuation import Continuation as Continuation
from .lagged import Lagged as Lagged
from .mirror_descent import MirrorDescent as MirrorDescent
from .newton import Newton as Newton
from .picard import Picard as Picard
from .stationary_law import StationaryLaw as StationaryLaw
