"""Methods that find an equilibrium: the default `Auto`, which tries several in turn, and each of them by itself.

For those who want to choose the method; `solve` without a solver takes `Auto`. The command line lists solvers in this
order.
"""
# ruff: noqa: I001

from .base import AbstractMethod as AbstractMethod
from .base import AbstractSolver as AbstractSolver
from .auto import Auto as Auto
from .picard import Picard as Picard
from .anderson import Anderson as Anderson
from .newton import Newton as Newton
from .mirror_descent import MirrorDescent as MirrorDescent
from .continuation import Continuation as Continuation
from .lagged import Lagged as Lagged
from .stationary_law import StationaryLaw as StationaryLaw
