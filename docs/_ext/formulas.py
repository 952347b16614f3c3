"""Formulas are typeset when the site is built: LaTeX becomes MathML, which browsers draw without a script.

In MathML Chromium ends no line, and Firefox ends lines anywhere. So a long inline formula becomes several short ones,
between which a line may end where it may in TeX: outside of parentheses, after a comma, a relation, a plus or a minus.
The comma or the parenthesis beside a formula stays on its line.
"""

import html
import re
import xml.etree.ElementTree as ET
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

_LONG = 12  # symbols that stay on one line
_OPEN, _CLOSE = ("(", "[", "{", "⟨", "⌊"), (")", "]", "}", "⟩", "⌋")
_NAMED = re.compile(r"&(?!amp;|lt;|gt;|quot;)\w+;")  # characters that HTML has names for, and XML has not
_SEPARATORS, _SIGNS = set(",;=<>≤≥≠≈∈→↦∝⇒⟹"), ("+", "−")
_CONVERTER = LatexToMathML(fancy_error=False)
_LOGGER = logging.getLogger(__name__)


def pieces(mathml: str) -> list[str]:
    """Return an inline formula as one or more, between which a line may end.

    Args:
      mathml: a `<math>` element.
    """
    whole = ET.fromstring(_NAMED.sub(lambda name: html.unescape(name[0]), mathml))
    if sum(len(element) == 0 for element in whole.iter()) <= _LONG:
        return [mathml]
    found, depth, before = [ET.Element("math")], 0, "="
    for child in whole:
        found[-1].append(child)
        symbol = _operator(child)
        depth += (symbol in _OPEN) - (symbol in _CLOSE)
        is_binary = symbol in _SIGNS and (not before or before in _CLOSE)
        if depth == 0 and child.tag == "mo" and (symbol in _SEPARATORS or is_binary):
            found.append(ET.Element("math"))
        before = symbol
    return [ET.tostring(piece, encoding="unicode") for piece in found if len(piece)]


def _operator(element: ET.Element) -> str:
    """Return the operator that an element is, with or without an exponent or index; empty if it is none."""
    while element.tag in ("msup", "msub", "msubsup"):
        element = element[0]
    return element.text or "" if element.tag == "mo" else ""


def _mathml(node: nodes.Element, displaystyle: bool) -> str:
    try:
        return _CONVERTER.convert_with_local_state(node.astext(), displaystyle=displaystyle)
    except LatexError as error:
        _LOGGER.warning("%s in the formula %s", error, node.astext(), location=node)
        return f"<math><merror><mtext>{html.escape(node.astext())}</mtext></merror></math>"


class Neighbours(SphinxPostTransform):
    """Give each inline formula what is beside it without a blank."""

    default_priority = 100

    def run(self, **kwargs: Any) -> None:
        """Look at all formulas of the page."""
        for node in list(self.document.findall(nodes.math)):
            for side, neighbour, rest in (
                ("before", node.previous_sibling(), r"\S*$"),
                ("after", node.next_node(descend=False, siblings=True), r"^\S*"),
            ):
                if isinstance(neighbour, nodes.Text):
                    node[side] = re.search(rest, neighbour)[0]  # pyright: ignore[reportOptionalSubscript]
                    node.parent.replace(neighbour, nodes.Text(re.sub(rest, "", neighbour, count=1)))


def _visit_inline(translator: Any, node: nodes.Element) -> None:
    found = pieces(_mathml(node, displaystyle=False))
    found[0] = html.escape(node.get("before", "")) + found[0]
    found[-1] += html.escape(node.get("after", ""))
    translator.body.append("<wbr>".join(f'<span class="unbroken">{piece}</span>' for piece in found))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.Element) -> None:
    start = translator.starttag(node, "div", CLASS="formula")
    translator.body.append(f"{start}{_mathml(node, displaystyle=True)}</div>")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Make this the way in which pages show formulas."""
    app.add_post_transform(Neighbours)
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
