"""The command `explore`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import mfgjax as mfg

from .._names import in_words
from .behaviour import takes
from .command import Command, Report
from .options import GameAndRanges, Method
from .output import staged
from .sweep import Sweep, use_cores
from .sweep_plan import make_plan

_BETAS = "0.05:50:64:log"
_LAW_AND_POLICY = "mean_field,policy,exploitability"


@dataclass(frozen=True, kw_only=True)
class Explore(Command, Method, GameAndRanges):
    """Write a page of equilibria with a slider for each parameter.

    All combinations of the values are solved together. The page has pictures of each equilibrium, and opens in a
    browser without a network. A RANGE is START:STOP:COUNT, START:STOP:COUNT:log, a list such as 0.5,1,3, or one value.

    Examples:
      mfgjax explore resource-allocation --out explorer.html
      mfgjax explore ring-crowd --set congestion=0.5:2:9 --out explorer.html

    Args:
      out: The page, a file that ends in .html.
      beta: Inverse temperatures > 0, in 1/reward. Default: 0.05:50:64:log.
      title: Title of the page.
    """

    out: Annotated[Path, "PAGE"]
    title: Annotated[str | None, "TEXT"] = None

    def find(self) -> Report:
        """Sweep in memory, and write the page."""
        from .._result import counted_results

        if self.out.suffix.lower() != ".html":
            raise ValueError(f"`--out` is {str(self.out)!r}, but a page ends in .html.")
        # first: JAX fixes the number of its devices when it starts
        use_cores(self.cores)
        options = {name: value for name, value in asdict(self).items() if name not in ("out", "title")}
        if self.beta is None and "beta" in takes(self.response):
            options["beta"] = _BETAS
        plan = make_plan(Sweep(**options, outputs=_LAW_AND_POLICY))
        with staged(self.out.parent) as files:
            dataset = mfg.sweep(
                plan.builder,
                plan.response,
                solver=plan.solver,
                outputs=plan.outputs,
                max_steps=self.max_steps,
                chunk=plan.chunk,
                **plan.axes,
            )
            explorer = mfg.explore(plan.loaded, dataset, title=self.title or plan.loaded.name)
            explorer.to_html(files / self.out.name)
        results = counted_results(dataset["result_code"].values)
        total, converged = sum(results.values()), results.pop("converged", 0)
        axes = " × ".join(f"{len(values):,} {name}" for name, values in plan.axes.items())
        page = [f"points          {total:,} ({axes}), of which {converged:,} converged", f"saved           {self.out}"]
        failed = f"no equilibrium was found at {total - converged:,} of {total:,} points ({in_words(results)})"
        return Report({}, page, f"{failed}; the page says so there." if results else None)
