"""The scans over time, on arrays: backward induction, propagation, evaluation."""

from .backward import backward as backward
from .evaluate import evaluate as evaluate
from .forward import forward as forward
