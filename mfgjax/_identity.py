"""What makes a computation this one, as checksums: kept with what it leaves on disk, and compared before it goes on.

Sweeps, runs of learners and searches for designs each say what they consist of, under names that a sentence can use;
`identity` covers the values, arrays (`arrays_of`) and functions (`program_of`) in there to the last bit.
"""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from ._families import as_numpy


def identity(parts: Mapping[str, Any]) -> dict[str, str]:
    """Return a checksum for each part of what makes a computation this one."""
    return {name: checksum(part) for name, part in parts.items()}


def changed(own: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return the names of the parts in which a computation differs from the one that was found."""
    return [name for name, value in own.items() if found.get(name) != value]


def checksum(part: Any) -> str:
    """Return what tells apart values, arrays, and mappings and lists of them."""
    return hashlib.sha256(_bytes(part)).hexdigest()


def _bytes(part: Any) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, str):
        return part.encode()
    if isinstance(part, Mapping):
        return b"".join(_bytes(str(key)) + b"=" + _bytes(value) + b";" for key, value in part.items())
    if isinstance(part, list | tuple):
        return b"[" + b",".join(_bytes(value) for value in part) + b"]"
    array = as_numpy(part) if hasattr(part, "dtype") else np.asarray(part)
    if array.dtype == object:
        return repr(array.tolist()).encode()
    return f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()


def arrays_of(tree: Any) -> list[Any]:
    """Return the structure of a tree and its arrays."""
    arrays, rest = eqx.partition(tree, eqx.is_array_like)
    return [_without_addresses(str(jax.tree.structure(rest))), *jax.tree.leaves(arrays)]


def program_of(function: Callable, *arguments: Any) -> list[Any]:
    """Return what a function computes, with the constants it holds: callables have no name to know them by."""
    dynamic, static = eqx.partition(arguments, eqx.is_array)
    traced = jax.make_jaxpr(lambda dynamic: function(*eqx.combine(dynamic, static)))(dynamic)
    return [_without_addresses(str(traced.jaxpr)), *_constants(traced)]


def _constants(program: Any) -> Iterator[Any]:
    """Yield the arrays that a traced program holds, also in the programs inside it, which its text does not show."""
    if isinstance(program, ClosedJaxpr):
        yield from map(as_numpy, program.consts)
        program = program.jaxpr
    if isinstance(program, Jaxpr):
        for equation in program.eqns:
            yield from (np.asarray(v.val) for v in equation.invars if isinstance(v, Literal) and np.ndim(v.val))
            yield from _constants(list(equation.params.values()))
    elif isinstance(program, list | tuple):
        for part in program:
            yield from _constants(part)


def _without_addresses(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+", "", text)
