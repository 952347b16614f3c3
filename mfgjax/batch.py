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

    The games are called lanes. Each lane stops by itself; one that fails is marked in `result` and does not affect the
    others. The result of a lane equals that of `solve` up to rounding, whatever the other lanes and the block size. If
    a game has several equilibria, rounding may decide which of them is found, above all in single precision. The
    function is pure: it also works inside `jit`, and its derivatives are those of `solve`, lane by lane. Use `sweep`
    for labelled results, several devices, a progress bar and files.

    Args:
      game: the game. Its arrays are shared by all lanes unless `axes` says otherwise.
      response: how agents act. Its arrays are shared in the same way.
      solver: the method; None for `Auto()`, whose later methods are run only for the lanes that need them.
      axes: what differs between lanes. Either a mapping from names to arrays whose *last* axis is the lanes; a name is
        "beta", "epsilon", "reference", "initial", "discount", "damping", or the path of any array, such as
        "reward.L.weight" or "kernel.probabilities". Or, if game and response already hold such arrays, a tree of the
        form `(game, response)` or `(game, response, solver)` with -1 (lanes on the last axis) or None (shared) in the
        place of each array, or of a part whose arrays are all alike (a pytree prefix, as `in_axes` of `jax.vmap`).
      guess: a mean field to start from, with or without a last axis of lanes; None: the reference's flow.
      max_steps: maximal number of steps of the solver in each lane; None for its default.
      block: number of lanes that are computed together; None: as many as fit in a core's cache, or in an accelerator's
        memory.

    Returns:
      An `Equilibrium` in which the last axis of every array is the lanes; it keeps no residual history.

    Raises:
      ValueError: if an argument is invalid; it names the argument, the lane and the value. Lanes that do not converge
        raise no error.

    Example:
      >>> import mfgjax as mfg
      >>> game, response = mfg.games.left_right(), mfg.EntropyRegularized(beta=1.0)
      >>> batch = mfg.solve_batch(game, response, axes={"beta": [0.5, 1.0, 2.0]})
      >>> batch.mean_field.shape  # times, states, lanes
      (2, 3, 3)
    """
    return equilibria(prepare(game, response, solver, guess=guess, max_steps=max_steps, axes=axes, block=block))
