"""Claim: 1,000 runs of N = 1e3, 1e6, 1e9 agents take the same time within 1.5x, of N = 10 within 3x of them.

The game is the example of Guan et al. with its equilibrium policy at β = 1: five nodes, three actions, six times,
deterministic moves. `finite.simulate` draws counts; beside it

    labelled    the same with labels, one uniform number for each agent and time, for N up to 1,000
    NumPy       counts by `Generator.multinomial`, one call for each node and time for all runs, in double precision

Times are medians of rounds in which all are timed in random order, so that what else the machine does, and what the
one before left in the caches, hits them alike. Next to
each stands how far the counts are from the binomial law they must have, in standard errors of their mean and variance
over 1,000 runs (the worst of 30 numbers: 2 to 4 is as it should be), and whether they add up to N.

    python benchmarks/a_billion_agents_cost_as_a_thousand.py [--rounds 31] [--runs 1000] [--single]

`--single` leaves 64-bit numbers off, JAX's default; the counts are drawn in double precision all the same.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import mfgjax as mfg

NUMBERS = (10, 1_000, 1_000_000, 1_000_000_000)
LIMIT, LIMIT_OF_TEN = 1.5, 3.0


def numpy_counts(policy: np.ndarray, initial: np.ndarray, table: np.ndarray, num_agents: int, runs: int) -> np.ndarray:
    """Simulate counts `[T, S, runs]` with NumPy's multinomial."""
    generator = np.random.default_rng(0)
    times, num_states, num_actions = policy.shape
    counts = np.zeros((times, num_states, runs), dtype=np.int64)
    counts[0] = generator.multinomial(num_agents, initial, size=runs).T
    for t in range(times):
        for s in range(num_states):
            taken = generator.multinomial(counts[t, s], policy[t, s])
            if t == times - 1:
                continue
            for a in range(num_actions):
                counts[t + 1, table[s, a]] += taken[:, a]
    return counts


def law_of_one(policy: np.ndarray, initial: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return the law of the states `[T, S]` in double precision."""
    law = np.zeros(policy.shape[:2])
    law[0] = initial
    for t in range(len(law) - 1):
        for s, a in np.ndindex(*table.shape):
            law[t + 1, table[s, a]] += law[t, s] * policy[t, s, a]
    return law


def deviations(counts: np.ndarray, law: np.ndarray, num_agents: int) -> tuple[float, float, bool]:
    """Return the worst error of means and of variances in standard errors, and whether all counts add up."""
    counts = np.asarray(counts, dtype=np.int64)
    runs = counts.shape[-1]
    mean, variance = num_agents * law, num_agents * law * (1 - law)
    fourth = 3 * variance**2 + variance * (1 - 6 * law * (1 - law))
    of_means = np.abs(counts.mean(axis=-1) - mean) / np.sqrt(variance / runs)
    seen = np.mean((counts - mean[..., None]) ** 2, axis=-1)
    of_variances = np.abs(seen - variance) / np.sqrt((fourth - variance**2) / runs)
    return float(of_means.max()), float(of_variances.max()), bool((counts.sum(axis=1) == num_agents).all())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--single", action="store_true")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", not options.single)
    game = mfg.games.resource_allocation()
    response = mfg.EntropyRegularized(1.0, mfg.games.resource_allocation_reference(game))
    equilibrium = mfg.solve(game, response)
    policy = np.asarray(equilibrium.policy, dtype=np.float64)
    policy = policy / policy.sum(axis=-1, keepdims=True)
    initial = np.asarray(game.initial, dtype=np.float64)
    initial = initial / initial.sum()
    kernel: Any = game.kernel
    table = np.asarray(kernel.next_state)
    law = law_of_one(policy, initial, table)
    print(
        f"mfgjax {mfg.__version__}, jax {jax.__version__}, NumPy {np.__version__}, {jax.devices()[0].platform} "
        f"({jax.devices()[0].device_kind}), {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}; game in {game.dtype}, counts drawn in float64"
    )
    residual = float(equilibrium.residual)
    print(f"{options.runs} runs, medians of {options.rounds} rounds; residual of the equilibrium {residual:.0e}")

    def counted(num_agents: int, labelled: bool = False) -> Any:
        return mfg.finite.simulate(
            game, equilibrium.policy, num_agents, options.runs, key=jax.random.key(0), labelled=labelled
        ).counts

    calls: dict[tuple[str, int], Callable[[], Any]] = {}
    for n in NUMBERS:
        calls["counts", n] = lambda n=n: counted(n)
        calls["NumPy", n] = lambda n=n: numpy_counts(policy, initial, table, n, options.runs)
        if n <= 1000:
            calls["labelled", n] = lambda n=n: counted(n, True)
    first, checks = {}, {}
    for name, call in calls.items():
        start = time.perf_counter()
        counts = np.asarray(jax.block_until_ready(call()))
        first[name] = time.perf_counter() - start
        checks[name] = deviations(counts, law, name[1])
    rounds: dict[tuple[str, int], list[float]] = {name: [] for name in calls}
    shuffle = np.random.default_rng(1)
    names = list(calls)
    for _ in range(options.rounds):
        for i in shuffle.permutation(len(names)):
            name = names[i]
            start = time.perf_counter()
            jax.block_until_ready(calls[name]())
            rounds[name].append(time.perf_counter() - start)
    warm = {name: statistics.median(times) for name, times in rounds.items()}
    print(f"{'how':>9} {'agents':>14} {'first':>8} {'warm':>9} {'least':>9}   worst of means, variances; add up")
    for (kind, n), median in sorted(warm.items()):
        means, variances, total = checks[kind, n]
        print(
            f"{kind:>9} {n:>14,} {first[kind, n]:7.2f}s {1e3 * median:7.2f}ms {1e3 * min(rounds[kind, n]):7.2f}ms   "
            f"{means:.1f}, {variances:.1f} standard errors; {'yes' if total else 'NO'}"
        )
    large = [warm["counts", n] for n in NUMBERS[1:]]
    ratio, ten = max(large) / min(large), warm["counts", 10] / min(large)
    right = all(total for _, _, total in checks.values())
    for text, value, limit in (
        ("slowest of N = 1e3, 1e6, 1e9 to the fastest", ratio, LIMIT),
        ("N = 10 to the fastest of these", ten, LIMIT_OF_TEN),
    ):
        print(f"{text}: {value:.2f}, {'within' if value <= limit else 'not within'} {limit:g}")
    return 0 if ratio <= LIMIT and ten <= LIMIT_OF_TEN and right else 1


if __name__ == "__main__":
    sys.exit(main())
