"""Where results go: a folder that gets all files at the end or none, JSON, and tables."""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console


@contextmanager
def staged(out: Path | None) -> Iterator[Path | None]:
    """Yield a folder to write into, whose files move to `out` at the end; on failure nothing is left.

    The folder is made inside `out`, hence on the same file system, and before anything is computed: what
    cannot be written is refused then. Files of the same names are replaced, others left alone.

    Args:
      out: what `--out` says; it is made if it does not exist. None: None is yielded.

    Raises:
      ValueError: if `out` is no folder and cannot become one, or cannot be written to.
    """
    if out is None:
        yield None
        return
    made = _make_folder(out)
    try:
        try:
            folder = Path(tempfile.mkdtemp(prefix=".mfgjax-", dir=out))
        except OSError as error:
            raise _refusal(out, error) from error
        try:
            yield folder
            files = sorted(folder.iterdir())
            for file in files:
                if (out / file.name).is_dir():
                    raise ValueError(f"`--out` is {str(out)!r}, but {file.name} in it is a folder, not a file.")
            for file in files:
                os.replace(file, out / file.name)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except BaseException:
        for path in made:
            try:
                path.rmdir()
            except OSError:  # somebody else has put something there
                break
        raise


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


def console() -> Console:
    """Return a console on stdout in which no table is cut: a narrow terminal wraps lines instead."""
    return Console(highlight=False, width=max(Console().width, 124))


def print_json(content: Mapping[str, Any]) -> None:
    """Print one object."""
    print(json.dumps(content, ensure_ascii=False, indent=2, allow_nan=False))


def finite(number: Any) -> float | None:
    """Return a number for JSON, which knows none that are not finite."""
    value = float(number)
    return value if math.isfinite(value) else None
