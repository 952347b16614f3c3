"""Functions on arrays: scans over time, and fixed points of discounted problems without an end."""

from .backward import backward as backward
from .backward import policies as policies
from .evaluate import evaluate as evaluate
from .forward import forward as forward
from .stationary import Decision as Decision
from .stationary import action_gap as action_gap
from .stationary import certain_policy as certain_policy
from .stationary import chain_law as chain_law
from .stationary import has_ties as has_ties
from .stationary import improve as improve
from .stationary import occupancy as occupancy
from .stationary import policy_iteration as policy_iteration
from .stationary import policy_values as policy_values
from .stationary import response_values as response_values
from .stationary import settled_law as settled_law
from .stationary import value_iteration as value_iteration
