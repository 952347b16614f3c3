"""Two details of type: an underscore in a name is an underscore, and what a parameter means follows a dash."""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

_FENCED = re.compile(r"\A---$.*?^---$|^(`{3,}|~{3,}).*?^\1[ ]*$|^(?: {4}[^\n]*\n?)+", flags=re.DOTALL | re.MULTILINE)
_KEPT = re.compile(r"`[^`]+`|\$\$[^$]+\$\$|\$[^$]+\$|\]\([^)]*\)|<https?:[^>]+>")


def _escaped(text: str) -> str:
    """Return markdown in which no underscore begins emphasis, for which the pages use asterisks."""
    return _outside(_FENCED, text, lambda prose: _outside(_KEPT, prose, lambda words: words.replace("_", r"\_")))


def _outside(pattern: re.Pattern[str], text: str, change: Any) -> str:
    found, last = "", 0
    for match in pattern.finditer(text):
        found += change(text[last : match.start()]) + match[0]
        last = match.end()
    return found + change(text[last:])


def _read(app: Any, docname: str, source: list[str]) -> None:
    if Path(app.env.doc2path(docname)).suffix == ".md":
        source[0] = _escaped(source[0])


class Dashes(SphinxPostTransform):
    """Sphinx writes two hyphens between a parameter and its meaning, and leaves the dash to smart quotes."""

    default_priority = 100

    def run(self, **kwargs: Any) -> None:
        """Look at all text of the page."""
        for node in list(self.document.findall(nodes.Text)):
            if node.astext() == " -- ":
                node.parent.replace(node, nodes.Text(" – "))


def setup(app: Any) -> dict[str, Any]:
    """Connect both."""
    app.connect("source-read", _read)
    app.add_post_transform(Dashes)
    return {"parallel_read_safe": True}
