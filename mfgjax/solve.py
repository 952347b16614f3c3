"""The entry point: find an equilibrium, with its derivative."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.core import Tracer

from . import _checks
from ._result import RESULTS, ConvergenceError
from ._traced import as_it_is_now
from ._typing import ArrayLike
from .engine import equilibria, prepare
from .equilibrium import Equilibrium
from .model import AbstractGame
from .responses import AbstractResponse
from .solvers import AbstractMethod, AbstractSolver


@as_it_is_now
def solve(
    game: AbstractGame,
    response: AbstractResponse,
    solver: AbstractSolver | None = None,
    *,
    guess: ArrayLike | Equilibrium | None = None,
    max_steps: int | None = None,
    throw: bool = True,
) -> Equilibrium:
    """Find an equilibrium: a fixed point of the mean-field map, with the best response to it.

    It also works inside `jax.jit` and `jax.vmap`. Its derivatives with respect to every array in game and response
    follow from the equation of the equilibrium (implicit differentiation), in forward and reverse mode and of any
    order. They are also right where iterating the mean-field map Γ diverges, and NaN where no equilibrium was found.

    Args:
      game: the game.
      response: how agents act: `EntropyRegularized`, `Boltzmann`, `Greedy`, `Trembling` or `EpsilonGreedy`.
      solver: the method; None for `Auto()`, which needs no tuning.
      guess: a mean field or an `Equilibrium` to start from; None: the flow of the reference policy, or the initial law
        of a stationary game.
      max_steps: maximal number of steps of the solver; None for its default.
      throw: whether to raise an error if no equilibrium was found. Inside `jit` and `vmap` no error is raised: look at
        `result`.

    Returns:
      An `Equilibrium`: the best iterate, with its residual, its exploitability and the reason why the solver stopped.

    Raises:
      ValueError: if an argument is invalid: the field, the place and the value are named.
      ConvergenceError: if no equilibrium was found and `throw` is True; its `equilibrium` is the best iterate.

    Example:
      >>> import mfgjax as mfg
      >>> eq = mfg.solve(mfg.games.left_right(), mfg.EntropyRegularized(beta=5.0))
      >>> eq.result.name, f"{eq.mean_field[1, 1]:.2f}"
      ('converged', '0.63')

    Source: Guan et al. (2021), arXiv:2110.07469, eqs. (14), (16), definition 3; for stationary games Lee et al.
    (2021), arXiv:2006.11683, definition 2.
    """
    throw = _checks.boolean("throw", throw)
    prepared = prepare(game, response, solver, guess=guess, max_steps=max_steps)
    found = equilibria(prepared)
    if throw and not isinstance(found.result.code, Tracer) and np.ndim(found.result.code) == 0:
        refuse_unless_converged(found, [method for method, _ in prepared.stages])
    return found


def refuse_unless_converged(found: Equilibrium, methods: Sequence[AbstractMethod]) -> None:
    """Raise `ConvergenceError` if a solve by some methods in turn did not converge."""
    if int(found.result.code) != RESULTS.converged:
        # under `grad` these are traced although the code, a whole number, is known
        residual, tolerance = (float(jax.lax.stop_gradient(x)) for x in (found.residual, found.tolerance))
        names = ", ".join(type(method).__name__ for method in methods)
        tried = f" Tried in turn: {names}." if len(methods) > 1 else ""
        raise ConvergenceError(
            f"{found.result.message}{tried} Best {found.criterion}: {residual:.2e} after {int(found.num_steps)} steps "
            f"(tolerance {tolerance:.1e}). `throw=False` returns the best iterate.",
            found,
        )
