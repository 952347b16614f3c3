"""Claim: the first equilibrium comes within 4 s of importing jax, later ones within 2 ms, and new betas cost nothing.

Each first solve is timed in a process of its own, from the end of `import jax` (so it includes importing mfgjax,
building the game and compiling); warm solves in one process, eagerly, with all checks.

    python benchmarks/first_and_warm_solve.py [--repeats 5]
"""

import argparse
import platform
import statistics
import subprocess
import sys

CODE = """
import time, jax
start = time.perf_counter()
jax.config.update("jax_enable_x64", True)
import mfgjax as mfg
game = mfg.games.resource_allocation()
rho = mfg.games.resource_allocation_reference(game)
eq = mfg.solve(game, mfg.EntropyRegularized(3.0, rho))
jax.block_until_ready(eq.mean_field)
first = time.perf_counter() - start
times = []
for i in range(300):
    start = time.perf_counter()
    eq = mfg.solve(game, mfg.EntropyRegularized(3.0, rho))
    jax.block_until_ready(eq.mean_field)
    times.append(time.perf_counter() - start)
solve_times = []
response = mfg.EntropyRegularized(3.0, rho)
for i in range(300):
    start = time.perf_counter()
    eq = mfg.solve(game, response)
    jax.block_until_ready(eq.mean_field)
    solve_times.append(time.perf_counter() - start)
times.sort(), solve_times.sort()
print(first, times[150], solve_times[150], solve_times[0], float(eq.residual), jax.__version__, mfg.__version__)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    runs = []
    for _ in range(options.repeats):
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
        runs.append(done.stdout.split())
    first, warm, bare, least = (statistics.median(float(run[i]) for run in runs) for i in range(4))
    print(f"mfgjax {runs[0][6]}, jax {runs[0][5]}, cpu, {platform.machine()}, float64, {options.repeats} processes")
    print(f"first solve, after `import jax`:      median {first:.2f} s, least {min(float(r[0]) for r in runs):.2f} s")
    print(f"warm solve with a new response:       median {1e3 * warm:.2f} ms")
    print(f"warm solve:                           median {1e3 * bare:.2f} ms, least {1e3 * least:.2f} ms")
    print(f"residual: {runs[0][4]}")


if __name__ == "__main__":
    main()
