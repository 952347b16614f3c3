"""The numerical example of Guan et al. (2021), section V, from solving to pictures."""

from .equilibria import NUM_RUNS as NUM_RUNS
from .equilibria import Outcome as Outcome
from .equilibria import Reproduction as Reproduction
from .equilibria import Run as Run
from .equilibria import figure_flow as figure_flow
from .equilibria import figure_graph as figure_graph
from .equilibria import figure_residuals as figure_residuals
from .equilibria import resource_allocation as resource_allocation
from .equilibria import runs as runs
from .equilibria import terminal_cycle as terminal_cycle
from .equilibria import write as write
from .populations import BETAS as BETAS
from .populations import FIT as FIT
from .populations import Populations as Populations
from .populations import figure_gain as figure_gain
from .populations import populations as populations
from .populations import write_gain as write_gain
