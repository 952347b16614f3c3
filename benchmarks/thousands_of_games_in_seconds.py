"""Claim: thousands of games are solved in a second, a million values of beta in minutes and in bounded memory.

On the resource-allocation example, from the flow of the reference, with the default solver and on all cores:
4,096 values of beta between 0.05 and 50 solved to 1e-5 in single and to 1e-10 in double precision; the same with
neighbours starting from one another; a loop over `solve` for comparison, on part of them; and 1,000,000 values of beta
whose whole flows and policies are written to disk. Every part runs in a process of its own; compiling is timed apart,
by a first run of the same program; the times are medians (that of the million is one run, with compiling). Peak memory
is that of the process, Python and JAX included.

    python benchmarks/thousands_of_games_in_seconds.py [--lanes 4096] [--million 1000000] [--rounds 5] [--save PATH]
"""

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mfgjax as mfg


def example() -> tuple[mfg.FiniteHorizonGame, Any]:
    game = mfg.games.resource_allocation()
    return game, mfg.games.resource_allocation_reference(game)


def betas(count: int) -> np.ndarray:
    return np.geomspace(0.05, 50, count)


def described(ds: Any) -> dict[str, Any]:
    codes = np.asarray(ds.result_code)
    return {
        "converged": f"{int((codes == 0).sum()):,} of {codes.size:,}",
        "residual": float(ds.residual.max()),
        "steps": f"{int(ds.num_steps.median())}, at most {int(ds.num_steps.max())}",
    }


def solve_many(lanes: int, rounds: int, warm: bool) -> dict[str, Any]:
    game, rho = example()
    times, ds = [], None
    for _ in range(rounds + 1):
        start = time.perf_counter()
        ds = mfg.sweep(
            game,
            beta=betas(lanes),
            reference={"paper": rho},
            warm_start="beta" if warm else None,
            outputs=("mean_field", "policy"),
            progress=False,
        )
        times.append(time.perf_counter() - start)
    return {"first": times[0], "seconds": statistics.median(times[1:]), **described(ds)}


def solve_one_by_one(lanes: int, rounds: int) -> dict[str, Any]:
    """Time `solve` alone at every 32nd value, and count all of them at that rate."""
    game, rho = example()
    some = betas(lanes)[::32]
    times, codes, worst = [], [], 0.0
    for _ in range(max(rounds // 2, 2)):
        start = time.perf_counter()
        for beta in some:
            found = mfg.solve(game, mfg.EntropyRegularized(beta, rho), throw=False)
            codes.append(int(found.result.code))
            worst = max(worst, float(found.residual))
        times.append((time.perf_counter() - start) * lanes / len(some))
    solved = f"{codes.count(0):,} of {len(codes):,} tried"
    return {
        "first": times[0] * len(some) / lanes,
        "seconds": times[-1],
        "converged": solved,
        "residual": worst,
        "steps": "",
    }


def solve_a_million(count: int) -> dict[str, Any]:
    game, rho = example()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        ds = mfg.sweep(
            game,
            beta=betas(count),
            reference={"paper": rho},
            outputs=("mean_field", "policy"),
            out=Path(folder) / "sweep.zarr",
            progress=True,
        )
        seconds = time.perf_counter() - start
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        return {"first": float("nan"), "seconds": seconds, **described(ds), "written": size}


PARTS = {
    "float32": ("4,096 lanes to 1e-5", False),
    "float64": ("4,096 lanes to 1e-10", True),
    "warm32": ("the same from neighbours", False),
    "warm64": ("the same from neighbours", True),
    "single32": ("a loop over `solve`", False),
    "single64": ("a loop over `solve`", True),
    "million": ("1,000,000 lanes to 1e-5, to disk", False),
}


def run_part(part: str, options: argparse.Namespace) -> dict[str, Any]:
    jax.config.update("jax_enable_x64", PARTS[part][1])
    mfg.use_cpu_cores()
    if part == "million":
        result = solve_a_million(options.million)
    elif part.startswith("single"):
        result = solve_one_by_one(options.lanes, options.rounds)
    else:
        result = solve_many(options.lanes, options.rounds, part.startswith("warm"))
    result["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result["device"] = f"{len(jax.devices())} x {jax.devices()[0].device_kind}"
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=4096)
    parser.add_argument("--million", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", type=Path, help="also write the table to this Markdown file")
    parser.add_argument("--part", choices=tuple(PARTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part is not None:
        print(json.dumps(run_part(options.part, options)))
        return

    rows, device = [], ""
    for part, (what, double) in PARTS.items():
        command = [sys.executable, __file__, "--part", part, "--lanes", str(options.lanes)]
        command += ["--million", str(options.million), "--rounds", str(options.rounds)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        r = json.loads(done.stdout.splitlines()[-1])
        device = r["device"]
        written = f", {r['written'] / 1e6:,.0f} MB written" if "written" in r else ""
        first = "" if np.isnan(r["first"]) else f"{r['first']:.1f} s"
        what = what.replace("4,096", f"{options.lanes:,}").replace("1,000,000", f"{options.million:,}")
        rows.append(
            f"| {what} | {'float64' if double else 'float32'} | {r['seconds']:.2f} s{written} | {first} | "
            f"{r['converged']} | {r['residual']:.1e} | {r['steps']} | {r['peak'] / 2**30:.2f} GB |"
        )
        print(rows[-1], flush=True)
    report = [
        "# " + (__doc__ or "").splitlines()[0],
        "",
        f"mfgjax {mfg.__version__}, jax {jax.__version__}, {device}, {platform.machine()}; {options.rounds} rounds.",
        "",
        "| | precision | time | first run, compiling | converged | worst residual | steps (median) | peak memory |",
        "|---|---|---|---|---|---|---|---|",
        *rows,
    ]
    if options.save is not None:
        options.save.write_text("\n".join(report) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
