"""Infection Spread: its trembling equilibria, the learners of Lee et al., and figures 1 to 6 of their paper."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from .. import games, plot
from ..multiplicity.bracket import Bracket, bracket
from ..responses import Trembling
from .learners import Effort, Learned, ends_row, in_double, learn, write_table

EPSILON = 0.2
COMPARED = (0.05, 0.1, 0.3)  # infection intensities at which all learners run
ALL = (0.05, 0.1, 0.2, 0.3, 0.5)  # at which online TMFQ-learning does
AGENTS = (100, 500, 1_000, 5_000)
# five learners each, two with the other tie rule, and what of `ALL` and `AGENTS` has not run by then
INFECTION_TASKS = 5 * len(COMPARED) + 2 + len(ALL) - len(COMPARED) + len(AGENTS) - 1
WHY_BELOW = (
    "IQL and MFQ: with Q_0 = 0 and positive rewards what an agent tried first looks best, so after a few hundred steps "
    "they depend strongly on the tie rule"
)


@dataclass(frozen=True, eq=False)
class Infection:
    """Infection Spread with its equilibria and all runs of learners.

    Attributes:
      effort: how much was run.
      ends: the equilibria at every infection intensity, from both ends.
      compared: all learners at every intensity of `COMPARED`.
      ties: IQL and MFQ at the first intensity again, with the largest of equally good actions.
      online: online TMFQ-learning at every intensity of `ALL`, by intensity.
      agents: the same with different numbers of agents at the first intensity, by number.
    """

    effort: Effort
    ends: dict[float, Bracket]
    compared: tuple[Learned, ...]
    ties: tuple[Learned, ...]
    online: dict[float, Learned]
    agents: dict[int, Learned]

    def at(self, c_f: float) -> dict[str, Learned]:
        """Return the learners at one infection intensity, by name."""
        return {learned.name: learned for learned in self.compared if learned.setting["c_f"] == c_f}

    def learned(self) -> list[Learned]:
        """Return all runs, once each."""
        online_elsewhere = [learned for c_f, learned in self.online.items() if c_f not in COMPARED]
        return [
            *self.compared,
            *self.ties,
            *online_elsewhere,
            *(learned for n, learned in self.agents.items() if n != self.effort.num_agents),
        ]

    def rows(self) -> list[dict[str, Any]]:
        """Return the table, one dict for each learner and game."""
        return [learned.row() for learned in self.learned()]

    def equilibria(self) -> list[dict[str, Any]]:
        """Return the table of equilibria, one dict for each infection intensity."""
        return [ends_row({"c_f": c_f}, ends) for c_f, ends in self.ends.items()]


@in_double
def infection_spread(effort: Effort | None = None, *, report: Callable[[str], None] = lambda label: None) -> Infection:
    """Bracket the equilibria of Infection Spread, and run the learners of the paper on it.

    TMFQ, GMBL and online TMFQ end near the equilibrium. In independent and mean-field Q-learning every agent learns
    from its own moves alone. With Q_0 = 0 and the smallest of equally good actions they are far below it after 150
    steps, as in the paper's figures 2 and 3; most of that is the tie rule, so both run with the largest, too. Health
    falls with the infection intensity.

    Args:
      effort: seeds, steps and agents; None: those of the paper where it tells them.
      report: called with the name of what begins.

    Source: Lee et al. (2021), arXiv:2006.11683, section 6. Its parameters are in a supplement that is not public; those
    of `games.infection_spread` show the same picture.
    """
    effort = Effort() if effort is None else effort
    response = Trembling(EPSILON)
    built = {c_f: games.infection_spread(c_f) for c_f in ALL}
    ends = {c_f: bracket(game, response) for c_f, game in built.items()}
    compared: list[Learned] = []
    for c_f in COMPARED:
        compared += learn(built[c_f], response, ends[c_f], {"c_f": c_f}, effort.methods(), effort, report)
    low = COMPARED[0]
    methods = {f"{name}, largest at ties": effort.methods()[name] for name in ("IQL", "MFQ")}
    ties = learn(built[low], Trembling(EPSILON, tie="largest"), ends[low], {"c_f": low}, methods, effort, report)
    online = {learned.setting["c_f"]: learned for learned in compared if learned.name == "online TMFQ"}
    for c_f in ALL:
        if c_f not in online:  # those of `COMPARED` have run already
            methods = {"online TMFQ": effort.online()}
            (online[c_f],) = learn(built[c_f], response, ends[c_f], {"c_f": c_f}, methods, effort, report)
    first = ALL[0]
    agents = {effort.num_agents: online[first]}
    for n in AGENTS:
        if n not in agents:  # the usual number has run already
            methods = {f"online TMFQ, {n:,} agents": effort.online(n)}
            (agents[n],) = learn(built[first], response, ends[first], {"c_f": first}, methods, effort, report)
    # sorted, as legends follow the order of the dicts
    online, agents = dict(sorted(online.items())), dict(sorted(agents.items()))
    return Infection(effort, ends, tuple(compared), tuple(ties), online, agents)


@in_double
def infection_figures(infection: Infection) -> dict[str, Figure]:
    """Draw the six figures of the paper's section 6, by name.

    Args:
      infection: from `infection_spread`.
    """
    low, middle = COMPARED[:2]
    steps = infection.effort.num_steps
    exact = infection.ends[low].least  # the only equilibrium there

    def runs(c_f: float, *names: str) -> dict[str, Any]:
        return {name: learned.run for name, learned in infection.at(c_f).items() if name in names}

    drawn = {f"fig{i}": Figure(figsize=(6.4, 4.4), layout="constrained") for i in range(1, 7)}
    ax = {name: figure.add_subplot() for name, figure in drawn.items()}
    plot.plot_learned_laws(
        runs(middle, "TMFQ", "GMBL", "online TMFQ"),
        infection.ends[middle].least,
        cumulative=False,
        title=f"populations that learners end in, c_f = {middle:g}",
        ax=ax["fig1"],
    )
    compared = runs(low, "online TMFQ", "IQL", "MFQ") | {learned.name: learned.run for learned in infection.ties}
    plot.plot_learned_laws(compared, exact, title=f"after {steps} steps, c_f = {low:g}", ax=ax["fig2"])
    title = f"mean health while learning, c_f = {low:g}"
    plot.plot_learning(compared, exact, quantity="mean_state", title=title, ax=ax["fig3"])
    plot.plot_learning(
        {f"{n:,} agents": learned.run for n, learned in infection.agents.items()},
        exact,
        title=f"online TMFQ, c_f = {low:g}",
        ax=ax["fig4"],
    )
    online = {f"c_f = {c_f:g}": learned.run for c_f, learned in infection.online.items()}
    ends = [infection.ends[c_f].least for c_f in infection.online]
    plot.plot_learning(online, ends, quantity="mean_state", title="online TMFQ, and equilibria (dotted)", ax=ax["fig5"])
    plot.plot_learned_laws(online, title=f"online TMFQ after {steps} steps", ax=ax["fig6"])
    ax["fig1"].set(yscale="log", ylim=(2e-3, 1))
    for name in ("fig3", "fig5"):
        ax[name].set_ylabel("mean health of the population")
    for name in ("fig2", "fig3"):
        # without it these two figures would mislead: most of the gap is the tie rule
        drawn[name].supxlabel(_why_below(infection), fontsize="small")
    for name in ("fig1", "fig2", "fig6"):
        ax[name].set_xlabel("health s")
    for name in ("fig2", "fig6"):
        ax[name].set_ylabel("share of the population of health ≤ s")
    return drawn


def _why_below(infection: Infection) -> str:
    """Return the caption that explains why IQL and MFQ end below the equilibrium."""
    low, steps = COMPARED[0], infection.effort.num_steps
    health = {name: learned.run.mean_state[:, -1].mean() for name, learned in infection.at(low).items()}
    largest = {learned.name: learned.run.mean_state[:, -1].mean() for learned in infection.ties}
    words = (f"{name} {health[name]:.1f} → {largest[f'{name}, largest at ties']:.1f}" for name in ("IQL", "MFQ"))
    return (
        f"All start from the uniform population with Q₀ = 0. Most of the gap of IQL and MFQ is their tie rule:\n"
        f"mean health after {steps} steps with the smallest → largest of equal actions: {', '.join(words)}"
    )


@in_double
def write_infection(infection: Infection, folder: Path) -> list[str]:
    """Write figures 1 to 6 (PNG), the table (CSV, JSON), the curves (npz) and the settings (JSON).

    Args:
      infection: from `infection_spread`.
      folder: an existing one, without other files.

    Returns:
      The names of the files.
    """
    for name, figure in infection_figures(infection).items():
        figure.savefig(folder / f"{name}.png", dpi=150)
    response = Trembling(EPSILON)
    write_table(
        folder, "reproduce infection-spread", infection.effort, response, infection.learned(), infection.equilibria()
    )
    return sorted(path.name for path in folder.iterdir())
