"""The command `sweep`."""

import logging
import shutil
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from .. import _checks
from .._largest_states import largest_states
from .._result import RESULTS
from ..cores import num_cores, use_cpu_cores
from ..sweeps import sweep
from .output import Interrupted, failures_of, finite, json_of, print_json, print_sweep, staged, writable
from .sweep_plan import SweepPlan, SweepRequest, check_room, make_plan

_FILES = ("phase.png", "table.json")
_MOST_GROUPS = 24  # that are told of
_MOST_STATES = 40  # of a law


def run(request: SweepRequest, out: Path | None, *, cores: int | None, as_json: bool, float32: bool) -> int:
    """Sweep, save and print.

    Args:
      request: what to sweep.
      out: folder to write to as the sweep goes, or None.
      cores: of the CPU; None for all.
      as_json: print JSON in place of a table.
      float32: compute in single precision.

    Returns:
      The exit status.
    """
    _use_cores(cores)
    with jax.enable_x64(not float32):
        plan = make_plan(request, out is not None)
        if out is None:
            check_room(plan, None)
            report = _report(request, plan, *_compute(request, plan, None), [])
        else:
            report = _written(request, plan, out)
    if as_json:
        print_json(report)
    else:
        print_sweep(report)
    if report["first_failure"] is not None:
        print(f"mfgjax: {failures_of(report)}", file=sys.stderr)
        return 1
    return 0


def _written(request: SweepRequest, plan: SweepPlan, out: Path) -> dict[str, Any]:
    """Sweep into a folder, and return the report when all is there."""
    store = out / "sweep.zarr"
    with writable(out):
        begun = not store.exists()
        if begun:
            check_room(plan, out)
        try:
            found = _compute(request, plan, store)
            report = _report(request, plan, *found, [str(out / name) for name in (store.name, *_FILES)])
            with staged(out) as folder:
                assert folder is not None
                _draw(folder / _FILES[0], plan, found[0], report)
                (folder / _FILES[1]).write_text(json_of(report) + "\n", encoding="utf-8")
        except BaseException as error:
            done = _lanes_there(store)
            if begun and not done:  # nothing to go on with, and perhaps what is asked for cannot be
                shutil.rmtree(store, ignore_errors=True)
            if done and isinstance(error, KeyboardInterrupt):
                # zarr's write that was broken off would say so when it is collected
                warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
                there = f"{done:,} of {plan.num_lanes:,} lanes are in {store}"
                raise Interrupted(f"interrupted; {there}, and the same command goes on from there.") from None
            raise
    return report


def _compute(request: SweepRequest, plan: SweepPlan, store: Path | None) -> tuple[xr.Dataset, float, int]:
    """Return the sweep, how long it took and how many lanes were computed in that time."""
    there, begin = 0 if store is None else _lanes_there(store), time.perf_counter()
    with _without_advice():
        dataset = sweep(
            plan.builder,
            plan.response,
            solver=plan.solver,
            outputs=plan.outputs,
            out=store,
            max_steps=request.max_steps,
            warm_start=plan.warmed if request.warm_start else None,
            block=request.block,
            chunk=plan.chunk if request.chunk is None else request.chunk,
            **plan.axes,
        )
    return dataset, time.perf_counter() - begin, plan.num_lanes - there


def _lanes_there(store: Path) -> int:
    """Return how many lanes an earlier run has left; 0 if there is something else, which `sweep` will refuse."""
    try:
        with xr.open_zarr(store, consolidated=False, chunks=None, mask_and_scale=False) as found:
            return int((found["result_code"].values >= 0).sum())
    except (OSError, KeyError, ValueError):
        return 0


def _use_cores(count: int | None) -> None:
    if count is not None and _checks.integer_at_least("cores", count, 1) > num_cores():
        raise ValueError(f"`--cores` is {count}, but this process may use {num_cores()} at most.")
    try:
        use_cpu_cores(count)
    except ValueError:  # a program that has used JAX before runs the command
        if count is not None and len(jax.devices()) != count:
            raise


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence the warning that a sweep runs on one core: that is what was asked for."""
    logger = logging.getLogger("mfgjax")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _report(
    request: SweepRequest, plan: SweepPlan, dataset: xr.Dataset, seconds: float, computed: int, files: list[str]
) -> dict[str, Any]:
    """Return the summary: a group for each combination of the axes that results are not told along."""
    along, others = plan.along, [name for name in plan.axes if name != plan.along]
    numbers = dataset[["result_code", "residual", "num_steps"]].load().transpose(*others, along)
    labels = numbers[along].values
    order = np.argsort(labels, kind="stable") if labels.dtype.kind in "iuf" else np.arange(len(labels))
    labels, ends = labels[order], order[[0, -1]] if len(order) > 1 else order
    lengths = [numbers.sizes[name] for name in others]
    codes, residuals, steps = (numbers[name].values.reshape(-1, len(order))[:, order] for name in numbers)

    def at(row: int) -> dict[str, int]:
        return dict(zip(others, map(int, np.unravel_index(row, lengths)), strict=True)) if others else {}

    groups = []
    for row in np.unique(np.linspace(0, len(codes) - 1, min(len(codes), _MOST_GROUPS)).round().astype(int)):
        last = dataset[list(plan.shown)].isel({**at(row), along: ends})
        told = zip(labels[[0, -1]], codes[row][[0, -1]], range(2), strict=False)
        group = {
            "at": {name: _plain(numbers[name].values[i]) for name, i in at(row).items()},
            "num_lanes": len(labels),
            "results": _results(codes[row]),
            "worst_residual": finite(residuals[row].max()),
            "median_steps": float(np.median(steps[row])),
            "most_steps": int(steps[row].max()),
            "ends": [
                {along: _plain(label), "result": RESULTS(int(code)).name, **_end(last.isel({along: i}), plan.shown)}
                for label, code, i in told
            ],
        }
        groups.append(group)
    first, failed = None, codes != RESULTS.converged
    if failed.any():
        row = int(failed.any(axis=1).argmax())
        run = failed[row].argmax() + np.arange(np.append(~failed[row][failed[row].argmax() :], True).argmax())
        first = {along: [_plain(label) for label in labels[run[[0, -1]]]]}
        first |= {name: _plain(numbers[name].values[i]) for name, i in at(row).items()}
    axes = {name: numbers[name].values for name in plan.axes}
    return {
        "game": plan.name,
        "dtype": dataset.attrs["dtype"],
        "platform": dataset.attrs["platform"],
        "num_devices": len(jax.devices()),
        "request": asdict(request),
        "axes": {n: {"count": len(v), "first": _plain(v[0]), "last": _plain(v[-1])} for n, v in axes.items()},
        "outputs": list(plan.outputs),
        "along": along,
        "criterion": dataset.attrs["criterion"],
        "num_lanes": plan.num_lanes,
        "num_converged": int((~failed).sum()),
        "results": _results(codes),
        "first_failure": first,
        "num_groups": len(codes),
        "groups": groups,
        "seconds": round(seconds, 3),
        "num_computed": computed,
        "lanes_per_second": round(computed / seconds, 1),
        "files": files,
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _results(codes: np.ndarray) -> dict[str, int]:
    kinds, counts = np.unique(codes, return_counts=True)
    return {RESULTS(int(kind)).name: int(count) for kind, count in zip(kinds, counts, strict=True)}


def _end(point: xr.Dataset, shown: Mapping[str, str]) -> dict[str, Any]:
    """Return what is told of one lane, under the names it is told by."""
    of_states = {told: point[name] for name, told in shown.items()}
    return {told: _law(one) if "state" in one.dims else finite(one) for told, one in of_states.items()}


def _law(law: xr.DataArray) -> dict[str, float]:
    """Return the mass of the heaviest states in their own order, without those that only other games have."""
    masses = law.values
    shown = [s for s in largest_states(masses, _MOST_STATES) if np.isfinite(masses[s])]
    return {str(law["state"].values[s]): float(masses[s]) for s in shown}


def _draw(path: Path, plan: SweepPlan, dataset: xr.Dataset, report: Mapping[str, Any]) -> None:
    from .. import plot  # slow to import, and often not needed

    title = f"{plan.name}: {report['num_converged']:,} of {report['num_lanes']:,} converged"
    plot.plot_sweep(dataset, along=plan.along, title=title).savefig(path, dpi=150)
