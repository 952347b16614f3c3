"""The command that draws what the others have saved."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .options import whole


class Kind(StrEnum):
    """Values of `--kind`."""

    flow = "flow"
    bars = "bars"
    area = "area"
    heat = "heat"
    graph = "graph"
    law = "law"
    policy = "policy"
    residuals = "residuals"
    animation = "animation"
    sweep = "sweep"
    phase = "phase"
    steps = "steps"
    residual = "residual"
    exploitability = "exploitability"
    result = "result"
    mean_state = "mean-state"
    laws = "laws"


def plot(
    file: Annotated[
        str,
        typer.Argument(
            help="equilibrium.nc, sweep.zarr or LEARNER.npz of the other commands, a TOML file, or the name of a "
            "ready-made game.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="PICTURE", help="The picture: .png, .pdf or .svg; of an animation .gif."),
    ],
    kind: Annotated[
        Kind | None,
        typer.Option(
            metavar="KIND",
            help="What is drawn. Of an equilibrium: flow (or bars, area, heat), graph, law, policy, residuals, "
            "animation; of a sweep: sweep (all on one page), phase, steps, residual, exploitability, result, and "
            "with [b]--at[/b] those of an equilibrium; of a learner: mean-state, laws; of a game: graph, law. "
            "[dim]Default: the first that there is; animation for a .gif.[/dim]",
            show_default=False,
        ),
    ] = None,
    time: Annotated[int | None, whole("Time of a graph, a law (else the last) or a policy (else 0).")] = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="State whose policy is drawn over time, with --kind policy.")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS=VALUE",
            help="Point of a sweep, whose equilibrium is drawn; of a number the nearest. May be repeated: once for "
            "each axis with several values.",
        ),
    ] = None,
    game: Annotated[
        str | None,
        typer.Option(
            metavar="GAME",
            help="The game of an equilibrium or a sweep, as a TOML file or by name: for where its nodes lie, and of a "
            "sweep for edges and what is not available.",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="Above the picture.")] = None,
) -> int:
    """Draw what was saved: an equilibrium, a sweep, a learner's run; or a game before anything is solved.

    An equilibrium is drawn over time, a stationary one as its law and policy, a sweep as its phase diagram with steps
    and residuals, a learner as the mean state of its population, a game as its crowd at time 0 (on the graph if it
    is one).

    [b]Examples[/b]

      mfgjax plot results/equilibrium.nc --out flow.png

      mfgjax plot results/equilibrium.nc --kind graph --time 2 --out graph.pdf

      mfgjax plot results/equilibrium.nc --kind policy --state 3 --out policy.png

      mfgjax plot results/equilibrium.nc --out crowd.gif  [dim]# moves[/dim]

      mfgjax plot results/sweep.zarr --kind phase --out phase.png

      mfgjax plot results/sweep.zarr --at beta=3 --at reference=paper --kind heat --out heat.png

      mfgjax plot results/online-tmfq.npz --out learning.png

      mfgjax plot my_game.toml --out town.png
    """
    from .plotting import PlotRequest, run

    return run(
        PlotRequest(
            file=file,
            kind=None if kind is None else kind.value,
            time=time,
            state=state,
            at=tuple(at or ()),
            game=game,
            title=title,
        ),
        out,
    )
