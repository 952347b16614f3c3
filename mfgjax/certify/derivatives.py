"""Derivatives of rewards and kernels without custom rules, and whether they describe how values change.

`stop_gradient` and `custom_jvp` change what automatic differentiation returns, not the numbers. Theorems are on the
numbers, so such rules are taken out; and where numbers may jump, a derivative says nothing about them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from .._typing import Array
from ..kernels import AbstractKernel
from ..model import FiniteHorizonGame
from ..model.parameters import arguments_of
from ..ranges.equations import CALLS, bind, called, evaluate, programs_in
from ..ranges.precision import lowered, spacing_of
from .paths import any_mean_field

_RULES = ("stop_gradient", "custom_jvp_call", "custom_vjp_call")
# values change in steps or jump here, which no derivative shows
_STEPS = ("floor", "ceil", "round", "sign", "rem", "nextafter")


def differentiable(game: FiniteHorizonGame) -> tuple[FiniteHorizonGame, str]:
    """Return the game without custom derivative rules, and why derivatives do not describe it ("" if they do)."""
    reasons = []
    for name in ("reward", "kernel"):
        function = getattr(game, name)
        if not isinstance(function, AbstractKernel):
            params = arguments_of(game.params, name, function)
            function, why = _without_rules(function, any_mean_field(game), params)
            game = eqx.tree_at(lambda g, name=name: getattr(g, name), game, function)
            reasons += [f"the {name}{why}"] if why else []
    return game, "; ".join(reasons)


def _without_rules(function: Callable, seen: Array, params: Mapping[str, Array]) -> tuple[Callable, str]:
    """Return a function without custom derivative rules, and what is wrong with it, as the end of a sentence."""
    jaxpr = jax.make_jaxpr(lambda t, seen: function(t, seen, **params))(jnp.int32(0), seen).jaxpr
    moves = [False, *(True for _ in jaxpr.invars[1:])]  # time does not move
    trouble, _ = _trouble(jaxpr, moves, spacing_of(seen.dtype))
    if trouble:
        return function, f"'s derivative says nothing about it: {trouble}"
    plain = _Plain(function) if _has_rules(jaxpr) else function
    try:  # tracing alone finds a missing rule; nothing is computed
        jax.eval_shape(lambda seen: jax.jvp(lambda m: plain(jnp.int32(0), m, **params), (seen,), (seen,)), seen)
    except (TypeError, ValueError, NotImplementedError) as error:
        return function, f" has no derivative: {str(error).splitlines()[0]}"
    return plain, ""


def steps_in(function: Callable, time: Any, x: Any) -> bool:
    """Tell whether a function `(time, x)` may change in steps as x moves; True where it cannot be told."""
    why, _ = _trouble(jax.make_jaxpr(function)(time, x).jaxpr, [False, True], spacing_of(x.dtype))
    return bool(why)


class _Plain(eqx.Module):
    """A function whose custom derivative rules are ignored."""

    function: Callable

    def __call__(self, t: Array, seen: Array, /, **params: Array) -> Any:
        def call(t: Array, seen: Array, params: Mapping[str, Array]) -> Any:
            return self.function(t, seen, **params)

        program, shape = jax.make_jaxpr(call, return_shape=True)(t, seen, params)
        outputs = evaluate(program.jaxpr, program.consts, jax.tree.leaves((t, seen, params)), _without_rule)
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)


def _without_rule(equation: Any, inputs: list[Any]) -> list[Any]:
    """Evaluate an equation such that JAX differentiates what it computes, not by a custom rule."""
    if equation.primitive.name == "stop_gradient":
        return inputs
    if equation.primitive.name in CALLS:
        return evaluate(*called(equation), inputs, _without_rule)
    return bind(equation, inputs)


def _has_rules(jaxpr: Any) -> bool:
    return any(e.primitive.name in _RULES or any(map(_has_rules, programs_in(e))) for e in jaxpr.eqns)


def _trouble(jaxpr: Any, moves: Sequence[bool], spacing: float) -> tuple[str, list[bool]]:
    """Return why a derivative does not describe a program ("" if it does), and which outputs move with its inputs.

    Numbers near 1 of the game are `spacing` apart; what rounds to fewer digits changes in steps.
    """
    moving = {variable for variable, does in zip(jaxpr.invars, moves, strict=True) if does}

    def does_move(atom: Any) -> bool:
        return not hasattr(atom, "val") and atom in moving

    for equation in jaxpr.eqns:
        inputs, name = [does_move(atom) for atom in equation.invars], equation.primitive.name
        if not any(inputs):
            continue
        outputs = [True] * len(equation.outvars)
        if name == "custom_vjp_call":  # asked first, as it is also one of CALLS
            why = "it brings a rule of its own, and none for derivatives forward (`custom_vjp`)"
        elif name in CALLS:
            why, outputs = _trouble(called(equation)[0], inputs, spacing)
        else:
            why = _trouble_of(equation, name, spacing)
        if why:
            return why, []
        moving.update(v for v, does in zip(equation.outvars, outputs, strict=True) if does)
    return "", [does_move(atom) for atom in jaxpr.outvars]


def _trouble_of(equation: Any, name: str, spacing: float) -> str:
    for program in programs_in(equation):
        # numbers that are no floats, such as counters, are taken to start from constants
        why, _ = _trouble(program, [_is_float(variable) for variable in program.invars], spacing)
        if why or _has_rules(program):
            return why or f"`{name}` brings rules for its derivative"
    if programs_in(equation):
        return ""
    if any(jnp.issubdtype(variable.aval.dtype, jnp.complexfloating) for variable in equation.outvars):
        return "it computes with complex numbers, whose derivatives are not looked at"
    if coarse := lowered(equation, spacing):
        return f"rounding to {coarse} changes in steps, which derivatives do not see"
    # tests for NaN or infinity come out the same at all finite numbers
    is_check = name == "is_finite" or (name == "ne" and equation.invars[0] is equation.invars[1])
    steps = name in _STEPS or not all(_is_float(variable) for variable in equation.outvars)
    return f"`{name}` changes in steps, which derivatives do not see" if steps and not is_check else ""


def _is_float(variable: Any) -> bool:
    return jnp.issubdtype(variable.aval.dtype, jnp.floating)
