"""Design: the reference policy that makes a crowd do what is wanted."""

from .effort import LeastEffort as LeastEffort
from .effort import least_effort_policy as least_effort_policy
from .inverse import InverseReference as InverseReference
from .inverse import inverse_reference as inverse_reference
from .sensitivity import Sensitivity as Sensitivity
from .sensitivity import sensitivity as sensitivity
