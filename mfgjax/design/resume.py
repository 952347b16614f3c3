"""The best design so far in a file, from which a killed search resumes."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import design
from .._files import written_whole
from .._identity import changed, identity
from ..equilibrium import Equilibrium
from .problem import DesignProblem
from .tune import Tuned
from .variables import Variable

FORMAT = "mfgjax-search/2"
SECONDS = 10.0
"""Between two times that the best design is written."""

_INSIDE = 1e-9  # share of the start in where a search goes on: strictly inside all bounds
_FREE = ("search", "name", "description")  # may change from run to run


@dataclass(eq=False)
class SavedSearch:
    """The file that a search writes as it goes, and what an earlier run has left in it.

    Attributes:
      path: of the file; None: nothing is written.
      problem: that is tuned.
      parameters: the best of an earlier run, by name; empty: there is none.
      earlier: the objective of each step of earlier runs.
    """

    path: Path | None
    problem: DesignProblem
    parameters: dict[str, Any] = field(default_factory=dict)
    earlier: list[float] = field(default_factory=list)
    _history: list[float] = field(default_factory=list)
    _when: float = field(default_factory=time.monotonic)

    def keep(self, progress: Mapping[str, Any]) -> None:
        """Write the best design so far, at most every ten seconds; a `callback` of `design.tune`."""
        values = progress["values"][np.isfinite(progress["values"])]
        self._history.append(float(values.min()) if len(values) else np.nan)
        # monotonic, as the time of day may be set while the search runs
        if self.path is None or time.monotonic() - self._when < SECONDS:
            return
        best = progress["best"]
        if np.isfinite(best).any():
            self.write(progress["design"](), float(np.min(best[np.isfinite(best)])))

    def write(self, parameters: Mapping[str, Any], value: float) -> None:
        """Write a design; the file is there as a whole or not at all."""
        if self.path is None:
            return
        content = {
            "format": FORMAT,
            "identity": _identity(self.problem),
            "problem": self.problem.resolved,
            "objective": value if np.isfinite(value) else None,
            # JSON has no NaN
            "history": [x if np.isfinite(x) else None for x in [*self.earlier, *self._history]],
            "parameters": {name: np.asarray(array).tolist() for name, array in parameters.items()},
        }
        with written_whole(self.path) as partial:
            text = json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
        self._when = time.monotonic()


def _identity(problem: DesignProblem) -> dict[str, str]:
    return identity({key: value for key, value in problem.resolved.items() if key not in _FREE})


def read_saved(saved: SavedSearch) -> SavedSearch:
    """Read what an earlier run has left in the file; return `saved` unchanged if there is nothing.

    Raises:
      ValueError: if what is there is of another problem, naming what differs.
    """
    path, problem = saved.path, saved.problem
    if path is None or not path.exists():
        return saved
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parameters, history = content["parameters"], content["history"]
        begin_anew = "give another `out`, or leave `resume` out to begin anew."
        if content.get("format") != FORMAT:
            raise ValueError(f"`resume`: {str(path)!r} is of an earlier version of mfgjax; {begin_anew}")
        for key in changed(_identity(problem), content["identity"]):
            raise ValueError(
                f"`resume`: {str(path)!r} is of another problem, in which `{key}` is different; {begin_anew}"
            )
        arrays = {name: np.asarray(parameters[name], float) for name in problem.parameters}
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, OSError) as error:
        raise ValueError(f"`resume`: {str(path)!r} does not hold a search of this program.") from error
    return SavedSearch(path, problem, arrays, [np.nan if x is None else float(x) for x in history])


def _variables(saved: SavedSearch) -> dict[str, Variable]:
    """Return the variables, with the best design of an earlier run as their start if there is one."""
    problem = saved.problem
    if not saved.parameters:
        return problem.parameters
    variables, dtype = {}, problem.game.dtype
    # coordinates of a bound are infinite, so the start is drawn inside, by more than rounding
    share = max(_INSIDE, 1e3 * float(jnp.finfo(dtype).eps))
    for name, variable in problem.parameters.items():
        origin = problem.plan.variables[name].start
        saved_design = saved.parameters[name].reshape(origin.shape)
        start = (1 - share) * saved_design + share * origin
        variables[name] = Variable(start, lower=variable.lower, upper=variable.upper, where=variable.where)
    return variables


def tune_from(saved: SavedSearch, guess: Equilibrium | None = None) -> Tuned:
    """Search for the design that a problem asks for, from the best one of an earlier search if there is one.

    Args:
      saved: the problem, and where the search is written as it goes.
      guess: an equilibrium near that of the start.
    """
    problem, search = saved.problem, saved.problem.search
    found = design.tune(
        problem.game,
        _variables(saved),
        reduce(add, [term.weight * term.objective for term in problem.terms]),
        search.method,
        response=problem.response,
        scenarios=problem.scenarios,
        over=problem.over,
        smoothing=problem.smoothing,
        restarts=search.restarts,
        spread=search.spread,
        key=jax.random.key(search.seed),
        guess=guess,
        max_steps=search.max_steps,
        gtol=search.gtol,
        goal=search.goal,
        callback=saved.keep,
    )
    saved.write(found.parameters, found.value)
    return found
