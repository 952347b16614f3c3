"""The commands of `mfgjax`, run in this process, and what they are run on."""

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import mfgjax
from mfgjax.cli import main

ROOT = Path(mfgjax.__file__).parents[1]
EXAMPLE = str(ROOT / "examples" / "resource_allocation.toml")
PAPER = "resource-allocation"
PNG = b"\x89PNG\r\n\x1a\n"


def run(*arguments: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        status = main(list(arguments))
    return status, out.getvalue(), err.getvalue()


def words(text: str) -> str:
    """A text with single spaces, whatever the widths of the columns in it."""
    return " ".join(text.split())
