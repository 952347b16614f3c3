"""Notebooks lie outside of the folder that Sphinx reads, so they are copied into it."""

import json
import re
from pathlib import Path


def copy(source: Path, target: Path) -> None:
    """Copy all notebooks; links in them to pages of `docs` are adapted, and old copies are removed.

    Args:
      source: folder of the notebooks; there need not be any.
      target: folder inside that of Sphinx.
    """
    target.mkdir(exist_ok=True)
    names = {path.name for path in source.glob("*.ipynb")}
    for path in target.glob("*.ipynb"):
        if path.name not in names:
            path.unlink()
    for name in names:
        content = json.loads((source / name).read_text(encoding="utf-8"))
        for cell in content["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = _adapted("".join(cell["source"]))
        text = json.dumps(content, ensure_ascii=False)
        copied = target / name
        if not copied.exists() or copied.read_text(encoding="utf-8") != text:  # else Sphinx would read it anew
            copied.write_text(text, encoding="utf-8")


def _adapted(text: str) -> str:
    """Return the text with `../docs/x.md` as `../x.md`; other files of the repository are named, not linked."""
    text = text.replace("](../docs/", "](../")
    return re.sub(r"\[([^\]]*)\]\(\.\./(?:README|CONTRIBUTING|CHANGELOG|benchmarks|examples)[^)]*\)", r"\1", text)
