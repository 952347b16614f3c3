"""The best design so far in a file, from which a search goes on that was killed."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._files import written_whole
from ..design import Variable
from .output import finite, json_of
from .problem import Problem

SECONDS = 10.0
"""Between two times that the best design is written."""

_INSIDE = 1e-9  # share of the start in where a search goes on: strictly inside all bounds
_FREE = ("search", "name", "description")  # may change from run to run


@dataclass(eq=False)
class Saved:
    """What a search writes as it goes.

    Attributes:
      path: of the file; None: nothing is written.
      problem: that is tuned.
      parameters: the best of an earlier run, by name; empty: there is none.
      earlier: the objective of each step of earlier runs.
    """

    path: Path | None
    problem: Problem
    parameters: dict[str, Any] = field(default_factory=dict)
    earlier: list[float] = field(default_factory=list)
    _history: list[float] = field(default_factory=list)
    _when: float = field(default_factory=time.monotonic)

    def keep(self, told: Mapping[str, Any]) -> None:
        """Write the best design so far, if the last time is long ago; a `callback` of `design.tune`."""
        values = told["values"][np.isfinite(told["values"])]
        self._history.append(float(values.min()) if len(values) else np.nan)
        if self.path is None or time.monotonic() - self._when < SECONDS:
            return
        best = told["best"]
        if np.isfinite(best).any():
            self.write(told["design"](), float(np.min(best[np.isfinite(best)])))

    def write(self, parameters: Mapping[str, Any], value: float) -> None:
        """Write a design; the file is there as a whole or not at all."""
        if self.path is None:
            return
        content = {
            "problem": self.problem.resolved,
            "objective": finite(value),
            "history": [finite(x) for x in [*self.earlier, *self._history]],
            "parameters": {name: np.asarray(array).tolist() for name, array in parameters.items()},
        }
        with written_whole(self.path) as partial:
            partial.write_text(json_of(content) + "\n", encoding="utf-8")
        self._when = time.monotonic()


def read_saved(saved: Saved) -> Saved:
    """Return what an earlier run has left; if it has left nothing, what was given.

    Raises:
      ValueError: if what is there is of another problem, naming what differs.
    """
    path, problem = saved.path, saved.problem
    if path is None or not path.exists():
        return saved
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        earlier, parameters, history = content["problem"], content["parameters"], content["history"]
        for key in problem.resolved:
            now = json.loads(json_of({key: problem.resolved[key]}))[key]
            if key not in _FREE and earlier[key] != now:
                raise ValueError(
                    f"`--resume`: {str(path)!r} is of another problem, in which `{key}` is different; give another "
                    "`--out`, or leave `--resume` out to begin anew."
                )
        arrays = {name: np.asarray(parameters[name], float) for name in problem.parameters}
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, OSError) as error:
        raise ValueError(f"`--resume`: {str(path)!r} does not hold a search of this program.") from error
    return Saved(path, problem, arrays, [np.nan if x is None else float(x) for x in history])


def parameters_from(problem: Problem, saved: Saved) -> dict[str, Variable]:
    """Return the variables, with the best design of an earlier run as their start if there is one."""
    if not saved.parameters:
        return problem.parameters
    variables, dtype = {}, problem.game.dtype
    share = max(_INSIDE, 1e3 * float(jnp.finfo(dtype).eps))
    for name, variable in problem.parameters.items():
        origin = problem.plan.variables[name].start
        there = saved.parameters[name].reshape(origin.shape)
        start = (1 - share) * there + share * origin
        variables[name] = Variable(start, lower=variable.lower, upper=variable.upper, where=variable.where)
    return variables
