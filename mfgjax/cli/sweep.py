"""The command `sweep`."""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from rich.table import Table

import mfgjax as mfg

from .._largest_states import evenly, heaviest, largest_states
from .._names import in_words
from .command import Report, SavingCommand
from .options import GameAndRanges, Method
from .output import Interrupted, check_room, finite, staged, writable
from .sweep_plan import SweepPlan, make_plan
from .tables import MOST_ROWS, left_out, number, table

if TYPE_CHECKING:
    import xarray as xr

SWEEP = "sweep.zarr"
_FILES = (SWEEP, "phase.png", "table.json")
_MOST_GROUPS = 24  # that are told of


@dataclass(frozen=True, kw_only=True)
class Sweep(SavingCommand, Method, GameAndRanges):
    """Find the equilibria of a game for many values of its parameters.

    All combinations are solved together, on all cores. A RANGE is START:STOP:COUNT, START:STOP:COUNT:log, a list such
    as 0.5,1,3, or one value.

    Examples:
      mfgjax sweep resource-allocation --beta 0.05:50:256:log --out results
      mfgjax sweep ring-crowd --beta 0.1:10:32:log --set congestion=0.5:2:8

    Args:
      warm_start: Start each solve from results at nearby beta or epsilon.
      outputs: Further outputs, with commas: exploitability, mean_field, policy, unique, ... (all: docs/scripts.md).
      block: Number of games that a core solves together.
      chunk: Number of games saved together.
      out: Save sweep.zarr as the sweep goes, then phase.png and table.json. The same command resumes a sweep.
    """

    not_kept: ClassVar[tuple[str, ...]] = ("cores",)

    warm_start: bool = False
    outputs: Annotated[str | None, "LIST"] = None
    block: int | None = None
    chunk: int | None = None
    out: Path | None = None

    def find(self) -> Report:
        """Sweep, into a folder or in memory."""
        # first: JAX fixes the number of its devices when it starts
        use_cores(self.cores)
        plan = make_plan(self)
        if self.out is None:
            check_room(f"{plan.num_lanes:,} games", plan.num_bytes, None, ", or `--out`")
            content = self.about(plan.loaded, **_content(plan, *self._compute(plan, None)))
        else:
            content = self._written(plan, self.out)
        return self.report(content, _page(content), _failure(content))

    def _written(self, plan: SweepPlan, out: Path) -> dict[str, Any]:
        """Sweep into a folder, and return the content when all is there."""
        store = out / _FILES[0]
        with writable(out):
            is_new = not store.exists()
            if is_new:
                check_room(f"{plan.num_lanes:,} games", plan.num_bytes, out, ", or fewer `--outputs`")
            try:
                sweep_result = self._compute(plan, store)
                content = self.about(plan.loaded, **_content(plan, *sweep_result))
                title = f"{plan.loaded.name}: {content['num_converged']:,} of {content['num_lanes']:,} converged"
                with staged(out) as files:
                    files.add(_FILES[0])
                    files.picture(_FILES[1], mfg.plot.plot_sweep(sweep_result[0], along=plan.along, title=title))
                    files.numbers(_FILES[2], content)
            except BaseException as error:
                done = _lanes_there(store)
                if is_new and not done:  # nothing to go on with, and perhaps what is asked for cannot be
                    shutil.rmtree(store, ignore_errors=True)
                if done and isinstance(error, KeyboardInterrupt):
                    # zarr's write that was broken off would say so when it is collected
                    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
                    progress = f"{done:,} of {plan.num_lanes:,} games are in {store}"
                    raise Interrupted(f"interrupted; {progress}, and the same command resumes the sweep.") from None
                raise
        return content

    def _compute(self, plan: SweepPlan, store: Path | None) -> tuple[xr.Dataset, float, int]:
        """Return the sweep, how long it took and how many lanes were computed in that time."""
        lanes_before, start_time = 0 if store is None else _lanes_there(store), time.perf_counter()
        with _without_advice():
            dataset = mfg.sweep(
                plan.builder,
                plan.response,
                solver=plan.solver,
                outputs=plan.outputs,
                out=store,
                max_steps=self.max_steps,
                warm_start=plan.warmed if self.warm_start else None,
                block=self.block,
                chunk=plan.chunk if self.chunk is None else self.chunk,
                **plan.axes,
            )
        return dataset, time.perf_counter() - start_time, plan.num_lanes - lanes_before


def _lanes_there(store: Path) -> int:
    """Return how many lanes an earlier run has left; 0 if there is something else, which `sweep` will refuse."""
    import xarray as xr

    try:
        with xr.open_zarr(store, consolidated=False, chunks=None, mask_and_scale=False) as found:
            return int((found["result_code"].values >= 0).sum())
    except (OSError, KeyError, ValueError):
        return 0


def use_cores(count: int | None) -> None:
    """Compute on so many cores, all for None, unless a program has chosen already."""
    import jax

    from .. import _checks
    from ..cores import num_cores

    if count is not None and _checks.integer_at_least("cores", count, 1) > num_cores():
        raise ValueError(f"`--cores` is {count}, but this process may use {num_cores()} at most.")
    try:
        mfg.use_cpu_cores(count)
    except ValueError:  # a program that has used JAX before runs the command
        if count is not None and len(jax.devices()) != count:
            raise


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence the warning that a sweep runs on one core: the command chooses the cores itself."""
    logger = logging.getLogger("mfgjax")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _content(plan: SweepPlan, dataset: xr.Dataset, seconds: float, computed: int) -> dict[str, Any]:
    """Return the summary for JSON: a group for each combination of the axes that results are not told along."""
    import jax

    from .._result import counted_results

    codes = dataset["result_code"].values
    axes = {name: dataset[name].values for name in plan.axes}
    groups, first, num_groups = _groups(plan, dataset)
    return {
        "platform": dataset.attrs["platform"],
        "num_devices": len(jax.devices()),
        "axes": {n: {"count": len(v), "first": _plain(v[0]), "last": _plain(v[-1])} for n, v in axes.items()},
        "outputs": list(plan.outputs),
        "along": plan.along,
        "criterion": dataset.attrs["criterion"],
        "num_lanes": plan.num_lanes,
        "num_converged": int((codes == mfg.RESULTS.converged).sum()),
        "results": counted_results(codes),
        "first_failure": first,
        "num_groups": num_groups,
        "groups": groups,
        "seconds": round(seconds, 3),
        "num_computed": computed,
        "lanes_per_second": round(computed / seconds, 1),
    }


def _groups(plan: SweepPlan, dataset: xr.Dataset) -> tuple[list[dict[str, Any]], dict[str, Any] | None, int]:
    """Return the groups that are shown, the first failure, and the number of all groups."""
    from .._result import counted_results, result_name

    along, others = plan.along, [name for name in plan.axes if name != plan.along]
    numbers = dataset[["result_code", "residual", "num_steps"]].load().transpose(*others, along)
    labels = numbers[along].values
    # numbers are told in order, words as they were given
    order = np.argsort(labels, kind="stable") if labels.dtype.kind in "iuf" else np.arange(len(labels))
    labels, first_and_last = labels[order], [0, -1][: len(order)]
    lengths = [numbers.sizes[name] for name in others]
    codes, residuals, steps = (numbers[name].values.reshape(-1, len(order))[:, order] for name in numbers)

    def at(row: int) -> dict[str, int]:
        return dict(zip(others, map(int, np.unravel_index(row, lengths)), strict=True)) if others else {}

    def named(row: int) -> dict[str, Any]:
        return {name: _plain(numbers[name].values[i]) for name, i in at(row).items()}

    groups = []
    for row in evenly(len(codes), _MOST_GROUPS):
        last = dataset[list(plan.shown)].isel({**at(row), along: order[first_and_last]})
        lanes = zip(labels[first_and_last], codes[row][first_and_last], range(2), strict=False)
        group = {
            "at": named(row),
            "num_lanes": len(labels),
            "results": counted_results(codes[row]),
            "worst_residual": finite(residuals[row].max()),
            "median_steps": float(np.median(steps[row])),
            "most_steps": int(steps[row].max()),
            "ends": [
                {along: _plain(label), "result": result_name(code)} | _of_lane(last.isel({along: i}), plan.shown)
                for label, code, i in lanes
            ],
        }
        groups.append(group)
    failed = codes != mfg.RESULTS.converged
    if not failed.any():
        return groups, None, len(codes)
    row = int(failed.any(axis=1).argmax())
    begin = failed[row].argmax()
    # up to the lane before the next that converged
    end = begin + np.append(~failed[row][begin:], True).argmax() - 1
    return groups, {along: [_plain(labels[begin]), _plain(labels[end])]} | named(row), len(codes)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _of_lane(point: xr.Dataset, shown: Mapping[str, str]) -> dict[str, Any]:
    """Return the shown outputs of one lane, by their names in JSON."""
    of_states = {name: point[output] for output, name in shown.items()}
    return {name: _law(one) if "state" in one.dims else finite(one) for name, one in of_states.items()}


def _law(law: xr.DataArray) -> dict[str, float]:
    """Return the mass of the heaviest states in their own order, without those that only other games have."""
    masses = law.values
    shown = [s for s in largest_states(masses, MOST_ROWS) if np.isfinite(masses[s])]
    return {str(law["state"].values[s]): float(masses[s]) for s in shown}


def _page(content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield the table of groups, and what was computed."""
    request, groups, along = content["request"], content["groups"], content["along"]
    title = f"{content['game']} ({request['response']}, solver {request['solver']}), games along {along}"
    headings = [*groups[0]["at"], "result", f">worst {content['criterion']}", ">steps, most"]
    for end in groups[0]["ends"]:
        law = "law" if "law" in end else "law at the end"
        headings.append(f"{'mean state and ' * ('mean_state' in end)}{law}, {along} = {_text(end[along])}")
    rows = []
    for group in groups:
        numbers = number(group["worst_residual"], ".1e"), f"{group['median_steps']:g}, {group['most_steps']}"
        where = map(_text, group["at"].values())
        rows.append([*where, in_words(group["results"]), *numbers, *map(_heaviest, group["ends"])])
    yield table(title, headings, rows)
    yield from left_out(content["num_groups"] - len(groups), "combinations of the other axes are")
    axes = " × ".join(f"{axis['count']:,} {name}" for name, axis in content["axes"].items())
    yield f"games           {content['num_lanes']:,} ({axes}), of which {content['num_converged']:,} converged"
    computed, devices = content["num_computed"], f"{content['num_devices']} {content['platform']} device"
    if computed < content["num_lanes"]:
        yield f"before          {content['num_lanes'] - computed:,} of them were solved in an earlier run"
    if computed:
        speed = f"{content['seconds']:.1f} s with compilation: {content['lanes_per_second']:,.4g} games per second"
        yield f"time            {speed} on {devices}{'s' * (content['num_devices'] > 1)} ({content['dtype']})"
    yield "steps           the median of those taken, and the most"


def _failure(content: Mapping[str, Any]) -> str | None:
    """Return a sentence on the lanes of a sweep that did not converge, if there are any."""
    if content["first_failure"] is None:
        return None
    counts = {name: count for name, count in content["results"].items() if name != "converged"}
    games = f"{sum(counts.values()):,} of {content['num_lanes']:,} games did not converge ({in_words(counts)})"
    first, (low, high) = dict(content["first_failure"]), content["first_failure"][content["along"]]
    first[content["along"]] = _text(low) if low == high else f"{_text(low)} to {_text(high)}"
    return f"{games}, the first at {', '.join(f'{name} {_text(value)}' for name, value in first.items())}."


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _heaviest(end: Mapping[str, Any]) -> str:
    """Return the states of a law with most mass, after their mean if it is told, or how the lane failed."""
    if end["result"] != "converged":
        return end["result"]
    law = end["law"] if "law" in end else end["terminal_law"]
    mean = f"{end['mean_state']:.4f};  " if end.get("mean_state") is not None else ""
    return mean + heaviest(list(law), list(law.values()))
