"""Keys of traced programs: equal only for programs that compute the same in the same way."""

import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core as jex
from jax.extend.core import primitives

from . import _checks
from ._jaxprs import body_and_constants

_JAX_FOLDER = os.path.join(os.path.dirname(jax.__file__), "")  # with its separator: jax_md is not JAX


def kind_of(leaf: Any, dtype: Any) -> jax.ShapeDtypeStruct:
    widen = dtype is not None and jnp.issubdtype(leaf.dtype, jnp.floating)
    return jax.ShapeDtypeStruct(leaf.shape, dtype if widen else leaf.dtype)


class Same:
    """Equal only to what holds the very same object, which it keeps alive."""

    def __init__(self, item: Any):
        self.item = item

    def __hash__(self) -> int:
        return id(self.item)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Same) and self.item is other.item


def key_of(x: Any, rules: tuple = ()) -> Any:
    """Return a key that two programs, or parameters of them, share only if they compute the same.

    Variables count by their numbers, arrays by their bytes, functions by their identity. `rules` are those of the
    derivatives that are being told apart.
    """
    if isinstance(x, jex.ClosedJaxpr | jex.Jaxpr):
        x, constants = body_and_constants(x)
        numbers: dict[Any, int] = {}

        def numbered(atom: Any) -> Any:
            if isinstance(atom, jex.Literal):
                return atom.aval, key_of(np.asarray(atom.val))
            return numbers.setdefault(atom, len(numbers)), atom.aval

        inputs = tuple(map(numbered, (*x.constvars, *x.invars)))
        equations = tuple(
            (
                e.primitive,
                tuple(map(numbered, e.invars)),
                tuple(map(numbered, e.outvars)),
                _key_of_params(e, rules),
                Same(e.ctx),
            )
            for e in x.eqns
        )
        return inputs, equations, tuple(map(numbered, x.outvars)), key_of(constants, rules)
    if isinstance(x, tuple | list):
        return type(x), tuple(key_of(entry, rules) for entry in x)
    if isinstance(x, dict):
        return dict, tuple((name, key_of(entry, rules)) for name, entry in sorted(x.items()))
    if isinstance(x, np.ndarray | np.generic):
        return x.dtype.str, x.shape, x.tobytes()
    if isinstance(x, Tracer):
        raise _checks.Refusal(
            "A function that was given to mfgjax reads from outside a number on which the `jax.grad` or `jax.jit` "
            "around the call depends, and does so where mfgjax cannot pass the number on (such as in a function with "
            "a derivative rule of its own, `jax.custom_jvp`): make the number an argument, or a field of an "
            "`equinox.Module`."
        )
    if isinstance(x, jax.Array) and not jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return key_of(np.asarray(x))
    try:
        # 1, 1.0 and True are equal and hash alike; 0.0 equals −0.0, and NaN does not equal itself
        return type(x), hash(x), repr(x) if isinstance(x, float) else x
    except TypeError:
        return Same(x)


def _key_of_params(equation: Any, rules: tuple) -> Any:
    params = equation.params
    rule = params.get("jvp_jaxpr_fun") or params.get("fwd_jaxpr_thunk")
    if rule is None:
        return tuple((name, key_of(value, rules)) for name, value in sorted(params.items()) if name != "name")
    # a rule is a new object at each trace: it is known by the derivative that it makes
    source = str(rule.debug_info.func_src_info)
    own_key = equation.primitive, source, key_of(params["call_jaxpr"], rules)
    # rules of JAX itself are known by their place; a derivative may use its own rule again, without end
    if source.split(" at ")[-1].startswith(_JAX_FOLDER) or own_key in rules:
        return own_key
    return own_key, key_of(_derivative(equation), (*rules, own_key))


def _derivative(equation: Any) -> Any:
    """Return the program of the derivative of an equation that has a rule of its own."""
    inputs, outputs = ([jex.Var(atom.aval) for atom in side] for side in (equation.invars, equation.outvars))
    equation_alone, info = equation.replace(invars=inputs, outvars=outputs), equation.params["call_jaxpr"].debug_info
    closed = jex.ClosedJaxpr(jex.Jaxpr([], inputs, outputs, [equation_alone], equation.effects, info), ())
    # whole numbers have no tangents
    is_inexact = [jnp.issubdtype(kind_of(v.aval, None).dtype, jnp.inexact) for v in inputs]

    def derivative(primals: list[Any], directions: list[Any]) -> Any:
        def function(*moved_inputs: Any) -> Any:
            remaining = iter(moved_inputs)
            return jex.jaxpr_as_fun(closed)(
                *(next(remaining) if m else x for m, x in zip(is_inexact, primals, strict=True))
            )

        varied = [x for m, x in zip(is_inexact, primals, strict=True) if m]
        if equation.primitive is primitives.custom_jvp_call_p:
            return jax.jvp(function, varied, directions)
        return jax.vjp(function, *varied)[1](directions)

    like = [kind_of(v.aval, None) for v in inputs]
    if equation.primitive is primitives.custom_jvp_call_p:
        return jax.make_jaxpr(derivative)(like, [x for m, x in zip(is_inexact, like, strict=True) if m])
    return jax.make_jaxpr(derivative)(like, [kind_of(v.aval, None) for v in outputs])
