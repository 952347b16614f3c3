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
from ._jaxprs import calls_of_python


def identity(ingredients: Mapping[str, Any]) -> dict[str, str]:
    """Return a checksum for each named ingredient of a computation."""
    return {name: checksum(value) for name, value in ingredients.items()}


def changed(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Return the names of the ingredients whose checksums differ from those that were found on disk."""
    return [name for name, digest in expected.items() if found.get(name) != digest]


def checksum(value: Any) -> str:
    """Return the SHA-256 of a value, an array, or a mapping or list of them."""
    return hashlib.sha256(_bytes(value)).hexdigest()


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, Mapping):
        return b"".join(_bytes(str(key)) + b"=" + _bytes(entry) + b";" for key, entry in value.items())
    if isinstance(value, list | tuple):
        # without separators ["ab", "c"] and ["a", "bc"] would be one
        return b"[" + b",".join(_bytes(entry) for entry in value) + b"]"
    array = as_numpy(value) if hasattr(value, "dtype") else np.asarray(value)
    if array.dtype == object:
        return repr(array.tolist()).encode()  # the bytes of objects are addresses
    # arrays of other kinds and shapes may have the same bytes
    return f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()


def arrays_of(tree: Any) -> list[Any]:
    """Return the structure of a tree and its arrays."""
    arrays, without_arrays = eqx.partition(tree, eqx.is_array_like)
    return [without_addresses(str(jax.tree.structure(without_arrays))), *jax.tree.leaves(arrays)]


def program_of(function: Callable, *arguments: Any) -> list[Any]:
    """Return the program of a function as text, with its constants: a callable has no name to know it by.

    Raises:
      ValueError: if it calls Python, of which the program knows no more than that.
    """
    dynamic, static = eqx.partition(arguments, eqx.is_array)
    traced = jax.make_jaxpr(lambda dynamic: function(*eqx.combine(dynamic, static)))(dynamic)
    if call := next(calls_of_python(traced.jaxpr), None):
        raise ValueError(
            f"`out` cannot be given if a function of the game, the solver or the outputs calls Python by `{call}`: a "
            "sweep that resumes could not check that this code is the same. Use `jax.numpy`, or leave out `out`."
        )
    return [without_addresses(str(traced.jaxpr)), *_constants(traced)]


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
        for parameter in program:
            yield from _constants(parameter)


def without_addresses(text: str) -> str:
    """Return a text without the addresses of objects in it, which change with the process."""
    return re.sub(r"0x[0-9a-f]+", "", text)
