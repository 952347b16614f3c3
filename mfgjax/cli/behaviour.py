"""How agents act and by which method their equilibrium is found, from the options that say so."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mfgjax as mfg

from .._names import by_word, did_you_mean, is_ready_made
from .options import GameAndResponse, Method

if TYPE_CHECKING:
    from ..games import GameFile

_WHY_NOT = {
    "beta": "which has no temperature",
    "reference": "which has no reference policy",
    "epsilon": "which has no ε",
}
_REFERENCES = ("uniform", "paper", "file")


def response_class(name: str) -> Any:
    """Return the class of a response by the name that the command line has for it."""
    return getattr(mfg.responses, by_word("responses")[name])


@functools.cache
def takes(response: str) -> dict[str, str]:
    """Return the options that a response has, each with the argument of its class that the option gives."""
    kind = response_class(response)
    arguments = {"beta": "beta", "epsilon": "epsilon", "reference": kind.prior_name}
    known = inspect.signature(kind).parameters
    return {option: argument for option, argument in arguments.items() if argument in known}


def made(response: str, **options: Any) -> Any:
    """Build a response from the values of options; those that it does not have are left out."""
    response_type, arguments = response_class(response), takes(response)
    for name, parameter in inspect.signature(response_type).parameters.items():
        if parameter.default is parameter.empty and name not in arguments.values():
            raise ValueError(f"`--response {response}` needs `{name}`, for which there is no option: use it in Python.")
    return response_type(**{arguments[option]: value for option, value in options.items() if option in arguments})


def response_of(options: GameAndResponse, loaded: GameFile) -> mfg.responses.AbstractResponse:
    """Build the response from the options, in the precision of the game; refuse options that do not apply to it."""
    from ..engine import fit_response

    check_options(options)
    name, arguments = options.response, takes(options.response)
    values = {"beta": options.beta, "epsilon": options.epsilon}
    for option, must_be in (("epsilon", "a number in [0, 1)"), ("beta", "a number > 0")):
        if option in arguments and values[option] is None:
            raise ValueError(f"`--response {name}` needs `--{option}`, {must_be}.")
    if "reference" in arguments:
        values["reference"] = reference_of(options.reference, options.game, loaded)
    return fit_response(loaded.game, made(name, **values))


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the library as one program, which takes less time than its parts one after another."""
    import equinox as eqx

    # kept, as every call of `filter_jit` makes a function that compiles anew
    return eqx.filter_jit(function)


def check_options(options: Any) -> None:
    """Refuse the options of other responses, such as a temperature for the greedy one."""
    name, arguments = options.response, takes(options.response)
    for option, why in _WHY_NOT.items():
        value = getattr(options, option)
        if value is not None and option not in arguments:
            raise ValueError(f"`--{option} {value}` does not apply to `--response {name}`, {why}.")


def behaviour_of(request: Any) -> str:
    """Describe how agents act in words, for titles, from options or from a saved request."""
    kept = request if isinstance(request, dict) else vars(request)
    numbers = {"β": kept["beta"], "ε": kept["epsilon"]}
    return ", ".join([kept["response"], *(f"{symbol} = {x:g}" for symbol, x in numbers.items() if x is not None)])


def solver_of(options: Method, damping: float | None) -> Any:
    """Build the solver from the options; refuse options that do not apply to it."""
    name, values = options.solver, {"averaging": options.averaging, "damping": damping}
    values = {option: value for option, value in values.items() if value is not None}
    for option, value in values.items():
        takers = [word for word in by_word("solvers") if option in inspect.signature(_solver_class(word)).parameters]
        if name not in takers:
            who = f"`--solver {takers[0]}`" if len(takers) == 1 else f"`--solver` {', '.join(takers)}"
            raise ValueError(f"`--{option} {value}` applies to {who} only, not to `--solver {name}`.")
    return _solver_class(name)(**values, atol=options.atol)


def _solver_class(name: str) -> Any:
    return getattr(mfg.solvers, by_word("solvers")[name])


def reference_of(wanted: str | None, named: str, loaded: GameFile) -> Any:
    """Return the reference policy that `--reference` names; None for the uniform one.

    Args:
      wanted: what `--reference` says.
      named: the game, as on the command line.
      loaded: the game.

    Raises:
      ValueError: if there is no such policy, or what the file holds is none.
    """
    if wanted is None:
        return loaded.reference
    if wanted == "uniform":
        return None
    if wanted in _REFERENCES:
        # ready-made games have that of a paper, files their own
        if loaded.reference is None or is_ready_made(named) != (wanted == "paper"):
            raise ValueError(f"`--reference {wanted}`: {named} has no such reference policy.")
        return loaded.reference
    return read_policy("reference", wanted, named, loaded, "uniform, paper, file or the path of a JSON file")


def read_policy(option: str, path: str, named: str, loaded: GameFile, allowed: str) -> Any:
    """Read a policy from a JSON file: rows of probabilities, or probabilities of next nodes by node, or by time.

    Args:
      option: that says so, for sentences.
      path: of the file.
      named: the game, as on the command line.
      loaded: the game.
      allowed: what the option takes, for sentences.

    Raises:
      ValueError: if there is no such file, or what it holds is no policy.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        which = did_you_mean(path, _REFERENCES if option == "reference" else (), ".")
        raise ValueError(f"`--{option}` must be {allowed}; got {path!r}, and there is no such file{which}") from None
    except OSError as error:
        raise ValueError(f"`--{option} {path}` cannot be read: {error.strerror}.") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise ValueError(f"`--{option} {path}` is no valid JSON: {error}.") from error
    by_time = content if isinstance(content, list) else [content]
    if not by_time or not all(isinstance(one, dict) for one in by_time):
        return content  # rows of numbers: checked where all policies are
    for node, row in (pair for one in by_time for pair in one.items()):
        if not isinstance(row, dict):
            raise ValueError(f"`{option}[{node!r}]` must be probabilities by node; got {json.dumps(row)[:40]}.")
    if not isinstance(loaded.game.kernel, mfg.MovesKernel):
        raise ValueError(f"`--{option} {path}` names nodes, but {named} is no game on a graph.")
    tables = [mfg.games.policy_on_edges(loaded.game, one, name=option) for one in by_time]
    # a list of one table is a policy over time, too
    return tables[0] if content is by_time[0] else np.stack(tables)
