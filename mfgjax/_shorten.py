"""Short texts for values and places, for error messages."""

import dataclasses
from collections.abc import Sequence
from types import FunctionType
from typing import Any

import jax
import numpy as np
from jax.core import Tracer


def is_traced(tree: object) -> bool:
    """Tell whether any leaf is a tracer, whose values cannot be looked at."""
    # of many leaves there are few types
    return any(issubclass(kind, Tracer) for kind in set(map(type, jax.tree.leaves(tree))))


def shorten(value: object) -> str:
    """Return the `repr` of a value, the name of a class or function, on one line of at most 60 characters."""
    if is_traced(value):
        # the types of traced arrays are JAX's own
        thing = f"a {type(value).__name__}" if isinstance(value, list | tuple) else "an array"
        return f"{thing} that JAX traces (inside `jit`, `grad` or `vmap`)"
    if isinstance(value, type | FunctionType):  # without modules and addresses
        return f"the {'class' if isinstance(value, type) else 'function'} {value.__name__}"
    return shorten_text(repr(value))


def shown_fields(module: Any) -> str:
    """Return the `repr` of a dataclass with its numbers; larger arrays are given by their shapes."""

    def shown(value: Any) -> str:
        if is_traced(value):
            return "traced by JAX"
        if isinstance(value, jax.Array | np.ndarray):
            return f"{value.item():g}" if value.shape == () else f"array of shape {value.shape}"
        return shorten(value) if isinstance(value, FunctionType) else repr(value)

    pairs = (f"{field.name}={shown(getattr(module, field.name))}" for field in dataclasses.fields(module))
    return f"{type(module).__name__}({', '.join(pairs)})"


def shorten_text(text: str, length: int = 60) -> str:
    """Return a text on one line of at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 3] + "..."


def place(name: str, index: Sequence[int | np.integer] | np.ndarray) -> str:
    """Return a field and an index into it, as code."""
    return f"`{name}[{', '.join(str(int(i)) for i in index)}]`" if len(index) else f"`{name}`"
