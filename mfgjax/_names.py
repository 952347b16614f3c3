"""Names of games and learners, which the tab key asks for before JAX is there, and what unknown names may mean."""

import difflib
from collections.abc import Iterable

GAMES = (
    "resource_allocation",
    "ring_crowd",
    "grid_crowd",
    "random_dense",
    "coordination",
    "left_right",
    "infection_spread",
    "infection_tipping",
    "mturk",
)
"""The ready-made games, as `mfgjax.games` has them."""

LEARNERS = ("tmfq", "gmbl", "online-tmfq", "iql", "mfq")
"""The learners, as `mfgjax learn` names them."""


def is_ready_made(game: str) -> bool:
    """Tell whether there is a ready-made game of this name, with "-" for "_" if one likes."""
    return game.replace("-", "_") in GAMES


def did_you_mean(word: str, known: Iterable[object], otherwise: str | None = None) -> str:
    """Return the end of a sentence on an unknown name: the known name that is most like it.

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
    """Return the known name that is most like an unknown one, in brackets, for a sentence that goes on; or nothing."""
    close = _nearest(word, list(map(str, known)))
    return f" (did you mean {close[0]!r}?)" if close else ""


def _nearest(word: str, names: list[str]) -> list[str]:
    return difflib.get_close_matches(word, names, n=1) or difflib.get_close_matches(word.lower(), names, n=1)
