"""The public names of the library, which `mfgjax` itself hands on at their first use."""

from . import design as design
from . import finite as finite
from . import games as games
from . import kernels as kernels
from . import learners as learners
from . import responses as responses
from . import results as results
from . import rewards as rewards
from . import solvers as solvers
from ._compiled_on_disk import keep_compiled as keep_compiled
from ._result import RESULTS as RESULTS
from ._result import ConvergenceError as ConvergenceError
from ._simplex import total_variation as total_variation
from .batch import solve_batch as solve_batch
from .certify import Lipschitz as Lipschitz
from .certify import certify as certify
from .certify import check_complementarity as check_complementarity
from .certify import check_monotone_response as check_monotone_response
from .certify import sample_lipschitz as sample_lipschitz
from .cores import use_cpu_cores as use_cpu_cores
from .equilibrium import Equilibrium as Equilibrium
from .kernels import *  # noqa: F403
from .model import Aggregate as Aggregate
from .model import FiniteHorizonGame as FiniteHorizonGame
from .model import PairwiseReward as PairwiseReward
from .model import StationaryGame as StationaryGame
from .model import exploitability as exploitability
from .model import flow_distance as flow_distance
from .model import mean_field_map as mean_field_map
from .model import policy_distance as policy_distance
from .model import policy_value as policy_value
from .model import propagate as propagate
from .model import q_operator as q_operator
from .model import respond as respond
from .model import validate as validate
from .multiplicity import bracket as bracket
from .multiplicity import branch as branch
from .multiplicity import hysteresis as hysteresis
from .multiplicity import multi_start as multi_start
from .responses import *  # noqa: F403
from .solve import solve as solve
from .solvers import *  # noqa: F403

# found in their own rooms alone, as few programs name them
del AbstractKernel, MixtureKernel, RestartKernel
del AbstractResponse, soft_backup
del AbstractMethod, AbstractSolver, Lagged, StationaryLaw
