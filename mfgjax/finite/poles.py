"""Rewards where Θ has a pole at a number that the crowd attains: then rounding decides on how large they are."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._gradients import stop_gradients
from .._typing import Array
from ..model import FiniteHorizonGame, PairwiseReward
from ..ranges.equations import programs_in
from ..ranges.intervals import Interval
from ..ranges.programs import range_of
from ..ranges.ranges import NotDerivable
from .interaction import KNOWN, size_of_terms

_SPACINGS = 8  # by which a crowd may be added up wrongly, at the size of the terms
_MOST_PLACES = 4096  # of a reward whose program is bounded as a whole

_UNBOUNDED = frozenset(
    """
    acosh atanh bessel_i0e bessel_i1e digamma div erf_inv igamma igamma_grad_a igammac integer_pow lgamma log log1p
    polygamma pow regularized_incomplete_beta rsqrt tan zeta
    """.split()  # noqa: SIM905
)
"""Primitives whose results may be unbounded where their inputs are bounded."""


def theta_with_poles(game: FiniteHorizonGame) -> Callable[[Any, Array, Array], Array]:
    """Return Θ as a function (t, x, size) that is infinite where rounding of x may hide a pole.

    `size` is that of the terms that x is the sum of.
    """
    reward: Any = game.reward
    theta = reward.theta
    if theta is None:
        return lambda t, x, size: x
    time, seen = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct(game.seen_shape, game.dtype)
    if not _may_blow_up(lambda t, x: theta(t, x), time, eqx.filter_eval_shape(reward.L, time, seen)):
        return lambda t, x, size: theta(t, x)

    def infinite_at_poles(t: Any, x: Array, size: Array) -> Array:
        is_pole = _is_pole(lambda x: theta(t, x), stop_gradients(x), stop_gradients(size))
        return jnp.where(is_pole, jnp.inf, theta(t, x))

    return infinite_at_poles


def reward_with_poles(game: FiniteHorizonGame) -> Callable[[Any, Array], Array]:
    """Return the game's reward `(t, seen) -> [S, A]`, infinite where rounding of the shares may hide a pole."""
    reward: Any = game.reward
    time, seen = jax.ShapeDtypeStruct((), jnp.int32), jax.ShapeDtypeStruct(game.seen_shape, game.dtype)
    if not _may_blow_up(game.reward_at, time, seen):
        return game.reward_at
    if type(reward) is PairwiseReward and type(reward.L) in KNOWN:
        theta = theta_with_poles(game)

        def is_pole(t: Any, seen: Array) -> Array:
            return jnp.isinf(theta(t, reward.L(t, seen), size_of_terms(reward.L, t, seen)))
    else:

        def is_pole(t: Any, seen: Array) -> Array:
            off = _SPACINGS * jnp.finfo(seen.dtype).eps * seen
            return _is_unbounded(lambda m: game.reward_at(t, m), Interval(seen - off, seen + off), entrywise=False)

    return lambda t, seen: jnp.where(is_pole(t, stop_gradients(seen)), jnp.inf, game.reward_at(t, seen))


def _may_blow_up(function: Callable, *inputs: Any) -> bool:
    """Tell whether the program of a function has steps that may be unbounded."""

    def has_such(program: Any) -> bool:
        return any(_is_unbounded_step(e) or any(map(has_such, programs_in(e))) for e in program.eqns)

    return has_such(jax.make_jaxpr(function)(*inputs).jaxpr)


def _is_unbounded_step(equation: Any) -> bool:
    name = equation.primitive.name
    by_constant = name == "div" and hasattr(equation.invars[1], "val")
    is_polynomial = name == "integer_pow" and equation.params["y"] >= 0
    return name in _UNBOUNDED and not by_constant and not is_polynomial


def _is_pole(theta: Callable[[Array], Array], x: Array, size: Array) -> Array:
    radius = _SPACINGS * jnp.finfo(x.dtype).eps * size
    low, high = x - radius, x + radius
    # at the edge of its domain, as that of a square root, a function may be bounded on its own side
    low, high = (jnp.where(jnp.isnan(theta(end)), x, end) for end in (low, high))
    is_pole = _is_unbounded(theta, Interval(low, high), entrywise=True)
    return jnp.isfinite(x) & (is_pole | _grows(theta, x, radius) | _grows(theta, x, -radius))


def _is_unbounded(function: Callable[[Array], Array], box: Interval, *, entrywise: bool) -> Array:
    """Tell where a function is unbounded on a box, as far as its program tells."""
    if not entrywise and np.prod(box.low.shape) > _MOST_PLACES:
        return jnp.array(False)
    try:
        value = range_of(function, box, entrywise=entrywise).value
    except NotDerivable:
        return jnp.array(False)
    return ~(jnp.isfinite(value.low) & jnp.isfinite(value.high))


def _grows(theta: Callable[[Array], Array], x: Array, step: Array) -> Array:
    """Tell whether Θ changes as much on a sixteenth of a way towards x as on all of it, as a logarithm does at 0.

    This finds poles at the edge of a domain, and in programs that cannot be bounded. Where Θ jumps it changes at once.
    """
    near, middle, far = (theta(x + distance * step) for distance in (4, 64, 1024))
    change = jnp.abs(middle - far)
    return (jnp.abs(near - middle) >= 0.9 * change) & (change > 1e-4 * (jnp.abs(near) + jnp.abs(far)))
