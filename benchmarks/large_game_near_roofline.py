"""Claim: on a grid of 10,000 cells, Γ takes less than 4 times as long as moving its bytes (float64: about 4 times).

The game is `grid_crowd(100, 100, horizon=100)`: 5 actions, 50,000 pairs of state and action at each of 101 times. At
every time Γ must at least touch each of these entries once (numbers of 4 or 8 bytes, indices of 4, booleans of 1):

    backward   read the mean field [S], the values of the next time [S], the reward tables [S, 1] and [S, 1],
               next states [S, A] (indices), available actions [S, A] (booleans);
               write the values [S] and the policy [S, A]
    forward    read the policy [S, A], the law [S], the places that lead to a state, [S, A] of them (indices);
               write the law of the next time [S]

What is gathered several times counts once. The tables are the same at all times and may stay in a cache; without them
and the values what is left are the `streams`: mean field, policy written and read, flow. The roofline is the bytes
divided by the bandwidth measured in the same run on arrays far larger than any cache, by copies and by a jitted
a/2 + b in place, whichever is faster. Γ is timed as one jitted call, which gets fresh memory from the system each
time, and as one of four in one program, which is how solvers call it and what the claim is about. Ratios are of the
least times of both: those of the median depend on what else the machine does.

    python benchmarks/large_game_near_roofline.py [--repeats 30] [--beta 5] [--skip-solve] [--huge]

`--huge` does the same on 1000 x 1000 cells with H = 50 in single precision, if the memory suffices.
"""

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import mfgjax as mfg

LIMIT = 4.0
INNER = 4
MB = 1e6


def timed(call: Callable[[], Any], repeats: int) -> tuple[float, float, float]:
    """Return median and least time of a call and its median processor time, in seconds, after one that compiles."""
    jax.block_until_ready(call())
    times, used = [], []
    for _ in range(repeats):
        start, busy = time.perf_counter(), time.process_time()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
        used.append(time.process_time() - busy)
    return statistics.median(times), min(times), statistics.median(used)


def bandwidths(num_bytes: int, dtype: Any, repeats: int = 9) -> dict[str, float]:
    """Return bytes per second, at best, of two ways to stream through arrays of a size, by name."""
    count = num_bytes // np.dtype(dtype).itemsize
    source, target = np.ones(count, dtype), np.zeros(count, dtype)
    _, copy, _ = timed(lambda: np.copyto(target, source), repeats)
    rounds = max(3, int(200 * MB) // num_bytes)
    mix = jax.jit(lambda a, b: jax.lax.fori_loop(0, rounds, lambda _, x: x / 2 + b, a))
    a, b = jnp.asarray(source), jnp.asarray(source)
    _, mixed, _ = timed(lambda: mix(a, b), repeats)
    return {"NumPy copy": 2 * source.nbytes / copy, "jitted a/2 + b": 3 * source.nbytes * rounds / mixed}


def least_bytes(game: mfg.FiniteHorizonGame) -> tuple[int, int]:
    """Return how many bytes one evaluation must touch, as counted above: all of them, and the streams alone."""
    T, S, A = game.horizon + 1, game.num_states, game.num_actions
    number, index, boolean = game.dtype.itemsize, 4, 1
    streams = (S + S * A) * number + (S * A + S) * number  # mean field, policy; policy, flow
    tables = S * A * (index + boolean) + 2 * S * number + S * A * index
    values = 3 * S * number  # V of the next time and of this one, and the law that is read
    return T * (streams + tables + values), T * streams


def single(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(np.float32) if eqx.is_inexact_array(x) else x, tree)


@jax.jit
def gamma(game: mfg.FiniteHorizonGame, response: Any, flow: jax.Array) -> jax.Array:
    return mfg.mean_field_map(game, response)(flow)


@jax.jit
def gammas(game: mfg.FiniteHorizonGame, response: Any, flow: jax.Array) -> jax.Array:
    step = mfg.mean_field_map(game, response)
    return jax.lax.fori_loop(0, INNER, lambda _, mu: (mu + step(mu)) / 2, flow)


def arithmetic(game: mfg.FiniteHorizonGame) -> float:
    """Return the time of one exponential for each entry of the policy and one logarithm for each state and time."""
    S, A, T = game.num_states, game.num_actions, game.horizon + 1
    x, y = -jnp.ones(S * A, game.dtype), jnp.ones(S, game.dtype)

    def one(_, both):
        return jnp.exp(both[0]) - 1, 1 + jnp.log(both[1])

    repeat = jax.jit(lambda x, y: jax.lax.fori_loop(0, T, one, (x, y)))
    return timed(lambda: repeat(x, y), 9)[1]


def measure(game: mfg.FiniteHorizonGame, response: Any, repeats: int) -> float:
    """Print the times of Γ, and return that of one of several in a program in units of the roofline."""
    dtype, shape = game.dtype, (game.horizon + 1, game.num_states)
    large, own = (
        bandwidths(int(800 * MB), dtype),
        bandwidths(shape[0] * shape[1] * game.num_actions * dtype.itemsize, dtype),
    )
    for size, found in (("800 MB", large), ("the policy's size", own)):
        print(f"  bandwidth on arrays of {size}: " + ", ".join(f"{n} {b / 1e9:.1f} GB/s" for n, b in found.items()))
    flow = gammas(game, response, jnp.broadcast_to(game.initial, shape))
    alone = timed(lambda: gamma(game, response, flow), repeats)
    many = timed(lambda: gammas(game, response, flow), repeats)
    residual = float(mfg.flow_distance(flow, gamma(game, response, flow)))
    everything, streams = least_bytes(game)
    entries = shape[0] * shape[1] * game.num_actions
    roof, stream_roof = (1e3 * count / max(large.values()) for count in (everything, streams))
    print(f"  to move: {everything / MB:.1f} MB, at least {roof:.2f} ms; {streams / MB:.1f} MB of streams")
    print(f"  exponentials and logarithms alone: {1e3 * arithmetic(game):.2f} ms")
    for name, times in (("one call", alone), (f"one of {INNER}", [t / INNER for t in many])):
        median, least, busy = (1e3 * t for t in times)
        print(
            f"  Γ, {name}: median {median:.2f} ms, least {least:.2f} ms ({1e6 * least / entries:.2f} ns an entry), "
            f"processor {busy:.2f} ms; {least / roof:.1f} x roofline, {least / stream_roof:.1f} x streams"
        )
    print(f"  residual there {residual:.1e}")
    return 1e3 * many[1] / INNER / roof


def solved(game: mfg.FiniteHorizonGame, response: Any) -> None:
    start = time.perf_counter()
    eq = mfg.solve(game, response)
    jax.block_until_ready(eq.mean_field)
    first = time.perf_counter() - start
    warm, _, _ = timed(lambda: mfg.solve(game, response), 3)
    found = f"{eq.result.name} in {int(eq.num_steps)} steps, residual {float(eq.residual):.1e}"
    within = f"tolerance {float(eq.tolerance):.1e}, exploitability {float(eq.exploitability):.1e}"
    print(f"  solve: {found} ({within}); {first:.2f} s first, {warm:.2f} s warm")


def free_memory() -> float:
    """Return the bytes that can still be had, or infinity where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":") for line in file)
        return 1024 * float(lines["MemAvailable"].split()[0])
    except (OSError, KeyError):
        return float("inf")


def need(rows: int, columns: int, horizon: int, itemsize: int, solving: bool) -> float:
    """Estimate the bytes that Γ, or a solve, holds at its peak."""
    flow = (horizon + 1) * rows * columns * itemsize
    tables = 40 * rows * columns * 5  # the game and what its construction needs
    streams = 5 * 800 * MB  # what the bandwidth is measured on
    # a solve keeps six pairs of flows, and at its end policies, their logs and action values
    return tables + (45 * flow if solving else 12 * flow + streams)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--beta", type=float, default=5.0)
    parser.add_argument("--skip-solve", action="store_true")
    parser.add_argument("--huge", action="store_true")
    options = parser.parse_args()
    size = (1000, 1000, 50) if options.huge else (100, 100, 100)
    required, free = need(*size, 4, False), free_memory()
    if required > free:
        print(
            f"Γ on this grid needs about {required / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free.",
            file=sys.stderr,
        )
        return 1
    print(
        f"mfgjax {mfg.__version__}, jax {jax.__version__}, {jax.devices()[0].platform}, {platform.machine()}, "
        f"{os.cpu_count()} cores; load {os.getloadavg()[0]:.1f}; {options.repeats} repeats"
    )
    start = time.perf_counter()
    game = mfg.games.grid_crowd(*size)
    print(
        f"{size[0]} x {size[1]} cells, H = {size[2]}, β = {options.beta:g}; "
        f"built in {time.perf_counter() - start:.1f} s"
    )
    verdicts = {}
    for dtype in (np.float32,) if options.huge else (np.float32, np.float64):
        name = np.dtype(dtype).name
        print(name)
        own = single(game) if dtype == np.float32 else game
        response = mfg.EntropyRegularized(dtype(options.beta))
        verdicts[name] = measure(own, response, 5 if options.huge else options.repeats)
        required, free = need(*size, np.dtype(dtype).itemsize, True), free_memory()
        if options.skip_solve:
            continue
        if required > free:
            print(f"  no solve: it needs about {required / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free.")
        else:
            solved(own, response)
    for name, ratio in verdicts.items():
        print(f"{name}: {ratio:.1f} times the roofline, {'within' if ratio < LIMIT else 'not within'} {LIMIT:g}")
    return 0


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    sys.exit(main())
