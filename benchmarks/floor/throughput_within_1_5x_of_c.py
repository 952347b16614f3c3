"""Claim: the batched fixed-point iteration of `mfgjax.sweep` takes at most 1.5 times as long as C written by hand.

Both take the same damped steps in single precision on the resource-allocation example, on all cores, from the flow of
the reference policy, for `--lanes` values of β between 0.01 and 30. They run in turn (C, sweep, C, sweep, ...) in one
process, so that what else the machine does meets both alike; a ratio is that of neighbours, and medians are given. The
sweep's time is that of the whole call: it also makes the dataset, and judges every step where C judges the last alone.
The claim is about `plain.c`, the formulas in C with vectors made by the compiler. Beside it stands `tuned.c`, which
shows what is left: functions written for this instruction set, and shortcuts that its head names. `floor.py` checks
both against the library.

    python benchmarks/floor/throughput_within_1_5x_of_c.py [--lanes 4096] [--steps 500] [--rounds 7] [--save PATH]
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import floor
import numpy as np

import mfgjax as mfg

DAMPING = 0.1


class Run(NamedTuple):
    """One call: time for one lane and step, largest residual, seconds of the call."""

    nanoseconds: float
    residual: float
    seconds: float


def run_c(source: str, game: mfg.FiniteHorizonGame, rho: Any, betas: np.ndarray, steps: int, threads: int) -> Run:
    done = floor.run(game, rho, betas, DAMPING, steps, threads, source=source)
    return Run(floor.nanoseconds(done.seconds, len(betas), steps), float(done.residual.max()), done.seconds)


def run_sweep(game: mfg.FiniteHorizonGame, rho: Any, betas: np.ndarray, steps: int) -> Run:
    start = time.perf_counter()
    ds = mfg.sweep(
        game,
        beta=betas,
        reference={"paper": rho},
        solver=mfg.Picard(DAMPING, atol=0),
        max_steps=steps,
        outputs=(),
        progress=False,
    )
    residual, num_steps = np.asarray(ds.residual), np.asarray(ds.num_steps)
    seconds = time.perf_counter() - start
    # a lane that stopped early must not count as if it had gone on
    return Run(1e9 * seconds / num_steps.sum(), float(residual.max()), seconds)


def row(name: str, runs: Sequence[Run], ratios: Sequence[float]) -> str:
    times = [run.nanoseconds for run in runs]
    worst = max(run.residual for run in runs)
    span = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if ratios else ""
    return f"| {name} | {statistics.median(times):.1f} | {min(times):.1f} | {worst:.1e} | {span} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--save", type=Path, help="also write the table to this Markdown file")
    options = parser.parse_args()

    threads = mfg.use_cpu_cores()
    game = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(game)
    betas = np.geomspace(0.01, 30, options.lanes).astype(np.float32)

    for source in floor.SOURCES:
        floor.library_for(floor.tables(game, rho), source)
    first = run_sweep(game, rho, betas, options.steps)
    rounds: list[dict[str, Run]] = []
    for _ in range(options.rounds):
        done = {source: run_c(source, game, rho, betas, options.steps, threads) for source in floor.SOURCES}
        rounds.append({**done, "sweep": run_sweep(game, rho, betas, options.steps)})
    ours = [done["sweep"] for done in rounds]
    ratios = {
        source: [done["sweep"].nanoseconds / done[source].nanoseconds for done in rounds] for source in floor.SOURCES
    }
    ratio = statistics.median(ratios["plain"])
    compiling = first.seconds - statistics.median(run.seconds for run in ours)
    report = [
        "# Claim: the batched iteration of `mfgjax.sweep` takes at most 1.5 times as long as C written by hand",
        "",
        f"{floor.environment()}; cpu, {threads} threads, {game.dtype}.",
        f"{options.lanes} lanes x {options.steps} steps, damping {DAMPING}; {options.rounds} rounds in turn. "
        f"XLA compiled for {compiling:.1f} s, once.",
        "",
        "| | ns for one lane and step: median | least | largest residual | sweep takes, median (range) |",
        "|---|---|---|---|---|",
        row("`plain.c`", [done["plain"] for done in rounds], ratios["plain"]),
        row("`tuned.c`", [done["tuned"] for done in rounds], ratios["tuned"]),
        row("`mfgjax.sweep`", ours, []),
        "",
        f"The claim {'holds' if ratio <= 1.5 else 'does not hold'} in this run.",
    ]
    print("\n".join(report))
    if options.save is not None:
        options.save.write_text("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
