"""The command `solve`."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
from rich.table import Table

from .._largest_states import largest_states
from .._progress import progress_line
from ..engine import fit_response
from ..equilibrium import Equilibrium
from ..games import GameFile
from ..kernels import MovesKernel
from ..model import FiniteHorizonGame, StationaryGame, exploitability
from ..responses import AbstractResponse
from ..solve import solve
from ..solvers import AbstractSolver
from . import catalogue, stationary
from .behaviour import behaviour_of, response_of, solver_of
from .output import console, finite, print_json, staged

_gain = eqx.filter_jit(exploitability)

_MOST_NODES = 40  # more do not fit on a picture


@dataclass(frozen=True)
class Request:
    """What is to be solved and how, as on the command line."""

    game: str
    beta: float | None
    epsilon: float | None
    reference: str | None
    response: str
    solver: str
    damping: float | None
    averaging: str | None
    atol: float | None
    max_steps: int | None
    settings: tuple[str, ...]


def run(request: Request, out: Path | None, *, as_json: bool, float32: bool) -> int:
    """Solve, save and print.

    Args:
      request: what to solve.
      out: folder to save to, or None.
      as_json: print JSON in place of a table.
      float32: compute in single precision.

    Returns:
      The exit status.
    """
    with jax.enable_x64(not float32):
        method = solver_of(request.solver, request.damping, request.averaging, request.atol)
        loaded = catalogue.load(request.game, request.settings)
        check_size(loaded.name, loaded.game)
        response = fit_response(loaded.game, response_of(request, loaded))
        with staged(out) as folder, progress_line() as begin:
            begin(f"solving {loaded.name}")
            found = solve(loaded.game, response, method, max_steps=request.max_steps, throw=False)
            gain = float(_gain(loaded.game, found.policy))
            files = [] if folder is None else _save(folder, request, loaded, response, method, found)
        if as_json:
            print_json(_report(request, loaded, method, found, gain, out, files))
        else:
            _print(request, loaded, found, gain, out, files)
    if not bool(found.converged):
        print(f"mfgjax: {found.result.message}", file=sys.stderr)
        return 1
    return 0


def check_size(name: str, game: FiniteHorizonGame | StationaryGame) -> None:
    """Refuse a game whose policy has more numbers than can be counted in 32 bits."""
    size = (game.horizon + 1) * game.num_states * game.num_actions
    if size >= 2**31:  # beyond it the compiler aborts the process
        times = "" if game.is_stationary else f"{game.horizon + 1:,} times, "
        raise ValueError(
            f"{name} has {times}{game.num_states:,} states and {game.num_actions:,} actions: a policy of {size:,} "
            "numbers, which is more than can be solved."
        )


def _save(
    folder: Path,
    request: Request,
    loaded: GameFile,
    response: AbstractResponse,
    method: AbstractSolver,
    found: Equilibrium,
) -> list[str]:
    """Write the files and return their names."""
    from .. import io, plot  # slow to import, and often not needed

    game = loaded.game
    note = {"game": loaded.name, "description": loaded.description, "request": dataclasses.asdict(request)}
    path = folder / "equilibrium.nc"
    io.save_equilibrium(path, game, found, response=response, solver=method, attrs=note)
    title = f"{loaded.name}, {behaviour_of(request.response, request.beta, request.epsilon)}"
    if isinstance(game, StationaryGame):
        law = plot.plot_stationary(game, found, title=title)
        law.savefig(folder / "law.png", dpi=150)  # pyright: ignore[reportAttributeAccessIssue]
        names = ["equilibrium.nc", "law.png"]
        last, when = found.state_law, ""
    else:
        flow = plot.plot_flow(game, found, title=title)
        flow.figure.savefig(folder / "flow.png", dpi=150)  # pyright: ignore[reportAttributeAccessIssue]
        names = ["equilibrium.nc", "flow.png"]
        last, when = found.state_law[-1], f", t = {game.horizon}"
    if isinstance(game.kernel, MovesKernel) and game.num_states <= _MOST_NODES:
        graph = plot.plot_graph(game, last, positions=loaded.positions, title=f"{title}{when}")
        graph.figure.savefig(folder / "graph.png", dpi=150)  # pyright: ignore[reportAttributeAccessIssue]
        names.append("graph.png")
    return names


def _report(
    request: Request,
    loaded: GameFile,
    method: AbstractSolver,
    found: Equilibrium,
    gain: float,
    out: Path | None,
    files: list[str],
) -> dict[str, Any]:
    game = loaded.game
    own = stationary.told(game, found) if isinstance(game, StationaryGame) else _told(game, found)
    regularised = isinstance(request.beta, float) and request.response == "entropy"
    return {
        "game": loaded.name,
        **({"discount": float(game.discount)} if game.is_stationary else {"horizon": game.horizon}),
        "dtype": str(game.dtype),
        "request": dataclasses.asdict(request),
        "solver": type(method).__name__,
        "converged": bool(found.converged),
        "result": found.result.name,
        "message": found.result.message,
        "criterion": found.criterion,
        "residual": finite(found.residual),
        "tolerance": finite(found.tolerance),
        "exploitability": finite(gain),
        "exploitability_regularised": finite(found.exploitability) if regularised else None,
        "exploitability_trembling": finite(found.exploitability) if request.response == "trembling" else None,
        "num_steps": int(found.num_steps),
        **own,
        "files": [str(Path(out, name)) for name in files] if out else [],
    }


def _told(game: FiniteHorizonGame, found: Equilibrium) -> dict[str, Any]:
    """Return what there is to tell of an equilibrium over time, for JSON."""
    by_state = zip(game.state_labels, found.state_law[-1], found.values[0], strict=True)
    rows = [(label, finite(mass), finite(value)) for label, mass, value in by_state]
    return {
        "terminal_law": {label: mass for label, mass, _ in rows},
        "initial_values": {label: value for label, _, value in rows},
        "value": finite((game.initial * found.values[0]).sum()),
    }


def _print(
    request: Request, loaded: GameFile, found: Equilibrium, gain: float, out: Path | None, files: list[str]
) -> None:
    game, screen = loaded.game, console()
    title = f"{loaded.name} ({behaviour_of(request.response, request.beta, request.epsilon)}, solver {request.solver})"
    shown = stationary.table if game.is_stationary else _table
    table, more = shown(game, found, title)
    screen.print(table, markup=False)
    if more:
        screen.print(more)
    lines = [f"result          {found.result.name} in {int(found.num_steps)} steps"]
    if found.criterion == "residual":
        lines.append(f"residual        {float(found.residual):.2e} (tolerance {float(found.tolerance):.0e})")
    lines += stationary.lines(game, found) if game.is_stationary else [_value(game, found)]
    lines += _exploitability(request.response, gain, found)
    lines += [f"saved           {Path(out, file)}" for file in files if out]
    if out and "graph.png" not in files and isinstance(game.kernel, MovesKernel):
        lines.append(f"not drawn       the graph: {game.num_states} nodes are more than {_MOST_NODES}")
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def _exploitability(response: str, gain: float, found: Equilibrium) -> list[str]:
    """Say what leaving the policy gains, in rewards alone and in what the response maximises."""
    unit = "(in units of reward)"
    if response == "trembling":
        kept, left = f"{float(found.exploitability):.2e}", f"{gain:.2e}"
        return [
            f"exploitability  {kept} among hands that tremble {unit}",
            f"                {left} by a hand that does not",
        ]
    if response == "epsilon-greedy":
        return [f"exploitability  {gain:.2e} by a hand that does not tremble {unit}"]
    lines = [f"exploitability  {gain:.2e} without regularisation {unit}"]
    return lines + ([f"                {float(found.exploitability):.2e} with it"] if response == "entropy" else [])


def _value(game: FiniteHorizonGame, found: Equilibrium) -> str:
    value = float((game.initial * found.values[0]).sum())
    return f"value           {value:.6f} (of an agent at the start, in units of reward)"


def _table(game: FiniteHorizonGame, found: Equilibrium, title: str) -> tuple[Table, str]:
    """Return the states with most mass at the end, in their own order, and what is left out."""
    table = Table(title=title, title_justify="left")
    table.add_column("state")
    for heading in ("share at t = 0", f"share at t = {game.horizon}", "value at t = 0"):
        table.add_column(heading, justify="right")
    law, values = found.state_law, found.values[0]
    shown = largest_states(law[-1], stationary.MOST_ROWS)
    for s in shown:
        table.add_row(game.state_labels[s], *(f"{float(x):.6f}" for x in (law[0, s], law[-1, s], values[s])))
    left = game.num_states - len(shown)
    return table, f"{left} states with less mass at the end are not shown." if left else ""
