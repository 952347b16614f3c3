"""The market for small tasks: its two equilibria, the jumps between them, and runs of learners."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .. import games, plot
from ..multiplicity.bracket import Bracket, bracket
from ..multiplicity.hysteresis import Hysteresis, hysteresis
from ..responses import Trembling
from .learners import Effort, Learned, draw_ends, ends_row, in_double, learn, write_table

EPSILON = 0.1
COST = 0.164  # where the market has two equilibria
COSTS = np.linspace(0.1, 0.25, 61)
MARKET_TASKS = 2 + 5  # the two steps that `mturk` reports itself, and five learners


@dataclass(frozen=True, eq=False)
class Market:
    """The market with its equilibria, its path along the price of effort, and all runs of learners.

    Attributes:
      effort: how much was run.
      cost: the price of full effort at which it was.
      ends: the least and the greatest equilibrium there.
      path: the population that is led there and back along the price of effort.
      compared: all learners at `cost`.
    """

    effort: Effort
    cost: float
    ends: Bracket
    path: Hysteresis
    compared: tuple[Learned, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return the table, one dict for each learner."""
        return [learned.row() for learned in self.compared]

    @in_double
    def equilibria(self) -> list[dict[str, Any]]:
        """Return one dict, which JSON can hold, with both equilibria and the prices at which the population jumps."""
        apart = self.path.apart()
        path_facts = {
            "several_equilibria_between": [float(apart.min()), float(apart.max())],
            "jumps": {way: [list(pair) for pair in pairs] for way, pairs in self.path.jumps().items()},
        }
        return [{**ends_row({"effort_cost": self.cost}, self.ends), **path_facts}]


@in_double
def mturk(effort: Effort | None = None, *, report: Callable[[str], None] = lambda label: None) -> Market:
    """Find both equilibria of the market, follow it as the price of effort rises and falls, and run learners on it.

    All that work well lift each other's pay; so there is an equilibrium of much effort and one of little, and the price
    at which a good market breaks down is higher than that at which a bad one recovers.

    Args:
      effort: seeds, steps and agents; None: 20 seeds, 150 steps, 1,000 agents.
      report: called with the name of what begins.

    Source: a model of our own for the example that Lee et al. (2021), arXiv:2006.11683, describe in section 2.
    """
    effort = Effort() if effort is None else effort
    game, response = games.mturk(COST), Trembling(EPSILON)
    report("both equilibria")
    ends = bracket(game, response)
    report("the price of effort, there and back")
    path = hysteresis(game, response, "reward.effort_cost", COSTS)
    compared = learn(game, response, ends, {"effort_cost": COST}, effort.methods(), effort, report)
    return Market(effort, COST, ends, path, tuple(compared))


@in_double
def market_figures(market: Market) -> dict[str, Figure]:
    """Draw the equilibria, the jumps, and the learners, by name.

    Args:
      market: from `mturk`.
    """
    drawn = {
        name: Figure(figsize=(6.4, 4.4), layout="constrained") for name in ("equilibria", "hysteresis", "learners")
    }
    first, second, third = (figure.add_subplot() for figure in drawn.values())
    plot.plot_bracket(market.ends, ax=first)
    first.set_xlabel("reputation s")
    first.set_ylabel("share of the population with reputation ≥ s")
    plot.plot_hysteresis(market.path, label="price of full effort d (units of reward)", ax=second)
    second.set_ylabel("mean reputation of the equilibrium")
    plot.plot_learning({learned.name: learned.run for learned in market.compared}, quantity="mean_state", ax=third)
    draw_ends(third, market.ends)
    third.set_ylabel("mean reputation of the population")
    third.set_title(f"d = {market.cost:g}, from the uniform population, Q₀ = 0, smallest action at ties")
    return drawn


@in_double
def write_market(market: Market, folder: Path) -> list[str]:
    """Write figures (PNG), the table (CSV, JSON), the curves (npz) and the settings (JSON).

    Args:
      market: from `mturk`.
      folder: an existing one, without other files.

    Returns:
      The names of the files.
    """
    for name, figure in market_figures(market).items():
        figure.savefig(folder / f"{name}.png", dpi=150)
    write_table(folder, "reproduce mturk", market.effort, Trembling(EPSILON), market.compared, market.equilibria())
    return sorted(path.name for path in folder.iterdir())
