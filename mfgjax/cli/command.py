"""What all commands have in common: a dataclass of options, and a way from what was found to the exit status."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from rich.table import Table

from .output import Interrupted, print_json
from .tables import show

if TYPE_CHECKING:
    from ..games import GameFile

OUTPUT = ("out", "as_json", "float32")
_ENDINGS = {"files": "saved", "not_drawn": "not drawn", "not_written": "not written"}


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
    """A command: a dataclass whose fields are its arguments and options; `options.function_of` says how."""

    as_json = float32 = False
    at_least: ClassVar[Mapping[str, int]] = {}  # options that are whole numbers, with the least they may be
    not_kept: ClassVar[tuple[str, ...]] = ()  # options that change nothing of what is found

    @abstractmethod
    def find(self) -> Report:
        """Compute and save what is asked for."""

    @property
    def request(self) -> dict[str, Any]:
        """The options as on the command line, to be saved with the results."""
        left_out = (*OUTPUT, *self.not_kept)
        kept: Any = self
        return {field.name: getattr(self, field.name) for field in fields(kept) if field.name not in left_out}

    def run(self) -> int:
        """Find, save and print; return the exit status."""
        import jax  # slow to import

        from .. import _checks
        from .._result import ConvergenceError

        # before anything is loaded, built or solved
        for name, least in self.at_least.items():
            if (value := getattr(self, name)) is not None:
                _checks.integer_at_least(f"--{name.replace('_', '-')}", value, least)
        # in a context, as a program may run several commands in one process
        with jax.enable_x64(not self.float32):
            try:
                report = self.find()
            except ConvergenceError as error:  # where nothing at all can be made of what was found
                report = Report({}, (), str(error))
            if self.as_json and report.content:  # where nothing was found there is no object to print
                print_json(report.content)
            else:
                show(report.page)
        if report.failure is None:
            return 0
        if isinstance(report.failure, Interrupted):
            raise report.failure  # `main` prints it and gives its status
        print(f"mfgjax: {report.failure}", file=sys.stderr)
        return 1


@dataclass(frozen=True, kw_only=True)
class SavingCommand(Command):
    """A command whose results can be printed as JSON, computed in single precision, and saved.

    Args:
      as_json: Print one JSON object and nothing else.
      float32: Compute in single precision.
    """

    as_json: Annotated[bool, typer.Option("--json")] = False
    float32: bool = False
    out: Path | None = None  # each command says what it saves there

    def about(self, loaded: "GameFile", **found: Any) -> dict[str, Any]:
        """Return the results for a game, for JSON, with the options; `files` names the files that are saved."""
        return {
            "game": loaded.name,
            "dtype": str(loaded.game.dtype),
            "request": self.request,
            **found,
            "files": [],
        }

    def report(
        self, content: Mapping[str, Any], page: Iterable[Table | str], failure: str | Interrupted | None = None
    ) -> Report:
        """Return a report whose page ends with a line for each file that was saved, or could not be."""
        endings = (f"{word:16}{one}" for key, word in _ENDINGS.items() for one in content.get(key, ()))
        return Report(content, chain(page, endings), failure)
