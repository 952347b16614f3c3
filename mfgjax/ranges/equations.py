"""Evaluation of programs (jaxprs), equation by equation, on arrays or on objects that stand for them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from .._jaxprs import body_and_constants

CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2")
"""Primitives that evaluate a program of their own."""

MOVING = frozenset(
    """
    abs broadcast_in_dim clamp concatenate copy copy_p cummax cummin dynamic_slice dynamic_update_slice expand_dims eye
    gather iota max min neg optimization_barrier pad reduce_max reduce_min reshape rev scatter select_n slice sort split
    squeeze stack stop_gradient tile transpose
    """.split()  # noqa: SIM905
)
"""Primitives that move or choose numbers, and so round nothing."""


def called(equation: Any) -> tuple[Any, Sequence[Any]]:
    """Return the program that one of `CALLS` evaluates, and its constants."""
    return body_and_constants(equation.params.get("call_jaxpr", equation.params.get("jaxpr")))


def programs_in(equation: Any) -> list[Any]:
    """Return the programs inside an equation, such as the body of a loop."""
    leaves = jax.tree.leaves(list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns"))
    return [getattr(leaf, "jaxpr", leaf) for leaf in leaves if hasattr(leaf, "eqns")]


def bind(equation: Any, inputs: Sequence[Any]) -> list[Any]:
    """Apply the primitive of an equation to arrays, and return the list of its outputs."""
    result = equation.primitive.bind(*inputs, **equation.params)
    return list(result) if equation.primitive.multiple_results else [result]


def evaluate(
    program: Any, consts: Sequence[Any], arguments: Sequence[Any], apply: Callable[[Any, list[Any]], list[Any]]
) -> list[Any]:
    """Evaluate a jaxpr, where `apply(equation, inputs)` returns the outputs of one equation."""
    known = dict(zip((*program.constvars, *program.invars), (*consts, *arguments), strict=True))

    def read(atom: Any) -> Any:
        return atom.val if hasattr(atom, "val") else known[atom]  # only literals have a `val`

    for equation in program.eqns:
        outputs = apply(equation, [read(atom) for atom in equation.invars])
        known.update(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in program.outvars]


def num_terms(equation: Any) -> int:
    """Return how many numbers, at most, are added up in an entry of the output."""
    name, params, shape = equation.primitive.name, equation.params, equation.invars[0].aval.shape
    if name == "reduce_sum":
        return int(np.prod([shape[axis] for axis in params["axes"]]))
    if name == "cumsum":
        return shape[params["axis"]]
    if name == "dot_general":
        return 1 + int(np.prod([shape[axis] for axis in params["dimension_numbers"][0][0]]))
    if name.startswith("scatter"):
        return int(np.prod(equation.invars[2].aval.shape))  # all may fall on one entry
    return 1
