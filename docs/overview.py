"""Draw the picture at the head of the README: `python docs/overview.py`."""

from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

import mfgjax as mfg

jax.config.update("jax_enable_x64", True)


def main() -> None:
    figure = plt.figure(figsize=(12.6, 6.6), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.0, 0.86])
    left, middle, right = upper.subplots(1, 3)

    game = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(game)
    ds = mfg.sweep(game, beta=np.geomspace(0.05, 50, 256), reference=[rho], outputs=["terminal_law"])
    law = ds.terminal_law.squeeze("reference")
    for node, line, colour in ((3, "-", "#4477AA"), (4, "--", "#EE6677"), (5, "-.", "#228833")):
        left.plot(ds.beta, law.sel(state=node), line, color=colour, linewidth=2, label=f"node {node}")
    left.set(xscale="log", xlabel="inverse temperature β (1/reward)", ylabel="share of the population at the end")
    left.set_title("256 equilibria in one call")
    left.legend(fontsize=9, loc="center left")
    left.grid(True, alpha=0.3)

    response = mfg.EntropyRegularized(3.0, rho)
    policy = mfg.solve(game, response).policy
    gain = mfg.finite.deviation_gain(game, policy, np.unique(np.geomspace(2, 1000, 24).astype(int)), response)
    mfg.plot.plot_gain(gain, title="what one of N agents gains", ax=middle)
    legend = middle.get_legend()
    legend.set_loc("upper right")
    legend.set_bbox_to_anchor((1, 1), transform=middle.transAxes)
    middle.set_ylim(top=1e4)

    path = mfg.hysteresis(mfg.games.mturk(), mfg.Trembling(0.1), "reward.effort_cost", np.linspace(0.1, 0.25, 61))
    mfg.plot.plot_hysteresis(path, label="price of effort", title="a market breaks down, and recovers", ax=right)
    right.set_ylabel("mean reputation of the equilibrium")
    right.legend(fontsize=9, loc="center")

    grid = mfg.games.grid_crowd(rows=14, columns=20, horizon=40, obstacles=0.15)
    walk = mfg.solve(grid, mfg.EntropyRegularized(beta=30.0))
    first, second = lower.subplots(1, 2, gridspec_kw=dict(wspace=0.06))
    mfg.plot.plot_graph(game, mfg.solve(game, response), time=[0, 2], title="who moves where, and how many", ax=first)
    mfg.plot.plot_flow(grid, walk, title="a crowd on its way to the lower right corner", ax=second)
    figure.savefig(Path(__file__).parent / "overview.png", dpi=90)


if __name__ == "__main__":
    main()
