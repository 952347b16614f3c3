"""TOML files of games and problems, with a mistake in them or without."""

import copy
import datetime as dt
import json
from pathlib import Path

GONE = object()  # as a value: the key is taken away


def toml(value) -> str:
    """A value as TOML, tables within braces."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, int) and value > 1 << 64:
        return hex(value)  # Python writes no decimals that long
    if isinstance(value, dt.date):
        return value.isoformat()
    return json.dumps(value) if isinstance(value, str) else repr(value)


def write(path: Path, document: dict) -> Path:
    """The path of a file that holds the document."""
    path.write_text("".join(f"{json.dumps(key)} = {toml(value)}\n" for key, value in document.items()), "utf-8")
    return path


def changed(document: dict, place: tuple, value) -> dict:
    """A copy of the document with another value in one place, which may be the end of a list."""
    copied = copy.deepcopy(document)
    *way, last = place
    table = copied
    for key in way:
        table = table[key]
    if value is GONE:
        del table[last]
    elif isinstance(table, list) and last == len(table):
        table.append(value)
    else:
        table[last] = value
    return copied
