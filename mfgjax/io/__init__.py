"""Save and load equilibria and games as netCDF files, and turn equilibria into labelled datasets and tables.

For those who keep results, or analyse them with xarray and pandas.
"""

from .describe import describe as describe
from .equilibria import load_equilibrium as load_equilibrium
from .equilibria import save_equilibrium as save_equilibrium
from .equilibria import to_dataset as to_dataset
from .frame import to_frame as to_frame
from .game_files import load_game as load_game
from .game_files import save_game as save_game
