"""How agents act on their action values."""

from .base import AbstractResponse as AbstractResponse
from .base import AbstractTempered as AbstractTempered
from .base import Backup as Backup
from .boltzmann import Boltzmann as Boltzmann
from .entropy_regularized import EntropyRegularized as EntropyRegularized
from .entropy_regularized import soft_backup as soft_backup
from .greedy import Greedy as Greedy
from .trembling import AbstractTrembling as AbstractTrembling
from .trembling import EpsilonGreedy as EpsilonGreedy
from .trembling import Trembling as Trembling
