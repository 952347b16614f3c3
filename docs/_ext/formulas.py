"""Formulas are typeset when the site is built: LaTeX becomes MathML, which browsers draw without a script.

Browsers do not break lines inside of MathML. So a long inline formula becomes several short ones, between which a line may
end where it may in TeX: outside of parentheses, after a comma, a relation, a plus or a minus.
"""

import html
import re
import xml.etree.ElementTree as ET
from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
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


def _visit_inline(translator: Any, node: nodes.Element) -> None:
    translator.body.append("<wbr>".join(pieces(_mathml(node, displaystyle=False))))
    raise nodes.SkipNode


def _visit_block(translator: Any, node: nodes.Element) -> None:
    start = translator.starttag(node, "div", CLASS="formula")
    translator.body.append(f"{start}{_mathml(node, displaystyle=True)}</div>")
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Make this the way in which pages show formulas."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
