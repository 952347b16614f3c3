"""The command `hysteresis`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rich.table import Table

import mfgjax as mfg

from .._largest_states import evenly
from .._progress import progress_line
from . import catalogue
from .behaviour import behaviour_of, solver_of
from .command import Report, SavingCommand
from .mean_fields import cells, described, headings, moving_response
from .options import GameAndResponse, Method
from .output import finite, staged
from .ranges import numbers
from .tables import MOST_ROWS, left_out, number, table

if TYPE_CHECKING:
    from ..games import GameFile

_JUMP = 0.1  # in total variation, between neighbouring values


@dataclass(frozen=True, kw_only=True)
class Hysteresis(SavingCommand, Method, GameAndResponse):
    """Move a parameter there and back, and find where equilibria jump.

    Each solve starts from the equilibrium at the previous value. If the way back gives other equilibria than the way
    there, the game has at least two.

    Examples:
      mfgjax hysteresis mturk --response trembling --epsilon 0.1 \\
        --parameter reward.effort_cost --values 0.1:0.25:7 --out results

    Args:
      parameter: Name of the parameter in Python, such as discount.
      values: START:STOP:COUNT, START:STOP:COUNT:log, or a list.
      solver: The method (auto means picard in a stationary game).
      damping: Step size in (0, 1], of some methods; 1: full steps.
      max_steps: Maximum number of steps at each value.
      out: Save hysteresis.json, with all mean fields, and hysteresis.png.
    """

    parameter: Annotated[str, "NAME"]
    values: Annotated[str, "RANGE"]
    damping: float | None = None
    out: Path | None = None

    def find(self) -> Report:
        """Lead the population there and back."""
        values = numbers(f"--values {self.values}", self.values)
        loaded = catalogue.load(self.game, self.settings)
        game = loaded.game
        response = moving_response(self, loaded, self.parameter, values[0])
        # as in Python, where other methods might leave an equilibrium that is still there
        own = "picard" if game.seeks_pure and self.solver == "auto" else self.solver
        method = solver_of(replace(self, solver=own), self.damping)
        with staged(self.out) as files, progress_line() as begin:
            begin(f"following {loaded.name} along {self.parameter}, there and back")
            found = mfg.hysteresis(game, response, self.parameter, values, solver=method, max_steps=self.max_steps)
            content = self._content(loaded, found)
            if files:
                if game.has_numbered_states:
                    title = f"{loaded.name} ({behaviour_of(self)})"
                    files.picture("hysteresis.png", mfg.plot.plot_hysteresis(found, title=title))
                else:
                    content["not_drawn"].append("hysteresis.png: states with names have no mean")
                files.numbers("hysteresis.json", content)
        return self.report(content, self._page(loaded, content), _failure(content))

    def _content(self, loaded: GameFile, found: mfg.results.Hysteresis) -> dict[str, Any]:
        rows = []
        for i, value in enumerate(found.values):
            row: dict[str, Any] = {self.parameter: float(value), "distance": finite(found.distance[i])}
            for k, (way, laws) in enumerate((("there", found.there), ("back", found.back))):
                is_found = bool(found.found[k, i])
                row[way] = {"error": finite(found.error[k, i]), **described(loaded.game, laws[i])} if is_found else None
            rows.append(row)
        return self.about(
            loaded,
            states=list(loaded.game.state_labels),
            parameter=self.parameter,
            apart=found.apart().tolist(),
            jumps=found.jumps(_JUMP),
            rows=rows,
            not_drawn=[],
        )

    def _page(self, loaded: GameFile, content: Mapping[str, Any]) -> Iterator[Table | str]:
        """Yield the equilibria there and back, where they differ, and where the population jumps."""
        name, rows = self.parameter, content["rows"]
        # one column each way: the mean state, or where most agents are if states have no numbers
        heads = [f"{headings(loaded.game)[0]}, {way}" for way in ("there", "back")]
        shown = evenly(len(rows), MOST_ROWS)

        def line(row: Mapping[str, Any]) -> list[str]:
            ways = ("–" if row[way] is None else cells(row[way])[0] for way in ("there", "back"))
            return [f"{row[name]:.6g}", *ways, number(row["distance"], ".1e")]

        title = f"{loaded.name} ({behaviour_of(self)}): {name} there and back"
        yield table(title, (f">{name}", *heads, ">distance"), (line(rows[i]) for i in shown))
        yield from left_out(len(rows) - len(shown), f"values of {name} are")
        if several := content["apart"]:
            ends = f"{several[0]:.6g}" + f" to {several[-1]:.6g}" * (len(several) > 1)
            yield f"two equilibria  at {len(several)} of {len(rows)} values, {ends}"
        else:
            yield "two equilibria  at no value: both ways agree wherever both were found"
        for way, jumps in content["jumps"].items():
            pairs = ", ".join(f"between {low:.6g} and {high:.6g}" for low, high in jumps)
            yield f"{f'jumps {way}':16}{pairs or 'none'}"
        yield f"distance        of both ways, total variation; a jump is a move by more than {_JUMP:g}"


def _failure(content: Mapping[str, Any]) -> str | None:
    rows = content["rows"]
    missed = [(row[content["parameter"]], way) for way in ("there", "back") for row in rows if row[way] is None]
    if not missed:
        return None
    value, way = missed[0]
    return f"no equilibrium was found at {len(missed)} of {2 * len(rows)} steps, the first at {value:.6g} ({way})."
