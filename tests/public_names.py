"""The public names of the library, which `__init__` files re-export. `python tests/public_names.py` lists them anew."""

import ast
import enum
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

SNAPSHOT = Path(__file__).parent / "public_api.txt"
ROOMS = ("design", "finite", "games", "io", "kernels", "learners", "plot", "responses", "results", "rewards", "solvers")
MODULES = ("", "certify", *ROOMS)


def public_names() -> dict[str, Any]:
    """Return every public function and class, and the constants, by its full name."""
    found: dict[str, Any] = {}
    for short in MODULES:
        module = importlib.import_module(f"mfgjax.{short}" if short else "mfgjax")
        files = [Path(str(module.__file__)), *([] if short else [Path(str(module.__file__)).with_name("_public.py")])]
        tree = ast.parse("".join(file.read_text(encoding="utf-8") for file in files))
        for name in _exported(tree) or _defined(tree):
            thing = getattr(module, name)
            # what the top level has is listed there
            if not inspect.ismodule(thing) and found.get(f"mfgjax.{name}") is not thing:
                found[f"{module.__name__}.{name}"] = thing
    return found


def _exported(tree: ast.Module) -> list[str]:
    """Return what a package hands on as `from .x import Y as Y`, or as `from .x import *`."""
    found: list[str] = []
    for line in (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)):
        if line.names[0].name == "*" and line.module != "_public":
            folder = importlib.import_module(f"mfgjax.{line.module}")
            found += _exported(ast.parse(Path(str(folder.__file__)).read_text(encoding="utf-8")))
        found += [alias.name for alias in line.names if alias.asname == alias.name]
    deleted = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Delete)
        for name in ast.walk(node)
        if isinstance(name, ast.Name)
    }
    return [name for name in found if name not in deleted]


def _defined(tree: ast.Module) -> list[str]:
    """Return what a module defines itself."""
    kinds = ast.FunctionDef | ast.ClassDef
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def members(thing: type) -> dict[str, Any]:
    """Return the public methods and properties of a class, less those that a public class of the library gives it."""
    public = set(map(id, public_names().values()))
    found = {}
    for parent in reversed(thing.__mro__):
        if parent.__module__.startswith("mfgjax") and (parent is thing or id(parent) not in public):
            found |= {n: x for n, x in vars(parent).items() if inspect.isfunction(x) or isinstance(x, property)}
    return {name: x for name, x in found.items() if not name.startswith("_")}


def signature(thing: Any) -> str:
    """Return the parameters with their defaults as text, without annotations, which differ between versions."""
    parameters = inspect.signature(thing).parameters.values()
    shown = [p.replace(annotation=p.empty, default=_Shown(p.default)) for p in parameters]
    return str(inspect.Signature(shown))


class _Shown:
    """A default as it is written, on which the list does not depend more than it must."""

    def __new__(cls, value: Any) -> Any:
        if value is inspect.Parameter.empty:
            return value
        shown = super().__new__(cls)
        shown.text = value.__name__ if inspect.isclass(value) or inspect.isfunction(value) else repr(value)
        return shown

    def __repr__(self) -> str:
        return self.text


def listing() -> str:
    """Return every public name with its signature, a line each, and below classes what they offer."""
    lines = []
    for name, thing in sorted(public_names().items()):
        if not callable(thing):
            lines.append(name)
            continue
        if inspect.isclass(thing) and issubclass(thing, enum.Enum):
            lines += [name, *(f"    {entry.name} = {entry.value}" for entry in thing)]
            continue
        lines.append(name + signature(thing))
        if inspect.isclass(thing):
            for member, x in sorted(members(thing).items()):
                lines.append(f"    {member}" + ("" if isinstance(x, property) else signature(x)))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    SNAPSHOT.write_text(listing(), encoding="utf-8")
    print(f"{SNAPSHOT}: {len(public_names())} names", file=sys.stderr)
