"""Help that fits one screen: what a command is for, examples, and a line or two for each option."""

import shutil
import textwrap
from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup

from .._names import did_you_mean

_LEAST_WIDTH, _MOST_WIDTH = 50, 80
_MOST_TERM = 26  # letters of an option beside which its text stands
_OWN = "Options"
_GROUPS = {
    "Game and agents": ("game", "settings", "response", "beta", "epsilon", "reference"),
    _OWN: (),  # all others
    "Method": ("solver", "damping", "averaging", "atol", "max_steps"),
    "Output": ("out", "as_json", "float32"),
}
_PART_OF = {"bracket": "certify"}  # functions of Python that are part of a command of another name
_ANYWHERE = "--no-cache"  # an option of the program that may stand behind the command


class PlainCommand(TyperCommand):
    """A command whose help is plain text of at most 80 columns."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the command."""
        lines = [f"Usage: mfgjax {usage(self)}", "", *_about(self.help or "")]
        groups = grouped(self)
        longest = [len(term(one)) for members in groups.values() for one in members]
        column = min(max(longest, default=0), _MOST_TERM) + 4
        for name, members in groups.items():
            lines += [f"{name}:"]
            for one in members:
                lines += _entry(term(one), one.help or "", column)
        formatter.write("\n".join([*lines, "" * bool(groups), *_wrapped(self.epilog or "")]))


class PlainGroup(TyperGroup):
    """The program itself, whose help lists its commands, one line for each."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the program."""
        column = max(map(len, self.commands)) + 4
        lines = ["Usage: mfgjax COMMAND [OPTIONS]", "", *_about(self.help or "")]
        lines += ["Commands (`mfgjax COMMAND --help` says more):"]
        for name, command in self.commands.items():
            lines += _entry(name, (command.help or "").split("\n")[0], column)
        options = ", ".join(max(one.opts, key=len) for one in self.get_params(ctx))
        formatter.write("\n".join([*lines, f"Options: {options}", *_wrapped(self.epilog or "")]))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options of the program, of which `--no-cache` may also stand behind the command."""
        others = [one for one in args if one != _ANYWHERE]
        return super().parse_args(ctx, [_ANYWHERE] * (len(others) < len(args)) + others)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; one that does not exist is answered with the nearest."""
        if args[0] not in self.commands and not args[0].startswith("-") and not ctx.resilient_parsing:
            names = self.list_commands(ctx)
            ctx.fail(f"There is no command {args[0]!r}{did_you_mean(_PART_OF.get(args[0], args[0]), names)}")
        return super().resolve_command(ctx, args)


def usage(command: Any) -> str:
    """Return how a command is called: its name, its arguments, the options that it needs, and that there are more."""
    needed = [term(one) for one in command.params if one.required]
    return " ".join([command.name, *needed] + ["[OPTIONS]"] * (len(command.params) > len(needed)))


def grouped(command: Any) -> dict[str, list[Any]]:
    """Return the arguments and options of a command by the heading that they stand under."""
    known = {one.name: one for one in command.params}
    own = [name for name in known if not any(name in names for names in _GROUPS.values())]
    groups = {title: own if title == _OWN else names for title, names in _GROUPS.items()}
    members = {title: [known[name] for name in names if name in known] for title, names in groups.items()}
    # arguments come before options
    first = sorted(members, key=lambda title: all(one.param_type_name == "option" for one in members[title]))
    return {title: members[title] for title in first if members[title]}


def term(parameter: Any) -> str:
    """Return an argument or an option as it is typed, with the name of its value."""
    if parameter.param_type_name == "argument":
        return parameter.metavar or parameter.name.upper()
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {parameter.metavar or 'TEXT'}"


def prose_and_examples(text: str) -> tuple[str, list[str]]:
    """Split the text of a command into what it says, in one paragraph, and the lines of its examples."""
    paragraphs = text.split("\n\n")
    shown = [one for one in paragraphs if one.startswith("Example")]
    said = " ".join(" ".join(one.split()) for one in paragraphs if one not in shown)
    return said, [line.removeprefix("  ") for one in shown for line in one.splitlines()[1:]]


def _about(text: str) -> Iterator[str]:
    said, examples = prose_and_examples(text)
    yield from _wrapped(said)
    yield from ["", f"Example{'s' * (len(examples) > 1)}:", *(f"  {line}" for line in examples), ""]


def _wrapped(text: str, indent: int = 0) -> list[str]:
    width = max(min(shutil.get_terminal_size().columns, _MOST_WIDTH), _LEAST_WIDTH) - indent
    # words such as "mirror-descent" stay whole
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def _entry(name: str, text: str, column: int) -> Iterator[str]:
    first, *others = _wrapped(text, column) or [""]
    if len(name) + 4 > column:
        yield f"  {name}"
        others, first = [first, *others], ""
    else:
        yield f"  {name:{column - 2}}{first}".rstrip()
    yield from (" " * column + line for line in others)
