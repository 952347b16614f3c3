"""Probabilities in log space, and distances between them."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ._modes import in_own_modes
from ._typing import Array


def safe_log(probabilities: Array) -> Array:
    """Return log p, −inf where p is 0, with a zero derivative there."""
    positive = probabilities > 0
    # the inner `where` keeps log away from 0, whose derivative times 0 would be NaN
    return jnp.where(positive, jnp.log(jnp.where(positive, probabilities, 1)), -jnp.inf)


def log_normalize(logits: Array, axis: int) -> Array:
    """Return logits − log Σ exp(logits); −inf entries stay −inf. Each row needs one finite entry."""
    # the logs that matter are near 0 after the shift, where numbers are dense: large ones would not sum to 1
    logits = logits - jax.lax.stop_gradient(logits.max(axis=axis, keepdims=True))
    return logits - jax.nn.logsumexp(logits, axis=axis, keepdims=True)


def log_ratio(log_p: Array, log_q: Array) -> Array:
    """Return log(p/q) where p > 0 and 0 elsewhere (the weight p·log(p/q) is 0 there)."""
    positive = log_p > -jnp.inf
    # −inf − (−inf) would be NaN
    return jnp.where(positive, jnp.where(positive, log_p, 0) - jnp.where(positive, log_q, 0), 0)


def random_policies(key: Array, mask: Array, dtype: DTypeLike) -> Array:
    """Return softmax policies of normals on the available actions, from even to almost certain ones.

    Args:
      key: of JAX.
      mask: which actions are available, last, for each of the policies, first.
      dtype: precision.
    """
    scale = jnp.exp(jnp.linspace(-1, 3, len(mask), dtype=dtype)).reshape(len(mask), *[1] * (mask.ndim - 1))
    logs = jnp.where(mask, scale * jax.random.normal(key, mask.shape, dtype), -jnp.inf)
    return jax.nn.softmax(logs, axis=-1)


@in_own_modes
def total_variation(p: Array, q: Array, axis: int | tuple[int, ...] = -1) -> Array:
    """Return the total variation distance of two distributions.

        d_TV(p, q) = ½ Σ_x |p(x) − q(x)|

    Args:
      p: a distribution over `axis`; other axes broadcast.
      q: another distribution over `axis`.
      axis: the axis (or axes) of x.

    Returns:
      The distance, between 0 and 1, for every entry of the other axes.

    Raises:
      ValueError: if the two have different lengths along `axis`.

    Example:
      >>> import mfgjax as mfg
      >>> float(mfg.total_variation([0.5, 0.5], [1.0, 0.0]))
      0.5

    Source: Guan et al. (2021), arXiv:2110.07469, section II-d.
    """
    p, q = jnp.asarray(p), jnp.asarray(q)
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(p.shape[d] != q.shape[d] for d in axes if -min(p.ndim, q.ndim) <= d < min(p.ndim, q.ndim)):
        raise ValueError(f"`p` has shape {p.shape}, but `q` has {q.shape}.")
    return jnp.abs(p - q).sum(axis=axis) / 2


def onto_simplex(mass: Array | np.ndarray, num_axes: int) -> Array:
    """Clip negative entries to zero and rescale the `num_axes` axes behind the first (time) to sum to 1."""
    axes = tuple(range(1, 1 + num_axes))
    clipped = jnp.maximum(mass, 0)
    return clipped / clipped.sum(axis=axes, keepdims=True)
