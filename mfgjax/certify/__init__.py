"""Certificates: what is proved about equilibria, with the number, the theorem and what it assumes."""

from .certificate import Certificate as Certificate
from .certify import certify as certify
from .complementarity import Complementarity as Complementarity
from .complementarity import check_complementarity as check_complementarity
from .lipschitz import Lipschitz as Lipschitz
from .lipschitz import sample_lipschitz as sample_lipschitz
from .monotone import MonotoneResponse as MonotoneResponse
from .monotone import check_monotone_response as check_monotone_response
from .report import Report as Report
