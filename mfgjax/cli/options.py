"""Arguments and options that commands share, and the values that they take."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from .._names import did_you_mean
from . import completion


def _parsed_by(kind: Callable[[str], Any], noun: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not {noun}.") from None

    return parse


def real(help: str) -> Any:
    """Return the option for a number."""
    return typer.Option(parser=_parsed_by(float, "a number"), metavar="NUMBER", help=help)


def whole(help: str) -> Any:
    """Return the option for a whole number."""
    return typer.Option(parser=_parsed_by(int, "a whole number"), metavar="NUMBER", help=help)


def text(metavar: str, help: str, *names: str, **more: Any) -> Any:
    """Return the option for a text of some form."""
    return typer.Option(*names, metavar=metavar, help=help, **more)


def choice(help: str, *words: str, metavar: str | None = None, kind: Any = typer.Option, **more: Any) -> Any:
    """Return the option, or with `kind` the argument, for one of several words."""

    def parse(given: str) -> str:
        if given not in words:
            raise typer.BadParameter(f"{given!r} is not one of {', '.join(words)}{did_you_mean(given, words, '.')}")
        return given

    def begun(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return kind(parser=parse, autocompletion=begun, metavar=metavar or "|".join(words), help=help, **more)


GameName = Annotated[
    str,
    typer.Argument(
        metavar="GAME",
        help="Name of a ready-made game ([b]mfgjax list[/b]), or a file: TOML or netCDF.",
        show_default=False,
        autocompletion=completion.games,
    ),
]
Settings = Annotated[list[str], text("KEY=VALUE", "Parameter of a ready-made game; may be repeated.", "--set")]
ResponseName = Annotated[
    str, choice("How agents act.", "entropy", "boltzmann", "greedy", "trembling", "epsilon-greedy")
]


@dataclass(frozen=True, kw_only=True)
class GameAndResponse:
    """Which game, and how agents act in it."""

    game: GameName
    beta: Annotated[
        float | None, real("Inverse temperature, > 0, in 1/reward: small plays the reference, large is near greedy.")
    ] = None
    epsilon: Annotated[
        float | None,
        real("Probability that a trembling hand does something else, in \\[0, 1); for trembling and epsilon-greedy."),
    ] = None
    reference: Annotated[
        str | None,
        text(
            "uniform|paper|file|PATH",
            "Policy that agents are drawn to: uniform; the paper's (of its example); that in the game's file; or a "
            "JSON file, either {node: {next node: probability}} or one row of probabilities for each state, or a list "
            "of these, one for each time. [dim]Default: the game's own if it has one, else uniform.[/dim]",
        ),
    ] = None
    response: ResponseName = "entropy"
    settings: Settings = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Method:
    """By which method an equilibrium is sought."""

    solver: Annotated[
        str,
        choice(
            "The method; auto needs no tuning.",
            *("auto", "picard", "anderson", "newton", "mirror-descent", "continuation", "lagged", "stationary-law"),
        ),
    ] = "auto"
    averaging: Annotated[
        str | None, choice("Average all steps (fictitious play); for picard only.", "uniform", "linear")
    ] = None
    atol: Annotated[float | None, real("Tolerance on the residual, for greedy on the exploitability.")] = None
    max_steps: Annotated[int | None, whole("Most steps of the method.")] = None
