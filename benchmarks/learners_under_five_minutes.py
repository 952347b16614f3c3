"""Claim: 20 seeds of five learners, 1,000 agents and 150 steps, take less than 5 minutes on two cores.

    python benchmarks/learners_under_five_minutes.py [--c-f 0.05 0.1 0.3] [--seeds 20] [--steps 150] [--extra] [--gmbl]

Infection Spread with Trembling(0.2), from z_0 uniform and Q_0 = 0. For each learner: the total variation distance of
the last law to the equilibrium, and its mean health, as means and deviations over the seeds. With --gmbl instead: how
near GMBL comes with 10,000 draws of each pair (claim: within .01), with 5 seeds of 60 steps.
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
    "GMBL, n = 1,000": learners.GMBL(),
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
    parser.add_argument("--gmbl", action="store_true", help="GMBL with many draws, instead")
    options = parser.parse_args()
    if options.gmbl:
        many_draws(options.c_f)
        return
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


def many_draws(intensities: list[float]) -> None:
    for c_f in intensities:
        game, response = mfg.games.infection_spread(c_f), mfg.Trembling(0.2)
        run = learners.run(game, response, learners.GMBL(10_000), 60, num_seeds=5)
        apart = run.distance(mfg.bracket(game, response).least)
        late = apart[:, -20:]
        print(
            f"c_f = {c_f}: TV of the last law {apart[:, -1].mean():.4f}, at most {apart[:, -1].max():.4f}; the "
            f"last 20: median {np.median(late):.4f}, {(late <= 0.01).mean():.0%} within .01, at most {late.max():.4f}"
        )


if __name__ == "__main__":
    main()
