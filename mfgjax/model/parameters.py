"""Named parameters of a game whose kernel or reward is a plain function."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from .. import _checks, _functions
from .._names import did_you_mean
from .._shorten import shown_pairs
from .._typing import Array
from ..kernels import AbstractKernel
from .rewards import PairwiseReward, TableReward

_RESERVED = ("game", "response")
"""The first arguments of `sweep`, which Python takes by position or by name: no axis can have such a name."""


class Parameters:
    """The parameters of a game by name, each an array: `game.params.fun`."""

    def __init__(self, values: Mapping[str, Any], takers: Mapping[str, tuple[str, ...]]):
        """Keep the values, and which of the names "kernel" and "reward" take as arguments."""
        self.__dict__.update(values)
        self._takers = dict(takers)

    def __repr__(self) -> str:
        return f"Parameters({shown_pairs(values_of(self))})"


def _flatten(params: Parameters) -> tuple[list[tuple[Any, Any]], Any]:
    values = values_of(params)
    children = [(jax.tree_util.GetAttrKey(name), value) for name, value in values.items()]
    return children, (tuple(values), tuple(params._takers.items()))


def _unflatten(structure: Any, children: Iterable[Any]) -> Parameters:
    names, takers = structure
    return Parameters(dict(zip(names, children, strict=True)), dict(takers))


# functions, as methods would be hidden by parameters of their names
jax.tree_util.register_pytree_with_keys(Parameters, _flatten, _unflatten)


def values_of(params: Parameters) -> dict[str, Any]:
    return {name: value for name, value in vars(params).items() if name != "_takers"}


def parameter_names(game: Any) -> list[str]:
    """Return the names of the parameters of a game."""
    return list(values_of(game.params))


def arguments_of(params: Parameters, field: str, function: Any) -> dict[str, Array]:
    """Return the parameters that the kernel or the reward takes, by name; none if a table stands in its place now."""
    if not _is_users(function):
        return {}
    taken = {name: getattr(params, name) for name in params._takers[field]}
    for name, value in taken.items():
        if not hasattr(value, "dtype"):  # put there by `tree_at`
            raise ValueError(
                f"`params.{name}` must be an array of JAX, also where `equinox.tree_at` puts it: write "
                f"`jax.numpy.asarray(...)`; got {_checks.shorten(value)}."
            )
    return taken


def read_params(params: Any, functions: Mapping[str, Any], called_with: Sequence[str]) -> Parameters:
    """Read the parameters of a game, and find out which of its functions takes which.

    Args:
      params: what the user gave: a mapping from names to numbers or arrays, or None.
      functions: "kernel" and "reward", which may also be tables or kernel objects: these take none.
      called_with: the arguments of such a function before the parameters.

    Raises:
      ValueError: for a name that no function takes, or an argument that is no parameter.
    """
    if params is None:
        return Parameters({}, dict.fromkeys(functions, ()))
    if not isinstance(params, Mapping):
        raise ValueError(
            f"`params` must map names to numbers or arrays, as {{'toll': 1.0}}; got {_checks.shorten(params)}."
        )
    values = {name: _value(name, value, called_with) for name, value in params.items()}
    takers = {field: _taken(field, function, list(values), called_with) for field, function in functions.items()}
    taken = [name for names in takers.values() for name in names]
    for name in values:
        if name not in taken:
            users = [field for field, part in functions.items() if _is_users(part)]
            if not users:
                raise ValueError(f"`params` has {name!r}, but neither `kernel` nor `reward` is a function to take it.")
            raise ValueError(
                f"`params` has {name!r}, which is no argument of {' and '.join(f'`{field}`' for field in users)}: "
                f"add it, `def {users[-1]}({', '.join((*called_with, name))})`, or remove it from `params`."
            )
    return Parameters(values, takers)


def _value(name: Any, value: Any, called_with: Sequence[str]) -> Any:
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        raise ValueError(f"`params` has the name {_checks.shorten(name)}, which cannot be that of an argument.")
    if name in _RESERVED:
        raise ValueError(
            f"`params` has {name!r}, but functions such as `sweep` have an argument of this name: choose another name."
        )
    if name in called_with:
        raise ValueError(
            f"`params` has {name!r}, but a function gets an argument of this name from the game: choose another name."
        )
    table = _checks.as_numbers(f"params[{name!r}]", value)
    if not _checks.is_traced(table):
        _checks.finite(f"params[{name!r}]", table)
    return table


def _is_users(part: Any) -> bool:
    return callable(part) and not isinstance(part, AbstractKernel | TableReward | PairwiseReward)


def _taken(field: str, function: Any, names: list[str], called_with: Sequence[str]) -> tuple[str, ...]:
    """Return the parameters that a function has as arguments behind those it is called with in any case."""
    signature = _functions.signature_of(function) if _is_users(function) else None
    if signature is None:
        return ()
    kinds = inspect.Parameter
    arguments = list(signature.parameters.values())
    first = [one for one in arguments if one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    later = [one for one in arguments if one not in first[: len(called_with)]]
    if any(one.kind == kinds.VAR_KEYWORD for one in later):
        return tuple(names)
    for one in first[: len(called_with)]:
        if one.name in names:
            order = ", ".join((*called_with, one.name))
            raise ValueError(
                f"`{field}` must be a function of ({order}), parameters last, but its arguments are {signature}."
            )
    for one in later:
        is_needed = one.default is kinds.empty and one.kind != kinds.VAR_POSITIONAL
        if one.name not in names and is_needed:
            which = did_you_mean(one.name, names)
            if one.name == "params":
                which = f": write one argument for each parameter, `({', '.join((*called_with, *names))})`."
            raise ValueError(f"`{field}` has the argument {one.name!r}, which `params` does not have{which}")
    return tuple(one.name for one in later if one.name in names)
