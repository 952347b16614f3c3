"""Claim: 20 seeds of five learners, 1,000 agents and 150 steps, take less than 5 minutes on two cores.

    python benchmarks/learners_under_five_minutes.py [--c-f 0.05 0.1 0.3] [--seeds 20] [--steps 150]

Infection Spread with Trembling(0.2), from z_0 uniform and Q_0 = 0. For each learner: the total variation distance of
the last law to the equilibrium, and its mean health, as means and deviations over the seeds.
"""

import argparse
import time

import jax
import numpy as np

import mfgjax as mfg
from mfgjax import learners

jax.config.update("jax_enable_x64", True)

LEARNERS = {
    "TMFQ": learners.TMFQ(),
    "GMBL, n = 100": learners.GMBL(100),
    "online TMFQ": learners.OnlineTMFQ(1_000),
    "IQL": learners.IQL(1_000),
    "MFQ": learners.MFQ(1_000),
}
EXTRA = {
    "online TMFQ, reset": learners.OnlineTMFQ(1_000, "reset"),
    "TMFQ, stratified": learners.TMFQ(stratified=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--c-f", type=float, nargs="*", default=[0.05, 0.1, 0.3])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--extra", action="store_true", help="also the other forms of two learners")
    options = parser.parse_args()
    print(
        f"{jax.devices()[0].device_kind}, float64, jax {jax.__version__}, {options.seeds} seeds, {options.steps} steps"
    )
    for c_f in options.c_f:
        game, response, total = mfg.games.infection_spread(c_f), mfg.Trembling(0.2), 0.0
        end = mfg.bracket(game, response).least
        print(f"c_f = {c_f}: mean health {float(np.arange(25) @ end.mean_field):.3f}")
        for name, learner in (LEARNERS | EXTRA if options.extra else LEARNERS).items():
            start = time.perf_counter()
            run = learners.run(game, response, learner, options.steps, num_seeds=options.seeds)
            seconds = time.perf_counter() - start
            total += seconds if name in LEARNERS else 0
            apart, health = run.distance(end)[:, -1], run.mean_state[:, -1]
            print(f"  {name:20} TV {apart.mean():.3f} +- {apart.std():.3f}", end=", ")
            print(f"mean health {health.mean():6.2f} +- {health.std():.2f}", end=", ")
            print(f"policy off by {run.policy_error(end).mean():.3f}; {seconds:.1f} s with compilation")
        print(f"  the five together: {total:.1f} s")


if __name__ == "__main__":
    main()
