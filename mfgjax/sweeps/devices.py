"""The devices that the lanes of a sweep are spread over."""

import logging
import time
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from .. import cores
from .._typing import Array
from ..cores import num_cores

_log = logging.getLogger("mfgjax")
_told = set()
_LONG = 30.0
"""Seconds after which more cores would be worth a new start."""


def lane_mesh() -> Mesh:
    """Return the mesh of all devices of all processes, along which lanes are spread."""
    # Auto: the compiler places what is inside; arrays carry no placement in their types
    return Mesh(np.array(jax.devices()), ("lanes",), axis_types=(AxisType.Auto,))


def advise_cores(since: float) -> None:
    """Say once that more cores could compute, if a sweep that began at `since` (`time.monotonic`) takes long on one."""
    if cores.is_chosen or "cores" in _told or time.monotonic() - since < _LONG:
        return
    if jax.default_backend() == "cpu" and len(jax.devices()) == 1 and num_cores() > 1:
        _told.add("cores")
        _log.warning(
            "This sweep runs on one core of %d. To use all, start Python anew and call `mfgjax.use_cpu_cores()` "
            "directly after the imports.",
            num_cores(),
        )


def spread(mesh: Mesh, array: Any) -> Array:
    """Spread the lanes, the last axis of a host array, over the devices."""
    host = np.asarray(array)
    sharding = NamedSharding(mesh, P(*(None,) * (host.ndim - 1), "lanes"))  # lanes are the last axis of every array
    # a callback, as a process can fill the devices of its own only
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def gathered(tree: Any) -> Any:
    """Gather arrays that are spread over devices into NumPy arrays, whole in every process."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def of_first_process(tree: Any) -> Any:
    """Broadcast the NumPy arrays of the first process to all processes."""
    return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)


def meet(name: str) -> None:
    """Wait until all processes have called this with the same name."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
