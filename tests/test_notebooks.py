"""Every notebook runs from top to bottom on public names."""

import ast
import json
from pathlib import Path

import jax.numpy as jnp
import matplotlib
import pytest

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path):
    matplotlib.use("Agg")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], "notebooks are committed without outputs"
            exec(compile("".join(cell["source"]), f"{path.name}:{cell['id']}", "exec"), names)
    # closed form: at 3/4 and 1/4 both nodes pay (3/4)^2
    assert jnp.allclose(names["greedy"].mean_field[-1], jnp.array([0, 0, 0.75, 0.25, 0]), atol=1e-3)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_uses_public_names_only(path):
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.Attribute):
                    assert not node.attr.startswith("_")
