"""Whether each entry of a function's output depends on the same entry of its input alone.

The program of the function is followed with the axes along which its arrays run beside the input. Arrays that do not
depend on the input may do anything; those that do may be combined entry by entry, moved as a whole, or reduced along
other axes.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from .._jaxprs import scan_sizes
from .equations import CALLS, called

Axes = tuple[int | np.integer | None, ...]
"""For each axis of the input, the axis of an array that runs beside it; None where the input has but one entry."""


class _Mixes(Exception):
    """Some entry depends on another entry of the input, as far as the program tells."""


def acts_on_entries(function: Callable[..., Any], x: jax.ShapeDtypeStruct, *others: jax.ShapeDtypeStruct) -> bool:
    """Tell whether a function `(x, *others)` provably treats each entry of x alone; False where it cannot be told."""
    program = jax.make_jaxpr(function)(x, *others).jaxpr
    start = tuple(k if size > 1 else None for k, size in enumerate(x.shape))
    try:
        outs = _follow(program, [start, *[None] * len(others)])
    except _Mixes:
        return False

    def beside(axes: Axes, shape: tuple[int, ...]) -> bool:
        """Tell whether an entry stands where that of x does, once the two are broadcast against each other."""
        return all(k is None or k - len(shape) == i - len(x.shape) for i, k in enumerate(axes))

    return all(axes is None or beside(axes, atom.aval.shape) for axes, atom in zip(outs, program.outvars, strict=True))


def _follow(jaxpr: Any, arguments: Sequence[Axes | None]) -> list[Axes | None]:
    """Return the axes of what a program returns; None for what does not depend on the input."""
    known = dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Axes | None:
        return None if hasattr(atom, "val") else known.get(atom)

    for equation in jaxpr.eqns:
        inputs = [read(atom) for atom in equation.invars]
        if any(axes is not None for axes in inputs):
            known.update(zip(equation.outvars, _apply(equation, inputs), strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation: Any, inputs: list[Axes | None]) -> list[Axes | None]:
    name = equation.primitive.name
    if name in CALLS:
        return _follow(called(equation)[0], inputs)
    if name in _LOOPS:
        return _LOOPS[name](equation, inputs)
    if name == "optimization_barrier":
        return inputs
    if name in _ON_ENTRIES:
        axes = _common(inputs)
    elif name in _MOVES:
        axes = _MOVES[name](equation, inputs)
    elif (along := _reduced(equation)) is not None:
        axes = _common(inputs)
        if set(along) & set(axes):
            raise _Mixes
        if equation.outvars[0].aval.ndim < equation.invars[0].aval.ndim:  # reductions drop axes; sorts do not
            axes = tuple(k if k is None else k - sum(gone < k for gone in along) for k in axes)
    else:
        raise _Mixes
    return [axes] * len(equation.outvars)


def _common(inputs: Sequence[Axes | None]) -> Axes:
    """Return the axes that all arrays have that depend on the input."""
    found = {axes for axes in inputs if axes is not None}
    if len(found) != 1:
        raise _Mixes
    return found.pop()


def _reduced(equation: Any) -> tuple[int, ...] | None:
    """Return the axes along which entries meet each other, if the primitive says so."""
    name, params = equation.primitive.name, equation.params
    if name.startswith(("reduce_", "arg")) and "axes" in params:
        return tuple(params["axes"])
    if name.startswith("cum") and "axis" in params:
        return (params["axis"],)
    if name in ("sort", "concatenate"):
        return (params["dimension"],)
    return tuple(params["dimensions"]) if name == "rev" else None


# --- what moves entries as a whole ----------------------------------------------------------------------


def _moved(axes: Axes, where: Callable[[Any], int | np.integer | None]) -> Axes:
    return tuple(None if k is None else where(k) for k in axes)


def _broadcast(equation: Any, inputs: list[Axes | None]) -> Axes:
    places = equation.params["broadcast_dimensions"]
    return _moved(_only_first(inputs), lambda k: places[k])


def _only_first(inputs: list[Axes | None]) -> Axes:
    """Return the axes of the first operand, where the others do not depend on the input."""
    first, *others = inputs
    if first is None or any(axes is not None for axes in others):
        raise _Mixes
    return first


def _stack(equation: Any, inputs: list[Axes | None]) -> Axes:
    new = equation.params["axis"]
    return _moved(_common(inputs), lambda k: k + (k >= new))


def _reshape(equation: Any, inputs: list[Axes | None]) -> Axes:
    old, new = equation.invars[0].aval.shape, equation.outvars[0].aval.shape

    # in row-major order an axis is kept if its size and the number of entries before it are
    def where(k: int) -> int:
        for place, size in enumerate(new):
            if size == old[k] and math.prod(new[:place]) == math.prod(old[:k]):
                return place
        raise _Mixes

    if equation.params.get("dimensions") is not None:
        raise _Mixes
    return _moved(_only_first(inputs), where)


def _transpose(equation: Any, inputs: list[Axes | None]) -> Axes:
    order = list(equation.params["permutation"])
    return _moved(_only_first(inputs), order.index)


def _squeeze(equation: Any, inputs: list[Axes | None]) -> Axes:
    gone = equation.params["dimensions"]
    return _moved(_only_first(inputs), lambda k: k - sum(axis < k for axis in gone))


def _cut(equation: Any, inputs: list[Axes | None]) -> Axes:
    """Return the axes of a slice or a pad that leaves the axes of the input as they are."""
    axes = _only_first(inputs)
    old, new = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    for k in axes:
        if k is not None and (old[k] != new[k] or _shifts(equation, k)):
            raise _Mixes
    return axes


def _shifts(equation: Any, k: int | np.integer) -> bool:
    """Tell whether a pad puts something before the entries of an axis while it cuts off others."""
    return equation.primitive.name == "pad" and equation.params["padding_config"][k] != (0, 0, 0)


def _gather(equation: Any, inputs: list[Axes | None]) -> Axes:
    """Return the axes of entries that are looked up, at indices of the input, in a table that does not depend on it."""
    table, indices = inputs
    numbers = equation.params["dimension_numbers"]
    if table is not None or indices is None or numbers.operand_batching_dims:
        raise _Mixes
    output = [k for k in range(equation.outvars[0].aval.ndim) if k not in numbers.offset_dims]
    if equation.invars[1].aval.ndim - 1 in indices:
        raise _Mixes  # then the entries of the input are parts of one index
    return _moved(indices, lambda k: output[k])


_MOVES: dict[str, Callable[[Any, list[Axes | None]], Axes]] = {
    "broadcast_in_dim": _broadcast,
    "stack": _stack,
    "reshape": _reshape,
    "transpose": _transpose,
    "squeeze": _squeeze,
    "slice": _cut,
    "dynamic_slice": _cut,
    "pad": _cut,
    "gather": _gather,
}


# --- choices and loops ------------------------------------------------------------------------------------


def _joined(first: Axes | None, second: Axes | None) -> Axes | None:
    return _common([first, second]) if first is not None or second is not None else None


def _cond(equation: Any, inputs: list[Axes | None]) -> list[Axes | None]:
    branch_index, *operands_of_branch = inputs
    if branch_index is not None:
        raise _Mixes
    joined, *outputs_of_others = [_follow(branch.jaxpr, operands_of_branch) for branch in equation.params["branches"]]
    for outputs in outputs_of_others:
        joined = list(map(_joined, joined, outputs))
    return joined


def _settled(step: Callable[[list[Axes | None]], list[Axes | None]], carry: list[Axes | None]) -> list[Axes | None]:
    """Return the axes of what a loop carries, once another turn changes none."""
    # this ends: `_joined` turns None into axes, and never axes into others
    while (later := list(map(_joined, carry, step(carry)))) != carry:
        carry = later
    return carry


def _while(equation: Any, inputs: list[Axes | None]) -> list[Axes | None]:
    params = equation.params
    num_cond_consts, num_body_consts = params["cond_nconsts"], params["body_nconsts"]
    cond_consts, consts, carry = (
        inputs[:num_cond_consts],
        inputs[num_cond_consts : num_cond_consts + num_body_consts],
        inputs[num_cond_consts + num_body_consts :],
    )
    carry = _settled(lambda carry: _follow(params["body_jaxpr"].jaxpr, [*consts, *carry]), carry)
    if _follow(params["cond_jaxpr"].jaxpr, [*cond_consts, *carry]) != [None]:
        raise _Mixes  # the input decides when the loop ends, for all entries together
    return carry


def _scan(equation: Any, inputs: list[Axes | None]) -> list[Axes | None]:
    params = equation.params
    num_consts, num_carry = scan_sizes(params)
    consts, carry = inputs[:num_consts], inputs[num_consts : num_consts + num_carry]
    rows: list[Axes | None] = []
    for axes in inputs[num_consts + num_carry :]:
        if axes is not None and 0 in axes:
            raise _Mixes  # the loop runs through the entries of the input
        rows.append(None if axes is None else _moved(axes, lambda k: k - 1))

    def body(carry: list[Axes | None]) -> list[Axes | None]:
        return _follow(params["jaxpr"].jaxpr, [*consts, *carry, *rows])

    carry = _settled(lambda carry: body(carry)[:num_carry], carry)
    stacked = [None if axes is None else _moved(axes, lambda k: k + 1) for axes in body(carry)[num_carry:]]
    return carry + stacked


_LOOPS = {"cond": _cond, "while": _while, "scan": _scan}

_ON_ENTRIES = frozenset(
    """
    abs acos acosh add add_any and asin asinh atan atan2 atanh cbrt ceil clamp clz convert_element_type copy copy_p cos
    cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt igamma igammac integer_pow is_finite le le_to lgamma
    log log1p logistic lt lt_to max min mul ne neg nextafter not or population_count pow
    reduce_precision rem round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt
    square stop_gradient sub tan tanh xor
    """.split()  # noqa: SIM905
)
"""Primitives that combine entries at one place."""
