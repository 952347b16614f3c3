"""How programs are compiled: those on few numbers in half of the time."""

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.extend.core import get_opaque_trace_state

from ._shorten import is_traced

_Function = TypeVar("_Function", bound=Callable)

_QUICK = {
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_backend_optimization_level": 1,
}
"""Loops without the passes that improve them one by one, and one module for LLVM, which passes over it once."""

_MOST_NUMBERS = 4_096
"""Numbers in all arrays up to which programs run about as fast so. With 50,000 they take half as long again."""

with ThreadPoolExecutor(1) as _pool:  # in a thread of its own: this module may first be needed inside `jit`
    _OUTERMOST = _pool.submit(get_opaque_trace_state).result()


def compiled(function: _Function, large: dict[str, Any] | None = None) -> _Function:
    """Return a function that is compiled for each kind of arguments, as by `equinox.filter_jit`.

    On CPUs that takes half of the time where all arrays that come in are small together; elsewhere XLA gets the options
    `large`. It takes options for a whole program only, so that a call within another program, or within a derivative,
    is compiled as that is.
    """
    plain = eqx.filter_jit(function)
    of_large, of_small = (functools.cache(functools.partial(_jitted, function, o)) for o in (large or {}, _QUICK))

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        if not computes_at_once((arguments, named)):
            return plain(*arguments, **named)
        return (of_small if _is_small((arguments, named)) else of_large)()(*arguments, **named)

    return cast(_Function, call)


def _jitted(function: Callable, options: dict[str, Any]) -> Callable:
    """Return `equinox.filter_jit(function)` with XLA's options, but those that the user has set in `XLA_FLAGS`.

    Where a version does not know all of them it gets none.
    """
    jit: Any = eqx.filter_jit  # its overloads do not name what it hands on to `jax.jit`
    users = os.environ.get("XLA_FLAGS", "")
    options = {name: value for name, value in options.items() if f"--{name}=" not in users}
    on_cpu = jax.default_backend() == "cpu"
    return jit(function, compiler_options=options) if on_cpu and _are_known(tuple(options.items())) else jit(function)


@functools.cache
def _are_known(options: tuple[tuple[str, Any], ...]) -> bool:
    try:
        jax.jit(lambda x: x, compiler_options=dict(options))(0.0)
    except Exception:  # its kind depends on the version
        return False
    return True


def computes_at_once(tree: Any) -> bool:
    """Tell whether a call on arrays of a tree is no part of a larger program, and no derivative is taken of it."""
    if get_opaque_trace_state() == _OUTERMOST:
        return True
    return not is_in_a_program() and not is_traced(tree)


def is_in_a_program() -> bool:
    """Tell whether what is computed here is a part of a larger program, as inside `jit` or a loop of JAX."""
    return get_opaque_trace_state() != _OUTERMOST and isinstance(jnp.add(0, 0), Tracer)


def _is_small(tree: Any) -> bool:
    return sum(getattr(leaf, "size", 1) for leaf in jax.tree.leaves(tree)) <= _MOST_NUMBERS
