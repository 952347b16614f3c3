"""Several values in one option: ranges and lists."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

RANGE = "START:STOP:COUNT, START:STOP:COUNT:log, a list such as 0.5,1,3, or one value"
_MOST_VALUES = 10**7  # of a range
_MOST_POPULATIONS = 1000


def values_of_settings(game: str, settings: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values that each "key=range" gives to a parameter of a ready-made game: one, or several."""
    from ..games.ready_made import settings_of

    values: dict[str, list[Any]] = {}
    for key, setting in settings_of(game, settings).items():
        kinds = setting.kinds
        # its value has commas of its own
        if tuple in kinds:
            values[key] = [setting.value()]
        elif bool not in kinds and (int in kinds or float in kinds):
            values[key] = numbers(setting.option, setting.text, whole=int in kinds)
        else:
            values[key] = different(setting.option, [setting.value(word.strip()) for word in setting.text.split(",")])
    return values


def numbers(said: str, text: str, *, whole: bool = False) -> list[Any]:
    """Read the numbers of a range or a list.

    Args:
      said: option and value, for sentences.
      text: START:STOP:COUNT, START:STOP:COUNT:log, or numbers with commas between them.
      whole: they are whole numbers.
    """
    kind, noun = (int, "a whole number") if whole else (float, "a number")
    colon_parts = [part.strip() for part in text.split(":")]
    if len(colon_parts) == 1:
        return different(said, [_number(said, part.strip(), kind, noun) for part in text.split(",")])
    if len(colon_parts) not in (3, 4) or colon_parts[3:] not in ([], ["log"]):
        raise ValueError(f"`{said}` is no range; it must be {RANGE}.")
    start, stop = (_number(said, part, float, "a number") for part in colon_parts[:2])
    count = _number(said, colon_parts[2], int, "a whole number")
    if not (math.isfinite(start) and math.isfinite(stop)) or start == stop:
        raise ValueError(f"`{said}`: START and STOP must be different finite numbers.")
    if not 2 <= count <= _MOST_VALUES:
        raise ValueError(f"`{said}`: COUNT must be at least 2 and at most {_MOST_VALUES:,}; got {count}.")
    if len(colon_parts) == 4 and min(start, stop) <= 0:
        raise ValueError(f"`{said}`: with log, START and STOP must be > 0; got {min(start, stop):g}.")
    values = (np.geomspace if len(colon_parts) == 4 else np.linspace)(start, stop, count)
    if not whole:
        return values.tolist()
    rounded = np.round(values)
    # even steps between whole numbers are off by rounding
    wrong = values[~np.isclose(values, rounded, rtol=1e-9, atol=1e-9)]
    if len(wrong):
        raise ValueError(f"`{said}`: it must be whole numbers, but {wrong[0]:g} is among them.")
    return different(said, [int(value) for value in rounded])


def _number(option: str, text: str, kind: Callable[[str], Any], noun: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"`{option}`: {text!r} is not {noun}; it must be {RANGE}.") from None


def different(option: str, values: list[Any]) -> list[Any]:
    """Return values; refuse them if one appears twice."""
    if len(set(values)) < len(values):
        twice = next(value for i, value in enumerate(values) if value in values[:i])
        raise ValueError(f"`{option}` has {twice} twice.")
    return values


def numbers_of_agents(text: str) -> list[int]:
    """Read numbers of agents from a list or a range; those of a range are rounded."""
    from ..finite.arguments import MOST_AGENTS

    said = f"--agents {text}"
    values = np.array(numbers(said, text))
    if ":" in text:
        # `unique` sorts, and a range may fall
        values = np.unique(np.round(values))[:: 1 if values[0] < values[-1] else -1]
    for value in values:
        if value != np.round(value):
            raise ValueError(f"`{said}`: it must be whole numbers, but {value:g} is among them.")
        if not 1 <= value <= MOST_AGENTS:
            raise ValueError(f"`{said}`: it must lie between 1 and {MOST_AGENTS:,}, but {value:,.0f} is among them.")
    if len(values) > _MOST_POPULATIONS:
        raise ValueError(f"`{said}` has {len(values):,} numbers, but {_MOST_POPULATIONS:,} is the most.")
    return values.astype(int).tolist()
