"""The command `sweep`."""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

import mfgjax as mfg

from .command import Report, SavingCommand
from .options import GameName, Method, ResponseName
from .output import Interrupted, staged, writable
from .sweep_plan import SweepPlan, check_room, make_plan
from .sweep_report import content_of_sweep, failures_of, page_of_sweep

if TYPE_CHECKING:
    import xarray as xr

_FILES = ("sweep.zarr", "phase.png", "table.json")


@dataclass(frozen=True, kw_only=True)
class Sweep(SavingCommand, Method):
    """Solve a game over a grid of parameters, thousands of lanes together, on all cores.

    A RANGE is

      START:STOP:COUNT      COUNT numbers from START to STOP, evenly spaced

      START:STOP:COUNT:log  the same with even ratios; START and STOP > 0

      0.5,1,3               a list

      3                     one value

    [b]Examples[/b]

      mfgjax sweep resource-allocation --beta 0.05:50:4096:log --reference paper,uniform --out results

      mfgjax sweep ring-crowd --beta 0.1:10:256:log --set congestion=0.5:2:8 --set horizon=30 --out ring

      mfgjax sweep resource-allocation --beta 1 --set preset=paper,author-code --json

      mfgjax sweep resource-allocation --beta 0.5:5:64 --solver picard --damping 0.1,0.5,1  [dim]# some cycle[/dim]

      mfgjax sweep infection-spread --response trembling --epsilon 0.1,0.2 --set c_f=0.05:0.5:10 --out spread

      mfgjax sweep my_game.toml --beta 0.1,1,10

    In Python, xarray.open_zarr("results/sweep.zarr", consolidated=False, mask_and_scale=False) is the whole sweep.

    Args:
      beta: Inverse temperatures, > 0, in 1/reward.
      epsilon: Probabilities that a trembling hand does something else, in \\[0, 1).
      reference: Policies that agents are drawn to, with commas between them, each as in [b]solve[/b]: uniform, paper,
        file or the path of a JSON file. [dim]Default: the game's own if it has one, else uniform.[/dim]
      settings: Parameter of a ready-made game: numbers as a range, words and true,false as a list. One value holds for
        all lanes. May be repeated.
      damping: Shares of each step that are taken, in (0, 1]; as in [b]solve[/b].
      warm_start: Start lanes from what a neighbour in beta, or in epsilon, has found.
      outputs: What is kept of each equilibrium besides terminal_law (of a stationary game mean_field and mean_state):
        exploitability, mean_field, state_law, mean_state, policy, log_policy, values, q; and certificates: unique,
        unique_below, certified_beta, contraction_factor, local_radius, critical_beta, distance. [dim]Default:
        exploitability; with --out also mean_field and policy.[/dim]
      cores: Cores of the CPU. [dim]Default: all.[/dim]
      block: Lanes that a core computes together. [dim]Default: what fits in its cache.[/dim]
      chunk: Lanes between two signs of progress, and in one file. [dim]Default: a 64th of all, at least 1024; fewer of
        large games.[/dim]
      out: Write sweep.zarr there as the sweep goes, then phase.png and table.json. After an interruption the same
        command goes on where it was.
    """

    not_kept: ClassVar[tuple[str, ...]] = ("cores",)

    game: GameName
    beta: Annotated[str | None, "RANGE"] = None
    epsilon: Annotated[str | None, "RANGE"] = None
    reference: Annotated[str | None, "LIST"] = None
    settings: Annotated[list[str], typer.Option("--set", metavar="KEY=RANGE")] = field(default_factory=list)
    response: ResponseName = "entropy"
    damping: Annotated[str | None, "RANGE"] = None
    warm_start: bool = False
    outputs: Annotated[str | None, "LIST"] = None
    cores: int | None = None
    block: int | None = None
    chunk: int | None = None
    out: Path | None = None

    def find(self) -> Report:
        """Sweep, into a folder or in memory."""
        _use_cores(self.cores)
        plan = make_plan(self)
        if self.out is None:
            check_room(plan, None)
            content = content_of_sweep(self.request, plan, *self._compute(plan, None), [])
        else:
            content = self._written(plan, self.out)
        return Report(content, page_of_sweep(content), failures_of(content))

    def _written(self, plan: SweepPlan, out: Path) -> dict[str, Any]:
        """Sweep into a folder, and return the content when all is there."""
        store = out / _FILES[0]
        with writable(out):
            begun = not store.exists()
            if begun:
                check_room(plan, out)
            try:
                found = self._compute(plan, store)
                content = content_of_sweep(self.request, plan, *found, [])
                title = f"{plan.name}: {content['num_converged']:,} of {content['num_lanes']:,} converged"
                with staged(out) as files:
                    files.add(_FILES[0])
                    files.picture(_FILES[1], mfg.plot.plot_sweep(found[0], along=plan.along, title=title))
                    files.numbers(_FILES[2], content)
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
        return content

    def _compute(self, plan: SweepPlan, store: Path | None) -> tuple[xr.Dataset, float, int]:
        """Return the sweep, how long it took and how many lanes were computed in that time."""
        there, begin = 0 if store is None else _lanes_there(store), time.perf_counter()
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
        return dataset, time.perf_counter() - begin, plan.num_lanes - there


def _lanes_there(store: Path) -> int:
    """Return how many lanes an earlier run has left; 0 if there is something else, which `sweep` will refuse."""
    import xarray as xr

    try:
        with xr.open_zarr(store, consolidated=False, chunks=None, mask_and_scale=False) as found:
            return int((found["result_code"].values >= 0).sum())
    except (OSError, KeyError, ValueError):
        return 0


def _use_cores(count: int | None) -> None:
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
    """Silence the warning that a sweep runs on one core: that is what was asked for."""
    logger = logging.getLogger("mfgjax")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
