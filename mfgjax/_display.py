"""How objects show themselves: in one line, as a text with tables, and as HTML in notebooks."""

import dataclasses
import html
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

from ._shorten import fields_text, is_traced, printable

_Class = TypeVar("_Class", bound=type)

GOOD, BAD, PLAIN = "#228833", "#EE6677", "#BBBBBB"
"""Colours of the bar beside a title: a result to rely on, one that is not, and everything else."""

# colours are inherited or half transparent, as pages are light or dark; notebooks would stripe the rows of tables
_STYLE = (
    ".mfgjax{border-left:4px solid;padding:2px 0 2px 10px;margin:4px 0;max-width:100%;overflow-x:auto}"
    ".mfgjax *{color:inherit}"
    ".mfgjax .parts{display:flex;flex-wrap:wrap;gap:4px 24px;align-items:flex-start;margin-top:6px}"
    ".mfgjax table{border-collapse:collapse;margin:0;font-size:.9em;font-variant-numeric:tabular-nums}"
    ".mfgjax tr{background:none!important}"
    ".mfgjax td,.mfgjax th{padding:1px 8px 1px 0!important;text-align:left!important;vertical-align:top;"
    "border:0;font-weight:normal;background:none}"
    ".mfgjax th{opacity:.65}"
    ".mfgjax thead th{border-bottom:1px solid rgba(128,128,128,.5)!important}"
    ".mfgjax .n{text-align:right!important}"
    ".mfgjax p{margin:4px 0;max-width:60em}"
    ".mfgjax .note{opacity:.65;font-size:.85em}"
    ".mfgjax svg{display:block;max-width:100%}"
)


class Listing(NamedTuple):
    """A table; headings that begin with ">" are those of columns of numbers, which end in line."""

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""  # below it, such as how many rows are not shown


class Facts(NamedTuple):
    """Names and what they stand for; HTML alone has them, as the line says what matters most."""

    rows: Sequence[tuple[str, str]]


class Picture(NamedTuple):
    """A picture with the sentence that says what it shows; texts are without it."""

    svg: str
    caption: str


Part = str | Listing | Facts | Picture


class Page(NamedTuple):
    """What an object shows.

    Attributes:
      name: of its class.
      summary: the rest of the line, which stands in brackets.
      parts: what follows below; called only if it is shown.
      status: the colour of the bar beside the title.
      heading: the first lines of the text, in place of name and summary. An object with a heading always prints whole;
        others have a `repr` of one line.
      title: what stands beside the name in HTML; empty: heading or summary.
      details: what HTML alone has, below the parts.
    """

    name: str
    summary: str
    parts: Callable[[], Iterable[Part]] = tuple
    status: str = PLAIN
    heading: str = ""
    title: str = ""
    details: Callable[[], Iterable[Part]] = tuple

    @property
    def line(self) -> str:
        return f"{self.name}({self.summary})"


def shows_itself(cls: _Class) -> _Class:
    """Give a class its `repr`, `str` and `_repr_html_`, all made of its method `_page`; without it, of its fields."""

    def text(self: Any) -> str:
        page = _page_of(self)
        return "\n".join([page.heading or page.line, *(_as_text(part) for part in page.parts() if _is_text(part))])

    def line(self: Any) -> str:
        page = _page_of(self)
        return text(self) if page.heading else page.line

    methods = {"__repr__": (line, shapes), "__str__": (text, shapes), "_repr_html_": (as_html, _shapes_as_html)}
    for name, (show, fallback) in methods.items():
        setattr(cls, name, _never_failing(show, fallback))
    return cls


def as_html(self: Any) -> str:
    """Return the page of an object as HTML: no script, nothing from the network, every text escaped."""
    page = _page_of(self)
    title = f"<b>{_escaped(page.name)}</b> {_escaped(page.title or page.heading or page.summary)}"
    return _framed(title, page.status, "".join(map(_as_html, [*page.parts(), *page.details()])))


def shapes(self: Any) -> str:
    """Return the line of an object without its numbers: the shapes of its fields."""
    is_data = dataclasses.is_dataclass(self)
    fields = dataclasses.fields(self) if is_data else ()
    # static fields hold no numbers
    names = [f.name for f in fields if not f.metadata.get("static")] or getattr(self, "_fields", ())
    # a field may be missing while an object is made
    pairs = ((name, vars(self).get(name, "?") if is_data else getattr(self, name)) for name in names)
    return f"{type(self).__name__}({', '.join(f'{name}={_shape(value)}' for name, value in pairs)})"


def aligned(table: Listing) -> list[str]:
    """Return the lines of a table as text, its columns in line."""
    rows = [[heading.removeprefix(">") for heading in table.headings], *table.rows]
    numbers = [heading.startswith(">") for heading in table.headings]
    widths = [max(len(row[i]) for row in rows) for i in range(len(numbers))]
    lines = []
    for row in rows:
        cells = (f"{cell:{'>' if n else '<'}{width}}" for cell, n, width in zip(row, numbers, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
    return lines


def _page_of(self: Any) -> Page:
    return self._page() if hasattr(self, "_page") else Page(type(self).__name__, fields_text(self))


def _never_failing(show: Callable[[Any], str], fallback: Callable[[Any], str]) -> Callable[[Any], str]:
    def shown(self: Any) -> str:
        # tools of JAX and equinox put shapes, None or any object in place of arrays, and debuggers look at objects that
        # are half made: what such a thing shows must not raise, nor may a tracer be computed with
        try:
            return fallback(self) if is_traced(self) else show(self)
        except Exception:
            return fallback(self)

    return shown


def _shape(value: Any) -> str:
    if isinstance(value, str | int | float | None):
        return repr(value)
    shape = getattr(value, "shape", None)
    return str(shape) if isinstance(shape, tuple) else type(value).__name__


def _shapes_as_html(self: Any) -> str:
    return _framed(_escaped(shapes(self)), PLAIN, "")


def _framed(title: str, status: str, body: str) -> str:
    parts = f'<div class="parts">{body}</div>' if body else ""
    return f'<div class="mfgjax" style="border-color:{status}"><style>{_STYLE}</style><div>{title}</div>{parts}</div>'


def _is_text(part: Part) -> bool:
    return isinstance(part, str | Listing)


def _as_text(part: Any) -> str:
    return part if isinstance(part, str) else "\n".join([*aligned(part), *([part.note] if part.note else [])])


def _as_html(part: Part) -> str:
    if isinstance(part, str):
        return f'<p style="flex-basis:100%">{_escaped(part)}</p>'
    if isinstance(part, Facts):
        rows = "".join(f"<tr><th>{_escaped(name)}</th><td>{_escaped(value)}</td></tr>" for name, value in part.rows)
        return f"<table><tbody>{rows}</tbody></table>"
    if isinstance(part, Picture):
        return f'<div>{part.svg}<div class="note">{_escaped(part.caption)}</div></div>'
    kinds = [' class="n"' if heading.startswith(">") else "" for heading in part.headings]
    head = "".join(
        f"<th{kind}>{_escaped(name.removeprefix('>'))}</th>" for name, kind in zip(part.headings, kinds, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(f"<td{kind}>{_escaped(cell)}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>"
        for row in part.rows
    )
    note = f'<div class="note">{_escaped(part.note)}</div>' if part.note else ""
    return f"<div><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{note}</div>"


def _escaped(text: str) -> str:
    # a text over several lines keeps them
    return html.escape(printable(text)).replace("\n", "<br/>")
