"""Python on a page, run as a reader would, and compared with what the page says that it gives."""

import ast
import re
from typing import Any

import numpy as np


def run_and_compare(source: str, names: dict[str, Any]) -> None:
    """Run statements; where an expression has a value as its comment, compare them to the digits shown."""
    lines = source.splitlines()
    for node in ast.parse(source).body:
        if not isinstance(node, ast.Expr):
            exec(compile(ast.Module([node], []), source.split("\n", 1)[0], "exec"), names)
            continue
        value = eval(compile(ast.Expression(node.value), "page", "eval"), names)
        comment = lines[(node.end_lineno or 1) - 1].partition("  # ")[2]
        shown = re.match(r"[\[(].*[\])]$|\{.*\}$|-?\d[\d.e+-]*$|'.*'$|True$|False$", comment)
        if shown and value is not None:
            assert_shown(value, shown[0])


def assert_shown(value: Any, text: str) -> None:
    expected = ast.literal_eval(text)
    if isinstance(expected, str | bool | dict) or "'" in text:
        assert value == expected
        return
    value, expected = np.array(value, float), np.array(expected, float)
    assert value.shape == expected.shape
    numbers = re.findall(r"\d+(?:\.\d+)?", text)
    off = [0.51 * 10.0 ** -len(number.partition(".")[2]) for number in numbers]  # half of the last digit shown
    assert (abs(value - expected).ravel() <= off).all(), f"{value} is not {text}"
