"""How agents act and by which method their equilibrium is found, from the options that say so."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mfgjax as mfg

from .._names import did_you_mean, is_ready_made
from .options import GameAndResponse

if TYPE_CHECKING:
    from ..games import GameFile

TREMBLING = {"trembling": "Trembling", "epsilon-greedy": "EpsilonGreedy"}
TEMPERED = {"entropy": "EntropyRegularized", "boltzmann": "Boltzmann"}
_SOLVERS = {
    "auto": "Auto",
    "picard": "Picard",
    "anderson": "Anderson",
    "newton": "Newton",
    "mirror-descent": "MirrorDescent",
    "continuation": "Continuation",
    "lagged": "Lagged",
    "stationary-law": "StationaryLaw",
}
_DAMPED = ("picard", "lagged", "stationary-law")
_WHY_NOT = {
    "beta": "which has no temperature",
    "reference": "which is not drawn to a policy",
    "epsilon": "which does not tremble",
}
_REFERENCES = ("uniform", "paper", "file")


def response_class(name: str) -> Any:
    """Return the class of a response by the name that the command line has for it."""
    return getattr(mfg, (TREMBLING | TEMPERED | {"greedy": "Greedy"})[name])


def response_of(options: GameAndResponse, loaded: GameFile) -> mfg.AbstractResponse:
    """Return how agents act, in the precision of the game; options that do not apply to it are refused."""
    from ..engine import fit_response

    check_options(options)
    name = options.response
    if name in TREMBLING:
        response = response_class(name)(_needed(name, "epsilon", options.epsilon, "a number in [0, 1)"))
    elif name in TEMPERED:
        beta = _needed(name, "beta", options.beta, "a number > 0")
        response = response_class(name)(beta, reference_of(options.reference, options.game, loaded))
    else:
        response = mfg.Greedy()
    return fit_response(loaded.game, response)


def _needed(response: str, option: str, value: Any, what: str) -> Any:
    if value is None:
        raise ValueError(f"`--response {response}` needs `--{option}`, {what}.")
    return value


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of the library as one program, which takes less time than its parts one after another."""
    import equinox as eqx

    return eqx.filter_jit(function)


def check_options(options: Any) -> None:
    """Refuse the options of other responses, such as a temperature for the greedy one."""
    name = options.response
    applies = ("epsilon",) if name in TREMBLING else ("beta", "reference") if name in TEMPERED else ()
    for option, why in _WHY_NOT.items():
        value = getattr(options, option)
        if value is not None and option not in applies:
            raise ValueError(f"`--{option} {value}` does not apply to `--response {name}`, {why}.")


def behaviour_of(request: Any) -> str:
    """Return how agents act in words, as for a title, from options or what is kept of them."""
    kept = request if isinstance(request, dict) else vars(request)
    numbers = {"β": kept["beta"], "ε": kept["epsilon"]}
    return ", ".join([kept["response"], *(f"{symbol} = {x:g}" for symbol, x in numbers.items() if x is not None)])


def solver_of(name: str, damping: float | None, averaging: str | None, atol: float | None) -> Any:
    """Return the solver that is asked for; options that do not apply to it are refused."""
    solver = getattr(mfg, _SOLVERS[name])
    if averaging is not None and name != "picard":
        raise ValueError(f"`--averaging {averaging}` applies to `--solver picard` only, not to `--solver {name}`.")
    if damping is not None and name not in _DAMPED:
        damped = ", ".join(_DAMPED)
        raise ValueError(f"`--damping {damping}` applies to `--solver` {damped} only, not to `--solver {name}`.")
    share = () if name not in _DAMPED else (1.0 if damping is None else damping,)
    return solver(*share, atol=atol) if averaging is None else solver(*share, averaging, atol=atol)


def reference_of(wanted: str | None, named: str, loaded: GameFile) -> Any:
    """Return the policy that agents are drawn to; None is the uniform one.

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
        if loaded.reference is None or is_ready_made(named) != (wanted == "paper"):
            raise ValueError(f"`--reference {wanted}`: {named} has no such reference policy.")
        return loaded.reference
    return read_policy("reference", wanted, named, loaded, "uniform, paper, file or the path of a JSON file")


def read_policy(option: str, path: str, named: str, loaded: GameFile, what: str) -> Any:
    """Return the policy in a JSON file: rows of probabilities, or probabilities of the next nodes by node, or by time.

    Args:
      option: that says so, for sentences.
      path: of the file.
      named: the game, as on the command line.
      loaded: the game.
      what: the option takes.

    Raises:
      ValueError: if there is no such file, or what it holds is no policy.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        which = did_you_mean(path, _REFERENCES if option == "reference" else (), ".")
        raise ValueError(f"`--{option}` must be {what}; got {path!r}, and there is no such file{which}") from None
    except OSError as error:
        raise ValueError(f"`--{option} {path}` cannot be read: {error.strerror}.") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise ValueError(f"`--{option} {path}` is no valid JSON: {error}.") from error
    by_time = content if isinstance(content, list) else [content]
    if not by_time or not all(isinstance(one, dict) for one in by_time):
        return content
    for node, row in (pair for one in by_time for pair in one.items()):
        if not isinstance(row, dict):
            raise ValueError(f"`{option}[{node!r}]` must be probabilities by node; got {json.dumps(row)[:40]}.")
    if not isinstance(loaded.game.kernel, mfg.MovesKernel):
        raise ValueError(f"`--{option} {path}` names nodes, but {named} is no game on a graph.")
    tables = [mfg.games.policy_on_edges(loaded.game, one, name=option) for one in by_time]
    return tables[0] if content is by_time[0] else np.stack(tables)
