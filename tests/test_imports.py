"""Imports go down only, and importing the library does not import what only pictures, files and commands need."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mfgjax

ROOT = Path(mfgjax.__file__).parent

# from bottom to top; what is not named here lies above `solve` and below `io`
LAYERS = (
    ("kernels",),
    ("responses",),
    ("operators", "ranges"),
    ("model",),
    ("solvers",),
    ("equilibrium",),
    ("engine",),
    ("solve", "batch"),
    (),  # branch, games, certify, sweep, finite, design, learners, ...
    ("io",),
    ("design",),
    ("plot",),
    ("sweeps",),
    ("explorers",),
    ("reproduce",),
    ("cli",),
    ("__main__",),
)
OTHERS = LAYERS.index(())


def layer(module):
    """Height of a module of the library, given as the name below `mfgjax`."""
    if module.startswith("_") and module != "__main__":
        return -1
    heights = [height for height, names in enumerate(LAYERS) if module in names]
    return heights[0] if heights else OTHERS


def imported_modules(path):
    """First names below `mfgjax` that a file imports, wherever in the file it does."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - (node.level - 1)]
                names = [*base, *(node.module.split(".") if node.module else [])]
            elif (node.module or "").split(".")[0] == "mfgjax":
                names = node.module.split(".")[1:]
            else:
                continue
            # `from . import x` names a module itself
            yield from [names[0]] if names else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("mfgjax."))


PUBLIC = (ROOT / "__init__.py", ROOT / "_public.py")  # all of the library is below them
FILES = sorted(path for path in ROOT.rglob("*.py") if path not in PUBLIC)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_from_its_own_layer_or_below(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    above = {name for name in imported_modules(path) if layer(name) > layer(own)}
    assert not above, f"{path.relative_to(ROOT)} imports {', '.join(sorted(above))} from above its layer"


def test_the_layers_are_read_from_the_imports():
    """The reader sees relative imports of every form."""
    assert {"_checks", "kernels", "model"} <= set(imported_modules(ROOT / "games" / "graph.py"))
    assert "solvers" in set(imported_modules(ROOT / "solve.py"))
    assert "kernels" in set(imported_modules(ROOT / "kernels" / "moves.py"))  # from .base
    heights = [layer(name) for name in ("_simplex", "kernels", "model", "engine", "solve", "multiplicity", "cli")]
    assert heights == sorted(set(heights))


def test_importing_the_library_leaves_heavy_packages_alone():
    code = (
        "import sys, mfgjax; "
        "print(*(m for m in ('xarray', 'netCDF4', 'matplotlib', 'typer', 'rich', 'networkx', 'pandas', 'anywidget') "
        "if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    assert done.stdout.split() == []


def test_exploring_a_game_leaves_the_widget_and_pictures_alone():
    code = (
        "import sys, mfgjax; mfgjax.explore; "
        "print(*(m for m in ('anywidget', 'ipywidgets', 'matplotlib') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    assert done.stdout.split() == []
