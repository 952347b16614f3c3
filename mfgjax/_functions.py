"""Checks of functions that users give: what arguments they take, and what they return."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ._checks import shape_is
from ._explained import explained
from ._modes import users_modes
from ._shorten import shorten


def signature_of(function: Callable) -> inspect.Signature | None:
    """Return the signature of a callable; None if it tells none, as some compiled ones."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None


def returned(
    name: str,
    function: Callable,
    arguments: Mapping[str, Any],
    at: str,
    view: Callable[[Any], Any] | None = None,
    params: Mapping[str, Any] | None = None,
) -> Any:
    """Trace a user's callable and return its result with shapes in place of arrays, or say why it fails.

    Args:
      name: of the field.
      function: called by position.
      arguments: their names and values.
      at: where, as it stands in the sentence: "at t = 0".
      view: applied to what the callable returns, while it is still an array.
      params: of the game, handed over by name.
    """
    named = {} if params is None else dict(params)
    names, signature = ", ".join((*arguments, *named)), signature_of(function)
    if signature is not None:  # else the call itself will tell
        try:
            signature.bind(*arguments.values(), **named)
        except TypeError as error:
            if any(one.kind is one.POSITIONAL_ONLY and one.name in named for one in signature.parameters.values()):
                message = (
                    f"`{name}` gets parameters by name, so its arguments must not end with `/`: they are {signature}."
                )
                raise ValueError(message) from error
            is_longer = name in ("kernel", "reward") and len(signature.parameters) > len(arguments) + len(named)
            hint = ": further arguments are given by `params={...}`" if is_longer else ""
            taken = f"its arguments are {signature}" if signature.parameters else "it takes no arguments"
            meaning = ", with z the mean field" if "z" in arguments else ""
            raise ValueError(f"`{name}` must be a function of ({names}){meaning}, but {taken}{hint}.") from error
        order, own = tuple(arguments), list(signature.parameters)
        # said here, as the error that follows from it would not tell; and there may be none
        if order[:1] == ("t",) and len(order) > 1 and own[1:2] in (["t"], ["time"]):
            raise ValueError(f"`{name}` is called with ({names}), in this order, but its arguments are {signature}.")

    def seen(function: Callable, values: Sequence[Any], named: Mapping[str, Any]) -> Any:
        result = function(*values, **named)
        return result if view is None else view(result)

    with explained(name, names, at, f"; it is called with ({names})"), users_modes(function):
        return eqx.filter_eval_shape(seen, function, tuple(arguments.values()), named)


def shape_returned(name: str, result: Any, allowed: Sequence[tuple], meaning: str) -> None:
    """Refuse the result of a callable unless it is one array of real numbers of an allowed shape."""
    kind = getattr(result, "dtype", None)
    if kind is None or not hasattr(result, "shape"):
        got = shorten(result)
        if isinstance(result, list | tuple):  # its entries are shapes, not what the user wrote
            got = f"a {type(result).__name__} of {len(result)}: write `jax.numpy.array(...)` around it"
        elif result is None:
            got = "None, as from a function without `return`"
        raise ValueError(f"`{name}` must return an array ({meaning}); got {got}.")
    if not (jax.numpy.issubdtype(kind, np.floating) or jax.numpy.issubdtype(kind, np.integer)):
        raise ValueError(f"`{name}` must return real numbers; got an array of dtype {kind}.")
    shape_is(name, result, allowed, meaning)
