"""Claim: at large β the default solver takes a fraction of the time that it takes without Newton's method.

In one run, side by side: `Auto` as it is, and the methods that it tried before: 60 steps of Anderson's, 600 damped
ones, then continuation. Cold ring crowds; a sweep of them in which neighbours start from one another; birth-death
chains with a stationary population; dense random games, of which some paths have hundreds of folds.

    python benchmarks/auto_asks_newton_early.py
"""

import statistics
import time
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

import mfgjax as mfg
from mfgjax.solvers import AbstractSolver

jax.config.update("jax_enable_x64", True)

ROUNDS = 5


class Before(AbstractSolver):
    """The methods of `Auto` for smooth responses, without Newton's."""

    __module__ = "mfgjax.before"  # else its class counts as a user's, which each call compiles anew
    atol: float | None = None
    default_max_steps: ClassVar[int] = 5_000

    def stages(self, game: Any, response: Any, max_steps: int, has_guess: bool = False) -> list:
        return [(mfg.Anderson(), 60), (mfg.Picard(0.1), 600), (mfg.Continuation(), max_steps - 660)]


def chain(num_states: int) -> mfg.StationaryGame:
    """Agents pay to rise more often, and rise the more easily the higher the crowd is."""
    n, s = num_states, np.arange(num_states)

    def kernel(z: jax.Array) -> jax.Array:
        rises = jnp.stack([0.05 * jnp.ones(n), (0.1 + 0.6 * z @ s / (n - 1)) * jnp.ones(n)], axis=1)
        rises, falls = jnp.where(s[:, None] < n - 1, rises, 0), jnp.where(s[:, None] > 0, 0.2, 0.0) * jnp.ones((n, 2))
        up, down, stay = (jnp.eye(n, k=k)[:, None] for k in (1, -1, 0))
        return rises[..., None] * up + falls[..., None] * down + (1 - rises - falls)[..., None] * stay

    reward = np.sqrt(s / (n - 1))[:, None] - 0.15 * np.arange(2.0)
    return mfg.StationaryGame(kernel, reward, 0.95)


def dense(seed: int) -> mfg.FiniteHorizonGame:
    """Twenty states with random payoffs of everybody's place, which are neither monotone nor mild."""
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.full(20, 0.05), (20, 5))
    table = 3 * rng.normal(size=(20, 5, 20))
    return mfg.FiniteHorizonGame(kernel, lambda t, m: jnp.asarray(table) @ m, rng.dirichlet(np.ones(20)), 20)


def timed(game: Any, beta: float, solver: Any, rounds: int = ROUNDS) -> tuple[Any, float]:
    """Return what is found, and the median time of warm calls in ms."""
    found = mfg.solve(game, mfg.EntropyRegularized(beta), solver, throw=False)
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        jax.block_until_ready(mfg.solve(game, mfg.EntropyRegularized(beta), solver, throw=False).mean_field)
        times.append(1e3 * (time.perf_counter() - begin))
    return found, statistics.median(times)


def side_by_side(name: str, game: Any, betas: tuple[float, ...]) -> None:
    for beta in betas:
        cells = []
        for solver in (Before(), None):
            found, ms = timed(game, beta, solver)
            cells.append(
                (ms, f"{int(found.num_steps)} | {ms:.1f}" + ("" if found.converged else f" ({found.result.name})"))
            )
        print(f"| {name} | {beta:g} | {cells[0][1]} | {cells[1][1]} | {cells[0][0] / cells[1][0]:.1f} |")


def sweep(solver: Any, warm: bool) -> tuple[float, int]:
    """Return the processor time of a warm sweep of 16 × 16 ring crowds, and the points that were not solved."""
    axes: Any = {"congestion": np.linspace(0.5, 3, 16), "beta": np.geomspace(0.1, 100, 16)}
    options: Any = {"solver": solver, "warm_start": "beta" if warm else None, "progress": False}
    mfg.sweep(mfg.games.ring_crowd, **options, **axes)  # compiles
    begin = time.process_time()
    found = mfg.sweep(mfg.games.ring_crowd, **options, **axes)
    return time.process_time() - begin, int((found.result_code != 0).sum())


def main() -> None:
    """Print all tables."""
    print("| game | beta | steps before | ms | steps | ms | before / now |\n|---|---|---|---|---|---|---|")
    side_by_side("ring_crowd(20, 20)", mfg.games.ring_crowd(20, 20), (10.0, 100.0, 1000.0))
    for num_states in (10, 20, 50):
        side_by_side(f"chain({num_states})", chain(num_states), (1.0, 100.0))
    print("\n| sweep of 16 x 16 ring crowds, beta 0.1 to 100 | processor s | not solved |\n|---|---|---|")
    for name, solver, warm in (
        ("before, neighbours", Before(), True),
        ("before, alone", Before(), False),
        ("now, alone", None, False),
        ("now, neighbours", None, True),
    ):
        spent, failed = sweep(solver, warm)
        print(f"| {name} | {spent:.2f} | {failed} |")
    print("\n| dense games, seeds 0 to 13 | solved | median s | longest s |\n|---|---|---|---|")
    for beta in (30.0, 100.0, 1000.0):
        runs = [timed(dense(seed), beta, None, 1) for seed in range(14)]
        seconds = [ms / 1e3 for _, ms in runs]
        solved = sum(bool(found.converged) for found, _ in runs)
        print(f"| beta {beta:g} | {solved} | {statistics.median(seconds):.2f} | {max(seconds):.1f} |")


if __name__ == "__main__":
    main()
