"""Docstrings and signatures of the library as Sphinx wants them.

Docstrings are plain text: code in single backticks, formulas indented by four, `*` and `|` and `_` as in mathematics,
"Source:" at the end. Here they become reStructuredText; what napoleon knows (Args, Raises, Attributes) is left to it.
Signatures get their annotations without the names of modules, and with the shapes of arrays.
"""

import inspect
import re
from typing import Any

_SECTION = re.compile(r"^(Args|Raises|Attributes|Example|Examples):$")
_ENTRY = re.compile(r"^(\s*)([*\w]+): (.*)$")
_CODE = re.compile(r"`([^`]+)`")
_EMPHASIS = re.compile(r"(?<![\w*)])\*(\w[\w ]*)\*(?![\w*])")
_PACKAGES = (
    "docstrings jax.jaxlib jaxlib mfgjax jax numpy typing collections.abc jaxtyping xarray optax matplotlib pathlib os"
)
_MODULES = re.compile(rf"\b(?:{'|'.join(map(re.escape, _PACKAGES.split()))})(?:\.\w+)*\.(?=\w)")


class ArrayLike:
    """What stands in for the library's alias, which is `Any` when it runs, so that annotations tell it."""


def inline(text: str) -> str:
    """Return plain text as reStructuredText: code marked as code, everything else as it stands."""
    found = ""
    for i, part in enumerate(_CODE.split(text)):
        if i % 2:
            # markup begins and ends beside spaces or punctuation only, which `\\ ` stands for
            found += ("\\ " if found[-1:].isalnum() else "") + f"``{part}``"
            continue
        kept = _EMPHASIS.split(part)
        kept[::2] = [re.sub(r"([*|_\\])", r"\\\1", piece) for piece in kept[::2]]
        kept[1::2] = [f"*{piece}*" for piece in kept[1::2]]
        found += ("\\ " if i and part[:1].isalnum() else "") + "".join(kept)
    return found


def to_rst(lines: list[str]) -> list[str]:
    """Return the lines of a docstring as reStructuredText for napoleon."""
    found: list[str] = []
    section, formula = "", False
    for before, line in zip(["", *lines], lines, strict=False):
        indent = len(line) - len(line.lstrip())
        if formula and line.strip() and indent < 4:
            formula = False
        if line.strip() and indent == 0 and not (section == "source" and before.strip()):
            section = ""
            if _SECTION.match(line):
                section = line[:-1]
            elif line == "Returns:":
                section, line = "returns", ":returns:"
            elif line.startswith("Source: "):
                section, line = "source", f":Source: {inline(line[8:])}"
            else:
                line = inline(line)
            found += [line]
            continue
        if section.startswith("Example"):
            found += [line]
        elif section in ("Args", "Raises", "Attributes"):
            entry = _ENTRY.match(line)
            found += [f"{entry[1]}{entry[2]}: {inline(entry[3])}" if entry else inline(line)]
        elif section in ("returns", "source"):
            found += ["    " + inline(line.strip()) if line.strip() else ""]
        elif formula:
            found += ["    " + line]
        elif indent >= 4 and not before.strip():
            formula = True
            found += [".. code-block:: text", "", "    " + line]
        else:
            found += [inline(line)]
    return found


def text_of(annotation: Any) -> str:
    """Return an annotation as it reads in the source, less the names of modules."""
    if annotation is type(None):
        return "None"
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _tidy(text)


def _tidy(text: str) -> str:
    text = _MODULES.sub("", text)
    text = re.sub(r"Shaped\[Array, ''\]", "Scalar", text)
    return text.replace("FiniteHorizonGame | StationaryGame | LaneGame", "FiniteHorizonGame | StationaryGame")


def signature_of(thing: Any) -> tuple[str, str | None]:
    """Return the signature of a function or class as text: parameters with annotations, and what is returned."""
    signature = inspect.signature(thing)
    parameters = []
    for parameter in signature.parameters.values():
        shown = {"annotation": text_of(parameter.annotation), "default": _default(parameter.default)}
        given = {key: _Text(text) for key, text in shown.items() if getattr(parameter, key) is not parameter.empty}
        parameters += [parameter.replace(**given)] if parameter.name != "self" else []
    returned = signature.return_annotation
    shown = str(signature.replace(parameters=parameters, return_annotation=signature.empty))
    is_class = inspect.isclass(thing)
    return shown, None if is_class or returned in (signature.empty, None) else text_of(returned)


class _Text(str):
    """Text that stands for itself in a signature."""

    def __repr__(self) -> str:
        return str(self)


def _default(value: Any) -> str:
    if inspect.isclass(value) or inspect.isfunction(value):
        return value.__name__
    return f"RESULTS.{value.name}" if type(value).__name__ == "RESULTS" else repr(value)


def _process_docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = to_rst(lines)


def _place_types(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Make the types that napoleon puts below attributes options of their directives."""
    placed: list[str] = []
    place = 0
    for line in lines:
        if line.startswith("   :type:"):
            placed.insert(place, _tidy(line))
            continue
        placed.append(line)
        if line.startswith(".. attribute::"):
            place = len(placed)
    lines[:] = placed


def _process_signature(app: Any, what: str, name: str, thing: Any, options: Any, shown: Any, returned: Any) -> Any:
    if what not in ("class", "exception", "function", "method"):
        return shown, returned
    doc = inspect.getdoc(thing) or ""
    if what in ("class", "exception") and "\nArgs:" not in doc:  # the library makes it, not the user
        return "", None
    try:
        return signature_of(thing)
    except (TypeError, ValueError):
        return shown, returned


def _skip(app: Any, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    doc = inspect.getdoc(thing) or ""
    return True if doc.startswith("Alias for field number") else None


def setup(app: Any) -> dict[str, Any]:
    """Let annotations name `ArrayLike`, then connect the hooks around napoleon's, which has priority 500."""
    import mfgjax._typing

    mfgjax._typing.ArrayLike = ArrayLike  # before anything else of the library is imported
    app.connect("autodoc-process-docstring", _process_docstring, priority=400)
    app.connect("autodoc-process-docstring", _place_types, priority=600)
    app.connect("autodoc-process-signature", _process_signature)
    app.connect("autodoc-skip-member", _skip)
    return {"parallel_read_safe": True}
