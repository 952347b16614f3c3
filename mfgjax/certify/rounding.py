"""What rounding may do to what a program computes, seen by running it once more with every step rounded otherwise."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .._typing import Array
from ..ranges.equations import CALLS, MOVING, bind, called, evaluate
from ..ranges.precision import coarsest, spacing_of

_MULTIPLIER = np.uint32(2654435761)  # of Knuth's hash: neighbouring places get unrelated numbers
_OF_SEEDS = np.uint32(2246822519)  # places of two seeds are far apart
_NUM_SEEDS = 4


def rounded_otherwise(function: Callable[[Array], Array], seed: Array | int = 0) -> Callable[[Array], Array]:
    """Return a function that computes the same, where the input and each step are off by 2 to 6 spacings of numbers.

    What the results differ by tells how large the numbers were that they came from, though these may have cancelled.
    Values and derivatives can be compared; a program that steps over a threshold by rounding shows that, too. Each
    `seed` rounds in other ways, as errors may cancel by chance.
    """

    def other(x: Array) -> Any:
        numbers = itertools.count(1)
        program, shape = jax.make_jaxpr(function, return_shape=True)(x)

        def apply(equation: Any, inputs: list[Any]) -> list[Any]:
            if equation.primitive.name in CALLS:
                return evaluate(*called(equation), inputs, apply)
            outputs = bind(equation, inputs)
            if equation.primitive.name in _EXACT:
                return outputs
            return [_moved(y, next(numbers), seed, coarsest(equation)) for y in outputs]

        outputs = evaluate(program.jaxpr, program.consts, [_moved(x, 0, seed, spacing_of(x.dtype))], apply)
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    return other


def explained(values: Array, otherwise: Array) -> Array:
    """Return how far rounding may have moved each value, from what one that was rounded otherwise differs by."""
    return 4 * jnp.abs(otherwise - values)


def most_explained(function: Callable[[Array], Array], x: Array) -> Array:
    """Return how far rounding may have moved each of the values f(x): the most that several seeds explain."""
    values = function(x)
    seeds = jnp.arange(_NUM_SEEDS, dtype=jnp.uint32)
    return jax.lax.map(lambda seed: explained(values, rounded_otherwise(function, seed)(x)), seeds).max(axis=0)


def _moved(x: Any, number: int, seed: Array | int, spacing: float) -> Any:
    """Return numbers each of which is off by 2 to 6 spacings, up or down; `number` is that of the step.

    `spacing` is that of numbers near 1 that the step keeps apart, which may be more than their type does.
    """
    if not jnp.issubdtype(jnp.result_type(x), jnp.floating):
        return x
    size, dtype = int(np.prod(jnp.shape(x))), jnp.result_type(x)
    start = np.uint32(7919 * number) + jnp.asarray(seed, jnp.uint32) * _OF_SEEDS
    place = jax.lax.iota(jnp.uint32, size) + start
    mixed = place * _MULTIPLIER
    mixed = (mixed ^ (mixed >> 15)) * _MULTIPLIER
    share = (mixed >> 16).astype(dtype) / 2**15 - 1  # in [-1, 1)
    spacings = jnp.where(share < 0, 4 * share - 2, 4 * share + 2)
    return x * (1 + spacing * spacings.reshape(jnp.shape(x)))


_EXACT = MOVING | {"ceil", "floor", "round", "sign"}
"""Places that are computed with `floor` stay whole numbers."""
