"""The commands in their order; what they do is imported only when they run, so that `--help` is quick."""

from typing import Annotated

import typer

from .._version import __version__
from .analyse_commands import certify, simulate
from .design_commands import tune
from .learn_commands import learn, reproduce
from .plot_command import plot
from .solve_commands import list_games, solve, sweep

STATUS = (
    "Exit status: 0 done; 1 no equilibrium was found (what was found is printed and saved all the same); "
    "2 bad input, said in one sentence on stderr, with nothing written; 130 interrupted."
)

app = typer.Typer(
    help="Mean-field games with finite states and actions: equilibria at every temperature.",
    epilog=STATUS,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mfgjax {__version__}")
        raise typer.Exit()


@app.callback(invoke_without_command=True)
def _begin(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


for _name, _command in {
    "list": list_games,
    "solve": solve,
    "sweep": sweep,
    "certify": certify,
    "simulate": simulate,
    "plot": plot,
    "tune": tune,
    "learn": learn,
    "reproduce": reproduce,
}.items():
    app.command(_name, epilog=STATUS)(_command)
