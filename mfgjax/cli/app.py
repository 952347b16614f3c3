"""The commands in their order.

None imports JAX before it runs, so that `--help` is quick: `mfgjax` imports the library at the first use of a name.
"""

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from .._version import __version__
from .catalogue import list_games
from .certify import Certify
from .learn import Learn
from .options import function_of
from .plot import Plot
from .reproduce import Reproduce
from .simulate import Simulate
from .solve import Solve
from .sweep import Sweep
from .tune import Tune

STATUS = (
    "Exit status: 0 done; 1 no equilibrium was found (what was found is printed and saved all the same); "
    "2 bad input, said in one sentence on stderr, with nothing written; 130 interrupted."
)


class _PlainFlags:
    """Help in which flags have no value, as they take none."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the arguments and options, `--help` among them."""
        parameters = super().get_params(ctx)  # pyright: ignore[reportAttributeAccessIssue]
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return parameters


class _Command(_PlainFlags, TyperCommand):
    pass


class _Group(_PlainFlags, TyperGroup):
    pass


app = typer.Typer(
    cls=_Group,
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
        # eager: before other arguments are checked
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


for _name, _command in {
    "list": list_games,
    "solve": function_of(Solve),
    "sweep": function_of(Sweep),
    "certify": function_of(Certify),
    "simulate": function_of(Simulate),
    "plot": function_of(Plot),
    "tune": function_of(Tune),
    "learn": function_of(Learn),
    "reproduce": function_of(Reproduce),
}.items():
    app.command(_name, cls=_Command, epilog=STATUS)(_command)
