"""The tables that `tune` prints."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rich.table import Table

from .._largest_states import largest_states
from .tables import MOST_ROWS, left_out, number, table

_MOST_SCENARIOS = 12
_MOST_CHANGES, _LEAST_CHANGE = 12, 1e-9


def page_of_tuned(content: Mapping[str, Any]) -> Iterator[Table | str]:
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
    rows = table(content["problem"]["name"], "objective", ">weight", ">before", ">tuned")
    scenarios = list(zip(before["scenarios"], after["scenarios"], strict=True))
    several = len(scenarios) > 1
    for one, other in scenarios[:_MOST_SCENARIOS]:
        if several:
            rows.add_row(f"β = {one['beta']:g}", "", _short(one["objective"]), _short(other["objective"]))
        for (label, value), told in zip(one["terms"].items(), content["problem"]["objective"], strict=True):
            weight = f"{told.get('weight', 1.0):g}"
            rows.add_row(("  " if several else "") + label, weight, _short(value), _short(other["terms"][label]))
    over = content["problem"]["scenarios"]
    name = "objective" if over is None else f"objective, {over['over']} over scenarios"
    rows.add_section()
    rows.add_row(name, "", _short(before["objective"]), _short(after["objective"]))
    return rows


def _of_law(before: Mapping[str, Any], after: Mapping[str, Any], several: bool) -> Iterator[Table | str]:
    """Yield the law at the end before and after, and how many states are left out."""
    where = f", β = {before['beta']:g}" if several else ""
    rows = table(f"shares at the end{where}", "state", ">before", ">tuned", ">change")
    first, second = (np.array(list(one["terminal_law"].values()), float) for one in (before, after))
    shown = largest_states(np.maximum(first, second), MOST_ROWS)
    labels = list(before["terminal_law"])
    for s in shown:
        rows.add_row(labels[s], f"{first[s]:.6f}", f"{second[s]:.6f}", f"{second[s] - first[s]:+.6f}")
    yield rows
    yield from left_out(len(labels) - len(shown), "states with less mass at the end are")


def _of_parameters(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield what was tuned, where it changed most, and how many changes are left out."""
    labels = list(content["after"]["scenarios"][0]["terminal_law"])
    for name, tuned in content["parameters"].items():
        before, after = dict(_entries(content["start"][name], labels)), dict(_entries(tuned, labels))
        changes = {place: abs(after[place] - value) for place, value in before.items()}
        changed = sorted((place for place in changes if changes[place] > _LEAST_CHANGE), key=lambda p: -changes[p])
        rows = table(name, "", ">before", ">tuned")
        for place in changed[:_MOST_CHANGES]:
            rows.add_row(place, f"{before[place]:.6g}", f"{after[place]:.6g}")
        yield rows
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
    lines = table("the tuned policy among N agents", "agents", *(f">{heading}" for heading in (*kinds, *labels)))
    for row in rows:
        names = ("gain_regularised", "bound_regularised", "gain", "bound", "distance")
        terms = (row["terms"][label] for label in labels)
        cells = (_short(t["mean"], t["standard_error"]) for t in terms)
        lines.add_row(f"{row['num_agents']:,}", *(_short(row[name]) for name in names), *cells)
    after = content["after"]["scenarios"][0]["terms"]
    lines.add_row("mean field", "", "", "", "", "0", *(_short(after[label]) for label in labels))
    return lines


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
    yield from (f"saved           {file}" for file in content["files"])
    game = next((file for file in content["files"] if file.endswith("tuned.toml")), None)
    if game is not None:
        again = f"mfgjax certify {game} --beta {content['beta'][0]:g}"
        yield f"next            {again}: is there no other equilibrium?"
    yield from (f"not written     {reason}" for reason in content["not_written"])


def _short(value: float | None, error: float | None = None) -> str:
    return number(value, ".6g", error)
