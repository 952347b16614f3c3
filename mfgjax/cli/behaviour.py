"""How agents act and by which method their equilibrium is found, from the options that say so."""

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import games
from ..games import GameFile
from ..kernels import MovesKernel
from ..responses import AbstractResponse, Boltzmann, EntropyRegularized, EpsilonGreedy, Greedy, Trembling
from ..solvers import (
    AbstractSolver,
    Anderson,
    Auto,
    Continuation,
    Lagged,
    MirrorDescent,
    Newton,
    Picard,
    StationaryLaw,
)
from . import catalogue

_METHODS = {
    "auto": Auto,
    "anderson": Anderson,
    "newton": Newton,
    "mirror-descent": MirrorDescent,
    "continuation": Continuation,
}
_DAMPED = {"lagged": Lagged, "stationary-law": StationaryLaw}
TREMBLING = {"trembling": Trembling, "epsilon-greedy": EpsilonGreedy}
TEMPERED = {"entropy": EntropyRegularized, "boltzmann": Boltzmann}
_TAKES = {
    "greedy": (),
    **dict.fromkeys(TREMBLING, ("epsilon",)),
    **dict.fromkeys(TEMPERED, ("beta", "reference")),
}
_WHY_NOT = {
    "beta": "which has no temperature",
    "reference": "which is not drawn to a policy",
    "epsilon": "which does not tremble",
}


class RequestOfResponse(Protocol):
    """What requests of several commands have in common: the game and how agents act in it."""

    @property
    def game(self) -> str: ...

    @property
    def beta(self) -> float | None: ...

    @property
    def epsilon(self) -> float | None: ...

    @property
    def reference(self) -> str | None: ...

    @property
    def response(self) -> str: ...


def response_of(request: RequestOfResponse, loaded: GameFile) -> AbstractResponse:
    """Return how agents act; options that do not apply to it are refused."""
    check_options(request)
    if request.response in TREMBLING:
        return TREMBLING[request.response](_needed(request.response, "epsilon", request.epsilon, "a number in [0, 1)"))
    if request.response in TEMPERED:
        beta = _needed(request.response, "beta", request.beta, "a number > 0")
        return TEMPERED[request.response](beta, reference_of(request.reference, request.game, loaded))
    return Greedy()


def _needed(response: str, option: str, value: Any, what: str) -> Any:
    if value is None:
        raise ValueError(f"`--response {response}` needs `--{option}`, {what}.")
    return value


def check_options(request: Any) -> None:
    """Refuse the options of other responses, such as a temperature for the greedy one."""
    for option, why in _WHY_NOT.items():
        value = getattr(request, option)
        if value is not None and option not in _TAKES[request.response]:
            raise ValueError(f"`--{option} {value}` does not apply to `--response {request.response}`, {why}.")


def behaviour_of(response: str, beta: float | None, epsilon: float | None) -> str:
    """Return how agents act in words, as for a title."""
    numbers = {"β": beta, "ε": epsilon}
    return ", ".join([response, *(f"{symbol} = {x:g}" for symbol, x in numbers.items() if x is not None)])


def solver_of(name: str, damping: float | None, averaging: str | None, atol: float | None) -> AbstractSolver:
    """Return the solver that is asked for; options that do not apply to it are refused."""
    if name == "picard":
        return Picard(1.0 if damping is None else damping, averaging, atol=atol)
    if averaging is not None:
        raise ValueError(f"`--averaging {averaging}` applies to `--solver picard` only, not to `--solver {name}`.")
    if name in _DAMPED:
        return _DAMPED[name](1.0 if damping is None else damping, atol=atol)
    if damping is not None:
        damped = ", ".join(["picard", *_DAMPED])
        raise ValueError(f"`--damping {damping}` applies to `--solver` {damped} only, not to `--solver {name}`.")
    return _METHODS[name](atol=atol)


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
    if wanted in ("paper", "file"):
        if loaded.reference is None or catalogue.is_ready_made(named) != (wanted == "paper"):
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
        raise ValueError(f"`--{option}` must be {what}; got {path!r}, and there is no such file.") from None
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
    if not isinstance(loaded.game.kernel, MovesKernel):
        raise ValueError(f"`--{option} {path}` names nodes, but {named} is no game on a graph.")
    tables = [games.policy_on_edges(loaded.game, one, name=option) for one in by_time]
    return tables[0] if content is by_time[0] else np.stack(tables)
