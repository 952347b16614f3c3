"""Conversion of probabilities and kernels from one precision to another."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .. import _checks
from .base import AbstractKernel
from .dense import DenseKernel
from .mixture import MixtureKernel, RestartKernel
from .successors import SuccessorKernel


def in_precision(array: Any, dtype: Any) -> Any:
    """Convert probabilities (last axis) to a precision; rows that a lower one rounded are divided by their sum."""
    if array.dtype == dtype:
        return array
    own_dtype = array.dtype
    # NumPy compiles nothing, and what is known stays known in `jit`
    numbers: Any = jnp if isinstance(array, Tracer) else np
    array = numbers.asarray(array).astype(dtype)
    if jnp.finfo(own_dtype).bits >= jnp.finfo(dtype).bits:  # coarser: sums are as near to 1 as this precision can tell
        return array
    sums = array.sum(axis=-1, keepdims=True)
    near = numbers.abs(sums - 1) <= _checks.precision(own_dtype)  # what is further off is refused later
    return array / numbers.where(near, sums, 1)


def kernel_in_precision(kernel: AbstractKernel, dtype: Any) -> AbstractKernel:
    """Convert a kernel to a precision, in which its rows sum to 1 if they did in their own."""
    if isinstance(kernel, MixtureKernel):
        numbers: Any = jnp if any(isinstance(weight, Tracer) for weight in kernel.weights) else np
        # the weights are one distribution: rescaled together
        weights = in_precision(numbers.stack([numbers.asarray(weight) for weight in kernel.weights], axis=-1), dtype)
        part_kernels = tuple(kernel_in_precision(part, dtype) for part in kernel.parts)
        places = tuple(weights[..., k] for k in range(len(part_kernels)))
        return eqx.tree_at(lambda k: (k.parts, k.weights), kernel, (part_kernels, places))
    if isinstance(kernel, RestartKernel):
        return eqx.tree_at(lambda k: k.law, kernel, in_precision(kernel.law, dtype))
    if isinstance(kernel, DenseKernel | SuccessorKernel):
        return eqx.tree_at(lambda k: k.probabilities, kernel, in_precision(kernel.probabilities, dtype))
    # of other kernels it is not known which arrays are probabilities, so they are only cast
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, kernel)
