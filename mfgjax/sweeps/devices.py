"""The devices that the lanes of a sweep are spread over."""

import logging
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


def lane_mesh() -> Mesh:
    """Return the mesh of all devices of all processes, along which lanes are spread."""
    devices = jax.devices()
    unused = jax.default_backend() == "cpu" and len(devices) == 1 and num_cores() > 1
    if unused and not cores.is_chosen and "cores" not in _told:
        _told.add("cores")
        _log.warning(
            "This sweep runs on one core of %d: call `mfgjax.use_cpu_cores()` before anything else.", num_cores()
        )
    return Mesh(np.array(devices), ("lanes",), axis_types=(AxisType.Auto,))


def spread(mesh: Mesh, array: Any) -> Array:
    """Return a host array with lanes last as an array whose lanes lie on the devices in turn."""
    host = np.asarray(array)
    sharding = NamedSharding(mesh, P(*(None,) * (host.ndim - 1), "lanes"))
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def gathered(tree: Any) -> Any:
    """Return arrays that are spread over devices as NumPy arrays, whole in every process."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return multihost_utils.process_allgather(tree, tiled=True)


def of_first_process(tree: Any) -> Any:
    """Return what the first process has of NumPy arrays, in all of them."""
    return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)


def meet(name: str) -> None:
    """Wait until all processes are here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
