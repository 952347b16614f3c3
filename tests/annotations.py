"""Annotations of the library checked at run time, shapes of arrays among them, whenever a test calls a function.

They are those that type checkers read, less what these know and a call cannot: leaves of trees may be NumPy's, or
shapes without numbers, where the library writes `Array`, and `Self` means nothing to what checks functions one by one.
An int does for a float.
"""

import pkgutil
from typing import Any

import jax
import jaxtyping
import numpy as np
from beartype import BeartypeConf, beartype

import mfgjax._typing

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check() -> None:
    """Check what is imported of the library from now on."""
    names: Any = mfgjax._typing
    names.Array = jax.Array | np.ndarray | np.generic | jax.ShapeDtypeStruct
    names.Scalar = jaxtyping.Shaped[names.Array, ""]
    names.Self = Any
    # commands are annotated as typer wants them, which calls them with what it likes
    modules = [f"mfgjax.{module.name}" for module in pkgutil.iter_modules(mfgjax.__path__) if module.name != "cli"]
    jaxtyping.install_import_hook(modules, f"{__name__}.checked")


def pause(paused: bool) -> None:
    """Check nothing for a while, or go on."""
    jaxtyping.config.update("jaxtyping_disable", paused)
