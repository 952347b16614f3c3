"""Claim: with their defaults TMFQ and GMBL are biased by less than 0.1 in mean health (of 24).

    python benchmarks/default_learners_within_a_tenth.py [--c-f 0.3 0.1 0.05] [--seeds 10] [--only TEXT]

Infection Spread with Trembling(0.2). The bias is the mean health of the learned population less that of the
equilibrium. Each learner starts at the equilibrium's law with Q_0 = 0 and makes 80 steps (online TMFQ, whose memory is
longer, 200); health is averaged over the last 40 and over the seeds, and +- is one standard error over the seeds.
TMFQ: T0 updates at each step, of which the visits count on with the given decay. GMBL: n draws of each pair at each
step. Then: where IQL and MFQ are after 150 steps from the uniform law with 1,000 agents and 20 seeds, by Q_0 and by the
action that is taken among equal ones.
"""

import argparse
import time

import jax
import numpy as np

import mfgjax as mfg
from mfgjax import learners

jax.config.update("jax_enable_x64", True)

LEARNERS = {
    "TMFQ, T0 = 1e4, decay .98 (default)": learners.TMFQ(),
    "GMBL, n = 1e3 (default)": learners.GMBL(),
    "online TMFQ, 1,000 agents (default)": learners.OnlineTMFQ(),
    "online TMFQ, 1,000 agents, TQ-learning, 1,000 updates": learners.OnlineTMFQ(num_updates=1_000),
    "online TMFQ, 1,000 agents, memory reset": learners.OnlineTMFQ(memory="reset"),
    "TMFQ, T0 = 1e4, decay 0": learners.TMFQ(decay=0),
    "TMFQ, T0 = 1e4, Q_0 again in each population": learners.TMFQ(restart=True),
    "TMFQ, as printed, stop at 1e-4": learners.TMFQ(restart=True, tolerance=1e-4),
    "GMBL, n = 1e2": learners.GMBL(100),
    "GMBL, n = 1e4": learners.GMBL(10_000),
    "TMFQ, T0 = 3e4, decay .98": learners.TMFQ(30_000),
    "TMFQ, T0 = 3e4, decay 0": learners.TMFQ(30_000, decay=0),
    "TMFQ, T0 = 1e5, decay 0": learners.TMFQ(100_000, decay=0),
}


def shown(values: np.ndarray) -> str:
    return f"{values.mean():+7.3f} +- {values.std(ddof=1) / len(values) ** 0.5:.3f}"


def biases(c_f: float, seeds: int, only: str) -> None:
    game, response = mfg.games.infection_spread(c_f), mfg.Trembling(0.2)
    end = mfg.bracket(game, response).least
    exact = float(np.arange(25) @ end.mean_field)
    print(f"c_f = {c_f}: mean health of the equilibrium {exact:.6f}")
    for name, learner in ((name, learner) for name, learner in LEARNERS.items() if only in name):
        steps = 200 if isinstance(learner, learners.OnlineTMFQ) else 80
        start = time.perf_counter()
        run = learners.run(game, response, learner, steps, num_seeds=seeds, initial=end.mean_field)
        bias = run.mean_state[:, -40:].mean(axis=1) - exact
        seconds = time.perf_counter() - start
        print(f"  {name:54} bias {shown(bias)}; {seconds:.0f} s with compilation", flush=True)


def starts(c_f: float) -> None:
    game = mfg.games.infection_spread(c_f)
    print(f"c_f = {c_f}: mean health after 150 steps from the uniform law, 20 seeds")
    for tie in ("smallest", "largest"):
        for q in (0.0, 2.0):
            for name, kind in (("IQL", learners.IQL), ("MFQ", learners.MFQ), ("online TMFQ", learners.OnlineTMFQ)):
                learner = kind(1_000, initial_q=q)
                run = learners.run(game, mfg.Trembling(0.2, tie=tie), learner, 150, num_seeds=20)
                found = shown(run.mean_state[:, -1])
                print(f"  {tie:8} of equal actions, Q_0 = {q:g}: {name:11} {found}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--c-f", type=float, nargs="*", default=[0.3, 0.1, 0.05])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", metavar="TEXT", help="learners whose name has it, such as default")
    options = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, float64, jax {jax.__version__}, {options.seeds} seeds")
    for c_f in options.c_f:
        biases(c_f, options.seeds, options.only)
    starts(options.c_f[-1])


if __name__ == "__main__":
    main()
