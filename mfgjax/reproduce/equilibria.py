"""Equilibria of the resource-allocation game, and figures 1 and 2 of Guan et al."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from .. import games, plot
from .._compiled import compiled
from .._result import RESULTS
from .._typing import Array, Float
from .._version import __version__
from ..equilibrium import Equilibrium
from ..io import describe, save_equilibrium
from ..model import FiniteHorizonGame, exploitability, mean_field_map, propagate
from ..responses import AbstractResponse, EntropyRegularized, Greedy
from ..solve import solve
from ..solvers import AbstractSolver, Auto, Picard

NUM_RUNS = 7  # of `runs`: the progress line asks before a game is built


class Run(NamedTuple):
    """A response and a solver to run, one line of the table.

    Attributes:
      key: names its file.
      label: names it for people.
      response: how agents act; None: they follow the reference policy whatever it earns.
      solver: the method; None where nothing is solved.
    """

    key: str
    label: str
    response: AbstractResponse | None
    solver: AbstractSolver | None


class Outcome(NamedTuple):
    """The result of one run.

    Attributes:
      run: what was asked for.
      equilibrium: what `solve` returned; None for the reference policy alone.
      flow: law of the nodes at every time, `[H+1, S]`; that of the best iterate where nothing converged.
      cycle: terminal laws that the iteration visits in turn; empty if it does not cycle.
      exploitability: gain from leaving the policy, without KL terms, in units of reward.
      value: what an agent expects to earn, μ_0·V_0; None for the reference policy and where nothing converged.
    """

    run: Run
    equilibrium: Equilibrium | None
    flow: Float[Array, "T S"]
    cycle: list[Float[Array, " S"]]
    exploitability: float
    value: float | None

    def row(self, game: FiniteHorizonGame) -> dict[str, Any]:
        """Return the line of the table with values that JSON can hold."""
        equilibrium, beta = self.equilibrium, getattr(self.run.response, "beta", None)  # `Greedy` has no β
        regularised = None if equilibrium is None or beta is None else float(equilibrium.exploitability)
        return {
            "run": self.run.key,
            "label": self.run.label,
            "beta": None if beta is None else float(beta),
            "solver": None if self.run.solver is None else type(self.run.solver).__name__,
            "result": None if equilibrium is None else equilibrium.result.name,
            "period": None if equilibrium is None else int(equilibrium.result.period),
            "message": None if equilibrium is None else equilibrium.result.message,
            "criterion": None if equilibrium is None else equilibrium.criterion,
            "residual": None if equilibrium is None else float(equilibrium.residual),
            "exploitability_regularised": regularised,
            "exploitability": self.exploitability,
            "value": self.value,
            "num_steps": None if equilibrium is None else int(equilibrium.num_steps),
            "terminal_law": _named(game, self.flow[-1]),
            "cycle": [_named(game, law) for law in self.cycle],
        }


@dataclass(frozen=True, eq=False)
class Reproduction:
    """The resource-allocation game with the outcomes of all runs; `reproduction[key]` is one of them."""

    preset: str
    game: FiniteHorizonGame
    outcomes: tuple[Outcome, ...]

    def __getitem__(self, key: str) -> Outcome:
        return next(outcome for outcome in self.outcomes if outcome.run.key == key)

    def rows(self) -> list[dict[str, Any]]:
        """Return the table, one dict a run."""
        return [outcome.row(self.game) for outcome in self.outcomes]


def _named(game: FiniteHorizonGame, law: Array) -> dict[str, float]:
    # `json` knows no numbers of NumPy or JAX
    return {label: float(mass) for label, mass in zip(game.state_labels, law, strict=True)}


def runs(reference: Float[Array, "S A"]) -> list[Run]:
    """Return the runs of section V, each with its response and solver.

    Args:
      reference: the coordinator's policy ρ.
    """

    def soft(beta: float) -> EntropyRegularized:
        return EntropyRegularized(beta, reference)

    return [
        Run("reference", "reference policy alone", None, None),
        Run("greedy_plain", "β = ∞, plain iteration", Greedy(), Picard()),
        # averaging all iterates alike is fictitious play
        Run("greedy", "β = ∞, fictitious play", Greedy(), Picard(averaging="uniform")),
        Run("beta_3_plain", "β = 3, plain iteration", soft(3.0), Picard()),
        Run("beta_3", "β = 3", soft(3.0), Auto()),
        Run("beta_1", "β = 1", soft(1.0), Auto()),
        Run("beta_0.1", "β = 0.1", soft(0.1), Auto()),
    ]


def resource_allocation(preset: str = "paper", *, report: Callable[[str], None] = lambda label: None) -> Reproduction:
    """Solve the resource-allocation game in every way that section V describes.

    Without regularisation the plain iteration sends everybody to node 3, then to node 4, and so on; so it
    does, less sharply, at β = 3, where the equilibrium of Fig. 2 exists all the same and other methods find
    it. With small β agents follow the coordinator's policy.

    Args:
      preset: "paper" or "author-code", as in `games.resource_allocation`.
      report: called with the label of each run before it starts.

    Source: Guan et al. (2021), arXiv:2110.07469, section V.
    """
    game = games.resource_allocation(preset)
    reference = games.resource_allocation_reference(game)
    outcomes = []
    for run in runs(reference):
        report(run.label)
        outcomes.append(_outcome(game, run, reference))
    return Reproduction(preset, game, tuple(outcomes))


_gain = compiled(exploitability)  # compiled once for all runs


def _outcome(game: FiniteHorizonGame, run: Run, reference: Array) -> Outcome:
    if run.response is None:
        policy = jnp.broadcast_to(reference, (game.horizon + 1, *reference.shape))
        return Outcome(run, None, propagate(game, policy), [], float(_gain(game, policy)), None)
    equilibrium = solve(game, run.response, run.solver, throw=False)  # plain iteration is there to show how it fails
    # values of an iterate that is no equilibrium mean nothing
    value = float((game.initial * equilibrium.values[0]).sum()) if bool(equilibrium.converged) else None
    gained = float(_gain(game, equilibrium.policy))
    return Outcome(
        run, equilibrium, equilibrium.state_law, terminal_cycle(game, run.response, equilibrium), gained, value
    )


def terminal_cycle(
    game: FiniteHorizonGame, response: AbstractResponse, equilibrium: Equilibrium
) -> list[Float[Array, " S"]]:
    """Return the terminal laws that plain iteration visits in turn; none if it did not end in a cycle.

    `solve` returns the best iterate, which need not lie on the cycle; the iteration is run again from there.

    Args:
      game: the game.
      response: what the plain iteration was run with.
      equilibrium: what it returned.
    """
    if int(equilibrium.result.code) != RESULTS.cycle:
        return []
    gamma, mean_field, laws = jax.jit(mean_field_map(game, response)), equilibrium.mean_field, []
    period = int(equilibrium.result.period)
    for _ in range(int(equilibrium.num_steps) + period):  # the first run needed no more to reach the cycle
        mean_field = gamma(mean_field)
        laws.append(mean_field[-1])
    return laws[-period:]  # the last round: earlier steps may still approach the cycle


def figure_graph(reproduction: Reproduction) -> Figure:
    """Draw the graph with the crowd on it, at the beginning and at the end of β = 3 (Fig. 1 of the paper).

    Args:
      reproduction: from `resource_allocation`.
    """
    game, equilibrium = reproduction.game, reproduction["beta_3"].equilibrium
    assert equilibrium is not None  # for the type checker: this run solves
    # not by pyplot, which would keep it in memory and may open a window
    figure = Figure(figsize=(10, 5.2), layout="constrained")
    first, last = figure.subplots(1, 2)
    law = equilibrium.state_law
    plot.plot_graph(game, law[0], policy=equilibrium.policy[0], title="t = 0, and the first moves at β = 3", ax=first)
    plot.plot_graph(game, law[-1], title=f"t = {game.horizon}, at β = 3", ax=last)
    return figure


def figure_flow(reproduction: Reproduction) -> Figure:
    """Draw the population over time for β = 3 and β = 0.1 (Fig. 2 of the paper).

    Args:
      reproduction: from `resource_allocation`.
    """
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for ax, key, title in ((left, "beta_3", "(a) β = 3"), (right, "beta_0.1", "(b) β = 0.1")):
        # both panels have the same nodes: one legend serves
        plot.plot_flow(reproduction.game, reproduction[key].flow, kind="bars", title=title, legend=ax is right, ax=ax)
    right.set_ylabel("")
    return figure


def figure_residuals(reproduction: Reproduction) -> Figure:
    """Draw the residuals of the two ways to solve β = 3, of which one cycles.

    Args:
      reproduction: from `resource_allocation`.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    plain, default = reproduction["beta_3_plain"].equilibrium, reproduction["beta_3"].equilibrium
    assert plain is not None and default is not None  # likewise
    shown = {"plain iteration": plain, "Auto": default}
    plot.plot_residuals(shown, title="β = 3", ax=figure.add_subplot())
    return figure


def write(reproduction: Reproduction, folder: Path) -> list[str]:
    """Write figures (PNG), equilibria (netCDF), the table (CSV, JSON) and the settings (JSON).

    Args:
      reproduction: from `resource_allocation`.
      folder: an existing one, without other files.

    Returns:
      The names of the files.
    """
    game, rows = reproduction.game, reproduction.rows()
    figure_graph(reproduction).savefig(folder / "fig1.png", dpi=150)
    figure_flow(reproduction).savefig(folder / "fig2.png", dpi=150)
    figure_residuals(reproduction).savefig(folder / "residuals.png", dpi=150)
    for run, equilibrium, *_ in reproduction.outcomes:
        if equilibrium is not None:
            path = folder / f"{run.key}.nc"
            note = {"game": f"resource_allocation(preset={reproduction.preset!r})", "run": run.label}
            save_equilibrium(path, game, equilibrium, response=run.response, solver=run.solver, attrs=note)
    config = {
        "command": "reproduce resource-allocation",
        "preset": reproduction.preset,
        "mfgjax_version": __version__,
        "jax_version": jax.__version__,
        "dtype": str(game.dtype),
        "initial": np.asarray(game.initial).tolist(),
        "horizon": game.horizon,
        "discount": float(game.discount),
        "runs": [
            {"run": o.run.key, "response": describe(o.run.response), "solver": describe(o.run.solver)}
            for o in reproduction.outcomes
        ],
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    # NaN is no JSON: better an error than a file that few can read
    text = json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "table.json").write_text(text + "\n", encoding="utf-8")
    # `csv` writes line ends itself; labels hold β whatever the locale
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        flat = [_flat(row) for row in rows]
        writer = csv.DictWriter(file, fieldnames=list(flat[0]))
        writer.writeheader()
        writer.writerows(flat)
    return sorted(path.name for path in folder.iterdir())


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with one column a node; a cycle's laws are in one column, as JSON."""
    plain = {key: value for key, value in row.items() if key not in ("terminal_law", "cycle", "message")}
    laws = {f"terminal_law_{node}": mass for node, mass in row["terminal_law"].items()}
    return {**plain, **laws, "cycle": json.dumps(row["cycle"]) if row["cycle"] else None}
