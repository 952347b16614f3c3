"""The tables that `tune` prints."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from .._largest_states import largest_states
from .output import console

_MOST_ROWS = 40
_MOST_SCENARIOS = 12
_MOST_CHANGES, _LEAST_CHANGE = 12, 1e-9


def print_tuned(content: Mapping[str, Any]) -> None:
    """Print what was tuned: the objective, the law at the end, N agents, and how the search ended."""
    screen = console()
    screen.print(_of_objective(content), markup=False)
    before, after = (content[side]["scenarios"] for side in ("before", "after"))
    if len(after) > _MOST_SCENARIOS:
        screen.print(f"{len(after) - _MOST_SCENARIOS} scenarios are not shown.")
    table, left_out = _of_law(before[0], after[0], len(after) > 1)
    screen.print(table, markup=False)
    if left_out:
        screen.print(f"{left_out} states with less mass at the end are not shown.")
    for table, left_out in _of_parameters(content):
        screen.print(table, markup=False)
        if left_out:
            screen.print(f"{left_out} entries that changed less are not shown.")
    if content["populations"]:
        screen.print(_of_agents(content), markup=False)
    for line in _explained(content):
        screen.print(line, markup=False, soft_wrap=True)


def _table(title: str, first: str, headings: list[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def _of_objective(content: Mapping[str, Any]) -> Table:
    before, after = content["before"], content["after"]
    table = _table(content["problem"]["name"], "objective", ["weight", "before", "tuned"])
    scenarios = list(zip(before["scenarios"], after["scenarios"], strict=True))
    several = len(scenarios) > 1
    for one, other in scenarios[:_MOST_SCENARIOS]:
        if several:
            table.add_row(f"β = {one['beta']:g}", "", _short(one["objective"]), _short(other["objective"]))
        for (label, value), told in zip(one["terms"].items(), content["problem"]["objective"], strict=True):
            weight = f"{told.get('weight', 1.0):g}"
            table.add_row(("  " if several else "") + label, weight, _short(value), _short(other["terms"][label]))
    over = content["problem"]["scenarios"]
    name = "objective" if over is None else f"objective, {over['over']} over scenarios"
    table.add_section()
    table.add_row(name, "", _short(before["objective"]), _short(after["objective"]))
    return table


def _of_law(before: Mapping[str, Any], after: Mapping[str, Any], several: bool) -> tuple[Table, int]:
    where = f", β = {before['beta']:g}" if several else ""
    table = _table(f"shares at the end{where}", "state", ["before", "tuned", "change"])
    first, second = (np.array(list(one["terminal_law"].values()), float) for one in (before, after))
    shown = largest_states(np.maximum(first, second), _MOST_ROWS)
    labels = list(before["terminal_law"])
    for s in shown:
        table.add_row(labels[s], f"{first[s]:.6f}", f"{second[s]:.6f}", f"{second[s] - first[s]:+.6f}")
    return table, len(labels) - len(shown)


def _of_parameters(content: Mapping[str, Any]) -> Iterator[tuple[Table, int]]:
    """Yield what was tuned, where it changed most, and how many changes are left out."""
    labels = list(content["after"]["scenarios"][0]["terminal_law"])
    for name, tuned in content["parameters"].items():
        before, after = dict(_entries(content["start"][name], labels)), dict(_entries(tuned, labels))
        changes = {place: abs(after[place] - value) for place, value in before.items()}
        changed = sorted((place for place in changes if changes[place] > _LEAST_CHANGE), key=lambda p: -changes[p])
        table = _table(name, "", ["before", "tuned"])
        for place in changed[:_MOST_CHANGES]:
            table.add_row(place, f"{before[place]:.6g}", f"{after[place]:.6g}")
        yield table, max(len(changed) - _MOST_CHANGES, 0)


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
    table = _table("the tuned policy among N agents", "agents", [*kinds, *labels])
    for row in rows:
        names = ("gain_regularised", "bound_regularised", "gain", "bound", "distance")
        terms = (row["terms"][label] for label in labels)
        cells = (
            _short(t["mean"]) + ("" if t["standard_error"] is None else f"±{t['standard_error']:.0e}") for t in terms
        )
        table.add_row(f"{row['num_agents']:,}", *(_short(row[name]) for name in names), *cells)
    after = content["after"]["scenarios"][0]["terms"]
    table.add_row("mean field", "", "", "", "", "0", *(_short(after[label]) for label in labels))
    return table


def _explained(content: Mapping[str, Any]) -> list[str]:
    search = content["search"]
    steps = f"{search['num_steps']:,} designs in {search['seconds']:.1f} s"
    if search["num_steps_before"]:
        steps += f", after {search['num_steps_before']:,} in earlier runs"
    lines = [f"search          {search['status']}", f"steps           {steps}"]
    failed = search["num_without_equilibrium"]
    lines.append(f"no equilibrium  {failed} designs on the way; the steps to them were made shorter")
    if len(search["restarts"]) > 1:
        ends = [value for value in search["restarts"] if value is not None]
        lines.append(
            f"restarts        {len(search['restarts'])}, which ended between {min(ends):.6g} and {max(ends):.6g}"
        )
    worst = max(content["after"]["scenarios"], key=lambda one: one["residual"] or 0)
    lines.append(f"equilibrium     {worst['result']}, residual {_short(worst['residual'])}")
    if content["populations"]:
        method = content["populations"][0]["method"]
        runs = content["populations"][0]["num_runs"]
        lines.append(
            "gain            of one agent that leaves the policy, in units of reward; KL: with KL terms; bound: on it"
        )
        lines.append(
            f"                {'not known: the kernel depends on the population' if method is None else f'by {method}'}"
        )
        lines.append("d_TV            expected distance of the shares at the end from those of the mean field, exact")
        lines.append(f"terms           mean of {runs:,} simulated populations, ± standard error")
    lines += [f"saved           {file}" for file in content["files"]]
    game = next((file for file in content["files"] if file.endswith("tuned.toml")), None)
    if game is not None:
        lines.append(
            f"next            mfgjax certify {game} --beta {content['beta'][0]:g}: is there no other equilibrium?"
        )
    lines += [f"not written     {reason}" for reason in content["not_written"]]
    return lines


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"
