"""Readers for TOML files; each mistake is one sentence: where it stands, what is there, what must be."""

import contextlib
import datetime as dt
import math
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from ._names import did_you_mean


def document(path: Path) -> dict[str, Any]:
    """Read a TOML file."""
    try:
        if not path.is_file():
            raise ValueError("this is a directory, or no regular file." if path.exists() else "there is no such file.")
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror}).") from error
    try:
        text = data.decode("utf-8-sig")  # editors under Windows put a byte order mark, which tomllib refuses
    except UnicodeDecodeError as error:
        byte, line = data[error.start], data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"byte {byte:#04x} at line {line} is not UTF-8, in which TOML is written.") from error
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("this is not valid TOML: it is nested too deeply.") from error
    except ValueError as error:  # besides TOMLDecodeError the one of Python for numbers of too many digits
        line = re.search(r"\(at line (\d+), ", str(error))
        quoted = f": {shown(text.splitlines()[int(line[1]) - 1].strip())}" if line else ""
        raise ValueError(f"this is not valid TOML: {error}{quoted}.") from error


@contextlib.contextmanager
def of_file(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the path of the file in front of every `ValueError`."""
    try:
        yield
    except ValueError as error:
        name = os.fspath(path)
        raise ValueError(f"`{name if name.isprintable() else ascii(name)[1:-1]}`: {error}") from error


def head(
    content: Mapping[str, Any],
    reads: str,
    keys: tuple[str, ...],
    required: tuple[str, ...],
    *,
    kind: str,
    stem: str,
    here: str = "",
) -> tuple[str, str]:
    """Check the format and the keys of a document, and return its name and description.

    Args:
      given: the document.
      reads: the format that it must have.
      keys: that it may have.
      required: that it must have.
      kind: of the file, for sentences.
      stem: name where the document gives none.
      here: what follows the format in the sentence on a wrong one.
    """
    if "format" in content and content["format"] != reads:
        raise wrong("format", content["format"], f"this version of mfgjax reads {reads!r}{here}")
    check_keys("", content, keys)
    for key in required:
        if key not in content:
            like = f', as in `format = "{reads}"`' if key == "format" else ""
            raise ValueError(f"`{key}` is missing, but every {kind} file needs it{like}.")
    description = content.get("description", "")
    name = text("name", content.get("name", stem))
    if not isinstance(description, str):
        raise wrong("description", description, "it must be a string")
    return name, description


def by_name(place: str, value: Any, known: Iterable[str], noun: str, top: tuple[str, ...] = ()) -> dict[str, float]:
    """Read a table from names to numbers."""
    numbers = {}
    for name, entry in table(place, value, f"a table of {noun}s with their numbers").items():
        check_name(f"{place}[{name!r}]", entry, name, known, noun, top)
        numbers[name] = number(f"{place}[{name!r}]", entry)
    return numbers


def check_sum(place: str, numbers: Mapping[str, float], plural: str) -> None:
    """Refuse numbers that do not sum to 1."""
    total = math.fsum(numbers.values())  # rounds once, however many there are
    if abs(total - 1) > 1e-8:
        raise ValueError(f"`{place}` sums to {total:.10g}, but {plural} must sum to 1 (to within 1e-8).")


def check_keys(prefix: str, content: Mapping[str, Any], keys: tuple[str, ...], top: tuple[str, ...] = ()) -> None:
    """Refuse unknown keys; for a key of the whole file that stands below a [table], say where it belongs."""
    for key, value in content.items():
        if key not in keys:
            must = f"there is no such key{suggestion(key, keys, top)}"
            raise wrong(prefix + (key if key.isidentifier() else repr(key)), value, must)


def fields(
    place: str, value: Any, kind: str, readers: Mapping[str, Callable[[str, Any], Any]], top: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Read a table: each key that is there by its reader; other keys are refused."""
    content = table(place, value, kind)
    check_keys(f"{place}.", content, tuple(readers), top)
    return {key: read(f"{place}.{key}", content[key]) for key, read in readers.items() if key in content}


def check_name(place: str, value: Any, name: str, known: Iterable[str], noun: str, top: tuple[str, ...] = ()) -> None:
    """Refuse an unknown name, such as that of a state that the game does not have."""
    if name not in known:
        raise wrong(place, value, f"there is no {noun} {shown(name)}{suggestion(name, known, top)}")


def suggestion(word: str, known: Iterable[str], top: tuple[str, ...] = ()) -> str:
    """Return the end of an error on an unknown word: what may be meant instead."""
    names = list(known)
    otherwise = (
        f"; the key {word!r} must stand above the first [table]" if word in top else f"; there are {listed(names)}"
    )
    return did_you_mean(word, names, otherwise)


def listed(words: Iterable[str]) -> str:
    """Return names in quotes with commas between them, at most twelve."""
    names = [repr(word) for word in words]
    return ", ".join(names if len(names) <= 12 else [*names[:11], "..."])


def table(place: str, value: Any, kind: str) -> dict[str, Any]:
    """Return a table; refuse anything else."""
    if not isinstance(value, dict):
        raise wrong(place, value, f"it must be {kind}")
    return value


def entries(place: str, value: Any, kind: str) -> list[Any]:
    """Return a list that is not empty; refuse anything else."""
    if not isinstance(value, list) or not value:
        raise wrong(place, value, f"it must be {kind}, not empty")
    return value


def text(place: str, value: Any) -> str:
    """Return a text that is not empty; refuse anything else."""
    if not isinstance(value, str) or not value.strip():
        raise wrong(place, value, 'a name must be a string that is not empty, as in "1"')
    return value


def whole(place: str, value: Any, most: int, least: int = 1) -> int:
    """Return a whole number from `least` to `most`; refuse anything else."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:  # a bool is an int
        raise wrong(place, value, f"it must be a whole number from {least} to {most} (without point or quotes)")
    return value


def number(place: str, value: Any) -> float:
    """Return a finite number that JAX's default precision can hold; refuse anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        # to TOML `a.b = 1` is a table in a table
        hint = "; names with a dot need quotes" if isinstance(value, dict) else ""
        raise wrong(place, value, f"it must be a number{hint}")
    if isinstance(value, float) and not math.isfinite(value):
        raise wrong(place, value, "it must be a finite number")
    largest = float(jnp.finfo(precision()).max)
    if abs(value) > largest:  # also for whole numbers beyond any float
        raise wrong(place, value, f"the largest {precision()} number is {largest:.1e}")
    return float(value)


def number_above(place: str, value: Any, low: float, *, included: bool = False) -> float:
    """Return a number above `low`; refuse anything else."""
    converted = number(place, value)
    if not (converted >= low if included else converted > low):
        raise wrong(place, value, f"it must be {'at least' if included else 'above'} {low:g}")
    return converted


def boolean(place: str, value: Any) -> bool:
    """Return a boolean; refuse anything else."""
    if not isinstance(value, bool):
        raise wrong(place, value, "it must be true or false (without quotes)")
    return value


def one_of(place: str, value: Any, words: Iterable[str]) -> str:
    """Return one of several words; refuse anything else."""
    allowed = tuple(words)
    if value not in allowed:
        raise wrong(place, value, f"it must be one of {listed(allowed)}")
    return value


def share(place: str, value: Any, must: str) -> float:
    """Return a number in (0, 1] that stays positive in JAX's default precision."""
    converted = number(place, value)
    if not 0 < converted <= 1:
        raise wrong(place, value, must)
    smallest = float(jnp.finfo(precision()).tiny)
    if converted < smallest:  # XLA may take denormal numbers for 0
        raise wrong(place, value, f"the smallest positive {precision()} number is {smallest:.1e}")
    return converted


def precision() -> np.dtype:
    """Return JAX's default floating dtype."""
    return np.dtype(jnp.result_type(float))


def wrong(place: str, value: Any, must: str) -> ValueError:
    """Return the error for a wrong value: where it stands, what it is, what it must be."""
    sentence = f"`{place}` is {shown(value)}, but {must}"
    return ValueError(sentence if sentence.endswith("?") else f"{sentence}.")


def shown(value: Any) -> str:
    """Return a value as TOML writes it, in at most 60 characters."""
    if isinstance(value, bool):
        return str(value).lower()  # as TOML writes it
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    try:
        text = repr(value).replace("\n", " ")
    except (ValueError, RecursionError):  # numbers of more digits than Python prints, tables nested too deeply
        return f"too long to be shown (of kind {type(value).__name__})"
    return text if len(text) <= 60 else f"{text[:57]}..."
