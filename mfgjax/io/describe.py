"""Responses and solvers as data that JSON can hold."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def describe(thing: object) -> Any:
    """Return a response, a solver or a number as data that JSON can hold; arrays are replaced by their shapes.

    Args:
      thing: a response, a solver or another dataclass; a number; an array; or None.

    Example:
      >>> import mfgjax as mfg
      >>> mfg.io.describe(mfg.Picard(damping=0.5))
      {'kind': 'Picard', 'damping': 0.5, 'averaging': None, 'atol': None}
    """
    if dataclasses.is_dataclass(thing) and not isinstance(thing, type):  # a class is a dataclass, too
        fields = {f.name: describe(getattr(thing, f.name)) for f in dataclasses.fields(thing)}
        return {"kind": type(thing).__name__, **fields}
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [describe(value) for value in thing]
    if isinstance(thing, jax.Array | np.ndarray | np.generic):
        if thing.ndim:
            return f"array of shape {thing.shape}"
        thing = thing.item()
    if thing is None or isinstance(thing, bool | int | str):
        return thing
    if isinstance(thing, float):
        return thing if math.isfinite(thing) else None  # JSON has no other word for it
    return getattr(thing, "__qualname__", None) or str(thing)
