"""The commands that find equilibria: one, and over a grid; and the list of games."""

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    AveragingOption,
    BetaOption,
    EpsilonOption,
    GameName,
    JsonOption,
    ReferenceOption,
    Response,
    ResponseOption,
    SettingsOption,
    SingleOption,
    Solver,
    SolverOption,
    StepsOption,
    ToleranceOption,
    real,
    whole,
)


def list_games() -> None:
    """List the ready-made games, with the parameters that [b]--set[/b] changes and their defaults."""
    from .catalogue import print_catalogue

    print_catalogue()


def solve(
    game: GameName,
    beta: BetaOption = None,
    epsilon: EpsilonOption = None,
    reference: ReferenceOption = None,
    response: ResponseOption = Response.entropy,
    solver: SolverOption = Solver.auto,
    damping: Annotated[
        float | None, real("Share of each step that is taken, in (0, 1]; for picard, lagged and stationary-law.")
    ] = None,
    averaging: AveragingOption = None,
    atol: ToleranceOption = None,
    max_steps: StepsOption = None,
    settings: SettingsOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save equilibrium.nc, flow.png (of a stationary game law.png) and, for a graph, graph.png there.",
        ),
    ] = None,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Solve one game: print the law at the end, the values and how far from an equilibrium it is.

    Of a stationary game the law does not change: it is printed with its mean and what is done in each state.

    [b]Examples[/b]

      mfgjax solve resource-allocation --beta 3

      mfgjax solve resource-allocation --beta 3 --solver picard  [dim]# it cycles[/dim]

      mfgjax solve ring-crowd --beta 20 --set num_states=50 --out results

      mfgjax solve left-right --response greedy --solver picard --averaging uniform

      mfgjax solve infection-spread --response trembling --epsilon 0.2 --set c_f=0.3 --out results

      mfgjax solve my_game.toml --beta 1 --reference uniform --json
    """
    from .solving import Request, run

    return run(
        Request(
            game=game,
            beta=beta,
            epsilon=epsilon,
            reference=reference,
            response=response.value,
            solver=solver.value,
            damping=damping,
            averaging=None if averaging is None else averaging.value,
            atol=atol,
            max_steps=max_steps,
            settings=tuple(settings or ()),
        ),
        out,
        as_json=as_json,
        float32=float32,
    )


def sweep(
    game: GameName,
    beta: Annotated[
        str | None,
        typer.Option(metavar="RANGE", help="Inverse temperatures, > 0, in 1/reward."),
    ] = None,
    epsilon: Annotated[
        str | None,
        typer.Option(metavar="RANGE", help="Probabilities that a trembling hand does something else, in \\[0, 1)."),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Policies that agents are drawn to, with commas between them, each as in [b]solve[/b]: uniform, "
            "paper, file or the path of a JSON file. [dim]Default: the game's own if it has one, else uniform.[/dim]",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=RANGE",
            help="Parameter of a ready-made game: numbers as a range, words and true,false as a list. One value holds "
            "for all lanes. May be repeated.",
        ),
    ] = None,
    response: ResponseOption = Response.entropy,
    solver: SolverOption = Solver.auto,
    damping: Annotated[
        str | None,
        typer.Option(metavar="RANGE", help="Shares of each step that are taken, in (0, 1]; as in [b]solve[/b]."),
    ] = None,
    averaging: AveragingOption = None,
    atol: ToleranceOption = None,
    max_steps: StepsOption = None,
    warm_start: Annotated[
        bool, typer.Option("--warm-start", help="Start lanes from what a neighbour in beta, or in epsilon, has found.")
    ] = False,
    outputs: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="What is kept of each equilibrium besides terminal_law (of a stationary game mean_field and "
            "mean_state): exploitability, mean_field, state_law, mean_state, policy, log_policy, values, q; and "
            "certificates: unique, unique_below, certified_beta, contraction_factor, local_radius, critical_beta, "
            "distance. [dim]Default: exploitability; with --out also mean_field and policy.[/dim]",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write sweep.zarr there as the sweep goes, then phase.png and table.json. After an interruption the "
            "same command goes on where it was.",
        ),
    ] = None,
    cores: Annotated[int | None, whole("Cores of the CPU. [dim]Default: all.[/dim]")] = None,
    block: Annotated[
        int | None, whole("Lanes that a core computes together. [dim]Default: what fits in its cache.[/dim]")
    ] = None,
    chunk: Annotated[
        int | None,
        whole(
            "Lanes between two signs of progress, and in one file. [dim]Default: a 64th of all, at least 1024; fewer "
            "of large games.[/dim]"
        ),
    ] = None,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Solve a game over a grid of parameters, thousands of lanes together, on all cores.

    A RANGE is

      START:STOP:COUNT      COUNT numbers from START to STOP, evenly spaced

      START:STOP:COUNT:log  the same with even ratios; START and STOP > 0

      0.5,1,3               a list

      3                     one value

    [b]Examples[/b]

      mfgjax sweep resource-allocation --beta 0.05:50:4096:log --reference paper,uniform --out results

      mfgjax sweep ring-crowd --beta 0.1:10:256:log --set congestion=0.5:2:8 --set horizon=30 --out ring

      mfgjax sweep resource-allocation --beta 1 --set preset=paper,author-code --json

      mfgjax sweep resource-allocation --beta 0.5:5:64 --solver picard --damping 0.1,0.5,1  [dim]# some cycle[/dim]

      mfgjax sweep infection-spread --response trembling --epsilon 0.1,0.2 --set c_f=0.05:0.5:10 --out spread

      mfgjax sweep my_game.toml --beta 0.1,1,10

    In Python, xarray.open_zarr("results/sweep.zarr", consolidated=False, mask_and_scale=False) is the whole sweep.
    """
    from .sweeping import SweepRequest, run

    return run(
        SweepRequest(
            game=game,
            beta=beta,
            epsilon=epsilon,
            reference=reference,
            response=response.value,
            solver=solver.value,
            damping=damping,
            averaging=None if averaging is None else averaging.value,
            atol=atol,
            max_steps=max_steps,
            settings=tuple(settings or ()),
            outputs=outputs,
            warm_start=warm_start,
            block=block,
            chunk=chunk,
        ),
        out,
        cores=cores,
        as_json=as_json,
        float32=float32,
    )
