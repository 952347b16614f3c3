"""How far from an equilibrium a stationary mean field is, and Newton's method where that is too far.

A population that hardly moves has small residuals everywhere. So the residual of a stationary game tells little about
the distance, and how it fell during the iteration does not tell more: what never moved was never seen.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .._linear import solve_dense
from .._result import RESULTS
from .._typing import Array, Scalar
from .._varying import alike
from ..solvers import AbstractMethod
from ..solvers.base import Problem, by_residual
from ..solvers.newton import is_cheap
from .loop import Outcome, reachable, with_verdict

_MOST_STEPS = 5
_PROBES = 4


def is_polished(problem: Problem, method: AbstractMethod) -> bool:
    """Tell whether `polished` applies.

    It does to residuals of stationary games whose matrix is small, and to methods that end by themselves.
    """
    game = problem.game
    is_residual = by_residual(game, problem.response, method)
    return game.is_stationary and is_residual and is_cheap(game) and method.atol != 0


def polished(problem: Problem, outcome: Outcome) -> Outcome:
    """Estimate the error of what converged, for one stationary game, and improve it by Newton's method.

    With d = (I − DΓ(z))⁻¹ (Γ(z) − z), z + d is nearer by far, and the same again from there shows how far that still
    is, or what rounding does. To this what the rounding of z itself does is added, as (I − DΓ)⁻¹ enlarges it.
    """
    outcome = alike(outcome)
    chain = chain_of(problem, outcome.candidate.mean_field, _policy(problem, outcome))
    # with several classes there is no one equilibrium to be far from
    judged = (outcome.code == RESULTS.converged) & ~has_several_classes(chain)
    # no condition: inside `shard_map` JAX lets none hold loops that cast what they begin with
    return jax.tree.map(lambda new, old: jnp.where(judged, new, old), _polished(problem, outcome), outcome)


def _policy(problem: Problem, outcome: Outcome) -> Array:
    """Return the policy of a candidate, a response or a mixture of responses."""
    policy = problem.game.best_response(outcome.candidate.mean_field, problem.response).policy
    mixture = outcome.candidate.mixture
    return policy if mixture is None else jnp.where(jnp.isfinite(mixture), mixture, policy)


def chain_of(problem: Problem, mean_field: Array, policy: Array) -> Array:
    """Return the matrix of the chain of states under a policy, `[S, S]`, from row to column."""
    kernel, pi = problem.game.kernel_at(jnp.int32(0), mean_field[0]), policy[0]
    eye = jnp.eye(len(pi), dtype=pi.dtype)
    return jax.vmap(lambda law: kernel.push(law[:, None] * pi))(eye)


def has_several_classes(chain: Array) -> Array:
    """Tell whether a chain has several recurrent classes, hence many stationary laws."""
    reaches = (chain > 0) | jnp.eye(len(chain), dtype=bool)
    for _ in range(math.ceil(math.log2(len(chain)))):
        reaches = jnp.matmul(reaches, reaches, preferred_element_type=jnp.float32) > 0
    is_recurrent = (~reaches | reaches.T).all(axis=1)
    return (is_recurrent[:, None] & is_recurrent & ~reaches).any()


def _polished(problem: Problem, outcome: Outcome) -> Outcome:
    game, start = problem.game, outcome.candidate.mean_field
    mixture = outcome.candidate.mixture
    tolerance = reachable(problem.tolerance, problem.floor(start))

    def image(x: Array) -> Array:
        if mixture is None:
            return problem.image(x)
        # a mixture does not follow the mean field
        return jnp.where(jnp.isfinite(mixture).all(), game.moved_on(x, mixture)[1], problem.image(x))

    def is_far(carry: tuple) -> Array:
        step, _, count = carry
        return (count < 1) | ((step.error > jnp.sqrt(tolerance)) & (count < _MOST_STEPS))

    def improve(carry: tuple) -> tuple:
        before, first_error, count = carry
        step = _newton_step(problem, image, before.mean_field)
        return step, jnp.where(count == 0, step.error_before, first_error), count + 1

    nothing = jnp.zeros((), start.dtype)
    carry = alike((_Step(start, nothing, nothing, nothing), nothing, jnp.int32(0)))
    last, first_error, _ = jax.lax.while_loop(is_far, improve, carry)
    # a matrix that is singular by rounding alone tells nothing
    error, first_error = (jnp.where(jnp.isfinite(size), size, 1) for size in (last.error, first_error))
    # a policy that jumps may leave an equilibrium, too
    better = (last.residual <= jnp.maximum(tolerance, outcome.residual)) & (error <= first_error)
    mean_field = jnp.where(better, last.mean_field, start)
    outcome = outcome._replace(
        candidate=outcome.candidate._replace(mean_field=mean_field),
        residual=jnp.where(better, last.residual, outcome.residual),
        # beyond 1 there is no distance
        error=jnp.minimum(2 * jnp.where(better, error, first_error), 1),
    )
    return with_verdict(outcome, tolerance)


class _Step(NamedTuple):
    """Where a step of Newton's method leads, its residual, and how far from an equilibrium it and its start are."""

    mean_field: Array
    residual: Scalar
    error: Scalar
    error_before: Scalar


def _newton_step(problem: Problem, image: Callable[[Array], Array], x: Array) -> _Step:
    at, jvp = jax.linearize(image, x)
    eye, _ = alike((jnp.eye(x.size, dtype=x.dtype), x))
    columns = jax.vmap(lambda v: v - jvp(v.reshape(x.shape)).reshape(-1))(eye)
    inverse = solve_dense(columns.T, eye)

    def times(vectors: Array) -> Array:
        return jnp.matmul(inverse, vectors, precision=jax.lax.Precision.HIGHEST)

    def correction(off: Array) -> Array:
        return times(off.reshape(-1)).reshape(x.shape)

    change = correction(at - x)
    following = problem.project(x + change)
    after = image(following)
    next_change = correction(after - following)
    # what rounding of the law does, in a few random ways
    law = following.reshape(-1, 1)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(law.size, _PROBES))
    rounding = jnp.finfo(x.dtype).eps * law * jnp.asarray(signs, x.dtype)
    noise = jnp.abs(times(rounding - law * rounding.sum(axis=0))).sum(axis=0).max()
    residual = problem.game.distance(following, after)
    return _Step(following, residual, _size(next_change) + noise, _size(change) + noise)


def _size(change: Array) -> Scalar:
    return jnp.abs(change).sum() / 2
