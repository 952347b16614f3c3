"""The command that shapes a crowd."""

from pathlib import Path
from typing import Annotated

import typer

from . import completion
from .options import JsonOption, SingleOption, whole


def tune(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A problem in TOML: docs/problem-file.md.", autocompletion=completion.files
        ),
    ],
    agents: Annotated[
        str | None,
        typer.Option(
            metavar="RANGE",
            help="Numbers of agents among whom the tuned policy is put: one, a list such as 10,1000 or a range as in "
            "[b]sweep[/b].",
            show_default=False,
        ),
    ] = None,
    runs: Annotated[int, whole("Simulated populations of each size.")] = 1000,
    seed: Annotated[int, whole("Of the simulated populations.")] = 0,
    max_steps: Annotated[int | None, whole("Most designs that are tried, in place of the number in the file.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write the best design to search.json there as the search goes; at its end tuned.json, the reference "
            "in reference.json, the game in tuned.toml, and tuned.png.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Start from the best design that an earlier run has left in --out.")
    ] = False,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Find the reference policy, or other parameters, under which a crowd does what is wanted of it.

    [b]Examples[/b]

      mfgjax tune examples/half_and_half.toml

      mfgjax tune examples/evacuation_signs.toml --agents 10,100,1000 --out results

      mfgjax tune my_problem.toml --out results --resume  [dim]# go on where it was[/dim]
    """
    from .tuning import TuneRequest, run

    return run(
        TuneRequest(file=file, agents=agents, runs=runs, seed=seed, max_steps=max_steps, resume=resume),
        out,
        as_json=as_json,
        float32=float32,
    )
