"""The commands in their order.

None imports JAX before it runs, so that `--help` is quick: `mfgjax` imports the library at the first use of a name.
"""

from typing import Annotated

import typer

from .._version import __version__
from .branch import Branch
from .catalogue import list_games
from .certify import Certify
from .explore import Explore
from .help import PlainCommand, PlainGroup
from .hysteresis import Hysteresis
from .learn import Learn
from .multi_start import MultiStart
from .options import function_of
from .plot import Plot
from .reproduce import Reproduce
from .simulate import Simulate
from .solve import Solve
from .sweep import Sweep
from .tune import Tune
from .work import Work

STATUS = "Exit status: 0 done, 1 no equilibrium found, 2 bad input, 130 interrupted."
_SOLVES_NOTHING = ("list", "plot", "work")
_ABOUT = """Find equilibria of mean-field games with finitely many states and actions.

Example:
  mfgjax solve resource-allocation --beta 3
"""

app = typer.Typer(
    cls=PlainGroup,
    help=_ABOUT,
    epilog=STATUS,
    rich_markup_mode=None,
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
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no compiled programs on disk.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())


for _name, _command in {
    "list": list_games,
    "solve": function_of(Solve),
    "sweep": function_of(Sweep),
    "work": function_of(Work),
    "certify": function_of(Certify),
    "branch": function_of(Branch),
    "hysteresis": function_of(Hysteresis),
    "multi-start": function_of(MultiStart),
    "simulate": function_of(Simulate),
    "learn": function_of(Learn),
    "tune": function_of(Tune),
    "explore": function_of(Explore),
    "plot": function_of(Plot),
    "reproduce": function_of(Reproduce),
}.items():
    _status = STATUS.replace(" 1 no equilibrium found,", "") if _name in _SOLVES_NOTHING else STATUS
    app.command(_name, cls=PlainCommand, epilog=_status)(_command)
