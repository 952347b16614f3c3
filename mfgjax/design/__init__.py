"""Design: find the reference policy, rewards or other parameters whose equilibrium is the wanted one.

For those who shape a crowd, and for those who ask on which numbers an equilibrium depends most.
"""

from .effort import LeastEffort as LeastEffort
from .effort import least_effort_policy as least_effort_policy
from .inverse import InverseReference as InverseReference
from .inverse import inverse_reference as inverse_reference
from .objectives import AbstractObjective as AbstractObjective
from .objectives import Cost as Cost
from .objectives import Entropy as Entropy
from .objectives import Inequality as Inequality
from .objectives import Occupancy as Occupancy
from .objectives import ReferenceChange as ReferenceChange
from .objectives import TargetFlow as TargetFlow
from .objectives import TargetLaw as TargetLaw
from .problem import DesignProblem as DesignProblem
from .problem import load_problem as load_problem
from .sensitivity import Sensitivity as Sensitivity
from .sensitivity import sensitivity as sensitivity
from .trade_off import TradeOff as TradeOff
from .trade_off import trade_off as trade_off
from .tune import Tuned as Tuned
from .tune import tune as tune
from .variables import Variable as Variable
