"""The default: a fast method first, then one that cannot be led astray."""

from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import equinox as eqx

from .. import _checks
from ..responses import AbstractResponse, AbstractTempered
from .anderson import Anderson
from .base import AbstractSolver
from .continuation import Continuation
from .mirror_descent import MirrorDescent
from .newton import Newton
from .picard import Picard


class Auto(eqx.Module):
    """Try several methods in turn, each from the guess, until one converges. Needs no tuning.

    Smooth responses with a temperature: Anderson for a few steps, which settles mild games at once; then
    continuation in β along the path of equilibria, through folds. `Greedy`: the path of regularised
    equilibria as β → ∞, then fictitious play, then proximal mirror descent. Outside `jit` the later methods
    are compiled only when they are needed.

    Args:
      atol: tolerance on the criterion; None for the default of the precision.
    """

    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 5_000

    def __init__(self, *, atol: float | None = None):
        self.atol = _checks.tolerance(atol)

    def check(self, response: AbstractResponse) -> None:
        """Accept every response."""

    def stages(self, response: AbstractResponse, max_steps: int) -> Iterator[tuple[AbstractSolver, int]]:
        """Yield the methods in turn, each with its share of the steps."""
        if isinstance(response, AbstractTempered):
            methods = ((Anderson, min(60, max_steps)), (Continuation, max_steps - 60))
        elif response.is_smooth:
            methods = ((Anderson, min(200, max_steps)), (Newton, max_steps - 200))
        else:
            fictitious, proximal = (
                partial(Picard, averaging="uniform"),
                partial(MirrorDescent, 0.1, prior_steps=50),
            )
            methods = (
                (Continuation, min(1_000, max_steps)),
                (fictitious, max_steps // 2),
                (proximal, max_steps // 2),
            )
        return ((method(), steps) for method, steps in methods if steps > 0)
