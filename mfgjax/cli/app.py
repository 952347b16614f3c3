"""The command line without its commands, which modules of their own add; what they do is imported when they run."""

from typing import Annotated

import typer

from .._version import __version__

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
