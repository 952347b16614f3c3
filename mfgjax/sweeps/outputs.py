"""What is kept of every equilibrium of a sweep."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from .. import _checks
from .._coordinates import AGGREGATE, PAIRS, STATES
from .._functions import signature_of
from .._names import did_you_mean
from .._result import RESULTS
from .._typing import Array
from ..certify import Report, certify
from ..engine.lanes import Lanes
from ..equilibrium import Equilibrium
from ..model import AbstractGame

CERTIFIED: dict[str, Callable[[Report], Array]] = {
    "unique": lambda report: report.unique.astype(jnp.int32),
    "unique_below": lambda report: report["unique"].threshold,
    "certified_beta": lambda report: report.certified_beta,
    "contraction_factor": lambda report: report.factor,
    "local_radius": lambda report: report["local_radius"].value,
    "critical_beta": lambda report: report["critical_beta"].value,
    "distance": lambda report: report["distance"].value,
}
"""Outputs that `certify` computes, for every point in the same program."""

KNOWN: dict[str, tuple[str, ...]] = {
    "exploitability": (),
    "mean_field": STATES,
    "state_law": STATES,
    "terminal_law": ("state",),
    "policy": PAIRS,
    "log_policy": PAIRS,
    "values": STATES,
    "q": PAIRS,
    "mean_state": ("time",),
    "aggregate": AGGREGATE,
    **dict.fromkeys(CERTIFIED, ()),
}
"""Outputs by name, with their dimensions; `mean_field` has those of the joint law where a game observes that.

Of a stationary game there is none over time.
"""

_FINITE_ONLY = {
    "terminal_law": "there is no last time: `state_law` is the law of its states",
    **dict.fromkeys(CERTIFIED, "the theorems of `certify` are for a finite horizon: see `bracket`"),
}
"""Outputs that a stationary game does not have, with the reason."""

ALWAYS = ("result_code", "result_period", "residual", "tolerance", "error_estimate", "num_steps")
COORDINATES = ("time", "state", "action", "point", "component")
WHOLE = ("result_code", "result_period", "num_steps", "unique")


ATTRIBUTES: dict[str, dict[str, Any]] = {
    "result_code": {
        "long_name": "why the solver stopped",
        "flag_values": [int(code) for code in RESULTS],
        "flag_meanings": " ".join(code.name for code in RESULTS),
    },
    "result_period": {"long_name": "period of the cycle that the solver entered", "units": "steps"},
    "residual": {"long_name": "how far from an equilibrium, in the unit of the criterion"},
    "tolerance": {"long_name": "what the residual was compared with"},
    "error_estimate": {"long_name": "estimated distance to an equilibrium, in total variation"},
    "num_steps": {"long_name": "steps taken, over all methods", "units": "steps"},
    "exploitability": {"long_name": "gain from leaving the policy", "units": "reward"},
    "mean_field": {"long_name": "mean field", "units": "share of the population"},
    "state_law": {"long_name": "law of the states", "units": "share of the population"},
    "terminal_law": {"long_name": "law of the states at the end", "units": "share of the population"},
    "policy": {"long_name": "probability of the action"},
    "log_policy": {"long_name": "log of the probability of the action"},
    "values": {"long_name": "value of a state", "units": "reward"},
    "q": {"long_name": "action value", "units": "reward"},
    "mean_state": {"long_name": "mean number of the state"},
    "aggregate": {"long_name": "what payoffs see of the population"},
    "unique": {"long_name": "whether one equilibrium is proved: 1 holds, 0 unknown"},
    "unique_below": {"long_name": "beta below which one equilibrium is proved", "units": "1/reward"},
    "certified_beta": {"long_name": "beta below which a contraction is proved", "units": "1/reward"},
    "contraction_factor": {"long_name": "contraction factor that is proved"},
    "local_radius": {"long_name": "rate of plain iteration near the equilibrium"},
    "critical_beta": {"long_name": "beta at which plain iteration stops converging", "units": "1/reward"},
    "distance": {"long_name": "bound on the distance to the equilibrium, in total variation"},
}


@dataclasses.dataclass(frozen=True)
class Output:
    """One output: its name, its dimensions and, if it is of the user, the function that computes it."""

    name: str
    dims: tuple[str, ...] | None
    function: Callable | None = None


def parse_outputs(outputs: Any, game: AbstractGame, axes: Sequence[str] = ()) -> tuple[Output, ...]:
    """Read what `sweep` is to keep; refuse outputs that do not exist.

    Args:
      outputs: names; or a mapping from names to functions `(game, response, equilibrium) -> array`, to pairs
        of such a function and the names of its dimensions, or to None for an output of the library.
      game: one of those that are swept.
      axes: names that are taken by what is swept.
    """
    if isinstance(outputs, str):
        raise ValueError(f"`outputs` must be a list of names; got {outputs!r}: write `outputs=[{outputs!r}]`.")
    if not isinstance(outputs, Iterable):
        raise ValueError(f"`outputs` must be a list of names, or a mapping; got {_checks.shorten(outputs)}.")
    # a list of names means the same as a mapping of them to None
    pairs = outputs.items() if isinstance(outputs, Mapping) else ((name, None) for name in outputs)
    found = []
    for name, output in pairs:
        if not isinstance(name, str) or name in (*ALWAYS, *(output.name for output in found)):
            raise ValueError(
                f"`outputs` has {name!r}, but each output needs a name that is a string, is given once, and is none of "
                f"{', '.join(ALWAYS)}, which every sweep has."
            )
        if name in axes:
            raise ValueError(
                f"`outputs` has {name!r}, which is also an axis: name the parameter by its path, "
                f'`**{{"params.{name}": [...]}}`, or leave out this output.'
            )
        if name in COORDINATES:
            raise ValueError(f"`outputs` has the name {name!r}, which is a dimension of the dataset.")
        function, dims = output if isinstance(output, tuple) and len(output) == 2 else (output, None)
        if function is None and name in KNOWN:
            check_output("outputs", name, game)
            dims = PAIRS if name == "mean_field" and game.observes == "state_actions" else KNOWN[name]
            found.append(Output(name, tuple(dim for dim in dims if dim != "time" or game.times)))
        elif callable(function):
            _check_arguments(name, function)
            found.append(Output(name, None if dims is None else _dims(name, dims, axes), function))
        else:
            others = "others need a function (game, response, equilibrium) -> array."
            which = did_you_mean(name, KNOWN, f", but the outputs are {', '.join(KNOWN)}; {others}")
            raise ValueError(f"`outputs` has {name!r}{which}")
    return tuple(found)


def _check_arguments(name: str, function: Callable) -> None:
    """Refuse a function that does not take game, response and equilibrium."""
    signature = signature_of(function)
    if signature is None:  # the call itself will tell
        return
    try:
        signature.bind(*range(3))
    except TypeError as error:
        raise ValueError(
            f"`outputs[{name!r}]` must be a function of (game, response, equilibrium), but its arguments are "
            f"{signature}."
        ) from error


def check_output(argument: str, name: str, game: AbstractGame) -> None:
    """Refuse a known output that a game does not have."""
    if name == "aggregate" and game.aggregate is None:
        raise ValueError(
            f"`{argument}` has 'aggregate', but the payoffs of the game see the whole law: its mean field."
        )
    if not game.times and name in _FINITE_ONLY:
        raise ValueError(f"`{argument}` has {name!r}, but in a stationary game {_FINITE_ONLY[name]}.")


def _dims(name: str, dims: Any, axes: Sequence[str]) -> tuple[str, ...]:
    names = (dims,) if isinstance(dims, str) else tuple(dims)
    for dim in names:
        if dim in axes or names.count(dim) > 1:
            raise ValueError(f"`outputs[{name!r}]` has the dimension {dim!r}, which is an axis or is given twice.")
    return names


def compute_outputs(outputs: Iterable[Output], lanes: Lanes, equilibrium: Equilibrium) -> dict[str, Array]:
    """Compute the outputs asked for, and those that every sweep has, with lanes last."""
    game = lanes.game
    result: dict[str, Array] = {
        "result_code": equilibrium.result.code,
        "result_period": equilibrium.result.period,
        "residual": equilibrium.residual,
        "tolerance": equilibrium.tolerance,
        "error_estimate": equilibrium.error_estimate,
        "num_steps": equilibrium.num_steps,
    }
    outputs = tuple(outputs)
    certified = [output.name for output in outputs if output.function is None and output.name in CERTIFIED]
    if certified:  # one report holds them all
        result |= _certificates(certified, lanes, equilibrium)
    for output in outputs:
        if output.name in certified:
            continue
        if output.function is not None:
            result[output.name] = _of_user(output.name, output.function, lanes, equilibrium)
        elif output.name == "terminal_law":
            result[output.name] = equilibrium.state_law[-1]
        elif output.name == "q":
            # what a backup gives for actions that do not exist means nothing
            result[output.name] = jnp.where(game.untimed(game.available)[..., None], equilibrium.q, jnp.nan)
        else:
            result[output.name] = getattr(equilibrium, output.name)
    return result


def _certificates(names: Sequence[str], lanes: Lanes, equilibrium: Equilibrium) -> dict[str, Array]:
    def one(game: Any, response: Any, _: Any, mean_field: Array) -> dict[str, Array]:
        # the critical β takes a search, so only if it is asked for
        report = certify(game, response, mean_field, critical="critical_beta" in names)
        return {name: CERTIFIED[name](report) for name in names}

    return lanes.per_lane(one, equilibrium.mean_field)


def _of_user(name: str, function: Callable, lanes: Lanes, equilibrium: Equilibrium) -> Array:
    def one(game: Any, response: Any, _: Any, found: Equilibrium) -> Array:
        # the function sees one lane, without the last axis
        single = dataclasses.replace(found, action_axis=-1)
        value = function(game, response, single)
        if not hasattr(value, "dtype"):
            raise ValueError(f"`outputs[{name!r}]` must return an array; got {_checks.shorten(value)}.")
        return value

    # `per_lane` maps over arrays, and an equilibrium is a tree of them
    leaves, structure = jax.tree.flatten(equilibrium)
    return lanes.per_lane(lambda g, r, s, *found: one(g, r, s, jax.tree.unflatten(structure, found)), *leaves)
