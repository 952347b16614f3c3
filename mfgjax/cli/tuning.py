"""The command `tune`."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _checks, design, games
from .._progress import progress_line
from .._result import ConvergenceError
from .._typing import Array
from ..design import Tuned
from ..design.space import objective_values, repeated, single
from ..equilibrium import Equilibrium
from ..games import GameFile
from ..model import FiniteHorizonGame
from ..responses import AbstractResponse, EntropyRegularized
from ..solve import solve
from .output import Interrupted, finite, json_of, print_json, staged, writable
from .problem import Problem, load_problem, table_of_policy
from .resuming import Saved, parameters_from, read_saved
from .simulating import numbers_of_agents
from .tuned_among_agents import populations_of
from .tuned_tables import print_tuned

_FILES = ("tuned.json", "reference.json", "tuned.toml", "tuned.png")


@dataclass(frozen=True)
class TuneRequest:
    """What is to be tuned, as on the command line.

    Attributes:
      file: the problem.
      agents: numbers of agents among whom the tuned policy is put, or None.
      runs: simulated populations of each size.
      seed: of their random numbers.
      max_steps: in place of that in the file.
      resume: start from the best design that an earlier run has left, if there is one.
    """

    file: str
    agents: str | None
    runs: int
    seed: int
    max_steps: int | None
    resume: bool


def run(request: TuneRequest, out: Path | None, *, as_json: bool, float32: bool) -> int:
    """Tune, save and print.

    Args:
      request: what to tune.
      out: folder to write to as the search goes and at its end, or None.
      as_json: print JSON in place of tables.
      float32: compute in single precision.

    Returns:
      The exit status.
    """
    with jax.enable_x64(not float32):
        problem, sizes = _read(request, out)
        saved = Saved(None if out is None else out / "search.json", problem)
        try:
            with _going_on(saved), nullcontext() if out is None else writable(out):
                content = _found(request, read_saved(saved) if request.resume else saved, sizes, out)
        except ConvergenceError as error:  # nothing can be made of such a start
            print(f"mfgjax: {error}", file=sys.stderr)
            return 1
        if as_json:
            print_json(content)
        else:
            print_tuned(content)
    if content["search"]["interrupted"]:
        raise Interrupted(_where_it_stopped(saved) or "interrupted; the best design so far is the one above.")
    failed = [one for side in ("before", "after") for one in content[side]["scenarios"] if not one["converged"]]
    if failed:
        print(f"mfgjax: {failed[0]['message']}", file=sys.stderr)
        return 1
    return 0


def _read(request: TuneRequest, out: Path | None) -> tuple[Problem, list[int]]:
    """Return the problem and the numbers of agents."""
    if request.resume and out is None:
        raise ValueError("`--resume` needs `--out`, the folder of the earlier run.")
    sizes = [] if request.agents is None else numbers_of_agents(request.agents)
    _checks.integer_at_least("--runs", request.runs, 1)
    _checks.integer_at_least("--seed", request.seed, 0)
    problem = load_problem(request.file)
    if request.max_steps is None:
        return problem, sizes
    search = replace(problem.search, max_steps=_checks.integer_at_least("--max-steps", request.max_steps, 1))
    return replace(problem, search=search, resolved=problem.resolved | {"search": search.told}), sizes


def _found(request: TuneRequest, saved: Saved, sizes: list[int], out: Path | None) -> dict[str, Any]:
    """Tune, put the result among agents, and save it; return what was found."""
    problem = saved.problem
    before, found, seconds = _tuned(problem, saved)
    with progress_line() as begin, staged(out) as folder:
        begin("judging the design")
        after = _judged(problem, found.game, found.response, found.equilibrium.mean_field)
        populations = []
        if sizes:
            begin(f"among {', '.join(f'{n:,}' for n in sizes[:4])}{', ...' if sizes[4:] else ''} agents")
            populations = list(populations_of(problem, found, sizes, request.runs, request.seed))
        content = _content(request.file, saved, before, after, found, populations, seconds)
        if folder is not None and out is not None:
            begin("drawing")
            _save(folder, out, content, problem, before, found)
    return content


@contextmanager
def _going_on(saved: Saved) -> Iterator[None]:
    """Say at Ctrl-C, where the search itself does not hear it, what is there to go on from."""
    try:
        yield
    except KeyboardInterrupt:
        if there := _where_it_stopped(saved):
            raise Interrupted(there) from None
        raise


def _where_it_stopped(saved: Saved) -> str | None:
    if saved.path is None or not saved.path.exists():
        return None
    return f"interrupted; the best design so far is in {str(saved.path)!r}, and `--resume` goes on from it."


class _Judged(eqx.Module):
    """The equilibria of one design in all scenarios, and their terms `[scenarios, terms]`."""

    equilibria: list[Equilibrium]
    terms: np.ndarray


@eqx.filter_jit
def _terms(objectives: tuple, game: Any, response: Any, found: Equilibrium) -> Array:
    return objective_values(objectives, game, response, found)


def _judged(problem: Problem, game: FiniteHorizonGame, response: AbstractResponse, guess: Any = None) -> _Judged:
    """Solve a design in every scenario."""
    objectives = tuple(term.objective for term in problem.terms)
    found, rows = [], []
    for beta in problem.betas:
        if len(problem.betas) > 1:
            array = jax.numpy.asarray(beta, game.dtype)
            response = eqx.tree_at(lambda r: r.beta, response, array)
        found.append(solve(game, response, guess=guess, throw=False))
        rows.append(np.asarray(_terms(objectives, game, response, found[-1])))
    return _Judged(found, np.stack(rows))


def _tuned(problem: Problem, saved: Saved) -> tuple[_Judged, Tuned, float]:
    """Return the start and the best design found from it or from that of an earlier run, and the seconds it took."""
    with progress_line() as begin:
        begin("solving the start")
        plan = problem.plan
        game, response = single(plan, repeated(plan, 1))
        before = _judged(problem, game, response)
    search = problem.search
    objective = reduce(add, [term.weight * term.objective for term in problem.terms])
    begun = time.perf_counter()
    found = design.tune(
        problem.game,
        parameters_from(problem, saved),
        objective,
        search.method,
        response=problem.response,
        scenarios=problem.scenarios,
        over=problem.over,
        smoothing=problem.smoothing,
        restarts=search.restarts,
        spread=search.spread,
        key=jax.random.key(search.seed),
        guess=before.equilibria[0],
        max_steps=search.max_steps,
        gtol=search.gtol,
        goal=search.goal,
        callback=saved.keep,
    )
    saved.write(found.parameters, found.value)
    return before, found, time.perf_counter() - begun


def _content(
    path: str,
    saved: Saved,
    before: _Judged,
    after: _Judged,
    found: Tuned,
    populations: list[dict[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    problem, status, response = saved.problem, found.status[found.best], found.response
    lowest = np.fmin.reduce(found.history, axis=1)  # of all restarts; NaN where no design was accepted
    assert isinstance(response, EntropyRegularized)  # that of the problem
    return {
        "file": path,
        "problem": problem.resolved,
        "before": _told(problem, before),
        "after": _told(problem, after),
        "start": {name: _array(problem, name, variable.start) for name, variable in problem.plan.variables.items()},
        "parameters": {name: _array(problem, name, value) for name, value in found.parameters.items()},
        "search": {
            "status": status,
            "interrupted": "stopped from outside" in status,
            "objective": finite(found.value),
            "num_steps": found.num_steps,
            "num_steps_before": len(saved.earlier),
            "num_without_equilibrium": int(found.failed.sum()),
            "restarts": [finite(value) for value in found.values],
            "best_restart": found.best,
            "history": [finite(value) for value in [*saved.earlier, *lowest]],
            "gradient_norm": [finite(value) for value in found.gradient_norm[:, found.best]],
            "seconds": round(seconds, 3),
        },
        "populations": populations,
        "beta": [float(response.beta)] if len(problem.betas) == 1 else list(problem.betas),
        "files": [],
        "not_written": [],
    }


def _array(problem: Problem, name: str, value: Any) -> Any:
    return table_of_policy(problem.game, value) if name == "reference" else np.asarray(value).tolist()


def _told(problem: Problem, judged: _Judged) -> dict[str, Any]:
    weights = np.array([term.weight for term in problem.terms])
    totals = judged.terms @ weights
    over = np.max if problem.over == "worst" else np.mean
    scenarios = []
    for beta, terms, total, one in zip(problem.betas, judged.terms, totals, judged.equilibria, strict=True):
        law = zip(problem.game.state_labels, one.state_law[-1], strict=True)
        labels = [term.label for term in problem.terms]
        scenarios.append(
            {
                "beta": beta if "beta" not in problem.parameters else None,
                "objective": finite(total),
                "terms": {label: finite(value) for label, value in zip(labels, terms, strict=True)},
                "terminal_law": {label: finite(mass) for label, mass in law},
                "converged": bool(one.converged),
                "result": one.result.name,
                "message": one.result.message,
                "residual": finite(one.residual),
            }
        )
    return {"objective": finite(over(totals)), "scenarios": scenarios}


def _save(folder: Path, out: Path, content: dict[str, Any], problem: Problem, before: _Judged, found: Tuned) -> None:
    """Write what was found; a game that the file format has no place for is left out, and that is said."""
    from .. import plot  # slow to import, and often not needed

    names, left_out, reference = [_FILES[0]], content["not_written"], content["parameters"].get("reference")
    if reference is None:
        left_out.append(f"{_FILES[1]}: the reference is not tuned")
    else:
        (folder / _FILES[1]).write_text(json_of(reference) + "\n", encoding="utf-8")
        names.append(_FILES[1])
    table = np.exp(np.asarray(found.response.log_prior(found.game.available, found.game.dtype), float))
    try:
        if len(table) > 1:
            raise ValueError("the reference changes over time, for which a game file has no place.")
        loaded, rho = problem.loaded, table[0] / table[0].sum(axis=-1, keepdims=True)
        note = f"{loaded.description} Tuned for {problem.name!r}.".strip()
        games.save_game(folder / _FILES[2], GameFile(loaded.name, found.game, rho, loaded.positions, note))
        names.append(_FILES[2])
    except ValueError as error:
        left_out.append(f"{_FILES[2]}: {str(error).rstrip('.')}")
    picture = plot.plot_tuned(found, before.equilibria[0], target=_target(problem), title=problem.name)
    picture.savefig(folder / _FILES[3], dpi=150)  # pyright: ignore[reportAttributeAccessIssue]
    names.append(_FILES[3])
    content["files"] = [str(out / name) for name in (*names, "search.json")]
    (folder / _FILES[0]).write_text(json_of(content) + "\n", encoding="utf-8")


def _target(problem: Problem) -> np.ndarray | None:
    """Return the target at the end, NaN where a state has none; None if there is not exactly one target."""
    ends = [o for o in (t.objective for t in problem.terms) if isinstance(o, design.TargetLaw)]
    if len(ends) != 1 or ends[0].time not in (-1, problem.game.horizon):
        return None
    labels = problem.game.state_labels
    return np.array([ends[0].law.get(label, np.nan) for label in labels])
