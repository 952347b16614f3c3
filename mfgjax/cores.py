"""Using all cores of a CPU."""

import os

import jax

from . import _checks

is_chosen = False
"""Whether `use_cpu_cores` was called, so that a sweep need not advise it."""


def use_cpu_cores(count: int | None = None) -> int:
    """Make JAX use one CPU device per core, so that a sweep uses all cores. Call it before anything is computed.

    By default JAX treats all cores together as one device, and at the sizes of most games it uses one core of a device.
    On accelerators this has no effect.

    Args:
      count: number of devices; None: one for each core that this process may use.

    Returns:
      The number of devices.

    Raises:
      ValueError: if JAX has started already.

    Example:
      >>> import mfgjax as mfg
      >>> mfg.use_cpu_cores()  # doctest: +SKIP
      8
    """
    global is_chosen
    cores = num_cores() if count is None else _checks.integer_at_least("count", count, 1)
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError as error:
        raise ValueError(
            "`use_cpu_cores()` must be called before JAX computes anything (build games after it)."
        ) from error
    is_chosen = True
    return cores


def num_cores() -> int:
    """Return how many cores this process may use."""
    # `cpu_count` also counts cores that this process may not use
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
