"""Claim: a sweep takes fixed-point steps 2,000 times as fast as MFGLib, and 30 times as fast as solving one by one.

Lanes times steps for each second, on the resource-allocation example in single precision, by damped iteration from the
flow of the reference policy; nothing computes the exploitability of a step. `mfgjax.sweep` takes `--steps` steps for
each of `--lanes` values of β between 0.05 and 50, on all cores. The others take them for one β at a time, for a few of
the same values, and their time for one lane and step stands for all others: the work is the same at every β. What
MFGLib computes, and what was done in its favour, is said in `mfglib_games.py`. The sweep is run with the Boltzmann
policies of MFGLib, which are checked to give the same flows, and with the default `EntropyRegularized`, whose values
are log-sum-exps where those of MFGLib are maxima: the same Γ but for that. The claim is tested with the default and
with the fastest of MFGLib's rows.

A second table gives the time of one Γ, with Boltzmann policies, on one large grid, where MFGLib's matrices are dense.

All run in turn, in one process, so that what else the machine does meets all alike; ratios are those of one round, and
medians are given. CPU time is that of all threads together, so it depends less on what else the machine does. Each runs
once before, and what that took longer is given as compiling. Needs `pip install mfglib`; a CPU build of PyTorch does.

    python benchmarks/against_mfglib.py [--lanes 4096] [--steps 500] [--rounds 5] [--side 20] [--save FILE.md]
"""

import argparse
import importlib.util
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import mfgjax as mfg

DAMPING = 0.1
GRID_BETA, GRID_HORIZON = 10.0, 50
SWEEP, SWEEP_SAME = "`mfgjax.sweep`, `EntropyRegularized`", "`mfgjax.sweep`, `Boltzmann`"
SOLVE = "`mfgjax.solve`, one by one"
PARTS, PARTS_ALL = "MFGLib, damped, from its parts; 1 thread", "MFGLib, damped, from its parts; all threads"
OWN = "MFGLib, steps of `PriorDescent`, undamped; 1 thread"
OWN_SOLVE = "MFGLib, `PriorDescent.solve`, with exploitabilities; 1 thread"


class Run(NamedTuple):
    """One call: wall and CPU time in ns for one lane and step (or one Γ), largest and median residual, seconds."""

    wall: float
    cpu: float
    worst: float
    typical: float
    seconds: float


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what `work` returns, its seconds, and its CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def run_sweep(game: mfg.FiniteHorizonGame, response: Any, prior: dict[str, Any], betas: np.ndarray, steps: int) -> Run:
    def work() -> Any:
        ds = mfg.sweep(
            game,
            response,
            beta=betas,
            solver=mfg.Picard(DAMPING, atol=0),
            max_steps=steps,
            outputs=(),
            progress=False,
            **prior,
        )
        return np.asarray(ds.residual), np.asarray(ds.num_steps)

    (residual, num_steps), wall, cpu = timed(work)
    # a lane that stopped early must not count as if it had gone on
    count = int(num_steps.sum())
    return Run(1e9 * wall / count, 1e9 * cpu / count, float(residual.max()), float(np.median(residual)), wall)


def run_solve(game: mfg.FiniteHorizonGame, rho: Any, betas: np.ndarray, steps: int) -> Run:
    def one(beta: float) -> tuple[float, int]:
        response = mfg.EntropyRegularized(beta, rho)
        eq = mfg.solve(game, response, mfg.Picard(DAMPING, atol=0), max_steps=steps, throw=False)
        return float(eq.residual), int(eq.num_steps)

    found, wall, cpu = timed(lambda: [one(float(beta)) for beta in betas])
    residuals, count = [residual for residual, _ in found], sum(num for _, num in found)
    return Run(1e9 * wall / count, 1e9 * cpu / count, max(residuals), statistics.median(residuals), wall)


def run_mfglib(game: Any, steps_from: Callable[[float], Any], betas: np.ndarray, steps: int, threads: int) -> Run:
    import mfglib_games as theirs

    theirs.set_threads(threads)
    laws, wall, cpu = timed(lambda: [steps_from(float(beta)) for beta in betas])
    residuals = [theirs.residual(game, law, float(beta)) for law, beta in zip(laws, betas, strict=True)]
    count = len(betas) * steps
    return Run(1e9 * wall / count, 1e9 * cpu / count, max(residuals), statistics.median(residuals), wall)


def check(game: mfg.FiniteHorizonGame, rho: Any, theirs_game: Any, betas: np.ndarray, steps: int) -> str:
    """Compare one Γ, and the flows after all steps, with MFGLib's.

    Raises:
      AssertionError: if one Γ differs by more than 1e-5.
    """
    import mfglib_games as theirs

    ds = mfg.sweep(
        game,
        mfg.Boltzmann,
        beta=betas,
        prior=[rho],
        solver=mfg.Picard(DAMPING, atol=0),
        max_steps=steps,
        outputs=("mean_field",),
        progress=False,
    )
    flows = np.asarray(ds.mean_field)[:, 0]
    one, after = [], []
    start = theirs.prior_flow(theirs_game)
    for beta, flow in zip(betas, flows, strict=True):
        gamma = mfg.mean_field_map(game, mfg.Boltzmann(float(beta), rho))
        ours = np.asarray(gamma(jnp.asarray(theirs.states(start))))
        one.append(np.abs(ours - theirs.states(theirs.image(theirs_game, start, float(beta)))).max())
        after.append(np.abs(flow - theirs.states(theirs.damped_steps(theirs_game, float(beta), steps, DAMPING))).max())
    assert max(one) < 1e-5, one
    return (
        f"With `Boltzmann` at β = {', '.join(f'{beta:.3g}' for beta in betas)}, one Γ of MFGLib and of mfgjax differ "
        f"by at most {max(one):.1e}, the flows of MFGLib and the sweep after {steps} steps by at most {max(after):.1e}."
    )


def row(name: str, runs: Sequence[Run], of: Sequence[Run], first: float | None) -> str:
    """Return a line of the table; `of` is the sweep, and `first` the seconds of the run with compilation."""
    walls, cpus, ratio = [run.wall for run in runs], [run.cpu for run in runs], ratios(runs, of)
    worst, typical = max(run.worst for run in runs), statistics.median(run.typical for run in runs)
    compiling = "" if first is None else f"{max(first - statistics.median(run.seconds for run in runs), 0):.1f} s"
    cells = [
        name, f"{statistics.median(walls):,.0f}", f"{min(walls):,.0f}", f"{statistics.median(cpus):,.0f}",
        f"{statistics.median(ratio):,.4g} ({min(ratio):,.4g} to {max(ratio):,.4g})",
        f"{typical:.1e}, {worst:.1e}", compiling,
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def ratios(runs: Sequence[Run], of: Sequence[Run], field: str = "wall") -> list[float]:
    """Return how many times as long the runs took as those of the same rounds."""
    return [getattr(run, field) / getattr(base, field) for run, base in zip(runs, of, strict=True)]


def head(unit: str, base: str) -> list[str]:
    return [
        f"| | {unit}: median | least | CPU time | times that of {base}: median (range) | residual: median, largest "
        "| compiling |",
        "|---|---|---|---|---|---|---|",
    ]


def in_turn(contenders: dict[str, Callable[[], Run]], rounds: int) -> tuple[dict[str, list[Run]], dict[str, Run]]:
    """Run all in turn, `rounds` times, after a first run of each."""
    first = {name: run() for name, run in contenders.items()}
    runs: dict[str, list[Run]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            runs[name].append(run())
    return runs, first


def example(lanes: int, steps: int, rounds: int, threads: int) -> list[str]:
    """Return the report of many lanes of the example."""
    import mfglib_games as theirs

    game = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(game)
    betas = np.geomspace(0.05, 50, lanes).astype(np.float32)
    some = betas[[lanes // 4, lanes // 2, 3 * lanes // 4]]
    other = theirs.resource_allocation(game, rho)

    theirs.set_threads(1)
    einsum = theirs.use_faster_einsum(lambda: timed(lambda: theirs.damped_steps(other, 1.0, 50, DAMPING))[1])
    agreement = check(game, rho, other, some, steps)

    def parts(beta: float) -> Any:
        return theirs.damped_steps(other, beta, steps, DAMPING)

    contenders: dict[str, Callable[[], Run]] = {
        SWEEP: lambda: run_sweep(game, mfg.EntropyRegularized, {"reference": {"paper": rho}}, betas, steps),
        SWEEP_SAME: lambda: run_sweep(game, mfg.Boltzmann, {"prior": {"paper": rho}}, betas, steps),
        SOLVE: lambda: run_solve(game, rho, betas[:: max(lanes // 32, 1)], steps),
        PARTS: lambda: run_mfglib(other, parts, some, steps, 1),
        PARTS_ALL: lambda: run_mfglib(other, parts, some, steps, threads),
        OWN: lambda: run_mfglib(other, lambda beta: theirs.own_steps(other, beta, steps), some, steps, 1),
        OWN_SOLVE: lambda: run_mfglib(other, lambda beta: theirs.own_solve(other, beta, steps), some, steps, 1),
    }
    runs, first = in_turn(contenders, rounds)
    compiled = {name: run.seconds for name, run in first.items() if "mfgjax" in name}
    rows = [runs[name] for name in (PARTS, PARTS_ALL, OWN)]
    against = min(statistics.median(ratios(found, runs[SWEEP])) for found in rows)
    by_cpu = min(statistics.median(ratios(found, runs[SWEEP], "cpu")) for found in rows)
    one_by_one = statistics.median(ratios(runs[SOLVE], runs[SWEEP]))
    throughput = 1e9 / statistics.median(run.wall for run in runs[SWEEP])
    singles = len(betas[:: max(lanes // 32, 1)])
    return [
        f"{lanes} lanes x {steps} steps by `sweep`, {singles} lanes by `solve`, {len(some)} by MFGLib ({einsum}); "
        f"damping {DAMPING}; {rounds} rounds in turn.",
        agreement,
        "",
        *head("ns for one lane and step", "the first row"),
        *(row(name, found, runs[SWEEP], compiled.get(name)) for name, found in runs.items()),
        "",
        f"`mfgjax.sweep` takes {throughput:,.0f} steps of a lane a second: {against:,.0f} times MFGLib's fastest row "
        f"(at least {against / threads:,.0f} times, were MFGLib run in a process for each of the {threads} cores), and "
        f"{one_by_one:.1f} times `mfgjax.solve`. In CPU time it is {by_cpu:,.0f} times MFGLib's fastest row.",
        f"The claim {'holds' if against >= 2000 and one_by_one >= 30 else 'does not hold'} in this run.",
    ]


def large(side: int, rounds: int, threads: int) -> list[str]:
    """Return the report of one Γ on one large grid."""
    import mfglib_games as theirs

    game = mfg.games.grid_crowd(side, side, GRID_HORIZON)
    table = np.asarray(game.available)[0]
    prior = table / table.sum(axis=1, keepdims=True)
    other = theirs.grid_crowd(game, prior.astype(np.float32))
    dense = eqx.tree_at(lambda g: g.kernel, game, mfg.DenseKernel(theirs.transitions(other)))
    maps = {
        "`mfgjax`, moves": jax.jit(mfg.mean_field_map(game, mfg.Boltzmann(GRID_BETA))),
        "`mfgjax`, moves, `EntropyRegularized`": jax.jit(mfg.mean_field_map(game, mfg.EntropyRegularized(GRID_BETA))),
        "`mfgjax`, dense as in MFGLib": jax.jit(mfg.mean_field_map(dense, mfg.Boltzmann(GRID_BETA))),
    }
    gamma = jax.jit(
        mfg.mean_field_map(game, mfg.Boltzmann(GRID_BETA))
    )  # another one, so that those above compile below
    mean_field = mfg.propagate(game, jnp.broadcast_to(jnp.asarray(prior, game.dtype), (GRID_HORIZON + 1, *prior.shape)))
    for _ in range(100):
        mean_field = mean_field + DAMPING * (gamma(mean_field) - mean_field)
    law = theirs.joint(other, mean_field)

    def ours(function: Callable[[Any], Any], count: int) -> Run:
        image, wall, cpu = timed(lambda: [jax.block_until_ready(function(mean_field)) for _ in range(count)][-1])
        residual = float(mfg.flow_distance(mean_field, image))
        return Run(1e6 * wall / count, 1e6 * cpu / count, residual, residual, wall)

    def of_mfglib(count: int, num_threads: int) -> Run:
        theirs.set_threads(num_threads)
        _, wall, cpu = timed(lambda: [theirs.image(other, law, GRID_BETA) for _ in range(count)][-1])
        residual = theirs.residual(other, law, GRID_BETA)
        return Run(1e6 * wall / count, 1e6 * cpu / count, residual, residual, wall)

    theirs.set_threads(threads)
    einsum = theirs.use_faster_einsum(lambda: of_mfglib(1, threads).seconds)
    apart = np.abs(np.asarray(gamma(mean_field)) - theirs.states(theirs.image(other, law, GRID_BETA))).max()
    contenders: dict[str, Callable[[], Run]] = {
        **{name: lambda function=function: ours(function, 30) for name, function in maps.items()},
        "MFGLib; 1 thread": lambda: of_mfglib(3, 1),
        "MFGLib; all threads": lambda: of_mfglib(3, threads),
    }
    runs, first = in_turn(contenders, rounds)
    base = runs["`mfgjax`, moves"]
    return [
        f"`grid_crowd({side}, {side}, {GRID_HORIZON})`: {game.num_states} states, {game.num_actions} actions, "
        f"H = {GRID_HORIZON}; β = {GRID_BETA:g}; MFGLib {einsum}. Γ of MFGLib and of mfgjax differ by at most "
        f"{apart:.1e}, at a flow after 100 damped steps, whose residual is given.",
        "",
        *head("µs for one Γ", "the first row"),
        *(row(name, found, base, first[name].seconds if name in maps else None) for name, found in runs.items()),
    ]


def environment(threads: int) -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    versions = ", ".join(f"{name} {version(name)}" for name in ("mfgjax", "jax", "mfglib", "torch"))
    return (
        f"{models[0] if models else platform.machine()}, {threads} cores; Python {platform.python_version()}, "
        f"{versions}; cpu, float32."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=20, help="rows and columns of the large grid")
    parser.add_argument("--save", type=Path, help="also write the tables to this Markdown file")
    options = parser.parse_args()
    if importlib.util.find_spec("mfglib") is None:
        sys.exit("This benchmark compares with MFGLib, which is not installed: `pip install mfglib`.")

    # PyTorch's threads spin while they wait, and on a machine that does other things they wait for each other
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    threads = mfg.use_cpu_cores()
    before = os.getloadavg()[0]
    report = [f"# {(__doc__ or '').splitlines()[0]}", "", environment(threads), ""]
    report += example(options.lanes, options.steps, options.rounds, threads)
    report += ["", *large(options.side, options.rounds, threads)]
    report[3:3] = [f"Load average of the machine {before:.1f} before and {os.getloadavg()[0]:.1f} after."]
    print("\n".join(report))
    if options.save is not None:
        options.save.write_text("\n".join(report) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
