"""The commands that say what is proved, and what N agents do."""

from pathlib import Path
from typing import Annotated

import typer

from .options import (
    BetaOption,
    EpsilonOption,
    GameName,
    JsonOption,
    ReferenceOption,
    Response,
    ResponseOption,
    SettingsOption,
    SingleOption,
    whole,
)


def certify(
    game: GameName,
    beta: BetaOption = None,
    epsilon: EpsilonOption = None,
    reference: ReferenceOption = None,
    response: ResponseOption = Response.entropy,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Parameter of a ready-made game; may be repeated. A range for one of them, as in [b]sweep[/b], "
            "certifies a family of games.",
        ),
    ] = None,
    critical: Annotated[
        bool | None,
        typer.Option(
            "--critical/--no-critical",
            help="Look for β where plain iteration stops converging. [dim]Default: up to 200 unknowns.[/dim]",
            show_default=False,
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Print the theorems, what they assume and how that was checked.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Save certificates.json and thresholds.png (of a stationary game bracket.png) there."
        ),
    ] = None,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Say what is proved: up to which beta there is one equilibrium, whether iteration finds it, how near it is.

    Of a stationary game: whether it has strategic complementarities, and its least and greatest equilibrium.

    [b]Examples[/b]

      mfgjax certify resource-allocation --beta 0.5

      mfgjax certify resource-allocation --beta 3 --explain

      mfgjax certify ring-crowd --beta 1 --set num_states=8 --set horizon=10 --set congestion=0.5:8:20 --out ring

      mfgjax certify infection-tipping --response trembling --epsilon 0.1

      mfgjax certify my_game.toml --beta 1 --reference uniform --json
    """
    from .certifying import CertifyRequest, run

    return run(
        CertifyRequest(
            game=game,
            beta=beta,
            epsilon=epsilon,
            reference=reference,
            response=response.value,
            settings=tuple(settings or ()),
            critical=critical,
        ),
        out,
        explain=explain,
        as_json=as_json,
        float32=float32,
    )


def simulate(
    game: GameName,
    agents: Annotated[
        str,
        typer.Option(
            metavar="RANGE",
            help="Numbers of agents, up to 1e9: one, a list such as 10,1000 or a range as in [b]sweep[/b], "
            "such as 2:16384:14:log.",
            show_default=False,
        ),
    ],
    beta: BetaOption = None,
    epsilon: EpsilonOption = None,
    reference: ReferenceOption = None,
    response: ResponseOption = Response.entropy,
    settings: SettingsOption = None,
    policy: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="What agents do, in place of an equilibrium: a JSON file, either {node: {next node: probability}} or "
            "rows of probabilities by state, or by time and state. With [b]--beta[/b] its value has KL terms.",
        ),
    ] = None,
    runs: Annotated[int, whole("Simulated populations of each size.")] = 1000,
    seed: Annotated[int, whole("Of the random numbers.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Save simulation.json there, gain.png if there are several numbers of agents, and agents.gif for a "
            "graph and at most 200 agents.",
        ),
    ] = None,
    as_json: JsonOption = False,
    float32: SingleOption = False,
) -> int:
    """Put N agents in the place of infinitely many: values, what one gains by leaving the policy, distances.

    [b]Examples[/b]

      mfgjax simulate resource-allocation --beta 3 --agents 10,100,1000

      mfgjax simulate resource-allocation --beta 3 --agents 2:16384:14:log --out results

      mfgjax simulate ring-crowd --beta 20 --agents 1000000000 --json

      mfgjax simulate my_game.toml --policy by_hand.json --agents 50
    """
    from .simulating import SimulateRequest, run

    return run(
        SimulateRequest(
            game=game,
            beta=beta,
            epsilon=epsilon,
            reference=reference,
            response=response.value,
            settings=tuple(settings or ()),
            policy=policy,
            agents=agents,
            runs=runs,
            seed=seed,
        ),
        out,
        as_json=as_json,
        float32=float32,
    )
