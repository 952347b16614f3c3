"""Equilibria of many games at once, as a pure function."""

from collections.abc import Mapping
from typing import Any

from ._traced import as_it_is_now
from ._typing import ArrayLike
from .engine import equilibria, prepare
from .equilibrium import Equilibrium
from .model import AbstractGame
from .responses import AbstractResponse
from .solvers import AbstractSolver


@as_it_is_now
def solve_batch(
    game: AbstractGame,
    response: AbstractResponse,
    solver: AbstractSolver | None = None,
    *,
    axes: Mapping[str, ArrayLike] | Any,
    guess: ArrayLike | Equilibrium | None = None,
    max_steps: int | None = None,
    block: int | None = None,
) -> Equilibrium:
    """Find the equilibria of many games at once.

    Lanes are independent: each ends by itself, and one that fails is marked in `result` and harms no other.
    What a lane gives is what `solve` gives for it, whatever the others and the blocks, up to rounding; where a game has
    several equilibria rounding may decide which of them is found, above all in single precision. Pure: it works alike
    eagerly and inside `jit`; derivatives are those of `solve`, lane by lane. For labelled results, many devices,
    progress and files there is `sweep`.

    Args:
      game: the physics. Its arrays are shared by all lanes unless `axes` says otherwise.
      response: how agents act; likewise.
      solver: the method; None for `Auto()`. Its later methods are run for the lanes that need them.
      axes: what differs between lanes. Either a mapping from names to values with a *last* axis of lanes:
        "beta", "epsilon", "reference", "initial", "discount", "damping", or the place of any array, such as
        "reward.L.weight" or "kernel.probabilities". Or, where game and response already hold such arrays, a pytree
        prefix of `(game, response)` or `(game, response, solver)` of -1 (lanes on the last axis) and None (shared).
      guess: a mean field to start from, with or without a last axis of lanes; None: the reference's flow.
      max_steps: most steps of the solver in each lane.
      block: lanes that are computed together; None: as many as fit in a core's cache, or in an
        accelerator's memory.

    Returns:
      An `Equilibrium` of which every array has a last axis of lanes; it keeps no residual history.

    Raises:
      ValueError: naming the argument, the lane and the value. Lanes that do not converge raise nothing.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> batch = mfg.solve_batch(game, response, axes={"beta": [0.5, 1.0, 2.0]})
      >>> batch.mean_field.shape  # times, states, lanes
      (2, 3, 3)
    """
    return equilibria(prepare(game, response, solver, guess=guess, max_steps=max_steps, axes=axes, block=block))
