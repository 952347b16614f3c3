"""The command `certify` for a stationary game: its complementarities, and its least and greatest equilibrium."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from .._progress import progress_line
from ..certify import Complementarity
from ..engine import fit_response
from ..equilibrium import Equilibrium
from ..games import GameFile
from ..model import StationaryGame
from ..multiplicity.bracket import Ascent, Bracket, bracket
from .behaviour import RequestOfResponse, behaviour_of, response_of
from .output import console, finite, json_of, print_json, staged

_FILES = ("certificates.json", "bracket.png")
_STYLES = {"holds": "green", "fails": "red"}


def run(request: RequestOfResponse, loaded: GameFile[StationaryGame], out: Path | None, *, as_json: bool) -> int:
    """Test the conditions, find both ends, save and print.

    Args:
      request: a dataclass that says what to certify.
      loaded: the game.
      out: folder to save to, or None.
      as_json: print JSON in place of tables.

    Returns:
      The exit status.
    """
    game = loaded.game
    response = fit_response(game, response_of(request, loaded))
    title = f"{loaded.name} ({behaviour_of(request.response, request.beta, request.epsilon)})"
    with staged(out) as folder, progress_line() as begin:
        begin(f"certifying {loaded.name}")
        found = bracket(game, response, throw=False)
        content = _content(request, loaded, found)
        if folder is not None and out is not None:
            from .. import plot  # slow to import, and often not needed

            content["files"] = [str(out / name) for name in _FILES]
            (folder / _FILES[0]).write_text(json_of(content) + "\n", encoding="utf-8")
            plot.plot_bracket(found, title=title).figure.savefig(folder / _FILES[1], dpi=150)  # pyright: ignore
    if as_json:
        print_json(content)
    else:
        _print(title, found, content)
    for name, end in (("least", found.least), ("greatest", found.greatest)):
        if not bool(end.converged):
            print(f"mfgjax: the {name} equilibrium was not reached: {end.result.message}", file=sys.stderr)
            return 1
    return 0


def _content(request: RequestOfResponse, loaded: GameFile[StationaryGame], found: Bracket) -> dict[str, Any]:
    game, checked = loaded.game, found.complementarity
    return {
        "game": loaded.name,
        "discount": float(game.discount),
        "dtype": str(game.dtype),
        "request": asdict(request),  # pyright: ignore[reportArgumentType]
        "complementarity": None if checked is None else _told(checked),
        "bracket": {
            "certificate": found.certificate,
            "coincide": found.coincide,
            "ordered": found.ordered,
            "distance": finite(found.distance),
            "least": _end(game, found.least, found.rising),
            "greatest": _end(game, found.greatest, found.falling),
        },
        "files": [],
    }


def _told(checked: Complementarity) -> dict[str, Any]:
    conditions = [asdict(condition) | {"violation": finite(condition.violation)} for condition in checked.conditions]
    told = {"form": checked.form, "affine": checked.affine, "num_laws": checked.num_laws, "holds": checked.holds}
    return told | {"conditions": conditions}


def _end(game: StationaryGame, end: Equilibrium, way: Ascent) -> dict[str, Any]:
    return {
        "result": end.result.name,
        "residual": finite(end.residual),
        "num_steps": int(end.num_steps),
        "mean_state": finite(end.mean_state) if game.has_numbered_states else None,
        "exploitability": finite(end.exploitability),
        "law": dict(zip(game.state_labels, np.asarray(end.state_law).tolist(), strict=True)),
        "error": finite(way.error),
        "contraction": finite(way.contraction),
        "gap": finite(way.gap),
        "disorder": finite(way.disorder),
    }


def _print(title: str, found: Bracket, content: Mapping[str, Any]) -> None:
    screen, checked = console(), found.complementarity
    lines = []
    if checked is None:
        why = "some actions do not exist in some states, or the response has a reference of its own"
        lines.append(f"complementarities  not tested: {why}")
    else:
        screen.print(_conditions(title, checked), markup=False)
    screen.print(_ends(title if checked is None else None, content["bracket"]), markup=False)
    lines.append(f"bracket         {found.certificate}")
    lines.append(f"distance        {found.distance:.3g} between the ends (total variation)")
    lines.append("error           bound on the distance of an end to its limit; factor: of one step in total variation")
    lines.append("action gap      by how much the best action, and those that tie with it, beat the next on the way")
    lines += [f"saved           {file}" for file in content["files"]]
    for line in lines:
        screen.print(line, markup=False, soft_wrap=True)


def _conditions(title: str, checked: Complementarity) -> Table:
    said = f"{title}: strategic complementarities, {checked.form} form; rewards and moves {checked.how}"
    table = Table(title=said, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in ("condition", "status", "worst violation", "where"):
        table.add_column(heading, justify="right" if heading == "worst violation" else "left")
    for condition in checked.conditions:
        status = Text(condition.status, style=_STYLES.get(condition.status, "dim"))
        worst = f"{condition.violation:.2g}" if condition.violation > 0 else "none"
        table.add_row(condition.name, status, worst, condition.where)
    return table


def _ends(title: str | None, told: Mapping[str, Any]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in ("equilibrium", "result", "mean state", "steps", "residual", "error", "factor", "action gap"):
        table.add_column(heading, justify="left" if heading in ("equilibrium", "result") else "right")
    for name in ("least", "greatest"):
        end = told[name]
        mean = "–" if end["mean_state"] is None else f"{end['mean_state']:.6f}"
        small = (_short(end[key]) for key in ("residual", "error"))
        rest = (_short(end[key], "{:.4g}") for key in ("contraction", "gap"))
        table.add_row(name, end["result"], mean, str(end["num_steps"]), *small, *rest)
    return table


def _short(value: float | None, text: str = "{:.1e}") -> str:
    return "–" if value is None else text.format(value)
