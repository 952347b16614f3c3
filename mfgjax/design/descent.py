"""One step of the search for a better design: which design to try next, and whether to accept it."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .._typing import Array, Bool, Int, Scalar

RUNNING, CONVERGED, GOAL, SETTLED, STUCK, MAX_STEPS, STOPPED, BALANCED = range(8)

STATUS = {
    RUNNING: "The search was not finished.",
    CONVERGED: "The gradient is below `gtol`.",
    GOAL: "The objective reached `goal`.",
    SETTLED: "The search made no more progress, and its condition on gradients was not met: it may not have converged.",
    STUCK: "No equilibrium was found at the start, or near the design reached, however short the step.",
    MAX_STEPS: "All steps were used up.",
    STOPPED: "The search was stopped from outside.",
    BALANCED: "To first order no change lowers all of the worst scenarios: a mean of their gradients is below `gtol`.",
}

_MEMORY = 20
_ARMIJO = 1e-4
_LONGEST = 4.0
"""Most that a coordinate may move in a step of the default method: logits and logs are of the size of 1."""
_SHORTEST = 2.0**-30
_PATIENCE = 5


class Descent(NamedTuple):
    """The state of one search: the design accepted last, the one on trial, and the best so far.

    Attributes:
      point: coordinates of the design that was accepted last.
      value: its objective; infinite before the first.
      gradient: of the objective there.
      direction: from there to the design on trial, for length 1.
      length: by which the direction is taken.
      reach: most that a coordinate may move at once; less after a design without an equilibrium.
      optimizer: state of the method.
      best: coordinates of the best design.
      best_value: its objective.
      flat: steps without progress.
      status: RUNNING, or why it ended.
    """

    point: Any
    value: Scalar
    gradient: Any
    direction: Any
    length: Scalar
    reach: Scalar
    optimizer: Any
    best: Any
    best_value: Scalar
    flat: Int[Array, ""]
    status: Int[Array, ""]

    @property
    def trial(self) -> Any:
        """Return the coordinates of the design on trial."""
        return jax.tree.map(lambda x, d: x + self.length * d, self.point, self.direction)


class Method(NamedTuple):
    """How directions are found, and when a search ends.

    Attributes:
      optimizer: a transformation of optax; for L-BFGS without its line search.
      searches: whether a step must lower the objective.
      gtol: largest entry of the gradient at which a search has converged.
      goal: objective that is good enough, before any smoothing; −inf for none.
    """

    optimizer: optax.GradientTransformationExtraArgs
    searches: bool
    gtol: np.ndarray
    goal: np.ndarray


@functools.cache  # one object, so that programs are compiled once
def lbfgs() -> optax.GradientTransformationExtraArgs:
    """Return the directions of L-BFGS."""
    directions = optax.chain(optax.scale_by_lbfgs(memory_size=_MEMORY), optax.scale(-1.0))
    return optax.with_extra_args_support(directions)


def begin(method: Method, point: Any) -> Descent:
    """Return a search whose design on trial is its start."""
    zeros = jax.tree.map(jnp.zeros_like, point)
    dtype = jax.tree.leaves(point)[0].dtype
    far, unit = jnp.asarray(jnp.inf, dtype), jnp.ones((), dtype)  # so that the first design is accepted
    state = method.optimizer.init(point)
    reach = _LONGEST * unit if method.searches else far
    return Descent(point, far, zeros, zeros, unit, reach, state, point, far, jnp.int32(0), jnp.int32(RUNNING))


def tell(
    method: Method,
    search: Descent,
    value: Scalar,
    gradient: Any,
    steepness: Scalar,
    found: Bool[Array, ""],
    value_fn: Callable,
) -> tuple[Descent, Bool[Array, ""]]:
    """Update a search with the objective of the design on trial, and tell whether that was accepted.

    A design without an equilibrium, or with a gradient that is not finite, is not accepted: the step is made
    shorter. The default method also shortens a step that does not lower the objective enough (Armijo's rule).

    Args:
      method: how to go on.
      search: the search.
      value: objective of the design on trial; anything where it has no equilibrium.
      gradient: of the objective there.
      steepness: largest entry of the gradient, by which convergence is judged.
      found: whether it has an equilibrium.
      value_fn: the objective at other coordinates, for methods of optax that search along a line themselves.
    """
    running = search.status == RUNNING
    finite = jnp.isfinite(value) & jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient)]).all()
    usable = found & finite
    slope = _dot(search.gradient, search.direction)
    eps = jnp.finfo(value.dtype).eps
    # Armijo's rule, with room for the rounding of the objective
    lowers = value <= search.value + _ARMIJO * search.length * slope + 4 * eps * jnp.abs(value)
    accept = running & usable & (lowers | ~jnp.isfinite(search.value) if method.searches else True)

    trial = search.trial
    clean = jax.tree.map(lambda g: jnp.where(usable, g, 0), gradient)
    direction, state = _direction(method, search, trial, value, clean, value_fn)
    better = accept & (value < search.best_value)
    gains = search.best_value - value > 1e-9 * jnp.abs(search.best_value)
    # the first design has nothing to be compared with
    progress = accept & (gains | ~jnp.isfinite(search.best_value))
    flat = jnp.where(progress, 0, search.flat + 1).astype(jnp.int32)

    # where equilibria fail the next directions, too, begin short, and grow again by and by
    reach = jnp.where(
        accept, 2 * search.reach, jnp.where(usable, search.reach, search.length * _size(search.direction) / 4)
    )
    reach = jnp.minimum(reach, _LONGEST) if method.searches else reach
    size = _size(direction)
    length = jnp.where(
        accept, jnp.minimum(1, reach / jnp.where(size > 0, size, 1)), search.length / jnp.where(usable, 2, 4)
    )
    # where probabilities are all but 0 or 1 gradients vanish, too: only the best design can be an answer
    status = jnp.where(accept & better & (steepness <= method.gtol), CONVERGED, RUNNING)
    if method.searches:  # others may rise before they fall
        status = jnp.where(accept & (flat >= _PATIENCE), SETTLED, status)
    status = jnp.where(~accept & (length < _SHORTEST), jnp.where(usable, SETTLED, STUCK), status)
    status = jnp.where(~accept & ~jnp.isfinite(search.value), STUCK, status).astype(jnp.int32)  # the start itself
    moved_on = Descent(trial, value, clean, direction, length, reach, state, trial, value, flat, status)
    rejected = search._replace(length=length, reach=reach, flat=flat, status=status)
    after = _where(accept, moved_on, rejected)
    after = after._replace(
        best=_where(better, trial, search.best), best_value=jnp.where(better, value, search.best_value)
    )
    return _where(running, after, search), accept


def _direction(
    method: Method, search: Descent, trial: Any, value: Scalar, gradient: Any, value_fn: Callable
) -> tuple[Any, Any]:
    def ask(state: Any) -> tuple[Any, Any]:
        return method.optimizer.update(gradient, state, trial, value=value, grad=gradient, value_fn=value_fn)

    direction, state = ask(search.optimizer)
    if not method.searches:
        return direction, state
    # where the curvature along the last step was negative the direction may lead up: begin anew
    first, fresh_state = ask(method.optimizer.init(trial))
    fresh = _steepest(search, trial, gradient, first)
    slope = _dot(gradient, direction)
    leads_down = slope < 0
    return _where(leads_down, direction, fresh), _where(leads_down, state, fresh_state)


def _steepest(search: Descent, trial: Any, gradient: Any, first: Any) -> Any:
    """Return the direction of steepest descent, as long as the curvature of the last step suggests.

        d = −g ‖s‖/‖y‖,   s the last step, y the change of the gradient along it;   before the first step `first`

    For a single number this is −f'/|f''|, Newton's step with the size of the curvature. The gradient alone may be far
    too short: near a bound the derivative with respect to y of x = lower + exp(y) is as small as x − lower. So is the
    curvature, and d is a step of about 1 in y.

    Source: Dai, Al-Baali and Yang (2015), "A positive Barzilai-Borwein-like stepsize and an extension for symmetric
    linear systems": the geometric mean of the two stepsizes of Barzilai and Borwein.
    """
    step = optax.tree.sub(trial, search.point)
    change = optax.tree.sub(gradient, search.gradient)
    moved, changed = jnp.sqrt(_dot(step, step)), jnp.sqrt(_dot(change, change))
    # a step may be rounded to nothing
    measured = jnp.isfinite(search.value) & (moved > 0) & (changed > 0)
    length = moved / jnp.where(measured, changed, 1)
    return jax.tree.map(lambda g, d: jnp.where(measured, -length * g, d), gradient, first)


def _size(tree: Any) -> Scalar:
    """Return the largest entry in absolute value."""
    return jnp.stack([jnp.abs(leaf).max() for leaf in jax.tree.leaves(tree)]).max()


def _dot(first: Any, second: Any) -> Scalar:
    return jnp.asarray(optax.tree.vdot(first, second))


def _where(condition: Array, first: Any, second: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)
