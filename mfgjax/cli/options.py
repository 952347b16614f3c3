"""Arguments and options that commands share, and the values that they take."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from . import completion


class Response(StrEnum):
    """Values of `--response`."""

    entropy = "entropy"
    boltzmann = "boltzmann"
    greedy = "greedy"
    trembling = "trembling"
    epsilon_greedy = "epsilon-greedy"


class TremblingResponse(StrEnum):
    """Values of `--response` where agents learn."""

    trembling = "trembling"
    epsilon_greedy = "epsilon-greedy"


class Memory(StrEnum):
    """Values of `--memory`."""

    running = "running"
    reset = "reset"


class Tie(StrEnum):
    """Values of `--tie`."""

    smallest = "smallest"
    largest = "largest"


class Start(StrEnum):
    """Values of `--start`."""

    game = "game"
    lowest = "lowest"
    highest = "highest"
    least = "least"
    greatest = "greatest"


class Solver(StrEnum):
    """Values of `--solver`."""

    auto = "auto"
    picard = "picard"
    anderson = "anderson"
    newton = "newton"
    mirror_descent = "mirror-descent"
    continuation = "continuation"
    lagged = "lagged"
    stationary_law = "stationary-law"


class Averaging(StrEnum):
    """Values of `--averaging`."""

    uniform = "uniform"
    linear = "linear"


class Preset(StrEnum):
    """Values of `--preset`."""

    paper = "paper"
    author_code = "author-code"


class Figure(StrEnum):
    """Values of `--figure`."""

    three = "3"


class Example(StrEnum):
    """What can be reproduced."""

    resource_allocation = "resource-allocation"
    infection_spread = "infection-spread"
    mturk = "mturk"


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number.") from None


def whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number.") from None


def refuse_options(command: str, **options: Any) -> None:
    """Refuse options that were given to a command that has no use for them."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"`--{name} {value}` does not apply to `mfgjax {command}`.")


def real(what: str) -> Any:
    return typer.Option(parser=number, metavar="NUMBER", help=what)


def whole(what: str) -> Any:
    return typer.Option(parser=whole_number, metavar="NUMBER", help=what)


# what commands share
GameName = Annotated[
    str,
    typer.Argument(
        help="Name of a ready-made game ([b]mfgjax list[/b]), or a file: TOML or netCDF.",
        show_default=False,
        autocompletion=completion.games,
    ),
]
BetaOption = Annotated[
    float | None, real("Inverse temperature, > 0, in 1/reward: small plays the reference, large is near greedy.")
]
EpsilonOption = Annotated[
    float | None,
    real("Probability that a trembling hand does something else, in \\[0, 1); for trembling and epsilon-greedy."),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        metavar="uniform|paper|file|PATH",
        help="Policy that agents are drawn to: uniform; the paper's (of its example); that in the game's file; or "
        "a JSON file, either {node: {next node: probability}} or one row of probabilities for each state, or a list of "
        "these, one for each time. "
        "[dim]Default: the game's own if it has one, else uniform.[/dim]",
    ),
]
ResponseOption = Annotated[Response, typer.Option(help="How agents act.")]
SolverOption = Annotated[Solver, typer.Option(help="The method; auto needs no tuning.")]
AveragingOption = Annotated[
    Averaging | None, typer.Option(help="Average all steps (fictitious play); for picard only.")
]
ToleranceOption = Annotated[float | None, real("Tolerance on the residual, for greedy on the exploitability.")]
StepsOption = Annotated[
    int | None, typer.Option(parser=whole_number, metavar="NUMBER", help="Most steps of the method.")
]
SettingsOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Parameter of a ready-made game; may be repeated."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
SingleOption = Annotated[bool, typer.Option("--float32", help="Compute in single precision.")]
