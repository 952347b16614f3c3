"""What functions that read a program (a jaxpr) ask of one equation of it."""

from collections.abc import Sequence
from typing import Any

CALLS = ("jit", "pjit", "closed_call", "core_call", "custom_jvp_call", "custom_vjp_call", "checkpoint", "remat2")
"""Primitives that evaluate a program of their own."""


def called(equation: Any) -> tuple[Any, Sequence[Any]]:
    """Return the program that one of `CALLS` evaluates, and its constants."""
    inner = equation.params.get("call_jaxpr", equation.params.get("jaxpr"))
    return (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, ())


def bind(equation: Any, inputs: Sequence[Any]) -> list[Any]:
    """Return what the primitive of an equation makes of arrays."""
    result = equation.primitive.bind(*inputs, **equation.params)
    return list(result) if equation.primitive.multiple_results else [result]
