"""What the command `sweep` tells of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

import mfgjax as mfg

from .._largest_states import largest_states
from .output import finite
from .sweep_plan import SweepPlan
from .tables import MOST_ROWS, chosen, left_out, number, table

if TYPE_CHECKING:
    import xarray as xr

_MOST_GROUPS = 24  # that are told of
_TOP_STATES = 3  # of a law in a table


def content_of_sweep(
    request: dict[str, Any], plan: SweepPlan, dataset: xr.Dataset, seconds: float, computed: int, files: list[str]
) -> dict[str, Any]:
    """Return the summary for JSON: a group for each combination of the axes that results are not told along."""
    import jax

    codes = dataset["result_code"].values
    axes = {name: dataset[name].values for name in plan.axes}
    groups, first, num_groups = _groups(plan, dataset)
    return {
        "game": plan.name,
        "dtype": dataset.attrs["dtype"],
        "platform": dataset.attrs["platform"],
        "num_devices": len(jax.devices()),
        "request": request,
        "axes": {n: {"count": len(v), "first": _plain(v[0]), "last": _plain(v[-1])} for n, v in axes.items()},
        "outputs": list(plan.outputs),
        "along": plan.along,
        "criterion": dataset.attrs["criterion"],
        "num_lanes": plan.num_lanes,
        "num_converged": int((codes == mfg.RESULTS.converged).sum()),
        "results": _results(codes),
        "first_failure": first,
        "num_groups": num_groups,
        "groups": groups,
        "seconds": round(seconds, 3),
        "num_computed": computed,
        "lanes_per_second": round(computed / seconds, 1),
        "files": files,
    }


def _groups(plan: SweepPlan, dataset: xr.Dataset) -> tuple[list[dict[str, Any]], dict[str, Any] | None, int]:
    """Return the groups, where lanes fail first, and how many groups there are."""
    along, others = plan.along, [name for name in plan.axes if name != plan.along]
    numbers = dataset[["result_code", "residual", "num_steps"]].load().transpose(*others, along)
    labels = numbers[along].values
    order = np.argsort(labels, kind="stable") if labels.dtype.kind in "iuf" else np.arange(len(labels))
    labels, ends = labels[order], [0, -1][: len(order)]
    lengths = [numbers.sizes[name] for name in others]
    codes, residuals, steps = (numbers[name].values.reshape(-1, len(order))[:, order] for name in numbers)

    def at(row: int) -> dict[str, int]:
        return dict(zip(others, map(int, np.unravel_index(row, lengths)), strict=True)) if others else {}

    def named(row: int) -> dict[str, Any]:
        return {name: _plain(numbers[name].values[i]) for name, i in at(row).items()}

    groups = []
    for row in chosen(len(codes), _MOST_GROUPS):
        last = dataset[list(plan.shown)].isel({**at(row), along: order[ends]})
        lanes = zip(labels[ends], codes[row][ends], range(2), strict=False)
        group = {
            "at": named(row),
            "num_lanes": len(labels),
            "results": _results(codes[row]),
            "worst_residual": finite(residuals[row].max()),
            "median_steps": float(np.median(steps[row])),
            "most_steps": int(steps[row].max()),
            "ends": [
                {along: _plain(label), "result": mfg.RESULTS(int(code)).name}
                | _of_lane(last.isel({along: i}), plan.shown)
                for label, code, i in lanes
            ],
        }
        groups.append(group)
    failed = codes != mfg.RESULTS.converged
    if not failed.any():
        return groups, None, len(codes)
    row = int(failed.any(axis=1).argmax())
    begin = failed[row].argmax()
    end = begin + np.append(~failed[row][begin:], True).argmax() - 1
    return groups, {along: [_plain(labels[begin]), _plain(labels[end])]} | named(row), len(codes)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _results(codes: np.ndarray) -> dict[str, int]:
    kinds, counts = np.unique(codes, return_counts=True)
    return {mfg.RESULTS(int(kind)).name: int(count) for kind, count in zip(kinds, counts, strict=True)}


def _of_lane(point: xr.Dataset, shown: Mapping[str, str]) -> dict[str, Any]:
    """Return what is told of one lane, under the names it is told by."""
    of_states = {name: point[output] for output, name in shown.items()}
    return {name: _law(one) if "state" in one.dims else finite(one) for name, one in of_states.items()}


def _law(law: xr.DataArray) -> dict[str, float]:
    """Return the mass of the heaviest states in their own order, without those that only other games have."""
    masses = law.values
    shown = [s for s in largest_states(masses, MOST_ROWS) if np.isfinite(masses[s])]
    return {str(law["state"].values[s]): float(masses[s]) for s in shown}


def page_of_sweep(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield the table of groups, and what was computed."""
    request, groups, along = content["request"], content["groups"], content["along"]
    title = f"{content['game']} ({request['response']}, solver {request['solver']}), lanes along {along}"
    headings = [*groups[0]["at"], "result", f">worst {content['criterion']}", ">steps, most"]
    for end in groups[0]["ends"]:
        law = "law" if "law" in end else "law at the end"
        headings.append(f"{'mean state and ' * ('mean_state' in end)}{law}, {along} = {_text(end[along])}")
    rows = table(title, *headings)
    for group in groups:
        numbers = number(group["worst_residual"], ".1e"), f"{group['median_steps']:g}, {group['most_steps']}"
        rows.add_row(
            *map(_text, group["at"].values()), _counts(group["results"]), *numbers, *map(_heaviest, group["ends"])
        )
    yield rows
    yield from left_out(content["num_groups"] - len(groups), "combinations of the other axes are")
    axes = " × ".join(f"{axis['count']:,} {name}" for name, axis in content["axes"].items())
    yield f"lanes           {content['num_lanes']:,} ({axes}), of which {content['num_converged']:,} converged"
    computed, devices = content["num_computed"], f"{content['num_devices']} {content['platform']} device"
    if computed < content["num_lanes"]:
        yield f"before          {content['num_lanes'] - computed:,} of them were there"
    if computed:
        speed = f"{content['seconds']:.1f} s with compilation: {content['lanes_per_second']:,.4g} lanes per second"
        yield f"time            {speed} on {devices}{'s' * (content['num_devices'] > 1)} ({content['dtype']})"
    yield "steps           the median of those taken, and the most"
    yield from (f"saved           {file}" for file in content["files"])


def failures_of(content: Mapping[str, Any]) -> str | None:
    """Return a sentence on the lanes of a sweep that did not converge, if there are any."""
    if content["first_failure"] is None:
        return None
    counts = {name: count for name, count in content["results"].items() if name != "converged"}
    lanes = f"{sum(counts.values()):,} of {content['num_lanes']:,} lanes did not converge ({_counts(counts)})"
    first, (low, high) = dict(content["first_failure"]), content["first_failure"][content["along"]]
    first[content["along"]] = _text(low) if low == high else f"{_text(low)} to {_text(high)}"
    return f"{lanes}, the first at {', '.join(f'{name} {_text(value)}' for name, value in first.items())}."


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _counts(results: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in results.items())


def _heaviest(end: Mapping[str, Any]) -> str:
    """Return the states of a law with most mass, after their mean if it is told, or how the lane failed."""
    if end["result"] != "converged":
        return end["result"]
    law = end["law"] if "law" in end else end["terminal_law"]
    masses = sorted(law.items(), key=lambda item: -round(item[1], 6))[:_TOP_STATES]
    mean = f"{end['mean_state']:.4f};  " if end.get("mean_state") is not None else ""
    return mean + ", ".join(f"{state}: {mass:.3f}" for state, mass in masses if mass >= 5e-4)
