"""The command `solve`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

import mfgjax as mfg

from .._progress import progress_line
from . import catalogue
from .behaviour import behaviour_of, compiled, response_of, solver_of
from .command import Report, SavingCommand
from .options import GameAndResponse, Method
from .output import Files, finite, staged
from .tables import by_state

if TYPE_CHECKING:
    from ..games import GameFile

_MOST_NODES = 40  # more do not fit on a picture


@dataclass(frozen=True, kw_only=True)
class Solve(SavingCommand, Method, GameAndResponse):
    """Find an equilibrium of one game.

    Prints where the agents end, the reward that they expect, and how far the result is from an equilibrium. Responses:
    entropy maximises reward minus a KL cost of leaving the reference policy; boltzmann is a softmax of action values,
    which assume the best actions later; greedy takes a best action. trembling and epsilon-greedy take another action
    with probability epsilon: values of trembling account for this, those of epsilon-greedy do not.

    Examples:
      mfgjax solve resource-allocation --beta 3
      mfgjax solve ring-crowd --beta 20 --set num_states=50 --out results
      mfgjax solve infection-spread --response trembling --epsilon 0.2
      mfgjax solve left-right --response greedy --solver picard --averaging uniform

    Args:
      damping: Step size in (0, 1], of some methods; 1: full steps.
      out: Save equilibrium.nc, a picture of the flow (or the stationary law) and, on a graph, of the graph.
    """

    damping: float | None = None
    out: Path | None = None

    def find(self) -> Report:
        """Solve the game."""
        method = solver_of(self, self.damping)
        loaded = catalogue.load(self.game, self.settings)
        response = response_of(self, loaded)
        with staged(self.out) as files, progress_line() as begin:
            begin(f"solving {loaded.name}")
            # not `throw`: what was found is printed and saved all the same, with exit status 1
            found = mfg.solve(loaded.game, response, method, max_steps=self.max_steps, throw=False)
            # in rewards alone; `found.exploitability` is in the criterion of the response
            gain = float(compiled(mfg.exploitability)(loaded.game, found.policy))
            if files:
                self._save(files, loaded, response, method, found)
        content = self._content(loaded, method, found, gain) | {"files": files.saved}
        page = self._page(loaded, found, gain)
        return self.report(content, page, None if bool(found.converged) else found.result.message)

    def _save(self, files: Files, loaded: GameFile, response: Any, method: Any, found: mfg.Equilibrium) -> None:
        game, title = loaded.game, f"{loaded.name}, {behaviour_of(self)}"
        note = {"game": loaded.name, "description": loaded.description, "request": self.request}
        path = files / "equilibrium.nc"
        mfg.io.save_equilibrium(path, game, found, response=response, solver=method, attrs=note)
        if not game.times:
            files.picture("law.png", mfg.plot.plot_stationary(game, found, title=title))
        else:
            files.picture("flow.png", mfg.plot.plot_flow(game, found, title=title))
        if isinstance(game.kernel, mfg.MovesKernel) and game.num_states <= _MOST_NODES:
            files.picture("graph.png", mfg.plot.plot_graph(game, found, positions=loaded.positions, title=title))

    def _content(self, loaded: GameFile, method: Any, found: mfg.Equilibrium, gain: float) -> dict[str, Any]:
        game, own = loaded.game, finite(found.exploitability)
        return self.about(
            loaded,
            **({"horizon": game.horizon} if game.times else {"discount": float(game.discount)}),
            solver=type(method).__name__,
            converged=bool(found.converged),
            result=found.result.name,
            message=found.result.message,
            criterion=found.criterion,
            residual=finite(found.residual),
            tolerance=finite(found.tolerance),
            error_estimate=finite(found.error_estimate),
            exploitability=finite(gain),
            exploitability_regularised=own if self.response == "entropy" else None,
            exploitability_trembling=own if self.response == "trembling" else None,
            num_steps=int(found.num_steps),
            **(_of_flow if game.times else _of_law)(game, found),
        )

    def _page(self, loaded: GameFile, found: mfg.Equilibrium, gain: float) -> Iterator[Table | str]:
        game = loaded.game
        title = f"{loaded.name} ({behaviour_of(self)}, solver {self.solver})"
        yield from (_table_of_flow if game.times else _table_of_law)(game, found, title)
        yield f"result          {found.result.name} in {int(found.num_steps)} steps"
        if found.criterion == "residual":
            yield f"residual        {float(found.residual):.2e} (tolerance {float(found.tolerance):.0e})"
        if not game.times and game.has_numbered_states:
            yield f"mean state      {float(found.mean_state):.6f}"
        anywhere = f"somewhere in the population, discounted by {float(game.discount):g} a step"
        where = "at the start" if game.times else anywhere
        yield f"value           {_value(game, found):.6f} (of an agent {where}, in units of reward)"
        yield from self._exploitability(gain, float(found.exploitability))
        if self.out and isinstance(game.kernel, mfg.MovesKernel) and game.num_states > _MOST_NODES:
            yield f"not drawn       the graph: {game.num_states} nodes are more than {_MOST_NODES}"

    def _exploitability(self, gain: float, own: float) -> Iterator[str]:
        """Say what leaving the policy gains, in rewards alone and in what the response maximises."""
        unit = "(in units of reward)"
        if self.response == "trembling":
            yield f"exploitability  {own:.2e} among policies with the same ε {unit}"
            yield f"                {gain:.2e} among all policies"
        elif self.response == "epsilon-greedy":
            yield f"exploitability  {gain:.2e} among all policies {unit}"
        else:
            yield f"exploitability  {gain:.2e} without regularisation {unit}"
        if self.response == "entropy":
            yield f"                {own:.2e} with regularisation"


def _value(game: Any, found: mfg.Equilibrium) -> float:
    """Return the mean value of an agent at the start, or in a stationary game of an agent in the population."""
    law = game.agent_start(game.timed(found.mean_field))
    return float((law * game.timed(found.values)[0]).sum())


def _of_flow(game: mfg.FiniteHorizonGame, found: mfg.Equilibrium) -> dict[str, Any]:
    """Return the law at the end, the values and the mean value of an equilibrium over time, for JSON."""
    names = game.state_labels
    return {
        "terminal_law": {name: finite(mass) for name, mass in zip(names, found.state_law[-1], strict=True)},
        "initial_values": {name: finite(value) for name, value in zip(names, found.values[0], strict=True)},
        "value": finite(_value(game, found)),
    }


def _of_law(game: mfg.StationaryGame, found: mfg.Equilibrium) -> dict[str, Any]:
    """Return the law, actions and values of a stationary equilibrium, for JSON; only numbered states have a mean."""
    names, likeliest = game.state_labels, np.argmax(np.asarray(found.policy), axis=1)
    ends = _ends(game)
    return {
        "law": {name: finite(mass) for name, mass in zip(names, found.state_law, strict=True)},
        "mean_state": finite(found.mean_state) if game.has_numbered_states else None,
        "actions": {name: game.action_labels[a] for name, a in zip(names, likeliest, strict=True)},
        "leads_to": None if ends is None else dict(zip(names, ends[np.arange(len(names)), likeliest], strict=True)),
        "values": {name: finite(value) for name, value in zip(names, found.values, strict=True)},
        "value": finite(_value(game, found)),
    }


def _ends(game: mfg.StationaryGame) -> np.ndarray | None:
    """Return the name of the state that each action leads to, on a graph."""
    if not isinstance(game.kernel, mfg.MovesKernel):
        return None
    from ..io.equilibria import leads_to  # not at the top: xarray is slow to import, and help needs none

    return leads_to(game)


def _table_of_flow(game: mfg.FiniteHorizonGame, found: mfg.Equilibrium, title: str) -> Iterator[Table | str]:
    """Yield the states with most mass at the end."""
    law, values = np.asarray(found.state_law), np.asarray(found.values[0])

    def cells(s: int) -> list[str]:
        return [game.state_labels[s], *(f"{x:.6f}" for x in (law[0, s], law[-1, s], values[s]))]

    headings = (">share at t = 0", f">share at t = {game.horizon}", ">value at t = 0")
    return by_state(title, headings, law[-1], cells, "at the end ")


def _table_of_law(game: mfg.StationaryGame, found: mfg.Equilibrium, title: str) -> Iterator[Table | str]:
    """Yield the states with most mass, and what is done there."""
    law, policy, values = (np.asarray(table) for table in (found.state_law, found.policy, found.values))
    ends = _ends(game)

    def cells(s: int) -> list[str]:
        a = int(policy[s].argmax())
        action = game.action_labels[a] if ends is None else f"{game.action_labels[a]} → {ends[s, a]}"
        numbers = f"{policy[s, a]:.4f}", f"{values[s]:.6f}"
        return [game.state_labels[s], f"{law[s]:.6f}", action, *numbers]

    return by_state(title, (">share", ">likeliest action", ">its probability", ">value"), law, cells)
