"""The command `tune`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
import typer
from rich.table import Table

import mfgjax as mfg

from .._progress import progress_line
from . import completion
from .among_agents import populations_of
from .behaviour import compiled
from .command import Report, SavingCommand
from .output import Files, Interrupted, finite, json_of, staged, writable
from .ranges import numbers_of_agents
from .tables import by_state, left_out, number, table

if TYPE_CHECKING:
    from ..design import DesignProblem, Tuned
    from ..design.resume import SavedSearch

_MOST_SCENARIOS = 12  # that are told of
_MOST_CHANGES, _LEAST_CHANGE = 12, 1e-9


@dataclass(frozen=True)
class Judged:
    """The equilibria of one design in all scenarios, and their terms `[scenarios, terms]`."""

    equilibria: list[mfg.Equilibrium]
    terms: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Tune(SavingCommand):
    """Find the parameters under which a crowd does what you want.

    A problem file says what the crowd should do, and what may change: the reference policy, rewards or any other array
    of the game. docs/problem-file.md describes it.

    Examples:
      mfgjax tune examples/half_and_half.toml
      mfgjax tune examples/evacuation_signs.toml --agents 10,100,1000 --out results

    Args:
      file: A problem in TOML.
      agents: Sizes of finite populations in which the result is evaluated, such as 100, or 10,1000, or 2:16384:14:log.
      runs: Simulated populations for each number of agents.
      seed: Seed of the simulated populations.
      max_steps: Maximum number of values of the parameters to try; overrides the number in the file.
      resume: Start from the best parameters of an earlier run in --out.
      out: Save search.json as the search goes, then tuned.json, tuned.toml, reference.json and tuned.png.
    """

    at_least: ClassVar[Mapping[str, int]] = {"runs": 1, "seed": 0, "max_steps": 1}

    file: Annotated[str, typer.Argument(metavar="FILE", autocompletion=completion.files)]
    agents: Annotated[str | None, "RANGE"] = None
    runs: int = 1000
    seed: int = 0
    max_steps: int | None = None
    resume: bool = False
    out: Path | None = None

    def find(self) -> Report:
        """Tune, judge the design, and save it."""
        problem, sizes = self._read()
        saved = self._saved(problem)
        # search.json is written as the search goes, the other files at its end
        with _going_on(saved), nullcontext() if self.out is None else writable(self.out):
            content = self._tuned(saved, sizes)
        failure: Any = None
        if content["search"]["interrupted"]:
            failure = Interrupted(_where_it_stopped(saved) or "interrupted; the best design so far is the one above.")
        else:
            scenarios = [one for side in ("before", "after") for one in content[side]["scenarios"]]
            failure = next((one["message"] for one in scenarios if not one["converged"]), None)
        return self.report(content, _page(content), failure)

    def _read(self) -> tuple[DesignProblem, list[int]]:
        """Return the problem and the numbers of agents."""
        if self.resume and self.out is None:
            raise ValueError("`--resume` needs `--out`, the folder of the earlier run.")
        sizes = [] if self.agents is None else numbers_of_agents(self.agents)
        problem = mfg.design.load_problem(self.file)
        if self.max_steps is None:
            return problem, sizes
        # in what is saved, too: it says what was done, not what the file asks for
        search = replace(problem.search, max_steps=self.max_steps)
        return replace(problem, search=search, resolved=problem.resolved | {"search": search.for_json}), sizes

    def _saved(self, problem: DesignProblem) -> SavedSearch:
        """Return the file of the search, with the best design of an earlier run if `--resume` is given."""
        from ..design.resume import SavedSearch, read_saved

        saved = SavedSearch(None if self.out is None else self.out / "search.json", problem)
        try:
            return read_saved(saved) if self.resume else saved
        except ValueError as error:
            raise ValueError(str(error).replace("`resume`", "`--resume`").replace("`out`", "`--out`")) from error

    def _tuned(self, saved: SavedSearch, sizes: list[int]) -> dict[str, Any]:
        """Tune, evaluate the result among N agents, save it, and return it for JSON."""
        from ..design.resume import tune_from
        from ..design.space import repeated, single

        problem = saved.problem
        with progress_line() as begin:
            begin("solving the start")
            # through coordinates, so that it is the very design that the search starts from
            before = _judged(problem, *single(problem.plan, repeated(problem.plan, 1)))
        start_time = time.perf_counter()
        found = tune_from(saved, before.equilibria[0])  # whose first equilibrium is known
        seconds = time.perf_counter() - start_time
        with progress_line() as begin, staged(self.out) as files:
            begin("judging the design")
            # from the field that was found, as other equilibria may exist beside it
            after = _judged(problem, found.game, found.response, found.equilibrium.mean_field)
            populations = []
            if sizes:
                begin(f"among {', '.join(f'{n:,}' for n in sizes[:4])}{', ...' if sizes[4:] else ''} agents")
                populations = list(populations_of(problem, found, sizes, self.runs, self.seed))
            content = {
                "file": self.file,
                "problem": problem.resolved,
                "before": _of_judged(problem, before),
                "after": _of_judged(problem, after),
                **_of_found(problem, found),
                "search": _of_search(saved, found) | {"seconds": round(seconds, 3)},
                "populations": populations,
                "files": [],
                "not_written": [],
            }
            if files:
                begin("drawing")
                _save(files, content, problem, before, found)
        return content


@contextmanager
def _going_on(saved: SavedSearch) -> Iterator[None]:
    """At Ctrl-C outside the search itself, say from which file `--resume` can continue."""
    try:
        yield
    except KeyboardInterrupt:
        if message := _where_it_stopped(saved):
            raise Interrupted(message) from None
        raise


def _where_it_stopped(saved: SavedSearch) -> str | None:
    if saved.path is None or not saved.path.exists():
        return None
    return f"interrupted; the best design so far is in {str(saved.path)!r}, and `--resume` goes on from it."


def _judged(problem: DesignProblem, game: Any, response: Any, guess: Any = None) -> Judged:
    """Solve a design in every scenario."""
    import equinox as eqx
    import jax

    from ..design.space import objective_values

    objectives = tuple(term.objective for term in problem.terms)
    found, rows = [], []
    for beta in problem.betas:
        if len(problem.betas) > 1:
            # an array of the same kind, so that one program serves all β
            response = eqx.tree_at(lambda r: r.beta, response, jax.numpy.asarray(beta, game.dtype))
        found.append(mfg.solve(game, response, guess=guess, throw=False))
        rows.append(np.asarray(compiled(objective_values)(objectives, game, response, found[-1])))
    return Judged(found, np.stack(rows))


def _of_judged(problem: DesignProblem, judged: Judged) -> dict[str, Any]:
    totals = judged.terms @ np.array([term.weight for term in problem.terms])
    over = np.max if problem.over == "worst" else np.mean
    labels, scenarios = [term.label for term in problem.terms], []
    for beta, terms, total, one in zip(problem.betas, judged.terms, totals, judged.equilibria, strict=True):
        law = zip(problem.game.state_labels, one.state_law[-1], strict=True)
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


def _of_found(problem: DesignProblem, found: Tuned) -> dict[str, Any]:
    """Return the start and the design, for JSON."""
    from ..design.problem import table_of_policy

    def array(name: str, value: Any) -> Any:
        return table_of_policy(problem.game, value) if name == "reference" else np.asarray(value).tolist()

    beta = float(getattr(found.response, "beta"))  # noqa: B009 - of any kind of response
    return {
        "start": {name: array(name, variable.start) for name, variable in problem.plan.variables.items()},
        "parameters": {name: array(name, value) for name, value in found.parameters.items()},
        "beta": [beta] if len(problem.betas) == 1 else list(problem.betas),
    }


def _of_search(saved: SavedSearch, found: Tuned) -> dict[str, Any]:
    status = found.status[found.best]
    lowest = np.fmin.reduce(found.history, axis=1)  # of all restarts; NaN where no design was accepted
    return {
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
    }


def _save(files: Files, content: dict[str, Any], problem: DesignProblem, before: Judged, found: Tuned) -> None:
    """Write the results; a game that the file format cannot hold is left out, with the reason."""
    from ..games import GameFile

    left_out, reference = content["not_written"], content["parameters"].get("reference")
    if reference is None:
        left_out.append("reference.json: the reference is not tuned")
    else:
        (files / "reference.json").write_text(json_of(reference) + "\n", encoding="utf-8")
    table = np.exp(np.asarray(found.response.log_prior(found.game.available, found.game.dtype), float))
    try:
        if len(table) > 1:
            raise ValueError("the reference changes over time, for which a game file has no place.")
        # a game file wants rows that sum to 1 to within 1e-8, which single precision does not reach
        loaded, rho = problem.loaded, table[0] / table[0].sum(axis=-1, keepdims=True)
        note = f"{loaded.description} Tuned for {problem.name!r}.".strip()
        tuned = GameFile(loaded.name, found.game, rho, loaded.positions, note)
        mfg.games.save_game(files.folder / "tuned.toml", tuned)
        files.add("tuned.toml")
    except ValueError as error:
        left_out.append(f"tuned.toml: {str(error).rstrip('.')}")
    picture = mfg.plot.plot_tuned(found, before.equilibria[0], target=_target(problem), title=problem.name)
    files.picture("tuned.png", picture)
    files.add("search.json")  # `tune_from` has written it
    files.numbers("tuned.json", content)


def _target(problem: DesignProblem) -> np.ndarray | None:
    """Return the target law at the end, NaN for states without a target; None unless there is exactly one target."""
    ends = [o for o in (t.objective for t in problem.terms) if isinstance(o, mfg.design.TargetLaw)]
    if len(ends) != 1 or ends[0].time not in (-1, problem.game.horizon):
        return None
    return np.array([ends[0].law.get(label, np.nan) for label in problem.game.state_labels])


def _page(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield what was tuned: the objective, the law at the end, N agents, and how the search ended."""
    yield _of_objective(content)
    before, after = (content[side]["scenarios"] for side in ("before", "after"))
    yield from left_out(max(len(after) - _MOST_SCENARIOS, 0), "scenarios are")
    yield from _of_law(before[0], after[0], len(after) > 1)
    yield from _of_parameters(content)
    if content["populations"]:
        yield _of_agents(content)
    yield from _explained(content)


def _of_objective(content: Mapping[str, Any]) -> Table:
    before, after = content["before"], content["after"]
    rows = table(content["problem"]["name"], ("objective", ">weight", ">before", ">tuned"))
    scenarios = list(zip(before["scenarios"], after["scenarios"], strict=True))
    several = len(scenarios) > 1
    for one, other in scenarios[:_MOST_SCENARIOS]:
        if several:
            rows.add_row(f"β = {one['beta']:g}", "", _short(one["objective"]), _short(other["objective"]))
        for (label, value), entry in zip(one["terms"].items(), content["problem"]["objective"], strict=True):
            weight = f"{entry.get('weight', 1.0):g}"
            rows.add_row(("  " if several else "") + label, weight, _short(value), _short(other["terms"][label]))
    over = content["problem"]["scenarios"]
    name = "objective" if over is None else f"objective, {over['over']} over scenarios"
    rows.add_section()
    rows.add_row(name, "", _short(before["objective"]), _short(after["objective"]))
    return rows


def _of_law(before: Mapping[str, Any], after: Mapping[str, Any], several: bool) -> Iterator[Table | str]:
    """Yield the law at the end before and after, and how many states are left out."""
    where = f", β = {before['beta']:g}" if several else ""
    first, second = (np.array(list(one["terminal_law"].values()), float) for one in (before, after))
    labels = list(before["terminal_law"])

    def cells(s: int) -> list[str]:
        return [labels[s], f"{first[s]:.6f}", f"{second[s]:.6f}", f"{second[s] - first[s]:+.6f}"]

    headings = (">before", ">tuned", ">change")
    # the states that are heavy before or after
    return by_state(f"shares at the end{where}", headings, np.maximum(first, second), cells, "at the end ")


def _of_parameters(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield what was tuned, where it changed most, and how many changes are left out."""
    labels = list(content["after"]["scenarios"][0]["terminal_law"])
    for name, tuned in content["parameters"].items():
        before, after = dict(_entries(content["start"][name], labels)), dict(_entries(tuned, labels))
        changes = {place: abs(after[place] - value) for place, value in before.items()}
        changed = sorted((place for place in changes if changes[place] > _LEAST_CHANGE), key=lambda p: -changes[p])
        rows = ([place, f"{before[place]:.6g}", f"{after[place]:.6g}"] for place in changed[:_MOST_CHANGES])
        yield table(name, ("", ">before", ">tuned"), rows)
        yield from left_out(max(len(changed) - _MOST_CHANGES, 0), "entries that changed less are")


def _entries(value: Any, labels: list[str]) -> Iterator[tuple[str, float]]:
    """Yield the places and numbers of what was tuned: moves by name, others by time and state."""
    if isinstance(value, dict):
        yield from ((f"{node} → {end}", p) for node, row in value.items() for end, p in row.items())
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from ((f"t = {t}: {place}", p) for t, one in enumerate(value) for place, p in _entries(one, labels))
    else:
        array = np.asarray(value, float)
        for index, number in np.ndenumerate(array):
            if array.ndim == 3 and array.shape[1] == len(labels):
                action = f", action {index[2]}" if array.shape[2] > 1 else ""
                time = f"t = {index[0]}: " if array.shape[0] > 1 else ""
                yield f"{time}{labels[index[1]]}{action}", number
            else:
                yield (f"[{', '.join(map(str, index))}]" if index else ""), number


def _of_agents(content: Mapping[str, Any]) -> Table:
    rows = content["populations"]
    labels = list(rows[0]["terms"])
    kinds = ["gain KL", "bound", "gain", "bound", "d_TV at\nthe end"]
    names = ("gain_regularised", "bound_regularised", "gain", "bound", "distance")
    lines = []
    for row in rows:
        terms = (row["terms"][label] for label in labels)
        cells = (_short(t["mean"], t["standard_error"]) for t in terms)
        lines.append([f"{row['num_agents']:,}", *(_short(row[name]) for name in names), *cells])
    after = content["after"]["scenarios"][0]["terms"]
    lines.append(["mean field", "", "", "", "", "0", *(_short(after[label]) for label in labels)])
    return table("the tuned policy among N agents", ("agents", *(f">{one}" for one in (*kinds, *labels))), lines)


def _explained(content: Mapping[str, Any]) -> Iterator[str]:
    search, populations = content["search"], content["populations"]
    before = f", after {search['num_steps_before']:,} in earlier runs" if search["num_steps_before"] else ""
    yield f"search          {search['status']}"
    yield f"steps           {search['num_steps']:,} designs in {search['seconds']:.1f} s{before}"
    failed = search["num_without_equilibrium"]
    yield f"no equilibrium  {failed} designs on the way; the steps to them were made shorter"
    if len(search["restarts"]) > 1:
        ends = [value for value in search["restarts"] if value is not None]
        between = f"{min(ends):.6g} and {max(ends):.6g}"
        yield f"restarts        {len(search['restarts'])}, which ended between {between}"
    worst = max(content["after"]["scenarios"], key=lambda one: one["residual"] or 0)
    yield f"equilibrium     {worst['result']}, residual {_short(worst['residual'])}"
    if populations:
        method = populations[0]["method"]
        yield "gain            of one agent that leaves the policy, in units of reward; KL: with KL terms; bound: on it"
        how = "not known: the kernel depends on the population" if method is None else f"by {method}"
        yield f"                {how}"
        yield "d_TV            expected distance of the shares at the end from those of the mean field, exact"
        yield f"terms           mean of {populations[0]['num_runs']:,} simulated populations, ± standard error"
    game = next((file for file in content["files"] if file.endswith("tuned.toml")), None)
    if game is not None:
        again = f"mfgjax certify {game} --beta {content['beta'][0]:g}"
        yield f"next            {again}: is there no other equilibrium?"


def _short(value: float | None, error: float | None = None) -> str:
    return number(value, ".6g", error)
