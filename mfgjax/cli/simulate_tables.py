"""The tables that `simulate` prints."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rich.table import Table

from .._largest_states import largest_states
from .behaviour import behaviour_of
from .tables import MOST_ROWS, chosen, left_out, number, table


def page_of_simulation(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield what was found among N agents: a table over N, the law at the end, and what the numbers are."""
    rows = content["populations"]
    shown = chosen(len(rows))
    yield _over_numbers(content, [rows[i] for i in shown])
    yield from left_out(len(rows) - len(shown), "numbers of agents are")
    law = content["terminal_law"]
    # the states with most mass, in their own order
    states = largest_states(np.array([line["mean_field"] for line in law.values()]), MOST_ROWS)
    yield _of_law(content, [list(law.items())[s] for s in states])
    yield from left_out(len(law) - len(states), "states with less mass in the mean field are")
    yield from _explained(content)


def _over_numbers(content: Mapping[str, Any], rows: list[Mapping[str, Any]]) -> Table:
    request, regularised = content["request"], content["criterion"] != "rewards"
    if content["policy"] == "from a file":
        behaviour = str(request["policy"]) + (f", β = {request['beta']:g}" if regularised else "")
    else:
        behaviour = behaviour_of(request)
    exact = "Monte Carlo" if content["method"] == "Monte Carlo" else "exact"
    kinds = [("gain KL", "_regularised"), ("gain", "")] if regularised else [("gain", "")]
    headings = ["agents", "value,\nsimulated", f"value,\n{exact}"]
    headings += [heading for kind, _ in kinds for heading in (kind, "bound")]
    headings += ["d_TV,\nexact", "Lemma 5", "d_TV,\nsimulated"]
    lines = table(f"{content['game']} ({behaviour}) among N agents", *(f">{heading}" for heading in headings))
    for row in rows:
        when = _when(row)
        cells = [f"{row['num_agents']:,}", number(row["simulated_value"], ".6f", row["simulated_value_error"])]
        cells.append(number(row["value"], ".6f", row["value_error"] or None))
        for _, suffix in kinds:
            cells.append(number(row["gain" + suffix], error=row["gain_error" + suffix] or None))
            cells.append(number(row["bound" + suffix]))
        distances = (row[name] for name in ("distance", "distance_bound", "simulated_distance"))
        lines.add_row(*cells, *(number(None if d is None else d[when], ".4f") for d in distances))
    gains = [content["exploitability" + suffix] for _, suffix in kinds]
    pairs = [cell for gain in gains for cell in (number(gain), "")]
    lines.add_row("mean field", "", f"{content['mean_field_value']:.6f}", *pairs, "0", "", "")
    return lines


def _when(row: Mapping[str, Any]) -> int:
    """Return the time when the population is expected to be farthest from the mean field."""
    return int(np.argmax(row["simulated_distance"] if row["distance"] is None else row["distance"]))


def _of_law(content: Mapping[str, Any], lines: list[tuple[str, Mapping[str, Any]]]) -> Table:
    n = content["populations"][-1]["num_agents"]
    agents = f"{n:,} agents" if n > 1 else "1 agent"
    title = f"shares at t = {content['horizon']}, {agents}, {content['num_runs']:,} runs"
    headings = [">mean field", ">mean of runs", ">standard deviation"]
    names = {"mean_field": ".6f", "mean": ".6f", "standard_deviation": ".2e"}
    if lines[0][1]["exact_standard_deviation"] is not None:
        headings, names = [*headings, ">exact"], names | {"exact_standard_deviation": ".2e"}
    rows = table(title, "state", *headings)
    for label, line in lines:
        rows.add_row(label, *(number(line[name], form) for name, form in names.items()))
    return rows


def _explained(content: Mapping[str, Any]) -> Iterator[str]:
    method, less = content["method"], "" if content["criterion"] == "rewards" else ", less KL terms"
    runs = "1 run" if content["num_runs"] == 1 else f"{content['num_runs']:,} runs, ± standard error"
    if content["result"] is not None:
        yield f"result          {content['result']} in {content['num_steps']} steps"
    yield f"value           what an agent earns on average{less}, in units of reward; simulated: {runs}"
    if method is None:
        yield "–               not known: the kernel depends on the population, so that an agent who leaves the policy"
        yield "                moves the others too, and faces no decision problem of its own"
        yield "d_TV            mean distance of the population from the mean field, at the time when it is largest"
    else:
        kinds = "; gain KL: counting KL terms" if less else ""
        yield f"gain            of one agent that leaves the policy, in units of reward{kinds}; bound: on it"
        estimated = method == "Monte Carlo"
        yield "Monte Carlo     values and gains, ± standard error" if estimated else f"exact           by {method}"
        yield "d_TV            mean distance from the mean field at the time when it is largest; Lemma 5: a bound on it"
    yield from (f"saved           {file}" for file in content["files"])
    yield from (f"not drawn       {reason}" for reason in content["not_drawn"])
