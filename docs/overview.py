"""Draw the picture at the head of the README: `python docs/overview.py`."""

from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

import mfgjax as mfg

jax.config.update("jax_enable_x64", True)


def main() -> None:
    figure = Figure(figsize=(12.6, 3.7), layout="constrained")
    left, middle, right = figure.subplots(1, 3)

    game = mfg.games.resource_allocation()
    rho = mfg.games.resource_allocation_reference(game)
    ds = mfg.sweep(game, beta=np.geomspace(0.05, 50, 256), reference=[rho], outputs=["terminal_law"])
    for node, line in ((3, "-"), (4, "--"), (5, ":")):
        left.plot(ds.beta, ds.terminal_law.sel(state=node).squeeze(), line, linewidth=2, label=f"node {node}")
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
    figure.savefig(Path(__file__).parent / "overview.png", dpi=90)


if __name__ == "__main__":
    main()
