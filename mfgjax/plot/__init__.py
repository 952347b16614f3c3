"""Pictures: of crowds, finite populations, sweeps and certificates. Functions take and return matplotlib's axes."""

from .crowd import circle_positions as circle_positions
from .crowd import plot_flow as plot_flow
from .crowd import plot_graph as plot_graph
from .crowd import plot_residuals as plot_residuals
from .finite import animate_agents as animate_agents
from .finite import plot_gain as plot_gain
from .sensitivity import plot_sensitivity as plot_sensitivity
from .sweep import plot_phase as plot_phase
from .sweep import plot_sweep as plot_sweep
from .sweep import plot_sweep_map as plot_sweep_map
from .thresholds import plot_certificates as plot_certificates
from .thresholds import plot_thresholds as plot_thresholds
