"""What all commands have in common: options in a dataclass, and a way from what was found to the exit status."""

import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_type_hints

import typer
from rich.table import Table

from .output import Interrupted, print_json
from .tables import show

_OUTPUT = ("out", "as_json", "float32")
_LAST = ("solver", "damping", "averaging", "atol", "max_steps", *_OUTPUT)  # in every help


@dataclass(frozen=True)
class Report:
    """What a command has found.

    Attributes:
      content: for JSON.
      page: tables and lines for people.
      failure: a sentence where no equilibrium was found, and the exit status is 1; or the word at Ctrl-C.
    """

    content: Mapping[str, Any]
    page: Iterable[Table | str]
    failure: str | Interrupted | None = None


class Command(ABC):
    """A command: a dataclass whose fields are its arguments and options, and whose docstring is its help."""

    as_json = float32 = False
    not_kept: ClassVar[tuple[str, ...]] = ()  # options that change nothing of what is found

    @abstractmethod
    def find(self) -> Report:
        """Compute and save what is asked for."""

    @property
    def request(self) -> dict[str, Any]:
        """What is asked for, as on the command line, to be kept with what was found."""
        left_out = (*_OUTPUT, *self.not_kept)
        kept: Any = self
        return {field.name: getattr(self, field.name) for field in fields(kept) if field.name not in left_out}

    def run(self) -> int:
        """Find, save and print; return the exit status."""
        import jax  # slow to import

        from .._result import ConvergenceError

        with jax.enable_x64(not self.float32):
            try:
                report = self.find()
            except ConvergenceError as error:  # where nothing at all can be made of what was found
                report = Report({}, (), str(error))
            if self.as_json and report.content:
                print_json(report.content)
            else:
                show(report.page)
        if report.failure is None:
            return 0
        if isinstance(report.failure, Interrupted):
            raise report.failure
        print(f"mfgjax: {report.failure}", file=sys.stderr)
        return 1


@dataclass(frozen=True, kw_only=True)
class SavingCommand(Command):
    """A command whose results can be printed as JSON, computed in single precision, and saved."""

    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False
    float32: Annotated[bool, typer.Option("--float32", help="Compute in single precision.")] = False
    out: Path | None = None  # each command says what it saves there


def function_of(command: Any) -> Callable[..., int]:
    """Return a command as the function that typer takes: the fields of the dataclass are its parameters."""
    hints = get_type_hints(command, include_extras=True)

    def run(**options: Any) -> int:
        return command(**options).run()

    ordered = sorted(fields(command), key=lambda field: field.name in _LAST and 1 + _LAST.index(field.name))
    parameters = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=_default(field), annotation=hints[field.name]
        )
        for field in ordered
    ]
    run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    run.__doc__ = command.__doc__
    return run


def _default(field: Field) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return inspect.Parameter.empty if field.default is MISSING else field.default


def folder(help: str) -> Any:
    """Return the option `--out` for a folder."""
    return typer.Option(metavar="DIR", help=help)
