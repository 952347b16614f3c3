"""The names that the library offers, read from its files without importing JAX, and suggestions for unknown names."""

import ast
import difflib
import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import NoReturn

_SHORT = {"EntropyRegularized": "entropy"}


@functools.cache
def offered(folder: str) -> dict[str, str]:
    """Return the public names of a folder, such as all solvers, read from its files without importing them.

    These are the lines `from .file import Name as Name` of its `__init__`, in their order, that name a class derived
    from an abstract one, or a function that returns a game and can be called without arguments.

    Args:
      folder: "kernels", "responses", "solvers", "learners" or "games".

    Returns:
      The names in the code, each with that of the class it is derived from, or of the kind of game.
    """
    place, found = Path(__file__).parent / folder, {}
    lines = re.findall(r"^from \.(\w+) import (\w+) as \2$", _source(place / "__init__.py"), re.MULTILINE)
    for file, name in lines:
        source = _source(place / f"{file}.py")
        if derived := re.search(rf"^class (?!Abstract){name}\((Abstract\w+)", source, re.MULTILINE):
            found[name] = derived[1]
        elif built := re.search(rf"^def {name}\((.*?)\) -> (\w+):$", source, re.MULTILINE | re.DOTALL):
            # parsed, as no pattern finds the commas between arguments: defaults may hold some
            arguments = ast.parse(f"def f({built[1]}): 0").body[0].args  # pyright: ignore[reportAttributeAccessIssue]
            all_optional = len(arguments.defaults) == len(arguments.args) and None not in arguments.kw_defaults
            if all_optional and built[2].endswith("Game"):
                found[name] = built[2]
    return found


@functools.cache
def _source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def by_word(folder: str, base: str = "") -> dict[str, str]:
    """Return the public names of a folder by their words on the command line, such as "mirror-descent".

    Args:
      folder: as for `offered`.
      base: the class that it must be derived from, or the kind of game; "" for all.
    """
    return {word(name): name for name, kind in offered(folder).items() if kind.endswith(base)}


def word(name: str) -> str:
    """Return the word that the command line has for a class or function."""
    # capitals in a row are one word: `OnlineTMFQ` is "online-tmfq"
    words = re.findall(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z\d]+", name)
    return _SHORT.get(name) or "-".join(words).lower()


def is_ready_made(game: str) -> bool:
    """Tell whether there is a ready-made game of this name, with "-" for "_" if one likes."""
    return game.replace("-", "_") in offered("games")


def did_you_mean(word: str, known: Iterable[object], otherwise: str | None = None) -> str:
    """Return the end of an error on an unknown name, which suggests the nearest known name.

    Args:
      word: that is not known.
      known: names.
      otherwise: the end if no name is like it; None: all names.
    """
    names = list(map(str, known))
    if close := _nearest(word, names):
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(names) or 'none'}." if otherwise is None else otherwise


def suggestion(word: str, known: Iterable[object]) -> str:
    """Return "(did you mean ...?)" with the nearest known name, for the middle of an error; "" if no name is near."""
    close = _nearest(word, list(map(str, known)))
    return f" (did you mean {close[0]!r}?)" if close else ""


def in_words(counts: Mapping[str, int]) -> str:
    """Return names with their numbers as a list in words."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def refuse_unknown_arguments(function: Callable, named: Iterable[str]) -> None:
    """Raise an error that suggests the nearest argument, if a function does not have one of those that are named."""
    known = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        return
    for name in named:
        if name not in known:
            otherwise = f"; it has {', '.join(one for one in known if one != 'self') or 'none'}."
            hint = did_you_mean(name, known, otherwise)
            raise TypeError(f"{function.__qualname__}() has no argument {name!r}{hint}") from None


def without(module: str, name: str, names: Iterable[str]) -> AttributeError:
    """Return the error on a name that a module does not have, with the nearest of those that it has."""
    return AttributeError(f"module {module!r} has no attribute {name!r}{did_you_mean(name, names, otherwise='.')}")


def show_public_names(module: ModuleType) -> None:
    """Let `dir` and completion list a module's public names alone, and a wrong name suggest the nearest of them."""

    def public() -> list[str]:
        return sorted(own for own, value in vars(module).items() if own[0] != "_" and not isinstance(value, ModuleType))

    def refuse(name: str) -> NoReturn:
        raise without(module.__name__, name, public())

    # here and not in its file, so that type checkers still know its names
    module.__dict__.update(__dir__=public, __getattr__=refuse)


def _nearest(word: str, names: list[str]) -> list[str]:
    # the name of a field alone is meant as that of the array: "c_f" as "kernel.c_f"
    if fields := [name for name in names if name.endswith(f".{word}")]:
        return fields[:1]
    # to difflib a capital is just another letter
    return difflib.get_close_matches(word, names, n=1) or difflib.get_close_matches(word.lower(), names, n=1)
