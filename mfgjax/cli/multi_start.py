"""The command `multi-start`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table

import mfgjax as mfg

from .._largest_states import evenly
from .._progress import progress_line
from . import catalogue
from .behaviour import behaviour_of, response_of, solver_of
from .command import Report, SavingCommand
from .mean_fields import cells, described, headings
from .options import GameAndResponse, Method
from .output import check_room, finite, staged
from .tables import MOST_ROWS, left_out, number, table

if TYPE_CHECKING:
    from ..games import GameFile


@dataclass(frozen=True, kw_only=True)
class MultiStart(SavingCommand, Method, GameAndResponse):
    """Look for several equilibria of a game from random starts.

    Prints the equilibria that were reached, and from how many starts. Other equilibria may exist.

    Examples:
      mfgjax multi-start coordination --beta 4
      mfgjax multi-start mturk --response trembling --epsilon 0.1 --out results

    Args:
      starts: Number of random starts.
      seed: Seed of the random starts.
      distance: Equilibria closer than this in total variation count as one; in (0, 1). Default: the sum of their
        estimated errors.
      damping: Step size in (0, 1], of some methods; 1: full steps.
      max_steps: Maximum number of steps from each start.
      out: Save multi_start.json, and each equilibrium: equilibrium_1.nc, equilibrium_2.nc, ...
    """

    at_least: ClassVar[Mapping[str, int]] = {"starts": 1, "seed": 0}

    starts: int = 64
    seed: int = 0
    distance: float | None = None
    damping: float | None = None
    out: Path | None = None

    def find(self) -> Report:
        """Solve from all starts, and keep one of each equilibrium."""
        method = solver_of(self, self.damping)
        loaded = catalogue.load(self.game, self.settings)
        game = loaded.game
        policy = (game.horizon + 1) * game.num_states * game.num_actions * game.dtype.itemsize
        check_room(f"{self.starts:,} starts", 4 * policy * self.starts, None, " `--starts`")
        response = response_of(self, loaded)
        with staged(self.out) as files, progress_line() as begin:
            begin(f"solving {loaded.name} from {self.starts:,} starts")
            found = mfg.multi_start(
                game,
                response,
                self.starts,
                seed=self.seed,
                solver=method,
                distance=self.distance,
                max_steps=self.max_steps,
            )
            content = self._content(loaded, found)
            if files:
                note = {"game": loaded.name, "description": loaded.description, "request": self.request}
                for i, equilibrium in enumerate(found.equilibria, 1):
                    path = files / f"equilibrium_{i}.nc"
                    mfg.io.save_equilibrium(path, game, equilibrium, response=response, solver=method, attrs=note)
                files.numbers("multi_start.json", content)
        failure = None if found.equilibria else f"none of {self.starts:,} starts reached an equilibrium."
        return self.report(content, self._page(loaded, content), failure)

    def _content(self, loaded: GameFile, found: mfg.results.MultiStart) -> dict[str, Any]:
        rows = [
            {
                "num_starts": count,
                "residual": finite(one.residual),
                "exploitability": finite(one.exploitability),
                **described(loaded.game, one.mean_field),
            }
            for one, count in zip(found.equilibria, found.counts, strict=True)
        ]
        counts = {"num_starts": found.num_starts, "num_failed": found.num_failed}
        return self.about(loaded, states=list(loaded.game.state_labels), **counts, equilibria=rows)

    def _page(self, loaded: GameFile, content: Mapping[str, Any]) -> Iterator[Table | str]:
        """Yield the equilibria, those that were reached most often first."""
        rows = content["equilibria"]
        shown = evenly(len(rows), MOST_ROWS)

        def line(i: int) -> list[str]:
            numbers = (number(rows[i][name], ".1e") for name in ("residual", "exploitability"))
            return [str(i + 1), f"{rows[i]['num_starts']:,}", *cells(rows[i]), *numbers]

        heads = (">", ">starts", *headings(loaded.game), ">residual", ">exploitability")
        title = f"{loaded.name} ({behaviour_of(self)}, solver {self.solver}): different equilibria"
        if rows:
            yield table(title, heads, map(line, shown))
        yield from left_out(len(rows) - len(shown), "equilibria are")
        yield f"found           {len(rows):,} {'equilibrium' if len(rows) == 1 else 'equilibria'}; others may exist"
        failed = content["num_failed"]
        yield f"starts          {content['num_starts']:,}, of which {failed or 'none'} failed to reach an equilibrium"
