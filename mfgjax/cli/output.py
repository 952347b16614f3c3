"""Where results go: a folder that gets all files at the end or none, and JSON; and the word at Ctrl-C."""

import codecs
import io
import json
import math
import os
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


class Interrupted(Exception):
    """Ctrl-C with a message; typer would handle a `KeyboardInterrupt` itself, without one."""


class Files:
    """Files that a command saves: `files / name` is where to write one; false where nothing is to be saved.

    Attributes:
      saved: the paths that the files will have.
    """

    def __init__(self, folder: Path | None, out: Path | None):
        self._folder, self._out = folder, out
        self.saved: list[str] = []

    def __bool__(self) -> bool:
        return self._folder is not None

    @property
    def folder(self) -> Path:
        """Where the files are written."""
        assert self._folder is not None
        return self._folder

    def add(self, name: str) -> None:
        """List a file among the saved ones that is written in another way."""
        assert self._out is not None
        self.saved.append(str(self._out / name))

    def __truediv__(self, name: str) -> Path:
        self.add(name)
        return self.folder / name

    def picture(self, name: str, drawn: Any) -> None:
        """Save a figure, or that of some axes or of an animation, and close it."""
        from matplotlib import pyplot
        from matplotlib.animation import Animation

        is_animation = isinstance(drawn, Animation)
        first: Any = np.ravel(drawn)[0] if isinstance(drawn, np.ndarray) else drawn
        figure: Any = first._fig if is_animation else first.get_figure(root=True)  # not a part of it
        try:
            if is_animation:  # pillow comes with matplotlib; other writers need programs of the system
                drawn.save(self / name, writer="pillow", dpi=90)
            else:
                figure.savefig(self / name, dpi=150)
        finally:
            pyplot.close(figure)

    def numbers(self, name: str, content: dict[str, Any]) -> None:
        """Save what was found as JSON, after all else, with the names of all files in it; this one comes first."""
        path = self / name
        self.saved.insert(0, self.saved.pop())
        content["files"] = self.saved
        path.write_text(json_of(content) + "\n", encoding="utf-8")


@contextmanager
def staged(out: Path | None) -> Iterator[Files]:
    """Yield a temporary folder for files, which move to `out` together at the end; on failure nothing is left.

    They are written inside `out`, hence on the same file system, in a folder that is made before anything is
    computed: what cannot be written is refused then. Files of the same names are replaced, others left alone.

    Args:
      out: what `--out` says; it is made if it does not exist. None: nothing is to be saved.

    Raises:
      ValueError: if `out` is no folder and cannot become one, or cannot be written to.
    """
    if out is None:
        yield Files(None, None)
        return
    with writable(out):
        folder = _new_folder(out)
        try:
            yield Files(folder, out)
            files = sorted(folder.iterdir())
            for file in files:
                # looked at before the first file moves, so that all of them move or none
                if (out / file.name).is_dir():
                    raise ValueError(f"`--out` is {str(out)!r}, but {file.name} in it is a folder, not a file.")
            for file in files:
                os.replace(file, out / file.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writable(out: Path) -> Iterator[None]:
    """Make a folder and check that it can be written to; on failure remove it again unless something is in it.

    Args:
      out: what `--out` says; it may be there already.

    Raises:
      ValueError: if `out` is no folder and cannot become one, or cannot be written to.
    """
    made = _make_folder(out)
    try:
        _new_folder(out).rmdir()  # a trial: permissions alone do not tell whether one can write there
        yield
    except BaseException:  # Ctrl-C is no `Exception`
        for path in made:
            try:
                path.rmdir()
            except OSError:  # somebody else has put something there
                break
        raise


def _new_folder(out: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=".mfgjax-", dir=out))
    except OSError as error:
        raise _refusal(out, error) from error


def _make_folder(out: Path) -> list[Path]:
    """Make a folder with its parents; return those that were not there, innermost first."""
    try:
        missing = [path for path in (out, *out.parents) if not path.exists()]
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ValueError(f"`--out` is {str(out)!r}, but that is a file, not a folder.") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte
        raise _refusal(out, error) from error
    return missing


def _refusal(out: Path, error: Exception) -> ValueError:
    reason = getattr(error, "strerror", None) or str(error)
    return ValueError(f"`--out` is {str(out)!r}, but nothing can be written there: {reason}.")


def check_room(things: str, needed: int, out: Path | None, instead: str) -> None:
    """Refuse what the memory, or the disk that a folder is on, cannot hold; `instead` says what to give fewer of."""
    if out is not None:
        kind, room, where_free = "disk", shutil.disk_usage(out).free, f"are free in {str(out)!r}"
    elif hasattr(os, "sysconf"):  # Windows has none
        kind, room, where_free = "memory", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "are there"
    else:
        return
    if needed > room:
        text = f"{things} take {needed / 1e9:.3g} GB of {kind}, but {room / 1e9:.3g} GB {where_free}"
        raise ValueError(f"{text}: give fewer{instead}.")


def json_of(content: Mapping[str, Any]) -> str:
    """Return a mapping as the text of a JSON object."""
    # NaN is no JSON: a number that may be one passes through `finite`
    return json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False)


def print_json(content: Mapping[str, Any]) -> None:
    """Print a JSON object; letters that stdout cannot encode are escaped, as JSON allows."""
    text = json_of(content)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(content, ensure_ascii=True, indent=2, allow_nan=False)
    print(text)


def _spelt(error: UnicodeError) -> tuple[str, int]:
    """Spell out what a stream cannot encode: letters by name, marks of mathematics as programs write them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    marks = {"–": "-", "—": "-", "−": "-", "×": "x", "·": "*", "→": "->", "≤": "<=", "≥": ">=", "…": "...", "∞": "inf"}
    spelt = []
    for mark in error.object[error.start : error.end]:
        name = unicodedata.name(mark, "").split()
        letter = name[-1].capitalize() if "CAPITAL" in name else name[-1].lower() if name else "?"
        plain = unicodedata.normalize("NFKD", mark).encode("ascii", "ignore").decode()  # letters without accents
        spelt.append(marks.get(mark) or (letter if "GREEK" in name else plain or "?"))
    return "".join(spelt), error.end


codecs.register_error("mfgjax-spelt", _spelt)


def spell_out() -> None:
    """Let stdout and stderr spell out what they cannot encode, so that no command fails because of a letter."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="mfgjax-spelt")


def finite(number: Any) -> float | None:
    """Return a number for JSON: None unless it is finite."""
    value = float(number)
    return value if math.isfinite(value) else None
