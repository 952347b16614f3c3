"""Values of stationary games beside the same policy iteration with SciPy's sparse, or NumPy's dense, linear solves.

    python benchmarks/policy_iteration_near_scipy.py
    python benchmarks/policy_iteration_near_scipy.py --beside CHECKOUT

computes the greedy response of single decision problems, in float64, and compares the values with the oracle's. Times
are of the processor, medians of `--repeats` runs after a first one, which compiles. With `--beside` another checkout of
the library runs the same problems. Each runs in a process of its own, which is ended after `--limit` seconds of the
processor. The claim: no more than 3 times the time of the oracle.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as sparse

import mfgjax as mfg

jax.config.update("jax_enable_x64", True)

CASES = {
    "dense, 300 states, 5 actions, discount .99": ("dense", 300, 0.99),
    "dense, 600 states, 5 actions, discount .99": ("dense", 600, 0.99),
    "two successors, 400 states, discount .99": ("two", 400, 0.99),
    "two successors, 4,000 states, discount .95": ("two", 4000, 0.95),
    "two successors, 4,000 states, discount .99999": ("two", 4000, 0.99999),
    "ring, 700 states, discount .99999": ("ring", 700, 0.99999),
    "slow walk, 1,000 states, discount .9999": ("walk", 1000, 0.9999),
}


def problem(kind: str, S: int) -> tuple[mfg.kernels.AbstractKernel, np.ndarray | list[sp.csr_matrix], np.ndarray]:
    """Return the kernel, its table or matrices by action, and rewards."""
    rng = np.random.default_rng(0)
    A = 5 if kind == "dense" else 3
    if kind == "dense":
        table = rng.dirichlet(np.ones(S), size=(S, A))
        return mfg.DenseKernel(table), table, rng.normal(size=(S, A))
    if kind == "two":
        successors, probabilities = rng.integers(0, S, (S, A, 2)), rng.dirichlet(np.ones(2), size=(S, A))
    else:
        places = np.arange(S)[:, None] + np.arange(-1, 2)
        places = places % S if kind == "ring" else np.clip(places, 0, S - 1)
        successors, probabilities = np.repeat(places[:, None], 3, axis=1), np.tile(0.7 * np.eye(3) + 0.1, (S, 1, 1))
    own = np.repeat(np.arange(S), successors.shape[2])
    moves = [sp.csr_matrix((probabilities[:, a].ravel(), (own, successors[:, a].ravel())), (S, S)) for a in range(A)]
    reward = rng.normal(size=(S, A if kind == "two" else 1)) + np.zeros((S, A))
    return mfg.SuccessorKernel(successors, probabilities), moves, reward


def oracle(moves: np.ndarray | list[sp.csr_matrix], reward: np.ndarray, discount: float) -> np.ndarray:
    """Policy iteration from the values 0; an action is left for one that is better by more than rounding."""
    S, A = reward.shape
    values, policy = np.zeros(S), None
    while True:
        dense = isinstance(moves, np.ndarray)
        q = reward + discount * (moves @ values if dense else np.stack([move @ values for move in moves], axis=1))
        after = q.argmax(axis=1)
        if policy is not None:
            better = q.max(axis=1) > q[np.arange(S), policy] + 1e-13 * np.abs(q).max()
            after = np.where(better, after, policy)
            if (after == policy).all():
                return values
        policy, pay = after, reward[np.arange(S), after]
        if isinstance(moves, np.ndarray):
            values = np.linalg.solve(np.eye(S) - discount * moves[np.arange(S), policy], pay)
        else:
            mean = sum(sp.diags((policy == a).astype(float)) @ moves[a] for a in range(A))
            values = np.asarray(sparse.spsolve((sp.eye(S) - discount * mean).tocsc(), pay))


def measured(name: str, repeats: int) -> dict:
    kind, S, discount = CASES[name]
    kernel, moves, reward = problem(kind, S)
    game, respond = mfg.StationaryGame(kernel, reward, discount), eqx.filter_jit(mfg.respond)
    expected, found = oracle(moves, reward, discount), None
    times = {"oracle": [], "library": []}
    for _ in range(repeats + 1):
        times["oracle"].append(_seconds(lambda: oracle(moves, reward, discount))[0])
        taken, found = _seconds(lambda: jax.block_until_ready(respond(game, game.initial, mfg.Greedy())))
        times["library"].append(taken)
    assert found is not None
    error = float(np.abs(np.asarray(found.values) - expected).max() / np.abs(expected).max())
    return {key: statistics.median(taken[1:]) for key, taken in times.items()} | {"error": error}


def _seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor's seconds for one call, of as many as take a tenth of a second, and the result."""
    start, count = time.process_time(), 0
    while True:
        result, count = function(), count + 1
        taken = time.process_time() - start
        if taken > 0.1:
            return taken / count, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", help="another checkout of the library")
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        limit = int(options.limit)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        print(json.dumps(measured(options.case, options.repeats)))
        return
    print(f"{jax.devices()[0].device_kind}, float64, jax {jax.__version__}\n")
    print("| problem | oracle s | now s | now / oracle | relative error | before / oracle | relative error before |")
    print("|---|---|---|---|---|---|---|")
    for name in CASES:
        now, before = _in_process(name, None, options), None
        if options.beside:
            before = _in_process(name, options.beside, options)
        assert now is not None, f"{name} took more than {options.limit} s"
        row = [name, f"{now['oracle']:.4f}", f"{now['library']:.4f}", f"{now['library'] / now['oracle']:.1f}"]
        row += [f"{now['error']:.0e}"]
        no_result = f"no result in {options.limit:.0f} s" if options.beside else ""
        if before is None:
            row += [no_result, ""]
        else:
            row += [f"{before['library'] / before['oracle']:.1f}", f"{before['error']:.0e}"]
        print(f"| {' | '.join(row)} |", flush=True)


def _in_process(name: str, checkout: str | None, options: argparse.Namespace) -> dict | None:
    environment = os.environ | ({"PYTHONPATH": checkout} if checkout else {})
    command = [
        sys.executable,
        __file__,
        "--case",
        name,
        "--repeats",
        str(options.repeats),
        "--limit",
        str(options.limit),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return None
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
