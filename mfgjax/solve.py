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

    Works alike eagerly, inside `jit` and under `vmap`. Its derivatives with respect to every array in game
    and response are those of the equation (implicit), forward and reverse, of any order; they hold also
    where iterating Γ diverges, and are NaN where no equilibrium was found.

    Args:
      game: the physics.
      response: how agents act: `EntropyRegularized`, `Boltzmann`, `Greedy`, `Trembling` or `EpsilonGreedy`.
      solver: the method; None for `Auto()`, which needs no tuning.
      guess: a mean field to start from, or an `Equilibrium`; None: the flow of the reference policy, or a stationary
        game's initial law.
      max_steps: most steps of the solver; None for its default.
      throw: raise if no equilibrium was found. Inside `jit` and `vmap` nothing is raised: look at `result`.

    Returns:
      An `Equilibrium`: the best iterate, with its residual, exploitability and how the solve ended.

    Raises:
      ValueError: if an argument is invalid: the field, the place and the value are named.
      ConvergenceError: if none was found and `throw` holds; its `equilibrium` is the best iterate.

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
            f"(tolerance {tolerance:.1e}). `throw=False` returns it.",
            found,
        )
