"""What users give, checked and brought into the form that the engine works on."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._modes import double_precision
from .._traced import TracedFunction, trace
from .._typing import Array
from ..equilibrium import Equilibrium
from ..model import AbstractGame, AnyGame, for_aggregate, game_of, trace_game
from ..model.canonical import axes_of, with_times
from ..responses import AbstractResponse
from ..responses.base import response_in_precision
from ..solvers import AbstractMethod, AbstractSolver, Auto
from ..solvers.base import by_residual
from ..solvers.newton import is_cheap
from .lanes import Lanes, block_width
from .loop import Tolerance, default_tolerance
from .parameters import place, swept

Stages = Sequence[tuple[AbstractMethod, int]]
"""Methods in turn, each with its most steps."""

_DEFAULT = Auto()


class Prepared(NamedTuple):
    """What the engine is given.

    Attributes:
      lanes: the problem, or many.
      guess: the mean field to start from, times first and lanes last; None: the flow of the prior policy.
      stages: methods in turn.
      tolerance: on the criterion.
      width: lanes of a block.
    """

    lanes: Lanes
    guess: Array | None
    stages: Stages
    tolerance: Tolerance
    width: int


def prepare(
    game: Any,
    response: Any,
    solver: Any = None,
    *,
    guess: Any = None,
    max_steps: Any = None,
    axes: Any = None,
    block: Any = None,
) -> Prepared:
    """Check what a user gives and return it in the engine's form: in one precision, functions as programs.

    Args:
      game: the game.
      response: how agents act.
      solver: the method; None for `Auto()`.
      guess: a mean field or an `Equilibrium`.
      max_steps: most steps.
      axes: what differs between lanes, as in `solve_batch`; None: there is one problem alone.
      block: lanes that are computed together; None: as many as fit.
    """
    solver, stages, tolerance = methods(game, response, solver, max_steps, guess is not None)
    if axes is None:
        lanes = Lanes((trace_game(game), fit_response(game, response), solver))
        return Prepared(*reduced(lanes, one_guess(game, guess)), stages, tolerance, 1)
    if isinstance(axes, Mapping):
        lanes = swept(trace_game(game, in_lanes=True), response, solver, axes)
    else:
        lanes = place(game, response, solver, axes)
    first = lanes.lane(0)
    fit_response(first[0], first[1])  # what is shared is checked as for one
    width = block_width(game) if block is None else _checks.integer_at_least("block", block, 1)
    return Prepared(*reduced(lanes, _guesses(lanes, guess)), stages, tolerance, width)


def reduced(lanes: Lanes, guess: Array | None = None) -> tuple[Lanes, Array | None]:
    """Return the problems with the aggregate as unknown in place of the law, if that makes them easier, and the guess.

    Of few states the law itself is solved for: a flow step by step in time, a stationary law by its matrix. That finds
    equilibria at any temperature.
    """
    game, response, solver = lanes.problem
    if game.aggregate is None or not game.solves_for_law or not response.is_smooth or is_cheap(game):
        return lanes, guess
    seen = None if guess is None else lanes.game.aggregates(guess)
    return Lanes((for_aggregate(game), response, solver), lanes.carried, lanes.num_lanes), seen


def methods(
    game: Any, response: Any, solver: Any, max_steps: Any = None, has_guess: bool = False
) -> tuple[AbstractSolver, Stages, Tolerance]:
    """Return the solver, its methods in turn and the tolerance, or refuse what is of the wrong kind."""
    solver = _DEFAULT if solver is None else solver
    game, response = game_and_response(game, response)
    if not (response.is_smooth or response.maximises or game.seeks_pure):
        raise ValueError(
            f"`{type(response).__name__}` policies maximise no known criterion. With a finite horizon, equilibria are "
            "usually mixtures of several policies, and without a criterion the error of a mixture cannot be measured. "
            "Use `Trembling`, or a `StationaryGame`."
        )
    if not isinstance(solver, AbstractSolver):
        raise ValueError(f"`solver` must be a solver such as `Auto()`; got {_checks.shorten(solver)}.")
    solver = _with_schedule(solver)
    steps = solver.default_max_steps if max_steps is None else _checks.integer_at_least("max_steps", max_steps, 1)
    if steps >= 2**31:  # steps are counted in int32
        raise ValueError(f"`max_steps` must be below 2^31; got {steps}.")
    found = type(solver).stages(solver, game, response, steps, has_guess)  # 20 µs faster than Equinox's bound method
    stages = [(_in_precision(method, game.dtype), most) for method, most in found]
    return solver, stages, _tolerance(game, response, solver.atol, stages[0][0])


def _with_schedule(solver: AbstractSolver) -> AbstractSolver:
    """Return the solver with a schedule of step sizes, which is a function of the user's, as it is now."""

    def now(leaf: Any) -> Any:
        is_schedule = callable(leaf) and not isinstance(leaf, TracedFunction)
        return trace(leaf, jax.ShapeDtypeStruct((), jnp.int32)) if is_schedule else leaf

    if not any(callable(leaf) for leaf in jax.tree.leaves(solver)):
        return solver
    return jax.tree.map(now, solver, is_leaf=callable)


def _in_precision(method: AbstractMethod, dtype: Any) -> AbstractMethod:
    """Return the method with its numbers in the precision of the game: it may have been made in another."""
    leaves, structure = jax.tree.flatten(method)
    if all(getattr(leaf, "dtype", dtype) == dtype for leaf in leaves):
        return method
    return jax.tree.unflatten(
        structure, [leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf for leaf in leaves]
    )


def _tolerance(game: AnyGame, response: AbstractResponse, atol: float | None, method: AbstractMethod) -> Tolerance:
    """Return the tolerance on the criterion, refused if the precision cannot reach it."""
    if atol is None:
        return default_tolerance(game.dtype, by_residual(game, response, method))
    least = 8 * float(jnp.finfo(game.dtype).eps)
    if 0 < atol < least:
        raise ValueError(
            f"`atol` is {atol:.1e}, which {game.dtype} cannot reach: rounding errors of the residual are about "
            f"{least:.1e}. Use a larger `atol`, or {double_precision()}."
        )
    return np.asarray(atol, game.dtype)


def game_and_response(game: object, response: object) -> tuple[AbstractGame, AbstractResponse]:
    """Check that `game` and `response` are of supported types and return them."""
    checked: AbstractGame = game_of(game, response)
    if not isinstance(response, AbstractResponse):
        got = _checks.shorten(response)
        raise ValueError(f"`response` must be a response such as `EntropyRegularized(beta)`; got {got}.")
    return checked, response


def fit_response(game: AbstractGame, response: AbstractResponse) -> AbstractResponse:
    """Return the response in the game's precision, refused if it does not fit the game's shapes or masks."""
    response = response_in_precision(response, game.dtype)
    type(response).check(response, game.horizon + 1, game.available)  # as `stages` above
    return response


def one_guess(game: AbstractGame, guess: Any) -> Array | None:
    """Return the mean field to start from, times first, or refuse it."""
    if guess is None:
        return None
    if isinstance(guess, Equilibrium):
        guess = guess.mean_field
    axes = axes_of(game.state_labels, game.action_labels)[: game.num_seen_axes]
    axes = with_times(axes, game.horizon + 1) if game.times else axes
    flow = _checks.as_numbers("guess", guess, axes=axes)
    shape = game.mean_field_shape
    names = (*(["times"] if game.times else []), "states", "actions")[: len(shape)]
    _checks.shape_is("guess", flow, [shape], ", ".join(names))
    if not _checks.is_traced(flow):
        slack = 8 * float(jnp.finfo(flow.dtype).eps) * (game.horizon + 1)
        _checks.distribution("guess", flow, leading=len(game.times), slack=slack)
    return game.timed(flow.astype(game.dtype))


def _guesses(lanes: Lanes, guess: Any) -> Array | None:
    if guess is None:
        return None
    game = lanes.problem[0]
    flow = _checks.as_numbers("guess", guess.mean_field if isinstance(guess, Equilibrium) else guess)
    one = game.mean_field_shape
    _checks.shape_is("guess", flow, [one, (*one, lanes.num_lanes)], "of the mean field, perhaps with lanes")
    if not _checks.is_traced(flow):
        shown = np.moveaxis(np.asarray(flow), -1, 0) if flow.ndim > len(one) else np.asarray(flow)
        _checks.distribution("guess", shown, leading=shown.ndim - len(one) + len(game.times))
    flow = jnp.asarray(flow if flow.ndim > len(one) else flow[..., None], game.dtype)
    return game.timed(jnp.broadcast_to(flow, (*one, lanes.num_lanes)))
