"""Hand-written C kernels, compiled and called from Python; run as a script it checks and times them.

`plain.c` is the formulas as one writes them down, made into vectors by the compiler; `tuned.c` has its
vectors and functions written by hand, and every shortcut found.

python benchmarks/floor/floor.py [--lanes 4096] [--steps 500] [--rounds 15]
"""

import argparse
import ctypes
import functools
import itertools
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

import mfgjax as mfg

SOURCES = ("plain", "tuned")
FLAGS = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp"]


class Tables(NamedTuple):
    """A game and a reference policy as the kernels read them, in the order of its arguments."""

    next_state: np.ndarray
    log_reference: np.ndarray
    value: np.ndarray
    weight: np.ndarray
    scale: np.ndarray
    exponent: np.ndarray
    initial: np.ndarray


class Outcome(NamedTuple):
    """The flow `[H+1, S, B]` after the last step, its residual `[B]`, and the seconds of the C call."""

    flow: np.ndarray
    residual: np.ndarray
    seconds: float


def _powers(theta: Any, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and exponent of Θ_t for every time."""
    # the stages of a `graph_game` have these two fields
    stages = [theta.running] * horizon + [theta.terminal] if hasattr(theta, "running") else [theta] * (horizon + 1)
    if not all(isinstance(stage, mfg.rewards.Power) for stage in stages):
        raise ValueError(f"`game.reward.theta` must be made of `Power`s for the C kernel; got {theta!r}.")
    return np.array([float(stage.scale) for stage in stages]), np.array([stage.exponent for stage in stages])


def tables(game: mfg.FiniteHorizonGame, reference: Any, *, by_action: bool = False) -> Tables:
    """Return the tables of a game that moves along edges and pays for the crowd in one's own state.

    Args:
      game: with a `MovesKernel`, and a `PairwiseReward` of an `OwnStateInteraction` and powers.
      reference: ρ(a|s), `[S, A]` or `[H+1, S, A]`, positive exactly on the available actions.
      by_action: give the kernel a column of the reward tables for every action even where all columns are alike, to
        see what a reward that does depend on the action costs.

    Raises:
      ValueError: if the game is of another kind.
    """
    reward, times, S, A = game.reward, game.horizon + 1, game.num_states, game.num_actions
    if not isinstance(game.kernel, mfg.MovesKernel):
        raise ValueError(f"`game.kernel` must be a `MovesKernel` for the C kernel; got {type(game.kernel).__name__}.")
    if not isinstance(reward, mfg.PairwiseReward) or not isinstance(reward.L, mfg.rewards.OwnStateInteraction):
        raise ValueError("`game.reward` must be a `PairwiseReward` of an `OwnStateInteraction` for the C kernel.")
    scale, exponent = _powers(reward.theta, game.horizon)
    base, weight = np.broadcast_arrays(np.asarray(reward.L.base), np.asarray(reward.L.weight))
    columns = A if by_action else base.shape[2]
    rho = np.broadcast_to(np.asarray(reference), (times, S, A))
    if not np.all((rho > 0) == (rho[0] > 0)):
        raise ValueError("`reference` must allow the same actions at all times for the C kernel.")
    log_reference = np.where(rho > 0, np.log(np.where(rho > 0, rho, 1)), -1e38)
    return Tables(
        np.ascontiguousarray(game.kernel.next_state, np.int32),
        np.ascontiguousarray(log_reference, np.float32),
        np.ascontiguousarray(np.broadcast_to(base, (times, S, columns)), np.float32),
        np.ascontiguousarray(np.broadcast_to(weight, (times, S, columns)), np.float32),
        np.ascontiguousarray(scale, np.float32),
        np.ascontiguousarray(exponent, np.int32),
        np.ascontiguousarray(game.initial, np.float32),
    )


@functools.cache
def library(
    source: str, num_states: int, num_actions: int, horizon: int, columns: int, *more_flags: str
) -> ctypes.CDLL:
    """Compile one of the sources for these sizes and load it.

    Raises:
      RuntimeError: if there is no gcc, or it fails.
    """
    gcc = shutil.which("gcc")
    if gcc is None:
        raise RuntimeError("The C kernel needs `gcc`, and there is none on the PATH.")
    # threads that spin after a call would take the cores from what is timed next; read when OpenMP is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    sizes = {"S": num_states, "A": num_actions, "H": horizon, "REWARD_COLUMNS": columns}
    defines = [f"-D{name}={size}" for name, size in sizes.items()]
    with tempfile.TemporaryDirectory() as directory:
        object_file, shared = f"{directory}/floor.o", f"{directory}/floor.so"
        # Linked apart from compiling: a shared object linked with -ffast-math makes the thread that loads it flush
        # subnormal numbers to zero for ever, in everything else it does
        compile_it = [gcc, "-c", "-std=gnu11", "-fPIC", "-Wno-psabi", *FLAGS, *more_flags, *defines]
        compile_it.append(str(Path(__file__).with_name(f"{source}.c")))
        link_it = [gcc, "-shared", "-fopenmp", object_file, "-o", shared, "-lmvec", "-lm"]
        for command in ([*compile_it, "-o", object_file], link_it):
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"`{' '.join(command)}` failed: {done.stderr.strip()}")
        return ctypes.CDLL(shared)


def library_for(arrays: Tables, source: str, *more_flags: str) -> ctypes.CDLL:
    """Return the kernel compiled for the sizes of these tables."""
    times, num_states, columns = arrays.value.shape
    return library(source, num_states, arrays.next_state.shape[1], times - 1, columns, *more_flags)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def run(
    game: mfg.FiniteHorizonGame,
    reference: Any,
    betas: Any,
    damping: float,
    num_steps: int,
    threads: int,
    *,
    source: str = "tuned",
    by_action: bool = False,
    flags: tuple[str, ...] = (),
) -> Outcome:
    """Take damped steps μ ← μ + α (Γ_β(μ) − μ) from the flow of the reference, for every β, in single precision.

    Args:
      game: see `tables`.
      reference: see `tables`.
      betas: inverse temperatures `[B]`.
      damping: α.
      num_steps: how many.
      threads: of OpenMP.
      source: "plain" or "tuned".
      by_action: see `tables`.
      flags: more flags of the compiler, such as "-DLIBMVEC" or "-DLANES=64".

    Returns:
      An `Outcome`; the seconds are those of the C call alone, its conversion of the tables included.
    """
    arrays = tables(game, reference, by_action=by_action)
    function = library_for(arrays, source, *flags).fixed_point
    beta = np.ascontiguousarray(betas, np.float32)
    flow = np.zeros((game.horizon + 1, game.num_states, len(beta)), np.float32)
    residual = np.zeros(len(beta), np.float32)
    inputs = [*map(_pointer, arrays), ctypes.c_float(float(game.discount)), ctypes.c_float(damping), _pointer(beta)]
    counts = [ctypes.c_int64(len(beta)), ctypes.c_int(num_steps), ctypes.c_int(threads)]
    outputs = [_pointer(flow), _pointer(residual)]
    start = time.perf_counter()
    function(*inputs, *counts, *outputs)
    return Outcome(flow, residual, time.perf_counter() - start)


def reference_flow(
    game: mfg.FiniteHorizonGame, reference: Any, beta: float, damping: float, num_steps: int
) -> tuple[np.ndarray, float]:
    """Return flow and residual of the same steps by the library, one lane, in its own precision."""
    gamma = jax.jit(mfg.mean_field_map(game, mfg.EntropyRegularized(beta, reference)))
    policy = np.broadcast_to(np.asarray(reference), (game.horizon + 1, game.num_states, game.num_actions))
    mu = mfg.propagate(game, jax.numpy.asarray(policy))
    for _ in range(num_steps):
        mu = mu + damping * (gamma(mu) - mu)
    return np.asarray(mu), float(mfg.flow_distance(mu, gamma(mu)))


def accuracy(more_flags: tuple[str, ...] = ()) -> tuple[float, float]:
    """Return the largest relative errors of the kernel's exp2 on [-126, 0] and log2 on [1, 64]."""
    count = 16 * 200_000
    x = np.linspace(-126, 0, count, dtype=np.float32)
    y = np.concatenate([np.geomspace(1 + 1e-7, 1.1, count // 2), np.linspace(1, 64, count // 2)]).astype(np.float32)
    exp2, log2 = np.zeros_like(x), np.zeros_like(y)
    library("tuned", 5, 3, 5, 1, *more_flags).exp2_and_log2(
        _pointer(x), _pointer(y), ctypes.c_int64(count), _pointer(exp2), _pointer(log2)
    )
    exact_exp2, exact_log2 = np.exp2(x.astype(float)), np.log2(y.astype(float))
    positive = exact_log2 > 0
    errors = np.abs(exp2 / exact_exp2 - 1), np.abs(log2[positive] / exact_log2[positive] - 1)
    return float(errors[0].max()), float(errors[1].max())


def _another_game() -> tuple[mfg.FiniteHorizonGame, np.ndarray]:
    """Return a game with nothing in common with the example, so that nothing of the example is built in."""
    rng = np.random.default_rng(0)
    S, H = 7, 4
    edges = [(s, int(n)) for s in range(S) for n in rng.permutation(S)[: rng.integers(1, 6)]]
    running = mfg.games.NodeReward(rng.uniform(0, 1, S), 0.7, scale=0.5, exponent=3)
    terminal = mfg.games.NodeReward(rng.uniform(0, 1, S), 0.9, scale=-0.8, exponent=2)
    game = mfg.games.graph_game(
        edges, nodes=range(S), horizon=H, initial=rng.dirichlet(np.ones(S)), running=running, terminal=terminal,
        discount=0.9,
    )  # fmt: skip
    weights = np.asarray(game.available) * rng.uniform(0.1, 1, game.available.shape)
    weights = np.broadcast_to(weights, (H + 1, S, game.num_actions)) * rng.uniform(0.5, 1, (H + 1, S, game.num_actions))
    return game, weights / weights.sum(axis=2, keepdims=True)


def check() -> None:
    """Compare the kernels with the library's map in double precision, on the example and on another game.

    Raises:
      AssertionError: if a flow differs by more than 1e-5.
    """
    cases = []
    for preset in ("paper", "author-code"):
        game = mfg.games.resource_allocation(preset)
        cases.append((preset, game, np.asarray(mfg.games.resource_allocation_reference(game)), [0.01, 1.0, 3.0, 30.0]))
    cases.append(("random graph", *_another_game(), [0.01, 1.0, 3.0, 10.0]))
    for name, game, rho, betas in cases:
        wanted = [reference_flow(game, rho, beta, 0.1, 300) for beta in betas]
        for source, by_action in itertools.product(SOURCES, (False, True)):
            found = run(game, rho, betas, 0.1, 300, 2, source=source, by_action=by_action)
            error = max(np.abs(found.flow[..., i] - flow).max() for i, (flow, _) in enumerate(wanted))
            off = max(abs(found.residual[i] - residual) for i, (_, residual) in enumerate(wanted))
            kind = "action" if by_action else "state"
            print(f"{source}, {name}, reward by {kind}: flow off by {error:.1e}, residual by {off:.1e}")
            assert error < 1e-5 and off < 1e-5, (source, name, by_action, error, off)


def environment() -> str:
    """Return processor, cores, width of the kernel's vectors, compiler and versions in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    gcc = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    width = 8 * ctypes.c_int.in_dll(library("tuned", 5, 3, 5, 1), "vector_bytes").value
    return (
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, vectors of {width} bits, gcc {gcc}; "
        f"Python {platform.python_version()}, jax {jax.__version__}, mfgjax {mfg.__version__}"
    )


def nanoseconds(seconds: float, lanes: int, steps: int) -> float:
    """Return the time for one lane and step."""
    return 1e9 * seconds / lanes / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    start = time.perf_counter()
    for source in SOURCES:
        library(source, 5, 3, 5, 1)
    compile_seconds = time.perf_counter() - start
    print(f"{environment()}; compiled in {compile_seconds:.1f} s")
    print("relative error of exp2 {:.1e}, of log2 {:.1e}".format(*accuracy()))
    check()
    game = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(game)
    betas = np.geomspace(0.01, 30, options.lanes)
    variants: list[tuple[str, dict[str, Any]]] = [
        (f"{threads} thread{'s' * (threads > 1)}, {what}", {"threads": threads, **more})
        for threads in (1, os.cpu_count() or 1)
        for what, more in (
            ("plain", {"source": "plain"}),
            ("tuned", {}),
            ("tuned, with a reward for every action", {"by_action": True}),
            ("tuned, with glibc's libmvec", {"flags": ("-DLIBMVEC",)}),
        )
    ]
    outcomes: dict[str, list[Outcome]] = {name: [] for name, _ in variants}
    for _ in range(options.rounds):
        for name, more in variants:
            outcomes[name].append(run(game, rho, betas, 0.1, options.steps, **more))
    print(f"{options.lanes} lanes x {options.steps} steps, float32, {options.rounds} rounds: ns for one lane and step")
    for name, runs in outcomes.items():
        times = [nanoseconds(outcome.seconds, options.lanes, options.steps) for outcome in runs]
        worst = max(outcome.residual.max() for outcome in runs)
        print(f"  {name}: median {statistics.median(times):.1f}, least {min(times):.1f}; residual {worst:.1e}")


if __name__ == "__main__":
    main()
