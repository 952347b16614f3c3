"""Claim: the default solver finds the equilibrium at every beta, without tuning, where plain iteration does not.

Solver x game x beta, float64: how many games of a family were solved to max(1e-10, 8 eps beta span Q), with the
median number of steps. The families:

    example       resource_allocation, paper and author-code presets, with the coordinator's reference policy
    ring c        ring_crowd, 20 states, H = 20, congestion c = 1 and 5: monotone
    dense c       random_dense, 10 states, 4 actions, H = 20, rewards tanh(c L mu), seeds 0..19: not monotone

    python benchmarks/every_beta_without_tuning.py [--seeds 20] [--solvers Auto,Picard] [--save FILE.md]
"""

import argparse
import platform
import time

import jax
import numpy as np

import mfgjax as mfg

BETAS = [0.01, 0.1, 1, 3, 10, 30, 100, 300, 1000]
SOLVERS = {
    "Picard": (mfg.Picard(), 2_000),
    "Picard(damping=0.1)": (mfg.Picard(0.1), 2_000),
    "Anderson": (mfg.Anderson(), 1_000),
    "MirrorDescent": (mfg.MirrorDescent(0.1), 2_000),
    "Continuation(through_folds=False)": (mfg.Continuation(False), 5_000),
    "Auto": (mfg.Auto(), 5_000),
}


def families(num_seeds: int) -> dict[str, list]:
    """Return (game, reference) pairs by family."""
    games = {}
    for preset in ("paper", "author-code"):
        game = mfg.games.resource_allocation(preset)
        games[f"example, {preset}"] = [(game, mfg.games.resource_allocation_reference(game))]
    for c in (1.0, 5.0):
        games[f"ring {c:g}"] = [(mfg.games.ring_crowd(congestion=c), None)]
    for c in (1.0, 5.0):
        games[f"dense {c:g}"] = [(mfg.games.random_dense(i, steepness=c), None) for i in range(num_seeds)]
    return games


def bound(game: mfg.FiniteHorizonGame, equilibrium: mfg.Equilibrium, beta: float) -> float:
    """Return max(1e-10, 8 eps beta span Q), the span over states and available actions at one time."""
    q, available = np.asarray(equilibrium.q), np.broadcast_to(game.available, equilibrium.q.shape)
    high = np.where(available, q, -np.inf).max(axis=(1, 2))
    low = np.where(available, q, np.inf).min(axis=(1, 2))
    return max(1e-10, 8 * np.finfo(float).eps * beta * float((high - low).max()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--solvers", default=",".join(SOLVERS))
    parser.add_argument("--save", help="also write the table to this file")
    options = parser.parse_args()

    lines = [
        f"mfgjax {mfg.__version__}, jax {jax.__version__}, {jax.devices()[0].platform}, {platform.machine()}, float64; "
        f"seeds 0..{options.seeds - 1}.",
        "Solved / tried (median steps) for each beta; the last column is the worst residual of the solved ones.",
        "",
        "| solver | game | " + " | ".join(f"{b:g}" for b in BETAS) + " | worst residual | s |",
        "|---|---|" + "---|" * (len(BETAS) + 2),
    ]
    print("\n".join(lines), flush=True)
    games = families(options.seeds)
    failures = []
    for name in options.solvers.split(","):
        solver, max_steps = SOLVERS[name]
        for family, members in games.items():
            cells, worst, start = [], 0.0, time.perf_counter()
            for beta in BETAS:
                solved, steps = 0, []
                for seed, (game, reference) in enumerate(members):
                    response = mfg.EntropyRegularized(beta, reference)
                    eq = mfg.solve(game, response, solver, max_steps=max_steps, throw=False)
                    good = bool(eq.converged) and float(eq.residual) <= bound(game, eq, beta)
                    solved += good
                    steps.append(int(eq.num_steps))
                    worst = max(worst, float(eq.residual)) if good else worst
                    if not good and name == "Auto":
                        failures.append(f"{family}, seed {seed}, beta {beta:g}: {eq.result.message}")
                cells.append(f"{solved}/{len(members)} ({int(np.median(steps))})")
            seconds = time.perf_counter() - start
            lines.append(f"| {name} | {family} | " + " | ".join(cells) + f" | {worst:.1e} | {seconds:.0f} |")
            print(lines[-1], flush=True)
    lines += ["", "What Auto did not solve, and says so:", "", *(f"- {line}" for line in failures or ["nothing"])]
    print("\n".join(lines[-len(failures or [1]) - 3 :]))
    if options.save:
        with open(options.save, "w", encoding="utf-8") as file:
            file.write("\n".join(["# " + (__doc__ or "").splitlines()[0], "", *lines, ""]))


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
