"""Equilibria of many games at once, as a pure function."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from . import _checks
from ._gradients import stop_gradients
from ._result import RESULTS
from ._traced import as_it_is_now
from ._typing import Array, ArrayLike
from .equilibrium import Equilibrium
from .finish import finish
from .implicit import fixed_point
from .lanes import Lanes, block_width, narrow_width
from .model import FiniteHorizonGame, StationaryGame, trace_game
from .parameters import place, swept
from .responses import AbstractResponse
from .solve import checked, fit_response, join, seen_shape, tolerance_of, with_mixture
from .solvers import AbstractSolver, Auto, Problem
from .solvers.elimination import can_eliminate
from .solvers.loop import Outcome, iterate

Stages = Sequence[tuple[AbstractSolver, int]]


@as_it_is_now
def solve_batch(
    game: FiniteHorizonGame | StationaryGame,
    response: AbstractResponse,
    solver: AbstractSolver | Auto | None = None,
    *,
    axes: Mapping[str, ArrayLike] | Any,
    guess: ArrayLike | Equilibrium | None = None,
    max_steps: int | None = None,
    block: int | None = None,
) -> Equilibrium:
    """Find the equilibria of many games at once.

    Lanes are independent: each ends by itself, and one that fails is marked in `result` and harms no other.
    What a lane gives is what `solve` gives for it, whatever the others and the blocks. Pure: it works alike
    eagerly and inside `jit`; derivatives are those of `solve`, lane by lane. For labelled results, many
    devices, progress and files there is `sweep`.

        solve_batch(game, EntropyRegularized(1.0, rho), axes={"beta": betas, "reward.L.weight": weights})

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
    """
    solver, stages = checked(game, response, solver, max_steps)
    if isinstance(axes, Mapping):
        lanes = swept(trace_game(game, in_lanes=True), response, solver, axes)
    else:
        lanes = place(game, response, solver, axes)
    first = lanes.single([leaf[..., 0] for leaf in lanes.mapped])
    fit_response(first[0], first[1])  # what is shared is checked as in `solve`
    start = _start(lanes, guess)
    width = block_width(game) if block is None else _checks.integer_at_least("block", block, 1)
    tolerance = tolerance_of(game, response, solver)
    fixed, start = stop_gradients((lanes, start))
    return _finish_jit(lanes, solved(fixed, start, stages, tolerance, width), tolerance, width)


def _start(lanes: Lanes, guess: Any) -> Array | None:
    if guess is None:
        return None
    flow = _checks.as_numbers("guess", guess.mean_field if isinstance(guess, Equilibrium) else guess)
    one = seen_shape(lanes.problem[0])
    _checks.shape_is("guess", flow, [one, (*one, lanes.num_lanes)], "of the mean field, perhaps with lanes")
    if not _checks.is_traced(flow):
        shown = np.moveaxis(np.asarray(flow), -1, 0) if flow.ndim > len(one) else np.asarray(flow)
        times = 0 if lanes.problem[0].is_stationary else 1
        _checks.distribution("guess", shown, leading=shown.ndim - len(one) + times)
    flow = jnp.asarray(flow if flow.ndim > len(one) else flow[..., None], lanes.problem[0].dtype)
    flow = jnp.broadcast_to(flow, (*one, lanes.num_lanes))
    return flow[None] if lanes.problem[0].is_stationary else flow


def solved(lanes: Lanes, guess: Array | None, stages: Stages, tolerance: np.ndarray, width: int) -> Outcome:
    """Run the methods in turn: eagerly each is compiled only if a lane needs it, traced all are."""
    outcome = _run_stage_jit(lanes, guess, stages[0], tolerance, width)
    for stage in stages[1:]:
        if stage[0].splits:
            game = lanes.game
            outcome = with_mixture(outcome, jnp.zeros((1, game.num_states, game.num_actions, *game.lanes), game.dtype))
        if isinstance(outcome.code, Tracer) or bool((outcome.code != RESULTS.converged).any()):
            outcome = _run_where_open(lanes, guess, outcome, stage, tolerance, width)
    return outcome


def run_stage(
    lanes: Lanes, guess: Array | None, stage: tuple[AbstractSolver, int], tolerance: np.ndarray, width: int
) -> Outcome:
    """Run one method in all lanes, in blocks."""
    solver, steps = stage
    if not any(lanes.carried[len(jax.tree.leaves(lanes.problem[:2])) :]):
        lanes = lanes.with_solver(solver)
    if not solver.takes_lanes:
        width = narrow_width(lanes.problem[0], width)

    def block(part: Lanes, *start: Array) -> Outcome:
        if solver.takes_lanes:
            problem, own = Problem(part.game, part.response, tolerance), part.problem[2]
            assert isinstance(own, AbstractSolver)  # `Auto` holds no arrays: its methods are given one by one
            return iterate(problem, own, start[0] if start else None, steps, keep_history=False)

        def one(game: Any, response: Any, solver: Any, *start: Array) -> Outcome:
            problem = Problem(game, response, tolerance)
            return iterate(problem, solver, start[0] if start else None, steps, keep_history=False)

        return part.per_lane(one, *start)

    return lanes.in_blocks(width, block, *(() if guess is None else (guess,)))


_run_stage_jit = eqx.filter_jit(run_stage)


@eqx.filter_jit
def _run_where_open(
    lanes: Lanes,
    guess: Array | None,
    outcome: Outcome,
    stage: tuple[AbstractSolver, int],
    tolerance: np.ndarray,
    width: int,
) -> Outcome:
    """Run a further method in the lanes that have not converged, gathered into blocks of their own."""
    num_lanes = lanes.num_lanes
    width = min(width if stage[0].takes_lanes else narrow_width(lanes.problem[0], width), num_lanes)
    is_open = outcome.code != RESULTS.converged
    order = jnp.argsort(~is_open)  # stable: neighbours stay neighbours
    order = jnp.concatenate([order, jnp.full((width,), order[-1])])

    def run(k: Array, outcome: Outcome) -> Outcome:
        index = jax.lax.dynamic_slice(order, (k * width,), (width,))
        part = lanes.take(index)
        before = jax.tree.map(lambda leaf: leaf[..., index], outcome)
        after = run_stage(part, None if guess is None else guess[..., index], stage, tolerance, width)
        game = part.problem[0]
        after = join(before, after, game.is_stationary and not part.response.is_smooth)
        # places past the last open lane are dropped
        goal = jnp.where(k * width + jnp.arange(width) < is_open.sum(), index, num_lanes)
        return jax.tree.map(lambda old, new: old.at[..., goal].set(new, mode="drop"), outcome, after)

    return jax.lax.fori_loop(0, -(-is_open.sum() // width), run, outcome)


def finish_lanes(lanes: Lanes, outcome: Outcome, tolerance: Any, judged: bool = True) -> Equilibrium:
    """Attach the derivative of every lane, and everything that follows from its mean field."""

    def one(game: Any, response: Any, _: Any, mean_field: Array, found: Array) -> Array:
        return fixed_point((game, response), mean_field, found)

    def mapped(_: Any, mean_field: Array, found: Array) -> Array:
        return lanes.per_lane(one, mean_field, found)

    # by elimination all lanes are solved together
    differentiable = fixed_point if can_eliminate(lanes.game) else mapped
    return finish(lanes.game, lanes.response, outcome, tolerance, differentiable, judged)


@eqx.filter_jit
def _finish_jit(lanes: Lanes, outcome: Outcome, tolerance: np.ndarray, width: int) -> Equilibrium:
    width = narrow_width(lanes.problem[0], width)
    return lanes.in_blocks(width, lambda part, found: finish_lanes(part, found, tolerance), outcome)
