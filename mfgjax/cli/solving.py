"""The command `solve`."""

import dataclasses
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import equinox as eqx
import jax
import numpy as np
from rich.table import Table

from .. import games
from .._heaviest import heaviest
from .._progress import progress_line
from ..equilibrium import Equilibrium
from ..games import GameFile
from ..kernels import MovesKernel
from ..model import FiniteHorizonGame, exploitability
from ..responses import AbstractResponse, Boltzmann, EntropyRegularized, Greedy
from ..solve import fit_response, solve
from ..solvers import AbstractSolver, Anderson, Auto, Continuation, MirrorDescent, Newton, Picard
from . import catalogue
from .output import console, finite, print_json, staged

_gain = eqx.filter_jit(exploitability)

_METHODS = {
    "auto": Auto,
    "anderson": Anderson,
    "newton": Newton,
    "mirror-descent": MirrorDescent,
    "continuation": Continuation,
}
_MOST_ROWS = 40
_MOST_NODES = 40  # more do not fit on a picture


@dataclass(frozen=True)
class Request:
    """What is to be solved and how, as on the command line."""

    game: str
    beta: float | None
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
            _print(request, loaded.game, loaded.name, found, gain, out, files)
    if not bool(found.converged):
        print(f"mfgjax: {found.result.message}", file=sys.stderr)
        return 1
    return 0


def check_size(name: str, game: FiniteHorizonGame) -> None:
    """Refuse a game whose policy has more numbers than can be counted in 32 bits."""
    size = (game.horizon + 1) * game.num_states * game.num_actions
    if size >= 2**31:  # beyond it the compiler aborts the process
        raise ValueError(
            f"{name} has {game.horizon + 1:,} times, {game.num_states:,} states and {game.num_actions:,} "
            f"actions: a policy of {size:,} numbers, which is more than can be solved."
        )


def solver_of(name: str, damping: float | None, averaging: str | None, atol: float | None) -> AbstractSolver | Auto:
    """Return the solver that is asked for; options that do not apply to it are refused."""
    if name == "picard":
        return Picard(1.0 if damping is None else damping, averaging, atol=atol)
    for option, value in (("damping", damping), ("averaging", averaging)):
        if value is not None:
            raise ValueError(f"`--{option} {value}` applies to `--solver picard` only, not to `--solver {name}`.")
    return _METHODS[name](atol=atol)


class RequestOfResponse(Protocol):
    """What requests of several commands have in common: the game and how agents act in it."""

    @property
    def game(self) -> str: ...

    @property
    def beta(self) -> float | None: ...

    @property
    def reference(self) -> str | None: ...

    @property
    def response(self) -> str: ...


def response_of(request: RequestOfResponse, loaded: GameFile) -> AbstractResponse:
    """Return how agents act; options that do not apply to it are refused."""
    if request.response == "greedy":
        refuse_for_greedy(request.beta, request.reference)
        return Greedy()
    if request.beta is None:
        raise ValueError(f"`--response {request.response}` needs `--beta`, a number > 0.")
    kind = EntropyRegularized if request.response == "entropy" else Boltzmann
    return kind(request.beta, reference_of(request.reference, request.game, loaded))


def refuse_for_greedy(beta: Any, reference: Any) -> None:
    """Refuse the options of regularised responses, which do not apply to the greedy one."""
    for option, value in (("beta", beta), ("reference", reference)):
        if value is not None:
            raise ValueError(f"`--{option} {value}` does not apply to `--response greedy`, which is not regularised.")


def reference_of(wanted: str | None, named: str, loaded: GameFile) -> Any:
    """Return the policy that agents are drawn to; None is the uniform one.

    Args:
      wanted: what `--reference` says.
      named: the game, as on the command line.
      loaded: the game.

    Raises:
      ValueError: if there is no such policy, or what the file holds is none.
    """
    if wanted is None:
        return loaded.reference
    if wanted == "uniform":
        return None
    if wanted in ("paper", "file"):
        if loaded.reference is None or catalogue.is_ready_made(named) != (wanted == "paper"):
            raise ValueError(f"`--reference {wanted}`: {named} has no such reference policy.")
        return loaded.reference
    return read_policy("reference", wanted, named, loaded, "uniform, paper, file or the path of a JSON file")


def read_policy(option: str, path: str, named: str, loaded: GameFile, what: str) -> Any:
    """Return the policy in a JSON file: rows of probabilities, or probabilities of the next nodes by node, or by time.

    Args:
      option: that says so, for sentences.
      path: of the file.
      named: the game, as on the command line.
      loaded: the game.
      what: the option takes.

    Raises:
      ValueError: if there is no such file, or what it holds is no policy.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"`--{option}` must be {what}; got {path!r}, and there is no such file.") from None
    except OSError as error:
        raise ValueError(f"`--{option} {path}` cannot be read: {error.strerror}.") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise ValueError(f"`--{option} {path}` is no valid JSON: {error}.") from error
    by_time = content if isinstance(content, list) else [content]
    if not by_time or not all(isinstance(one, dict) for one in by_time):
        return content
    for node, row in (pair for one in by_time for pair in one.items()):
        if not isinstance(row, dict):
            raise ValueError(f"`{option}[{node!r}]` must be probabilities by node; got {json.dumps(row)[:40]}.")
    if not isinstance(loaded.game.kernel, MovesKernel):
        raise ValueError(f"`--{option} {path}` names nodes, but {named} is no game on a graph.")
    tables = [games.policy_on_edges(loaded.game, one, name=option) for one in by_time]
    return tables[0] if content is by_time[0] else np.stack(tables)


def _save(
    folder: Path,
    request: Request,
    loaded: GameFile,
    response: AbstractResponse,
    method: AbstractSolver | Auto,
    found: Equilibrium,
) -> list[str]:
    """Write the files and return their names."""
    from .. import io, plot  # slow to import, and often not needed

    game = loaded.game
    note = {"game": loaded.name, "description": loaded.description, "request": dataclasses.asdict(request)}
    path = folder / "equilibrium.nc"
    io.save_equilibrium(path, game, found, response=response, solver=method, attrs=note)
    title = f"{loaded.name}, " + (f"β = {request.beta:g}" if request.beta is not None else "greedy")
    flow = plot.plot_flow(game, found, title=title)
    flow.figure.savefig(folder / "flow.png", dpi=150)  # pyright: ignore[reportAttributeAccessIssue]
    names = ["equilibrium.nc", "flow.png"]
    if isinstance(game.kernel, MovesKernel) and game.num_states <= _MOST_NODES:
        last = found.state_law[-1]
        graph = plot.plot_graph(game, last, positions=loaded.positions, title=f"{title}, t = {game.horizon}")
        graph.figure.savefig(folder / "graph.png", dpi=150)  # pyright: ignore[reportAttributeAccessIssue]
        names.append("graph.png")
    return names


def _report(
    request: Request,
    loaded: GameFile,
    method: AbstractSolver | Auto,
    found: Equilibrium,
    gain: float,
    out: Path | None,
    files: list[str],
) -> dict[str, Any]:
    game = loaded.game
    by_state = zip(game.state_labels, found.state_law[-1], found.values[0], strict=True)
    rows = [(label, finite(mass), finite(value)) for label, mass, value in by_state]
    regularised = isinstance(request.beta, float) and request.response == "entropy"
    return {
        "game": loaded.name,
        "horizon": game.horizon,
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
        "num_steps": int(found.num_steps),
        "terminal_law": {label: mass for label, mass, _ in rows},
        "initial_values": {label: value for label, _, value in rows},
        "value": finite((game.initial * found.values[0]).sum()),
        "files": [str(Path(out, name)) for name in files] if out else [],
    }


def _print(
    request: Request,
    game: FiniteHorizonGame,
    name: str,
    found: Equilibrium,
    gain: float,
    out: Path | None,
    files: list[str],
) -> None:
    behaviour = request.response if request.beta is None else f"{request.response}, β = {request.beta:g}"
    table = Table(title=f"{name} ({behaviour}, solver {request.solver})", title_justify="left")
    table.add_column("state")
    for heading in ("share at t = 0", f"share at t = {game.horizon}", "value at t = 0"):
        table.add_column(heading, justify="right")
    law, values = found.state_law, found.values[0]
    # the states with most mass at the end, in their own order
    shown = heaviest(law[-1], _MOST_ROWS)
    for s in shown:
        numbers = (law[0, s], law[-1, s], values[s])
        table.add_row(game.state_labels[s], *(f"{float(x):.6f}" for x in numbers))
    screen = console()
    screen.print(table, markup=False)
    if len(shown) < game.num_states:
        screen.print(f"{game.num_states - len(shown)} states with less mass at the end are not shown.")
    lines = [
        f"result          {found.result.name} in {int(found.num_steps)} steps",
        f"value           {float((game.initial * values).sum()):.6f} (of an agent at the start, in units of reward)",
        f"exploitability  {gain:.2e} without regularisation (in units of reward)",
    ]
    if found.criterion == "residual":
        lines.insert(1, f"residual        {float(found.residual):.2e} (tolerance {float(found.tolerance):.0e})")
    if request.response == "entropy":
        lines.append(f"                {float(found.exploitability):.2e} with it")
    lines += [f"saved           {Path(out, file)}" for file in files if out]
    if out and "graph.png" not in files and isinstance(game.kernel, MovesKernel):
        lines.append(f"not drawn       the graph: {game.num_states} nodes are more than {_MOST_NODES}")
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)
