"""Short texts for values and places, for error messages."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


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


def fields_text(module: Any, *without: str) -> str:
    """Return the fields of a dataclass or a named tuple, but those that are left out, as `shown` shows them."""
    names = getattr(module, "_fields", None) or [field.name for field in dataclasses.fields(module)]
    return shown_pairs({name: getattr(module, name) for name in names if name not in without})


def shown_pairs(values: Mapping[str, Any]) -> str:
    """Return names and values as arguments are written."""
    return ", ".join(f"{name}={shown(value)}" for name, value in values.items())


def shown(value: Any) -> str:
    """Return the `repr` of a value; arrays, unless of one number, are given by their shapes."""
    if is_traced(value):
        return "traced by JAX"
    if isinstance(value, jax.Array | np.ndarray):
        return _one(value.item()) if value.shape == () else f"array of shape {value.shape}"
    return shorten(value) if isinstance(value, FunctionType) else repr(value)


def _one(number: Any) -> str:
    """Return a number of an array as Python writes it, with at most six digits: 3.0 is told from 3."""
    return repr(float(f"{number:.6g}") if isinstance(number, float) else number)


def short_number(value: Any) -> str:
    """Format a number for tables: four digits; a dash for one that is not known (NaN)."""
    number = float(value)
    if math.isnan(number):
        return "–"
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    return f"{number:.2e}" if number and not 1e-3 <= abs(number) < 1e5 else f"{number:.4g}"


def shorten_text(text: str, length: int = 60) -> str:
    """Return a text on one line of at most `length` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 3] + "..."


def cut(label: str, length: int = 14) -> str:
    """Return a name, or its beginning and end where it is longer: names often differ only in their last letters."""
    label, end = printable(label).replace("\n", "\\n"), length // 3
    return label if len(label) <= length else f"{label[: length - 1 - end]}…{label[len(label) - end :]}"


def printable(text: str) -> str:
    """Return a text with escapes in place of signs that control a terminal or the direction of writing; lines stay."""
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def place(name: str, index: Sequence[int | np.integer] | np.ndarray) -> str:
    """Return a field and an index into it, as code."""
    return f"`{name}[{', '.join(str(int(i)) for i in index)}]`" if len(index) else f"`{name}`"
