"""How far from an equilibrium a stationary mean field is, and Newton's method where that is too far.

A population that hardly moves has small residuals everywhere. So the residual of a stationary game tells little about
the distance, and how it fell during the iteration does not tell more: what never moved was never seen.
"""

import math

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
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(start.size, _PROBES))
    signs = jnp.asarray(signs, start.dtype)

    def image_of(x: Array) -> Array:
        image = problem.image(x)
        if mixture is None:
            return image
        # a mixture does not follow the mean field
        return jnp.where(jnp.isfinite(mixture).all(), game.moved_on(x, mixture)[1], image)

    def step(x: Array) -> tuple[Array, Scalar, Scalar, Scalar]:
        """Return the next point, how far it is and its start was from an equilibrium, and its residual."""
        image, jvp = jax.linearize(image_of, x)
        eye, _ = alike((jnp.eye(x.size, dtype=x.dtype), x))
        columns = jax.vmap(lambda v: v - jvp(v.reshape(x.shape)).reshape(-1))(eye)
        inverse = solve_dense(columns.T, eye)

        def times(vectors: Array) -> Array:
            return jnp.matmul(inverse, vectors, precision=jax.lax.Precision.HIGHEST)

        def correction(off: Array) -> Array:
            return times(off.reshape(-1)).reshape(x.shape)

        first = correction(image - x)
        following = problem.project(x + first)
        image = image_of(following)
        second = correction(image - following)
        flat = following.reshape(-1, 1)
        noise = jnp.finfo(x.dtype).eps * flat * signs
        noise = jnp.abs(times(noise - flat * noise.sum(axis=0))).sum(axis=0).max()
        return following, _size(second) + noise, _size(first) + noise, game.distance(following, image)

    def is_far(carry: tuple) -> Array:
        _, error, _, _, count = carry
        return (count < 1) | ((error > jnp.sqrt(tolerance)) & (count < _MOST_STEPS))

    def improve(carry: tuple) -> tuple:
        x, _, error_of_start, _, count = carry
        following, error, error_before, residual = step(x)
        return following, error, jnp.where(count == 0, error_before, error_of_start), residual, count + 1

    nothing = jnp.zeros((), start.dtype)
    carry = alike((start, nothing, nothing, nothing, jnp.int32(0)))
    found, error, error_of_start, residual, _ = jax.lax.while_loop(is_far, improve, carry)
    # a matrix that is singular by rounding alone tells nothing
    error, error_of_start = (jnp.where(jnp.isfinite(size), size, 1) for size in (error, error_of_start))
    # a policy that jumps may leave an equilibrium, too
    better = (residual <= jnp.maximum(tolerance, outcome.residual)) & (error <= error_of_start)
    x = jnp.where(better, found, start)
    outcome = outcome._replace(
        candidate=outcome.candidate._replace(mean_field=x),
        residual=jnp.where(better, residual, outcome.residual),
        # beyond 1 there is no distance
        error=jnp.minimum(2 * jnp.where(better, error, error_of_start), 1),
    )
    return with_verdict(outcome, tolerance)


def _size(change: Array) -> Scalar:
    return jnp.abs(change).sum() / 2
