"""Files that are there as a whole or not at all."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write to; it is renamed to `path` at the end, and removed on failure.

    Args:
      path: of a file, which is replaced if it exists, or a folder.
    """
    # in the same folder, hence on the same file system, where `os.replace` is atomic
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def remove_drafts(path: Path) -> None:
    """Remove folders that `written_whole` was to make of `path` in processes that were killed."""
    own = re.compile(rf"\.{re.escape(path.name)}(\.[0-9a-f]{{8}})?\.part")  # older versions had one name
    for other in path.parent.iterdir():
        if own.fullmatch(other.name):
            shutil.rmtree(other, ignore_errors=True)
