"""Pictures by matplotlib: populations, policies, sweeps, branches of equilibria, certificates, learners and designs.

For those who want to look at a result; each function draws what one function of the library returns.
"""

from .agents import animate_agents as animate_agents
from .branch import plot_branch as plot_branch
from .crowd import plot_graph as plot_graph
from .finite import plot_gain as plot_gain
from .flow import plot_flow as plot_flow
from .law import plot_law as plot_law
from .learning import plot_learned_laws as plot_learned_laws
from .learning import plot_learning as plot_learning
from .moving import animate_flow as animate_flow
from .order import plot_bracket as plot_bracket
from .order import plot_hysteresis as plot_hysteresis
from .phase import plot_phase as plot_phase
from .places import circle_positions as circle_positions
from .policy import plot_policy as plot_policy
from .residuals import plot_residuals as plot_residuals
from .sensitivity import plot_sensitivity as plot_sensitivity
from .stationary import plot_stationary as plot_stationary
from .sweep_map import plot_sweep_map as plot_sweep_map
from .sweep_page import plot_sweep as plot_sweep
from .thresholds import plot_certificates as plot_certificates
from .thresholds import plot_thresholds as plot_thresholds
from .tuning import plot_laws as plot_laws
from .tuning import plot_search as plot_search
from .tuning import plot_trade_off as plot_trade_off
from .tuning import plot_tuned as plot_tuned
