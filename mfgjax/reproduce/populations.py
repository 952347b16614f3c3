"""Gains of one agent among N that leaves an equilibrium of the example, and figure 3 of Guan et al."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from .. import games, plot
from ..finite import DeviationGain, deviation_gain
from ..model import FiniteHorizonGame
from ..plot.finite import fitted_slope
from ..responses import EntropyRegularized
from ..solve import solve

BETAS = (1.0, 3.0)
IN_THE_PAPER = (2, 5, 10, 20, 50, 75, 100)
# powers of 2, too: evenly spaced on a log axis, for the fit between `FIT`
NUMBERS = tuple(sorted({*IN_THE_PAPER, *(2**k for k in range(6, 15))}))
FIT = (64, 16_384)
SAMPLED = (2, 5, 10, 20, 50, 100)
NUM_SAMPLES = 100_000
SEED = 0

_KL, _REWARDS = "with KL terms", "in rewards alone"


class Gains(NamedTuple):
    """The gains from leaving one equilibrium, for each number of agents.

    Attributes:
      beta: its inverse temperature.
      regularised: gains in the criterion with KL terms.
      rewards: gains in rewards alone.
      sampled: the former, estimated by Monte Carlo.
    """

    beta: float
    regularised: DeviationGain
    rewards: DeviationGain
    sampled: DeviationGain

    def rows(self) -> list[dict[str, Any]]:
        """Return the table, one dict for each number of agents."""
        kl, alone, drawn = self.regularised, self.rewards, self.sampled
        # there are draws for some of the numbers only
        place = {int(n): i for i, n in enumerate(np.asarray(drawn.num_agents))}
        rows = []
        for i, n in enumerate(np.asarray(kl.num_agents).tolist()):  # whole numbers of Python, which JSON can hold
            j = place.get(n)
            rows.append(
                {
                    "beta": self.beta,
                    "num_agents": n,
                    "method": kl.method,
                    "gain_regularised": float(kl.gain[i]),
                    "bound_regularised": float(kl.bound[i]),
                    "value_regularised": float(kl.value[i]),
                    "gain": float(alone.gain[i]),
                    "bound": float(alone.bound[i]),
                    "value": float(alone.value[i]),
                    "value_gap": float(kl.value_gap[i]),  # KL terms cancel
                    "sampled_gain_regularised": None if j is None else float(drawn.gain[j]),
                    "sampled_gain_error": None if j is None else float(drawn.gain_error[j]),
                    "sampled_value_gap": None if j is None else float(drawn.value_gap[j]),
                    "sampled_value_gap_error": None if j is None else float(drawn.value_error[j]),
                }
            )
        return rows

    def slopes(self, fit: tuple[float, float] = FIT) -> dict[str, float]:
        """Fit exponents of N to gains, bounds and gaps of values, and return them with the limit of the gain."""
        # the gain among infinitely many agents
        numbers, limit = self.regularised.num_agents, float(self.rewards.exploitability)
        measures = {
            "gain_regularised": self.regularised.gain,
            "bound_regularised": self.regularised.bound,
            "value_gap": self.regularised.value_gap,
            # without KL terms the gain does not tend to 0, so that only the difference has a slope
            "gain_less_its_limit": abs(np.asarray(self.rewards.gain) - limit),
        }
        exponents = {name: fitted_slope(numbers, measure, *fit) for name, measure in measures.items()}
        return {"beta": self.beta, **exponents, "gain_limit": limit}


@dataclass(frozen=True, eq=False)
class Populations:
    """The equilibria of the example among finitely many agents."""

    preset: str
    game: FiniteHorizonGame
    gains: tuple[Gains, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return the table, one dict for each β and number of agents."""
        return [row for gains in self.gains for row in gains.rows()]

    def slopes(self) -> list[dict[str, float]]:
        """Return the fitted slopes, one dict for each β."""
        return [gains.slopes() for gains in self.gains]


def populations(
    preset: str = "paper",
    *,
    numbers: Sequence[int] = NUMBERS,
    sampled: Sequence[int] = SAMPLED,
    num_samples: int = NUM_SAMPLES,
    report: Callable[[str], None] = lambda label: None,
) -> Populations:
    """Compute the gain of one agent among N from leaving the equilibria at β = 1 and 3.

    The gain is exact (Θ is quadratic: mean and variance suffice), with KL terms and without. With them it goes
    down like 1/N², and the value of N agents approaches that of infinitely many like 1/N, faster than the 1/√N
    of Theorem 2. Without them it tends to what the equilibrium leaves to gain among infinitely many agents: the price
    of the regularisation.

    Args:
      preset: "paper" or "author-code", as in `games.resource_allocation`.
      numbers: of agents.
      sampled: numbers of agents for which there are estimates by Monte Carlo, too.
      num_samples: draws for each of these.
      report: called with the name of what begins.

    Source: Guan et al. (2021), arXiv:2110.07469, Theorem 2 and Fig. 3.
    """
    game = games.resource_allocation(preset)
    reference = games.resource_allocation_reference(game)
    all_gains = []
    # draws of different β are independent
    for beta, key in zip(BETAS, jax.random.split(jax.random.key(SEED), len(BETAS)), strict=True):
        report(f"β = {beta:g}, among N")
        response = EntropyRegularized(beta, reference)
        policy = solve(game, response).policy  # which raises if it does not converge
        # estimates that do not share the exact method
        by_chance = dict(key=key, num_samples=num_samples, method="Monte Carlo")
        all_gains.append(
            Gains(
                beta,
                deviation_gain(game, policy, np.array(numbers), response),
                deviation_gain(game, policy, np.array(numbers)),
                deviation_gain(game, policy, np.array(sampled), response, **by_chance),
            )
        )
    return Populations(preset, game, tuple(all_gains))


def figure_gain(populations: Populations) -> Figure:
    """Draw the gains against the number of agents, on log axes (Fig. 3 of the paper).

    Args:
      populations: from the function of that name.
    """
    figure = Figure(figsize=(10, 6.6), layout="constrained")
    axes = figure.subplots(1, len(populations.gains), sharey=True)
    for letter, ax, gains in zip("ab", axes, populations.gains, strict=True):
        plot.plot_gain(
            {_KL: gains.regularised, _REWARDS: gains.rewards},
            sampled={_KL: gains.sampled},
            fit=FIT,
            title=f"({letter}) β = {gains.beta:g}",
            ax=ax,
        )
        legend = ax.get_legend()
        legend.set_loc("upper center")
        legend.set_bbox_to_anchor((0.5, -0.13), transform=ax.transAxes)
    axes[1].set_ylabel("")
    # both panels have one axis, which must show what is in either
    limits = np.array([ax.dataLim.intervaly for ax in axes])
    axes[0].set_ylim(limits[:, 0].min() / 3, limits[:, 1].max() * 4)
    return figure


def write_gain(populations: Populations, folder: Path) -> list[str]:
    """Write figure 3 (PNG) and its numbers (CSV, JSON).

    Args:
      populations: from the function of that name.
      folder: an existing one.

    Returns:
      The names of the files.
    """
    figure_gain(populations).savefig(folder / "fig3.png", dpi=150)
    rows = populations.rows()
    content = {
        "preset": populations.preset,
        "fitted_between": list(FIT),
        "slopes": populations.slopes(),
        "rows": rows,
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "fig3.json").write_text(text + "\n", encoding="utf-8")
    with (folder / "fig3.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return ["fig3.csv", "fig3.json", "fig3.png"]
