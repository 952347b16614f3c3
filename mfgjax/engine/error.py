"""How far from an equilibrium a stationary mean field is, and Newton's method where that is too far.

A population that hardly moves has small residuals everywhere. So the residual of a stationary game tells little about
the distance, and how it fell during the iteration does not tell more: what never moved was never seen.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._linear import STATIONARY_LIMIT, solve_dense
from .._result import RESULTS
from .._traced import calls_python
from .._typing import Array, Scalar
from .._varying import alike, identity
from ..model import AnyGame
from ..solvers import AbstractMethod
from ..solvers.base import Problem, by_residual
from ..solvers.newton import is_cheap
from ..solvers.shooting import look, newton_solver
from .loop import Outcome, reachable, with_verdict

_MOST_LOOKS = 6
_PROBES = 4
_STEPS_ASIDE, _MOST_STEPS_ASIDE = 3, 40

_OF_ROUNDING = 16
"""Multiples of the rounding level of a residual that rounding may be all there is to."""

_SUSPECT = 0.25
"""Share of the digits by which twice the way exceeds what the residual fell by where there may be no equilibrium."""


def is_polished(problem: Problem, method: AbstractMethod) -> bool:
    """Tell whether `polished` applies.

    It does to residuals of stationary games whose matrix is small, and to methods that end by themselves.
    """
    is_residual = by_residual(problem.game, problem.response, method)
    return is_small(problem.game) and is_residual and method.atol != 0


def is_small(game: AnyGame) -> bool:
    """Tell whether `polished` finds the errors of a game: it is stationary, its matrix is small, and that of moves."""
    return game.is_stationary and is_cheap(game) and game.num_states <= STATIONARY_LIMIT


def polished(problem: Problem, outcome: Outcome) -> Outcome:
    """Estimate the error of what met the tolerance, for one stationary game, and improve it by Newton's method.

    With d = (I − DΓ(z))⁻¹ (Γ(z) − z), z + d is nearer by far, and the same again from there shows how far that still
    is, or what rounding does. To this what the rounding of z itself does is added, as (I − DΓ)⁻¹ enlarges it.
    """
    outcome = alike(outcome)

    def is_far(carry: tuple) -> Array:
        look, _, count = carry
        return (count < 2) | ((look.error > jnp.sqrt(look.tolerance)) & (count < _MOST_LOOKS))

    def improve(carry: tuple) -> tuple:
        before, first, count = carry
        look = _look(problem, outcome, before.following, before.values)
        return look, jax.tree.map(lambda new, old: jnp.where(count == 0, new, old), look, first), count + 1

    start, nothing = outcome.candidate.mean_field, jnp.zeros_like(outcome.residual)
    unseen = _Look(start, start, nothing, nothing, nothing, jnp.zeros((), bool), problem.game.first_values())
    last, first, _ = jax.lax.while_loop(is_far, improve, alike((unseen, unseen, jnp.int32(0))))
    # a policy that jumps may leave an equilibrium, too
    better = (last.residual <= jnp.maximum(last.tolerance, outcome.residual)) & (last.error <= first.error)
    best = jax.tree.map(lambda new, old: jnp.where(better, new, old), last, first)
    improved = outcome._replace(
        candidate=outcome.candidate._replace(mean_field=best.mean_field),
        residual=jnp.where(better, last.residual, outcome.residual),
        # beyond 1 there is no distance
        error=jnp.minimum(2 * best.error, 1),
    )
    # with several classes there is no one equilibrium to be far from; what was far by its last steps is looked at anew
    met = (outcome.code == RESULTS.converged) | (outcome.code == RESULTS.ill_conditioned)
    judged = met & ~first.has_several_classes
    # no condition: inside `shard_map` JAX lets none hold loops that cast what they begin with
    improved = with_verdict(improved._replace(code=jnp.full_like(outcome.code, RESULTS.converged)), first.tolerance)
    return jax.tree.map(lambda new, old: jnp.where(judged, new, old), improved, outcome)


def can_be_measured(game: AnyGame, outcome: Outcome) -> bool:
    """Tell whether `measured` applies: to what the residual alone judges, and `polished` does not measure.

    It needs derivatives, which functions that call Python do not have.
    """
    by_residual_alone = outcome.candidate.log_policy is None and outcome.candidate.mixture is None
    return by_residual_alone and not is_small(game) and not calls_python(game)


def is_unmeasured(outcome: Outcome) -> Array:
    """Tell where what meets the tolerance may yet be far from an equilibrium.

    Either no step showed how far, or the residual hardly fell over long ways, as next to an equilibrium that is
    degenerate, and where there is none: just past a fold the residual is small, too.
    """
    eps = jnp.finfo(outcome.residual.dtype).eps
    # not the other way around: what is not known is NaN
    return (outcome.code == RESULTS.converged) & ~(outcome.stretch <= 0.5 / eps**_SUSPECT)


def measured(problem: Problem, outcome: Outcome) -> Outcome:
    """Estimate the error of one problem that is unmeasured, by Newton's method.

    Its steps begin a little aside, where the equation of an equilibrium that is degenerate is not, and go on until
    rounding is all that is left; where they do not come to that there is no equilibrium nearby. Near a degenerate one
    they shrink by a constant factor q, so that after a step d there are q/(1 − q) d to come. To the distance of the
    last point, or of where they lead, what rounding does is added.
    """
    outcome = alike(outcome)
    x, game, eps = outcome.candidate.mean_field, problem.game, jnp.finfo(outcome.residual.dtype).eps
    direction = game.random_change(x, jnp.asarray(np.random.default_rng(0).choice([-1.0, 1.0], size=x.shape), x.dtype))

    def goes_on(carry: _Aside) -> Array:
        is_off = (carry.residual > _OF_ROUNDING * (carry.floor + eps)) & (carry.steps < _MOST_STEPS_ASIDE)
        return (carry.steps < _STEPS_ASIDE) | is_off

    def step(carry: _Aside) -> _Aside:
        off, seen = look(problem, carry.following)
        solve = newton_solver(problem, carry.following, seen.best)
        change, rounding = solve(off), solve((eps + seen.floor) * direction)
        before, length, enlarged = (
            game.distance(moved, jnp.zeros_like(x)) for moved in (carry.change, change, rounding)
        )
        return alike(
            _Aside(
                problem.project(carry.following + change),
                change,
                before,
                length,
                # at the point aside: nearer to a degenerate one a linear equation says too much
                jnp.where(carry.steps == 0, enlarged, carry.rounding),
                game.distance(carry.following, seen.image),
                seen.floor,
                carry.steps + 1,
            )
        )

    aside, nothing = problem.project(x + eps ** (1 / 3) * direction), jnp.zeros_like(outcome.residual)
    start = _Aside(aside, jnp.zeros_like(x), nothing, nothing, nothing, nothing, nothing, jnp.int32(0))
    last = jax.lax.while_loop(goes_on, step, alike(start))
    factor = jnp.clip(last.length / jnp.maximum(last.length_before, jnp.finfo(x.dtype).tiny), 0, 0.9)
    limit = last.following + factor / (1 - factor) * last.change
    error = 2 * (jnp.maximum(game.distance(limit, x), game.distance(last.following, x)) + last.rounding)
    # beyond 1 there is no distance, and a matrix that is singular by rounding alone tells nothing
    is_found = jnp.isfinite(error) & (last.residual <= _OF_ROUNDING * (last.floor + eps))
    error = jnp.minimum(jnp.where(is_found, error, 1), 1)
    found = outcome._replace(error=error, stretch=jnp.zeros_like(error))
    found, open_ = with_verdict(found, reachable(problem.tolerance, last.floor)), is_unmeasured(outcome)
    return jax.tree.map(lambda new, old: jnp.where(open_, new, old), found, outcome)


class _Aside(NamedTuple):
    """Where Newton's method has come from a point aside, its last two steps, and what it left behind."""

    following: Array
    change: Array
    length_before: Scalar
    length: Scalar
    rounding: Scalar  # what rounding does, enlarged as the equation does
    residual: Scalar  # of the point before the last step
    floor: Scalar
    steps: Array


class _Look(NamedTuple):
    """A mean field, where Newton's method leads from there, and how far it is from an equilibrium.

    `tolerance` is what its residual is compared with; `has_several_classes` is that of the chain of states; `values`
    are those of the response.
    """

    mean_field: Array
    following: Array
    residual: Scalar
    error: Scalar
    tolerance: Scalar
    has_several_classes: Array
    values: Array | None


def _look(problem: Problem, outcome: Outcome, x: Array, values: Array | None) -> _Look:
    game, mixture = problem.game, outcome.candidate.mixture

    def image(x: Array) -> tuple[Array, tuple[Array, ...]]:
        best = game.best_response(x, problem.response, values)
        # a mixture does not follow the mean field
        policy = best.policy if mixture is None else jnp.where(jnp.isfinite(mixture), mixture, best.policy)
        floor = problem.response.rounding(best.q, game.available)
        return game.moved_on(x, policy)[1], (policy, floor, best.values[0])

    at, jvp, (policy, floor, values) = jax.linearize(image, x, has_aux=True)
    columns = jax.vmap(lambda v: v - jvp(v.reshape(x.shape)).reshape(-1))(identity(x.size, x))
    # what rounding of the law and of its image does, in a few random ways
    signs = jnp.asarray(np.random.default_rng(0).choice([-1.0, 1.0], size=(x.size, _PROBES)), x.dtype)
    probes = jax.vmap(lambda signs: game.random_change(x, signs.reshape(x.shape)).reshape(-1), 1, 1)(signs)
    rounding = (jnp.finfo(x.dtype).eps + floor) * probes
    changes = solve_dense(columns.T, jnp.concatenate([(at - x).reshape(-1, 1), rounding], axis=1))
    nothing = jnp.zeros_like(x)
    # what rounds counts twice
    sizes = jax.vmap(lambda change: game.distance(change.reshape(x.shape), nothing), 1)(changes)
    error = sizes[0] + 2 * sizes[1:].max()
    return _Look(
        x,
        problem.project(x + changes[:, 0].reshape(x.shape)),
        game.distance(x, at),
        # a matrix that is singular by rounding alone tells nothing
        jnp.where(jnp.isfinite(error), error, 1),
        reachable(problem.tolerance, floor),
        has_several_classes(game.kernel_at(jnp.int32(0), x[0]).chain(policy[0])),
        values,
    )


def has_several_classes(chain: Array) -> Array:
    """Tell whether a chain has several recurrent classes, hence many stationary laws."""
    reaches = (chain > 0) | jnp.eye(len(chain), dtype=bool)
    for _ in range(math.ceil(math.log2(len(chain)))):
        reaches = jnp.matmul(reaches, reaches, preferred_element_type=jnp.float32) > 0
    is_recurrent = (~reaches | reaches.T).all(axis=1)
    return (is_recurrent[:, None] & is_recurrent & ~reaches).any()
