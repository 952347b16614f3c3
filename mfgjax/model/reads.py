"""Reads outside an array, which JAX moves to the nearest entry without a warning, in the callables of users.

A traced program is run once as it is, and again with what is read outside an array replaced by other numbers: where
the result changes, it depends on such a read. A read that is thrown away, `jnp.where(t < 5, table[t], 0)`, is none.
"""

import linecache
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import equinox
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal
from jax.lax import GatherScatterMode

from .. import _checks
from .._jaxprs import body_and_constants, scan_sizes
from .._typing import Array

SIGNS = np.array([0, 1, -1], np.int32)
"""How a value read outside an array is changed: not at all, to a larger number, to a smaller one."""

_READS = ("dynamic_slice", "dynamic_update_slice", "gather")
_LIBRARIES = tuple(str(Path(str(module.__file__)).parent) for module in (jax, equinox, _checks))


def reads_of(program: ClosedJaxpr) -> tuple[bool, bool]:
    """Tell whether a traced program reads arrays at computed places, and whether its arguments may decide where."""
    return reads_in(program.jaxpr, [True] * len(program.jaxpr.invars))


def reads_in(jaxpr: Jaxpr, varying: list[bool]) -> tuple[bool, bool]:
    """Tell whether a program reads arrays at computed places, and whether some of its inputs may decide where."""
    varies_by_variable = dict(zip(jaxpr.invars, varying, strict=True))
    has_reads = depends = False
    for equation in jaxpr.eqns:
        varies = [not isinstance(v, Literal) and varies_by_variable.get(v, False) for v in equation.invars]
        name = equation.primitive.name
        if name in _READS:
            has_reads = True
            # operands behind the array (and what is written to it) are the place
            depends = depends or any(varies[2 if name == "dynamic_update_slice" else 1 :])
        # what a loop carries may vary after the first round
        alike = name not in ("scan", "while")
        for inner in _inside(equation.params):
            count = len(inner.invars)
            inner_result = reads_in(inner, varies if alike and len(varies) == count else [any(varies)] * count)
            has_reads, depends = has_reads or inner_result[0], depends or inner_result[1]
        # on the safe side: one input that varies makes all outputs vary
        varies_by_variable.update(dict.fromkeys(equation.outvars, any(varies)))
    return has_reads, depends


def _inside(params: Any) -> list[Jaxpr]:
    if isinstance(params, ClosedJaxpr | Jaxpr):
        return [body_and_constants(params)[0]]
    if isinstance(params, dict | list | tuple):
        return [one for part in (params.values() if isinstance(params, dict) else params) for one in _inside(part)]
    return []


class Read(NamedTuple):
    """A read outside an array: of which equation, where, and of how many entries of an axis of which length."""

    equation: Any
    start: int
    width: int
    length: int


def run(program: ClosedJaxpr, sign: Array, *arguments: Any, found: list[Read] | None = None, only: int = -1) -> list:
    """Run a traced program with other numbers in the place of what is read outside an array.

    Args:
      program: of `jax.make_jaxpr`.
      sign: one of `SIGNS`.
      arguments: flat.
      found: where reads outside an array are noted, if values are known.
      only: the number of the one that is replaced; −1: all.
    """
    return _Runner(sign, found, only).run(program.jaxpr, program.consts, list(arguments))


class _Runner(NamedTuple):
    sign: Any
    found: list[Read] | None
    only: int

    def run(self, jaxpr: Jaxpr, consts: Any, arguments: Any) -> list:
        values = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(zip(jaxpr.invars, arguments, strict=True))
        for equation in jaxpr.eqns:
            inputs = [v.val if isinstance(v, Literal) else values[v] for v in equation.invars]
            values.update(zip(equation.outvars, self.step(equation, inputs), strict=True))
        return [v.val if isinstance(v, Literal) else values[v] for v in jaxpr.outvars]

    def step(self, equation: Any, inputs: list) -> list:
        name, params = equation.primitive.name, equation.params
        if name == "scan":
            return self.scan(params, inputs)
        if name == "while":
            return self.loop(params, inputs)
        if name == "cond":
            branches = [
                # bound now: a closure would run the last branch in place of each
                lambda *operands, branch=branch: self.run(branch.jaxpr, branch.consts, operands)
                for branch in params["branches"]
            ]
            return jax.lax.switch(inputs[0], branches, *inputs[1:])
        # inner programs are gone through, too: a read may be inside
        inner = next((params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params), None)
        if isinstance(inner, ClosedJaxpr | Jaxpr):
            body, constants = body_and_constants(inner)
            if len(body.invars) == len(inputs):
                return self.run(body, constants, inputs)
        bound: Any = equation.primitive.get_bind_params(params)  # older versions of JAX return functions, too
        functions, bound = bound if isinstance(bound, tuple) else ((), bound)
        with equation.ctx.manager:
            out = equation.primitive.bind(*functions, *inputs, **bound)
        if name in _READS:
            return [self.replaced(equation, inputs, out)]
        return list(out) if equation.primitive.multiple_results else [out]

    def scan(self, params: Any, inputs: list) -> list:
        body, (first, num_carry) = params["jaxpr"], scan_sizes(params)
        carried = first + num_carry

        def step(carry: list, x: list) -> tuple[list, list]:
            out = self.run(body.jaxpr, body.consts, [*inputs[:first], *carry, *x])
            return _strong(out[: len(carry)]), out[len(carry) :]

        last, ys = jax.lax.scan(
            step, _strong(inputs[first:carried]), inputs[carried:], params["length"], params["reverse"]
        )
        return [*last, *ys]

    def loop(self, params: Any, inputs: list) -> list:
        test, body = params["cond_jaxpr"], params["body_jaxpr"]
        first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        return jax.lax.while_loop(
            lambda carry: self.run(test.jaxpr, test.consts, [*inputs[:first], *carry])[0],
            lambda carry: _strong(self.run(body.jaxpr, body.consts, [*inputs[first:second], *carry])),
            _strong(inputs[second:]),
        )

    def replaced(self, equation: Any, inputs: list, out: Array) -> Array:
        """Return what an equation reads, with other numbers where that lies outside the array."""
        params = equation.params
        if equation.primitive.name == "gather":
            if not _is_unchecked(params, out.dtype):
                return out
            numbers, axes = params["dimension_numbers"], params["dimension_numbers"].start_index_map
            starts = [inputs[1][..., j] for j in range(len(axes))]
            widths = [params["slice_sizes"][axis] for axis in axes]
            places = [d for d in range(out.ndim) if d not in numbers.offset_dims]
        else:
            update = equation.primitive.name == "dynamic_update_slice"
            starts, axes, places = inputs[2 if update else 1 :], range(inputs[0].ndim), []
            widths = inputs[1].shape if update else params["slice_sizes"]
        lengths = [inputs[0].shape[axis] for axis in axes]
        # JAX moves a window so that all of it fits
        outside = [(s < 0) | (s > n - w) for s, w, n in zip(starts, widths, lengths, strict=True)]
        if not outside:
            return out
        number = len(self.found or ())
        if self.found is not None:
            self.note(equation, starts, widths, lengths, outside)
            if self.only not in (-1, number):
                return out
        wrong = jnp.any(jnp.stack([jnp.asarray(one) for one in outside]), axis=0)  # one coordinate outside is enough
        wrong = jax.lax.broadcast_in_dim(wrong, out.shape, places) & (self.sign != 0)
        return jnp.where(wrong, _perturbed(out, self.sign), out)

    def note(self, equation: Any, starts: Any, widths: Any, lengths: Any, outside: Any) -> None:
        for start, width, length, wrong in zip(starts, widths, lengths, outside, strict=True):
            if self.found is not None and not isinstance(wrong, Tracer) and np.any(wrong):
                first = int(np.asarray(start).ravel()[np.argmax(np.ravel(wrong))])
                self.found.append(Read(equation, first, width, length))
                return


def _strong(values: Any) -> list:
    # a loop refuses a carry that is weakly typed at first and not later
    return [jax.lax.convert_element_type(value, jnp.result_type(value)) for value in values]


def _is_unchecked(params: Any, kind: Any) -> bool:
    """Tell whether a gather reads another entry, or a number that is none, where its index lies outside."""
    mode = GatherScatterMode.from_any(params["mode"])
    if mode == GatherScatterMode.FILL_OR_DROP:  # NaN is found as such; integers know none
        return jnp.issubdtype(kind, jnp.integer) and params["fill_value"] in (None, *_extremes(kind))
    if mode == GatherScatterMode.CLIP:  # what `vmap` makes of a dynamic slice, which nobody asked to clip
        return not params["dimension_numbers"].collapsed_slice_dims
    return mode == GatherScatterMode.PROMISE_IN_BOUNDS


def _extremes(kind: Any) -> tuple[int, int]:
    return int(jnp.iinfo(kind).min), int(jnp.iinfo(kind).max)


def _perturbed(values: Array, sign: Array) -> Array:
    """Return other numbers of the same kind."""
    if values.dtype == bool:
        return ~values
    if jnp.issubdtype(values.dtype, jnp.inexact):
        # far off, so that the change is not lost in rounding
        return values + sign.astype(values.dtype) * (1 + jnp.abs(values)) * 100
    return values + sign.astype(values.dtype)


def changes(outs: Array) -> Array:
    """Tell whether results, one for each of `SIGNS` along the first axis, differ."""
    # NaN equals NaN here
    same = (outs == outs[:1]) | ((outs != outs) & (outs[:1] != outs[:1]))
    return ~same.all()


def refuse_read(name: str, function: Callable[..., list[Array]], arguments: tuple, at: str) -> NoReturn:
    """Raise the error that says where a callable reads outside an array and its result depends on it."""
    program = jax.make_jaxpr(function)(*arguments)
    flat = jax.tree.leaves(arguments)
    with jax.disable_jit():  # loops and branches are gone through with known numbers
        found: list[Read] = []
        unchanged = run(program, jnp.int32(0), *flat, found=found)
        read = next((one for k, one in enumerate(found) if _matters(program, flat, unchanged, k)), None)
    if read is None:
        raise ValueError(f"`{name}` reads an array outside its entries {at}.")
    text = _source(read.equation)
    array = f"`{text}`" if text else "an array"
    # JAX has added the length to a negative index
    start = read.start if read.start >= 0 else read.start - read.length
    end = "before its beginning" if read.start < 0 else "past its end"
    entries = f"index {start}" if read.width == 1 else f"entries {start} to {start + read.width - 1}"
    meant = "" if read.start < 0 else f"; if the last entry is meant, write `jnp.minimum(index, {read.length - 1})`"
    raise ValueError(f"`{name}` reads {array} {end} {at}: {entries} of an axis of length {read.length}{meant}.")


def _matters(program: ClosedJaxpr, flat: list, unchanged: list, number: int) -> bool:
    for sign in SIGNS[1:]:  # both ways: a maximum hides smaller numbers, a minimum larger ones
        changed = run(program, jnp.int32(sign), *flat, found=[], only=number)
        if any(bool(changes(jnp.stack([a, b]))) for a, b in zip(unchanged, changed, strict=True)):
            return True
    return False


def _source(equation: Any) -> str:
    """Return the expression of the user that an equation comes from, if it is known."""
    try:
        calls = zip(*equation.source_info.traceback.raw_frames(), strict=True)
        code, place = next(call for call in calls if not call[0].co_filename.startswith(_LIBRARIES))
        first, last, begin, end = list(code.co_positions())[place // 2]  # one position for each two bytes of code
        line = linecache.getline(code.co_filename, first)
        text = line.encode()[begin:end].decode() if first == last else line  # columns of code count bytes
        return _checks.shorten_text(text.replace("`", "'"))
    except Exception:  # what JAX keeps of where an equation comes from is not promised
        return ""
