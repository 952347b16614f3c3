"""Files that are there as a whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path, *, free_name: bool = True) -> Iterator[Path]:
    """Yield a temporary name to write to; it is renamed to `path` at the end, and removed on failure.

    Args:
      path: of a file, which is replaced if it exists, or a folder.
      free_name: use a temporary name that nobody else has; else overwrite what a killed process has left under it.
    """
    # in the same folder, hence on the same file system, where `os.replace` is atomic
    partial = path.with_name(f".{path.name}{'.' + secrets.token_hex(4) if free_name else ''}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
