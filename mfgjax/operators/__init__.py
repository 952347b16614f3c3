"""The scans over time, on arrays: backward induction, propagation, evaluation."""

from .backward import backward as backward
from .backward import policies as policies
from .evaluate import evaluate as evaluate
from .forward import forward as forward
