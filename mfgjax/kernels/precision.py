"""Probabilities brought from one precision to another."""

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
    """Return probabilities (last axis) in a precision; rows that were rounded in a lower one sum to 1 in it again."""
    if array.dtype == dtype:
        return array
    own_dtype = array.dtype
    numbers: Any = jnp if isinstance(array, Tracer) else np
    array = numbers.asarray(array).astype(dtype)
    if jnp.finfo(own_dtype).bits >= jnp.finfo(dtype).bits:
        return array
    sums = array.sum(axis=-1, keepdims=True)
    near = numbers.abs(sums - 1) <= _checks.precision(own_dtype)  # what is further off is refused later
    return array / numbers.where(near, sums, 1)


def kernel_in_precision(kernel: AbstractKernel, dtype: Any) -> AbstractKernel:
    """Return a kernel in a precision, with rows that sum to 1 in it if they did in their own."""
    if isinstance(kernel, MixtureKernel):
        numbers: Any = jnp if any(isinstance(weight, Tracer) for weight in kernel.weights) else np
        weights = in_precision(numbers.stack([numbers.asarray(weight) for weight in kernel.weights], axis=-1), dtype)
        part_kernels = tuple(kernel_in_precision(part, dtype) for part in kernel.parts)
        places = tuple(weights[..., k] for k in range(len(part_kernels)))
        return eqx.tree_at(lambda k: (k.parts, k.weights), kernel, (part_kernels, places))
    if isinstance(kernel, RestartKernel):
        return eqx.tree_at(lambda k: k.law, kernel, in_precision(kernel.law, dtype))
    if isinstance(kernel, DenseKernel | SuccessorKernel):
        return eqx.tree_at(lambda k: k.probabilities, kernel, in_precision(kernel.probabilities, dtype))
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, kernel)
