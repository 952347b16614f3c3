"""Laws, flows and numbers as objects show them: cut tables and small pictures, in NumPy alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import _svg
from ._display import Listing, Part, Picture
from ._largest_states import evenly, largest_states
from ._shorten import cut

MOST_SHOWN = 300_000
"""Numbers of a mean field up to which it is looked at: more would take longer than a glance may."""
_MOST_ROWS, _MOST_TIMES, _CHOSEN_TIMES, _MOST_LINES, _MOST_BARS, _MOST_POINTS = 12, 8, 7, 7, 40, 120


def names_or_numbers(labels: Sequence[str], count: int) -> Sequence[str]:
    """Return labels, or the numbers from 0 on if there are none; of games too large to be shown, none."""
    return labels if len(labels) == count else [str(i) for i in range(min(count, MOST_SHOWN))]


def listed(labels: Sequence[str], most: int = 8) -> str:
    """Return the first few labels, and the last one, on a line."""
    shown = [cut(label, 24) for label in labels[: most + 1]]
    if len(labels) <= most + 1:
        return ", ".join(shown)
    return f"{', '.join(shown[:most])}, ..., {labels[-1]}"


def law_parts(law: np.ndarray, labels: Sequence[str], caption: str = "") -> Iterator[Part]:
    """Yield the picture and the table of a law `[S]` or a flow `[T, S]`.

    Args:
      law: the law, or one for each time.
      labels: of the states; none: their numbers.
      caption: below the picture; empty: what is drawn.
    """
    if law.size > MOST_SHOWN:
        yield f"The mean field has {law.size:,} numbers, too many to be shown."
        return
    names = names_or_numbers(labels, law.shape[-1])
    if law.ndim == 1:
        yield Picture(law_picture(law, names), caption or "share of the agents in each state")
        yield law_table(law[:, None], names, [">share"])
        return
    times = np.arange(len(law))
    if law.shape[1] <= _MOST_LINES:
        lines = [_svg.Line(name, times, law[:, s]) for s, name in enumerate(names)]
        picture = _svg.lines(lines, "time", "share", zero=True)
    else:
        picture = _svg.heat_map(law.T, times.tolist(), names, "time", "state")
    yield Picture(picture, caption or "share of the agents in each state, over time")
    chosen = evenly(len(law), len(law) if len(law) <= _MOST_TIMES else _CHOSEN_TIMES)
    table = law_table(law[chosen].T, names, [f">t = {t}" for t in chosen], law.max(axis=0))
    left = f"{len(chosen)} of {len(law):,} times are shown." if len(chosen) < len(law) else ""
    yield table._replace(note=" ".join(filter(None, [left, table.note])))


def law_picture(law: np.ndarray, names: Sequence[str]) -> str:
    """Draw a law: bars, or a line over the numbers of the states if there are many."""
    if len(law) <= _MOST_BARS:
        return _svg.bars(law, names, "state", "share")
    shares = _svg.greatest_of_neighbours(law, _MOST_POINTS)
    places = np.arange(len(shares)) * -(-len(law) // _MOST_POINTS)
    return _svg.lines([_svg.Line("", places, shares)], "number of the state", "share", zero=True)


def laws_picture(laws: Sequence[np.ndarray], names: Sequence[str]) -> str:
    """Draw several laws over the numbers of the states."""
    series = [_svg.Line(name, np.arange(len(law)), law) for law, name in zip(laws, names, strict=True)]
    return _svg.lines(series[:_MOST_LINES], "number of the state", "share", zero=True)


def last_laws(mean_fields: np.ndarray) -> np.ndarray | None:
    """Return the laws of the states `[n, S]` of many mean fields, at the last time; None if there are too many.

    Args:
      mean_fields: laws or joint laws of states and actions, or flows of these, `[n, ...]`; NaN where one is missing.
    """
    if mean_fields.size > MOST_SHOWN:
        return None
    # the mass of a mean field is its number of times, as each law sums to 1
    over_time = np.nanmax(mean_fields.reshape(len(mean_fields), -1).sum(axis=1)) > 1.5
    laws = mean_fields[:, -1] if over_time else mean_fields
    return laws.sum(axis=2) if laws.ndim == 3 else laws


def share_that_varies(laws: np.ndarray, labels: Sequence[str]) -> tuple[np.ndarray, str, str]:
    """Return the share that varies most among laws `[n, S]`, with the name of its axis and a caption."""
    state = int(np.nanargmax(np.nanmax(laws, axis=0) - np.nanmin(laws, axis=0)))
    number = "" if labels else ", by its number from 0,"
    name = f"share in state {cut(labels[state]) if labels else state}"
    return laws[:, state], name, f"the state{number} whose share varies most"


def law_table(columns: np.ndarray, labels: Sequence[str], headings: Sequence[str], mass: Any = None) -> Listing:
    """Return the table of the states with the largest mass, in their own order; `columns` are `[S, columns]`."""
    shown = largest_states(columns.max(axis=1) if mass is None else mass, _MOST_ROWS)
    rows = [[labels[s], *(f"{share:.4f}" for share in columns[s])] for s in shown]
    left = len(labels) - len(shown)
    return Listing(["state", *headings], rows, f"{left:,} states with less mass are not shown." if left else "")
