"""The entry point: find an equilibrium, with its derivative."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from . import _checks
from ._gradients import stop_gradients
from ._result import RESULTS, ConvergenceError
from ._traced import TracedFunction, as_it_is_now, trace
from ._typing import Array, ArrayLike
from .equilibrium import Equilibrium
from .finish import finish
from .model import AnyGame, FiniteHorizonGame, StationaryGame, trace_game
from .model.canonical import axes_of
from .responses import AbstractResponse, AbstractTrembling, EntropyRegularized, EpsilonGreedy
from .responses.base import response_in_precision
from .solvers import AbstractSolver, Auto, Problem
from .solvers.base import by_residual
from .solvers.loop import Outcome, default_tolerance, iterate

_DEFAULT = Auto()


@as_it_is_now
def solve(
    game: FiniteHorizonGame | StationaryGame,
    response: AbstractResponse,
    solver: AbstractSolver | Auto | None = None,
    *,
    guess: ArrayLike | Equilibrium | None = None,
    max_steps: int | None = None,
    throw: bool = True,
) -> Equilibrium:
    """Find an equilibrium: a mean field that the response to it generates; in a stationary game: leaves unchanged.

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
    solver, stages = checked(game, response, solver, max_steps)
    throw = _checks.boolean("throw", throw)
    game, response = trace_game(game), fit_response(game, response)
    tolerance = tolerance_of(game, response, solver)
    start = _guess(game, guess)
    if _checks.is_traced((game, response, start)):
        # constants to differentiation, and concrete again under an eager `grad`
        fixed_game, fixed_response, start = stop_gradients((game, response, start))
        problem = Problem(fixed_game, fixed_response, tolerance)
        outcome = iterate_jit(problem, stages[0][0], start, stages[0][1])
        outcome = run_on(outcome, problem, stages[1:], start)
        equilibrium = _finish_jit(game, response, outcome, tolerance)
    else:
        problem = Problem(game, response, tolerance)
        first, equilibrium = _iterate_and_finish(problem, stages[0][0], start, stages[0][1])
        outcome = run_on(first, problem, stages[1:], start)
        if outcome is not first:
            equilibrium = _finish_jit(game, response, outcome, tolerance)
    if throw and not isinstance(equilibrium.result.code, Tracer):
        code = np.asarray(equilibrium.result.code)
        if code.ndim == 0 and code != RESULTS.converged:
            residual = float(jax.lax.stop_gradient(outcome.residual))
            raise ConvergenceError(
                f"{equilibrium.result.message} Best {equilibrium.criterion}: {residual:.2e} after "
                f"{int(equilibrium.num_steps)} steps (tolerance {float(tolerance):.1e}). `throw=False` returns it.",
                equilibrium,
            )
    return equilibrium


def checked(
    game: object, response: object, solver: object, max_steps: object
) -> tuple[AbstractSolver | Auto, list[tuple[AbstractSolver, int]]]:
    """Return the solver and its methods in turn, each with its most steps, or refuse what is of the wrong kind."""
    solver = _DEFAULT if solver is None else solver
    game, response = game_and_response(game, response)
    if isinstance(response, EpsilonGreedy) and not game.is_stationary:
        raise ValueError(
            "`EpsilonGreedy` policies maximise nothing, so mixtures of them, which equilibria with a finite horizon "
            "are as a rule, cannot be judged. Use `Trembling`, or a `StationaryGame`."
        )
    if not isinstance(solver, AbstractSolver | Auto):
        raise ValueError(f"`solver` must be a solver such as `Auto()`; got {_checks.shorten(solver)}.")
    solver.check(game, response)
    solver = _with_schedule(solver)
    steps = solver.default_max_steps if max_steps is None else _checks.integer_at_least("max_steps", max_steps, 1)
    if steps >= 2**31:  # steps are counted in int32
        raise ValueError(f"`max_steps` must be below 2^31; got {steps}.")
    stages = solver.stages(game, response, steps) if isinstance(solver, Auto) else [(solver, steps)]
    return solver, [(_in_precision(stage, game.dtype), most) for stage, most in stages]


def _with_schedule(solver: AbstractSolver | Auto) -> AbstractSolver | Auto:
    """Return the solver with a schedule of step sizes, which is a function of the user's, as it is now."""

    def now(leaf: Any) -> Any:
        is_schedule = callable(leaf) and not isinstance(leaf, TracedFunction)
        return trace(leaf, jax.ShapeDtypeStruct((), jnp.int32)) if is_schedule else leaf

    return jax.tree.map(now, solver, is_leaf=callable)


def game_and_response(game: object, response: object) -> tuple[FiniteHorizonGame | StationaryGame, AbstractResponse]:
    """Check that `game` and `response` are of supported types and return them."""
    if not isinstance(game, FiniteHorizonGame | StationaryGame):
        raise ValueError(f"`game` must be a `FiniteHorizonGame` or a `StationaryGame`; got {type(game).__name__}.")
    if not isinstance(response, AbstractResponse):
        got = _checks.shorten(response)
        raise ValueError(f"`response` must be a response such as `EntropyRegularized(beta)`; got {got}.")
    return game, response


def _in_precision(solver: AbstractSolver, dtype: Any) -> AbstractSolver:
    """Return the solver with its numbers in the precision of the game: it may have been made in another."""
    leaves, structure = jax.tree.flatten(solver)
    if all(getattr(leaf, "dtype", dtype) == dtype for leaf in leaves):
        return solver
    return jax.tree.unflatten(
        structure, [leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf for leaf in leaves]
    )


def fit_response(game: FiniteHorizonGame | StationaryGame, response: AbstractResponse) -> AbstractResponse:
    """Return the response in the game's precision, refused if it does not fit the game's shapes or masks."""
    response = response_in_precision(response, game.dtype)
    beta = getattr(response, "beta", None)
    if beta is not None and beta.ndim:
        raise ValueError(f"`beta` must be one number; got an array of shape {beta.shape}: use `jax.vmap` over it.")
    if beta is not None and not _checks.is_traced(beta) and not 0 < float(beta) < np.inf:
        raise ValueError(f"`beta` is {beta} in {game.dtype}, but it must lie in (0, inf).")
    if isinstance(response, AbstractTrembling):
        if response.epsilon.ndim:
            shape = response.epsilon.shape
            raise ValueError(f"`epsilon` must be one number; got an array of shape {shape}: use `jax.vmap` over it.")
        if not _checks.is_traced((response.epsilon, game.available)):
            check_trembling(game, np.asarray(response.epsilon))
    prior = response.prior_table
    if prior is None:
        return response
    name = "reference" if isinstance(response, EntropyRegularized) else "prior"
    S, A, T = game.num_states, game.num_actions, game.horizon + 1
    _checks.shape_is(name, prior, [(1, S, A), (T, S, A)], "times (or 1), states, actions")
    if _checks.is_traced(prior):
        prior = jax.lax.stop_gradient(prior)
    if not _checks.is_traced((prior, game.available)):
        logs, available = np.broadcast_arrays(np.asarray(prior), np.asarray(game.available))
        missing, extra = (
            np.argwhere(available & (logs == -np.inf)),
            np.argwhere(~available & (logs > -np.inf)),
        )
        if len(missing):
            raise ValueError(
                f"`{name}` is 0 at (time, state, action) = {_triple(missing[0])}, an available action; there it must "
                "be positive. To forbid the action, mark it in the game's `available`."
            )
        if len(extra):
            raise ValueError(
                f"`{name}` is {np.exp(logs[tuple(extra[0])]):.3g} at (time, state, action) = {_triple(extra[0])}, an "
                "action that is not available; there it must be 0."
            )
    return response


def _triple(index: np.ndarray) -> str:
    return "(" + ", ".join(str(int(i)) for i in index) + ")"


def tolerance_of(
    game: FiniteHorizonGame | StationaryGame, response: AbstractResponse, solver: AbstractSolver | Auto
) -> np.ndarray:
    """Return the tolerance on the criterion, refused if the precision cannot reach it."""
    method = solver.stages(game, response, 1)[0][0] if isinstance(solver, Auto) else solver
    default = default_tolerance(game.dtype, by_residual(game, response, method))
    atol = default if solver.atol is None else solver.atol
    least = 8 * float(jnp.finfo(game.dtype).eps)
    if 0 < atol < least:
        raise ValueError(
            f"`atol` is {atol:.1e}, which {game.dtype} cannot reach: residuals are rounded at {least:.1e}. Use "
            "a larger `atol`, or enable x64 before creating the game."
        )
    return np.asarray(atol, game.dtype)


def check_trembling(game: AnyGame, epsilon: np.ndarray) -> None:
    """Refuse an ε (or many) at which the chosen action would not be the likeliest."""
    counts = np.asarray(game.available).sum(axis=-1)
    counts = counts[counts > 1]
    least = int(counts.min()) if counts.size else 2
    bound = (least - 1) / least
    # the bound as the precision has it, such as 2/3 in single precision, is allowed
    _checks.all_true(
        "epsilon",
        epsilon,
        (epsilon >= 0) & (epsilon <= bound * (1 + 4 * float(jnp.finfo(epsilon.dtype).eps))),
        f"where {least} actions are available it must lie in [0, {least - 1}/{least}]",
    )


def seen_shape(game: FiniteHorizonGame | StationaryGame) -> tuple[int, ...]:
    """Return the shape of a mean field of the game."""
    times = () if game.is_stationary else (game.horizon + 1,)
    shape = (*times, game.num_states)
    return shape if game.observes == "states" else (*shape, game.num_actions)


def _guess(game: FiniteHorizonGame | StationaryGame, guess: Any) -> Array | None:
    if guess is None:
        return None
    if isinstance(guess, Equilibrium):
        guess = guess.mean_field
    axes = axes_of(game.state_labels, game.action_labels)
    flow = _checks.as_numbers("guess", guess, axes=axes[: game.num_seen_axes])
    shape = seen_shape(game)
    times = () if game.is_stationary else ("times",)
    names = (*times, "states", "actions")[: len(shape)]
    _checks.shape_is("guess", flow, [shape], ", ".join(names))
    if not _checks.is_traced(flow):
        slack = 8 * float(jnp.finfo(flow.dtype).eps) * (game.horizon + 1)
        _checks.distribution("guess", flow, leading=len(times), slack=slack)
    flow = flow.astype(game.dtype)
    return flow[None] if game.is_stationary else flow


def run_on(
    outcome: Outcome, problem: Problem, stages: Sequence[tuple[AbstractSolver, int]], guess: Array | None
) -> Outcome:
    """Run further stages until one converges: eagerly each is compiled only if it is needed, traced all are."""
    hard = problem.game.is_stationary and not problem.response.is_smooth
    for stage, steps in stages:
        if stage.splits:
            outcome = with_mixture(outcome, problem.prior_policy())
        if isinstance(outcome.code, Tracer):
            before = outcome
            outcome = jax.lax.cond(
                before.code == RESULTS.converged,
                lambda before=before, steps=steps: _pad(before, steps),
                lambda before=before, stage=stage, steps=steps: join(
                    before, iterate(problem, stage, guess, steps), hard
                ),
            )
        elif int(outcome.code) != RESULTS.converged:
            outcome = join(outcome, iterate_jit(problem, stage, guess, steps), hard)
    return outcome


iterate_jit = eqx.filter_jit(iterate)


def _pad(first: Outcome, steps: int) -> Outcome:
    nothing = jnp.full((steps,), jnp.nan, first.history.dtype)
    return first._replace(history=jnp.concatenate([first.history, nothing]))


def with_mixture(outcome: Outcome, like: Array) -> Outcome:
    """Return an outcome whose candidate has a mixture, as those of solvers that split, in the shape of a policy."""
    if outcome.candidate.mixture is not None:
        return outcome
    return outcome._replace(candidate=outcome.candidate._replace(mixture=jnp.full_like(like, jnp.nan)))


def join(first: Outcome, second: Outcome, hard: bool) -> Outcome:
    """Return the better candidate of two runs, with its own verdict, and the steps of both, lane by lane.

    Of responses that jump in stationary games (`hard`) a cycle of the first run remains the verdict if the second does
    not converge: evidence of why no pure equilibrium was found and, where the second run sought mixtures, no mixed one.
    """
    keep = (first.residual < second.residual) & (second.code != RESULTS.converged)
    if hard:
        cycled = (first.code == RESULTS.cycle) & (second.code != RESULTS.converged)
        verdict = RESULTS.cycle if second.candidate.mixture is None else RESULTS.no_pure_choice
        codes = (jnp.where(cycled, verdict, run.code).astype(jnp.int32) for run in (first, second))
        first, second = (run._replace(code=code) for run, code in zip((first, second), codes, strict=True))
        second = second._replace(
            period=jnp.where(cycled, first.period, second.period),
            spread=jnp.where(cycled, first.spread, second.spread),
        )
        first = first._replace(period=second.period, spread=second.spread)
    steps, history = first.num_steps + second.num_steps, jnp.concatenate([first.history, second.history])
    kept, other = (run._replace(num_steps=steps, history=history) for run in (first, second))
    return jax.tree.map(lambda a, b: jnp.where(keep, a, b), kept, other)


_finish_jit = eqx.filter_jit(finish)


@eqx.filter_jit
def _iterate_and_finish(
    problem: Problem, solver: AbstractSolver, guess: Array | None, max_steps: int
) -> tuple[Outcome, Equilibrium]:
    """Do both in one program, for the common case that the first method converges."""
    outcome = iterate(problem, solver, guess, max_steps)
    return outcome, finish(problem.game, problem.response, outcome, problem.tolerance)
