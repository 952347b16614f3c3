"""The command `work`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

import mfgjax as mfg

from .command import Command, Report
from .sweep import SWEEP, use_cores


@dataclass(frozen=True, kw_only=True)
class Work(Command):
    """Help to compute a sweep that another process has begun.

    Start it in any number of processes, on any machine that sees the folder, at any time. Each may be killed: others
    compute its part. The folder holds Python objects, and what they contain is run: join sweeps of people you trust.

    Examples:
      mfgjax work results
      mfgjax work results/sweep.zarr --cores 4

    Args:
      folder: What `mfgjax sweep --out`, or `out` of `mfgjax.sweep`, names.
      cores: Number of CPU cores. Default: all.
    """

    folder: Annotated[Path, typer.Argument(metavar="DIR", show_default=False)]
    cores: int | None = None

    def find(self) -> Report:
        """Compute blocks until none is left."""
        use_cores(self.cores)
        inside = self.folder / SWEEP
        folder = inside if inside.is_dir() else self.folder
        computed = mfg.join_sweep(folder)
        return Report({}, [f"computed here   {computed:,} points of the sweep in {folder}"])
