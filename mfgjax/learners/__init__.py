"""Learners: reinforcement learning of the equilibrium of a stationary game from samples of its moves.

For those who study learning agents, or who have a simulator in place of a kernel. The command line lists learners in
this order.
"""
# ruff: noqa: I001

from .base import AbstractLearner as AbstractLearner
from .base import Polynomial as Polynomial
from .base import Task as Task
from .tmfq import TMFQ as TMFQ
from .gmbl import GMBL as GMBL
from .online_tmfq import OnlineTMFQ as OnlineTMFQ
from .iql import IQL as IQL
from .mfq import MFQ as MFQ
from .bounds import Guarantee as Guarantee
from .bounds import frozen_contraction as frozen_contraction
from .bounds import model_guarantee as model_guarantee
from .bounds import online_agents as online_agents
from .bounds import tmfq_updates as tmfq_updates
from .bounds import tmfq_updates_contracting as tmfq_updates_contracting
from .constants import Constants as Constants
from .constants import covering_time as covering_time
from .constants import estimate_constants as estimate_constants
from .run import Run as Run
from .run import run as run
from .sampling import GameSimulator as GameSimulator
from .sampling import next_mean_field as next_mean_field
from .store import load_run as load_run
from .store import save_run as save_run
from .store import saved_note as saved_note
