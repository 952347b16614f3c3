"""The tables that `simulate` prints."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from .._largest_states import largest_states
from .behaviour import behaviour_of
from .output import console

_MOST_ROWS = 40


def print_simulation(content: Mapping[str, Any]) -> None:
    """Print what was found among N agents: a table over N, the law at the end, and what the numbers are."""
    screen = console()
    rows = content["populations"]
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).round().astype(int))
    screen.print(_over_numbers(content, [rows[i] for i in chosen]), markup=False)
    if len(chosen) < len(rows):
        screen.print(f"{len(rows) - len(chosen):,} numbers of agents are not shown.")
    law = content["terminal_law"]
    # the states with most mass, in their own order
    masses = np.array([line["mean_field"] for line in law.values()])
    shown = largest_states(masses, _MOST_ROWS)
    screen.print(_of_law(content, [list(law.items())[s] for s in shown]), markup=False)
    if len(shown) < len(law):
        screen.print(f"{len(law) - len(shown)} states with less mass in the mean field are not shown.")
    for line in _explained(content):
        screen.print(line, markup=False, soft_wrap=True)


def _over_numbers(content: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> Table:
    request, regularised = content["request"], content["criterion"] != "rewards"
    if content["policy"] == "from a file":
        behaviour = str(request["policy"]) + (f", β = {request['beta']:g}" if regularised else "")
    else:
        behaviour = behaviour_of(request["response"], request["beta"], request["epsilon"])
    title = f"{content['game']} ({behaviour}) among N agents"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    exact = "Monte Carlo" if content["method"] == "Monte Carlo" else "exact"
    kinds = [("gain KL", "_regularised"), ("gain", "")] if regularised else [("gain", "")]
    headings = ["agents", "value,\nsimulated", f"value,\n{exact}"]
    headings += [heading for kind, _ in kinds for heading in (kind, "bound")]
    for heading in (*headings, "d_TV,\nexact", "Lemma 5", "d_TV,\nsimulated"):
        table.add_column(heading, justify="right")
    for row in rows:
        when = _when(row)
        cells = [f"{row['num_agents']:,}", _with_error(row["simulated_value"], row["simulated_value_error"], "{:.6f}")]
        cells.append(_with_error(row["value"], row["value_error"] or None, "{:.6f}"))
        for _, suffix in kinds:
            gain, error = row["gain" + suffix], row["gain_error" + suffix]
            cells += [_with_error(gain, error or None, "{:.2e}"), _short(row["bound" + suffix])]
        distances = (row[name] for name in ("distance", "distance_bound", "simulated_distance"))
        table.add_row(*cells, *(_short(None if d is None else d[when], "{:.4f}") for d in distances))
    limit = [f"{content['mean_field_value']:.6f}", *(["", ""] if regularised else [""])]
    gains = [content["exploitability" + suffix] for _, suffix in kinds]
    cells = ["mean field", "", limit[0], *(cell for gain in gains for cell in (_short(gain), ""))]
    table.add_row(*cells, "0", "", "")
    return table


def _when(row: Mapping[str, Any]) -> int:
    """Return the time when the population is expected to be farthest from the mean field."""
    return int(np.argmax(row["simulated_distance"] if row["distance"] is None else row["distance"]))


def _of_law(content: Mapping[str, Any], lines: list[tuple[str, Mapping[str, Any]]]) -> Table:
    n = content["populations"][-1]["num_agents"]
    agents = f"{n:,} agents" if n > 1 else "1 agent"
    title = f"shares at t = {content['horizon']}, {agents}, {content['num_runs']:,} runs"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("state")
    exact = lines[0][1]["exact_standard_deviation"] is not None
    for heading in ("mean field", "mean of runs", "standard deviation", *(["exact"] if exact else [])):
        table.add_column(heading, justify="right")
    names = ("mean_field", "mean", "standard_deviation", "exact_standard_deviation")
    for label, line in lines:
        means = (_short(line[name], "{:.6f}") for name in names[:2])
        table.add_row(label, *means, *(_short(line[name]) for name in names[2 : 3 + exact]))
    return table


def _explained(content: Mapping[str, Any]) -> list[str]:
    method, less = content["method"], "" if content["criterion"] == "rewards" else ", less KL terms"
    runs = "1 run" if content["num_runs"] == 1 else f"{content['num_runs']:,} runs, ± standard error"
    lines = [f"value           what an agent earns on average{less}, in units of reward; simulated: {runs}"]
    if content["result"] is not None:
        lines.insert(0, f"result          {content['result']} in {content['num_steps']} steps")
    if method is None:
        lines += [
            "–               not known: the kernel depends on the population, so that an agent who leaves the policy",
            "                moves the others too, and faces no decision problem of its own",
            "d_TV            mean distance of the population from the mean field, at the time when it is largest",
        ]
    else:
        kinds = "; gain KL: counting KL terms" if less else ""
        lines.append(f"gain            of one agent that leaves the policy, in units of reward{kinds}; bound: on it")
        estimated = method == "Monte Carlo"
        lines.append(
            "Monte Carlo     values and gains, ± standard error" if estimated else f"exact           by {method}"
        )
        lines.append(
            "d_TV            mean distance from the mean field at the time when it is largest; Lemma 5: a bound on it"
        )
    lines += [f"saved           {file}" for file in content["files"]]
    lines += [f"not drawn       {reason}" for reason in content["not_drawn"]]
    return lines


def _short(value: float | None, text: str = "{:.2e}") -> str:
    return "–" if value is None else text.format(value)


def _with_error(value: float | None, error: float | None, text: str) -> str:
    return _short(value, text) + ("" if value is None or error is None else f"±{error:.0e}".replace("e-0", "e-"))
