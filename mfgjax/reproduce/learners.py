"""Runs of learners beside the equilibria that they look for; both stationary examples use them."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes

from .. import learners
from .._version import __version__
from ..io import describe
from ..learners import AbstractLearner, Run
from ..model import StationaryGame
from ..multiplicity.bracket import Bracket
from ..responses import Trembling

NUM_AGENTS = 1_000
NUM_STEPS = 150  # as in figures 2 and 3 of the paper
NUM_SEEDS = 20
SEED = 0
P = ParamSpec("P")  # decorated functions keep their types
T = TypeVar("T")


def in_double(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function in double precision, whatever JAX is set to."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.enable_x64(True):  # for this call alone: the session keeps its precision
            return function(*args, **kwargs)

    return run


class Learned(NamedTuple):
    """One learner in one game, with all its seeds.

    Attributes:
      setting: what differs between games, such as {"c_f": 0.1}.
      name: of the learner, for people.
      learner: the method.
      run: what it went through.
      bracket: the equilibria of the game.
    """

    setting: dict[str, float]
    name: str
    learner: AbstractLearner
    run: Run
    bracket: Bracket

    def row(self) -> dict[str, Any]:
        """Return its line of the table: the population at the end, means and deviations over the seeds."""
        least, greatest = (self.run.distance(end)[:, -1] for end in (self.bracket.least, self.bracket.greatest))
        # where there are two equilibria, errors are those to the one that was approached
        nearest = self.bracket.least if least.mean() <= greatest.mean() else self.bracket.greatest
        states, error = self.run.mean_state[:, -1], self.run.policy_error(nearest)
        return {
            **self.setting,
            "learner": self.name,
            "num_seeds": len(states),
            "num_steps": self.run.num_steps,
            **moments("mean_state", states),
            **moments("distance_to_least", least),
            **moments("distance_to_greatest", greatest),
            **moments("policy_error", error),
        }


def moments(name: str, values: np.ndarray) -> dict[str, float]:
    """Return mean and deviation of numbers, one for each seed, under a name."""
    return {name: float(values.mean()), f"{name}_deviation": float(values.std())}


def draw_ends(ax: Axes, ends: Bracket) -> None:
    """Mark the mean states of the extreme equilibria, one line if they are one."""
    marked = [(ends.least, ":", "least"), (ends.greatest, "-.", "greatest")]
    for end, line, end_name in marked[:1] if ends.coincide else marked:
        label = "equilibrium" if ends.coincide else f"{end_name} equilibrium"
        ax.axhline(float(end.mean_state), color=rcParams["text.color"], linestyle=line, linewidth=1, label=label)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize="small")


@in_double
def ends_row(setting: dict[str, float], ends: Bracket) -> dict[str, Any]:
    """Return the extreme equilibria of a game as a line of a table that JSON can hold."""
    return {
        **setting,
        "least_mean_state": float(ends.least.mean_state),
        "greatest_mean_state": float(ends.greatest.mean_state),
        "distance": ends.distance,
        "coincide": ends.coincide,
        "certificate": ends.certificate,
    }


@dataclass(frozen=True)
class Effort:
    """Numbers of seeds, steps and agents; T₀ of TMFQ-learning and n of GMBL are the library's defaults.

    Attributes:
      num_seeds: runs of each learner.
      num_steps: steps of the population in each.
      num_agents: agents of online TMFQ-learning, IQL and MFQ.
    """

    num_seeds: int = NUM_SEEDS
    num_steps: int = NUM_STEPS
    num_agents: int = NUM_AGENTS

    def methods(self) -> dict[str, AbstractLearner]:
        """Return the five learners that the paper compares, with the library's settings."""
        return {
            "TMFQ": learners.TMFQ(),
            "GMBL": learners.GMBL(),
            "online TMFQ": self.online(),
            "IQL": learners.IQL(self.num_agents),
            "MFQ": learners.MFQ(self.num_agents),
        }

    def online(self, num_agents: int | None = None) -> learners.OnlineTMFQ:
        """Return online TMFQ-learning, with another number of agents if one is given."""
        return learners.OnlineTMFQ(self.num_agents if num_agents is None else num_agents)


def learn(
    game: StationaryGame,
    response: Trembling,
    bracket: Bracket,
    setting: dict[str, float],
    methods: Mapping[str, AbstractLearner],
    effort: Effort,
    report: Callable[[str], None],
) -> list[Learned]:
    """Run learners in one game, from the uniform population and action values of 0."""
    words = ", ".join(f"{name} = {value:g}" for name, value in setting.items())
    all_learned = []
    for name, learner in methods.items():
        report(f"{name}, {words}")
        run = learners.run(game, response, learner, effort.num_steps, seed=SEED, num_seeds=effort.num_seeds)
        all_learned.append(Learned(setting, name, learner, run, bracket))
    return all_learned


def write_table(
    folder: Path,
    command: str,
    effort: Effort,
    response: Trembling,
    runs: Sequence[Learned],
    equilibria: list[dict[str, Any]],
) -> None:
    """Write the table (CSV, JSON), the curves of all runs (npz) and the settings (JSON)."""
    rows = [learned.row() for learned in runs]
    _write_json(folder / "table.json", {"equilibria": equilibria, "rows": rows})
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:  # `csv` writes line ends itself
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    settings = [{**learned.setting, "name": learned.name, "learner": describe(learned.learner)} for learned in runs]
    _write_json(
        folder / "config.json",
        {
            "command": command,
            "mfgjax_version": __version__,
            "jax_version": jax.__version__,
            "response": describe(response),
            "seed": SEED,
            **vars(effort),
            "runs": settings,
        },
    )
    # numbered as in config.json: names of learners occur in several games
    laws: dict[str, Any] = {f"run_{i}": learned.run.laws for i, learned in enumerate(runs)}
    np.savez_compressed(folder / "laws.npz", **laws)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    # NaN is no JSON: better an error than a file that few can read
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
