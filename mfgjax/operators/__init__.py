"""Functions on arrays: scans over time, and fixed points of discounted problems without an end."""

from .backward import backward as backward
from .backward import policies as policies
from .evaluate import evaluate as evaluate
from .forward import forward as forward
from .laws import chain_law as chain_law
from .laws import occupancy as occupancy
from .laws import settled_law as settled_law
from .laws import stationary_law as stationary_law
from .stationary import Decision as Decision
from .stationary import action_gap as action_gap
from .stationary import certain_policy as certain_policy
from .stationary import has_ties as has_ties
from .stationary import improve as improve
from .stationary import policy_values as policy_values
from .stationary import relative_values as relative_values
from .stationary import response_values as response_values
