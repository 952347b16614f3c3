"""What `certify` tells of a stationary game: its complementarities, and its least and greatest equilibrium."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from .output import finite
from .tables import number, status, table

if TYPE_CHECKING:
    import mfgjax as mfg

    from ..games import GameFile
    from ..multiplicity.bracket import Ascent


def content_of_bracket(loaded: GameFile, request: dict[str, Any], found: mfg.Bracket) -> dict[str, Any]:
    """Return what was found, for JSON."""
    game, checked = loaded.game, found.complementarity
    return {
        "game": loaded.name,
        "discount": float(game.discount),
        "dtype": str(game.dtype),
        "request": request,
        "complementarity": None if checked is None else _of_conditions(checked),
        "bracket": {
            "certificate": found.certificate,
            "coincide": found.coincide,
            "ordered": found.ordered,
            "distance": finite(found.distance),
            "least": _of_end(game, found.least, found.rising),
            "greatest": _of_end(game, found.greatest, found.falling),
        },
        "files": [],
    }


def _of_conditions(checked: mfg.Complementarity) -> dict[str, Any]:
    conditions = [asdict(condition) | {"violation": finite(condition.violation)} for condition in checked.conditions]
    kept = {"form": checked.form, "affine": checked.affine, "num_laws": checked.num_laws, "holds": checked.holds}
    return kept | {"conditions": conditions}


def _of_end(game: mfg.StationaryGame, end: mfg.Equilibrium, way: Ascent) -> dict[str, Any]:
    return {
        "result": end.result.name,
        "residual": finite(end.residual),
        "num_steps": int(end.num_steps),
        "mean_state": finite(end.mean_state) if game.has_numbered_states else None,
        "exploitability": finite(end.exploitability),
        "law": dict(zip(game.state_labels, np.asarray(end.state_law).tolist(), strict=True)),
        **{name: finite(getattr(way, name)) for name in ("error", "contraction", "gap", "disorder")},
    }


def failure_of(found: mfg.Bracket) -> str | None:
    """Say which equilibrium was not reached, if one was not."""
    for name, end in (("least", found.least), ("greatest", found.greatest)):
        if not bool(end.converged):
            return f"the {name} equilibrium was not reached: {end.result.message}"
    return None


def page_of_bracket(title: str, found: mfg.Bracket, content: Mapping[str, Any]) -> Iterator[Table | str]:
    """Yield tables of the conditions and of both ends, and what their columns are."""
    checked = found.complementarity
    if checked is not None:
        yield _table_of_conditions(title, checked)
    yield _table_of_ends(title if checked is None else "", content["bracket"])
    if checked is None:
        why = "some actions do not exist in some states, or the response has a reference of its own"
        yield f"complementarities  not tested: {why}"
    yield f"bracket         {found.certificate}"
    yield f"distance        {found.distance:.3g} between the ends (total variation)"
    yield "error           bound on the distance of an end to its limit; factor: of one step in total variation"
    yield "action gap      by how much the best action, and those that tie with it, beat the next on the way"
    yield from (f"saved           {file}" for file in content["files"])


def _table_of_conditions(title: str, checked: mfg.Complementarity) -> Table:
    title = f"{title}: strategic complementarities, {checked.form} form; rewards and moves {checked.how}"
    rows = table(title, "condition", "status", ">worst violation", "where")
    for condition in checked.conditions:
        worst = f"{condition.violation:.2g}" if condition.violation > 0 else "none"
        rows.add_row(condition.name, status(condition.status), worst, condition.where)
    return rows


def _table_of_ends(title: str, ends: Mapping[str, Any]) -> Table:
    numbers = (">mean state", ">steps", ">residual", ">error", ">factor", ">action gap")
    rows = table(title, "equilibrium", "result", *numbers)
    forms = {
        "mean_state": ".6f",
        "num_steps": "d",
        "residual": ".1e",
        "error": ".1e",
        "contraction": ".4g",
        "gap": ".4g",
    }
    for name in ("least", "greatest"):
        end = ends[name]
        rows.add_row(name, end["result"], *(number(end[key], form) for key, form in forms.items()))
    return rows
