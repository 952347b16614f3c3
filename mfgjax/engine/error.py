"""How far from an equilibrium a stationary mean field is, and Newton's method where that is too far.

A population that hardly moves has small residuals everywhere. So the residual of a stationary game tells little about
the distance, and how it fell during the iteration does not tell more: what never moved was never seen.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._linear import solve_dense
from .._result import RESULTS
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
_STEPS_ASIDE = 3


def is_polished(problem: Problem, method: AbstractMethod) -> bool:
    """Tell whether `polished` applies.

    It does to residuals of stationary games whose matrix is small, and to methods that end by themselves.
    """
    is_residual = by_residual(problem.game, problem.response, method)
    return _is_small(problem.game) and is_residual and method.atol != 0


def _is_small(game: AnyGame) -> bool:
    return game.is_stationary and is_cheap(game)


def polished(problem: Problem, outcome: Outcome) -> Outcome:
    """Estimate the error of what converged, for one stationary game, and improve it by Newton's method.

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
    # with several classes there is no one equilibrium to be far from
    judged = (outcome.code == RESULTS.converged) & ~first.has_several_classes
    # no condition: inside `shard_map` JAX lets none hold loops that cast what they begin with
    improved = with_verdict(improved, first.tolerance)
    return jax.tree.map(lambda new, old: jnp.where(judged, new, old), improved, outcome)


def can_be_measured(game: AnyGame, outcome: Outcome) -> bool:
    """Tell whether `measured` applies: to what the residual alone judges, and `polished` does not measure."""
    return outcome.candidate.log_policy is None and outcome.candidate.mixture is None and not _is_small(game)


def is_unmeasured(code: Array, error: Array) -> Array:
    """Tell where the residual met the tolerance before a step showed how far from an equilibrium that is."""
    return (code == RESULTS.converged) & (error != error)  # NaN alone differs from itself


def measured(problem: Problem, outcome: Outcome) -> Outcome:
    """Estimate the error of one problem that is unmeasured, by a few steps of Newton's method.

    They begin a little aside, where the equation of an equilibrium that is degenerate is not. Near one of these they
    shrink by a constant factor q, so that after a step d there are q/(1 − q) d to come. To the distance of the last
    point, or of where they lead, what rounding does is added.
    """
    outcome = alike(outcome)
    x, game, eps = outcome.candidate.mean_field, problem.game, jnp.finfo(outcome.residual.dtype).eps
    # a random share of every mass, in which the mass of all stays
    change = jnp.asarray(np.random.default_rng(0).choice([-1.0, 1.0], size=x.shape), x.dtype) * x
    direction = change - x * change.sum(axis=tuple(range(1, x.ndim)), keepdims=True)

    def step(k: Array, carry: tuple) -> tuple:
        x, before, *_, enlarged, _ = carry
        off, seen = look(problem, x)
        solve = newton_solver(problem, x, seen.best)
        change, rounding = solve(off), solve((eps + seen.floor) * direction)
        following = problem.project(x + change)
        sizes = [game.distance(moved, jnp.zeros_like(x)) for moved in (before, change, rounding)]
        # at the point aside: nearer to a degenerate one a linear equation says too much
        return alike((following, change, *sizes[:2], jnp.where(k == 0, sizes[2], enlarged), seen.floor))

    aside, nothing = problem.project(x + eps ** (1 / 3) * direction), jnp.zeros_like(outcome.residual)
    carry = alike((aside, jnp.zeros_like(x), nothing, nothing, nothing, nothing))
    last, change, before, now, rounding, floor = jax.lax.fori_loop(0, _STEPS_ASIDE, step, carry)
    factor = jnp.clip(now / jnp.maximum(before, jnp.finfo(x.dtype).tiny), 0, 0.9)
    limit = last + factor / (1 - factor) * change
    error = 2 * (jnp.maximum(game.distance(limit, x), game.distance(last, x)) + rounding)
    # beyond 1 there is no distance, and a matrix that is singular by rounding alone tells nothing
    error = jnp.minimum(jnp.where(jnp.isfinite(error), error, 1), 1)
    found = with_verdict(outcome._replace(error=error), reachable(problem.tolerance, floor))
    return jax.tree.map(
        lambda new, old: jnp.where(is_unmeasured(outcome.code, outcome.error), new, old), found, outcome
    )


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
    law = x.reshape(-1, 1)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(law.size, _PROBES))
    rounding = (jnp.finfo(x.dtype).eps + floor) * law * jnp.asarray(signs, x.dtype)
    rounding = rounding - law * rounding.sum(axis=0)
    changes = solve_dense(columns.T, jnp.concatenate([(at - x).reshape(-1, 1), rounding], axis=1))
    sizes = jnp.abs(changes).sum(axis=0)
    error = sizes[0] / 2 + sizes[1:].max()
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
