"""How results are printed: tables in one style, and lines below them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .._largest_states import largest_states

MOST_ROWS = 40
_STYLES = {"holds": "green", "fails": "red", "unknown": "dim"}


def table(
    title: str, headings: Iterable[str], rows: Iterable[Iterable[str | Text]] = (), *, whole: bool = False
) -> Table:
    """Return a table, in which no cell is wrapped if it is to be `whole`.

    Headings that begin with ">" are those of columns of numbers, which end in line.
    """
    new = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in headings:
        side = "right" if heading.startswith(">") else "left"
        new.add_column(heading.removeprefix(">"), justify=side, no_wrap=whole)
    for row in rows:
        new.add_row(*row)
    return new


def by_state(
    title: str, headings: Iterable[str], mass: Any, cells: Callable[[int], Iterable[str]], which: str = ""
) -> Iterator[Table | str]:
    """Yield a table of the states with most mass, in their own order, and a line on the others."""
    shown = largest_states(np.asarray(mass, float), MOST_ROWS)
    yield table(title, ["state", *headings], map(cells, shown))
    yield from left_out(len(mass) - len(shown), f"states with less mass {which}are")


def show(page: Iterable[Table | str]) -> None:
    """Print tables and lines; no table is cut: a narrow terminal wraps its lines instead."""
    screen = Console(highlight=False, width=max(Console().width, 124))  # rich would colour all numbers
    for entry in page:
        # names may hold brackets, which are markup to rich
        screen.print(entry, markup=False, soft_wrap=isinstance(entry, str))


def number(value: float | None, form: str = ".2e", error: float | None = None) -> str:
    """Return a number as text, with its standard error if it has one; a dash stands for what is not known."""
    if value is None:
        return "–"
    return f"{value:{form}}" + ("" if error is None else f"±{error:.0e}".replace("e-0", "e-"))


def status(word: str) -> Text:
    """Return the word "holds", "fails" or "unknown" in its colour."""
    return Text(word, style=_STYLES.get(word, "dim"))


def left_out(count: int, plural: str) -> list[str]:
    """Return a line that says how many things are not shown; no line if that is none."""
    return [f"{count:,} {plural} not shown."] if count else []
