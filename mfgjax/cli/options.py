"""How a dataclass becomes a command, and the arguments and options that commands share."""

from __future__ import annotations

import copy
import inspect
import re
import types
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from typer.models import ParameterInfo

from .._compiled_on_disk import keep_compiled_by_command
from .._names import by_word, did_you_mean
from . import completion

_NUMBERS = {float: "a number", int: "a whole number"}

GameName = Annotated[str, typer.Argument(metavar="GAME", show_default=False, autocompletion=completion.games)]
Settings = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE")]
ResponseName = Annotated[str, tuple(by_word("responses"))]
SolverName = Annotated[str, tuple(by_word("solvers"))]


@dataclass(frozen=True, kw_only=True)
class GameAndResponse:
    """Which game, and how agents act in it.

    Args:
      game: Ready-made game (`mfgjax list`) or a TOML or netCDF file.
      beta: Inverse temperature > 0, in 1/reward; large: near greedy.
      epsilon: Probability of another action than the best, at most (A−1)/A for A actions; for trembling and
        epsilon-greedy.
      reference: uniform, paper (for resource-allocation), file (in GAME's file), or a JSON file. Default: GAME's, else
        uniform.
      response: How agents act.
      settings: Value of a parameter of a ready-made game; repeatable.
    """

    game: GameName
    beta: float | None = None
    epsilon: float | None = None
    reference: Annotated[str | None, "POLICY"] = None
    response: ResponseName = "entropy"
    settings: Settings = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class GameAndRanges:
    """Which game, and for which values of parameters.

    Args:
      beta: Inverse temperatures > 0, in 1/reward.
      epsilon: Probabilities of another action than the best.
      reference: Reference policies, as in `mfgjax solve`.
      settings: Values of a parameter of a ready-made game; repeatable.
      damping: Step sizes, as in `mfgjax solve`.
      cores: Number of CPU cores. Default: all.
    """

    game: GameName
    beta: Annotated[str | None, "RANGE"] = None
    epsilon: Annotated[str | None, "RANGE"] = None
    reference: Annotated[str | None, "LIST"] = None
    settings: Annotated[list[str], typer.Option("--set", metavar="KEY=RANGE")] = field(default_factory=list)
    response: ResponseName = "entropy"
    damping: Annotated[str | None, "RANGE"] = None
    cores: int | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """Which method looks for an equilibrium.

    Args:
      solver: The method.
      averaging: picard: average best responses; weights.
      atol: Tolerance on the distance from a fixed point; for greedy and trembling with a horizon: on the gain by
        deviating.
      max_steps: Maximum number of steps.
    """

    solver: SolverName = "auto"
    averaging: Literal["uniform", "linear"] | None = None
    atol: float | None = None
    max_steps: int | None = None


def function_of(command: Any) -> Callable[..., int]:
    """Return a command as the function that typer takes.

    The fields of the dataclass are the parameters. What is said of them under "Args" in docstrings is their help, to
    which the words that an option knows and its default are added; what stands before it is the help of the command.
    The type says which values there are, and an annotation which words or how they are named: a tuple of them, a text
    such as "RANGE", or an argument or option of typer.
    """

    def run(context: typer.Context, **options: Any) -> int:
        if not context.find_root().params["no_cache"]:
            keep_compiled_by_command()
        return command(**options).run()

    helps = _documented(GameAndResponse.__doc__ or "")  # some commands have a few of its options alone
    # own help replaces what a parent says of the same option
    for parent in reversed(command.__mro__):
        helps |= _documented(parent.__doc__ or "")
    annotations = get_type_hints(command, include_extras=True)
    parameters = [_parameter(field, annotations[field.name], helps[field.name]) for field in fields(command)]
    parameters.append(inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context))
    # typer reads signature and docstring of a function, so it gets one made of the dataclass
    run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    run.__doc__ = inspect.cleandoc(command.__doc__).partition("\n\nArgs:\n")[0]
    return run


def _documented(docstring: str) -> dict[str, str]:
    """Return what a docstring says of each argument."""
    arguments = inspect.cleandoc(docstring).partition("Args:\n")[2]
    found = re.findall(r"^  (\w+): (.+?)(?=^  \w|\Z)", arguments, flags=re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in found}


def _parameter(field: Field, hint: Any, help: str) -> inspect.Parameter:
    """Turn a field of a command into a parameter of a function, annotated for typer."""
    hint, extra = get_args(hint)[:2] if get_origin(hint) is Annotated else (hint, None)
    kind = next(one for one in get_args(hint) if one is not types.NoneType) if type(None) in get_args(hint) else hint
    names = ["--" + field.name.replace("_", "-")] if kind is bool else []
    known = get_args(kind) if get_origin(kind) is Literal else extra if isinstance(extra, tuple) else ()
    metavar = extra if isinstance(extra, str) else None
    # a copy, as several commands share these annotations
    info = copy.copy(extra) if isinstance(extra, ParameterInfo) else typer.Option(*names, metavar=metavar)
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    info.help, info.show_default = _help(help, known, default), False
    if known:
        # typer could check a `Literal` itself, but its error would not suggest the nearest word
        hint = str | None
        info.parser, info.autocompletion = _one_of(known), _begun(known)
        info.metavar = info.metavar or "WORD"
    elif kind in _NUMBERS:
        info.parser, info.metavar = _number(kind), "NUMBER"
    elif kind is Path:
        info.metavar = info.metavar or "DIR"
    default = inspect.Parameter.empty if default is MISSING else default
    keyword = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, keyword, default=default, annotation=Annotated[hint, info])


def _help(text: str, known: tuple[str, ...], default: Any) -> str:
    """Return what is said of an option, with the words that it knows, and its default."""
    if known:
        words = (f"{word} (default)" if word == default else word for word in known)
        return f"{text.removesuffix('.')}: {', '.join(words)}."
    return text if isinstance(default, bool) or not isinstance(default, str | int) else f"{text} Default: {default}."


def _number(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not {_NUMBERS[kind]}.") from None

    return parse


def _one_of(known: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in known:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(known)}{did_you_mean(text, known, '.')}")
        return text

    return parse


def _begun(known: tuple[str, ...]) -> Callable[[str], list[str]]:
    return lambda incomplete: [word for word in known if word.startswith(incomplete)]
