"""The command `reproduce`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import typer
from rich.table import Table

from .._progress import progress_line
from .command import Command, Report
from .output import staged
from .tables import number, table

_OF_LEARNERS = ("seeds", "steps", "agents")


@dataclass(frozen=True, kw_only=True)
class Reproduce(Command):
    """Reproduce the figures and tables of two papers.

    resource-allocation: Guan et al. (2021), section V, in seconds. infection-spread: Lee et al. (2021), section 6, in
    minutes. mturk: a market as in section 2 of Lee et al., with two equilibria.

    Examples:
      mfgjax reproduce resource-allocation --out results
      mfgjax reproduce resource-allocation --figure 3 --out results
      mfgjax reproduce mturk --seeds 5 --out results

    Args:
      example: What to reproduce.
      preset: For resource-allocation: numbers of the paper (default) or of the first author's code.
      figure: For resource-allocation: draw only figure 3, the gain of one agent among N.
      seeds: Number of runs of each learner. Default: 20.
      steps: Number of steps of each run. Default: 150.
      agents: Number of agents that learn together. Default: 1000.
      out: Folder for figures, equilibria and tables.
      as_json: Print the table as JSON and nothing else.
    """

    at_least: ClassVar[Mapping[str, int]] = dict.fromkeys(_OF_LEARNERS, 1)

    example: Annotated[Literal["resource-allocation", "infection-spread", "mturk"], typer.Argument(metavar="EXAMPLE")]
    preset: Literal["paper", "author-code"] | None = None
    figure: Literal["3"] | None = None
    seeds: int | None = None
    steps: int | None = None
    agents: int | None = None
    out: Path
    as_json: Annotated[bool, typer.Option("--json")] = False

    def find(self) -> Report:
        """Solve the example, and write figures and tables."""
        if self.example != "resource-allocation":
            self._refuse("preset", "figure")
            return self._learners()
        self._refuse(*_OF_LEARNERS)
        return self._equilibria(self.preset or "paper") if self.figure is None else self._gains(self.preset or "paper")

    def _refuse(self, *options: str) -> None:
        for name in options:
            if (value := getattr(self, name)) is not None:
                raise ValueError(f"`--{name} {value}` does not apply to `mfgjax reproduce {self.example}`.")

    def _made(self, num_tasks: int, make: Callable[..., Any], write: Callable[..., list[str]]) -> tuple[Any, list[str]]:
        """Compute, draw and save; return what was found, and the names of the files."""
        with staged(self.out) as files, progress_line(num_tasks + 1) as begin:  # drawing is a task, too
            found = make(report=begin)
            begin("drawing and saving")
            return found, write(found, files.folder)

    def _report(self, names: list[str], page: Iterable[Table | str], **content: Any) -> Report:
        files = [str(self.out / name) for name in names]
        return Report({**content, "files": files}, [*page, f"saved in {self.out}: {', '.join(names)}"])

    def _equilibria(self, preset: str) -> Report:
        from .. import reproduce

        make = partial(reproduce.resource_allocation, preset)
        found, names = self._made(reproduce.NUM_RUNS, make, reproduce.write)
        rows = found.rows()
        return self._report(names, _equilibria(preset, rows), preset=preset, rows=rows)

    def _gains(self, preset: str) -> Report:
        from .. import reproduce

        make = partial(reproduce.populations, preset)
        found, names = self._made(len(reproduce.BETAS), make, reproduce.write_gain)
        rows, slopes = found.rows(), found.slopes()
        return self._report(names, _gains(preset, rows, slopes), preset=preset, slopes=slopes, rows=rows)

    def _learners(self) -> Report:
        from .. import reproduce

        effort_options = {f"num_{name}": value for name in _OF_LEARNERS if (value := getattr(self, name)) is not None}
        effort = reproduce.Effort(**effort_options)
        market = self.example == "mturk"
        make, write, tasks = (
            (reproduce.mturk, reproduce.write_market, reproduce.MARKET_TASKS)
            if market
            else (reproduce.infection_spread, reproduce.write_infection, reproduce.INFECTION_TASKS)
        )
        found, names = self._made(tasks, partial(make, effort), write)
        rows, equilibria = found.rows(), found.equilibria()
        setting = next(iter(rows[0]))  # rows begin with the parameter of the game: `c_f` or `effort_cost`
        page = [*_ends(self.example, equilibria, setting), *_learned(self.example, effort, rows)]
        page += _jumps(equilibria, setting)
        page += [
            "distance: total variation between the population at the end and that of an equilibrium",
            "policy off by: from that of the nearer equilibrium, total variation, averaged over the population at the "
            "end",
            *([] if market else [reproduce.WHY_BELOW]),
        ]
        return self._report(names, page, equilibria=equilibria, rows=rows)


def _equilibria(preset: str, rows: list[dict[str, Any]]) -> Iterator[Table | str]:
    nodes = list(rows[0]["terminal_law"])
    title = f"Resource allocation, section V ({preset}): shares of the population at time 5, by node"
    headings = ("result", ">steps", ">residual", ">expl. KL", ">expl.", "solver")
    lines = table(title, ("", *(f">{node}" for node in nodes), *headings))
    # labels stay whole, however narrow the terminal is
    lines.columns[0].no_wrap = True
    for row in rows:
        ending = (
            f"cycle of {row['period']}" if row["result"] == "cycle" else row["result"] or "–",
            number(row["num_steps"], "d"),
            number(row["residual"] if row["criterion"] == "residual" else None, ".1e"),
            number(row["exploitability_regularised"], ".1e"),
            number(row["exploitability"], ".1e"),
            row["solver"] or "–",
        )
        # a cycle has no law of its own: those it visits in turn, in lines of their own
        first, *others = row["cycle"] or [row["terminal_law"]]
        lines.add_row(row["label"], *(f"{first[node]:.4f}" for node in nodes), *ending)
        for law in others:
            lines.add_row("  and in turn", *(f"{law[node]:.4f}" for node in nodes))
    yield lines
    yield "residual: distance of the flow and the flow of the response to it, total variation, the largest over time"
    yield "expl.: what an agent gains by leaving the policy, in units of reward; expl. KL: counting KL terms"
    yield "in a cycle, both are those of the best iterate"


def _gains(preset: str, rows: list[dict[str, Any]], slopes: list[dict[str, float]]) -> Iterator[Table | str]:
    from .. import reproduce

    title = f"Resource allocation, Theorem 2 ({preset}): what one agent among N gains by leaving the equilibrium"
    headings = (">N", ">gain KL", ">Monte Carlo", ">bound", ">gain", ">value gap", ">Monte Carlo")
    lines = table(title, ("", *headings), whole=True)
    for slope in slopes:
        beta = slope["beta"]
        for row in (row for row in rows if row["beta"] == beta):
            lines.add_row(
                f"β = {beta:g}",
                f"{row['num_agents']:,}",
                number(row["gain_regularised"], ".3e"),
                _estimate(row["sampled_gain_regularised"], row["sampled_gain_error"]),
                number(row["bound_regularised"]),
                number(row["gain"], ".5f"),
                number(row["value_gap"], ".3e"),
                _estimate(row["sampled_value_gap"], row["sampled_value_gap_error"]),
            )
        kl, bound, gap = (f"slope {slope[name]:.3f}" for name in ("gain_regularised", "bound_regularised", "value_gap"))
        lines.add_row("", "", kl, "", bound, f"to {slope['gain_limit']:.5f}", gap, "", end_section=True)
    yield lines
    low, high = reproduce.FIT
    yield "gain: what an agent gains by leaving the policy, in units of reward; KL: counting KL terms; bound: on it"
    yield "value gap: difference of what N agents and infinitely many earn, each on average"
    yield f"slope: exponent of N, fitted between N = {low} and {high:,}; Theorem 2 of the paper has −1/2"


def _estimate(value: float | None, error: float | None) -> str:
    return "" if value is None or error is None else f"{value:.2e} ± {error:.0e}"


def _ends(example: str, equilibria: list[dict[str, Any]], setting: str) -> Iterator[Table]:
    rows = []
    for one in equilibria:
        means = (f"{one[name]:.6f}" for name in ("least_mean_state", "greatest_mean_state"))
        rows.append([f"{one[setting]:g}", *means, f"{one['distance']:.1e}"])
    yield table(f"{example}: equilibria", (f">{setting}", ">least mean", ">greatest mean", ">apart"), rows)


def _learned(example: str, effort: Any, rows: list[dict[str, Any]]) -> Iterator[Table]:
    setting = next(iter(rows[0]))
    title = (
        f"{example}: {effort.num_seeds} runs of {effort.num_steps} steps each from the uniform population and Q_0 = 0, "
        "mean ± deviation"
    )
    headings = (">mean state", ">distance to the least", ">to the greatest", ">policy off by")
    lines = table(title, (f">{setting}", "learner", *headings))
    for i, row in enumerate(rows):
        numbers = (
            f"{row[name]:.3f} ± {row[f'{name}_deviation']:.3f}"
            for name in ("mean_state", "distance_to_least", "distance_to_greatest", "policy_error")
        )
        last = i + 1 < len(rows) and rows[i + 1][setting] != row[setting]
        lines.add_row(f"{row[setting]:g}", row["learner"], *numbers, end_section=last)
    yield lines


def _jumps(equilibria: list[dict[str, Any]], setting: str) -> list[str]:
    return [
        f"jumps on the way {way}, between neighbouring values of {setting}: "
        + ", ".join(f"{low:.4g} to {high:.4g}" for low, high in pairs)
        for one in equilibria
        for way, pairs in one.get("jumps", {}).items()
    ]
