"""Files that are there as a whole or not at all."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path, *, free_name: bool = True) -> Iterator[Path]:
    """Yield another name in the same folder; what is written there takes the name `path`, or goes on failure.

    Args:
      path: of a file, which is replaced if it exists, or a folder.
      free_name: the other name is nobody else's; else what a killed process has left under it is written over.
    """
    partial = path.with_name(f".{path.name}{'.' + secrets.token_hex(4) if free_name else ''}.part")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
