"""Pictures: of a crowd, of sweeps and of certificates. Each function takes and returns matplotlib's axes or figures."""

from .crowd import circle_positions as circle_positions
from .crowd import plot_flow as plot_flow
from .crowd import plot_graph as plot_graph
from .crowd import plot_residuals as plot_residuals
from .sweep import plot_phase as plot_phase
from .sweep import plot_sweep as plot_sweep
from .sweep import plot_sweep_map as plot_sweep_map
from .thresholds import plot_certificates as plot_certificates
from .thresholds import plot_thresholds as plot_thresholds
