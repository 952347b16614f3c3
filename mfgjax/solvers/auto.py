"""The default: a fast method first, then one that cannot be led astray."""

from functools import cache, partial
from typing import ClassVar

import equinox as eqx

from .. import _checks
from ..model import AnyGame
from ..responses import AbstractResponse
from .anderson import Anderson
from .base import AbstractMethod, AbstractSolver
from .continuation import Continuation
from .mirror_descent import MirrorDescent
from .newton import Newton, follows_time, is_cheap
from .picard import Picard
from .splitting import Splitting, can_split


class Auto(AbstractSolver):
    """The default solver: try several methods in turn, each from the guess, until one converges. It needs no tuning.

    For smooth responses with a temperature the methods are, in this order: (1) Anderson acceleration for a few steps,
    which solves easy games at once; it is stopped as soon as its rate of convergence says that it will take more than a
    hundred steps; (2) Newton's method where its steps are cheap (up to 32 states in double precision, up to 128 numbers
    in the law of a stationary game); (3) strongly damped iteration, which solves many games that are not monotone; (4)
    Newton's method in the other stationary games; (5) continuation in β along the path of equilibria, through folds,
    which costs more per step and solves nearly all of the rest. If there is a guess, Newton's method comes first.

    For `Greedy`: the path of regularised equilibria as β → ∞, then fictitious play, then proximal mirror descent. For
    `Trembling` and `EpsilonGreedy` in stationary games: plain iteration (`Picard`), then Newton's method, then strong
    damping, then mixtures of best actions if S (A + 3) ≤ 640; with a finite horizon: fictitious play. Outside `jit` the
    later methods are compiled only when they are needed.

    Args:
      atol: tolerance on the criterion; None for the default of the precision.

    Raises:
      ValueError: if an argument is out of range, naming it.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> mfg.solve(game, response, mfg.Auto(atol=1e-5)).result.name
      'converged'
    """

    atol: float | None = eqx.field(static=True)
    default_max_steps: ClassVar[int] = 5_000

    def __init__(self, *, atol: float | None = None):
        self.atol = _checks.tolerance(atol)

    def stages(
        self, game: AnyGame, response: AbstractResponse, max_steps: int, has_guess: bool = False
    ) -> list[tuple[AbstractMethod, int]]:
        if response.is_smooth:
            methods, shares = _SMOOTH, (200, max_steps)
            if response.has_path:
                methods, shares = _TEMPERED, (60, 600, max_steps)
                if is_cheap(game):
                    methods, shares = _CHEAP, (100, 100, 600, max_steps)
                elif follows_time(game, response):  # at tens of other steps each; those along the path cost more
                    methods, shares = _LARGE, (60, 600, 100, max_steps)
            if has_guess and is_cheap(game):
                methods, shares = ("newton", *methods), (8, *shares)
        elif response.has_path:
            methods, shares = _LIMITS, (1_000, max_steps // 2, max_steps // 2)
        elif not game.seeks_pure:
            methods, shares = _MIXING, (max_steps,)
        elif can_split(game, response):
            methods, shares = _JUMPING, (2_000, 1_000, 1_000, max_steps)
        else:
            methods, shares = _JUMPING[:3], (2_000, 1_000, max_steps)
        stages, left = [], max_steps
        for name, share in zip(methods, shares, strict=True):
            if left > 0:
                stages.append((_method(name), min(share, left)))
                left -= share
        return stages


_TEMPERED = ("anderson", "damped", "continuation")
_LARGE = ("anderson", "damped", "newton", "continuation")
_CHEAP = ("anderson in time", "newton", "damped", "continuation")
_SMOOTH = ("anderson", "newton")
_LIMITS = ("continuation", "fictitious play", "proximal mirror descent")
_MIXING = ("fictitious play",)
_JUMPING = ("iteration", "newton", "damped", "splitting")


@cache
def _method(name: str) -> AbstractMethod:
    methods = {
        "anderson": Anderson,
        "anderson in time": partial(Anderson, within=100),
        "continuation": Continuation,
        "damped": partial(Picard, 0.1),
        "iteration": Picard,
        "newton": Newton,
        "fictitious play": partial(Picard, averaging="uniform"),
        "splitting": Splitting,
        "proximal mirror descent": partial(MirrorDescent, 0.1, prior_steps=50),
    }
    return methods[name]()
